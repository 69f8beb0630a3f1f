import {
  PALETTE, SEGMENTS, chip, element, followTheme, moved, percent, plural, roving, saveButton,
  tooltip, unpack, visible,
} from "./shared.js";

export const FOLLOWS = 0;
export const RANDOM = 1;
const NAMES = ["B follows A", "B is random"];
const IN_THE_NOTES = ["“false”, not random", "“true”, random"];
const HINT = "Hover shows which tokens a sentence became, a click on a token pins it, Escape lets go.";

// ---- pairs: `text` holds starts (of sentences among the tokens), documents (their starts among
// the sentences), ids and room (tokens for A and B together); a `pair` holds sentence numbers

export function textOf({ ids, sentence_starts, document_starts, max_length }) {
  return {
    ids: ids.values, starts: sentence_starts.values, documents: document_starts.values,
    room: max_length - 3, // [CLS] and two [SEP]
  };
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const below = (rng, count) => Math.floor(rng() * count);

/** The place of the last entry of an ascending list that is not above a value. */
export function placeOf(starts, value) {
  let [low, high] = [0, starts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= value) low = middle;
    else high = middle;
  }
  return low;
}

const documentOf = (text, sentence) => placeOf(text.documents, sentence);
const endOf = (text, sentence) => text.documents[documentOf(text, sentence) + 1];
const tokensIn = (text, first, end) => text.starts[end] - text.starts[first];

/** The end of the sentences that reach so many tokens, as few as possible, in one document. */
export function gather(text, first, tokens) {
  const stop = endOf(text, first);
  let end = first + 1;
  while (end < stop && tokensIn(text, first, end) < tokens) end += 1;
  return end;
}

export function sameSentence(text, one, other) {
  const length = tokensIn(text, one, one + 1);
  if (length !== tokensIn(text, other, other + 1)) return false;
  const [from, to] = [text.starts[one], text.starts[other]];
  for (let i = 0; i < length; i++) if (text.ids[from + i] !== text.ids[to + i]) return false;
  return true;
}

/** Whether B, whatever its label, opens with the sentence that truly follows A. */
export const continues = (text, { first, split, b }) =>
  split < endOf(text, first) && sameSentence(text, b, split);

/** With which sentences a random B may begin, by the rule that is chosen. */
export function candidates(text, { first, split }, { pool, everywhere }) {
  const own = documentOf(text, first);
  const all = Array.from({ length: text.documents[pool] }, (_, sentence) => sentence);
  if (everywhere) return all;
  const elsewhere = all.filter((s) => s < text.documents[own] || s >= text.documents[own + 1]);
  return elsewhere.filter((b) => !continues(text, { first, split, b }));
}

/** The pair with B's beginning, as its label asks; null when no sentence will do. */
export function withB(text, { first, split, label }, rules, rng) {
  if (label === FOLLOWS) return split < endOf(text, first) ? { first, split, label, b: split } : null;
  const possible = candidates(text, { first, split }, rules);
  return possible.length ? { first, split, label, b: possible[below(rng, possible.length)] } : null;
}

/** The label of the next pair: the one that is behind, or a coin's. */
export function nextLabel({ made }, { coin }, rng) {
  const ahead = made[RANDOM] - made[FOLLOWS];
  if (coin || !ahead) return below(rng, 2);
  return ahead > 0 ? FOLLOWS : RANDOM;
}

/** A pair from a random place of a random document. */
export function randomPair(text, label, rules, rng) {
  const document = below(rng, rules.pool);
  const [start, stop] = [text.documents[document], text.documents[document + 1]];
  const first = start + below(rng, stop - start - 1);
  const end = Math.max(gather(text, first, text.room), first + 2);
  const split = first + 1 + below(rng, end - first - 1);
  return withB(text, { first, split, label }, rules, rng);
}

export const nothingMade = () => ({ made: [0, 0], sameDocument: 0, wrong: 0, caught: null });

/** Counts a pair, and keeps it when its label is wrong. */
export function count(counts, text, pair) {
  counts.made[pair.label] += 1;
  if (pair.label === FOLLOWS) return;
  if (documentOf(text, pair.b) === documentOf(text, pair.first)) counts.sameDocument += 1;
  if (continues(text, pair)) {
    counts.wrong += 1;
    counts.caught = pair;
  }
}

/** How many tokens of A and of B stay: the longer one loses, on a tie B. */
export function kept(a, b, room) {
  const half = Math.floor(room / 2);
  const keepA = Math.min(a, b <= half ? room - b : Math.min(a, room - half));
  return [keepA, Math.min(b, room - keepA)];
}

/** [start, end] of A and of B among the tokens, cut to length at random ends, as the library cuts. */
export function spans(text, { first, split, b }, rng) {
  const ends = [split, gather(text, b, text.room - tokensIn(text, first, split))];
  const whole = [first, b].map((start, i) => [text.starts[start], text.starts[ends[i]]]);
  const lengths = kept(...whole.map(([start, end]) => end - start), text.room);
  return whole.map(([start, end], i) => {
    const surplus = end - start - lengths[i];
    let front = 0;
    for (let token = 0; token < surplus; token++) front += below(rng, 2);
    return [start + front, end - (surplus - front)];
  });
}

/** The model's input, a token at a time, and which sentence each token is from. */
export function input(text, [a, b], special) {
  const body = ([start, end], segment) => Array.from({ length: end - start }, (_, i) => ({
    id: text.ids[start + i], segment, sentence: placeOf(text.starts, start + i),
  }));
  const mark = (id, segment) => ({ id, segment, special: true });
  return [
    mark(special.cls, 0), ...body(a, 0), mark(special.sep, 0), ...body(b, 1), mark(special.sep, 1),
  ].map((token, position) => ({ ...token, position }));
}

// ---- the saved picture --------------------------------------------------------------------------

const escaped = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
const seen = (text) => Array.from(text, (c) => (c === " " ? c : visible(c))).join("");

/** Lines of text, each with a colour's name, and chips, as one SVG element. */
export function drawn(title, lines, tokens) {
  const { light } = PALETTE;
  const [width, margin, advance] = [760, 16, 9.2];
  const parts = [];
  let [left, top] = [margin, margin];
  const words = (x, y, size, color, text, rest = "") =>
    parts.push(`<text x="${x}" y="${y}" font-size="${size}" fill="${light[color]}"${rest}>${escaped(text)}</text>`);
  for (const [text, color] of lines) {
    top += 20;
    words(margin, top, 14, color, text.length > 84 ? `${text.slice(0, 83)}…` : text);
  }
  top += 12;
  for (const { token, id, segment, special } of tokens) {
    const side = Math.max(seen(token).length * advance + 16, 44);
    left += token.startsWith("##") || left === margin ? 0 : 8;
    if (left > margin && left + side > width - margin) [left, top] = [margin, top + 66];
    const line = light[`segment-${SEGMENTS[segment].toLowerCase()}`];
    parts.push(
      `<rect x="${left}" y="${top}" width="${side}" height="25" rx="4" fill="${special ? "none" : light.chip}" stroke="${light.outline}"/>`,
      `<rect x="${left}" y="${top + 23}" width="${side}" height="4" fill="${line}"/>`,
    );
    const middle = left + side / 2;
    words(middle, top + 17, 15, special ? "dim" : "ink", seen(token), ' text-anchor="middle"');
    [id, segment].forEach((number, i) =>
      words(middle, top + 42 + 16 * i, 12, "dim", String(number), ' text-anchor="middle"'));
    left += side;
  }
  const height = top + 66 + margin;
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace">` +
    `<title>${escaped(title)}</title><rect width="${width}" height="${height}" rx="8" fill="${light.paper}"/>` +
    `${parts.join("")}</svg>`;
}

// ---- the widget ---------------------------------------------------------------------------------

let widgets = 0; // names of radio groups must differ between widgets of one page

function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const root = element("section", {
    class: "bertedu be-pairs",
    "aria-label": "Sentence pair builder",
    "data-lm-suppress-shortcuts": "true", // the arrow keys are ours, not the notebook's
  });
  el.append(root);
  followTheme(root, signal);

  const data = unpack(model.get("data"));
  const text = textOf(data);
  const rng = generator(data.seed);
  const group = `be-pairs-${widgets++}`;
  const rules = { pool: data.names.length, everywhere: false, coin: false };
  const names = data.names.map(seen);
  let counts = nothingMade();
  let pair;
  let tokens = [];
  let rows = []; // [button, sentence] of the document that is shown
  let chips = []; // [button, token]
  let pinned = null;
  let picturing = new AbortController();

  // ---- parts ----

  const button = (label, click) =>
    element("button", { type: "button", class: "be-button", on: { click }, signal }, label);

  function choice(legend, options, chosen, choose) {
    const inputs = options.map((option, value) => {
      const box = element("input", {
        type: "radio", name: `${group}-${legend}`, checked: value === chosen,
        on: { change: () => choose(value) }, signal,
      });
      return { box, label: element("label", {}, box, element("span", {}, option)) };
    });
    return {
      node: element("fieldset", {}, element("legend", {}, legend), inputs.map(({ label }) => label)),
      check: (value) => { inputs[value].box.checked = true; },
      enable: (value, can) => { inputs[value].box.disabled = !can; },
    };
  }

  const stage = (title, note, ...content) => element("div", { class: "be-stage" },
    element("h4", {}, title, note && element("span", { class: "be-note" }, note)), content);

  const chooser = element("select", {
    "aria-label": "Document of A",
    on: { change: () => pickSplit(text.documents[chooser.value] + 1) }, signal,
  });
  const list = element("div", { class: "be-sentences", role: "toolbar", "aria-orientation": "vertical" });
  const label = choice("B is", ["what follows: label 0", "random: label 1"], FOLLOWS,
    (value) => show(withB(text, { ...pair, label: value }, rules, rng)));
  const another = button("Another random B",
    () => show(withB(text, { ...pair, label: RANDOM }, rules, rng)));
  const source = element("p", { class: "be-source" });
  const verdict = element("p", { class: "be-verdict", role: "status" });
  const chipRow = element("div", { class: "be-chips", role: "toolbar", "aria-label": "Tokens" });
  const length = element("span", { class: "be-note" });
  const line = element("p", { class: "be-line", role: "status" }, HINT);

  const bFrom = choice("A random B comes from",
    ["another document", "all sentences, as faulty published code does"], 0,
    (value) => change({ everywhere: value === 1 }));
  const labels = choice("Labels are", ["dealt 1:1", "a coin’s"], 0,
    (value) => change({ coin: value === 1 }));
  const sizes = [2, 4, 12, data.names.length].filter((size, i, all) =>
    size <= data.names.length && all.indexOf(size) === i);
  const pool = element("select", {
    "aria-label": "Documents to draw from",
    on: { change: () => change({ pool: Number(pool.value) }) }, signal,
  }, sizes.map((size) => element("option", { value: size, selected: size === rules.pool }, String(size))));
  const bars = [FOLLOWS, RANDOM].map((which) => element("span", { class: `be-bar be-bar-${which}` }));
  const tally = element("p", { class: "be-tally", role: "status" });
  const catchOne = button("Show a pair with a wrong label", () => show(counts.caught));
  const save = saveButton(() => drawn(verdict.textContent, [
    ...[0, 1].map((s) => [`${SEGMENTS[s]}, from ${names[documentOf(text, s ? pair.b : pair.first)]}`, `segment-${SEGMENTS[s].toLowerCase()}`]),
    [verdict.textContent, verdict.classList.contains("be-problem") ? "wrong" : "ink"],
  ], tokens), "sentence_pair.svg", signal);

  root.append(
    stage("Document", "A ends with the sentence you click; several sentences may be one “sentence” of the task",
      element("div", { class: "be-row" }, chooser, button("Pick a random place", pickAnywhere)), list),
    stage("B", null, element("div", { class: "be-row" }, label.node, another), source),
    element("div", { class: "be-stage" },
      element("h4", {}, "Input and label", length), verdict, chipRow),
    stage("Pairs made", "a changed rule starts the count anew",
      element("div", { class: "be-row" }, bFrom.node, labels.node,
        element("span", {}, element("span", { class: "be-dim" }, "Documents "), pool)),
      element("div", { class: "be-row" }, button("Keep this pair", keep),
        [1, 100, 1000].map((many) => button(`Make ${many.toLocaleString("en")}`, () => make(many))),
        button("Start over", () => change({}))),
      element("div", { class: "be-bars", "aria-hidden": "true" }, bars), tally, catchOne),
    element("div", { class: "be-foot" }, line, save),
  );
  const tip = tooltip(root);

  // ---- choosing ----

  /** A ends before sentence `split` and has as many sentences as half of the room holds. */
  function pickSplit(split) {
    const start = text.documents[documentOf(text, split - 1)];
    let first = split - 1;
    while (first > start && tokensIn(text, first - 1, split) <= text.room / 2) first -= 1;
    const kind = split < endOf(text, first) ? (pair?.label ?? FOLLOWS) : RANDOM;
    show(withB(text, { first, split, label: kind }, rules, rng));
  }

  function pickAnywhere() {
    show(randomPair(text, pair.label, rules, rng));
  }

  function keep() {
    count(counts, text, pair);
    report();
  }

  function make(many) {
    let last = pair;
    for (let i = 0; i < many; i++) {
      const made = randomPair(text, nextLabel(counts, rules, rng), rules, rng);
      if (!made) continue;
      count(counts, text, made);
      last = made;
    }
    show(last);
    report();
  }

  function change(rule) {
    Object.assign(rules, rule);
    counts = nothingMade();
    listDocuments();
    if (documentOf(text, pair.first) >= rules.pool) pickSplit(text.documents[0] + 1);
    else if (pair.label === RANDOM) show(withB(text, pair, rules, rng));
    report();
  }

  // ---- showing ----

  function listDocuments() {
    chooser.replaceChildren(...names.slice(0, rules.pool).map((name, i) =>
      element("option", { value: i }, name)));
    if (pair) chooser.value = documentOf(text, pair.first);
  }

  function listSentences(index) {
    picturing.abort();
    picturing = new AbortController();
    rows = [];
    for (let s = text.documents[index]; s < text.documents[index + 1]; s++) {
      const row = element("button", {
        type: "button", class: "be-sentence", on: { click: () => pickSplit(s + 1) }, signal: picturing.signal,
      }, element("span", { class: "be-role" }), element("bdi", {}, seen(data.sentences[s])));
      rows.push([row, s]);
    }
    list.replaceChildren(...rows.map(([row]) => row));
    list.dataset.document = index;
    list.setAttribute("aria-label", `Sentences of ${names[index]}`);
    roving(list, picturing.signal);
  }

  function show(next) {
    if (!next) {
      verdict.textContent = "No sentence will do here: pick another place, or draw from more documents.";
      verdict.classList.add("be-problem");
      label.check(pair.label);
      return;
    }
    pair = next;
    pinned = null;
    tip.hide();
    const own = documentOf(text, pair.first);
    chooser.value = own;
    if (list.dataset.document !== String(own)) listSentences(own);
    const [a, b] = spans(text, pair, rng);
    tokens = input(text, [a, b], data.special).map((token) => ({ ...token, token: data.pieces[token.id] }));
    const bEnd = placeOf(text.starts, b[1] - 1) + 1;
    const following = pair.split < endOf(text, pair.first)
      ? gather(text, pair.split, text.room - tokensIn(text, pair.first, pair.split)) : pair.split;
    for (const [row, s] of rows) {
      const inB = s >= pair.b && s < bEnd;
      const inA = s >= pair.first && s < pair.split;
      const would = s >= pair.split && s < following;
      row.firstChild.textContent = [inA && "A", inB && "B", would && !inB && "follows"].filter(Boolean).join(" ");
      row.classList.toggle("be-in-a", inA);
      row.classList.toggle("be-in-b", inB && !inA);
      row.setAttribute("aria-pressed", s === pair.split - 1);
    }
    label.enable(FOLLOWS, pair.split < endOf(text, pair.first));
    label.check(pair.label);
    const from = documentOf(text, pair.b);
    source.replaceChildren(
      element("span", { class: "be-role" }, "B"),
      element("bdi", {}, seen(data.sentences.slice(pair.b, bEnd).join(" "))),
      element("span", { class: "be-dim" }, ` from ${names[from]}, sentence ${pair.b - text.documents[from] + 1}` +
        (from === own && pair.label === RANDOM ? ", A’s own document" : "")),
    );
    const wrong = pair.label === RANDOM && continues(text, pair);
    verdict.textContent = `next_sentence_label ${pair.label}: ${NAMES[pair.label]} ` +
      `(in the notes: ${IN_THE_NOTES[pair.label]})` +
      (wrong ? ". Wrong label: this “random” B is what really follows A." : "");
    verdict.classList.toggle("be-problem", wrong);
    const cut = [0, 1].reduce((sum, i) => sum + Math.max(0, whole(i) - ([a, b][i][1] - [a, b][i][0])), 0);
    length.textContent = `${plural(tokens.length, "token")} of at most ${data.max_length}` +
      `${cut ? `, ${cut} cut off to fit` : ""}; beneath: id and segment id, 0 in A, 1 in B`;
    chips = tokens.map((token) => [
      chip({ ...token, note: String(token.segment) }, { "aria-description": described(token), "aria-pressed": "false" }),
      token,
    ]);
    chipRow.replaceChildren(...chips.map(([node]) => node));
    roving(chipRow, picturing.signal);
    line.textContent = HINT;
    line.classList.remove("be-pinned");
  }

  const whole = (segment) => segment
    ? tokensIn(text, pair.b, gather(text, pair.b, text.room - tokensIn(text, pair.first, pair.split)))
    : tokensIn(text, pair.first, pair.split);

  function report() {
    const { made, sameDocument, wrong } = counts;
    const all = made[0] + made[1];
    bars.forEach((bar, i) => { bar.style.flexGrow = all ? made[i] / all : 0.5; });
    const [follow, random] = made.map((n) => n.toLocaleString("en"));
    const share = all ? ` (${percent(made[FOLLOWS] / all)})` : "";
    const even = made[0] === made[1] ? ": exactly 1:1" : "";
    const sentences = text.documents[rules.pool];
    tally.textContent = !all ? "None yet." :
      `Label 0, follows: ${follow}${share}. Label 1, random: ${random}${even}. ` +
      `Of the random ones, ${sameDocument} from A’s own document and ${wrong} really what follows A ` +
      (rules.everywhere
        ? `(to expect: 1 in ${sentences} sentences, ${(made[RANDOM] / sentences).toFixed(1)}).`
        : "(the rule rules it out).");
    catchOne.hidden = !counts.caught;
  }

  function described({ token, id, position, segment, special, sentence }) {
    const place = `token ${token}, id ${id}, position ${position}, segment ${SEGMENTS[segment]} (${segment})`;
    if (special) return `${place}, put there by the encoder`;
    const from = documentOf(text, sentence);
    return `${place}, from ${names[from]}, sentence ${sentence - text.documents[from] + 1}`;
  }

  // ---- hover shows, click pins, Escape lets go ----

  function light(sentence, thing) {
    for (const [row, s] of rows) row.classList.toggle("be-lit", s === sentence);
    for (const [node, token] of chips) {
      node.classList.toggle("be-lit", token === thing || (sentence !== undefined && token.sentence === sentence));
    }
  }

  function pin(thing) {
    pinned = thing;
    for (const [node, token] of chips) node.setAttribute("aria-pressed", token === thing);
    line.textContent = thing ? `Pinned: ${described(thing)}` : HINT;
    line.classList.toggle("be-pinned", Boolean(thing));
    light(thing?.sentence, thing);
  }

  function point({ target }) {
    const node = target.closest?.("button");
    const [, token] = chips.find(([item]) => item === node) ?? [];
    const [, sentence] = rows.find(([item]) => item === node) ?? [];
    if (!token && sentence === undefined) return leave();
    light(token?.sentence ?? sentence, token);
    if (token) tip.show(node, described(token));
    else tip.hide();
  }

  function leave() {
    tip.hide();
    light(pinned?.sentence, pinned);
  }

  for (const node of [list, chipRow]) {
    for (const [type, listener] of Object.entries({
      pointerover: point, pointerleave: leave, focusin: point, focusout: leave,
    })) node.addEventListener(type, listener, { signal });
  }
  chipRow.addEventListener("click", ({ target }) => {
    const [, token] = chips.find(([item]) => item === target.closest("button")) ?? [];
    if (token) pin(token === pinned ? null : token);
  }, { signal });
  list.addEventListener("keydown", (event) => {
    const key = { ArrowUp: "ArrowLeft", ArrowDown: "ArrowRight" }[event.key];
    const here = rows.findIndex(([row]) => row === event.target.closest("button"));
    const next = moved(key, here, rows.length);
    if (next === undefined) return;
    event.preventDefault();
    rows[next][0].focus();
  }, { signal });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    pin(null);
    leave();
  }, { signal });

  const [first, b] = data.first;
  listDocuments();
  show({ first, split: b, b, label: FOLLOWS });
  report();
  return () => {
    ending.abort();
    picturing.abort();
    root.remove();
  };
}

export default { render };
