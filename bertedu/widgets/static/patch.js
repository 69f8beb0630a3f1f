import {
  chip, clean, defineWidget, element, hiddenField, percent, readable, roving, same, stage,
  textField, withSign,
} from "./shared.js";

const HINT = "Click a token above and one of the other sentence: its vector takes that place. Escape takes all changes back.";

// ---- in words -----------------------------------------------------------------------------------

const quoted = (token) => `“${clean(token)}”`;

/** The four answers: what is asked, and of each how it is told and how sure it is; null for none. */
export function answers({ gap, follows, label, span }) {
  const [best] = gap;
  const [name, share] = label.reduce((one, other) => (other[1] > one[1] ? other : one));
  const judged = follows !== null && (follows >= 0.5 ? ["follows", follows] : ["is a random one", 1 - follows]);
  return [
    ["The gap [MASK]", best ? [quoted(best[0]), best[1]] : null],
    ["The second text", judged || null],
    ["Label of the first text", [readable(name), share]],
    ["Its answer in the second", span && [span[0] ? quoted(span[0]) : "no answer", span[1]]],
  ];
}

/** What became of an answer, in words. */
export function compared(before, after) {
  if (!before || !after) return "";
  if (before[0] !== after[0]) return "changed";
  const points = 100 * (after[1] - before[1]);
  return Math.abs(points) < 0.05 ? "the same" : `the same, ${withSign(points, 1)} points`;
}

/** The changes, as one line. */
export function describe({ tokens, others, off, layers, segment, copy }) {
  const parts = [segment && "without the segment embedding", ...layers.map((layer) => `without layer ${layer}`)];
  if (off.length) parts.push(`${off.length} ${off.length === 1 ? "head" : "heads"} off`);
  const [layer, source, position] = copy ?? [];
  if (copy && others[source] !== undefined && tokens[position] !== undefined) {
    parts.push(`${quoted(others[source])} in place of ${quoted(tokens[position])} after layer ${layer}`);
  }
  return parts.filter(Boolean).join(", ");
}

// ---- the widget ---------------------------------------------------------------------------------

const NONE = { off: [], layers: [], segment: false, copy: null };

/** How a link writes a change: "3.7,4.1", "2,3", "cut", "2.1.1" (after a layer, from, to). */
const numbers = (text, count) => {
  const found = text.split(".").map(Number);
  if (found.length === count && found.every(Number.isInteger)) return found;
  throw new Error(`it is written as ${Array(count).fill("1").join(".")}`);
};
const listed = (count, one) => ({
  parse: (text) => text.split(",").map((part) => one(numbers(part, count))),
  format: (all) => all.map((each) => [each].flat().join(".")).join(","),
});
const WRITTEN = {
  off: listed(2, (pair) => pair),
  layers: listed(1, ([layer]) => layer),
  segment: { parse: (text) => text === "cut", format: () => "cut" },
  copy: { parse: (text) => numbers(text, 3), format: (copy) => copy.join(".") },
};

export default defineWidget({
  kind: "Patch", name: "be-patch", label: "Patch", picture: "patch", hint: HINT, build,
  fixed: "texts and changes are",
  fields: ({ model }) => [
    textField("text", "Text", "Segment A"),
    textField("pair", "Second text", "Segment B", { placeholder: "optional: makes it a pair", optional: true }),
    textField("other", "Other sentence", "to copy from"),
    ...Object.keys(NONE).map((name) => hiddenField(name, model.get(name))),
  ],
});

function build(view) {
  const { root, signal, data, model, live } = view;
  const fields = Object.fromEntries(view.fields.map((field) => [field.name, field]));
  const presets = model.get("presets").map(([name, asked]) => view.button(name, () => ask(asked),
    { class: "be-button be-preset", disabled: !live }));
  let [position, source] = [null, null]; // what is chosen, until both are
  const row = (name) => element("div", { class: "be-chips", role: "toolbar", "aria-label": name });
  const [chips, others] = [row("Tokens: where the vector goes"), row("Tokens of the other sentence")];
  const layerName = element("output", { class: "be-layer" });
  const layer = element("input", { type: "range", min: 0, step: 1, value: 2, disabled: !live, "aria-label": "After which layer" });
  const segment = view.check("without the segment embedding", (on) => ask({ segment: on }), { disabled: !live });
  const grid = element("div", { class: "be-cuts", role: "toolbar", "aria-label": "Layers and heads" });
  const rows = element("tbody", {});
  const back = view.button("Take all changes back", () => ask(NONE));
  root.append(
    element("div", { class: "be-presets", role: "group", "aria-label": "Examples" }, presets),
    view.inputs("be-three"), view.status,
    stage("What BERT reads", live ? "click the token whose vector is replaced" : "", chips),
    stage("The other sentence", live ? "click the token whose vector is copied" : "", others,
      element("label", { class: "be-after" }, "after layer ", layer, layerName)),
    element("details", { class: "be-cutting" }, element("summary", {}, "Cut a layer, a head, or the segments"),
      segment.label, element("p", { class: "be-key" }, "A row is a layer: its name cuts it out, what goes in comes out. A square is a head."), grid),
    element("div", { class: "be-scroll", tabindex: 0 }, element("table", { class: "be-answers" },
      element("thead", {}, element("tr", {}, ["", "as it is", "with the change"].map((name) => element("th", { scope: "col" }, name)))),
      rows)),
    view.foot(back),
  );
  const now = () => Object.fromEntries(Object.keys(NONE).map((name) => [name, fields[name].read()]));
  const forget = () => {
    [position, source] = [null, null];
    fields.copy.write(null); // its positions are other ones now
  };
  for (const name of ["text", "pair", "other"]) fields[name].box.addEventListener("input", forget, { signal });

  /** Asks with some of it changed, in one question. */
  function ask(some) {
    for (const [name, value] of Object.entries(some)) fields[name].write(value);
    [position, source] = [null, null];
    fields.off.put(fields.off.read());
    paint();
  }

  function choose(some) {
    const [, from, to] = fields.copy.read() ?? [null, source, position];
    [source, position] = [some.source ?? from, some.position ?? to];
    if (source !== null && position !== null) ask({ copy: [Number(layer.value), source, position] });
    else paint();
  }

  layer.addEventListener("change", () => {
    const copy = fields.copy.read();
    if (copy) ask({ copy: [Number(layer.value), copy[1], copy[2]] });
    else paint();
  }, { signal });
  layer.addEventListener("input", () => { layerName.textContent = layer.value; }, { signal });

  // ---- the picture ----

  function paint() {
    const focused = [chips, others, grid].map((part) => [...part.querySelectorAll("button")].indexOf(document.activeElement));
    view.renew();
    const changes = now();
    const [copied, from, to] = changes.copy ?? [null, source, position];
    chips.replaceChildren(...tokens(data, to));
    others.replaceChildren(...tokens(data.others, from));
    const [L, A] = data.heads;
    layer.max = L;
    layer.value = copied ?? layer.value;
    layerName.textContent = layer.value;
    segment.box.checked = changes.segment;
    grid.style.gridTemplateColumns = `max-content repeat(${A}, minmax(0, 1fr))`;
    grid.replaceChildren(...Array.from({ length: L }, (_, i) => cuts(i + 1, A, changes)).flat());
    for (const part of [chips, others, grid]) roving(part, view.painting);
    [chips, others, grid].forEach((part, i) => part.querySelectorAll("button")[focused[i]]?.focus());
    const [before, after] = [data.before, data.after].map(answers);
    rows.replaceChildren(...before.map(([name, was], i) => line(name, was, after[i][1])));
    const [, , , off, layers, without, copy] = data.asked; // of these are the answers
    const done = describe({ tokens: data.tokens, others: data.others.tokens, off, layers, segment: without, copy });
    back.disabled = !live || same(changes, NONE);
    view.say(done && `${done}: ${before.map(([name, was], i) => summary(name, was, after[i][1])).filter(Boolean).join("; ")}.`);
  }

  const tokens = ({ tokens: all, types, special }, chosen) => all.map((token, i) => chip({
    token, segment: types[i], special: special[i], fate: i === chosen ? "masked" : null,
  }, { "aria-pressed": String(i === chosen), "aria-disabled": live ? null : "true" }));

  function cuts(number, A, { off, layers }) {
    const flip = (list, one) => (list.some((each) => same(each, one)) ? list.filter((each) => !same(each, one)) : [...list, one]);
    const isCut = layers.includes(number);
    const square = (text, isOff, name, click, kind) => element("button", {
      type: "button", class: `be-cut ${kind}`, "aria-pressed": String(isOff), "aria-label": name, title: name, disabled: !live,
      on: { click }, signal: view.painting,
    }, text);
    return [
      square(isCut ? `× layer ${number}` : `layer ${number}`, isCut, `layer ${number} left out`,
        () => ask({ layers: flip(layers, number) }), "be-of-layer"),
      ...Array.from({ length: A }, (_, i) => {
        const head = [number, i + 1];
        const isOff = off.some((one) => same(one, head));
        return square(isOff ? "×" : "", isOff, `layer ${number}, head ${i + 1} off`, () => ask({ off: flip(off, head) }), "be-of-head");
      }),
    ];
  }

  const cell = (answer) => (answer ? [element("bdi", { class: "be-answer" }, answer[0]), ` ${percent(answer[1])}`] : "–");

  function line(name, before, after) {
    const what = compared(before, after);
    return element("tr", { class: what === "changed" ? "be-changed" : "" },
      element("th", { scope: "row" }, name), element("td", {}, cell(before)),
      element("td", {}, cell(after), what && element("span", { class: "be-what" }, what === "changed" ? "◀ changed" : what)));
  }

  const summary = (name, before, after) => after
    && `${name} ${after[0]} ${percent(after[1])}${compared(before, after) === "changed" ? `, not ${before[0]}` : ""}`;

  const at = (part) => ({ target }) => {
    const place = live ? [...part.children].indexOf(target.closest?.("button")) : -1;
    return place < 0 ? undefined : place;
  };
  for (const [part, name] of [[chips, "position"], [others, "source"]]) {
    view.listen(part, { find: at(part), show: () => {}, hide: () => {}, pin: (place) => choose({ [name]: place }) });
  }
  const state = Object.fromEntries(Object.entries(WRITTEN).map(([name, kind]) => [name, {
    ...kind,
    read: () => (same(fields[name].read(), NONE[name]) ? null : fields[name].read()),
    set(to) {
      const wanted = to ?? NONE[name];
      if (same(wanted, fields[name].read())) return;
      if (!live) throw new Error("this page has no Python behind it, so nothing can be cut or copied");
      ask({ [name]: wanted });
    },
  }]));
  return { paint, state, release: () => live && ask(NONE) };
}
