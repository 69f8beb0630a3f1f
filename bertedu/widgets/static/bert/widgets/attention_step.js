// As attention_step.py.

import { described, encodeShort, float32 } from "./base.js";

const LONGEST_STEP = 24; // tokens

export function AttentionStep(bert, { text }) {
  const { num_hidden_layers: L, num_attention_heads: A, hidden_size: H } = bert.config;
  const { encoding, attention_probs, ...trace } = bert.read(encodeShort(bert, LONGEST_STEP, text));
  const S = encoding.tokens.length;
  const layers = (size, list) => float32([L, A, S, size], list.flatMap((layer) => [...layer]));
  return { data: {
    ...described(bert.tokenizer, encoding),
    ...Object.fromEntries(["query", "key", "value"].map((name) => [name, layers(H / A, trace[name])])),
    probs: layers(S, attention_probs),
  } };
}
