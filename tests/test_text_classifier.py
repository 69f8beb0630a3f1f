"""The text classifier shows the library's probabilities, and what is left without each word."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch

from bertedu import InputError
from bertedu.widgets import TextClassifier
from tests.finetuned_models import HOSTILE, TEXTS, finetuned, unpacked
from tests.pictures import drawn_from

MODEL = finetuned("classification")
# A tenth of the hostile text is in no vocabulary, and the model says so, once.
pytestmark = pytest.mark.filterwarnings("ignore:in 1 of .* are .UNK., which tell the model nothing")


@pytest.mark.parametrize("text", TEXTS)
def test_probabilities_and_effects_are_the_models(text: str) -> None:
    widget = TextClassifier(MODEL, text)
    whole = MODEL.predict([text])[0].probabilities
    assert widget.labels == ["negative", "positive"]
    assert widget.probabilities == pytest.approx(list(whole.values()), abs=1e-5)
    assert " ".join(widget.words).split() == text.split() or text == HOSTILE
    for word, (start, end) in list(enumerate(widget._spans))[:12]:
        without = MODEL.predict([f"{text[:start]} {text[end:]}"])[0].probabilities
        expected = np.subtract(list(whole.values()), list(without.values()))
        assert widget.effects[word] == pytest.approx(expected, abs=1e-4)
    sent = unpacked(widget.data)
    assert sent["words"] == widget.words
    assert np.allclose(sent["probabilities"] - sent["without"], widget.effects, atol=1e-6)
    widget.close()


def test_all_texts_are_asked_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    predict = MODEL.predict
    monkeypatch.setattr(
        type(MODEL), "predict", lambda self, texts: asked.append(texts) or predict(texts)
    )
    TextClassifier(MODEL, "not a bad film").close()
    assert asked == [
        ["not a bad film", "  a bad film", "not   bad film", "not a   film", "not a bad  "]
    ]


def test_a_word_without_spaces_around_it_does_not_tie_its_neighbours() -> None:
    widget = TextClassifier(MODEL, "good,bad")
    assert widget.words == ["good,bad"]  # as the library splits words
    widget.text = "(good)"
    assert widget.words == ["(", "good", ")"]
    assert MODEL.predict(["( )"])[0].probabilities["positive"] == pytest.approx(
        widget.probabilities[1] - widget.effects[1, 1], abs=1e-5
    )


def test_attention_is_the_last_layers_from_cls() -> None:
    widget = TextClassifier(MODEL, "an unaffable dog")
    encoding = MODEL.tokenizer.encode("an unaffable dog")
    with torch.inference_mode():
        output = MODEL.model.bert(encoding.input_ids[None], output_attentions=True)
    row = output.attention_probs[-1][0, :, 0].mean(0)
    assert encoding.tokens[2:5] == ["una", "##ffa", "##ble"]
    expected = [row[1], row[2:5].sum(), row[5]]
    assert widget._attention == pytest.approx([float(x) for x in expected], abs=1e-6)


def test_repr_is_one_stable_line_with_the_strongest_word() -> None:
    widget = TextClassifier(MODEL, TEXTS[0])
    best = int(widget.probabilities.argmax())
    strongest = int(np.abs(widget.effects[:, best]).argmax())
    assert repr(widget) == repr(TextClassifier(MODEL, TEXTS[0]))
    assert "\n" not in repr(widget)
    assert f"{100 * widget.probabilities[best]:.1f} %" in repr(widget)
    assert widget.words[strongest] in repr(widget)
    assert repr(TextClassifier(MODEL, "")).endswith("no words)")


def test_hostile_text_is_text_in_the_words() -> None:
    widget = TextClassifier(MODEL, HOSTILE)
    widget.settings = widget.settings | {"attention": True}
    root = ET.fromstring(widget.to_words())
    assert {node.tag for node in root.iter()} == {"div", "p", "b", "code"}
    assert "script" in "".join(root.itertext())


def test_what_cannot_be_shown_is_refused_and_the_picture_stays() -> None:
    with pytest.raises(InputError, match="257 tokens and this picture shows at most 256"):
        TextClassifier(MODEL, "a " * 255)
    with pytest.raises(InputError, match="TextClassifier shows .* for classification"):
        TextClassifier(finetuned("inference"), "a dog")
    widget = TextClassifier(MODEL, "a dog")
    widget.settings = {"word": 1, "label": "positive"}
    before = drawn_from(widget)
    widget.text = "a " * 255
    assert widget.problem.endswith("shorten the text.")
    assert unpacked(widget.data)["problem"] == widget.problem
    assert drawn_from(widget) == before
    widget.text = "a cat"
    assert widget.problem == ""
    assert widget.settings == {"label": "positive", "word": None, "attention": False}
    with pytest.raises(InputError, match="There is no label 'great': this model has negative"):
        widget.settings = {"label": "great"}
    with pytest.raises(InputError, match="There is no word 2: the text has 2, from 0 on"):
        widget.settings = {"word": 2}
