"""Links in the lessons that set their widgets: in the book, in slides, by the keyboard."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bertedu.classroom.editions import editions, unexecuted
from bertedu.classroom.tour import KINDS, links
from tests.browser.conftest import REPO_ROOT, wait_for_idle
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


@pytest.fixture(scope="module")
def opened(new_page, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., "Page"]:
    """Opens a lesson's page of the book with its widgets alive."""
    folder = tmp_path_factory.mktemp("book")

    def open_lesson(number: str, after: str = "", **look: object) -> "Page":
        [source] = (REPO_ROOT / "course").glob(f"{number}_*.py")
        file = folder / f"{source.stem}.html"
        if not file.exists():
            write_lesson(source, folder)
        page = new_page(**look)
        page.set_default_timeout(60_000)
        page.goto(file.as_uri() + after)
        page.wait_for_function(ALIVE)
        return page

    return open_lesson


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_link_sets_what_the_prose_says_and_sets_it_back(lesson: Path, opened) -> None:
    page = opened(lesson.stem[:2])
    found = page.locator('main a[href^="#"][href*="?"][href*="="]').element_handles()
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


def test_what_a_link_can_name_is_what_the_widgets_know(opened) -> None:
    page = opened("15")
    for kind, names in KINDS.items():
        told = page.evaluate(
            """(kind) => {
              const link = document.createElement("a");
              link.setAttribute("href", `#${kind}?nothing=1`);
              document.querySelector("main").prepend(link);
              link.click();
              link.remove();
              return document.querySelector(`[data-tour="${kind}"] .be-told`).textContent;
            }""",
            kind,
        )
        assert set(told.rstrip(".").partition("it has ")[2].split(", ")) == set(names), kind
    page.close()


def test_a_link_by_the_keyboard_in_slides_and_in_an_address(opened) -> None:
    page = opened("05")
    step = page.locator('[data-tour="AttentionStep"]')
    link = page.get_by_role("link", name="4, softmax")
    link.focus()
    page.keyboard.press("Enter")
    step.get_by_text("“dog” gets 62.1 %").wait_for()
    assert link.evaluate("link => link === document.activeElement")
    assert step.evaluate("node => node.getBoundingClientRect().top < innerHeight")
    page.keyboard.press("Enter")
    step.get_by_text("“dog” gets 62.1 %").wait_for(state="detached")
    address = page.url
    page.close()

    page = opened("05", "?slides#AttentionStep?stage=2")
    step = page.locator('[data-tour="AttentionStep"]')
    step.get_by_text("has the largest, 23.23").wait_for()
    assert step.is_visible()
    while not page.get_by_role("link", name="4, softmax").is_visible():
        page.keyboard.press("ArrowLeft")
    page.get_by_role("link", name="4, softmax").click()
    step.get_by_text("“dog” gets 62.1 %").wait_for()
    assert step.is_visible()
    page.close()
    assert "#" not in address


def test_without_scripts_a_link_leads_to_its_widget(opened) -> None:
    page = opened("05", "#AttentionExplorer?layer=2&head=9&token=my")
    place = page.evaluate("document.querySelector(':target')?.parentNode.dataset.widget")
    assert place == "AttentionExplorer"
    page.close()


# ---- in JupyterLab


@pytest.fixture(scope="module")
def notebook(lab, open_notebook) -> "Page":
    """Lesson 05 in JupyterLab: its text, and the cells of its widgets, which have not run."""
    [edition] = [e for e in editions(REPO_ROOT, ["05"]) if not e.solved]
    wanted = ("import bertedu", "AttentionStep(", "AttentionExplorer(")
    cells = [
        cell
        for cell in unexecuted(edition).cells
        if cell.cell_type == "markdown" or any(word in cell.source for word in wanted)
    ]
    return open_notebook(lab.write("tour.ipynb", *cells), run=False)


def run_all(page: "Page") -> None:
    """Runs the notebook's cells, unless its widgets are there: no test needs the one before it."""
    if page.locator("[data-tour]").count() == 0:
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator("[data-tour]").nth(1).wait_for(timeout=60_000)
    wait_for_idle(page)


def test_in_jupyterlab_every_link_waits_for_its_widget_and_then_sets_it(notebook) -> None:
    page = notebook
    page.set_default_timeout(60_000)
    found = page.locator('.jp-MarkdownOutput a[href^="#"][href*="?"][href*="="]')
    source = (REPO_ROOT / "course" / "05_self_attention.py").read_text(encoding="utf-8")
    assert found.count() == len([*links(source)])
    first = found.first
    first.click()  # no widget yet: nothing happens
    assert page.locator(".jp-MarkdownCell .jp-InputArea-editor:visible").count() == 0
    run_all(page)
    for link in found.element_handles():
        href, title = link.get_attribute("href"), link.get_attribute("title")
        root = link.evaluate_handle(TARGET)
        before = root.evaluate(SAID)
        link.evaluate("link => link.click()")
        says = f"([root, title]) => ({SAID})(root).includes(title)"
        page.wait_for_function(says, arg=[root, title])
        link.evaluate("link => link.click()")
        page.wait_for_function(f"([root, text]) => ({SAID})(root) === text", arg=[root, before])
        assert link.get_attribute("aria-current") is None, href


def test_in_jupyterlab_the_keyboard_and_the_clipboard_do_it_too(notebook, artefacts) -> None:
    page = notebook
    run_all(page)
    step = page.locator('[data-tour="AttentionStep"]')
    link = page.get_by_role("link", name="4, softmax")
    link.focus()
    page.keyboard.press("Enter")
    step.get_by_text("“dog” gets 62.1 %").wait_for()
    page.wait_for_timeout(500)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.locator(f'.bertedu[data-theme="{theme}"]').first.wait_for()
        page.screenshot(path=artefacts / f"tour-jupyterlab-{theme}.png")
    link.dblclick()  # sets it back, and again; JupyterLab's own answer would open the cell
    step.get_by_text("“dog” gets 62.1 %").wait_for()
    assert page.locator(".jp-MarkdownCell .jp-InputArea-editor:visible").count() == 0

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy = step.get_by_role("button", name="Copy this view")
    copy.click()
    step.get_by_text("Copied: #AttentionStep?layer=1&head=11&token=playing").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    other = "#AttentionStep?text=the+cat+sleeps&token=cat&stage=1"
    for text, says in ((other, "“cat” asks with its query"), (copied, "“dog” gets 62.1 %")):
        page.evaluate("text => navigator.clipboard.writeText(text)", text)
        copy.focus()
        page.keyboard.press("Control+v")
        step.get_by_text(says).wait_for()
    page.evaluate("navigator.clipboard.writeText('#AttentionStep?token=lion')")
    copy.focus()
    page.keyboard.press("Control+v")
    step.get_by_text("Nothing was set: token cannot be “lion”").wait_for()
    step.get_by_text("“dog” gets 62.1 %").wait_for()
