// The ledger of claims: a click on a number shows what computed it; the page of all is filtered.
(() => {
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  const AROUND = 6; // lines of an output before and after the one that counts
  const flat = (text) => text.split(/\s+/).join(" ").trim();
  /** Lines as a block, those that `counts` says marked; far from them, lines are left out. */
  const lines = (text, counts, label, most = Infinity) => {
    const all = text.trimEnd().split("\n");
    const marked = all.map(counts);
    const first = marked.indexOf(true);
    const from = Math.max(0, first - most);
    const to = first < 0 ? 2 * most : first + most + 1;
    const pre = make("pre", { tabindex: "0", "aria-label": label });
    if (from > 0) pre.append("…\n");
    all.slice(from, to).forEach((line, i) => {
      if (i) pre.append("\n");
      pre.append(marked[from + i] ? make("mark", {}, line) : line);
    });
    if (to < all.length) pre.append("\n…");
    return pre;
  };

  const data = document.getElementById("book-claims");
  if (data) {
    const { rows, cells, executed } = JSON.parse(data.textContent);
    const title = make("h2", { id: "book-panel-title" });
    const body = make("div", {});
    const close = make("button", { type: "button", "aria-label": "Close" }, "✕");
    const panel = make("dialog", { class: "book-panel", "aria-labelledby": title.id }, close, title, body);
    document.body.append(panel);
    close.addEventListener("click", () => panel.close());
    panel.addEventListener("click", (event) => {
      if (event.target === panel || event.target.closest("a[href^='#']")) panel.close();
    });
    panel.addEventListener("keydown", (event) => event.stopPropagation()); // not for the slides

    const show = (place) => {
      const [number, sentence, kind, told, key, line] = rows[place];
      const cell = cells[key];
      title.textContent = number;
      body.replaceChildren(make("p", {}, sentence));
      if (kind === "source") {
        body.append(make("p", {}, `Cited from: ${line}.`));
      } else if (kind === "arithmetic") {
        body.append(make("p", {}, "Worked out in the text; the build does the sum again:"),
          lines(line, () => true, "The sum"));
      }
      if (cell) {
        const asserted = new Set(cell.assertions.flatMap((each) => each.split("\n").map(flat)));
        const here = (text) => flat(text) === flat(line);
        if (kind !== "arithmetic") body.append(make("p", {}, `${told[0].toUpperCase()}${told.slice(1)}:`));
        body.append(lines(cell.code, (text) => asserted.has(flat(text)) || (kind === "setting" && here(text)), "The cell"));
        if (cell.printed.trim()) {
          body.append(make("p", {}, executed ? `Its output, run on ${executed}:` : "Its output:"),
            lines(cell.printed, (text) => kind === "output" && here(text), "Its output", AROUND));
        }
        if (kind === "output") {
          body.append(make("p", { class: "book-held" }, `A test of the course fails when ${number} is no longer there.`));
        }
        if (cell.href) body.append(make("p", {}, make("a", { href: cell.href }, "Go to this cell")));
      }
      body.append(make("p", {}, make("a", { href: "claims.html" }, "All claims")));
      panel.showModal();
      panel.scrollTop = 0;
      for (const pre of body.querySelectorAll("pre")) { // to the line that counts
        pre.scrollTop = (pre.querySelector("mark")?.offsetTop ?? 0) - pre.offsetTop - 40;
      }
    };
    document.addEventListener("click", (event) => {
      const link = event.target.closest(".book-claim");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      show(Number(link.id.replace("claim-", "")));
    });
    for (const link of document.querySelectorAll(".book-claim")) link.setAttribute("aria-haspopup", "dialog");
  }

  const filter = document.getElementById("book-filter");
  filter?.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const list of document.querySelectorAll(".book-ledger")) {
      let any = false;
      const lesson = list.dataset.lesson ?? "";
      for (const item of list.children) {
        const text = `${lesson} ${item.textContent}`.toLowerCase();
        item.hidden = !words.every((word) => text.includes(word));
        any ||= !item.hidden;
        count += !item.hidden;
      }
      list.hidden = !any;
      list.previousElementSibling.hidden = !any; // its heading
    }
    document.getElementById("book-filtered").textContent = words.length ? `${count} of them` : "";
  });
})();
