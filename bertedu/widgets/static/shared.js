// What all widgets share. Each widget's own file imports from here; bertedu/widgets/base.py joins
// the two into the one module that a notebook front end can load.

import PALETTE from "./palette.json" with { type: "json" };

export { PALETTE };

// ---- data -------------------------------------------------------------------------------------

const ARRAYS = {
  uint8: Uint8Array,
  int32: Int32Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** The header and the arrays that `pack` in base.py put into one block of bytes. */
export function unpack(bytes) {
  const { buffer, byteOffset } = bytes;
  const length = new DataView(buffer, byteOffset).getUint32(0, true);
  const { arrays, ...header } = JSON.parse(
    new TextDecoder().decode(new Uint8Array(buffer, byteOffset + 4, length)),
  );
  const body = byteOffset + 8 * Math.ceil((4 + length) / 8);
  for (const { name, dtype, shape, offset } of arrays) {
    const Type = ARRAYS[dtype];
    const size = shape.reduce((product, side) => product * side, 1);
    const start = body + offset;
    const values = new Type(buffer.slice(start, start + size * Type.BYTES_PER_ELEMENT));
    header[name] = { shape, values: dtype === "float16" ? Float32Array.from(values, half) : values };
  }
  return header;
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
}

// ---- numbers and colours ----------------------------------------------------------------------

/** 0.1234 -> "12.3 %". */
export const percent = (probability) => `${(100 * probability).toFixed(1)} %`;

/** 1.5 -> "1.50", -1.5 -> "−1.50", with a true minus sign. */
export const plain = (value, digits = 2) => value.toFixed(digits).replace("-", "−");

/** 1.5 -> "+1.50". */
export const withSign = (value, digits = 2) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

function between(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  const [a, b] = [rgb(stops[low]), rgb(stops[low + 1])];
  return a.map((value, i) => Math.round(value + (place - low) * (b[i] - value)));
}

/** [r, g, b] of a probability: light to dark, always from 0. */
export const sequential = (value, highest = 1) => between(PALETTE.sequential, value / highest);

/** [r, g, b] of a signed value: symmetric about 0, which is neutral. */
export const diverging = (value, extreme) =>
  between(PALETTE.diverging, extreme ? 0.5 + value / (2 * extreme) : 0.5);

function luminance(color) {
  const [r, g, b] = color.map((value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** How far apart two [r, g, b] are, from 1 to 21, as WCAG counts. */
export function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Black or white, whichever is read better on an [r, g, b]. */
export const inkOn = (color) =>
  contrast(color, [0, 0, 0]) >= contrast(color, [255, 255, 255]) ? "#000000" : "#ffffff";

// ---- the page ---------------------------------------------------------------------------------

/** An element. Strings become text, never markup; `on` holds listeners that end with `signal`. */
export function element(tag, { on = {}, signal, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  for (const [type, listener] of Object.entries(on)) {
    node.addEventListener(type, listener, { signal });
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

/** An element of a drawing; its text is text. */
export function svgElement(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

/** What the colours from `low` to `high` mean. */
export function legend(stops, low, high) {
  return element("span", { class: "be-legend" }, low,
    element("span", { class: "be-scale", style: `background:linear-gradient(90deg,${stops.join(",")})` }), high);
}

/** A probability as a row: its name, a bar from 0 to 1, the number; for reading, or a button. */
export function probabilityRow(tag, attributes, name, probability) {
  return element(tag, { ...attributes, class: "be-share" },
    element("bdi", { class: "be-name" }, readable(name)),
    element("span", { class: "be-track" }, element("span", {
      class: "be-fill", style: `width:${100 * probability}%;background:rgb(${sequential(probability)})`,
    })),
    element("span", { class: "be-percent" }, percent(probability)));
}

const NAMED = { " ": "␣", "\u00a0": "⍽", "\n": "↵", "\r": "␍", "\t": "⇥" };

/** One character as something that can be seen: a space as ␣, what has no ink by its number. */
export function visible(character) {
  if (character in NAMED) return NAMED[character];
  if (/[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]/u.test(character)) return codePoint(character);
  return /\p{M}/u.test(character) ? `◌${character}` : character;
}

/** A text with something to see for every character. */
export const clean = (text) => Array.from(text, visible).join("");

/** The same for text that is read: its spaces stay spaces. */
export const readable = (text) => Array.from(text, (c) => (c === " " ? c : visible(c))).join("");

/** "A" -> "U+0041". */
export const codePoint = (character) =>
  `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

export const SEGMENTS = ["A", "B"];

export const FATES = ["not chosen", "masked", "random", "kept"];

/**
 * A token as every widget draws it: the piece, its id beneath, its segment's colour as a line.
 * A continuation touches the chip before it; a special token is a grey outline. A token that was
 * chosen to be predicted has a fate, one of FATES; `was` is the piece that a random one replaced.
 */
export function chip({ token, id, segment, special = false, note, fate, was }, attributes = {}) {
  const continues = token.startsWith("##") && token.length > 2 && !special;
  const kinds = ["be-chip", continues && "be-continues", special && "be-special", fate && `be-${fate}`];
  if (segment != null) kinds.push(`be-segment-${SEGMENTS[segment].toLowerCase()}`);
  return element(
    "button",
    { type: "button", class: kinds.filter(Boolean).join(" "), ...attributes },
    element(
      "span",
      { class: "be-piece" },
      was != null && [element("s", {}, Array.from(was, visible).join("")), " "],
      continues && element("span", { class: "be-dim" }, "##"),
      Array.from(continues ? token.slice(2) : token, visible).join(""),
    ),
    id != null && element("span", { class: "be-small" }, String(id)),
    [note].flat().map((line) => line != null && element("span", { class: "be-small" }, line)),
  );
}

/** Light or dark, as JupyterLab, the book's theme or the system says; follows every change. */
export function followTheme(root, signal) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    root.dataset.theme = isDark(document, system.matches) ? "dark" : "light";
  };
  const observer = new MutationObserver(paint);
  for (const node of [document.documentElement, document.body]) {
    observer.observe(node, { attributeFilter: ["data-jp-theme-light", "data-theme"] });
  }
  system.addEventListener("change", paint, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
  paint();
}

export function isDark({ documentElement, body }, systemIsDark) {
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  const named = documentElement.dataset.theme ?? body.dataset.theme;
  return named === "dark" || (named !== "light" && systemIsDark);
}

/** One tooltip for a widget; `show` puts a text over a target, within the widget's width. */
export function tooltip(root) {
  const box = element("div", { class: "be-tooltip", role: "tooltip", hidden: true });
  root.append(box);
  return {
    show(target, text) {
      box.textContent = text;
      box.hidden = false;
      const [outer, inner] = [root.getBoundingClientRect(), target.getBoundingClientRect()];
      const room = outer.width - box.offsetWidth;
      const middle = inner.left - outer.left + (inner.width - box.offsetWidth) / 2;
      box.style.left = `${Math.max(0, Math.min(middle, room))}px`;
      box.style.top = `${inner.top - outer.top - box.offsetHeight - 6}px`;
    },
    hide() {
      box.hidden = true;
    },
  };
}

/** A button that saves the picture which `svg()` gives as text. */
export function saveButton(svg, filename, signal) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([svg()], { type: "image/svg+xml" }));
    element("a", { href: url, download: filename }).click();
    setTimeout(() => URL.revokeObjectURL(url), 0);
  };
  return element(
    "button",
    { type: "button", class: "be-button", on: { click: save }, signal },
    "Save picture",
  );
}

/** Makes a row one stop of the Tab key; the arrow keys, Home and End move within it.
    Returns what to call once other items of it are hidden. */
export function roving(row, signal) {
  const items = () => [...row.querySelectorAll("button:not([hidden])")];
  const settle = (chosen) => {
    const all = items();
    const stop = all.includes(chosen) ? chosen : all[0];
    for (const item of all) item.tabIndex = item === stop ? 0 : -1;
  };
  settle();
  row.addEventListener("focusin", ({ target }) => settle(target.closest("button")), { signal });
  row.addEventListener(
    "keydown",
    (event) => {
      const all = items();
      const here = all.indexOf(event.target.closest("button"));
      const next = moved(event.key, here, all.length);
      if (next === undefined) return;
      event.preventDefault();
      all[next].focus();
    },
    { signal },
  );
  return () => settle(row.querySelector('[tabindex="0"]'));
}

/** Where a key leads from place `here` of `count`, or undefined when it leads nowhere. */
export function moved(key, here, count) {
  const target = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: count - 1 }[key];
  return target === undefined || !count ? undefined : Math.min(Math.max(target, 0), count - 1);
}

/** Runs `action` once calls have paused for `wait` ms; nothing runs any more after `signal`. */
export function debounce(action, wait, signal) {
  let timer;
  signal.addEventListener("abort", () => clearTimeout(timer));
  return (...values) => {
    clearTimeout(timer);
    if (!signal.aborted) timer = setTimeout(() => action(...values), wait);
  };
}

// What is set or typed goes to Python after so many ms of quiet: the same for both, so that it arrives
// in the reader's order. While an answer is due, ipywidgets holds back the next message.
const QUIET = 30;

/**
 * Sends a widget's settings to Python, for the saved picture, once they rest; when the view goes
 * before that, at once: what the reader has set is not lost.
 */
export function telling(model, settings, signal) {
  const live = hasKernel(model);
  let due = false;
  const send = () => {
    if (!due) return;
    due = false;
    model.set({ settings: { ...settings() } });
    model.save_changes();
  };
  const later = debounce(send, QUIET, signal);
  signal.addEventListener("abort", send);
  return () => {
    due = live;
    later();
  };
}

/** Whether Python can answer: not in a page that was only written out, nor without a kernel. */
export function hasKernel(model) {
  const manager = model.widget_manager;
  if (manager && "kernel" in manager) return Boolean(manager.kernel);
  return !document.querySelector('script[type="application/vnd.jupyter.widget-state+json"]');
}

// ---- typing: to Python and back -----------------------------------------------------------------

const PATIENCE = 3000; // ms without an answer until the reader is told

/** The fields of a text (segment A) and of a second one (segment B), for `asking`. */
export function textFields() {
  const field = (name, label, segment, placeholder, read) => {
    const box = element("textarea", {
      rows: 1, placeholder, spellcheck: "false", autocomplete: "off", dir: "auto",
      class: `be-input be-segment-${segment.toLowerCase()}`,
    });
    return {
      name, box, read: () => read(box.value.toWellFormed()),
      write: (text) => { box.value = text ?? ""; },
      label: labelled(label, `Segment ${segment}`, box),
    };
  };
  return [
    field("text", "Text", "A", "type a text", (text) => text),
    field("pair", "Second text", "B", "optional: makes it a pair", (text) => text || null),
  ];
}

/** A box under its name. */
export const labelled = (name, note, box) => element("label", {},
  element("span", { class: "be-label" }, name, " ", element("span", { class: "be-dim" }, note)), box);

/**
 * Sends what is typed to Python once it pauses. The widget is busy until the answer to just that is
 * there; older answers are shown on the way. A field is a name in the model, a box, `read` and
 * `write`. Call what is returned with each answer's data (`asked`, `problem`), and with what to say
 * when there is no problem. `fixed`: what nobody can change in a page without Python.
 */
export function asking({ model, root, status, fields, fixed = "the text is", signal }) {
  const live = hasKernel(model);
  let [shown, hint, waiting] = [null, "", undefined];
  const same = (values) => fields.every(({ read }, i) => read() === values[i]);

  const ask = debounce(() => {
    if (same(fields.map(({ name }) => model.get(name)))) {
      if (same(shown.asked)) settle(); // typed and taken back: nothing new to ask
      return;
    }
    model.set(Object.fromEntries(fields.map(({ name, read }) => [name, read()])));
    model.save_changes();
  }, QUIET, signal);

  function typed() {
    root.setAttribute("aria-busy", "true");
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      status.textContent =
        "Python has not answered yet: is the kernel busy or stopped? The picture is still the last one.";
    }, PATIENCE);
    ask();
  }

  function settle() {
    clearTimeout(waiting);
    root.removeAttribute("aria-busy");
    fields.forEach(({ read, write }, i) => {
      if (read() !== shown.asked[i]) write(shown.asked[i]);
    });
    status.textContent = live ? shown.problem || hint
      : `This page has no Python behind it, so ${fixed} fixed; everything else works.`;
    status.classList.toggle("be-problem", live && Boolean(shown.problem));
  }

  for (const { box } of fields) {
    box.toggleAttribute("readonly", !live);
    box.addEventListener("input", typed, { signal });
  }
  signal.addEventListener("abort", () => clearTimeout(waiting));
  return (data, otherwise = "") => {
    [shown, hint] = [data, otherwise];
    if (!root.hasAttribute("aria-busy") || same(data.asked)) settle();
  };
}
