// Words as Python finds them in a text, by code points: the JavaScript twin of utils/chinese.py, and
// of how finetuning/slots.py cuts natural text.

import { CHINESE } from "./unicode.js";

const SPACE = "\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"; // Python's \s
const hex = (code) => `\\u{${code.toString(16)}}`;
const HAN = Array.from({ length: CHINESE.length / 2 }, (_, i) => `${hex(CHINESE[2 * i])}-${hex(CHINESE[2 * i + 1])}`).join("");
const MARK = "[\\p{M}\\0]"; // belongs to the letter before it
const LETTER = `(?![${HAN}])[\\p{L}\\p{N}_]`;
const LETTERS = `${LETTER}(?:${LETTER}|${MARK})*`;
const WORD = new RegExp(`${LETTERS}(?:[.,:'\\u2019&/-]${LETTERS})*|[${HAN}]${MARK}*|[^\\p{L}\\p{N}_${SPACE}]${MARK}*`, "gu");

export const BLANK = new RegExp(`[${SPACE}]`, "u");
export const NO_BLANKS = new RegExp(`[^${SPACE}]+`, "gu");
export const LONE_PIECE = new RegExp(`(?<![^${SPACE}])##[^${SPACE}]+`, "gu"); // "##ing", typed as such
export const PIECE_BEHIND = new RegExp(`[${SPACE}]+(##[^${SPACE}]+)`, "gu");
const BLANK_OR_HAN = new RegExp(`[${HAN}]|[^${SPACE}${HAN}]+`, "gu");

/** Where each match stands, [start, end] in characters. */
export function spansOf(text, expression) {
  const place = []; // of a code unit among the characters
  let count = 0;
  for (const character of text) {
    for (let unit = 0; unit < character.length; unit++) place.push(count);
    count += 1;
  }
  place.push(count);
  return [...text.matchAll(expression)].map(({ 0: match, index }) => [place[index], place[index + match.length]]);
}

/** The words of natural text, where each punctuation mark is a word: `Example.from_text`. */
export const fromText = (text) => spansOf(text, WORD);

/** Where each word begins, words being what blanks part, and each Chinese character. */
export const wordStarts = (text) => spansOf(text, BLANK_OR_HAN).map(([start]) => start);

/** The characters of a text from one place to another. */
export const slice = (text, start, end) => Array.from(text).slice(start, end).join("");

/** How many of sorted numbers are at most this one. */
export function bisectRight(sorted, number) {
  const place = sorted.findIndex((each) => each > number);
  return place < 0 ? sorted.length : place;
}
