// As time_machine.py: the models that it needs are the film's checkpoints, in their order.

import { softmax, topK } from "../model.js";
import { array, described, encodeShort, float32 } from "./base.js";

const LONGEST_FILM = 32; // tokens
const FIRST_GUESSES = 5;

export function TimeMachine(_, { text, pair }, film) {
  const { config, tokenizer } = film[0];
  const encoding = encodeShort(film[0], LONGEST_FILM, text, pair);
  const { num_hidden_layers: L, num_attention_heads: A } = config;
  const S = encoding.tokens.length;
  const traces = film.map((bert) => bert.read(encoding));
  const positions = encoding.input_ids.flatMap((id, position) => (id === tokenizer.mask_token_id ? [position] : []));
  const logits = film.map((bert, frame) => bert.masked_logits(traces[frame])); // [frames, M, V]
  const probs = positions.map((__, n) => logits.map((of) => softmax(of[n])));
  const words = probs.map((frames) => [...new Set(frames.flatMap((each) => topK(each, FIRST_GUESSES)))]);
  return { data: {
    ...described(tokenizer, encoding),
    heads: [L, A],
    vocabulary: tokenizer.tokens.length,
    positions,
    words: words.map((ids) => ids.map((id) => tokenizer.tokens[id])),
    follows: pair === null ? null : film.map((bert, frame) => bert.follows(traces[frame])),
    attention: array("uint8", [film.length, L, A, S, S], traces.flatMap(({ attention_probs: layers }) =>
      layers.flatMap((layer) => Array.from(layer, (share) => Math.round(255 * share))))),
    ...Object.fromEntries(words.map((ids, n) => [`probs${n}`,
      float32([film.length, ids.length], probs[n].flatMap((each) => ids.map((id) => each[id])))])),
  } };
}
