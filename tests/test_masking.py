"""Masks: how many, which, what becomes of them, and the same on every machine."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bertedu.errors import InputError
from bertedu.pretraining.masking import (
    IGNORED,
    KEPT,
    MASKED,
    NOT_CHOSEN,
    RANDOM,
    MaskingRule,
    decide,
    draw,
    mask_tokens,
)
from bertedu.tokenizer import SPECIAL_TOKENS, BertTokenizer

WORDS = [f"w{n}" for n in range(20)]
PIECES = [f"##p{n}" for n in range(10)]
TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, "[unused0]", *WORDS, *PIECES, "[unused1]"])
PAD, CLS, SEP = TOKENIZER.pad_token_id, TOKENIZER.cls_token_id, TOKENIZER.sep_token_id
ORDINARY = [TOKENIZER.vocab[token] for token in WORDS + PIECES]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def full_batch(rows: int, columns: int, seed: int = 0) -> Tensor:
    """[CLS] ordinary ... ordinary [SEP], no padding."""
    ids = torch.tensor(ORDINARY)[
        torch.randint(len(ORDINARY), (rows, columns), generator=seeded(seed))
    ]
    ids[:, 0], ids[:, -1] = CLS, SEP
    return ids


@st.composite
def batches(draw: st.DrawFn) -> Tensor:
    """Rows of any tokens, special ones anywhere, padded at the end, perhaps entirely."""
    columns = draw(st.integers(1, 40))
    token = st.integers(0, len(TOKENIZER) - 1).filter(lambda index: index != PAD)
    row = st.lists(token, max_size=columns).map(lambda ids: ids + [PAD] * (columns - len(ids)))
    return torch.tensor(draw(st.lists(row, min_size=1, max_size=6)))


@st.composite
def rules(draw: st.DrawFn, whole_words: bool | None = None) -> MaskingRule:
    mask_share = draw(st.floats(0, 1))
    return MaskingRule(
        rate=draw(st.floats(0.01, 1)),
        mask_share=mask_share,
        random_share=draw(st.floats(0, 1)) * (1 - mask_share),
        whole_words=draw(st.booleans()) if whole_words is None else whole_words,
    )


def wanted(row: Tensor, rate: float) -> int:
    """The reference code's count, for one row."""
    return max(1, round(int((row != PAD).sum()) * rate))


def words_of(row: list[int]) -> list[list[int]]:
    """Positions of each word: a piece belongs to the ordinary token right before it."""
    words: list[list[int]] = []
    for position, token in enumerate(row):
        if token in TOKENIZER.special_ids:
            continue
        if TOKENIZER.tokens[token].startswith("##") and words and words[-1][-1] == position - 1:
            words[-1].append(position)
        else:
            words.append([position])
    return words


@given(batches(), rules(), st.integers(0, 2**32))
def test_every_token_meets_one_of_four_fates(
    input_ids: Tensor, rule: MaskingRule, seed: int
) -> None:
    before = input_ids.clone()
    seen, labels, fates = mask_tokens(input_ids, TOKENIZER, seeded(seed), rule)

    assert torch.equal(input_ids, before)
    assert fates.dtype == torch.uint8
    assert seen.dtype == labels.dtype == torch.int64
    chosen = fates != NOT_CHOSEN
    assert torch.equal(labels, torch.where(chosen, before, IGNORED))
    assert not chosen[torch.isin(before, torch.tensor(sorted(TOKENIZER.special_ids)))].any()
    assert torch.equal(seen[~chosen], before[~chosen])
    assert (seen[fates == MASKED] == TOKENIZER.mask_token_id).all()
    assert torch.isin(seen[fates == RANDOM], TOKENIZER.ordinary_ids).all()
    assert torch.equal(seen[fates == KEPT], before[fates == KEPT])


@given(batches(), rules(whole_words=False), st.integers(0, 2**32))
def test_exactly_the_reference_count_is_chosen(
    input_ids: Tensor, rule: MaskingRule, seed: int
) -> None:
    fates = mask_tokens(input_ids, TOKENIZER, seeded(seed), rule).fates
    for row, row_fates in zip(input_ids, fates, strict=True):
        candidates = sum(map(len, words_of(row.tolist())))
        assert int((row_fates != NOT_CHOSEN).sum()) == min(wanted(row, rule.rate), candidates)


@pytest.mark.parametrize(
    ("length", "count"),
    [(3, 1), (9, 1), (10, 2), (30, 4), (50, 8), (128, 19), (512, 77)],
)
def test_count_rounds_half_to_even_and_counts_special_tokens(length: int, count: int) -> None:
    labels = mask_tokens(full_batch(3, length), TOKENIZER, seeded()).labels
    assert (labels != IGNORED).sum(1).tolist() == [min(count, length - 2)] * 3


def test_padding_does_not_count() -> None:
    row = full_batch(1, 20)
    padded = torch.cat([row, torch.full((1, 108), PAD)], dim=1)
    assert int((mask_tokens(padded, TOKENIZER, seeded()).labels != IGNORED).sum()) == 3


def test_attention_mask_decides_what_is_padding() -> None:
    input_ids = full_batch(200, 20)
    attention_mask = (torch.arange(20) < 10).long().expand(200, 20)
    labels = mask_tokens(input_ids, TOKENIZER, seeded(), attention_mask=attention_mask).labels
    assert (labels[:, 10:] == IGNORED).all()
    assert ((labels != IGNORED).sum(1) == 2).all()


@given(batches(), rules(whole_words=True), st.integers(0, 2**32))
def test_whole_words_follow_the_reference_walk(
    input_ids: Tensor, rule: MaskingRule, seed: int
) -> None:
    chosen = mask_tokens(input_ids, TOKENIZER, seeded(seed), rule).fates != NOT_CHOSEN
    keys = torch.rand(input_ids.shape, generator=seeded(seed), dtype=torch.float64)
    for row, row_keys, row_chosen in zip(input_ids, keys, chosen, strict=True):
        words = words_of(row.tolist())
        room = wanted(row, rule.rate)
        expected: list[int] = []
        for number in sorted(range(len(words)), key=row_keys.tolist().__getitem__):
            if len(words[number]) <= room:
                expected += words[number]
                room -= len(words[number])
        assert row_chosen.nonzero().flatten().tolist() == sorted(expected)


def test_a_piece_after_a_special_token_is_a_word_of_its_own() -> None:
    first, piece = TOKENIZER.vocab["w1"], TOKENIZER.vocab["##p1"]
    input_ids = torch.tensor([[CLS, first, SEP, piece, SEP]]).expand(400, 5)
    rule = MaskingRule(whole_words=True)  # one token a row
    chosen = mask_tokens(input_ids, TOKENIZER, seeded(), rule).fates != NOT_CHOSEN
    assert chosen[:, 1].any()
    assert chosen[:, 3].any()
    assert (chosen.sum(1) == 1).all()


@pytest.mark.parametrize("whole_words", [False, True])
def test_rows_without_ordinary_tokens_get_no_label(whole_words: bool) -> None:
    input_ids = torch.tensor([[CLS, SEP, SEP], [PAD, PAD, PAD]])
    masked = mask_tokens(input_ids, TOKENIZER, seeded(), MaskingRule(whole_words=whole_words))
    assert torch.equal(masked.input_ids, input_ids)
    assert (masked.labels == IGNORED).all()


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
@pytest.mark.parametrize("whole_words", [False, True])
def test_an_empty_batch_stays_empty(shape: tuple[int, int], whole_words: bool) -> None:
    empty = torch.zeros(shape, dtype=torch.int64)
    masked = mask_tokens(empty, TOKENIZER, seeded(), MaskingRule(whole_words=whole_words))
    assert masked.fates.shape == shape


def test_masks_are_new_in_every_epoch_and_repeat_with_the_seed() -> None:
    input_ids, generator = full_batch(8, 64), seeded(3)
    first = mask_tokens(input_ids, TOKENIZER, generator)
    second = mask_tokens(input_ids, TOKENIZER, generator)
    assert not torch.equal(first.fates, second.fates)
    again = mask_tokens(input_ids, TOKENIZER, seeded(3))
    assert all(map(torch.equal, first, again))


GOLDEN_INPUT = [
    [2, 6, 26, 7, 27, 28, 8, 9, 29, 10, 11, 3],
    [2, 12, 13, 30, 14, 15, 3, 0, 0, 0, 0, 0],
]
GOLDEN = {
    False: [
        [[2, 6, 26, 7, 27, 4, 4, 4, 29, 13, 28, 3], [2, 4, 4, 4, 14, 4, 3, 0, 0, 0, 0, 0]],
        [
            [-100, -100, 26, -100, -100, 28, 8, 9, -100, 10, 11, -100],
            [-100, 12, 13, 30, -100, 15, -100, -100, -100, -100, -100, -100],
        ],
        [[0, 0, 3, 0, 0, 1, 1, 1, 0, 2, 2, 0], [0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0]],
    ],
    True: [
        [[2, 6, 4, 7, 27, 28, 4, 4, 13, 10, 28, 3], [2, 12, 4, 4, 4, 4, 3, 0, 0, 0, 0, 0]],
        [
            [-100, 6, 26, -100, -100, -100, 8, 9, 29, -100, 11, -100],
            [-100, -100, 13, 30, 14, 15, -100, -100, -100, -100, -100, -100],
        ],
        [[0, 3, 1, 0, 0, 0, 1, 1, 2, 0, 2, 0], [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]],
    ],
}


@pytest.mark.parametrize("whole_words", [False, True])
def test_golden_result(whole_words: bool) -> None:
    """Drawn once and written down: another machine or version must give the same."""
    rule = MaskingRule(rate=0.5, mask_share=0.5, random_share=0.3, whole_words=whole_words)
    masked = mask_tokens(torch.tensor(GOLDEN_INPUT), TOKENIZER, seeded(2024), rule)
    assert [tensor.tolist() for tensor in masked] == GOLDEN[whole_words]


# The statistical tests draw n = 239,400 chosen tokens (6,300 rows x 38 of 256). The standard
# deviation of the share of [MASK] is then sqrt(0.8 x 0.2 / n) = 0.0008, that of the share of
# random tokens sqrt(0.1 x 0.9 / n) = 0.0006. A tolerance of 4 standard deviations would fail by
# chance once in 10,000 seeds (this one is fixed); a share that is off by one point, 79/11/10,
# lies at least 12 of them away, and is caught with a probability above 1 - 1e-15.
ROWS, COLUMNS, CHOSEN_A_ROW = 6_300, 256, 38


def shares_agree(rule: MaskingRule, with_shares: tuple[float, float, float]) -> bool:
    fates = mask_tokens(full_batch(ROWS, COLUMNS), TOKENIZER, seeded(1), rule).fates
    count = torch.bincount(fates.flatten().long(), minlength=4)[1:]
    n = int(count.sum())
    assert n == ROWS * CHOSEN_A_ROW
    return all(
        abs(int(count[fate - 1]) / n - share) < 4 * math.sqrt(share * (1 - share) / n)
        for fate, share in zip((MASKED, RANDOM, KEPT), with_shares, strict=True)
    )


def test_proportions_are_80_10_10() -> None:
    assert shares_agree(MaskingRule(), (0.8, 0.1, 0.1))


@pytest.mark.parametrize("shares", [(0.79, 0.11), (0.8, 0.11), (0.79, 0.1), (0.81, 0.09)])
def test_the_proportion_test_catches_one_point(shares: tuple[float, float]) -> None:
    assert not shares_agree(MaskingRule(0.15, *shares), (0.8, 0.1, 0.1))


def chi_square(count: Tensor) -> float:
    expected = count.sum().double() / len(count)
    return float(((count - expected) ** 2 / expected).sum())


def test_every_position_and_every_random_token_is_equally_likely() -> None:
    rule = MaskingRule(mask_share=0.0, random_share=1.0)
    seen, _, fates = mask_tokens(full_batch(20_000, 32), TOKENIZER, seeded(5), rule)
    # 30 values, so 29 degrees of freedom: mean 29, and above 70 once in 30,000 seeds.
    assert chi_square((fates != NOT_CHOSEN)[:, 1:-1].sum(0)) < 70
    assert chi_square(torch.bincount(seen[fates == RANDOM])[ORDINARY]) < 70


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, math.nan])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(InputError, match="masking rate"):
        MaskingRule(rate=rate)


@pytest.mark.parametrize("shares", [(0.8, 0.3), (-0.1, 0.1), (0.5, -0.1), (math.nan, 0.1)])
def test_impossible_shares_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="sum to at most 1"):
        MaskingRule(0.15, *shares)


def test_shares_that_sum_to_one_but_for_rounding_are_fine() -> None:
    MaskingRule(mask_share=0.7, random_share=0.3 + 1e-15)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"needs a batch \[B, S\]"):
        mask_tokens(torch.tensor([2, 6, 3]), TOKENIZER, seeded())
    with pytest.raises(InputError, match="give both the same"):
        mask_tokens(full_batch(2, 5), TOKENIZER, seeded(), attention_mask=torch.ones(2, 4))


def test_only_the_cpu_draws() -> None:
    with pytest.raises(InputError, match="on the CPU"):
        mask_tokens(full_batch(2, 5).to("meta"), TOKENIZER, seeded())


def test_a_vocabulary_without_words_can_only_mask_or_keep() -> None:
    bare = BertTokenizer([*SPECIAL_TOKENS, "[unused0]"])
    input_ids = torch.tensor([[CLS, 5, SEP]])
    with pytest.raises(InputError, match="no ordinary token"):
        mask_tokens(input_ids, bare, seeded())
    rule = MaskingRule(mask_share=1.0, random_share=0.0)
    assert mask_tokens(input_ids, bare, seeded(), rule).input_ids.tolist() == [[CLS, 4, SEP]]


@given(batches(), rules(), st.integers(0, 2**32))
def test_masking_is_drawing_then_deciding(input_ids: Tensor, rule: MaskingRule, seed: int) -> None:
    """A plain loop over tokens, fed with the numbers drawn, meets the same fates."""
    draws = draw(input_ids, TOKENIZER, seeded(seed), rule)
    fates = decide(input_ids, draws, rule, TOKENIZER)
    assert torch.equal(fates, mask_tokens(input_ids, TOKENIZER, seeded(seed), rule).fates)
    assert torch.equal(fates == NOT_CHOSEN, draws.fate.isnan())
    for fate, number in zip(fates.flatten().tolist(), draws.fate.flatten().tolist(), strict=True):
        if fate == NOT_CHOSEN:
            continue
        expected = KEPT
        if number < rule.mask_share + rule.random_share:
            expected = RANDOM
        if number < rule.mask_share:
            expected = MASKED
        assert fate == expected


def test_deciding_changes_nothing_and_draws_nothing() -> None:
    """Other shares decide otherwise by the same numbers; the chosen tokens stay."""
    input_ids = full_batch(50, 40)
    draws = draw(input_ids, TOKENIZER, seeded())
    before = [numbers.clone() for numbers in draws]
    all_masked = decide(input_ids, draws, MaskingRule(mask_share=1.0, random_share=0.0), TOKENIZER)
    by_paper = decide(input_ids, draws, MaskingRule(), TOKENIZER)
    assert torch.equal(all_masked == MASKED, by_paper != NOT_CHOSEN)
    assert len(by_paper.unique()) == 4
    for kept, numbers in zip(before, draws, strict=True):
        assert torch.equal(kept.nan_to_num(-1), numbers.nan_to_num(-1))
