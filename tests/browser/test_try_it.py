"""Try it, used as a newcomer would: in JupyterLab, and in a page without Python, on a phone too."""

from pathlib import Path

import pytest

from bertedu.widgets import TryIt
from bertedu.widgets.static_page import to_html
from bertedu.widgets.try_it import PRESETS

PAIR = next(preset for preset in PRESETS if preset.pair)


@pytest.fixture(scope="module")
def notebook(lab, open_notebook):
    lab.write("try.ipynb", "from bertedu.widgets import TryIt", "TryIt()")
    page = open_notebook("try.ipynb")
    page.locator(".be-try-it").wait_for()
    return page


@pytest.fixture(scope="module")
def twin():
    """Asks Python what the page should say."""
    widget = TryIt()
    first = {name: getattr(widget, name) for name in ("pair", "masks", "guesses", "off")}

    def ask(text: str, **asked: object) -> TryIt:
        for name, value in {"text": text, **first, **asked}.items():
            setattr(widget, name, value)
        return widget

    return ask


def settled(widget) -> None:
    widget.page.wait_for_function("node => !node.ariaBusy", arg=widget.element_handle())


def agrees(widget, expected: TryIt) -> None:
    """The bars' words, ranks and numbers, of all [MASK], are Python's."""
    settled(widget)
    rows = widget.locator(".be-results .be-row").evaluate_all(
        "all => all.map(row => ['.be-rank', '.be-name', '.be-percent']"
        ".map(part => row.querySelector(part).textContent))"
    )
    told = []
    for place in expected.places:
        ranked = {token: (i, share) for i, (token, share) in enumerate(place.first, 1)}
        for own in filter(None, (place.hidden, place.guess)):
            ranked.setdefault(own.token, own[1:])
        for token, (rank, share) in sorted(ranked.items(), key=lambda item: item[1][0]):
            number = "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
            told.append([f"{rank:,}.", token, number])
    assert rows == told


def test_what_is_typed_and_clicked_is_answered_by_the_kernel(notebook, twin) -> None:
    widget = notebook.locator(".be-try-it")
    agrees(widget, twin(PRESETS[0].text))
    widget.get_by_label("Sentence Segment A").fill("the cat likes my garden")
    settled(widget)
    assert "Nothing is hidden: click a word below." in widget.inner_text()
    cat = widget.locator(".be-chip", has_text="cat")
    cat.focus()
    notebook.keyboard.press("Enter")
    widget.locator(".be-row").first.wait_for()
    agrees(widget, twin("the cat likes my garden", masks=[2]))
    notebook.keyboard.press("ArrowRight")
    notebook.keyboard.press("Space")
    widget.locator(".be-place").nth(1).wait_for()
    agrees(widget, twin("the cat likes my garden", masks=[2, 3]))
    notebook.keyboard.press("Escape")
    widget.locator(".be-place").first.wait_for(state="detached")
    widget.get_by_role("button", name=PAIR.pair).click()
    widget.locator(".be-judged .be-row").first.wait_for()
    expected = twin(PAIR.text, pair=PAIR.pair)
    agrees(widget, expected)
    share = f"{100 * max(expected.follows, 1 - expected.follows):.1f} %"
    assert share in widget.locator(".be-judged").inner_text()


def test_a_head_can_be_switched_off(notebook, twin) -> None:
    widget = notebook.locator(".be-try-it")
    widget.get_by_role("button", name=PRESETS[0].text).click()
    settled(widget)
    widget.locator("summary").click()
    widget.get_by_label("layer 2, head 3", exact=True).click()
    widget.get_by_text("1 head of").wait_for()
    agrees(widget, twin(PRESETS[0].text, off=[[2, 3]]))
    widget.get_by_role("button", name="All on").click()
    widget.get_by_text("all 72 are on").wait_for()
    agrees(widget, twin(PRESETS[0].text))
    widget.locator("summary").click()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(theme: str, notebook, look_at) -> None:
    look_at(notebook.locator(".be-try-it"), "try-it", theme)


@pytest.fixture
def page(new_page, tmp_path: Path):
    """A page without Python, on a phone."""
    (tmp_path / "page.html").write_text(to_html(TryIt()), encoding="utf-8")
    page = new_page(width=390, height=844)
    page.set_default_timeout(10_000)
    page.goto((tmp_path / "page.html").as_uri())
    page.locator(".be-try-it").wait_for()
    return page


def test_a_page_without_python_answers_its_examples(page, twin) -> None:
    widget = page.locator(".be-try-it")
    for preset in PRESETS:
        name = preset.text if preset.pair is None else preset.pair
        widget.get_by_role("button", name=name).click()
        agrees(widget, twin(preset.text, pair=preset.pair))
    widget.locator(".be-chip", has_text=PRESETS[-1].text.split()[1]).first.click()
    agrees(widget, twin(PRESETS[-1].text, pair=PRESETS[-1].pair, masks=[2]))
    assert "The hidden word, " in widget.inner_text()
    assert widget.get_by_label("Sentence Segment A").get_attribute("readonly") is not None


def test_with_guess_first_the_bars_wait_for_the_readers_word(page, twin) -> None:
    widget = page.locator(".be-try-it")
    widget.get_by_label("guess first").check()
    best = twin(PRESETS[0].text).places[0].first[1].token
    assert widget.locator(".be-row").count() == 0
    assert best not in widget.locator(".be-foot").inner_text()
    widget.get_by_label("Your guess for [MASK]").fill(best.upper())
    page.keyboard.press("Enter")
    agrees(widget, twin(PRESETS[0].text))
    mine = widget.locator(".be-mine")
    assert "your guess" in mine.inner_text()
    assert best in mine.inner_text()
    assert f"Your guess, “{best}”, is number 2 of 30,522" in widget.inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_on_a_phone_or_a_desk(theme: str, page, look_at) -> None:
    widget = page.locator(".be-try-it")
    widget.get_by_role("button", name=PAIR.pair).click()
    widget.locator(".be-chip").nth(1).click()
    page.locator("h1").evaluate("node => node.remove()")  # the widget's headings are a part's
    look_at(widget, "try-it-page", theme, height=844, widths=(390, 800, 1280))
    cut = widget.evaluate(
        "root => [...root.querySelectorAll('.be-name, .be-percent, .be-rank, .be-piece, button')]"
        ".filter(node => node.scrollWidth > node.clientWidth + 1 && node.clientWidth)"
        ".map(node => node.textContent)"
    )
    assert cut == []
