// The masked language model's rule, as in bertedu/pretraining/masking.py; tests/test_rules.py
// holds the two equal.

export const [NOT_CHOSEN, MASKED, RANDOM, KEPT] = [0, 1, 2, 3];

/** How many tokens are chosen: a share of all, a half rounded to the even neighbour, at least 1. */
export function countToChoose(length, rate) {
  const exact = length * (rate / 100);
  const low = Math.floor(exact);
  const rounded = exact - low === 0.5 ? low + (low % 2) : Math.round(exact);
  return Math.max(1, rounded);
}

/** Positions of each word: pieces with ## belong to the ordinary token right before them. */
export function wordsOf({ tokens, special }) {
  const all = [];
  tokens.forEach((token, i) => {
    if (special[i]) return;
    if (token.startsWith("##") && i > 0 && !special[i - 1]) all.at(-1).push(i);
    else all.push([i]);
  });
  return all;
}

/**
 * The fate of each token in each roll, one roll after the other. `order` has for each roll the
 * places by their keys, the smallest first; `draws` decides the fate of what is chosen.
 */
export function fatesFromDraws({ tokens, special, order, draws }, { rate, mask, random, whole_words }) {
  const length = tokens.length;
  const units = whole_words ? wordsOf({ tokens, special }) : tokens.map((_, i) => (special[i] ? [] : [i]));
  const fates = new Uint8Array(draws.values.length);
  const [masked, replaced] = [mask / 100, mask / 100 + random / 100];
  for (let start = 0; start < fates.length; start += length) {
    let room = countToChoose(length, rate);
    for (let rank = 0; rank < length && room; rank++) {
      const unit = units[order.values[start + rank]] ?? [];
      if (unit.length > room) continue;
      room -= unit.length;
      for (const position of unit) {
        const draw = draws.values[start + position];
        fates[start + position] = draw < masked ? MASKED : draw < replaced ? RANDOM : KEPT;
      }
    }
  }
  return fates;
}
