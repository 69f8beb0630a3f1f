// The embedding sum in a page without a browser; that its numbers are Python's is in
// tests/test_embedding_sum.py.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import widget, {
  attention, combination, describeCell, describePair, number, pixels, shareMoved, states, sumOf,
} from "../../bertedu/widgets/static/embedding_sum.js";
import { diverging, unpack } from "../../bertedu/widgets/static/shared.js";
import { Model, openPage, pack } from "./page.mjs";

openPage();
const HOSTILE = "<img src=x onerror=alert(1)>";
const SETTINGS = {
  token: true, segment: true, position: true, layer_norm: true, head: 0, dimensions: [0, 2],
  centred: false,
};
const EVERYTHING = 15;
const floats = (...values) => Buffer.from(Float32Array.from(values).buffer);

/** Two tokens of two dimensions, and two heads: alike at first, apart when a term is off. */
function data(change = {}) {
  const probs = Array.from({ length: 16 }, (_, which) => (which === EVERYTHING
    ? [0.5, 0.5, 0.5, 0.5, 1, 0, 0, 1] : [0.25, 0.75, 0.5, 0.5, 1, 0, 1, 0])).flat();
  return pack({
    asked: ["dog", null], problem: "", own: null, eps: 0, scales: [0.5, 1.5],
    tokens: ["dog", HOSTILE], ids: [3899, 100], types: [0, 1], special: [false, false], ...change,
  }, {
    terms: ["float32", [3, 2, 2], floats(0.1, -0.2, 0.3, 0.4, 0.01, 0.02, 0.03, 0.04, 1, 1, 1, 1)],
    gain: ["float32", [2], floats(2, 1)],
    shift: ["float32", [2], floats(0, 0.5)],
    attention: ["float32", [16, 2, 2, 2], floats(...probs)],
    positions: ["float32", [2, 2, 2, 2], floats(1, 0.5, 0.5, 1, 1, 0.9, 0.9, 1, 1, -0.5, -0.5, 1, 1, 0, 0, 1)],
  });
}
const DATA = unpack(data());

function shown(options, change) {
  const model = new Model(
    { text: "dog", pair: null, settings: { ...SETTINGS }, data: data(change) }, options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  const find = (selector) => [...el.querySelectorAll(selector)];
  const box = (text) => find(".be-check").find((label) => label.textContent.includes(text)).querySelector("input");
  const press = (node, key) => node.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true }));
  return { model, el, end, find, box, press, line: () => el.querySelector(".be-line").textContent };
}

function flip(box) {
  box.checked = !box.checked;
  box.dispatchEvent(new window.Event("change"));
}

test("a combination is a number, the first switch its lowest bit", () => {
  assert.equal(combination(SETTINGS), EVERYTHING);
  assert.equal(combination({ ...SETTINGS, token: false }), 14);
  assert.equal(combination({ ...SETTINGS, layer_norm: false }), 7);
});

test("the sum is made in single precision, in the model's order", () => {
  const exact = Math.fround(Math.fround(Math.fround(0.1) + Math.fround(0.01)) + 1);
  assert.equal(sumOf(DATA, SETTINGS)[0], exact);
  assert.equal(sumOf(DATA, { ...SETTINGS, position: false })[1], Math.fround(Math.fround(-0.2) + Math.fround(0.02)));
});

test("LayerNorm gives mean 0 and deviation 1, then scales and shifts", () => {
  const two = states(DATA, SETTINGS); // of two numbers: always 1 and -1, times gain, plus shift
  assert.deepEqual([...two].map((v) => +v.toFixed(4)), [2, -0.5, -2, 1.5]);
  assert.deepEqual(states(DATA, { ...SETTINGS, layer_norm: false }), sumOf(DATA, SETTINGS));
});

test("attention is a head's, or the mean of all", () => {
  assert.deepEqual([...attention(DATA, EVERYTHING, 0)], [0.75, 0.25, 0.25, 0.75]);
  assert.deepEqual([...attention(DATA, 14, 1)], [0.25, 0.75, 0.5, 0.5]);
  assert.equal(shareMoved(attention(DATA, 14, 2), attention(DATA, EVERYTHING, 2), 2), 0.5);
});

test("a pixel has its value's colour", () => {
  const bytes = pixels([0, 9], (value) => diverging(value, 1));
  assert.deepEqual([...bytes], [247, 247, 247, 255, 103, 0, 31, 255]);
});

test("numbers in words", () => {
  assert.equal(number(-0.03), "−0.0300");
  assert.equal(number(-0.00001), "0.0000");
  assert.equal(describeCell(DATA, SETTINGS, 0, 1),
    "dog (position 0, segment A), dimension 1: token −0.2000 + segment 0.0200 + position 1.0000 = 0.8200; after LayerNorm −0.5000");
  assert.match(describeCell(DATA, { ...SETTINGS, segment: false, layer_norm: false }, 0, 1),
    /token −0.2000 \+ segment off \+ position 1.0000 = 0.8000; LayerNorm off$/);
  assert.equal(describePair(DATA, { ...SETTINGS, token: false, head: 1 }, 0, 1).replaceAll("␣", " "),
    `dog (0) looks at ${HOSTILE} (1): 50.0 % with everything on, 75.0 % now, +25.0 points (layer 1, head 1)`);
});

test("hostile text is shown as text", () => {
  const { el, find, end } = shown();
  assert.equal(el.querySelector("img"), null);
  assert.ok(el.textContent.replaceAll("␣", " ").includes(HOSTILE));
  assert.ok(!/undefined|NaN|null|\bfalse\b/.test(el.textContent));
  assert.equal(find("canvas").length, 10);
  end();
});

test("a switch repaints without Python, which is told later for the saved picture", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { model, el, box, end, find } = shown();
  const verdict = () => el.querySelector(".be-verdict").textContent;
  assert.match(verdict(), /^Switch a term off/);
  flip(box("position"));
  assert.match(verdict(), /^31.3 % of a token's attention goes elsewhere now \(layer 1, mean of 2 heads\)/);
  assert.equal(model.saved.length, 0);
  mock.timers.tick(150);
  assert.deepEqual(model.saved.map(({ settings }) => settings.position), [false]);
  find(".be-button").find((node) => node.textContent === "Everything on").click();
  assert.match(verdict(), /^Switch a term off/);
  assert.ok(box("position").checked);
  end();
  mock.timers.reset();
});

test("Python's settings are followed", () => {
  const { model, el, end } = shown();
  model.answer("settings", { ...SETTINGS, token: false, head: 2 });
  assert.match(el.querySelector(".be-verdict").textContent, /^50.0 % .* head 2/);
  end();
});

test("keys move from cell to cell, Enter pins, Escape lets go", () => {
  const { find, press, line, end } = shown();
  const sum = find(".be-heat").find((node) => node.ariaLabel?.startsWith("sum")
    ?? node.getAttribute("aria-label").startsWith("sum"));
  for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "Enter"]) press(sum, key);
  assert.equal(line(), `Pinned: ${describeCell(DATA, SETTINGS, 0, 1)}`);
  assert.equal(find(".be-map-cell .be-cursor:not([hidden])").length, 5);
  assert.equal(find(".be-map-pair .be-cursor:not([hidden])").length, 0);
  press(sum, "Escape");
  assert.match(line(), /^Hover shows/);
  assert.equal(find(".be-cursor:not([hidden])").length, 0);
  end();
});

test("what is pinned follows the switches", () => {
  const { find, press, line, box, end } = shown();
  press(find(".be-heat")[0], "Enter");
  flip(box("token"));
  assert.match(line(), /^Pinned: dog .* token off/);
  end();
});

test("typing asks Python once it has paused", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { model, el, end } = shown();
  const area = el.querySelector("textarea");
  for (const text of ["c", "cat"]) {
    area.value = text;
    area.dispatchEvent(new window.Event("input"));
    mock.timers.tick(5);
  }
  assert.equal(model.saved.length, 0);
  mock.timers.tick(120);
  assert.deepEqual(model.saved.map(({ text }) => text), ["cat"]);
  model.answer("data", data({ asked: ["cat", null], tokens: ["cat", "##s"], own: "cats" }));
  assert.equal(el.querySelector("[aria-busy]"), null);
  assert.match(el.querySelector(".be-status").textContent, /own tokenizer would write cats here/);
  end();
  mock.timers.reset();
});

test("a page without Python keeps its switches, and says that the text is fixed", () => {
  const { model, el, box, end } = shown({ kernel: false });
  assert.ok(el.querySelector("textarea").hasAttribute("readonly"));
  assert.match(el.textContent, /no Python behind it, so the text is fixed/);
  flip(box("token"));
  assert.match(el.querySelector(".be-verdict").textContent, /^31.3 %/);
  assert.equal(model.saved.length, 0);
  end();
});

test("two widgets leave each other alone, and after the clean-up nothing listens", () => {
  const [one, other] = [shown(), shown()];
  flip(one.box("segment"));
  assert.ok(other.box("segment").checked);
  one.end();
  other.end();
  assert.equal(one.model.listening + other.model.listening, 0);
  assert.equal(one.el.children.length, 0);
});
