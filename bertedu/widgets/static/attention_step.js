import {
  PALETTE, chip, clean, defineWidget, diverging, element, legend, numberFrom, ofSettings, onOff, percent, placeIn,
  plain, plural, roving, sequential, stage, svgElement, textField, withSign,
} from "./shared.js";

const HINT = "Hover shows a token's numbers at every stage, a click pins them, Escape lets go.";
const STAGES = ["query, keys", "scores", "divide", "softmax", "weigh", "add up"];
const [SCORES, DIVIDE, SOFTMAX, WEIGH, ADD] = [2, 3, 4, 5, 6];
const PAUSE = 1800; // ms between two stages while it plays
const [COLDEST, HOTTEST] = [0.25, 4];
const MODEL = { temperature: 1, scaled: true };
const FEW = 12; // tokens: their rows are high
const STRIP = 16; // px: of a strip, and of all ribbons together
const FLOW = 44; // px beside the values, for the ribbons

// ---- the step, in double precision ----------------------------------------------------------------

/** Row i of a head's [S, D], of what is [L, A, S, D]. */
function rowOf({ values, shape: [, A, S, D] }, { layer, head }, i) {
  const start = (((layer - 1) * A + head - 1) * S + i) * D;
  return values.subarray(start, start + D);
}

const rowsOf = (data, name, settings) => data.tokens.map((_, i) => rowOf(data[name], settings, i));

/** Scores that are all -Infinity or more, as shares that sum to 1. */
export function softmax(scores) {
  const highest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** All that happens when one token asks: see `AttentionStep` in attention_step.py. */
export function step(data, settings) {
  const query = rowOf(data.query, settings, settings.token);
  const [keys, values] = ["key", "value"].map((name) => rowsOf(data, name, settings));
  const scores = keys.map((key) => key.reduce((sum, k, c) => sum + query[c] * k, 0));
  const divisor = settings.temperature * (settings.scaled ? Math.sqrt(query.length) : 1);
  const divided = scores.map((score) => score / divisor);
  const shares = softmax(divided);
  const weighted = values.map((value, i) => Array.from(value, (v) => shares[i] * v));
  const output = Array.from(query, (_, c) => weighted.reduce((sum, row) => sum + row[c], 0));
  return { query, keys, values, scores, divisor, divided, shares, weighted, output };
}

export const asModel = (data, settings) => step(data, { ...settings, ...MODEL });

const isModel = ({ temperature, scaled }) => temperature === 1 && scaled;

/** The largest difference between what is computed here and the model's own shares. */
export function rounding(data, settings, { shares } = asModel(data, settings)) {
  const model = rowOf(data.probs, settings, settings.token);
  return Math.max(...shares.map((share, i) => Math.abs(share - model[i])));
}

const placeOfLargest = (numbers) => numbers.indexOf(Math.max(...numbers));

// ---- in words; `now` and `model` are what is computed already ---------------------------------------

const quoted = (data, i) => `“${clean(data.tokens[i])}”`;
/** 1.5 -> "1.50", and what is nearly nothing without a sign. */
const two = (value) => plain(value).replace(/^−(0\.00)$/, "$1");
const times = (temperature) => String(+temperature.toFixed(2));

/** What the temperature and the division do to the largest share, in one sentence. */
export function describeChange(data, settings, now = step(data, settings), model = asModel(data, settings)) {
  const { query, shares } = now;
  if (isModel(settings)) return `This is the model: temperature 1, the scores divided by √${query.length}.`;
  const best = placeOfLargest(shares);
  const ways = [
    ...(settings.temperature === 1 ? [] : [`temperature ${times(settings.temperature)}`]),
    ...(settings.scaled ? [] : [`no division by √${query.length}`]),
  ].join(" and ");
  const [was, is] = [percent(model.shares[best]), percent(shares[best])];
  const change = was === is ? `stays at ${is}`
    : `${shares[best] < model.shares[best] ? "falls" : "rises"} from ${was} to ${is}`;
  return `${ways[0].toUpperCase()}${ways.slice(1)}: the largest share (${quoted(data, best)}) ${change}.`;
}

/** What happens at a stage, in one sentence. */
export function describeStage(data, settings, now = step(data, settings)) {
  const { query, scores, divided, divisor, shares } = now;
  const asks = quoted(data, settings.token);
  const best = placeOfLargest(scores);
  const most = quoted(data, best);
  const of = (numbers) => `${most} has the largest, ${two(numbers[best])}`;
  return [
    `${asks} asks with its query, ${query.length} numbers. Every token, also ${asks} itself, has a key.`,
    `The query times each key, number by number, added up, is the token's score: ${of(scores)}.`,
    divisor === 1 ? `Nothing is divided: ${of(divided)}.`
      : `Each score is divided by ${plain(divisor)}: ${of(divided)}.`,
    `Softmax, e to the power of each score, divided by their sum: ${most} gets ${percent(shares[best])}.`,
    `Each token's value is multiplied by its share: where the share is small, hardly any colour is left.`,
    `The weighted values are added up: what this head gives to ${asks}, ${query.length} numbers.`,
  ][settings.stage - 1];
}

/** One token's numbers at every stage. */
export function describe(data, settings, i, now = step(data, settings)) {
  const { scores, divided, shares } = now;
  return `${quoted(data, settings.token)} asks ${quoted(data, i)} (position ${i}): score ${two(scores[i])}, ` +
    `divided ${two(divided[i])}, share ${percent(shares[i])}`;
}

/** One cell of a strip. */
export function describeCell(data, settings, kind, i, c) {
  const { query, keys, values, shares, output } = step(data, settings);
  const number = `number ${c + 1}`;
  if (kind === "query") return `query of ${quoted(data, settings.token)}, ${number}: ${withSign(query[c])}`;
  if (kind === "output") return `output, ${number}: ${withSign(output[c], 3)}, the sum of ${plural(data.tokens.length, "weighted value")}`;
  if (kind === "key") {
    return `${quoted(data, i)}, ${number}: query ${withSign(query[c])} × key ${withSign(keys[i][c])} = ${withSign(query[c] * keys[i][c])}`;
  }
  if (settings.stage < WEIGH) return `value of ${quoted(data, i)}, ${number}: ${withSign(values[i][c], 3)}`;
  return `${quoted(data, i)}, ${number}: share ${percent(shares[i])} × value ${withSign(values[i][c], 3)} = ${withSign(shares[i] * values[i][c], 3)}`;
}

const STEPS = 1000;
/** The colours from one extreme to the other, as they lie in a picture's memory: a repaint asks for hundreds. */
const COLORS = Uint32Array.from({ length: 2 * STEPS + 1 }, (_, i) => {
  const [r, g, b] = diverging(i - STEPS, STEPS);
  return (255 << 24) | (b << 16) | (g << 8) | r;
});

// ---- the widget ---------------------------------------------------------------------------------

const places = ({ tokens }) => tokens.length;

export default defineWidget({
  kind: "AttentionStep", name: "be-attention-step", label: "Attention, step by step", picture: "attention_step", hint: HINT, build,
  fields: () => [textField("text", "Text", "one sentence")],
  pins: { token: places, target: places },
});

function build(view) {
  const { root, signal, data, settings, tip, button } = view;
  let hover = null; // { i, kind, c }: the row, the strip and the cell under the pointer
  let shown; // the stage that was painted last
  let timer = null; // of the next stage, while it plays

  // ---- the parts, made once ----

  const change = (some) => {
    stop();
    view.change(some);
  };
  const choice = (name, title) => {
    const box = element("select", { class: "be-select", on: { change: () => change({ [name]: Number(box.value) }) }, signal });
    return { box, label: element("label", {}, `${title} `, box) };
  };
  const [layer, head] = [choice("layer", "Layer"), choice("head", "Head")];
  const slider = element("input", {
    type: "range", min: COLDEST, max: HOTTEST, step: 0.05, class: "be-slider",
    on: { input: () => change({ temperature: slider.valueAsNumber }) }, signal,
  });
  const degrees = element("output", { class: "be-degrees" });
  const scaled = view.check("", (on) => change({ scaled: on }));
  const back = button("As the model", () => change(MODEL));
  const asks = element("div", { class: "be-chips", dir: "auto", role: "toolbar", "aria-label": "Tokens that ask" });
  const playing = button("", play, { class: "be-button be-play" });
  const stages = STAGES.map((name, n) => button(`${n + 1} ${name}`, () => change({ stage: n + 1 })));
  const said = element("p", { class: "be-verdict", role: "status" });
  const changed = element("p", { class: "be-verdict be-change", role: "status" });
  const note = element("p", { class: "be-key" });

  /** A column of the picture: what stands over it, a row for each token, and what stands under it. */
  const column = (name, title) => {
    const parts = { note: element("p", { class: "be-about" }) };
    for (const each of ["over", "rows", "under"]) parts[each] = element("div", { class: `be-${each}` });
    const { over, rows, under } = parts;
    parts.cut = element("div", { class: "be-cut", hidden: true });
    parts.node = element("div", { class: `be-column be-${name}`, role: "group", "aria-label": title },
      element("div", { class: "be-head" }, element("h5", {}, title), parts.note), over, rows, under, parts.cut);
    return parts;
  };
  const columns = {
    names: column("names", "Tokens"), keys: column("keys", "1 Query, keys"),
    scores: column("scores", "2 Scores, 3 divided"), shares: column("shares", "4 Softmax"),
    values: column("values", "5 Values"),
  };
  for (const [name, value] of [["role", "toolbar"], ["aria-label", "Tokens that answer"], ["aria-orientation", "vertical"]]) {
    columns.names.rows.setAttribute(name, value);
  }
  const flow = svgElement("svg", { class: "be-flow", width: FLOW, "aria-hidden": "true" });
  columns.values.node.append(flow);
  const picture = element("div", { class: "be-picture" }, Object.values(columns).map(({ node }) => node));
  const strip = (kind, i) => element("canvas", {
    class: "be-strip", role: "img", "data-kind": kind, "data-row": i, width: 1, height: 1,
  });
  const [queryStrip, outputStrip] = [strip("query"), strip("output")];
  const asking = element("bdi", {});
  columns.names.over.append(asking, "\u00a0asks");
  columns.keys.over.append(queryStrip);
  columns.values.under.append(outputStrip, element("h5", {}, "6 Output"), element("p", { class: "be-about" }, "the sum of the rows"));
  const sum = element("span", { class: "be-small" });
  columns.shares.under.append(sum);
  root.append(
    view.inputs("be-inputs-1"), view.status,
    element("div", { class: "be-set" }, layer.label, head.label,
      element("label", { class: "be-slide" }, "Temperature ", slider, " ", degrees), scaled.label, back),
    stage("Which token asks?", "its query meets every key", asks),
    element("div", { class: "be-stages", role: "group", "aria-label": "Stages" }, playing, stages),
    element("div", {}, said, changed), picture, note, view.foot());

  // ---- what changes with the text only ----

  let names = [];
  let rows = []; // for each token, what `paint` fills
  let [starts, end] = [[], 0]; // px: where the ribbons begin and end
  function receive() {
    stop();
    view.renew();
    hover = null;
    const { tokens, ids, types, special, query: { shape: [L, A, , D] } } = data;
    for (const [{ box }, count] of [[layer, L], [head, A]]) {
      box.replaceChildren(...Array.from({ length: count }, (_, n) => element("option", { value: n + 1 }, String(n + 1))));
    }
    scaled.label.lastChild.data = ` divide by √${D}`;
    asks.replaceChildren(...tokens.map((token, i) => chip(
      { token, id: ids[i], segment: types[i], special: special[i] }, { on: { click: () => change({ token: i }) }, signal: view.painting })));
    roving(asks, view.painting);
    names = tokens.map((token, i) => element("button", { type: "button", class: "be-name", "data-row": i }, element("bdi", {}, clean(token))));
    const row = (i, ...content) => element("div", { class: "be-row", "data-row": i },
      element("span", { class: "be-name be-again", "aria-hidden": "true" }, element("bdi", {}, clean(tokens[i]))), content);
    const span = (kind) => element("span", { class: `be-${kind}` });
    rows = tokens.map((_, i) => ({
      key: strip("key", i), value: strip("value", i), raw: span("raw"), fill: span("fill"), score: span("number"),
      divided: span("number be-divided"), share: span("share-fill"), model: span("model"), percent: span("number"),
    }));
    columns.names.rows.replaceChildren(...names.map((name, i) => element("div", { class: "be-row", "data-row": i }, name)));
    for (const [name, fill] of Object.entries({
      keys: ({ key }) => [key],
      scores: ({ raw, fill, score, divided }) => [element("span", { class: "be-track" }, raw, fill), score, divided],
      shares: ({ share, model, percent: text }) => [element("span", { class: "be-track" }, share, model), text],
      values: ({ value }) => [value],
    })) columns[name].rows.replaceChildren(...rows.map((each, i) => row(i, ...fill(each))));
    roving(columns.names.rows, view.painting);
    root.style.setProperty("--row", tokens.length > FEW ? "21px" : "27px");
    return special.every(Boolean) ? "No word yet: type one." : "";
  }

  // ---- the picture ----

  function paint() {
    settings.token ??= 1; // what asked is not in this text
    const now = step(data, settings);
    const model = asModel(data, settings);
    const { stage } = settings;
    const D = now.query.length;
    root.classList.toggle("be-moving", shown !== undefined && shown !== stage);
    shown = stage;
    [layer.box.value, head.box.value, slider.value] = [settings.layer, settings.head, settings.temperature];
    degrees.textContent = times(settings.temperature);
    slider.setAttribute("aria-valuetext", times(settings.temperature));
    scaled.box.checked = settings.scaled;
    back.disabled = isModel(settings);
    playing.textContent = timer === null ? "▶ Play" : "■ Stop";
    stages.forEach((node, n) => node.setAttribute("aria-pressed", n + 1 === stage));
    [...asks.children].forEach((node, i) => node.setAttribute("aria-pressed", i === settings.token));
    asking.textContent = clean(data.tokens[settings.token]);
    said.textContent = describeStage(data, settings, now);
    changed.textContent = stage < SOFTMAX ? "" : describeChange(data, settings, now, model);

    const extreme = (strips) => Math.max(1e-9, ...strips.flatMap((each) => Array.from(each, Math.abs)));
    const values = stage < WEIGH ? now.values : now.weighted;
    const ends = [extreme([now.query, ...now.keys]), extreme(stage < WEIGH ? values : [now.output, ...values])];
    paintStrip(queryStrip, now.query, ends[0], `query of ${quoted(data, settings.token)}`);
    paintStrip(outputStrip, now.output, ends[1], "output");
    const both = [0, ...now.scores, ...now.divided];
    const [low, high] = [Math.min(...both), Math.max(...both)];
    const width = (score) => (100 * score) / (high - low || 1);
    const zero = -width(low);
    const bar = ({ style }, score) => {
      style.left = `${zero + Math.min(0, width(score))}%`;
      style.width = `${Math.abs(width(score))}%`;
    };
    columns.scores.node.style.setProperty("--zero", `${zero}%`);
    rows.forEach((each, i) => {
      paintStrip(each.key, now.keys[i], ends[0], `key of ${quoted(data, i)}`);
      paintStrip(each.value, values[i], ends[1],
        `${stage < WEIGH ? "value" : "weighted value"} of ${quoted(data, i)}`);
      bar(each.raw, now.scores[i]);
      bar(each.fill, stage < DIVIDE ? now.scores[i] : now.divided[i]);
      each.score.textContent = two(now.scores[i]);
      each.divided.textContent = two(now.divided[i]);
      each.share.style.width = `${stage < SOFTMAX ? 0 : 100 * now.shares[i]}%`;
      each.share.style.background = `rgb(${sequential(now.shares[i])})`;
      each.model.style.left = `${100 * model.shares[i]}%`;
      each.model.hidden = isModel(settings);
      each.percent.textContent = percent(now.shares[i]);
      names[i].setAttribute("aria-label", describe(data, settings, i, now));
      names[i].setAttribute("aria-pressed", i === settings.target);
    });
    const later = (from, ...nodes) => { for (const node of nodes) node.classList.toggle("be-later", stage < from); };
    for (const { raw, score, fill, divided, share, model: tick, percent: text } of rows) {
      later(SCORES, raw, score);
      later(DIVIDE, fill, divided);
      later(SOFTMAX, share, tick, text);
    }
    later(SOFTMAX, sum);
    later(ADD, columns.values.under, flow);
    sum.textContent = `sum ${percent(now.shares.reduce((total, share) => total + share, 0))}`;
    columns.keys.note.textContent = `${D} numbers each`;
    columns.scores.note.textContent = `outline: query · key; filled: ÷ ${plain(now.divisor)}`;
    columns.shares.note.textContent = isModel(settings) ? "shares, 0 to 100 %" : "shares; the line is the model's";
    columns.values.note.textContent = stage < WEIGH ? "as they are" : "each times its share";
    const scale = (end, digits) => legend(PALETTE.diverging, withSign(-end, digits), `${withSign(end, digits)} (no unit)`);
    note.replaceChildren(
      element("span", { class: "be-scales" }, "query and key ", scale(ends[0], 1)), " ",
      element("span", { class: "be-scales" }, `${stage < WEIGH ? "value" : "weighted value and output"} `, scale(ends[1], 2)), " ",
      element("span", { class: "be-truth" }, `As the model, the shares here differ from its own by at most ${(Math.ceil(1e8 * rounding(data, settings, model)) / 1e8).toFixed(8)}: ` +
        "it computes in single precision, this picture in double."));
    drawFlow(now.shares);
    light();
  }

  /** A strip: a dot a number; what it is, and its numbers' extent, in words. */
  function paintStrip(canvas, numbers, extreme, name) {
    canvas.setAttribute("aria-label", `${name}: ${numbers.length} numbers from ${withSign(Math.min(...numbers))} to ${withSign(Math.max(...numbers))}`);
    if (canvas.width !== numbers.length) canvas.width = numbers.length;
    const context = canvas.getContext?.("2d");
    if (!context) return;
    const image = context.createImageData(numbers.length, 1);
    const dots = new Uint32Array(image.data.buffer);
    numbers.forEach((number, c) => { dots[c] = COLORS[Math.round(STEPS * (1 + number / extreme))]; });
    context.putImageData(image, 0, 0);
  }

  /** Learns where the rows stand: asked at every repaint, it would cost a layout each. */
  function measure() {
    starts = rows.map(({ value }) => value.offsetTop + STRIP / 2);
    end = outputStrip.offsetTop;
    flow.setAttribute("height", end + STRIP);
    drawFlow(step(data, settings).shares);
  }

  /** Ribbons from the values into the output, each as wide as its share; the lowest lands on top. */
  function drawFlow(shares) {
    if (starts.length !== shares.length) return;
    let landed = end;
    const ribbons = shares.map((share, i) => [share, i]).reverse().map(([share, i]) => {
      const width = Math.max(0.75, share * STRIP);
      const y = landed + (share * STRIP) / 2;
      landed += share * STRIP;
      const bow = 12 + ((FLOW - 20) * (y - starts[i])) / (end - starts[0] || 1);
      const x = (4 / 3) * bow; // where a cubic's two handles must be for it to reach so far
      return svgElement("path", {
        d: `M0 ${starts[i]} C${x} ${starts[i]} ${x} ${y} 0 ${y}`, "stroke-width": width, pathLength: 1, "data-row": i,
      });
    });
    flow.replaceChildren(...ribbons);
  }

  // ---- playing ----

  function play() {
    if (timer !== null) return change({});
    const next = (stage) => {
      timer = stage < STAGES.length ? setTimeout(() => next(stage + 1), PAUSE) : null;
      view.change({ stage });
    };
    next(settings.stage < STAGES.length ? settings.stage + 1 : 1);
  }

  function stop() {
    clearTimeout(timer);
    timer = null;
  }

  // ---- hover shows, click pins, Escape lets go ----

  function light() {
    const row = hover?.i ?? settings.target;
    for (const node of picture.querySelectorAll("[data-row]")) {
      node.classList.toggle("be-lit", row !== null && Number(node.dataset.row) === row);
    }
    picture.classList.toggle("be-has-lit", row !== null);
    for (const [kinds, { cut }] of [["query key", columns.keys], ["value output", columns.values]]) {
      cut.hidden = !(hover?.kind && kinds.includes(hover.kind));
      if (cut.hidden) continue;
      const [first, last] = kinds === "query key" ? [queryStrip, rows.at(-1).key] : [rows[0].value, outputStrip];
      const cell = first.offsetWidth / data.query.shape[3];
      Object.assign(cut.style, {
        left: `${first.offsetLeft + hover.c * cell}px`, width: `${cell}px`, top: `${first.offsetTop}px`,
        height: `${last.offsetTop + last.offsetHeight - first.offsetTop}px`,
      });
    }
    view.say(settings.target === null ? null : `Pinned: ${describe(data, settings, settings.target)}`);
  }

  view.listen(picture, {
    moves: true,
    find({ target, offsetX }) {
      const node = target.closest?.("[data-row], canvas");
      if (!node) return undefined;
      const i = node.dataset.row === undefined ? null : Number(node.dataset.row);
      if (!node.matches("canvas")) return { node, i };
      const D = data.query.shape[3];
      const c = Math.min(D - 1, Math.max(0, Math.floor((offsetX / node.offsetWidth) * D)));
      return { node, i, kind: node.dataset.kind, c };
    },
    show({ node, ...place }) {
      hover = place;
      light();
      tip.show(node, place.kind ? describeCell(data, settings, place.kind, place.i, place.c) : describe(data, settings, place.i));
    },
    hide() {
      hover = null;
      light();
    },
    pin({ i }) {
      if (i === null) return;
      view.set({ target: i === settings.target ? null : i });
      names.forEach((name, n) => name.setAttribute("aria-pressed", n === settings.target));
      light();
    },
  });
  root.addEventListener("keydown", (event) => { // JupyterLab takes the arrow keys
    if (event.key !== "Escape" && event.target.matches("select")) event.stopPropagation();
  }, { signal });
  view.whenResized(picture, measure);
  const release = () => {
    hover = null;
    view.change({ target: null });
  };
  const token = placeIn(() => data.tokens);
  const count = (side) => () => data.query.shape[side];
  const state = {
    ...ofSettings(view, {
      layer: numberFrom(1, count(0)), head: numberFrom(1, count(1)), token, target: token,
      temperature: numberFrom(COLDEST, HOTTEST, false), scaled: onOff,
    }),
    stage: { ...numberFrom(1, STAGES.length), read: () => settings.stage, set: (to) => change({ stage: to }) },
  };
  return { receive, paint, state, release, end: stop };
}
