// The mask explorer's pure functions; that its fates are Python's is in tests/test_mask_explorer.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  binomial, describeCount, histogram, moveShare, shareOfFate,
} from "../../bertedu/widgets/static/mask_explorer.js";
import { countToChoose, fatesFromDraws, wordsOf } from "../../bertedu/widgets/static/rules/masking.js";

const PAPER = { rate: 15, mask: 80, random: 10, whole_words: false, roll: 0 };
const data = (draws) => ({
  tokens: ["[CLS]", "un", "##do", "it", "[SEP]"],
  special: [true, false, false, false, true],
  order: { values: Uint8Array.of(0, 2, 1, 3, 4) },
  draws: { values: Float64Array.from(draws), shape: [1, 5] },
});

test("a half is rounded to the even neighbour, and at least one is chosen", () => {
  assert.deepEqual([3, 10, 30, 50, 128].map((n) => countToChoose(n, 15)), [1, 2, 4, 8, 19]);
});

test("the candidate with the smallest key meets the fate of its own draw", () => {
  const fates = (draw) => [...fatesFromDraws(data([0, 0, draw, 0, 0]), PAPER)];
  assert.deepEqual(fates(0.79), [0, 0, 1, 0, 0]);
  assert.deepEqual(fates(0.8), [0, 0, 2, 0, 0]);
  assert.deepEqual(fates(0.95), [0, 0, 3, 0, 0]);
});

test("whole words are chosen whole, and one that does not fit is passed over", () => {
  assert.deepEqual(wordsOf(data([])), [[1, 2], [3]]);
  const fates = (rate) => [...fatesFromDraws(data([0, 0, 0, 0, 0]), { ...PAPER, rate, whole_words: true })];
  assert.deepEqual(fates(60), [0, 1, 1, 1, 0]);
  assert.deepEqual(fates(15), [0, 0, 0, 1, 0]);
});

test("moving a share leaves 100 %, the others in proportion", () => {
  for (let value = 0; value <= 100; value++) {
    const { mask, random, kept } = moveShare({ mask: 80, random: 10, kept: 10 }, "mask", value);
    assert.equal(mask, value);
    assert.equal(mask + random + kept, 100);
    assert.ok(Math.abs(random - kept) <= 1);
  }
  assert.deepEqual(moveShare({ mask: 100, random: 0, kept: 0 }, "mask", 50), { mask: 50, random: 25, kept: 25 });
});

test("binomial probabilities sum to 1, also at the ends", () => {
  for (const share of [0, 0.1, 0.5, 0.8, 1]) {
    for (const n of [0, 1, 12, 256]) {
      const sum = binomial(n, share).reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - 1) < 1e-9, `${n} ${share} ${sum}`);
    }
  }
  assert.ok(Math.abs(binomial(3, 0.8)[2] - 0.384) < 1e-12);
});

test("counts, expectation and band", () => {
  const fates = Uint8Array.of(0, 1, 2, 0, 1, 1, 0, 3, 1, 0, 1, 1); // 4 rolls of 3 tokens
  const bars = histogram(fates, 3, 1, 0.5);
  assert.deepEqual(bars.map(({ count }) => count), [0, 2, 2, 0]);
  assert.deepEqual(bars.map(({ expected }) => +expected.toFixed(9)), [1, 2, 1, 0]);
  const { count, chosen, low, high } = shareOfFate(fates, 1, 0.5);
  assert.deepEqual([count, chosen], [6, 8]);
  assert.ok(Math.abs(high - low - 2 * 1.96 * Math.sqrt(0.25 / 8)) < 1e-12);
});

test("the count rule is told with its numbers", () => {
  assert.equal(describeCount(data([]), PAPER, 1), "5 tokens, [CLS] and [SEP] counted, × 15 % = 0.75, rounded 1: 1 chosen");
});
