"""The sum that is shown is the model's own, to the bit, in Python and in the browser's code."""

import copy
import json
import math
import shutil
import subprocess
from itertools import product
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bertedu import BertConfig, BertForPreTraining, InputError, load_tokenizer
from bertedu.bert import Bert
from bertedu.widgets import EmbeddingSum
from bertedu.widgets.embedding_sum import (
    LONGEST,
    POSITIONS,
    SWITCHES,
    TERMS,
    encode_pieces,
    moved,
    sinusoids,
)
from tests.pictures import drawn_from

TOKENIZER = load_tokenizer()
STATIC = Path(__file__).parents[1] / "bertedu" / "widgets" / "static"
NOTES = ["[CLS]", "my", "dog", "is", "cute", "[SEP]", "he", "likes", "play", "##ing", "[SEP]"]
HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(1)> \u202eשלום 🤗"
EVERYTHING = 15


@pytest.fixture(scope="module")
def bert() -> Bert:
    """A small model with random weights, large enough that switching a term off is seen."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=32,
        initializer_range=0.5,
    )
    bert = Bert(BertForPreTraining(config), TOKENIZER)
    norm = bert.model.bert.embeddings.LayerNorm
    nn.init.normal_(norm.weight, mean=1, std=0.2)
    nn.init.normal_(norm.bias, std=0.2)
    return bert


@pytest.fixture
def widget(bert: Bert) -> EmbeddingSum:
    return EmbeddingSum(bert=bert)


def switched(widget: EmbeddingSum, on: tuple[bool, ...], **more: object) -> dict[str, object]:
    return widget.settings | dict(zip(SWITCHES, on, strict=True)) | more


def test_the_notes_pair_is_shown_piece_by_piece(widget: EmbeddingSum) -> None:
    assert [TOKENIZER.tokens[index] for index in widget.ids] == NOTES
    assert widget.types.tolist() == [0] * 6 + [1] * 5
    assert widget._own == "playing"


@pytest.mark.parametrize("text", ["my dog is cute", "", HOSTILE, "word " * 46])
def test_the_sum_is_the_models_to_the_bit(bert: Bert, text: str) -> None:
    widget = EmbeddingSum(text, None, bert)
    added = []
    hook = bert.model.bert.embeddings.LayerNorm.register_forward_pre_hook(
        lambda _, inputs: added.append(inputs[0])
    )
    with torch.inference_mode():
        output = bert.model.bert(
            widget.ids[None], widget.types[None], output_hidden_states=True, output_attentions=True
        )
    hook.remove()
    assert torch.equal(widget.summed, added[0][0])
    assert torch.equal(widget.states, output.hidden_states[0][0])
    probs = output.attention_probs[0][0]
    torch.testing.assert_close(widget.attention_probs[EVERYTHING], probs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("on", list(product([False, True], repeat=4)))
def test_a_switch_is_a_model_without_that_part(
    bert: Bert, widget: EmbeddingSum, on: tuple[bool, ...]
) -> None:
    """A copy of the model, with tables of zeros and without LayerNorm, looks the same way."""
    without = copy.deepcopy(bert.model.bert)
    parts = without.embeddings
    tables = (parts.word_embeddings, parts.token_type_embeddings, parts.position_embeddings)
    for is_on, table in zip(on, tables, strict=False):
        table.weight.data *= is_on
    if not on[3]:
        parts.LayerNorm = nn.Identity()
    widget.settings = switched(widget, on, head=2)
    with torch.inference_mode():
        probs = without(widget.ids[None], widget.types[None], output_attentions=True)
    torch.testing.assert_close(
        widget.attention(), probs.attention_probs[0][0, 1], atol=1e-6, rtol=1e-4
    )
    named = " + ".join(name for name, is_on in zip(TERMS, on, strict=False) if is_on) or "nothing"
    assert repr(widget).startswith(f"EmbeddingSum(11 tokens x 24: {named}")
    assert (widget.moved > 0.01) == (not all(on))


def test_without_positions_the_order_is_lost(bert: Bert) -> None:
    one = EmbeddingSum("my dog is cute", None, bert)
    other = EmbeddingSum("cute is dog my", None, bert)
    back = [0, 4, 3, 2, 1, 5]
    for widget in (one, other):
        widget.settings = widget.settings | {"position": False}
    turned = other.attention()[back][:, back]
    torch.testing.assert_close(one.attention(), turned, atol=1e-6, rtol=1e-5)
    everything = other.attention(EVERYTHING)[back][:, back]
    assert moved(one.attention(EVERYTHING), everything) > 0.01


WORDS = st.sampled_from(["my", "dog", "play", "playing", "[MASK]", "Ünaffable", "🤗", "#", "a#b"])


@given(st.lists(WORDS), st.none() | st.lists(WORDS))
def test_without_marks_it_is_the_tokenizers_own(first: list[str], second: list[str] | None) -> None:
    text, pair = " ".join(first), None if second is None else " ".join(second)
    encoding = TOKENIZER.encode(text, pair)
    ids, types = encode_pieces(TOKENIZER, text, pair)
    assert torch.equal(ids, encoding.input_ids)
    assert torch.equal(types, encoding.token_type_ids)


@given(st.lists(st.sampled_from(["play", "##ing", "##s", "dog", "##zzzzqq"])))
def test_pieces_typed_with_marks_stay(pieces: list[str]) -> None:
    ids, _ = encode_pieces(TOKENIZER, " ".join(pieces))
    unknown = TOKENIZER.ids("##zzzzqq")  # no token of the vocabulary: split as the tokenizer does
    expected = [
        index
        for piece in pieces
        for index in ([TOKENIZER.vocab[piece]] if piece in TOKENIZER.vocab else unknown)
    ]
    assert ids.tolist()[1:-1] == expected


def test_positions_are_compared_with_sinusoids(bert: Bert, widget: EmbeddingSum) -> None:
    size = 24
    by_hand = [
        [
            (math.cos if i % 2 else math.sin)(place / 10_000 ** ((i - i % 2) / size))
            for i in range(size)
        ]
        for place in range(512)
    ]
    torch.testing.assert_close(sinusoids(512, size), torch.tensor(by_hand), atol=1e-4, rtol=1e-4)
    learned = bert.model.bert.embeddings.position_embeddings.weight.detach().numpy()
    assert widget._positions.shape == (2, 2, POSITIONS, POSITIONS)
    for table, shown in zip((learned, np.array(by_hand)), widget._positions.unbind(1), strict=True):
        for rows, cosines in zip((table, table - table.mean(axis=0)), shown, strict=True):
            a, b = rows[3], rows[40]
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert float(cosines[3, 40]) == pytest.approx(cosine, abs=1e-4)


def node(script: str, cases: object, folder: Path) -> object:
    """What a script prints as JSON, when `cases` and the widget's functions are at hand."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (folder / "cases.json").write_text(json.dumps(cases))
    code = f"""
      import {{ readFileSync }} from "node:fs";
      import * as widget from {json.dumps((STATIC / "embedding_sum.js").as_uri())};
      import {{ unpack }} from {json.dumps((STATIC / "shared.js").as_uri())};
      const cases = JSON.parse(readFileSync({json.dumps(str(folder / "cases.json"))}));
      const data = unpack(new Uint8Array(readFileSync(cases.file)));
      {script}
    """
    command = ["node", "--no-warnings", "--input-type=module", "--eval", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_browser_adds_to_the_same_bit(widget: EmbeddingSum, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(widget.data)
    settings = [
        switched(widget, on, head=head)
        for head, on in zip([0, 1, 2, 3] * 4, product([False, True], repeat=4), strict=True)
    ]
    script = """
      const { combination, sumOf, states, attention, shareMoved } = widget;
      console.log(JSON.stringify(cases.settings.map((settings) => {
        const now = attention(data, combination(settings), settings.head);
        const before = attention(data, 15, settings.head);
        return [sumOf(data, settings), states(data, settings), now].map((a) => [...a])
          .concat(shareMoved(now, before, data.tokens.length));
      })));
    """
    cases = {"file": str(tmp_path / "data.bin"), "settings": settings}
    for each, (summed, states, probs, share) in zip(
        settings, node(script, cases, tmp_path), strict=True
    ):
        widget.settings = each
        assert torch.equal(torch.tensor(summed, dtype=torch.float32), widget.summed.flatten())
        torch.testing.assert_close(
            torch.tensor(states, dtype=torch.float32), widget.states.flatten(), atol=2e-5, rtol=1e-4
        )
        torch.testing.assert_close(
            torch.tensor(probs), widget.attention().flatten(), atol=3e-4, rtol=0
        )
        assert share == pytest.approx(widget.moved, abs=5e-4)


def test_repr_is_one_stable_line(widget: EmbeddingSum) -> None:
    assert repr(widget) == (
        "EmbeddingSum(11 tokens x 24: token + segment + position, LayerNorm; 0.0% moved)"
    )


def test_the_words_follow_the_switches(widget: EmbeddingSum) -> None:
    before = widget.to_words()
    assert "<code>##ing</code>" in before
    widget.settings = widget.settings | {"position": False}
    assert "token + segment, LayerNorm" in widget.to_words()
    assert f"{widget.moved:.1%} moved" in widget.to_words()
    assert widget.moved > 0.01
    assert widget._repr_mimebundle_()[0]["text/html"] == widget.to_words()
    widget.settings = widget.settings | {"position": True}
    assert widget.to_words() == before


def test_hostile_text_stays_text(bert: Bert) -> None:
    widget = EmbeddingSum(HOSTILE, HOSTILE[:20], bert)
    root = ET.fromstring(widget.to_words())
    assert {node.tag for node in root.iter()} == {"div", "p", "b", "code"}
    assert "script" in "".join(root.itertext())


def test_new_text_gives_new_data(widget: EmbeddingSum) -> None:
    widget.settings = widget.settings | {"token": False}
    before = widget.data
    widget.text, widget.pair = "play ##s", None
    assert widget.data != before
    assert widget._asked == {"text": "play ##s", "pair": None}
    assert [TOKENIZER.tokens[index] for index in widget.ids] == ["[CLS]", "play", "##s", "[SEP]"]
    assert widget.settings["token"] is False
    assert len(widget.data) < 60_000


@pytest.mark.parametrize("count", [LONGEST - 1, 10_000])
def test_what_is_too_long_is_refused_and_the_picture_stays(bert: Bert, count: int) -> None:
    sentence = f"The text has {count + 2:,} tokens and this picture shows at most {LONGEST}"
    with pytest.raises(InputError, match="^" + sentence):
        EmbeddingSum("a " * count, None, bert)
    widget = EmbeddingSum(bert=bert)
    before = drawn_from(widget)
    widget.text = "a " * count
    assert widget.problem.startswith(f"The text has {count + 7:,} tokens")
    assert drawn_from(widget) == before
    widget.text = "half a pair: \ud800"
    assert "surrogate" in widget.problem
    widget.text = "my dog"
    assert widget.problem == ""


def test_what_is_no_text_is_refused(bert: Bert) -> None:
    with pytest.raises(InputError, match="not a string"):
        EmbeddingSum(7, None, bert)  # type: ignore[arg-type]


def test_a_model_with_few_positions_can_be_shown() -> None:
    config = BertConfig(hidden_size=7, num_attention_heads=1, max_position_embeddings=9)
    widget = EmbeddingSum("my dog", None, Bert(BertForPreTraining(config), TOKENIZER))
    assert widget._positions.shape == (2, 2, 9, 9)
    widget.text = "a " * 8
    assert widget.problem.startswith("The text has 10 tokens and this picture shows at most 9")
