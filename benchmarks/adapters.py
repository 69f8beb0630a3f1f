"""An adapter beside full fine-tuning: the same examples, order and steps, on a tenth of the data.

For each graduate, with the recipe of its card (its first part): low-rank updates with its learning
rate and twice that, then all weights with smaller ones; of two the better by the development split.
`benchmarks/graduates.py DATA OUT` writes the sets: --data DATA --sets OUT. The scores are of tests
by which nothing was chosen.
"""

import random
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import arguments, report

import bertedu
from bertedu.commands.training import accelerator
from bertedu.finetuning import (
    Classification,
    FinetuningRecipe,
    FinetuningRun,
    Inference,
    QuestionAnswering,
    SlotFilling,
    Task,
)

SEED = 0
MOST = 1_000  # examples of a test


@dataclass(frozen=True)
class Graduate:
    """What it learns, from which files, how, and how much an adapter may lose, in points.

    The files lie in OUT or in DATA. The rates are those tried when all weights learn.
    """

    task: Task[Any, Any]
    train: str
    dev: str
    test: str
    recipe: FinetuningRecipe
    rates: tuple[float, ...] = (1e-4, 3e-4)
    may_lose: float = 1.0


GRADUATES = {
    "sentiment": Graduate(
        Classification(), "sentiment/train.tsv", "sentiment/dev.tsv", "sentiment/test.tsv",
        FinetuningRecipe(1, 64, learning_rate=1e-3, dropout=0.05, max_length=96, lora_rank=16),
    ),
    "slots": Graduate(
        SlotFilling(), "snips/train", "snips/valid", "snips/test",
        FinetuningRecipe(3, 32, learning_rate=2e-3, dropout=0.05, max_length=64, lora_rank=16),
    ),
    "inference": Graduate(
        Inference(), "inference/train.tsv", "inference/dev.tsv", "inference/cad_test.tsv",
        FinetuningRecipe(1, 64, learning_rate=1e-3, dropout=0.0, max_length=96, lora_rank=32),
    ),
    "questions": Graduate(
        QuestionAnswering(), "questions/train.json", "questions/dev.json", "xquad/xquad.en.json",
        FinetuningRecipe(1, learning_rate=1e-3, dropout=0.0, max_length=256, lora_rank=32),
        may_lose=3.0,
    ),
}  # fmt: skip


OPTIONS: dict[str, dict[str, Any]] = {  # of the command line
    "data": {"type": Path, "help": "folder of the data sets; without it, nothing is measured"},
    "sets": {"type": Path, "help": "what benchmarks/graduates.py wrote"},
    "only": {"choices": list(GRADUATES), "action": "append", "help": "this one; repeatable"},
    "share": {"type": float, "default": 0.1, "help": "of the training examples"},
    "precision": {"choices": ["fp32", "bf16"], "default": "fp32", "help": "of the training"},
}


def some(examples: list[Any], share: float, most: int | None = None) -> list[Any]:
    """Returns a share of the examples, by chance, in their order."""
    count = min(round(share * len(examples)), most or len(examples))
    chosen = sorted(random.Random(SEED).sample(range(len(examples)), count))
    return [examples[index] for index in chosen]


def learned(
    name: str, folders: Sequence[Path], share: float, precision: str
) -> list[dict[str, str]]:
    """Learns one task both ways; returns a row for each."""
    it = GRADUATES[name]

    def read(file: str) -> list[Any]:
        return it.task.read(next(path for each in folders if (path := each / file).exists()))

    train = some(read(it.train), share)
    dev, test = (some(read(file), 1, MOST) for file in (it.dev, it.test))
    rows, scores = [], []
    for way, recipes in {
        "adapter": [replace(it.recipe, learning_rate=f * it.recipe.learning_rate) for f in (1, 2)],
        "all weights": [replace(it.recipe, lora_rank=0, learning_rate=r) for r in it.rates],
    }.items():
        runs, minutes = [], []
        for recipe in recipes:
            began = time.perf_counter()
            hardware = accelerator(precision)
            bert = bertedu.load()
            runs.append(
                FinetuningRun(it.task, bert, train, dev, recipe=recipe, accelerator=hardware)
            )
            deque(runs[-1], maxlen=0)  # trains
            minutes.append((time.perf_counter() - began) / 60)
        judged = [run.finetuned.evaluate(dev)[it.task.best] for run in runs]
        best = judged.index(max(judged))
        scores.append(100 * runs[best].finetuned.evaluate(test)[it.task.best])
        rows.append(
            {
                "graduate": name,
                "examples": f"{len(train):,}",
                "what learns": way,
                "learning rate": f"{recipes[best].learning_rate:g}",
                "minutes": f"{minutes[best]:.1f}",
                "tested on": f"{len(test):,}",
                "measure": it.task.best,
                "percent": f"{scores[-1]:.1f}",
                "the adapter loses": "",
            }
        )
    rows[0]["the adapter loses"] = f"{scores[1] - scores[0]:.1f} (at most {it.may_lose:g})"
    return rows


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__, **OPTIONS)
    if args.data is None or args.sets is None:
        print("Nothing measured: name the folders with --data and --sets.")
        return
    rows = []
    for name in args.only or list(GRADUATES):
        rows += learned(
            name, (args.sets, args.data), args.share / (20 if args.quick else 1), args.precision
        )
        print(*rows[-2:], sep="\n", file=sys.stderr, flush=True)
    report(__file__, rows, "One run each.", save=args.save)


if __name__ == "__main__":
    main()
