import assert from "node:assert/strict";
import { test } from "node:test";

import {
  PALETTE, chip, contrast, debounce, defineWidget, diverging, element, hasKernel, inkOn, isDark, nearLimit,
  placeByKey, percent, pictureOf, roving, sequential, textFields, unpack, visible, whySilent,
} from "../../bertedu/widgets/static/shared.js";
import { Model, openPage, pack } from "./page.mjs";

const window = openPage();
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

test("arrays arrive as they were sent, float16 included", () => {
  const halves = Uint16Array.of(0x3c00, 0xc000, 0x3555, 0x0001, 0x7c00, 0xfc00, 0x8000);
  const { name, probs, ids } = unpack(pack({ name: "dog" }, {
    ids: ["int32", [3], new Uint8Array(Int32Array.of(101, -100, 30521).buffer)],
    probs: ["float16", [7], new Uint8Array(halves.buffer)],
  }));
  assert.equal(name, "dog");
  assert.deepEqual([...ids.values], [101, -100, 30521]);
  const [one, minusTwo, third, smallest, ...rest] = probs.values;
  assert.deepEqual([one, minusTwo], [1, -2]);
  assert.ok(Math.abs(third - 0.333251953125) < 1e-9);
  assert.equal(smallest, 2 ** -24);
  assert.deepEqual(rest, [Infinity, -Infinity, -0]);
});

test("a block need not start at the beginning of its buffer", () => {
  const { buffer } = pack({ tokens: ["a"] }, { ids: ["uint8", [2], Uint8Array.of(7, 9)] });
  const shifted = new Uint8Array(buffer.byteLength + 3);
  shifted.set(new Uint8Array(buffer), 3);
  const { tokens, ids } = unpack(new DataView(shifted.buffer, 3));
  assert.deepEqual([tokens, [...ids.values]], [["a"], [7, 9]]);
});

test("probabilities run from the light end to the dark one, and not beyond", () => {
  assert.deepEqual(sequential(0), rgb(PALETTE.sequential[0]));
  assert.deepEqual(sequential(1), rgb(PALETTE.sequential.at(-1)));
  assert.deepEqual(sequential(7), sequential(1));
  assert.deepEqual(sequential(-1), sequential(0));
  const lightness = [0, 0.25, 0.5, 0.75, 1].map((p) => contrast(sequential(p), [0, 0, 0]));
  assert.deepEqual(lightness, lightness.toSorted((a, b) => b - a));
});

test("signed values are neutral at zero and symmetric in reach", () => {
  assert.deepEqual(diverging(0, 3), diverging(0, 100));
  assert.deepEqual(diverging(3, 3), diverging(9, 9));
  assert.deepEqual(diverging(0, 0), diverging(0, 1));
  assert.notDeepEqual(diverging(-1, 1), diverging(1, 1));
});

test("contrast is what WCAG says, and ink can be read on every colour", () => {
  assert.ok(Math.abs(contrast([0, 0, 0], [255, 255, 255]) - 21) < 1e-9);
  assert.equal(contrast([9, 9, 9], [9, 9, 9]), 1);
  for (let value = 0; value <= 1; value += 0.01) {
    for (const color of [sequential(value), diverging(2 * value - 1, 1)]) {
      assert.ok(contrast(color, rgb(inkOn(color))) >= 4.5, `${color}`);
    }
  }
});

test("text, segments and outlines can be read in both themes", () => {
  for (const theme of ["light", "dark"]) {
    const colors = PALETTE[theme];
    for (const name of ["ink", "dim"]) {
      for (const ground of ["paper", "chip"]) {
        assert.ok(contrast(rgb(colors[name]), rgb(colors[ground])) >= 4.5, `${theme} ${name}`);
      }
    }
    for (const name of ["segment-a", "segment-b"]) {
      assert.ok(contrast(rgb(colors[name]), rgb(colors.paper)) >= 3, `${theme} ${name}`);
    }
  }
});

test("numbers are written one way", () => {
  assert.deepEqual([0, 0.1234, 1].map(percent), ["0.0 %", "12.3 %", "100.0 %"]);
});

test("every character can be seen", () => {
  const all = [" ", "\n", "\u200d", "\u0000", "é", "\u0301", "犬", "\u202e"].map(visible);
  assert.deepEqual(all, ["␣", "↵", "U+200D", "U+0000", "é", "◌\u0301", "犬", "U+202E"]);
});

test("strings become text, never markup", () => {
  const hostile = "<img src=x onerror=alert(1)>";
  const node = element("p", { title: hostile }, hostile, element("b", {}, "bold"), null);
  assert.equal(node.textContent, `${hostile}bold`);
  assert.deepEqual([...node.children].map((child) => child.tagName), ["B"]);
  const drawn = chip({ token: hostile, id: 5, segment: 1 });
  assert.equal(drawn.querySelector("img"), null);
  assert.equal(drawn.querySelector(".be-piece").textContent.replaceAll("␣", " "), hostile);
});

test("a continuation touches the chip before it, a special token does not", () => {
  const kinds = (thing) => chip(thing).className;
  assert.match(kinds({ token: "##ing", segment: 0 }), /be-continues.*be-segment-a/);
  assert.doesNotMatch(kinds({ token: "##" }), /be-continues/);
  assert.doesNotMatch(kinds({ token: "##x", special: true }), /be-continues/);
  assert.match(kinds({ token: "[SEP]", special: true }), /be-special/);
  assert.equal(chip({ token: "##ing" }).textContent, "##ing");
});

test("listeners end with their signal", () => {
  const ending = new window.AbortController();
  let clicks = 0;
  const button = element("button", { on: { click: () => (clicks += 1) }, signal: ending.signal });
  button.click();
  ending.abort();
  button.click();
  assert.equal(clicks, 1);
});

test("the arrow keys move within a row and stop at its ends", () => {
  assert.deepEqual(
    ["ArrowLeft", "ArrowRight", "Home", "End"].map((key) => placeByKey(key, 0, 3)), [0, 1, 0, 2]);
  assert.equal(placeByKey("ArrowRight", 2, 3), 2);
  assert.equal(placeByKey("a", 0, 3), undefined);
  assert.equal(placeByKey("End", 0, 0), undefined);
  const row = element("div", {}, ...["a", "b", "c"].map((name) => element("button", {}, name)));
  document.body.append(row);
  roving(row, new AbortController().signal);
  const buttons = [...row.children];
  assert.deepEqual(buttons.map((button) => button.tabIndex), [0, -1, -1]);
  buttons[0].focus();
  const event = new window.KeyboardEvent("keydown", { key: "End", bubbles: true, cancelable: true });
  buttons[0].dispatchEvent(event);
  assert.equal(document.activeElement, buttons[2]);
  assert.deepEqual(buttons.map((button) => button.tabIndex), [-1, -1, 0]);
  row.remove();
});

test("what is hidden is no stop of the Tab key, and the arrow keys pass it by", () => {
  const row = document.createElement("div");
  row.append(...["a", "b", "c", "d"].map((text) => Object.assign(document.createElement("button"), { textContent: text })));
  document.body.append(row);
  const settle = roving(row, new AbortController().signal);
  const [a, b, c, d] = row.children;
  a.hidden = c.hidden = true;
  settle();
  assert.deepEqual([b.tabIndex, d.tabIndex], [0, -1]);
  b.focus();
  b.dispatchEvent(new window.KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true }));
  assert.equal(document.activeElement, d);
  row.remove();
});

test("only the last of many calls is run, and none after the end", async () => {
  const ending = new AbortController();
  const seen = [];
  const call = debounce((value) => seen.push(value), 5, ending.signal);
  ["a", "b", "c"].forEach(call);
  await sleep(20);
  call("d");
  ending.abort();
  call("e");
  await sleep(20);
  assert.deepEqual(seen, ["c"]);
});

/** A widget with a setting, a pin and a text, and what it was told to do. */
function opened(state = {}, options = {}) {
  const done = [];
  let view;
  const { render } = defineWidget({
    name: "be-tried", label: "Tried", picture: "tried", hint: "a hint", fields: () => textFields(),
    pins: { token: ({ tokens }) => tokens.length },
    build(given) {
      view = given;
      view.root.append(view.inputs(), view.status, view.foot());
      return { receive: () => "told", paint: () => done.push({ ...view.settings }), release() {} };
    },
  });
  const data = (text, tokens) => pack({ asked: [text, null], problem: "", tokens, first: { roll: 0, token: null } });
  const model = state instanceof Model ? state
    : new Model({ text: "dog", pair: null, settings: { roll: 0, token: null, ...state }, data: data("dog", ["my", "dog"]) }, options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = render({ model, el });
  return { model, el, end, done, view, data, sent: () => model.saved.map(({ settings }) => settings) };
}

test("how much room is left is said before there is none", () => {
  const tokens = (count) => ({ tokens: Array(count).fill("a") });
  assert.equal(nearLimit(tokens(38), 48), "");
  assert.equal(nearLimit(tokens(39), 48), "39 of at most 48 tokens.");
  assert.equal(nearLimit({ texts: [tokens(500)] }, 512), "500 of at most 512 tokens.");
  assert.equal(nearLimit(tokens(500), undefined), "");
  assert.equal(nearLimit({ length: [60, 64] }, 256), "60 of at most 64 tokens.");
  assert.equal(nearLimit({ length: [50, 64] }, 256), "");
  const page = opened({ roll: 0 });
  page.model.set({ longest: 4 });
  page.model.answer("data", page.data("dog", ["my", "dog", "is", "here"]));
  assert.equal(page.el.querySelector(".be-status").textContent, "4 of at most 4 tokens. told");
  page.end();
});

test("a row of chips reads as its text: what is not of the text says its own direction", () => {
  const special = chip({ token: "[CLS]", id: 101, special: true, note: "note" });
  assert.ok([...special.children].every((node) => node.getAttribute("dir") === "ltr"));
  const word = chip({ token: "שלום", id: 1 });
  assert.deepEqual([...word.children].map((node) => node.getAttribute("dir")), [null, "ltr"]);
});

test("settings go to Python once they rest, and at once when the view goes", async () => {
  const [rested, left, untouched, still] = [opened(), opened(), opened(), opened({}, { kernel: false })];
  [1, 2].forEach((roll) => rested.view.change({ roll }));
  assert.deepEqual(rested.done.map(({ roll }) => roll), [0, 1, 2]);
  await sleep(80);
  assert.deepEqual(rested.sent(), [{ roll: 2, token: null }]);
  for (const each of [left, still]) each.view.change({ roll: 3 });
  [rested, left, untouched, still].forEach(({ end }) => end());
  assert.deepEqual(left.sent(), [{ roll: 3, token: null }]);
  left.view.change({ roll: 4 });
  await sleep(80);
  assert.deepEqual([rested, left, untouched, still].map(({ model }) => model.saved.length), [1, 1, 0, 0]);
});

test("an echo of what was sent does not undo what was set since", async () => {
  const page = opened();
  page.view.change({ roll: 1 });
  await sleep(80);
  page.view.change({ roll: 2 });
  const echo = { roll: 1, token: null };
  if (JSON.stringify(page.model.get("settings")) !== JSON.stringify(echo)) page.model.answer("settings", echo);
  assert.equal(page.view.settings.roll, 2);
  await sleep(80);
  assert.deepEqual(page.sent().map(({ roll }) => roll), [1, 2]);
  page.end();
});

test("a pin never goes to Python, but another view of the model has it, and Python can pin", async () => {
  const page = opened();
  page.view.change({ token: 1 });
  await sleep(80);
  const other = opened(page.model);
  assert.equal(other.view.settings.token, 1);
  page.view.change({ roll: 4 });
  await sleep(80);
  assert.deepEqual(page.sent(), [{ roll: 4, token: null }]); // nor with what does go there
  page.model.answer("settings", { roll: 4, token: null }); // Python's echo
  assert.equal(page.view.settings.token, 1);
  page.model.answer("settings", { roll: 5, token: 0 });
  for (const { view, done } of [page, other]) {
    assert.deepEqual(view.settings, { roll: 5, token: 0 });
    assert.deepEqual(done.at(-1), { roll: 5, token: 0 });
  }
  page.model.answer("settings", { roll: 6, token: 7 }); // there is no such place
  assert.deepEqual(page.view.settings, { roll: 6, token: 0 });
  [page, other].forEach(({ end }) => end());
  assert.equal(page.model.saved.length, 1);
  assert.equal(page.model.listening, 0);
});

test("with another text what was pinned goes, with the same one it stays", () => {
  const page = opened({ token: 1 });
  page.model.answer("data", page.data("dog", ["my", "dog"]));
  assert.equal(page.view.settings.token, 1);
  page.model.answer("data", page.data("cat", ["a", "cat"]));
  assert.equal(page.view.settings.token, null);
  assert.deepEqual(page.model.get("pins"), { token: null });
  page.model.state.settings = { roll: 0, token: 0 }; // Python sends both at once
  page.model.answer("data", page.data("cow", ["a", "cow"]));
  assert.equal(page.view.settings.token, 0);
  page.end();
});

test("the saved picture is what is seen, as XML, without the button and the tooltip", () => {
  for (const name of ["XMLSerializer", "getComputedStyle"]) globalThis[name] = window[name].bind?.(window) ?? window[name];
  const page = opened();
  const style = element("style", {}, ".be-tried {\n  & > p { color: red }\n}\n");
  document.head.append(style);
  const [box] = page.el.querySelectorAll("textarea");
  box.value = "a <cat> & \u0001";
  page.view.root.append(element("input", { type: "range" }), element("b", {}, "<script>"));
  page.view.tip.show(box, "said at a place");
  page.view.say("Pinned: dog");
  const svg = pictureOf(page.view.root);
  assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert.match(svg, /<title>Tried\. Pinned: dog<\/title>/);
  assert.match(svg, /a &lt;cat&gt; &amp; \ufffd<\/textarea>/);
  assert.match(svg, /&lt;script&gt;/);
  assert.match(svg, /\.be-tried \{/);
  assert.doesNotMatch(svg, /Save picture|said at a place/);
  const [button, tip] = [".be-save", ".be-tooltip"].map((kind) => page.el.querySelector(kind));
  assert.deepEqual([button.hidden, tip.hidden], [false, false]); // both are still there in the page
  style.remove();
  page.end();
});

test("the theme is JupyterLab's, else the page's, else the system's", () => {
  const page = (body, root = {}) => ({ documentElement: { dataset: root }, body: { dataset: body } });
  assert.equal(isDark(page({ jpThemeLight: "false" }), false), true);
  assert.equal(isDark(page({ jpThemeLight: "true" }, { theme: "dark" }), true), false);
  assert.equal(isDark(page({}, { theme: "dark" }), false), true);
  assert.equal(isDark(page({}, { theme: "light" }), true), false);
  assert.equal(isDark(page({}), true), true);
});

test("a kernel that does not answer is told by what it is", () => {
  const why = (kernel) => whySilent({ widget_manager: { kernel } });
  assert.match(why({ status: "dead", connectionStatus: "disconnected" }), /^The kernel has stopped/);
  assert.match(why({ status: "busy", connectionStatus: "disconnected" }), /^The connection/);
  assert.match(why({ status: "busy", connectionStatus: "connected" }), /^Python is busy/);
  assert.match(why({ status: "idle", connectionStatus: "connected" }), /was the kernel restarted/);
  assert.match(why({}), /busy or stopped/);
  assert.match(whySilent({}), /busy or stopped/);
});

test("a page that was written out has no kernel", () => {
  assert.equal(hasKernel({ widget_manager: { kernel: {} } }), true);
  assert.equal(hasKernel({ widget_manager: { kernel: null } }), false);
  assert.equal(hasKernel({}), true);
  const state = element("script", { type: "application/vnd.jupyter.widget-state+json" });
  document.body.append(state);
  assert.equal(hasKernel({}), false);
  state.remove();
});
