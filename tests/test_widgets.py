"""What the widgets share: their bytes, their one JavaScript module, their words."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bertedu.widgets
from bertedu import Bert, BertConfig, BertForPreTraining, InputError, load_tokenizer
from bertedu.widgets import (
    AttentionExplorer,
    AttentionStep,
    EmbeddingSum,
    Journey,
    MaskExplorer,
    PairExplorer,
    Patch,
    SpanExplorer,
    TextClassifier,
    TimeMachine,
    TokenTagger,
    TryIt,
    WordPieceExplorer,
)
from bertedu.widgets.base import (
    HTML,
    AskingWidget,
    javascript_module,
    pack,
    style_sheet,
)
from bertedu.widgets.palette import STATIC
from bertedu.widgets.wordpiece_explorer import LONGEST_TEXT
from bertedu.widgets.words import visible_text
from tests.finetuned_models import finetuned, unpacked
from tests.pictures import drawn_from

MODULES = sorted(  # those that are shown: each has a style of its own
    file.stem
    for file in STATIC.glob("*.js")
    if file.stem != "shared" and file.with_suffix(".css").is_file()
)
ENTRIES = {"bertviz": "draw"}  # what a page calls; a widget's own is `render`
HOSTILE = '<script>alert(1)</script> & \u202eright to left\u202c 👩‍🔬 \x00 ]]> "quoted"'


def test_every_widget_can_be_asked_for_by_name() -> None:
    for name in bertedu.widgets.__all__:
        assert getattr(bertedu.widgets, name).__name__ == name
    assert set(bertedu.widgets.__all__) <= set(dir(bertedu.widgets))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = bertedu.widgets.Nothing


def test_packed_arrays_lie_where_the_header_says() -> None:
    arrays = {
        "small": np.arange(5, dtype=np.uint8),
        "halves": np.array([[0.5, -2.0, 3.0]], dtype=np.float16),
        "ids": np.array([-100, 30521], dtype=np.int32),
    }
    block = pack({"tokens": ["é", "犬"]}, **arrays)
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    body = -(-(4 + length) // 8) * 8
    assert header["tokens"] == ["é", "犬"]
    for described in header["arrays"]:
        array = arrays[described["name"]]
        start = body + described["offset"]
        assert start % 8 == 0
        assert block[start : start + array.nbytes] == array.tobytes()
        assert (described["dtype"], tuple(described["shape"])) == (str(array.dtype), array.shape)


@pytest.mark.parametrize("name", MODULES)
def test_the_assembled_module_stands_alone(name: str, tmp_path: Path) -> None:
    module = javascript_module(name)
    assert not any(line.startswith("import ") for line in module.splitlines())
    assert "http://" not in module.replace("http://www.w3.org/", "")
    assert "https://" not in module
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed: the module was read, not loaded")
    file = tmp_path / "widget.mjs"
    file.write_text(module, encoding="utf-8")
    entry = ENTRIES.get(name, "default.render")
    program = f"import * as m from {json.dumps(file.as_uri())}; console.log(typeof m.{entry})"
    ended = subprocess.run(
        [node, "--input-type=module", "-e", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "function"


@pytest.mark.parametrize("name", MODULES)
def test_the_style_sheet_has_both_themes_and_asks_for_nothing(name: str) -> None:
    style = style_sheet(name)
    assert '[data-theme="light"]' in style
    assert '[data-theme="dark"]' in style
    assert "url(" not in style
    assert "@import" not in style


def test_a_notebook_gets_the_view_the_words_and_the_line() -> None:
    explorer = WordPieceExplorer("my dog is cute", "he likes unplayable games")
    data, _ = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    [line, tokens] = ET.fromstring(data[HTML])
    assert "".join(line.itertext()) == f"WordPieceExplorer: {explorer.summary()}"
    assert [token.text for token in tokens] == unpacked(explorer.data)["tokens"]
    assert repr(explorer) == "WordPieceExplorer(13 tokens: 8 words, 10 pieces, 0 unknown)"
    assert data["text/plain"] == repr(explorer)
    explorer.close()


def test_a_hostile_text_is_text_in_the_words() -> None:
    explorer = WordPieceExplorer(HOSTILE, "<img src=x onerror=alert(1)>")
    root = ET.fromstring(explorer.to_words())
    assert {node.tag for node in root.iter()} == {"div", "p", "b", "code"}
    assert "script" in "".join(root.itertext())
    explorer.close()


@settings(max_examples=60)
@given(st.text(max_size=60), st.none() | st.text(max_size=20))
def test_every_text_is_told_and_sent_token_by_token(text: str, pair: str | None) -> None:
    explorer = WordPieceExplorer(text, pair)
    encoding, sent = explorer.tokenizer.encode(text, pair), unpacked(explorer.data)
    [_, tokens] = ET.fromstring(explorer.to_words())
    assert [token.text for token in tokens] == [visible_text(token) for token in encoding.tokens]
    assert sent["tokens"] == encoding.tokens
    assert sent["ids"] == encoding.input_ids.tolist()
    assert list(map(tuple, sent["offsets"])) == encoding.offsets
    assert sent["added"] == encoding.special_tokens_mask
    explorer.close()


def test_the_first_text_has_a_word_that_splits() -> None:
    assert any(token.startswith("##") for token in unpacked(WordPieceExplorer().data)["tokens"])


CHOSEN = (
    "seed",
    "masks",
    "guesses",
    "off",
    "layers",
    "segment",
    "copy",
)  # what is asked and no text


def asking_widgets() -> list[AskingWidget]:
    """One of each that is asked about texts, with small models."""
    config = BertConfig(hidden_size=12, num_hidden_layers=1, num_attention_heads=2)
    bert = Bert(BertForPreTraining(config), load_tokenizer())
    return [
        WordPieceExplorer(),
        MaskExplorer(),
        AttentionExplorer(bert=bert),
        AttentionStep(bert=bert),
        EmbeddingSum(bert=bert),
        Journey(bert=bert),
        TryIt(bert=bert),
        Patch("who?", "a dog", "", bert, *map(finetuned, ("classification", "question_answering"))),
        TimeMachine(),
        TextClassifier(finetuned("classification")),
        TokenTagger(finetuned("slot_filling")),
        PairExplorer(finetuned("inference")),
        SpanExplorer(finetuned("question_answering"), "who?", "a dog, and a cat"),
    ]


def test_a_pin_or_a_choice_draws_nothing_and_sends_no_data(monkeypatch) -> None:
    for widget in asking_widgets():
        assert "picture" not in widget.keys
        sent, before = [], drawn_from(widget)
        widget.observe(sent.append, ["data"])
        monkeypatch.setattr(type(widget), "to_words", lambda self: pytest.fail("nobody looks"))
        for name in widget.PINS:
            kept = widget.settings[name]
            value = {"flips": {"0": "O"}}.get(name, 1)
            widget.settings = widget.settings | {name: value} if name != "pinned" else {name: -1}
            widget.settings = widget.settings | {name: kept}
        assert sent == []
        monkeypatch.undo()
        assert drawn_from(widget) == before
        widget.close()


def test_what_is_refused_leaves_all_as_it_was_and_says_so() -> None:
    """The answer, the picture and what is pinned; then all texts in one message are one look."""
    for widget in asking_widgets():
        pins = {"pinned": -1, "flips": {"0": "O"}}
        widget.settings = {name: pins.get(name, 1) for name in widget.PINS}
        before = drawn_from(widget)
        texts = [name for name in widget._asked if name not in (*CHOSEN, "other")]
        setattr(widget, texts[-1], "\ud800 half a character")
        sent = unpacked(widget.data)
        assert "surrogate" in widget.problem
        assert sent["problem"] == widget.problem
        assert sent["asked"] == [getattr(widget, name) for name in widget._asked]
        assert drawn_from(widget) == before
        looks = []
        look = widget._look
        widget._look = lambda look=look, looks=looks, **asked: looks.append(asked) or look(**asked)
        with widget.hold_trait_notifications():  # as one message from the browser
            for name in texts:
                setattr(widget, name, f"a new {name}")
        assert [[asked[name] for name in texts] for asked in looks] == [
            [f"a new {name}" for name in texts]
        ]
        sent = unpacked(widget.data)
        assert (widget.problem, sent["problem"]) == ("", "")
        assert sent["asked"] == list(looks[0].values())
        assert {name: widget.settings[name] for name in widget.PINS} == {
            name: sent["first"][name] for name in widget.PINS
        }
        widget.close()


def test_a_refused_text_says_why_and_leaves_the_picture() -> None:
    explorer = WordPieceExplorer("my dog")
    before = drawn_from(explorer)
    explorer.text = "a" * (LONGEST_TEXT + 1)
    assert explorer.problem == (
        "The text has 2,001 characters and this picture shows at most 2,000: shorten it."
    )
    assert drawn_from(explorer) == before
    explorer.text = "a cat"
    assert explorer.problem == ""
    assert drawn_from(explorer) != before
    explorer.close()
    with pytest.raises(InputError, match="shorten it"):
        WordPieceExplorer("a" * (LONGEST_TEXT + 1))
