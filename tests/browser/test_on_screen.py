"""What a reader sets and what it changes are on screen together, on a page without a kernel."""

import pytest
import torch

from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.widgets import AttentionExplorer, SpanExplorer
from bertedu.widgets.static_page import to_html
from tests.finetuned_models import finetuned

QUESTION = "What causes precipitation to fall?"
DOCUMENT = (
    "In meteorology, precipitation is any product of the condensation of atmospheric water vapor "
    "that falls under gravity. Its forms include drizzle, rain, sleet, snow, graupel and hail. "
)
SCROLLING = (
    "all => all.filter(n => n.tagName !== 'TEXTAREA' && n.clientHeight > 0 &&"
    " (n.scrollHeight > n.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(n).overflowY)"
    " || n.scrollWidth > n.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(n).overflowX)))"
    ".map(n => n.className)"
)


@pytest.fixture(scope="module")
def shown(new_page):
    """Shows a widget as a page of its own, at its top; returns its root element."""
    page = new_page(height=800)

    def show(widget, width: int = 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.set_content(f"<style>h1{{display:none}}</style>{to_html(widget)}")
        root = page.locator(".bertedu")
        root.wait_for()
        root.evaluate("node => node.scrollIntoView()")
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        return root

    return show


@pytest.fixture(scope="module")
def bert() -> Bert:
    torch.manual_seed(0)
    config = BertConfig(hidden_size=48, num_hidden_layers=6, num_attention_heads=12)
    return Bert(BertForPreTraining(config), load_tokenizer())


def on_screen(locator) -> bool:
    it = locator.bounding_box()
    return it["y"] >= -1 and it["y"] + it["height"] <= 801


@pytest.mark.parametrize("times", [1, 6])
def test_question_answers_and_both_probabilities_are_on_screen_together(shown, times: int) -> None:
    root = shown(SpanExplorer(finetuned("question_answering"), QUESTION, DOCUMENT * times))
    for part in ("textarea >> nth=0", "textarea >> nth=1", ".be-reply", ".be-profile",
                 ".be-document", ".be-none", "input[type=range]"):  # fmt: skip
        assert on_screen(root.locator(part)), part
    assert len(root.locator("*").evaluate_all(SCROLLING)) <= 1
    seen = root.locator(".be-answer[data-answer] >> visible=true")
    assert seen.count() == 5
    seen.nth(3).click()
    chosen = root.locator(".be-document .be-begins").bounding_box()
    area = root.locator(".be-document").bounding_box()
    assert area["y"] <= chosen["y"]  # scrolled to, within the document
    assert chosen["y"] + chosen["height"] <= area["y"] + area["height"] + 1
    more = root.get_by_role("button", name="Show all")
    count = root.locator(".be-answer[data-answer]").count()
    assert more.inner_text() == f"Show all {count}"
    more.focus()
    root.page.keyboard.press("Enter")
    assert seen.count() == count
    root.page.keyboard.press("Enter")
    assert seen.count() == 5


@pytest.mark.parametrize("text", ["my dog is cute and he likes playing", "word " * 60])
def test_heads_tokens_and_the_map_are_on_screen_together(shown, bert, text: str) -> None:
    root = shown(AttentionExplorer(text, "the cat sat on the mat", bert, complete=True))
    for part in (".be-heads", "[aria-label='Tokens that ask']", ".be-map",
                 "[aria-label^='Tokens that answer']"):  # fmt: skip
        assert on_screen(root.locator(part)), part
    root.locator("[data-token='2']").click()
    assert on_screen(root.locator(".be-map"))


@pytest.mark.parametrize("width", [1280, 800, 600])
def test_nothing_is_cut_however_wide_the_window_is(shown, bert, width: int) -> None:
    for widget in (
        AttentionExplorer("my dog is cute", "he likes it", bert, complete=True),
        SpanExplorer(finetuned("question_answering"), QUESTION, DOCUMENT),
    ):
        root = shown(widget, width)
        assert root.evaluate("node => node.scrollWidth <= node.clientWidth")
        assert root.locator(".be-scroll-map").evaluate_all(SCROLLING) == []
