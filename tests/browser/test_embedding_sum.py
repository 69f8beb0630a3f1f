"""The embedding sum, used as a person would; what appears is what the model computes."""

import json

import pytest
import torch

from bertedu import BertConfig, BertForPreTraining, load_tokenizer
from bertedu.bert import Bert
from bertedu.widgets import EmbeddingSum
from bertedu.widgets.palette import STATIC
from bertedu.widgets.words import visible_text

TOKENIZER = load_tokenizer()
DIVERGING = json.loads((STATIC / "palette.json").read_text())["diverging"]
BUILD = """
import torch
from bertedu import BertConfig, BertForPreTraining, load_tokenizer
from bertedu.bert import Bert
from bertedu.widgets import EmbeddingSum
torch.manual_seed(0)
sizes = {"hidden_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4}
config = BertConfig(**sizes, initializer_range=0.2)
bert = Bert(BertForPreTraining(config), load_tokenizer())
"""
HOSTILE = "<script>window.hurt=1</script> <img src=x onerror='window.hurt=1'>"
SWITCHES = {
    "token": "token",
    "segment": "segment",
    "position": "position",
    "LayerNorm": "layer_norm",
}


@pytest.fixture(scope="module")
def bert() -> Bert:
    """The same random model as in the notebook."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=96, num_hidden_layers=1, num_attention_heads=4, initializer_range=0.2
    )
    return Bert(BertForPreTraining(config), TOKENIZER)


@pytest.fixture(scope="module")
def page(lab, open_notebook):
    lab.write("sum.ipynb", BUILD, "EmbeddingSum(bert=bert)", "EmbeddingSum('my dog', None, bert)")
    page = open_notebook("sum.ipynb")
    page.locator(".be-embedding-sum").nth(1).wait_for()
    return page


@pytest.fixture
def widget(page):
    """The first widget, showing the notes' pair, everything on."""
    widget = page.locator(".be-embedding-sum").first
    type_text(widget, "my dog is cute", "he likes play ##ing")
    head(widget).select_option("0")
    dimensions(widget).select_option("0 64")
    if (button := widget.get_by_role("button", name="Everything on")).is_enabled():
        button.click()
    widget.get_by_role("button", name="Save picture").focus()
    page.keyboard.press("Escape")
    return widget


def type_text(widget, text: str, pair: str = "") -> None:
    for box, value in zip(widget.locator("textarea").all(), (text, pair), strict=True):
        box.fill(value)
    widget.page.wait_for_function("node => !node.ariaBusy", arg=widget.element_handle())


def head(widget):
    return widget.get_by_label("Head")


def dimensions(widget):
    return widget.get_by_label("Dimensions")


def switch(widget, name: str):
    if name in SWITCHES:
        return widget.locator(f".be-of-{SWITCHES[name]} input")
    return widget.get_by_role("checkbox", name=name)


def heat(widget, name: str):
    return widget.locator(f".be-heat[aria-label^='{name}']")


def twin(bert: Bert, text="my dog is cute", pair="he likes play ##ing", **settings) -> EmbeddingSum:
    """The library's own answer, for the same settings."""
    other = EmbeddingSum(text, pair, bert)
    other.settings = other.settings | settings
    return other


def tokens_shown(widget) -> list[str]:
    return widget.locator(".be-of-token .be-rows .be-name").all_inner_texts()


def hover(widget, name: str, row: int, column: int, size: tuple[int, int]) -> str:
    """Moves to the middle of a cell; returns the tooltip's text."""
    box = heat(widget, name)
    box.scroll_into_view_if_needed()
    area = box.locator("canvas").bounding_box()
    place = [(part + 0.5) / count for part, count in zip((row, column), size, strict=True)]
    widget.page.mouse.move(
        area["x"] + place[1] * area["width"], area["y"] + place[0] * area["height"]
    )
    return widget.locator(".be-tooltip").inner_text()


def number(value: torch.Tensor) -> str:
    text = f"{float(value):.4f}".replace("-", "−")
    return "0.0000" if text == "−0.0000" else text


@pytest.mark.parametrize(
    ("text", "pair"),
    [("my dog is cute", "he likes play ##ing"), (HOSTILE, ""), ("", ""), ("שלום 你好 🤗", "x")],
)
def test_what_is_typed_is_shown_token_by_token(widget, bert, text: str, pair: str) -> None:
    type_text(widget, text, pair)
    other = twin(bert, text, pair or None)
    assert tokens_shown(widget) == [visible_text(TOKENIZER.tokens[i]) for i in other.ids]
    assert widget.locator("img, script").count() == 0
    assert widget.page.evaluate("window.hurt") is None


def test_a_piece_typed_with_its_marks_is_explained(widget) -> None:
    assert "own tokenizer would write playing here" in widget.locator(".be-status").inner_text()
    type_text(widget, "my dog")
    assert widget.locator(".be-status").inner_text().strip() == ""


def test_hovering_shows_the_models_numbers(widget, bert) -> None:
    other = twin(bert)
    row, dimension = 7, 20
    token, segment, position = other.terms[:, row, dimension]
    for name in ("token", "sum", "what the first layer reads"):
        assert hover(widget, name, row, dimension, (11, 64)) == (
            f"likes (position 7, segment B), dimension 20: token {number(token)} + "
            f"segment {number(segment)} + position {number(position)} = "
            f"{number(other.summed[row, dimension])}; "
            f"after LayerNorm {number(other.states[row, dimension])}"
        )
    dimensions(widget).select_option("64 96")
    assert f"dimension 70: token {number(other.terms[0, 2, 70])}" in hover(
        widget, "position", 2, 6, (11, 32)
    )


def test_the_colours_are_the_values(widget, bert) -> None:
    other = twin(bert)
    shown = (
        heat(widget, "sum")
        .locator("canvas")
        .evaluate("c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]")
    )
    pixels = torch.tensor(shown).view(11, 64, 4)[..., :3]
    scale = float(other.summed.abs().quantile(0.99))
    stops = torch.tensor([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in DIVERGING])
    place = (5 + 5 * other.summed[:, :64] / scale).clamp(0, 10)
    low = place.floor().clamp(max=9).long()
    expected = stops[low] + (place - low)[..., None] * (stops[low + 1] - stops[low])
    assert float((pixels - expected).abs().max()) <= 1


@pytest.mark.parametrize("off", [["token"], ["position"], ["segment", "LayerNorm"], list(SWITCHES)])
@pytest.mark.parametrize("number_of_head", [0, 3])
def test_switching_off_changes_the_attention(
    widget, bert, off: list[str], number_of_head: int
) -> None:
    for name in off:
        switch(widget, name).uncheck()
    head(widget).select_option(str(number_of_head))
    other = twin(bert, head=number_of_head, **{SWITCHES[name]: False for name in off})
    share = float(widget.locator(".be-verdict").inner_text().split(" %")[0])
    assert other.moved > 0.01
    assert share == pytest.approx(100 * other.moved, abs=0.11)
    told = hover(widget, "attention now", 2, 9, (11, 11))
    before, now = (float(other.attention(which)[2, 9]) for which in (15, None))
    assert told.startswith("dog (2) looks at ##ing (9): ")
    numbers = [float(part.split()[-1]) for part in told.split(" %")[:2]]
    assert numbers == pytest.approx([100 * before, 100 * now], abs=0.11)


def test_a_click_pins_and_the_pinned_follows_the_switches(widget, bert) -> None:
    hover(widget, "token", 3, 5, (11, 64))
    widget.page.mouse.down()
    widget.page.mouse.up()
    line = widget.locator(".be-line")
    assert line.inner_text().startswith("Pinned: is (position 3, segment A), dimension 5: token ")
    switch(widget, "token").uncheck()
    other = twin(bert, token=False)
    assert f"token off + segment {number(other.terms[1, 3, 5])}" in line.inner_text()
    assert f"= {number(other.summed[3, 5])};" in line.inner_text()
    widget.page.keyboard.press("Escape")
    assert line.inner_text().startswith("Hover shows")
    assert widget.locator(".be-cursor:visible").count() == 0


def test_the_keyboard_alone_is_enough(widget, bert) -> None:
    switch(widget, "segment").focus()
    widget.page.keyboard.press("Space")
    widget.page.keyboard.press("Tab")
    for key in ("ArrowDown", "ArrowDown", "Home", "ArrowRight", "Enter"):
        widget.page.keyboard.press(key)
    other = twin(bert, segment=False)
    line = widget.locator(".be-line").inner_text()
    assert line.startswith("Pinned: ")
    assert "dimension 1: token " in line
    assert "segment off" in line
    row = int(line.split("position ")[1].split(",")[0])
    assert row >= 2
    assert f"= {number(other.summed[row, 1])};" in line


def test_positions_are_compared(widget, bert) -> None:
    other = twin(bert)
    for centred in (0, 1):
        if centred:
            switch(widget, "take the mean row away").check()
        told = hover(widget, "learned positions", 3, 30, (64, 64))
        cosines = [f"{float(each):.2f}" for each in other._positions[centred, :, 3, 30]]
        assert told == (
            f"positions 3 and 30, 27 apart: cosine {cosines[0]} learned, {cosines[1]} sinusoidal"
        ).replace("-", "−").replace("−0.00", "0.00")
    switch(widget, "take the mean row away").uncheck()


def test_what_is_too_long_says_so_and_the_picture_stays(widget) -> None:
    before = tokens_shown(widget)
    type_text(widget, "word " * 200)
    assert "at most 48: shorten it" in widget.locator(".be-status").inner_text()
    assert tokens_shown(widget) == before


def test_two_widgets_leave_each_other_alone(widget) -> None:
    other = widget.page.locator(".be-embedding-sum").nth(1)
    switch(widget, "token").uncheck()
    assert switch(other, "token").is_checked()
    assert tokens_shown(other) == ["[CLS]", "my", "dog", "[SEP]"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(theme: str, widget, look_at) -> None:
    switch(widget, "position").uncheck()
    hover(widget, "sum", 2, 10, (11, 64))
    widget.page.mouse.down()
    widget.page.mouse.up()
    look_at(widget, "sum", theme, height=1500)
