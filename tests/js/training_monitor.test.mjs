import assert from "node:assert/strict";
import { test } from "node:test";

import widget, {
  describe, drawn, duration, meanings, progress, range, thinOut,
} from "../../bertedu/widgets/static/training_monitor.js";
import { Model, openPage, pack } from "./page.mjs";

const window = openPage();
const HOSTILE = "<script>";

function data(change = {}, losses = {}) {
  const usual = [6.5, 0.7, 6.25, 0.5];
  const floats = (values = usual) => Buffer.from(new Float32Array(values).buffer);
  return pack({
    steps: 10, done: 2, state: "running", seconds_left: 75, smoothed_over: 20,
    curves: [
      { name: "MLM", baseline: 6.5, baseline_name: "unigram", held_out: [[2, 6]] },
      { name: "NSP", baseline: 0.69, baseline_name: "ln 2", held_out: [[2, 0.6]] },
    ],
    predictions: [[2, [["a [MASK]", ["sun", HOSTILE]]]]],
    ...change,
  }, {
    at: ["int32", [2], Buffer.from(new Int32Array([1, 2]).buffer)],
    raw: ["float32", [2, 2], floats(losses.raw)], smooth: ["float32", [2, 2], floats()],
  });
}

function shown(change, options, losses) {
  const model = new Model({ command: "run", data: data(change, losses) }, options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  return { model, el, end, buttons: [...el.querySelectorAll("button")] };
}

test("durations, ranges and rows", () => {
  assert.equal(duration(75), "1 min 15 s");
  assert.equal(duration(9.2), "10 s");
  const [low, high] = range([1, 3]);
  assert.ok(low < 1 && high > 3);
  assert.deepEqual(range([1, NaN, 3]), [low, high]); // a run that has diverged
  assert.deepEqual(thinOut([0, 1, 2, 3, 4, 5, 6], 3), [0, 3, 6]);
});

test("the time left is told while it runs only", () => {
  const run = { state: "running", done: 2, steps: 10, seconds_left: 75 };
  assert.equal(progress(run), "2 of 10 steps, running, about 1 min 15 s left");
  assert.equal(progress({ ...run, state: "stopped" }), "2 of 10 steps, stopped");
});

test("the key names what is there, and a run that was stopped fills its picture", () => {
  const curves = [{ held_out: [] }, { held_out: [] }];
  const names = (change) => meanings({ at: { values: [1] }, curves, smoothed_over: 20, ...change }).map(([, name]) => name);
  assert.deepEqual(names({}), ["each batch", "the mean of the last 20", "the baseline"]);
  assert.deepEqual(names({ at: { values: [] } }), ["the baseline"]);
  assert.ok(names({ curves: [{ held_out: [[2, 6]] }, { held_out: [] }] }).includes("held-out documents"));
  const run = { done: 20, steps: 1500 };
  assert.deepEqual(["running", "stopped"].map((state) => drawn({ ...run, state })), [1500, 20]);
  const { el, end } = shown({ state: "stopped" });
  const [place] = [...el.querySelectorAll("circle")].map((node) => Number(node.getAttribute("cx")));
  assert.equal(place, 440 - 112); // the last step stands at the right end
  assert.match(el.textContent, /2 steps/);
  end();
});

test("a step is described by both losses", () => {
  const values = [6.5, 0.7, 6.25, 0.5];
  assert.equal(describe({
    at: { values: [1, 2] }, raw: { values }, smooth: { values }, smoothed_over: 20,
    curves: [{ name: "MLM" }, { name: "NSP" }],
  }, 1), "Step 2: MLM 6.25 nats, mean of the last 20 6.25; NSP 0.50 nats, mean of the last 20 0.50");
});

test("the buttons tell Python, which answers with its data", () => {
  const { model, el, buttons: [pause, stop], end } = shown();
  pause.click();
  assert.equal(pause.textContent, "Continue"); // before the answer
  model.answer("command", "pause");
  assert.equal(pause.textContent, "Continue");
  pause.click();
  model.answer("command", "run");
  assert.equal(pause.textContent, "Pause");
  stop.click();
  assert.deepEqual(model.sent.map(({ command }) => command), ["pause", "run", "stop"]);
  assert.ok(stop.disabled);
  assert.match(el.textContent, /stopping after this step/);
  end();
  assert.equal(el.children.length, 0);
});

test("a batch far outside leaves the frame, which cuts it", () => {
  const { el, end } = shown({ curves: [
    { name: "MLM", baseline: 6.4, baseline_name: "unigram", held_out: [] },
    { name: "NSP", baseline: 0.69, baseline_name: "ln 2", held_out: [] },
  ], steps: 2 }, {}, { raw: [60, 0.7, 6.25, 0.5] });
  const line = el.querySelector(".be-raw");
  const [, first] = line.getAttribute("d").match(/^M\S+ (\S+)L/);
  assert.equal(line.parentNode.tagName.toLowerCase(), "svg");
  assert.ok(Number(first) < Number(line.parentNode.getAttribute("y")) - 100, first);
  end();
});

test("an update leaves the pictures where they are, and what is pointed at", () => {
  const { model, el, end } = shown();
  const before = [...el.querySelectorAll(".be-curve")];
  before[0].getBoundingClientRect = () => ({ left: 0, width: 440 });
  before[0].dispatchEvent(new window.MouseEvent("pointermove", { bubbles: true, clientX: 60 }));
  const line = el.querySelector(".be-foot .be-line").textContent;
  assert.match(line, /^Step \d/);
  model.answer("data", model.get("data"));
  assert.deepEqual([...el.querySelectorAll(".be-curve")], before);
  assert.equal(el.querySelector(".be-foot .be-line").textContent, line);
  assert.ok(before[0].querySelector(".be-smooth"));
  end();
});

test("without a kernel nothing can be stopped, and text is never markup", () => {
  const { el, buttons: [pause, stop] } = shown({}, { kernel: false });
  assert.ok(pause.disabled && stop.disabled);
  assert.equal(el.querySelector("script"), null);
  assert.ok(el.textContent.includes(HOSTILE));
  assert.ok(el.textContent.includes("unigram 6.50") && el.textContent.includes("held out 0.60"));
});
