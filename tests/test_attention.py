"""Attention as the formula reads, against loops, and against torch's fused kernel."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from bertedu import attend, attention_probs, attention_scores


def test_scores_are_scaled_dot_products() -> None:
    query, key = torch.randn(3, 5), torch.randn(4, 5)
    scores = attention_scores(query, key)
    for i in range(3):
        for j in range(4):
            expected = sum(float(query[i, d] * key[j, d]) for d in range(5)) / math.sqrt(5)
            assert math.isclose(float(scores[i, j]), expected, abs_tol=1e-5)


@given(st.integers(0, 2**31), st.lists(st.booleans(), min_size=1, max_size=12).filter(any))
def test_masked_keys_get_exactly_nothing(seed, kept) -> None:
    mask = torch.tensor(kept)
    scores = 50 * torch.randn(3, len(kept), generator=torch.Generator().manual_seed(seed))
    probs = attention_probs(scores, mask)
    assert not probs[:, ~mask].any()
    torch.testing.assert_close(probs.sum(-1), torch.ones(3))
    torch.testing.assert_close(probs[:, mask], scores[:, mask].softmax(-1))


@given(st.integers(0, 2**31), st.booleans())
def test_the_formula_equals_the_fused_kernel(seed, masked) -> None:
    generator = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, 2, 4, 7, 8, generator=generator)
    mask = None
    if masked:
        mask = torch.rand(2, 1, 1, 7, generator=generator) < 0.6
        mask[..., 0] = True
    context, probs = attend(query, key, value, mask)
    fused = F.scaled_dot_product_attention(query, key, value, mask)
    torch.testing.assert_close(context, fused, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(context, probs @ value)


def test_dropout_leaves_pairs_out_and_keeps_the_sum_on_average() -> None:
    torch.manual_seed(0)
    same = torch.zeros(200, 4)
    ones = torch.ones(200, 1)
    context, probs = attend(same, same, ones, dropout=0.5)
    assert float(probs.min()) == float(probs.max()) > 0  # returned before dropout
    assert len(context.unique()) > 1
    assert abs(float(context.mean()) - 1) < 0.02
