// Sentence pairs, as in bertedu/pretraining/pairs.py; tests/test_rules.py holds their truncation
// equal. `text` holds starts (of sentences among the tokens), documents (their starts among the
// sentences), ids and room (tokens for A and B together); a `pair` holds sentence numbers.

export const FOLLOWS = 0;
export const RANDOM = 1;

export function textOf({ ids, sentence_starts, document_starts, max_length }) {
  return {
    ids: ids.values, starts: sentence_starts.values, documents: document_starts.values,
    room: max_length - 3, // [CLS] and two [SEP]
  };
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const below = (rng, count) => Math.floor(rng() * count);

/** The place of the last entry of an ascending list that is not above a value. */
export function placeOf(starts, value) {
  let [low, high] = [0, starts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= value) low = middle;
    else high = middle;
  }
  return low;
}

export const documentOf = (text, sentence) => placeOf(text.documents, sentence);
export const endOf = (text, sentence) => text.documents[documentOf(text, sentence) + 1];
export const tokensIn = (text, first, end) => text.starts[end] - text.starts[first];

/** The end of the sentences that reach so many tokens, as few as possible, in one document. */
export function gather(text, first, tokens) {
  const stop = endOf(text, first);
  let end = first + 1;
  while (end < stop && tokensIn(text, first, end) < tokens) end += 1;
  return end;
}

export function sameSentence(text, one, other) {
  const length = tokensIn(text, one, one + 1);
  if (length !== tokensIn(text, other, other + 1)) return false;
  const [from, to] = [text.starts[one], text.starts[other]];
  for (let i = 0; i < length; i++) if (text.ids[from + i] !== text.ids[to + i]) return false;
  return true;
}

/** Whether B, whatever its label, opens with the sentence that truly follows A. */
export const continues = (text, { first, split, b }) =>
  split < endOf(text, first) && sameSentence(text, b, split);

/** With which sentences a random B may begin, by the rule that is chosen. */
export function candidates(text, { first, split }, { pool, everywhere }) {
  const own = documentOf(text, first);
  const all = Array.from({ length: text.documents[pool] }, (_, sentence) => sentence);
  if (everywhere) return all;
  const elsewhere = all.filter((s) => s < text.documents[own] || s >= text.documents[own + 1]);
  return elsewhere.filter((b) => !continues(text, { first, split, b }));
}

/** The pair with B's beginning, as its label asks; null when no sentence will do. */
export function withB(text, { first, split, label }, rules, rng) {
  if (label === FOLLOWS) return split < endOf(text, first) ? { first, split, label, b: split } : null;
  const possible = candidates(text, { first, split }, rules);
  return possible.length ? { first, split, label, b: possible[below(rng, possible.length)] } : null;
}

/** The label of the next pair: the one that is behind, or a coin's. */
export function nextLabel({ made }, { coin }, rng) {
  const ahead = made[RANDOM] - made[FOLLOWS];
  if (coin || !ahead) return below(rng, 2);
  return ahead > 0 ? FOLLOWS : RANDOM;
}

/** A pair from a random place of a random document. */
export function randomPair(text, label, rules, rng) {
  const document = below(rng, rules.pool);
  const [start, stop] = [text.documents[document], text.documents[document + 1]];
  const first = start + below(rng, stop - start - 1);
  const end = Math.max(gather(text, first, text.room), first + 2);
  const split = first + 1 + below(rng, end - first - 1);
  return withB(text, { first, split, label }, rules, rng);
}

export const nothingMade = () => ({ made: [0, 0], sameDocument: 0, wrong: 0, caught: null });

/** Counts a pair, and keeps it when its label is wrong. */
export function count(counts, text, pair) {
  counts.made[pair.label] += 1;
  if (pair.label === FOLLOWS) return;
  if (documentOf(text, pair.b) === documentOf(text, pair.first)) counts.sameDocument += 1;
  if (continues(text, pair)) {
    counts.wrong += 1;
    counts.caught = pair;
  }
}

/** How many tokens of A and of B stay: the longer one loses, on a tie B. */
export function keptLengths(a, b, room) {
  const half = Math.floor(room / 2);
  const keepA = Math.min(a, b <= half ? room - b : Math.min(a, room - half));
  return [keepA, Math.min(b, room - keepA)];
}

/** [start, end] of A and of B among the tokens, cut to length at random ends, as the library cuts. */
export function spans(text, { first, split, b }, rng) {
  const ends = [split, gather(text, b, text.room - tokensIn(text, first, split))];
  const whole = [first, b].map((start, i) => [text.starts[start], text.starts[ends[i]]]);
  const lengths = keptLengths(...whole.map(([start, end]) => end - start), text.room);
  return whole.map(([start, end], i) => {
    const surplus = end - start - lengths[i];
    let front = 0;
    for (let token = 0; token < surplus; token++) front += below(rng, 2);
    return [start + front, end - (surplus - front)];
  });
}

/** The model's input, a token at a time, and which sentence each token is from. */
export function input(text, [a, b], special) {
  const body = ([start, end], segment) => Array.from({ length: end - start }, (_, i) => ({
    id: text.ids[start + i], segment, sentence: placeOf(text.starts, start + i),
  }));
  const mark = (id, segment) => ({ id, segment, special: true });
  return [
    mark(special.cls, 0), ...body(a, 0), mark(special.sep, 0), ...body(b, 1), mark(special.sep, 1),
  ].map((token, position) => ({ ...token, position }));
}
