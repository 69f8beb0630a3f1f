"""Sentence pairs: exactly 1:1, from the right documents, packed and cut as in the paper."""

import math
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bertedu.errors import InputError
from bertedu.pretraining.corpus import Corpus
from bertedu.pretraining.pairs import (
    EXAMPLE,
    IS_NEXT,
    NO_PAIR,
    NOT_NEXT,
    PairSampler,
    PairStatistics,
)
from bertedu.tokenizer import SPECIAL_TOKENS, BertTokenizer

TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *(f"w{n}" for n in range(20))])
PAD, CLS, SEP = TOKENIZER.pad_token_id, TOKENIZER.cls_token_id, TOKENIZER.sep_token_id
Documents = list[list[list[int]]]


def corpus_of(documents: Documents) -> Corpus:
    sentences = [sentence for document in documents for sentence in document]
    return Corpus(
        np.array([token for sentence in sentences for token in sentence], np.uint16),
        np.cumsum([0, *map(len, sentences)], dtype=np.int64),
        np.cumsum([0, *map(len, documents)], dtype=np.int64),
    )


def numbered(lengths: list[list[int]]) -> Corpus:
    """Documents of sentences of so many tokens, each token its own number: none occurs twice."""
    count = iter(range(10, 1 << 16))
    return corpus_of([[[next(count) for _ in range(n)] for n in document] for document in lengths])


LENGTHS = st.lists(st.integers(1, 30) | st.just(100), min_size=1, max_size=12)
CORPORA = (
    st.lists(LENGTHS, min_size=2, max_size=8)
    .filter(lambda documents: sum(len(document) > 1 for document in documents) > 1)
    .map(numbered)
)
SEEDS = st.integers(0, 2**32)
MAX_LENGTHS = st.integers(5, 64) | st.just(512)


def document_of(corpus: Corpus, position: int) -> int:
    starts = corpus.sentence_starts[corpus.document_starts]
    return int(np.searchsorted(starts, position, side="right")) - 1


def boundary_within(corpus: Corpus, first: int, last: int) -> bool:
    starts = corpus.sentence_starts
    return bool(np.searchsorted(starts, first) < np.searchsorted(starts, last, side="right"))


@given(CORPORA, MAX_LENGTHS, SEEDS, st.booleans(), st.floats(0, 1))
def test_every_example_is_what_its_label_says(
    corpus: Corpus, max_length: int, seed: int, mlm_only: bool, short_share: float
) -> None:
    sampler = PairSampler(
        corpus,
        TOKENIZER,
        max_length=max_length,
        seed=seed,
        short_share=short_share,
        mlm_only=mlm_only,
    )
    examples, statistics = sampler.epoch(0)
    lengths = sampler.lengths(examples)
    assert statistics.follows == statistics.random
    assert (
        Counter(examples["next_sentence_label"].tolist())
        == Counter(
            {IS_NEXT: statistics.follows, NOT_NEXT: statistics.random, NO_PAIR: statistics.mlm_only}
        )
        + Counter()
    )
    assert lengths.max(initial=0) <= max_length
    for (a_start, a_end, b_start, b_end, label), length in zip(
        examples.tolist(), lengths.tolist(), strict=True
    ):
        assert a_start < a_end
        document = document_of(corpus, a_start)
        assert document == document_of(corpus, a_end - 1)
        if label == NO_PAIR:
            assert mlm_only
            assert b_start == b_end
            assert length == a_end - a_start + 2
            continue
        assert b_start < b_end
        assert length == a_end - a_start + b_end - b_start + 3
        b_document = document_of(corpus, b_start)
        assert b_document == document_of(corpus, b_end - 1)
        if label == NOT_NEXT:
            assert b_document != document
        else:
            assert b_document == document
            assert a_end <= b_start
            assert boundary_within(corpus, a_end, b_start)
            if length < max_length:  # then nothing was cut
                assert a_end == b_start


def uses_before_cutting(corpus: Corpus, max_length: int, seed: int = 0) -> list[int]:
    """How often each token is in an A, or in a B that follows, before pairs are cut to length."""
    sampler = PairSampler(corpus, TOKENIZER, max_length=max_length, seed=seed)
    pairs, _ = sampler._pairs(Random(seed))
    uses = np.zeros(len(corpus.ids), dtype=int)
    for a_start, a_end, b_start, b_end, label in pairs.tolist():
        uses[a_start:a_end] += 1
        if label == IS_NEXT:
            uses[b_start:b_end] += 1
    return uses.tolist()


@given(CORPORA, MAX_LENGTHS, SEEDS)
def test_before_cutting_every_sentence_is_used_exactly_once(
    corpus: Corpus, max_length: int, seed: int
) -> None:
    """What a random B displaces goes back; a single-sentence document is an A without B."""
    assert uses_before_cutting(corpus, max_length, seed) == [1] * len(corpus.ids)


@given(CORPORA, MAX_LENGTHS, SEEDS)
def test_statistics_add_up(corpus: Corpus, max_length: int, seed: int) -> None:
    options: dict[str, Any] = {"max_length": max_length, "seed": seed}
    without, few = PairSampler(corpus, TOKENIZER, **options).epoch(0)
    with_mlm, all_counts = PairSampler(corpus, TOKENIZER, **options, mlm_only=True).epoch(0)
    assert few.mlm_only == all_counts.dropped == 0
    assert few.dropped == all_counts.mlm_only == len(with_mlm) - len(without)
    sizes = np.diff(corpus.document_starts)
    assert few.single_sentence_documents == (sizes == 1).sum()
    assert few.dropped >= few.single_sentence_documents
    assert few.overlong_sentences == (np.diff(corpus.sentence_starts) > max_length - 3).sum()
    assert all_counts == replace(
        few, mlm_only=few.dropped, dropped=0, truncated=all_counts.truncated
    )


@given(CORPORA, MAX_LENGTHS, SEEDS)
def test_seed_and_epoch_decide_everything(corpus: Corpus, max_length: int, seed: int) -> None:
    one, same = (PairSampler(corpus, TOKENIZER, max_length=max_length, seed=seed) for _ in range(2))
    one.epoch(0)
    assert one.epoch(3).examples.tolist() == same.epoch(3).examples.tolist()


def test_epochs_and_seeds_differ() -> None:
    corpus = numbered([[5] * 40] * 20)
    sampler = PairSampler(corpus, TOKENIZER, max_length=64)
    other = PairSampler(corpus, TOKENIZER, max_length=64, seed=1)
    draws = [sampler.epoch(0), sampler.epoch(1), other.epoch(0)]
    assert len({draw.examples.tobytes() for draw in draws}) == 3


@given(CORPORA, SEEDS, st.data())
def test_documents_left_out_are_never_seen(corpus: Corpus, seed: int, data: st.DataObject) -> None:
    sizes = np.diff(corpus.document_starts)
    several = np.flatnonzero(sizes > 1).tolist()
    extra = data.draw(st.sets(st.sampled_from(range(len(corpus)))))
    documents = sorted({*several[:2], *extra})
    sampler = PairSampler(corpus, TOKENIZER, documents, max_length=40, seed=seed, mlm_only=True)
    seen = {
        document_of(corpus, position)
        for a_start, _, b_start, b_end, _ in sampler.epoch(0).examples.tolist()
        for position in ([a_start] if b_start == b_end else [a_start, b_start])
    }
    assert seen <= set(documents)


@given(CORPORA, MAX_LENGTHS, SEEDS, st.integers(0, 5))
def test_tensors_are_the_plain_rendering(
    corpus: Corpus, max_length: int, seed: int, padding: int
) -> None:
    sampler = PairSampler(corpus, TOKENIZER, max_length=max_length, seed=seed, mlm_only=True)
    examples = sampler.epoch(0).examples[:8]
    size = int(sampler.lengths(examples).max()) + padding
    batch = sampler.materialize(examples, pad_to=size)
    for row, (a_start, a_end, b_start, b_end, label) in enumerate(examples.tolist()):
        a, b = corpus.ids[a_start:a_end].tolist(), corpus.ids[b_start:b_end].tolist()
        ids = [CLS, *a, SEP, *b, *([SEP] if b else [])]
        types = [0] * (len(a) + 2) + [1] * (len(b) + 1 if b else 0)
        rest = size - len(ids)
        assert batch["input_ids"][row].tolist() == ids + [PAD] * rest
        assert batch["token_type_ids"][row].tolist() == types + [0] * rest
        assert batch["attention_mask"][row].tolist() == [1] * len(ids) + [0] * rest
        assert batch["next_sentence_label"][row] == label
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_batches_are_padded_to_their_longest_example() -> None:
    sampler = PairSampler(numbered([[5, 5]] * 6), TOKENIZER, max_length=64)
    examples = sampler.epoch(0).examples
    assert sampler.materialize(examples)["input_ids"].shape == (6, 18)
    assert sampler.materialize(examples[:0])["input_ids"].shape == (0, 0)
    with pytest.raises(InputError, match="18 tokens, more than pad_to = 17"):
        sampler.materialize(examples, pad_to=17)


WORDS = st.sampled_from([[5], [6], [5, 6], [6, 5], [5, 5]])


@given(st.lists(st.lists(WORDS, min_size=1, max_size=5), min_size=2, max_size=9), SEEDS)
def test_a_random_b_never_opens_with_the_true_continuation(documents: Documents, seed: int) -> None:
    """Few different sentences, so that other documents often continue in the very same way."""
    if sum(len(document) > 1 for document in documents) < 2:
        return
    corpus = corpus_of(documents)
    examples, statistics = PairSampler(corpus, TOKENIZER, max_length=64, seed=seed).epoch(0)
    assert statistics.follows == statistics.random
    assert not statistics.truncated
    for _, a_end, b_start, _, label in examples.tolist():
        after = int(np.searchsorted(corpus.sentence_starts, a_end))
        if label == NOT_NEXT and after < corpus.document_starts[document_of(corpus, a_end - 1) + 1]:
            opening = int(np.searchsorted(corpus.sentence_starts, b_start))
            assert corpus.sentence(opening).tolist() != corpus.sentence(after).tolist()


def test_documents_that_can_only_repeat_each_other_give_no_pairs() -> None:
    corpus = corpus_of([[[5], [5], [5]]] * 4)
    examples, statistics = PairSampler(corpus, TOKENIZER, max_length=5).epoch(0)
    assert statistics.follows == statistics.random
    for _, a_end, _, _, label in examples.tolist():
        assert label == IS_NEXT or a_end % 3 == 0  # only the last sentence has no continuation


def reference_lengths(a: int, b: int, room: int) -> tuple[int, int]:
    """The reference code's loop: one token of the longer segment at a time, on a tie of B."""
    while a + b > room:
        if a > b:
            a -= 1
        else:
            b -= 1
    return a, b


@pytest.mark.parametrize("room", [2, 3, 7, 8])
def test_truncation_leaves_what_the_reference_loop_leaves(room: int) -> None:
    before = [(a, b) for a in range(1, 20) for b in range(20)]
    examples = np.array([(100, 100 + a, 200, 200 + b, IS_NEXT) for a, b in before], EXAMPLE)
    sampler = PairSampler(numbered([[3, 3], [3, 3]]), TOKENIZER, max_length=room + 3)
    expected = [reference_lengths(a, b, room + (b == 0)) for a, b in before]  # no B, no [SEP]
    truncated = sampler._cut(examples, Random(0))
    assert [(a1 - a0, b1 - b0) for a0, a1, b0, b1, _ in examples.tolist()] == expected
    assert truncated == sum(map(tuple.__ne__, before, expected))
    for (a, b), (a0, a1, b0, b1, _) in zip(before, examples.tolist(), strict=True):
        assert 100 <= a0 <= a1 <= 100 + a
        assert 200 <= b0 <= b1 <= 200 + b


def pairs_of_long_documents(seed: int = 0) -> tuple[Corpus, NDArray[np.void], PairStatistics]:
    corpus = numbered([[7, 3, 11, 2, 9, 16] * 40] * 30)
    sampler = PairSampler(corpus, TOKENIZER, max_length=64, seed=seed)
    epochs = [sampler.epoch(epoch) for epoch in range(10)]
    assert len({epoch.statistics.overlong_sentences for epoch in epochs}) == 1
    return corpus, np.concatenate([epoch.examples for epoch in epochs]), epochs[0].statistics


def test_pairs_are_packed_to_the_target_length() -> None:
    _, examples, statistics = pairs_of_long_documents()
    length = examples["a_end"] - examples["a_start"] + examples["b_end"] - examples["b_start"] + 3
    full = (length == 64).mean()
    # A tenth aims short (in 1 of 60 draws at the full length after all), and the last pair of
    # a document may run out of text.
    assert 0.85 < full < 0.93
    assert statistics.shortened / (statistics.follows + statistics.random) == pytest.approx(
        0.1, abs=0.03
    )
    assert statistics.truncated > statistics.follows


def test_short_share_decides_how_many_aim_short() -> None:
    corpus = numbered([[7, 3, 11, 2, 9, 16] * 40] * 30)
    none = PairSampler(corpus, TOKENIZER, max_length=64, short_share=0.0).epoch(0)
    every = PairSampler(corpus, TOKENIZER, max_length=64, short_share=1.0).epoch(0)
    assert none.statistics.shortened == 0
    assert every.statistics.shortened >= len(every.examples)
    assert len(every.examples) > 1.5 * len(none.examples)


def test_cuts_fall_at_both_ends_alike() -> None:
    corpus, examples, _ = pairs_of_long_documents()
    at_boundary = {
        end: np.isin(examples[end], corpus.sentence_starts).mean() for end in EXAMPLE.names[:4]
    }
    # Each end is whole where nothing was cut or every coin showed the other end.
    assert 0.1 < at_boundary["a_start"] < 0.9
    assert at_boundary["a_start"] == pytest.approx(at_boundary["a_end"], abs=0.04)
    assert at_boundary["b_start"] == pytest.approx(at_boundary["b_end"], abs=0.04)


def test_a_random_b_comes_from_every_other_document_alike() -> None:
    corpus, examples, _ = pairs_of_long_documents()
    random = examples[examples["next_sentence_label"] == NOT_NEXT]
    starts = corpus.sentence_starts[corpus.document_starts]
    own, other = (
        np.searchsorted(starts, random[name], side="right") - 1 for name in ("a_start", "b_start")
    )
    count = np.bincount((other - own) % 30, minlength=30)
    assert count[0] == 0
    expected = count.sum() / 29
    # 28 degrees of freedom: mean 28, above 68 once in 30,000 seeds.
    assert ((count[1:] - expected) ** 2 / expected).sum() < 68
    assert expected > 50


def test_labels_do_not_depend_on_the_place_in_the_document() -> None:
    corpus, examples, _ = pairs_of_long_documents()
    starts = corpus.sentence_starts[corpus.document_starts]
    document = np.searchsorted(starts, examples["a_start"], side="right") - 1
    place = (examples["a_start"] - starts[document]) // 480  # quarters of a document
    for quarter in range(4):
        labels = examples["next_sentence_label"][place == quarter]
        four_deviations = 4 * math.sqrt(0.25 / len(labels))
        assert labels.mean() == pytest.approx(0.5, abs=four_deviations)


def test_labels_do_not_depend_on_whether_a_opens_its_document() -> None:
    """Many short documents, whose last sentence often stands alone and can only be random."""
    rng = np.random.default_rng(0)
    corpus = numbered([[8] * int(rng.integers(3, 9)) for _ in range(1_000)])
    sampler = PairSampler(corpus, TOKENIZER, max_length=64, short_share=0)
    examples = np.concatenate([sampler.epoch(epoch).examples for epoch in range(10)])
    opens = np.isin(examples["a_start"], corpus.sentence_starts[corpus.document_starts])
    labels = examples["next_sentence_label"][opens]
    assert len(labels) > 8_000
    assert labels.mean() == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / len(labels)))


def test_hardly_a_pair_is_left_out_for_the_balance() -> None:
    """Coins would leave out 6 of 100 pairs: so far apart are two halves of 176 of them."""
    sampler = PairSampler(numbered([[12] * 40] * 30), TOKENIZER, max_length=128)
    epochs = [sampler.epoch(epoch).statistics for epoch in range(20)]
    pairs = sum(epoch.follows + epoch.random for epoch in epochs)
    assert pairs > 2_000
    assert sum(epoch.dropped for epoch in epochs) < 0.02 * pairs


def test_sentences_longer_than_an_example_get_both_labels() -> None:
    corpus = numbered([[70, 90, 80] * 5] * 20)
    examples, statistics = PairSampler(corpus, TOKENIZER, max_length=32).epoch(0)
    assert statistics.overlong_sentences == 300
    assert statistics.truncated == len(examples) > 150
    assert statistics.follows == statistics.random


def test_very_long_documents_are_used_whole() -> None:
    corpus = numbered([[3] * 2_000, [3] * 1_500])
    assert set(uses_before_cutting(corpus, 512)) == {1}


def test_single_sentence_documents_are_never_part_of_a_pair() -> None:
    corpus = numbered([[4, 4, 4], [5], [4, 4], [6]])
    sampler = PairSampler(corpus, TOKENIZER, max_length=32, mlm_only=True)
    examples = sampler.epoch(0).examples
    pairs = examples[examples["next_sentence_label"] != NO_PAIR]
    positions = {*pairs["a_start"].tolist(), *pairs["b_start"].tolist()}
    assert not {1, 3} & {document_of(corpus, position) for position in positions}
    alone = examples[examples["next_sentence_label"] == NO_PAIR]
    assert {(12, 17), (25, 31)} <= set(
        zip(alone["a_start"].tolist(), alone["a_end"].tolist(), strict=True)
    )


def test_single_sentence_documents_alone_train_the_masked_model() -> None:
    corpus = numbered([[4], [50], [6]])
    examples, statistics = PairSampler(corpus, TOKENIZER, max_length=20, mlm_only=True).epoch(0)
    assert sorted((examples["a_end"] - examples["a_start"]).tolist()) == [4, 6, 18]
    assert (statistics.mlm_only, statistics.truncated) == (3, 1)


@pytest.mark.parametrize(
    ("lengths", "mlm_only"),
    [
        ([[3, 3, 3]], False),
        ([[3, 3, 3]], True),
        ([[3, 3], [3]], False),
        ([[3, 3], [3]], True),
        ([[3], [3]], False),
    ],
)
def test_too_few_documents_are_refused(lengths: list[list[int]], mlm_only: bool) -> None:
    with pytest.raises(InputError, match="at least two such documents"):
        PairSampler(numbered(lengths), TOKENIZER, mlm_only=mlm_only)


def test_lengths_without_room_for_a_pair_are_refused() -> None:
    corpus = numbered([[3, 3], [3, 3]])
    with pytest.raises(InputError, match="at least 5 tokens"):
        PairSampler(corpus, TOKENIZER, max_length=4)
    labels = PairSampler(corpus, TOKENIZER, max_length=5).epoch(0).examples["next_sentence_label"]
    assert sorted(labels.tolist()) == [IS_NEXT, NOT_NEXT]


def test_label_values_are_the_reference_ones() -> None:
    assert (IS_NEXT, NOT_NEXT) == (0, 1)
