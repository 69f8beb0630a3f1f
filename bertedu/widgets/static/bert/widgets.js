// What Python's widgets pack for the browser, computed in the page: for each the twin of its `_look`
// and `_packed`, under its name. `host.js` asks for them where a reader types in a page without Python.

import { InputError } from "./errors.js";
import { softmax, topK } from "./model.js";
import { LONGEST_WORD, STEP_NAMES } from "./tokenizer.js";

const LONGEST_TEXT = 2000; // characters, as in wordpiece_explorer.py
const LONGEST_ATTENTION = 128; // tokens: all heads' numbers are sent at once
const LONGEST_STEP = 24; // tokens, as in attention_step.py
const LONGEST_TRY = 48; // tokens, as in try_it.py
const GUESSES = 5;

const float32 = (shape, values) => ({ dtype: "float32", shape, values: Float32Array.from(values) });

/** What the browser needs of a text's tokens to draw them, as `described` in base.py. */
function described(tokenizer, { tokens, input_ids, token_type_ids }) {
  const special = input_ids.map((id) => tokenizer.special_ids.has(id));
  return { tokens, ids: input_ids, types: token_type_ids, special };
}

function checkLength(count, what, most) {
  if (count <= most) return;
  const numbers = [count, most].map((number) => number.toLocaleString("en"));
  throw new InputError(`The text has ${numbers[0]} ${what} and this picture shows at most ${numbers[1]}: shorten it.`);
}

/** As wordpiece_explorer.py. */
function WordPieceExplorer({ tokenizer }, { text, pair }) {
  checkLength(Array.from(text + (pair ?? "")).length, "characters", LONGEST_TEXT);
  const encoding = tokenizer.encode(text, pair);
  const id = (token) => tokenizer.vocab.get(token) ?? null;
  return { data: {
    longest_word: LONGEST_WORD,
    steps: STEP_NAMES,
    segments: (pair === null ? [text] : [text, pair]).map((each) => {
      const { characters, words } = tokenizer.trace(each);
      return {
        text: each,
        normalized: characters.map(({ normalized }) => normalized),
        changed: Object.fromEntries(characters.map(({ changed }, i) => [i, changed]).filter(([, steps]) => steps.length)),
        words: words.map(({ pieces, matches, ...word }) => ({
          ...word,
          pieces: pieces.map(({ token }) => token),
          matches: matches.map((token) => [token, id(token)]),
        })),
      };
    }),
    tokens: encoding.tokens,
    ids: encoding.input_ids,
    types: encoding.token_type_ids,
    added: encoding.special_tokens_mask,
    offsets: encoding.offsets,
    special_ids: [...tokenizer.special_ids].sort((a, b) => a - b),
  } };
}

/** As attention_step.py. */
function AttentionStep(bert, { text }) {
  const { num_hidden_layers: L, num_attention_heads: A, hidden_size: H } = bert.config;
  const S = bert.tokenizer.encode(text).tokens.length;
  checkLength(S, "tokens", Math.min(LONGEST_STEP, bert.config.max_position_embeddings));
  const { encoding, attention_probs, ...trace } = bert.trace(text);
  const layers = (size, list) => float32([L, A, S, size], list.flatMap((layer) => [...layer]));
  return { data: {
    ...described(bert.tokenizer, encoding),
    ...Object.fromEntries(["query", "key", "value"].map((name) => [name, layers(H / A, trace[name])])),
    probs: layers(S, attention_probs),
  } };
}

let version = 0; // of an explorer's data, by which it knows the heads that belong to them

/** As attention_explorer.py, with every head's exact numbers, as for short texts there. */
function AttentionExplorer(bert, { text, pair, other }) {
  const { num_hidden_layers: L, num_attention_heads: A, hidden_size: H } = bert.config;
  const shown = [[text, pair], ...(other ? [[other, null]] : [])].map(([one, two]) => {
    const encoding = bert.tokenizer.encode(one, two);
    checkLength(encoding.tokens.length, "tokens", Math.min(LONGEST_ATTENTION, bert.config.max_position_embeddings));
    return bert.trace(one, two);
  });
  const every = Array.from({ length: L * A }, (_, i) => [Math.floor(i / A), i % A]);
  const counts = new Float64Array(256); // how often each of 256 shades is there
  const data = { version: ++version, texts: [] };
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

/** As try_it.py. */
function TryIt(bert, { text, pair, masks, guesses, off }) {
  const { config, tokenizer } = bert;
  const encoding = tokenizer.encode(text, pair);
  checkLength(encoding.tokens.length, "tokens", Math.min(LONGEST_TRY, config.max_position_embeddings));
  const { special, ids, ...shown } = described(tokenizer, encoding);
  const hidden = ids.map((_, position) => position).filter((position) => masks.includes(position) && !special[position]);
  const input_ids = ids.map((id, position) => (hidden.includes(position) ? tokenizer.mask_token_id : id));
  const trace = bert.read({ ...encoding, input_ids }, off);
  const logits = bert.predictions ? bert.masked_logits(trace) : [];
  const places = input_ids.flatMap((id, position) => (id === tokenizer.mask_token_id ? [position] : []));
  return { data: {
    ...shown, ids, special, hidden,
    vocabulary: tokenizer.tokens.length,
    heads: [config.num_hidden_layers, config.num_attention_heads],
    places: places.map((position, n) => {
      const place = { position, first: [], hidden: null, guess: null, refused: "" };
      if (!logits.length) return place;
      const probs = softmax(logits[n]).subarray(0, tokenizer.tokens.length);
      const ranked = (id) => [tokenizer.tokens[id], 1 + probs.reduce((more, p) => more + (p > probs[id]), 0), probs[id]];
      place.first = topK(probs, GUESSES).map((id) => [tokenizer.tokens[id], probs[id]]);
      if (hidden.includes(position)) place.hidden = ranked(ids[position]);
      if (guesses[position] === undefined) return place;
      const { id, refused } = tokenOf(tokenizer, guesses[position]);
      return { ...place, refused, guess: refused ? null : ranked(id) };
    }),
    follows: pair === null || !trace.seq_relationship_logits ? null : bert.follows(trace),
  } };
}

/** The id of the one token that a word is, or why it is not one. */
function tokenOf(tokenizer, word) {
  const known = tokenizer.vocab.get(word.trim());
  const ids = known === undefined ? tokenizer.encode(word).input_ids.slice(1, -1) : [known];
  const pieces = ids.map((id) => tokenizer.tokens[id]).join(" ");
  if (!ids.length) return { refused: "Type a word." };
  if (ids.length > 1) return { refused: `That is ${ids.length} tokens (${pieces}), and BERT guesses one.` };
  if (tokenizer.special_ids.has(ids[0])) return { refused: "BERT's vocabulary does not have that word." };
  return { id: ids[0], refused: "" };
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

const TWINS = { AttentionExplorer, AttentionStep, TryIt, WordPieceExplorer };

/** The bytes of a widget's traits for what a reader asked; `first`, the settings to begin with. */
export function widget(bert, name, asked, first) {
  const { data, ...others } = TWINS[name](bert, asked);
  const traits = { data: { asked: Object.values(asked), problem: "", first, ...data }, ...others };
  return Object.fromEntries(Object.entries(traits).map(([trait, values]) => [trait, pack(values)]));
}
