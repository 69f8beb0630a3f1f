import {
  defineWidget, element, heading, nthOf, ofSettings, percent, probabilityRow, readable, roving, svgElement, textField,
} from "./shared.js";

const REST = 1500; // ms without typing after which a pair counts as a try
const ALONE = -1; // the place of the hypothesis alone, among the tries
const HINT = "Hover shows a point's numbers, a click pins it, Escape lets go.";
const [WIDTH, TOP, SIDE] = [460, 42, 360];
const HEIGHT = SIDE * Math.sqrt(0.75);
const LEFT = (WIDTH - SIDE) / 2;
const APART = 21; // px between two marks

// ---- numbers ------------------------------------------------------------------------------------

/** Where three probabilities lie in the triangle: the nearer to a corner, the more probable. */
export function placeInTriangle([top, left, right]) {
  return { x: LEFT + SIDE * (0.5 * top + right), y: TOP + HEIGHT * (left + right) };
}

/** The x of a mark that covers none of those that are taken: its own, or beside it, inwards. */
export function besideOthers({ x, y }, taken) {
  let free = x;
  while (taken.some((other) => Math.hypot(other.x - free, other.y - y) < APART)) free += x > WIDTH / 2 ? -APART : APART;
  taken.push({ x: free, y });
  return free;
}

/** What was replaced by what between two texts, in words: all but the beginning and end they share. */
export function changeBetween(before, after) {
  const [a, b] = [before, after].map((text) => text.split(/\s+/u).filter(Boolean));
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [from, to] = [a, b].map((words) => words.slice(start, words.length - end).join(" "));
  return from || to ? { from, to } : null;
}

/** What was edited from one pair to the next, as text. */
export function describeEdit(before, after) {
  const changes = ["A", "B"].map((name, n) => {
    const change = changeBetween(before[n], after[n]);
    return change && `${name}: ${change.from || "(nothing)"} → ${change.to || "(nothing)"}`;
  });
  return changes.filter(Boolean).join("; ") || "the same words";
}

/** The words of a text and where they stand in it. */
export const wordsOf = (text) =>
  [...text.matchAll(/\S+/gu)].map(({ 0: word, index }) => ({ word, start: index, end: index + word.length }));

/** The tries when one more pair is left behind: neither a double at the end, nor more than so many. */
export function addTry(tries, pair, most) {
  const last = tries.at(-1);
  if (last && last[0] === pair[0] && last[1] === pair[1]) return tries;
  return [...tries, pair].slice(-most);
}

const likeliest = (shares) => shares.indexOf(Math.max(...shares));

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  kind: "PairExplorer", name: "be-pair-explorer", label: "Pair explorer", picture: "pair", hint: HINT, build,
  fields: () => [
    textField("premise", "Premise", "Segment A"), textField("hypothesis", "Hypothesis", "Segment B"),
  ],
  pins: { pinned: ({ tries }) => tries.length },
});

function build(view) {
  const { model, root, signal, data, settings, tip, live, fields } = view;
  const hint = live ? `${HINT} Click a word to change it.` : HINT;
  const words = ["premise", "hypothesis"].map((name, n) => element("div", {
    class: `be-words be-words-${"ab"[n]}`, role: "toolbar", "aria-label": `Words of the ${name}`,
  }));
  const triangle = element("div", { class: "be-triangle" });
  const now = element("div", { class: "be-now" });
  const trail = element("div", { class: "be-trail" });
  const back = view.button("Put these words back", () => takeBack());
  root.append(
    element("div", { class: "be-inputs be-pair" }, fields.map(({ label }, n) => element("div", {}, label, words[n]))),
    view.status,
    element("div", { class: "be-stage be-beside" },
      element("figure", { class: "be-figure" }, triangle),
      element("div", {}, now, trail)),
    view.foot(back),
  );

  let resting = true; // the pair that is shown was looked at, not only passed while typing

  const receive = () => (data.asked.some((text) => !text.trim())
    ? "One side is empty: the model judges the other alone." : "");

  /** The three probabilities of a point: of the pair (null), of a try, of the hypothesis alone. */
  const sharesOf = (place) => {
    if (place === null) return [...data.probabilities.values];
    if (place === ALONE) return [...data.alone.values];
    return [...data.trail.values.subarray(3 * place, 3 * place + 3)];
  };

  // ---- the trail: pairs at which the reader rested ----

  let clock;
  function rest() {
    clearTimeout(clock);
    resting = true;
  }

  function typing() {
    if (resting) {
      const kept = addTry(data.tries, [...data.shown], data.most_tries);
      resting = false;
      // Goes to Python with the text that is typed.
      if (kept !== data.tries) model.set({ tries: kept });
    }
    clearTimeout(clock);
    clock = setTimeout(rest, REST);
  }

  for (const { box } of fields) {
    box.addEventListener("input", typing, { signal, capture: true });
    box.addEventListener("change", rest, { signal });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault(); // the end of an edit, not a new line
      event.stopPropagation();
      rest();
    }, { signal });
  }
  signal.addEventListener("abort", () => clearTimeout(clock));

  function takeBack() {
    const pair = data.tries[settings.pinned];
    if (!pair) return;
    rest();
    fields.forEach(({ box, write }, n) => {
      if (box.value === pair[n]) return;
      write(pair[n]);
      box.dispatchEvent(new (root.ownerDocument.defaultView.Event)("input", { bubbles: true }));
    });
    rest();
    choose(null);
  }

  // ---- the picture ----

  function paint() {
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset?.place : undefined;
    view.renew();
    words.forEach((row, n) => {
      const all = wordsOf(data.shown[n]);
      row.replaceChildren(...all.map(({ word, start, end }) => element("button", {
        type: "button", class: "be-word", disabled: !live, "aria-label": `change “${readable(word)}”`,
        on: { click: () => select(fields[n].box, start, end) }, signal: view.painting,
      }, element("bdi", {}, readable(word)))));
      if (all.length) roving(row, view.painting);
    });
    triangle.replaceChildren(drawTriangle());
    const shares = sharesOf(null);
    now.replaceChildren(
      heading("What the model says of the pair", "the three sum to 100 %"),
      ...data.labels.map((label, k) => probabilityRow("div", {}, nameOfLabel(k), shares[k])));
    trail.replaceChildren(...table());
    const again = focused !== undefined && trail.querySelector(`[data-place="${focused}"]`);
    if (again) again.focus();
    point();
  }

  const nameOfLabel = (k) => (data.notes[k] ? `${data.labels[k]} (${data.notes[k]})` : data.labels[k]);

  /** Clicked: the word is chosen in its box, so that typing replaces it. */
  function select(box, start, end) {
    box.focus();
    box.setSelectionRange(start, end);
  }

  function drawTriangle() {
    const corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map(placeInTriangle);
    const middle = placeInTriangle([1 / 3, 1 / 3, 1 / 3]);
    const at = ({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`;
    const svg = svgElement("svg", {
      viewBox: `0 0 ${WIDTH} ${TOP + HEIGHT + 56}`, class: "be-ternary", role: "group",
      "aria-label": `Triangle of three probabilities: ${describe(null)}`,
    });
    const text = (words, x, y, attributes) => svgElement("text", { x, y, "text-anchor": "middle", ...attributes }, words);
    svg.append(svgElement("path", { class: "be-edge", d: `M${corners.map(at).join("L")}Z` }));
    for (const share of [0.25, 0.5, 0.75]) { // lines on which one label keeps its share
      for (let k = 0; k < 3; k++) {
        const ends = [1, 2].map((other) => {
          const point = [0, 0, 0];
          point[k] = share;
          point[(k + other) % 3] = 1 - share;
          return placeInTriangle(point);
        });
        svg.append(svgElement("path", { class: "be-grid", d: `M${ends.map(at).join("L")}` }));
      }
    }
    for (const [a, b] of [[0, 1], [1, 2], [2, 0]]) {
      const half = { x: (corners[a].x + corners[b].x) / 2, y: (corners[a].y + corners[b].y) / 2 };
      svg.append(svgElement("path", { class: "be-border", d: `M${at(middle)}L${at(half)}` }));
    }
    const shift = [[0, -20], [14, 32], [-14, 32]]; // clear of a point in the corner
    data.labels.forEach((label, k) => {
      const { x, y } = corners[k];
      const note = data.notes[k] && `(${data.notes[k]})`;
      const name = text(readable(label), x + shift[k][0], y + shift[k][1], { class: "be-corner" });
      svg.append(name);
      if (!note) return;
      if (k) svg.append(text(note, x + shift[k][0], y + 48, { class: "be-corner-note" }));
      else name.append(svgElement("tspan", { class: "be-corner-note", dx: 8 }, note));
    });
    const points = [...data.tries.keys(), null].map((place) => placeInTriangle(sharesOf(place)));
    svg.append(svgElement("path", { class: "be-path", d: `M${points.map(at).join("L")}` }));
    const taken = [];
    const mark = (place, ...shapes) => {
      const { x, y } = placeInTriangle(sharesOf(place));
      const free = besideOthers({ x, y }, taken);
      if (free !== x) svg.append(svgElement("path", { class: "be-path be-lead", d: `M${at({ x, y })}H${free.toFixed(1)}` }));
      return svgElement("g", {
        class: `be-mark ${place === null ? "be-mark-now" : place === ALONE ? "be-mark-alone" : "be-mark-try"}`,
        transform: `translate(${at({ x: free, y })})`, "data-place": place ?? "now",
      }, shapes);
    };
    const current = mark(null, svgElement("circle", { r: 10 }), svgElement("circle", { r: 3, class: "be-dot" }));
    const alone = mark(ALONE, svgElement("path", { d: "M0 -11L11 0L0 11L-11 0Z" }));
    const tries = data.tries.map((_, n) => mark(n, svgElement("circle", { r: 10 }), text(String(n + 1), 0, 4)));
    svg.append(...tries, alone, current);
    return svg;
  }

  function table() {
    const next = (n) => data.tries[n + 1] ?? [...data.shown];
    const rows = [...data.tries.map((_, n) => n), null, ALONE].map((place) => {
      const shares = sharesOf(place);
      const best = likeliest(shares);
      const before = place === null ? data.tries.at(-1) : data.tries[place - 1];
      const what = place === ALONE ? "the hypothesis alone, without a premise"
        : before ? describeEdit(before, place === null ? next(data.tries.length - 1) : data.tries[place])
          : place === null ? "the pair as it stands" : "the first pair";
      const sign = place === null ? "●" : place === ALONE ? "◆" : String(place + 1);
      return element("tr", { class: place === null ? "be-row-now" : place === ALONE ? "be-row-alone" : null },
        element("td", {}, sign),
        element("th", { scope: "row" }, element("button", {
          type: "button", class: "be-try", "data-place": place ?? "now", "aria-pressed": "false",
        }, element("bdi", {}, readable(what)))),
        shares.map((share, k) => element("td", { class: k === best ? "be-best" : null }, percent(share))));
    });
    return [
      heading("The trail", data.tries.length
        ? `${data.tries.length} earlier ${data.tries.length === 1 ? "try" : "tries"}, then the pair, then the hypothesis alone`
        : live && "edit a word: the point that you leave stays"),
      element("table", { class: "be-tried" },
        element("thead", {}, element("tr", {}, element("td"), element("th", { scope: "col" }, "what changed"),
          data.labels.map((label) => element("th", { scope: "col" }, readable(label))))),
        element("tbody", {}, rows)),
    ];
  }

  /** A point as one line of text. */
  function describe(place) {
    const shares = sharesOf(place).map((share, k) => `${data.labels[k]} ${percent(share)}`).join(", ");
    if (place === ALONE) return `the hypothesis alone: ${shares}. What the model says without knowing the premise.`;
    const [premise, hypothesis] = place === null ? data.shown : data.tries[place];
    return readable(`“${premise}” / “${hypothesis}”: ${shares}`);
  }

  // ---- hover shows, click pins, Escape lets go ----

  const placeAt = ({ target }) => {
    const node = target.closest?.("[data-place]");
    if (!node) return undefined;
    return { node, place: node.dataset.place === "now" ? null : Number(node.dataset.place) };
  };

  function light(place) {
    for (const node of root.querySelectorAll("[data-place]")) {
      node.classList.toggle("be-pointed", place !== undefined && node.dataset.place === String(place ?? "now"));
    }
  }

  /** Shows which place is pinned. */
  function point() {
    const { pinned } = settings;
    for (const node of trail.querySelectorAll("[data-place]")) {
      node.setAttribute("aria-pressed", String(pinned !== null && node.dataset.place === String(pinned)));
    }
    back.hidden = pinned === null || pinned === ALONE || !live;
    view.say(pinned === null ? hint : `Pinned: ${describe(pinned)}`, pinned !== null);
    light(pinned ?? undefined);
  }

  function choose(place) {
    view.set({ pinned: place });
    point();
  }

  view.listen(root, {
    find: placeAt,
    show: ({ place, node }) => {
      light(place);
      tip.show(node, describe(place));
    },
    hide: () => light(settings.pinned ?? undefined),
    pin: ({ place }) => {
      if (place !== null) choose(place === settings.pinned ? null : place);
    },
  });
  const aTry = nthOf(() => data.tries.length);
  const state = ofSettings(view, { pinned: {
    parse: (text) => (text === "alone" ? ALONE : aTry.parse(text)),
    format: (place) => (place === ALONE ? "alone" : aTry.format(place)),
    isPlace: true,
  } });
  return { receive, paint, state, follow: point, release: () => choose(null) };
}
