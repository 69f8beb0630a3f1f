"""Links in the lessons that set their widgets: in the book, in slides, by the keyboard."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bertedu.classroom.tour import links
from tests.browser.conftest import REPO_ROOT
from tests.lesson_pages import write_lesson

if TYPE_CHECKING:
    from playwright.sync_api import Page

LESSONS = sorted(
    path for path in (REPO_ROOT / "course").glob("*.py") if [*links(path.read_text("utf-8"))]
)
ALIVE = """() => [...document.querySelectorAll(".bertedu-still")].every(
  (place) => place.querySelector("[data-tour]")
    && !place.querySelector(":scope > .bertedu-words"))"""
# What a widget says, but not of the link itself.
SAID = """(root) => {
  const told = root.querySelector(".be-told").innerText;
  return (told ? root.innerText.replace(told, "") : root.innerText).replace(/\\s+/g, " ").trim();
}"""
TARGET = """(link) => {
  const kind = link.getAttribute("href").slice(1).split("?")[0];
  const all = [...document.querySelectorAll(`[data-tour="${kind}"]`)];
  return all.find((node) => link.compareDocumentPosition(node) & 4) ?? all.at(-1);
}"""


@pytest.fixture
def opened(new_page, tmp_path: Path) -> Callable[..., "Page"]:
    """Opens a lesson's page of the book with its widgets alive."""

    def open_lesson(number: str, after: str = "", **look: object) -> "Page":
        [source] = (REPO_ROOT / "course").glob(f"{number}_*.py")
        file = tmp_path / f"{source.stem}.html"
        if not file.exists():
            write_lesson(source, tmp_path)
        page = new_page(**look)
        page.set_default_timeout(10_000)
        page.goto(file.as_uri() + after)
        page.wait_for_function(ALIVE)
        return page

    return open_lesson


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_link_sets_what_the_prose_says_and_sets_it_back(lesson: Path, opened) -> None:
    page = opened(lesson.stem[:2])
    found = page.locator('main a[href^="#"][href*="?"]').element_handles()
    assert len(found) == len([*links(lesson.read_text("utf-8"))])
    for link in found:
        href, title = link.get_attribute("href"), link.get_attribute("title")
        root = link.evaluate_handle(TARGET)
        before = root.evaluate(SAID)
        link.evaluate("link => link.click()")
        said = root.evaluate(SAID)
        assert title in said, href
        assert title not in before, f"{href} changes nothing"
        assert link.get_attribute("aria-current") == "true"
        assert root.evaluate("root => root.classList.contains('be-marked')")
        link.evaluate("link => link.click()")
        assert root.evaluate(SAID) == before, href
        assert link.get_attribute("aria-current") is None
    page.close()
