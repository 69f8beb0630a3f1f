// A checksum. The browser's own is quicker, but missing in pages of a plain http server.

const firstBits = (root) => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  return primes.map((prime) => ((prime ** (1 / root)) % 1) * 2 ** 32 | 0);
};
const K = Int32Array.from(firstBits(3));
const START = firstBits(2).slice(0, 8);

/** The SHA-256 of bytes, by the browser where it can. */
export async function checksum(bytes) {
  if (!globalThis.crypto?.subtle) return sha256(bytes);
  return hexadecimal(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), 2);
}

const hexadecimal = (numbers, digits) =>
  Array.from(numbers, (number) => number.toString(16).padStart(digits, "0")).join("");

/** The SHA-256 of bytes, in hexadecimal digits; FIPS 180-4. */
export function sha256(bytes) {
  const whole = bytes.length - (bytes.length % 64);
  const rest = new Uint8Array(bytes.length % 64 < 56 ? 64 : 128);
  rest.set(bytes.subarray(whole));
  rest[bytes.length % 64] = 0x80;
  new DataView(rest.buffer).setBigUint64(rest.length - 8, 8n * BigInt(bytes.length));
  const state = Int32Array.from(START);
  const w = new Int32Array(64);
  for (const [part, end] of [[bytes, whole], [rest, rest.length]]) {
    const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
    for (let at = 0; at < end; at += 64) block(view, at, state, w);
  }
  return hexadecimal(new Uint32Array(state.buffer), 8);
}

function block(view, at, state, w) {
  for (let t = 0; t < 16; t++) w[t] = view.getInt32(at + 4 * t);
  for (let t = 16; t < 64; t++) {
    const x = w[t - 15];
    const y = w[t - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = (w[t - 16] + s0 + w[t - 7] + s1) | 0;
  }
  let a = state[0];
  let b = state[1];
  let c = state[2];
  let d = state[3];
  let e = state[4];
  let f = state[5];
  let g = state[6];
  let h = state[7];
  for (let t = 0; t < 64; t++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[t] + w[t]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; // one by one: as two arrays this takes twice the time
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] += a; // of 32 bits each, so sums wrap by themselves
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}
