"""One step of training, its learning rate and time: the same for both loops."""

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from bertedu.errors import InputError
from bertedu.tokenizer import BertTokenizer
from bertedu.training.batches import Batch, counted, share
from bertedu.training.checkpoints import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from accelerate import Accelerator


class TrainingRecipe(Protocol):
    """What the recipes of both loops, dataclasses, say about a step."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def learning_rate(self) -> float: ...  # noqa: D102 (the recipes say it)
    @property
    def weight_decay(self) -> float: ...  # noqa: D102
    @property
    def clip_norm(self) -> float: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102


class OneProcess:
    """Stands where an `accelerate.Accelerator` may stand: one process, nothing to share."""

    process_index, num_processes, is_main_process = 0, 1, True

    def __init__(self, model: nn.Module) -> None:
        self.device = next(model.parameters()).device

    def prepare(self, *parts: Any) -> tuple[Any, ...]:
        """Returns model and optimizer as they are."""
        return parts

    def backward(self, loss: Tensor) -> None:
        """Adds the loss's gradients to the weights'."""
        loss.backward()  # type: ignore[no-untyped-call]

    def clip_grad_norm_(self, parameters: Iterable[Tensor], max_norm: float) -> Tensor:
        """Shortens the gradient where it is longer than `max_norm`; returns its length."""
        return nn.utils.clip_grad_norm_(parameters, max_norm)

    def reduce(self, tensor: Tensor, _: str) -> Tensor:
        """Returns what all processes have, together."""
        return tensor

    def wait_for_everyone(self) -> None:
        """Waits for nobody."""


class Trainer:
    """A model in training: its optimizer, and this process's part in every step.

    Args:
        model: trained in place.
        recipe: the optimizer's numbers, and the seed.
        accelerator: of the `accelerate` package, for several processes or a GPU; None trains
            where the model is.
        checkpoint: of an interrupted run, to go on from.

    Attributes:
        done: how many steps lie behind the model.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: TrainingRecipe,
        accelerator: "Accelerator | OneProcess | None" = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.accelerator: Any = accelerator or OneProcess(model)
        self.recipe = recipe
        self.model = model.to(self.accelerator.device)
        optimizer = make_optimizer(model, recipe)
        self.done = load_checkpoint(checkpoint, model, optimizer) if checkpoint else 0
        self.trained, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.accelerator.wait_for_everyone()  # all have read what the leader may now remove

    def step(
        self, batch: Batch, losses: Callable[[Any], dict[str, Tensor]], learning_rate: float
    ) -> Tensor:
        """Makes a step; returns the parts of its loss, nats, over the batch, before the update.

        Args:
            batch: of all processes together.
            losses: takes the model's output, and returns the parts of its loss by the labels that
                each is the mean over.
            learning_rate: of this step.

        Raises:
            InputError: the loss or its gradient is no number any more; the weights stay.
        """
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        self.trained.train()
        torch.manual_seed(seed_of(self.recipe.seed, self.done * world + rank))  # dropout
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        mine = {n: share(v, rank, world).to(self.accelerator.device) for n, v in batch.items()}
        idle = rank >= len(batch["input_ids"])
        # Each process has means over its own share; weighted, they add up to the whole batch's.
        parts = torch.stack([
            mean * (0.0 if idle else counted(mine[name]) / max(1, counted(batch[name])))
            for name, mean in losses(self.trained(**mine)).items()
        ])  # fmt: skip
        whole: Tensor = self.accelerator.reduce(parts.detach(), "sum")
        self._check("loss", whole.sum())
        self.accelerator.backward(parts.sum() * world)  # the processes' gradients are averaged
        length = self.accelerator.clip_grad_norm_(self.trained.parameters(), self.recipe.clip_norm)
        if getattr(self.accelerator, "scaler", None) is None:  # fp16's leaves out such a step
            self._check("gradient", length)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        return whole

    def _check(self, what: str, value: Tensor) -> None:
        if not math.isfinite(number := float(value)):
            raise InputError(
                f"the {what} is {number} in step {self.done + 1}, and nothing was saved over: "
                "choose another folder and a lower learning rate, or look at the starting weights"
            )

    def save(self, finished: Path, tokenizer: BertTokenizer) -> None:
        """Writes a checkpoint, by the process that leads; see `save_checkpoint`."""
        if self.accelerator.is_main_process:
            save_checkpoint(finished, self.model, self.optimizer, tokenizer, self.recipe)


def make_optimizer(model: nn.Module, recipe: TrainingRecipe) -> torch.optim.AdamW:
    """Returns AdamW with the paper's two groups: biases and LayerNorm do not decay.

    Source: google-research/bert optimization.py, create_optimizer; torch's AdamW also corrects
    Adam's bias, which the paper's does not.
    """
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        plain = name.endswith("bias") or "LayerNorm" in name
        (kept if plain else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, eps=1e-6, fused=True)


def seed_of(seed: int, number: int) -> int:
    """Returns the seed of a step's own random numbers."""
    return seed * 1_000_003 + number


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
