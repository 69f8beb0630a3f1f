"""The rules that the browser has as well: Python makes cases, node runs static/rules/ on them."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from bertedu import load_tokenizer
from bertedu.finetuning.bio import mend, slots_of
from bertedu.finetuning.spans import best_spans, illegal_spans
from bertedu.pretraining.masking import MaskingRule
from bertedu.tokenizer import kept_lengths
from bertedu.widgets.mask_explorer import fates_from_draws
from bertedu.widgets.palette import STATIC
from bertedu.wordpiece import wordpiece_trace

TOKENIZER = load_tokenizer()
RULES = sorted(file.stem for file in (STATIC / "rules").glob("*.js"))
RNG = np.random.default_rng(15)
TEXTS = [
    "my dog is hairy",
    "[MASK] [SEP]##s unaffable hairballs [PAD] ## ####",
    "Outplaying unbelievable embeddings, 你好 🤗 précipitation ☃z",
    "word " * 50,
]


def in_node(rule: str, script: str, cases: list[object], folder: Path) -> list[object]:
    """What `script`, a function of a case, gives for each with the functions of static/rules/."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (folder / "cases.json").write_text(json.dumps(cases))
    code = f"""
      import {{ readFileSync }} from "node:fs";
      import * as rule from {json.dumps((STATIC / "rules" / f"{rule}.js").as_uri())};
      const cases = JSON.parse(readFileSync({json.dumps(str(folder / "cases.json"))}));
      const run = {script};
      console.log(JSON.stringify(cases.map(run)));
    """
    command = ["node", "--no-warnings", "--input-type=module", "--eval", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert len(answers) == len(cases)
    return answers


def test_every_rule_is_tried_and_stands_alone() -> None:
    assert RULES == ["bio", "masking", "pairs", "spans", "wordpiece"]
    for name in RULES:
        text = (STATIC / "rules" / f"{name}.js").read_text()
        assert "import" not in text, "a widget's module would hold it twice"


def test_masking(tmp_path: Path) -> None:
    """The fates of 20 rolls, under 60 rules on each text."""
    cases, expected = [], []
    for text in TEXTS:
        ids = TOKENIZER.encode(text).input_ids
        keys, draws = (torch.from_numpy(RNG.random((20, len(ids)))) for _ in range(2))
        draws[0] = draws[0].mul(10).round() / 10  # on the borders, too
        for _ in range(60):
            rate, mask = int(RNG.integers(1, 101)), int(RNG.integers(0, 101))
            random, whole = int(RNG.integers(0, 101 - mask)), bool(RNG.integers(2))
            rule = MaskingRule(rate / 100, mask / 100, random / 100, whole)
            fates = fates_from_draws(ids, TOKENIZER, keys, draws, rule)
            expected.append(fates.flatten().tolist())
            cases.append(
                {
                    "tokens": [TOKENIZER.tokens[i] for i in ids],
                    "special": [int(i) in TOKENIZER.special_ids for i in ids],
                    "order": {"values": keys.argsort(dim=1).flatten().tolist()},
                    "draws": {"values": draws.flatten().tolist()},
                    "sliders": {
                        "rate": rate, "mask": mask, "random": random, "whole_words": whole
                    },
                }
            )  # fmt: skip
    script = "(each) => [...rule.fatesFromDraws(each, each.sliders)]"
    assert in_node("masking", script, cases, tmp_path) == expected
    assert {fate for row in expected for fate in row} == {0, 1, 2, 3}


def test_how_many_are_chosen(tmp_path: Path) -> None:
    cases = [[length, rate] for length in range(2, 257, 3) for rate in range(1, 101)]
    expected = [max(1, round(length * (rate / 100))) for length, rate in cases]
    assert in_node("masking", "([n, rate]) => rule.countToChoose(n, rate)", cases, tmp_path) == (
        expected
    )


def test_bio(tmp_path: Path) -> None:
    tags = ["O", "B-city", "I-city", "B-day", "I-day"]
    cases = [[str(tag) for tag in RNG.choice(tags, RNG.integers(0, 10))] for _ in range(300)]
    script = """(tags) => {
      const { legal, mended } = rule.mend(tags);
      const slots = rule.slotsOf(tags.map((_, i) => [3 * i, 3 * i + 2]), legal);
      return [legal, mended, slots.map((s) => [s.label, s.start, s.end, s.first, s.last])];
    }"""
    expected = []
    for tags in cases:
        legal, mended = mend(tags)
        slots = slots_of(" " * 40, [(3 * i, 3 * i + 2) for i in range(len(tags))], legal)
        found = [[s.label, s.start, s.end, s.first_word, s.last_word] for s in slots]
        expected.append([legal, mended, found])
    assert in_node("bio", script, cases, tmp_path) == expected


def test_spans(tmp_path: Path) -> None:
    """Which pair is best, how many are none and why, exactly; the probabilities, nearly."""
    cases, expected, totals = [], [], []
    for _ in range(120):
        begin, length = int(RNG.integers(1, 6)), int(RNG.integers(1, 24))
        most, size = int(RNG.integers(1, 12)), begin + length + 1
        starts, ends = RNG.normal(0, 3, (2, size)).round(3)  # none tie
        null = float(RNG.normal()) if RNG.integers(2) else None
        first, last = (torch.tensor(x[begin:-1], dtype=torch.float64) for x in (starts, ends))
        theirs = best_spans(first, last, max_tokens=most, null_score=null)
        best = theirs.spans[0]
        expected.append(
            [[best.first + begin, best.last + begin], illegal_spans(size, length, most)]
        )
        totals.append([best.probability, theirs.no_answer_probability])
        cases.append(
            {
                "tokens": [""] * size, "begin": begin, "most": most,
                "starts": {"values": starts.tolist()}, "ends": {"values": ends.tolist()},
                "no_answer": null is not None, "null_score": null or 0,
            }
        )  # fmt: skip
    script = """(data) => {
      const none = Object.fromEntries(rule.REASONS.map((reason) => [reason, 0]));
      const scoreOf = (s, e) => data.starts.values[s] + data.ends.values[e];
      let best = null;
      data.tokens.forEach((_, s) => data.tokens.forEach((_, e) => {
        const why = rule.judge(data, s, e);
        if (why !== rule.LEGAL) none[why] += 1;
        else if (!best || scoreOf(s, e) > scoreOf(...best)) best = [s, e];
      }));
      const total = rule.logTotal(data);
      const silence = data.no_answer ? Math.exp(data.null_score - total) : 0;
      return [[best, none], [Math.exp(scoreOf(...best) - total), silence]];
    }"""
    answers = in_node("spans", script, cases, tmp_path)
    assert [exact for exact, _ in answers] == expected
    assert np.allclose([shares for _, shares in answers], totals, rtol=1e-12, atol=1e-15)


def test_the_truncation_of_pairs(tmp_path: Path) -> None:
    cases = [[a, b, room] for room in (2, 3, 5, 12, 61) for a in range(1, 70) for b in range(1, 70)]
    expected = [list(kept_lengths(*case)) for case in cases]
    assert (
        in_node("pairs", "(lengths) => rule.keptLengths(...lengths)", cases, tmp_path) == expected
    )


def test_wordpiece(tmp_path: Path) -> None:
    """All candidates of each word, in the order tried, from what alone the browser receives."""
    words = [
        word
        for text in [*TEXTS, "unaffable playing 12345 \u0301 ﬁ qqqq"]
        for word in wordpiece_trace(text, TOKENIZER).words
        if word.searches
    ]
    vocab = TOKENIZER.vocab
    cases = [
        {"text": w.text, "matches": [[tried[-1], vocab.get(tried[-1])] for tried in w.searches]}
        for w in words
    ]
    script = """(word) => rule.candidatesTried(word)
      .map(({ candidate, piece, found }) => [candidate, piece, found])"""
    answers = in_node("wordpiece", script, cases, tmp_path)
    expected = [
        [
            [candidate, piece, candidate in vocab]
            for piece, tried in enumerate(word.searches)
            for candidate in tried
        ]
        for word in words
    ]
    assert answers == expected
    assert len(words) > 20
