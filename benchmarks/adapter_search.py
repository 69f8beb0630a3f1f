"""Which rank, layers and learning rate: each changed alone, on a tenth of the data.

From the recipe of a graduate's card (its first part), one thing at a time; judged by the
development split, never by a test. Sets: as benchmarks/adapters.py.
"""

import functools
import statistics
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

from adapters import GRADUATES, MOST, OPTIONS, some
from bench import arguments, report

import bertedu
from bertedu.commands.training import accelerator
from bertedu.finetuning import FinetuningRun, adapters, run

LAYERS = {
    "all": adapters.LAYERS,
    "query, value": ("query", "value"),
    "feed-forward": ("intermediate.dense", "output.dense"),
}


def searched(
    name: str, folders: list[Path], share: float, precision: str, seeds: int
) -> list[dict[str, str]]:
    """Learns one task with each setting; returns a row for each."""
    it = GRADUATES[name]

    def read(file: str) -> list:
        return it.task.read(next(path for each in folders if (path := each / file).exists()))

    train, dev = some(read(it.train), share), some(read(it.dev), 1, MOST)
    rank, rate = it.recipe.lora_rank, it.recipe.learning_rate
    settings = [(rank, "all", rate)]
    settings += [(other, "all", rate) for other in (rank // 2, 2 * rank)]
    settings += [(rank, "all", rate * factor) for factor in (0.5, 2, 4)]
    settings += [(rank, layers, rate) for layers in LAYERS if layers != "all"]
    rows = []
    for rank, layers, rate in settings:
        run.add_lora = functools.partial(adapters.add_lora, layers=LAYERS[layers])
        began, scores = time.perf_counter(), []
        for seed in range(seeds):
            recipe = replace(it.recipe, lora_rank=rank, learning_rate=rate, seed=seed)
            bert, hardware = bertedu.load(), accelerator(precision)
            one = FinetuningRun(it.task, bert, train, dev, recipe=recipe, accelerator=hardware)
            deque(one, maxlen=0)  # trains
            scores.append(100 * one.finetuned.evaluate(dev)[it.task.best])
        rows.append(
            {
                "graduate": name,
                "examples": f"{len(train):,}",
                "rank": str(rank),
                "layers": layers,
                "learning rate": f"{rate:g}",
                "minutes": f"{(time.perf_counter() - began) / 60 / seeds:.1f}",
                "developed on": f"{len(dev):,}",
                "measure": it.task.best,
                "percent": f"{statistics.fmean(scores):.1f}",
                "runs": str(seeds),
            }
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Measures, and prints the table."""
    runs = {"type": int, "default": 1, "help": "runs of each setting, of which the mean counts"}
    args = arguments(__doc__, **OPTIONS, seeds=runs)
    if args.data is None or args.sets is None:
        print("Nothing measured: name the folders with --data and --sets.")
        return
    share = args.share / (20 if args.quick else 1)
    rows = []
    for name in args.only or list(GRADUATES):
        rows += searched(name, [args.sets, args.data], share, args.precision, args.seeds)
    report(__file__, rows, "The settings of the cards come first.", save=args.save)


if __name__ == "__main__":
    main()
