"""What is easily lost on a reader: the order of right-to-left text, words, numbers and labels."""

from pathlib import Path

import pytest

from bertedu.widgets import PairExplorer, WordPieceExplorer
from bertedu.widgets.base import Widget
from bertedu.widgets.static_page import to_html
from tests.finetuned_models import finetuned

LEFTS = "chips => chips.map(chip => chip.getBoundingClientRect().left)"
# How many lines each word of a text stands on.
LINES = """node => {
  const text = node.firstChild, range = document.createRange();
  return [...text.data.matchAll(/\\S+/g)].map(({ index, 0: word }) => {
    range.setStart(text, index); range.setEnd(text, index + word.length);
    return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
  });
}"""
# The labels that a mark covers when it stands in a corner of the triangle.
COVERED = """root => {
  const corners = root.querySelector(".be-edge").getAttribute("d").match(/[\\d.]+ [\\d.]+/g);
  const marks = [...root.querySelectorAll(".be-mark")];
  const labels = [...root.querySelectorAll(".be-corner, text.be-corner-note")];
  return corners.flatMap((corner) => marks.flatMap((mark) => {
    mark.setAttribute("transform", `translate(${corner})`);
    const a = mark.getBoundingClientRect();
    return labels.filter((label) => {
      const b = label.getBoundingClientRect();
      return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    }).map((label) => label.textContent);
  }));
}"""


@pytest.fixture
def opened(new_page, tmp_path: Path):
    """Shows a widget in a page of its own."""

    def show(widget: Widget, width: int = 1280):
        page = new_page(width=width)
        file = tmp_path / "page.html"
        file.write_text(to_html(widget), encoding="utf-8")
        page.goto(file.as_uri())
        root = page.locator(".bertedu-still > div > .bertedu")
        root.wait_for()
        return root

    return show


@pytest.mark.parametrize(
    ("text", "rightwards"),
    [("my dog", True), ("שלום עולם", False), ("مرحبا بالعالم", False)],
    ids=["English", "Hebrew", "Arabic"],
)
def test_chips_stand_in_reading_order(text: str, rightwards: bool, opened) -> None:
    root = opened(WordPieceExplorer(text))
    row = root.get_by_role("toolbar", name="Tokens")
    lefts = row.locator(".be-whole").evaluate_all(LEFTS)
    assert len(lefts) >= 4
    assert lefts == sorted(lefts, reverse=not rightwards)
    chips = row.locator(".be-chip")
    chips.first.focus()
    root.page.keyboard.press("ArrowRight" if rightwards else "ArrowLeft")
    assert chips.nth(1).evaluate("chip => chip === document.activeElement")
    pieces = row.locator(".be-chip").evaluate_all(LEFTS)  # ## stands behind what it continues
    assert pieces == sorted(pieces, reverse=not rightwards)


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_a_message_never_breaks_inside_a_word(width: int, opened) -> None:
    status = opened(WordPieceExplorer("dog"), width).locator(".be-status")
    status.evaluate(
        """node => {
          node.classList.add("be-problem");
          node.style.maxWidth = "150px";
          node.textContent = "The text has 2,001 characters and this shows 2,000: shorten it.";
        }"""
    )
    assert set(status.evaluate(LINES)) == {1}


def test_no_mark_covers_a_label_of_the_triangle(opened) -> None:
    shown = opened(PairExplorer(finetuned("inference"), "a dog runs", "a cat sleeps"))
    assert shown.locator(".be-mark").count() >= 2
    assert shown.evaluate(COVERED) == []
