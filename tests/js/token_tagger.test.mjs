// The token tagger on a page; that it decodes as the library is in tests/test_token_tagger.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { mend, slotsOf } from "../../bertedu/widgets/static/rules/bio.js";
import widget, { reason } from "../../bertedu/widgets/static/token_tagger.js";
import { Model, openPage, pack } from "./page.mjs";

const window = openPage();
const HOSTILE = "<img src=x onerror=alert(1)>";
const LABELS = ["O", "B-city", "I-city", "B-day", "I-day"];
const FIRST = { word: null, flips: {} };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** "to New <hostile> today": New is B-city, and so on; each word's likeliest label has 60 %. */
function state(change = {}) {
  const text = `to New ${HOSTILE} today`;
  const likeliest = ["O", "B-city", "I-city", "B-day"];
  const shares = likeliest.flatMap((tag) => LABELS.map((label) => (label === tag ? 0.6 : 0.1)));
  const header = {
    asked: [text], shown: text, problem: "", first: FIRST, labels: LABELS, likeliest, words: ["to", "New", HOSTILE, "today"],
    offsets: [[0, 2], [3, 6], [7, 7 + HOSTILE.length], [8 + HOSTILE.length, 13 + HOSTILE.length]],
    pieces: [["to"], ["new"], ["<", "##img"], ["to", "##day"]], intent: [["flight", 0.25], ["hotel", 0.75]], ...change,
  };
  const values = new Uint8Array(Float32Array.from(shares.slice(0, 5 * header.words.length)).buffer);
  return {
    text, settings: { ...FIRST },
    data: pack(header, { probabilities: ["float32", [header.words.length, 5], values] }),
  };
}

function shown(options, change) {
  const model = new Model(state(change), options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  const find = (selector) => [...el.querySelectorAll(selector)];
  const press = (node, key) => node.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true }));
  const choice = (label) => find(".be-choices .be-share").find((node) => node.textContent.startsWith(label));
  return { model, el, end, find, press, choice, one: (selector) => el.querySelector(selector) };
}

test("an I- that continues nothing begins a slot, also after another kind", () => {
  assert.deepEqual(mend(["O", "I-city", "I-city", "I-day"]), { legal: ["O", "B-city", "I-city", "B-day"], mended: [1, 3] });
  assert.deepEqual(mend(["I-city"]).mended, [0]);
  assert.deepEqual(mend([]), { legal: [], mended: [] });
  assert.equal(reason("I-city", "O"), "I-city after O continues nothing");
  assert.equal(reason("I-city", undefined), "I-city at the beginning continues nothing");
});

test("slots end where another begins", () => {
  const offsets = [[0, 1], [2, 3], [4, 5]];
  assert.deepEqual(slotsOf(offsets, ["B-a", "I-a", "B-a"]).map(({ first, last }) => [first, last]), [[0, 1], [2, 2]]);
});

test("a word's pieces: the first is labelled, the others are ignored", () => {
  const page = shown();
  const small = page.find(".be-card")[3].querySelectorAll(".be-small");
  assert.deepEqual([...small].map((node) => node.textContent), ["label", "−100"]);
  assert.deepEqual(page.find(".be-card .be-tag").map((node) => node.textContent), ["O", "B-city", "I-city", "B-day"]);
  assert.match(page.find(".be-card")[1].textContent, /B-city60\.0 %/);
  page.end();
});

test("the slots are told with words and characters, and the intent stands there", () => {
  const page = shown();
  assert.match(page.one(".be-verdict").textContent, /^2 slots: city “New .*” \(words 2 to 3, characters 3 to 35\); day “today” \(word 4, /);
  assert.deepEqual(page.find(".be-slot-label").map((node) => node.textContent), ["city", "day"]);
  const intents = page.find(".be-stage > .be-share").map((node) => node.textContent);
  assert.deepEqual(intents, ["hotel75.0 %", "flight25.0 %"]);
  page.end();
});

test("after an emoji, which Python counts as one character, the slot is cut at its own letters", () => {
  const words = ["🎉", "🎉", "New", "York"];
  const page = shown({}, {
    words, shown: "🎉🎉 New York!", offsets: [[0, 1], [1, 2], [3, 6], [7, 11]], pieces: words.map((word) => [word]),
    likeliest: ["O", "O", "B-city", "I-city"],
  });
  assert.equal(page.one(".be-slot-text").textContent, "New York");
  assert.match(page.one(".be-verdict").textContent, /city “New York” \(words 3 to 4, characters 3 to 11\)/);
  assert.ok(page.one(".be-slots").textContent.endsWith("!"));
  page.end();
});

test("the reader makes an illegal I- after O, and sees it mended", async () => {
  const page = shown();
  page.find(".be-card")[1].click();
  page.choice("O").click();
  assert.match(page.one(".be-verdict").textContent, /✗ I-city after O continues nothing, so it is read as B-city\.$/);
  assert.equal(page.find(".be-card")[2].querySelector("s").textContent, "I-city");
  assert.match(page.find(".be-card")[2].querySelector(".be-tag").textContent, /I-city ✗ B-city/);
  assert.ok(page.find(".be-card")[1].textContent.includes("✎"));
  await sleep(150);
  assert.deepEqual(page.model.get("settings"), { word: null, flips: { 1: "O" } });
  assert.deepEqual(page.model.get("pins"), { word: 1 });
  page.find(".be-foot button")[0].click();
  assert.doesNotMatch(page.one(".be-verdict").textContent, /✗/);
  assert.ok(page.find(".be-foot button")[0].hidden);
  page.end();
});

test("flipping back to the likeliest label is no flip", () => {
  const page = shown();
  page.find(".be-card")[1].click();
  page.choice("B-day").click();
  page.choice("B-city").click();
  assert.ok(page.find(".be-foot button")[0].hidden);
  page.end();
});

test("a click pins a word, Escape lets go", () => {
  const page = shown();
  page.find(".be-card")[3].click();
  assert.match(page.one(".be-line").textContent, /^Pinned: “today” \(word 4\): B-day 60\.0 %, then .* 10\.0 %, pieces to ##day: only to is asked$/);
  page.press(page.one(".be-card"), "Escape");
  assert.match(page.one(".be-line").textContent, /^Hover shows/);
  assert.equal(page.find(".be-choices").length, 0);
  page.end();
});

test("hostile words are text; nothing typed says so; leaving cleans up", () => {
  const page = shown({ kernel: false });
  assert.equal(page.find("img").length, 0);
  page.find(".be-card")[1].click();
  page.choice("O").click();
  assert.match(page.one(".be-verdict").textContent, /read as B-city/); // also without Python
  page.end();
  assert.equal(page.el.children.length, 0);
  assert.equal(page.model.listening, 0);
  const empty = shown(undefined, { words: [], offsets: [], pieces: [], likeliest: [], shown: "", intent: null });
  assert.match(empty.one(".be-status").textContent, /^No word yet/);
  assert.equal(empty.one(".be-verdict").textContent, "No slot: every word is O.");
  empty.end();
});
