// What fine-tuned models find: the JavaScript twin of what the four cases of bertedu/finetuning decode.

import { InputError } from "./errors.js";
import { softmax, topK } from "./model.js";
import { OUTSIDE } from "../rules/bio.js";
import { BLANK, bisectRight, fromText, slice, wordStarts } from "./words.js";

// ---- classification.py, inference.py ------------------------------------------------------------

/** The probability of each of the task's labels. */
export const classShares = (tuned, text, pair = null, changes = {}) =>
  softmax(tuned.logits(tuned.read(tuned.encode(text, pair), changes)));

// ---- slot_filling.py ----------------------------------------------------------------------------

/** Each word with its pieces and its distribution over the tags, the likeliest, and the intent. */
export function tagPrediction(tuned, text) {
  const { labels, intents } = tuned.header.task.settings;
  const [offsets, trace] = [fromText(text), tuned.trace(text)];
  const positions = piecesOf(offsets, trace.encoding);
  const logits = tuned.logits(trace);
  const probabilities = positions.map(([first]) => (first === undefined ? new Float32Array(labels.length)
    : softmax(logits.subarray(first * labels.length, (first + 1) * labels.length))));
  const said = tuned.intent_classifier && softmax(tuned.intent_classifier.forward(trace.pooler_output));
  return {
    words: offsets.map(([start, end]) => slice(text, start, end)),
    offsets,
    pieces: positions.map((of) => of.map((position) => trace.encoding.tokens[position])),
    labels,
    likeliest: positions.map((of, word) => (of.length ? labels[topK(probabilities[word], 1)[0]] : OUTSIDE)),
    intent: said && intents.map((intent, i) => [intent, said[i]]),
    probabilities,
  };
}

/** For each word the positions of its tokens in the input. */
function piecesOf(offsets, encoding) {
  const positions = offsets.map(() => []);
  const starts = offsets.map(([start]) => start);
  encoding.offsets.forEach(([start, end], position) => {
    if (end > start && !encoding.special_tokens_mask[position]) positions[bisectRight(starts, start) - 1]?.push(position);
  });
  return positions;
}

// ---- question_answering.py, spans.py ------------------------------------------------------------

/** A text in quotes, as Python shows it. */
const quotedText = (text) => (text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replaceAll("'", "\\'")}'`);

/** The document put together again, with what the model gives of each position: logits and states. */
export function answerPrediction(tuned, question, document, changes = {}) {
  const { overlap, max_answer_tokens: most, n_best, no_answer, null_threshold } = tuned.header.task.settings;
  const whose = () => quotedText(Array.from(question).slice(0, 60).join(""));
  if (!Array.from(document).some((c) => !BLANK.test(c))) throw new InputError(`the document of ${whose()} is empty: give its text`);
  const encodings = tuned.tokenizer.encodeWindows(question, document, tuned.header.max_length, overlap);
  const windows = windowsOf(encodings, overlap);
  if (!windows.stops.at(-1)) throw new InputError(`the document of ${whose()} has no token to answer`);
  const states = encodings.map((encoding) => rowsOfStates(tuned.read(encoding, changes).last_hidden_state, tuned.config.hidden_size));
  const outputs = merged(windows, states, tuned);
  const logits = outputs.map((row) => tuned.qa_outputs.forward(row));
  const null_score = logits[0][0] + logits[0][1];
  const { first, tokens, offsets } = windows;
  const scores = legalScores(logits.slice(first, -1), most);
  const best = bestSpans(scores, n_best, no_answer ? null_score : -Infinity);
  const words = wordStarts(document);
  const spans = best.spans.map(({ start, end, score, probability }) => {
    const [from, to] = [offsets[first + start][0], offsets[first + end][1]];
    return { text: slice(document, from, to), first_token: first + start, last_token: first + end,
      first_word: bisectRight(words, from), last_word: bisectRight(words, to - 1), probability, score };
  });
  const silent = no_answer && null_score - spans[0].score > null_threshold;
  return {
    text: silent ? "" : spans[0].text, tokens, offsets, first, spans, null_score, logits, outputs,
    no_answer_probability: best.no_answer_probability,
    illegal: illegalSpans(tokens.length, logits.length - first - 1, most),
    windows: encodings.length,
  };
}

const rowsOfStates = (states, H) =>
  Array.from({ length: states.length / H }, (_, i) => states.subarray(i * H, (i + 1) * H));

/** How windows lie, and the document put together again. */
function windowsOf(encodings, overlap) {
  const first = encodings[0].token_type_ids.indexOf(1);
  const lengths = encodings.map(({ tokens }) => tokens.length - first - 1); // without the last [SEP]
  const starts = lengths.map((_, i) => i * (lengths[0] - overlap));
  const [tokens, offsets] = ["tokens", "offsets"].map((name) => {
    const all = encodings[0][name].slice(0, first);
    encodings.forEach((encoding, i) => all.push(...encoding[name].slice(first + all.length - first - starts[i], -1)));
    return [...all, encodings[0][name].at(-1)];
  });
  return { first, starts, stops: starts.map((start, i) => start + lengths[i]), tokens, offsets };
}

/** For each token of the document the window that shows it with the most context. */
export function bestWindow({ starts, stops }) {
  const chosen = new Array(stops.at(-1)).fill(0);
  const best = new Array(stops.at(-1)).fill(-1);
  starts.forEach((start, index) => {
    for (let token = start; token < stops[index]; token++) {
      const context = Math.min(token - start, stops[index] - 1 - token);
      if (context > best[token]) [best[token], chosen[token]] = [context, index];
    }
  });
  return chosen;
}

/** One row for each token of the document, from its best window; before it, the surest window's. */
function merged(windows, states, tuned) {
  if (states.length === 1) return states[0];
  const none = states.map(([cls]) => tuned.qa_outputs.forward(cls)).map(([start, end]) => start + end);
  const surest = states[none.indexOf(Math.min(...none))];
  const document = bestWindow(windows).map((index, token) => states[index][windows.first + token - windows.starts[index]]);
  return [...surest.slice(0, windows.first), ...document, surest.at(-1)];
}

/** Every legal span of a document's logits. */
function legalScores(logits, most) {
  return logits.flatMap(([start], i) => logits.slice(i, i + Math.max(1, most)).map(([, end], length) =>
    ({ start: i, end: i + length, score: start + end })));
}

/** The n best spans, with their probabilities among all legal ones and no answer, where that is one. */
function bestSpans(scores, n_best, null_score) {
  const highest = scores.reduce((most, { score }) => Math.max(most, score), null_score);
  const total = Math.exp(null_score - highest) + scores.reduce((sum, { score }) => sum + Math.exp(score - highest), 0);
  const share = (score) => Math.exp(score - highest) / total;
  return {
    spans: topK(scores.map(({ score }) => score), n_best).map((i) => ({ ...scores[i], probability: share(scores[i].score) })),
    no_answer_probability: share(null_score),
  };
}

/** How many pairs of positions are no answer, by the first reason that applies. */
function illegalSpans(size, document, most) {
  const beyond = Math.max(0, document - most);
  return {
    "outside the document": size * size - document * document,
    "end before start": (document * (document - 1)) / 2,
    "too long": (beyond * (beyond + 1)) / 2,
  };
}
