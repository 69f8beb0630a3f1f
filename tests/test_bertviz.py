"""bertviz's views hold our numbers, stay small and closed, and say when bertviz has changed."""

import base64
import gzip
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertedu import Bert, BertForPreTraining, InputError
from bertedu.widgets import bertviz
from bertedu.widgets.bertviz import BertvizView, head_view, model_view, neuron_view
from tests.tiny import CONFIG, TOKENIZER, build

BERT = Bert(build(BertForPreTraining), TOKENIZER)
TEXT, PAIR = "my dog is cute", "he likes playing"
VIEWS = [head_view, model_view, neuron_view]
SCRIPTS = {  # of bertviz 1.4.1, and of d3 5.7.0 in mpld3 0.5.12
    ("bertviz", "head_view.js"): "32885444af280c17",
    ("bertviz", "model_view.js"): "a22b6b559eebfb38",
    ("bertviz", "neuron_view.js"): "87a134cd9eaa05a2",
    ("mpld3", "js/d3.v5.min.js"): "bdad5585ef9a965f",
}


def long_bert(**sizes: int) -> Bert:
    """A model whose heads differ widely, so that its numbers hardly compress."""
    sizes = {"max_position_embeddings": 512, **sizes}
    return Bert(build(BertForPreTraining, replace(CONFIG, **sizes)), TOKENIZER)


def document(view: BertvizView) -> str:
    """What stands in the frame."""
    (found,) = re.findall(r'srcdoc="([^"]*)"', view.html)
    return unescape(found)


def content(view: BertvizView) -> dict:
    """What the browser unpacks."""
    (packed,) = re.findall(r'draw\("([\w+/=]+)"\)', document(view))
    block = gzip.decompress(base64.b64decode(packed))
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    body = -(-(4 + length) // 8) * 8
    for array in header.pop("arrays"):
        size = int(np.prod(array["shape"]))
        values = np.frombuffer(block, array["dtype"], size, body + array["offset"])
        header[array["name"]] = torch.from_numpy(values.reshape(array["shape"]).astype("float32"))
    return header


@pytest.mark.parametrize("view", VIEWS)
def test_the_numbers_are_the_models(view) -> None:
    shown = content(view(BERT, TEXT, PAIR))
    encoding = BERT.encode(TEXT, PAIR)
    assert shown["tokens"] == encoding.tokens
    assert shown["second"] == encoding.token_type_ids.tolist().index(1)
    torch.testing.assert_close(shown["attention"], BERT.attention(TEXT, PAIR), rtol=0, atol=0.0005)
    assert content(view(BERT, TEXT))["second"] is None


@pytest.mark.filterwarnings("ignore")  # bertviz's copy of an old transformers warns of itself
@pytest.mark.parametrize("pair", [PAIR, None])
def test_queries_and_keys_are_those_of_bertvizs_own_model(pair, tmp_path: Path) -> None:
    theirs = pytest.importorskip("bertviz.transformers_neuron_view")
    from bertviz.neuron_view import get_attention

    TOKENIZER.save(tmp_path)
    model = theirs.BertModel(theirs.BertConfig.from_dict(CONFIG.to_dict())).eval()
    model.load_state_dict(BERT.model.bert.state_dict())
    tokenizer = theirs.BertTokenizer(str(tmp_path / "vocab.txt"))
    expected = get_attention(model, "bert", tokenizer, TEXT, pair, include_queries_and_keys=True)
    shown = content(neuron_view(BERT, TEXT, pair))
    assert shown["tokens"] == expected["all"]["left_text"]
    for name, key in (("attention", "attn"), ("query", "queries"), ("key", "keys")):
        torch.testing.assert_close(
            shown[name], torch.tensor(expected["all"][key]), rtol=1e-3, atol=1e-3
        )


def test_layers_and_heads_are_chosen_from_1() -> None:
    shown = content(model_view(BERT, TEXT, include_layers=[2], include_heads=[4, 1]))
    attention = BERT.attention(TEXT)[1:, [0, 3]]
    torch.testing.assert_close(shown["attention"], attention, rtol=0, atol=0.0005)
    assert shown["settings"]["include_layers"] == [2]
    assert shown["settings"]["include_heads"] == [1, 4]
    assert content(head_view(BERT, TEXT, layer=2, heads=[3]))["settings"]["heads"] == [2]
    neurons = content(neuron_view(BERT, TEXT, layer=2, head=3, include_layers=[2]))["settings"]
    assert (neurons["layer"], neurons["head"]) == (0, 2)


@pytest.mark.parametrize(
    ("view", "options", "message"),
    [
        (head_view, {"include_layers": [0]}, "There is no layer 0: this model has layers 1 to 2."),
        (head_view, {"heads": [5]}, "There is no head 5: this model has heads 1 to 4."),
        (head_view, {"heads": []}, "There is no head chosen: this model has heads 1 to 4."),
        (head_view, {"layer": 1, "include_layers": [2]}, "There is no layer 1 here: choose one"),
        (model_view, {"include_heads": [9]}, "There is no head 9: this model has heads 1 to 4."),
        (model_view, {"display_mode": "grey"}, "it must be 'auto', 'light' or 'dark'"),
        (neuron_view, {"head": 5}, "There is no head 5 here: choose one of [1, 2, 3, 4]."),
    ],
)
def test_a_wrong_choice_says_what_there_is(view, options, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        view(BERT, TEXT, **options)


def test_it_is_told_in_one_line_and_is_the_same_each_time() -> None:
    views = [head_view(BERT, TEXT, PAIR) for _ in range(2)]
    assert repr(views[0]) == "BertvizView(head_view, 11 tokens, 2 layers x 4 heads)"
    assert views[0].html == views[1].html == views[0]._repr_html_()


@pytest.mark.parametrize(("view", "most"), [(head_view, 1), (model_view, 1), (neuron_view, 2)])
def test_thirty_tokens_of_six_layers_are_small(view, most: int) -> None:
    bert = long_bert(hidden_size=384, num_hidden_layers=6, num_attention_heads=12)
    shown = view(bert, "dog " * 13, "likes " * 14)
    assert len(shown.tokens) == 30
    assert len(shown.html.encode()) <= most * 1_000_000
    assert content(shown)["attention"].std() > 0.05  # not all alike, which would compress well


@pytest.mark.parametrize("view", VIEWS)
@given(tokens=st.integers(3, 600), layers=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_what_is_too_long_is_refused_with_what_fits(view, tokens: int, layers: int) -> None:
    bert = LONG[layers]
    try:
        view(bert, "dog " * (tokens - 2))
    except InputError as error:
        most = int(re.search(r"give at most (\d+) tokens", str(error))[1])
        assert len(view(bert, "dog " * (most - 2)).tokens) == most
        if kept := re.search(r"choose (\d+) layers? at most with include_layers", str(error)):
            included = range(1, int(kept[1]) + 1)
            view(bert, "dog " * (tokens - 2), include_layers=included)
        with pytest.raises(InputError):
            view(bert, "dog " * (most - 1))


LONG = {count: long_bert(num_hidden_layers=count) for count in (1, 2, 3)}


def test_what_to_do_is_said_in_one_sentence() -> None:
    with pytest.raises(InputError) as raised:
        model_view(LONG[3], "dog " * 140)
    assert str(raised.value) == (
        "The text has 142 tokens, too many for model_view with 3 layers x 4 heads: give at most "
        "104 tokens, or choose 1 layer at most with include_layers."
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:  # noqa: ARG002
        self.seen.append(tag)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "token", ["</script>", "<!--<script>", "\"'&quot;", "PYTHON_PARAMS", "\u2028", "שלום", "🐕"]
)
def test_no_token_leaves_its_place(view, token: str, monkeypatch) -> None:
    encoding = TOKENIZER.encode("dog")
    named = replace(encoding, tokens=["[CLS]", token, "[SEP]"])
    monkeypatch.setattr(TOKENIZER, "encode", lambda *given, **options: named)
    shown = view(BERT, "dog")
    assert content(shown)["tokens"] == ["[CLS]", token, "[SEP]"]
    for markup, tags in (
        (shown.html, ["div", "style", "iframe"]),
        (document(shown), ["meta", "meta", "title", "style", "body", "script"]),
    ):
        parser = Tags()
        parser.feed(markup)
        assert parser.seen == tags


@pytest.mark.parametrize("view", VIEWS)
def test_the_frame_is_closed(view) -> None:
    shown = view(BERT, TEXT)
    assert 'sandbox="allow-scripts"' in shown.html
    assert shown.html.startswith("<div>")
    assert "default-src 'none'" in document(shown)
    written = document(shown).replace("http://www.w3.org/2000/svg", "")  # a name, no address
    assert not re.search(r"(src|href)=|https?:", written)


@pytest.mark.parametrize(("package", "file"), SCRIPTS)
def test_the_scripts_are_those_we_know(package: str, file: str) -> None:
    path = Path(find_spec(package).origin).parent / file
    found = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert found == SCRIPTS[package, file], (
        f"{package} has another {file}: run tests/browser/test_bertviz.py, look at the three "
        "views, compare `parameters` in static/bertviz.js with what the script reads, and then "
        f"write {found} here"
    )


def test_a_package_that_is_missing_or_has_changed_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bertviz, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="mpld3 is not installed: pip install"):
        head_view(BERT, TEXT)
    elsewhere = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(
        bertviz, "find_spec", lambda name: find_spec(name) if name == "mpld3" else elsewhere
    )
    for text in (None, "const params = OTHER;"):
        if text:
            (tmp_path / "head_view.js").write_text(text)
        with pytest.raises(ImportError, match="the installed bertviz has another head_view.js"):
            head_view(BERT, TEXT)


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys; from bertedu.widgets.bertviz import _D3, _drawing, _script;"
        "_drawing('head_view'); _script(*_D3);"
        "print([n for n in ('transformers', 'bertviz', 'mpld3', 'matplotlib') if n in sys.modules])"
    )
    found = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert found.strip() == "[]"
