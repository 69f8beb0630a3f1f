// bertviz's own views, drawn by its own scripts: this module gives them what they expect to find.

import { element, unpack } from "./shared.js";

const HINTS = {
  head_view: "Left asks, right answers. The squares are the heads, head 1 first: click one to " +
    "switch its lines off or on, double-click to see it alone. Point at a token for its lines only.",
  model_view: "A row is a layer, a column a head. Click one to see it large, with its tokens.",
  neuron_view: "Point at a token on the left, then click its plus: query, key, their product, " +
    "component by component, and the sum. Blue is positive, orange negative.",
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

/** Shows what Python packed, in a document of its own. */
export async function draw(packed) {
  const { scripts, view, ...content } = unpack(await unzip(packed));
  const params = parameters(content);
  const chooser = (name, id, ...options) =>
    element("label", {}, `${name} `, element("select", { id }, ...options));
  const choosers = [];
  if (view !== "model_view") choosers.push(chooser("Layer", "layer"));
  if (view === "neuron_view") choosers.push(chooser("Head", "att_head"));
  if (params.attention.length > 1) {
    choosers.push(chooser("Attention", "filter", ...params.attention.map(
      ({ name }, value) => element("option", { value }, name),
    )));
  }
  document.body.classList.add(view, params.display_mode);
  document.body.append(
    element("p", {}, HINTS[view]),
    element("div", { id: "view" }, element("div", {}, ...choosers), element("div", { id: "vis" })),
  );

  window.bertviz_params = params;
  run(scripts.d3);
  const modules = { jquery, d3: window.d3 };
  window.require = { config() {} };
  window.requirejs = (names, start) => start(...names.map((name) => modules[name]));
  run(scripts.view);
  if (view === "neuron_view") { // which numbers what it was given from 0 on
    rename("#layer", params.include_layers);
    rename("#att_head", params.include_heads);
  }
}

function run(code) {
  document.head.append(element("script", {}, code));
}

function rename(select, names) {
  document.querySelectorAll(`${select} option`).forEach((option, index) => {
    option.textContent = names[index];
  });
}
