// bertviz's own views, drawn by its own scripts: this module gives them what they expect to find.

import { element, unpack } from "./shared.js";

const STRONGER = "A line is as strong as the root of its share, so that small ones are seen.";

const HINTS = {
  head_view: "Left asks, right answers. The squares are the heads, head 1 first: click one to " +
    "switch its lines off or on, double-click to see it alone. Point at a token for its lines only. " + STRONGER,
  model_view: `A row is a layer, a column a head. Click one to see it large, with its tokens. ${STRONGER}`,
  neuron_view: "Point at a token on the left, then click its plus: query, key, their product, " +
    "component by component, and the sum. Red is positive, blue negative.",
};

/** The bytes that Python compressed and wrote as base64. */
export async function unzip(packed) {
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** What bertviz calls `params`: lists in lists, of the whole text and, for a pair, by sentence. */
export function parameters({ tokens, second, settings, attention, query, key }) {
  const [all, a, b] = [[0, tokens.length], [0, second], [second, tokens.length]];
  const sections = [["All", all, all]];
  if (second !== null) {
    sections.push(["A → A", a, a], ["B → B", b, b], ["A → B", a, b], ["B → A", b, a]);
  }
  return {
    ...settings,
    root_div_id: "view",
    default_filter: "0",
    bidirectional: true,
    attention: sections.map(([name, rows, columns]) => ({
      name,
      left_text: tokens.slice(...rows),
      right_text: tokens.slice(...columns),
      attn: nest(attention, rows, columns),
      ...(query && { queries: nest(query, rows), keys: nest(key, columns) }),
    })),
  };
}

function nest({ shape: [layers, heads, size, width], values }, [top, bottom], columns) {
  const [left, right] = columns ?? [0, width];
  const list = (length, item) => Array.from({ length }, (_, index) => item(index));
  return list(layers, (layer) => list(heads, (head) => list(bottom - top, (row) => {
    const start = ((layer * heads + head) * size + top + row) * width;
    return Array.from(values.subarray(start + left, start + right));
  })));
}

/** The few calls of jQuery that bertviz makes, on one node or none. */
export function jquery(what) {
  const node = what.startsWith("<")
    ? document.createElement(what.match(/\w+/)[0])
    : document.querySelector(what);
  const chain = (act) => (...values) => {
    if (node) act(...values);
    return wrapped;
  };
  const wrapped = {
    node,
    append: chain((other) => node.append(other.node)),
    attr: chain((name, value) => node.setAttribute(name, value)),
    change: chain(() => node.dispatchEvent(new Event("change"))),
    empty: chain(() => node.replaceChildren()),
    on: chain((name, listener) => node.addEventListener(name, listener)),
    text: chain((text) => { node.textContent = text; }),
    val: chain((value) => { node.value = value; }),
  };
  return wrapped;
}

/** Shows what Python packed, in a document of its own, light or dark as the page around it is. */
export async function draw(packed) {
  const { scripts, view, ...content } = unpack(await unzip(packed));
  const params = parameters(content);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  run(scripts.d3);
  const modules = { jquery, d3: window.d3 };
  window.require = { config() {} };
  window.requirejs = (names, start) => start(...names.map((name) => modules[name]));

  function paint() {
    const asked = params.display_mode;
    const mode = asked !== "auto" ? asked : dark.matches ? "dark" : "light";
    window.bertviz_params = { ...params, display_mode: mode };
    document.body.className = `${view} ${mode}`;
    document.body.replaceChildren(
      element("p", {}, HINTS[view]),
      element("div", { id: "view" }, element("div", {}, choosers(view, params)), element("div", { id: "vis" })),
    );
    run(scripts.view);
    if (view === "neuron_view") { // which numbers what it was given from 0 on
      rename("#layer", params.include_layers);
      rename("#att_head", params.include_heads);
    }
    if (view === "model_view") {
      fit();
      document.querySelector("#filter")?.addEventListener("change", fit);
    }
  }

  paint();
  dark.addEventListener("change", paint);
}

function choosers(view, params) {
  const chooser = (name, id, ...options) =>
    element("label", {}, `${name} `, element("select", { id }, ...options));
  return [
    view !== "model_view" && chooser("Layer", "layer"),
    view === "neuron_view" && chooser("Head", "att_head"),
    params.attention.length > 1 && chooser("Attention", "filter", ...params.attention.map(
      ({ name }, value) => element("option", { value }, name),
    )),
  ];
}

/** Makes the drawing, which bertviz gives a fixed width, as wide as there is room. */
function fit() {
  const svg = document.querySelector("#vis svg");
  svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
}

function run(code) {
  const script = element("script", {}, code);
  document.head.append(script);
  script.remove();
}

function rename(select, names) {
  document.querySelectorAll(`${select} option`).forEach((option, index) => {
    option.textContent = names[index];
  });
}
