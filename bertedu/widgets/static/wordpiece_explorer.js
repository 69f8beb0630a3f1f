import {
  SEGMENTS, chip, codePoint, defineWidget, element, placeByKey, placeIn, plural, roving, stage, textFields, visible,
} from "./shared.js";
import { candidatesTried } from "./rules/wordpiece.js";

const HINT = "Hover shows what belongs together, a click pins it, Escape lets go.";
const STEP_NAMES = {
  clean_text: ["cleaned", "a control character goes, other white space becomes a space"],
  handle_chinese_chars: ["set apart", "a Chinese character is a word of its own"],
  strip_accents: ["accent stripped", "the accent is stripped"],
  lowercase: ["lower-cased", "lower-cased"],
};

/** What belongs together: two things of one segment that share characters. */
export const doOverlap = (a, b) =>
  a === b || (a.segment === b.segment && a.start < b.end && b.start < a.end);

/** How many characters each step changed, as one line. */
export function describeChanges(segments, steps) {
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
export function thingsOf(data) {
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
export function describe(thing) {
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

export default defineWidget({
  kind: "WordPieceExplorer", name: "be-wordpiece", label: "WordPiece explorer", picture: "wordpiece", hint: HINT, build,
  fields: () => textFields(),
});

function build(view) {
  const { root, data, tip } = view;
  const picture = element("div", { class: "be-picture" });
  root.append(view.inputs(), view.status, picture, view.foot());

  let shown = []; // [element, thing] of all that can be lit
  let pinned = null;
  let word = null;

  const receive = () => (data.added.every(Boolean)
    ? "Nothing to split yet: type a word and watch it become pieces." : "");

  // ---- the picture ----

  function paint() {
    view.renew();
    shown = [];
    pinned = null;
    const { segments, tokens } = thingsOf(data);
    const before = word;
    const words = segments.flatMap((segment) => segment.words);
    word = typedWord(segments) ?? words.find((w) => before && w.text === before.text && w.segment === before.segment)
      ?? mostPieces(segments);
    picture.replaceChildren(
      stage("Characters", `top: as typed, bottom: normalised (${describeChanges(segments, data.steps)})`,
        segments.map(({ characters }) => row("Characters", "be-glyphs", characters, glyph))),
      stage("Words", "split at spaces; each punctuation mark is a word of its own",
        segments.map((segment) => row("Words", "be-chips", segment.words, wordChip))),
      search(),
      stage("Tokens", `${plural(tokens.length, "token")} (BERT reads at most 512); beneath: id, and characters from-to`,
        [row("Tokens", "be-chips", tokens, tokenChip)]),
    );
    view.say(null);
  }

  /** The word at the caret, while the reader types. */
  function typedWord(segments) {
    const n = view.fields.findIndex(({ box }) => box === document.activeElement);
    if (n < 0) return undefined;
    const { box } = view.fields[n];
    const caret = Array.from(box.value.slice(0, box.selectionStart)).length;
    return segments[n]?.words.findLast(({ start, end }) => start <= caret && caret <= end);
  }

  function row(label, kind, all, draw) {
    const which = data.segments.length > 1 && label !== "Tokens" ? `, segment ${SEGMENTS[all[0]?.segment ?? 1]}` : "";
    const node = element("div", { class: kind, dir: "auto", role: "toolbar", "aria-label": label + which });
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
    if (all.length) roving(node, view.painting);
    return all.length ? node : null;
  }

  function glyph(thing) {
    const { character, normalized, steps } = thing;
    const result = Array.from(normalized.trim() || (normalized && " "), visible).join("") || "–";
    const seen = visible(character);
    return element("button", {
      type: "button", class: `be-glyph${steps.length ? " be-changed" : ""}`,
      "aria-label": describe(thing), "aria-pressed": "false",
    },
    element("span", { class: seen.length > 2 ? "be-code" : null }, seen),
    element("span", { class: result.length > 2 ? "be-code" : null }, result));
  }

  function wordChip(thing) {
    return chip({ token: thing.text, segment: thing.segment, special: thing.special }, {
      "aria-label": describe(thing), "aria-pressed": "false",
      "aria-current": thing === word ? "true" : null,
    });
  }

  function tokenChip(thing) {
    return chip({ ...thing, note: thing.added ? "\u00a0" : `${thing.start}–${thing.end}` }, {
      "aria-label": describe(thing), "aria-pressed": "false",
    });
  }

  // ---- longest match first ----

  function search() {
    const box = element("div", { class: "be-stage be-search" });
    if (!word) return null;
    const all = candidatesTried(word);
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
      on: { click: () => go(key) }, signal: view.painting,
    }, sign));

    function go(key) {
      here = placeByKey(key, here, all.length);
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
            if (placeByKey(event.key, here, all.length) === undefined) return;
            event.preventDefault();
            go(event.key);
          },
        },
        signal: view.painting,
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

  const pairAt = ({ target }) => {
    const node = target.closest?.("button");
    return shown.find(([item]) => item === node);
  };

  function light(thing) {
    for (const [node, other] of shown) {
      node.classList.toggle("be-lit", Boolean(thing) && doOverlap(thing, other));
    }
  }

  function pin(thing) {
    pinned = thing;
    for (const [node, other] of shown) node.setAttribute("aria-pressed", other === thing);
    view.say(thing ? `Pinned: ${describe(thing)}` : null);
    light(thing);
  }

  view.listen(picture, {
    find: pairAt,
    show: ([node, thing]) => {
      light(thing);
      tip.show(node, describe(thing));
    },
    hide: () => light(pinned),
    pin: ([, thing]) => {
      pin(thing === pinned ? null : thing);
      walk(shown.map(([, other]) => other).find((other) => other.pieces && doOverlap(other, thing)));
    },
  });
  const all = (isOne) => shown.map(([, thing]) => thing).filter(isOne);
  const words = () => all(({ pieces }) => pieces);
  const tokens = () => all(({ token }) => token);
  const orNull = (place) => (place < 0 ? null : place);
  const state = {
    word: {
      ...placeIn(() => words().map(({ text }) => text)), read: () => orNull(words().indexOf(word)),
      set: (place) => walk(place === null ? mostPieces(thingsOf(data).segments) : words()[place]),
    },
    token: {
      ...placeIn(() => data.tokens), read: () => orNull(tokens().indexOf(pinned)),
      set: (place) => pin(place === null ? null : tokens()[place]),
    },
  };
  return { receive, paint, state, release: () => pin(null) };
}
