// The span explorer on a page; that its numbers are the library's is in tests/test_span_explorer.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { REASONS, judge, logTotal, masses, softmax } from "../../bertedu/widgets/static/rules/spans.js";
import widget, { largestOf, products, windowAt } from "../../bertedu/widgets/static/span_explorer.js";
import { Model, openPage, pack } from "./page.mjs";

const window = openPage();
globalThis.requestAnimationFrame = (action) => setTimeout(action, 0);
globalThis.cancelAnimationFrame = clearTimeout;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const HOSTILE = "<img>";
const TOKENS = ["[CLS]", "why", "[SEP]", "it", "falls", "under", HOSTILE, "##ity", "[SEP]"];
const STARTS = [0, 0, 0, 0, 1, 0, 2, 0, 0];
const ENDS = [0, 0, 0, 1, 0, 0, 0, 2, 0];
const FIRST = { start: null, end: null, view: "joint", threshold: null };
const DATA = {
  begin: 3, most: 3, tokens: TOKENS, no_answer: true, null_score: 0, starts: { values: STARTS }, ends: { values: ENDS },
};
const TOTAL = logTotal(DATA);
const joint = (start, end) => Math.exp(STARTS[start] + ENDS[end] - TOTAL);
const bytes = (Type, values) => new Uint8Array(Type.from(values).buffer);

function state(change = {}) {
  const span = (text, first, last, one, other) => [text, first, last, one, other, joint(first, last), STARTS[first] + ENDS[last]];
  const header = {
    asked: ["why", "it falls under <img>ity"], problem: "", first: FIRST, tokens: TOKENS, words: [0, 0, 0, 1, 2, 3, 4, 4, 0],
    begin: 3, most: 3, no_answer: true, no_answer_probability: Math.exp(-TOTAL), null_score: 0, threshold: 0, windows: 1,
    spans: [span("<img>ity", 6, 7, 4, 4), span("under <img>ity", 5, 7, 3, 4)], biases: [0.5, 0],
    illegal: { [REASONS[0]]: 56, [REASONS[1]]: 10, [REASONS[2]]: 3 }, ...change,
  };
  const H = 20;
  const outputs = TOKENS.flatMap((_, place) => Array.from({ length: H }, (_, c) => (c === place ? 2 : 0.1)));
  return {
    question: header.asked[0], document: header.asked[1], settings: { ...FIRST },
    data: pack(header, {
      starts: ["float64", [9], bytes(Float64Array, STARTS)], ends: ["float64", [9], bytes(Float64Array, ENDS)],
      outputs: ["float32", [9, H], bytes(Float32Array, outputs)],
      vectors: ["float32", [2, H], bytes(Float32Array, Array.from({ length: 2 * H }, (_, i) => (i % H) - 10))],
    }),
  };
}

function shown(options, change) {
  const model = new Model(state(change), options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  const find = (selector) => [...el.querySelectorAll(selector)];
  const press = (node, key) => node.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  return { model, el, end, find, press, one: (selector) => el.querySelector(selector) };
}

const pressed = ({ find }) => find('.be-cell[aria-pressed="true"]').map((node) => [node.dataset.start, node.dataset.end].map(Number))[0];

test("a pair of places is legal, or it is told why not", () => {
  const why = (start, end) => judge(DATA, start, end);
  assert.equal(why(3, 5), "legal");
  assert.deepEqual([why(1, 4), why(3, 8), why(0, 0)], Array(3).fill(REASONS[0]));
  assert.equal(why(5, 4), REASONS[1]);
  assert.equal(why(3, 6), REASONS[2]);
});

test("legal spans and no answer share one softmax, whatever the logits' size", () => {
  let sum = Math.exp(DATA.null_score - TOTAL);
  for (let s = 3; s < 8; s++) for (let e = s; e < Math.min(8, s + 3); e++) sum += joint(s, e);
  assert.ok(Math.abs(sum - 1) < 1e-12);
  const large = { ...DATA, starts: { values: STARTS.map((x) => x + 2000) }, no_answer: false };
  const small = { ...DATA, no_answer: false };
  assert.ok(Math.abs(logTotal(large) - logTotal(small) - 2000) < 1e-9);
  assert.deepEqual(softmax([1000, 1000]), [0.5, 0.5]);
});

test("the product of two softmaxes loses what lies on pairs that are no span", () => {
  const found = masses(DATA, softmax(STARTS), softmax(ENDS));
  const total = Object.values(found).reduce((a, b) => a + b, 0);
  assert.ok(Math.abs(total - 1) < 1e-12);
  assert.ok(Object.values(found).every((share) => share > 0));
});

test("products: the largest first, the others together", () => {
  const data = { vectors: { shape: [2, 3], values: [1, -3, 2, 0, 0, 0] }, outputs: { values: [1, 1, 1] } };
  const { largest, rest, others } = products(data, 0, 0, 2);
  assert.deepEqual(largest.map(({ component, value }) => [component, value]), [[2, -3], [3, 2]]);
  assert.deepEqual([rest, others], [1, 1]);
});

test("a window of places stays within them", () => {
  assert.deepEqual([0, 5, 99].map((place) => windowAt(place, 11, 100)), [0, 0, 89]);
  assert.equal(windowAt(3, 5, 5), 0);
  assert.equal(largestOf([1, 3, 3]), 1);
});

test("the best answer is shown first: words from 1, probability, dot products", () => {
  const page = shown();
  assert.equal(page.one(".be-reply").textContent, `Answer: “<img>ity”  (4, 4)  ${(100 * joint(6, 7)).toFixed(1)} %`);
  assert.deepEqual(pressed(page), [6, 7]);
  assert.equal(page.find(".be-answer")[0].getAttribute("aria-pressed"), "true");
  assert.match(page.find(".be-dots .be-verdict")[0].textContent, /from these .* from the other 4 \+0\.50 bias = 2\.00; softmax over all 9 positions: /);
  assert.match(page.el.textContent, /start “<img>” .* end “##ity” .*the same pair as the best legal span/);
  assert.equal(page.find("img").length, 0);
  page.end();
});

test("two clicks on tokens pin a pair; one that is no answer says why; Escape lets go", async () => {
  const page = shown();
  page.one('.be-document [data-place="6"]').click();
  assert.deepEqual(pressed(page), [6, 6]);
  page.one('.be-document [data-place="4"]').click();
  assert.match(page.one(".be-line").textContent, /^Pinned: “<img>” to “falls” \(4, 2\), positions 6 to 4: score 2\.00; .*no answer: end before start$/);
  await sleep(150);
  assert.deepEqual([page.model.get("pins"), page.model.saved.length], [{ start: 6, end: 4 }, 0]);
  page.press(page.one(".be-document button"), "Escape");
  assert.match(page.one(".be-line").textContent, /^Hover shows/);
  assert.deepEqual(pressed(page), [6, 7]);
  page.end();
});

test("the arrow keys lead through all pairs", () => {
  const page = shown();
  page.press(page.one('.be-cell[aria-pressed="true"]'), "ArrowUp");
  page.press(page.one('.be-cell[aria-pressed="true"]'), "ArrowRight");
  assert.deepEqual(pressed(page), [5, 8]);
  assert.match(page.one(".be-line").textContent, /no answer: outside the document/);
  page.press(page.one('.be-cell[aria-pressed="true"]'), "ArrowRight");
  assert.deepEqual(pressed(page), [5, 8]); // the last place
  page.end();
});

test("the threshold decides between the best span and none", () => {
  const page = shown();
  const slider = page.one('input[type="range"]');
  const move = (value) => {
    slider.value = value;
    slider.dispatchEvent(new window.Event("input"));
  };
  assert.match(page.el.textContent, /no answer is 4\.00 behind/);
  move(-5);
  assert.match(page.one(".be-reply").textContent, /^Answer: there is none/);
  move(-3);
  assert.match(page.one(".be-reply").textContent, /^Answer: “<img>ity”/);
  page.end();
});

test("no answer stands among the answers, by its probability, and is scored as a span of [CLS]", () => {
  const page = shown();
  const rows = page.find(".be-answer");
  assert.equal(rows.length, 3);
  assert.match(rows[2].textContent, new RegExp(`^–no answer\\[CLS\\]${(100 * Math.exp(-TOTAL)).toFixed(1)} %`));
  rows[2].click();
  assert.deepEqual(pressed(page), [0, 0]);
  assert.equal(rows[2].getAttribute("aria-pressed"), "true");
  assert.match(page.one(".be-line").textContent, /positions 0 to 0: score 0\.00; .* so is “no answer” scored: joint /);
  page.end();
  const likely = shown(undefined, { no_answer_probability: 0.9 });
  assert.match(likely.find(".be-answer")[0].textContent, /^–no answer/);
  likely.end();
});

test("a model that always answers has no threshold", () => {
  const page = shown(undefined, { no_answer: false, null_score: 99 });
  assert.ok(page.one(".be-threshold").hidden);
  assert.match(page.one(".be-reply").textContent, /^Answer: “<img>ity”/);
  assert.match(page.el.textContent, /it always gives one/);
  page.end();
});

test("the product can be shown instead; a cell says the percent of the one shown", () => {
  const page = shown();
  const here = () => Number(page.one('.be-cell[aria-pressed="true"]').textContent);
  assert.equal(here(), Math.round(100 * joint(6, 7)));
  page.find(".be-views button")[1].click();
  const shares = [softmax(STARTS)[6], softmax(ENDS)[7]];
  assert.equal(here(), Math.round(100 * shares[0] * shares[1]));
  page.end();
});

test("an answer in the list is pinned by a click, a second click lets go", () => {
  const page = shown();
  page.find(".be-answer")[1].click();
  assert.deepEqual(pressed(page), [5, 7]);
  page.find(".be-answer")[1].click();
  assert.match(page.one(".be-line").textContent, /^Hover shows/);
  page.end();
});

test("a problem is told; windows are told; without Python texts are fixed; leaving cleans up", () => {
  const wrong = shown(undefined, { problem: "the document is empty" });
  assert.equal(wrong.one(".be-status").textContent, "the document is empty");
  wrong.end();
  const windows = shown(undefined, { windows: 2 });
  assert.match(windows.one(".be-status").textContent, /read in 2 overlapping windows/);
  windows.end();
  const page = shown({ kernel: false });
  assert.ok(page.find("textarea").every((box) => box.hasAttribute("readonly")));
  page.find(".be-answer")[1].click();
  assert.deepEqual(pressed(page), [5, 7]);
  page.end();
  assert.equal(page.el.children.length, 0);
  assert.equal(page.model.listening, 0);
});
