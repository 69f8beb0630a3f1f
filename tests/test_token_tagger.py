"""The token tagger's labels and slots are the library's, in Python and in the browser's code."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertedu import InputError
from bertedu.finetuning.slot_filling import mend, slots_of
from bertedu.widgets import TokenTagger
from tests.finetuned_models import HOSTILE, TEXTS, finetuned, unpacked

MODEL = finetuned("slot_filling")
STATIC = Path(__file__).parents[1] / "bertedu" / "widgets" / "static"
TEXT = "book an unaffable flight to Taipei"


@pytest.mark.parametrize("text", TEXTS)
def test_labels_slots_and_intent_are_the_librarys(text: str) -> None:
    widget = TokenTagger(MODEL, text)
    theirs = MODEL.predict([text])[0]
    assert mend(widget.labels) == (theirs.tags, theirs.mended)
    assert widget.slots == theirs.slots
    sent = unpacked(widget.data)
    assert sent["words"] == theirs.words
    assert sent["pieces"] == theirs.pieces
    assert sent["labels"] == list(MODEL.task.labels)
    assert np.allclose(sent["probabilities"], theirs.probabilities.numpy(), atol=1e-5)
    assert dict(sent["intent"]) == pytest.approx(theirs.intent.probabilities, abs=1e-5)
    ET.fromstring(widget.to_words())
    widget.close()


def test_a_flipped_label_is_decoded_and_mended() -> None:
    widget = TokenTagger(MODEL, TEXT)
    count = len(widget.prediction.words)
    widget.settings = {"flips": dict.fromkeys(map(str, range(count)), "O") | {"5": "I-city"}}
    assert widget.mended == [5]
    assert [(slot.label, slot.text) for slot in widget.slots] == [("city", "Taipei")]
    assert "city “Taipei”; intent" in widget.to_words()
    widget.settings = widget.settings | {"flips": widget.settings["flips"] | {"4": "B-city"}}
    assert widget.mended == []
    assert [slot.text for slot in widget.slots] == ["to Taipei"]
    assert "city “to Taipei”; intent" in repr(widget)
    widget.text = "a dog"
    assert widget.settings == {"word": None, "flips": {}}


tags = st.sampled_from(MODEL.task.labels)


@settings(max_examples=1)
@given(st.lists(st.lists(tags, max_size=9), min_size=60, max_size=60))
def test_the_browser_decodes_as_the_library(
    tmp_path_factory: pytest.TempPathFactory, cases: list[list[str]]
) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    file = tmp_path_factory.mktemp("tags") / "cases.json"
    file.write_text(json.dumps(cases))
    code = f"""
      import {{ readFileSync }} from "node:fs";
      import {{ mend, slotsOf }} from {json.dumps((STATIC / "rules" / "bio.js").as_uri())};
      const cases = JSON.parse(readFileSync({json.dumps(str(file))}));
      console.log(JSON.stringify(cases.map((tags) => {{
        const {{ legal, mended }} = mend(tags);
        const found = slotsOf(tags.map((_, i) => [3 * i, 3 * i + 2]), legal);
        return [legal, mended, found.map((s) => [s.label, s.start, s.end, s.first, s.last])];
      }})));
    """
    command = ["node", "--no-warnings", "--input-type=module", "--eval", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for case, (legal, mended, found) in zip(cases, json.loads(done.stdout), strict=True):
        offsets = [(3 * i, 3 * i + 2) for i in range(len(case))]
        slots = slots_of(" " * 40, offsets, mend(case)[0])
        assert (legal, mended) == mend(case)
        assert found == [[s.label, s.start, s.end, s.first_word, s.last_word] for s in slots]


def test_repr_is_one_stable_line() -> None:
    assert repr(TokenTagger(MODEL, TEXT)) == repr(TokenTagger(MODEL, TEXT))
    assert repr(TokenTagger(MODEL, "")).startswith("TokenTagger(0 words: no slot; intent ")
    assert len(repr(TokenTagger(MODEL, TEXTS[3]))) < 400
    without = finetuned("slot_filling", labels=("O", "B-city", "I-city"))
    assert "intent" not in repr(TokenTagger(without, TEXT))


def test_hostile_text_is_text_in_the_words() -> None:
    root = ET.fromstring(TokenTagger(MODEL, HOSTILE).to_words())
    assert {node.tag for node in root.iter()} == {"div", "p", "b", "code"}


def test_what_cannot_be_shown_is_refused_and_the_picture_stays() -> None:
    with pytest.raises(InputError, match="302 tokens and this picture shows at most 256"):
        TokenTagger(MODEL, "a " * 300)
    with pytest.raises(InputError, match="TokenTagger shows .* for slot filling"):
        TokenTagger(finetuned("classification"), "a")
    widget = TokenTagger(MODEL, "a dog")
    before = repr(widget)
    widget.text = "a " * 300
    assert widget.problem.endswith("shorten the text.")
    assert repr(widget) == before
    widget.text = "\u200b" * 6_000  # two tokens, but 6,000 words
    assert widget.problem.startswith("There are 6,000 characters")
    assert repr(widget) == before
    with pytest.raises(InputError, match="There is no label 'B-food': this model has O, B-city"):
        widget.settings = {"flips": {"0": "B-food"}}
    with pytest.raises(InputError, match="There is no word 2"):
        widget.settings = {"flips": {"2": "O"}}
