// As embedding_sum.py.

import { checkLength, described, float32, quantileOfSizes } from "./base.js";
import { LONE_PIECE, PIECE_BEHIND } from "../words.js";

const LONGEST_SUM = 48; // tokens
const POSITIONS = 64; // rows of the position tables that are compared
const TERMS = 3; // token, segment, position
const EVERYTHING = 2 ** (TERMS + 1) - 1; // of the switches: the terms', and LayerNorm's

export function EmbeddingSum(bert, { text, pair }) {
  const { embeddings, layer: [{ self }] } = bert.model;
  const { hidden_size: H, num_attention_heads: A, max_position_embeddings: longest } = bert.config;
  const encoding = encodePieces(bert.tokenizer, text, pair);
  const S = encoding.tokens.length;
  checkLength(S, "tokens", Math.min(LONGEST_SUM, longest));
  const terms = embeddingTerms(embeddings, encoding);
  const sums = Array.from({ length: EVERYTHING + 1 }, (_, combination) => summed(terms, combination));
  const states = sums.map((sum, combination) => (combination >> TERMS ? embeddings.LayerNorm.forward(sum) : sum));
  const attention = states.map((each) => self.forward(each).probs); // [A, S, S] each
  const { weight, bias, eps } = embeddings.LayerNorm;
  return { data: {
    ...described(bert.tokenizer, encoding),
    own: ownToken(bert.tokenizer, encoding, text, pair),
    eps,
    scales: [sums, states].map((each) => Math.max(quantileOfSizes(each[EVERYTHING], 0.99), 1e-6)),
    terms: float32([TERMS, S, H], terms.flatMap((term) => [...term])),
    gain: float32([H], weight),
    shift: float32([H], bias),
    attention: float32([EVERYTHING + 1, A, S, S], attention.flatMap((each) => [...each])),
    positions: compared(embeddings.position_embeddings, longest, H),
  } };
}

/** As `encode`, but a piece that is written with its marks, and that the vocabulary has, stays. */
function encodePieces(tokenizer, text, pair) {
  const pieces = (each) => {
    const found = [];
    let start = 0;
    for (const { 0: piece, index } of each.matchAll(LONE_PIECE)) {
      if (!tokenizer.vocab.has(piece)) continue;
      found.push(...tokenizer.pieces(each.slice(start, index)), { token: piece, start: 0, end: 0 });
      start = index + piece.length;
    }
    return [...found, ...tokenizer.pieces(each.slice(start))];
  };
  return tokenizer.assemble(text, pieces(text), pair, pair === null ? null : pieces(pair));
}

/** What a model adds up for S tokens: token, segment and position, [S, H] each. */
export function embeddingTerms(embeddings, { input_ids, token_type_ids }) {
  const rows = (table, places) => Float32Array.from(places.flatMap((place) => [...table.row(place)]));
  return [
    rows(embeddings.word_embeddings, input_ids),
    rows(embeddings.token_type_embeddings, token_type_ids),
    rows(embeddings.position_embeddings, [...input_ids.keys()]),
  ];
}

/** The sum of the terms that are on. */
export const summed = (terms, combination = EVERYTHING) => terms[0].map((_, i) =>
  terms.reduce((sum, term, bit) => sum + ((combination >> bit) & 1 ? term[i] : 0), 0));

/** The first token that the tokenizer itself would put for pieces, were they typed as words. */
function ownToken(tokenizer, { input_ids }, text, pair) {
  const joined = (each) => each.replace(PIECE_BEHIND, (all, piece) => (tokenizer.vocab.has(piece) ? piece.slice(2) : all));
  const own = tokenizer.encode(joined(text), pair === null ? null : joined(pair));
  const place = own.input_ids.findIndex((id, i) => i < input_ids.length && id !== input_ids[i]);
  return place < 0 ? null : own.tokens[place];
}

/** The first Transformer's table of positions, which nobody learns: a row. */
const sinusoid = (position, H) => Float32Array.from({ length: H }, (_, i) => {
  const angle = position / 10000 ** ((i - (i % 2)) / H);
  return i % 2 ? Math.cos(angle) : Math.sin(angle);
});

/** Cosines: [as they are, without the mean row] x [learned, sinusoidal] x P x P. */
function compared(learned, longest, H) {
  const P = Math.min(POSITIONS, longest);
  const tables = [(position) => learned.row(position), (position) => sinusoid(position, H)]
    .map((row) => Array.from({ length: longest }, (_, position) => row(position)));
  const centred = tables.map((table) => {
    const mean = table.reduce((sums, row) => sums.map((sum, i) => sum + row[i] / longest), new Float64Array(H));
    return table.slice(0, P).map((row) => row.map((x, i) => x - mean[i]));
  });
  return float32([2, 2, P, P], [...tables, ...centred].flatMap((table) => cosines(table.slice(0, P)).flat()));
}

/** How alike each two of some rows are: [P, P]. */
export function cosines(rows, others = rows) {
  const unit = (list) => list.map((row) => {
    const length = Math.hypot(...row) || 1;
    return row.map((x) => x / length);
  });
  const [mine, theirs] = [unit(rows), unit(others)];
  return mine.map((a) => theirs.map((b) => a.reduce((sum, x, i) => sum + x * b[i], 0)));
}
