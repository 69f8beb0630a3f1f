// The time machine on a page; that its numbers are the checkpoints' is in tests/test_time_machine.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { unpack } from "../../bertedu/widgets/static/shared.js";
import widget, {
  describeMoment, describeToken, guessesOf, inWords, placeOf, shareOf, short,
} from "../../bertedu/widgets/static/time_machine.js";
import { StoredModel, openPage, pack } from "./page.mjs";

const window = openPage();
globalThis.Event = window.Event;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const HOSTILE = "<img src=x onerror=alert(1)>";
const TOKENS = ["[CLS]", "my", "[MASK]", "[SEP]"];
const WORDS = [["the", HOSTILE, "dog", "a", ".", "is"]];
const PROBS = [[0.001, 0.002, 0.0005, 0.0004, 0.0003, 0.0001], [0.2, 0.01, 0.05, 0.1, 0.03, 0.02], [0.1, 0.02, 0.45, 0.05, 0.01, 0.03]];
const FIRST = { frame: 2, layer: 1, head: 1, token: null };
const MOMENTS = [[0, 0, 8.3], [10, 20_000, 6.7], [1000, 2_000_000, 3]].map(([steps, tokens, loss]) => ({
  steps, tokens, mlm_loss: loss, mlm_accuracy: 0.1, nsp_loss: 0.6, nsp_accuracy: 0.7,
}));
const FILM = { about: "a small model", moments: MOMENTS, curve: [[2000, 8], [20_000, 6.8], [200_000, 5], [2_000_000, 3.1]], unigram_loss: 6.6 };
const PRESETS = [["my [MASK]", null], ["my dog", "he [MASK]"]];

function data({ text = "my [MASK]", pair = null, follows = null, ...more } = {}) {
  const S = TOKENS.length;
  const attention = Uint8Array.from({ length: 3 * 2 * 2 * S * S }, (_, i) => (7 * i) % 256);
  return pack(
    { asked: [text, pair], problem: "", first: FIRST, tokens: TOKENS, ids: [2, 9, 4, 3], types: [0, 0, 0, 0],
      special: [true, false, true, true], heads: [2, 2], vocabulary: 4000, positions: [2], words: WORDS, follows, ...more },
    { attention: ["uint8", [3, 2, 2, S, S], attention], probs0: ["float32", [3, 6], new Uint8Array(Float32Array.from(PROBS.flat()).buffer)] },
  );
}

const UNPACKED = unpack(data());

function shown({ kernel = true, answers, ...change } = {}) {
  const model = new StoredModel({
    text: "my [MASK]", pair: change.pair ?? null, presets: PRESETS, film: FILM, settings: { ...FIRST }, data: data(change), answers,
  }, { kernel });
  const el = document.createElement("div");
  document.body.append(el);
  const end = widget.render({ model, el });
  const find = (selector) => [...el.querySelectorAll(selector)];
  const scrub = (frame) => {
    const [slider] = find(".be-slider");
    slider.value = String(frame);
    Object.defineProperty(slider, "valueAsNumber", { value: frame, configurable: true });
    slider.dispatchEvent(new window.Event("input"));
  };
  const ranked = () => find(".be-race .be-row").filter((row) => !row.classList.contains("be-out"))
    .sort((one, other) => parseInt(one.textContent, 10) - parseInt(other.textContent, 10)).map((row) => row.querySelector(".be-name").textContent);
  return { model, el, end, find, scrub, ranked };
}

test("tokens in words, and where they stand on the line", () => {
  assert.deepEqual([0, 999, 31_700, 999_400, 999_600, 1_254_000].map(inWords), ["0", "999", "32 thousand", "999 thousand", "1.0 million", "1.3 million"]);
  assert.deepEqual([0, 31_700, 1_254_000].map(short), ["0", "32k", "1.3M"]);
  assert.deepEqual([0, 10_000, 20_000, 200_000, 2_000_000, 3_000_000].map((tokens) => +placeOf(tokens, MOMENTS).toFixed(6)), [0, 0.25, 0.5, 0.75, 1, 1]);
});

test("a checkpoint's guesses, its moment and its attention", () => {
  assert.deepEqual(guessesOf(UNPACKED, 0, 0).map(({ token }) => token), [HOSTILE, "the", "dog", "a", "."]);
  assert.deepEqual(guessesOf(UNPACKED, 0, 2).map(({ token }) => token), ["dog", "the", "a", "is", HOSTILE]);
  assert.equal(describeMoment(FILM, 1), "Checkpoint 2 of 3: step 10 of 1,000, 20 thousand tokens read. " +
    "Held-out loss 6.70 nats: as unsure as a choice among 812 pieces.");
  const place = { frame: 2, layer: 2, head: 1 };
  const expected = ((7 * ((((2 * 2 + 1) * 2 + 0) * 4 + 1) * 4 + 3)) % 256) / 255;
  assert.equal(shareOf(UNPACKED, place, 1, 3), expected);
  assert.match(describeToken(UNPACKED, place, 1), /^“my” \(position 1\) gives “\S+” \d+ %, “\S+” \d+ %, “\S+” \d+ %\.$/);
});

test("a scrub shows another checkpoint and asks nothing", async () => {
  const { model, find, scrub, ranked, end } = shown({ pair: "he", follows: [0.5, 0.4, 0.9] });
  assert.deepEqual(ranked(), ["dog", "the", "a", "is", HOSTILE]);
  assert.match(find(".be-line")[0].textContent, /^Step 1,000: \[MASK\]: “dog” 45\.0 %\. BERT takes it .* follows: 90\.0 %\.$/);
  scrub(0);
  assert.deepEqual(ranked(), [HOSTILE, "the", "dog", "a", "."]);
  assert.equal(find("img").length, 0);
  assert.match(find(".be-race")[0].getAttribute("aria-label"), /^\[MASK\]: 1\. <img.*0\.2 %, 2\. the 0\.1 %/);
  assert.equal(find(".be-needle")[0].style.left, "0%");
  assert.equal(find(".be-slider")[0].getAttribute("aria-valuetext"), find(".be-now")[0].textContent);
  assert.match(find(".be-pair")[0].getAttribute("aria-label"), /follows: 50\.0 %/);
  assert.match(find(".be-judged .be-key")[0].textContent, /judges 70\.0 % of held-out pairs rightly; a coin, 50 %/);
  assert.equal(find(".be-final .be-name")[0].textContent, "dog");
  await sleep(80);
  assert.deepEqual(model.saved.map(({ text, data: block }) => [text, block === model.state.data]), [["my [MASK]", true]]);
  assert.equal(model.state.settings.frame, 0); // all that Python hears
  end();
  assert.equal(model.listening, 0);
});

test("a bar's length is its share of the scale, which the whole film has", () => {
  const { find, scrub, end } = shown();
  const width = () => find(".be-race .be-fill")[2].style.width;
  assert.match(find(".be-key").map((node) => node.textContent).join(), /whole length is 50 %/);
  assert.equal(Math.round(parseFloat(width())), 90);
  scrub(1);
  assert.equal(Math.round(parseFloat(width())), 10);
  end();
});

test("it plays from where it stands, again from the start, and stops", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { find, model, end } = shown();
  const [play] = find(".be-play");
  const frame = () => find(".be-slider")[0].value;
  play.click();
  assert.deepEqual([frame(), play.textContent], ["0", "■ Stop"]);
  t.mock.timers.tick(1200);
  assert.equal(frame(), "1");
  t.mock.timers.tick(1200);
  assert.deepEqual([frame(), play.textContent], ["2", "▶ Play"]);
  play.click();
  play.click();
  t.mock.timers.tick(5000);
  assert.deepEqual([frame(), play.textContent], ["0", "▶ Play"]);
  end();
  assert.equal(model.listening, 0);
});

test("a token is pinned and let go; layer and head change the picture", () => {
  const { find, el, end } = shown();
  const names = find(".be-names button");
  names[1].click();
  assert.match(find(".be-line")[0].textContent, /^“my” \(position 1\) gives /);
  assert.equal(find(".be-cell.be-lit").length, TOKENS.length);
  const before = find(".be-cell").map((cell) => cell.style.background);
  const [layer] = find("select");
  layer.value = "2";
  layer.dispatchEvent(new window.Event("change"));
  assert.notDeepEqual(find(".be-cell").map((cell) => cell.style.background), before);
  el.firstChild.dispatchEvent(new window.KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  assert.equal(find(".be-cell.be-lit").length, 0);
  end();
});

test("a preset is answered by the page, where it has the answer, or else asked", async () => {
  const block = Buffer.from(data({ text: "my dog", pair: "he [MASK]", follows: [0.1, 0.2, 0.3] }).buffer).toString("base64");
  const page = shown({ kernel: false, answers: [{ asked: PRESETS[1], data: block }] });
  page.scrub(1);
  page.find(".be-preset")[1].click();
  assert.deepEqual(page.find(".be-input").map((box) => box.value), ["my dog", "he [MASK]"]);
  assert.equal(page.find(".be-slider")[0].value, "1"); // the film stays where it stands
  assert.deepEqual(page.find(".be-preset").map((node) => node.getAttribute("aria-pressed")), ["false", "true"]);
  assert.equal(page.find(".be-pair").length, 1);
  assert.match(page.find(".be-status")[0].textContent, /no Python behind it/);
  page.end();
  const live = shown();
  live.find(".be-preset")[1].click();
  await sleep(80);
  assert.deepEqual([live.model.saved.at(-1).text, live.model.saved.at(-1).pair], PRESETS[1]);
  live.end();
});

test("a text without a [MASK] is told how to get a guess", () => {
  const { find, end } = shown({ positions: [], words: [] });
  assert.match(find(".be-status")[0].textContent, /no \[MASK\] in it: write \[MASK\]/);
  assert.equal(find(".be-race").length, 0);
  end();
});
