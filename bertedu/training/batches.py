"""Which inputs make a batch, which part of it a process takes, and memory for many of them."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bertedu.utils.validation import IGNORED

Batch = dict[str, Tensor]
"""A model's keyword arguments: input_ids, token_type_ids, attention_mask, and labels."""

# Settings of glibc's malloc.h: their numbers, and their values during such work and after it.
# Afterwards they are those that glibc itself comes to in a process with large pieces.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_KEEP = {_TRIM_THRESHOLD: 2**30, _TOP_PAD: 2**26, _MMAP_MAX: 0}
_GIVE_BACK = {_TRIM_THRESHOLD: 2**26, _TOP_PAD: 2**17, _MMAP_THRESHOLD: 2**25, _MMAP_MAX: 65_536}

_works: list[object] = []  # that are under way


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


@contextmanager
def kept_memory() -> Iterator[None]:
    """Lets the memory that a batch frees stay for the next one; afterwards it goes back.

    glibc hands a large piece back to the system as soon as it is free. The next batch asks for
    it again, and the system fills each of its pages with zeros first: a tenth of the time of a
    training, and less of many predictions (benchmarks/allocator.py). The settings are those of
    the whole process; after the last such work they are glibc's own, whatever was set before.
    Where the memory is not glibc's, nothing happens.

    Source: glibc's manual, section 3.2.3.7, Malloc Tunable Parameters.
    """
    libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not (hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim")):
        yield
        return
    for setting, value in _KEEP.items():
        libc.mallopt(setting, value)
    _works.append(work := object())
    try:
        yield
    finally:
        _works.remove(work)
        if not _works:
            for setting, value in _GIVE_BACK.items():
                libc.mallopt(setting, value)
            libc.malloc_trim(0)
