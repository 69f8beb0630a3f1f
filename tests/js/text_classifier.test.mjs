// The text classifier on a page; that its numbers are the model's is in tests/test_text_classifier.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import widget, {
  effectsOf, points, ranks, spearman,
} from "../../bertedu/widgets/static/text_classifier.js";
import { Model, openPage, pack } from "./page.mjs";

const window = openPage();
const HOSTILE = "<img src=x onerror=alert(1)>";
const bytes = (...values) => new Uint8Array(Float64Array.from(values).buffer);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const FIRST = { label: null, word: null, attention: false };

/** Two labels, three words: the first speaks for "good", the second against it, the third for nothing. */
function state(change = {}) {
  const words = change.words ?? ["funny", HOSTILE, "film"];
  const without = [0.6, 0.4, 0.05, 0.95, 0.2, 0.8].slice(0, 2 * words.length);
  const header = { asked: ["funny"], problem: "", first: FIRST, labels: ["bad", "good"], words, ...change };
  return {
    text: header.asked[0], settings: { ...FIRST },
    data: pack(header, {
      probabilities: ["float64", [2], bytes(0.2, 0.8)],
      without: ["float64", [words.length, 2], bytes(...without)],
      attention: ["float64", [words.length], bytes(...[0.5, 0.2, 0.1].slice(0, words.length))],
    }),
  };
}

function shown(options, change) {
  const model = new Model(state(change), options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  const find = (selector) => [...el.querySelectorAll(selector)];
  const press = (node, key) => node.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true }));
  return { model, el, end, find, press, one: (selector) => el.querySelector(selector) };
}

const told = ({ find }) => find(".be-chip").map((node) => node.children[1].textContent);

test("an effect is the probability minus the one without the word", () => {
  const data = { probabilities: { values: [0.2, 0.8] }, without: { shape: [1, 2], values: [0.6, 0.4] } };
  assert.deepEqual(effectsOf(data, 1).map((x) => +x.toFixed(6)), [0.4]);
  assert.deepEqual(effectsOf(data, 0).map((x) => +x.toFixed(6)), [-0.4]);
  assert.deepEqual([0.1234, -0.1234, 0.0004, -0.0004].map(points), ["+12.3", "−12.3", "0.0", "0.0"]);
});

test("rank correlation: ties share their rank, no order gives none", () => {
  assert.deepEqual(ranks([10, 30, 10, 5]), [2.5, 4, 2.5, 1]);
  assert.ok(Math.abs(spearman([1, 2, 3], [2, 4, 9]) - 1) < 1e-12);
  assert.ok(Math.abs(spearman([1, 2, 3], [9, 4, 2]) + 1) < 1e-12);
  assert.ok(Number.isNaN(spearman([1, 1], [1, 2])));
});

test("the likeliest label is explained first, and a click explains another", async () => {
  const page = shown();
  assert.deepEqual(told(page), ["+40.0", "−15.0", "0.0"]);
  assert.match(page.el.textContent, /Most for “good”: “funny” \+40\.0\. Most against it: .* −15\.0\./);
  page.find(".be-share")[0].click();
  assert.deepEqual(told(page), ["−40.0", "+15.0", "0.0"]);
  assert.equal(page.find(".be-share")[0].getAttribute("aria-pressed"), "true");
  await sleep(150);
  assert.equal(page.model.get("settings").label, "bad");
  page.end();
});

test("both signs lie on the diverging scale, equally far from its middle", () => {
  const page = shown(undefined, { words: ["funny", "film"] });
  const [plus, minus] = page.find(".be-chip .be-piece").map((node) => node.style.backgroundColor);
  assert.match(plus, /^rgb\(103, ?0, ?31\)$/); // the red end: the largest effect
  assert.notEqual(minus, plus);
  page.end();
});

test("a click pins a word, a second one or Escape lets go", async () => {
  const page = shown();
  page.find(".be-chip")[0].click();
  assert.equal(page.one(".be-line").textContent,
    "Pinned: without “funny” (word 1): bad 60.0 % instead of 20.0 %, good 40.0 % instead of 80.0 %");
  assert.equal(page.find(".be-chip")[0].getAttribute("aria-pressed"), "true");
  await sleep(150);
  assert.deepEqual([page.model.get("pins"), page.model.saved.length], [{ word: 0 }, 0]);
  page.find(".be-chip")[0].click();
  assert.match(page.one(".be-line").textContent, /^Hover shows/);
  page.find(".be-chip")[2].click();
  page.press(page.one(".be-chip"), "Escape");
  assert.match(page.one(".be-line").textContent, /^Hover shows/);
  page.end();
});

test("attention stands beside when it is asked for, with the rank correlation", () => {
  const page = shown();
  const box = page.one('input[type="checkbox"]');
  box.checked = true;
  box.dispatchEvent(new window.Event("change"));
  assert.equal(page.find(".be-chip")[0].children[2].textContent, "50.0 %");
  assert.match(page.el.textContent, /the other 20\.0 % goes to \[CLS\] and \[SEP\]\. .* rank correlation 1\.00/);
  page.end();
});

test("hostile words are text, an empty text says so, a problem is told", () => {
  const page = shown();
  assert.equal(page.find("img").length, 0);
  assert.ok(page.el.textContent.includes("<img"));
  page.end();
  const empty = shown(undefined, { words: [], asked: [""] });
  assert.match(empty.one(".be-status").textContent, /^No word yet/);
  empty.end();
  const wrong = shown(undefined, { problem: "There are 300 tokens." });
  assert.equal(wrong.one(".be-status").textContent, "There are 300 tokens.");
  wrong.end();
});

test("without Python the text is fixed and the rest works; leaving cleans up", () => {
  const page = shown({ kernel: false });
  assert.ok(page.one("textarea").hasAttribute("readonly"));
  assert.match(page.one(".be-status").textContent, /no Python behind it/);
  page.find(".be-share")[0].click();
  assert.deepEqual(told(page), ["−40.0", "+15.0", "0.0"]);
  page.end();
  assert.equal(page.el.children.length, 0);
  assert.equal(page.model.listening, 0);
});
