// As mask_explorer.py: every roll of a seed is Python's.

import { InputError } from "../errors.js";
import { maskTokens, ordinaryIds } from "../masking.js";
import { Generator } from "../random.js";
import { array, checkLength, described, float64 } from "./base.js";

const LONGEST_MASKED = 256; // tokens
const ROLLS = 2000;
const MOST_DRAWS = 2 ** 18; // of all rolls together
const POOL = 256; // tokens that random replacements come from

export function MaskExplorer({ tokenizer }, { text, pair, seed }) {
  if (!(seed >= 0 && seed < 2 ** 31)) {
    throw new InputError(`The seed is ${seed}; choose a number from 0 to ${(2 ** 31 - 1).toLocaleString("en")}.`);
  }
  const shown = described(tokenizer, tokenizer.encode(text, pair));
  const S = shown.tokens.length;
  checkLength(S, "tokens", LONGEST_MASKED);
  const rolls = Math.min(ROLLS, Math.floor(MOST_DRAWS / S));
  const generator = new Generator(seed);
  const { order, draws } = maskTokens(shown, rolls, tokenizer, generator);
  const missing = draws.values.reduce((count, each) => count + Number.isNaN(each), 0);
  const others = generator.rand(missing); // for the tokens that were not chosen
  let next = 0;
  const ordinary = ordinaryIds(tokenizer);
  const pool = generator.randint(ordinary.length, POOL).map((place) => ordinary[place]);
  return { data: {
    ...shown,
    mask_id: tokenizer.mask_token_id,
    pool: pool.map((id) => [tokenizer.tokens[id], id]),
    paper: { rate: 15, mask: 80, random: 10, whole_words: false, roll: 0 },
    order: array("uint8", [rolls, S], order.values),
    draws: float64([rolls, S], draws.values.map((each) => (Number.isNaN(each) ? others[next++] : each))),
    random: array("uint8", [rolls, S], generator.randint(POOL, rolls * S)),
  } };
}
