// As attention_explorer.py, with every head's exact numbers, as for short texts there.

import { described, encodeShort, float32 } from "./base.js";

const LONGEST_ATTENTION = 128; // tokens: all heads' numbers are sent at once
let version = 0; // of an explorer's data, by which it knows the heads that belong to them

export function AttentionExplorer(bert, { text, pair, other }) {
  const { num_hidden_layers: L, num_attention_heads: A, hidden_size: H, max_position_embeddings } = bert.config;
  const shown = [[text, pair], ...(other ? [[other, null]] : [])]
    .map(([one, two]) => bert.read(encodeShort(bert, LONGEST_ATTENTION, one, two)));
  const most = Math.max(...shown.map(({ encoding }) => encoding.tokens.length));
  const every = Array.from({ length: L * A }, (_, i) => [Math.floor(i / A), i % A]);
  const counts = new Float64Array(256); // how often each of 256 shades is there
  const length = [most, Math.min(LONGEST_ATTENTION, max_position_embeddings)];
  const data = { version: ++version, length, texts: [] };
  const heads = { version, which: shown.map(() => every) };
  shown.forEach(({ encoding, attention_probs, query, key }, n) => {
    const S = encoding.tokens.length;
    const probs = attention_probs.flatMap((layer) => [...layer]);
    const maps = Uint8Array.from(probs, (share) => Math.round(255 * share));
    for (const shade of maps) counts[shade]++;
    const kinds = encoding.tokens.map((token, i) => ({ "[CLS]": 1, "[SEP]": 2 })[token]
      ?? (bert.tokenizer.special_ids.has(encoding.input_ids[i]) ? 3 : 0));
    data.texts.push({ ...described(bert.tokenizer, encoding), kinds });
    data[`maps${n}`] = { dtype: "uint8", shape: [L, A, S, S], values: maps };
    data[`averages${n}`] = float32([L, A, 6], every.flatMap((_, head) =>
      averages(probs.slice(head * S * S, (head + 1) * S * S), kinds)));
    heads[`probs${n}`] = float32([L * A, S, S], probs);
    heads[`query${n}`] = float32([L * A, S, H / A], query.flatMap((layer) => [...layer]));
    heads[`key${n}`] = float32([L * A, S, H / A], key.flatMap((layer) => [...layer]));
  });
  data.darkest = Math.max(1, Math.ceil(quantile(counts, 0.98) / 2.55)) / 100;
  return { data, heads };
}

/** The means over the rows of a head's map: entropy, and the shares that go to certain places. */
export function averages(probs, kinds) {
  const S = kinds.length;
  const sums = new Float64Array(6);
  for (let i = 0; i < S; i++) {
    for (let j = 0; j < S; j++) {
      const share = probs[i * S + j];
      if (share > 0) sums[0] -= share * Math.log(share);
      if (kinds[j] === 1) sums[1] += share;
      if (kinds[j] === 2) sums[2] += share;
      if (j === i) sums[3] += share;
      if (j === i + 1) sums[4] += share;
      if (j === i - 1) sums[5] += share;
    }
  }
  return Array.from(sums, (sum, place) => sum / (place > 3 ? S - 1 : S)); // the last has no next
}

/** numpy's quantile of numbers from 0 on, of which it is known how often each is there. */
export function quantile(counts, share) {
  const place = share * (counts.reduce((sum, count) => sum + count, 0) - 1);
  const at = (index) => {
    let number = 0;
    for (let seen = counts[0]; seen <= index; seen += counts[number]) number++;
    return number;
  };
  const [low, high] = [at(Math.floor(place)), at(Math.ceil(place))];
  return low + (place % 1) * (high - low);
}
