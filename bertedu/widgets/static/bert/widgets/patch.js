// As patch.py; `others` are the two graduates, a classifier and a reader.

import { answerPrediction, classShares } from "../cases.js";
import { InputError } from "../errors.js";
import { topK } from "../model.js";
import { described, encodeShort } from "./base.js";
import { guessed } from "./journey.js";

const LONGEST_PATCH = 48; // tokens
const GUESSES_OF_GAP = 3;

export function Patch(bert, { text, pair, other, off, layers, segment, copy }, [classifier, reader]) {
  const { tokenizer, config: { hidden_size: H, num_hidden_layers: L, num_attention_heads: A } } = bert;
  const encoding = encodeShort(bert, LONGEST_PATCH, text, pair);
  const from = encodeShort(bert, LONGEST_PATCH, other);
  const [layer, source, position] = copy ?? [-1, -1, -1];
  const isThere = (place, count) => 0 <= place && place < count;
  const fits = isThere(layer, L + 1) && isThere(source, from.tokens.length) && isThere(position, encoding.tokens.length);

  /** The changes of one model: the vector is what it makes of the other text by itself. */
  const changes = (model) => {
    if (!fits) return { off, layers, segment };
    const vector = model.read(from).hidden_states[layer].subarray(source * H, (source + 1) * H);
    return { off, layers, segment, copy: { layer, position, vector } };
  };

  const answers = (changed) => {
    const trace = bert.read(encoding, changed(bert));
    const gap = encoding.input_ids.indexOf(tokenizer.mask_token_id);
    const row = trace.last_hidden_state.subarray(gap * H, (gap + 1) * H);
    const { labels } = classifier.header.task.settings;
    const shares = classShares(classifier, text, null, changed(classifier));
    return {
      gap: gap < 0 ? [] : guessed(bert, row, GUESSES_OF_GAP).map(({ token, probability }) => [token, probability]),
      follows: pair === null ? null : bert.follows(trace),
      label: labels.map((label, i) => [label, shares[i]]),
      span: pair === null ? null : span(reader, text, pair, changed(reader)),
    };
  };
  return { data: {
    ...described(tokenizer, encoding),
    others: described(tokenizer, from),
    heads: [L, A],
    before: answers(() => ({})),
    after: answers(changes),
  } };
}

function span(reader, text, pair, changes) {
  try {
    const found = answerPrediction(reader, text, pair, changes);
    return [found.text, found.text ? found.spans[0].probability : found.no_answer_probability];
  } catch (error) {
    if (error instanceof InputError) return null; // nothing in which an answer could be
    throw error;
  }
}
