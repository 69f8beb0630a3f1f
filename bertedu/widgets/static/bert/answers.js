// What a page shows of one text: the model's answer, as its case tells it.

import { softmax, topK } from "./model.js";

/** The likeliest labels, or guesses, each with its probability. */
export function shares(labels, logits, most = 5) {
  const probs = softmax(logits);
  return topK(probs, most).map((i) => ({ token: labels[i], probability: probs[i] }));
}

/** The best span of at most `most` tokens among those from `first` to the last but one. */
export function bestSpan(logits, first, most) {
  const last = logits.length / 2 - 1;
  let best = { score: -Infinity };
  for (let start = first; start < last; start++) {
    for (let end = start; end < Math.min(start + most, last); end++) {
      const score = logits[2 * start] + logits[2 * end + 1];
      if (score > best.score) best = { start, end, score };
    }
  }
  return best;
}

const CASES = {
  classification: (bert, trace) => ({ labels: labelled(bert, trace) }),
  inference: (bert, trace) => ({ labels: labelled(bert, trace) }),
  slot_filling: (bert, trace) => {
    const { labels } = bert.header.task.settings;
    const logits = bert.logits(trace);
    const best = trace.encoding.tokens.map((_, i) =>
      labels[topK(logits.subarray(i * labels.length, (i + 1) * labels.length), 1)[0]]);
    return { tags: best };
  },
  question_answering: (bert, trace) => {
    const { max_answer_tokens, no_answer, null_threshold } = bert.header.task.settings;
    const { encoding } = trace;
    const logits = bert.logits(trace);
    const first = encoding.token_type_ids.indexOf(1);
    const { start, end, score } = bestSpan(logits, first, max_answer_tokens);
    const silent = start === undefined || (no_answer && logits[0] + logits[1] - score > null_threshold);
    const [from, to] = silent ? [0, 0] : [encoding.offsets[start][0], encoding.offsets[end][1]];
    return { span: Array.from(encoding.pair).slice(from, to).join("") };
  },
};

const labelled = (bert, trace) => shares(bert.header.task.settings.labels, bert.logits(trace));

/** Tokens, and what the model says of them: guesses, a verdict on a pair, labels, tags or a span. */
export function answer(bert, text, pair) {
  const { task } = bert.header;
  const trace = bert.trace(text, pair);
  const { tokens, input_ids, special_tokens_mask } = trace.encoding;
  const told = { tokens, special: special_tokens_mask };
  if (task) return { ...told, ...CASES[task.name](bert, trace) };
  const hasMask = input_ids.includes(bert.tokenizer.mask_token_id);
  return {
    ...told,
    guesses: hasMask && bert.predictions ? bert.guesses(trace, 5) : null,
    follows: pair !== null && trace.seq_relationship_logits ? bert.follows(trace) : null,
  };
}
