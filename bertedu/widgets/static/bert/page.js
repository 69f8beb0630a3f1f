// Gives a page `bertedu.wake`, which loads a model's packs and starts the engine in a worker of its
// own. A classic script, and so are the packs, so that it also runs in a page opened from a disk,
// where nothing may be fetched; BERT_WORKER, the worker's source, stands above it.
(() => {
  const BROKEN = "This browser cannot run BERT in a page.";
  const received = {};
  const fromDisk = location.protocol === "file:";
  const missing = (file) => new Error(`${file} is missing: put it beside this page again.`);

  /** A pack from a script: base64 that registers itself. */
  function fromScript(name) {
    const file = `${name}.pack.js`;
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = file;
      script.onerror = () => reject(missing(file));
      script.onload = () => {
        script.remove();
        const text = received[name];
        delete received[name]; // so that it is in memory only once
        if (text === undefined) reject(new Error(`${file} is damaged: copy it again.`));
        else resolve(text);
      };
      document.head.append(script);
    });
  }

  /** A pack from a server, as bytes. */
  async function fromServer(name, tell) {
    const file = `${name}.pack`;
    const response = await fetch(file).catch(() => null);
    if (!response?.ok) throw missing(file);
    const whole = Number(response.headers.get("content-length"));
    const chunks = [];
    let length = 0;
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      length += value.length;
      if (whole) tell(Math.min(1, length / whole));
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  const loaded = (name, tell = () => {}) => (fromDisk ? fromScript(name) : fromServer(name, tell));
  const transferred = (packs) => packs.filter((pack) => typeof pack !== "string").map(({ buffer }) => buffer);

  /** The engine, from the page's side: each question is answered by a promise. */
  class Engine {
    #added = {};
    #waiting = new Map();
    #last = 0;
    #broken = false;

    constructor() {
      const url = URL.createObjectURL(new Blob([BERT_WORKER], { type: "text/javascript" }));
      this.worker = new Worker(url);
      this.worker.onmessage = ({ data }) => this.#hear(data);
      this.worker.onerror = () => {
        this.#broken = true;
        for (const id of this.#waiting.keys()) this.#hear({ id, problem: BROKEN });
      };
    }

    ask(method, ...given) {
      return this.#ask(method, given);
    }

    #ask(method, given, { tell, transfer = [] } = {}) {
      const id = ++this.#last;
      return new Promise((resolve, reject) => {
        if (this.#broken) throw new Error(BROKEN);
        this.#waiting.set(id, { resolve, reject, tell });
        this.worker.postMessage({ id, method, arguments: given }, transfer);
      });
    }

    #hear({ id, progress, problem, result }) {
      const question = this.#waiting.get(id);
      if (progress !== undefined) {
        question.tell?.(progress);
        return;
      }
      this.#waiting.delete(id);
      if (problem !== undefined) question.reject(new Error(problem));
      else question.resolve(result);
    }

    /** Loads the packs, of which the second may be an adapter, and returns what the model is. */
    async wake(names, tell = () => {}, options = {}) {
      const packs = [];
      for (const name of names) packs.push(await loaded(name, (share) => tell(share / 2)));
      tell(0.5);
      return this.#ask("wake", [packs, options], { tell: (share) => tell((1 + share) / 2), transfer: transferred(packs) });
    }

    /** Loads one pack more, once: an adapter, or another model. */
    add(name) {
      this.#added[name] ??= loaded(name).then((pack) => this.#ask("add", [name, pack], { transfer: transferred([pack]) }))
        .catch((error) => {
          delete this.#added[name];
          throw error;
        });
      return this.#added[name];
    }

    end() {
      this.worker.terminate();
    }
  }

  globalThis.bertedu = {
    receive: (name, text) => { received[name] = text; },
    /** An engine that is awake, and what its model is. */
    async wake(names, tell, options) {
      const engine = new Engine();
      try {
        return { engine, model: await engine.wake(names, tell, options) };
      } catch (error) {
        engine.end();
        throw error;
      }
    },
  };
})();
