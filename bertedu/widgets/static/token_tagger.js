import {
  PALETTE, asking, clean, element, followTheme, hasKernel, inkOn, legend, percent, plural, probabilityRow,
  readable, roving, saveButton, sequential, telling, textFields, tooltip, unpack,
} from "./shared.js";

const IGNORED = "−100";
const OUTSIDE = "O";
const FEW = 3; // labels of a word that are told on its card
const HINT = "Hover shows a word's labels, a click pins it and lets you flip its label, Escape lets go.";

// ---- decoding, as in bertedu/finetuning/slot_filling.py ------------------------------------------------

/** Legal BIO tags, and where they differ: an I- that continues nothing begins a slot. */
export function mend(tags) {
  const broken = tags.map((tag, i) => tag.startsWith("I-") && (tags[i - 1] ?? OUTSIDE).slice(2) !== tag.slice(2));
  return {
    legal: tags.map((tag, i) => (broken[i] ? `B-${tag.slice(2)}` : tag)),
    mended: [...tags.keys()].filter((i) => broken[i]),
  };
}

/** The slots that legal tags mark: label, characters and words of each. */
export function slotsOf(offsets, tags) {
  const slots = [];
  tags.forEach((tag, word) => {
    const [start, end] = offsets[word];
    if (tag.startsWith("B-")) slots.push({ label: tag.slice(2), start, end, first: word, last: word });
    else if (tag.startsWith("I-")) Object.assign(slots.at(-1), { end, last: word });
  });
  return slots;
}

/** A word's labels with their probabilities, the likeliest first. */
export function ranked({ labels, probabilities }, word) {
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

function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const root = element("section", {
    class: "bertedu be-token-tagger",
    "aria-label": "Token tagger",
    "data-lm-suppress-shortcuts": "true", // the arrow keys are ours, not the notebook's
  });
  el.append(root);
  followTheme(root, signal);

  const status = element("p", { class: "be-status", role: "status" });
  const fields = textFields().slice(0, 1);
  const cards = element("div", { class: "be-cards", role: "toolbar", "aria-label": "Words" });
  const key = element("p", { class: "be-key" });
  const slots = element("div", { class: "be-slots" });
  const verdict = element("p", { class: "be-verdict", "aria-live": "polite" });
  const detail = element("div", { class: "be-stage be-detail" });
  const intents = element("div", { class: "be-stage" });
  const line = element("p", { class: "be-line", role: "status" }, HINT);
  const reset = element("button", {
    type: "button", class: "be-button", on: { click: () => change({ flips: {} }) }, signal,
  }, "The model's own labels");
  const save = saveButton(() => model.get("picture"), "slots.svg", signal);
  if (!hasKernel(model)) save.title = "as Python drew it, before a label was flipped";
  root.append(
    element("div", { class: "be-inputs be-one" }, fields.map(({ label }) => label)),
    status,
    element("div", { class: "be-stage" },
      element("h4", {}, "Each word's label", element("span", { class: "be-note" },
        `a word's first piece is asked; its other pieces have no label (${IGNORED})`)),
      cards, key),
    element("div", { class: "be-stage" },
      element("h4", {}, "What decoding makes of the labels", element("span", { class: "be-note" },
        "B- begins a slot, I- continues it, O is outside")),
      slots, verdict),
    detail, intents,
    element("div", { class: "be-foot" }, line, reset, save),
  );
  const tip = tooltip(root);

  let data;
  let settings;
  let tags = []; // before decoding: the likeliest, or what the reader flipped
  let decoded = { legal: [], mended: [] };
  let hover = null;
  let picturing = new AbortController();
  const settled = asking({ model, root, status, fields, signal });

  function answered() {
    data = unpack(model.get("data"));
    settings = { ...data.first, ...model.get("settings") };
    if (settings.word >= data.words.length) settings.word = null;
    hover = null;
    settled(data, data.words.length ? "" : "No word yet: type one.");
    paint();
  }

  const tell = telling(model, () => settings, signal);

  function change(some) {
    settings = { ...settings, ...some };
    tell();
    paint();
  }

  function followed() {
    const theirs = model.get("settings");
    if (JSON.stringify(theirs) === JSON.stringify(settings)) return;
    settings = { ...settings, ...theirs };
    paint();
  }

  function flip(word, label) {
    const flips = { ...settings.flips, [word]: label };
    if (label === data.likeliest[word]) delete flips[word];
    change({ flips });
  }

  // ---- the picture ----

  function paint() {
    const focused = [cards, detail].map((box) => [...box.querySelectorAll("button")].indexOf(document.activeElement));
    picturing.abort();
    picturing = new AbortController();
    tip.hide();
    tags = data.words.map((_, w) => settings.flips[w] ?? data.likeliest[w]);
    decoded = mend(tags);
    cards.replaceChildren(...data.words.map((_, w) => card(w)));
    if (cards.children.length) roving(cards, picturing.signal);
    key.replaceChildren(legend(PALETTE.sequential, "0 %", "100 %"), " a label's probability; ",
      element("b", {}, "✗"), " an I- that continues nothing, ", element("b", {}, "✎"), " flipped by you");
    decode();
    const { intent } = data;
    intents.hidden = !intent;
    intents.replaceChildren(...(intent ? [
      element("h4", {}, "The intent", element("span", { class: "be-note" }, "of the whole sentence, from [CLS]")),
      ...[...intent].sort(([, a], [, b]) => b - a).slice(0, 5).map(([label, share]) => probabilityRow("div", {}, label, share)),
    ] : []));
    reset.hidden = !Object.keys(settings.flips).length;
    detailed();
    [cards, detail].forEach((box, n) => box.querySelectorAll("button")[focused[n]]?.focus());
    point();
  }

  function card(w) {
    const pieces = data.pieces[w];
    const broken = decoded.mended.includes(w);
    const flipped = w in settings.flips;
    const best = ranked(data, w);
    const share = best.find(({ label }) => label === tags[w])?.share ?? 0;
    const color = sequential(share);
    const label = broken
      ? [element("s", {}, readable(tags[w])), ` ✗ ${readable(decoded.legal[w])}`]
      : readable(tags[w]);
    return element("button", {
      type: "button", "data-word": w, "aria-pressed": String(w === settings.word),
      class: `be-card${tags[w] === OUTSIDE ? "" : " be-inside"}${broken ? " be-broken" : ""}`,
      "aria-description": told(w),
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

  function decode() {
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

  function detailed() {
    const word = settings.word;
    if (word === null) {
      detail.replaceChildren(element("h4", {}, "One word's labels", element("span", { class: "be-note" },
        "click a word: you see all its labels, and can give it another")));
      return;
    }
    const rows = element("div", { class: "be-choices", role: "toolbar", "aria-label": "Labels" },
      ranked(data, word).map(({ label, share }) => probabilityRow("button", {
        type: "button", "aria-pressed": String(label === tags[word]),
        on: { click: () => flip(word, label) }, signal: picturing.signal,
      }, label, share)));
    roving(rows, picturing.signal);
    detail.replaceChildren(
      element("h4", {}, `The labels of “${clean(data.words[word])}”`,
        element("span", { class: "be-note" }, "they sum to 100 %; click one to flip the word's label to it")),
      rows);
  }

  /** One word as one line of text. */
  function told(w) {
    const [best, second] = ranked(data, w);
    const pieces = data.pieces[w].map(clean);
    const split = pieces.length > 1 ? `, pieces ${pieces.join(" ")}: only ${pieces[0]} is asked` : "";
    const next = second ? `, then ${second.label} ${percent(second.share)}` : "";
    const flipped = w in settings.flips ? `; flipped to ${tags[w]}` : "";
    const broken = decoded.mended.includes(w) ? `; ${reason(tags[w], tags[w - 1])}: read as ${decoded.legal[w]}` : "";
    return readable(`“${data.words[w]}” (word ${w + 1}): ${best.label} ${percent(best.share)}${next}${split}${flipped}${broken}`);
  }

  // ---- hover shows, click pins, Escape lets go ----

  const placeOf = (target) => {
    const word = target.closest?.("[data-word]")?.dataset.word;
    return word === undefined ? null : Number(word);
  };

  function point() {
    const lit = hover ?? settings.word;
    for (const node of cards.children) node.classList.toggle("be-pointed", Number(node.dataset.word) === lit);
    for (const node of slots.querySelectorAll(".be-slot")) {
      node.classList.toggle("be-lit", lit !== null && lit >= node.dataset.first && lit <= node.dataset.last);
    }
    line.textContent = settings.word === null ? HINT : `Pinned: ${told(settings.word)}`;
    line.classList.toggle("be-pinned", settings.word !== null);
  }

  function shown({ target }) {
    const word = placeOf(target);
    if (word === null) return leave();
    hover = word;
    point();
    tip.show(cards.children[word], told(word));
  }

  function leave() {
    tip.hide();
    hover = null;
    point();
  }

  for (const [type, listener] of Object.entries({
    pointerover: shown, pointerleave: leave, focusin: shown, focusout: leave,
    click: ({ target }) => {
      const word = placeOf(target);
      if (word !== null) change({ word: word === settings.word ? null : word });
    },
  })) cards.addEventListener(type, listener, { signal });
  root.addEventListener("keydown", ({ key: pressed }) => {
    if (pressed !== "Escape") return;
    change({ word: null });
    leave();
  }, { signal });

  model.on("change:data", answered);
  model.on("change:settings", followed);
  answered();
  return () => {
    ending.abort();
    picturing.abort();
    model.off("change:data", answered);
    model.off("change:settings", followed);
    root.remove();
  };
}

export default { render };
