"""What a model can compute with, and one sentence for everything else."""

import dataclasses
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bertedu.config import BertConfig
from bertedu.errors import CheckpointError, InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

IGNORED = -100
"""The label of a position, or a pair, that the loss leaves out."""
MOST_SEED = 10**12
"""A recipe's; with a step's number it makes a seed that torch takes (`seed_of`)."""


def check_input(
    config: BertConfig,
    input_ids: Tensor,
    token_type_ids: Tensor | None,
    attention_mask: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns ids, segments and the boolean mask of real tokens (None when all are real).

    Args:
        config: how many ids, segments and positions there are.
        input_ids: as given to the model.
        token_type_ids: as given to the model.
        attention_mask: as given to the model.

    Raises:
        InputError: what is wrong with the first tensor that cannot be used.

    Example:
        >>> check_input(BertConfig(vocab_size=9), torch.tensor([[7, 9]]), None, None)
        Traceback (most recent call last):
        bertedu.errors.InputError: input_ids holds 9; this model's ids go from 0 to 8: encode the
        text with the tokenizer that belongs to the model
    """
    tensors = {"input_ids": input_ids, "token_type_ids": token_type_ids}
    for name, given in (tensors | {"attention_mask": attention_mask}).items():
        if given is not None and not isinstance(given, Tensor):
            raise InputError(
                f"{name} is a {type(given).__name__}, not a tensor: torch.tensor(...) makes one"
            )
    if input_ids.ndim != 2 or 0 in input_ids.shape:
        raise InputError(
            f"input_ids has shape {list(input_ids.shape)}; it must be [batch, sequence], "
            "neither of them 0"
        )
    if input_ids.shape[1] > config.max_position_embeddings:
        raise InputError(
            f"the input has {input_ids.shape[1]:,} tokens and this model has "
            f"{config.max_position_embeddings} positions: shorten the text, or encode it with "
            "truncate=True"
        )
    if token_type_ids is None:
        token_type_ids = torch.zeros_like(input_ids)
    _check_ids("input_ids", input_ids, input_ids.shape, config.vocab_size)
    _check_ids("token_type_ids", token_type_ids, input_ids.shape, config.type_vocab_size)
    if attention_mask is None:
        return input_ids, token_type_ids, None
    real = _real_tokens(attention_mask, input_ids.shape)
    return input_ids, token_type_ids, None if bool(real.all()) else real


def _check_ids(name: str, ids: Tensor, shape: torch.Size, size: int) -> None:
    if ids.dtype not in (torch.int64, torch.int32):
        raise InputError(f"{name} is {ids.dtype}; ids must be integers (torch.int64)")
    if ids.shape != shape:
        raise InputError(
            f"{name} has shape {list(ids.shape)}, input_ids {list(shape)}; they must be the same"
        )
    low, high = (int(value) for value in ids.aminmax())
    if low < 0 or high >= size:
        raise InputError(
            f"{name} holds {low if low < 0 else high}; this model's ids go from 0 to {size - 1}: "
            "encode the text with the tokenizer that belongs to the model"
        )


def _real_tokens(attention_mask: Tensor, shape: torch.Size) -> Tensor:
    if attention_mask.shape != shape:
        raise InputError(
            f"attention_mask has shape {list(attention_mask.shape)}, input_ids {list(shape)}; "
            "it must have one 1 or 0 a token"
        )
    real = attention_mask.bool()
    if bool((odd := attention_mask != real).any()):
        raise InputError(
            f"attention_mask holds {attention_mask[odd][0].item()}; 1 is a real token, 0 is padding"
        )
    if not real.any(dim=1).all():
        raise InputError("attention_mask has a row of zeros: an input needs at least one token")
    return real


def check_labels(name: str, labels: Tensor, shape: torch.Size, classes: int) -> None:
    """Refuses labels that the loss cannot use.

    Args:
        name: what to call them in the error.
        labels: classes, or IGNORED.
        shape: what their shape must be.
        classes: how many there are.

    Raises:
        InputError: another type than int64, another shape, or a label that is no class.
    """
    if labels.dtype != torch.int64:
        raise InputError(f"{name} is {labels.dtype}; labels must be torch.int64")
    if labels.shape != shape:
        raise InputError(f"{name} has shape {list(labels.shape)}; it must be {list(shape)}")
    wrong = labels[(labels != IGNORED) & ((labels < 0) | (labels >= classes))]
    if len(wrong):
        raise InputError(
            f"{name} holds {int(wrong[0])}; they go from 0 to {classes - 1}, or are {IGNORED} "
            "where nothing is counted"
        )


def check_numbers(recipe: "DataclassInstance") -> None:
    """Refuses a recipe with a number that is negative, infinite or none, or a seed too large.

    Raises:
        InputError: it names the setting.
    """
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            raise InputError(f"{field.name} is {value}; it must be at least 0, and finite")
        if field.name == "seed" and value > MOST_SEED:
            raise InputError(f"seed is {value}; it must be at most {MOST_SEED:,}")


def all_finite(weight: Tensor) -> bool:
    """Returns whether a tensor holds no NaN and no infinity, without a mask of its size.

    Example:
        >>> all_finite(torch.tensor([2.0, float("nan")])), all_finite(torch.empty(0))
        (False, True)
    """
    return not weight.numel() or all(bool(end.isfinite()) for end in weight.aminmax())


def check_finite(answer: Tensor) -> Tensor:
    """Returns a model's answer, of which some choice must be finite along the last axis.

    Raises:
        CheckpointError: the numbers ran over.

    Example:
        >>> check_finite(torch.tensor([2.0, float("nan")]))
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: the model's answer is no finite number: its weights are
        damaged, or its training diverged
    """
    if not bool(answer.amax(-1).isfinite().all()):
        raise CheckpointError(
            "the model's answer is no finite number: its weights are damaged, or its training "
            "diverged"
        )
    return answer
