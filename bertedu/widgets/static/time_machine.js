import {
  PALETTE, clean, defineWidget, element, judged, legend, nthOf, numberFrom, ofSettings, percent, placeIn,
  plain, plural, readable, roving, same, scaleOf, sequential, stage, svgElement, textField, told,
} from "./shared.js";

const HINT = "The slider moves through the run; a click on a token shows whom it asks, Escape lets go.";
const SHOWN = 5; // guesses of a checkpoint
const PAUSE = 1200; // ms that a checkpoint stays while the film runs

// ---- numbers ------------------------------------------------------------------------------------

/** A count of tokens in words: 1,254,000 -> "1.3 million", 31,700 -> "32 thousand". */
export function inWords(count) {
  if (count >= 999_500) return `${(count / 1e6).toFixed(1)} million`;
  return count >= 10_000 ? `${Math.round(count / 1000)} thousand` : count.toLocaleString("en");
}

/** The same for the line under the slider: "1.3M", "32k". */
export const short = (count) => inWords(count).replace(" million", "M").replace(" thousand", "k");

/**
 * Where a count of tokens stands on the line, from 0 to 1. The checkpoints stand side by side, evenly;
 * between two of them the line is logarithmic, but from the first one, which has read nothing.
 */
export function placeOf(tokens, moments) {
  const last = moments.length - 1;
  const after = moments.findIndex((moment) => moment.tokens >= tokens);
  if (after <= 0) return after ? 1 : 0;
  const [from, to] = [moments[after - 1].tokens, moments[after].tokens];
  const share = from ? Math.log(tokens / from) / Math.log(to / from) : tokens / to;
  return (after - 1 + share) / (last || 1);
}

/** Row `frame` of what is [10, U]. */
const rowOf = ({ values, shape: [, width] }, frame) => values.subarray(frame * width, (frame + 1) * width);

/** A checkpoint's first guesses for the n-th [MASK]: what they are among all words, and how likely. */
export function guessesOf(data, n, frame) {
  const probs = rowOf(data[`probs${n}`], frame);
  return Array.from(probs, (probability, i) => ({ i, token: data.words[n][i], probability }))
    .sort((one, other) => other.probability - one.probability || one.i - other.i).slice(0, SHOWN);
}

/** What token i gives to token j in one head of a checkpoint, a share. */
export function shareOf({ attention: { values, shape: [, L, A, S] } }, { frame, layer, head }, i, j) {
  return values[((((frame * L + layer - 1) * A + head - 1) * S + i) * S + j)] / 255;
}

/** The largest share of one head, in all checkpoints: there its colour is darkest. */
function largest({ attention: { values, shape: [N, L, A, S] } }, { layer, head }) {
  let most = 0;
  for (let frame = 0; frame < N; frame++) {
    const start = ((frame * L + layer - 1) * A + head - 1) * S * S;
    for (const value of values.subarray(start, start + S * S)) most = Math.max(most, value);
  }
  return most / 255;
}

// ---- in words -----------------------------------------------------------------------------------

const quoted = (token) => `“${clean(token)}”`;
const whole = (share) => `${Math.round(100 * share)} %`;

/** How far the run is, and how it guesses then. */
export function describeMoment({ moments }, frame) {
  const { steps, tokens, mlm_loss: loss } = moments[frame];
  return `Checkpoint ${frame + 1} of ${moments.length}: step ${steps.toLocaleString("en")} of ` +
    `${moments.at(-1).steps.toLocaleString("en")}, ${inWords(tokens)} tokens read. Held-out loss ${plain(loss)} nats: ` +
    `as unsure as a choice among ${plural(Math.round(Math.exp(loss)), "piece")}.`;
}

/** To whom a token gives most in the head that is shown. */
export function describeToken(data, settings, i) {
  const shares = data.tokens.map((token, j) => ({ token, j, share: shareOf(data, settings, i, j) }))
    .sort((one, other) => other.share - one.share || one.j - other.j).slice(0, 3);
  return `${quoted(data.tokens[i])} (position ${i}) gives ` +
    `${shares.map(({ token, share }) => `${quoted(token)} ${whole(share)}`).join(", ")}.`;
}

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  kind: "TimeMachine", name: "be-time-machine", label: "Time machine", picture: "time_machine", hint: HINT, build,
  fixed: "the sentences are",
  fields: () => [
    textField("text", "Sentence", "Segment A", { placeholder: "with a [MASK]" }),
    textField("pair", "Second sentence", "Segment B", { placeholder: "optional", optional: true }),
  ],
  pins: { token: ({ tokens }) => tokens.length },
});

const bytesOf = (text) => new DataView(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);

function build(view) {
  const { root, signal, data, settings, tip, model, button } = view;
  const film = model.get("film");
  const { moments } = film;
  const last = moments.length - 1;
  const answers = model.get("answers") ?? []; // in a page without Python
  let timer = null; // of the next checkpoint, while the film runs

  // ---- what is asked ----

  const presets = model.get("presets").map(([one, two]) => button(
    two ? [element("span", {}, one), " ", element("span", {}, two)] : one, () => ask([one, two]),
    { class: "be-button be-preset" }));

  /** Asks for a preset: of a page that has the answer, or else of what answers. */
  function ask(asked) {
    view.fields.forEach(({ write }, i) => write(asked[i]));
    const known = answers.find((answer) => same(answer.asked, asked));
    if (!known) {
      view.fields[0].box.dispatchEvent(new Event("input"));
      return;
    }
    const [text, pair] = asked;
    model.set({ text, pair, settings: { ...settings, token: null }, data: bytesOf(known.data) });
    model.save_changes();
  }

  // ---- the film: curve, needle, slider ----

  const change = (some) => {
    stop();
    view.change(some);
  };
  const playing = button("▶ Play", play, { class: "be-button be-play" });
  const slider = element("input", {
    type: "range", min: 0, max: last, step: 1, class: "be-slider", "aria-label": "Checkpoint",
    on: { input: () => change({ frame: slider.valueAsNumber }) }, signal,
  });
  const needle = element("span", { class: "be-needle" });
  const dots = moments.map(() => element("span", { class: "be-dot" }));
  const now = element("p", { class: "be-now" });
  const ticks = moments.map(({ tokens }) => element("span", { class: "be-tick" }, short(tokens)));
  const plot = curve();
  plot.append(...dots, needle);
  plot.addEventListener("click", ({ clientX }) => {
    const { left, width } = plot.getBoundingClientRect();
    change({ frame: Math.min(last, Math.max(0, Math.round((last * (clientX - left)) / width))) });
  }, { signal });
  ticks.forEach((tick, i) => { tick.style.left = `${(100 * i) / (last || 1)}%`; });

  /** The loss over the run: a line while it learned, a dot for each checkpoint on held-out text. */
  function curve() {
    const all = [...film.curve.map(([, loss]) => loss), ...moments.map((moment) => moment.mlm_loss), film.unigram_loss];
    const [low, high] = [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))];
    const down = (loss) => (100 * (high - loss)) / (high - low);
    const points = film.curve.map(([tokens, loss]) => `${(1000 * placeOf(tokens, moments)).toFixed(1)} ${down(loss).toFixed(2)}`);
    const level = down(film.unigram_loss);
    moments.forEach((moment, i) => {
      dots[i].style.left = `${(100 * i) / (last || 1)}%`;
      dots[i].style.top = `${down(moment.mlm_loss)}%`;
    });
    return element("div", {
      class: "be-plot", role: "img",
      "aria-label": `The loss of masked words falls from ${plain(moments[0].mlm_loss)} to ${plain(moments[last].mlm_loss)} nats; ` +
        `who knows only how often each piece occurs has ${plain(film.unigram_loss)}`,
    },
    svgElement("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" },
      svgElement("path", { class: "be-level", d: `M0 ${level}H1000` }),
      svgElement("path", { class: "be-loss", d: `M${points.join("L")}` })),
    element("span", { class: "be-end be-high", "aria-hidden": "true" }, `${high} nats`),
    element("span", { class: "be-end be-low", "aria-hidden": "true" }, String(low)),
    element("span", { class: "be-end be-baseline", "aria-hidden": "true", style: `top:${level}%` }, "counts only"));
  }

  // ---- guesses, verdict, attention ----

  const results = element("div", { class: "be-results" });
  const key = element("p", { class: "be-key" });
  const verdict = element("div", { class: "be-judged" });
  const trusted = element("p", { class: "be-key" });
  const choice = (name, title) => {
    const box = element("select", { class: "be-select", on: { change: () => change({ [name]: Number(box.value) }) }, signal });
    return { box, label: element("label", {}, `${title} `, box) };
  };
  const [layer, head] = [choice("layer", "Layer"), choice("head", "Head")];
  const matrix = element("div", { class: "be-matrix" });
  const shades = element("p", { class: "be-key" });
  root.append(
    element("p", { class: "be-key be-about" }, `This is ${film.about}; it read ${inWords(moments[last].tokens)} tokens in all.`),
    element("div", { class: "be-presets", role: "group", "aria-label": "Examples" }, presets),
    view.inputs("be-sentences-two"), view.status,
    element("div", { class: "be-film", role: "group", "aria-label": "The film" },
      playing, element("div", { class: "be-reel" }, plot, slider,
        element("div", { class: "be-ticks", "aria-hidden": "true" }, ticks))),
    now,
    element("p", { class: "be-key" }, "Under the slider: the tokens read. The line is the loss while the model learned; a dot, on text that it never read."),
    element("div", { class: "be-scene" },
      element("div", { class: "be-said" }, results, key, verdict),
      stage("What one head looks at", "a row asks, and its shares sum to 100 %",
        element("div", { class: "be-set" }, layer.label, head.label), matrix, shades)),
    view.foot());

  let races = []; // for each [MASK], its rows, which `paint` moves
  let judge = null; // the two rows of the verdict
  let names = [];
  let cells = [];

  function receive() {
    stop();
    view.renew();
    races = data.words.map((words) => words.map((token) => {
      const row = {
        rank: element("span", { class: "be-rank" }), fill: element("span", { class: "be-fill" }),
        percent: element("span", { class: "be-percent" }),
      };
      row.node = element("div", { class: "be-row" }, row.rank, element("bdi", { class: "be-name" }, readable(token)),
        element("span", { class: "be-track" }, row.fill), row.percent);
      return row;
    }));
    results.replaceChildren(...races.map((rows, n) => {
      const final = guessesOf(data, n, last)[0];
      rows[final.i].node.classList.add("be-final");
      const before = data.tokens[data.positions[n] - 1];
      return element("div", { class: "be-place" },
        element("h4", {}, element("span", { class: "be-mask-name" }, nameOf(n)), element("span", { class: "be-note" },
          ["[CLS]", "[SEP]"].includes(before) ? "the first word" : `after ${quoted(before)}`)),
        element("div", { class: "be-race", role: "img" }, rows.map(({ node }) => node)));
    }));
    judge = data.follows && ["follows", "random"].map((name) => {
      const row = { fill: element("span", { class: "be-fill" }), percent: element("span", { class: "be-percent" }) };
      row.node = element("div", { class: "be-row" }, element("span", { class: "be-rank" }),
        element("span", { class: "be-name" }, name), element("span", { class: "be-track" }, row.fill), row.percent);
      return row;
    });
    verdict.replaceChildren(...(judge ? [stage("Does the second sentence follow the first?", "",
      element("div", { class: "be-pair", role: "img" }, judge.map(({ node }) => node)), trusted)] : []));
    const [L, A] = data.heads;
    for (const [{ box }, count] of [[layer, L], [head, A]]) {
      box.replaceChildren(...Array.from({ length: count }, (_, n) => element("option", { value: n + 1 }, String(n + 1))));
    }
    names = data.tokens.map((token, i) => element("button", { type: "button", class: "be-name", "data-row": i }, element("bdi", {}, clean(token))));
    cells = data.tokens.map((_, i) => data.tokens.map((__, j) => element("span", { class: "be-cell", "data-row": i, "data-column": j })));
    const S = data.tokens.length;
    matrix.style.gridTemplateColumns = `minmax(4.2rem, max-content) repeat(${S}, minmax(5px, 1fr))`;
    matrix.style.maxWidth = `calc(7rem + ${31 * S}px)`;
    const rows = element("div", { class: "be-names", role: "toolbar", "aria-label": "Tokens that ask", "aria-orientation": "vertical" }, names);
    rows.style.gridRow = `2 / span ${S}`;
    matrix.replaceChildren(element("span", {}),
      ...data.tokens.map((token) => element("span", { class: "be-top", "aria-hidden": "true" }, element("bdi", {}, clean(token)))),
      rows, ...cells.flat());
    roving(rows, view.painting);
    return data.positions.length ? "" : "There is no [MASK] in it: write [MASK] where a word is to be guessed.";
  }

  const nameOf = (n) => `[MASK]${data.positions.length > 1 ? ` ${n + 1}` : ""}`;

  function paint() {
    const { frame } = settings;
    for (const [i, asked] of model.get("presets").entries()) {
      presets[i].setAttribute("aria-pressed", String(same(asked, data.asked)));
    }
    playing.textContent = timer === null ? "▶ Play" : "■ Stop";
    slider.value = String(frame);
    const words = describeMoment(film, frame);
    slider.setAttribute("aria-valuetext", words);
    now.textContent = words;
    needle.style.left = `${(100 * frame) / (last || 1)}%`;
    [dots, ticks].forEach((marks) => marks.forEach((mark, i) => mark.classList.toggle("be-here", i === frame)));
    const all = races.flatMap((_, n) => moments.flatMap((__, each) => guessesOf(data, n, each).map((guess) => guess.probability)));
    const scale = scaleOf(all);
    races.forEach((rows, n) => {
      const first = guessesOf(data, n, frame);
      const probs = rowOf(data[`probs${n}`], frame);
      rows.forEach((row, i) => {
        const rank = first.findIndex((guess) => guess.i === i);
        row.node.classList.toggle("be-out", rank < 0);
        row.node.style.setProperty("--rank", rank < 0 ? SHOWN : rank);
        row.rank.textContent = rank < 0 ? "" : `${rank + 1}.`;
        fill(row, probs[i], scale);
      });
      results.children[n].lastChild.setAttribute("aria-label", `${nameOf(n)}: ` +
        first.map(({ token, probability }, i) => `${i + 1}. ${clean(token)} ${told(probability)}`).join(", "));
    });
    key.textContent = races.length ? `A bar's whole length is ${100 * scale} %. The word in bold comes first at the end of the run.` : "";
    if (judge) {
      const follows = data.follows[frame];
      [follows, 1 - follows].forEach((share, i) => fill(judge[i], share, 1));
      verdict.querySelector(".be-pair").setAttribute("aria-label", judged(follows));
      trusted.textContent = `This checkpoint judges ${percent(moments[frame].nsp_accuracy)} of held-out pairs rightly; a coin, 50 %.`;
    }
    paintAttention();
    light();
  }

  function fill(row, probability, scale) {
    row.fill.style.width = `${(100 * probability) / scale}%`;
    row.fill.style.background = `rgb(${sequential(probability, scale)})`;
    row.percent.textContent = told(probability).replace("under ", "< ");
  }

  function paintAttention() {
    layer.box.value = String(settings.layer);
    head.box.value = String(settings.head);
    const most = Math.max(0.01, largest(data, settings));
    cells.forEach((row, i) => row.forEach((cell, j) => {
      cell.style.background = `rgb(${sequential(shareOf(data, settings, i, j), most)})`;
    }));
    names.forEach((name, i) => {
      name.setAttribute("aria-pressed", String(i === settings.token));
      name.setAttribute("aria-label", describeToken(data, settings, i));
    });
    shades.replaceChildren(legend(PALETTE.sequential, "0 %", whole(most)));
  }

  /** The first guesses and the verdict, or what is pinned, as one line. */
  function light() {
    const { frame, token } = settings;
    matrix.querySelectorAll("[data-row]").forEach((node) => node.classList.toggle("be-lit", Number(node.dataset.row) === token));
    if (token !== null) {
      view.say(describeToken(data, settings, token));
      return;
    }
    const seen = races.map((_, n) => {
      const [best] = guessesOf(data, n, frame);
      return `${nameOf(n)}: ${quoted(best.token)} ${told(best.probability)}.`;
    });
    if (judge) seen.push(judged(data.follows[frame]));
    view.say(seen.length ? `Step ${moments[frame].steps.toLocaleString("en")}: ${seen.join(" ")}` : null);
  }

  // ---- playing ----

  function play() {
    if (timer !== null) {
      change({});
      return;
    }
    const next = (frame) => {
      timer = frame < last ? setTimeout(() => next(frame + 1), PAUSE) : null;
      view.change({ frame });
    };
    next(settings.frame < last ? settings.frame + 1 : 0);
  }

  function stop() {
    clearTimeout(timer);
    timer = null;
  }

  // ---- hover shows, click pins, Escape lets go ----

  view.listen(matrix, {
    find({ target }) {
      const node = target.closest?.("[data-row]");
      return node ? { node, i: Number(node.dataset.row), j: node.dataset.column } : undefined;
    },
    show({ node, i, j }) {
      tip.show(node, j === undefined ? describeToken(data, settings, i)
        : `${quoted(data.tokens[i])} gives ${quoted(data.tokens[j])} ${whole(shareOf(data, settings, i, Number(j)))}`);
    },
    hide() {},
    pin: ({ i }) => change({ token: i === settings.token ? null : i }),
  });
  root.addEventListener("keydown", (event) => { // JupyterLab takes the arrow keys
    if (event.key !== "Escape" && event.target.matches("select")) event.stopPropagation();
  }, { signal });
  const count = (side) => () => data.heads[side];
  const state = ofSettings(view, {
    frame: nthOf(() => moments.length), layer: numberFrom(1, count(0)), head: numberFrom(1, count(1)),
    token: placeIn(() => data.tokens),
  });
  return { receive, paint, state, release: () => change({ token: null }), end: stop };
}
