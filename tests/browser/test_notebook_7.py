"""Notebook 7, for readers who use it in place of JupyterLab: a widget answers there, too."""

import pytest
from nbformat.v4 import new_markdown_cell

from bertedu import load_tokenizer

TEXT = "he likes outplaying"


@pytest.fixture(scope="module")
def widget(lab, new_page):
    """A widget in the other front end, which the same server has, too."""
    lab.write(
        "seven.ipynb",
        new_markdown_cell("### Pieces"),  # a lesson has headings above its widgets
        "from bertedu.widgets import WordPieceExplorer\n\nWordPieceExplorer('my dog is hairy')",
    )
    page = new_page()
    page.goto(f"{lab.url}/notebooks/seven.ipynb")
    page.get_by_text("Python 3 (ipykernel)").wait_for(timeout=60_000)
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(".be-wordpiece").wait_for(timeout=90_000)
    yield page.locator(".be-wordpiece")
    new_page.close()
    lab.end_kernels()


def test_a_typed_text_is_answered(widget):
    widget.locator("textarea").first.fill(TEXT)
    last = load_tokenizer().encode(TEXT).tokens
    chips = widget.locator("[aria-label=Tokens] .be-chip > :first-child")
    chips.nth(len(last) - 1).wait_for()
    assert chips.all_inner_texts() == last


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut(widget, look_at, theme):
    look_at(widget, "notebook-7", theme)
