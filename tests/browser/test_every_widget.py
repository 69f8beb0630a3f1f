"""What holds for every widget: closed ones leave nothing behind; a saved notebook shows them."""

import io
import itertools
import re
from typing import NamedTuple

import nbformat
import pytest
from PIL import Image

import bertedu.widgets
from bertedu.classroom.stills import SHARPNESS, WIDTH, live_widgets, put_stills
from bertedu.widgets.base import Widget

BUILD = """
import torch
from bertedu import BertConfig, BertForPreTraining, load_tokenizer
from bertedu.bert import Bert
from bertedu.widgets import *
from tests.finetuned_models import finetuned
torch.manual_seed(0)
config = BertConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3)
bert = Bert(BertForPreTraining(config), load_tokenizer())
CASES = "classification", "question_answering"
MAKE = {
    "AttentionExplorer": lambda: AttentionExplorer("my dog", "is cute", bert=bert),
    "AttentionStep": lambda: AttentionStep("my dog is cute", bert),
    "EmbeddingSum": lambda: EmbeddingSum("my dog", "is cute", bert),
    "Journey": lambda: Journey("my dog", "is [MASK]", bert),
    "MaskExplorer": lambda: MaskExplorer("my dog is cute"),
    "PairExplorer": lambda: PairExplorer(finetuned("inference"), "my dog is cute", "he likes it"),
    "Patch": lambda: Patch("my dog", "is [MASK]", "a cat", bert, *map(finetuned, CASES)),
    "SentencePairBuilder": lambda: SentencePairBuilder({"a": "One. Two.", "b": "Three. Four."}),
    "SpanExplorer": lambda: SpanExplorer(finetuned("question_answering"), "who?", "my dog"),
    "TextClassifier": lambda: TextClassifier(finetuned("classification"), "a good film"),
    "TimeMachine": lambda: TimeMachine("my dog is [MASK]", "he likes it"),
    "TokenTagger": lambda: TokenTagger(finetuned("slot_filling"), "arrive on monday"),
    "TrainingMonitor": lambda: TrainingMonitor(10, 6.5),
    "TryIt": lambda: TryIt("my dog is [MASK]", "he likes it", bert),
    "WordPieceExplorer": lambda: WordPieceExplorer("my dog"),
}
made = []
"""
BARE = """
import anywidget
class Bare(anywidget.AnyWidget):
    _esm = '''export default { render({ el }) {
        const section = document.createElement("section");
        section.className = "bertedu";
        el.append(section);
        return () => section.remove();
    } }'''
MAKE["Bare"] = Bare
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
MANY = 8
STEPS = itertools.count()


def test_every_widget_is_here() -> None:
    assert set(NAMES) == {name for name in bertedu.widgets.__all__ if is_widget(name)}


def is_widget(name: str) -> bool:
    return issubclass(getattr(bertedu.widgets, name), Widget)


@pytest.fixture(scope="module")
def page(lab, open_notebook):
    """A notebook whose first cell has run, and whose second the tests write."""
    page = open_notebook(lab.write("many.ipynb", BUILD + BARE + COUNT, "pass"), run=False)
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


class Counted(NamedTuple):
    """The kernel's counts before many and after; the page's rise while they live, and after."""

    before: list[int]
    after: list[int]
    alive: dict[str, int]
    closed: dict[str, int]


def made_and_closed(page, name: str) -> Counted:
    """Makes many and closes them."""
    step(page, name, 2)
    before, here = step(page, name, 0), in_page(page)
    step(page, name, MANY)
    alive = in_page(page)
    after, closed = step(page, name, 0), in_page(page)
    return Counted(before, after, rise(here, alive), rise(here, closed))


def rise(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {what: after[what] - before[what] for what in before}


def in_page(page) -> dict[str, int]:
    """The page's nodes and listeners, attached or not, after a garbage collection."""
    tools = page.context.new_cdp_session(page)
    for _ in range(3):
        tools.send("HeapProfiler.collectGarbage")
        page.wait_for_timeout(200)
    return tools.send("Memory.getDOMCounters")


@pytest.fixture(scope="module")
def bare(page) -> dict[str, int]:
    """What JupyterLab itself keeps of many closed widgets that are one empty node each."""
    return made_and_closed(page, "Bare").closed


@pytest.mark.parametrize("name", NAMES)
def test_many_made_and_closed_leave_nothing_behind(page, bare, name: str) -> None:
    it = made_and_closed(page, name)
    assert it.after == it.before
    assert it.before[2] == 0  # no widget of ours is alive
    # The page may hold on to the last one for a while, to give the focus back, say: 2 of them.
    for what in ("nodes", "jsEventListeners"):
        assert it.closed[what] < bare[what] + 2 / MANY * it.alive[what], what


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


def test_a_built_notebook_from_elsewhere_shows_pictures(lab, open_notebook, chromium) -> None:
    """As the builder leaves it: before a kernel has run, JupyterLab shows images only."""
    made: dict[str, dict] = {}
    exec(BUILD, made)
    cells = []
    widgets = [made["MAKE"][name]() for name in NAMES]
    for widget in widgets:
        data, _ = widget._repr_mimebundle_()
        output = nbformat.v4.new_output("execute_result", data, execution_count=1)
        cells.append(nbformat.v4.new_code_cell("1", outputs=[output], execution_count=1))
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert put_stills(notebook, live_widgets(), chromium) == ""
    page = open_notebook(lab.write("built.ipynb", *cells), run=False)
    pictures = page.locator(".jp-OutputArea-output img")
    pictures.nth(len(NAMES) - 1).wait_for()
    sizes = pictures.evaluate_all(
        "all => all.map(p => [p.complete, p.naturalWidth, p.getAttribute('alt')])"
    )
    assert sizes == [[True, WIDTH * SHARPNESS, repr(widget)] for widget in widgets]
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        colours = Image.open(io.BytesIO(picture.screenshot())).convert("RGB").getcolors(1 << 20)
        assert len(colours) > 20  # something is drawn
