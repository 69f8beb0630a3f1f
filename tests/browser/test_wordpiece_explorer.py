"""The WordPiece explorer, used as a person would; what appears is what the library computes."""

import base64
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bertedu import load_tokenizer
from bertedu.widgets import WordPieceExplorer
from bertedu.widgets.words import visible_text
from bertedu.wordpiece import wordpiece_trace

TOKENIZER = load_tokenizer()
FIRST = "Playing the unaffable café"
HOSTILE = "<script>window.hurt=1</script> <img src=x onerror='window.hurt=1'> </textarea>"
TEXTS = [
    ("My dog is cute", "he likes playing"),
    (HOSTILE, None),
    ("מה שלומך 你好 \N{HAMSTER FACE}\u200d\N{DOG FACE} Übermütig", HOSTILE),
    ("x [MASK] [mask] " + "a" * 101, None),
    ("one word after the other, " * 40, None),
]


@pytest.fixture(scope="module")
def page(lab, open_notebook):
    lab.write(
        "explorer.ipynb",
        "from bertedu.widgets import WordPieceExplorer",
        f"WordPieceExplorer({FIRST!r})",
        "WordPieceExplorer('my dog', 'is hairy')",
    )
    page = open_notebook("explorer.ipynb")
    page.locator(".be-wordpiece").nth(1).wait_for()
    return page


@pytest.fixture
def explorer(page):
    """The first widget of the notebook, showing the first text, nothing pinned."""
    widget = page.locator(".be-wordpiece").first
    page.keyboard.press("Escape")
    page.mouse.move(0, 0)
    type_text(widget, FIRST)
    return widget


def type_text(widget, text: str, pair: str | None = None) -> None:
    """Fills both fields and waits for the answer."""
    for field, value in zip(widget.locator("textarea").all(), (text, pair or ""), strict=True):
        field.fill(value)
    settled(widget)


def settled(widget) -> None:
    widget.page.wait_for_function("node => !node.ariaBusy", arg=widget.element_handle())


def tokens_shown(widget) -> list[list[str]]:
    """Each chip's piece, id and offsets, as they can be read."""
    return widget.locator("[aria-label=Tokens] .be-chip").evaluate_all(
        "chips => chips.map(c => [...c.children].map(part => part.textContent))"
    )


def tokens_expected(text: str, pair: str | None = None) -> list[list[str]]:
    encoding = TOKENIZER.encode(text, pair)
    rows = zip(
        encoding.tokens,
        encoding.input_ids.tolist(),
        encoding.offsets,
        encoding.special_tokens_mask,
        strict=True,
    )
    return [
        [visible_text(token), str(index), "\u00a0" if added else f"{start}–{end}"]
        for token, index, (start, end), added in rows
    ]


def lit(widget, row: str) -> list[str]:
    return widget.locator(f"[aria-label={row}] .be-lit > span:first-child").all_inner_texts()


@pytest.mark.parametrize(("text", "pair"), TEXTS)
def test_typed_text_becomes_the_librarys_tokens(explorer, text: str, pair: str | None) -> None:
    type_text(explorer, text, pair)
    assert tokens_shown(explorer) == tokens_expected(text, pair)
    assert explorer.locator("img, script").count() == 0
    assert explorer.page.evaluate("window.hurt") is None


def test_the_newest_of_many_keystrokes_wins(explorer) -> None:
    field = explorer.locator("textarea").first
    field.fill("")
    field.press_sequentially("unbelievably playful", delay=60)
    settled(explorer)
    assert tokens_shown(explorer) == tokens_expected("unbelievably playful")
    assert field.input_value() == "unbelievably playful"


def test_what_is_typed_and_taken_back_needs_no_answer(explorer) -> None:
    field = explorer.locator("textarea").first
    field.press("End")
    field.press_sequentially("x")
    field.press("Backspace")
    settled(explorer)
    assert tokens_shown(explorer) == tokens_expected(FIRST)


def test_characters_show_what_normalising_makes_of_them(explorer) -> None:
    text = "É\u200d A\tß中."
    type_text(explorer, text)
    rows = explorer.locator("[aria-label=Characters] button").evaluate_all(
        "all => all.map(c => [...c.children].map(part => part.textContent))"
    )
    trace = wordpiece_trace(text, TOKENIZER)
    normal = [c.normalized.strip() or c.normalized[:1] for c in trace.characters]
    assert rows == [
        [visible_text(c), visible_text(n) or "–"] for c, n in zip(text, normal, strict=True)
    ]
    note = explorer.locator(".be-note").first.inner_text()
    assert "2 cleaned, 1 set apart, 1 accent stripped, 2 lower-cased" in note


def test_the_search_is_walked_with_buttons_and_keys(explorer) -> None:
    word = next(w for w in wordpiece_trace(FIRST, TOKENIZER).words if w.text == "unaffable")
    tried = [candidate for search in word.searches for candidate in search]
    assert len(tried) > 5
    explorer.locator("[aria-label=Words] button", has_text="unaffable").click()
    verdict = explorer.locator(".be-verdict")

    def expect(number: int) -> None:
        candidate = tried[number]
        index = TOKENIZER.vocab.get(candidate)
        said = "is not in the vocabulary" if index is None else f"is in the vocabulary, id {index}"
        assert verdict.inner_text().startswith(
            f"Try {number + 1} of {len(tried)}: {candidate} {said}"
        )
        seen = explorer.locator(".be-tries li:not(.be-later) bdi").all_inner_texts()
        assert seen == tried[: number + 1]

    expect(len(tried) - 1)
    explorer.get_by_role("button", name="First try").click()
    expect(0)
    explorer.get_by_role("button", name="Next try").click()
    expect(1)
    for number in range(2, len(tried)):
        explorer.page.keyboard.press("ArrowRight")
        expect(number)
    explorer.page.keyboard.press("ArrowRight")
    expect(len(tried) - 1)
    explorer.page.keyboard.press("ArrowLeft")
    expect(len(tried) - 2)
    explorer.page.keyboard.press("Home")
    expect(0)


def test_hovering_lights_both_ways(explorer) -> None:
    piece = next(p for p in wordpiece_trace(FIRST, TOKENIZER).pieces if p.token.startswith("##"))
    chip = explorer.locator("[aria-label=Tokens] .be-chip", has_text=piece.token)
    chip.hover()
    assert "".join(lit(explorer, "Characters")) == FIRST[piece.start : piece.end]
    assert lit(explorer, "Words") == ["unaffable"]
    tip = explorer.get_by_role("tooltip", include_hidden=True)
    assert f"id {piece.id}" in tip.inner_text()
    explorer.locator("[aria-label=Characters] button").nth(piece.start).hover()
    assert lit(explorer, "Tokens") == [piece.token]
    explorer.page.mouse.move(0, 0)
    assert lit(explorer, "Tokens") == lit(explorer, "Characters") == []
    assert tip.is_hidden()


def test_a_click_pins_and_escape_lets_go(explorer) -> None:
    piece = wordpiece_trace(FIRST, TOKENIZER).pieces[0]
    chip = explorer.locator("[aria-label=Tokens] .be-chip").nth(1)
    chip.click()
    explorer.page.mouse.move(0, 0)
    line = explorer.locator(".be-line")
    assert line.inner_text() == (
        f"Pinned: token {piece.token}, id {piece.id}, position 1, segment A, characters "
        f"{piece.start} to {piece.end}: “{FIRST[piece.start : piece.end]}”"
    )
    assert "".join(lit(explorer, "Characters")) == FIRST[piece.start : piece.end]
    assert chip.get_attribute("aria-pressed") == "true"
    explorer.page.keyboard.press("Escape")
    assert lit(explorer, "Characters") == []
    assert "Pinned" not in line.inner_text()


def test_everything_is_reached_with_the_keyboard(explorer) -> None:
    press = explorer.page.keyboard.press
    explorer.locator("textarea").first.focus()
    for key in ("Tab", "Tab", "ArrowRight", "ArrowRight"):
        press(key)
    assert lit(explorer, "Words") == ["playing"]
    press("Enter")
    assert "Pinned: character 2, a" in explorer.locator(".be-line").inner_text()
    press("Escape")
    press("Tab")
    press("End")
    press("Enter")
    last = wordpiece_trace(FIRST, TOKENIZER).words[-1]
    assert f"Pinned: word “{last.text}”" in explorer.locator(".be-line").inner_text()
    press("Tab")
    press("Home")  # the search of that word
    assert explorer.locator(".be-verdict").inner_text().startswith("Try 1 of ")
    # The arrow keys never reached the notebook: the cell is still the widget's.
    assert explorer.page.locator(".jp-NotebookPanel .jp-CodeCell").count() == 3


def test_too_long_a_text_is_refused_and_the_picture_stays(explorer) -> None:
    type_text(explorer, "a " * 1001)
    assert explorer.get_by_role("status").first.inner_text() == (
        "The text has 2,002 characters and this picture shows at most 2,000: shorten it."
    )
    assert tokens_shown(explorer) == tokens_expected(FIRST)
    type_text(explorer, "short")
    assert tokens_shown(explorer) == tokens_expected("short")
    assert explorer.get_by_role("status").first.inner_text() == ""


@pytest.mark.parametrize("text", ["", "   "])
def test_no_text_is_two_tokens_and_a_sentence(explorer, text: str) -> None:
    type_text(explorer, text)
    assert tokens_shown(explorer) == tokens_expected(text)
    assert "type a word" in explorer.get_by_role("status").first.inner_text()


def test_two_widgets_leave_each_other_alone(explorer) -> None:
    other = explorer.page.locator(".be-wordpiece").nth(1)
    before = tokens_shown(other)
    assert before == tokens_expected("my dog", "is hairy")
    explorer.locator("[aria-label=Tokens] .be-chip").nth(1).click()
    type_text(explorer, "something else")
    assert tokens_shown(other) == before
    assert lit(other, "Tokens") == []


def test_the_saved_picture_shows_the_librarys_tokens(explorer, tmp_path: Path) -> None:
    with explorer.page.expect_download() as download:
        explorer.get_by_role("button", name="Save picture").click()
    download.value.save_as(tmp_path / "picture.svg")
    chips = [
        node
        for node in ET.parse(tmp_path / "picture.svg").iter()
        if node.get("aria-label", "").startswith("token ")
    ]
    drawn = [["".join(part.itertext()) for part in node] for node in chips]
    assert drawn == tokens_expected(FIRST)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(explorer, look_at, theme: str) -> None:
    type_text(explorer, "My dog is Unbelievably hairy [MASK] café", "he likes playing")
    explorer.locator("[aria-label=Tokens] .be-chip").nth(5).click()
    look_at(explorer, "wordpiece", theme)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_lives_in_a_page_without_python(new_page, artefacts: Path, theme: str) -> None:
    text, pair = "My dog is hairy", "he likes unplayable games"
    widget = WordPieceExplorer(text, pair)
    page = new_page(width=640, theme=theme)
    page.set_content(
        '<!doctype html><html lang="en"><title>static</title>'
        '<script type="application/vnd.jupyter.widget-state+json">{}</script><main></main>'
    )
    page.evaluate(
        """async ([esm, css, data]) => {
          document.head.append(Object.assign(document.createElement("style"), {textContent: css}));
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const {default: widget} = await import(URL.createObjectURL(
            new Blob([esm], {type: "text/javascript"})));
          const model = {get: () => new DataView(bytes.buffer), on() {}, off() {}};
          window.end = widget.render({model, el: document.querySelector("main")});
        }""",
        [widget._esm, widget._css, base64.b64encode(widget.data).decode()],
    )
    shown = page.locator(".be-wordpiece")
    assert tokens_shown(shown) == tokens_expected(text, pair)
    assert shown.locator("textarea").evaluate_all("all => all.every(box => box.readOnly)")
    assert "no Python behind it" in shown.get_by_role("status").first.inner_text()
    shown.locator("[aria-label=Tokens] .be-chip", has_text="hairy").click()
    assert "token hairy" in shown.locator(".be-line").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=artefacts / f"wordpiece-static-640-{theme}.png", full_page=True)
    page.evaluate("window.end()")
    assert shown.count() == 0
