// As try_it.py.

import { softmax, topK } from "../model.js";
import { described, encodeShort } from "./base.js";

const LONGEST_TRY = 48; // tokens
const GUESSES = 5;

export function TryIt(bert, { text, pair, masks, guesses, off }) {
  const { config, tokenizer } = bert;
  const encoding = encodeShort(bert, LONGEST_TRY, text, pair);
  const { special, ids, ...shown } = described(tokenizer, encoding);
  const hidden = ids.map((_, position) => position).filter((position) => masks.includes(position) && !special[position]);
  const input_ids = ids.map((id, position) => (hidden.includes(position) ? tokenizer.mask_token_id : id));
  const trace = bert.read({ ...encoding, input_ids }, { off });
  const logits = bert.predictions ? bert.masked_logits(trace) : [];
  const places = input_ids.flatMap((id, position) => (id === tokenizer.mask_token_id ? [position] : []));
  return { data: {
    ...shown, ids, special, hidden,
    vocabulary: tokenizer.tokens.length,
    heads: [config.num_hidden_layers, config.num_attention_heads],
    places: places.map((position, n) => {
      const place = { position, first: [], hidden: null, guess: null, refused: "" };
      if (!logits.length) return place;
      const probs = softmax(logits[n]).subarray(0, tokenizer.tokens.length);
      const ranked = (id) => [tokenizer.tokens[id], 1 + probs.reduce((more, p) => more + (p > probs[id]), 0), probs[id]];
      place.first = topK(probs, GUESSES).map((id) => [tokenizer.tokens[id], probs[id]]);
      if (hidden.includes(position)) place.hidden = ranked(ids[position]);
      if (guesses[position] === undefined) return place;
      const { id, refused } = tokenOf(tokenizer, guesses[position]);
      return { ...place, refused, guess: refused ? null : ranked(id) };
    }),
    follows: pair === null || !trace.seq_relationship_logits ? null : bert.follows(trace),
  } };
}

/** The id of the one token that a word is, or why it is not one. */
function tokenOf(tokenizer, word) {
  const known = tokenizer.vocab.get(word.trim());
  const ids = known === undefined ? tokenizer.encode(word).input_ids.slice(1, -1) : [known];
  const pieces = ids.map((id) => tokenizer.tokens[id]).join(" ");
  if (!ids.length) return { refused: "Type a word." };
  if (ids.length > 1) return { refused: `That is ${ids.length} tokens (${pieces}), and BERT guesses one.` };
  if (tokenizer.special_ids.has(ids[0])) return { refused: "BERT's vocabulary does not have that word." };
  return { id: ids[0], refused: "" };
}
