import {
  SEGMENTS, chip, defineWidget, element, numberFrom, oneOf, placeByKey, percent, plural, readable, roving, stage,
} from "./shared.js";
import {
  FOLLOWS, RANDOM, candidates, continues, count, documentOf, endOf, gather, generator, input, nextLabel,
  nothingMade, placeOf, randomPair, spans, textOf, tokensIn, withB,
} from "./rules/pairs.js";

const NAMES = ["B follows A", "B is random"];
const QUESTIONS = [
  "does B follow? true; is B random? false",
  "does B follow? false; is B random? true",
];
const HINT = "Hover shows which tokens a sentence became, a click on a token pins it, Escape lets go.";

// ---- the widget ---------------------------------------------------------------------------------

let widgets = 0; // names of radio groups must differ between widgets of one page

export default defineWidget({
  kind: "SentencePairBuilder", name: "be-pairs", label: "Sentence pair builder", picture: "sentence_pair", hint: HINT, build,
});

function build(view) {
  const { root, signal, data, tip, button } = view;
  const text = textOf(data);
  const rng = generator(data.seed);
  const group = `be-pairs-${widgets++}`;
  const rules = { pool: data.names.length, everywhere: false, coin: false };
  const names = data.names.map(readable);
  let counts = nothingMade();
  let pair;
  let tokens = [];
  let rows = []; // [button, sentence] of the document that is shown
  let chips = []; // [button, token]
  let pinned = null;

  // ---- parts ----

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
  const chipRow = element("div", { class: "be-chips", dir: "auto", role: "toolbar", "aria-label": "Tokens" });
  const length = element("span", { class: "be-note" });
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
  root.append(
    stage("Document", "A ends with the sentence you click; several sentences may be one “sentence” of the task",
      element("div", { class: "be-row" }, chooser, button("Pick a random place", pickAnywhere)), list),
    stage("B", null, element("div", { class: "be-row" }, label.node, another), source),
    element("div", { class: "be-stage" }, element("h4", {}, "Input and label", length), verdict, chipRow),
    stage("Pairs made", "a changed rule starts the count anew",
      element("div", { class: "be-row" }, bFrom.node, labels.node,
        element("span", {}, element("span", { class: "be-dim" }, "Documents "), pool)),
      element("div", { class: "be-row" }, button("Keep this pair", keep),
        [1, 100, 1000].map((many) => button(`Make ${many.toLocaleString("en")}`, () => make(many))),
        button("Start over", () => change({}))),
      element("div", { class: "be-bars", "aria-hidden": "true" }, bars), tally, catchOne),
    view.foot(),
  );

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
    view.renew();
    rows = [];
    for (let s = text.documents[index]; s < text.documents[index + 1]; s++) {
      const row = element("button", {
        type: "button", class: "be-sentence", on: { click: () => pickSplit(s + 1) }, signal: view.painting,
      }, element("span", { class: "be-role" }), element("bdi", {}, readable(data.sentences[s])));
      rows.push([row, s]);
    }
    list.replaceChildren(...rows.map(([row]) => row));
    list.dataset.document = index;
    list.setAttribute("aria-label", `Sentences of ${names[index]}`);
    roving(list, view.painting);
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
      element("bdi", {}, readable(data.sentences.slice(pair.b, bEnd).join(" "))),
      element("span", { class: "be-dim" }, ` from ${names[from]}, sentence ${pair.b - text.documents[from] + 1}` +
        (from === own && pair.label === RANDOM ? ", A’s own document" : "")),
    );
    const wrong = pair.label === RANDOM && continues(text, pair);
    verdict.textContent = `next_sentence_label ${pair.label}: ${NAMES[pair.label]} ` +
      `(${QUESTIONS[pair.label]})` +
      (wrong ? ". Wrong label: this “random” B is what really follows A." : "");
    verdict.classList.toggle("be-problem", wrong);
    const cut = [0, 1].reduce((sum, i) => sum + Math.max(0, whole(i) - ([a, b][i][1] - [a, b][i][0])), 0);
    length.textContent = `${plural(tokens.length, "token")} of at most ${data.max_length}` +
      `${cut ? `, ${cut} cut off to fit` : ""}; beneath: id and segment id, 0 in A, 1 in B`;
    chips = tokens.map((token) => [
      chip({ ...token, note: String(token.segment) }, { "aria-description": describe(token), "aria-pressed": "false" }),
      token,
    ]);
    chipRow.replaceChildren(...chips.map(([node]) => node));
    roving(chipRow, view.painting);
    view.say(null);
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

  function describe({ token, id, position, segment, special, sentence }) {
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
    view.say(thing ? `Pinned: ${describe(thing)}` : null);
    light(thing?.sentence, thing);
  }

  const hovering = {
    find: ({ target }) => {
      const node = target.closest?.("button");
      const [, token] = chips.find(([item]) => item === node) ?? [];
      const [, sentence] = rows.find(([item]) => item === node) ?? [];
      return token || sentence !== undefined ? { node, token, sentence } : undefined;
    },
    show: ({ node, token, sentence }) => {
      light(token?.sentence ?? sentence, token);
      if (token) tip.show(node, describe(token));
      else tip.hide();
    },
    hide: () => light(pinned?.sentence, pinned),
  };
  view.listen(list, hovering);
  view.listen(chipRow, { ...hovering, pin: ({ token }) => pin(token === pinned ? null : token) });
  list.addEventListener("keydown", (event) => {
    const key = { ArrowUp: "ArrowLeft", ArrowDown: "ArrowRight" }[event.key];
    const here = rows.findIndex(([row]) => row === event.target.closest("button"));
    const next = placeByKey(key, here, rows.length);
    if (next === undefined) return;
    event.preventDefault();
    rows[next][0].focus();
  }, { signal });

  function paint() {
    const [first, b] = data.first;
    listDocuments();
    show({ first, split: b, b, label: FOLLOWS });
    report();
  }

  /** A sentence as "2.5": the number of its document, and its own in there. */
  const aSentence = {
    parse(name) {
      const [d, s] = name.split(".");
      const { documents } = text;
      const start = documents[numberFrom(1, rules.pool).parse(d ?? "") - 1];
      return start + numberFrom(1, endOf(text, start) - start).parse(s ?? "") - 1;
    },
    format(sentence) {
      const d = documentOf(text, sentence);
      return `${d + 1}.${sentence - text.documents[d] + 1}`;
    },
  };
  const LABELS = ["follows", "random"];
  const chosen = {}; // A's last sentence and the label, until B is
  const rule = (name, kind) => ({
    ...kind, read: () => rules[name], set: (value) => value !== rules[name] && change({ [name]: value }),
  });
  const between = (names, isLast) => ({ parse: (name) => oneOf(names).parse(name) === names[1], format: (yes) => names[yes ? 1 : 0], isSwitch: isLast });
  const state = {
    documents: rule("pool", { parse: (size) => Number(oneOf(sizes.map(String)).parse(size)), format: String }),
    from: rule("everywhere", between(["others", "all"], true)),
    labels: rule("coin", between(["even", "coin"], true)),
    a: { ...aSentence, read: () => pair.split - 1, set: (sentence) => { chosen.split = sentence + 1; } },
    label: {
      parse: (name) => LABELS.indexOf(oneOf(LABELS).parse(name)), format: (which) => LABELS[which],
      read: () => pair.label, set: (which) => { chosen.label = which; },
    },
    b: {
      ...aSentence, read: () => pair.b,
      set(sentence) {
        pickSplit(chosen.split);
        const own = { ...pair, label: chosen.label };
        const fits = chosen.label === RANDOM && candidates(text, own, rules).includes(sentence);
        show(fits ? { ...own, b: sentence } : withB(text, own, rules, rng));
      },
    },
  };
  const check = ({ a, label: which }) => {
    if (which === FOLLOWS && a + 1 >= endOf(text, a)) throw new Error("nothing follows the last sentence of a document");
  };
  return { paint, state, check, release: () => pin(null) };
}
