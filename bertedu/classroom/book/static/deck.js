// A page as slides: the same nodes, a screenful at a time, so that widgets stay alive.
// An output, and what follows it, waits for one more step: the class predicts first.
(() => {
  const root = document.documentElement;
  const main = document.getElementById("book-main");
  // The first page has nothing to step through.
  if (!main.querySelector(".book-cell") && main.querySelectorAll("h2").length < 3) return;
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const button = (label, text, click) => {
    const node = make("button", { type: "button", "aria-label": label, title: label }, text);
    node.addEventListener("click", click);
    return node;
  };

  /** What is never cut: a paragraph, a table, a cell's code, each of its outputs. */
  const blocks = [...main.children].filter((node) => !node.matches("nav"))
    .flatMap((node) => (node.matches(".book-cell") ? [...node.children] : [node]));
  const isHeading = (node) => /^H[1-3]$/.test(node.tagName);
  const isOutput = (node) => node.parentNode.matches(".book-cell") && !node.matches(".book-code");

  let slides = []; // of blocks
  let here = 0;
  let revealed = 0; // outputs of this slide that are shown
  const outputs = () => slides[here].filter(isOutput);

  const count = make("span", { class: "book-deck-count", role: "status" });
  const bar = make("nav", { class: "book-deck", "aria-label": "Slides", hidden: "" },
    button("Back (left arrow)", "‹", () => step(-1)), count,
    button("On (right arrow)", "›", () => step(1)), button("Leave the slides (Escape)", "✕", leave));
  document.body.append(bar);
  document.querySelector(".book-bar").append(button("Show as slides", "Slides", () => enter(inView())));

  /** Fills screens from the top; a heading begins one, and never ends one. */
  function paginate() {
    for (const node of blocks) node.classList.remove("book-off", "book-later");
    for (const cell of main.querySelectorAll(".book-cell")) cell.classList.remove("book-off");
    const room = innerHeight - bar.offsetHeight - 48; // and the margins
    const top = (node) => node.getBoundingClientRect().top;
    slides = [];
    let begun = 0;
    for (const node of blocks) {
      const slide = slides.at(-1);
      const onlyHeadings = slide?.every(isHeading);
      const full = slide && node.getBoundingClientRect().bottom - begun > room && !onlyHeadings;
      if (!slide || full || (isHeading(node) && !onlyHeadings)) {
        slides.push([node]);
        begun = top(node);
      } else {
        slide.push(node);
      }
    }
  }

  function show() {
    const shown = new Set(slides[here]);
    for (const node of blocks) node.classList.toggle("book-off", !shown.has(node));
    for (const cell of main.querySelectorAll(".book-cell")) {
      cell.classList.toggle("book-off", ![...cell.children].some((node) => shown.has(node)));
    }
    const later = revealed < outputs().length ? slides[here].indexOf(outputs()[revealed]) : Infinity;
    slides[here].forEach((node, i) => node.classList.toggle("book-later", i >= later));
    count.textContent = `${here + 1} of ${slides.length}`;
    scrollTo(0, 0);
  }

  function step(by) {
    if (by > 0 && revealed < outputs().length) revealed += 1;
    else if (by < 0 && revealed > 0) revealed -= 1;
    else if (slides[here + by]) {
      here += by;
      revealed = by > 0 ? 0 : outputs().length;
    }
    show();
  }

  function go(slide) {
    [here, revealed] = [slide, 0];
    show();
  }

  const inView = () => blocks.find((node) => node.getBoundingClientRect().bottom > 80);
  const slideOf = (block) => Math.max(0, slides.findIndex((slide) => slide.includes(block)));

  /** Shows the slide of something in the page, and it on that slide. */
  function turnTo(node) {
    const block = blocks.find((each) => each.contains(node));
    if (bar.hidden || !block) return;
    const [before, slide] = [here, slideOf(block)];
    here = slide;
    revealed = Math.max(before === slide ? revealed : 0, outputs().indexOf(block) + 1);
    show();
  }
  document.addEventListener("bertedu-show", ({ target }) => turnTo(target)); // a link has set a widget

  function enter(block) {
    root.dataset.deck = "";
    bar.hidden = false;
    paginate();
    go(slideOf(block));
    root.requestFullscreen?.().catch(() => {}); // refused without a click: the window will do
  }

  function leave() {
    const block = slides[here][0];
    delete root.dataset.deck;
    bar.hidden = true;
    if (document.fullscreenElement) document.exitFullscreen();
    block.scrollIntoView();
  }

  const KEYS = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 };
  document.addEventListener("keydown", (event) => {
    if (bar.hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest(".bertedu, input, textarea, select")) return; // the keys are theirs
    if (event.key === " " && event.target.closest("button")) return;
    if (event.key === "Escape") leave();
    else if (event.key in KEYS) step(KEYS[event.key]);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(slides.length - 1);
    else return;
    event.preventDefault();
  });
  let resizing;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => {
      if (bar.hidden) return;
      const [block, shown] = [slides[here][0], revealed];
      paginate();
      here = slideOf(block);
      revealed = Math.min(shown, outputs().length);
      show();
    }, 100);
  });
  addEventListener("load", () => {
    if (!new URLSearchParams(location.search).has("slides")) return;
    const anchor = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    requestAnimationFrame(() => {
      enter(blocks.find((block) => anchor && block.contains(anchor)) ?? blocks[0]);
      turnTo(anchor);
    });
  });
})();
