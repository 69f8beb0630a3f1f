"""The attention explorer, used as a person would; what appears is what the model computes."""

import re

import pytest
import torch

from bertedu import Bert, load_tokenizer
from bertedu.attention import attention_scores
from bertedu.widgets import AttentionExplorer
from bertedu.widgets.attention_explorer import row_numbers

TOKENIZER = load_tokenizer()
TEXT, PAIR = "my dog is cute", "he likes playing"
HOSTILE = "<script>window.hurt=1</script> <img src=x onerror='window.hurt=1'>"
MODEL = """
import torch
from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.widgets import AttentionExplorer
torch.manual_seed(0)
config = BertConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                    intermediate_size=32, initializer_range=0.6)
bert = Bert(BertForPreTraining(config), load_tokenizer())
"""


@pytest.fixture(scope="module")
def bert() -> Bert:
    """The same random model as in the notebook."""
    made: dict[str, object] = {}
    exec(MODEL, made)
    return made["bert"]


@pytest.fixture(scope="module")
def page(lab, open_notebook):
    lab.write(
        "attention.ipynb",
        MODEL,
        f"explorer = AttentionExplorer({TEXT!r}, {PAIR!r}, bert=bert, complete=False); explorer",
        f"AttentionExplorer({TEXT!r}, bert=bert)",
        MODEL.replace("0.6", "0.3").replace("num_attention_heads=3", "num_attention_heads=12"),
        f"AttentionExplorer({TEXT!r}, {PAIR!r}, bert=bert)",
    )
    page = open_notebook("attention.ipynb")
    page.locator(".be-attention-explorer").nth(2).wait_for()
    return page


@pytest.fixture
def explorer(page):
    """The first widget on its first text, nothing pinned, pointed at or left out."""
    page.mouse.move(0, 0)
    widget = page.locator(".be-attention-explorer").first
    type_texts(widget, TEXT, PAIR, "")
    widget.locator(".be-actions input").first.check()
    widget.locator("[data-token]").first.focus()
    page.keyboard.press("Escape")
    return widget


def type_texts(widget, *texts: str) -> None:
    for box, text in zip(widget.locator("textarea").all(), texts, strict=False):
        box.fill(text)
    widget.page.wait_for_function("node => !node.ariaBusy", arg=widget.element_handle())


def choose(widget, layer: int, head: int) -> None:
    widget.locator(f'[data-layer="{layer}"][data-head="{head}"]').click()
    exact(widget)


def exact(widget) -> None:
    """Waits until the chosen head's exact numbers have come from Python."""
    widget.page.wait_for_function(
        "node => !node.textContent.includes('≈')", arg=widget.element_handle()
    )


def shares(widget, panel: int = 0) -> list[float]:
    """What stands beneath the answering tokens; of a long text those in sight."""
    told = widget.locator(f'[data-target][data-panel="{panel}"]').evaluate_all(
        "chips => chips.map(chip => chip.lastChild.textContent)"
    )
    return [float(text.removesuffix(" %")) for text in told if text.endswith("%")]


def agree(told: list[float], expected: torch.Tensor) -> None:
    assert told == pytest.approx((100 * expected).tolist(), abs=0.11)


def test_three_clicks_say_what_a_head_does_with_a_word(explorer, bert: Bert) -> None:
    choose(explorer, 2, 3)
    explorer.locator('[data-token="2"]').click()
    probs = bert.attention(TEXT, PAIR)[1, 2]
    agree(shares(explorer), probs[2])
    explorer.locator('[data-target="4"][data-panel="0"]').click()
    seen = AttentionExplorer(TEXT, PAIR, bert=bert)._shown[0]
    score = float(attention_scores(seen.query[1, 2], seen.key[1, 2])[2, 4])
    told = explorer.locator(".be-product").inner_text().replace("−", "-")
    assert float(re.search(r"the score (-?[\d.]+\d)", told)[1]) == pytest.approx(score, abs=0.006)
    assert f"{100 * probs[2, 4]:.1f} %" in told
    assert explorer.locator(".be-part").count() == 8
    assert f"{100 * probs[2, 4]:.1f} %" in explorer.locator(".be-line").inner_text()


def test_the_row_of_numbers_is_the_librarys(explorer, bert: Bert) -> None:
    choose(explorer, 1, 2)
    explorer.locator('[data-token="5"]').hover()
    probs = bert.attention(TEXT, PAIR)[0, 1]
    rows = row_numbers(probs, TOKENIZER.encode(TEXT, PAIR).input_ids, TOKENIZER)
    for line, numbers in zip(
        explorer.locator(".be-numbers tbody tr").all(), (rows.nanmean(0), rows[5]), strict=True
    ):
        entropy, *told = line.locator("td").all_inner_texts()
        assert float(entropy.removesuffix(" nats")) == pytest.approx(float(numbers[0]), abs=0.011)
        agree([float(text.removesuffix(" %")) for text in told], numbers[1:])


def test_the_keyboard_reaches_heads_tokens_and_back(explorer, bert: Bert) -> None:
    choose(explorer, 1, 1)
    keyboard = explorer.page.keyboard
    for key in ("ArrowDown", "ArrowRight"):
        keyboard.press(key)
    exact(explorer)
    explorer.locator('[data-token="0"]').focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        keyboard.press(key)
    assert "layer 2 · head 2, “is” (position 3)" in explorer.locator(".be-line").inner_text()
    agree(shares(explorer), bert.attention(TEXT, PAIR)[1, 1, 3])
    keyboard.press("Escape")
    assert explorer.locator(".be-line").inner_text().startswith("Hover shows")


def test_a_place_in_the_matrix_and_a_line_are_a_pair(explorer, bert: Bert) -> None:
    choose(explorer, 2, 1)
    canvas = explorer.locator("canvas.be-map")
    canvas.hover()  # waits until it is drawn
    side = canvas.bounding_box()["width"] - 96
    cell = side / 10
    canvas.click(position={"x": 92 + 6.5 * cell, "y": 92 + 2.5 * cell})
    share = bert.attention(TEXT, PAIR)[1, 0, 2, 6]
    told = explorer.locator(".be-line").inner_text()
    assert f"“dog” (position 2) asks “he” (position 6): {100 * share:.1f} %" in told
    explorer.get_by_role("button", name="lines").click()
    assert canvas.count() == 1
    explorer.get_by_role("button", name="matrix").click()


def test_special_tokens_left_out_and_rows_renormalised(explorer, bert: Bert) -> None:
    choose(explorer, 2, 2)
    special, renormalise = explorer.locator(".be-actions input").all()[:2]
    special.uncheck()
    renormalise.check()
    explorer.locator('[data-token="2"]').click()
    words = [1, 2, 3, 4, 6, 7, 8]
    probs = bert.attention(TEXT, PAIR)[1, 1, 2, words]
    agree(shares(explorer), probs / probs.sum())
    hidden = explorer.locator("[data-target]:not(:visible)")
    assert hidden.evaluate_all("chips => chips.map(c => +c.dataset.target)") == [0, 5, 9]
    assert explorer.locator(".be-truth").inner_text().startswith("Shown: renormalised.")
    special.check()
    assert "own probabilities" in explorer.locator(".be-truth").inner_text()


def test_another_text_stands_beside(explorer, bert: Bert) -> None:
    choose(explorer, 1, 3)
    type_texts(explorer, TEXT, PAIR, "the cute dog")
    exact(explorer)
    explorer.locator('[data-token="2"]').click()
    agree(shares(explorer, 0), bert.attention(TEXT, PAIR)[0, 2, 2])
    agree(shares(explorer, 1), bert.attention("the cute dog")[0, 2, 3])


@pytest.mark.parametrize("text", [HOSTILE, "", "שלום 你好 \N{DOG FACE}", "word " * 200])
def test_every_text_is_shown_as_text(explorer, bert: Bert, text: str) -> None:
    type_texts(explorer, text, "")
    exact(explorer)
    explorer.locator('[data-token="0"]').click()
    layer, head = (
        int(explorer.locator('.be-head[aria-pressed="true"]').get_attribute(f"data-{name}"))
        for name in ("layer", "head")
    )
    told = shares(explorer)
    assert len(told) > (30 if len(text) > 900 else 1)
    agree(told, bert.attention(text)[layer - 1, head - 1, 0][: len(told)])
    assert explorer.locator("img, script").count() == 0
    assert explorer.page.evaluate("window.hurt") is None


def test_a_text_that_is_too_long_is_refused_in_a_sentence(explorer) -> None:
    type_texts(explorer, "word " * 10_000, "")
    assert "10,002 tokens and this picture shows at most 512" in explorer.inner_text()


def test_two_widgets_leave_each_other_alone(explorer) -> None:
    other = explorer.page.locator(".be-attention-explorer").nth(1)
    before = other.inner_text()
    choose(explorer, 2, 2)
    explorer.locator('[data-token="1"]').click()
    assert other.inner_text() == before


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(theme: str, page, look_at) -> None:
    widget = page.locator(".be-attention-explorer").nth(2)  # twelve heads
    widget.locator('[data-token="6"]').click()
    widget.locator('[data-target="2"]').click()
    look_at(widget, "attention", theme, height=1500)
