import {
  PALETTE, chip, clean, contextOf, defineWidget, diverging, element, heading, inkOn, legend, placeByKey,
  numberFrom, ofSettings, onOff, oneOf, percent, placeIn, plain, plural, productBars, roving, sequential, stage,
  textField, textFields, unpack, withSign,
} from "./shared.js";

const KEPT_HEADS = 24; // exact heads that came on demand and are not thrown away
const LONGEST_LINES = 128; // tokens; more lines than that cannot be told apart
const MOST = 36; // px of a token's row or column in the large map
const TALLEST = 500; // px of the large map: a screen that has its tokens, too
const LEAST = 11; // px a token needs for its name
const MANY = 64; // tokens; of more than that only the chips in sight are shaded
const [NAMES, NAMES_MOST] = [92, 190]; // px for the names beside the large map
const FONT = '12px "DejaVu Sans Mono", Menlo, Consolas, monospace';
const HINT = "Hover shows, a click pins, Escape lets go; the arrow keys move between heads and tokens.";
const NOTHING = { token: null, target: null }; // is pinned
const [, CLS, SEP] = [0, 1, 2];
export const NUMBERS = ["entropy", "to [CLS]", "to [SEP]", "to itself", "to next", "to previous"];

// ---- numbers ------------------------------------------------------------------------------------

/** Positions that are shown: all, or those that are neither [CLS] nor [SEP]. */
export function keptPositions({ kinds }, special) {
  const all = kinds.map((_, i) => i);
  const words = all.filter((i) => kinds[i] !== CLS && kinds[i] !== SEP);
  return special || !words.length ? all : words;
}

/** One row of a head: the model's own, or what is left of it at the kept positions made to sum to 1. */
export function rowOf({ values, size, scale }, i, kept, renormalise) {
  const row = Float32Array.from(values.subarray(i * size, (i + 1) * size), (value) => value * scale);
  if (!renormalise) return row;
  const left = new Float32Array(size);
  const sum = kept.reduce((total, j) => total + row[j], 0);
  if (sum > 0) for (const j of kept) left[j] = row[j] / sum;
  return left;
}

/** A row's NUMBERS, as `row_numbers` in attention_explorer.py. */
export function rowNumbers(row, i, { kinds }) {
  let [entropy, cls, sep] = [0, 0, 0];
  row.forEach((p, j) => {
    if (p > 0) entropy -= p * Math.log(p);
    if (kinds[j] === CLS) cls += p;
    else if (kinds[j] === SEP) sep += p;
  });
  return [entropy, cls, sep, row[i], row[i + 1] ?? NaN, i > 0 ? row[i - 1] : NaN];
}

/** The NUMBERS averaged over rows, those without a next or a previous left out there. */
export function averages(head, text, kept, renormalise) {
  const rows = kept.map((i) => rowNumbers(rowOf(head, i, kept, renormalise), i, text));
  return NUMBERS.map((_, n) => {
    const known = rows.map((row) => row[n]).filter((value) => !Number.isNaN(value));
    return known.reduce((sum, value) => sum + value, 0) / known.length;
  });
}

/** What each component adds to the score of a pair: q_c k_c / sqrt(D). */
export function products({ query, key, width }, i, j) {
  return Array.from({ length: width }, (_, c) =>
    (query[i * width + c] * key[j * width + c]) / Math.sqrt(width));
}

/** Where a token of one text stands in another: the same piece, the same occurrence. */
export function counterpart(position, tokens, others) {
  const nth = tokens.slice(0, position).filter((token) => token === tokens[position]).length;
  const places = others.flatMap((token, i) => (token === tokens[position] ? [i] : []));
  return places[nth] ?? null;
}

/** The tokens that get most of a row, the largest first. */
export function largest(row, kept, count = 4) {
  return [...kept].sort((a, b) => row[b] - row[a]).slice(0, count);
}

const about = ({ exact }, share) => (exact ? percent(share) : `≈ ${(100 * share).toFixed(0)} %`);
export const nameOf = ({ layer, head }) => `layer ${layer} · head ${head}`;

// ---- pictures -----------------------------------------------------------------------------------

const STEPS = 255;
const word = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r; // as ImageData lies in memory
const SHADES = Uint32Array.from({ length: STEPS + 1 }, (_, i) => word(sequential(i / STEPS)));
const SIGNED = Uint32Array.from({ length: STEPS + 1 }, (_, i) => word(diverging(2 * (i / STEPS) - 1, 1)));

/** A square picture, one dot a value, from levels 0 to 255. */
function bitmap(size, levelAt, shades) {
  const canvas = element("canvas", { width: size, height: size });
  const context = canvas.getContext?.("2d");
  if (!context) return null;
  const image = context.createImageData(size, size);
  const dots = new Uint32Array(image.data.buffer);
  for (let i = 0, at = 0; i < size; i++) {
    for (let j = 0; j < size; j++, at++) dots[at] = shades[Math.max(0, Math.min(STEPS, Math.round(levelAt(i, j))))];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A text cut short to the room there is. */
function shorten(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let short = text;
  while (short.length > 1 && context.measureText(`${short}…`).width > room) short = short.slice(0, -1);
  return `${short}…`;
}

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  kind: "AttentionExplorer", name: "be-attention-explorer", label: "Attention explorer", picture: "attention", hint: HINT, build,
  fixed: "the texts are",
  fields: () => [...textFields(), textField("other", "Compare with", "another text", {
    placeholder: "optional: shown beside", optional: true,
  })],
  pins: { token: countOfTokens, target: countOfTokens },
});

function countOfTokens({ texts }) {
  return texts[0].tokens.length;
}

function build(view) {
  const { model, root, signal, data, settings, change, tip, live, button, check, soon } = view;
  const views = ["matrix", "lines"].map((name) => ({ name, node: button(name, () => change({ view: name })) }));
  const special = check("[CLS] and [SEP]", (on) => change({ special: on, renormalise: on ? false : settings.renormalise }));
  const renormalise = check("renormalise rows", (on) => change({ renormalise: on }));
  const beside = button("", () => change({
    beside: settings.beside ? null : [settings.layer, settings.head], difference: false,
  }));
  const difference = check("difference", (on) => change({ difference: on }));

  const overview = element("div", { class: "be-heads", role: "group", "aria-label": "All heads" });
  const overviewNote = element("p", { class: "be-key" });
  const numbers = element("table", { class: "be-numbers" });
  const wide = element("div", { // may scroll sideways: then the arrow keys must reach it
    class: "be-wide", role: "group", tabindex: 0, "aria-label": "The head's numbers",
  }, numbers);
  const truth = element("p", { class: "be-truth" });
  const maps = element("div", { class: "be-maps" });
  const asks = element("div", { class: "be-chips be-scroll", dir: "auto", role: "toolbar", "aria-label": "Tokens that ask" });
  const answers = element("div");
  const product = element("div", { class: "be-stage be-product" });
  const title = element("h4", {});
  const body = element("div", { class: "be-explored" },
    element("div", { class: "be-left" },
      stage("All heads", "click one; the arrow keys move", overview, overviewNote),
      element("div", {}, stage("Which token asks?", "its query is compared with every key", asks), answers)),
    element("div", { class: "be-stage be-right" },
      element("div", { class: "be-actions" },
        element("span", { class: "be-views", role: "group", "aria-label": "View" }, views.map(({ node }) => node)),
        special.label, renormalise.label, beside, difference.label),
      maps));
  root.append(
    view.inputs("be-inputs-texts"), view.status, body,
    element("div", { class: "be-explored" }, element("div", { class: "be-stage be-about" }, title, wide, truth), product),
    view.foot(),
  );

  let version; // of the answer that is shown
  let exact = new Map(); // "text,layer,head" -> what Python sent of it
  let hover = {}; // token and target under the pointer
  let shown = []; // what each large map shows
  let updateAsks;

  const layers = () => data.averages0.shape[0];
  const heads = () => data.averages0.shape[1];
  const place = (layer, head) => (layer - 1) * heads() + head - 1;
  const kept = (text) => keptPositions(data.texts[text], settings.special);
  const coarse = (text) => data[`maps${text}`].shape[2] < data.texts[text].tokens.length;

  /** A head of a text: as exact as it is here, or null when there is only a coarse map of it. */
  function headOf({ text, layer, head }) {
    const found = exact.get(`${text},${layer},${head}`);
    if (found) return found;
    if (coarse(text)) return null;
    const size = data.texts[text].tokens.length;
    const start = place(layer, head) * size * size;
    return { size, scale: 1 / 255, exact: false, values: data[`maps${text}`].values.subarray(start, start + size * size) };
  }

  /** What is shown: the chosen head, and beside it another head, or the same on another text. */
  function panels() {
    const { layer, head } = settings;
    const first = { text: 0, layer, head };
    if (settings.beside) return [first, { text: 0, layer: settings.beside[0], head: settings.beside[1] }];
    return data.texts.length > 1 ? [first, { text: 1, layer, head }] : [first];
  }

  // ---- what Python sends ----

  function receive() {
    if (version !== data.version) exact = new Map();
    version = data.version;
    hover = {};
    absorb();
    drawTexts();
    return data.texts[0].kinds.every((kind) => kind === CLS || kind === SEP) ? "No word yet: type one." : "";
  }

  /** Keeps the exact numbers that have come. */
  function absorb() {
    const bytes = model.get("heads");
    if (!bytes?.byteLength) return;
    const block = unpack(bytes);
    if (block.version !== data.version) return;
    block.which.forEach((places, text) => {
      const size = data.texts[text].tokens.length;
      const width = block[`query${text}`].shape[2];
      const part = (name, n, length) => block[`${name}${text}`].values.subarray(n * length, (n + 1) * length);
      places.forEach(([layer, head], n) => {
        const key = `${text},${layer + 1},${head + 1}`;
        exact.delete(key); // the newest last
        exact.set(key, {
          size, width, scale: 1, exact: true, values: part("probs", n, size * size),
          query: part("query", n, size * width), key: part("key", n, size * width),
        });
      });
    });
    const most = Math.max(KEPT_HEADS, block.which.flat().length);
    for (const key of exact.keys()) {
      if (exact.size <= most) break;
      exact.delete(key);
    }
  }

  // ---- what changes with the text only ----

  function drawTexts() {
    view.renew();
    const canvas = element("canvas", { class: "be-mosaic", "aria-hidden": "true" });
    const cells = [];
    const put = (row, column) => `grid-area:${row} / ${column}`;
    for (let head = 1; head <= heads(); head++) {
      cells.push(element("span", { class: "be-small", style: put(1, head + 1) }, String(head)));
    }
    for (let layer = 1; layer <= layers(); layer++) {
      cells.push(element("span", { class: "be-small be-layer", style: put(layer + 1, 1) }, `layer ${layer}`));
      for (let head = 1; head <= heads(); head++) {
        cells.push(element("button", {
          type: "button", class: "be-head", style: put(layer + 1, head + 1),
          "data-layer": layer, "data-head": head,
          "aria-label": `${nameOf({ layer, head })}: ${describeNumbers(averagesOf({ text: 0, layer, head }))}`,
        }));
      }
    }
    canvas.style.gridArea = `2 / 2 / ${layers() + 2} / ${heads() + 2}`;
    overview.style.gridTemplateColumns = `3.6rem repeat(${heads()}, minmax(20px, ${Math.min(42, Math.max(25, 246 / layers()))}px))`;
    overview.replaceChildren(canvas, ...cells);
    drawOverview(canvas);
    const text = data.texts[0];
    const all = plural(text.tokens.length, "token");
    overviewNote.replaceChildren(
      legend(PALETTE.sequential, "0 %", `${(100 * data.darkest).toFixed(0)} % or more`),
      ` of one row; ${all}${coarse(0) ? `, drawn as ${data.maps0.shape[2]} × ${data.maps0.shape[2]} dots, each the largest of its block` : ""}`);
    asks.replaceChildren(...tokenChips(0, (i) => ({ "data-token": i, "aria-pressed": "false" })));
    updateAsks = roving(asks, view.painting);
    shown = [];
  }

  function tokenChips(text, attributes) {
    const { tokens, ids, types, kinds } = data.texts[text];
    return tokens.map((token, i) => chip(
      { token, id: ids[i], segment: types[i], special: kinds[i] > 0 }, attributes(i)));
  }

  function drawOverview(canvas) {
    const side = data.maps0.shape[2];
    const cell = 72;
    Object.assign(canvas, { width: heads() * cell, height: layers() * cell });
    const context = canvas.getContext?.("2d");
    if (!context) return;
    const { values } = data.maps0;
    context.imageSmoothingEnabled = side > cell - 8;
    context.strokeStyle = PALETTE.light.outline;
    for (let n = 0; n < layers() * heads(); n++) {
      const start = n * side * side;
      const small = bitmap(side, (i, j) => values[start + i * side + j] / data.darkest, SHADES);
      const [x, y] = [(n % heads()) * cell + 4, Math.floor(n / heads()) * cell + 4];
      context.drawImage(small, x, y, cell - 8, cell - 8);
      context.strokeRect(x, y, cell - 8, cell - 8);
    }
  }

  // ---- what changes with a choice ----

  function averagesOf({ text, layer, head }) {
    const start = place(layer, head) * NUMBERS.length;
    return [...data[`averages${text}`].values.subarray(start, start + NUMBERS.length)];
  }

  const describeNumbers = ([entropy, ...shares]) =>
    `entropy ${entropy.toFixed(2)} nats, ${shares.map((share, i) => `${NUMBERS[i + 1]} ${number(share)}`).join(", ")}`;
  const number = (share, head = { exact: true }) => (Number.isNaN(share) ? "–" : about(head, share));
  const pieceAt = (i, text = 0) => clean(data.texts[text].tokens[i]);

  function paint() {
    const two = panels();
    const [first, second] = two;
    const focused = answers.contains(document.activeElement) ? document.activeElement.dataset : null;
    for (const node of overview.querySelectorAll("button")) {
      const [layer, head] = [Number(node.dataset.layer), Number(node.dataset.head)];
      const chosen = layer === first.layer && head === first.head;
      node.setAttribute("aria-pressed", chosen);
      node.tabIndex = chosen ? 0 : -1;
      node.classList.toggle("be-beside", Boolean(settings.beside) && second.layer === layer && second.head === head);
    }
    const length = data.texts[0].tokens.length;
    for (const { name, node } of views) {
      node.setAttribute("aria-pressed", name === viewShown());
      node.disabled = name === "lines" && length > LONGEST_LINES;
      node.title = node.disabled ? `lines are for up to ${LONGEST_LINES} tokens; this text has ${length}` : "";
    }
    special.box.checked = settings.special;
    renormalise.box.checked = settings.renormalise;
    renormalise.box.disabled = settings.special;
    renormalise.label.classList.toggle("be-off", settings.special);
    renormalise.label.title = settings.special ? "first leave out [CLS] and [SEP]" : "";
    beside.textContent = settings.beside ? `Let go of ${nameOf(second)}` : "Keep this head beside";
    const comparable = Boolean(second) && kept(second.text).length === kept(0).length;
    difference.label.hidden = !second;
    difference.box.disabled = !comparable;
    difference.box.checked = settings.difference && comparable;
    difference.label.title = comparable ? "" : "the two texts differ in length";
    body.classList.toggle("be-two", Boolean(second));
    title.textContent = `What ${nameOf(first)} does`;
    truth.textContent = describeTruth();

    shown = two.map(prepare);
    const highest = Math.max(...shown.map((each) => each.highest));
    for (const each of shown) Object.assign(each, { highest });
    if (difference.box.checked && shown.every(({ head }) => head)) shown[1] = { ...shown[1], ...differences() };
    for (const each of shown) each.image = imageOf(each);
    maps.replaceChildren(...shown.map(figure));
    answers.replaceChildren(...shown.map(answerStage));
    [...asks.children].forEach((node, i) => { node.hidden = !shown[0].kept.includes(i); });
    updateAsks();
    for (const { row } of shown) if (row.children.length) roving(row, view.painting);
    const again = focused && answers.querySelector(`[data-panel="${focused.panel}"][data-target="${focused.target}"]`);
    again?.focus();
    point();
  }

  const viewShown = () => (data.texts[0].tokens.length > LONGEST_LINES ? "matrix" : settings.view);

  function describeTruth() {
    if (settings.special) return "Shown: the model's own probabilities; each row sums to 100 %.";
    if (settings.renormalise) {
      return "Shown: renormalised. What [CLS] and [SEP] leave of each row is made to sum to 100 %; the model does not compute with these numbers.";
    }
    return "Shown: the model's own probabilities with [CLS] and [SEP] out of sight; rows sum to less than 100 %.";
  }

  function prepare(panel) {
    const head = headOf(panel);
    const positions = kept(panel.text);
    const row = element("div", { class: "be-chips be-scroll", dir: "auto", role: "toolbar", "aria-label": `Tokens that answer, ${nameOf(panel)}` });
    const longest = Math.max(...positions.map((i) => pieceAt(i, panel.text).length));
    const names = Math.max(NAMES, Math.min(NAMES_MOST, 7.4 * longest + 24));
    if (!head) return { panel, names, head, kept: positions, rows: [], row, highest: data.darkest };
    let highest = 0;
    const rows = [];
    for (const i of positions) {
      rows[i] = rowOf(head, i, positions, settings.renormalise);
      for (const j of positions) if (rows[i][j] > highest) highest = rows[i][j];
    }
    const own = averagesOf(panel);
    const means = settings.special ? own : averages(head, data.texts[panel.text], positions, settings.renormalise);
    return { panel, names, head, kept: positions, rows, row, highest: highest || 1, means };
  }

  /** The first map minus the second, in percentage points. */
  function differences() {
    const [one, other] = shown;
    let extreme = 0;
    const gaps = one.kept.map((i, a) => one.kept.map((j, b) => {
      const gap = one.rows[i][j] - other.rows[other.kept[a]][other.kept[b]];
      extreme = Math.max(extreme, Math.abs(gap));
      return gap;
    }));
    return { gaps, extreme: extreme || 1 };
  }

  function imageOf({ panel, head, kept: positions, rows, highest, gaps, extreme }) {
    if (gaps) return bitmap(positions.length, (a, b) => (STEPS * (gaps[a][b] / extreme + 1)) / 2, SIGNED);
    if (head) return bitmap(positions.length, (a, b) => (STEPS * rows[positions[a]][positions[b]]) / highest, SHADES);
    const { values, shape } = data[`maps${panel.text}`];
    const start = place(panel.layer, panel.head) * shape[2] ** 2;
    return bitmap(shape[2], (a, b) => values[start + a * shape[2] + b] / highest, SHADES);
  }

  function figure(each, n) {
    const { panel, gaps, extreme, highest } = each;
    each.canvas = element("canvas", { role: "img", class: "be-map", "data-panel": n });
    const whose = data.texts.length > 1 && !settings.beside ? `${nameOf(panel)} on the ${n ? "other" : "first"} text` : nameOf(panel);
    const name = gaps ? `${nameOf(shown[0].panel)} − ${whose}` : whose;
    each.canvas.setAttribute("aria-label", `${name}: the same numbers stand beneath the tokens`);
    return element("figure", { class: "be-figure" },
      element("figcaption", {}, element("b", {}, name), " ", gaps
        ? legend(PALETTE.diverging, `−${(100 * extreme).toFixed(0)}`, `+${(100 * extreme).toFixed(0)} percentage points`)
        : viewShown() === "lines" && each.head
          ? element("span", { class: "be-note" }, `the thicker and stronger a line, the more, up to ${percent(highest)}`)
          : legend(PALETTE.sequential, "0 %", percent(highest))),
      element("div", { class: "be-scroll-map" }, each.canvas),
      gaps && element("p", { class: "be-key" }, "Red: the first looks there more; blue: the second."));
  }

  function answerStage(each, n) {
    each.heading = element("h4", { "aria-live": "off" });
    if (!each.head) {
      return element("div", { class: "be-stage" }, each.heading, element("p", { class: "be-status" }, live
        ? `The numbers of ${nameOf(each.panel)} are on their way.`
        : `This page holds only a coarse map of ${nameOf(each.panel)}: with Python, AttentionExplorer(…, complete=True) stores all.`));
    }
    each.row.append(...tokenChips(each.panel.text, (j) => ({ "data-target": j, "data-panel": n })));
    each.chips = [...each.row.children];
    each.row.addEventListener("scroll", () => each.shade?.(), { signal: view.painting, passive: true });
    each.chips.forEach((node, j) => {
      node.hidden = !each.kept.includes(j);
      node.lastChild.textContent = "\u00a0";
    });
    return element("div", { class: "be-stage" }, each.heading, each.row);
  }

  // ---- what changes under the pointer ----

  const at = () => ({ token: hover.token ?? settings.token, target: hover.target ?? settings.target });
  const other = (position, { panel }) => (position == null || panel.text === 0
    ? position : counterpart(position, data.texts[0].tokens, data.texts[1].tokens));

  function point() {
    const { token, target } = at();
    for (const node of asks.querySelectorAll('.be-lit, [aria-pressed="true"]')) {
      node.classList.remove("be-lit");
      node.setAttribute("aria-pressed", "false");
    }
    asks.children[token]?.classList.add("be-lit");
    asks.children[settings.token]?.setAttribute("aria-pressed", "true");
    for (const each of shown) answer(each, other(token, each), other(target, each));
    tabulate(token);
    multiply(token, target);
    view.say(settings.token === null ? null : `Pinned: ${describe(settings.token, settings.target)}`);
    draw();
  }

  /** Shades the answering tokens by what the asking one gives them, or all of them on average. */
  function answer(each, token, target) {
    const { panel, head, chips } = each;
    const where = `${nameOf(panel)}${panel.text ? " on the other text" : ""}`;
    if (!head) {
      each.heading.textContent = where;
      return;
    }
    if (token === null && at().token !== null) {
      each.heading.replaceChildren(where, element("span", { class: "be-note" },
        `“${pieceAt(at().token)}” is not in this text`));
    }
    const missing = token === null && at().token !== null;
    const row = missing ? null : token === null ? meanRow(each) : each.rows[token];
    each.shade = () => visibleOf(each).forEach((j) => {
      const [node, piece] = [chips[j], chips[j].firstChild];
      const color = row && sequential(row[j], each.highest);
      const [fill, ink] = color ? [`rgb(${color})`, inkOn(color)] : ["", ""];
      if (piece.style.backgroundColor !== fill) Object.assign(piece.style, { backgroundColor: fill, color: ink });
      const text = row ? about(head, row[j]) : "\u00a0";
      if (node.lastChild.textContent !== text) node.lastChild.textContent = text;
      node.classList.toggle("be-target", j === target);
      node.setAttribute("aria-pressed", panel.text === 0 && j === settings.target);
    });
    each.shade();
    if (missing) return;
    const best = largest(row, each.kept).map((j) => `${pieceAt(j, panel.text)} ${about(head, row[j])}`).join(", ");
    each.heading.replaceChildren(
      token === null ? `Who answers in ${where}, on average?` : `Who answers “${pieceAt(token, panel.text)}” in ${where}?`,
      element("span", { class: "be-note" }, `most: ${best}`));
  }

  /** The chips in sight, and a few more: shading 512 for every move of the pointer would be slow. */
  function visibleOf({ row, chips, kept: positions }) {
    if (positions.length <= MANY) return positions;
    const { scrollTop, clientHeight } = row;
    return positions.filter((j) => {
      const y = chips[j].offsetTop - scrollTop;
      return y > -80 && y < clientHeight + 40;
    });
  }

  function meanRow(each) {
    each.mean ??= each.kept.reduce((sum, i) => {
      each.rows[i].forEach((p, j) => { sum[j] += p / each.kept.length; });
      return sum;
    }, new Float32Array(each.head.size));
    return each.mean;
  }

  function tabulate(token) {
    const lines = [];
    for (const each of shown) {
      const { panel, head, means, rows } = each;
      const text = panel.text ? "other text" : "first text";
      const whose = shown.length > 1 ? `${settings.beside ? nameOf(panel) : text}: ` : "";
      const counted = settings.special ? undefined : head; // Python's own averages are exact
      lines.push([`${whose}average of ${plural(each.kept.length, "row")}`, means ?? averagesOf(panel), counted]);
      const position = other(token, each);
      if (head && position !== null && rows[position]) {
        lines.push([`${whose}“${pieceAt(position, panel.text)}” asks`, rowNumbers(rows[position], position, data.texts[panel.text]), head]);
      } else lines.push([`${whose}one token`, NUMBERS.map(() => NaN), head]); // nothing may jump under the pointer
    }
    numbers.replaceChildren(
      element("thead", {}, element("tr", {}, element("td"), NUMBERS.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, lines.map(([name, [entropy, ...shares], head]) => element("tr", {},
        element("th", { scope: "row" }, name),
        element("td", {}, `${head?.exact === false ? "≈ " : ""}${entropy.toFixed(2)} nats`.replace(/.*NaN nats/, "–")),
        shares.map((share) => element("td", {}, number(share, head)))))),
      element("caption", {}, `Looking everywhere alike would be ${Math.log(shown[0].kept.length).toFixed(2)} nats. Shares overlap where [CLS] or [SEP] is itself, the next or the previous.`),
    );
  }

  function describe(token, target) {
    const [{ head, rows, kept: positions, panel }] = shown;
    const who = `${nameOf(panel)}, “${pieceAt(token)}” (position ${token}) asks`;
    if (!head || !rows[token]) return who;
    const row = rows[token];
    if (target !== null) return `${who} “${pieceAt(target)}” (position ${target}): ${about(head, row[target])}${describeScore(head, token, target)}`;
    const best = largest(row, positions, 3).map((j) => `${pieceAt(j)} ${about(head, row[j])}`).join(", ");
    return `${who}: ${best}; entropy ${rowNumbers(row, token, data.texts[0])[0].toFixed(2)} nats`;
  }

  const describeScore = (head, i, j) => (head.query
    ? `, score ${plain(products(head, i, j).reduce((sum, value) => sum + value, 0))}` : "");

  /** Query times key, component by component: why the score is what it is. */
  function multiply(token, target) {
    const [{ head, panel }] = shown;
    const title = "Why that much? Query times key, component by component";
    if (token === null || target === null) {
      product.replaceChildren(heading(title, "choose a token that asks and one that answers"),
        element("p", { class: "be-key" },
          "The asking token has a query and the answering one a key, of D numbers each. They are multiplied number by number, divided by √D and added up: the score. Softmax makes a row of scores into shares."));
      return;
    }
    const names = `“${pieceAt(token)}” asks “${pieceAt(target)}”`;
    if (!head?.query) {
      product.replaceChildren(heading(title, names), element("p", { class: "be-status" }, live
        ? "Queries and keys are on their way."
        : `This page does not hold the queries and keys of ${nameOf(panel)}: with Python, AttentionExplorer(…, complete=True) stores all.`));
      return;
    }
    const parts = products(head, token, target);
    const extreme = Math.max(...parts.map(Math.abs), 1e-9);
    const score = parts.reduce((sum, value) => sum + value, 0);
    const share = head.values[token * head.size + target];
    const { width } = head;
    product.replaceChildren(heading(title, `${names} in ${nameOf(panel)}`),
      productBars(parts.map((value, c) => {
        const [q, k] = [head.query[token * width + c], head.key[target * width + c]];
        return [value, `component ${c + 1}: query ${plain(q)} × key ${plain(k)} / √${width} = ${withSign(value)}`];
      }), extreme, `${width} products, the largest ${withSign(extreme * Math.sign(parts.find((value) => Math.abs(value) === extreme) ?? 1))}; their sum is ${plain(score)}`),
      element("p", { class: "be-key" }, legend(PALETTE.diverging, withSign(-extreme), `${withSign(extreme)} (no unit)`),
        " up: adds to the score, down: takes away"),
      element("p", { class: "be-verdict" },
        `The ${width} products q·k/√${width} add up to the score `, element("b", {}, plain(score)),
        `. Softmax over the ${head.size} scores of this row gives `, element("b", {}, percent(share)),
        settings.renormalise ? ", the model's own; renormalised above." : "."));
  }

  // ---- the large maps ----

  function draw() {
    const { ink, dim, ring } = PALETTE[root.dataset.theme];
    const look = { ink, dim, ring, font: FONT };
    const room = Math.max(260, (maps.clientWidth || 600) / Math.max(1, columns()) - 4);
    for (const each of shown) {
      if (viewShown() === "lines" && each.head && !each.gaps) drawLines(each, look, Math.min(room, 620));
      else drawMatrix(each, look, Math.min(room, TALLEST));
    }
  }

  const columns = () => (shown.length > 1 && maps.clientWidth >= 680 ? 2 : 1);

  function drawMatrix(each, look, room) {
    const { canvas, names, kept: positions, panel } = each;
    const count = positions.length;
    const cell = Math.min(MOST, (room - names - 4) / count);
    const side = cell * count;
    Object.assign(each, { cell, lines: false });
    const context = contextOf(canvas, Math.ceil(names + side + 4), Math.ceil(names + side + 4));
    if (!context) return;
    const { token, target } = at();
    const [row, column] = [other(token, each), other(target, each)].map((p) => positions.indexOf(p));
    context.imageSmoothingEnabled = cell < 1;
    context.drawImage(each.image, names, names, side, side);
    context.strokeStyle = look.dim;
    context.strokeRect(names - 0.5, names - 0.5, side + 1, side + 1);
    context.font = look.font;
    context.textBaseline = "middle";
    const name = (n, sideways, lit) => {
      context.save();
      if (sideways) {
        context.translate(names + (n + 0.5) * cell, names - 5);
        context.rotate(-Math.PI / 2);
      } else context.translate(names - 5, names + (n + 0.5) * cell);
      context.textAlign = sideways ? "left" : "right";
      context.fillStyle = lit ? look.ink : look.dim;
      if (lit) context.font = `bold ${look.font}`;
      context.fillText(shorten(context, pieceAt(positions[n], panel.text), names - 22), 0, 0);
      context.restore();
    };
    const every = Math.ceil(LEAST / cell); // where not all names have room
    const named = (n, lit) => n === lit || (n % every === 0 && (lit < 0 || Math.abs(n - lit) >= every));
    for (let n = 0; n < count; n++) {
      if (named(n, row)) name(n, false, n === row);
      if (named(n, column)) name(n, true, n === column);
    }
    context.textAlign = "left";
    context.fillStyle = look.dim;
    context.fillText("asks ↓  answers →", 2, 8);
    context.strokeStyle = look.ring;
    context.lineWidth = 2;
    if (row >= 0) context.strokeRect(names - 1, names + row * cell - 1, side + 2, Math.max(3, cell + 2));
    if (row >= 0 && column >= 0) {
      context.lineWidth = 3;
      context.strokeRect(names + column * cell - 1, names + row * cell - 1, Math.max(4, cell + 2), Math.max(4, cell + 2));
    }
  }

  function drawLines(each, look, room) {
    const { canvas, kept: positions, rows, highest, panel } = each;
    const cell = Math.max(18, Math.min(MOST, 420 / positions.length));
    const side = cell * positions.length;
    const [left, right] = [NAMES + 40, room - NAMES - 40];
    Object.assign(each, { cell, lines: true, middle: room / 2 });
    const context = contextOf(canvas, Math.floor(room), Math.ceil(side + 24));
    if (!context) return;
    const { token, target } = at();
    const [row, column] = [other(token, each), other(target, each)];
    const y = (n) => 24 + (n + 0.5) * cell;
    context.font = look.font;
    context.textBaseline = "middle";
    context.fillStyle = look.dim;
    context.textAlign = "right";
    context.fillText("asks", left - 8, 9);
    context.textAlign = "left";
    context.fillText("answers", right + 8, 9);
    context.strokeStyle = look.ring;
    positions.forEach((i, a) => {
      if (row !== null && i !== row) return;
      positions.forEach((j, b) => {
        const strength = rows[i][j] / highest;
        if (strength < 0.02) return;
        context.globalAlpha = Math.min(1, 0.08 + strength * 0.92);
        context.lineWidth = Math.max(0.6, 6 * strength);
        context.beginPath();
        context.moveTo(left, y(a));
        context.bezierCurveTo((left + right) / 2, y(a), (left + right) / 2, y(b), right, y(b));
        context.stroke();
      });
    });
    context.globalAlpha = 1;
    positions.forEach((i, n) => {
      const piece = shorten(context, pieceAt(i, panel.text), NAMES + 20);
      for (const [x, align, lit] of [[left - 8, "right", i === row], [right + 8, "left", i === column]]) {
        context.textAlign = align;
        context.font = lit ? `bold ${look.font}` : look.font;
        context.fillStyle = look.ink;
        context.fillText(piece, x, y(n));
      }
    });
  }

  /** The positions under the pointer in a large map. */
  function under({ target, offsetX, offsetY }) {
    const each = shown[Number(target.dataset.panel)];
    if (!each?.cell) return null;
    const place = (value, start) => each.kept[Math.floor((value - start) / each.cell)] ?? null;
    if (each.lines) {
      const position = place(offsetY, 24);
      if (position === null) return null;
      return { each, ...(offsetX < each.middle ? { token: position } : { target: position }) };
    }
    const [token, answering] = [place(offsetY, each.names), place(offsetX, each.names)];
    if (token === null) return null;
    return { each, token, ...(answering !== null && { target: answering }) };
  }

  // ---- hover shows, click pins, Escape lets go ----

  /** What a chip, a head or a place in a map stands for. */
  function thingAt(event) {
    const node = event.target.closest?.("[data-token], [data-target], [data-layer], canvas.be-map, [data-told]");
    if (!node) return undefined;
    if (node.matches("canvas")) {
      const found = under(event);
      if (!found || found.each.panel.text !== 0) return undefined; // positions are the first text's
      return { node, token: found.token, target: found.target, each: found.each };
    }
    const { token, target, panel, layer, head, told: text } = node.dataset;
    if (text) return { node, text };
    if (layer) return { node, layer: Number(layer), head: Number(head) };
    if (token) return { node, token: Number(token) };
    return shown[Number(panel)].panel.text === 0 ? { node, target: Number(target) } : undefined;
  }

  function show(thing) {
    if (thing.text) return tip.show(thing.node, thing.text);
    if (thing.layer) return tip.show(thing.node, thing.node.getAttribute("aria-label"));
    const before = hover;
    hover = { token: thing.token, target: thing.target };
    if (before.token === hover.token && before.target === hover.target) return;
    tip.hide();
    soon(point);
  }

  function hide() {
    if (hover.token === undefined && hover.target === undefined) return;
    hover = {};
    soon(point);
  }

  function choose({ node, layer, head, token, target }) {
    if (layer) {
      node.focus();
      return change({ layer, head });
    }
    if (token !== undefined && target !== undefined) {
      const again = token === settings.token && target === settings.target;
      return pin(again ? NOTHING : { token, target });
    }
    if (token !== undefined) return pin(token === settings.token ? NOTHING : { token });
    if (target !== undefined) pin({ target: target === settings.target ? null : target });
  }

  function pin(places) {
    hover = {};
    view.set(places);
    point();
  }

  overview.addEventListener("keydown", (event) => {
    const { layer, head } = event.target.dataset;
    if (!layer) return;
    const sideways = placeByKey(event.key, Number(head) - 1, heads());
    const down = { ArrowUp: "ArrowLeft", ArrowDown: "ArrowRight" }[event.key];
    const up = down && placeByKey(down, Number(layer) - 1, layers());
    if (sideways === undefined && up === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    change({ layer: (up ?? Number(layer) - 1) + 1, head: (sideways ?? Number(head) - 1) + 1 });
    overview.querySelector(`[data-layer="${settings.layer}"][data-head="${settings.head}"]`).focus();
  }, { signal });
  view.listen(root, { find: thingAt, show, hide, pin: choose, moves: true });
  view.whenResized(maps, draw);
  const arrive = () => {
    absorb();
    paint();
  };
  const token = placeIn(() => data.texts[0].tokens);
  const [aLayer, aHead] = [numberFrom(1, layers), numberFrom(1, heads)];
  const state = ofSettings(view, {
    layer: aLayer, head: aHead, token, target: token, view: oneOf(views.map(({ name }) => name)),
    beside: {
      parse: (text) => text.split(".").map((part, i) => [aLayer, aHead][Math.min(i, 1)].parse(part)),
      format: (place) => place.join("."),
    },
    special: onOff, renormalise: onOff, difference: onOff,
  });
  return {
    receive, paint, state, release: () => pin(NOTHING), recolor: draw, on: { "change:heads": arrive },
  };
}
