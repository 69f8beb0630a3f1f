// What is set, as a short text: links in the prose, what is copied and pasted, and what cannot be set.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  defineWidget, element, numberFrom, nthOf, ofSettings, onOff, oneOf, placeIn, textField, viewFrom,
} from "../../bertedu/widgets/static/shared.js";
import { Model, openPage, pack } from "./page.mjs";

const window = openPage();
const FIRST = { layer: 1, special: true, token: null };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const data = (text, problem = "", tokens = text.split(" ")) =>
  pack({ asked: [text], problem, first: FIRST, tokens });

/** A widget with a text, a layer, a switch and a token that can be pinned, and a number of its own. */
function tiny(kind) {
  return defineWidget({
    kind, name: `be-${kind.toLowerCase()}`, label: kind, picture: "tiny", hint: "none",
    fields: () => [textField("text", "Text", "")],
    pins: { token: ({ tokens }) => tokens.length },
    build(view) {
      tiny.view = view;
      const shown = element("output");
      let own = 0;
      view.root.append(view.inputs(), view.status, shown, view.foot());
      const paint = () => {
        const { layer, special, token } = view.settings;
        shown.textContent = `layer ${layer} ${special} ${view.data.tokens[token] ?? "none"} ${own}`;
        own = 0;
      };
      const state = {
        ...ofSettings(view, {
          layer: numberFrom(1, () => 6), special: onOff, token: placeIn(() => view.data.tokens),
        }),
        own: { ...numberFrom(0, 9), read: () => own, set: (value) => { own = value; shown.textContent += `/${value}`; } },
      };
      const check = ({ layer, own: number }) => {
        if (layer + number > 12) throw new Error("that is too much");
      };
      return { paint, state, check, release() {} };
    },
  });
}

/** A page: widgets and links in their order, each "Kind" or "#Kind?…". */
function page(...parts) {
  document.body.replaceChildren();
  const all = parts.map((part) => {
    if (part.startsWith("#")) {
      const link = element("a", { href: part }, part);
      document.body.append(link);
      return link;
    }
    const el = element("div");
    document.body.append(el);
    const model = new Model({ data: data("my dog my"), settings: {}, text: "my dog my" });
    const end = tiny(part).render({ model, el });
    const root = el.firstChild;
    return {
      model, end, root, view: tiny.view, said: () => root.querySelector("output").textContent, told: () => root.querySelector(".be-told").textContent,
      wrong: () => root.querySelector(".be-told").classList.contains("be-problem"),
      copy: () => root.querySelector(".be-copy").click(),
      paste(text, target = root.querySelector(".be-copy")) {
        const event = new window.Event("paste", { bubbles: true, cancelable: true });
        event.clipboardData = { getData: () => text };
        target.dispatchEvent(event);
        return event.defaultPrevented;
      },
    };
  });
  page.end = () => all.forEach((each) => each.end?.());
  return all;
}

test("a view is read from a link, from its text alone, and from a whole address", () => {
  const parts = [["layer", "3"], ["text", "my dog"]];
  for (const [text, kind] of [
    ["#TryIt?layer=3&text=my+dog", "TryIt"], ["layer=3&text=my%20dog", null], [" TryIt?layer=3&text=my+dog\n", "TryIt"],
    ["http://a.b/05.html?slides#TryIt?layer=3&text=my+dog", "TryIt"],
  ]) assert.deepEqual(viewFrom(text), { kind, parts }, text);
  for (const text of ["", "my dog", "#heading", "a=b c", "x => y", "#TryIt?", "if a==b: c=d e=f"]) assert.equal(viewFrom(text), null, text);
});

test("values are what they are in both directions, and others are refused in words", () => {
  const dogs = placeIn(() => ["my", "dog", ".", "dog", "."]);
  for (const [kind, value, text] of [
    [numberFrom(1, 6), 3, "3"], [numberFrom(0.25, 4, false), 0.5, "0.5"], [nthOf(() => 8), 0, "1"], [onOff, false, "off"],
    [oneOf(["a", "b"]), "b", "b"], [dogs, 1, "dog"], [dogs, 3, "dog.2"], [dogs, 2, "."], [dogs, 4, "..2"],
  ]) {
    assert.equal(kind.format(value), text);
    assert.equal(kind.parse(text), value);
  }
  for (const [kind, text, why] of [
    [numberFrom(1, 6), "7", /1 to 6/], [numberFrom(1, 6), "2.5", /1 to 6/], [numberFrom(1, 6), "", /1 to 6/],
    [numberFrom(1, 6), "x", /1 to 6/], [onOff, "yes", /on, off/], [dogs, "lion", /not in what is shown/], [dogs, "dog.3", /not in/],
    [oneOf(() => [..."abcdefgh"]), "x", /a, b, c, d, e, f and so on/],
  ]) assert.throws(() => kind.parse(text), why, text);
});

test("a link sets the next widget of its kind, else the last before it; the same link sets it back", () => {
  const [one, link, other, two, after] = page("One", "#One?layer=3&token=dog", "Other", "One", "#One?layer=2");
  two.model.answer("settings", { layer: 5 });
  const click = new window.MouseEvent("click", { bubbles: true, cancelable: true });
  link.dispatchEvent(click);
  assert.ok(click.defaultPrevented);
  assert.equal(two.said(), "layer 3 true dog 0/0");
  assert.ok(two.root.classList.contains("be-marked"));
  assert.equal(link.getAttribute("aria-current"), "true");
  assert.match(two.told(), /sets it back/);
  assert.equal(one.said(), "layer 1 true none 0");
  assert.equal(other.said(), "layer 1 true none 0");
  link.click();
  assert.match(two.said(), /^layer 5 true none/);
  assert.equal(link.getAttribute("aria-current"), null);
  after.click();
  assert.match(two.said(), /^layer 2 true none/);
  page.end();
});

test("a picture that a link has scrolled beneath a resting pointer shows what is set, not what lies there", () => {
  const [one, link] = page("One", "#One?token=dog");
  const shown = [];
  const at = (type, movementX) => {
    const event = new window.Event(type, { bubbles: true });
    event.movementX = movementX;
    one.root.querySelector("output").dispatchEvent(event);
  };
  one.view.listen(one.root, { find: () => 1, show: (thing) => shown.push(thing), hide() {}, moves: true });
  link.click();
  at("pointerover", 0);
  at("pointermove", 0);
  assert.deepEqual(shown, []);
  at("pointermove", 3);
  assert.deepEqual(shown, [1]);
  page.end();
});

test("another link, or the reader's own hand, makes the first click set it again", () => {
  const [one, link, other] = page("One", "#One?layer=3", "#One?layer=4");
  link.click();
  other.click();
  assert.deepEqual([link, other].map((each) => each.getAttribute("aria-current")), [null, "true"]);
  link.click();
  assert.match(one.said(), /^layer 3/);
  one.model.answer("settings", { layer: 6 });
  link.click();
  assert.match(one.said(), /^layer 3/);
  link.click();
  assert.match(one.said(), /^layer 6/);
  page.end();
});

test("what a link does not name is as it was at first", () => {
  const [one, link, other] = page("One", "#One?special=off&token=my.2", "#One?layer=4");
  link.click();
  assert.match(one.said(), /^layer 1 false my 0/);
  other.click();
  assert.match(one.said(), /^layer 4 true none/);
  page.end();
});

test("what cannot be set is told in one sentence, and nothing else changes", () => {
  const wrong = {
    "#One?colour=3": "Nothing was set: this picture has no “colour”; it has text, layer, special, token, own.",
    "#One?layer=4&token=lion": "Nothing was set: token cannot be “lion”: it is not in what is shown.",
    "#One?layer=9&token=dog": "Nothing was set: layer cannot be “9”: it can be 1 to 6 here.",
    "#One?layer=6&own=9": "Nothing was set: that is too much.",
  };
  const [one, ...links] = page("One", ...Object.keys(wrong));
  for (const link of links) {
    link.click();
    assert.equal(one.told(), wrong[link.getAttribute("href")]);
    assert.ok(one.wrong());
    assert.equal(one.said(), "layer 1 true none 0");
    assert.equal(link.getAttribute("aria-current"), null);
  }
  page.end();
});

test("another text is asked as if it had been typed, and the rest is set with the answer", async () => {
  const [one, link, lion] = page("One", "#One?text=a+cat&token=cat", "#One?text=a+cat&token=lion");
  link.click();
  await sleep(60);
  assert.equal(one.model.saved.at(-1).text, "a cat");
  assert.match(one.said(), /none/);
  one.model.answer("data", data("a cat"));
  await sleep(0);
  assert.match(one.said(), /^layer 1 true cat/);
  link.click();
  await sleep(60);
  assert.equal(one.model.saved.at(-1).text, "my dog my");
  one.model.answer("data", data("my dog my"));
  await sleep(0);
  assert.match(one.said(), /^layer 1 true none/);
  lion.click(); // what does not fit is known only then: the text goes back
  await sleep(60);
  one.model.answer("data", data("a cat"));
  await sleep(60);
  assert.match(one.told(), /token cannot be “lion”/);
  assert.equal(one.model.saved.at(-1).text, "my dog my");
  page.end();
});

test("without Python a text stays, and this is said; the rest can be set", () => {
  const [one, link, other] = page("One", "#One?text=a+cat", "#One?layer=2");
  page.end();
  document.body.replaceChildren(link, other);
  const el = element("div");
  document.body.append(el);
  const model = new Model({ data: data("my dog my"), settings: {}, text: "my dog my" }, { kernel: false });
  const end = tiny("One").render({ model, el });
  link.click();
  assert.match(el.querySelector(".be-told").textContent, /Nothing was set: this page has no Python behind it/);
  other.click();
  assert.match(el.querySelector("output").textContent, /^layer 2/);
  end();
  assert.ok(one);
});

test("what is copied sets another reader's widget to the same", async () => {
  const [one, link, two] = page("One", "#One?layer=3&token=my.2&special=off", "One");
  let copied;
  Object.defineProperty(window.navigator, "clipboard", { configurable: true, value: { writeText: async (text) => { copied = text; } } });
  link.click();
  two.copy();
  await sleep(0);
  assert.equal(copied, "#One?layer=3&special=off&token=my.2&own=0");
  assert.equal(two.told(), `Copied: ${copied}`);
  assert.ok(one.paste(copied));
  assert.match(one.said(), /^layer 3 false my/);
  assert.ok(one.paste("layer=2"));
  assert.match(one.said(), /^layer 2 true none/);
  window.navigator.clipboard.writeText = async () => { throw new Error("refused"); };
  two.copy();
  await sleep(0);
  assert.equal(two.told(), `Copy this: ${copied}`);
  page.end();
});

test("another widget's view is refused; a text like any other is pasted as a text", () => {
  const [one] = page("One");
  const box = one.root.querySelector("textarea");
  assert.ok(one.paste("#Other?layer=3"));
  assert.equal(one.told(), "Nothing was set: this is a view of Other, and here is One.");
  assert.ok(!one.paste("my dog"));
  assert.ok(!one.paste("layer=3", box));
  assert.ok(one.paste("#One?layer=3", box));
  assert.match(one.said(), /^layer 3/);
  page.end();
});

test("where no widget of its kind lives, a link brings the still picture into sight", () => {
  const [one, link] = page("One", "#Two?layer=3");
  const still = element("img", { alt: "Two(layer 1)" });
  document.body.append(still);
  let seen = 0;
  still.scrollIntoView = () => { seen += 1; };
  link.click();
  assert.equal(seen, 1);
  assert.equal(link.getAttribute("aria-current"), null);
  assert.equal(one.said(), "layer 1 true none 0");
  page.end();
});

test("other links, and clicks with Ctrl, are the page's; nothing listens when the widget is gone", () => {
  const [one, link, heading, plain] = page("One", "#One?layer=3", "#heading", "#a?b");
  const click = (node, options = {}) => {
    const event = new window.MouseEvent("click", { bubbles: true, cancelable: true, ...options });
    node.dispatchEvent(event);
    return event.defaultPrevented;
  };
  assert.deepEqual([click(heading), click(plain), click(link, { ctrlKey: true })], [false, false, false]);
  assert.equal(one.said(), "layer 1 true none 0");
  page.end();
  assert.equal(click(link), false);
});
