// Text to BERT's input: the JavaScript twin of bertedu/wordpiece.py and tokenizer.py.
//
//     text -> characters -> normalised -> words -> pieces

import { InputError } from "./errors.js";
import { CHINESE, MARKS, PUNCTUATION, REMOVED, SPACES } from "./unicode.js";

export const SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
export const LONGEST_WORD = 100; // characters; a longer word is [UNK]
const SPECIAL = /(\[PAD\]|\[UNK\]|\[CLS\]|\[SEP\]|\[MASK\])/u;

/** Whether a character lies in one of a table's ranges. */
function isIn(table, character) {
  const code = character.codePointAt(0);
  let [low, high] = [0, table.length / 2];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > table[2 * middle + 1]) low = middle + 1;
    else high = middle;
  }
  return code >= table[2 * low]; // past the last range this is false
}

export const isPunctuation = (character) => isIn(PUNCTUATION, character);

/** What happens to a character, one step after the other; no step looks at a neighbour. */
const STEPS = {
  clean_text: (c) => (isIn(REMOVED, c) ? "" : isIn(SPACES, c) ? " " : c),
  handle_chinese_chars: (c) => (c && isIn(CHINESE, c) ? ` ${c} ` : c),
  strip_accents: (text) => Array.from(text.normalize("NFD")).filter((c) => !isIn(MARKS, c)).join(""),
  lowercase: (text) => Array.from(text, (c) => c.toLowerCase()).join(""),
};
export const STEP_NAMES = Object.keys(STEPS);

/** What one character is normalised to, and the places in STEP_NAMES of the steps that changed it. */
export function normalizeCharacter(character, switches) {
  let normalized = character;
  const changed = [];
  STEP_NAMES.forEach((step, place) => {
    if (!switches[step]) return;
    const after = STEPS[step](normalized);
    if (after !== normalized) changed.push(place);
    normalized = after;
  });
  return { normalized, changed };
}

/** Words of [character, its place] pairs: split at spaces, each punctuation mark by itself. */
export function splitWords(letters) {
  const words = [[]];
  for (const letter of letters) {
    if (letter[0] === " ") words.push([]);
    else if (isPunctuation(letter[0])) words.push([letter], []);
    else words.at(-1).push(letter);
  }
  return words.filter((word) => word.length);
}

/** For each piece of a word the last candidate tried, longest first: only the very last can be none. */
export function longestMatches(letters, vocab) {
  const matches = [];
  let start = 0;
  while (start < letters.length && letters.length <= LONGEST_WORD) {
    let end = letters.length;
    const candidate = () => (start ? "##" : "") + letters.slice(start, end).join("");
    while (end > start + 1 && !vocab.has(candidate())) end--;
    matches.push(candidate());
    if (!vocab.has(matches.at(-1))) break;
    start = end;
  }
  return matches;
}

/** BERT's WordPiece tokenizer. */
export class BertTokenizer {
  /** `tokens` in the order of their ids; `switches`, whether each of the steps is taken. */
  constructor(tokens, switches) {
    this.tokens = tokens;
    this.vocab = new Map(tokens.map((token, id) => [token, id]));
    this.switches = switches;
    this.special_ids = new Set(SPECIAL_TOKENS.map((token) => this.vocab.get(token)));
    this.mask_token_id = this.vocab.get("[MASK]");
  }

  /** `[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`, with the fields of Python's Encoding. */
  encode(text, pair = null) {
    return this.assemble(text, this.pieces(text), pair, pair === null ? null : this.pieces(pair));
  }

  /** `[CLS] question [SEP] window [SEP]` for windows that cover the document. */
  encodeWindows(question, document, max_length, overlap) {
    const [first, second] = [this.pieces(question), this.pieces(document)];
    const room = max_length - first.length - 3;
    if (room <= overlap && second.length > room) {
      throw new InputError(`the question's ${first.length} tokens leave ${room} of ${max_length} for the document, and ` +
        `windows overlap by ${overlap}: shorten the question, raise max_length or lower overlap`);
    }
    const windows = [];
    for (let start = 0; start === 0 || start + overlap < second.length; start += Math.max(1, room - overlap)) {
      windows.push(this.assemble(question, first, document, second.slice(start, start + room)));
    }
    return windows;
  }

  assemble(text, pieces, pair, others) {
    const added = (token) => [{ token, start: 0, end: 0, added: 1 }];
    const [cls, sep] = [added("[CLS]"), added("[SEP]")];
    const first = [cls, pieces, sep].flat();
    const second = others === null ? [] : [others, sep].flat();
    const all = [...first, ...second];
    return {
      text,
      pair,
      tokens: all.map(({ token }) => token),
      input_ids: all.map(({ token }) => this.vocab.get(token)),
      token_type_ids: all.map((_, position) => Number(position >= first.length)),
      offsets: all.map(({ start, end }) => [start, end]),
      special_tokens_mask: all.map((piece) => piece.added ?? 0),
    };
  }

  /** The pieces of one text, each with the characters (code points) that it stands for. */
  pieces(text) {
    return this.trace(text).words.flatMap(({ pieces }) => pieces);
  }

  /** Every step from a text to its pieces, as `wordpiece_trace` gives them. */
  trace(text) {
    if (typeof text !== "string") throw new InputError("A text is needed.");
    if (/\p{Surrogate}/u.test(text)) {
      throw new InputError("The text holds half of a surrogate pair, which is no character: type it anew.");
    }
    const [characters, words] = [[], []];
    for (const part of text.split(SPECIAL)) {
      const start = characters.length;
      if (SPECIAL_TOKENS.includes(part)) {
        const place = { start, end: start + part.length };
        words.push({ text: part, ...place, special: true, matches: [], pieces: [{ token: part, ...place }] });
        characters.push(...Array.from(part, (c) => ({ normalized: c, changed: [] })));
      } else {
        characters.push(...Array.from(part, (c) => normalizeCharacter(c, this.switches)));
        const letters = characters.slice(start).flatMap(({ normalized }, i) =>
          Array.from(normalized, (c) => [c, start + i]));
        words.push(...splitWords(letters).map((word) => this.word(word)));
      }
    }
    return { text, characters, words };
  }

  word(word) {
    const letters = word.map(([character]) => character);
    const matches = longestMatches(letters, this.vocab);
    const isSpelled = this.vocab.has(matches.at(-1));
    let first = 0;
    const pieces = (isSpelled ? matches : ["[UNK]"]).map((token, i) => {
      const length = isSpelled ? Array.from(token).length - (i ? 2 : 0) : letters.length;
      const [start, end] = [word[first][1], word[first + length - 1][1] + 1];
      first += length;
      return { token, start, end };
    });
    const [start, end] = [word[0][1], word.at(-1)[1] + 1];
    return { text: letters.join(""), start, end, special: false, matches, pieces };
  }
}
