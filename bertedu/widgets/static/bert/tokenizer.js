// Text to BERT's input: the JavaScript twin of bertedu/wordpiece.py and tokenizer.py.
//
//     text -> characters -> normalised -> words -> pieces

import { InputError } from "./errors.js";
import { CHINESE, MARKS, PUNCTUATION, REMOVED, SPACES } from "./unicode.js";

export const SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const LONGEST_WORD = 100; // characters; a longer word is [UNK]
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

/** What one character becomes: no step looks at a neighbour. */
export function normalizeCharacter(character, { lowercase, strip_accents, tokenize_chinese_chars }) {
  if (isIn(REMOVED, character)) return "";
  if (isIn(SPACES, character)) return " ";
  let result = [character];
  if (strip_accents) result = Array.from(character.normalize("NFD")).filter((c) => !isIn(MARKS, c));
  if (lowercase) result = result.map((c) => c.toLowerCase());
  const alone = tokenize_chinese_chars && isIn(CHINESE, character);
  return alone ? ` ${result.join("")} ` : result.join("");
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

/** The pieces of a word, longest match first, as numbers of letters; null where one is missing. */
export function longestMatches(letters, vocab) {
  if (letters.length > LONGEST_WORD) return null;
  const lengths = [];
  for (let start = 0; start < letters.length; start += lengths.at(-1)) {
    let end = letters.length;
    const marks = start ? "##" : "";
    while (end > start && !vocab.has(marks + letters.slice(start, end).join(""))) end--;
    if (end === start) return null;
    lengths.push(end - start);
  }
  return lengths;
}

/** BERT's WordPiece tokenizer. */
export class BertTokenizer {
  /** `tokens` in the order of their ids; `switches` as in Python, strip_accents true or false. */
  constructor(tokens, switches) {
    this.tokens = tokens;
    this.vocab = new Map(tokens.map((token, id) => [token, id]));
    this.switches = switches;
    this.special_ids = new Set(SPECIAL_TOKENS.map((token) => this.vocab.get(token)));
    this.mask_token_id = this.vocab.get("[MASK]");
  }

  /** `[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`, with the fields of Python's Encoding. */
  encode(text, pair = null) {
    const added = (token) => [{ token, start: 0, end: 0, added: 1 }];
    const [cls, sep] = [added("[CLS]"), added("[SEP]")];
    const first = [cls, this.pieces(text), sep].flat();
    const second = pair === null ? [] : [this.pieces(pair), sep].flat();
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
    if (typeof text !== "string") throw new InputError("A text is needed.");
    if (/\p{Surrogate}/u.test(text)) {
      throw new InputError("The text holds half of a surrogate pair, which is no character: type it anew.");
    }
    const pieces = [];
    let place = 0; // in the whole text, in characters
    for (const part of text.split(SPECIAL)) {
      const characters = Array.from(part);
      if (SPECIAL_TOKENS.includes(part)) {
        pieces.push({ token: part, start: place, end: place + characters.length });
      } else {
        const letters = characters.flatMap((character, i) =>
          Array.from(normalizeCharacter(character, this.switches), (c) => [c, place + i]));
        for (const word of splitWords(letters)) pieces.push(...this.wordPieces(word));
      }
      place += characters.length;
    }
    return pieces;
  }

  wordPieces(word) {
    const letters = word.map(([character]) => character);
    const lengths = longestMatches(letters, this.vocab);
    let first = 0;
    return (lengths ?? [letters.length]).map((length) => {
      const marks = first ? "##" : "";
      const token = lengths ? marks + letters.slice(first, first + length).join("") : "[UNK]";
      const [start, end] = [word[first][1], word[first + length - 1][1] + 1];
      first += length;
      return { token, start, end };
    });
  }
}
