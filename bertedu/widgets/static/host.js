// Gives widgets what a notebook front end gives them, in a page without a kernel: each a model with
// the values that were stored. A classic script, so that it also runs in a page opened from a disk.
(() => {
  const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

  /** The model that anywidget hands to `render`; there is no Python behind it. */
  class StoredModel {
    #values = new Map();
    #listeners = new Map();
    widget_manager = { kernel: document.body.dataset.kernel ?? null }; // a still shows one as if it had

    constructor(stored) {
      for (const [name, { bytes, value }] of Object.entries(stored)) {
        this.#values.set(name, bytes === undefined ? value : new DataView(decode(bytes).buffer));
      }
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
    save_changes() {} // nobody to tell
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
    const model = new StoredModel(stored);
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
