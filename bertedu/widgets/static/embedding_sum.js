import {
  PALETTE, SEGMENTS, clean, defineWidget, diverging, element, heading, numberFrom, ofSettings, onOff, oneOf, percent,
  same, sequential, textFields,
} from "./shared.js";

const HINT = "Hover shows the numbers of a cell, a click pins them, Escape lets go.";
const TERMS = ["token", "segment", "position"];
const SWITCHES = [...TERMS, "layer_norm"];
const EVERYTHING = 2 ** SWITCHES.length - 1;
const DIMENSIONS = 64; // in one view
const MOST_LABELLED = 24; // tokens: beyond, a square's cells are lower than a line of text

// ---- the sum, as in bertedu/model.py -------------------------------------------------------------

/** What is switched on, as the number of its row in the data's attention. */
export const combination = (settings) =>
  SWITCHES.reduce((sum, name, bit) => sum + (settings[name] ? 2 ** bit : 0), 0);

/** One term's S x H values, zeros when it is off. */
export function term({ terms: { values, shape: [, S, H] } }, which, settings) {
  const size = S * H;
  return settings[TERMS[which]] ? values.subarray(which * size, (which + 1) * size) : new Float32Array(size);
}

/** token + segment + position in single precision and the model's order: equal to the bit. */
export function sumOf(data, settings) {
  const [token, segment, position] = TERMS.map((_, which) => term(data, which, settings));
  return token.map((value, i) => Math.fround(value + segment[i]) + position[i]);
}

/** What the first layer reads: each token's sum, with mean 0 and deviation 1, then scaled. */
export function states(data, settings) {
  const sums = sumOf(data, settings);
  if (!settings.layer_norm) return sums;
  const H = data.gain.values.length;
  const output = new Float32Array(sums.length);
  for (let start = 0; start < sums.length; start += H) {
    const row = Array.from(sums.subarray(start, start + H));
    const mean = row.reduce((a, b) => a + b, 0) / H;
    const spread = Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / H + data.eps);
    row.forEach((value, i) => {
      output[start + i] = ((value - mean) / spread) * data.gain.values[i] + data.shift.values[i];
    });
  }
  return output;
}

/** The first layer's S x S probabilities of a head, counted from 1, or of the mean of all (0). */
export function attention({ attention: { values, shape: [, A, S] } }, which, head) {
  const size = S * S;
  const of = (h) => values.subarray((which * A + h) * size, (which * A + h + 1) * size);
  if (head) return of(head - 1);
  return Float32Array.from({ length: size }, (_, i) => {
    let sum = 0;
    for (let h = 0; h < A; h++) sum += of(h)[i];
    return sum / A;
  });
}

/** The share of a row that lies elsewhere than before, mean of the rows. */
export const shareMoved = (now, before, rows) =>
  now.reduce((sum, value, i) => sum + Math.abs(value - before[i]), 0) / 2 / rows;

/** What a combination teaches, in one sentence, or nothing. */
export function describeSwitches({ token, segment, position, layer_norm }) {
  if (!token && !segment && !position) return "Nothing tells the tokens apart: every token looks at all of them equally.";
  if (!position && !token) return "Only the segment is left: all tokens of a segment are the same to BERT.";
  if (!position) return "Without positions the same token in the same segment is the same vector, wherever it stands.";
  if (!token) return "Without tokens only places are left: every text of these lengths gives the same picture.";
  if (!segment) return "Without segments only [SEP] says where B begins.";
  if (!layer_norm) return "Without LayerNorm the first layer reads vectors as long or short as the tables happen to make them.";
  return "";
}

const SIGNED = Array.from({ length: 2001 }, (_, i) => diverging(i - 1000, 1000));
const SHARES = Array.from({ length: 1001 }, (_, i) => sequential(i, 1000));

// Looked up: a repaint asks for thousands.
/** The colour of a signed value. */
const colorOf = (value, extreme) =>
  SIGNED[extreme ? Math.round(1000 * (1 + Math.min(Math.max(value / extreme, -1), 1))) : 1000];

/** The colour of a probability. */
const shadeOf = (value, highest) => SHARES[Math.round(1000 * value / highest)];

/** RGBA of a matrix, a pixel a value. */
export function pixels(values, color) {
  const bytes = new Uint8ClampedArray(4 * values.length);
  for (let i = 0; i < values.length; i++) {
    const [r, g, b] = color(values[i]);
    bytes[4 * i] = r;
    bytes[4 * i + 1] = g;
    bytes[4 * i + 2] = b;
    bytes[4 * i + 3] = 255;
  }
  return bytes;
}

// ---- in words -----------------------------------------------------------------------------------

/** −0.0123, with a true minus sign. */
export const number = (value, digits = 4) =>
  value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");

/** One cell: what is added, the sum, and what LayerNorm makes of it. */
export function describeCell(data, settings, row, dimension) {
  const H = data.terms.shape[2];
  const at = row * H + dimension;
  const parts = TERMS.map((name, i) =>
    `${name} ${settings[name] ? number(term(data, i, settings)[at]) : "off"}`).join(" + ");
  const after = settings.layer_norm ? `after LayerNorm ${number(states(data, settings)[at])}` : "LayerNorm off";
  return `${clean(data.tokens[row])} (position ${row}, segment ${SEGMENTS[data.types[row]]}), ` +
    `dimension ${dimension}: ${parts} = ${number(sumOf(data, settings)[at])}; ${after}`;
}

/** One pair of tokens: how much one looks at the other, with everything on and now. */
export function describePair(data, settings, row, column) {
  const at = row * data.tokens.length + column;
  const before = attention(data, EVERYTHING, settings.head)[at];
  const now = attention(data, combination(settings), settings.head)[at];
  const sign = now < before ? "−" : "+";
  return `${clean(data.tokens[row])} (${row}) looks at ${clean(data.tokens[column])} (${column}): ` +
    `${percent(before)} with everything on, ${percent(now)} now, ` +
    `${sign}${(100 * Math.abs(now - before)).toFixed(1)} points (${headName(data, settings)})`;
}

export function describePositions({ positions: { values, shape: [, , P] } }, settings, row, column) {
  const cosine = (table) => values[((settings.centred ? 2 : 0) + table) * P * P + row * P + column];
  return `positions ${row} and ${column}, ${Math.abs(row - column)} apart: ` +
    `cosine ${number(cosine(0), 2)} learned, ${number(cosine(1), 2)} sinusoidal`;
}

const headName = ({ attention: { shape: [, A] } }, { head }) =>
  `layer 1, ${head ? `head ${head}` : `mean of ${A} heads`}`;

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  kind: "EmbeddingSum", name: "be-embedding-sum", label: "Embedding sum", picture: "embeddings", hint: HINT, build,
  fields: () => textFields(),
});

function build(view) {
  const { root, signal, data, settings, change, tip } = view;
  let pinned = null; // { group, row, column }
  let compared; // which tables of positions are painted
  const maps = []; // every matrix of colour

  // ---- the parts, made once; `paint` fills them ----

  const boxes = {};
  const toggle = (text, key) => {
    const { box, label } = view.check(text, (on) => change({ [key]: on }));
    boxes[key] = box;
    return label;
  };
  const choice = (label, change) => {
    const box = element("select", { class: "be-select", on: { change: () => change(box.value) }, signal });
    return { box, label: element("label", { class: "be-choice" }, label, " ", box) };
  };
  const dimensions = choice("Dimensions", (value) => change({ dimensions: value.split(" ").map(Number) }));
  const head = choice("Head", (value) => change({ head: Number(value) }));

  /** A matrix of colour; those of one group light up at the same row and column. */
  function heat(group, name) {
    const canvas = element("canvas", { width: 1, height: 1 });
    const cursor = element("div", { class: "be-cursor", hidden: true });
    const box = element("div", {
      class: "be-heat", tabindex: 0, role: "application", "aria-roledescription": "matrix of colour",
      "aria-label": `${name}; the arrow keys move from cell to cell, Enter pins`,
    }, canvas, cursor);
    const rows = element("div", { class: "be-rows", "aria-hidden": "true" });
    const columns = element("div", { class: "be-columns-above", "aria-hidden": "true" });
    const map = { group, name, box, cursor, canvas, rows, columns, at: [0, 0], size: [1, 1] };
    maps.push(map);
    map.node = element("div", { class: `be-map be-map-${group}` }, columns, rows, box);
    map.fill = (values, count, color) => {
      map.size = [values.length / count, count];
      [canvas.width, canvas.height] = [count, map.size[0]];
      map.at = map.at.map((place, i) => Math.min(place, map.size[i] - 1));
      map.node.style.setProperty("--rows", map.size[0]);
      const context = canvas.getContext("2d");
      if (!context) return; // a page that draws nothing
      const image = context.createImageData(count, map.size[0]);
      image.data.set(pixels(values, color));
      context.putImageData(image, 0, 0);
    };
    return map;
  }
  const scaleOf = (stops) => {
    const ends = [0, 1, 2].map(() => element("span", {}));
    const title = element("span", { class: "be-dim" });
    const node = element("div", { class: "be-legend" }, title,
      element("span", { class: "be-scale", style: `background:linear-gradient(to right, ${stops.join()})` }),
      element("span", { class: "be-ends" }, ends));
    return { node, fill: (name, ...texts) => {
      title.textContent = name;
      ends.forEach((end, i) => { end.textContent = texts[i] ?? ""; });
    } };
  };

  const notes = {};
  const block = (name, title) => {
    notes[name] = element("span", { class: "be-note" });
    blocks[name] = heat("cell", { layer_norm: "what the first layer reads" }[name] ?? name);
    return element("div", { class: `be-stage be-block be-of-${name}` },
      element("h4", {}, title, notes[name]), blocks[name].node);
  };
  const blocks = {};
  const scales = { cell: scaleOf(PALETTE.diverging), normed: scaleOf(PALETTE.diverging) };
  const everything = view.button("Everything on",
    () => change(Object.fromEntries(SWITCHES.map((name) => [name, true]))));

  const squares = {
    before: heat("pair", "attention with everything on"), now: heat("pair", "attention now"),
    change: heat("pair", "change of attention"),
    learned: heat("place", "learned positions"), waves: heat("place", "sinusoidal positions"),
  };
  const square = (name, title, scale) => element("figure", { class: "be-square" },
    element("figcaption", {}, title), squares[name].node, scale);
  const shares = [scaleOf(PALETTE.sequential), scaleOf(PALETTE.sequential)];
  const difference = scaleOf(PALETTE.diverging);
  const cosines = [scaleOf(PALETTE.diverging), scaleOf(PALETTE.diverging)];
  const verdict = element("p", { class: "be-verdict", role: "status" });
  const placeNote = element("span", { class: "be-note" });

  const picture = element("div", { class: "be-picture" },
    element("div", { class: "be-sum" },
      element("div", {},
        block("token", toggle("token", "token")),
        block("segment", toggle("+ segment", "segment")),
        block("position", toggle("+ position", "position"))),
      element("div", {},
        block("sum", "= sum"),
        block("layer_norm", toggle("LayerNorm", "layer_norm")),
        element("div", { class: "be-side" }, dimensions.label, everything,
          scales.cell.node, scales.normed.node))),
    element("div", { class: "be-stage" },
      heading("The first layer's attention", "rows ask, columns answer; each row sums to 100 %", head.label),
      verdict,
      element("div", { class: "be-squares" },
        square("before", "with everything on", shares[0].node),
        square("now", "now, as the switches stand", shares[1].node),
        square("change", "change", difference.node))),
    element("div", { class: "be-stage" },
      element("h4", {}, "How alike are two positions?", placeNote),
      toggle("take the mean row away first, which all positions share", "centred"),
      element("div", { class: "be-squares" },
        square("learned", "learned by BERT", cosines[0].node),
        square("waves", "sinusoidal (the first Transformer's; not in BERT)", cosines[1].node))));
  root.append(view.inputs(), view.status, picture, view.foot());

  function receive() {
    const [, A] = data.attention.shape;
    const H = data.terms.shape[2];
    const views = [];
    for (let start = 0; start < H; start += DIMENSIONS) views.push([start, Math.min(H, start + DIMENSIONS)]);
    const option = (value, text) => element("option", { value }, text);
    dimensions.box.replaceChildren(
      ...views.map(([start, stop]) => option(`${start} ${stop}`, `${start} to ${stop - 1}`)),
      views.length > 1 ? option(`0 ${H}`, `all ${H}`) : "");
    head.box.replaceChildren(option("0", `mean of ${A}`),
      ...Array.from({ length: A }, (_, i) => option(String(i + 1), String(i + 1))));
    const names = data.tokens.map((token, i) => element("span", {
      class: `be-name be-segment-${SEGMENTS[data.types[i]].toLowerCase()}${data.special[i] ? " be-dim" : ""}`,
    }, element("bdi", {}, clean(token))));
    for (const map of maps) if (map.group !== "place") label(map, names);
    if (pinned?.group !== "place") pinned = null;
    return data.own === null ? ""
      : `A piece typed with its ## is kept as typed. BERT's own tokenizer would write ${clean(data.own)} here.`;
  }

  function label({ group, node, rows, columns }, names) {
    const few = group === "cell" || names.length <= MOST_LABELLED;
    const copies = () => names.map((name) => name.cloneNode(true));
    node.classList.toggle("be-unlabelled", !few);
    rows.replaceChildren(...(few ? copies() : []));
    columns.replaceChildren(...(few && group === "pair" ? copies() : []));
  }

  // ---- the picture ----

  function paint() {
    const [, S, H] = data.terms.shape;
    const [start, stop] = settings.dimensions;
    const [plain, normed] = data.scales;
    for (const [key, box] of Object.entries(boxes)) box.checked = settings[key];
    dimensions.box.value = settings.dimensions.join(" ");
    head.box.value = String(settings.head);
    everything.disabled = combination(settings) === EVERYTHING;

    const strip = (name, values, scale) => {
      const shown = new Float32Array(S * (stop - start));
      for (let row = 0; row < S; row++) {
        shown.set(values.subarray(row * H + start, row * H + stop), row * (stop - start));
      }
      blocks[name].fill(shown, stop - start, (value) => colorOf(value, scale));
    };
    const about = {
      token: "one row of the table for each token", segment: "one row for A, one for B",
      position: "one row for each place",
    };
    TERMS.forEach((name, i) => {
      strip(name, term(data, i, settings), plain);
      notes[name].textContent = settings[name] ? about[name] : "off: zeros";
    });
    strip("sum", sumOf(data, settings), plain);
    notes.sum.textContent = TERMS.filter((name) => settings[name]).join(" + ") || "nothing";
    strip("layer_norm", states(data, settings), settings.layer_norm ? normed : plain);
    notes.layer_norm.textContent = settings.layer_norm
      ? "what the first layer reads" : "off: the first layer reads the sum itself";
    const ends = (extreme, digits) => [`≤ −${extreme.toFixed(digits)}`, "0", `≥ ${extreme.toFixed(digits)}`];
    scales.cell.fill("value (no unit)", ...ends(plain, 2));
    scales.normed.fill("value after LayerNorm", ...ends(normed, 1));

    const before = attention(data, EVERYTHING, settings.head);
    const now = attention(data, combination(settings), settings.head);
    const moved = now.map((value, i) => value - before[i]);
    const highest = Math.max(...before, ...now);
    const most = Math.max(...moved.map(Math.abs));
    squares.before.fill(before, S, (value) => shadeOf(value, highest));
    squares.now.fill(now, S, (value) => shadeOf(value, highest));
    squares.change.fill(moved, S, (value) => colorOf(value, most));
    for (const scale of shares) scale.fill("probability", "0 %", "", percent(highest));
    difference.fill("change, in percentage points", ...(most
      ? [`−${(100 * most).toFixed(1)}`, "0", `+${(100 * most).toFixed(1)}`] : ["", "0: no change", ""]));
    const share = shareMoved(now, before, S);
    verdict.textContent = combination(settings) === EVERYTHING
      ? "Switch a term off, and see here what changes."
      : `${percent(share)} of a token's attention goes elsewhere now (${headName(data, settings)}). ${describeSwitches(settings)}`;

    const P = data.positions.shape[2];
    if (compared !== settings.centred) [squares.learned, squares.waves].forEach((map, table) => {
      const from = ((settings.centred ? 2 : 0) + table) * P * P;
      map.fill(data.positions.values.subarray(from, from + P * P), P, (value) => colorOf(value, 1));
      cosines[table].fill("cosine", "−1", "0", "1");
    });
    compared = settings.centred;
    placeNote.textContent = `rows and columns: positions 0 to ${P - 1}; 1 = the same direction`;
    if (pinned?.group === "cell" && (pinned.column < start || pinned.column >= stop)) pinned = null;
    tip.hide();
    pin(pinned);
  }

  // ---- hover shows, click pins, Escape lets go ----

  const first = ({ group }) => (group === "cell" ? settings.dimensions[0] : 0);
  const placeOn = (map) => ({ group: map.group, row: map.at[0], column: map.at[1] + first(map) });
  const describe = ({ group, row, column }) =>
    ({ cell: describeCell, pair: describePair, place: describePositions })[group](data, settings, row, column);

  function light(place) {
    for (const map of maps) {
      const here = place?.group === map.group;
      map.cursor.hidden = !here;
      if (!here) continue;
      const [rows, columns] = map.size;
      map.at = [place.row, place.column - first(map)];
      map.cursor.style.top = `${(100 * map.at[0]) / rows}%`;
      map.cursor.style.left = `${(100 * map.at[1]) / columns}%`;
      map.cursor.style.height = `${100 / rows}%`;
      map.cursor.style.width = `${100 / columns}%`;
    }
  }

  function pin(place) {
    pinned = place;
    view.say(place ? `Pinned: ${describe(place)}` : null);
    light(place);
  }

  function show(map) {
    light(placeOn(map));
    tip.show(map.cursor, describe(placeOn(map)));
  }

  function leave() {
    tip.hide();
    light(pinned);
  }

  const pinOrLetGo = (map) => pin(same(pinned, placeOn(map)) ? null : placeOn(map));

  /** The cell under the pointer. */
  function point(map, { clientX, clientY }) {
    const { left, top, width, height } = map.canvas.getBoundingClientRect();
    const share = [(clientY - top) / height, (clientX - left) / width];
    map.at = share.map((part, i) =>
      Math.min(Math.max(Math.floor(part * map.size[i]) || 0, 0), map.size[i] - 1));
  }

  for (const map of maps) {
    for (const [type, listener] of Object.entries({
      pointermove: (event) => { point(map, event); show(map); },
      pointerleave: leave,
      focus: () => { if (map.box.matches(":focus-visible")) show(map); },
      blur: leave,
      click: (event) => { point(map, event); pinOrLetGo(map); },
      keydown: (event) => {
        const [row, column] = map.at;
        const to = {
          ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1],
          ArrowRight: [row, column + 1], Home: [row, 0], End: [row, map.size[1] - 1],
        }[event.key];
        if (event.key === "Enter" || event.key === " ") pinOrLetGo(map);
        else if (!to) return;
        event.preventDefault();
        if (!to) return;
        map.at = to.map((place, i) => Math.min(Math.max(place, 0), map.size[i] - 1));
        show(map);
      },
    })) map.box.addEventListener(type, listener, { signal });
  }
  root.addEventListener("keydown", (event) => { // JupyterLab takes the arrow keys and Enter
    if (event.key !== "Escape" && event.target.matches("select, .be-heat")) event.stopPropagation();
  }, { signal });

  /** What is pinned, as "pair.1.3": of which pictures, its row and column. */
  const cell = {
    parse(text) {
      const [group, ...places] = text.split(".");
      oneOf(["cell", "pair", "place"]).parse(group);
      const [, S, H] = data.terms.shape;
      const P = data.positions.shape[2];
      const [row, column] = { cell: [S, H], pair: [S, S], place: [P, P] }[group]
        .map((size, i) => numberFrom(0, size - 1).parse(places[i]));
      return { group, row, column };
    },
    format: ({ group, row, column }) => `${group}.${row}.${column}`,
    isPlace: true, read: () => pinned, set: pin,
  };
  const state = {
    ...ofSettings(view, {
      ...Object.fromEntries([...SWITCHES, "centred"].map((name) => [name, onOff])),
      head: numberFrom(0, () => data.attention.shape[1]),
      dimensions: {
        parse: (text) => oneOf([...dimensions.box.options].map(({ value }) => value.replace(" ", "-"))).parse(text).split("-").map(Number),
        format: (ends) => ends.join("-"),
      },
    }),
    cell,
  };
  return { receive, paint, state, release: () => pin(null) };
}
