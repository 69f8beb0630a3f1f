// The book's own behaviour: light and dark, and the search. Classic, so that it runs from a disk.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const KEY = "bertedu-theme";
  const remembered = () => {
    try { return localStorage.getItem(KEY); } catch { return null; } // a browser may forbid it
  };
  let chosen = remembered();
  const button = document.getElementById("book-theme");
  const show = () => {
    const dark = chosen ? chosen === "dark" : system.matches;
    root.dataset.theme = dark ? "dark" : "light";
    if (button) button.textContent = dark ? "Light" : "Dark";
    button?.setAttribute("aria-label", `Switch to ${dark ? "light" : "dark"} colours`);
  };
  show();
  system.addEventListener("change", show);
  // Paper is white, whatever the screen.
  addEventListener("beforeprint", () => { root.dataset.theme = "light"; });
  addEventListener("afterprint", show);
  button?.addEventListener("click", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem(KEY, chosen); } catch { /* then it holds for this page */ }
    show();
  });

  // Where the list of pages scrolls, this page is in sight.
  addEventListener("DOMContentLoaded", () => {
    const contents = document.querySelector(".book-contents > div");
    const here = contents?.querySelector("[aria-current]");
    if (here) contents.scrollTop = here.offsetTop - contents.firstChild.offsetTop - 40;
  });

  const input = document.getElementById("book-query");
  const results = document.getElementById("book-results");
  const MOST = 12;
  let loading;
  /** Loads the index as a script: a page from a disk may not fetch. */
  const load = () => loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "search.js";
    script.onload = () => resolve(window.BOOK_SECTIONS);
    script.onerror = () => reject(new Error("search.js is missing beside this page"));
    document.head.append(script);
  });

  /** Sections that hold every word, those with the words in their heading first. */
  const find = (sections, words) => sections
    .map((section) => {
      const title = `${section.title} ${section.lesson}`.toLowerCase();
      const text = section.text.toLowerCase();
      const all = words.every((word) => title.includes(word) || text.includes(word));
      const score = words.reduce((sum, word) => sum
        + (section.title.toLowerCase().includes(word) ? 20 : 0)
        + Math.min(text.split(word).length - 1, 9), 0);
      return { section, score: all ? score : -1 };
    })
    .filter(({ score }) => score >= 0)
    .sort((one, other) => other.score - one.score);

  const item = ({ section }, words) => {
    const li = document.createElement("li");
    const a = document.createElement("a");
    a.href = `${section.page}#${section.anchor}`;
    a.textContent = section.title;
    a.addEventListener("click", () => { results.hidden = true; });
    const small = document.createElement("small");
    const at = Math.max(0, section.text.toLowerCase().indexOf(words[0]) - 40);
    small.textContent = `${section.lesson}: ${at ? "…" : ""}${section.text.slice(at, at + 110)}…`;
    a.append(small);
    li.append(a);
    return li;
  };

  const search = async () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) { results.hidden = true; return; }
    const said = document.createElement("p");
    const rows = [];
    try {
      const found = find(await load(), words);
      said.textContent = found.length > MOST ? `the best ${MOST} of ${found.length} sections`
        : `${found.length || "no"} section${found.length === 1 ? "" : "s"}`;
      rows.push(...found.slice(0, MOST).map((each) => item(each, words)));
    } catch (error) {
      said.textContent = error.message;
    }
    const first = document.createElement("li");
    said.setAttribute("role", "status");
    first.append(said);
    results.replaceChildren(first, ...rows);
    results.hidden = false;
  };
  input?.addEventListener("input", search);
  input?.addEventListener("focus", () => load().catch(() => {}), { once: true });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      input.focus();
    }
    if (!event.target.closest(".book-search")) return;
    const links = [...results.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") { results.hidden = true; input.focus(); }
    if (event.key === "Enter" && at < 0) links[0]?.click();
    if (event.key === "ArrowDown") { event.preventDefault(); links[Math.min(at + 1, links.length - 1)]?.focus(); }
    if (event.key === "ArrowUp") { event.preventDefault(); (links[at - 1] ?? input).focus(); }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".book-search")) results.hidden = true;
  });

  // A lesson's questions that were answered right: the map's circles show how many.
  const ANSWERED = "bertedu-answered";
  const CIRCLES = ["○", "◔", "◕", "●"]; // of three questions
  const answered = () => {
    try { return JSON.parse(localStorage.getItem(ANSWERED)) ?? {}; } catch { return {}; }
  };
  const fill = () => {
    const all = answered();
    for (const circle of document.querySelectorAll("[data-lesson]")) {
      const right = all[circle.dataset.lesson]?.length ?? 0;
      circle.textContent = CIRCLES[right];
      circle.closest("a").title = `${right} of 3 questions are answered right`;
    }
  };
  document.addEventListener("DOMContentLoaded", fill);
  document.addEventListener("toggle", ({ target }) => {
    if (!target.open || !target.matches("details.option.right")) return;
    const lesson = /(\d\d)_[^/]*$/.exec(location.pathname)?.[1];
    const question = [...document.querySelectorAll("details.option.right")].indexOf(target);
    const all = answered();
    all[lesson] = [...new Set([...all[lesson] ?? [], question])];
    try { localStorage.setItem(ANSWERED, JSON.stringify(all)); } catch { /* then nothing is kept */ }
  }, { capture: true });
})();
