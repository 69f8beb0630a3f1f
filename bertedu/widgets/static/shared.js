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
    header[name] = { shape, values: dtype === "float16" ? fromHalves(values) : values };
  }
  return header;
}

let halves; // every number of 16 bits, by its bits: a picture has a hundred thousand of them

function fromHalves(bits) {
  halves ??= Float32Array.from({ length: 65536 }, (_, i) => half(i));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = halves[bits[i]];
  return values;
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

/** A probability in words: what is nearly nothing is not told as 0. */
export const told = (probability) => (probability < 0.0005 ? "under 0.1 %" : percent(probability));

/** Where all bars end: the smallest of some steps that the longest of them fits in. */
export const scaleOf = (probabilities) =>
  [0.1, 0.25, 0.5].find((step) => Math.max(0, ...probabilities) <= step) ?? 1;

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

/** A heading with a note beside it. */
export const heading = (text, note, ...more) =>
  element("h4", {}, text, note && element("span", { class: "be-note" }, note), ...more);

/** A part of a picture under its heading. */
export const stage = (text, note, ...content) =>
  element("div", { class: "be-stage" }, heading(text, note), ...content);

/** What the colours from `low` to `high` mean. */
export function legend(stops, low, high) {
  return element("span", { class: "be-legend" }, low,
    element("span", { class: "be-scale", style: `background:linear-gradient(90deg,${stops.join(",")})` }), high);
}

/** Whether the second text follows, as one line of text. */
export function judged(follows) {
  const [what, share] = follows >= 0.5 ? ["follows", follows] : ["is a random one", 1 - follows];
  return `BERT takes it that the second sentence ${what}: ${told(share)}.`;
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
  if (character > " " && character < "\x7f") return character; // most are, and a picture has thousands
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
 * A row of chips with dir="auto" reads as its text does: what is not of the text has a `dir` and is
 * passed over.
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
      { class: "be-piece", dir: special && "ltr" },
      was != null && [element("s", {}, Array.from(was, visible).join("")), " "],
      continues && element("span", { class: "be-dim" }, "##"),
      Array.from(continues ? token.slice(2) : token, visible).join(""),
    ),
    id != null && element("span", { class: "be-small", dir: "ltr" }, String(id)),
    [note].flat().map((line) => line != null && element("span", { class: "be-small", dir: "ltr" }, line)),
  );
}

/** Light or dark, as JupyterLab, the book's theme or the system says; follows every change. */
function followTheme(root, signal, repaint) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    const theme = isDark(document, system.matches) ? "dark" : "light";
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    repaint();
  };
  const observer = new MutationObserver(follow);
  for (const node of [document.documentElement, document.body]) {
    observer.observe(node, { attributeFilter: ["data-jp-theme-light", "data-theme"] });
  }
  system.addEventListener("change", follow, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
  follow();
}

export function isDark({ documentElement, body }, systemIsDark) {
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  const named = documentElement.dataset.theme ?? body.dataset.theme;
  return named === "dark" || (named !== "light" && systemIsDark);
}

/** One tooltip for a widget; `show` puts a text over a target, within the widget's width. */
function tooltip(root) {
  const box = element("div", { class: "be-tooltip", role: "tooltip", hidden: true });
  return {
    box,
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

/** A canvas's context in CSS pixels, cleared and sharp on every screen; null where nothing draws. */
export function contextOf(canvas, width, height) {
  const context = canvas.getContext?.("2d");
  if (!context) return null;
  const ratio = globalThis.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    Object.assign(canvas, { width: w, height: h });
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  context.reset();
  context.scale(ratio, ratio);
  return context;
}

/**
 * Products that add up to a score, as bars up and down from a line; what each has to say is shown
 * by a tooltip. `parts`: [value, text] each; `name`: of the whole, for screen readers.
 */
export const productBars = (parts, extreme, name) => element("div", {
  class: "be-products", role: "img", "aria-label": name,
}, parts.map(([value, text]) => element("span", { class: "be-part", "data-told": text },
  element("span", {
    class: "be-part-bar",
    style: `height:${(50 * Math.abs(value)) / extreme}%;${value < 0 ? "top" : "bottom"}:50%;background:rgb(${diverging(value, extreme)})`,
  }))));

const MIRRORED = { ArrowLeft: "ArrowRight", ArrowRight: "ArrowLeft" }; // the next is on the left

/** Makes a row, or a column, one stop of the Tab key; the arrow keys, Home and End move within it.
    Returns what to call once other items of it are hidden. */
export function roving(row, signal) {
  const items = () => [...row.querySelectorAll("button:not([hidden])")];
  const turned = row.getAttribute("aria-orientation") === "vertical"
    ? { ArrowUp: "ArrowLeft", ArrowDown: "ArrowRight" } : {};
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
      const mirrored = globalThis.getComputedStyle?.(row).direction === "rtl" ? MIRRORED : {};
      const next = placeByKey(turned[event.key] ?? mirrored[event.key] ?? event.key, here, all.length);
      if (next === undefined) return;
      event.preventDefault();
      all[next].focus();
    },
    { signal },
  );
  return () => settle(row.querySelector('[tabindex="0"]'));
}

/** Where a key leads from place `here` of `count`, or undefined when it leads nowhere. */
export function placeByKey(key, here, count) {
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
const QUIET = 10;

/**
 * Sends what `state()` gives to Python, once the reader rests; when the view goes before that, at
 * once: what the reader has set is not lost.
 */
export function sendingLater(model, state, signal) {
  let due = false;
  const send = () => {
    if (!due) return;
    due = false;
    model.set(state());
    model.save_changes();
  };
  const later = debounce(send, QUIET, signal);
  signal.addEventListener("abort", send);
  return () => {
    due = hasKernel(model);
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

/** Why Python does not answer, as far as the front end knows of its kernel. */
export function whySilent({ widget_manager: manager }) {
  const { status, connectionStatus } = manager?.kernel ?? {};
  if (["dead", "terminating"].includes(status)) {
    return "The kernel has stopped, so Python cannot answer: restart it, and run this cell again.";
  }
  if (connectionStatus === "disconnected") return "The connection to the kernel is lost, so Python cannot answer.";
  if (status === "busy") return "Python is busy with another cell: it answers after that.";
  if (status === "idle") return "Python has not answered: was the kernel restarted? Then run this cell again.";
  return "Python has not answered yet: is the kernel busy or stopped?";
}

/** What is said of a text that is nearly as long as a picture shows; "" while there is room. */
export function nearLimit(data, most) {
  const count = (data.tokens ?? data.texts?.[0]?.tokens ?? []).length;
  const [length, longest] = data.length ?? [count, most];
  return longest && length > 0.8 * longest ? `${length} of at most ${longest} tokens.` : "";
}

/** A field of a text for `askPython`; an optional one that is empty is null. */
export function textField(name, title, note, { placeholder = "type a text", optional = false } = {}) {
  const segment = note.match(/^Segment ([AB])$/)?.[1];
  const box = element("textarea", {
    rows: 1, placeholder, spellcheck: "false", autocomplete: "off", dir: "auto",
    class: `be-input${segment ? ` be-segment-${segment.toLowerCase()}` : ""}`,
  });
  return {
    name, box, optional, label: labelBox(title, note, box),
    read: () => box.value.toWellFormed() || (optional ? null : ""),
    write: (text) => { box.value = text ?? ""; },
  };
}

/** The fields of a text and of a second one. */
export const textFields = () => [
  textField("text", "Text", "Segment A"),
  textField("pair", "Second text", "Segment B", { placeholder: "optional: makes it a pair", optional: true }),
];

/** What is asked by clicks; `put` sets it, and asks where `box` is told. */
export function hiddenField(name, value) {
  const field = {
    name, box: element("span"), read: () => value,
    write: (other) => { value = other; },
    put: (other) => {
      value = other;
      field.box.dispatchEvent(new Event("input"));
    },
  };
  return field;
}

/** A box under its name. */
export const labelBox = (name, note, box) => element("label", {},
  element("span", { class: "be-label" }, name, " ", element("span", { class: "be-dim" }, note)), box);

/**
 * Sends what is typed to Python once it pauses. The widget is busy until the answer to just that is
 * there; older answers are shown on the way. A field is a name in the model, a box, `read` and
 * `write`. Call what is returned with each answer's data (`asked`, `problem`), and with what to say
 * when there is no problem. `fixed`: what nobody can change in a page without Python.
 */
function askPython({ model, root, status, fields, fixed = "the text is", signal }) {
  const live = hasKernel(model);
  let [shown, hint, waiting] = [null, "", undefined];
  const asks = (values) => fields.every(({ read }, i) => same(read(), values[i]));

  const ask = debounce(() => {
    if (asks(fields.map(({ name }) => model.get(name)))) {
      if (asks(shown.asked)) settle(); // typed and taken back: nothing new to ask
      return;
    }
    model.set(Object.fromEntries(fields.map(({ name, read }) => [name, read()])));
    model.save_changes();
  }, QUIET, signal);

  function hearTyping() {
    root.setAttribute("aria-busy", "true");
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      status.textContent = `${model.slow ?? whySilent(model)} The picture is still the last one.`;
    }, PATIENCE);
    ask();
  }

  function settle() {
    clearTimeout(waiting);
    root.removeAttribute("aria-busy");
    fields.forEach(({ read, write }, i) => {
      if (!same(read(), shown.asked[i])) write(shown.asked[i]);
    });
    const near = nearLimit(shown, model.get("longest"));
    status.textContent = live ? shown.problem || [near, hint].filter(Boolean).join(" ")
      : `This page has no Python behind it, so ${fixed} fixed; everything else works.`;
    for (const [node, kind] of [[status, "be-problem"], [root, "be-rejected"]]) {
      node.classList.toggle(kind, live && Boolean(shown.problem));
    }
  }

  for (const { box } of fields) {
    box.toggleAttribute("readonly", !live);
    box.addEventListener("input", hearTyping, { signal });
  }
  signal.addEventListener("abort", () => clearTimeout(waiting));
  return (data, otherwise = "") => {
    [shown, hint] = [data, otherwise];
    if (!root.hasAttribute("aria-busy") || asks(data.asked)) settle();
  };
}

// ---- the saved picture --------------------------------------------------------------------------

const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/**
 * A widget as it is seen now, as the text of an SVG that needs nothing else: its elements with what
 * was typed, chosen, drawn and scrolled to, and its style sheet, within a `foreignObject`.
 */
export function pictureOf(root) {
  const left = [...root.querySelectorAll(".be-save, .be-tooltip")];
  const wereHidden = left.map(({ hidden }) => hidden);
  for (const node of left) node.hidden = true; // the others take their places, before the next frame
  const { width, height } = root.getBoundingClientRect();
  // A table that is wider than its place is whole in the picture; it has half of its width at least.
  const more = 2 * Math.max(0, ...[...root.querySelectorAll(".be-wide")].map((n) => n.scrollWidth - n.clientWidth));
  const copy = root.cloneNode(true);
  const copies = [...copy.querySelectorAll("*")];
  [...root.querySelectorAll("*")].forEach((node, i) => keepState(node, copies[i]));
  left.forEach((node, i) => { node.hidden = wereHidden[i]; });
  for (const node of copy.querySelectorAll(".be-save, .be-tooltip")) node.remove();
  const look = getComputedStyle(root);
  for (const name of ["--jp-ui-font-family", "--jp-code-font-family"]) {
    copy.style.setProperty(name, look.getPropertyValue(name) || null);
  }
  Object.assign(copy.style, { width: `${width + more}px`, maxWidth: "none", margin: "0" });
  const mine = `.${root.classList[1]} {`; // one style sheet a widget: see `style_sheet` in base.py
  const style = [...document.querySelectorAll("style")].find((node) => node.textContent.includes(mine));
  const rules = style?.textContent.replace(/\bcanvas\b/g, ":is(canvas, img)"); // see `keepState`
  const size = { width: Math.ceil(width + more), height: Math.ceil(height) };
  const picture = svgElement("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}` },
    svgElement("title", {}, `${root.getAttribute("aria-label")}. ${root.querySelector(".be-foot .be-line")?.textContent}`),
    svgElement("foreignObject", size, element("style", {}, rules), copy));
  return new XMLSerializer().serializeToString(picture).replace(NOT_XML, "\ufffd");
}

/** Writes into a copied element what its original's attributes do not say. */
function keepState(node, copy) {
  const { scrollLeft, scrollTop } = node;
  const beside = node.closest(".be-scroll")?.scrollLeft;
  if (beside && getComputedStyle(node).position === "sticky") copy.style.translate = `${beside}px 0`;
  if (node.matches("textarea")) {
    copy.textContent = node.value;
    copy.style.height = `${node.offsetHeight}px`;
  } else if (node.matches("input")) {
    copy.setAttribute("value", node.value);
    copy.toggleAttribute("checked", node.checked);
  } else if (node.matches("option")) {
    copy.toggleAttribute("selected", node.selected);
  } else if (node.matches("canvas")) {
    // A canvas where no scripts run is empty.
    const look = { class: node.className, style: copy.getAttribute("style") };
    copy.replaceWith(element("img", { ...look, src: node.toDataURL(), alt: node.getAttribute("aria-label") ?? "" }));
  } else if (scrollLeft || scrollTop) { // nothing scrolls in a picture
    copy.style.overflow = "hidden";
    for (const child of copy.children) child.style.translate = `${-scrollLeft}px ${-scrollTop}px`;
  }
}

function save(text, filename) {
  const url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  element("a", { href: url, download: filename }).click();
  setTimeout(() => URL.revokeObjectURL(url), 0);
}

// ---- what is set, as a short text ---------------------------------------------------------------
//
// `#AttentionExplorer?layer=3&head=7&token=dog` is a view: the kind of widget, and what is set in it.
// A link of that form in a lesson's prose sets the next such widget, or else the one before it; one
// more click sets that back. A view can be copied, and pasted into another reader's widget.
// bertedu/classroom/tour.py knows the names, too, and refuses a lesson with a link that sets nothing.

const A_VIEW = /^(?:\S*#)?(?:([A-Z]\w*)\?)?((?:\w+=[^\s&]*)(?:&\w+=[^\s&]*)*)$/;
const MARKED = 1500; // ms that a widget is outlined for

/** "#TryIt?hide=dog" -> { kind: "TryIt", parts: [["hide", "dog"]] }; null where it is no view. */
export function viewFrom(text) {
  const [, kind = null, parts] = A_VIEW.exec(text.trim()) ?? [];
  return parts === undefined ? null : { kind, parts: [...new URLSearchParams(parts)] };
}

// What can be set is of a kind: `parse` makes a value of a text or throws one sentence, `format` the
// text of a value. `isSwitch`: it is told only where it differs; `isPlace`: it means nothing elsewhere.

/** A number; where its ends depend on the data, they are functions. */
export const numberFrom = (least, most, whole = true) => ({
  parse(text) {
    const [low, high] = [least, most].map((end) => (typeof end === "function" ? end() : end));
    const value = Number(text);
    if (text && value >= low && value <= high && (!whole || Number.isInteger(value))) return value;
    throw new Error(`it can be ${low} to ${high} here`);
  },
  format: String,
});

/** A number that is counted from 0 inside and from 1 outside. */
export const nthOf = (count) => {
  const { parse } = numberFrom(1, count);
  return { parse: (text) => parse(text) - 1, format: (place) => String(place + 1) };
};

/** One of some names; `names` may be a function. */
export const oneOf = (names) => ({
  parse(text) {
    const all = typeof names === "function" ? names() : names;
    if (all.includes(text)) return text;
    throw new Error(`it can be ${all.slice(0, 6).join(", ")}${all.length > 6 ? " and so on" : ""}`);
  },
  format: String,
});

export const onOff = {
  parse: (text) => oneOf(["on", "off"]).parse(text) === "on", format: (on) => (on ? "on" : "off"), isSwitch: true,
};

/** A place among pieces, by its piece: "dog", and "dog.2" where it is the second one. */
export const placeIn = (pieces) => ({
  parse(text) {
    const all = pieces();
    const places = (piece) => [...all.keys()].filter((i) => all[i] === piece);
    const [, piece, nth] = text.match(/^(.+)\.(\d+)$/u) ?? [];
    const found = places(text)[0] ?? places(piece)[nth - 1];
    if (found === undefined) throw new Error("it is not in what is shown");
    return found;
  },
  format(place) {
    const all = pieces();
    const nth = all.slice(0, place + 1).filter((piece) => piece === all[place]).length;
    return nth > 1 ? `${all[place]}.${nth}` : all[place];
  },
  isPlace: true,
});

/** What can be set of a view's settings, each of its kind, for `state` (see `defineWidget`). */
export const ofSettings = ({ settings }, kinds) => Object.fromEntries(Object.entries(kinds).map(
  ([name, kind]) => [name, { ...kind, setting: name, read: () => settings[name] ?? null }]));

/**
 * Lets a widget's view be copied, pasted and linked to. `parts()` is what the widget does. Call `heard`
 * when an answer has come, and `begin` when all is shown for the first time.
 */
function sharing({ kind, view, parts }) {
  const { root, signal, fields, live } = view;
  const page = root.ownerDocument.defaultView;
  const texts = fields.filter(({ box }) => box.matches("input, textarea"));
  const told = element("p", { class: "be-told be-save", role: "status" });
  const table = () => parts().state ?? {};
  let [first, waiting, linked, timer] = [{}, null, null, undefined];
  let scrolled = false; // beneath a pointer that rests: it points at nothing
  root.dataset.tour = kind;

  const now = () => Object.fromEntries([...texts.map((field) => [field.name, field]), ...Object.entries(table())]
    .map(([name, { read }]) => [name, read()]));

  function text() {
    const all = now();
    const differs = (name) => !same(all[name], first[name]);
    const set = texts.filter(({ name }) => differs(name)).map(({ name }) => [name, all[name] ?? ""]);
    for (const [name, { format, isSwitch }] of Object.entries(table())) {
      if (all[name] !== null && (!isSwitch || differs(name))) set.push([name, format(all[name])]);
    }
    return `#${kind}?${new URLSearchParams(set)}`;
  }

  function tell(sentence, isProblem = false) {
    told.textContent = sentence;
    told.classList.toggle("be-problem", isProblem);
  }

  /** Sets everything: the texts first, where they differ, as if they had been typed. */
  function put(wanted, values, then) {
    tell("");
    const typed = texts.map(({ name }) => wanted[name]);
    const settle = () => {
      const all = values();
      const entries = Object.entries(table());
      view.set(Object.fromEntries(entries.filter(([, { setting }]) => setting).map(([name, { setting }]) => [setting, all[name]])));
      parts().paint();
      for (const [name, { set }] of entries) set?.(all[name]);
      then();
    };
    if (texts.every(({ read }, i) => same(read(), typed[i]))) return settle();
    if (!live && !parts().ask) throw new Error("this page has no Python behind it, so what is typed stays as it is");
    waiting = { typed, settle, before: now() };
    const asked = Object.fromEntries(texts.map(({ name }, i) => [name, typed[i]]));
    if (parts().ask) {
      if (parts().ask(asked)) return undefined;
      waiting = null;
      throw new Error("this page does not have that answer, and no Python behind it");
    }
    for (const { name, write } of texts) write(asked[name]);
    return texts[0].box.dispatchEvent(new page.Event("input"));
  }

  function heard({ asked, problem }) {
    if (!waiting || !texts.every(({ name }, i) => same(asked[fields.findIndex((field) => field.name === name)], waiting.typed[i]))) return;
    const { settle, before } = waiting;
    waiting = null;
    // Once Python's own settings, which come with its answer, are taken.
    if (!problem) queueMicrotask(() => trying(settle, () => put(before, () => before, () => {})));
  }

  function trying(action, otherwise = () => {}) {
    if (signal.aborted) return;
    try {
      action();
    } catch ({ message }) {
      otherwise();
      tell(`Nothing was set: ${message}.`, true);
    }
  }

  /** What parts of a view ask for, with all else as it was at first: texts, and how to learn the rest. */
  function meant(view_) {
    const wanted = { ...first };
    const known = [...texts.map(({ name }) => name), ...Object.keys(table())];
    for (const [name, value] of view_) {
      if (!known.includes(name)) throw new Error(`this picture has no “${name}”; it has ${known.join(", ")}`);
      const field = texts.find((each) => each.name === name);
      if (!field) continue;
      wanted[name] = typeof first[name] === "number" ? Number(value) : value || (field.optional ? null : "");
      if (Number.isNaN(wanted[name])) throw new Error(`${name} is a number, and not “${value}”`);
    }
    const values = () => {
      const elsewhere = texts.some(({ name }) => !same(wanted[name], first[name]));
      const all = Object.fromEntries(Object.entries(table()).map(([name, { isPlace }]) => [name, elsewhere && isPlace ? null : first[name]]));
      for (const [name, value] of view_) {
        if (!(name in table())) continue;
        try {
          all[name] = table()[name].parse(value);
        } catch ({ message }) {
          throw new Error(`${name} cannot be “${value}”: ${message}`);
        }
      }
      parts().check?.(all);
      return all;
    };
    if (texts.every(({ name, read }) => same(wanted[name], read()))) values(); // refused before anything is set
    return [wanted, values];
  }

  function show(node = root) {
    node.dispatchEvent(new page.CustomEvent("bertedu-show", { bubbles: true })); // slides turn to it
    const still = page.matchMedia("(prefers-reduced-motion: reduce)").matches;
    node.scrollIntoView?.({ block: "nearest", behavior: still ? "auto" : "smooth" });
    if (node !== root) return;
    scrolled = true;
    root.classList.add("be-marked");
    clearTimeout(timer);
    timer = setTimeout(() => root.classList.remove("be-marked"), MARKED);
  }

  /** Follows a link, or takes it back when it was the last one and nothing has changed since. */
  function follow(link, href, { parts: asked }) {
    const scope = scopeOf(link);
    const isBack = linked?.href === href && same(linked.after, now());
    const before = isBack ? linked.before : now();
    for (const other of scope.querySelectorAll("a[aria-current]")) {
      if (other === link || widgetOf(other) === root) other.removeAttribute("aria-current");
    }
    if (isBack) {
      trying(() => put(before, () => before, () => tell("As it was before the link.")));
      linked = null;
      show(link);
      return;
    }
    linked = null;
    show();
    trying(() => put(...meant(asked), () => {
      linked = { href, before, after: now() };
      link?.setAttribute("aria-current", "true");
      tell("As the link says; the same link again sets it back.");
    }));
  }

  const scopeOf = (link) => link?.closest(".jp-NotebookPanel") ?? document;
  /** Of such things in a page the next after a link, or else the last one before it. */
  const nearest = (link, selector) => {
    const all = [...scopeOf(link).querySelectorAll(selector)];
    return all.find((node) => link.compareDocumentPosition(node) & 4) ?? all.at(-1); // 4: it follows
  };
  const kindOf = (link) => viewFrom(link.getAttribute("href"))?.kind;
  const widgetOf = (link) => nearest(link, `[data-tour="${kindOf(link)}"]`);

  /** The link of an event, where it is a view's and this widget has to answer. */
  function mine(event) {
    const link = event.target.closest?.('a[href^="#"][href*="?"][href*="="]');
    if (!link || !kindOf(link)) return null;
    // Where no such widget lives, the first of all brings its still picture into sight.
    return (widgetOf(link) ?? scopeOf(link).querySelector("[data-tour]")) === root ? link : null;
  }

  page.addEventListener("pointermove", ({ movementX, movementY }) => {
    if (movementX || movementY) scrolled = false;
  }, { capture: true, signal });
  // Before JupyterLab, which would open the Markdown cell, and before the page's own leap.
  page.addEventListener("click", (event) => {
    const link = mine(event);
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const href = link.getAttribute("href");
    if (widgetOf(link) === root) follow(link, href, viewFrom(href));
    else nearest(link, `img[alt^="${kindOf(link)}("]`)?.scrollIntoView();
  }, { capture: true, signal });
  const keep = (event) => {
    if ((event.type === "dblclick" || event.key === "Enter") && mine(event)) event.stopPropagation();
  };
  for (const type of ["dblclick", "keydown"]) page.addEventListener(type, keep, { capture: true, signal });

  root.addEventListener("paste", (event) => {
    const found = viewFrom(event.clipboardData?.getData("text") ?? "");
    const typing = event.target.matches("input, textarea");
    if (!found || (typing && !found.kind)) return; // a text like any other
    event.preventDefault();
    event.stopPropagation();
    if (found.kind && found.kind !== kind) tell(`Nothing was set: this is a view of ${found.kind}, and here is ${kind}.`, true);
    else trying(() => put(...meant(found.parts), () => tell("As the pasted text says.")));
  }, { signal });
  root.addEventListener("input", ({ isTrusted }) => { // the reader goes on
    if (!isTrusted) return;
    waiting = null;
    tell("");
  }, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));

  async function copy() {
    const copied = text();
    try {
      await page.navigator.clipboard.writeText(copied);
      tell(`Copied: ${copied}`);
    } catch {
      tell(`Copy this: ${copied}`);
    }
  }

  return {
    told, heard, isPointing: () => !scrolled,
    copying: view.button("Copy this view", copy, {
      class: "be-button be-save be-copy",
      title: "Copies what is set as a short text: for a link in a lesson, or to be pasted (Ctrl+V) into this picture elsewhere",
    }),
    begin() {
      first = now();
      const address = root.closest(".bertedu-still") && viewFrom(page.location.hash);
      if (address?.kind === kind && document.querySelector(`[data-tour="${kind}"]`) === root) follow(null, page.location.hash, address);
    },
  };
}

// ---- a widget -----------------------------------------------------------------------------------

export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/**
 * What a front end loads, from what a widget has of its own:
 *
 * - `name`, the class of its root element, `label`, its name for screen readers, `picture`, the name
 *   of the file that is saved, and `hint`, the line at its foot while nothing is pinned;
 * - `fields(view)`, what the reader types (see `askPython`), and `fixed`, what of it is so without
 *   Python;
 * - `first(data)`, the settings to begin with;
 * - `pins`, the settings that Python need not know, each with how many places there are for it:
 *   they stay in the browser, for all views of the model, and go when another text comes;
 * - `build(view)`, which makes the parts once, appends them, and returns what the widget does:
 *   `receive()`, new data have come: returns what to say of them; `paint()`, data or settings have
 *   changed; `follow()`, in its place when they were changed elsewhere; `release()`, Escape;
 *   `recolor()`, another theme; `on`, other events of the model; `end()`;
 * - `kind`, its class in Python, by which links name it, and from `build` its `state`: what can be set,
 *   by name, each of a kind (see `numberFrom`), with `setting`, or with `read` and `set` of its own;
 *   `ask(texts)`, where its texts are not set by typing them; `check(all)` throws where values that
 *   are possible each do not go together.
 */
export function defineWidget(definition) {
  return { render: ({ model, el }) => render(definition, model, el) };
}

function render({ kind, name, label, picture, hint, fields, fixed, first = ({ first: own }) => own, pins = {}, build }, model, el) {
  const ending = new AbortController();
  const { signal } = ending;
  const root = element("section", {
    class: `bertedu ${name}`, "aria-label": label,
    "data-lm-suppress-shortcuts": "true", // the arrow keys are ours, not the notebook's
  });
  el.append(root);
  const [data, settings] = [{}, {}]; // the same objects for ever, so that a widget can keep them
  const line = element("p", { class: "be-line", role: "status" }, hint);
  const tip = tooltip(root);
  let painting = new AbortController();
  let frame;
  let parts = {};

  const button = (text, click, attributes) => element("button",
    { type: "button", class: "be-button", on: { click }, signal, ...attributes }, text);
  const saving = button("Save picture", () => save(pictureOf(root), `${picture}.svg`), { class: "be-button be-save" });
  // Pins stand in the model beside the settings: there Python's echo of settings does not undo them.
  const pinned = () => Object.fromEntries(Object.keys(pins).map((pin) => [pin, settings[pin]]));
  let known = {}; // the settings that Python has
  const send = sendingLater(model, () => {
    const theirs = Object.fromEntries(Object.keys(pins).map((pin) => [pin, known[pin]]));
    return { settings: { ...settings, ...theirs } };
  }, signal);

  const view = {
    model, root, signal, data, settings, tip, button, line, live: hasKernel(model),
    status: element("p", { class: "be-status", role: "status" }),
    /** A switch with its name. */
    check(text, change, attributes) {
      const box = element("input", { type: "checkbox", on: { change: () => change(box.checked) }, signal, ...attributes });
      return { box, label: element("label", { class: "be-check" }, box, ` ${text}`) };
    },
    inputs: (kind) => element("div", { class: `be-inputs${kind ? ` ${kind}` : ""}` }, view.fields.map((field) => field.label)),
    foot: (...buttons) => element("div", { class: "be-foot" }, line, buttons, shared?.copying, saving),
    /** Says at the foot what is pinned, or how to pin. */
    say(text, kept = text !== null) {
      line.textContent = text ?? hint;
      line.classList.toggle("be-pinned", kept);
    },
    /** The signal of what is painted last; `renew` ends it. */
    get painting() {
      return painting.signal;
    },
    renew() {
      painting.abort();
      painting = new AbortController();
      tip.hide();
    },
    /** Hover and focus show what `find(event)` finds at a place, leaving hides it, a click pins it. */
    listen(node, { find, show, hide, pin = () => {}, moves = false }) {
      const leave = () => {
        tip.hide();
        hide();
      };
      const point = (event) => {
        if (event.type !== "focusin" && shared?.isPointing() === false) return;
        const thing = find(event);
        if (thing === undefined) leave();
        else show(thing);
      };
      const click = (event) => {
        const thing = find(event);
        if (thing !== undefined) pin(thing);
      };
      const listeners = { pointerover: point, pointerleave: leave, focusin: point, focusout: leave, click };
      if (moves) listeners.pointermove = point;
      for (const [type, listener] of Object.entries(listeners)) node.addEventListener(type, listener, { signal });
    },
    /** Runs an action once in the next frame, however often it is asked for. */
    soon(action) {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(action);
    },
    whenResized(node, action) {
      const observer = globalThis.ResizeObserver && new ResizeObserver(action);
      observer?.observe(node);
      signal.addEventListener("abort", () => observer?.disconnect());
    },
    /** Changes settings; Python hears of those that are no pins. */
    set(some) {
      const changed = Object.keys(some).filter((key) => !same(settings[key], some[key]));
      Object.assign(settings, some);
      if (changed.some((key) => key in pins)) model.set({ pins: pinned() });
      if (changed.some((key) => !(key in pins))) send();
    },
    change(some) {
      view.set(some);
      parts.paint();
    },
  };
  view.fields = fields?.(view) ?? [];
  const settle = view.fields.length ? askPython({ ...view, fixed }) : () => {};
  const shared = kind && sharing({ kind, view, parts: () => parts });

  /** Takes the settings in the model, of the pins those that are set anew; returns whether they differ. */
  function take(old = settings) {
    const before = JSON.stringify(settings);
    const theirs = { ...first(data), ...model.get("settings") };
    const kept = Object.fromEntries(Object.entries(pins).map(([pin, count]) => {
      const isThere = (place) => place < count(data)
      const wanted = same(theirs[pin], known[pin]) ? old[pin] : theirs[pin];
      return [pin, [wanted, old[pin]].find((place) => place === null || isThere(place)) ?? null];
    }));
    known = theirs;
    Object.assign(settings, theirs, kept);
    return JSON.stringify(settings) !== before;
  }

  function read() {
    for (const key of Object.keys(data)) delete data[key];
    Object.assign(data, unpack(model.get("data")));
  }

  function show() {
    settle(data, parts.receive?.() ?? "");
    parts.paint();
  }

  function receive() {
    const { asked } = data;
    read();
    take(same(asked, data.asked) ? settings : {}); // with another text what was pinned goes
    if (!same(model.get("pins") ?? {}, pinned())) model.set({ pins: pinned() });
    show();
    shared?.heard(data);
  }

  const repaint = () => (parts.follow ?? parts.paint)();

  function follow() {
    if (!take()) return;
    if (!same(model.get("pins") ?? {}, pinned())) model.set({ pins: pinned() });
    repaint();
  }

  function followPins() {
    if (same(model.get("pins"), pinned())) return;
    Object.assign(settings, model.get("pins"));
    repaint();
  }

  followTheme(root, signal, () => parts.recolor?.());
  read();
  parts = build(view);
  root.append(shared?.told ?? "", tip.box);
  root.addEventListener("keydown", (event) => {
    if (event.target.type === "range") event.stopPropagation(); // JupyterLab takes its arrow keys
    if (event.key !== "Escape") return;
    tip.hide();
    parts.release();
  }, { signal });
  const events = { "change:data": receive, "change:settings": follow, "change:pins": followPins, ...parts.on };
  for (const [event, listener] of Object.entries(events)) model.on(event, listener);
  take();
  Object.assign(settings, model.get("pins"));
  show();
  shared?.begin();
  return () => {
    ending.abort();
    painting.abort();
    if (frame) cancelAnimationFrame(frame);
    for (const [event, listener] of Object.entries(events)) model.off(event, listener);
    parts.end?.();
    root.remove();
  };
}
