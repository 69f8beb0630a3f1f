// Asks the page's engine from outside: node ask_engine.mjs QUESTIONS.json NUMBERS
//
// QUESTIONS.json: { packs, simd, texts, traces, widgets }. Printed as JSON: for each of `texts` the
// tokens and offsets, for each of `traces` ([text, pair]) what the page would show, and where each of
// its quantities stands in the file NUMBERS, which is float32 after float32; for each of `widgets`
// ([name, asked, first, beside]) its traits' bytes in base64, or the problem. The packs are a model, and
// where there is one more, what stands on it, which then answers; those of `more` only widgets ask.

import { readFileSync, writeFileSync } from "node:fs";

import { answer } from "../../bertedu/widgets/static/bert/answers.js";
import { add, wake } from "../../bertedu/widgets/static/bert/bert.js";
import { widget } from "../../bertedu/widgets/static/bert/widgets.js";

const [questions, file] = process.argv.slice(2);
const { packs, more = [], simd, texts = [], traces = [], widgets = [] } = JSON.parse(readFileSync(questions, "utf8"));
const bytes = packs.map((pack) => new Uint8Array(readFileSync(pack)));
const bert = await wake(bytes[0], bytes[1], { simd });
const others = await Promise.all(more.map((pack) => add(bert, new Uint8Array(readFileSync(pack)), { simd })));
const numbers = [];
let count = 0;

function kept(list) {
  const place = [count, 0];
  for (const values of list) {
    numbers.push(values);
    count += values.length;
    place[1] += values.length;
  }
  return place;
}

function quantities(text, pair) {
  const trace = bert.trace(text, pair);
  const { task } = bert.header;
  const found = {
    hidden_states: trace.hidden_states,
    query: trace.query,
    key: trace.key,
    value: trace.value,
    attention_probs: trace.attention_probs,
    pooler_output: trace.pooler_output && [trace.pooler_output],
    seq_relationship_logits: trace.seq_relationship_logits && [trace.seq_relationship_logits],
    prediction_logits: bert.predictions && [bert.predictions.forward(trace.last_hidden_state)],
    logits: task && [bert.logits(trace)],
    intent_logits: bert.intent_classifier && [bert.intent_classifier.forward(trace.pooler_output)],
  };
  return Object.fromEntries(Object.entries(found).filter(([, list]) => list).map(([name, list]) => [name, kept(list)]));
}

const told = {
  texts: texts.map((text) => {
    const { tokens, input_ids, offsets } = bert.encode(text);
    return { tokens, input_ids, offsets };
  }),
  traces: traces.map(([text, pair]) => ({ places: quantities(text, pair), answer: answer(bert, text, pair) })),
  widgets: widgets.map(([name, asked, first, beside]) => {
    try {
      const traits = Object.entries(widget(bert, name, asked, first, beside, others));
      return Object.fromEntries(traits.map(([trait, bytes]) => [trait, Buffer.from(bytes).toString("base64")]));
    } catch ({ message }) {
      return { problem: message };
    }
  }),
  compared: bert.header.reference ? bert.compare() : null,
};
writeFileSync(file, Buffer.concat(numbers.map(({ buffer, byteOffset, byteLength }) =>
  Buffer.from(buffer, byteOffset, byteLength))));
console.log(JSON.stringify(told));
