import {
  FATES, PALETTE, SEGMENTS, chip, clean, contextOf, defineWidget, diverging, element, inkOn, legend, nthOf, numberFrom,
  ofSettings, oneOf, percent, placeIn, plain, plural, readable, roving, same, sequential, textFields, unpack,
} from "./shared.js";
import { MASKED, RANDOM } from "./rules/masking.js";

const HINT = "Point at a token, or move to one with the arrow keys: it lights up at all seven stations. A click or Enter pins it, " +
  "a click on a station opens it, Escape closes it and then lets go.";
const [GUTTER, SLIM_GUTTER, SLIM] = [150, 112, 700]; // px before the first token's column; the second below so many in all
const WIDEST = 104; // px of a column
const STRIP = 24; // px of a strip of colour, of an open station
const LINES = { open: 116, closed: 36 }; // px of the lines between who answers and who asks
const [ATTENTION, STATES] = [5, 6]; // stations
const FAINT = 0.04; // of one row; smaller shares get no line
const TERMS = ["token", "+ segment", "+ position", "= sum", "LayerNorm"];
const COMPARISONS = { input: "its own input", before: "the layer before", token: "the lit token" };

// ---- numbers ------------------------------------------------------------------------------------

const cellsOf = (text) => Array.from(text).reduce((sum, c) => sum + (c.codePointAt(0) > 0x2e7f ? 2 : 1), 0);

/**
 * A column for each token, in `room` px: large where all pieces fit, small where they fit in small
 * type; of small type and wider than the room, to be scrolled through, where they do not.
 */
export function columns(tokens, room) {
  const lengths = tokens.map((token) => cellsOf(clean(token)));
  let needed;
  for (const [mode, advance, pad, least] of [["large", 9.1, 14, 46], ["small", 7.9, 10, 47]]) {
    needed = lengths.map((length) => Math.max(least, length * advance + pad));
    const left = (room - needed.reduce((sum, width) => sum + width, 0)) / tokens.length;
    if (left >= 0) return { mode, widths: needed.map((width) => Math.max(width, Math.min(width + left, WIDEST))) };
  }
  return { mode: "scroll", widths: needed };
}

const means = new WeakMap(); // of each data's attention, by layer

/** The S x S probabilities of a layer and head, both from 1; head 0 is the mean of all heads. */
export function attention({ attention: { values, shape: [, A, S] } }, { layer, head }) {
  const size = S * S;
  const of = (h) => values.subarray(((layer - 1) * A + h) * size, ((layer - 1) * A + h + 1) * size);
  if (head) return of(head - 1);
  if (!means.has(values)) means.set(values, new Map());
  const known = means.get(values);
  if (!known.has(layer)) {
    const mean = new Float32Array(size);
    for (let h = 0; h < A; h++) of(h).forEach((value, i) => { mean[i] += value / A; });
    known.set(layer, mean);
  }
  return known.get(layer);
}

/** What is in a cell of the hidden states: a cosine, or null where there is nothing to compare. */
export function cosine(data, compare, stage, i, lit) {
  const S = data.tokens.length;
  if (compare === "input") return data.to_input.values[stage * S + i];
  if (compare === "before") return stage ? data.to_before.values[(stage - 1) * S + i] : null;
  return lit === null ? null : data.cosines.values[(stage * S + lit) * S + i];
}

/** The places with the most of a row, the largest first. */
export const largest = (row, count) =>
  [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, count);

/** The masked-LM head's guesses at a place, [token, probability] each. */
export const guesses = (data, i) =>
  data.guesses[i].map((token, n) => [token, data.probs.values[i * data.probs.shape[1] + n]]);

// ---- in words -----------------------------------------------------------------------------------

const two = (value) => plain(value).replace(/^−(0\.00)$/, "$1");
const quoted = (token) => `“${clean(token)}”`;
const headName = ({ attention: { shape: [, A] } }, { layer, head }) =>
  `layer ${layer}, ${head ? `head ${head}` : `mean of ${A} heads`}`;

/** What befell a place in a roll, and what the model says there. */
export function describeFate(data, settings, i) {
  const place = data.rolls[settings.roll].find(({ position }) => position === i);
  if (data.special[i]) return "never chosen";
  if (!place) return "not chosen";
  const what = { [MASKED]: "becomes [MASK]", [RANDOM]: `becomes the random ${quoted(place.token)}` }[place.fate] ?? "is kept";
  if (place.guess === null) return `chosen, ${what}`;
  const right = place.guess === data.tokens[i];
  return `chosen, ${what}; there the model says ${quoted(place.guess)} ${percent(place.probability)} ` +
    `${right ? "✓" : `✗, and ${percent(place.truth)} the true ${quoted(data.tokens[i])}`}`;
}

/** A token's numbers at all seven stations, in one line. */
export function describe(data, settings, i) {
  const S = data.tokens.length;
  const row = attention(data, settings).subarray(i * S, (i + 1) * S);
  const asked = largest(row, 3).map((j) => `${clean(data.tokens[j])} ${percent(row[j])}`).join(", ");
  const [token, segment, position, sum] = [0, 1, 2, 3].map((n) => two(data.lengths.values[n * S + i]));
  const L = data.to_input.shape[0] - 1;
  const said = guesses(data, i).slice(0, 3).map(([word, p]) => `${clean(word)} ${percent(p)}`).join(", ");
  return [
    `${clean(data.tokens[i])}: id ${data.ids[i]}`,
    `roll ${settings.roll + 1}: ${describeFate(data, settings, i)}`,
    `segment ${SEGMENTS[data.types[i]]}`,
    `position ${i}; lengths: token ${token}, segment ${segment}, position ${position}, sum ${sum}`,
    `${headName(data, settings)}: asks ${asked}`,
    `after layer ${L}: cosine ${two(cosine(data, "input", L, i))} to its input, ${two(cosine(data, "before", L, i))} to the layer before`,
    said ? `masked-LM head: ${said}` : "no masked-LM head",
  ].join(" · ");
}

/** How two tokens stand to each other. */
export function describeRelation(data, settings, one, other) {
  const S = data.tokens.length;
  const probs = attention(data, settings);
  const [a, b] = [quoted(data.tokens[one]), quoted(data.tokens[other])];
  return `${a} asks ${b}: ${percent(probs[one * S + other])}; ${b} asks ${a}: ${percent(probs[other * S + one])} ` +
    `(${headName(data, settings)}); cosine after layer ${settings.layer}: ` +
    two(cosine(data, "token", settings.layer, other, one));
}

/** The verdict on a pair, in one sentence. */
export function describeVerdict({ follows, types }) {
  if (!types.includes(1)) return "One text is all segment A. Type a second one, and BERT judges whether it follows.";
  if (follows === null) return "This checkpoint has no next-sentence head.";
  const yes = follows >= 0.5;
  return `${yes ? "✓ B follows A" : "✗ B is random"}, says the next-sentence head: ` +
    `${percent(follows)} that it follows, ${percent(1 - follows)} that it is random.`;
}

// ---- pictures -----------------------------------------------------------------------------------

const STEPS = 1000;
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;
const tableOf = (scale) => Array.from({ length: STEPS + 1 }, (_, i) => {
  const color = scale(i / STEPS);
  return [css(color), inkOn(color)];
});
const SHARES = tableOf((share) => sequential(share));
const SIGNED = tableOf((share) => diverging(2 * share - 1, 1));
const shade = (table, share) => table[Math.round(STEPS * Math.min(Math.max(share, 0), 1))];

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  kind: "Journey", name: "be-journey", label: "Journey", picture: "journey", hint: HINT, build,
  fields: () => textFields(),
  pins: { token: ({ tokens }) => tokens.length },
});

function build(view) {
  const { model, root, data, settings, change, tip, button, soon, signal } = view;
  let hover = null; // the position under the pointer or the focus
  let layout = { gutter: GUTTER, mode: "large", widths: [] };
  let stateCells = []; // [stage][position]
  let shareCells = [];
  let lighted = []; // for each position, what lights up with it
  let rollShown; // in the second panel
  let statesShown; // in the sixth

  // ---- the parts, made once ----

  const panels = [];
  /** A station: its head, which opens it; its rows; and its `extras`, which are there while it is open. */
  const panel = (title, note, extras, ...rows) => {
    const number = panels.length + 1;
    const sub = element("span", { class: "be-sub" });
    const head = element("button", {
      type: "button", class: "be-head", "aria-expanded": "false", on: { click: () => open(settings.open === number ? null : number) }, signal,
    }, element("span", { class: "be-number" }, String(number)), element("span", { class: "be-title" }, title), sub);
    const about = element("p", { class: "be-about be-dim" }, note);
    const node = element("div", { class: `be-panel be-panel-${number}`, "data-panel": number },
      element("h4", {}, head), about, element("div", { class: "be-body" }, ...rows));
    panels.push({ node, head, sub, extras: [about, ...extras] });
    return node;
  };
  const row = (label, attributes = {}) => {
    const node = element("div", { ...attributes, class: `be-row ${attributes.class ?? ""}` });
    return { node, fill: (...content) => node.replaceChildren(element("span", { class: "be-row-name" }, label), ...content.flat()) };
  };
  const actions = (...content) => element("p", { class: "be-actions" }, content);
  const pieces = row("piece, id", { role: "toolbar", "aria-label": "Pieces" });
  const masks = row("model sees");
  const truths = row("it says there, %", { class: "be-says" });
  const reroll = button("Another roll", () => change({ roll: (settings.roll + 1) % data.rolls.length }));
  const rollNote = element("span", { class: "be-dim" });
  const spans = row("segment");
  const verdict = element("p", { class: "be-verdict" });
  const strips = TERMS.map((name) => {
    const canvas = element("canvas", { class: "be-strip", role: "img", "aria-label": `${name}, as colours` });
    const line = row(name, { class: "be-strip-row" });
    line.fill(canvas);
    return { ...line, canvas };
  });
  const stripKey = element("p", { class: "be-key" });
  const layers = element("span", { class: "be-choices", role: "toolbar", "aria-label": "Layer" });
  const heads = element("span", { class: "be-choices", role: "toolbar", "aria-label": "Head" });
  const lines = element("canvas", { class: "be-lines", "aria-hidden": "true" });
  const linesRow = row("asks ↓", { class: "be-lines-row" });
  linesRow.fill(lines);
  const answering = row("answer ↑");
  const sharing = row("", { class: "be-shares" });
  const sharesKey = element("p", { class: "be-key" });
  const compare = element("span", { class: "be-choices", role: "toolbar", "aria-label": "Compared with" });
  const states = element("div", { class: "be-states" });
  const answers = row("its guess, %", { class: "be-says be-answers" });
  const detail = element("div", { class: "be-cards" });
  const rolling = actions(reroll, rollNote);
  const choosing = actions(element("span", {}, "Layer ", layers), element("span", {}, "Head ", heads));
  const comparing = actions(element("span", {}, "Cosine to ", compare));

  const track = element("div", { class: "be-rails" },
    panel("Pieces", "The text as entries of the vocabulary; a piece with ## continues the word before it.", [], pieces.node),
    panel("Masks", "Were it a training example: which tokens are chosen, and their three fates.", [truths.node, rolling],
      masks.node, truths.node, rolling),
    panel("Pair", "Which text a token belongs to, and whether B follows A.", [], spans.node, verdict),
    panel("Embeddings", "Three vectors become one: a column of squares a dimension.", [stripKey], strips.map(({ node }) => node), stripKey),
    panel("Attention", "Below, a token asks; above, all tokens answer.", [choosing, answering.node, sharesKey],
      choosing, answering.node, linesRow.node, sharing.node, sharesKey),
    panel("Hidden states", "How each token's vector turns from layer to layer.", [comparing], comparing, states),
    panel("Answers", "A guess for every place, mostly what it sees there; a verdict on the pair; fine-tuned cases.", [detail],
      answers.node, detail));
  const beams = ["be-beam", "be-edges", "be-held"].map((name) => {
    const node = element("div", { class: name, hidden: true, "aria-hidden": "true" });
    track.append(node);
    return node;
  });
  const scroller = element("div", { class: "be-scroll" }, track);
  root.append(view.inputs(), view.status, element("div", {}, scroller, view.foot()));

  /** What the model says of the rolls, which Python sends after the rest; that of another text is none. */
  function hear() {
    const said = model.get("said") && unpack(model.get("said"));
    const isOurs = said && same([said.ids, said.types], [data.ids, data.types]);
    if (isOurs) data.rolls = said.rolls;
    return isOurs;
  }

  function receive() {
    hover = null;
    hear();
    drawText();
    return data.special.every(Boolean) && !data.ids.includes(data.mask_id)
      ? "No word yet: type one, and watch it travel." : "";
  }

  // ---- what changes with the text only ----

  const small = (text) => element("span", { class: "be-small" }, text);
  const cell = (i, ...content) => element("span", { class: "be-cell", "data-token": i }, content);
  /** A guess beneath its token: a tick where it is that token, the word where it is another. */
  const guessCell = (i, [word, probability], token, asked) => {
    const right = word === token;
    return cell(i, element("span", { class: `be-guess${asked ? " be-masked" : ""}` },
      asked ? "" : element("span", { class: "be-mark" }, right ? "✓" : "✗"),
      right && !asked ? "" : element("span", { class: "be-piece" }, clean(word))),
    small((100 * probability).toFixed(1)));
  };
  const choose = (box, name, options, label) => {
    box.replaceChildren(...options.map(([value, text]) => button(text, () => change({ [name]: value }), {
      "data-value": value, ...(label && { "aria-label": `${label} ${text}` }),
    })));
    roving(box, view.painting);
  };

  function drawText() {
    const room = scroller.clientWidth; // before anything is dirty: then it costs no layout
    const focused = pieces.node.contains(document.activeElement);
    view.renew();
    const { tokens, ids, types, special } = data;
    const [L, A] = data.attention.shape;
    const numbersTo = (n) => Array.from({ length: n }, (_, i) => [i + 1, String(i + 1)]);
    choose(layers, "layer", numbersTo(L), "layer");
    choose(heads, "head", [[0, "mean"], ...numbersTo(A)], "head");
    choose(compare, "compare", Object.entries(COMPARISONS));

    const chips = tokens.map((token, i) => chip(
      { token, id: ids[i], segment: types[i], special: special[i] },
      { "data-token": i, "aria-pressed": "false" }));
    pieces.fill(chips);
    roving(pieces.node, view.painting);
    if (focused) chips[0].focus();

    const second = types.indexOf(1);
    const span = (segment, from, to) => element("span", {
      class: `be-span be-segment-${SEGMENTS[segment].toLowerCase()}`, style: `grid-column:${from + 2} / ${to + 2}`,
      "data-segment": segment,
    }, element("span", { class: "be-span-name" }, `${SEGMENTS[segment]} · ${plural(to - from, "token")}, segment id ${segment}`));
    spans.fill(span(0, 0, second < 0 ? tokens.length : second), second < 0 ? "" : span(1, second, tokens.length));
    verdict.replaceChildren(describeVerdict(data), data.follows === null ? "" : element("span", {
      class: "be-balance", role: "img", "aria-label": `${percent(data.follows)} follows`,
    }, element("span", { style: `width:${100 * data.follows}%` })));
    stripKey.replaceChildren(legend(PALETTE.diverging, `≤ −${two(data.scales[0])}`, `≥ ${two(data.scales[0])}`),
      ` after LayerNorm ±${two(data.scales[1])}; of each token the first ${data.terms.shape[2]} of ${data.size} dimensions, from left to right`);

    answering.fill(tokens.map((token, i) => cell(i, small(clean(token)))));
    shareCells = tokens.map((_, i) => cell(i, ""));
    sharing.fill(shareCells);
    const names = Array.from({ length: L + 1 }, (_, stage) => row(stage ? `layer ${stage}` : "input"));
    stateCells = names.map(({ node, fill }, stage) => {
      const all = tokens.map((_, i) => element("span", { class: "be-cell be-state", "data-token": i, "data-stage": stage }));
      fill(all);
      node.dataset.stage = stage;
      return all;
    });
    states.replaceChildren(...names.map(({ node }) => node));

    answers.fill(tokens.map((token, i) => {
      const [best] = guesses(data, i);
      return best ? guessCell(i, best, token, ids[i] === data.mask_id) : cell(i, small("–"));
    }));
    lay(room);
    [rollShown, statesShown] = [null, null];
  }

  /** Gives the columns their widths, of so many px in all. */
  function lay(room) {
    const all = room || 900;
    const gutter = all < SLIM ? SLIM_GUTTER : GUTTER;
    layout = { gutter, ...columns(data.tokens, all - gutter - 2) };
    root.dataset.columns = layout.mode;
    root.classList.toggle("be-slim", gutter === SLIM_GUTTER);
    track.style.setProperty("--columns", [gutter, ...layout.widths].map((width) => `${width}px`).join(" "));
    track.style.setProperty("--gutter", `${gutter}px`);
    track.style.setProperty("--room", `${all}px`);
    if (settings.token !== null) scroller.scrollLeft = left(settings.token + 1) - all / 2; // in sight
    drawStrips();
  }

  const left = (i) => layout.widths.slice(0, i).reduce((sum, width) => sum + width, layout.gutter);

  const open = (number) => change({ open: number });

  // ---- what changes with a choice ----

  function paint() {
    for (const [box, name] of [[layers, "layer"], [heads, "head"], [compare, "compare"]]) {
      for (const node of box.children) node.setAttribute("aria-pressed", node.dataset.value === String(settings[name]));
    }
    panels.forEach(({ node, head, extras }, n) => {
      const isOpen = settings.open === n + 1;
      node.classList.toggle("be-open", isOpen);
      head.setAttribute("aria-expanded", isOpen);
      for (const extra of extras) extra.hidden = !isOpen;
    });
    const { follows, rolls, tokens, mask_id } = data;
    [`${plural(tokens.length, "token")}${layout.mode === "scroll" ? ", scroll ↔" : ""}`, `roll ${settings.roll + 1} of ${rolls.length}`,
      follows === null ? "one text" : `follows: ${percent(follows)}`, "three become one",
      headName(data, settings).replace(/mean of.*/, "mean"), `cosine to ${COMPARISONS[settings.compare]}`,
      data.ids.includes(mask_id) ? "for [MASK], and all" : "its guess, %",
    ].forEach((text, n) => { panels[n].sub.textContent = text; });
    if (settings.roll !== rollShown) drawRoll();
    const states = `${settings.compare} ${settings.open === STATES}`;
    if (settings.compare !== "token" && states !== statesShown) drawStates(0);
    statesShown = states;
    point();
  }

  /** The vectors as colours. */
  function drawStrips() {
    const { terms: { values, shape: [, S, D] } } = data;
    strips.forEach(({ canvas }, term) => {
      const context = contextOf(canvas, left(S) - layout.gutter, STRIP);
      if (!context) return;
      const scale = data.scales[term === 4 ? 1 : 0];
      for (let i = 0; i < S; i++) for (let d = 0; d < D; d++) {
        [context.fillStyle] = shade(SIGNED, 0.5 + values[(term * S + i) * D + d] / (2 * scale));
        const width = (layout.widths[i] - 4) / D;
        context.fillRect(left(i) - layout.gutter + 2 + d * width, 0, width, STRIP);
      }
    });
  }

  /** The roll that is shown: which tokens the model sees, and what it says where it is asked. */
  function drawRoll() {
    rollShown = settings.roll;
    const places = new Map(data.rolls[settings.roll].map((place) => [place.position, place]));
    masks.fill(data.tokens.map((token, i) => {
      const place = places.get(i);
      if (!place) return cell(i, element("span", { class: "be-plain" }, clean(token)));
      return chip({
        token: place.token, segment: data.types[i], fate: FATES[place.fate],
        was: place.fate === RANDOM ? token : null, note: FATES[place.fate],
      }, { "data-token": i, tabindex: -1 });
    }));
    truths.fill(data.tokens.map((token, i) => {
      const place = places.get(i);
      if (!place || place.guess === null) return cell(i, "");
      return guessCell(i, [place.guess, place.probability], token, false);
    }));
    const chosen = plural(places.size, "token");
    rollNote.textContent = `roll ${settings.roll + 1} of ${data.rolls.length}: ${chosen} chosen. These are the rolls of ${data.drawn} ` +
      "with the most different fates; in the long run 80 % are masked, 10 % random, 10 % kept.";
    mark();
  }

  /** Which nodes belong to each token. */
  function mark() {
    lighted = data.tokens.map(() => []);
    for (const node of track.querySelectorAll("[data-token]")) lighted[node.dataset.token].push(node);
  }

  // ---- what changes with the lit token ----

  function point() {
    const lit = hover ?? settings.token;
    const S = data.tokens.length;
    lighted.forEach((nodes, i) => {
      for (const node of nodes) node.classList.toggle("be-lit", i === lit);
      if (nodes[0].matches("button")) nodes[0].setAttribute("aria-pressed", i === settings.token);
    });
    for (const node of spans.node.querySelectorAll("[data-segment]")) {
      node.classList.toggle("be-lit", lit !== null && Number(node.dataset.segment) === data.types[lit]);
    }
    track.style.setProperty("--lit-left", `${lit === null ? 0 : left(lit)}px`); // the first strip paints the light itself
    track.style.setProperty("--lit-width", `${lit === null ? 0 : layout.widths[lit]}px`);
    const held = hover !== null && settings.token !== hover ? settings.token : null;
    [lit, lit, held].forEach((i, n) => {
      beams[n].hidden = i === null;
      if (i === null) return;
      beams[n].style.left = `${left(i)}px`;
      beams[n].style.width = `${layout.widths[i]}px`;
    });

    const probs = attention(data, settings);
    const average = (i) => { let sum = 0; for (let q = 0; q < S; q++) sum += probs[q * S + i]; return sum / S; };
    const row = data.tokens.map((_, i) => (lit === null ? average(i) : probs[lit * S + i]));
    const highest = Math.max(...row);
    shareCells.forEach((node, i) => {
      const [color, ink] = shade(SHARES, row[i] / highest);
      node.textContent = (100 * row[i]).toFixed(layout.widths[i] < 40 ? 0 : 1);
      node.style.background = color;
      node.style.color = ink;
    });
    sharing.node.firstChild.textContent = lit === null ? "gets, mean %" : "gets, %";
    sharesKey.replaceChildren(legend(PALETTE.sequential, "0 %", percent(highest)), lit === null
      ? ` what each token gets from all ${S} on average (${headName(data, settings)}); lines: shares above ${100 * FAINT} %`
      : ` what ${quoted(data.tokens[lit])} asks of each token (${headName(data, settings)}); the row sums to 100 %`);
    drawLines(probs, lit);

    if (settings.compare === "token") drawStates(lit ?? 0);
    drawCards(lit);
    view.say(lit === null ? null : `${lit === settings.token ? "Pinned: " : ""}${describe(data, settings, lit)}`);
  }

  /** The hidden states' cells: a closed strip has their colours only, and is laid out at a third of the cost. */
  function drawStates(lit) {
    const isOpen = settings.open === STATES;
    stateCells.forEach((all, stage) => all.forEach((node, i) => {
      const value = cosine(data, settings.compare, stage, i, lit);
      const [color, ink] = value === null ? ["transparent", "inherit"] : shade(SIGNED, 0.5 + value / 2);
      node.textContent = !isOpen ? "" : value === null ? "–" : two(value);
      node.style.background = color;
      node.style.color = ink;
    }));
  }

  function drawLines(probs, lit) {
    const S = data.tokens.length;
    const height = LINES[settings.open === ATTENTION ? "open" : "closed"];
    const context = contextOf(lines, left(S) - layout.gutter, height);
    if (!context) return;
    const middle = (i) => left(i) - layout.gutter + layout.widths[i] / 2;
    context.strokeStyle = PALETTE[root.dataset.theme].ring;
    for (let i = 0; i < S; i++) {
      if (lit !== null && i !== lit) continue;
      for (let j = 0; j < S; j++) {
        const share = probs[i * S + j];
        if (share < (lit === null ? FAINT : 0.005)) continue;
        context.globalAlpha = lit === null ? Math.min(0.85, 0.06 + 0.9 * share) : Math.min(1, 0.25 + share);
        context.lineWidth = Math.max(1, (lit === null ? 5 : 14) * share);
        context.beginPath();
        context.moveTo(middle(i), height - 2);
        context.bezierCurveTo(middle(i), height * 0.45, middle(j), height * 0.55, middle(j), 2);
        context.stroke();
      }
    }
  }

  /** The last panel's cards: the masked-LM head at one place, NSP, and each fine-tuned case. */
  function drawCards(lit) {
    const mask = data.ids.indexOf(data.mask_id);
    const at = lit ?? (mask < 0 ? 0 : mask);
    const bar = (name, share, kind = "") => element("li", { class: kind },
      element("bdi", {}, name), element("span", { class: "be-bar" },
        element("span", { style: `width:${Math.max(0.5, 100 * share)}%` })), element("span", {}, percent(share)));
    const card = (title, note, ...content) => element("div", { class: "be-card" },
      element("h5", {}, title, element("span", { class: "be-note" }, note)), ...content);
    const said = guesses(data, at);
    const cards = [card("Masked-LM head", `reads ${quoted(data.tokens[at])}, position ${at}`,
      said.length ? element("ol", { class: "be-bars" }, said.map(([token, share]) => bar(clean(token), share)))
        : element("p", {}, "This checkpoint has none."))];
    cards.push(card("Next-sentence head", "reads [CLS], position 0", data.follows === null
      ? element("p", {}, data.types.includes(1) ? "This checkpoint has none." : "It needs a pair: type a second text.")
      : element("ol", { class: "be-bars" }, bar("B follows A", data.follows), bar("B is random", 1 - data.follows))));
    for (const [name, lines] of Object.entries(data.answers)) {
      cards.push(card(readable(name), "fine-tuned", lines.map((text) => element("p", { dir: "auto" }, readable(text)))));
    }
    detail.replaceChildren(...cards);
  }

  // ---- hover shows, click pins, Escape lets go ----

  /** The token under the pointer, and what its place in that panel has to say. */
  function thingAt(event) {
    const node = event.target.closest?.("[data-token], canvas");
    if (!node || !track.contains(node)) return undefined;
    const panel = Number(node.closest(".be-panel").dataset.panel);
    if (!node.matches("canvas")) {
      const i = Number(node.dataset.token);
      return { i, node, panel, text: describePlace(node, i) };
    }
    const x = event.offsetX + layout.gutter;
    const i = data.tokens.findIndex((_, n) => x >= left(n) && x < left(n) + layout.widths[n]);
    if (i < 0) return undefined;
    return { i, node, panel, text: node === lines ? "" : describeDimension(i, (x - left(i)) / layout.widths[i]) };
  }

  function describeDimension(i, share) {
    const { values, shape: [, S, D] } = data.terms;
    const d = Math.min(D - 1, Math.floor(share * D));
    const [token, segment, position, sum, normed] = TERMS.map((_, term) => two(values[(term * S + i) * D + d]));
    return `${quoted(data.tokens[i])}, dimension ${d}: token ${token} + segment ${segment} + position ${position} = ${sum}; after LayerNorm ${normed}`;
  }

  function describePlace(node, i) {
    const piece = quoted(data.tokens[i]);
    if (masks.node.contains(node) || truths.node.contains(node)) return `${piece}: ${describeFate(data, settings, i)}`;
    if (settings.token !== null && settings.token !== i) return describeRelation(data, settings, settings.token, i);
    if (node.dataset.stage) {
      const stage = Number(node.dataset.stage);
      const value = cosine(data, settings.compare, stage, i, hover ?? settings.token ?? 0);
      return value === null ? `${piece}: nothing comes before the input`
        : `${piece} ${stage ? `after layer ${stage}` : "as the layers' input"}: cosine ${two(value)} to ${COMPARISONS[settings.compare]}`;
    }
    if (answers.node.contains(node)) {
      return `${piece}: the model's guesses are ${guesses(data, i).map(([word, p]) => `${clean(word)} ${percent(p)}`).join(", ") || "none"}`;
    }
    return "";
  }

  function hide() {
    if (hover === null) return;
    hover = null;
    soon(point);
  }

  view.listen(track, {
    find: thingAt, hide, moves: true,
    show: ({ i, node, text }) => {
      if (text) tip.show(node, text);
      else tip.hide();
      if (hover === i) return;
      hover = i;
      soon(point);
    },
    pin({ i, panel }) {
      const opens = panel > 1 && panel !== settings.open; // the first only chooses
      pin(!opens && settings.token === i ? null : i);
      if (opens) open(panel);
    },
  });
  track.addEventListener("click", ({ target }) => { // beside the tokens, on a strip
    const strip = !target.closest("[data-token], canvas, button") && target.closest(".be-panel:not(.be-open)");
    if (strip) open(Number(strip.dataset.panel));
  }, { signal });

  function pin(token) {
    hover = null;
    view.set({ token });
    point();
  }

  function release() {
    const shown = panels[settings.open - 1];
    if (!shown) return pin(null);
    if (shown.node.contains(document.activeElement)) shown.head.focus();
    open(null);
  }

  let width = 0;
  view.whenResized(root, () => {
    if (width === scroller.clientWidth) return; // only the numbers at the foot became longer
    width = scroller.clientWidth;
    lay(width);
    paint();
  });
  const state = ofSettings(view, {
    token: placeIn(() => data.tokens), open: numberFrom(1, panels.length), roll: nthOf(() => data.rolls.length),
    layer: numberFrom(1, () => data.attention.shape[0]), head: numberFrom(0, () => data.attention.shape[1]),
    compare: oneOf(Object.keys(COMPARISONS)),
  });
  const hearLater = () => {
    if (!hear()) return;
    drawRoll();
    point();
  };
  return { receive, paint, state, release, recolor: point, on: { "change:said": hearLater } };
}
