"""How the learning rate goes over a run, and how long the run will take."""

import math
import time
from typing import Any

from torch import Tensor


def learning_rate_at(step: int, steps: int, *, peak: float, warmup: int, fall: int) -> float:
    """Returns the learning rate of a step: it rises, stays, and falls to 0, each linearly.

    Args:
        step: counted from 0.
        steps: of the whole run.
        peak: the highest learning rate.
        warmup: steps over which it rises.
        fall: the step from which it falls, `warmup` or later; until then it stays.

    Source: google-research/bert optimization.py, create_optimizer (it falls at once); Hu et al.
    2024, MiniCPM, section 4 (it stays).

    Example:
        >>> [learning_rate_at(i, 6, peak=1.0, warmup=2, fall=2) for i in range(6)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
        >>> [learning_rate_at(i, 6, peak=1.0, warmup=2, fall=4) for i in range(6)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.5]
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    if step < fall:
        return peak
    return peak * (steps - step) / max(1, steps - fall)


def seconds_of(model: Any, batch: dict[str, Tensor]) -> float:
    """Returns how long a forward and a backward pass take; nobody uses the gradients."""
    began = time.perf_counter()
    model.train()
    model(**batch).loss.backward()
    model.zero_grad(set_to_none=True)
    return time.perf_counter() - began


def hours_left(steps: int, seconds_per_step: float) -> str:
    """Returns a duration as people say it.

    Example:
        >>> hours_left(100, 1.5), hours_left(4000, 1.5)
        ('3 min', '1 h 40 min')
    """
    minutes = math.ceil(steps * seconds_per_step / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
