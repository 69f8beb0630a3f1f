"""Averaging checkpoints: weights that one run led to, or one start, lie in one valley."""

import math
import os
from collections.abc import Mapping

import torch
from torch import Tensor

from bertedu.bert import HEADS
from bertedu.checkpoint import (
    load_into,
    load_tokenizer,
    named,
    read_config,
    read_weights,
    resolve,
    save_pretrained,
)
from bertedu.errors import CheckpointError, InputError
from bertedu.heads import BertForPreTraining

__all__ = ["average"]


def average(
    shares: Mapping[str | os.PathLike[str], float],
    out: str | os.PathLike[str],
    *,
    keep: tuple[str, ...] = (),
    dtype: torch.dtype = torch.float32,
) -> None:
    """Writes the weighted mean of checkpoints, tensor by tensor.

    Between a model and what further training made of it, the mean is often better than either,
    and it keeps of the first what the training wore off.

    Args:
        shares: a checkpoint's name or folder, and its share; they sum to 1. A tensor that a
            checkpoint lacks (a head, say) is the mean over those that have it. Config and
            tokenizer are the first one's.
        out: the folder to write.
        keep: parameters with one of these in their name are the first one's alone.
        dtype: of the numbers in the file.

    Raises:
        InputError: shares that do not sum to 1.
        CheckpointError: a folder that cannot be read or written, or another architecture.

    Source: Wortsman et al. 2022 (WiSE-FT), arXiv:2109.01903.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     average({"bertedu": 1.0}, folder)
        ...     sorted(os.listdir(folder))
        ['config.json', 'model.safetensors', 'tokenizer_config.json', 'vocab.txt']
    """
    if not math.isclose(sum(shares.values()), 1) or min(shares.values()) <= 0:
        raise InputError(f"the shares are {[*shares.values()]}; they must be above 0 and sum to 1")
    folders = [resolve(name) for name in shares]
    sums: dict[str, Tensor] = {}
    counted: dict[str, float] = {}  # the shares of those that have a tensor
    for folder, share in zip(folders, shares.values(), strict=True):
        for name, tensor in named(read_weights(folder), folder).items():
            if folder != folders[0] and any(part in name for part in keep):
                continue
            if tensor.shape != sums.get(name, tensor).shape:
                raise CheckpointError(f"{folder}: {name} has another shape than in {folders[0]}")
            sums[name] = sums.get(name, 0) + share * tensor
            counted[name] = counted.get(name, 0) + share
    model = BertForPreTraining(read_config(folders[0]))
    mean = {name: total / counted[name] for name, total in sums.items()}
    load_into(model, mean, may_be_new=HEADS, source=folders[0])
    save_pretrained(model, out, load_tokenizer(folders[0]), dtype)
