import {
  PALETTE, clean, defineWidget, element, heading, inkOn, legend, numberFrom, ofSettings, oneOf, percent, placeIn,
  plural, probabilityRow, readable, roving, sequential, stage, textFields,
} from "./shared.js";
import { OUTSIDE, mend, slotsOf } from "./rules/bio.js";

const IGNORED = "−100";
const FEW = 3; // labels of a word that are told on its card
const HINT = "Hover shows a word's labels, a click pins it and lets you flip its label, Escape lets go.";

/** A word's labels with their probabilities, the likeliest first. */
export function rankLabels({ labels, probabilities }, word) {
  const K = labels.length;
  return labels.map((label, k) => ({ label, share: probabilities.values[word * K + k] }))
    .sort((a, b) => b.share - a.share);
}

/** Why a tag is not allowed after another, in words. */
export function reason(tag, before) {
  return before === undefined ? `${tag} at the beginning continues nothing`
    : `${tag} after ${before} continues nothing`;
}

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  kind: "TokenTagger", name: "be-token-tagger", label: "Token tagger", picture: "slots", hint: HINT, build,
  fields: () => textFields().slice(0, 1),
  pins: { word: ({ words }) => words.length },
});

function build(view) {
  const { root, data, settings, change, tip } = view;
  const cards = element("div", { class: "be-cards", role: "toolbar", "aria-label": "Words" });
  const key = element("p", { class: "be-key" });
  const slots = element("div", { class: "be-slots" });
  const verdict = element("p", { class: "be-verdict", "aria-live": "polite" });
  const detail = element("div", { class: "be-stage be-detail" });
  const intents = element("div", { class: "be-stage" });
  const reset = view.button("The model's own labels", () => change({ flips: {} }));
  root.append(
    view.inputs("be-one"), view.status,
    stage("Each word's label", `a word's first piece is asked; its other pieces have no label (${IGNORED})`,
      cards, key),
    stage("What decoding makes of the labels", "B- begins a slot, I- continues it, O is outside",
      slots, verdict),
    detail, intents, view.foot(reset),
  );

  let tags = []; // before decoding: the likeliest, or what the reader flipped
  let decoded = { legal: [], mended: [] };
  let hover = null;

  function receive() {
    hover = null;
    return data.words.length ? "" : "No word yet: type one.";
  }

  function flip(word, label) {
    const flips = { ...settings.flips, [word]: label };
    if (label === data.likeliest[word]) delete flips[word];
    change({ flips });
  }

  // ---- the picture ----

  function paint() {
    const focused = [cards, detail].map((box) => [...box.querySelectorAll("button")].indexOf(document.activeElement));
    view.renew();
    tags = data.words.map((_, w) => settings.flips[w] ?? data.likeliest[w]);
    decoded = mend(tags);
    cards.replaceChildren(...data.words.map((_, w) => card(w)));
    if (cards.children.length) roving(cards, view.painting);
    key.replaceChildren(legend(PALETTE.sequential, "0 %", "100 %"), " a label's probability; ",
      element("b", {}, "✗"), " an I- that continues nothing, ", element("b", {}, "✎"), " flipped by you");
    drawSlots();
    const { intent } = data;
    intents.hidden = !intent;
    intents.replaceChildren(...(intent ? [
      heading("The intent", "of the whole sentence, from [CLS]"),
      ...[...intent].sort(([, a], [, b]) => b - a).slice(0, 5).map(([label, share]) => probabilityRow("div", {}, label, share)),
    ] : []));
    reset.hidden = !Object.keys(settings.flips).length;
    drawDetail();
    [cards, detail].forEach((box, n) => box.querySelectorAll("button")[focused[n]]?.focus());
    point();
  }

  function card(w) {
    const pieces = data.pieces[w];
    const broken = decoded.mended.includes(w);
    const flipped = w in settings.flips;
    const best = rankLabels(data, w);
    const share = best.find(({ label }) => label === tags[w])?.share ?? 0;
    const color = sequential(share);
    const label = broken
      ? [element("s", {}, readable(tags[w])), ` ✗ ${readable(decoded.legal[w])}`]
      : readable(tags[w]);
    return element("button", {
      type: "button", "data-word": w, "aria-pressed": String(w === settings.word),
      class: `be-card${tags[w] === OUTSIDE ? "" : " be-inside"}${broken ? " be-broken" : ""}`,
      "aria-description": describe(w),
    },
    element("span", { class: "be-pieces" }, (pieces.length ? pieces : [data.words[w]]).map((piece, n) =>
      element("span", { class: `be-chip be-segment-a${n ? " be-continues" : ""}` },
        element("span", { class: "be-piece" },
          n > 0 && piece.startsWith("##") && element("span", { class: "be-dim" }, "##"),
          clean(n > 0 && piece.startsWith("##") ? piece.slice(2) : piece)),
        element("span", { class: "be-small" }, n ? IGNORED : pieces.length ? "label" : "no piece")))),
    element("span", { class: "be-tag", style: `background:rgb(${color});color:${inkOn(color)}` },
      element("bdi", {}, label), flipped && " ✎"),
    best.slice(0, FEW).map(({ label: name, share: p }) => element("span", { class: "be-few" },
      element("bdi", {}, readable(name)), element("span", {}, percent(p)))));
  }

  function drawSlots() {
    const letters = Array.from(data.shown); // Python counts a pair of surrogates as one
    const cut = (start, end) => letters.slice(start, end).join("");
    const found = slotsOf(data.offsets, decoded.legal);
    const parts = [];
    let at = 0;
    for (const slot of found) {
      parts.push(element("span", {}, readable(cut(at, slot.start))));
      parts.push(element("span", { class: "be-slot", "data-first": slot.first, "data-last": slot.last },
        element("bdi", { class: "be-slot-text" }, readable(cut(slot.start, slot.end))),
        element("span", { class: "be-slot-label" }, readable(slot.label))));
      at = slot.end;
    }
    parts.push(element("span", {}, readable(cut(at))));
    slots.replaceChildren(...parts);
    const count = found.length ? `${plural(found.length, "slot")}: ${found.map(({ label, start, end, first, last }) =>
      `${label} “${cut(start, end)}” (${first === last ? `word ${first + 1}` : `words ${first + 1} to ${last + 1}`}, characters ${start} to ${end})`).join("; ")}.`
      : "No slot: every word is O.";
    const broken = decoded.mended.map((w) => ` ✗ ${reason(tags[w], tags[w - 1])}, so it is read as ${decoded.legal[w]}.`);
    verdict.textContent = readable(count + broken.join(""));
  }

  function drawDetail() {
    const word = settings.word;
    if (word === null) {
      detail.replaceChildren(heading("One word's labels",
        "click a word: you see all its labels, and can give it another"));
      return;
    }
    const rows = element("div", { class: "be-choices", role: "toolbar", "aria-label": "Labels" },
      rankLabels(data, word).map(({ label, share }) => probabilityRow("button", {
        type: "button", "aria-pressed": String(label === tags[word]),
        on: { click: () => flip(word, label) }, signal: view.painting,
      }, label, share)));
    roving(rows, view.painting);
    detail.replaceChildren(
      heading(`The labels of “${clean(data.words[word])}”`,
        "they sum to 100 %; click one to flip the word's label to it"),
      rows);
  }

  /** One word as one line of text. */
  function describe(w) {
    const [best, second] = rankLabels(data, w);
    const pieces = data.pieces[w].map(clean);
    const split = pieces.length > 1 ? `, pieces ${pieces.join(" ")}: only ${pieces[0]} is asked` : "";
    const next = second ? `, then ${second.label} ${percent(second.share)}` : "";
    const flipped = w in settings.flips ? `; flipped to ${tags[w]}` : "";
    const broken = decoded.mended.includes(w) ? `; ${reason(tags[w], tags[w - 1])}: read as ${decoded.legal[w]}` : "";
    return readable(`“${data.words[w]}” (word ${w + 1}): ${best.label} ${percent(best.share)}${next}${split}${flipped}${broken}`);
  }

  // ---- hover shows, click pins, Escape lets go ----

  const wordAt = ({ target }) => {
    const word = target.closest?.("[data-word]")?.dataset.word;
    return word && Number(word);
  };

  function point() {
    const lit = hover ?? settings.word;
    for (const node of cards.children) node.classList.toggle("be-pointed", Number(node.dataset.word) === lit);
    for (const node of slots.querySelectorAll(".be-slot")) {
      node.classList.toggle("be-lit", lit !== null && lit >= node.dataset.first && lit <= node.dataset.last);
    }
    view.say(settings.word === null ? null : `Pinned: ${describe(settings.word)}`);
  }

  view.listen(cards, {
    find: wordAt,
    show: (word) => {
      hover = word;
      point();
      tip.show(cards.children[word], describe(word));
    },
    hide: () => {
      hover = null;
      point();
    },
    pin: (word) => change({ word: word === settings.word ? null : word }),
  });

  function release() {
    hover = null;
    change({ word: null });
  }

  /** Flipped labels, as "2.I-city,3.O": a word's number and its label. */
  const flips = {
    parse: (text) => Object.fromEntries(text.split(",").map((part) => {
      const [, word, label] = part.match(/^(\d+)\.(.*)$/) ?? [];
      return [numberFrom(1, data.words.length).parse(word) - 1, oneOf(data.labels).parse(label)];
    })),
    format: (all) => Object.entries(all).map(([word, label]) => `${Number(word) + 1}.${label}`).join(","),
    isSwitch: true,
  };
  const state = ofSettings(view, { word: placeIn(() => data.words), flips });
  return { receive, paint, state, release };
}
