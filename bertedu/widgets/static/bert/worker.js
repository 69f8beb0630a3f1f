// The engine's own thread, so that the page never waits for it. A message is a question,
// { id, method, arguments }; the answers to it are { id, progress }, from 0 to 1, while a model wakes,
// and at last { id, result }, or { id, problem }: one sentence.

import { answer } from "./answers.js";
import { add, wake } from "./bert.js";
import { InputError } from "./errors.js";
import { fromBase64 } from "./weights.js";
import { widget } from "./widgets.js";

let bert = null;
const others = {}; // by name, the models that came later

const METHODS = {
  /** Packs as bytes, or as base64 of a script; the second is an adapter that stands on the first. */
  async wake(tell, packs, options) {
    const bytes = packs.map((pack, i) => (typeof pack === "string" ? decoded(pack, (share) =>
      tell((i + share) / packs.length)) : pack));
    bert = await wake(bytes[0], bytes[1] ?? null, options);
    const { certificate = null, kind, task = null, max_length } = bert.header;
    return { certificate, kind, max_length, task, labels: bert.config.id2label };
  },
  /** One pack more, for the widgets that need it. */
  async add(tell, name, pack) {
    others[name] ??= await add(bert, typeof pack === "string" ? decoded(pack, tell) : pack);
  },
  answer: (tell, text, pair) => answer(bert, text, pair),
  trace: (tell, text, pair) => bert.trace(text, pair),
  compare: () => bert.compare(),
  widget: (tell, name, asked, first, beside, names) =>
    widget(bert, name, asked, first, beside, names.map((each) => others[each])),
};

/** Base64 as bytes, slice by slice, so that progress can be told. */
function decoded(text, tell) {
  const slice = 1 << 20; // a multiple of 4
  const bytes = new Uint8Array((3 * text.length) / 4 - (text.length - text.replace(/=+$/, "").length));
  try {
    for (let at = 0; at < text.length; at += slice) {
      bytes.set(fromBase64(text.slice(at, at + slice)), (3 * at) / 4);
      tell(at / text.length);
    }
  } catch {
    throw new InputError("The pack is damaged: copy it again.");
  }
  return bytes;
}

/** The sentence that a page shows for an error. */
function sentence(error) {
  if (error instanceof InputError) return error.message;
  if (error instanceof RangeError) return "This tab has not enough memory for BERT: close others, and reload the page.";
  return `BERT stopped (${error.message}): reload the page.`;
}

globalThis.onmessage = async ({ data: { id, method, arguments: given } }) => {
  const tell = (progress) => postMessage({ id, progress });
  try {
    if (method !== "wake" && !bert) throw new InputError("BERT is asleep: wake it first.");
    postMessage({ id, result: await METHODS[method](tell, ...given) });
  } catch (error) {
    postMessage({ id, problem: sentence(error) });
  }
};
