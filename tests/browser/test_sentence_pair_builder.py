"""The sentence pair builder, used as a person would, in a page that has no Python behind it."""

import base64
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bertedu import load_tokenizer
from bertedu.widgets import SentencePairBuilder
from bertedu.widgets.words import visible_text

TOKENIZER = load_tokenizer()
HOSTILE = "<script>window.hurt=1</script>"
DOCUMENTS = {
    "dogs": "My dog is cute. He likes playing. He sleeps all day.",
    HOSTILE: "Calculus is a branch of math. It was <img src=x onerror='window.hurt=1'> developed.",
}
FOLLOWS, RANDOM = "what follows: label 0", "random: label 1"
FAULTY = "all sentences, as faulty published code does"


def put(page, *widgets) -> None:
    page.set_content(
        '<!doctype html><html lang="en"><title>static</title>'
        '<script type="application/vnd.jupyter.widget-state+json">{}</script><main></main>'
    )
    for widget in widgets:
        add(page, widget)


def add(page, widget) -> None:
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


@pytest.fixture(scope="module")
def empty_page(new_page):
    return new_page()


@pytest.fixture
def builder(empty_page):
    """Two small documents, freshly shown: the first pair is "My dog is cute.", what follows."""
    put(empty_page, SentencePairBuilder(DOCUMENTS))
    widget = empty_page.locator(".be-pairs")
    widget.get_by_label("Document of A").select_option("dogs")
    sentence(widget, "My dog is cute.").click()
    widget.get_by_label(FOLLOWS).check()
    return widget


def sentence(widget, text: str):
    return widget.locator(".be-sentence", has_text=text)


def tokens_shown(widget) -> list[list[str]]:
    """Each chip's piece, id and segment id, as they can be read."""
    return widget.locator("[aria-label=Tokens] .be-chip").evaluate_all(
        "chips => chips.map(c => [...c.children].map(part => part.textContent))"
    )


def tokens_expected(a: str, b: str) -> list[list[str]]:
    encoding = TOKENIZER.encode(a, b)
    columns = encoding.tokens, encoding.input_ids.tolist(), encoding.token_type_ids.tolist()
    return [[visible_text(t), str(i), str(s)] for t, i, s in zip(*columns, strict=True)]


def verdict(widget) -> str:
    return widget.locator(".be-verdict").inner_text()


def tally(widget) -> str:
    return widget.locator(".be-tally").inner_text()


def test_a_pair_is_picked_by_its_split(builder) -> None:
    assert tokens_shown(builder) == tokens_expected(
        "My dog is cute.", "He likes playing. He sleeps all day."
    )
    sentence(builder, "He likes playing.").click()
    assert tokens_shown(builder) == tokens_expected(
        "My dog is cute. He likes playing.", "He sleeps all day."
    )
    assert verdict(builder) == (
        "next_sentence_label 0: B follows A (does B follow? true; is B random? false)"
    )
    roles = builder.locator(".be-sentence .be-role").all_inner_texts()
    assert roles == ["A", "A", "B"]


def test_nothing_follows_the_last_sentence(builder) -> None:
    sentence(builder, "He sleeps all day.").click()
    assert builder.get_by_label(FOLLOWS).is_disabled()
    assert builder.get_by_label(RANDOM).is_checked()
    assert verdict(builder) == (
        "next_sentence_label 1: B is random (does B follow? false; is B random? true)"
    )


def test_a_random_b_comes_from_elsewhere_and_is_text_not_markup(builder) -> None:
    builder.get_by_label(RANDOM).check()
    expected = [
        tokens_expected("My dog is cute.", b)
        for b in (DOCUMENTS[HOSTILE], DOCUMENTS[HOSTILE].split(". ", 1)[1])
    ]
    shown = []
    for _ in range(12):
        builder.get_by_role("button", name="Another random B").click()
        assert tokens_shown(builder) in expected
        shown.append(tokens_shown(builder))
    assert all(which in shown for which in expected)
    assert HOSTILE in builder.locator(".be-source").inner_text()
    assert builder.locator("script, img").count() == 0
    assert builder.page.evaluate("window.hurt") is None


@pytest.mark.parametrize("nasty", ["שלום 你好 \N{DOG FACE}", "<b>x</b> &amp;", "word " * 200])
def test_every_text_is_shown_as_text(empty_page, nasty: str) -> None:
    put(empty_page, SentencePairBuilder({"one": f"{nasty}. It ends.", "two": "Another. Text."}))
    widget = empty_page.locator(".be-pairs")
    widget.get_by_label("Document of A").select_option("one")
    sentence(widget, nasty.strip()).first.click()
    widget.get_by_label(FOLLOWS).check()
    expected, shown = tokens_expected(f"{nasty}.", "It ends."), tokens_shown(widget)
    assert len(shown) == min(len(expected), 64)  # a pair is cut to that
    same = len(shown) - 5  # up to A's [SEP]
    assert shown[:same] == expected[:same]
    assert shown[same:] == expected[-5:]
    assert widget.locator("b, script, img").count() == 0


def test_two_widgets_leave_each_other_alone(builder) -> None:
    add(builder.page, SentencePairBuilder(DOCUMENTS))
    one, other = builder.page.locator(".be-pairs").all()
    before = other.inner_text()
    one.get_by_role("button", name="Make 100", exact=True).click()
    one.locator("[aria-label=Tokens] .be-chip").nth(1).click()
    assert tally(one) != "None yet."
    assert other.inner_text() == before


def test_made_pairs_are_one_to_one_and_right(builder) -> None:
    builder.get_by_role("button", name="Make 1,000").click()
    assert tally(builder) == (
        "Label 0, follows: 500 (50.0 %). Label 1, random: 500: exactly 1:1. Of the random ones, "
        "0 from A’s own document and 0 really what follows A (the rule rules it out)."
    )
    assert builder.get_by_role("button", name="wrong label").count() == 0


def test_the_published_fault_can_be_seen(builder) -> None:
    builder.get_by_label(FAULTY).check()
    assert tally(builder) == "None yet."
    builder.get_by_role("button", name="Make 1,000").click()
    assert "(to expect: 1 in 5 sentences, 100.0)" in tally(builder)
    builder.get_by_role("button", name="wrong label").click()
    assert "Wrong label" in verdict(builder)
    assert "label 1: B is random" in verdict(builder)
    roles = builder.locator(".be-sentence .be-role").all_inner_texts()
    assert roles[roles.index("B") - 1] == "A"


def test_kept_pairs_are_balanced_by_dealt_ones_but_not_by_a_coin(builder) -> None:
    for _ in range(3):
        builder.get_by_role("button", name="Keep this pair").click()
    assert tally(builder).startswith("Label 0, follows: 3 (100.0 %). Label 1, random: 0. ")
    for _ in range(3):
        builder.get_by_role("button", name="Make 1", exact=True).click()
    assert tally(builder).startswith("Label 0, follows: 3 (50.0 %). Label 1, random: 3: exactly")
    builder.get_by_label("a coin’s").check()
    for _ in range(3):
        builder.get_by_role("button", name="Make 1,000").click()
    assert "exactly 1:1" not in tally(builder)


def test_sentences_and_tokens_light_each_other_and_a_click_pins(builder) -> None:
    chip = builder.locator("[aria-label=Tokens] .be-chip", has_text="playing")
    chip.hover()
    lit = builder.locator(".be-sentence.be-lit bdi")
    assert lit.all_inner_texts() == ["He likes playing."]
    chip.click()
    builder.page.mouse.move(0, 0)
    assert builder.locator(".be-line").inner_text() == (
        f"Pinned: token playing, id {TOKENIZER.vocab['playing']}, position 9, segment B (1), "
        "from dogs, sentence 2"
    )
    builder.page.keyboard.press("Escape")
    assert lit.count() == 0
    sentence(builder, "My dog is cute.").hover()
    pieces = builder.locator(".be-chip.be-lit .be-piece").all_inner_texts()
    assert pieces == ["my", "dog", "is", "cute", "."]


def test_everything_is_reached_with_the_keyboard(builder) -> None:
    press = builder.page.keyboard.press
    builder.get_by_label("Document of A").focus()
    for key in ("Tab", "Tab", "ArrowDown", "ArrowDown", "ArrowUp", "Enter"):
        press(key)
    assert tokens_shown(builder) == tokens_expected(
        "My dog is cute. He likes playing.", "He sleeps all day."
    )
    for key in ("Tab", "ArrowDown"):
        press(key)
    assert builder.get_by_label(RANDOM).is_checked()
    for key in ("Tab", "Tab", "End", "Enter"):
        press(key)
    assert "Pinned: token [SEP]" in builder.locator(".be-line").inner_text()


def test_the_saved_picture_shows_the_pair(builder, tmp_path: Path) -> None:
    with builder.page.expect_download() as download:
        builder.get_by_role("button", name="Save picture").click()
    download.value.save_as(tmp_path / "pair.svg")
    nodes = list(ET.parse(tmp_path / "pair.svg").iter())
    assert verdict(builder) in ["".join(node.itertext()) for node in nodes]
    drawn = [node for node in nodes if node.get("class") == "be-piece"]
    pieces = [piece for piece, _, _ in tokens_shown(builder)]
    assert ["".join(node.itertext()) for node in drawn] == pieces


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(new_page, axe: str, artefacts: Path, theme: str) -> None:
    """No sideways scrolling, axe finds nothing; the pictures are kept to be looked at."""
    page = new_page(theme=theme)
    put(page, SentencePairBuilder())
    widget = page.locator(".be-pairs")
    assert widget.get_attribute("data-theme") == theme
    widget.get_by_label(FAULTY).check()
    widget.get_by_label("Documents to draw from").select_option("2")
    widget.get_by_role("button", name="Make 1,000").click()
    widget.get_by_role("button", name="wrong label").click()
    page.evaluate(axe)
    for width in (1280, 800, 640):
        page.set_viewport_size({"width": width, "height": 1000})
        widget.locator("[aria-label=Tokens] .be-chip").nth(5).click()
        page.screenshot(path=artefacts / f"pairs-{width}-{theme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        found = page.evaluate(
            "node => axe.run(node).then(r => r.violations.map(v => [v.id, v.nodes[0].html]))",
            widget.element_handle(),
        )
        assert found == []
    page.evaluate("window.end()")
    assert widget.count() == 0


def test_it_lives_in_jupyterlab(lab, open_notebook) -> None:
    lab.write(
        "pairs.ipynb", "from bertedu.widgets import SentencePairBuilder as Builder\nBuilder()"
    )
    widget = open_notebook("pairs.ipynb").locator(".be-pairs")
    widget.wait_for()
    widget.get_by_role("button", name="Make 100", exact=True).click()
    assert "follows: 50 (50.0 %). Label 1, random: 50: exactly 1:1" in tally(widget)
