// Decoding of BIO tags, as in bertedu/finetuning/bio.py; tests/test_rules.py holds the two equal.

export const OUTSIDE = "O";

/** Legal BIO tags, and where they differ: an I- that continues nothing begins a slot. */
export function mend(tags) {
  const broken = tags.map((tag, i) => tag.startsWith("I-") && (tags[i - 1] ?? OUTSIDE).slice(2) !== tag.slice(2));
  return {
    legal: tags.map((tag, i) => (broken[i] ? `B-${tag.slice(2)}` : tag)),
    mended: [...tags.keys()].filter((i) => broken[i]),
  };
}

/** The slots that legal tags mark: label, characters and words of each. */
export function slotsOf(offsets, tags) {
  const slots = [];
  tags.forEach((tag, word) => {
    const [start, end] = offsets[word];
    if (tag.startsWith("B-")) slots.push({ label: tag.slice(2), start, end, first: word, last: word });
    else if (tag.startsWith("I-")) Object.assign(slots.at(-1), { end, last: word });
  });
  return slots;
}
