"""What an interrupted run goes on from: checkpoints that are always whole."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bertedu.checkpoint import load_into, read_config, save_pretrained
from bertedu.errors import CheckpointError
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.files import replacing, write_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def save_checkpoint(
    finished: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokenizer: BertTokenizer,
    recipe: "DataclassInstance",
) -> None:
    """Writes a checkpoint beside the last, then removes the last: one of them is always whole.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written to.
    """
    with finishing(finished) as unfinished:
        save_pretrained(model, unfinished, tokenizer)
        with replacing(unfinished / "optimizer.pt") as temporary:
            torch.save(optimizer.state_dict(), temporary)
        write_json(unfinished / "recipe.json", asdict(recipe))
    for older in checkpoints(finished.parent)[:-1]:
        shutil.rmtree(older, ignore_errors=True)


@contextlib.contextmanager
def finishing(finished: Path) -> Iterator[Path]:
    """Gives a folder that takes the name `finished` once everything in it is written.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written to.
    """
    unfinished = finished.parent / "unfinished"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        yield unfinished
        unfinished.replace(finished)
    except CheckpointError:  # not the disk's fault, and said already
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    except (OSError, RuntimeError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CheckpointError(
            f"{finished} could not be written ({error}): make room, then run the same command to "
            "go on from the checkpoint before it"
        ) from error


def checkpoints(folder: Path) -> list[Path]:
    """Returns a run's finished checkpoints, the newest last."""
    return sorted(folder.glob("step-*"))


def remove_after(folder: Path, steps: int) -> None:
    """Removes a run's checkpoints that have more steps behind them than so many."""
    for checkpoint in checkpoints(folder):
        if steps_behind(checkpoint) > steps:
            shutil.rmtree(checkpoint)


def checkpoint_name(steps: int) -> str:
    """Returns the name of the checkpoint that has so many steps behind it.

    Example:
        >>> checkpoint_name(200), steps_behind(Path("run") / checkpoint_name(200))
        ('step-0000200', 200)
    """
    return f"step-{steps:07d}"


def steps_behind(checkpoint: Path) -> int:
    """Returns the number of steps that a checkpoint has behind it."""
    return int(checkpoint.name.removeprefix("step-"))


def newest(folder: Path, recipe: "DataclassInstance") -> Path | None:
    """Returns a run's newest checkpoint, None where there is none.

    Raises:
        CheckpointError: it is the run of another recipe, or damaged.
    """
    if not (finished := checkpoints(folder)):
        return None
    if different := differences(finished[-1], recipe):
        raise another_run(folder, different)
    return finished[-1]


def differences(checkpoint: Path, recipe: "DataclassInstance") -> dict[str, tuple[Any, Any]]:
    """Returns the settings that differ in a checkpoint's run, each as theirs and ours.

    A setting that is newer than the run had its default there.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    ours: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    defaults = {f.name: f.default for f in fields(recipe) if f.default is not MISSING}
    with reading(checkpoint):
        theirs = defaults | json.loads((checkpoint / "recipe.json").read_text("utf-8"))
    return {
        name: (theirs.get(name), value) for name, value in ours.items() if theirs.get(name) != value
    }


def another_run(
    folder: Path, different: dict[str, tuple[Any, Any]], hint: str = ""
) -> CheckpointError:
    """Returns the error that a folder holds the run of another recipe."""
    name, (theirs, ours) = next(iter(different.items()))
    return CheckpointError(
        f"{folder} holds a run with {name} = {theirs}, not {ours}: continue it with its own "
        f"settings, or choose another folder{hint}"
    )


def load_checkpoint(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Loads a checkpoint and returns the number of steps that it has behind it.

    Raises:
        CheckpointError: it is damaged, or of a run with another dropout.
    """
    theirs = read_config(checkpoint).hidden_dropout_prob
    ours: float = model.config.hidden_dropout_prob  # type: ignore[assignment, union-attr]
    if theirs != ours:
        raise another_run(checkpoint.parent, {"dropout": (theirs, ours)})
    load_into(model, checkpoint)
    with reading(checkpoint):
        optimizer.load_state_dict(torch.load(checkpoint / "optimizer.pt", weights_only=True))
    return steps_behind(checkpoint)


@contextlib.contextmanager
def reading(part: Path, cure: str = "") -> Iterator[None]:
    """Says, of whatever goes wrong inside, that this part of a run's folder is damaged.

    Args:
        part: a file or folder of the run.
        cure: what to do; by default, to delete the run.
    """
    try:
        yield
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CheckpointError(
            f"{part} is damaged ({reason}): {cure or f'delete {part.parent} to begin anew'}"
        ) from error
