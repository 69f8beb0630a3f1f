// BERT's encoder and what answers on top of it: the JavaScript twin of bertedu/attention.py,
// model.py and heads.py, in the same order and under the same names; to be read beside them.
//
// One input at a time, so there is no batch and no padding. A tensor is a Float32Array, one row
// after the other; a layer knows its width. S tokens, A heads, H hidden size, D = H / A.
// `products(a, b, width, scale)` is scale a b^T, and lies with the weights: see weights.js.

import { Linear } from "./weights.js";

// ---- attention.py -----------------------------------------------------------------------------

/** How well each query [S, D] matches each key [S, D]: Q K^T / sqrt(D), [S, S]. */
export function attention_scores(query, key, D, products) {
  return products(query, key, D, 1 / Math.sqrt(D));
}

/** The scores' softmax over the keys; every row sums to 1. */
export function attention_probs(scores, S) {
  const probs = new Float32Array(scores.length);
  for (let start = 0; start < scores.length; start += S) {
    probs.set(softmax(scores.subarray(start, start + S)), start);
  }
  return probs;
}

export function softmax(logits) {
  const powers = new Float32Array(logits.length);
  let [highest, sum] = [-Infinity, 0];
  for (let i = 0; i < logits.length; i++) highest = Math.max(highest, logits[i]);
  for (let i = 0; i < logits.length; i++) sum += powers[i] = Math.exp(logits[i] - highest);
  for (let i = 0; i < logits.length; i++) powers[i] /= sum;
  return powers;
}

/** The places of the k largest numbers, the largest first; of equals, the first. */
export function topK(numbers, k) {
  const best = [];
  for (let i = 0; i < numbers.length; i++) {
    if (best.length === k && numbers[i] <= numbers[best[k - 1]]) continue;
    let place = best.length;
    while (place > 0 && numbers[best[place - 1]] < numbers[i]) place--;
    best.splice(place, 0, i);
    if (best.length > k) best.pop();
  }
  return best;
}

/** Each query's mixture of the values, [S, D], and the probabilities it was mixed with. */
export function attend(query, key, value, D, products) {
  const S = query.length / D;
  const probs = attention_probs(attention_scores(query, key, D, products), S);
  return { context: products(probs, transposed(value, D), S), probs };
}

/** [D, S] of [S, D]. */
function transposed(rows, D) {
  const S = rows.length / D;
  const columns = new Float32Array(rows.length);
  for (let s = 0; s < S; s++) {
    for (let d = 0; d < D; d++) columns[d * S + s] = rows[s * D + d];
  }
  return columns;
}

// ---- model.py ---------------------------------------------------------------------------------

/** The error function, within 7e-8: a quotient of two polynomials, as Eigen and XLA have it. */
export function erf(x) {
  x = Math.max(-4, Math.min(4, x));
  const y = x * x;
  const above = -1.60960333262415e-2 + y * (-2.95459980854025e-3 + y * (-7.34990630326855e-4 +
    y * (-5.69250639462346e-5 + y * (-2.10102402082508e-6 + y * (2.77068142495902e-8 +
    y * -2.72614225801306e-10)))));
  const below = -1.42647390514189e-2 + y * (-7.37332916720468e-3 + y * (-1.68282697438203e-3 +
    y * (-2.13374055278905e-4 + y * -1.45660718464996e-5)));
  return (x * above) / below;
}

export const ACTIVATIONS = {
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  gelu_new: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(0, x),
};

class LayerNorm {
  constructor(weights, name, config) {
    this.weight = weights.values(`${name}.weight`);
    this.bias = weights.values(`${name}.bias`);
    this.eps = config.layer_norm_eps;
  }

  /** Every row with mean 0 and variance 1, then scaled and moved. */
  forward(states) {
    const H = this.weight.length;
    const output = new Float32Array(states.length);
    for (let start = 0; start < states.length; start += H) {
      const row = states.subarray(start, start + H);
      const mean = row.reduce((sum, x) => sum + x, 0) / H;
      const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / H;
      const deviation = Math.sqrt(variance + this.eps);
      for (let i = 0; i < H; i++) {
        output[start + i] = ((row[i] - mean) / deviation) * this.weight[i] + this.bias[i];
      }
    }
    return output;
  }
}

/** The layer's weight stays, plus a learned update of rank r: W + scale B A. */
export class LoraLinear {
  constructor(linear, adapter, name) {
    this.linear = linear;
    this.lora_A = new Linear(adapter, `${name}.lora_A`);
    this.lora_B = new Linear(adapter, `${name}.lora_B`);
    this.scale = adapter.header.scales[name];
  }

  forward(states) {
    const update = this.lora_B.forward(this.lora_A.forward(states));
    return this.linear.forward(states).map((y, i) => y + this.scale * update[i]);
  }
}

/** Token + segment + position, each a learned table, then LayerNorm. */
export class BertEmbeddings {
  constructor(weights, config) {
    const name = "bert.embeddings";
    this.word_embeddings = new Linear(weights, `${name}.word_embeddings`);
    this.token_type_embeddings = new Linear(weights, `${name}.token_type_embeddings`);
    this.position_embeddings = new Linear(weights, `${name}.position_embeddings`);
    this.LayerNorm = new LayerNorm(weights, `${name}.LayerNorm`, config);
    this.hidden_size = config.hidden_size;
  }

  forward(input_ids, token_type_ids, segment = true) {
    const H = this.hidden_size;
    const summed = new Float32Array(input_ids.length * H);
    for (let position = 0; position < input_ids.length; position++) {
      const word = this.word_embeddings.row(input_ids[position]);
      const type = this.token_type_embeddings.row(token_type_ids[position]);
      const place = this.position_embeddings.row(position);
      for (let i = 0; i < H; i++) summed[position * H + i] = word[i] + (segment ? type[i] : 0) + place[i];
    }
    return this.LayerNorm.forward(summed);
  }
}

/** A heads, each mixing the tokens' values by its own queries and keys. */
export class BertSelfAttention {
  constructor(linear, name, config) {
    this.query = linear(`${name}.query`);
    this.key = linear(`${name}.key`);
    this.value = linear(`${name}.value`);
    this.products = linear.products;
    this.num_heads = config.num_attention_heads;
    this.head_size = config.hidden_size / config.num_attention_heads;
  }

  /** States [S, H] cut into heads: [A, S, D]. */
  heads(states) {
    const { num_heads: A, head_size: D } = this;
    const S = states.length / (A * D);
    const cut = new Float32Array(states.length);
    for (let s = 0; s < S; s++) {
      for (let a = 0; a < A; a++) {
        cut.set(states.subarray((s * A + a) * D, (s * A + a + 1) * D), (a * S + s) * D);
      }
    }
    return cut;
  }

  /** The heads' contexts side by side, [S, H], and what they were made of; those in `off` say nothing. */
  forward(states, off = []) {
    const { num_heads: A, head_size: D } = this;
    const S = states.length / (A * D);
    const query = this.heads(this.query.forward(states)); // [A, S, D]
    const key = this.heads(this.key.forward(states));
    const value = this.heads(this.value.forward(states));
    const context = new Float32Array(states.length);
    const probs = new Float32Array(A * S * S);
    for (let a = 0; a < A; a++) {
      const own = (tensor) => tensor.subarray(a * S * D, (a + 1) * S * D);
      const head = attend(own(query), own(key), own(value), D, this.products);
      for (let s = 0; s < S && !off.includes(a); s++) context.set(head.context.subarray(s * D, (s + 1) * D), (s * A + a) * D);
      probs.set(head.probs, a * S * S);
    }
    return { context, query, key, value, probs };
  }
}

/** LayerNorm(x + dense(y)): how each half of a layer ends. */
export class BertResidual {
  constructor(linear, layerNorm, name) {
    this.dense = linear(`${name}.dense`);
    this.LayerNorm = layerNorm(`${name}.LayerNorm`);
  }

  forward(update, states) {
    return this.LayerNorm.forward(this.dense.forward(update).map((x, i) => x + states[i]));
  }
}

/** Self-attention, then a feed-forward network on each token by itself. */
export class BertLayer {
  constructor(linear, layerNorm, name, config) {
    this.self = new BertSelfAttention(linear, `${name}.attention.self`, config);
    this.attention_output = new BertResidual(linear, layerNorm, `${name}.attention.output`);
    this.intermediate = linear(`${name}.intermediate.dense`);
    this.activation = ACTIVATIONS[config.hidden_act];
    this.output = new BertResidual(linear, layerNorm, `${name}.output`);
  }

  forward(states, off) {
    const { context, ...looked } = this.self.forward(states, off);
    states = this.attention_output.forward(context, states);
    const intermediate = this.intermediate.forward(states).map(this.activation);
    return { states: this.output.forward(intermediate, states), ...looked };
  }
}

/** The encoder, with its pooler where the weights have one; an adapter's updates are added. */
export class BertModel {
  constructor(weights, config, adapter = null) {
    const linear = (name) => {
      const plain = new Linear(weights, name);
      return adapter?.has(`${name}.lora_A.weight`) ? new LoraLinear(plain, adapter, name) : plain;
    };
    linear.products = weights.products;
    const layerNorm = (name) => new LayerNorm(weights, name, config);
    this.config = config;
    this.embeddings = new BertEmbeddings(weights, config);
    this.layer = Array.from({ length: config.num_hidden_layers }, (_, i) =>
      new BertLayer(linear, layerNorm, `bert.encoder.layer.${i}`, config));
    const own = [adapter, weights].find((of) => of?.has("bert.pooler.dense.weight"));
    this.pooler = own ? new Linear(own, "bert.pooler.dense") : null;
  }

  /**
   * All that a forward pass computes; the lists have an entry for each layer. What is to be changed,
   * as `Changes` in widgets/patch.py: `off`, the [layer, head], from 1, that say nothing; `layers`,
   * from 1, that are left out; `segment`, whether the segment embedding is; and `copy`, the vector
   * that stands at a position after a layer, 0 = the embeddings.
   */
  forward(input_ids, token_type_ids, { off = [], layers = [], segment = false, copy = null } = {}) {
    const put = (vectors, number) => {
      if (copy?.layer !== number || copy.position >= input_ids.length) return vectors;
      const changed = vectors.slice();
      changed.set(copy.vector, copy.position * this.config.hidden_size);
      return changed;
    };
    let states = put(this.embeddings.forward(input_ids, token_type_ids, !segment), 0);
    const output = { hidden_states: [states], query: [], key: [], value: [], attention_probs: [] };
    for (const [place, layer] of this.layer.entries()) {
      const silent = off.filter(([number]) => number === place + 1).map(([, head]) => head - 1);
      const { query, key, value, probs, ...next } = layer.forward(states, silent);
      states = put(layers.includes(place + 1) ? states : next.states, place + 1);
      output.hidden_states.push(states);
      output.query.push(query); // [A, S, D]
      output.key.push(key);
      output.value.push(value);
      output.attention_probs.push(probs); // [A, S, S]
    }
    const first = states.subarray(0, this.config.hidden_size); // [CLS]
    const pooler_output = this.pooler?.forward(first).map(Math.tanh) ?? null;
    return { ...output, last_hidden_state: states, pooler_output };
  }
}

// ---- heads.py ---------------------------------------------------------------------------------

/** A logit for every token: the transformed vector times the token table, plus a bias. */
export class MaskedLMHead {
  constructor(weights, config) {
    const name = "cls.predictions";
    this.dense = new Linear(weights, `${name}.transform.dense`);
    this.activation = ACTIVATIONS[config.hidden_act];
    this.LayerNorm = new LayerNorm(weights, `${name}.transform.LayerNorm`, config);
    this.decoder = new Linear(weights, "bert.embeddings.word_embeddings", `${name}.bias`);
  }

  /** Logits [S, V] of states [S, H]. */
  forward(states) {
    const transformed = this.LayerNorm.forward(this.dense.forward(states).map(this.activation));
    return this.decoder.forward(transformed);
  }
}

/** What a classifier of the mean of all outputs, or of the first ones side by side, sees. */
export function pooled(states, H, { pooling, positions }) {
  const S = states.length / H;
  if (pooling === "mean") {
    const mean = new Float64Array(H);
    states.forEach((x, i) => { mean[i % H] += x / S; });
    return Float32Array.from(mean);
  }
  const row = new Float32Array(positions * H);
  row.set(states.subarray(0, positions * H));
  return row;
}
