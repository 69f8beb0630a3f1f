// The pair explorer on a page; that its numbers are the model's is in tests/test_pair_explorer.py.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import widget, {
  addTry, besideOthers, changeBetween, describeEdit, placeInTriangle, wordsOf,
} from "../../bertedu/widgets/static/pair_explorer.js";
import { Model, openPage, pack } from "./page.mjs";

const window = openPage();
const HOSTILE = "<img src=x onerror=alert(1)>";
const PAIR = ["the cute dog", "a dog is outside"];
const bytes = (...values) => new Uint8Array(Float64Array.from(values).buffer);

function state({ tries = [], shares = [0.7, 0.2, 0.1], ...change } = {}) {
  const header = {
    asked: PAIR, shown: PAIR, problem: "", first: { pinned: null }, tries, most_tries: 12,
    labels: ["entailment", "contradiction", "neutral"], notes: ["true", "false", "unknown"], ...change,
  };
  return {
    premise: header.asked[0], hypothesis: header.asked[1], tries, settings: { pinned: null },
    data: pack(header, {
      probabilities: ["float64", [3], bytes(...shares)],
      alone: ["float64", [3], bytes(0.25, 0.5, 0.25)],
      trail: ["float64", [tries.length, 3], bytes(...tries.flatMap((_, n) => [0.1 * n, 1 - 0.1 * n, 0]))],
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
  const type = (box, text) => {
    box.value = text;
    box.dispatchEvent(new window.Event("input", { bubbles: true }));
  };
  return { model, el, end, find, press, type, one: (selector) => el.querySelector(selector) };
}

test("a probability of 1 lies in its corner, equal ones in the middle", () => {
  const corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map(placeInTriangle);
  assert.ok(corners[0].y < corners[1].y && corners[1].y === corners[2].y);
  assert.ok(corners[1].x < corners[0].x && corners[0].x < corners[2].x);
  const middle = placeInTriangle([1 / 3, 1 / 3, 1 / 3]);
  for (const axis of ["x", "y"]) {
    const mean = corners.reduce((sum, corner) => sum + corner[axis], 0) / 3;
    assert.ok(Math.abs(middle[axis] - mean) < 1e-9);
  }
});

test("an edit is told by the words that changed", () => {
  assert.deepEqual(changeBetween("a dog is outside", "a dog is inside now"), { from: "outside", to: "inside now" });
  assert.deepEqual(changeBetween("a a", "a a a"), { from: "", to: "a" });
  assert.deepEqual(changeBetween("a dog", "dog"), { from: "a", to: "" });
  assert.equal(changeBetween(" a  dog", "a dog"), null);
  assert.equal(describeEdit(["p", "a dog"], ["p", "a cat"]), "B: dog → cat");
  assert.equal(describeEdit(["p q", "a"], ["p", ""]), "A: q → (nothing); B: a → (nothing)");
  assert.equal(describeEdit(["p", "a"], ["p", "a"]), "the same words");
});

test("the trail has no doubles at its end, and an end", () => {
  assert.deepEqual(addTry([["a", "b"]], ["a", "b"], 3), [["a", "b"]]);
  assert.deepEqual(addTry([["1", ""], ["2", ""], ["3", ""]], ["4", ""], 3), [["2", ""], ["3", ""], ["4", ""]]);
});

test("words know where they stand", () => {
  assert.deepEqual(wordsOf(" a  dog🐶"), [{ word: "a", start: 1, end: 2 }, { word: "dog🐶", start: 4, end: 9 }]);
});

test("a clicked word is chosen in its box, so that typing replaces it", () => {
  const page = shown();
  page.find(".be-words-b .be-word")[3].click();
  const box = page.find("textarea")[1];
  assert.equal(box.value.slice(box.selectionStart, box.selectionEnd), "outside");
  page.end();
});

test("the pair that was looked at becomes a try when an edit begins, those passed while typing do not", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const page = shown();
  const box = page.find("textarea")[1];
  for (const text of ["a dog is i", "a dog is in", "a dog is inside"]) {
    page.type(box, text);
    mock.timers.tick(200);
    page.model.answer("data", state({ asked: [PAIR[0], text], shown: [PAIR[0], text], tries: [PAIR] }).data);
  }
  assert.deepEqual(page.model.saved.at(-1).tries, [PAIR]);
  assert.equal(page.model.saved.at(-1).hypothesis, "a dog is inside");
  mock.timers.tick(2000); // the reader looks
  page.type(box, "a cat is inside");
  mock.timers.tick(200);
  assert.deepEqual(page.model.saved.at(-1).tries, [PAIR, [PAIR[0], "a dog is inside"]]);
  page.model.answer("data", state({
    asked: [PAIR[0], "a cat is inside"], shown: [PAIR[0], "a cat is inside"], tries: [PAIR, [PAIR[0], "a dog is inside"]],
  }).data);
  assert.equal(page.press(box, "Enter"), false); // no new line: the end of the edit
  page.type(box, "a cow is inside");
  mock.timers.tick(200);
  assert.equal(page.model.saved.at(-1).tries.length, 3);
  page.end();
  mock.timers.reset();
});

test("marks of equal numbers stand beside each other, inwards; the hidden one has a line to its point", () => {
  const [taken, corner] = [[], placeInTriangle([0, 1, 0])];
  const free = [0, 1, 2].map(() => besideOthers(corner, taken));
  assert.equal(free[0], corner.x);
  assert.ok(free[1] - free[0] > 20 && free[2] - free[1] > 20, free.join());
  const right = placeInTriangle([0, 0, 1]);
  assert.ok(besideOthers(right, [{ x: right.x - 3, y: right.y }]) < right.x - 20);
  const page = shown(undefined, { shares: [0, 1, 0], tries: [PAIR] }); // where the pair is now, too
  const [line] = page.find(".be-lead");
  assert.equal(line.getAttribute("d"), `M${corner.x.toFixed(1)} ${corner.y.toFixed(1)}H${(corner.x + 21).toFixed(1)}`);
});

test("the point, the trail and the hypothesis alone are drawn where their numbers say", () => {
  const page = shown(undefined, { tries: [PAIR, [PAIR[0], "a cat"]] });
  const at = (selector) => page.one(selector).getAttribute("transform").match(/[\d.]+/g).map(Number);
  const near = ([x, y], point) => assert.ok(Math.hypot(x - point.x, y - point.y) < 0.1);
  near(at('.be-mark[data-place="now"]'), placeInTriangle([0.7, 0.2, 0.1]));
  near(at('.be-mark[data-place="-1"]'), placeInTriangle([0.25, 0.5, 0.25]));
  near(at('.be-mark[data-place="1"]'), placeInTriangle([0.1, 0.9, 0]));
  const rows = page.find("tbody tr").map((row) => [...row.children].map((cell) => cell.textContent));
  assert.deepEqual(rows, [
    ["1", "the first pair", "0.0 %", "100.0 %", "0.0 %"],
    ["2", "B: dog is outside → cat", "10.0 %", "90.0 %", "0.0 %"],
    ["●", "B: cat → dog is outside", "70.0 %", "20.0 %", "10.0 %"],
    ["◆", "the hypothesis alone, without a premise", "25.0 %", "50.0 %", "25.0 %"],
  ]);
  page.end();
});

test("a point in a corner covers no label", () => {
  const page = shown(undefined, { tries: [PAIR] });
  const far = 10 + 4 / 2; // a point's radius, and its line
  const corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map(placeInTriangle);
  page.find("text.be-corner").forEach((label, k) => {
    const gap = Number(label.getAttribute("y")) - corners[k].y;
    if (k) assert.ok(gap - 14 * 0.8 > far, "letters stand on their line");
    else assert.ok(-gap - 14 * 0.25 > far, "and reach a little below it");
  });
  page.end();
});

test("a try is pinned by a click, its words can be put back, Escape lets go", () => {
  const page = shown(undefined, { tries: [[PAIR[0], "a cat is outside"]] });
  page.one('.be-try[data-place="0"]').click();
  assert.match(page.one(".be-line").textContent, /^Pinned: “the cute dog” \/ “a cat is outside”: entailment 0\.0 %/);
  assert.deepEqual([page.model.get("pins"), page.model.saved.length], [{ pinned: 0 }, 0]);
  page.find(".be-foot button")[0].click();
  assert.equal(page.find("textarea")[1].value, "a cat is outside");
  assert.deepEqual(page.model.get("tries"), [[PAIR[0], "a cat is outside"], PAIR]);
  page.one('.be-try[data-place="-1"]').click();
  assert.match(page.one(".be-line").textContent, /^Pinned: the hypothesis alone: .*without knowing the premise/);
  page.press(page.one(".be-try"), "Escape");
  assert.match(page.one(".be-line").textContent, /^Hover shows/);
  page.end();
});

test("what Python pins is pinned, if it is there", () => {
  const page = shown(undefined, { tries: [[PAIR[0], "a cat"]] });
  page.model.answer("settings", { pinned: 0 });
  assert.match(page.one(".be-line").textContent, /^Pinned: “the cute dog” \/ “a cat”/);
  page.model.answer("settings", { pinned: 7 });
  assert.match(page.one(".be-line").textContent, /^Pinned: “the cute dog” \/ “a cat”/);
  page.model.answer("settings", { pinned: null });
  assert.match(page.one(".be-line").textContent, /^Hover shows/);
  page.end();
});

test("hostile texts are text; without Python nothing can be edited; leaving cleans up", () => {
  const page = shown({ kernel: false }, { asked: [HOSTILE, HOSTILE], shown: [HOSTILE, HOSTILE], tries: [[HOSTILE, "<b>"]] });
  assert.equal(page.find("img, b").length, 0);
  assert.ok(page.find(".be-word").every((node) => node.disabled));
  assert.match(page.one(".be-status").textContent, /no Python behind it/);
  page.one('.be-try[data-place="0"]').click();
  assert.match(page.one(".be-line").textContent, /^Pinned/);
  assert.ok(page.find(".be-foot button")[0].hidden);
  page.end();
  assert.equal(page.el.children.length, 0);
  assert.equal(page.model.listening, 0);
});
