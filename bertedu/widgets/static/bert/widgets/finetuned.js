// As text_classifier.py, token_tagger.py, pair_explorer.py and span_explorer.py: what a fine-tuned
// model answers. It is the last argument; in a page of its own it is the only model.

import { answerPrediction, classShares, tagPrediction } from "../cases.js";
import { InputError } from "../errors.js";
import { NO_BLANKS, bisectRight, fromText, slice, spansOf } from "../words.js";
import { float32, float64 } from "./base.js";

const LONGEST_TUNED = 256; // tokens
const LONGEST_SPAN = 512;
const MOST_TRIES = 12;
const CORNERS = ["entailment", "contradiction", "neutral"]; // top, left, right
const NOTES = { entailment: "true", contradiction: "false", neutral: "unknown" };

/** As `_check_length` in finetuned.py: the tokens, their number, and how many there may be. */
function checkShort(tuned, ...texts) {
  const encoding = tuned.tokenizer.encode(...texts);
  const most = Math.min(LONGEST_TUNED, tuned.header.max_length);
  const characters = texts.reduce((sum, text) => sum + Array.from(text).length, 0);
  for (const [count, limit, what] of [[encoding.tokens.length, most, "tokens"], [characters, 20 * most, "characters"]]) {
    if (count <= limit) continue;
    const numbers = [count, limit].map((number) => number.toLocaleString("en"));
    throw new InputError(`There are ${numbers[0]} ${what} and this picture shows at most ${numbers[1]}: shorten the text.`);
  }
  return { encoding, length: [encoding.tokens.length, most] };
}

/** As text_classifier.py: the text, and the text without each of its words. */
export function TextClassifier(bert, { text }, [tuned = bert] = []) {
  const { encoding, length } = checkShort(tuned, text);
  const spans = fromText(text);
  const shares = classShares(tuned, text);
  const { attention_probs } = tuned.read(encoding);
  const without = spans.map(([start, end]) => classShares(tuned, `${slice(text, 0, start)} ${slice(text, end)}`));
  const { labels } = tuned.header.task.settings;
  return { data: {
    length,
    labels,
    words: spans.map(([start, end]) => slice(text, start, end)),
    probabilities: float64([labels.length], shares),
    without: float64([spans.length, labels.length], without.flatMap((each) => [...each])),
    attention: float64([spans.length], fromCls(encoding, spans, attention_probs.at(-1), tuned.config.num_attention_heads)),
  } };
}

/** The share of [CLS]'s attention that goes to each word: last layer, mean of its heads. */
function fromCls({ offsets, special_tokens_mask: added }, spans, probs, A) {
  const S = offsets.length;
  const row = offsets.map((_, key) => {
    let sum = 0;
    for (let head = 0; head < A; head++) sum += probs[head * S * S + key];
    return sum / A;
  });
  return spans.map(([start, end]) => row.reduce((sum, share, i) =>
    sum + (!added[i] && start <= offsets[i][0] && offsets[i][1] <= end ? share : 0), 0));
}

/** As token_tagger.py. */
export function TokenTagger(bert, { text }, [tuned = bert] = []) {
  const { length } = checkShort(tuned, text);
  const { probabilities, ...found } = tagPrediction(tuned, text);
  const shape = [probabilities.length, found.labels.length];
  return { data: { length, shown: text, ...found, probabilities: float32(shape, probabilities.flatMap((each) => [...each])) } };
}

/** As pair_explorer.py; `tries` are the pairs that the reader left. */
export function PairExplorer(bert, { premise, hypothesis, tries }, [tuned = bert] = []) {
  const { labels: own } = tuned.header.task.settings;
  if (own.length !== 3) {
    throw new InputError(`PairExplorer draws three labels in a triangle; this model has ${own.length}: ${own.join(", ")}.`);
  }
  const labels = CORNERS.every((corner) => own.includes(corner)) ? CORNERS : own;
  const shares = (pair) => {
    checkShort(tuned, ...pair);
    const all = classShares(tuned, ...pair);
    return labels.map((label) => all[own.indexOf(label)]);
  };
  const tried = tries.slice(-MOST_TRIES);
  return { data: {
    length: checkShort(tuned, premise, hypothesis).length,
    labels,
    notes: labels.map((label) => NOTES[label] ?? ""),
    shown: [premise, hypothesis],
    tries: tried,
    most_tries: MOST_TRIES,
    probabilities: float64([3], shares([premise, hypothesis])),
    alone: float64([3], shares(["", hypothesis])),
    trail: float64([tried.length, 3], tried.flatMap(shares)),
  } };
}

/** As span_explorer.py. */
export function SpanExplorer(bert, { question, document }, [tuned = bert] = []) {
  const count = tuned.tokenizer.encode(question, document).tokens.length;
  if (count > LONGEST_SPAN) {
    throw new InputError(`Question and document have ${count.toLocaleString("en")} tokens and this picture shows at most ` +
      `${LONGEST_SPAN}: shorten the document.`);
  }
  const { settings } = tuned.header.task;
  const p = answerPrediction(tuned, question, document);
  const [S, H, last] = [p.tokens.length, tuned.config.hidden_size, p.tokens.length - 1];
  const starts = spansOf(document, NO_BLANKS).map(([start]) => start);
  return { data: {
    tokens: p.tokens,
    words: p.offsets.map(([start], i) => (p.first <= i && i < last ? bisectRight(starts, start) : 0)),
    begin: p.first,
    spans: p.spans.map(({ text, first_token, last_token, first_word, last_word, probability, score }) =>
      [text, first_token, last_token, first_word, last_word, probability, score]),
    most: settings.max_answer_tokens,
    no_answer: Boolean(settings.no_answer),
    no_answer_probability: p.no_answer_probability,
    null_score: p.null_score,
    threshold: settings.null_threshold,
    illegal: p.illegal,
    windows: p.windows,
    biases: [...tuned.own.values("qa_outputs.bias")],
    starts: float64([S], p.logits.map(([start]) => start)),
    ends: float64([S], p.logits.map(([, end]) => end)),
    outputs: float32([S, H], p.outputs.flatMap((row) => [...row])),
    vectors: float32([2, H], [0, 1].flatMap((place) => [...tuned.qa_outputs.row(place)])),
  } };
}
