"""The time machine, used as a reader would: in JupyterLab, and in a page without Python."""

from pathlib import Path

import pytest

from bertedu.classroom.book.site import write
from bertedu.widgets import TimeMachine
from bertedu.widgets.static_page import to_html
from bertedu.widgets.time_machine import PRESETS
from tests.test_web_pack import bert

TEXT = "the boy went to the [MASK]."
LAST = 9
LESSON = """# %% [markdown]
# # 07 · A lesson

# %%
from bertedu.widgets import TimeMachine
TimeMachine()
"""


@pytest.fixture(scope="module")
def notebook(lab, open_notebook):
    lab.write("film.ipynb", "from bertedu.widgets import TimeMachine", "TimeMachine()")
    page = open_notebook("film.ipynb")
    page.locator(".be-time-machine").wait_for()
    return page


def agrees(widget, expected: TimeMachine, frame: int) -> None:
    """The words, ranks and numbers of one checkpoint are Python's, and so is the verdict."""
    widget.locator("xpath=self::*[not(@aria-busy)]").wait_for()
    rows = widget.locator(".be-race .be-row:not(.be-out)").evaluate_all(
        "all => all.map(row => ['.be-rank', '.be-name', '.be-percent']"
        ".map(part => row.querySelector(part).textContent))"
    )
    said = expected.frames[frame]
    told = [
        [f"{i}.", token, "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"]
        for place in said.places
        for i, (token, share) in enumerate(place, 1)
    ]
    assert sorted(rows) == sorted(told)
    assert f"Step {said.moment.steps:,}: " in widget.locator(".be-line").inner_text()
    if said.follows is not None:
        share = f"{100 * max(said.follows, 1 - said.follows):.1f} %"
        assert share in widget.locator(".be-judged").inner_text()


def test_what_is_typed_is_answered_and_then_scrubbed_without_a_question(notebook) -> None:
    widget = notebook.locator(".be-time-machine")
    agrees(widget, TimeMachine(), LAST)
    widget.get_by_label("Sentence Segment A").fill(TEXT)
    widget.get_by_text("after “the”").wait_for()
    widget.get_by_label("Second sentence Segment B").fill("he was happy.")
    widget.locator(".be-pair").wait_for()
    expected = TimeMachine(TEXT, "he was happy.")
    agrees(widget, expected, LAST)
    slider = widget.get_by_label("Checkpoint")
    slider.focus()
    for frame in range(LAST - 1, -1, -1):
        notebook.keyboard.press("ArrowLeft")
        agrees(widget, expected, frame)
    notebook.keyboard.press("End")
    agrees(widget, expected, LAST)
    assert widget.locator(".be-now").inner_text() == slider.get_attribute("aria-valuetext")
    widget.get_by_label("Second sentence Segment B").fill("")
    widget.locator(".be-pair").wait_for(state="detached")


def test_bad_input_is_one_sentence_and_the_picture_stays(notebook) -> None:
    widget = notebook.locator(".be-time-machine")
    widget.get_by_label("Sentence Segment A").fill("a " * 40)
    widget.locator(".be-problem").wait_for()
    assert "42 tokens and this picture shows at most 32" in widget.inner_text()
    assert widget.locator(".be-race").count() == 1
    widget.get_by_role("button", name=PRESETS[0].text).click()
    widget.locator(".be-problem").wait_for(state="detached")
    agrees(widget, TimeMachine(*PRESETS[0][:2]), LAST)


def test_keys_choose_a_token_and_a_head(notebook) -> None:
    widget = notebook.locator(".be-time-machine")
    first = widget.locator(".be-names button").first
    first.focus()
    notebook.keyboard.press("ArrowDown")
    notebook.keyboard.press("Enter")
    assert "(position 1) gives" in widget.locator(".be-line").inner_text()
    assert widget.locator(".be-cell.be-lit").count() == widget.locator(".be-names button").count()
    before = widget.locator(".be-line").inner_text()
    widget.get_by_label("Head").select_option("4")
    widget.get_by_label("Layer").select_option("3")
    assert widget.locator(".be-line").inner_text() != before
    notebook.keyboard.press("Escape")
    assert "Step " in widget.locator(".be-line").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(theme: str, notebook, look_at) -> None:
    look_at(notebook.locator(".be-time-machine"), "time-machine", theme)


@pytest.fixture
def page(new_page, tmp_path: Path):
    """A page without Python, on a phone."""
    (tmp_path / "page.html").write_text(to_html(TimeMachine()), encoding="utf-8")
    page = new_page(width=390, height=844)
    page.set_default_timeout(10_000)
    page.goto((tmp_path / "page.html").as_uri())
    page.locator(".be-time-machine").wait_for()
    return page


def test_a_page_without_python_has_all_frames_of_its_examples(page) -> None:
    widget = page.locator(".be-time-machine")
    for preset in PRESETS:
        name = preset.text if preset.pair is None else preset.pair
        widget.get_by_role("button", name=name).click()
        expected = TimeMachine(preset.text, preset.pair)
        for frame in (0, 5, LAST):
            widget.get_by_label("Checkpoint").fill(str(frame))
            agrees(widget, expected, frame)
    assert "no Python behind it" in widget.locator(".be-status").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_it_plays_to_the_end_also_where_motion_is_unwelcome(page) -> None:
    widget = page.locator(".be-time-machine")
    widget.get_by_label("Checkpoint").fill("7")
    play = widget.locator(".be-play")
    assert play.inner_text() == "▶ Play"
    play.click()  # this reader asks for reduced motion: it steps, and nothing glides
    assert widget.locator(".be-race .be-row").first.evaluate(
        "node => getComputedStyle(node).transitionDuration"
    ) in {"0s", ""}
    widget.get_by_text("Checkpoint 10 of 10").wait_for()
    assert play.inner_text() == "▶ Play"


def test_the_book_with_a_bert_computes_every_frame_of_what_is_typed(
    new_page, tmp_path: Path
) -> None:
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "07_joint_pretraining.py").write_text(LESSON, encoding="utf-8")
    write(tmp_path, tmp_path / "site", say=lambda line: None, bert=bert())
    page = new_page()
    page.set_default_timeout(60_000)
    page.goto((tmp_path / "site" / "07_joint_pretraining.html").as_uri())
    widget = page.locator(".be-time-machine")
    widget.get_by_label("Sentence Segment A").fill(TEXT)
    widget.get_by_text("after “the”").wait_for()
    expected = TimeMachine(TEXT)
    for frame in (LAST, 0, 4):
        widget.get_by_label("Checkpoint").fill(str(frame))
        agrees(widget, expected, frame)
    assert page.locator(".bertedu-int8").is_visible()
