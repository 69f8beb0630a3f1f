// Try it on a page; that its numbers are the model's is in tests/test_try_it.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { judged, scaleOf, told, unpack } from "../../bertedu/widgets/static/shared.js";
import widget, {
  answerAmong, describe, guessAmong, packed, rowsOf,
} from "../../bertedu/widgets/static/try_it.js";
import { StoredModel, openPage } from "./page.mjs";

const window = openPage();
globalThis.Event = window.Event;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const FIRST = { guess_first: false };
const HOSTILE = "<img src=x onerror=alert(1)>";
const GUESSES = [["hungry", 0.07], ["sick", 0.05], [HOSTILE, 0.03], ["poor", 0.02], ["cute", 0.01], ["old", 0.009]];
const TOKENS = ["[CLS]", "my", "dog", "is", "[MASK]", "[SEP]"];
const PRESETS = [["my dog is [MASK]", null], ["my dog", "he [MASK]"]];

/** What Python answers to the first preset, with these positions hidden. */
function answer(masks = [], { guesses = {}, off = [], ...change } = {}) {
  const places = [...masks, 4].sort().map((position) => ({
    position, first: GUESSES, hidden: position === 4 ? null : ["dog", 812, 0.00001], guess: null, refused: "",
  }));
  return {
    asked: ["my dog is [MASK]", null, masks, guesses, off], problem: "", first: FIRST,
    tokens: TOKENS, ids: TOKENS.map((_, i) => i), types: TOKENS.map(() => 0),
    special: [true, false, false, false, true, true], hidden: masks, vocabulary: 30522, heads: [2, 3],
    places, follows: null, ...change,
  };
}

function shown({ kernel = true, answers, ...change } = {}) {
  const header = answer([], change);
  const model = new StoredModel({
    text: header.asked[0], pair: header.asked[1], masks: [], guesses: {}, off: [], presets: PRESETS,
    settings: { ...FIRST }, data: packed(header), answers,
  }, { kernel });
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  const find = (selector) => [...el.querySelectorAll(selector)];
  const submit = (word) => {
    find(".be-guess")[0].value = word;
    find("form")[0].dispatchEvent(new window.Event("submit", { bubbles: true, cancelable: true }));
  };
  const check = (on) => {
    const box = find("input[type=checkbox]")[0];
    box.checked = on;
    box.dispatchEvent(new window.Event("change"));
  };
  return { model, el, end, find, submit, check, names: () => find(".be-row .be-name").map((node) => node.textContent) };
}

test("numbers in words", () => {
  assert.deepEqual([0.281, 0.0005, 0.0004, 0].map(told), ["28.1 %", "0.1 %", "under 0.1 %", "under 0.1 %"]);
  assert.deepEqual([[], [0.07], [0.1], [0.11, 0.2], [0.6]].map(scaleOf), [0.1, 0.1, 0.1, 0.25, 1]);
  assert.match(judged(0.99), /follows: 99\.0 %/);
  assert.match(judged(0.01), /a random one: 99\.0 %/);
});

test("the reader's words are marked among the first guesses, or stand below with their rank", () => {
  const place = { first: GUESSES, hidden: ["dog", 812, 0.00001], guess: ["sick", 2, 0.05] };
  const rows = rowsOf(place);
  assert.deepEqual(rows.map(({ rank }) => rank), [1, 2, 3, 4, 5, 812]);
  assert.deepEqual(rows[1].marks, ["your guess"]);
  assert.deepEqual(rows[5], { token: "dog", rank: 812, probability: 0.00001, marks: ["the hidden word"] });
  assert.deepEqual(rowsOf({ ...place, hidden: ["sick", 2, 0.05] })[1].marks, ["the hidden word", "your guess"]);
  assert.deepEqual(describe({ ...place, refused: "" }, 30522), [
    "Your guess, “sick”, is number 2 of 30,522: 5.0 %.",
    "The hidden word, “dog”, is number 812 of 30,522: under 0.1 %.",
  ]);
});

test("a page's own answers: a guess is looked for among the first", () => {
  const answers = [answer(), answer([2])];
  const asked = ["my dog is [MASK]", null, [2], {}, []];
  assert.deepEqual(answerAmong(answers, asked).hidden, [2]);
  assert.equal(answerAmong(answers, ["another", null, [], {}, []]), undefined);
  assert.equal(answerAmong(answers, [...asked.slice(0, 4), [[1, 1]]]), undefined);
  assert.equal(answerAmong(answers, [...asked.slice(0, 3), { 4: "old" }, []], true), undefined);
  const guessed = answerAmong(answers, [...asked.slice(0, 3), { 4: " Old" }, []]);
  assert.deepEqual(guessed.places[1].guess, ["old", 6, 0.009]);
  assert.deepEqual(guessed.asked[3], { 4: " Old" });
  assert.match(guessAmong(GUESSES, "zebra").refused, /none of BERT's first 6 guesses/);
  assert.match(guessAmong(GUESSES, " ").refused, /Type a word/);
});

test("what is packed here is what is unpacked", () => {
  const { arrays, ...header } = unpack(packed(answer()));
  assert.deepEqual(header, answer());
});

test("five bars, as long as they are likely, and no markup", () => {
  const page = shown();
  assert.deepEqual(page.names(), ["hungry", "sick", HOSTILE, "poor", "cute"]);
  assert.equal(page.el.querySelector("img"), null);
  assert.match(page.find(".be-fill")[0].getAttribute("style"), /width:70/);
  assert.match(page.el.textContent, /A bar's whole length is 10 %/);
  assert.match(page.el.querySelector(".be-line").textContent, /“hungry” 7\.0 %/);
  assert.deepEqual(page.find(".be-preset").map((node) => node.getAttribute("aria-pressed")), ["true", "false"]);
  page.end();
  assert.equal(page.model.listening, 0);
});

test("a click hides a word, another one or Escape gives it back; special tokens stay", async () => {
  const page = shown();
  page.find(".be-chip")[0].click();
  page.find(".be-chip")[4].click();
  await sleep(80);
  assert.deepEqual(page.model.saved, []);
  page.find(".be-chip")[2].click();
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).masks, [2]);
  page.model.answer("data", packed(answer([2])));
  assert.equal(page.find(".be-chip")[2].getAttribute("aria-pressed"), "true");
  assert.match(page.find(".be-chip")[2].textContent, /\[MASK\].*dog/);
  assert.deepEqual(page.find(".be-rank").map((node) => node.textContent).slice(4, 7), ["5.", "812.", "1."]);
  assert.match(page.el.textContent, /The hidden word, “dog”, is number 812 of 30,522/);
  page.find(".be-chip")[1].click();
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).masks, [1, 2]);
  page.model.answer("data", packed(answer([1, 2])));
  page.find(".be-chip")[1].click();
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).masks, [2]);
  page.model.answer("data", packed(answer([2])));
  page.find(".be-chip")[2].click();
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).masks, []);
  page.model.answer("data", packed(answer()));
  page.find(".be-chip")[1].click();
  await sleep(80);
  page.model.answer("data", packed(answer([1])));
  page.el.querySelector(".be-chip").dispatchEvent(new window.KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).masks, []);
  page.end();
});

test("typing lets go of what was hidden: its places are other ones now", async () => {
  const page = shown();
  page.find(".be-chip")[2].click();
  await sleep(80);
  page.model.answer("data", packed(answer([2])));
  const box = page.find("textarea")[0];
  box.value = "a cat";
  box.dispatchEvent(new window.Event("input"));
  await sleep(80);
  const { text, masks } = page.model.saved.at(-1);
  assert.deepEqual([text, masks], ["a cat", []]);
  page.end();
});

test("guess first: no bar and no word of BERT's until the reader has guessed", async () => {
  const page = shown();
  page.check(true);
  assert.deepEqual(page.names(), []);
  assert.doesNotMatch(page.el.textContent, /hungry/);
  await sleep(80);
  assert.equal(page.model.get("settings").guess_first, true);
  page.submit("sick");
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).guesses, { 4: "sick" });
  const [place] = answer().places;
  page.model.answer("data", packed(answer([], { guesses: { 4: "sick" }, places: [{ ...place, guess: ["sick", 2, 0.05] }] })));
  assert.deepEqual(page.names().slice(0, 2), ["hungry", "sick"]);
  assert.match(page.find(".be-mine")[0].textContent, /sick.*your guess/);
  assert.match(page.find(".be-line")[0].textContent, /Your guess, “sick”, is number 2/);
  page.check(false);
  assert.equal(page.names().length, 5);
  page.end();
});

test("a head is switched off, and all are switched on again", async () => {
  const page = shown();
  assert.equal(page.find(".be-head").length, 6);
  page.find(".be-head")[4].click();
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).off, [[2, 2]]);
  page.model.answer("data", packed(answer([], { off: [[2, 2]] })));
  assert.match(page.el.textContent, /1 head of 6 switched off/);
  assert.equal(page.find(".be-head")[4].getAttribute("aria-pressed"), "false");
  page.find("details .be-button")[0].click();
  await sleep(80);
  assert.deepEqual(page.model.saved.at(-1).off, []);
  page.end();
});

test("a pair has its verdict as bars and in words", () => {
  const page = shown({ asked: ["my dog is [MASK]", "he likes it", [], {}, []], follows: 0.2 });
  assert.deepEqual(page.names().slice(-2), ["follows", "random"]);
  assert.match(page.el.textContent, /the second sentence is a random one: 80\.0 %/);
  page.end();
});

test("a page without Python answers its presets, one hidden word of each, and a guess", async () => {
  const second = answer([], { asked: ["my dog", "he [MASK]", [], {}, []], follows: 0.9 });
  const page = shown({ kernel: false, answers: [answer(), answer([2]), answer([3]), second] });
  assert.match(page.el.textContent, /the sentences are fixed/);
  assert.equal(page.find("details")[0].hidden, true);
  page.find(".be-chip")[2].click();
  assert.match(page.el.textContent, /number 812 of/);
  page.find(".be-chip")[3].click();
  assert.deepEqual(page.model.get("masks"), [3]); // one at a time
  page.find(".be-chip")[1].click(); // which this page has no answer for
  assert.match(page.find(".be-line")[0].textContent, /answers for its examples only/);
  assert.match(page.el.textContent, /number 812 of/);
  page.find(".be-preset")[1].click();
  assert.equal(page.find("textarea")[1].value, "he [MASK]");
  assert.equal(page.find(".be-preset")[1].getAttribute("aria-pressed"), "true");
  assert.match(page.el.textContent, /the second sentence follows: 90\.0 %/);
  page.check(true);
  page.submit("Old");
  assert.match(page.el.textContent, /Your guess, “old”, is number 6 of 30,522: 0\.9 %/);
  assert.equal(page.find("input[type=checkbox]")[0].checked, true);
  page.end();
});
