"""The pair explorer's points are the library's probabilities, in the triangle and in the trail."""

from xml.etree import ElementTree as ET

import pytest

from bertedu import InputError
from bertedu.widgets import PairExplorer
from bertedu.widgets.pair_explorer import MOST_TRIES
from bertedu.widgets.words import visible_text
from tests.finetuned_models import HOSTILE, finetuned, unpacked

MODEL = finetuned("inference")
PREMISE, HYPOTHESIS = "the cute dog likes playing", "an animal is outside"


def shares(premise: str, hypothesis: str) -> list[float]:
    probabilities = MODEL.predict([(premise, hypothesis)])[0].probabilities
    return [probabilities[label] for label in ("entailment", "contradiction", "neutral")]


@pytest.mark.parametrize(
    ("premise", "hypothesis"),
    [(PREMISE, HYPOTHESIS), ("", ""), (HOSTILE, HOSTILE), ("word " * 200, "a word")],
)
def test_the_pair_and_the_hypothesis_alone_are_the_models(premise: str, hypothesis: str) -> None:
    widget = PairExplorer(MODEL, premise, hypothesis)
    assert widget.labels == ["entailment", "contradiction", "neutral"]
    assert widget.probabilities == pytest.approx(shares(premise, hypothesis), abs=1e-5)
    assert widget.alone == pytest.approx(shares("", hypothesis), abs=1e-5)
    sent = unpacked(widget.data)
    assert sent["probabilities"] == pytest.approx(widget.probabilities)
    assert sent["alone"] == pytest.approx(widget.alone)
    assert sent["notes"] == ["true", "false", "unknown"]
    assert sent["shown"] == [premise, hypothesis]
    [_, texts] = ET.fromstring(widget.to_words())
    assert [text.text or "" for text in texts] == [visible_text(t) for t in (premise, hypothesis)]
    widget.close()


def test_what_the_reader_leaves_behind_becomes_the_trail() -> None:
    widget = PairExplorer(MODEL, PREMISE, HYPOTHESIS)
    with widget.hold_trait_notifications():  # as one message from the browser
        widget.tries = [[PREMISE, HYPOTHESIS]]
        widget.hypothesis = "an animal is asleep"
    sent = unpacked(widget.data)
    assert sent["tries"] == [[PREMISE, HYPOTHESIS]]
    assert sent["trail"].tolist() == [pytest.approx(shares(PREMISE, HYPOTHESIS), abs=1e-5)]
    assert sent["asked"] == [PREMISE, "an animal is asleep"]
    assert sent["probabilities"] == pytest.approx(shares(*sent["asked"]), abs=1e-5)
    assert "(1" not in repr(widget)


def test_the_trail_keeps_the_last_and_can_be_given() -> None:
    tries = [(PREMISE, f"an animal {n}") for n in range(MOST_TRIES + 3)]
    widget = PairExplorer(MODEL, PREMISE, HYPOTHESIS, tries)
    assert [pair[1] for pair in widget.tries] == [second for _, second in tries[3:]]
    assert widget.trail.shape == (MOST_TRIES, 3)
    widget.tries = [*widget.tries, [PREMISE, "one more"]]
    assert len(widget.tries) == MOST_TRIES
    assert widget.tries[-1] == [PREMISE, "one more"]
    assert widget.trail[-1] == pytest.approx(shares(PREMISE, "one more"), abs=1e-5)


def test_repr_is_one_stable_line() -> None:
    widget = PairExplorer(MODEL, PREMISE, HYPOTHESIS)
    best = max(MODEL.predict([(PREMISE, HYPOTHESIS)])[0].probabilities.items(), key=lambda i: i[1])
    assert repr(widget).startswith(
        f"PairExplorer({best[0]} {100 * best[1]:.1f} %; hypothesis alone "
    )
    assert repr(widget) == repr(PairExplorer(MODEL, PREMISE, HYPOTHESIS))


def test_hostile_text_is_text_in_the_words() -> None:
    widget = PairExplorer(MODEL, HOSTILE, HOSTILE, [(HOSTILE, "<b>")])
    tags = {node.tag for node in ET.fromstring(widget.to_words()).iter()}
    assert tags == {"div", "p", "b", "code"}


def test_labels_of_another_name_keep_the_models_order_and_three_are_needed() -> None:
    other = finetuned("inference", labels=("no", "perhaps", "yes"))
    assert PairExplorer(other, "a", "b").labels == ["no", "perhaps", "yes"]
    two = finetuned("inference", labels=("no", "yes"))
    with pytest.raises(InputError, match="three labels in a triangle; this model has 2: no, yes"):
        PairExplorer(two, "a", "b")


def test_what_cannot_be_shown_is_refused_and_the_picture_stays() -> None:
    with pytest.raises(InputError, match="303 tokens and this picture shows at most 256"):
        PairExplorer(MODEL, "a " * 150, "a " * 150)
    with pytest.raises(InputError, match="PairExplorer shows .* for inference"):
        PairExplorer(finetuned("classification"), "a", "b")
    widget = PairExplorer(MODEL, PREMISE, HYPOTHESIS)
    before = repr(widget)
    widget.premise = "a " * 300
    assert widget.problem.endswith("shorten the text.")
    assert repr(widget) == before
    assert unpacked(widget.data)["shown"] == [PREMISE, HYPOTHESIS]
    widget.premise = "a" * 6_000
    assert widget.problem.startswith("There are 6,0")
    assert "this picture shows at most 5,120" in widget.problem
    widget.premise = PREMISE
    assert widget.problem == ""
    with pytest.raises(InputError, match="There is no try 0: there are 0"):
        widget.settings = {"pinned": 0}
    widget.settings = {"pinned": -1}
