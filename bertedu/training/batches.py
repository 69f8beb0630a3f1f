"""Which inputs make a batch, and which part of it a process takes."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bertedu.utils.validation import IGNORED

Batch = dict[str, Tensor]
"""A model's keyword arguments: input_ids, token_type_ids, attention_mask, and labels."""


def bucketed(
    rows: NDArray[np.int64], lengths: NDArray[np.int64], tokens: int, most: int | None = None
) -> list[NDArray[np.int64]]:
    """Returns the rows cut into batches of like length, so that little of them is padding.

    Args:
        rows: which inputs.
        lengths: of all inputs, tokens.
        tokens: of a batch at most, padding counted, unless a single input has more.
        most: inputs of a batch at most.

    Returns:
        Batches of rows, those of the longest inputs first.

    Example:
        >>> bucketed(np.arange(4), np.array([3, 9, 5, 4]), tokens=10)
        [array([1]), array([2, 3]), array([0])]
    """
    rows = rows[np.argsort(-lengths[rows], kind="stable")]
    batches = []
    while len(rows):
        fit = max(1, tokens // int(lengths[rows[0]]))  # the first is the longest
        batches.append(rows[: min(fit, most or fit)])
        rows = rows[len(batches[-1]) :]
    return batches


def share(values: Tensor, rank: int, world: int) -> Tensor:
    """Returns a process's rows of a batch; the first row where none is left, to count for 0."""
    mine = values[rank::world]
    return mine if len(mine) else values[:1]


def counted(labels: Tensor) -> int:
    """Returns how many labels the loss counts."""
    return int((labels != IGNORED).sum())
