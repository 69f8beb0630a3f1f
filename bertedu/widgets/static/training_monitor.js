import { defineWidget, element, heading, numberFrom, plural, stage, svgElement } from "./shared.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [440, 190, 44, 112, 10, 24];
const HINT = "Hover a curve, or move along it with the arrow keys; a click pins the step, Escape lets go.";
const MOST_ROWS = 9;

/** 75 -> "1 min 15 s". */
export function duration(seconds) {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Where the drawing of a curve begins and ends in height: all but the raw curve's outliers. */
export function range(values) {
  const numbers = values.filter(Number.isFinite); // a run may have diverged
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const room = 0.15 * (high - low) + 0.02;
  return [low - room, high + room];
}

/** At most so many of the rows, evenly spread, the first and the last among them. */
export function thinOut(rows, most) {
  if (rows.length <= most) return rows;
  return Array.from({ length: most }, (_, i) => rows[Math.round((i * (rows.length - 1)) / (most - 1))]);
}

/** One step's losses in words. */
export function describe({ at, raw, smooth, curves, smoothed_over }, place) {
  const both = curves.map(({ name }, column) => {
    const [batch, mean] = [raw, smooth].map(({ values }) => values[2 * place + column].toFixed(2));
    return `${name} ${batch} nats, mean of the last ${smoothed_over} ${mean}`;
  });
  return `Step ${at.values[place]}: ${both.join("; ")}`;
}

/** What the run is doing, and how long it will. */
export function progress({ state, done, steps, seconds_left }) {
  const count = `${done.toLocaleString("en")} of ${plural(steps.toLocaleString("en"), "step")}`;
  const going = state === "running" || state === "paused";
  return `${count}, ${state}${going && seconds_left != null ? `, about ${duration(seconds_left)} left` : ""}`;
}

/** The steps that are drawn: all while it runs, and those that were taken once it has ended. */
export const drawn = ({ state, done, steps }) => (state === "stopped" ? Math.max(done, 1) : steps);

/** What the lines and marks of the curves mean: those that are there. */
export const meanings = ({ at, curves, smoothed_over }) => [
  at.values.length && ["be-raw", "each batch"],
  at.values.length && ["be-smooth", `the mean of the last ${smoothed_over}`],
  curves.some(({ held_out }) => held_out.length) && ["circle", "held-out documents"],
  ["be-baseline", "the baseline"],
].filter(Boolean);

const sample = (kind) => svgElement("svg", { viewBox: "0 0 26 12", class: "be-curve be-sample" }, kind === "circle"
  ? svgElement("circle", { cx: 13, cy: 6, r: 4 }) : svgElement("path", { d: "M1 6H25", class: kind }));

const across = (step, steps) => LEFT + ((WIDTH - LEFT - RIGHT) * step) / steps;

function curvePicture(data, column) {
  const { at, raw, smooth, curves } = data;
  const steps = drawn(data);
  const { name, baseline, baseline_name, held_out } = curves[column];
  const own = ({ values }) => Array.from(at.values, (_, i) => values[2 * i + column]);
  const thick = own(smooth);
  const [low, high] = range([...thick, baseline, ...held_out.map(([, value]) => value)]);
  const x = (step) => across(step, steps);
  const right = WIDTH - RIGHT;
  const foot = HEIGHT - BOTTOM;
  const y = (value) => TOP + (foot - TOP) * (1 - (value - low) / (high - low));
  const frame = { x: LEFT, y: TOP, width: right - LEFT, height: foot - TOP };
  const path = (values) => {
    const points = values.flatMap((value, i) =>
      (Number.isFinite(value) ? [`${x(at.values[i]).toFixed(1)} ${y(value).toFixed(1)}`] : []));
    return points.length ? `M${points.join("L")}` : "";
  };
  const last = held_out.at(-1)?.[1];
  const title = `${name}: baseline ${baseline.toFixed(2)} nats`
    + (last === undefined ? "" : `, held-out loss ${last.toFixed(2)} nats`);
  const picture = svgElement("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "be-curve", role: "img", "aria-label": title, tabindex: 0,
  });
  const text = (words, left, top, anchor = "start") =>
    svgElement("text", { x: left, y: top, "text-anchor": anchor }, words);
  let label = last === undefined ? 0 : y(last) + 4;
  const base = y(baseline) + 4;
  if (Math.abs(label - base) < 14) label = base + (label >= base ? 15 : -15);
  picture.append(
    svgElement("path", { d: `M${LEFT} ${TOP}V${foot}H${right}` }),
    // A batch may lie far outside: the frame cuts its line, and it does not run along the edge.
    svgElement("svg", { ...frame, viewBox: Object.values(frame).join(" ") },
      svgElement("path", { d: path(own(raw)), class: "be-raw" })),
    svgElement("path", { d: path(thick), class: "be-smooth" }),
    svgElement("path", { d: `M${LEFT} ${y(baseline)}H${right}`, class: "be-baseline" }),
    ...held_out.map(([step, value]) => svgElement("circle", { cx: x(step), cy: y(value), r: 4 })),
    svgElement("path", { d: "", class: "be-cursor" }),
    text(high.toFixed(2), LEFT - 5, TOP + 10, "end"), text(low.toFixed(2), LEFT - 5, foot, "end"),
    text("0", LEFT, HEIGHT - 7, "middle"), text(plural(steps, "step"), right, HEIGHT - 7, "end"),
    text(`${baseline_name} ${baseline.toFixed(2)}`, right + 9, base),
    ...(last === undefined ? [] : [text(`held out ${last.toFixed(2)}`, right + 9, label)]),
  );
  return element("figure", { class: "be-stage" },
    heading(name, "loss in nats"), picture);
}

function answers(predictions) {
  if (!predictions.length) return "";
  const rows = thinOut(predictions, MOST_ROWS);
  return stage("What it says for [MASK]", "the likeliest first",
    element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "after step"),
        rows.at(-1)[1].map(([text]) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, rows.map(([step, all]) => element("tr", {},
        element("th", { scope: "row" }, step.toLocaleString("en")),
        all.map(([, words]) => element("td", {}, words.join(" ")))))),
    ));
}

export default defineWidget({
  kind: "TrainingMonitor", name: "be-training", label: "Training monitor", picture: "training", hint: HINT, build,
});

function build({ model, root, data, live, button, signal, line, say, foot }) {
  let asked = null; // of Python, which has not heard it yet
  const command = () => asked ?? model.get("command");
  const send = (wish) => {
    // A message of its own: changes of the model's state wait for each other until the cell ends.
    model.send({ command: (asked = wish) });
    paintButtons();
  };
  const pause = button("Pause", () => send(command() === "pause" ? "run" : "pause"));
  const stop = button("Stop", () => send("stop"));
  const bar = element("progress", { "aria-label": "Steps done" });
  const state = element("span", { role: "status" });
  line.removeAttribute("role"); // a status is what changes by itself: here the progress
  const curves = element("div", { class: "be-curves" });
  const key = element("p", { class: "be-key be-meanings" });
  const table = element("div", { class: "be-answers" });
  root.append(
    element("div", { class: "be-controls" }, pause, stop, bar, state), curves,
    key, table, foot(),
  );

  let pinned = null; // a step
  let hovered = null; // another, or none

  function paintButtons() {
    const going = live && (data.state === "running" || data.state === "paused");
    const waits = going && command() === "stop";
    pause.disabled = stop.disabled = !going || waits;
    pause.textContent = command() === "pause" ? "Continue" : "Pause";
    state.textContent = waits ? "stopping after this step …" : progress(data);
  }

  function paint() {
    bar.max = data.steps;
    bar.value = data.done;
    paintButtons();
    const fresh = data.curves.map((_, column) => curvePicture(data, column));
    const pictures = [...curves.querySelectorAll(".be-curve")];
    if (pictures.length) { // they stay, so that a click that began before an update still arrives
      pictures.forEach((picture, column) => {
        const next = fresh[column].querySelector(".be-curve");
        picture.setAttribute("aria-label", next.getAttribute("aria-label"));
        picture.replaceChildren(...next.childNodes);
      });
    } else curves.append(...fresh);
    const meant = meanings(data); // there are only ever more
    if (key.children.length !== meant.length) key.replaceChildren(...meant.map(([kind, text]) => element("span", {}, sample(kind), text)));
    table.replaceChildren(answers(data.predictions));
    point(hovered ?? pinned);
  }

  const nearest = (step) => {
    const steps = data.at.values;
    let best = 0;
    steps.forEach((each, i) => { if (Math.abs(each - step) < Math.abs(steps[best] - step)) best = i; });
    return best;
  };

  function point(step) {
    const known = step !== null && data.at.values.length > 0;
    const place = known ? nearest(step) : null;
    for (const cursor of curves.querySelectorAll(".be-cursor")) {
      const left = known ? across(data.at.values[place], drawn(data)) : 0;
      cursor.setAttribute("d", known ? `M${left} ${TOP}V${HEIGHT - BOTTOM}` : "");
    }
    say(known ? `${step === pinned ? "Pinned: " : ""}${describe(data, place)}` : null, known && step === pinned);
  }

  const stepAt = (event) => {
    const picture = event.target.closest?.(".be-curve");
    if (!picture) return null;
    const { left, width } = picture.getBoundingClientRect();
    const place = ((event.clientX - left) / width) * WIDTH;
    return ((place - LEFT) / (WIDTH - LEFT - RIGHT)) * drawn(data);
  };
  for (const [type, listener] of Object.entries({
    pointermove: (event) => point((hovered = stepAt(event)) ?? pinned),
    pointerleave: () => {
      hovered = null;
      point(pinned);
    },
    click: (event) => {
      const step = stepAt(event);
      if (step !== null) point((pinned = pinned === null ? step : null));
    },
    keydown: (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const steps = data.at.values;
      if (!by || !steps.length) return;
      event.preventDefault();
      const here = pinned === null ? steps.length - 1 : nearest(pinned) + by;
      point((pinned = steps[Math.min(Math.max(here, 0), steps.length - 1)]));
    },
  })) curves.addEventListener(type, listener, { signal });

  const hearAnswer = () => {
    asked = null;
    paintButtons();
  };
  const settable = { step: {
    ...numberFrom(1, () => data.done), read: () => (pinned === null ? null : data.at.values[nearest(pinned)]),
    set: (step) => point((pinned = step)),
  } };
  return { paint, state: settable, release: () => point((pinned = null)), on: { "change:command": hearAnswer } };
}
