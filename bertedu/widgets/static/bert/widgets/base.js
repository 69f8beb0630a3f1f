// What the answerers of all widgets share: the JavaScript twin of bertedu/widgets/base.py.

import { InputError } from "../errors.js";

const ARRAYS_OF = { uint8: Uint8Array, float32: Float32Array, float64: Float64Array };

export const array = (dtype, shape, values) => ({ dtype, shape, values: ARRAYS_OF[dtype].from(values) });
export const float32 = (shape, values) => array("float32", shape, values);
export const float64 = (shape, values) => array("float64", shape, values);

/** What the browser needs of a text's tokens to draw them, as `described` in base.py. */
export function described(tokenizer, { tokens, input_ids, token_type_ids }) {
  const special = input_ids.map((id) => tokenizer.special_ids.has(id));
  return { tokens, ids: input_ids, types: token_type_ids, special };
}

export function checkLength(count, what, most) {
  if (count <= most) return;
  const numbers = [count, most].map((number) => number.toLocaleString("en"));
  throw new InputError(`The text has ${numbers[0]} ${what} and this picture shows at most ${numbers[1]}: shorten it.`);
}

/** A text as the model takes it, of at most `most` tokens. */
export function encodeShort({ tokenizer, config }, most, text, pair = null) {
  const encoding = tokenizer.encode(text, pair);
  checkLength(encoding.tokens.length, "tokens", Math.min(most, config.max_position_embeddings));
  return encoding;
}

/** torch's quantile of the sizes of numbers. */
export function quantileOfSizes(values, share) {
  const sizes = Float32Array.from(values, Math.abs).sort();
  const place = share * (sizes.length - 1);
  const low = sizes[Math.floor(place)];
  return low + (place % 1) * (sizes[Math.ceil(place)] - low);
}

/** A header and arrays as one block of bytes: `pack` in base.py. */
export function pack(values) {
  const isArray = (value) => value?.dtype !== undefined;
  const arrays = Object.entries(values).filter(([, value]) => isArray(value));
  const header = Object.fromEntries(Object.entries(values).filter(([, value]) => !isArray(value)));
  const upTo8 = (length) => 8 * Math.ceil(length / 8);
  let offset = 0;
  header.arrays = arrays.map(([name, { dtype, shape, values: { byteLength } }]) => {
    offset += upTo8(byteLength);
    return { name, dtype, shape, offset: offset - upTo8(byteLength) };
  });
  const text = new TextEncoder().encode(JSON.stringify(header));
  const body = upTo8(4 + text.length);
  const bytes = new Uint8Array(body + offset);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 4);
  arrays.forEach(([, { values: { buffer, byteOffset, byteLength } }], i) => {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), body + header.arrays[i].offset);
  });
  return bytes;
}
