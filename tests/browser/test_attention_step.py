"""The attention step on a page: it plays, keys reach everything, and nothing is cut."""

import pytest
import torch

from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.widgets import AttentionStep
from bertedu.widgets.static_page import to_html

CUT = """root => [...root.querySelectorAll("*")].filter(node => {
  const { right, left, width } = node.getBoundingClientRect();
  const box = root.getBoundingClientRect();
  return width && !node.hidden && (right > box.right + 0.5 || left < box.left - 0.5);
}).map(node => node.className)"""


@pytest.fixture(scope="module")
def page(new_page):
    """The step of a model whose heads are as wide as ours, on a page of its own."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, initializer_range=0.2
    )
    bert = Bert(BertForPreTraining(config), load_tokenizer())
    page = new_page(height=800)
    html = to_html(
        [
            AttentionStep("my dog is cute and he likes playing", bert, token=8),
            AttentionStep("telecommunications " * 3 + "dog " * 19, bert),
        ]
    )
    page.set_content(f"<style>h1{{display:none}}</style>{html}")
    page.locator(".bertedu").nth(1).wait_for()
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_and_everyone_can_use_it(page, look_at, theme: str) -> None:
    for name, widget in zip(("step", "step-long"), page.locator(".bertedu").all(), strict=True):
        look_at(widget, name, theme, height=900, widths=(1280, 800, 390))
        for width in (1280, 800, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert widget.evaluate(CUT) == []
            boxes = widget.locator(".be-row, .be-under").evaluate_all(
                "all => all.filter(n => n.scrollWidth > n.clientWidth + 1).length"
            )
            assert boxes == 0
    page.set_viewport_size({"width": 1280, "height": 800})


def test_rows_stand_beside_each_other_and_fit_on_a_screen(page) -> None:
    widget = page.locator(".bertedu").first
    tops = widget.locator('.be-row[data-row="3"]').evaluate_all(
        "all => all.map(row => row.getBoundingClientRect().top)"
    )
    assert len(tops) == 5
    assert max(tops) - min(tops) < 0.5
    query, key = (
        widget.locator(f"canvas[data-kind={k}]").first.bounding_box() for k in ("query", "key")
    )
    assert (query["x"], query["width"]) == (key["x"], key["width"])
    first, last = (
        widget.locator(x).bounding_box() for x in (".be-set", "canvas[data-kind=output]")
    )
    assert last["y"] + last["height"] - first["y"] < 800


def test_keys_step_choose_and_change(page) -> None:
    widget = page.locator(".bertedu").first
    assert not widget.locator(".be-play").is_visible()  # this reader asks for reduced motion
    widget.get_by_role("button", name="2 scores").focus()
    page.keyboard.press("Enter")
    assert not widget.locator("canvas[data-kind=output]").is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # 4 softmax
    slider = widget.get_by_label("Temperature")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert (
        widget.locator(".be-change").inner_text().startswith("Temperature 1.2: the largest share")
    )
    widget.get_by_label("divide by √32").press("Space")
    assert "and no division by √32" in widget.locator(".be-change").inner_text()
    widget.locator(".be-names button").first.focus()
    page.keyboard.press("ArrowDown")
    assert widget.locator(".be-row.be-lit").count() == 5
    page.keyboard.press("Enter")
    assert widget.locator(".be-line").inner_text().startswith("Pinned: “playing” asks “my”")
    page.keyboard.press("Escape")
    assert "Pinned" not in widget.inner_text()


def test_it_plays_where_motion_is_welcome(page) -> None:
    widget = page.locator(".bertedu").first
    page.emulate_media(reduced_motion="no-preference")
    play = widget.locator(".be-play")
    widget.get_by_role("button", name="4 softmax").click()
    play.click()
    widget.locator(".be-stages [aria-pressed=true]", has_text="6 add up").wait_for(timeout=8000)
    assert play.inner_text() == "▶ Play"
    assert widget.locator("canvas[data-kind=output]").is_visible()
    page.emulate_media(reduced_motion="reduce")
