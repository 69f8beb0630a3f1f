import assert from "node:assert/strict";
import { test } from "node:test";

import {
  FOLLOWS, RANDOM, candidates, continues, count, gather, generator, input, keptLengths, nextLabel,
  nothingMade, placeOf, randomPair, spans, withB,
} from "../../bertedu/widgets/static/rules/pairs.js";

// Three documents of 3, 2 and 3 sentences. The last sentence of the second document is, token by
// token, the second sentence of the first.
const LENGTHS = [4, 3, 5, 6, 3, 9, 2, 4];
const TEXT = (() => {
  const starts = [0];
  for (const length of LENGTHS) starts.push(starts.at(-1) + length);
  const ids = Array.from({ length: starts.at(-1) }, (_, i) => 1000 + i);
  ids.splice(starts[4], 3, ...ids.slice(starts[1], starts[2]));
  return { ids, starts, documents: [0, 3, 5, 8], room: 12 };
})();
const DOCUMENT = [0, 0, 0, 1, 1, 2, 2, 2];
const CAREFUL = { pool: 3, everywhere: false, coin: false };
const FAULTY = { pool: 3, everywhere: true, coin: false };

function made(rules, many, seed = 0) {
  const [rng, counts, pairs] = [generator(seed), nothingMade(), []];
  while (pairs.length < many) {
    const pair = randomPair(TEXT, nextLabel(counts, rules, rng), rules, rng);
    if (!pair) continue;
    count(counts, TEXT, pair);
    pairs.push(pair);
  }
  return { counts, pairs, rng };
}

test("a place is found among starts", () => {
  for (let sentence = 0; sentence < 8; sentence++) {
    assert.equal(placeOf(TEXT.documents, sentence), DOCUMENT[sentence]);
    for (let token = TEXT.starts[sentence]; token < TEXT.starts[sentence + 1]; token++) {
      assert.equal(placeOf(TEXT.starts, token), sentence);
    }
  }
});

test("sentences are gathered until they reach the length, within their document", () => {
  assert.equal(gather(TEXT, 0, 4), 1);
  assert.equal(gather(TEXT, 0, 5), 2);
  assert.equal(gather(TEXT, 0, 99), 3);
  assert.equal(gather(TEXT, 1, -3), 2);
});

test("dealt labels are exactly 1:1, a coin's are not", () => {
  assert.deepEqual(made(CAREFUL, 1000).counts.made, [500, 500]);
  const uneven = [1, 2, 3, 4].filter((seed) => {
    const [follows, random] = made({ ...CAREFUL, coin: true }, 1000, seed).counts.made;
    assert.ok(Math.abs(follows - random) < 140, "4.4 standard deviations");
    return follows !== random;
  });
  assert.ok(uneven.length >= 3);
});

test("B follows when the label is 0; with label 1 it is from elsewhere and never continues", () => {
  const { pairs, counts } = made(CAREFUL, 2000);
  for (const pair of pairs) {
    assert.ok(pair.first < pair.split && DOCUMENT[pair.first] === DOCUMENT[pair.split]);
    if (pair.label === FOLLOWS) assert.equal(pair.b, pair.split);
    else {
      assert.notEqual(DOCUMENT[pair.b], DOCUMENT[pair.first]);
      assert.ok(!(pair.split === 1 && pair.b === 4), "a copy of the continuation");
    }
  }
  assert.deepEqual([counts.sameDocument, counts.wrong, counts.caught], [0, 0, null]);
});

test("drawn from all sentences, B is the continuation once in so many sentences", () => {
  const { pairs, counts } = made(FAULTY, 8000);
  const copies = [1, 4]; // sentences that are the same
  const random = pairs.filter(({ label }) => label === RANDOM);
  const wrong = random.filter(({ b, split }) =>
    b === split || (copies.includes(b) && copies.includes(split)));
  assert.equal(counts.wrong, wrong.length);
  assert.deepEqual(counts.caught, wrong.at(-1));
  assert.ok(continues(TEXT, counts.caught));
  const expected = random.reduce((sum, { split }) => sum + (copies.includes(split) ? 2 : 1) / 8, 0);
  assert.ok(Math.abs(counts.wrong - expected) < 110, "4 standard deviations");
  assert.ok(counts.sameDocument > 1000);
});

test("where no sentence will do, there is no pair", () => {
  const rng = generator(0);
  assert.equal(withB(TEXT, { first: 0, split: 3, label: FOLLOWS }, CAREFUL, rng), null);
  assert.equal(withB(TEXT, { first: 0, split: 1, label: RANDOM }, { ...CAREFUL, pool: 1 }, rng), null);
  assert.deepEqual(candidates(TEXT, { first: 0, split: 1 }, CAREFUL), [3, 5, 6, 7]);
});

test("the longer segment is cut, on a tie B, one token at a time", () => {
  for (let a = 1; a < 20; a++) {
    for (let b = 1; b < 20; b++) {
      let [x, y] = [a, b];
      while (x + y > 12) x > y ? x-- : y--;
      assert.deepEqual(keptLengths(a, b, 12), [x, y]);
    }
  }
});

test("the input is [CLS] A [SEP] B [SEP], at most so long, with its segment ids", () => {
  const { pairs, rng } = made(FAULTY, 500);
  for (const pair of pairs) {
    const [a, b] = spans(TEXT, pair, rng);
    assert.ok(a[0] >= TEXT.starts[pair.first] && a[1] <= TEXT.starts[pair.split]);
    assert.ok(b[0] >= TEXT.starts[pair.b] && b[1] > b[0]);
    const tokens = input(TEXT, [a, b], { cls: 1, sep: 2 });
    assert.deepEqual(
      tokens.map(({ id }) => id),
      [1, ...TEXT.ids.slice(...a), 2, ...TEXT.ids.slice(...b), 2],
    );
    assert.ok(tokens.length <= 15);
    const firstSep = 1 + a[1] - a[0];
    tokens.forEach(({ segment, position, special }, i) => {
      assert.equal(position, i);
      assert.equal(segment, Number(i > firstSep));
      assert.equal(Boolean(special), [0, firstSep, tokens.length - 1].includes(i));
    });
  }
});
