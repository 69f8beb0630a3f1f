// The attention step on a page; that its numbers are the model's is in tests/test_attention_step.py.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import widget, {
  describe, describeChange, describeStage, rounding, softmax, step,
} from "../../bertedu/widgets/static/attention_step.js";
import { unpack } from "../../bertedu/widgets/static/shared.js";
import { Model, openPage, pack } from "./page.mjs";

const window = openPage();
const HOSTILE = "<img src=x onerror=alert(1)>";
const FIRST = { layer: 1, head: 1, token: 1, target: null, stage: 6, temperature: 1, scaled: true };
// Lesson 05's example in the second head: its queries, keys and values; in the first all is 0.
const PARTS = {
  query: [[2, 0], [0, 0], [1, 1]], key: [[1, 0], [0, 1], [1, 1]], value: [[10, 0], [0, 10], [5, 5]],
};
const PROBS = [[0.4458, 0.1084, 0.4458], [1 / 3, 1 / 3, 1 / 3], [0.2483, 0.2483, 0.5035]];
const LESSON = { ...FIRST, head: 2, token: 0 };

function state({ tokens = ["dog", "is", HOSTILE], settings = FIRST, ...more } = {}) {
  const count = tokens.length;
  const array = (rows, width) => {
    const second = tokens.flatMap((_, i) => rows[i].slice(0, width));
    return ["float32", [1, 2, count, width],
      new Uint8Array(Float32Array.from([...second.map(() => 0), ...second]).buffer)];
  };
  const header = {
    asked: ["dog is"], problem: "", first: FIRST, tokens, ids: tokens.map((_, i) => i), types: tokens.map(() => 0),
    special: tokens.map(() => false), ...more,
  };
  const arrays = Object.fromEntries(Object.entries(PARTS).map(([name, rows]) => [name, array(rows, 2)]));
  return { text: header.asked[0], settings, data: pack(header, { ...arrays, probs: array(PROBS, count) }) };
}

const DATA = unpack(state().data);

function shown(change, options) {
  const model = new Model(state(change), options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  const find = (selector) => [...el.querySelectorAll(selector)];
  const press = (node, key) => node.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true }));
  return { model, el, end, find, press, one: (selector) => el.querySelector(selector) };
}

const texts = (page, selector) => page.find(selector).map((node) => node.textContent);
const shares = (page) => texts(page, ".be-shares .be-row .be-number");
const near = (actual, expected, within = 1e-4) => {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= within, `${value} is not ${expected[i]}`));
};

test("the lesson's example, as computed on paper", () => {
  const { scores, divided, shares: of, output } = step(DATA, LESSON);
  assert.deepEqual(scores, [2, 0, 2]);
  near(divided, [Math.SQRT2, 0, Math.SQRT2], 1e-12);
  near(of, [0.4458, 0.1084, 0.4458]);
  near(output, [6.6872, 3.3128]);
  assert.ok(rounding(DATA, LESSON) < 1e-4);
  assert.ok(rounding(DATA, { ...LESSON, temperature: 3 }) < 1e-4); // as the model, however it stands
});

test("temperature and division change scores and shares", () => {
  near(step(DATA, { ...LESSON, scaled: false }).shares, softmax([2, 0, 2]), 1e-12);
  near(step(DATA, { ...LESSON, temperature: 4 }).shares, softmax([2, 0, 2].map((s) => s / Math.sqrt(2) / 4)), 1e-12);
  near(softmax([1000, 0, -1000]), [1, 0, 0], 1e-12);
});

test("what was changed is said in words", () => {
  const say = (change) => describeChange(DATA, { ...LESSON, ...change });
  assert.equal(say({}), "This is the model: temperature 1, the scores divided by √2.");
  assert.equal(say({ temperature: 2 }), "Temperature 2: the largest share (“dog”) falls from 44.6 % to 40.1 %.");
  assert.equal(say({ scaled: false }), "No division by √2: the largest share (“dog”) rises from 44.6 % to 46.8 %.");
  assert.equal(say({ temperature: 0.25, scaled: false }),
    "Temperature 0.25 and no division by √2: the largest share (“dog”) rises from 44.6 % to 50.0 %.");
  assert.equal(say({ token: 1, temperature: 4 }), "Temperature 4: the largest share (“dog”) stays at 33.3 %.");
  assert.equal(describe(DATA, LESSON, 2), `“dog” asks “${HOSTILE.replaceAll(" ", "␣")}” (position 2): score 2.00, divided 1.41, share 44.6 %`);
  assert.match(describeStage(DATA, { ...LESSON, stage: 3 }), /divided by 1\.41: “dog” has the largest, 1\.41/);
  assert.match(describeStage(DATA, { ...LESSON, stage: 3, scaled: false }), /^Nothing is divided/);
});

test("the slider and the switch recompute at once, and Python hears of it", async () => {
  const page = shown({ settings: LESSON });
  assert.deepEqual(shares(page), ["44.6 %", "10.8 %", "44.6 %"]);
  assert.ok(page.find(".be-model").every((node) => node.hidden));
  const slider = page.one("input[type=range]");
  slider.value = "2";
  slider.dispatchEvent(new window.Event("input", { bubbles: true }));
  assert.deepEqual(shares(page), ["40.1 %", "19.8 %", "40.1 %"]);
  assert.deepEqual(page.find(".be-model").map((node) => node.style.left.slice(0, 5)), ["44.58", "10.83", "44.58"]);
  assert.match(page.one(".be-change").textContent, /^Temperature 2: .* falls from 44\.6 % to 40\.1 %/);
  assert.equal(texts(page, ".be-shares .be-under")[0], "sum 100.0 %");
  page.one(".be-check input").click();
  assert.match(page.one(".be-change").textContent, /and no division by √2/);
  await new Promise((done) => setTimeout(done, 60));
  assert.deepEqual([page.model.get("settings").temperature, page.model.get("settings").scaled], [2, false]);
  page.find(".be-set .be-button")[0].click();
  assert.deepEqual(shares(page), ["44.6 %", "10.8 %", "44.6 %"]);
  page.end();
});

test("another token asks, another head answers", () => {
  const page = shown({ settings: { ...LESSON, token: 2 } });
  assert.deepEqual(shares(page), ["24.8 %", "24.8 %", "50.3 %"]);
  page.find("[aria-label='Tokens that ask'] button")[1].click();
  assert.deepEqual(shares(page), ["33.3 %", "33.3 %", "33.3 %"]);
  assert.equal(page.one(".be-names .be-over").textContent, "is\u00a0asks");
  page.find("[aria-label='Tokens that ask'] button")[0].click();
  const head = page.find("select")[1];
  head.value = "1";
  head.dispatchEvent(new window.Event("change", { bubbles: true }));
  assert.deepEqual(shares(page), ["33.3 %", "33.3 %", "33.3 %"]); // that head's numbers are all 0
  page.end();
});

test("stages hide what comes later", () => {
  const page = shown({ settings: { ...LESSON, stage: 1 } });
  const hidden = (selector) => page.find(selector).every((node) => node.classList.contains("be-later"));
  const seen = () => [".be-raw", ".be-fill", ".be-share-fill", ".be-values .be-under"].map((each) => !hidden(each));
  for (const [n, expected] of [[1, [false, false, false, false]], [2, [true, false, false, false]],
    [3, [true, true, false, false]], [4, [true, true, true, false]], [5, [true, true, true, false]],
    [6, [true, true, true, true]]]) {
    page.find(".be-stages .be-button")[n].click();
    assert.deepEqual(seen(), expected, `stage ${n}`);
    assert.equal(page.one(".be-change").textContent === "", n < 4);
    assert.match(page.one(".be-value, .be-values canvas").getAttribute("aria-label"), n < 5 ? /^value of/ : /^weighted value of/);
    assert.equal(page.find(".be-stages [aria-pressed=true]").length, 1);
  }
  page.end();
});

test("it plays from the first stage to the last, stops where the reader takes over, and ends with the view", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const page = shown({ settings: LESSON });
  const play = page.one(".be-play");
  const stage = () => page.find(".be-stages .be-button:not(.be-play)").findIndex((node) => node.getAttribute("aria-pressed") === "true") + 1;
  play.click();
  assert.equal(play.textContent, "■ Stop");
  const seen = [stage()];
  for (let n = 0; n < 7; n++) {
    mock.timers.tick(1800);
    seen.push(stage());
  }
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 6, 6]);
  assert.equal(play.textContent, "▶ Play");
  play.click();
  mock.timers.tick(1800);
  page.find(".be-stages .be-button")[4].click();
  mock.timers.tick(9000);
  assert.equal(stage(), 4);
  play.click();
  assert.equal(stage(), 5);
  play.click(); // stops
  mock.timers.tick(9000);
  assert.equal(stage(), 5);
  play.click();
  page.end();
  mock.timers.tick(9000);
  mock.timers.reset();
  assert.equal(page.model.listening, 0);
});

test("the arrow keys move along the tokens that answer, a click pins, Escape lets go", () => {
  const page = shown({ settings: LESSON });
  const names = page.find(".be-names button");
  names[0].focus();
  page.press(names[0], "ArrowDown");
  assert.equal(document.activeElement, names[1]);
  assert.equal(page.find(".be-keys .be-row.be-lit").length, 1);
  assert.match(page.one(".be-tooltip").textContent, /asks “is” \(position 1\): score 0\.00/);
  assert.match(names[1].getAttribute("aria-label"), /share 10\.8 %/);
  names[1].click();
  assert.match(page.one(".be-line").textContent, /^Pinned: “dog” asks “is”/);
  assert.equal(names[1].getAttribute("aria-pressed"), "true");
  names[1].blur();
  assert.deepEqual(page.find(".be-row.be-lit").map((node) => node.dataset.row), Array(5).fill("1"));
  page.press(page.el.firstChild, "Escape");
  assert.equal(page.find(".be-lit").length, 0);
  page.end();
});

test("another text lets the tokens go; hostile tokens are text", () => {
  const page = shown({ settings: { ...LESSON, token: 2, target: 2 } });
  assert.equal(page.find("img, script").length, 0);
  assert.ok(page.find(".be-names button")[2].textContent.includes("<img"));
  page.model.answer("data", state({ tokens: ["dog", "is"], asked: ["dog"] }).data);
  assert.equal(page.one(".be-names .be-over").textContent, "is\u00a0asks");
  assert.equal(page.find(".be-names button").length, 2);
  assert.equal(page.find(".be-lit").length, 0);
  page.end();
});

test("without Python everything but typing works, and nothing is sent", async () => {
  const page = shown({ settings: LESSON }, { kernel: false });
  assert.ok(page.one("textarea").hasAttribute("readonly"));
  page.find(".be-stages .be-button")[2].click();
  page.one(".be-check input").click();
  assert.equal(texts(page, ".be-divided")[0], "2.00");
  await new Promise((done) => setTimeout(done, 60));
  assert.equal(page.model.saved.length, 0);
  page.end();
});
