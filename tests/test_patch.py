"""Patch: what each change does to a model, the presets, and the page's engine beside Python."""

import pytest
import torch

import bertedu
from bertedu.bert import Bert
from bertedu.errors import InputError
from bertedu.finetuning.model import opened
from bertedu.widgets import Patch
from bertedu.widgets.patch import PRESETS, Changes, Copy, patched
from bertedu.widgets.web_certificate import page_model
from bertedu.widgets.web_pack import web_pack
from tests.finetuned_models import finetuned, unpacked
from tests.page_engine import ask
from tests.test_web_pack import adapter, asked_of, bert, block
from tests.test_web_widgets import assert_same

pytestmark = pytest.mark.timeout(600)
TEXT, OTHER = "my dog is cute", "a cat likes the park"


def states(model: Bert, changes: Changes) -> torch.Tensor:
    with patched(model, changes, OTHER):
        return model.hidden_states(TEXT)  # [L + 1, S, H]


def test_a_layer_that_is_left_out_gives_back_what_it_got() -> None:
    model = bert()
    changed = states(model, Changes(layers=[1, 99]))
    assert changed[1].equal(changed[0])
    assert not changed[2].equal(model.hidden_states(TEXT)[2])


def test_without_segments_nothing_of_them_is_left() -> None:
    model = bert()
    changed = states(model, Changes(segment=True))
    with torch.no_grad():
        table = model.model.bert.embeddings.token_type_embeddings.weight
        kept = table.clone()
        table.zero_()
        theirs = model.hidden_states(TEXT)
        table.copy_(kept)
    assert changed.equal(theirs)
    assert not changed.equal(model.hidden_states(TEXT))


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_copied_vector_stands_where_it_was_put(layer: int) -> None:
    model = bert()
    before, theirs = model.hidden_states(TEXT), model.hidden_states(OTHER)
    changed = states(model, Changes(layers=[2], copy=Copy(layer, 2, 3)))
    assert changed[layer, 3].equal(theirs[layer, 2])
    assert changed[:layer].equal(before[:layer])
    if layer < 2:
        assert changed[layer, [0, 1, 2, 4, 5]].equal(before[layer, [0, 1, 2, 4, 5]])


def test_afterwards_the_model_is_the_same() -> None:
    model = bert()
    before = model.hidden_states(TEXT)
    with pytest.raises(RuntimeError), patched(model, Changes([[1, 1]], [1], True, Copy(1, 1, 1))):
        raise RuntimeError
    assert model.hidden_states(TEXT).equal(before)


def small(*texts: str | None) -> Patch:
    tuned = [page_model(adapter(case)[0]) for case in ("classification", "question_answering")]
    return Patch(*texts, page_model(bert()), *tuned)


def test_the_page_answers_as_python_does(tmp_path) -> None:
    asked = [
        (("who likes my [MASK]?", "my dog likes the park.", OTHER), Changes()),
        (("my dog is [MASK]", "he likes it", OTHER), Changes([[1, 2], [9, 9]], [2], True)),
        (("my dog", "the park", OTHER), Changes(copy=Copy(0, 3, 2))),
        (("my dog", "the [MASK]", OTHER), Changes([], [2], False, Copy(1, 3, 5))),
        (("my dog [MASK]", None, OTHER), Changes(copy=Copy(2, 2, 3))),
        (("my dog", "", ""), Changes(copy=Copy(7, 2, 2))),  # no such layer
    ]
    widgets = []
    for texts, changes in asked:
        widget = small(*texts)
        with widget.hold_trait_notifications():
            widget.off, widget.layers = [*map(list, changes.off)], [*changes.layers]
            widget.segment, widget.copy = changes.segment, changes.copy and [*changes.copy]
        widgets.append(widget)
    more = [web_pack(adapter(case)[0]) for case in ("classification", "question_answering")]
    told = ask(tmp_path, web_pack(bert()), more=more, widgets=[asked_of(each) for each in widgets])[
        "widgets"
    ]
    for widget, mine in zip(widgets, told, strict=True):
        assert_same(block(mine["data"]), unpacked(widget.data), where=repr(widget))
    changed = [widget.before != widget.after for widget in widgets]
    assert changed == [False, True, True, True, True, False]


def test_what_is_too_long_or_of_another_case_is_refused() -> None:
    with pytest.raises(InputError, match="this picture shows at most 48"):
        small("a " * 60, None, "")
    with pytest.raises(InputError, match="Patch needs a model for question answering"):
        Patch("a", None, "", bert(), finetuned("classification"), finetuned("inference"))
    whole = [finetuned(case) for case in ("classification", "question_answering")]
    assert Patch("a", None, "", bert(), *whole).checksums() == []
    tuned = [adapter(case)[0] for case in ("classification", "question_answering")]
    assert len(Patch("a", None, "", bert(), *tuned).checksums()) == 3


@pytest.fixture(scope="module")
def patch() -> Patch:
    return Patch(bert=bertedu.load(), classifier=opened("sentiment"), reader=opened("questions"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_turns_an_answer_into_another_one(preset, patch: Patch) -> None:
    patch.ask(preset)
    before, after = patch.before, patch.after
    turned = {
        "tokyo for paris": [guess.token for of in (before, after) for guess in of.gap[:1]],
        "when for who": [of.span and of.span[0] for of in (before, after)],
        "terrible for good": [max(of.label, key=of.label.__getitem__) for of in (before, after)],
        "no segments": [of.follows is not None and of.follows > 0.5 for of in (before, after)],
    }
    expected = {
        "tokyo for paris": ["france", "japan"],
        "when for who": ["anna", "1950"],
        "terrible for good": ["positive", "negative"],
        "no segments": [False, True],
    }
    assert turned[preset.name] == expected[preset.name]
