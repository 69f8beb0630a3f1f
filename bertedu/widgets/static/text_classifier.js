import {
  PALETTE, chip, clean, defineWidget, diverging, element, inkOn, legend, ofSettings, onOff, oneOf, percent, placeIn,
  probabilityRow, roving, stage, textFields,
} from "./shared.js";

const HINT = "Hover shows a word's effect, a click pins it, Escape lets go.";
const NOTHING = 0.0005; // an effect that is told as 0.0 percentage points

// ---- numbers ------------------------------------------------------------------------------------

/** What a word does to a label's probability: the probability minus the one without the word. */
export function effectsOf({ probabilities, without }, label) {
  const K = probabilities.values.length;
  return Array.from({ length: without.shape[0] }, (_, w) =>
    probabilities.values[label] - without.values[w * K + label]);
}

/** The place of the largest value; the first of equals. */
export const largest = (values) => values.indexOf(Math.max(...values));

/** An effect in percentage points: 0.1234 -> "+12.3". */
export const points = (effect) =>
  (Math.abs(effect) < NOTHING ? "0.0" : `${effect < 0 ? "−" : "+"}${Math.abs(100 * effect).toFixed(1)}`);

/** Ranks from 1; equal values share the mean of theirs. */
export function ranks(values) {
  const order = [...values.keys()].sort((a, b) => values[a] - values[b]);
  const all = [];
  for (let start = 0, end; start < order.length; start = end) {
    for (end = start; end < order.length && values[order[end]] === values[order[start]];) end += 1;
    for (let at = start; at < end; at++) all[order[at]] = (start + end + 1) / 2;
  }
  return all;
}

/** Spearman's rank correlation, from -1 to 1; NaN where one side does not vary. */
export function spearman(one, other) {
  const [a, b] = [ranks(one), ranks(other)];
  const mean = (one.length + 1) / 2;
  const sum = (f) => a.reduce((total, _, i) => total + f(a[i] - mean, b[i] - mean), 0);
  return sum((x, y) => x * y) / Math.sqrt(sum((x) => x * x) * sum((_, y) => y * y));
}

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  kind: "TextClassifier", name: "be-text-classifier", label: "Text classifier", picture: "classified", hint: HINT, build,
  fields: () => textFields().slice(0, 1),
  pins: { word: ({ words }) => words.length },
});

function build(view) {
  const { root, data, settings, change, tip } = view;
  const labels = element("div", { class: "be-labels", role: "toolbar", "aria-label": "Labels" });
  const words = element("div", { class: "be-chips", dir: "auto", role: "toolbar", "aria-label": "Words" });
  const title = element("h4", {});
  const scale = element("p", { class: "be-key" });
  const verdict = element("p", { class: "be-verdict" });
  const attention = view.check("compare with attention from [CLS]", (on) => change({ attention: on }));
  const compared = element("p", { class: "be-verdict" });
  root.append(
    view.inputs("be-one"), view.status,
    stage("What the text is taken for", "choose the label that is to be explained", labels),
    element("div", { class: "be-stage" }, title, words, scale, verdict, attention.label, compared),
    view.foot(),
  );

  let effects = []; // of each word, on the label that is explained

  const K = () => data.labels.length;
  const labelToExplain = () => {
    const chosen = data.labels.indexOf(settings.label);
    return chosen < 0 ? largest(data.probabilities.values) : chosen;
  };

  const receive = () => (data.words.length ? ""
    : "No word yet: type one. The label is what the model says of nothing.");

  // ---- the picture ----

  function paint() {
    const focused = [labels, words].map((row) => [...row.querySelectorAll("button")].indexOf(document.activeElement));
    view.renew();
    const label = labelToExplain();
    effects = effectsOf(data, label);
    const extreme = Math.max(0, ...effects.map(Math.abs));
    labels.replaceChildren(...data.labels.map((name, k) => bar(name, k, label)));
    title.replaceChildren(`What each word adds to the probability of “${clean(data.labels[label])}”`,
      element("span", { class: "be-note" }, "in percentage points: with the word minus without it"));
    words.replaceChildren(...data.words.map((word, w) => {
      const node = chip({
        token: word, segment: 0, note: [points(effects[w]), settings.attention && percent(data.attention.values[w])].filter(Boolean),
      }, { "aria-description": describe(w) });
      const color = diverging(effects[w], extreme);
      Object.assign(node.firstChild.style, { backgroundColor: `rgb(${color})`, color: inkOn(color) });
      return node;
    }));
    for (const row of [labels, words]) if (row.children.length) roving(row, view.painting);
    [labels, words].forEach((row, n) => row.querySelectorAll("button")[focused[n]]?.focus());
    scale.replaceChildren(
      legend(PALETTE.diverging, points(-extreme || -NOTHING), `${points(extreme)} percentage points`),
      "; red, +: the word speaks for the label; blue, −: against it");
    verdict.textContent = describeExtremes(effects, label);
    attention.box.checked = settings.attention;
    compared.hidden = !settings.attention || !data.words.length;
    compared.textContent = compared.hidden ? "" : describeComparison();
    for (const node of [scale, verdict, attention.label]) node.hidden = !data.words.length;
    pin(settings.word);
  }

  const bar = (name, k, label) => probabilityRow("button", {
    type: "button", "aria-pressed": String(k === label),
    on: { click: () => change({ label: name }) }, signal: view.painting,
  }, name, data.probabilities.values[k]);

  function describeExtremes(all, label) {
    const name = clean(data.labels[label]);
    const most = all.indexOf(Math.max(...all));
    const least = all.indexOf(Math.min(...all));
    const of = (w) => `“${clean(data.words[w])}” ${points(all[w])}`;
    const found = [];
    if (all[most] >= NOTHING) found.push(`Most for “${name}”: ${of(most)}.`);
    if (all[least] <= -NOTHING) found.push(`Most against it: ${of(least)}.`);
    return found.join(" ") || `No word alone changes the probability of “${name}” by 0.1 points.`;
  }

  function describeComparison() {
    const shares = [...data.attention.values];
    const rest = 1 - shares.reduce((sum, share) => sum + share, 0);
    const rho = spearman(effects.map(Math.abs), shares);
    const alike = Number.isNaN(rho) ? "with so little to compare, no order shows"
      : `rank correlation ${rho.toFixed(2).replace("-", "−")} (1: the same order, 0: none)`;
    return `Second line: the last layer's attention from [CLS], mean of its heads; the other ${percent(rest)} `
      + `goes to [CLS] and [SEP]. Size of the effects against attention: ${alike}. `
      + "Attention says where a layer looks, not what the answer hangs on.";
  }

  /** One word's effect on every label, as one line of text. */
  function describe(w) {
    const each = data.labels.map((name, k) => {
      const [p, q] = [data.probabilities.values[k], data.without.values[w * K() + k]];
      return `${clean(name)} ${percent(q)} instead of ${percent(p)}`;
    });
    const seen = settings.attention ? `; attention from [CLS] ${percent(data.attention.values[w])}` : "";
    const more = each.length > 4 ? [each[labelToExplain()]] : each;
    return `without “${clean(data.words[w])}” (word ${w + 1}): ${more.join(", ")}${seen}`;
  }

  // ---- hover shows, click pins, Escape lets go ----

  const wordAt = ({ target }) => {
    const place = [...words.children].indexOf(target.closest?.(".be-chip"));
    return place < 0 ? undefined : place;
  };

  function light(word) {
    [...words.children].forEach((node, w) => node.classList.toggle("be-target", w === word));
  }

  function pin(word) {
    [...words.children].forEach((node, w) => node.setAttribute("aria-pressed", w === word));
    view.say(word === null ? null : `Pinned: ${describe(word)}`);
    light(word);
  }

  function choose(word) {
    view.set({ word });
    pin(word);
  }

  view.listen(words, {
    find: wordAt,
    show: (word) => {
      light(word);
      tip.show(words.children[word], describe(word));
    },
    hide: () => light(settings.word),
    pin: (word) => choose(word === settings.word ? null : word),
  });
  const state = ofSettings(view, {
    label: oneOf(() => data.labels), word: placeIn(() => data.words), attention: onOff,
  });
  return { receive, paint, state, release: () => choose(null) };
}
