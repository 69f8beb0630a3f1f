import {
  FATES, SEGMENTS, asking, chip, clean, element, followTheme, hasKernel, labelled, percent, plural,
  roving, saveButton, telling, textFields, tooltip, unpack,
} from "./shared.js";

const HINT = "Hover shows how a token was decided, a click pins it, Escape lets go.";
const [NOT_CHOSEN, MASKED, RANDOM, KEPT] = FATES.keys();
const IGNORED = -100;

// ---- the rule, as in bertedu/masking.py ---------------------------------------------------------

/** How many tokens are chosen: a share of all, a half rounded to the even neighbour, at least 1. */
export function wanted(length, rate) {
  const exact = length * (rate / 100);
  const low = Math.floor(exact);
  const rounded = exact - low === 0.5 ? low + (low % 2) : Math.round(exact);
  return Math.max(1, rounded);
}

/** Positions of each word: pieces with ## belong to the ordinary token right before them. */
export function words({ tokens, special }) {
  const all = [];
  tokens.forEach((token, i) => {
    if (special[i]) return;
    if (token.startsWith("##") && i > 0 && !special[i - 1]) all.at(-1).push(i);
    else all.push([i]);
  });
  return all;
}

/** The fate of each token in each roll, one after the other, from the numbers Python drew. */
export function fatesFromDraws({ tokens, special, order, draws }, { rate, mask, random, whole_words }) {
  const length = tokens.length;
  const units = whole_words ? words({ tokens, special }) : tokens.map((_, i) => (special[i] ? [] : [i]));
  const fates = new Uint8Array(draws.values.length);
  const [masked, replaced] = [mask / 100, mask / 100 + random / 100];
  for (let start = 0; start < fates.length; start += length) {
    let room = wanted(length, rate);
    for (let rank = 0; rank < length && room; rank++) {
      const unit = units[order.values[start + rank]] ?? [];
      if (unit.length > room) continue;
      room -= unit.length;
      for (const position of unit) {
        const draw = draws.values[start + position];
        fates[start + position] = draw < masked ? MASKED : draw < replaced ? RANDOM : KEPT;
      }
    }
  }
  return fates;
}

/** What the model sees of one roll, and what it is asked: a token, an id and a label each. */
export function seen(data, fates, roll) {
  const start = roll * data.tokens.length;
  return data.tokens.map((token, position) => {
    const fate = fates[start + position];
    const was = { token, id: data.ids[position] };
    const [another, anothersId] = data.pool[data.random.values[start + position]];
    const now = {
      [MASKED]: { token: "[MASK]", id: data.mask_id },
      [RANDOM]: { token: another, id: anothersId },
    }[fate] ?? was;
    return {
      ...now, position, was, fate, segment: data.types[position], special: data.special[position],
      label: fate === NOT_CHOSEN ? IGNORED : was.id, draw: data.draws.values[start + position],
      };
  });
}

/** The shares when one is moved: what it leaves goes to the others as they stood to each other. */
export function shared(shares, which, value) {
  const [one, other] = Object.keys(shares).filter((name) => name !== which);
  const left = 100 - value;
  const sum = shares[one] + shares[other];
  const first = Math.round(sum ? (left * shares[one]) / sum : left / 2);
  return { ...shares, [which]: value, [one]: first, [other]: left - first };
}

// ---- counts against expectation -----------------------------------------------------------------

/** P(k of n), k from 0 to n, when each happens with this probability. */
export function binomial(n, share) {
  if (share <= 0 || share >= 1) return Array.from({ length: n + 1 }, (_, k) => +(k === (share >= 1 ? n : 0)));
  const logs = [n * Math.log1p(-share)];
  for (let k = 1; k <= n; k++) {
    logs.push(logs[k - 1] + Math.log(((n - k + 1) / k) * (share / (1 - share))));
  }
  return logs.map(Math.exp);
}

/** For one fate: in how many rolls it befell k tokens, and in how many it should. */
export function histogram(fates, length, fate, share) {
  const rolls = fates.length / length;
  const observed = new Array(length + 1).fill(0);
  const chosen = new Array(length + 1).fill(0);
  for (let start = 0; start < fates.length; start += length) {
    const row = fates.subarray(start, start + length);
    observed[row.reduce((sum, each) => sum + (each === fate), 0)] += 1;
    chosen[row.reduce((sum, each) => sum + (each !== NOT_CHOSEN), 0)] += 1;
  }
  const expected = new Array(length + 1).fill(0);
  chosen.forEach((times, n) => {
    if (times) binomial(n, share).forEach((p, k) => { expected[k] += times * p; });
  });
  return observed.map((count, k) => {
    const half = 1.96 * Math.sqrt(expected[k] * Math.max(0, 1 - expected[k] / rolls));
    return { k, count, expected: expected[k], low: Math.max(0, expected[k] - half), high: Math.min(rolls, expected[k] + half) };
  });
}

/** The share of the chosen tokens that met this fate, and where it should lie 19 times of 20. */
export function total(fates, fate, share) {
  let [count, chosen] = [0, 0];
  for (const each of fates) {
    count += each === fate;
    chosen += each !== NOT_CHOSEN;
  }
  const half = 1.96 * Math.sqrt((share * (1 - share)) / chosen);
  return { count, chosen, share: count / chosen, low: Math.max(0, share - half), high: Math.min(1, share + half) };
}

// ---- in words -----------------------------------------------------------------------------------

/** How one token was decided, as one line of text. */
export function described(thing, settings) {
  const { was, position, segment, fate, special, draw, label } = thing;
  const place = `${clean(was.token)}, id ${was.id}, position ${position}, segment ${SEGMENTS[segment]}`;
  if (special) return `${place}: a special token, never chosen; label ${IGNORED}`;
  if (fate === NOT_CHOSEN) return `${place}: not chosen, stays as it is; label ${IGNORED}, not counted`;
  const [mask, sum] = [settings.mask / 100, (settings.mask + settings.random) / 100];
  const rule = {
    [MASKED]: `< ${mask.toFixed(2)}: becomes [MASK]`,
    [RANDOM]: `from ${mask.toFixed(2)} to ${sum.toFixed(2)}: becomes a random token, ${clean(thing.token)} (id ${thing.id})`,
    [KEPT]: `≥ ${sum.toFixed(2)}: is kept`,
  }[fate];
  return `${place}: chosen, and its draw ${draw.toFixed(3)} ${rule}; label ${label}, counted`;
}

/** The count rule with its numbers. */
export function counted(data, settings, chosen) {
  const length = data.tokens.length;
  const exact = length * (settings.rate / 100);
  const goal = wanted(length, settings.rate);
  const rule = `${plural(length, "token")}, [CLS] and [SEP] counted, × ${settings.rate} % = ${exact.toFixed(2)}`;
  const half = exact % 1 === 0.5 ? " (a half to the even neighbour)" : "";
  const rounded = exact <= 0.5 ? "at least 1" : `rounded ${goal}${half}`;
  const why = chosen === goal ? "" : settings.whole_words
    ? "; no other whole word fits" : "; there are no more ordinary tokens";
  return `${rule}, ${rounded}: ${chosen} chosen${why}`;
}

// ---- the widget ---------------------------------------------------------------------------------

function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const root = element("section", {
    class: "bertedu be-mask-explorer",
    "aria-label": "Mask explorer",
    "data-lm-suppress-shortcuts": "true", // the arrow keys are ours, not the notebook's
  });
  el.append(root);
  followTheme(root, signal);

  const live = hasKernel(model);
  const status = element("p", { class: "be-status", role: "status" });
  const seed = element("input", { type: "number", value: model.get("seed"), min: 0, max: 2 ** 31 - 1, step: 1, class: "be-number" });
  const fields = [...textFields(), {
    name: "seed", box: seed, label: labelled("Seed", "of all rolls", seed),
    read: () => (Number.isSafeInteger(seed.valueAsNumber) ? seed.valueAsNumber : data.asked[2]),
    write: (number) => { seed.value = number; },
  }];

  const slider = (name, title, lowest) => {
    const value = element("output", { class: "be-value" });
    const box = element("input", {
      type: "range", min: lowest, max: 100, step: 1, class: `be-slider be-slider-${name}`,
      on: { input: () => move(name, Number(box.value)) }, signal,
    });
    return { name, value, box, label: element("label", { class: "be-slide" }, element("span", {}, title), box, value) };
  };
  const sliders = [
    slider("rate", "chosen, of all tokens", 1),
    slider("mask", "of the chosen: [MASK]", 0),
    slider("random", "random token", 0),
    slider("kept", "kept", 0),
  ];
  const whole = element("input", {
    type: "checkbox", on: { change: () => change({ whole_words: whole.checked }) }, signal,
  });
  const button = (text, click) => element("button", { type: "button", class: "be-button", on: { click }, signal }, text);
  const reroll = button("Reroll", () => change({ roll: (settings.roll + 1) % rolls() }));
  const back = button("The paper's shares", () => change({ ...data.paper, roll: settings.roll }));
  const which = element("span", { class: "be-roll" });

  const picture = element("div", { class: "be-picture" });
  const line = element("p", { class: "be-line", role: "status" }, HINT);
  const save = saveButton(() => model.get("picture"), "masks.svg", signal);
  if (!live) save.title = "as Python drew it, before a slider was moved";
  root.append(
    element("div", { class: "be-inputs be-inputs-3" }, fields.map(({ label }) => label)),
    status,
    element("div", { class: "be-panel" },
      element("div", { class: "be-sliders", role: "group", "aria-label": "Shares" }, sliders.map(({ label }) => label)),
      element("div", { class: "be-actions" },
        reroll, which, element("label", { class: "be-check" }, whole, " whole words"), back)),
    picture, element("div", { class: "be-foot" }, line, save),
  );
  const tip = tooltip(root);

  let data;
  let settings;
  let things = []; // what each chip stands for
  let pinned = null; // a position
  let picturing = new AbortController();
  const settled = asking({ model, root, status, fields, fixed: "text and seed are", signal });

  const rolls = () => data.draws.shape[0];
  const isEmpty = () => data.special.every(Boolean);
  const shares = () => ({ mask: settings.mask, random: settings.random, kept: 100 - settings.mask - settings.random });

  function answered() {
    data = unpack(model.get("data"));
    settings = { ...data.paper, ...model.get("settings") };
    if (settings.roll >= rolls()) settings.roll = 0;
    settled(data, isEmpty() ? "Nothing to mask yet: type a word." : "");
    pinned = null;
    paint();
  }

  // ---- sliders: at once here, later to Python for the saved picture ----

  const tell = telling(model, () => settings, signal);

  function move(name, value) {
    if (name === "rate") return change({ rate: value });
    const { mask, random } = shared(shares(), name, value);
    return change({ mask, random });
  }

  function change(some) {
    settings = { ...settings, ...some };
    tell();
    paint();
  }

  function followed() {
    const theirs = model.get("settings");
    if (Object.keys(theirs).every((key) => theirs[key] === settings[key])) return;
    settings = { ...settings, ...theirs };
    paint();
  }

  // ---- the picture ----

  function paint() {
    const focused = picture.contains(document.activeElement);
    picturing.abort();
    picturing = new AbortController();
    tip.hide();
    const fates = fatesFromDraws(data, settings);
    things = seen(data, fates, settings.roll);
    const chosen = things.filter(({ fate }) => fate !== NOT_CHOSEN).length;
    for (const { name, value, box } of sliders) {
      box.value = name === "rate" ? settings.rate : shares()[name];
      value.textContent = `${box.value} %`;
      box.setAttribute("aria-valuetext", value.textContent);
    }
    whole.checked = settings.whole_words;
    which.textContent = `roll ${(settings.roll + 1).toLocaleString("en")} of ${rolls().toLocaleString("en")}`;

    const row = element("div", { class: "be-chips", role: "toolbar", "aria-label": "Tokens" },
      things.map((thing) => chip({
        token: thing.token, id: thing.id, segment: thing.segment,
        special: thing.special && thing.fate === NOT_CHOSEN,
        fate: thing.fate === NOT_CHOSEN ? null : FATES[thing.fate],
        was: thing.fate === RANDOM ? thing.was.token : null,
        note: [String(thing.label), thing.fate === NOT_CHOSEN ? "\u00a0" : FATES[thing.fate]],
      }, {
        "aria-description": described(thing, settings),
        "aria-pressed": String(thing.position === pinned),
      })));
    roving(row, picturing.signal);
    picture.replaceChildren(
      element("div", { class: "be-stage" },
        element("h4", {}, "What the model sees, and what it is asked",
          element("span", { class: "be-note" }, "beneath: the id it sees, its label (−100: not counted), its fate")),
        row, element("p", { class: "be-verdict" }, counted(data, settings, chosen))),
      fates.every((fate) => fate === NOT_CHOSEN) ? "" : element("div", { class: "be-stage" },
        element("h4", {}, `Over ${rolls().toLocaleString("en")} rolls`,
          element("span", { class: "be-note" }, "how many tokens of a roll met each fate")),
        element("div", { class: "be-histograms" }, [MASKED, RANDOM, KEPT].map((fate) => counts(fates, fate))),
        element("p", { class: "be-key" },
          element("span", { class: "be-key-bar" }), "rolls counted ",
          element("span", { class: "be-key-band" }), "95 % band: where 19 of 20 bars end ",
          element("span", {}, "▲"), " this roll")),
    );
    if (focused) row.querySelector("button")?.focus();
    pin(pinned);
  }

  function counts(fates, fate) {
    const name = FATES[fate];
    const share = { [MASKED]: settings.mask, [RANDOM]: settings.random, [KEPT]: shares().kept }[fate] / 100;
    const all = histogram(fates, data.tokens.length, fate, share);
    const here = things.filter((thing) => thing.fate === fate).length;
    const shown = all.filter(({ count, high, k }) => count || high >= 0.5 || k === here);
    const columns = all.slice(shown[0].k, shown.at(-1).k + 1);
    const highest = Math.max(...columns.map(({ count, high }) => Math.max(count, high)));
    const up = (value) => `${(100 * value) / highest}%`;
    const { count, chosen, share: found, low, high } = total(fates, fate, share);
    const text = `${count.toLocaleString("en")} of ${chosen.toLocaleString("en")} chosen tokens: ${percent(found)}`;
    const band = `expected ${(100 * share).toFixed(0)} %, 95 % band ${(100 * low).toFixed(1)} to ${percent(high)}`;
    const within = found >= low - 1e-9 && found <= high + 1e-9;
    const bars = columns.map(({ k, count, expected, low, high }) => element("div", {
      class: `be-column${k === here ? " be-here" : ""}`,
      title: `${plural(k, "token")} ${name}: in ${count} rolls; expected ${expected.toFixed(1)}, 95 % band ${low.toFixed(0)} to ${high.toFixed(0)}`,
    },
    element("div", { class: "be-plot" },
      element("div", { class: "be-bar", style: `height:${up(count)}` }),
      element("div", { class: "be-band", style: `bottom:${up(low)};height:${up(high - low)}` })),
    element("span", { class: "be-small" }, columns.length < 16 || k % 5 === 0 ? String(k) : "\u00a0"),
    element("span", { class: "be-small" }, k === here ? "▲" : "\u00a0")));
    return element("figure", { class: `be-histogram be-of-${name}` },
      element("figcaption", {}, element("b", {}, name), ` ${text} `,
        element("span", { class: "be-dim" }, band, within ? "\u00a0✓" : " (outside: one in 20 is)")),
      element("div", { class: "be-bars", role: "img", "aria-label": `${name}: ${text}; ${band}` }, bars));
  }

  // ---- hover shows, click pins, Escape lets go ----

  const chips = () => [...picture.querySelectorAll(".be-chip")];
  const positionAt = (target) => {
    const position = chips().indexOf(target.closest?.("button"));
    return position < 0 ? null : position;
  };

  function light(position) {
    chips().forEach((node, i) => node.classList.toggle("be-lit", i === position));
  }

  function pin(position) {
    pinned = position;
    chips().forEach((node, i) => node.setAttribute("aria-pressed", i === position));
    line.textContent = position === null ? HINT : `Pinned: ${described(things[position], settings)}`;
    line.classList.toggle("be-pinned", position !== null);
    light(position);
  }

  function point({ target }) {
    const position = positionAt(target);
    if (position === null) return leave();
    light(position);
    tip.show(chips()[position], described(things[position], settings));
  }

  function leave() {
    tip.hide();
    light(pinned);
  }

  for (const [type, listener] of Object.entries({
    pointerover: point,
    pointerleave: leave,
    focusin: point,
    focusout: leave,
    click: ({ target }) => {
      const position = positionAt(target);
      if (position !== null) pin(position === pinned ? null : position);
    },
  })) picture.addEventListener(type, listener, { signal });
  root.addEventListener("keydown", (event) => {
    if (event.target.type === "range") event.stopPropagation(); // JupyterLab takes its arrow keys
    if (event.key !== "Escape") return;
    pin(null);
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
