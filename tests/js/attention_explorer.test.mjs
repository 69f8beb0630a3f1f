// The attention explorer on a page; that its numbers are the model's is in
// tests/test_attention_explorer.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import widget, {
  averages, counterpart, keptPositions, largest, products, rowNumbers, rowOf,
} from "../../bertedu/widgets/static/attention_explorer.js";
import { Model, openPage, pack } from "./page.mjs";

const window = openPage();
globalThis.requestAnimationFrame = (action) => setTimeout(action, 0);
globalThis.cancelAnimationFrame = clearTimeout;
const frame = () => new Promise((done) => setTimeout(done, 5));

const HOSTILE = "<img src=x onerror=alert(1)>";
const TEXT = { tokens: ["[CLS]", "dog", HOSTILE, "[SEP]"], ids: [101, 3899, 7, 102], types: [0, 0, 0, 0], kinds: [1, 0, 0, 2] };
const PROBS = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.25, 0.125, 0.125], [0, 0, 1, 0], [0.25, 0.25, 0.25, 0.25]];
const HEAD = { size: 4, width: 2, scale: 1, exact: true, values: Float32Array.from(PROBS.flat()),
  query: Float32Array.of(0, 0, 3, -1, 0, 0, 0, 0), key: Float32Array.of(0, 0, 0, 0, 2, 5, 0, 0) };
const FIRST = {
  layer: 1, head: 1, beside: null, token: null, target: null, view: "matrix", special: true,
  renormalise: false, difference: false,
};
const bytes = (values) => new Uint8Array(values.buffer);

/** Two layers of two heads: all alike, but only the first head's exact numbers are there. */
function state({ version = 1, which = [[[0, 0]]], problem = "", texts = [TEXT] } = {}) {
  const arrays = {};
  const exact = {};
  texts.forEach((_, n) => {
    arrays[`maps${n}`] = ["uint8", [2, 2, 4, 4], Uint8Array.from(Array(4).fill(PROBS.flat()).flat(), (p) => Math.round(p * 255))];
    arrays[`averages${n}`] = ["float32", [2, 2, 6], bytes(Float32Array.from({ length: 24 }, (_, i) => (i % 6 ? 0.123 : 1.234)))];
    const times = (values) => bytes(Float32Array.from(which[n].flatMap(() => [...values])));
    exact[`probs${n}`] = ["float32", [which[n].length, 4, 4], times(HEAD.values)];
    exact[`query${n}`] = ["float32", [which[n].length, 4, 2], times(HEAD.query)];
    exact[`key${n}`] = ["float32", [which[n].length, 4, 2], times(HEAD.key)];
  });
  const asked = ["dog", null, texts.length > 1 ? "other" : null];
  return {
    text: "dog", pair: null, other: asked[2], settings: { ...FIRST },
    data: pack({ asked, problem, version, first: FIRST, darkest: 0.5, texts }, arrays),
    heads: pack({ version, which }, exact),
  };
}

function shown(options, change) {
  const model = new Model(state(change), options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  const find = (selector) => [...el.querySelectorAll(selector)];
  const send = (node, type, init = {}) => node.dispatchEvent(new window.Event(type, { bubbles: true, ...init }));
  const press = (node, key) => node.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true }));
  return { model, el, end, find, send, press, one: (selector) => el.querySelector(selector) };
}

const shares = ({ find }, panel = 0) => find(`[data-target][data-panel="${panel}"]`).map((node) => node.lastChild.textContent);

test("a row's numbers, and their averages where there is a next or a previous", () => {
  const [entropy, cls, sep, itself, next, previous] = rowNumbers(Float32Array.from(PROBS[1]), 1, TEXT);
  assert.ok(Math.abs(entropy - 1.75 * Math.log(2)) < 1e-6);
  assert.deepEqual([cls, sep, itself, next, previous], [0.5, 0.125, 0.25, 0.125, 0.5]);
  const all = averages(HEAD, TEXT, [0, 1, 2, 3], false);
  assert.ok(Math.abs(all[4] - (0.2 + 0.125 + 0) / 3) < 1e-6);
  assert.ok(Math.abs(all[5] - (0.5 + 0 + 0.25) / 3) < 1e-6);
});

test("renormalised rows sum to 1 over the words; a text without words keeps everything", () => {
  const kept = keptPositions(TEXT, false);
  assert.deepEqual(kept, [1, 2]);
  const row = rowOf(HEAD, 1, kept, true);
  assert.deepEqual([...row].map((p) => +p.toFixed(4)), [0, 0.6667, 0.3333, 0]);
  assert.deepEqual(keptPositions({ kinds: [1, 2] }, false), [0, 1]);
});

test("products add up to the score, and twins are found by occurrence", () => {
  assert.deepEqual(products(HEAD, 1, 2).map((x) => +x.toFixed(4)), [4.2426, -3.5355]);
  assert.equal(counterpart(3, ["a", "b", "a", "b"], ["b", "c", "b"]), 2);
  assert.equal(counterpart(0, ["a"], ["b"]), null);
  assert.deepEqual(largest(PROBS[0], [0, 1, 2], 2), [2, 1]);
});

test("three clicks: a head, a token that asks, a token that answers", async () => {
  const page = shown();
  page.one('[data-layer="1"][data-head="1"]').click();
  page.one('[data-token="1"]').click();
  assert.deepEqual(shares(page), ["50.0 %", "25.0 %", "12.5 %", "12.5 %"]);
  assert.match(page.el.textContent, /Who answers “dog” in layer 1 · head 1\?most: \[CLS\]\u200b? ?50\.0 %|most: \[CLS\] 50\.0 %, dog 25\.0 %/);
  page.one('[data-target="2"]').click();
  assert.match(page.one(".be-product").textContent, /2 products q·k\/√2 add up to the score 0\.71\. Softmax over the 4 scores of this row gives 12\.5 %/);
  assert.match(page.one(".be-line").textContent, /^Pinned: layer 1 · head 1, “dog” \(position 1\) asks .* 12\.5 %, score 0\.71$/);
  await new Promise((done) => setTimeout(done, 60));
  assert.deepEqual([page.model.get("pins"), page.model.saved.length], [{ token: 1, target: 2 }, 0]);
  page.press(page.one('[data-target="2"]'), "Escape");
  assert.match(page.one(".be-line").textContent, /^Hover shows/);
  page.end();
});

test("hover shows without pinning, and leaving goes back to the averages", async () => {
  const page = shown();
  const before = shares(page);
  assert.deepEqual(before, ["21.3 %", "17.5 %", "41.9 %", "19.4 %"]);
  page.send(page.one('[data-token="2"]'), "pointerover");
  await frame();
  assert.deepEqual(shares(page), ["0.0 %", "0.0 %", "100.0 %", "0.0 %"]);
  page.send(page.one(".be-line"), "pointerover");
  await frame();
  assert.deepEqual(shares(page), before);
  page.end();
});

test("a head whose exact numbers are not here is told in rough ones until they come", async () => {
  const page = shown();
  page.press(page.one('[data-layer="1"][data-head="1"]'), "ArrowDown");
  page.press(page.one('[data-layer="2"][data-head="1"]'), "ArrowRight");
  page.one('[data-token="1"]').click();
  page.one('[data-target="2"]').click();
  assert.equal(page.one('.be-head[aria-pressed="true"]').getAttribute("aria-label").slice(0, 16), "layer 2 · head 2");
  assert.deepEqual(shares(page), ["≈ 50 %", "≈ 25 %", "≈ 13 %", "≈ 13 %"]);
  assert.match(page.one(".be-product").textContent, /on their way/);
  await new Promise((done) => setTimeout(done, 60));
  assert.deepEqual([page.model.get("settings").layer, page.model.get("settings").head], [2, 2]);
  page.model.answer("heads", state({ which: [[[1, 1]]] }).heads);
  assert.deepEqual(shares(page), ["50.0 %", "25.0 %", "12.5 %", "12.5 %"]);
  assert.match(page.one(".be-product").textContent, /score 0\.71/);
  page.end();
});

test("numbers that belong to another text are not taken", () => {
  const page = shown();
  page.one('[data-layer="2"][data-head="2"]').click();
  page.model.answer("heads", state({ which: [[[1, 1]]], version: 7 }).heads);
  assert.match(shares(page)[0], /^≈/);
  page.end();
});

test("special tokens can be left out, and rows renormalised, and which is shown is said", () => {
  const page = shown();
  const [special, renormalise] = page.find(".be-check input");
  assert.ok(renormalise.disabled);
  page.one('[data-token="1"]').click();
  special.click();
  assert.match(page.one(".be-truth").textContent, /own probabilities with \[CLS\] and \[SEP\] out of sight/);
  assert.deepEqual(page.find("[data-token]").filter((node) => !node.hidden).map((node) => node.dataset.token), ["1", "2"]);
  assert.equal(shares(page)[1], "25.0 %");
  renormalise.click();
  assert.match(page.one(".be-truth").textContent, /^Shown: renormalised/);
  assert.deepEqual(shares(page).slice(1, 3), ["66.7 %", "33.3 %"]);
  special.click();
  assert.match(page.one(".be-truth").textContent, /each row sums to 100 %/);
  page.end();
});

test("a head is kept beside another, as itself or as a difference", () => {
  const page = shown({}, { which: [[[0, 0], [1, 1]]] });
  const button = page.find(".be-actions .be-button").at(-1);
  button.click();
  page.one('[data-layer="2"][data-head="2"]').click();
  assert.deepEqual(page.find("figcaption b").map((node) => node.textContent), ["layer 2 · head 2", "layer 1 · head 1"]);
  page.find(".be-check input")[2].click();
  assert.equal(page.find("figcaption b")[1].textContent, "layer 2 · head 2 − layer 1 · head 1");
  assert.match(page.el.textContent, /percentage points/);
  assert.equal(button.textContent, "Let go of layer 1 · head 1");
  button.click();
  assert.equal(page.find("figure").length, 1);
  page.end();
});

test("another text shows the same head and the same token", () => {
  const other = { ...TEXT, tokens: ["[CLS]", "cat", "dog", "[SEP]"] };
  const page = shown({}, { which: [[[0, 0]], [[0, 0]]], texts: [TEXT, other] });
  page.one('[data-token="1"]').click();
  assert.deepEqual(shares(page, 0), ["50.0 %", "25.0 %", "12.5 %", "12.5 %"]);
  assert.deepEqual(shares(page, 1), ["0.0 %", "0.0 %", "100.0 %", "0.0 %"]);
  page.one('[data-token="2"]').click();
  assert.match(page.el.textContent, /is not in this text/);
  page.end();
});

test("hostile tokens are text", () => {
  const page = shown();
  assert.equal(page.find("img, script").length, 0);
  assert.ok(page.one('[data-token="2"]').textContent.includes("<img"));
  page.end();
});

test("without Python everything but typing works, and nothing is sent", async () => {
  const page = shown({ kernel: false });
  assert.ok(page.find("textarea").every((box) => box.hasAttribute("readonly")));
  page.one('[data-layer="2"][data-head="2"]').click();
  page.one('[data-token="1"]').click();
  page.one('[data-target="2"]').click();
  assert.deepEqual(shares(page)[0], "≈ 50 %");
  assert.match(page.one(".be-product").textContent, /complete=True/);
  await new Promise((done) => setTimeout(done, 60));
  assert.equal(page.model.saved.length, 0);
  page.end();
});

test("a problem is told, and the clean-up leaves nothing", () => {
  const page = shown({}, { problem: "The text has 600 tokens and at most 512 can be shown: shorten it." });
  assert.match(page.one(".be-status").textContent, /600 tokens/);
  page.end();
  assert.equal(page.model.listening, 0);
  assert.equal(page.el.childElementCount, 0);
});
