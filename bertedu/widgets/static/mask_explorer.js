import {
  FATES, SEGMENTS, chip, clean, defineWidget, element, labelBox, nthOf, numberFrom, ofSettings, onOff, percent, placeIn,
  plural, roving, stage, textFields,
} from "./shared.js";
import { KEPT, MASKED, NOT_CHOSEN, RANDOM, countToChoose, fatesFromDraws } from "./rules/masking.js";

const HINT = "Hover shows how a token was decided, a click pins it, Escape lets go.";
const IGNORED = -100;

// ---- numbers ------------------------------------------------------------------------------------

/** What the model sees of one roll, and what it is asked: a token, an id and a label each. */
export function tokensSeen(data, fates, roll) {
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
export function moveShare(shares, which, value) {
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
export function shareOfFate(fates, fate, share) {
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
export function describe(thing, settings) {
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
export function describeCount(data, settings, chosen) {
  const length = data.tokens.length;
  const exact = length * (settings.rate / 100);
  const goal = countToChoose(length, settings.rate);
  const rule = `${plural(length, "token")}, [CLS] and [SEP] counted, × ${settings.rate} % = ${exact.toFixed(2)}`;
  const half = exact % 1 === 0.5 ? " (a half to the even neighbour)" : "";
  const rounded = exact <= 0.5 ? "at least 1" : `rounded ${goal}${half}`;
  const why = chosen === goal ? "" : settings.whole_words
    ? "; no other whole word fits" : "; there are no more ordinary tokens";
  return `${rule}, ${rounded}: ${chosen} chosen${why}`;
}

// ---- the widget ---------------------------------------------------------------------------------

export default defineWidget({
  kind: "MaskExplorer", name: "be-mask-explorer", label: "Mask explorer", picture: "masks", hint: HINT, build,
  fixed: "text and seed are", first: ({ paper }) => paper,
  fields: ({ data, model }) => {
    const seed = element("input", { type: "number", value: model.get("seed"), min: 0, max: 2 ** 31 - 1, step: 1, class: "be-number" });
    return [...textFields(), {
      name: "seed", box: seed, label: labelBox("Seed", "of all rolls", seed),
      read: () => (Number.isSafeInteger(seed.valueAsNumber) ? seed.valueAsNumber : data.asked[2]),
      write: (number) => { seed.value = number; },
    }];
  },
});

function build(view) {
  const { root, signal, data, settings, change, tip, button } = view;
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
  const whole = view.check("whole words", (on) => change({ whole_words: on }));
  const reroll = button("Reroll", () => change({ roll: (settings.roll + 1) % rolls() }));
  const back = button("The paper's shares", () => change({ ...data.paper, roll: settings.roll }));
  const which = element("span", { class: "be-roll" });

  const picture = element("div", { class: "be-picture" });
  root.append(
    view.inputs("be-inputs-3"), view.status,
    element("div", { class: "be-panel" },
      element("div", { class: "be-sliders", role: "group", "aria-label": "Shares" }, sliders.map(({ label }) => label)),
      element("div", { class: "be-actions" },
        reroll, which, whole.label, back)),
    picture, view.foot(),
  );

  let things = []; // what each chip stands for
  let pinned = null; // a position

  const rolls = () => data.draws.shape[0];
  const isEmpty = () => data.special.every(Boolean);
  const shares = () => ({ mask: settings.mask, random: settings.random, kept: 100 - settings.mask - settings.random });

  function receive() {
    if (settings.roll >= rolls()) settings.roll = 0;
    pinned = null;
    return isEmpty() ? "Nothing to mask yet: type a word." : "";
  }

  function move(name, value) {
    if (name === "rate") return change({ rate: value });
    const { mask, random } = moveShare(shares(), name, value);
    return change({ mask, random });
  }

  // ---- the picture ----

  function paint() {
    const focused = picture.contains(document.activeElement);
    view.renew();
    const fates = fatesFromDraws(data, settings);
    things = tokensSeen(data, fates, settings.roll);
    const chosen = things.filter(({ fate }) => fate !== NOT_CHOSEN).length;
    for (const { name, value, box } of sliders) {
      box.value = name === "rate" ? settings.rate : shares()[name];
      value.textContent = `${box.value} %`;
      box.setAttribute("aria-valuetext", value.textContent);
    }
    whole.box.checked = settings.whole_words;
    which.textContent = `roll ${(settings.roll + 1).toLocaleString("en")} of ${rolls().toLocaleString("en")}`;

    const row = element("div", { class: "be-chips", dir: "auto", role: "toolbar", "aria-label": "Tokens" },
      things.map((thing) => chip({
        token: thing.token, id: thing.id, segment: thing.segment,
        special: thing.special && thing.fate === NOT_CHOSEN,
        fate: thing.fate === NOT_CHOSEN ? null : FATES[thing.fate],
        was: thing.fate === RANDOM ? thing.was.token : null,
        note: [String(thing.label), thing.fate === NOT_CHOSEN ? "\u00a0" : FATES[thing.fate]],
      }, {
        "aria-description": describe(thing, settings),
        "aria-pressed": String(thing.position === pinned),
      })));
    roving(row, view.painting);
    picture.replaceChildren(
      stage("What the model sees, and what it is asked",
        "beneath: the id it sees, its label (−100: not counted), its fate",
        row, element("p", { class: "be-verdict" }, describeCount(data, settings, chosen))),
      fates.every((fate) => fate === NOT_CHOSEN) ? "" : stage(
        `Over ${rolls().toLocaleString("en")} rolls`, "how many tokens of a roll met each fate",
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
    const { count, chosen, share: found, low, high } = shareOfFate(fates, fate, share);
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
  const positionAt = ({ target }) => {
    const position = chips().indexOf(target.closest?.("button"));
    return position < 0 ? undefined : position;
  };

  function light(position) {
    chips().forEach((node, i) => node.classList.toggle("be-lit", i === position));
  }

  function pin(position) {
    pinned = position;
    chips().forEach((node, i) => node.setAttribute("aria-pressed", i === position));
    view.say(position === null ? null : `Pinned: ${describe(things[position], settings)}`);
    light(position);
  }

  view.listen(picture, {
    find: positionAt,
    show: (position) => {
      light(position);
      tip.show(chips()[position], describe(things[position], settings));
    },
    hide: () => light(pinned),
    pin: (position) => pin(position === pinned ? null : position),
  });
  const share = numberFrom(0, 100);
  const state = {
    ...ofSettings(view, { rate: numberFrom(1, 100), mask: share, random: share, roll: nthOf(rolls), whole_words: onOff }),
    token: { ...placeIn(() => data.tokens), read: () => pinned, set: pin },
  };
  const check = ({ mask, random }) => {
    if (mask + random > 100) throw new Error("mask and random are more than 100 % together");
  };
  return { receive, paint, state, check, release: () => pin(null) };
}
