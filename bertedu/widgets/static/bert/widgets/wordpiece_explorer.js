// As wordpiece_explorer.py.

import { LONGEST_WORD, STEP_NAMES } from "../tokenizer.js";
import { checkLength } from "./base.js";

const LONGEST_TEXT = 2000; // characters

export function WordPieceExplorer({ tokenizer }, { text, pair }) {
  checkLength(Array.from(text + (pair ?? "")).length, "characters", LONGEST_TEXT);
  const encoding = tokenizer.encode(text, pair);
  const id = (token) => tokenizer.vocab.get(token) ?? null;
  return { data: {
    longest_word: LONGEST_WORD,
    steps: STEP_NAMES,
    segments: (pair === null ? [text] : [text, pair]).map((each) => {
      const { characters, words } = tokenizer.trace(each);
      return {
        text: each,
        normalized: characters.map(({ normalized }) => normalized),
        changed: Object.fromEntries(characters.map(({ changed }, i) => [i, changed]).filter(([, steps]) => steps.length)),
        words: words.map(({ pieces, matches, ...word }) => ({
          ...word,
          pieces: pieces.map(({ token }) => token),
          matches: matches.map((token) => [token, id(token)]),
        })),
      };
    }),
    tokens: encoding.tokens,
    ids: encoding.input_ids,
    types: encoding.token_type_ids,
    added: encoding.special_tokens_mask,
    offsets: encoding.offsets,
    special_ids: [...tokenizer.special_ids].sort((a, b) => a - b),
  } };
}
