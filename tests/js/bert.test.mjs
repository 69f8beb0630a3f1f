// The page's engine by itself; beside Python it is held in tests/test_web_pack.py.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { bestSpan, shares } from "../../bertedu/widgets/static/bert/answers.js";
import { wake } from "../../bertedu/widgets/static/bert/bert.js";
import { pooled, softmax, topK } from "../../bertedu/widgets/static/bert/model.js";
import { checksum, sha256 } from "../../bertedu/widgets/static/bert/sha256.js";
import { BertTokenizer, SPECIAL_TOKENS } from "../../bertedu/widgets/static/bert/tokenizer.js";
import { Linear, Weights, fromBase64 } from "../../bertedu/widgets/static/bert/weights.js";
import { KERNEL_FILE, kernelModule } from "./build_kernel.mjs";

const FIRST_LINE = 192;
const SWITCHES = { clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true };
const TOKENS = [...SPECIAL_TOKENS, "my", "dog", "##s"];

/** A pack, as bertedu/widgets/web_pack.py writes it. `arrays`: [dtype, shape, numbers] by name. */
function pack(header, arrays, change = {}) {
  const described = [];
  const blocks = [];
  const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
  let offset = 0;
  for (const [name, [dtype, shape, numbers]] of Object.entries(arrays)) {
    let bytes;
    if (dtype === "int8") {
      const rows = Array.from({ length: shape[0] }, (_, i) => padded(Buffer.from(Int8Array.from(
        numbers.slice(i * shape[1], (i + 1) * shape[1])).buffer)));
      bytes = Buffer.concat(rows);
    } else {
      bytes = padded(Buffer.from(dtype === "uint8" ? numbers : Float32Array.from(numbers).buffer));
    }
    described.push({ name, dtype, shape, offset });
    blocks.push(bytes);
    offset += bytes.length;
  }
  const text = Buffer.from(JSON.stringify({ ...header, arrays: described }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const block = Buffer.concat([padded(Buffer.concat([length, text])), ...blocks]);
  const first = {
    format: "bertedu pack", version: 1, bytes: block.length,
    sha256: createHash("sha256").update(block).digest("hex"), ...change,
  };
  return new Uint8Array(Buffer.concat([Buffer.from(`${JSON.stringify(first).padEnd(FIRST_LINE - 1)}\n`), block]));
}

/** The arrays of a linear layer with whole numbers for weights. */
const layer = (name, rows, scale, bias) => ({
  [`${name}.weight`]: ["int8", [rows.length, rows[0].length], rows.flat()],
  [`${name}.weight.scale`]: ["float32", [rows.length], scale],
  ...(bias && { [`${name}.bias`]: ["float32", [rows.length], bias] }),
});

/** A model of one layer that knows three words. */
function model({ header = {}, without = "" } = {}) {
  const H = 4;
  const square = (out, wide) => Array.from({ length: out }, (_, i) =>
    Array.from({ length: wide }, (__, j) => ((i * 7 + j * 5) % 9) - 4));
  const dense = (name, out, wide) => layer(name, square(out, wide), Array(out).fill(0.1), Array(out).fill(0.01));
  const norm = (name) => ({
    [`${name}.weight`]: ["float32", [H], Array(H).fill(1)], [`${name}.bias`]: ["float32", [H], Array(H).fill(0)],
  });
  const one = "bert.encoder.layer.0";
  const arrays = {
    vocab: ["uint8", [1], Buffer.from(TOKENS.join("\n"))],
    ...layer("bert.embeddings.word_embeddings", square(8, H), Array(8).fill(0.1)),
    ...layer("bert.embeddings.token_type_embeddings", square(2, H), Array(2).fill(0.1)),
    ...layer("bert.embeddings.position_embeddings", square(6, H), Array(6).fill(0.1)),
    ...norm("bert.embeddings.LayerNorm"),
    ...Object.assign({}, ...["query", "key", "value"].map((name) => dense(`${one}.attention.self.${name}`, H, H))),
    ...dense(`${one}.attention.output.dense`, H, H), ...norm(`${one}.attention.output.LayerNorm`),
    ...dense(`${one}.intermediate.dense`, 8, H), ...dense(`${one}.output.dense`, H, 8), ...norm(`${one}.output.LayerNorm`),
    ...dense("bert.pooler.dense", H, H),
    ...dense("cls.predictions.transform.dense", H, H), ...norm("cls.predictions.transform.LayerNorm"),
    "cls.predictions.bias": ["float32", [8], Array(8).fill(0)],
    ...dense("cls.seq_relationship", 2, H),
  };
  arrays.vocab[1] = [arrays.vocab[2].length];
  for (const name of Object.keys(arrays)) if (without && name.startsWith(without)) delete arrays[name];
  return pack({
    kind: "pretrained", encoder: "a", max_length: 6,
    config: { hidden_size: H, num_hidden_layers: 1, num_attention_heads: 2, hidden_act: "gelu", layer_norm_eps: 1e-12 },
    tokenizer: SWITCHES, ...header,
  }, arrays);
}

// ---- the kernel -------------------------------------------------------------------------------

test("the kernel's bytes are those of its source", async () => {
  assert.equal(readFileSync(KERNEL_FILE, "utf8"), await kernelModule());
});

test("SIMD and plain JavaScript compute the same layer, for any sizes", () => {
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (const [tokens, wide, out] of [[1, 1, 1], [3, 8, 5], [4, 9, 2], [33, 17, 3], [70, 384, 7]]) {
    const rows = Array.from({ length: out }, () => Array.from({ length: wide }, () => Math.floor(255 * random()) - 127));
    const scale = Array.from({ length: out }, () => random() / 50);
    const bias = out === 2 ? null : Array.from({ length: out }, random);
    const states = Float32Array.from({ length: tokens * wide }, () => random() - 0.5);
    const bytes = pack({}, layer("dense", rows, scale, bias)).subarray(FIRST_LINE);
    const [fast, plain] = [true, false].map((simd) => new Weights(bytes, { simd }));
    assert.ok(fast.buffer.byteLength % 65536 === 0 && plain.buffer.byteLength % 65536 !== 0, "one is WebAssembly's");
    const [a, b] = [fast, plain].map((weights) => new Linear(weights, "dense").forward(states));
    for (let t = 0; t < tokens; t++) {
      for (let o = 0; o < out; o++) {
        const exact = scale[o] * rows[o].reduce((sum, w, i) => sum + w * states[t * wide + i], 0) + (bias?.[o] ?? 0);
        for (const of of [a, b]) assert.ok(Math.abs(of[t * out + o] - exact) < 1e-4, `${tokens} x ${wide} x ${out}`);
      }
    }
    assert.deepEqual(new Linear(fast, "dense").row(out - 1),
      Float32Array.from(rows[out - 1], (w) => w * Math.fround(scale[out - 1])));
  }
});

test("where WebAssembly is missing, plain JavaScript computes", async (context) => {
  const { WebAssembly: before } = globalThis;
  context.after(() => { globalThis.WebAssembly = before; });
  const expected = (await wake(model())).fill_mask("my [MASK]");
  for (const instead of [undefined, { validate: () => false }]) {
    globalThis.WebAssembly = instead;
    const found = (await wake(model())).fill_mask("my [MASK]");
    assert.equal(found[0][0].token, expected[0][0].token);
    assert.ok(Math.abs(found[0][0].probability - expected[0][0].probability) < 1e-6);
  }
});

// ---- checksum, base64, small things -----------------------------------------------------------

test("the checksum is SHA-256, with the browser's own and without", async (context) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  context.after(() => Object.defineProperty(globalThis, "crypto", before));
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000]) {
    const bytes = new Uint8Array(randomBytes(length));
    const expected = createHash("sha256").update(bytes).digest("hex");
    assert.equal(sha256(bytes), expected);
    assert.equal(await checksum(bytes), expected);
  }
  Object.defineProperty(globalThis, "crypto", { value: {}, configurable: true });
  assert.equal(await checksum(new Uint8Array(3)), sha256(new Uint8Array(3)));
});

test("small things", () => {
  assert.deepEqual([...fromBase64("AAH/")], [0, 1, 255]);
  assert.deepEqual(topK([1, 9, 3, 9, 5], 3), [1, 3, 4]);
  assert.deepEqual(topK([2], 5), [0]);
  assert.deepEqual([...softmax([1000, 1000])], [0.5, 0.5]);
  assert.deepEqual(shares(["a", "b"], [0, 1e3]).map(({ token }) => token), ["b", "a"]);
  assert.deepEqual([...pooled([1, 2, 3, 4], 2, { pooling: "mean" })], [2, 3]);
  assert.deepEqual([...pooled(Float32Array.of(1, 2), 2, { pooling: "concat", positions: 2 })], [1, 2, 0, 0]);
  const logits = Float32Array.of(0, 0, 1, 0, 5, 2, 0, 9, 9, 9); // the last token is [SEP]
  assert.deepEqual(bestSpan(logits, 1, 2), { start: 2, end: 3, score: 14 });
  assert.deepEqual(bestSpan(logits, 1, 1), { start: 3, end: 3, score: 9 });
  assert.equal(bestSpan(logits, 4, 2).start, undefined);
});

test("a tokenizer by itself", () => {
  const tokenizer = new BertTokenizer(TOKENS, SWITCHES);
  const { tokens, token_type_ids, offsets, special_tokens_mask } = tokenizer.encode("My dogs", "[MASK]\u200b dög");
  assert.deepEqual(tokens, ["[CLS]", "my", "dog", "##s", "[SEP]", "[MASK]", "dog", "[SEP]"]);
  assert.deepEqual(token_type_ids, [0, 0, 0, 0, 0, 1, 1, 1]);
  assert.deepEqual(offsets, [[0, 0], [0, 2], [3, 6], [6, 7], [0, 0], [0, 6], [8, 11], [0, 0]]);
  assert.deepEqual(special_tokens_mask, [1, 0, 0, 0, 1, 0, 0, 1]);
  assert.throws(() => tokenizer.encode("a\ud800"), /half of a surrogate pair/);
  assert.throws(() => tokenizer.encode(null), /A text is needed/);
});

// ---- what cannot be used ----------------------------------------------------------------------

const refused = (promise, sentence) => assert.rejects(promise, ({ name, message }) => {
  assert.equal(name, "InputError");
  assert.match(message, sentence);
  assert.doesNotMatch(message, /\n/);
  return true;
});

test("a pack that is none, not whole, or of another version is refused", async () => {
  const whole = model();
  await wake(whole);
  await refused(wake(new Uint8Array(0)), /^This is no pack/);
  await refused(wake(new TextEncoder().encode("<!DOCTYPE html>")), /^This is no pack/);
  await refused(wake(whole.subarray(0, whole.length - 8)), /^The pack is damaged/);
  for (const place of [FIRST_LINE + 30, whole.length - 40]) {
    const damaged = whole.slice();
    damaged[place] ^= 1;
    await refused(wake(damaged), /^The pack is damaged/);
  }
  await refused(wake(pack({}, {}, { version: 2 })), /has version 2, and this page reads version 1/);
  await refused(wake(model({ without: "bert.encoder" })), /^The pack has no bert.encoder/);
});

test("an adapter needs its own checkpoint", async () => {
  const adapter = pack({ kind: "adapter", base: "b", scales: {} }, {});
  await refused(wake(adapter), /is an adapter: it needs the pack of its checkpoint/);
  await refused(wake(model(), adapter), /made for another checkpoint/);
});

test("a text that cannot be read is refused", async () => {
  const bert = await wake(model());
  assert.throws(() => bert.encode("my my my my my"), /has 7 tokens, and this model reads at most 6: shorten it/);
  assert.throws(() => bert.fill_mask("my dog"), /has no \[MASK\]/);
  assert.throws(() => bert.logits(bert.trace("my")), /was not fine-tuned/);
  const bare = await wake(model({ without: "cls" }));
  assert.throws(() => bare.fill_mask("[MASK]"), /no masked-LM head/);
  assert.throws(() => bare.next_sentence("my", "dog"), /no next-sentence head/);
  assert.equal((await wake(model({ without: "bert.pooler" }))).trace("my").seq_relationship_logits, null);
});

// ---- the worker -------------------------------------------------------------------------------

test("the worker answers each question by its number, and says what went wrong", async () => {
  const said = [];
  let heard = () => {};
  globalThis.postMessage = (message) => {
    said.push(message);
    if (message.progress === undefined) heard(message);
  };
  await import("../../bertedu/widgets/static/bert/worker.js");
  let last = 0;
  const ask = (method, ...given) => new Promise((resolve) => {
    heard = resolve;
    globalThis.onmessage({ data: { id: ++last, method, arguments: given } });
  });
  assert.deepEqual(await ask("answer", "my", null), { id: 1, problem: "BERT is asleep: wake it first." });
  assert.match((await ask("wake", ["%%%%"])).problem, /^The pack is damaged/);
  const bytes = model({ header: { certificate: { same: 1 } } });
  const awake = await ask("wake", [Buffer.from(bytes).toString("base64")]);
  assert.deepEqual([awake.id, awake.result.kind, awake.result.max_length, awake.result.certificate], [3, "pretrained", 6, { same: 1 }]);
  assert.ok(said.some(({ id, progress }) => id === 3 && progress >= 0 && progress <= 1));
  const { result } = await ask("answer", "my [MASK]", "dog");
  assert.deepEqual(result.tokens, ["[CLS]", "my", "[MASK]", "[SEP]", "dog", "[SEP]"]);
  assert.equal(result.guesses[0].length, 5);
  assert.ok(result.follows > 0 && result.follows < 1);
  assert.equal((await ask("answer", "my", null)).result.guesses, null);
  const { result: trace } = await ask("trace", "my", null);
  assert.deepEqual([trace.hidden_states.length, trace.attention_probs[0].length], [2, 2 * 3 * 3]);
  assert.match((await ask("answer", "my my my my my", null)).problem, /shorten it/);
  assert.match((await ask("sing")).problem, /^BERT stopped \(.*\): reload the page\.$/);
  const { ArrayBuffer: before } = globalThis;
  globalThis.ArrayBuffer = class { constructor() { throw new RangeError("Array buffer allocation failed"); } };
  assert.match((await ask("wake", [bytes, null], { simd: false })).problem, /not enough memory for BERT/);
  globalThis.ArrayBuffer = before;
  assert.match((await ask("wake", [bytes.slice(0, 300)])).problem, /damaged/);
  assert.equal((await ask("answer", "dog", null)).result.tokens.length, 3, "the model from before answers on");
});
