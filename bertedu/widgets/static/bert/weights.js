// A model's weights, as bertedu/widgets/web_pack.py writes them: a first line, then one block of a
// header (JSON) and its arrays. A matrix is int8 with a float32 scale for each row; the linear
// layers are computed where the bytes lie, by the WebAssembly of kernel.wat or by plain JavaScript.

import { InputError } from "./errors.js";
import { KERNEL } from "./kernel.js";
import { checksum } from "./sha256.js";

export const VERSION = 1;
const FIRST_LINE = 192; // bytes
const AT_ONCE = 32; // tokens that a layer computes at once; the kernel takes four at a time
const PAGE = 65536; // bytes in which a WebAssembly memory grows

/** The bytes that base64 stands for; a loop, which takes a fraction of the time of Uint8Array.from. */
export function fromBase64(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

const upTo = (multiple, number) => Math.ceil(number / multiple) * multiple;

/** The weights of one pack. */
export class Weights {
  /** The weights in a pack's bytes; refuses what is not whole, or of another version. */
  static async open(bytes, options) {
    let first;
    try {
      first = JSON.parse(new TextDecoder().decode(bytes.subarray(0, FIRST_LINE)));
    } catch {
      first = {};
    }
    if (first.format !== "bertedu pack") throw new InputError("This is no pack of bertedu: export the model again.");
    if (first.version !== VERSION) {
      throw new InputError(
        `The pack has version ${first.version}, and this page reads version ${VERSION}: export the model again.`,
      );
    }
    const block = bytes.subarray(FIRST_LINE);
    if (first.bytes !== block.length || first.sha256 !== await checksum(block)) {
      throw new InputError("The pack is damaged: copy it again.");
    }
    return new Weights(block, options);
  }

  /** `simd` false computes in plain JavaScript, whatever the browser can. */
  constructor(block, { simd = true } = {}) {
    const view = new DataView(block.buffer, block.byteOffset);
    const length = view.getUint32(0, true);
    const text = new TextDecoder().decode(block.subarray(4, 4 + length));
    const { arrays, ...header } = JSON.parse(text);
    this.header = header;
    this.arrays = new Map(arrays.map((array) => [array.name, array]));

    const body = block.subarray(upTo(8, 4 + length));
    const { max_position_embeddings: longest = 1, hidden_size = 1 } = header.config ?? {};
    const widths = arrays.map(({ dtype, shape }) => (dtype === "int8" ? shape : [1, 1]));
    const [features, width] = [0, 1].map((side) =>
      upTo(8, Math.max(longest, ...widths.map((sides) => sides[side]))));
    this.room = { x: upTo(16, body.length) }; // where the input, rows at hand and the output lie
    this.room.row = this.room.x + 4 * AT_ONCE * width;
    this.room.none = this.room.row + 4 * Math.max(width, upTo(8, longest) * upTo(8, hidden_size)); // zeros for a bias
    this.room.y = this.room.none + 4 * features;
    const size = this.room.y + 4 * AT_ONCE * features;

    const kernel = fromBase64(KERNEL);
    if (simd && globalThis.WebAssembly?.validate(kernel)) {
      const memory = new WebAssembly.Memory({ initial: Math.ceil(size / PAGE) });
      const module = new WebAssembly.Module(kernel);
      this.buffer = memory.buffer;
      this.kernel = new WebAssembly.Instance(module, { memory: { all: memory } }).exports;
    } else {
      this.buffer = new ArrayBuffer(size);
      this.kernel = {
        linear: (...places) => plainLinear(this.buffer, ...places),
        products: (...places) => plainProducts(this.buffer, ...places),
      };
    }
    new Uint8Array(this.buffer).set(body);
    this.products = this.products.bind(this);
  }

  /** scale a b^T: [R, N] of a [R, width] and b [N, width], all float32. */
  products(a, b, width, scale = 1) {
    const wide = upTo(4, width);
    const count = b.length / width;
    const rows = new Float32Array(this.buffer, this.room.row, count * wide);
    copyRows(b, width, rows, wide);
    return this.compute(a, width, wide, count, (tokens) =>
      this.kernel.products(this.room.x, this.room.row, scale, this.room.y, tokens, wide, count));
  }

  /** [S, features] of rows [S, width], some at once, by what `run` does to those at `room.x`. */
  compute(states, width, wide, features, run) {
    const count = states.length / width;
    const output = new Float32Array(count * features);
    const x = new Float32Array(this.buffer, this.room.x, AT_ONCE * wide);
    for (let first = 0; first < count; first += AT_ONCE) {
      const some = Math.min(AT_ONCE, count - first);
      copyRows(states.subarray(first * width, (first + some) * width), width, x, wide);
      run(upTo(4, some));
      output.set(new Float32Array(this.buffer, this.room.y, some * features), first * features);
    }
    return output;
  }

  has(name) {
    return this.arrays.has(name);
  }

  /** The numbers of an array that is not int8, where they lie. */
  values(name) {
    const { dtype, shape, offset } = this.described(name);
    const Type = { float32: Float32Array, uint8: Uint8Array }[dtype];
    return new Type(this.buffer, offset, shape.reduce((product, side) => product * side, 1));
  }

  described(name) {
    if (!this.has(name)) throw new InputError(`The pack has no ${name}: export the model again.`);
    return this.arrays.get(name);
  }
}

/** x W^T + b, with W in int8 rows: torch's nn.Linear, or the rows of an nn.Embedding. */
export class Linear {
  constructor(weights, name, bias = `${name}.bias`) {
    const { shape, offset } = weights.described(`${name}.weight`);
    [this.out_features, this.in_features] = shape;
    this.weights = weights;
    this.width = upTo(8, this.in_features); // of a row in the pack
    this.offset = offset;
    this.scale = weights.described(`${name}.weight.scale`).offset;
    this.bias = weights.has(bias) ? weights.described(bias).offset : weights.room.none;
  }

  /** The weights of one row, as float32. */
  row(index) {
    const row = new Int8Array(this.weights.buffer, this.offset + index * this.width, this.in_features);
    const [scale] = new Float32Array(this.weights.buffer, this.scale + 4 * index, 1);
    return Float32Array.from(row, (weight) => weight * scale);
  }

  /** [S, out_features] of states [S, in_features]. */
  forward(states) {
    const { in_features, out_features, width, weights: { kernel, room } } = this;
    return this.weights.compute(states, in_features, width, out_features, (tokens) =>
      kernel.linear(room.x, this.offset, this.scale, this.bias, room.y, room.row, tokens, width, out_features));
  }
}

/** Copies rows to where each has more room, which is filled with zeros. */
function copyRows(from, width, to, wide) {
  to.fill(0);
  for (let start = 0, at = 0; start < from.length; start += width, at += wide) {
    to.set(from.subarray(start, start + width), at);
  }
}

function plainProducts(buffer, x, rows, scale, y, tokens, width, features) {
  const [a, b] = [[x, tokens], [rows, features]].map(([at, count]) => new Float32Array(buffer, at, count * width));
  const output = new Float32Array(buffer, y, tokens * features);
  for (let token = 0; token < tokens; token++) {
    for (let feature = 0; feature < features; feature++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += a[token * width + i] * b[feature * width + i];
      output[token * features + feature] = sum * scale;
    }
  }
}

/** What the kernel does, where WebAssembly or its SIMD is missing. */
function plainLinear(buffer, x, weight, scale, bias, y, row, tokens, width, features) {
  const states = new Float32Array(buffer, x, tokens * width);
  const rows = new Int8Array(buffer, weight, features * width);
  const scales = new Float32Array(buffer, scale, features);
  const biases = new Float32Array(buffer, bias, features);
  const output = new Float32Array(buffer, y, tokens * features);
  const wide = new Float32Array(buffer, row, width);
  for (let feature = 0; feature < features; feature++) {
    wide.set(rows.subarray(feature * width, (feature + 1) * width));
    for (let token = 0; token < tokens; token++) {
      let sum = 0;
      const start = token * width;
      for (let i = 0; i < width; i++) sum += wide[i] * states[start + i];
      output[token * features + feature] = sum * scales[feature] + biases[feature];
    }
  }
}
