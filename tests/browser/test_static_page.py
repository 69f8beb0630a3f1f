"""Every widget in a page from a disk, without a kernel and with every request refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import bertedu.widgets
from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.pretraining import Evaluation, PretrainingStep
from bertedu.widgets import (
    AttentionExplorer,
    AttentionStep,
    EmbeddingSum,
    Journey,
    MaskExplorer,
    PairExplorer,
    Patch,
    SentencePairBuilder,
    SpanExplorer,
    TextClassifier,
    TimeMachine,
    TokenTagger,
    TrainingMonitor,
    TryIt,
    WordPieceExplorer,
)
from bertedu.widgets.base import Widget
from bertedu.widgets.static_page import fragment, host_script, to_html
from tests.finetuned_models import finetuned

HOSTILE = "</script><script>window.hurt=1</script><!--<script> <img src=x onerror='window.hurt=1'>"
DOCUMENTS = {
    "dog": "My dog is cute. He likes playing.",
    "calculus": "Calculus is a branch of math. It was developed by two people.",
}


def bert() -> Bert:
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, initializer_range=0.4
    )
    return Bert(BertForPreTraining(config), load_tokenizer())


def monitor() -> TrainingMonitor:
    shown = TrainingMonitor(steps=3, unigram_loss=6.5)
    for step in range(3):
        shown.add(PretrainingStep(step, 6.6 - step, 0.7, 1e-3, 900, 0.1))
    shown.evaluated(3, Evaluation(4.5, 0.5, 0.6, 0.7, 6.5, 100, 10))
    return shown


# For each class: one of it, what is clicked, and a text that is then in it.
CASES: dict[str, tuple[Callable[[], Widget], str, str]] = {
    "WordPieceExplorer": (
        lambda: WordPieceExplorer("my dog", HOSTILE),
        ".be-chips:last-of-type .be-chip >> nth=1",
        "Pinned: ",
    ),
    "MaskExplorer": (lambda: MaskExplorer(HOSTILE), "text=Reroll", "roll 2 of"),
    "SentencePairBuilder": (
        lambda: SentencePairBuilder(DOCUMENTS),
        "text=Make 100",
        "Label 0, follows: 50 (50.0 %)",
    ),
    "EmbeddingSum": (
        lambda: EmbeddingSum(HOSTILE, None, bert()),
        ".be-of-position input",
        "of a token's attention goes elsewhere now",
    ),
    "AttentionExplorer": (
        lambda: AttentionExplorer("my dog", HOSTILE, bert(), complete=True),
        '[data-token="2"]',
        "“dog” (position 2)",
    ),
    "AttentionStep": (
        lambda: AttentionStep(HOSTILE[:32], bert()),
        ".be-set .be-check input",
        "No division by √8: the largest share",
    ),
    "Journey": (lambda: Journey("a [MASK]", HOSTILE[:40], bert()), '[data-token="1"]', "Pinned: a"),
    "Patch": (
        lambda: Patch(
            "a [MASK]",
            HOSTILE[:40],
            "",
            bert(),
            finetuned("classification"),
            finetuned("question_answering"),
        ),
        "text=Cut a layer",
        "A row is a layer",
    ),
    "TryIt": (
        lambda: TryIt("my dog is [MASK]", HOSTILE[:40], bert()),
        ".be-chip >> nth=2",
        "The hidden word, “dog”, is number",
    ),
    "TrainingMonitor": (monitor, ".be-curve >> nth=0", "Pinned: "),
    "TextClassifier": (
        lambda: TextClassifier(finetuned("classification"), HOSTILE),
        ".be-chip >> nth=1",
        "",
    ),
    "TimeMachine": (
        lambda: TimeMachine("my dog is [MASK]", HOSTILE[:17]),
        ".be-names button >> nth=1",
        "“my” (position 1) gives",
    ),
    "TokenTagger": (
        lambda: TokenTagger(finetuned("slot_filling"), HOSTILE),
        ".be-chip >> nth=1",
        "",
    ),
    "PairExplorer": (
        lambda: PairExplorer(finetuned("inference"), "a dog runs", HOSTILE),
        ".be-try >> nth=0",
        "",
    ),
    "SpanExplorer": (
        lambda: SpanExplorer(finetuned("question_answering"), "who", HOSTILE),
        "[data-answer] >> nth=1",
        "",
    ),
}


@pytest.fixture
def opened(new_page, tmp_path: Path):
    """Opens HTML as a file, refuses whatever it asks for, and keeps what that was."""
    asked = []

    def open_file(html: str):
        page = new_page()
        page.set_default_timeout(10_000)
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        asked.clear()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        assert [url for url in asked if not url.startswith("blob:")] == [file.as_uri()]
        return page

    yield open_file
    assert [url for url in asked if not url.startswith(("blob:", "file:"))] == []


def test_every_class_is_tried() -> None:
    assert set(CASES) == set(bertedu.widgets.__all__)


@pytest.mark.parametrize("name", CASES)
def test_a_widget_lives_in_a_page_without_a_kernel(name: str, opened) -> None:
    build, target, expected = CASES[name]
    widget = build()
    page = opened(to_html(widget, title=f"{name} {HOSTILE}"))
    root = page.locator(".bertedu-still > div > .bertedu")
    root.wait_for()
    assert page.locator(".bertedu-still > .bertedu-words").count() == 0
    assert page.locator("h1").inner_text().startswith(f"{name} </script>")
    before = root.inner_text()
    assert not expected or expected not in before
    root.locator(target).first.click()
    page.wait_for_function(
        "([node, before]) => node.innerText !== before", arg=[root.element_handle(), before]
    )
    assert expected in root.inner_text()
    for box in root.locator("textarea").all():
        assert box.get_attribute("readonly") is not None
        assert "no Python behind it" in root.inner_text()
    assert root.locator("img, script").count() == 0
    assert page.evaluate("window.hurt") is None


def test_several_widgets_share_a_page_and_each_keeps_its_own_style(opened) -> None:
    widgets = [case[0]() for case in CASES.values()]
    alone = {}
    measure = (
        "node => [...node.querySelectorAll('*')].map(n => [n.offsetWidth, n.offsetHeight,"
        " getComputedStyle(n).font, getComputedStyle(n).display].join())"
    )
    for widget in widgets:
        page = opened(to_html(widget))
        root = page.locator(".bertedu")
        root.wait_for()
        alone[type(widget).__name__] = root.evaluate(measure)
        page.close()
    page = opened(to_html([*widgets, MaskExplorer("a second one")]))
    page.locator(".bertedu").nth(len(widgets)).wait_for()
    for name in CASES:
        root = page.locator(f'[data-widget="{name}"] .bertedu').first
        assert root.evaluate(measure) == alone[name], name
    both = page.locator('[data-widget="MaskExplorer"]')
    both.last.get_by_text("Reroll").click()
    assert "roll 2 of" in both.last.inner_text()
    assert "roll 1 of" in both.first.inner_text()


def test_fragments_live_in_a_page_of_the_books_own(opened) -> None:
    widget = MaskExplorer("my dog")
    page = opened(
        f"<!DOCTYPE html><html data-theme='dark'><main>{fragment(widget)}<p>text</p>"
        f"{fragment(widget)}</main>{host_script([widget])}"
    )
    page.locator(".bertedu").nth(1).wait_for()
    assert page.locator(".bertedu").first.get_attribute("data-theme") == "dark"


def test_where_a_widget_fails_its_words_stay(opened, new_page) -> None:
    widget = MaskExplorer("my dog")
    page = opened(to_html(widget).replace('"data": {"bytes": "', '"data": {"bytes": "AAAA'))
    page.wait_for_timeout(200)
    assert page.locator(".bertedu-still > .bertedu-words").is_visible()
    assert page.locator(".bertedu").count() == 0
    assert any("MaskExplorer stays in words" in text for text in new_page.complaints)
    new_page.complaints.clear()


def test_without_scripts_the_words_are_there(chromium, tmp_path: Path) -> None:
    widget = MaskExplorer("my dog")
    file = tmp_path / "page.html"
    file.write_text(to_html(widget), encoding="utf-8")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator(".bertedu-still > .bertedu-words").is_visible()
    context.close()
