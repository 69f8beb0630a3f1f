// A page without a browser, and the data that Python would send.

import { setMaxListeners } from "node:events";

import { Window } from "happy-dom";

setMaxListeners(0); // a widget's many listeners end together, with one signal

/** Gives the modules under test the globals of a page; returns its window. */
export function openPage() {
  const window = new Window({ url: "http://127.0.0.1/" });
  globalThis.window = window;
  for (const name of ["document", "MutationObserver", "matchMedia"]) {
    const value = window[name];
    globalThis[name] = name === "matchMedia" ? value.bind(window) : value;
  }
  return window;
}

/** The block of bytes that `pack` in bertedu/widgets/base.py makes of a header and byte arrays. */
export function pack(header, arrays = {}) {
  const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
  const blocks = [];
  const described = [];
  let offset = 0;
  for (const [name, [dtype, shape, bytes]] of Object.entries(arrays)) {
    described.push({ name, dtype, shape, offset });
    blocks.push(padded(Buffer.from(bytes)));
    offset += blocks.at(-1).length;
  }
  const text = Buffer.from(JSON.stringify({ ...header, arrays: described }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const all = Buffer.concat([padded(Buffer.concat([length, text])), ...blocks]);
  return new DataView(Uint8Array.from(all).buffer);
}

/** A model as anywidget hands it to `render`, with a kernel that answers through `answer`. */
export class Model {
  constructor(state, { kernel = true } = {}) {
    this.state = state;
    this.listeners = new Map();
    this.saved = [];
    this.sent = [];
    this.widget_manager = { kernel: kernel ? {} : null };
  }
  get(name) {
    return this.state[name];
  }
  set(values) {
    Object.assign(this.state, values);
  }
  save_changes() {
    this.saved.push({ ...this.state });
  }
  send(message) {
    this.sent.push(message);
  }
  on(event, listener) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
  }
  off(event, listener) {
    const left = (this.listeners.get(event) ?? []).filter((l) => listener && l !== listener);
    this.listeners.set(event, left);
  }
  /** Python changes a value. */
  answer(name, value) {
    this.state[name] = value;
    for (const listener of this.listeners.get(`change:${name}`) ?? []) listener();
  }
  get listening() {
    return [...this.listeners.values()].flat().length;
  }
}

/** A model in a page without Python: what the widget sets itself tells its own listeners. */
export class StoredModel extends Model {
  set(values) {
    super.set(values);
    if (values.data) this.answer("data", values.data);
  }
}
