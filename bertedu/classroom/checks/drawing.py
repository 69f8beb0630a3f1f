"""Legal inputs, drawn: what the checks of the lessons put together from a seeded generator."""

import random
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def generator(rng: random.Random) -> torch.Generator:
    """Returns torch's kind of generator, seeded by Python's."""
    return torch.Generator().manual_seed(rng.randrange(2**31))


def normal(rng: random.Random, *shape: int, scale: float = 1.0) -> Tensor:
    """Returns normally distributed numbers.

    Args:
        rng: decides.
        shape: of the result.
        scale: their standard deviation.
    """
    return scale * torch.randn(*shape, generator=generator(rng))


def whole(rng: random.Random, low: int, high: int, *shape: int) -> Tensor:
    """Returns whole numbers from `low` to `high - 1`, each equally likely."""
    return torch.randint(low, high, shape, generator=generator(rng))


def padded(rng: random.Random, B: int, S: int) -> Tensor:
    """Returns an attention mask [B, S]: in each row one or more ones, and then zeros."""
    return (torch.arange(S) < whole(rng, 1, S + 1, B, 1)).long()


def some(rng: random.Random, items: Sequence[T], least: int, most: int) -> list[T]:
    """Returns `least` to `most` of the items, repetitions allowed."""
    return rng.choices(items, k=rng.randint(least, most))
