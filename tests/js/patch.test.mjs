// Patch on a page; that its numbers are the model's is in tests/test_patch.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import widget, { answers, compared, describe } from "../../bertedu/widgets/static/patch.js";
import { packed } from "../../bertedu/widgets/static/try_it.js";
import { Model, openPage } from "./page.mjs";

const window = openPage();
globalThis.Event = window.Event;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const HOSTILE = "<img src=x onerror=alert(1)>";
const BEFORE = { gap: [["book", 0.2], ["poem", 0.1]], follows: 0.9, label: [["no", 0.3], ["yes", 0.7]], span: ["anna", 0.9] };
const AFTER = { gap: [["book", 0.25]], follows: 0.2, label: [["no", 0.3], ["yes", 0.7]], span: ["", 0.8] };
const TOKENS = ["[CLS]", "who", HOSTILE, "[SEP]"];
const tokens = (all) => ({ tokens: all, ids: all.map((_, i) => i), types: all.map(() => 0), special: all.map((t) => t[0] === "[") });

function shown(changes = {}, { kernel = true, before = BEFORE, after = AFTER } = {}) {
  const asked = { text: "who", pair: "a", other: "when", off: [], layers: [], segment: false, copy: null, ...changes };
  const header = {
    asked: Object.values(asked), problem: "", first: {}, ...tokens(TOKENS), others: tokens(["[CLS]", "when", "[SEP]"]),
    heads: [2, 3], before, after,
  };
  const model = new Model({
    ...asked, settings: {}, data: packed(header), presets: [["no segments", { ...asked, segment: true, other: "" }]],
  }, { kernel });
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  return { model, el, end, find: (selector) => [...el.querySelectorAll(selector)], asked };
}

test("answers and changes are told in words", () => {
  assert.deepEqual(answers(BEFORE).map(([, answer]) => answer[0]), ["“book”", "follows", "yes", "“anna”"]);
  assert.deepEqual(answers(AFTER).map(([, answer]) => answer), [["“book”", 0.25], ["is a random one", 0.8], ["yes", 0.7], ["no answer", 0.8]]);
  assert.deepEqual(answers({ gap: [], follows: null, label: [["a", 1]], span: null }).map(([, answer]) => answer), [null, null, ["a", 1], null]);
  assert.equal(compared(["a", 0.5], ["b", 0.5]), "changed");
  assert.equal(compared(["a", 0.5], ["a", 0.5004]), "the same");
  assert.equal(compared(["a", 0.5], ["a", 0.4]), "the same, −10.0 points");
  assert.equal(compared(null, null), "");
  assert.equal(describe({ tokens: TOKENS, others: ["[CLS]", "when"], off: [[1, 1]], layers: [2], segment: true, copy: [3, 1, 1] }),
    "without the segment embedding, without layer 2, 1 head off, “when” in place of “who” after layer 3");
});

test("the table says what changed, in words, and nothing is markup", () => {
  const page = shown({ segment: true });
  assert.deepEqual(page.find("tbody tr").map((row) => row.className), ["", "be-changed", "", "be-changed"]);
  assert.match(page.find("tbody")[0].textContent, /◀ changed/);
  assert.match(page.find(".be-line")[0].textContent, /^without the segment embedding: .*is a random one 80\.0 %, not follows/);
  assert.equal(page.el.querySelector("img"), null);
  page.end();
  assert.equal(page.model.listening, 0);
});

test("two clicks copy a vector; a layer, a head and the segments are cut; Escape takes all back", async () => {
  const page = shown();
  const [chips, others] = page.find(".be-chips");
  chips.querySelectorAll("button")[1].click();
  await sleep(80);
  assert.deepEqual(page.model.saved, []);
  others.querySelectorAll("button")[1].click();
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).copy, [2, 1, 1]);
  page.find(".be-of-layer")[1].click();
  page.find(".be-of-head")[4].click();
  await sleep(80);
  const { layers, off, copy } = page.model.saved.at(-1);
  assert.deepEqual([layers, off, copy], [[2], [[2, 2]], [2, 1, 1]]);
  assert.equal(page.find(".be-of-layer")[1].getAttribute("aria-pressed"), "true");
  page.find(".be-of-layer")[1].click();
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).layers, []);
  page.find(".be-chip")[0].dispatchEvent(new window.KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  await sleep(80);
  const left = page.model.saved.at(-1);
  assert.deepEqual([left.off, left.layers, left.segment, left.copy], [[], [], false, null]);
  page.end();
});

test("a preset asks all in one question; a new text lets go of what was copied, not of what was cut", async () => {
  const page = shown({ layers: [1], copy: [0, 1, 1] });
  page.find(".be-preset")[0].click();
  await sleep(80);
  assert.equal(page.model.saved.length, 1);
  assert.deepEqual(page.model.saved[0].segment, true);
  page.end();
  const typed = shown({ layers: [1], copy: [0, 1, 1] });
  const [box] = typed.find("textarea");
  box.value = "a new one";
  box.dispatchEvent(new window.Event("input"));
  await sleep(80);
  const { text, copy, layers } = typed.model.saved.at(-1);
  assert.deepEqual([text, copy, layers], ["a new one", null, [1]]);
  typed.end();
});

test("without Python nothing can be changed, and the widget says so", async () => {
  const page = shown({}, { kernel: false });
  assert.match(page.el.textContent, /no Python behind it, so texts and changes are fixed/);
  page.find("button").forEach((node) => node.click());
  await sleep(80);
  assert.deepEqual(page.model.saved, []);
  page.end();
});
