// Which tokens are hidden, drawn as Python draws: the JavaScript twin of bertedu/pretraining/masking.py,
// for copies of one text without padding, with the paper's shares.

import { MASKED, NOT_CHOSEN, RANDOM, countToChoose, fatesFromDraws } from "../rules/masking.js";

const PAPER = { rate: 15, mask: 80, random: 10, whole_words: false };

/** The ids that are neither special nor [unusedN]: what a random token may be. */
export const ordinaryIds = ({ tokens, special_ids }) =>
  [...tokens.keys()].filter((id) => !special_ids.has(id) && !/^\[unused\d+\]$/.test(tokens[id]));

/**
 * The numbers that decide: `order`, for each copy the places by their keys, the smallest first, and
 * `draws`, the fate of what is chosen, elsewhere NaN; both one copy after the other.
 */
export function draw({ tokens, special }, copies, generator) {
  const S = tokens.length;
  const keys = generator.rand(copies * S);
  const order = new Uint8Array(copies * S);
  const draws = new Float64Array(copies * S).fill(NaN);
  for (let start = 0; start < order.length; start += S) {
    const places = [...tokens.keys()].sort((one, other) => keys[start + one] - keys[start + other]);
    order.set(places, start);
    const chosen = places.filter((place) => !special[place]).slice(0, countToChoose(S, PAPER.rate));
    for (const place of chosen) draws[start + place] = 0;
  }
  const fates = generator.rand(draws.reduce((count, drawn) => count + !Number.isNaN(drawn), 0));
  let next = 0;
  return { order: { values: order }, draws: { values: draws.map((drawn) => (Number.isNaN(drawn) ? NaN : fates[next++])) } };
}

/** Copies of a text as `mask_tokens` makes them: what the model sees, and the fate of every token. */
export function maskTokens(text, copies, tokenizer, generator) {
  const drawn = draw(text, copies, generator);
  const fates = fatesFromDraws({ ...text, ...drawn }, PAPER);
  const ordinary = ordinaryIds(tokenizer);
  const replaced = [...fates.keys()].filter((place) => fates[place] === RANDOM);
  const others = generator.randint(ordinary.length, replaced.length);
  const S = text.tokens.length;
  const seen = Array.from(fates, (fate, place) => (fate === MASKED ? tokenizer.mask_token_id : text.ids[place % S]));
  replaced.forEach((place, i) => { seen[place] = ordinary[others[i]]; });
  return { ...drawn, fates, seen, isChosen: (place) => fates[place] !== NOT_CHOSEN };
}
