"""Spans and windows: what is decoded is what trying every pair would find."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertedu import InputError
from bertedu.finetuning.spans import (
    Windows,
    best_spans,
    best_window,
    illegal_spans,
    legal_scores,
    merge_logits,
    windows_of,
)
from tests.cases import TOKENIZER

LOGITS = st.integers(1, 9).flatmap(
    lambda n: st.tuples(*[st.lists(st.floats(-9, 9, width=16), min_size=n, max_size=n)] * 2)
)


@given(LOGITS, st.integers(1, 12), st.integers(1, 30), st.none() | st.floats(-9, 9))
def test_decoding_equals_trying_every_pair(logits, most, n_best, null_score) -> None:
    start, end = (torch.tensor(values, dtype=torch.float32) for values in logits)
    every = {
        (i, j): float(start[i] + end[j])
        for i in range(len(start))
        for j in range(i, min(len(start), i + most))
    }
    total = sum(math.exp(score) for score in every.values())
    total += 0 if null_score is None else math.exp(null_score)
    found = best_spans(start, end, n_best=n_best, max_tokens=most, null_score=null_score)
    assert len(found.spans) == min(n_best, len(every))
    ranked = sorted(every.values(), reverse=True)
    for span, score in zip(found.spans, ranked, strict=False):
        assert every[span.first, span.last] == pytest.approx(span.score, abs=1e-4)
        assert span.score == pytest.approx(score, abs=1e-4)
        assert span.probability == pytest.approx(math.exp(span.score) / total, rel=1e-4)
    assert len({(s.first, s.last) for s in found.spans}) == len(found.spans)
    mass = sum(span.probability for span in found.spans) + found.no_answer_probability
    assert mass <= 1 + 1e-9
    if n_best >= len(every):
        assert mass == pytest.approx(1)
    if null_score is None:
        assert found.no_answer_probability == 0
    else:
        assert found.no_answer_probability == pytest.approx(math.exp(null_score) / total, rel=1e-4)


@given(st.integers(1, 9), st.integers(2, 6), st.integers(1, 12))
def test_illegal_spans_are_counted_as_one_would_by_hand(document, around, most) -> None:
    size = document + around
    counts = dict.fromkeys(("outside the document", "end before start", "too long"), 0)
    for i in range(size):
        for j in range(size):
            if i >= document or j >= document:
                counts["outside the document"] += 1
            elif j < i:
                counts["end before start"] += 1
            elif j - i + 1 > most:
                counts["too long"] += 1
    assert illegal_spans(size, document, most) == counts
    legal = legal_scores(torch.zeros(document), torch.zeros(document), most).isfinite().sum()
    assert sum(counts.values()) + int(legal) == size * size


def test_a_very_sure_model_gives_probabilities_all_the_same() -> None:
    logits = torch.tensor([300.0, -300.0])
    found = best_spans(logits, logits, null_score=-500.0)
    assert found.spans[0].probability == pytest.approx(1)
    assert found.no_answer_probability == 0
    assert all(math.isfinite(span.probability) for span in found.spans)


WINDOWS = st.tuples(st.integers(1, 60), st.integers(10, 25), st.integers(0, 5))


@given(WINDOWS)
def test_windows_cover_every_token_and_give_the_document_back(sizes) -> None:
    words, length, overlap = sizes
    document = " ".join(["w1", "romes", "."][i % 3] for i in range(words))
    encodings = TOKENIZER.encode_windows("who", document, max_length=length, overlap=overlap)
    windows = windows_of(encodings, overlap)
    whole = TOKENIZER.encode("who", document)
    assert windows.tokens == whole.tokens
    assert windows.offsets == whole.offsets
    assert windows.first == 3
    covered = [set(range(a, b)) for a, b in zip(windows.starts, windows.stops, strict=True)]
    assert set().union(*covered) == set(range(len(whole.tokens) - 4))
    for encoding, start in zip(encodings, windows.starts, strict=True):
        assert encoding.tokens[3:-1] == whole.tokens[3 + start : 3 + start + len(encoding) - 4]

    chosen = best_window(windows).tolist()
    for token, window in enumerate(chosen):
        context = [
            min(token - a, b - 1 - token) if a <= token < b else -1
            for a, b in zip(windows.starts, windows.stops, strict=True)
        ]
        assert context[window] == max(context)
        assert context.index(max(context)) == window

    logits = [torch.full((len(e), 2), float(k)) for k, e in enumerate(encodings)]
    for k, (row, start, stop) in enumerate(zip(logits, windows.starts, windows.stops, strict=True)):
        row[3:-1, 1] = torch.arange(start, stop) + 100.0 * k
    merged = merge_logits(windows, logits)
    assert merged[3:-1, 0].tolist() == chosen
    assert merged[3:-1, 1].tolist() == [t + 100.0 * k for t, k in enumerate(chosen)]
    assert merged.shape == (len(whole), 2)


def test_the_surest_window_speaks_for_no_answer() -> None:
    windows = Windows(1, [0, 1], [2, 3], [], [])
    logits = [torch.tensor([[value] * 2] * 4) for value in (8.0, 3.0)]
    assert merge_logits(windows, logits)[0].tolist() == [3.0, 3.0]
    with pytest.raises(InputError, match="2 windows have 1 outputs"):
        merge_logits(windows, logits[:1])
