"""`bertedu finetune`: examples in, a fine-tuned model out; interrupted, it goes on where it was."""

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bertedu.checkpoint import read_config, resolve
from bertedu.commands.data import add_reading, reading
from bertedu.commands.training import Stop, accelerator, add_precision, alone, followed
from bertedu.errors import InputError
from bertedu.finetuning.model import load
from bertedu.finetuning.registry import TASKS
from bertedu.finetuning.run import FinetuningRecipe, FinetuningRun
from bertedu.finetuning.task import Task
from bertedu.training.step import hours_left
from bertedu.utils.files import write_json

if TYPE_CHECKING:
    from accelerate import Accelerator

DEFAULTS = FinetuningRecipe  # its attributes are the defaults


def case(word: str) -> str:
    """Returns a case's name as it is in Python."""
    return word.replace("-", "_")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    add = parser.add_argument
    add("case", type=case, choices=TASKS, metavar="CASE", help=", ".join(TASKS))
    add("data", metavar="DATA", help="file, folder or hub:NAME:SPLIT to learn from")
    add("--out", required=True, type=Path, help="folder of the fine-tuned model")
    add("--dev", help="to choose the best state by; by default a tenth of DATA")
    add("--test", help="to judge the result by")
    add_reading(parser)
    add("--init", default="bertedu", help="checkpoint or adapter to start from, or scratch")
    add("--epochs", type=int, default=DEFAULTS.epochs)
    add("--batch-size", type=int, default=DEFAULTS.batch_size, help="examples a step")
    add("--batch-tokens", type=int, default=DEFAULTS.batch_tokens, help="tokens a step, at most")
    add("--learning-rate", type=float, default=DEFAULTS.learning_rate, help="the peak")
    add("--max-length", type=int, help="tokens an example; 128, questions 384")
    add("--dropout", type=float, help="instead of the checkpoint's own")
    add("--freeze-layers", type=int, default=0, help="from the bottom")
    add("--lora", type=int, default=0, metavar="RANK", help="an adapter, by low-rank updates")
    add("--half", action="store_true", help="write 16-bit numbers")
    add("--patience", type=int, help="evaluations without a better one before it ends")
    options = {option: task for task in TASKS.values() for option in task.options}
    for option, task in options.items():
        add(f"--{option}", type=type(getattr(task, option)), help=task.options[option])
    add_precision(parser)
    add("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    hardware = accelerator(args.precision)
    with alone(args.out, hardware.is_main_process):
        return train(args, hardware)


def train(args: argparse.Namespace, hardware: "Accelerator") -> int:
    """Trains in a folder that no other run is writing to; returns the command's exit code."""
    from tqdm.auto import tqdm

    leads = hardware.is_main_process
    task_class = TASKS[args.case]
    chosen = {name: getattr(args, name) for name in task_class.options}
    task = task_class(**{name: value for name, value in chosen.items() if value is not None})
    given = reading(args)
    examples = task.read(args.data, **given)
    test = task.read(args.test, **given) if args.test else None
    if args.dev:
        dev = task.read(args.dev, **given)
    else:
        examples, dev = held_out(task, examples, share=0.1, seed=args.seed)
    recipe = FinetuningRecipe(
        epochs=args.epochs,
        batch_size=args.batch_size,
        batch_tokens=args.batch_tokens,
        learning_rate=args.learning_rate,
        max_length=args.max_length,
        dropout=args.dropout,
        freeze_layers=args.freeze_layers,
        lora_rank=args.lora,
        patience=args.patience,
        seed=args.seed,
    )
    start = args.init
    if start == "scratch":  # the embedded checkpoint's sizes, fresh weights
        start = read_config(resolve("bertedu"))
    training = FinetuningRun(
        task, start, examples, dev, recipe=recipe, folder=args.out / "run", accelerator=hardware,
    )  # fmt: skip
    if leads:
        announce(training, examples, dev)

    began = time.perf_counter()
    with Stop() as stop:
        for report in followed(
            iter(training), training.steps, lambda step: {"loss": f"{step.loss:.2f}"}, stop,
            shown=leads,
        ):  # fmt: skip
            if report.metrics and leads:
                tqdm.write(f"epoch {report.epoch + 1}: {described(report.metrics)}")
        if stop.asked:
            return 130
    seconds = time.perf_counter() - began
    if leads:
        finish(args.out, training, test, seconds, len(examples), half=args.half)
    return 0


def held_out(
    task: Task[Any, Any], examples: list[Any], share: float, seed: int
) -> tuple[list[Any], list[Any]]:
    """Returns two parts of a task's examples; those of one group stay together.

    Raises:
        InputError: there are too few examples.
    """
    groups: dict[Any, list[Any]] = {}
    for number, example in enumerate(examples):
        group = task.group(example)
        groups.setdefault(number if group is None else group, []).append(example)
    order = list(groups.values())
    count = round(share * len(order))
    if not 1 <= count < len(order):
        raise InputError(f"{len(examples)} examples are too few to hold some out: give --dev")
    shuffled = [order[i] for i in np.random.default_rng(seed).permutation(len(order))]
    dev, train = shuffled[:count], shuffled[count:]
    return [e for group in train for e in group], [e for group in dev for e in group]


def announce(training: FinetuningRun[Any, Any], train: Sequence[Any], dev: Sequence[Any]) -> None:
    """Prints what lies ahead, and how long it will take."""
    parameters = sum(p.numel() for p in training.model.parameters() if p.requires_grad)
    labels = getattr(training.task, "labels", ())
    kinds = f", {len(labels)} labels" if labels else ""
    print(
        f"{len(train):,} examples to learn from, {len(dev):,} to judge by{kinds}\n"
        f"{parameters:,} parameters to train in {training.steps:,} steps, about "
        f"{hours_left(1, training.estimate())} on this machine",
        flush=True,
    )


def finish(
    out: Path,
    training: FinetuningRun[Any, Any],
    test: list[Any] | None,
    seconds: float,
    examples: int,
    *,
    half: bool,
) -> None:
    """Saves the model and its metrics, and prints them."""
    tuned = training.finetuned
    tuned.save(out, torch.float16 if half else torch.float32)
    if half:  # the test judges what was saved
        tuned.model.load_state_dict(load(out).model.state_dict())
    results: dict[str, Any] = {
        "case": tuned.task.name,
        "examples": examples,
        "steps": training.steps,
        "seconds": round(seconds, 1),
        "dev": tuned.metrics,
    }
    print(f"dev: {described(tuned.metrics)}")
    if test is not None:
        results["test"] = tuned.evaluate(test, progress=True)
        print(f"test: {described(results['test'])}")
    write_json(out / "metrics.json", results)
    shutil.rmtree(out / "run", ignore_errors=True)
    print(f"saved in {out}")


def described(metrics: dict[str, float]) -> str:
    """Returns metrics as one line.

    Example:
        >>> described({"accuracy": 0.5, "intent_accuracy": 1.0})
        'accuracy 50.0%, intent accuracy 100.0%'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value:.1%}" for name, value in metrics.items())
