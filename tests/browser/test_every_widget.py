"""What holds for every widget: fifty leave no comm and no object; a saved notebook shows them."""

import itertools
import re

import pytest

import bertedu.widgets

BUILD = """
import torch
from bertedu import BertConfig, BertForPreTraining, load_tokenizer
from bertedu.bert import Bert
from bertedu.widgets import *
from tests.finetuned_models import finetuned
torch.manual_seed(0)
config = BertConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3)
bert = Bert(BertForPreTraining(config), load_tokenizer())
MAKE = {
    "AttentionExplorer": lambda: AttentionExplorer("my dog", "is cute", bert=bert),
    "EmbeddingSum": lambda: EmbeddingSum("my dog", "is cute", bert),
    "Journey": lambda: Journey("my dog", "is [MASK]", bert),
    "MaskExplorer": lambda: MaskExplorer("my dog is cute"),
    "PairExplorer": lambda: PairExplorer(finetuned("inference"), "my dog is cute", "he likes it"),
    "SentencePairBuilder": lambda: SentencePairBuilder({"a": "One. Two.", "b": "Three. Four."}),
    "SpanExplorer": lambda: SpanExplorer(finetuned("question_answering"), "who?", "my dog"),
    "TextClassifier": lambda: TextClassifier(finetuned("classification"), "a good film"),
    "TokenTagger": lambda: TokenTagger(finetuned("slot_filling"), "arrive on monday"),
    "TrainingMonitor": lambda: TrainingMonitor(10, 6.5),
    "WordPieceExplorer": lambda: WordPieceExplorer("my dog"),
}
made = []
"""
COUNT = """
import gc
from comm import get_comm_manager
from ipywidgets.widgets.widget import _instances
from bertedu.widgets.base import Widget

def close():
    while made:
        made.pop().close()
    gc.collect()
    alive = sum(isinstance(each, Widget) for each in gc.get_objects())
    return len(get_comm_manager().comms), len(_instances), alive
"""
NAMES = re.findall(r'^    "(\w+)"', BUILD, re.MULTILINE)
FIFTY = 50
STEPS = itertools.count()


def test_every_widget_is_here() -> None:
    assert set(NAMES) == {name for name in bertedu.widgets.__all__ if is_widget(name)}


def is_widget(name: str) -> bool:
    return hasattr(getattr(bertedu.widgets, name), "to_svg")


@pytest.fixture(scope="module")
def page(lab, open_notebook):
    """A notebook whose first cell has run, and whose second the tests write."""
    page = open_notebook(lab.write("fifty.ipynb", BUILD + COUNT, "pass"), run=False)
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    return page


def step(page, name: str, count: int) -> list[int]:
    """Closes what was made before and makes so many; returns what was left between the two."""
    cell = page.locator(".jp-CodeCell").nth(1)
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    done = f"step {next(STEPS)}, left:"  # what no earlier output says
    page.keyboard.insert_text(
        f"left = close()\nmade += [MAKE[{name!r}]() for _ in range({count})]\n"
        f"print({done!r}, *left)\ndisplay(*made)"
    )
    page.keyboard.press("Control+Enter")
    output = cell.locator(".jp-OutputArea")
    page.wait_for_function(
        "([node, count, done]) => node.textContent.includes(done)"
        " && node.querySelectorAll('.jp-OutputArea-output .bertedu').length >= count",
        arg=[output.element_handle(), count, done],
        timeout=120_000,
    )
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=60_000)
    return [int(n) for n in re.search(rf"{done} (\d+) (\d+) (\d+)", output.inner_text()).groups()]


@pytest.mark.parametrize("name", NAMES)
def test_fifty_made_and_closed_leave_nothing_behind(page, name: str) -> None:
    step(page, name, 2)
    before = step(page, name, 0)
    step(page, name, FIFTY)
    assert step(page, name, 0) == before
    assert before[2] == 0  # no widget of ours is alive


def test_a_saved_notebook_shows_what_it_showed(lab, open_notebook) -> None:
    shown = [f"MAKE[{name!r}]()" for name in NAMES]
    page = open_notebook(lab.write("saved.ipynb", BUILD, *shown))
    page.locator(".bertedu").nth(len(NAMES) - 1).wait_for()
    page.keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").first.wait_for(state="detached")
    page.context.close()
    lab.end_kernels()
    page = open_notebook("saved.ipynb", run=False)
    page.locator(".bertedu").nth(len(NAMES) - 1).wait_for()
    assert page.get_by_text("Error displaying widget").count() == 0
