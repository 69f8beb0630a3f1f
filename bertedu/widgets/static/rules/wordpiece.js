// Longest match first, as in bertedu/wordpiece.py; tests/test_rules.py holds the two equal.

/** Every candidate tried for a word, in order: longest first, then on behind each match. */
export function candidatesTried({ text, matches }) {
  const letters = Array.from(text);
  const all = [];
  let start = 0;
  matches.forEach(([last, id], piece) => {
    const marks = piece ? "##" : "";
    const stop = start + Array.from(last).length - marks.length;
    for (let end = letters.length; end >= stop; end--) {
      const found = end === stop && id !== null;
      const candidate = marks + letters.slice(start, end).join("");
      all.push({ candidate, piece, start, end, found, id: found ? id : null });
    }
    start = stop;
  });
  return all;
}
