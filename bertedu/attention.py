"""Scaled dot-product attention, as the formula reads.

The model computes the same with torch's fused kernel wherever nobody asks for the
probabilities; a test holds the two equal.
"""

import math

import torch
from torch import Tensor


def attention_scores(query: Tensor, key: Tensor) -> Tensor:
    """Returns how well each query matches each key: Q K^T / sqrt(D).

    Args:
        query: [..., S, D], one vector for each token that asks.
        key: [..., T, D], one vector for each token that may answer.

    Returns:
        Scores before the softmax, [..., S, T]; rows ask, columns answer.

    Source: Vaswani et al. 2017, section 3.2.1, equation 1 (their d_k is our D).

    Example:
        >>> attention_scores(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 9.0], [0.0, 1.0]]))
        tensor([[1.4142, 0.0000]])
    """
    return query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])


def attention_probs(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Returns the scores' softmax over the keys; every row sums to 1.

    Args:
        scores: [..., S, T].
        mask: boolean, broadcastable to [..., S, T]; False shuts a key out, with probability
            exactly 0. None lets every key in.

    Returns:
        Probabilities, [..., S, T].

    Source: Vaswani et al. 2017, section 3.2.1; BERT shuts out padding only.

    Example:
        >>> attention_probs(torch.zeros(1, 3), torch.tensor([True, True, False]))
        tensor([[0.5000, 0.5000, 0.0000]])
    """
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1)


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Returns each query's mixture of the values, and the probabilities it was mixed with.

    Args:
        query: [..., S, D].
        key: [..., T, D].
        value: [..., T, D].
        mask: as in `attention_probs`.
        dropout: probability of leaving a (query, key) pair out, while training.

    Returns:
        context [..., S, D] and attention_probs [..., S, T] (before dropout).

    Source: Vaswani et al. 2017, equation 1: softmax(Q K^T / sqrt(d_k)) V.

    Example:
        >>> same = torch.zeros(2, 4)
        >>> context, probs = attend(same, same, torch.tensor([[0.0], [1.0]]))
        >>> context.tolist(), probs.sum(-1).tolist()
        ([[0.5], [0.5]], [1.0, 1.0])
    """
    probs = attention_probs(attention_scores(query, key), mask)
    return torch.dropout(probs, dropout, train=dropout > 0) @ value, probs
