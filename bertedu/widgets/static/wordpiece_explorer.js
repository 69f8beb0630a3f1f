import {
  SEGMENTS, asking, chip, codePoint, element, followTheme, moved, plural, roving, saveButton,
  textFields, tooltip, unpack, visible,
} from "./shared.js";

const HINT = "Hover shows what belongs together, a click pins it, Escape lets go.";
const STEP_NAMES = {
  clean_text: ["cleaned", "a control character goes, other white space becomes a space"],
  handle_chinese_chars: ["set apart", "a Chinese character is a word of its own"],
  strip_accents: ["accent stripped", "the accent is stripped"],
  lowercase: ["lower-cased", "lower-cased"],
};

/** Every candidate tried for a word, in order: longest first, then on behind each match. */
export function tries({ text, matches }) {
  const letters = Array.from(text);
  const all = [];
  let start = 0;
  matches.forEach(([last, id], piece) => {
    const marks = piece ? "##" : "";
    const stop = start + Array.from(last).length - marks.length;
    for (let end = letters.length; end >= stop; end--) {
      const found = end === stop && id !== null;
      const candidate = marks + letters.slice(start, end).join("");
      all.push({ candidate, piece, start, end, found, id: found ? id : null });
    }
    start = stop;
  });
  return all;
}

/** What belongs together: two things of one segment that share characters. */
export const overlap = (a, b) =>
  a === b || (a.segment === b.segment && a.start < b.end && b.start < a.end);

/** How many characters each step changed, as one line. */
export function changes(segments, steps) {
  const counts = steps.map(() => 0);
  for (const { changed } of segments) {
    for (const step of Object.values(changed).flat()) counts[step] += 1;
  }
  const named = steps.map((step, i) => counts[i] && `${counts[i]} ${STEP_NAMES[step][0]}`);
  return named.filter(Boolean).join(", ") || "nothing to change";
}

/** The word whose search is shown first: the one with the most pieces. */
export function mostPieces(segments) {
  const words = segments.flatMap(({ words }) => words).filter(({ matches }) => matches.length);
  return words.reduce((best, w) => (w.matches.length > (best?.matches.length ?? 0) ? w : best), null);
}

const quoted = (characters) => `“${characters.map(visible).join("")}”`;

/** Widget-ready things from Python's data: characters, words and tokens with their spans. */
export function things(data) {
  const segments = data.segments.map(({ text, normalized, changed, words }, segment) => {
    const original = Array.from(text);
    return {
      changed,
      characters: original.map((character, i) => ({
        segment, start: i, end: i + 1, character, normalized: normalized[i],
        steps: (changed[i] ?? []).map((step) => data.steps[step]),
      })),
      words: words.map((word) => ({
        ...word, segment, source: original.slice(word.start, word.end),
      })),
    };
  });
  const tokens = data.tokens.map((token, position) => {
    const [start, end] = data.offsets[position];
    const segment = data.types[position];
    const added = Boolean(data.added[position]);
    return {
      token, position, segment, start, end, added,
      id: data.ids[position],
      special: data.special_ids.includes(data.ids[position]),
      source: added ? [] : Array.from(data.segments[segment].text).slice(start, end),
    };
  });
  return { segments, tokens };
}

/** The numbers of a token, a word or a character as one line of text. */
export function described(thing) {
  const two = `segment ${SEGMENTS[thing.segment]}`;
  if (thing.token) {
    const place = `token ${thing.token}, id ${thing.id}, position ${thing.position}, ${two}`;
    if (thing.added) return `${place}, put there by the encoder`;
    return `${place}, characters ${thing.start} to ${thing.end}: ${quoted(thing.source)}`;
  }
  if (thing.pieces) {
    const pieces = `${plural(thing.pieces.length, "piece")}: ${thing.pieces.join(" ")}`;
    return `word ${quoted(Array.from(thing.text))}, ${two}, characters ${thing.start} to ` +
      `${thing.end}, ${pieces}`;
  }
  const { character, normalized, steps } = thing;
  const named = `character ${thing.start}, ${visible(character)} (${codePoint(character)}), ${two}`;
  if (!steps.length) return `${named}: ${character === " " ? "ends a word" : "stays as it is"}`;
  const why = steps.map((step) => STEP_NAMES[step][1]).join(", ");
  return `${named}: ${why}${normalized ? ` → ${Array.from(normalized.trim() || " ", visible).join("")}` : ""}`;
}

function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const root = element("section", {
    class: "bertedu be-wordpiece",
    "aria-label": "WordPiece explorer",
    "data-lm-suppress-shortcuts": "true", // the arrow keys are ours, not the notebook's
  });
  el.append(root);
  followTheme(root, signal);

  const status = element("p", { class: "be-status", role: "status" });
  const fields = textFields();
  const picture = element("div", { class: "be-picture" });
  const line = element("p", { class: "be-line", role: "status" }, HINT);
  const save = saveButton(() => data.picture.values, "wordpiece.svg", signal);
  root.append(
    element("div", { class: "be-inputs" }, fields.map(({ label }) => label)),
    status, picture, element("div", { class: "be-foot" }, line, save),
  );
  const tip = tooltip(root);

  let data;
  let shown = []; // [element, thing] of all that can be lit
  let pinned = null;
  let word = null;
  let picturing = new AbortController();
  const settled = asking({ model, root, status, fields, signal });

  function answered() {
    data = unpack(model.get("data"));
    const empty = data.added.every(Boolean);
    settled(data, empty ? "Nothing to split yet: type a word and watch it become pieces." : "");
    paint();
  }

  // ---- the picture ----

  function paint() {
    picturing.abort();
    picturing = new AbortController();
    shown = [];
    pinned = null;
    tip.hide();
    const { segments, tokens } = things(data);
    const before = word;
    const words = segments.flatMap((segment) => segment.words);
    word = words.find((w) => before && w.text === before.text && w.segment === before.segment)
      ?? mostPieces(segments);
    picture.replaceChildren(
      stage("Characters", `top: as typed, bottom: normalised (${changes(segments, data.steps)})`,
        segments.map(({ characters }) => row("Characters", "be-glyphs", characters, glyph))),
      stage("Words", "split at spaces; each punctuation mark is a word of its own",
        segments.map((segment) => row("Words", "be-chips", segment.words, wordChip))),
      search(),
      stage("Tokens", `${plural(tokens.length, "token")} (BERT reads at most 512); beneath: id, and characters from-to`,
        [row("Tokens", "be-chips", tokens, tokenChip)]),
    );
    line.textContent = HINT;
  }

  function stage(title, note, rows) {
    return element("div", { class: "be-stage" },
      element("h4", {}, title, element("span", { class: "be-note" }, note)), rows);
  }

  function row(label, kind, all, draw) {
    const which = data.segments.length > 1 && label !== "Tokens" ? `, segment ${SEGMENTS[all[0]?.segment ?? 1]}` : "";
    const node = element("div", { class: kind, role: "toolbar", "aria-label": label + which });
    let whole; // the pieces of a word stay on one line
    for (const thing of all) {
      const item = draw(thing);
      shown.push([item, thing]);
      if (!item.classList.contains("be-continues") || !whole) {
        whole = element("span", { class: "be-whole" });
        node.append(whole);
      }
      whole.append(item);
    }
    if (all.length) roving(node, picturing.signal);
    return all.length ? node : null;
  }

  function glyph(thing) {
    const { character, normalized, steps } = thing;
    const result = Array.from(normalized.trim() || (normalized && " "), visible).join("") || "–";
    const seen = visible(character);
    return element("button", {
      type: "button", class: `be-glyph${steps.length ? " be-changed" : ""}`,
      "aria-label": described(thing), "aria-pressed": "false",
    },
    element("span", { class: seen.length > 2 ? "be-code" : null }, seen),
    element("span", { class: result.length > 2 ? "be-code" : null }, result));
  }

  function wordChip(thing) {
    return chip({ token: thing.text, segment: thing.segment, special: thing.special }, {
      "aria-label": described(thing), "aria-pressed": "false",
      "aria-current": thing === word ? "true" : null,
    });
  }

  function tokenChip(thing) {
    return chip({ ...thing, note: thing.added ? "\u00a0" : `${thing.start}–${thing.end}` }, {
      "aria-label": described(thing), "aria-pressed": "false",
    });
  }

  // ---- longest match first ----

  function search() {
    const box = element("div", { class: "be-stage be-search" });
    if (!word) return null;
    const all = tries(word);
    const title = element("h4", {}, "Longest match first: ", element("bdi", { class: "be-word" }, Array.from(word.text, visible).join("")));
    if (!all.length) {
      box.append(title, element("p", { class: "be-verdict" }, word.special
        ? "A special token is recognised before anything else and never split."
        : `Longer than ${data.longest_word} characters: [UNK], without a search.`));
      return box;
    }
    title.append(element("span", { class: "be-note" },
      "is it in the vocabulary? If not, one letter less"));
    const letters = Array.from(word.text, (letter) =>
      element("span", { class: "be-letter" }, visible(letter)));
    const columns = word.matches.map((_, piece) => element("ol", {
      class: "be-tries", "aria-label": `candidates for piece ${piece + 1}`,
    }));
    const items = all.map(({ candidate, piece, found, id }) => {
      const item = element("li", { class: found ? "be-found" : "be-missed" },
        element("span", { "aria-hidden": "true" }, found ? "✓" : "✗"),
        element("bdi", {}, Array.from(candidate, visible).join("")),
        found && element("span", { class: "be-small" }, `id ${id}`));
      columns[piece].append(item);
      return item;
    });
    const scroller = element("div", { class: "be-columns", tabindex: 0, role: "group",
      "aria-label": "Candidates tried" }, columns);
    const verdict = element("p", { class: "be-verdict", role: "status" });
    let here = all.length - 1;
    const buttons = [
      ["First try", "|◀", "Home"], ["Previous try", "◀", "ArrowLeft"],
      ["Next try", "▶", "ArrowRight"], ["Last try", "▶|", "End"],
    ].map(([label, sign, key]) => element("button", {
      type: "button", class: "be-button", "aria-label": label, title: label,
      on: { click: () => go(key) }, signal: picturing.signal,
    }, sign));

    function go(key) {
      here = moved(key, here, all.length);
      const { candidate, start, end, found, id } = all[here];
      items.forEach((item, i) => {
        item.classList.toggle("be-later", i > here);
        item.classList.toggle("be-now", i === here);
      });
      letters.forEach((letter, i) => {
        letter.classList.toggle("be-settled", i < start);
        letter.classList.toggle("be-tried", i >= start && i < end);
        letter.classList.toggle("be-hit", found && i >= start && i < end);
      });
      const last = here === all.length - 1;
      const ending = !last ? "" : found
        ? ` The word is spelled: ${plural(word.pieces.length, "piece")}.`
        : " Not even one letter fits: the whole word is [UNK].";
      verdict.textContent = `Try ${here + 1} of ${all.length}: ` +
        `${Array.from(candidate, visible).join("")} ${found ? `is in the vocabulary, id ${id}` : "is not in the vocabulary"} ` +
        `${found ? "✓" : "✗"} ${ending}`;
      buttons.forEach((button, i) => button.setAttribute("aria-disabled", i < 2 ? here === 0 : last));
      scroller.scrollTop = items[here].offsetTop - scroller.clientHeight / 2;
    }
    box.append(title,
      element("div", {
        class: "be-walk", role: "group", tabindex: 0,
        "aria-label": "Steps of the search: the arrow keys, Home and End step",
        on: {
          keydown: (event) => {
            if (moved(event.key, here, all.length) === undefined) return;
            event.preventDefault();
            go(event.key);
          },
        },
        signal: picturing.signal,
      },
      element("div", { class: "be-controls" }, buttons, element("div", { class: "be-letters", "aria-hidden": "true" }, letters)),
      verdict, scroller));
    go("End");
    return box;
  }

  function walk(chosen) {
    if (!chosen || chosen === word) return;
    word = chosen;
    for (const [node, thing] of shown) {
      if (!thing.pieces) continue;
      if (thing === word) node.setAttribute("aria-current", "true");
      else node.removeAttribute("aria-current");
    }
    picture.querySelector(".be-search")?.replaceWith(search());
  }

  // ---- hover shows, click pins, Escape lets go ----

  const thingAt = (target) => {
    const node = target.closest?.("button");
    return shown.find(([item]) => item === node) ?? [];
  };

  function light(thing) {
    for (const [node, other] of shown) {
      node.classList.toggle("be-lit", Boolean(thing) && overlap(thing, other));
    }
  }

  function pin(thing) {
    pinned = thing;
    for (const [node, other] of shown) node.setAttribute("aria-pressed", other === thing);
    line.textContent = thing ? `Pinned: ${described(thing)}` : HINT;
    line.classList.toggle("be-pinned", Boolean(thing));
    light(thing);
  }

  function point({ target }) {
    const [node, thing] = thingAt(target);
    if (!thing) return leave();
    light(thing);
    tip.show(node, described(thing));
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
      const [, thing] = thingAt(target);
      if (!thing) return;
      pin(thing === pinned ? null : thing);
      walk(shown.map(([, other]) => other).find((other) => other.pieces && overlap(other, thing)));
    },
  })) picture.addEventListener(type, listener, { signal });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    pin(null);
    leave();
  }, { signal });

  model.on("change:data", answered);
  answered();
  return () => {
    ending.abort();
    picturing.abort();
    model.off("change:data", answered);
    root.remove();
  };
}

export default { render };
