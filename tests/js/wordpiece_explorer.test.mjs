import assert from "node:assert/strict";
import { mock, test } from "node:test";

import widget, {
  describe, describeChanges, doOverlap, mostPieces, thingsOf,
} from "../../bertedu/widgets/static/wordpiece_explorer.js";
import { candidatesTried } from "../../bertedu/widgets/static/rules/wordpiece.js";
import { unpack } from "../../bertedu/widgets/static/shared.js";
import { Model, openPage, pack } from "./page.mjs";

openPage();
const HOSTILE = "<script>";

/** What Python sends for one word, "Playing", split as the notes split it, and a hostile one. */
function data(change = {}) {
  const text = `Playing ${HOSTILE}`;
  return pack({
    asked: [text, null],
    problem: "",
    longest_word: 100,
    steps: ["clean_text", "handle_chinese_chars", "strip_accents", "lowercase"],
    segments: [{
      text,
      normalized: Array.from(text.toLowerCase()),
      changed: { 0: [3] },
      words: [
        { text: "playing", start: 0, end: 7, special: false, pieces: ["play", "##ing"],
          matches: [["play", 2377], ["##ing", 2075]] },
        { text: HOSTILE, start: 8, end: 16, special: false, pieces: ["[UNK]"],
          matches: [["<", null]] },
      ],
    }],
    tokens: ["[CLS]", "play", "##ing", "[UNK]", "[SEP]"],
    ids: [101, 2377, 2075, 100, 102],
    types: [0, 0, 0, 0, 0],
    added: [1, 0, 0, 0, 1],
    offsets: [[0, 0], [0, 4], [4, 7], [8, 16], [0, 0]],
    special_ids: [0, 100, 101, 102, 103],
    ...change,
  }, { picture: ["uint8", [5], Buffer.from("<svg>")] });
}

function shown(options, change) {
  const model = new Model({ text: `Playing ${HOSTILE}`, pair: null, data: data(change) }, options);
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  return { model, el, end, find: (selector) => [...el.querySelectorAll(selector)] };
}

test("the candidates are the longest first, then go on behind each match", () => {
  const all = candidatesTried({ text: "playing", matches: [["play", 2377], ["##ing", 2075]] });
  assert.deepEqual(all.map(({ candidate }) => candidate),
    [..."playing"].map((_, i) => "playing".slice(0, 7 - i)).slice(0, 4).concat("##ing"));
  assert.deepEqual(all.filter(({ found }) => found).map(({ id }) => id), [2377, 2075]);
});

test("a word of unknown letters ends without a match", () => {
  const all = candidatesTried({ text: "z☃", matches: [["z", 1062], ["##☃", null]] });
  assert.deepEqual(all.map(({ candidate, found }) => [candidate, found]),
    [["z☃", false], ["z", true], ["##☃", false]]);
});

test("things of one segment belong together where their characters meet", () => {
  const a = { segment: 0, start: 0, end: 4 };
  assert.ok(doOverlap(a, { segment: 0, start: 3, end: 5 }));
  assert.ok(!doOverlap(a, { segment: 0, start: 4, end: 5 }));
  assert.ok(!doOverlap(a, { segment: 1, start: 0, end: 4 }));
});

test("what normalising changed is counted by step", () => {
  const steps = ["clean_text", "lowercase"];
  assert.equal(describeChanges([{ changed: { 0: [0], 3: [0, 1] } }], steps), "2 cleaned, 1 lower-cased");
  assert.equal(describeChanges([{ changed: {} }], steps), "nothing to change");
});

test("the search shown first is the one with the most pieces", () => {
  const words = [["a", "b"], ["c"], []].map((matches) => ({ matches }));
  assert.equal(mostPieces([{ words }]), words[0]);
  assert.equal(mostPieces([{ words: [] }]), null);
});

test("a token's line of text names its id, place and characters", () => {
  const { tokens } = thingsOf(unpack(data()));
  assert.equal(describe(tokens[2]),
    "token ##ing, id 2075, position 2, segment A, characters 4 to 7: “ing”");
  assert.match(describe(tokens[0]), /put there by the encoder$/);
});

test("hostile text is shown as text", () => {
  const { el, end } = shown();
  assert.equal(el.querySelector("script"), null);
  assert.ok(el.textContent.includes(HOSTILE));
  assert.ok(!el.textContent.includes("false") && !el.textContent.includes("undefined"));
  end();
});

test("a click pins, Escape lets go", () => {
  const { el, find, end } = shown();
  const token = find('[aria-label="Tokens"] button')[2];
  token.click();
  assert.match(el.querySelector(".be-line").textContent, /^Pinned: token ##ing, id 2075/);
  assert.equal(token.getAttribute("aria-pressed"), "true");
  const lit = find(".be-glyph.be-lit").map((node) => node.textContent[0]);
  assert.deepEqual(lit, ["i", "n", "g"]);
  const escape = new window.KeyboardEvent("keydown", { key: "Escape", bubbles: true });
  token.dispatchEvent(escape);
  assert.doesNotMatch(el.querySelector(".be-line").textContent, /Pinned/);
  assert.deepEqual(find(".be-lit"), []);
  end();
});

test("the buttons step through the search", () => {
  const { el, find, end } = shown();
  const verdict = () => el.querySelector(".be-verdict").textContent;
  assert.match(verdict(), /^Try 5 of 5: ##ing is in the vocabulary, id 2075/);
  find('[aria-label="First try"]')[0].click();
  assert.match(verdict(), /^Try 1 of 5: playing is not in the vocabulary/);
  find('[aria-label="Next try"]')[0].click();
  assert.match(verdict(), /^Try 2 of 5: playi.? is not/);
  end();
});

test("typing asks Python once it has paused, and the newest answer is shown", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { model, el, end } = shown();
  const box = el.querySelector("textarea");
  for (const text of ["D", "Do", "Dog"]) {
    box.value = text;
    box.dispatchEvent(new window.Event("input"));
    mock.timers.tick(5);
  }
  assert.equal(model.saved.length, 0);
  mock.timers.tick(120);
  assert.deepEqual(model.saved.map(({ text }) => text), ["Dog"]);
  mock.timers.tick(4000);
  assert.match(el.textContent, /Python has not answered yet/);
  model.answer("data", data({ asked: ["Dog", null], tokens: ["[CLS]", "dog", "[SEP]"],
    ids: [101, 3899, 102], types: [0, 0, 0], added: [1, 0, 1], offsets: [[0, 0], [0, 3], [0, 0]] }));
  assert.doesNotMatch(el.textContent, /not answered/);
  const tokens = [...el.querySelectorAll('[aria-label="Tokens"] .be-piece')];
  assert.deepEqual(tokens.map((node) => node.textContent), ["[CLS]", "dog", "[SEP]"]);
  end();
  mock.timers.reset();
});

test("without Python the text is fixed and the page says why", () => {
  const { el, end } = shown({ kernel: false });
  assert.ok(el.querySelector("textarea").hasAttribute("readonly"));
  assert.match(el.textContent, /no Python behind it/);
  end();
});

test("after the clean-up nothing listens and nothing is asked", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { model, el, end } = shown();
  const box = el.querySelector("textarea");
  box.value = "x";
  box.dispatchEvent(new window.Event("input"));
  end();
  mock.timers.tick(10_000);
  assert.equal(model.saved.length, 0);
  assert.equal(model.listening, 0);
  mock.timers.reset();
});

test("two widgets on a page leave each other alone", () => {
  const [one, two] = [shown(), shown()];
  one.find('[aria-label="Tokens"] button')[1].click();
  assert.equal(two.find(".be-lit").length, 0);
  one.end();
  two.find('[aria-label="Tokens"] button')[1].click();
  assert.ok(two.find(".be-lit").length > 0);
  two.end();
});

test("while the reader types, the word at the caret is searched, else the one with most pieces", () => {
  const { el, model, end, find } = shown();
  const searched = () => find(".be-search .be-word")[0].textContent;
  assert.equal(searched(), "playing"); // opens on one that splits
  const [box] = find("textarea");
  box.focus();
  box.setSelectionRange(12, 12);
  model.answer("data", data());
  assert.equal(searched(), HOSTILE);
  box.setSelectionRange(7, 7); // the end of the first
  model.answer("data", data());
  assert.equal(searched(), "playing");
  box.setSelectionRange(16, 16);
  box.blur();
  model.answer("data", data());
  assert.equal(searched(), "playing"); // only looked at: it stays
  assert.equal(el.querySelectorAll("[aria-current]").length, 1);
  end();
});

test("a text that is refused puts its picture back by a third of its strength, until one is taken", () => {
  const { model, el, end } = shown();
  const root = el.querySelector(".bertedu");
  assert.ok(!root.classList.contains("be-rejected"));
  model.answer("data", data({ problem: "The text has 2,001 characters: shorten it." }));
  assert.ok(root.classList.contains("be-rejected"));
  model.answer("data", data());
  assert.ok(!root.classList.contains("be-rejected"));
  end();
});
