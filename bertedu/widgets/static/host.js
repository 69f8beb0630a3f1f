// Gives widgets what a notebook front end gives them, in a page without a kernel: each a model with
// the values that were stored. A classic script, so that it also runs in a page opened from a disk.
// Where the page has an engine (bert/page.js), it answers what a reader types, in Python's place.
(() => {
  const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

  const own = document.getElementById("bertedu-engine");
  const { packs, models } = own ? JSON.parse(own.textContent) : { packs: [], models: {} };
  let waking = null;

  /** The page's engine, which the first question wakes; one that failed is tried again. */
  function engine() {
    if (!globalThis.bertedu) return Promise.reject(new Error("bert.js is missing: put it beside this page again."));
    waking ??= bertedu.wake(packs).then((awake) => awake.engine).catch((error) => {
      waking = null;
      throw error;
    });
    return waking;
  }

  const upTo8 = (length) => 8 * Math.ceil(length / 8);

  /** The header of a block that `pack` in base.py, or its twin, made, and what follows it. */
  function opened({ buffer, byteOffset, byteLength }) {
    const length = new DataView(buffer, byteOffset).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, byteOffset + 4, length)));
    const body = upTo8(4 + length);
    return { header, body: new Uint8Array(buffer, byteOffset + body, byteLength - body) };
  }

  /** The same block with other things in its header. */
  function changed(block, change) {
    const { header, body } = opened(block);
    const text = new TextEncoder().encode(JSON.stringify({ ...header, ...change }));
    const bytes = new Uint8Array(upTo8(4 + text.length) + body.length);
    new DataView(bytes.buffer).setUint32(0, text.length, true);
    bytes.set(text, 4);
    bytes.set(body, bytes.length - body.length);
    return new DataView(bytes.buffer);
  }

  /** The model that anywidget hands to `render`; there is no Python behind it. */
  class StoredModel {
    #values = new Map();
    #listeners = new Map();
    #asks;
    #asked;
    #beside; // what else the last answer depends on
    widget_manager = { kernel: document.body.dataset.kernel ?? null }; // a still shows one as if it had
    slow = "BERT is waking in this page: a moment.";

    /**
     * `asks`: the widget's class, which of its values the engine answers, which others that depends
     * on, the packs that it needs, and `told`, called then.
     */
    constructor(stored, asks = null) {
      this.#asks = asks;
      if (asks) this.widget_manager.kernel = {};
      for (const [name, { bytes, value }] of Object.entries(stored)) {
        this.#values.set(name, bytes === undefined ? value : new DataView(decode(bytes).buffer));
      }
      if (asks) this.#beside = JSON.stringify(this.#valuesOf(asks.beside));
    }
    #valuesOf(names) {
      return Object.fromEntries(names.map((name) => [name, this.get(name)]));
    }
    get(name) {
      return this.#values.get(name);
    }
    set(name, value) {
      const changes = typeof name === "string" ? { [name]: value } : name;
      const changed = Object.keys(changes).filter((key) => this.#values.get(key) !== changes[key]);
      for (const key of changed) this.#values.set(key, changes[key]);
      for (const key of changed) this.#emit(`change:${key}`, changes[key]);
      if (changed.length) this.#emit("change");
    }
    on(event, listener) {
      this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    }
    off(event, listener) {
      if (event == null) this.#listeners.clear();
      else this.#listeners.set(event, (this.#listeners.get(event) ?? [])
        .filter((each) => listener && each !== listener));
    }
    async save_changes() {
      if (!this.#asks) return; // nobody to tell
      const [asked, beside] = [this.#asks.asked, this.#asks.beside].map((names) => this.#valuesOf(names));
      const question = JSON.stringify([asked, beside]);
      const { asked: before, first } = opened(this.get("data")).header;
      if (question === this.#asked) return;
      const isAnswered = JSON.stringify(Object.values(asked)) === JSON.stringify(before)
        && JSON.stringify(beside) === this.#beside;
      this.#asked = isAnswered ? null : question; // an answer to the last question is not wanted any more
      if (isAnswered) return;
      let traits;
      try {
        const awake = await engine();
        for (const pack of this.#asks.packs) await awake.add(pack);
        const answer = await awake.ask("widget", this.#asks.name, asked, first, beside, this.#asks.packs);
        traits = Object.entries(answer).map(([name, bytes]) => [name, new DataView(bytes.buffer)]);
        this.#beside = JSON.stringify(beside);
      } catch ({ message: problem }) {
        traits = [["data", changed(this.get("data"), { asked: Object.values(asked), problem })]];
      }
      if (question !== this.#asked) return; // something else was typed meanwhile
      this.#asked = null;
      this.set(Object.fromEntries(traits));
      this.#asks.told();
    }
    send() {}
    #emit(event, ...values) {
      for (const listener of this.#listeners.get(event) ?? []) listener(...values);
    }
  }

  const modules = JSON.parse(document.getElementById("bertedu-modules").textContent);
  const loading = {};
  const load = (name) => {
    loading[name] ??= (async () => {
      const url = URL.createObjectURL(new Blob([decode(modules[name])], { type: "text/javascript" }));
      try {
        const { default: exported } = await import(url);
        return typeof exported === "function" ? await exported() : exported;
      } finally {
        URL.revokeObjectURL(url);
      }
    })();
    return loading[name];
  };

  /** Puts the living widget in the place of its words, which stay where that fails. */
  async function enliven(place) {
    const words = place.querySelector(":scope > .bertedu-words");
    const stored = JSON.parse(place.querySelector(":scope > script").textContent);
    const { models: needed = [], ...asks } = JSON.parse(place.dataset.asks ?? "{}");
    const isAnswered = needed.length > 0 && needed.every((each) => each in models);
    const own = needed.map((each) => models[each]).filter((pack) => !packs.includes(pack));
    const note = document.createElement("small");
    Object.assign(note, { className: "bertedu-int8", textContent: "Computed in this page, with the model's weights in int8." });
    const told = () => place.append(note);
    const model = new StoredModel(stored, isAnswered ? { name: place.dataset.widget, ...asks, packs: own, told } : null);
    const widget = await load(place.dataset.widget);
    const el = document.createElement("div");
    place.append(el);
    words.hidden = true;
    try {
      await widget.initialize?.({ model });
      await widget.render({ model, el });
      words.remove();
    } catch (error) {
      el.remove();
      words.hidden = false;
      throw error;
    }
  }

  for (const place of document.querySelectorAll(".bertedu-still")) {
    enliven(place).catch((error) => console.error(`${place.dataset.widget} stays in words:`, error));
  }
})();
