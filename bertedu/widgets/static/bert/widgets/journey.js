// As journey.py, without cases of a reader's own.

import { softmax, topK } from "../model.js";
import { maskTokens } from "../masking.js";
import { Generator } from "../random.js";
import { described, encodeShort, float32, quantileOfSizes } from "./base.js";
import { cosines, embeddingTerms, summed } from "./embedding_sum.js";

const LONGEST_JOURNEY = 48; // tokens
const SHOWN_ROLLS = 8;
const DRAWN = 400; // rolls that those are chosen from
const DIMENSIONS = 16; // of each vector, shown as colours
const BEST = 5; // guesses

export function Journey(bert, { text, pair }) {
  const { hidden_size: H, num_hidden_layers: L, num_attention_heads: A } = bert.config;
  const { tokenizer } = bert;
  const trace = bert.read(encodeShort(bert, LONGEST_JOURNEY, text, pair));
  const { encoding, hidden_states, attention_probs, last_hidden_state } = trace;
  const shown = described(tokenizer, encoding);
  const S = shown.tokens.length;
  const rows = (states) => Array.from({ length: S }, (_, i) => states.subarray(i * H, (i + 1) * H));
  const terms = embeddingTerms(bert.model.embeddings, encoding);
  const sums = [...terms, summed(terms)];
  const first = (states) => rows(states).flatMap((row) => [...row.subarray(0, DIMENSIONS)]);
  const strips = [sums.flatMap(first), first(hidden_states[0])];
  const best = bert.predictions ? rows(last_hidden_state).map((row) => guessed(bert, row, BEST)) : shown.tokens.map(() => []);
  const vectors = hidden_states.map(rows);
  const drawn = rolls(bert, shown);
  const alike = (ones, others) => ones.map((one, i) => cosines([one], [others[i]])[0][0]);
  return { data: {
    size: H,
    ...shown,
    mask_id: tokenizer.mask_token_id,
    follows: pair === null || !trace.seq_relationship_logits ? null : bert.follows(trace),
    guesses: best.map((each) => each.map(({ token }) => token)),
    rolls: drawn.map((places) => places.map((place) => ({ ...place, guess: null, probability: null, truth: null }))),
    drawn: DRAWN,
    answers: {},
    scales: strips.map((strip) => Math.max(quantileOfSizes(strip, 0.98), 1e-6)),
    terms: float32([5, S, Math.min(DIMENSIONS, H)], strips.flat()),
    lengths: float32([4, S], sums.flatMap((sum) => rows(sum).map((row) => Math.hypot(...row)))),
    attention: float32([L, A, S, S], attention_probs.flatMap((layer) => [...layer])),
    cosines: float32([L + 1, S, S], vectors.flatMap((each) => cosines(each).flat())),
    to_input: float32([L + 1, S], vectors.flatMap((each) => alike(each, vectors[0]))),
    to_before: float32([L, S], vectors.slice(1).flatMap((each, i) => alike(each, vectors[i]))),
    probs: float32([S, best[0].length], best.flatMap((each) => each.map(({ probability }) => probability))),
  }, said: { ids: shown.ids, types: shown.types, rolls: drawn } };
}

/** What the masked-LM head says of one vector, over the whole vocabulary. */
const chances = (bert, row) => softmax(bert.predictions.forward(row)).subarray(0, bert.tokenizer.tokens.length);

/** The likeliest tokens for one vector. */
export function guessed(bert, row, most) {
  const probs = chances(bert, row);
  return topK(probs, most).map((id) => ({ token: bert.tokenizer.tokens[id], probability: probs[id] }));
}

/** For each roll what befell the chosen places, and what the model says there. */
function rolls(bert, shown) {
  const { tokenizer, config: { hidden_size: H } } = bert;
  const S = shown.tokens.length;
  const { fates, seen, isChosen } = maskTokens(shown, DRAWN, tokenizer, new Generator(0));
  const kinds = (roll) => new Set(fates.subarray(roll * S, (roll + 1) * S).filter((fate) => fate)).size;
  const kept = Array.from({ length: DRAWN }, (_, roll) => roll)
    .sort((one, other) => kinds(other) - kinds(one)) // of equals the first drawn
    .slice(0, SHOWN_ROLLS);
  return kept.map((roll) => {
    const input_ids = seen.slice(roll * S, (roll + 1) * S);
    const places = [...input_ids.keys()].filter((position) => isChosen(roll * S + position));
    const states = places.length && bert.predictions && bert.model.forward(input_ids, shown.types).last_hidden_state;
    return places.map((position) => {
      const id = input_ids[position];
      const place = { position, fate: fates[roll * S + position], token: tokenizer.tokens[id], id, guess: null, probability: null, truth: null };
      if (!states) return place;
      const probs = chances(bert, states.subarray(position * H, (position + 1) * H));
      const [top] = topK(probs, 1);
      return { ...place, guess: tokenizer.tokens[top], probability: probs[top], truth: probs[shown.ids[position]] };
    });
  });
}
