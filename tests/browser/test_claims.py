"""A sceptic follows the numbers of lesson 08 to what computed them: in the book, in JupyterLab."""

from pathlib import Path

import nbformat
import pytest

from bertedu.classroom.book.site import Page, _write, lesson_pages
from bertedu.classroom.claims.number import numbers
from bertedu.classroom.editions import editions, unexecuted, with_outputs

ROOT = Path(__file__).resolve().parents[2]
NAME = "08_classification"
SHOWN = """() => {
  const panel = document.querySelector(".book-panel[open]");
  return panel && [panel.querySelector("h2").textContent,
    [...panel.querySelectorAll("mark")].map((mark) => mark.textContent),
    [...panel.querySelectorAll("p")].map((p) => p.textContent).join("\\n"),
    panel.querySelector("a").getAttribute("href"), panel.scrollWidth <= panel.clientWidth];
}"""


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the book of lesson 08 and of its claims, with the outputs of the built notebook."""
    (edition,) = (e for e in editions(ROOT, [NAME]) if not e.solved)
    notebook = with_outputs(unexecuted(edition), edition.path)
    notebook.metadata = {"widgets": {}, "executed": "2026-11-30"}
    out = tmp_path_factory.mktemp("book") / "site"
    pages: list[Page] = lesson_pages({edition: notebook}, {NAME: f"{NAME}.html"})
    _write(pages, out, None)
    return out


def test_each_number_of_08_opens_the_line_that_computed_it(book, new_page) -> None:
    page = new_page()
    page.goto((book / f"{NAME}.html").as_uri())
    marks = page.locator(".book-claim")
    count = marks.count()
    assert count > 40
    for place in range(count):
        mark = marks.nth(place)
        mark.evaluate("node => node.closest('details')?.setAttribute('open', '')")
        mark.focus()
        page.keyboard.press("Enter")
        title, lines, told, href, fits = page.evaluate(SHOWN)
        (number,) = numbers(mark.inner_text())
        assert title.split() == mark.inner_text().split()
        assert fits
        cited = [told.partition("Cited from: ")[2]] if "Cited from" in told else []
        assert cited or any(
            number.agrees(other, bound=True) for line in lines for other in numbers(line)
        ), (title, lines, told)
        if not cited and href.startswith("#"):
            assert page.locator(f"[id='{href[1:]}']").count() == 1
        page.keyboard.press("Escape")
        assert page.evaluate(SHOWN) is None
        assert mark.evaluate("node => node === document.activeElement")


def test_a_click_shows_the_cell_with_its_assertion_and_leads_there(book, new_page) -> None:
    page = new_page()
    page.goto((book / f"{NAME}.html").as_uri())
    page.get_by_role("link", name="40", exact=True).first.click()
    panel = page.locator(".book-panel")
    marked = panel.locator("mark").all_inner_texts()
    assert marked[0] == "assert chance < low < same.mean() < 0.7"
    assert "of 40 sentences" in marked[1]
    assert "run on 2026-11-30" in panel.inner_text()
    panel.get_by_role("link", name="Go to this cell").click()
    assert not panel.is_visible()
    target = page.locator(":target")
    assert "the two words are the same in" in target.inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_marks_panel_and_page_are_accessible_and_fit(theme, book, new_page, axe, artefacts) -> None:
    page = new_page(theme=theme)
    violations = "axe.run(document, {preload: false}).then(r => r.violations.map(v => v.id))"
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto((book / f"{NAME}.html").as_uri())
        page.get_by_role("link", name="40", exact=True).first.click()
        page.evaluate(axe)
        assert (
            page.evaluate(
                "axe.run('.book-panel', {preload: false}).then(r => r.violations.map(v => v.id))"
            )
            == []
        )
        page.screenshot(path=artefacts / f"claims-panel-{width}-{theme}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto((book / "claims.html").as_uri())
        page.locator("#book-filter").fill("reimers 54.8")
        assert page.locator(".book-ledger li:visible").count() == 2  # in one sentence
        assert page.locator("#book-filtered").inner_text() == "2 of them"
        page.evaluate(axe)
        assert page.evaluate(violations) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#book-filter").fill("nowhere at all")
        assert page.locator(".book-ledger:visible, h2:visible").count() == 0
    page.emulate_media(media="print")
    assert page.locator(".book-filter").is_hidden()


def test_in_jupyterlab_a_number_of_08_leads_to_its_cell(lab, open_notebook, artefacts) -> None:
    cells = nbformat.read(ROOT / "notebooks" / f"{NAME}.ipynb", as_version=4).cells
    page = open_notebook(lab.write("numbers.ipynb", *cells), run=False)
    links = page.locator('.jp-MarkdownOutput a[href^="#cell-id="]:visible')
    assert links.count() > 5
    ids = [cell.id for cell in cells]
    for link in (links.first, links.last):
        link.scroll_into_view_if_needed()
        link.focus()
        place = ids.index(str(link.get_attribute("href")).removeprefix("#cell-id="))
        cell = page.locator(".jp-Notebook .jp-Cell").nth(place)
        link.click()
        page.wait_for_function(
            "cell => Math.abs(cell.getBoundingClientRect().top - 200) < 200",
            arg=cell.element_handle(),
        )
    page.screenshot(path=artefacts / "numbers-jupyterlab.png")
