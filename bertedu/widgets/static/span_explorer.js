import {
  PALETTE, clean, defineWidget, element, inkOn, legend, numberFrom, ofSettings, oneOf, placeByKey, placeIn, percent,
  plain, productBars, readable, roving, sequential, stage, svgElement, textField, withSign,
} from "./shared.js";
import { LEGAL, REASONS, judge, logTotal, masses, softmax } from "./rules/spans.js";

const LARGEST = 16; // products that are drawn; the others are added up
const FIRST = 5; // answers that are shown before all are
const NOTHING = { start: null, end: null }; // is pinned
const NEAR = 11; // tokens a side of the pairs that are shown large
const HINT = "Hover shows, a click pins: a token for the start, a second one for the end. Escape lets go.";

// ---- numbers ------------------------------------------------------------------------------------

const STEPS = 255;
const SHADES = Array.from({ length: STEPS + 1 }, (_, i) => sequential(i / STEPS));

/** A vector times a token's output, component by component: the largest first, the others together. */
export function products({ vectors, outputs }, which, place, most = LARGEST) {
  const H = vectors.shape[1];
  const all = Array.from({ length: H }, (_, c) => {
    const [weight, output] = [vectors.values[which * H + c], outputs.values[place * H + c]];
    return { component: c + 1, weight, output, value: weight * output };
  }).sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const rest = all.slice(most).reduce((sum, { value }) => sum + value, 0);
  return { largest: all.slice(0, most), rest, others: Math.max(0, H - most) };
}

/** The place of the largest value; the first of equals. */
export const largestOf = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);

/** The first of so many places in a row that show `place` near the middle. */
export const windowAt = (place, count, size) =>
  Math.max(0, Math.min(place - Math.floor(count / 2), size - count));

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  kind: "SpanExplorer", name: "be-span-explorer", label: "Span explorer", picture: "answer", hint: HINT, build,
  fixed: "the texts are",
  fields: () => [textField("question", "Question", "Segment A"), textField("document", "Document", "Segment B")],
  pins: { start: countOfTokens, end: countOfTokens },
});

function countOfTokens({ tokens }) {
  return tokens.length;
}

function build(view) {
  const { root, signal, data, settings, change, tip, soon } = view;
  const reply = element("p", { class: "be-verdict be-reply", "aria-live": "polite" });
  const profile = svgElement("svg", { class: "be-profile", preserveAspectRatio: "none", role: "img" });
  const profileKey = element("p", { class: "be-key" });
  const tokens = element("div", { class: "be-document", role: "toolbar", "aria-label": "Tokens" });
  const plane = element("canvas", { class: "be-plane", role: "img" });
  const cross = element("div", { class: "be-cross" });
  const near = element("div", { class: "be-near", role: "group", "aria-label": "Pairs of places around the chosen one" });
  const planeKey = element("p", { class: "be-key" });
  const cellLine = element("p", { class: "be-verdict" });
  const views = [["joint", "one softmax over legal spans"], ["product", "product of two softmaxes"]].map(([which, name]) => ({ which, node: view.button(name, () => change({ view: which })) }));
  const compared = element("p", { class: "be-verdict" });
  const answers = element("div", { class: "be-answers", role: "toolbar", "aria-label": "Best answers" });
  const more = view.button("", () => unfold(more.getAttribute("aria-expanded") === "false"), { "aria-expanded": "false" });
  const slider = element("input", { type: "range", step: 0.1, on: { input: () => change({ threshold: Number(slider.value) }) }, signal });
  const value = element("output", {});
  const sliding = element("label", { class: "be-threshold" }, element("span", {}, "threshold of no answer"), slider, value);
  const decided = element("p", { class: "be-key" });
  const dots = element("div", { class: "be-dots" });
  const dotsNote = element("span", { class: "be-note" });
  root.append(
    view.inputs("be-qa"), view.status, reply,
    element("div", { class: "be-sides" },
      stage("Where could it start, where could it end?", "a softmax over all positions each",
        profile, profileKey, tokens),
      stage("The best answers", "words counted from 1; click one to see where it comes from",
        element("div", { class: "be-answers-head" }, element("span"), element("bdi", {}, "answer"),
          ["words", "joint", "product"].map((name) => element("span", {}, name))),
        answers, more, sliding, decided)),
    stage("Start × end: every pair of places", "a row is a start, a column an end; grey is no answer",
      element("div", { class: "be-views", role: "group", "aria-label": "Probability" }, views.map(({ node }) => node)),
      element("div", { class: "be-planes" },
        element("div", {}, element("div", { class: "be-axis" }, "start ↓", element("span", {}, "end →")),
          element("div", { class: "be-plane-box" }, plane, cross), planeKey),
        element("div", {}, near, cellLine)),
      compared),
    element("div", { class: "be-stage" },
      element("h4", {}, "Why that much? Each vector times the token's output", dotsNote), dots),
    view.foot(),
  );

  let shares = { start: [], end: [] }; // of each position, from a softmax each
  let total = 0; // the log of the sum over all choices
  let highest = 1; // share in the plane
  let hover = null; // the pair under the pointer
  let planeView; // of the plane that is drawn
  let updateAnswers;

  const size = () => data.tokens.length;
  const best = () => data.spans[0];
  /** The pair that is shown: under the pointer, pinned, or the best answer's. */
  function pair() {
    if (hover) return hover;
    const { start, end } = settings;
    if (start === null) return { start: best()[1], end: best()[2] };
    return { start, end: end ?? start };
  }
  const product = ({ start, end }) => shares.start[start] * shares.end[end];
  const joint = ({ start, end }) => (judge(data, start, end) === LEGAL
    ? Math.exp(data.starts.values[start] + data.ends.values[end] - total) : 0);
  const shareOf = (cell) => (settings.view === "joint" ? joint(cell) : product(cell));
  const threshold = () => settings.threshold ?? data.threshold;
  const lead = () => data.null_score - best()[6];
  const silent = () => data.no_answer && lead() > threshold();
  const piece = (place) => clean(data.tokens[place]);
  const wordOf = (place) => data.words[place];

  // ---- what Python sends ----

  function receive() {
    shares = { start: softmax(data.starts.values), end: softmax(data.ends.values) };
    total = logTotal(data);
    hover = null;
    drawTexts();
    comparePaths();
    planeView = null;
    return data.windows > 1
      ? `The document was read in ${data.windows} overlapping windows; each token's numbers are from the one where it has most context.` : "";
  }

  // ---- what changes with the texts only ----

  function drawTexts() {
    view.renew();
    const most = Math.max(...shares.start, ...shares.end);
    drawProfile(most);
    profileKey.replaceChildren(
      element("span", { class: "be-swatch be-of-start" }), "up: start   ",
      element("span", { class: "be-swatch be-of-end" }), `down: end, the highest ${percent(most)}. Grey: `,
      "question and special tokens. Beneath a piece: its word's number.");
    tokens.replaceChildren(...data.tokens.map((token, place) => tokenNode(token, place, most)));
    roving(tokens, view.painting);
    const rows = data.spans.map((span, n) => ({ probability: span[5], node: answerNode(span, n) }));
    if (data.no_answer) rows.push({ probability: data.no_answer_probability, node: noneNode() });
    answers.replaceChildren(...rows.sort((a, b) => b.probability - a.probability).map(({ node }) => node));
    updateAnswers = roving(answers, view.painting);
    unfold(false);
    const reach = Math.ceil(Math.max(10, Math.abs(lead()) + 2));
    Object.assign(slider, { min: -reach, max: reach });
    sliding.hidden = !data.no_answer;
  }

  /** Shows all answers, or the best and that there is none. */
  function unfold(all) {
    [...answers.children].forEach((node, n) => { node.hidden = !all && n >= FIRST && !node.matches(".be-none"); });
    more.setAttribute("aria-expanded", all);
    more.textContent = all ? `The best ${FIRST} only` : `Show all ${data.spans.length}`;
    more.hidden = data.spans.length <= FIRST;
    updateAnswers();
  }

  function drawProfile(most) {
    const half = 50;
    profile.setAttribute("viewBox", `0 0 ${size()} 100`);
    profile.setAttribute("aria-label",
      `start: most at ${describeShare(largestOf(shares.start), "start")}; end: most at ${describeShare(largestOf(shares.end), "end")}`);
    const bars = (name, up) => shares[name].flatMap((share, i) => {
      const height = (half * share) / most;
      return height < 0.15 ? [] : [svgElement("rect", {
        class: up ? "be-up" : "be-down", x: i + 0.06, width: 0.88, y: up ? half - height : half, height,
      })];
    });
    profile.replaceChildren(
      svgElement("rect", { class: "be-outside", x: 0, y: 0, width: data.begin, height: 100 }),
      svgElement("rect", { class: "be-outside", x: size() - 1, y: 0, width: 1, height: 100 }),
      svgElement("rect", { class: "be-chosen", y: 0, height: 100 }),
      ...bars("start", true), ...bars("end", false),
      svgElement("path", { class: "be-zero", d: `M0 ${half}H${size()}` }));
  }

  const describeShare = (place, name) => `“${piece(place)}” ${percent(shares[name][place])}`;

  function tokenNode(token, place, most) {
    const special = place === 0 || place === size() - 1 || place === data.begin - 1;
    const continues = token.startsWith("##") && token.length > 2;
    const strip = (name) => element("span", { class: `be-strip be-of-${name}` },
      element("span", { style: `width:${(100 * shares[name][place]) / most}%` }));
    const kinds = ["be-token", special && "be-special", place < data.begin && !special && "be-question", continues && "be-joined"];
    const first = place > 0 && wordOf(place) !== wordOf(place - 1);
    return element("span", { class: kinds.filter(Boolean).join(" ") },
      strip("start"),
      element("button", {
        type: "button", "data-place": place, "aria-pressed": "false",
        "aria-description": `start ${percent(shares.start[place])}, end ${percent(shares.end[place])}`,
      }, continues ? [element("span", { class: "be-dim" }, "##"), clean(token.slice(2))] : clean(token)),
      strip("end"),
      element("span", { class: "be-small" }, first && wordOf(place) ? String(wordOf(place)) : "\u00a0"));
  }

  function answerNode([text, start, end, firstWord, lastWord, probability], n) {
    return element("button", { type: "button", class: "be-answer", "data-answer": n, "aria-pressed": "false" },
      element("span", {}, `${n + 1}.`), element("bdi", { title: readable(text) }, readable(text)),
      element("span", {}, `(${firstWord}, ${lastWord})`),
      element("span", {}, percent(probability)), element("span", {}, percent(product({ start, end }))));
  }

  /** That there is no answer, which is scored as a span of [CLS]. */
  function noneNode() {
    return element("button", { type: "button", class: "be-answer be-none", "data-start": 0, "data-end": 0, "aria-pressed": "false" },
      element("span", {}, "–"), element("bdi", {}, "no answer"), element("span", {}, "[CLS]"),
      element("span", {}, percent(data.no_answer_probability)), element("span", {}, percent(product({ start: 0, end: 0 }))));
  }

  // ---- what changes with a choice ----

  function paint() {
    if (planeView !== settings.view) drawPlane();
    for (const { which, node } of views) node.setAttribute("aria-pressed", which === settings.view);
    slider.value = threshold();
    value.textContent = plain(threshold(), 1);
    slider.setAttribute("aria-valuetext", value.textContent);
    const [text, , , first, last, probability] = best();
    reply.replaceChildren(silent()
      ? element("span", {}, "Answer: ", element("b", {}, "there is none"), `  (the best span would be “${readable(text)}”)`)
      : element("span", {}, "Answer: ", element("b", {}, element("bdi", {}, `“${readable(text)}”`)), `  (${first}, ${last})  ${percent(probability)}`));
    decided.textContent = data.no_answer
      ? `[CLS] scores ${plain(data.null_score)} as start and end, the best span ${plain(best()[6])}: no answer is ${Math.abs(lead()).toFixed(2)} ${lead() < 0 ? "behind" : "ahead"}. `
        + `It is given when it is ahead by more than ${plain(threshold(), 1)}. Its probability among all choices: ${percent(data.no_answer_probability)}.`
      : "This model learned from questions that all have an answer: it always gives one, so there is no threshold to move.";
    point();
  }

  /** Each maximum for itself, against the best pair. */
  function comparePaths() {
    const apart = { start: largestOf(shares.start), end: largestOf(shares.end) };
    const why = judge(data, apart.start, apart.end);
    const found = masses(data, shares.start, shares.end);
    const lost = REASONS.map((reason) => `${reason} ${percent(found[reason])} (${data.illegal[reason].toLocaleString("en")} pairs)`);
    const words = (place) => (wordOf(place) ? `word ${wordOf(place)}` : "no word of the document");
    compared.textContent =
      `Each maximum for itself: start ${describeShare(apart.start, "start")} (${words(apart.start)}), end ${describeShare(apart.end, "end")} (${words(apart.end)}): ${
        why === LEGAL ? (apart.start === best()[1] && apart.end === best()[2] ? "the same pair as the best legal span." : "legal, but not the best legal span.")
          : `no answer, ${why}.`} `
      + `The product of the two softmaxes puts ${percent(found[LEGAL])} on legal spans; the rest is lost: ${lost.join(", ")}. `
      + "One softmax over the legal spans loses nothing.";
  }

  /** What is shown in the plane: a share for each pair, one row a start. */
  function planeShares() {
    const n = size();
    const all = new Float64Array(n * n);
    for (let s = 0; s < n; s++) {
      for (let e = 0; e < n; e++) all[s * n + e] = shareOf({ start: s, end: e });
    }
    return all;
  }

  function drawPlane() {
    planeView = settings.view;
    const n = size();
    const all = planeShares();
    highest = all.reduce((most, share) => Math.max(most, share), 0) || 1;
    plane.setAttribute("aria-label", `${n} × ${n} pairs of places; the numbers of the chosen one stand beside it`);
    planeKey.replaceChildren(legend(PALETTE.sequential, "0 %", percent(highest)),
      settings.view === "joint" ? "; grey: no answer" : "; greyed: has a share, but is no answer");
    const context = Object.assign(plane, { width: n, height: n }).getContext?.("2d");
    if (!context) return;
    const image = context.createImageData(n, n);
    const grey = root.dataset.theme === "dark" ? [88, 94, 102] : [190, 197, 204];
    for (let s = 0, at = 0; s < n; s++) {
      for (let e = 0; e < n; e++, at++) {
        const color = SHADES[Math.round((STEPS * all[at]) / highest)];
        const mixed = judge(data, s, e) === LEGAL ? color
          : settings.view === "joint" ? grey : color.map((c, i) => 0.5 * c + 0.5 * grey[i]);
        image.data.set(mixed, 4 * at);
        image.data[4 * at + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  // ---- what changes under the pointer ----

  function point() {
    const cell = pair();
    const { start, end } = cell;
    const [low, high] = [Math.min(start, end), Math.max(start, end)];
    const pinned = settings.start !== null;
    for (const node of tokens.children) {
      const place = Number(node.children[1].dataset.place);
      node.classList.toggle("be-in", place >= low && place <= high);
      node.classList.toggle("be-begins", place === start);
      node.classList.toggle("be-finishes", place === end);
      node.children[1].setAttribute("aria-pressed", pinned && (place === settings.start || place === settings.end));
    }
    for (const node of answers.children) {
      const { answer } = node.dataset;
      const [s, e] = answer === undefined ? [0, 0] : data.spans[answer].slice(1, 3);
      node.setAttribute("aria-pressed", s === start && e === end);
    }
    const first = tokens.children[low];
    if (!hover && (first.offsetTop < tokens.scrollTop || first.offsetTop + first.offsetHeight > tokens.scrollTop + tokens.clientHeight)) {
      tokens.scrollTop = first.offsetTop - 50; // what is chosen is in sight
    }
    const chosen = profile.querySelector(".be-chosen");
    chosen.setAttribute("x", low);
    chosen.setAttribute("width", high - low + 1);
    const share = 100 / size();
    Object.assign(cross.style, {
      left: `calc(${(end + 0.5) * share}% - 6px)`, top: `calc(${(start + 0.5) * share}% - 6px)`, width: "12px", height: "12px",
    });
    enlarge(cell);
    multiply(cell);
    cellLine.textContent = describe(cell);
    view.say(pinned ? `Pinned: ${describe({ start: settings.start, end: settings.end ?? settings.start })}` : null);
  }

  /** A pair as one line of text. */
  function describe(cell) {
    const { start, end } = cell;
    const why = judge(data, start, end);
    const words = wordOf(start) && wordOf(end) ? ` (${wordOf(start)}, ${wordOf(end)})` : "";
    const score = data.starts.values[start] + data.ends.values[end];
    const both = `start ${percent(shares.start[start])} × end ${percent(shares.end[end])} = ${percent(product(cell))}`;
    const none = data.no_answer && start === 0 && end === 0;
    const verdict = why === LEGAL ? `joint ${percent(joint(cell))}`
      : none ? `so is “no answer” scored: joint ${percent(data.no_answer_probability)}` : `no answer: ${why}`;
    return `“${piece(start)}” to “${piece(end)}”${words}, positions ${start} to ${end}: score ${plain(score)}; ${both}; ${verdict}`;
  }

  function enlarge({ start, end }) {
    const count = Math.min(NEAR, size());
    const [top, left] = [windowAt(start, count, size()), windowAt(end, count, size())];
    const focused = near.contains(document.activeElement);
    near.style.gridTemplateColumns = `minmax(3rem, 6.5rem) repeat(${count}, minmax(0, 1fr))`;
    const range = [...Array(count).keys()];
    const name = (place, kind, here) => element("span", {
      class: `be-axis-name be-${kind}-name${here ? " be-here" : ""}`, title: `position ${place}`,
    }, piece(place));
    near.replaceChildren(element("span", { class: "be-small" }, "start ↓ end →"),
      ...range.map((i) => name(left + i, "column", left + i === end)),
      ...range.flatMap((i) => [
        name(top + i, "row", top + i === start),
        ...range.map((j) => cellNode({ start: top + i, end: left + j }, top + i === start && left + j === end)),
      ]));
    if (focused) near.querySelector('[aria-pressed="true"]')?.focus();
  }

  function cellNode(cell, here) {
    const legal = judge(data, cell.start, cell.end) === LEGAL;
    const share = shareOf(cell);
    const color = sequential(share, highest);
    const text = share >= 0.01 ? (100 * share).toFixed(0) : "";
    const node = element("button", {
      type: "button", class: `be-cell${legal ? "" : " be-illegal"}`, "data-start": cell.start, "data-end": cell.end,
      "aria-pressed": String(here), tabindex: here ? 0 : -1, "aria-label": describe(cell),
    }, text);
    if (legal) Object.assign(node.style, { background: `rgb(${color})`, color: inkOn(color) });
    return node;
  }

  /** Start vector times the start's output, end vector times the end's, component by component. */
  function multiply({ start, end }) {
    const H = data.vectors.shape[1];
    dotsNote.textContent = `${LARGEST < H ? `the ${LARGEST} largest of ${H}` : `all ${H}`} products each`;
    dots.replaceChildren(...[["start", 0, start], ["end", 1, end]].map(([name, which, place]) => {
      const { largest, rest, others } = products(data, which, place);
      const extreme = Math.max(...largest.map(({ value: v }) => Math.abs(v)), 1e-9);
      const logit = (which ? data.ends : data.starts).values[place];
      return element("div", { class: `be-of-${name}` },
        element("h5", {}, element("span", { class: "be-swatch" }), `${name} vector · output of “${piece(place)}”`),
        productBars(largest.map(({ component, weight, output, value: v }) =>
          [v, `component ${component}: ${plain(weight)} × ${plain(output)} = ${withSign(v)}`]),
        extreme, `${largest.length} products, the largest ${withSign(largest[0].value)}; with the others they add up to ${plain(logit)}`),
        element("p", { class: "be-key" }, legend(PALETTE.diverging, withSign(-extreme), withSign(extreme))),
        element("p", { class: "be-verdict" },
          `${plain(largest.reduce((sum, { value: v }) => sum + v, 0))} from these`,
          others > 0 ? ` ${withSign(rest)} from the other ${others}` : "",
          ` ${withSign(data.biases[which])} bias = `, element("b", {}, plain(logit)),
          `; softmax over all ${size()} positions: `, element("b", {}, percent(shares[name][place])), "."));
    }));
  }

  // ---- hover shows, click pins, Escape lets go ----

  /** The places under the pointer in a picture whose sides are all positions. */
  function under({ offsetX, offsetY }, node) {
    const { width, height } = node.getBoundingClientRect();
    const place = (offset, side) => Math.max(0, Math.min(size() - 1, Math.floor((offset / side) * size())));
    return node === plane ? { start: place(offsetY, height), end: place(offsetX, width) } : { place: place(offsetX, width) };
  }

  function thingAt(event) {
    if (event.type === "focusin" && !event.target.matches?.(":focus-visible")) return null; // a click does more
    if (event.target === plane) return { node: plane, cell: under(event, plane) };
    if (profile.contains(event.target)) return { node: profile, place: under(event, profile).place };
    const node = event.target.closest?.("[data-place], [data-answer], [data-start], [data-told]");
    if (!node) return undefined;
    const { place, answer, start, end, told: text } = node.dataset;
    if (text) return { node, text };
    if (answer) return { node, cell: { start: data.spans[answer][1], end: data.spans[answer][2] } };
    if (start) return { node, cell: { start: Number(start), end: Number(end) } };
    return { node, place: Number(place) };
  }

  function show(thing) {
    if (!thing) return undefined;
    if (thing.text) return tip.show(thing.node, thing.text);
    if (thing.place !== undefined) {
      const { place } = thing;
      const word = wordOf(place) ? `, word ${wordOf(place)}` : "";
      if (thing.node !== profile) {
        return tip.show(thing.node, `“${piece(place)}”, position ${place}${word}: start ${percent(shares.start[place])}, end ${percent(shares.end[place])}`);
      }
      hover = { start: place, end: place };
      return soon(point);
    }
    tip.hide();
    if (thing.node.matches(".be-cell")) { // redrawn under the pointer, it would run away
      return tip.show(thing.node, describe(thing.cell));
    }
    if (hover?.start === thing.cell.start && hover?.end === thing.cell.end) return undefined;
    hover = thing.cell;
    return soon(point);
  }

  function hide() {
    if (!hover) return;
    hover = null;
    soon(point);
  }

  function choose({ text, cell, place }) {
    const { start, end } = settings;
    if (text) return;
    if (cell) pin(start === cell.start && end === cell.end ? NOTHING : cell);
    else if (start === null || end !== null) pin({ start: place, end: null });
    else pin({ start, end: place });
  }

  function pin(places) {
    hover = null;
    view.set({ start: places.start, end: places.end });
    tip.hide();
    point();
  }

  near.addEventListener("keydown", (event) => {
    const { start, end } = event.target.dataset;
    if (start === undefined) return;
    const down = { ArrowUp: "ArrowLeft", ArrowDown: "ArrowRight" }[event.key];
    const across = placeByKey(event.key, Number(end), size());
    const along = down && placeByKey(down, Number(start), size());
    if (across === undefined && along === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    pin({ start: along ?? Number(start), end: across ?? Number(end) });
    near.querySelector('[aria-pressed="true"]')?.focus();
  }, { signal });
  view.listen(root, { find: thingAt, show, hide, pin: choose, moves: true });
  const place = placeIn(() => data.tokens);
  const state = ofSettings(view, {
    start: place, end: place, view: oneOf(views.map(({ which }) => which)),
    threshold: numberFrom(() => Number(slider.min), () => Number(slider.max), false),
  });
  return { receive, paint, state, release: () => pin(NOTHING), recolor: drawPlane };
}
