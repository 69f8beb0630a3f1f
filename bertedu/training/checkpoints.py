"""What pretraining and fine-tuning share: the optimizer, and checkpoints that are always whole."""

import contextlib
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bertedu.checkpoint import load_into, save_pretrained
from bertedu.errors import CheckpointError
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.files import replacing, write_json
from bertedu.utils.validation import IGNORED

if TYPE_CHECKING:
    from bertedu.finetuning.recipe import FinetuningRecipe
    from bertedu.pretraining.run import Recipe


def counted(labels: Tensor) -> int:
    """Returns how many labels the loss counts."""
    return int((labels != IGNORED).sum())


def make_optimizer(model: nn.Module, recipe: "Recipe | FinetuningRecipe") -> torch.optim.AdamW:
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


def save_checkpoint(
    finished: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokenizer: BertTokenizer,
    recipe: "Recipe | FinetuningRecipe",
) -> None:
    """Writes a checkpoint beside the last, then removes the last: one of them is always whole.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written to.
    """
    folder = finished.parent
    unfinished = folder / "unfinished"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        save_pretrained(model, unfinished, tokenizer)
        with replacing(unfinished / "optimizer.pt") as temporary:
            torch.save(optimizer.state_dict(), temporary)
        write_json(unfinished / "recipe.json", asdict(recipe))
        unfinished.replace(finished)
    except (OSError, RuntimeError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CheckpointError(
            f"{finished} could not be written ({error}): make room, then run the same command to "
            "go on from the checkpoint before it"
        ) from error
    for older in checkpoints(folder)[:-1]:
        shutil.rmtree(older, ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """Returns a run's finished checkpoints, the newest last."""
    return sorted(folder.glob("step-*"))


def resume(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: "Recipe | FinetuningRecipe",
) -> int:
    """Loads a run's newest checkpoint and returns the number of steps it has behind it.

    Raises:
        CheckpointError: it is the run of another recipe, or damaged.
    """
    if not (finished := checkpoints(folder)):
        return 0
    newest = finished[-1]
    with reading(newest):
        theirs: dict[str, Any] = json.loads((newest / "recipe.json").read_text("utf-8"))
    ours = json.loads(json.dumps(asdict(recipe)))
    if different := [name for name in ours if ours[name] != theirs.get(name)]:
        name = different[0]
        raise CheckpointError(
            f"{folder} holds a run with {name} = {theirs.get(name)}, not {ours[name]}: continue "
            "it with its own settings, or choose another folder"
        )
    load_into(model, newest)
    with reading(newest):
        optimizer.load_state_dict(torch.load(newest / "optimizer.pt", weights_only=True))
    return int(newest.name.removeprefix("step-"))


@contextlib.contextmanager
def reading(part: Path) -> Iterator[None]:
    """Says, of whatever goes wrong inside, that this part of a run's folder is damaged."""
    try:
        yield
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CheckpointError(
            f"{part} is damaged ({reason}): delete {part.parent} to begin anew"
        ) from error


def hours_left(steps: int, seconds_per_step: float) -> str:
    """Returns a duration as people say it.

    Example:
        >>> hours_left(100, 1.5), hours_left(4000, 1.5)
        ('3 min', '1 h 40 min')
    """
    minutes = math.ceil(steps * seconds_per_step / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
