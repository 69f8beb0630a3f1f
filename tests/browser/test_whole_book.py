"""A book looked through: every page opened, every link followed, every widget moved once.

    python tests/browser/test_whole_book.py build/site      the book that `make site` has written

The tests do this with a small book, whole and with faults; the whole course takes minutes to run.
"""

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from bertedu.classroom.book.site import MOST_BYTES, write

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LINKS = "[...document.links].map((link) => link.href)"
MOVES = {"01_wordpiece.html": 1, "claims.html": 0, "index.html": 1}  # widgets by page
PLACES = "[...document.querySelectorAll('[id]')].map((node) => node.id)"
ALIVE = """() => [...document.querySelectorAll(".bertedu-still")].every(
  (place) => place.querySelector(".bertedu") && !place.querySelector(":scope > .bertedu-words"))"""
# What a reader would try, until the picture changes; null when nothing does.
MOVED = """async (root) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)));
  const picture = () => root.innerHTML
    + [...root.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()).join();
  const parts = root.querySelectorAll(
    "button:not([disabled]), input:not([readonly]), select, canvas, [tabindex]");
  root.scrollIntoView();
  await frame();
  for (const part of parts) {
    if (/picture|copy/i.test(part.textContent)) continue; // say so, and nothing moves
    const before = picture();
    if (part.matches("input[type=range]")) {
      part.value = part.value === part.max ? part.min : part.max;
      part.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (part.matches("select")) {
      part.selectedIndex = (part.selectedIndex + 1) % part.options.length;
      part.dispatchEvent(new Event("change", { bubbles: true }));
    } else if (part.matches("button, input")) {
      part.click();
    } else {
      const { x, y, width, height } = part.getBoundingClientRect();
      const at = { bubbles: true, clientX: x + width / 2, clientY: y + height / 2 };
      part.dispatchEvent(new PointerEvent("pointermove", at));
      part.focus();
      part.dispatchEvent(new KeyboardEvent("keydown", { bubbles: true, key: "ArrowRight" }));
    }
    await frame();
    if (picture() !== before) return part.outerHTML.slice(0, 80);
  }
  return null;
}"""


def opened(browser: "Browser", file: Path, wrong: list[str]) -> "Page":
    """Returns a page of a book with all its widgets alive; what it complains of goes to `wrong`."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    mine = (file.parent.as_uri(), "blob:", "data:")

    def add(fault: object) -> None:
        wrong.append(f"{file.name}: {fault}")

    page.on("request", lambda r: None if r.url.startswith(mine) else add(f"asks for {r.url}"))
    page.on("console", lambda line: add(line.text) if line.type == "error" else None)
    page.on("pageerror", add)
    page.goto(file.as_uri())
    page.wait_for_function(ALIVE, timeout=60_000)
    return page


def look_through(folder: Path, browser: "Browser") -> tuple[dict[str, int], list[str]]:
    """Returns how many widgets moved on each page of a book, and everything that is wrong."""
    wrong: list[str] = []
    moved: dict[str, int] = {}
    links: list[tuple[str, str]] = []
    places: dict[str, set[str]] = {}
    for file in sorted(folder.glob("*.html")):
        page = opened(browser, file, wrong)
        links += [(file.name, link) for link in page.evaluate(LINKS)]
        places[file.name] = set(page.evaluate(PLACES))
        widgets = page.locator(".bertedu-still .bertedu").element_handles()
        still = [widget for widget in widgets if page.evaluate(MOVED, widget) is None]
        wrong += [f"{file.name}: nothing moves in {w.get_attribute('class')!r}" for w in still]
        moved[file.name] = len(widgets) - len(still)
        page.close()
    for name, link in links:
        url, place = urldefrag(link)
        if urlsplit(url).scheme != "file":
            continue
        target = Path(unquote(urlsplit(url).path)).name
        if target not in places or (place and unquote(place) not in places[target]):
            wrong.append(f"{name}: the link to {target}#{place} leads nowhere")
    return moved, wrong


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("course")
    (root / "course").mkdir()
    lesson = (
        "# %% [markdown]\n# # 01 · A lesson\n# ## Steps\n\n# %%\n"
        "from bertedu.widgets import MaskExplorer\nMaskExplorer('my dog is cute')\n"
    )
    (root / "course" / "01_wordpiece.py").write_text(lesson, encoding="utf-8")
    write(root, root / "site", say=lambda line: None)
    return root / "site"


def test_a_whole_book_has_nothing_wrong(book: Path, chromium: "Browser") -> None:
    assert look_through(book, chromium) == (MOVES, [])


def test_every_fault_is_named(book: Path, chromium: "Browser", tmp_path: Path) -> None:
    faulty = Path(shutil.copytree(book, tmp_path / "faulty"))
    page = faulty / "01_wordpiece.html"
    fault = (
        '<a href="02_nowhere.html">a</a><a href="index.html#nowhere">b</a>'
        '<img src="http://127.0.0.1:9/x.png">'
        '<div class="bertedu-still"><p class="bertedu">c</p></div>'
    )
    page.write_text(page.read_text("utf-8").replace("</main>", f"{fault}</main>"), "utf-8")
    moved, wrong = look_through(faulty, chromium)
    assert moved == MOVES
    for part in (
        "asks for http://127.0.0.1:9/x.png",
        "nothing moves in 'bertedu'",
        "the link to 02_nowhere.html# leads nowhere",
        "the link to index.html#nowhere leads nowhere",
    ):
        assert any(f.startswith("01_wordpiece.html") and part in f for f in wrong), (part, wrong)


def main(folder: Path) -> int:
    """Looks through a book that was written before; returns 0 when nothing is wrong."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        began = time.perf_counter()
        opened(browser, folder / "index.html", []).close()
        print(f"the first page is alive after {time.perf_counter() - began:.2f} s")
        moved, wrong = look_through(folder, browser)
        browser.close()
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(*(f"{name}: {count} widgets moved" for name, count in moved.items()), sep="\n")
    print(f"{len(moved)} pages, {sum(moved.values())} widgets, {size / 1e6:.1f} MB")
    if size > MOST_BYTES:
        wrong.append(f"the book has {size:,} bytes, more than {MOST_BYTES:,}")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
