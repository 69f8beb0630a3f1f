// The journey in a page without a browser; that its numbers are Python's is in
// tests/test_journey.py and tests/browser/test_journey.py.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import widget, {
  attention, columns, cosine, describe, describeFate, describeRelation, describeVerdict, guesses, largest,
} from "../../bertedu/widgets/static/journey.js";
import { unpack } from "../../bertedu/widgets/static/shared.js";
import { Model, openPage, pack } from "./page.mjs";

openPage();
globalThis.requestAnimationFrame = (action) => { action(); return 0; };
globalThis.cancelAnimationFrame = () => {};
const HOSTILE = "<img src=x onerror=alert(1)>";
const FIRST = { layer: 1, head: 0, compare: "input", roll: 0, token: null };
const floats = (...values) => Buffer.from(Float32Array.from(values).buffer);
const near = (values, expected) =>
  values.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-6, `${value} is not ${expected[i]}`));

/** Three tokens through two layers of two heads; the last is segment B. */
function data(change = {}) {
  const head = (a, b) => [a, 1 - a, 0, 0, b, 1 - b, 0, 0, 1];
  return pack({
    asked: ["dog", "he"], problem: "", first: FIRST, size: 8, mask_id: 103, drawn: 400,
    tokens: ["dog", "[MASK]", HOSTILE], ids: [3899, 103, 100], types: [0, 0, 1], special: [false, true, false],
    follows: 0.75, guesses: [["dog", "cat"], ["math", "dog"], [".", "dog"]], scales: [0.5, 1],
    rolls: [
      [{ position: 0, fate: 2, token: "moon", id: 1, guess: "dog", probability: 0.5, truth: 0.5 }],
      [{ position: 2, fate: 1, token: "[MASK]", id: 103, guess: ".", probability: 0.25, truth: 0.125 }],
    ],
    answers: { classification: ["positive 93.1 %", HOSTILE] }, ...change,
  }, {
    terms: ["float32", [5, 3, 2], floats(...Array.from({ length: 30 }, (_, i) => i / 10))],
    lengths: ["float32", [4, 3], floats(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)],
    attention: ["float32", [2, 2, 3, 3], floats(...head(0.5, 0.25), ...head(0.75, 0.75), ...head(1, 0), ...head(0, 0))],
    cosines: ["float32", [3, 3, 3], floats(...Array.from({ length: 27 }, (_, i) => i / 100))],
    to_input: ["float32", [3, 3], floats(1, 1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, -0.4)],
    to_before: ["float32", [2, 3], floats(0.9, 0.8, 0.7, 0.95, 0.85, 0.75)],
    probs: ["float32", [3, 2], floats(0.9, 0.05, 0.5, 0.25, 0.3, 0.2)],
  });
}
const DATA = unpack(data());

function shown(options, change, settings = {}) {
  const model = new Model({
    text: "dog", pair: "he", settings: { ...FIRST, ...settings }, data: data(change),
  }, options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  const find = (selector) => [...el.querySelectorAll(selector)];
  const button = (text) => find("button").find((node) => node.textContent === text);
  const press = (node, key) => node.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true }));
  const over = (node) => node.dispatchEvent(new window.Event("pointerover", { bubbles: true }));
  const token = (i) => find(".be-panel-1 [data-token]")[i];
  return { model, el, end, find, button, press, over, token, line: () => el.querySelector(".be-line").textContent };
}

test("columns are large where all fits, small where small type does, else wider than the room", () => {
  const dogs = ["[CLS]", "my", "dog", "[SEP]"];
  assert.equal(columns(dogs, 800).mode, "large");
  assert.equal(columns(dogs, 200).mode, "small");
  for (const room of [100, 190, 200, 300, 1200]) {
    const { mode, widths } = columns(dogs, room);
    const fits = widths.reduce((a, b) => a + b) <= room + 1e-9;
    assert.equal(fits, mode !== "scroll", `${room}`);
    assert.ok(widths.every((width, i) => width > 7.83 * dogs[i].length), "no piece is cut");
  }
});

test("a head is Python's, and head 0 the mean of all", () => {
  near([...attention(DATA, { layer: 1, head: 1 })], [0.5, 0.5, 0, 0, 0.25, 0.75, 0, 0, 1]);
  near([...attention(DATA, { layer: 2, head: 0 })], [0.5, 0.5, 0, 0, 0, 1, 0, 0, 1]);
});

test("cosines: to the input, to the layer before, to the lit token", () => {
  near([cosine(DATA, "input", 2, 2), cosine(DATA, "before", 2, 0), cosine(DATA, "token", 1, 2, 1)], [-0.4, 0.95, 0.14]);
  assert.equal(cosine(DATA, "before", 0, 0), null);
  assert.equal(cosine(DATA, "token", 0, 0, null), null);
});

test("in words", () => {
  assert.deepEqual(largest([0.1, 0.7, 0.2], 2), [1, 2]);
  near(guesses(DATA, 1).map(([, p]) => p), [0.5, 0.25]);
  assert.equal(describeFate(DATA, FIRST, 0), "chosen, becomes the random “moon”; there the model says “dog” 50.0 % ✓");
  assert.equal(describeFate(DATA, FIRST, 1), "never chosen");
  assert.equal(describeFate(DATA, FIRST, 2), "not chosen");
  assert.match(describeFate(DATA, { ...FIRST, roll: 1 }, 2), /^chosen, becomes \[MASK\]; there the model says “.” 25.0 % ✗, and 12.5 % the true “<img/);
  assert.equal(describeVerdict(DATA), "✓ B follows A, says the next-sentence head: 75.0 % that it follows, 25.0 % that it is random.");
  assert.match(describeVerdict({ follows: 0.25, types: [0, 1] }), /^✗ B is random, .* 25.0 % that it follows/);
  assert.match(describeVerdict({ follows: null, types: [0, 1] }), /no next-sentence head/);
  assert.match(describeVerdict({ follows: null, types: [0] }), /all segment A/);
  assert.equal(describeRelation(DATA, FIRST, 0, 1),
    "“dog” asks “[MASK]”: 37.5 %; “[MASK]” asks “dog”: 0.0 % (layer 1, mean of 2 heads); cosine after layer 1: 0.10");
  assert.equal(describe(DATA, FIRST, 0),
    "dog: id 3899 · roll 1: chosen, becomes the random “moon”; there the model says “dog” 50.0 % ✓ · segment A · " +
    "position 0; lengths: token 1.00, segment 4.00, position 7.00, sum 10.00 · layer 1, mean of 2 heads: asks dog 62.5 %, " +
    "[MASK] 37.5 %, <img␣src=x␣onerror=alert(1)> 0.0 % · after layer 2: cosine 0.60 to its input, 0.95 to the layer before · " +
    "masked-LM head: dog 90.0 %, cat 5.0 %");
});

test("hostile text is shown as text, in tokens and in a case's answer", () => {
  const { el, find, end } = shown();
  assert.equal(el.querySelector("img"), null);
  assert.ok(el.textContent.includes(HOSTILE));
  assert.ok(find(".be-card").at(-1).textContent.includes("positive 93.1 %"));
  assert.ok(!/undefined|NaN|null|\[object|\bfalse\b/.test(el.textContent));
  end();
});

test("hovering a token lights it at all seven stations, and says its numbers", () => {
  const { find, over, token, line, el, end } = shown();
  assert.match(line(), /^Point at a token/);
  over(token(0));
  for (let panel = 1; panel <= 7; panel++) {
    assert.ok(find(`.be-panel-${panel} .be-lit`).length || panel === 4, `panel ${panel}`);
  }
  assert.equal(find(".be-beam")[0].hidden, false); // it passes through the fourth, which is canvases
  assert.equal(line(), describe(DATA, FIRST, 0));
  assert.deepEqual(find(".be-shares .be-cell").map((node) => node.textContent), ["62.5", "37.5", "0.0"]);
  assert.match(el.querySelector(".be-card").textContent, /“dog”, position 0dog90.0 %cat5.0 %/);
  el.querySelector(".be-rails").dispatchEvent(new window.Event("pointerleave"));
  assert.match(line(), /^Point at a token/);
  assert.equal(find(".be-lit").length, 0);
  end();
});

test("a click pins, the pinned follows the choices, another token is compared, Escape lets go", () => {
  const { find, over, token, line, button, press, el, end } = shown();
  token(0).click();
  assert.match(line(), /^Pinned: dog: id 3899/);
  over(find(".be-panel-7 [data-token='0'].be-cell")[0]);
  assert.equal(el.querySelector(".be-tooltip").textContent, "“dog”: the model's guesses are dog 90.0 %, cat 5.0 %");
  assert.equal(token(0).getAttribute("aria-pressed"), "true");
  find('[aria-label="layer 2"]')[0].click();
  assert.match(line(), /layer 2, mean of 2 heads: asks dog 50.0 %/);
  find('[aria-label="head 1"]')[0].click();
  assert.match(line(), /layer 2, head 1: asks dog 100.0 %/);
  over(token(1));
  assert.equal(el.querySelector(".be-tooltip").textContent, describeRelation(DATA, { ...FIRST, layer: 2, head: 1 }, 0, 1));
  assert.match(line(), /^\[MASK\]: id 103/);
  assert.equal(find(".be-held")[0].hidden, false);
  button("the lit token").click();
  assert.equal(find(".be-state[data-stage='1']")[2].textContent, ""); // a strip of colours
  find(".be-panel-6 .be-head")[0].click();
  assert.equal(find(".be-state[data-stage='1']")[2].textContent, "0.14");
  find(".be-panel-6 .be-head")[0].click();
  press(token(1), "Escape");
  assert.match(line(), /^Point at a token/);
  assert.equal(find("[data-token][aria-pressed='true']").length, 0);
  end();
});

test("a station opens in place, one at a time, by its head; Escape closes it, then lets the token go", () => {
  const { find, press, token, line, el, end } = shown();
  const heads = find(".be-head");
  const opened = () => heads.flatMap((head, n) => (head.getAttribute("aria-expanded") === "true" ? [n + 1] : []));
  const shownExtras = () => find(".be-about").flatMap((node, n) => (node.hidden ? [] : [n + 1]));
  assert.equal(heads.length, 7);
  assert.deepEqual([opened(), shownExtras()], [[], []]);
  token(1).click(); // the sentence row only chooses
  assert.deepEqual(opened(), []);
  for (const n of [5, 7]) {
    heads[n - 1].click(); // as Enter does
    assert.deepEqual([opened(), shownExtras()], [[n], [n]]);
  }
  assert.equal(el.querySelector(".be-cards").hidden, false);
  assert.equal(find('[aria-label="Layer"]')[0].closest(".be-actions").hidden, true);
  find(".be-card")[0].tabIndex = -1;
  find(".be-card")[0].focus();
  press(document.activeElement, "Escape");
  assert.deepEqual(opened(), []);
  assert.equal(document.activeElement, heads[6]);
  assert.match(line(), /^Pinned: \[MASK\]/);
  press(heads[6], "Escape");
  assert.match(line(), /^Point at a token/);
  end();
});

test("a click on a strip opens it, and pins the token of that column", () => {
  const { find, line, end } = shown();
  const open = (n) => find(".be-head")[n - 1].getAttribute("aria-expanded");
  find(".be-shares .be-cell")[0].click();
  assert.deepEqual([open(5), line().slice(0, 11)], ["true", "Pinned: dog"]);
  find(".be-state")[0].click(); // the same token in another strip: it stays pinned
  assert.deepEqual([open(5), open(6), line().slice(0, 11)], ["false", "true", "Pinned: dog"]);
  find(".be-state")[0].click(); // in the open one a second click lets it go
  assert.deepEqual([open(6), line().slice(0, 7)], ["true", "Point a"]);
  find(".be-verdict")[0].click();
  assert.equal(open(3), "true");
  end();
});

test("the keyboard is enough: arrows light, a click (Enter) pins", () => {
  const { token, press, line, end } = shown();
  token(0).focus();
  press(token(0), "ArrowRight");
  assert.equal(document.activeElement, token(1));
  assert.match(line(), /^\[MASK\]: id 103/);
  press(token(1), "End");
  token(2).click();
  assert.match(line(), /^Pinned: <img/);
  end();
});

test("the rolls go round, and Python is told later, for the saved picture", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { button, find, model, end } = shown();
  const fates = () => find(".be-panel-2 .be-chip").map((node) => node.textContent);
  assert.deepEqual(fates(), ["dogmoonrandom"].map((text) => text.replace("dogmoon", "dog moon")));
  button("Another roll").click();
  assert.deepEqual(fates(), ["[MASK]masked"]);
  button("Another roll").click();
  assert.equal(fates().length, 1);
  button("Another roll").click();
  assert.equal(model.saved.length, 0);
  mock.timers.tick(150);
  assert.deepEqual(model.saved.map(({ settings }) => settings.roll), [1]);
  end();
  mock.timers.reset();
});

test("what the model says of the rolls comes after the rest, and counts for its own tokens only", () => {
  const silent = DATA.rolls.map(([place]) => [{ ...place, guess: null, probability: null, truth: null }]);
  const said = (change) => pack({ ids: DATA.ids, types: DATA.types, rolls: DATA.rolls, ...change });
  const { el, find, model, token, line, end } = shown({}, { rolls: silent });
  const told = () => find(".be-panel-2 .be-guess").map((node) => node.textContent);
  token(0).click();
  assert.match(line(), /roll 1: chosen, becomes the random “moon” ·/);
  model.answer("said", said({ ids: [1, 2, 3] }));
  model.answer("said", said({ types: [0, 1, 1] }));
  assert.deepEqual(told(), []);
  model.answer("said", said());
  assert.deepEqual(told(), ["✓"]);
  assert.match(line(), /^Pinned: .*there the model says “dog” 50.0 % ✓ ·/);
  model.answer("data", data({ rolls: silent, problem: "Too long." }));
  assert.deepEqual(told(), ["✓"]); // the picture stays, with all of it
  model.answer("data", data({ rolls: silent, ids: [3899, 103, 101], asked: ["cat", "he"] }));
  assert.deepEqual(told(), []);
  assert.equal(el.querySelectorAll(".be-panel-2 .be-chip").length, 1);
  end();
});

test("Python's settings are followed", () => {
  const { model, line, end } = shown();
  model.answer("settings", { ...FIRST, token: 1, head: 2 });
  assert.match(line(), /^Pinned: \[MASK\].*layer 1, head 2/);
  end();
});

test("without heads, and without a pair, it says so", () => {
  const { el, end } = shown({}, { guesses: [[], [], []], follows: null, types: [0, 0, 0] });
  assert.match(el.textContent, /This checkpoint has none\./);
  assert.match(el.textContent, /Type a second one/);
  end();
});

test("typing asks Python once it has paused; a page without Python says why it does not", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { model, el, end } = shown();
  const area = el.querySelector("textarea");
  area.value = "cat";
  area.dispatchEvent(new window.Event("input"));
  mock.timers.tick(150);
  assert.deepEqual(model.saved.map(({ text }) => text), ["cat"]);
  model.answer("data", data({ asked: ["cat", "he"], tokens: ["cat", "[MASK]", "he"] }));
  assert.match(el.querySelector(".be-panel-1").textContent, /cat/);
  end();
  const still = shown({ kernel: false });
  assert.ok(still.el.querySelector("textarea").hasAttribute("readonly"));
  assert.match(still.el.textContent, /no Python behind it, so the text is fixed/);
  still.token(0).click();
  assert.match(still.line(), /^Pinned: dog/);
  mock.timers.tick(500);
  assert.equal(still.model.saved.length, 0);
  still.token(0).click(); // again: lets go
  assert.equal(still.token(0).getAttribute("aria-pressed"), "false");
  still.end();
  mock.timers.reset();
});

test("two widgets leave each other alone, and after the clean-up nothing listens", () => {
  const [one, other] = [shown(), shown()];
  one.token(0).click();
  assert.match(other.line(), /^Point at a token/);
  one.end();
  other.end();
  assert.equal(one.model.listening + other.model.listening, 0);
  assert.equal(one.el.children.length, 0);
});
