import {
  chip, clean, defineWidget, element, hiddenField, judged, labelBox, plural, readable, roving, same,
  scaleOf, sequential, stage, textField, told,
} from "./shared.js";

const HINT = "A click on a word hides it from BERT, another click gives it back; Escape gives all back.";
const SHOWN = 5; // of BERT's guesses

// ---- numbers ------------------------------------------------------------------------------------

/**
 * The rows of one [MASK]: the first guesses, then, with its rank, what the reader hid or guessed where
 * it is none of them. `marks` says of a row what it is to the reader.
 */
export function rowsOf({ first, hidden, guess }) {
  const rows = first.slice(0, SHOWN).map(([token, probability], i) => ({ token, rank: i + 1, probability, marks: [] }));
  for (const [ranked, mark] of [[hidden, "the hidden word"], [guess, "your guess"]]) {
    if (!ranked) continue;
    const [token, rank, probability] = ranked;
    let row = rows.find((each) => each.token === token);
    if (!row) rows.push(row = { token, rank, probability, marks: [] });
    row.marks.push(mark);
  }
  return rows.sort((one, other) => one.rank - other.rank);
}

/** What a page without Python says of a reader's guess: it has the first guesses only. */
export function guessAmong(first, word) {
  const wanted = word.trim().toLowerCase();
  const place = first.findIndex(([token]) => token === wanted);
  if (!wanted) return { guess: null, refused: "Type a word." };
  if (place < 0) return { guess: null, refused: `That is none of BERT's first ${first.length} guesses.` };
  return { guess: [wanted, place + 1, first[place][1]], refused: "" };
}

/** The answer to what is asked among those that a page has, or undefined. */
export function answerAmong(answers, [text, pair, masks, guesses, off], exactly = false) {
  const found = answers.find(({ asked }) => same(asked, [text, pair, masks, {}, off]));
  if (!found || (exactly && Object.keys(guesses).length)) return undefined;
  return {
    ...found,
    asked: [text, pair, masks, guesses, off],
    places: found.places.map((place) => (guesses[place.position] === undefined ? place
      : { ...place, ...guessAmong(place.first, guesses[place.position]) })),
  };
}

/** A header as `pack` in base.py makes a block of it. */
export function packed(header) {
  const text = new TextEncoder().encode(JSON.stringify({ ...header, arrays: [] }));
  const block = new DataView(new ArrayBuffer(8 * Math.ceil((4 + text.length) / 8)));
  block.setUint32(0, text.length, true);
  new Uint8Array(block.buffer).set(text, 4);
  return block;
}

// ---- in words -----------------------------------------------------------------------------------

const quoted = (token) => `“${clean(token)}”`;

/** What BERT says of one [MASK], and how the reader's words fare, as lines of text. */
export function describe({ first, hidden, guess, refused }, vocabulary) {
  const of = vocabulary.toLocaleString("en");
  const fare = ([token, rank, probability], name) => (rank === 1
    ? `${name}, ${quoted(token)}, is BERT's first guess: ${told(probability)}.`
    : `${name}, ${quoted(token)}, is number ${rank.toLocaleString("en")} of ${of}: ${told(probability)}.`);
  return [
    guess ? fare(guess, "Your guess") : refused,
    hidden && fare(hidden, "The hidden word"),
    !first.length && "This model has no head that guesses.",
  ].filter(Boolean);
}

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  name: "be-try-it", label: "Try it", picture: "try_it", hint: HINT, build,
  fixed: "the sentences are",
  fields: ({ model }) => [
    textField("text", "Sentence", "Segment A", { placeholder: "type a sentence" }),
    textField("pair", "Second sentence", "Segment B", { placeholder: "optional", optional: true }),
    ...["masks", "guesses", "off"].map((name) => hiddenField(name, model.get(name))),
  ],
});

function build(view) {
  const { root, signal, data, settings, change, tip, model, live } = view;
  const [text, pair, masks, guesses, off] = view.fields;
  const answers = model.get("answers") ?? []; // in a page without Python
  const drafts = {}; // what is typed as a guess, until it is asked
  const presets = model.get("presets").map(([one, two]) => view.button(
    two ? [element("span", {}, one), " ", element("span", {}, two)] : one, () => ask({ text: one, pair: two }),
    { class: "be-button be-preset" }));
  const chips = element("div", { class: "be-chips", role: "toolbar", "aria-label": "Tokens" });
  const guessFirst = view.check("guess first: the bars wait for your word", (on) => change({ guess_first: on }));
  const results = element("div", { class: "be-results" });
  const key = element("p", { class: "be-key" });
  const verdict = element("div", { class: "be-judged" });
  const heads = headSwitches();
  root.append(
    element("div", { class: "be-presets", role: "group", "aria-label": "Examples" }, presets),
    view.inputs("be-sentences-two"), view.status,
    stage("What BERT reads", live ? "click a word to hide it" : "click a word to hide it, one at a time", chips),
    guessFirst.label, results, key, verdict, heads.box, view.foot(),
  );
  for (const { box } of [text, pair]) {
    box.addEventListener("input", () => { // the positions are other ones now
      masks.write([]);
      guesses.write({});
    }, { signal });
  }

  const receive = () => (data.places.length || data.special.every(Boolean) ? "" : "Nothing is hidden: click a word below.");
  const isWaiting = (place) => settings.guess_first && place.first.length > 0 && guesses.read()[place.position] === undefined;

  /** Asks something else: of a page that has the answer, or else of what answers. */
  function ask(some) {
    const asked = { text: text.read(), pair: pair.read(), masks: [], guesses: {}, off: off.read(), ...some };
    const answer = answerAmong(answers, Object.values(asked), live);
    if (!live && !answer) {
      view.say("This page has answers for its examples only, with one word hidden; the notebook answers everything.", true);
      return;
    }
    for (const { name, write } of view.fields) write(asked[name]);
    if (answer) {
      model.set({ ...asked, settings: { ...settings }, data: packed({ problem: "", first: data.first, ...answer }) });
      model.save_changes();
    } else {
      masks.put(asked.masks);
    }
  }

  /** Hides a token, or gives it back; the others stay as they are, where all can be asked. */
  function toggle(position) {
    if (data.special[position]) return;
    const before = data.hidden;
    const others = live ? before.filter((other) => other !== position) : [];
    const now = before.includes(position) ? others : [...others, position].sort((a, b) => a - b);
    const kept = Object.entries(guesses.read()).filter(([place]) => now.includes(Number(place)) || data.tokens[place] === "[MASK]");
    ask({ masks: now, guesses: Object.fromEntries(kept) });
  }

  // ---- the picture ----

  function paint() {
    const focused = [...chips.querySelectorAll("button")].indexOf(document.activeElement);
    const guessing = results.contains(document.activeElement);
    view.renew();
    for (const [i, [one, two]] of model.get("presets").entries()) {
      presets[i].setAttribute("aria-pressed", String(same([one, two], data.asked.slice(0, 2))));
    }
    guessFirst.box.checked = settings.guess_first;
    chips.replaceChildren(...data.tokens.map(token));
    roving(chips, view.painting);
    if (focused >= 0) chips.querySelectorAll("button")[focused]?.focus();
    const scale = scaleOf(data.places.filter((place) => !isWaiting(place)).flatMap(({ first, hidden, guess }) =>
      [...first.map(([, share]) => share), ...[hidden, guess].filter(Boolean).map(([, , share]) => share)]));
    results.replaceChildren(...data.places.map((place, n) => card(place, n, scale)));
    key.textContent = data.places.every(isWaiting) ? "" : `A bar's whole length is ${100 * scale} %.`;
    if (guessing) (results.querySelector("input") ?? results.querySelector("[tabindex]"))?.focus();
    verdict.replaceChildren(...follows());
    heads.paint();
    view.say(summary());
  }

  function token(piece, position) {
    const isHidden = data.hidden.includes(position);
    const node = chip({
      token: isHidden ? "[MASK]" : piece, segment: data.types[position],
      special: data.special[position] && piece !== "[MASK]",
      fate: isHidden || piece === "[MASK]" ? "masked" : null, note: data.hidden.length ? (isHidden ? clean(piece) : "\u00a0") : null,
    }, {
      "aria-pressed": String(isHidden), "aria-description": about(position),
      "aria-disabled": data.special[position] ? "true" : null,
    });
    return node;
  }

  function about(position) {
    const piece = data.tokens[position];
    if (piece === "[MASK]") return "[MASK] was typed here: a place for BERT to fill";
    if (data.special[position]) return `${clean(piece)} is a sign for BERT, not a word: it is never hidden`;
    return data.hidden.includes(position) ? `${quoted(piece)} is hidden: click to give it back` : `click to hide ${quoted(piece)} from BERT`;
  }

  /** One [MASK]: the bars, or, while they wait, a field for the reader's word. */
  function card(place, n, scale) {
    const many = data.places.length > 1 ? ` ${n + 1}` : "";
    const before = data.tokens[place.position - 1];
    const title = element("h4", {}, element("span", { class: "be-mask-name" }, `[MASK]${many}`),
      element("span", { class: "be-note" }, ["[CLS]", "[SEP]"].includes(before) ? "the first word" : `after ${quoted(before)}`));
    const lines = isWaiting(place) ? [] : describe(place, data.vocabulary);
    return element("div", { class: "be-place", role: "group", "aria-label": `[MASK]${many}` }, title,
      isWaiting(place) ? form(place, many) : [
        place.first.length > 0 && element("ol", { class: "be-rows" }, rowsOf(place).map((row) => bar(row, scale))),
        ...lines.map((line) => element("p", { class: "be-verdict", tabindex: -1 }, line)),
      ]);
  }

  function bar({ token: name, rank, probability, marks }, scale) {
    return element("li", { class: `be-row${marks.length ? " be-mine" : ""}` },
      element("span", { class: "be-rank" }, `${rank.toLocaleString("en")}.`),
      element("bdi", { class: "be-name" }, readable(name)),
      element("span", { class: "be-track", "aria-hidden": "true" }, element("span", {
        class: "be-fill", style: `width:${(100 * probability) / scale}%;background:rgb(${sequential(probability, scale)})`,
      })),
      element("span", { class: "be-percent" }, told(probability).replace("under ", "< ")),
      marks.length > 0 && element("span", { class: "be-mark-mine" }, `◀ ${marks.join(", ")}`));
  }

  function form({ position }, many) {
    const box = element("input", {
      class: "be-guess", value: drafts[position] ?? "", autocomplete: "off", spellcheck: "false", "data-draft": position,
      on: { input: () => { drafts[position] = box.value; } }, signal: view.painting,
    });
    const submit = (event) => {
      event.preventDefault();
      const word = box.value.toWellFormed();
      delete drafts[position];
      ask({ masks: data.hidden, guesses: { ...guesses.read(), [position]: word } });
    };
    return element("form", { class: "be-guessing", on: { submit }, signal: view.painting },
      labelBox(`Your guess for [MASK]${many}`, "", box),
      element("button", { class: "be-button" }, "Compare"));
  }

  function follows() {
    if (data.asked[1] === null) return [];
    if (data.follows === null) return [element("p", { class: "be-verdict" }, "This model has no head that judges a pair.")];
    const rows = [["follows", data.follows], ["random", 1 - data.follows]].map(([name, share]) =>
      element("li", { class: "be-row" }, element("span", { class: "be-rank" }),
        element("span", { class: "be-name" }, name),
        element("span", { class: "be-track", "aria-hidden": "true" }, element("span", {
          class: "be-fill", style: `width:${100 * share}%;background:rgb(${sequential(share)})`,
        })),
        element("span", { class: "be-percent" }, told(share).replace("under ", "< "))));
    return [stage("Does the second sentence follow the first?", "",
      element("ul", { class: "be-rows" }, rows), element("p", { class: "be-verdict" }, judged(data.follows)))];
  }

  /** The first guesses and the verdict, as one line: for readers who hear it, and the saved picture. */
  function summary() {
    const seen = data.places.map((place, n) => {
      const name = `[MASK]${data.places.length > 1 ? ` ${n + 1}` : ""}`;
      if (isWaiting(place)) return `${name} waits for your guess.`;
      const [best] = place.first;
      const own = place.guess || place.refused ? ` ${describe(place, data.vocabulary)[0]}` : "";
      return best ? `${name}: ${quoted(best[0])} ${told(best[1])}.${own}` : "";
    });
    if (data.follows !== null) seen.push(judged(data.follows));
    return seen.length ? seen.join(" ") : null;
  }

  // ---- heads, on and off ----

  function headSwitches() {
    const title = element("summary", {});
    const grid = element("div", { class: "be-heads-grid", role: "toolbar", "aria-label": "Heads" });
    const box = element("details", { class: "be-off", hidden: !live }, title,
      element("p", { class: "be-key" }, "A row is a layer, the first one above; a square is a head. A click switches it off, another one on."),
      grid);
    const isOff = (layer, head) => off.read().some((one) => same(one, [layer, head]));
    const flip = (layer, head) => {
      const others = off.read().filter((one) => !same(one, [layer, head]));
      const now = isOff(layer, head) ? others : [...others, [layer, head]];
      ask({ masks: data.hidden, guesses: guesses.read(), off: now });
    };
    const all = view.button("All on", () => ask({ masks: data.hidden, guesses: guesses.read(), off: [] }));
    box.append(all);
    return {
      box,
      paint() {
        const [L, A] = data.heads;
        if (grid.childElementCount !== L * A) {
          grid.style.gridTemplateColumns = `repeat(${A}, minmax(0, 1fr))`;
          grid.replaceChildren(...Array.from({ length: L * A }, (_, i) => {
            const [layer, head] = [Math.floor(i / A) + 1, (i % A) + 1];
            return element("button", {
              type: "button", class: "be-head", "aria-label": `layer ${layer}, head ${head}`,
              title: `layer ${layer}, head ${head}`, on: { click: () => flip(layer, head) }, signal,
            });
          }));
          roving(grid, signal);
        }
        [...grid.children].forEach((node, i) => {
          const silent = isOff(Math.floor(i / A) + 1, (i % A) + 1);
          node.setAttribute("aria-pressed", String(!silent));
          node.textContent = silent ? "×" : "";
        });
        const count = off.read().length;
        title.textContent = count ? `${plural(count, "head")} of ${L * A} switched off` : `Switch heads off: all ${L * A} are on`;
        all.disabled = !count;
      },
    };
  }

  // ---- hover shows, click hides, Escape gives all back ----

  const positionAt = ({ target }) => {
    const position = [...chips.children].indexOf(target.closest?.("button"));
    return position < 0 ? undefined : position;
  };

  view.listen(chips, {
    find: positionAt,
    show: (position) => tip.show(chips.children[position], about(position)),
    hide: () => {},
    pin: toggle,
  });
  return { receive, paint, release: () => data.hidden.length && ask({}) };
}

