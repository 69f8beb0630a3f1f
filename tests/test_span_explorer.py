"""The span explorer's numbers are the library's, in Python and in the browser's own code."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import torch

from bertedu import InputError
from bertedu.widgets import SpanExplorer
from tests.finetuned_models import HOSTILE, finetuned, unpacked

MODEL = finetuned("question_answering")
STATIC = Path(__file__).parents[1] / "bertedu" / "widgets" / "static"
QUESTION = "What causes precipitation to fall?"
DOCUMENT = (
    "In meteorology, precipitation is any product of the condensation of atmospheric water vapor "
    "that falls under gravity. Its forms include drizzle, rain, sleet, snow, graupel and hail."
)
LONG = "unaffable dogs play " * 80  # read in two windows
CASES = [
    (QUESTION, DOCUMENT),
    ("", HOSTILE),
    (HOSTILE, "a dog"),
    ("who?", "word " * 200),
    ("?", LONG),
]


@pytest.mark.parametrize(("question", "document"), CASES)
def test_outputs_times_vectors_are_the_logits(question: str, document: str) -> None:
    widget = SpanExplorer(MODEL, question, document)
    theirs = MODEL.predict([(question, document)])[0]
    head = MODEL.model.qa_outputs
    logits = widget.outputs @ head.weight.detach().T + head.bias.detach()
    assert torch.allclose(logits[:, 0], theirs.start_logits, atol=1e-4)
    assert torch.allclose(logits[:, 1], theirs.end_logits, atol=1e-4)
    assert (theirs.windows > 1) == (document == LONG)
    sent = unpacked(widget.data)
    assert sent["tokens"] == theirs.tokens
    assert [span[0] for span in sent["spans"]] == [span.text for span in theirs.spans]
    assert sent["illegal"] == theirs.illegal
    ET.fromstring(widget.to_words())
    widget.close()


def node(script: str, files: list[Path]) -> object:
    """What a script prints as JSON, with the widget's functions and the `files` unpacked."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    code = f"""
      import {{ readFileSync }} from "node:fs";
      import * as widget from {json.dumps((STATIC / "span_explorer.js").as_uri())};
      import * as rule from {json.dumps((STATIC / "rules" / "spans.js").as_uri())};
      import {{ unpack }} from {json.dumps((STATIC / "shared.js").as_uri())};
      const all = {json.dumps([str(file) for file in files])}
        .map((file) => unpack(new Uint8Array(readFileSync(file))));
      {script}
    """
    command = ["node", "--no-warnings", "--input-type=module", "--eval", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_browser_computes_the_librarys_probabilities(tmp_path: Path) -> None:
    widgets = [SpanExplorer(MODEL, *case) for case in CASES]
    files = [tmp_path / f"{number}.bin" for number in range(len(widgets))]
    for file, widget in zip(files, widgets, strict=True):
        file.write_bytes(widget.data)
    script = """
      console.log(JSON.stringify(all.map((data) => {
        const total = rule.logTotal(data);
        const shares = [rule.softmax(data.starts.values), rule.softmax(data.ends.values)];
        const [, start, end] = data.spans[0];
        const dot = [[0, start], [1, end]].map(([which, place]) => {
          const { largest, rest } = widget.products(data, which, place);
          return largest.reduce((sum, { value }) => sum + value, 0) + rest + data.biases[which];
        });
        const pairs = Object.fromEntries(["legal", ...rule.REASONS].map((reason) => [reason, 0]));
        for (let s = 0; s < data.tokens.length; s++) {
          for (let e = 0; e < data.tokens.length; e++) pairs[rule.judge(data, s, e)] += 1;
        }
        const scoreOf = ([, s, e]) => data.starts.values[s] + data.ends.values[e];
        return {
          spans: data.spans.map((span) => Math.exp(scoreOf(span) - total)),
          none: Math.exp(data.null_score - total), shares, dot, pairs,
          masses: rule.masses(data, ...shares),
        };
      })));
    """
    for widget, told in zip(widgets, node(script, files), strict=True):
        p = widget.prediction
        assert told["spans"] == pytest.approx([span.probability for span in p.spans], abs=1e-6)
        assert told["none"] == pytest.approx(p.no_answer_probability, abs=1e-6)
        starts, ends = p.start_logits.double().softmax(0), p.end_logits.double().softmax(0)
        assert told["shares"][0] == pytest.approx(starts.tolist(), abs=1e-6)
        assert told["shares"][1] == pytest.approx(ends.tolist(), abs=1e-6)
        best = p.spans[0]
        assert sum(told["dot"]) == pytest.approx(best.score, abs=1e-3)
        size = len(p.tokens)
        legal = told["pairs"].pop("legal")
        assert told["pairs"] == p.illegal
        assert legal + sum(p.illegal.values()) == size * size
        every = starts[:, None] * ends[None]
        inside = every[p.first : -1, p.first : -1]
        assert told["masses"]["end before start"] == pytest.approx(
            float(inside.tril(-1).sum()), abs=1e-6
        )
        assert told["masses"]["too long"] == pytest.approx(float(inside.triu(30).sum()), abs=1e-6)
        assert sum(told["masses"].values()) == pytest.approx(1)
        assert widget.legal_share == pytest.approx(told["masses"]["legal"], abs=1e-6)


def test_words_are_counted_from_1_as_in_the_notes() -> None:
    widget = SpanExplorer(MODEL, QUESTION, DOCUMENT)
    sent = unpacked(widget.data)
    gravity = sent["tokens"].index("gravity")
    assert sent["words"][gravity] == 17
    assert sent["words"][gravity + 1] == 17  # its full stop
    assert sent["words"][: sent["begin"]] == [0] * sent["begin"]
    for _, first, last, first_word, last_word, *_ in sent["spans"]:
        assert (sent["words"][first], sent["words"][last]) == (first_word, last_word)


def test_the_threshold_decides_between_the_best_span_and_none() -> None:
    widget = SpanExplorer(MODEL, QUESTION, DOCUMENT)
    lead = widget.prediction.null_score - widget.prediction.spans[0].score
    widget.settings = {"threshold": lead + 0.1}
    assert not widget.silent
    assert repr(widget).startswith("SpanExplorer(“")
    widget.settings = {"threshold": lead - 0.1}
    assert widget.silent
    assert repr(widget).startswith("SpanExplorer(no answer ")
    always = SpanExplorer(finetuned("question_answering", no_answer=False), QUESTION, DOCUMENT)
    always.settings = {"threshold": -1e9}
    assert not always.silent
    assert "no answer" not in repr(always)


def test_repr_is_stable_and_tells_the_best_answer() -> None:
    widget = SpanExplorer(MODEL, QUESTION, DOCUMENT)
    assert repr(widget) == repr(SpanExplorer(MODEL, QUESTION, DOCUMENT))
    best = widget.prediction.spans[0]
    assert f"({best.first_word}, {best.last_word}) {100 * best.probability:.1f} %" in repr(widget)


def test_hostile_text_is_text_in_the_words() -> None:
    root = ET.fromstring(SpanExplorer(MODEL, HOSTILE, HOSTILE).to_words())
    assert {node.tag for node in root.iter()} == {"div", "p", "b", "code"}


def test_what_cannot_be_answered_is_refused_and_the_picture_stays() -> None:
    with pytest.raises(InputError, match="tokens and this picture shows at most 512: shorten the"):
        SpanExplorer(MODEL, "who?", "word " * 50_000)
    with pytest.raises(InputError, match="SpanExplorer shows .* for question answering"):
        SpanExplorer(finetuned("classification"), "a", "b")
    with pytest.raises(InputError, match="is empty: give its text"):
        SpanExplorer(MODEL, "who?", "  ")
    widget = SpanExplorer(MODEL, QUESTION, DOCUMENT)
    widget.settings = {"start": 9, "end": 12, "threshold": 2.5}
    before = repr(widget)
    widget.document = ""
    assert "is empty" in widget.problem
    assert repr(widget) == before
    widget.document = DOCUMENT
    assert widget.problem == ""
    assert widget.settings == {"start": None, "end": None, "view": "joint", "threshold": 2.5}
    with pytest.raises(InputError, match="There is no position 400: they go from 0 to"):
        widget.settings = {"start": 400}
    with pytest.raises(InputError, match="view is 'log'; it must be joint or product"):
        widget.settings = {"view": "log"}
