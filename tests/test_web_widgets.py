"""The widgets' answers that a page computes itself, beside Python's."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

import bertedu
from bertedu.commands.certify import TEXTS
from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned
from bertedu.widgets import (
    EmbeddingSum,
    Journey,
    MaskExplorer,
    PairExplorer,
    SpanExplorer,
    TextClassifier,
    TokenTagger,
)
from bertedu.widgets.base import AskingWidget
from bertedu.widgets.web_certificate import page_model
from bertedu.widgets.web_pack import (
    finetuned_checksum,
    model_checksum,
    tokenizer_checksum,
    web_pack,
)
from tests.finetuned_models import HOSTILE, finetuned, unpacked
from tests.page_engine import ask
from tests.test_web_pack import TOKENIZER, adapter, asked_of, bert, block, generated

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:in .* texts a tenth or more"),  # odd texts are wanted here
]
BAR = 1e-4
HALF = 2e-3  # what a number in half precision loses
SHORT = ["my dog is cute", "", "a", "Crème brûlée, in İstanbul: 3,50 €!", "東京 🤗 [MASK] x\u0301"]
DOCUMENT = "Calculus was developed by Isaac Newton and Gottfried Leibniz, 小城 in the 1660s. " * 3


def assert_same(mine: object, theirs: object, bar: float = BAR, where: str = "") -> None:
    """Every structure alike, and every number near."""
    if isinstance(theirs, np.ndarray):
        assert mine.shape == theirs.shape, where
        whole = theirs.dtype == np.uint8
        bar = 0 if whole else HALF * max(1, np.abs(theirs).max()) if theirs.itemsize == 2 else bar
        if theirs.size:
            assert np.abs(mine.astype(float) - theirs.astype(float)).max() <= bar, where
    elif isinstance(theirs, float):
        assert mine == pytest.approx(theirs, abs=bar), where
    elif isinstance(theirs, dict):
        assert {*mine} == {*theirs}, where
        for name, each in theirs.items():
            assert_same(mine[name], each, bar, f"{where}.{name}")
    elif isinstance(theirs, list):
        assert len(mine) == len(theirs), where
        for n, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            assert_same(one, other, bar, f"{where}[{n}]")
    else:
        assert mine == theirs, where


def question(widget: AskingWidget) -> list[object]:
    return [*asked_of(widget), {name: getattr(widget, name) for name in widget.BESIDE}]


def assert_pythons(widgets: list[AskingWidget], folder: Path, *packs: bytes, **more) -> None:
    answers = ask(folder, *packs, widgets=[question(each) for each in widgets], **more)["widgets"]
    for widget, mine in zip(widgets, answers, strict=True):
        assert "problem" not in mine, mine
        for name, told in mine.items():
            theirs = unpacked(getattr(widget, name))
            assert_same(block(told), theirs, where=f"{type(widget).__name__}.{name}")


# ---------------------------------------------------------------- the pretrained model


def test_every_roll_of_the_masks_is_pythons(tmp_path: Path) -> None:
    texts = [*SHORT, *TEXTS[:-2], *generated(20), "word " * 200]
    explorers = [
        MaskExplorer(text, pair, seed=seed * 77_003_411 % 2**31)
        for seed, (text, pair) in enumerate(zip(texts, [None, "he likes it", *texts], strict=False))
        if len(TOKENIZER.encode(text, pair)) <= 256
    ]
    assert len(explorers) > 20
    assert_pythons(explorers, tmp_path, web_pack(bert()))


def test_the_summed_embeddings_are_pythons(tmp_path: Path) -> None:
    page = page_model(bert())
    texts = [
        ("my dog is cute", "he likes play ##ing"),
        ("my dog is my dog", None),
        ("##ing ##zzzz play ##ing##s", "un ##aff\u00a0##able "),
        *((text, None) for text in SHORT[1:]),
    ]
    assert_pythons([EmbeddingSum(*each, page) for each in texts], tmp_path, web_pack(bert()))


def test_the_journey_is_pythons(tmp_path: Path) -> None:
    page = page_model(bert())
    texts = [
        ("calculus is a [MASK] of mathematics.", "it was developed by newton and leibniz."),
        ("my dog is cute", None),
        ("", ""),
        (SHORT[3], SHORT[4]),
        ("a " * 20, "b " * 20),
    ]
    assert_pythons([Journey(*each, page) for each in texts], tmp_path, web_pack(bert()))


def test_a_journey_without_heads_is_pythons(tmp_path: Path) -> None:
    page = page_model(bert())
    page.missing = tuple(
        n for n in page.model.state_dict() if n.startswith(("cls.", "bert.pooler"))
    )
    journey = Journey("my dog", "he likes it", page)
    assert_pythons([journey], tmp_path, web_pack(page))


# ---------------------------------------------------------------- the four cases


def test_a_classified_text_is_pythons(tmp_path: Path) -> None:
    tuned = finetuned("classification")
    page = page_model(tuned)
    widgets = [TextClassifier(page, text) for text in [*SHORT, HOSTILE, "so " * 60]]
    assert_pythons(widgets, tmp_path, web_pack(tuned))


def test_tagged_words_are_pythons(tmp_path: Path) -> None:
    tuned = finetuned("slot_filling")
    own = [
        *SHORT,
        HOSTILE,
        "wake me at 7:30, please",
        "a_b c-d o'clock U.S. 5% (x) ½ ²",
        "\u0301 a",
    ]
    # A browser may know characters that are younger than Python's tables.
    known = [text for text in generated(80) if "Cn" not in map(unicodedata.category, text)]
    assert len(known) > 20
    page = page_model(tuned)
    widgets = [TokenTagger(page, text) for text in [*own, *known[:40]]]
    assert_pythons(widgets, tmp_path, web_pack(tuned))


def test_a_judged_pair_and_its_trail_are_pythons(tmp_path: Path) -> None:
    tuned = finetuned("inference")
    tries = [("a dog runs", "an animal moves"), ("", ""), (HOSTILE, "x")] * 6
    widgets = [
        PairExplorer(page_model(tuned), "a dog runs", "nobody moves [MASK]"),
        PairExplorer(page_model(tuned), "", SHORT[3], tries),
    ]
    assert_pythons(widgets, tmp_path, web_pack(tuned))


@pytest.mark.parametrize("no_answer", [True, False])
def test_a_span_is_pythons(no_answer: bool, tmp_path: Path) -> None:
    settings = {"no_answer": no_answer, "overlap": 16, "null_threshold": -0.5}
    tuned = finetuned("question_answering", **settings)
    long = FineTuned(tuned.task, tuned.model, TOKENIZER, 64)
    page = page_model(long)
    widgets = [
        SpanExplorer(page, "who developed it?", "Newton did."),
        SpanExplorer(page, "", "x"),
        SpanExplorer(page, "when was it developed?", DOCUMENT),  # in windows
        SpanExplorer(page, "what is it?", DOCUMENT * 2 + HOSTILE),
    ]
    assert [each.prediction.windows > 1 for each in widgets] == [False, False, True, True]
    assert_pythons(widgets, tmp_path, web_pack(long))


def test_an_adapter_answers_beside_its_checkpoint(tmp_path: Path) -> None:
    tuned, base = adapter()
    widget = TextClassifier(page_model(tuned), "my dog likes playing")
    assert_pythons([widget], tmp_path, base, more=[web_pack(tuned)])


# ---------------------------------------------------------------- what is refused, and by whom


def sentence(make, *given: object) -> str:
    with pytest.raises(InputError) as refused:
        make(*given)
    return str(refused.value)


def test_what_is_refused_is_refused_in_the_same_words(tmp_path: Path) -> None:
    model = bert()
    long = "a " * 300
    told = ask(
        tmp_path,
        web_pack(model),
        widgets=[
            ["MaskExplorer", {"text": long, "pair": None, "seed": 0}, {}],
            ["MaskExplorer", {"text": "a", "pair": None, "seed": -1}, {}],
            ["EmbeddingSum", {"text": long, "pair": None}, {}],
            ["Journey", {"text": long, "pair": "b"}, {}],
        ],
    )["widgets"]
    assert [each["problem"] for each in told] == [
        sentence(MaskExplorer, long),
        sentence(lambda: MaskExplorer("a", seed=-1)),
        sentence(EmbeddingSum, long, None, model),
        sentence(Journey, long, "b", model),
    ]


@pytest.mark.parametrize(
    ("case", "widget", "texts"),
    [
        ("classification", TextClassifier, [["a " * 300], ["\u200b" * 5200]]),
        ("slot_filling", TokenTagger, [["a " * 300]]),
        ("inference", PairExplorer, [["a " * 300, "b"]]),
        (
            "question_answering",
            SpanExplorer,
            [["who?", "a " * 600], ["who isn't it?", " \n"], ["who?", "\u200b"], ["a " * 400, "b"]],
        ),
    ],
)
def test_the_cases_refuse_in_the_same_words(case, widget, texts, tmp_path: Path) -> None:
    tuned = finetuned(case)
    names = [names[0] for names in tuned.task.texts]
    asked = [
        [widget.__name__, dict(zip(names, each, strict=True)), {}, {"tries": []}] for each in texts
    ]
    told = ask(tmp_path, web_pack(tuned), widgets=asked)["widgets"]
    for each, mine in zip(texts, told, strict=True):
        assert mine["problem"] == sentence(widget, tuned, *each)


def test_what_a_page_can_stand_in_for_is_marked() -> None:
    assert MaskExplorer("a").checksums() == [tokenizer_checksum(TOKENIZER)]
    assert EmbeddingSum("a", None, bert()).checksums() == [model_checksum(bert())]
    assert Journey("a", None, bert()).checksums() == [model_checksum(bert())]
    own = Journey("a", None, bert(), {"own": lambda text, pair: text})
    assert own.checksums() == []
    tuned, _ = adapter()
    assert TextClassifier(tuned, "a").checksums() == [finetuned_checksum(tuned)]
    assert TextClassifier(finetuned("classification"), "a").checksums() == []
    with torch.no_grad():
        before = finetuned_checksum(tuned)
        tuned.model.classifier.bias += 1
    assert finetuned_checksum(tuned) != before


# ---------------------------------------------------------------- the graduates


PRESETS = {
    "sentiment": (TextClassifier, [["The food was good, but the waiter was rude."], ["not good"]]),
    "slots": (TokenTagger, [["book an italian restaurant for three people tomorrow"]]),
    "inference": (PairExplorer, [["The dog is having fun.", "An animal is outside."]]),
    "questions": (SpanExplorer, [["Who developed calculus?", DOCUMENT]]),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_graduate_answers_in_the_page_as_in_python(name: str, tmp_path: Path) -> None:
    """Against the model as it is, not as int8: the same answer, and near numbers."""
    widget, texts = PRESETS[name]
    widgets = [widget(name, *each) for each in texts]
    told = ask(
        tmp_path,
        web_pack(bertedu.load()),
        more=[web_pack(widgets[0].finetuned)],
        widgets=[question(each) for each in widgets],
    )["widgets"]
    for each, mine in zip(widgets, told, strict=True):
        data, theirs = block(mine["data"]), unpacked(each.data)
        if name == "slots":
            assert data["likeliest"] == theirs["likeliest"]
        elif name == "questions":
            assert data["spans"][0][0] == theirs["spans"][0][0]
        else:
            assert data["probabilities"].argmax() == theirs["probabilities"].argmax()
            assert np.abs(data["probabilities"] - theirs["probabilities"]).max() < 0.05
