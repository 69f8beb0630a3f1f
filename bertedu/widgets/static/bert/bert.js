// A BERT with its tokenizer, one call a question: the JavaScript twin of bertedu/bert.py, and of
// what a fine-tuned model computes before its case decodes it.

import { InputError } from "./errors.js";
import { BertModel, MaskedLMHead, pooled, softmax, topK } from "./model.js";
import { BertTokenizer } from "./tokenizer.js";
import { Linear, Weights } from "./weights.js";

export class Bert {
  /** `weights` of a whole model; `adapter`, those of a fine-tuning that stands on it, or null. */
  constructor(weights, adapter = null) {
    const own = adapter ?? weights;
    if (adapter && adapter.header.base !== weights.header.encoder) {
      throw new InputError("This adapter was made for another checkpoint: it would answer nonsense.");
    }
    if (!adapter && weights.header.kind === "adapter") {
      throw new InputError("This pack is an adapter: it needs the pack of its checkpoint.");
    }
    const { config, tokenizer } = weights.header;
    const tokens = new TextDecoder().decode(weights.values("vocab")).split("\n");
    this.config = config;
    this.own = own;
    this.header = own.header;
    this.weights = weights;
    this.tokenizer = new BertTokenizer(tokens, tokenizer);
    this.model = new BertModel(weights, config, adapter);
    const head = (name) => (own.has(`${name}.weight`) ? new Linear(own, name) : null);
    this.predictions = weights.has("cls.predictions.bias") ? new MaskedLMHead(weights, config) : null;
    this.seq_relationship = weights.has("cls.seq_relationship.bias")
      ? new Linear(weights, "cls.seq_relationship") : null;
    this.classifier = head("classifier");
    this.pooled_classifier = head("pooled_classifier");
    this.intent_classifier = head("intent_classifier");
    this.qa_outputs = head("qa_outputs");
  }

  /** The model's input for a text or a pair; a longer one than the model reads is refused. */
  encode(text, pair = null) {
    const encoding = this.tokenizer.encode(text, pair);
    const [count, most] = [encoding.tokens.length, this.header.max_length];
    if (count > most) {
      const number = count.toLocaleString("en");
      throw new InputError(`The text has ${number} tokens, and this model reads at most ${most}: shorten it.`);
    }
    return encoding;
  }

  /** All that one forward pass computes on the way, as Python's Trace: lists by layer. */
  trace(text, pair = null) {
    return this.read(this.encode(text, pair));
  }

  /** The same of an encoding, with changes inside the model, as `BertModel.forward` takes them. */
  read(encoding, changes = {}) {
    const output = this.model.forward(encoding.input_ids, encoding.token_type_ids, changes);
    const judged = output.pooler_output && this.seq_relationship?.forward(output.pooler_output);
    return { encoding, ...output, seq_relationship_logits: judged ?? null };
  }

  /** For each [MASK] in order, `top_k` guesses: token and probability, the likeliest first. */
  fill_mask(text, pair = null, top_k = 5) {
    return this.guesses(this.trace(text, pair), top_k);
  }

  guesses(trace, top_k) {
    if (!this.predictions) throw new InputError("This model has no masked-LM head: it cannot fill a [MASK].");
    const { tokens } = this.tokenizer;
    const logits = this.masked_logits(trace);
    if (!logits.length) throw new InputError("The text has no [MASK]: write [MASK] where a word is to be guessed.");
    return logits.map((of) => {
      const probs = softmax(of);
      return topK(probs.subarray(0, tokens.length), top_k)
        .map((id) => ({ token: tokens[id], probability: probs[id] }));
    });
  }

  /** The masked-LM head's logits [V] at each [MASK]. */
  masked_logits({ encoding, last_hidden_state: states }) {
    const H = this.config.hidden_size;
    const places = encoding.input_ids.flatMap((id, i) => (id === this.tokenizer.mask_token_id ? [i] : []));
    return places.map((place) => this.predictions.forward(states.subarray(place * H, (place + 1) * H)));
  }

  /** The probability that `pair` follows `text`. */
  next_sentence(text, pair) {
    return this.follows(this.trace(text, pair));
  }

  follows({ seq_relationship_logits: logits }) {
    if (!logits) throw new InputError("This model has no next-sentence head: it cannot judge a pair.");
    return softmax(logits)[0];
  }

  /** The logits of a fine-tuned model's head: [K], [S, K] for tokens, [S, 2] for spans. */
  logits({ last_hidden_state: states, pooler_output }) {
    const { task } = this.header;
    if (!task) throw new InputError("This model was not fine-tuned: ask it for a [MASK] or for a pair.");
    if (this.qa_outputs) return this.qa_outputs.forward(states);
    if (this.pooled_classifier) {
      return this.pooled_classifier.forward(pooled(states, this.config.hidden_size, task.settings));
    }
    return this.classifier.forward(task.name === "slot_filling" ? states : pooler_output);
  }

  /** The largest difference of each quantity from PyTorch's numbers, which the pack holds. */
  compare() {
    const { asked, arrays } = this.header.reference;
    const trace = this.trace(...asked);
    const together = (list) => Float32Array.from(list.flatMap((each) => [...each]));
    const ours = {
      hidden_states: () => together(trace.hidden_states),
      attention_probs: () => together(trace.attention_probs),
      prediction_logits: () => this.masked_logits(trace)[0],
      seq_relationship_logits: () => trace.seq_relationship_logits,
      logits: () => this.logits(trace),
      intent_logits: () => this.intent_classifier.forward(trace.pooler_output),
    };
    return arrays.map((name) => {
      const [mine, theirs] = [ours[name](), this.own.values(`reference.${name}`)];
      const difference = mine.reduce((most, x, i) => Math.max(most, Math.abs(x - theirs[i])), 0);
      return { name, numbers: theirs.length, difference: mine.length === theirs.length ? difference : NaN };
    });
  }
}

/** A Bert of a pack's bytes, and of an adapter's that stands on it. */
export async function wake(bytes, adapter = null, options = {}) {
  const bert = new Bert(await Weights.open(bytes, options));
  return adapter ? add(bert, adapter, options) : bert;
}

/** A Bert of another pack's bytes, which may be an adapter on the first one's weights. */
export async function add(bert, bytes, options = {}) {
  const weights = await Weights.open(bytes, options);
  return weights.header.kind === "adapter" ? new Bert(bert.weights, weights) : new Bert(weights);
}
