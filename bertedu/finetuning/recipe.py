"""The numbers that decide a fine-tuning run, and the batches and evaluations they lead to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertedu.errors import InputError

POOL = 20  # batches: within so many, examples of like length are put together


@dataclass(frozen=True)
class FinetuningRecipe:
    """Everything that decides a run, apart from the task, the examples and the start weights.

    Args:
        epochs: how often every example is seen.
        batch_size: examples a step at most, all processes together.
        batch_tokens: tokens a step at most, padding counted, unless one example alone has more.
        learning_rate: the peak, reached at the end of the warm-up.
        warmup: share of the steps over which the learning rate rises; then it falls to 0.
        weight_decay: of everything but biases and LayerNorm.
        clip_norm: the gradient's length at most.
        max_length: tokens of an input; None = the task's, 128, or 384 for question answering.
        dropout: instead of the checkpoint's own.
        freeze_layers: how many layers keep their weights, from the bottom; the embeddings, too,
            if it is one or more.
        freeze_encoder: everything below the head keeps its weights, the pooler too.
        evaluations_per_epoch: on the development split.
        patience: evaluations without a better one after which the run ends early; None = none.
        seed: decides the head's first weights, the order of the examples, and dropout.

    Raises:
        InputError: a number that cannot be used.

    Source: Devlin et al. 2019, appendix A.3.
    """

    epochs: int = 3
    batch_size: int = 32
    batch_tokens: int = 4096
    learning_rate: float = 1e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    max_length: int | None = None
    dropout: float | None = None
    freeze_layers: int = 0
    freeze_encoder: bool = False
    evaluations_per_epoch: int = 1
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        from_one = ("epochs", "batch_size", "batch_tokens", "evaluations_per_epoch", "patience")
        for name in (*from_one, "seed", "learning_rate", "clip_norm", "freeze_layers"):
            value, least = getattr(self, name), int(name in from_one)
            if value is not None and value < least:
                raise InputError(f"{name} is {value}; it must be at least {least}")
        if not 0 <= self.warmup <= 1:
            raise InputError(f"warmup is {self.warmup}, a share of the steps: from 0 to 1")

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Returns the learning rate of a step, counted from 0, in a run of so many.

        Example:
            >>> recipe = FinetuningRecipe(learning_rate=1.0, warmup=0.2)
            >>> [round(recipe.learning_rate_at(step, 10), 3) for step in (0, 1, 2, 9)]
            [0.5, 1.0, 1.0, 0.125]
        """
        rising = round(self.warmup * steps)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * (steps - step) / max(1, steps - rising)


def batches_of(lengths: NDArray[np.int64], recipe: FinetuningRecipe, epoch: int) -> list[list[int]]:
    """Returns the rows of each batch of an epoch: examples of like length, batches shuffled.

    Example:
        >>> recipe = FinetuningRecipe(batch_size=2, batch_tokens=10)
        >>> sorted(batches_of(np.array([3, 9, 5, 4]), recipe, epoch=0))
        [[0], [1], [2, 3]]
    """
    rng = np.random.default_rng([recipe.seed, epoch])
    shuffled = rng.permutation(len(lengths))
    batches = []
    for first in range(0, len(shuffled), POOL * recipe.batch_size):
        pool = shuffled[first : first + POOL * recipe.batch_size]
        rows = pool[np.argsort(-lengths[pool], kind="stable")].tolist()
        while rows:
            fit = max(1, recipe.batch_tokens // int(lengths[rows[0]]))  # the first is the longest
            size = min(recipe.batch_size, fit)
            batches.append(rows[:size])
            rows = rows[size:]
    return [batches[i] for i in rng.permutation(len(batches))]


def evaluation_steps(batches: Sequence[int], recipe: FinetuningRecipe) -> Iterator[int]:
    """Yields the steps after which the development split is looked at.

    Example:
        >>> list(evaluation_steps([10, 10], FinetuningRecipe(evaluations_per_epoch=2)))
        [4, 9, 14, 19]
    """
    first = 0
    for count in batches:
        for part in range(1, recipe.evaluations_per_epoch + 1):
            yield first + max(1, count * part // recipe.evaluations_per_epoch) - 1
        first += count
