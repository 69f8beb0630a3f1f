"""What the allocator of memory costs a pretraining: tokens a second, and MiB.

    python benchmarks/allocator.py --corpus C --precision bf16 --rounds 5

glibc gives large pieces of memory back after each step and asks for them again in the next.
`bertedu.training.step.kept_memory` tells it to keep them until the training is over. tcmalloc keeps
them of itself; it has to be loaded before Python is (`LD_PRELOAD`), so that only the user can
choose it. Each arm is a process of its own, one after the other, and begins with the embedded
checkpoint: 4,096 tokens a step.
"""

import argparse
import ctypes.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from bench import arguments, ratio, report

CHILD = """
import contextlib, json, sys, time, psutil, torch, bertedu
from bertedu.pretraining import PretrainingData, Recipe, pretrain, run
sys.path.insert(0, {benchmarks!r})
from bench import open_corpus
if not {keeps}:
    run.kept_memory = contextlib.nullcontext
resident = lambda: psutil.Process().memory_info().rss / 2**20
bert = bertedu.load()
recipe = Recipe(steps=10_000, tokens_per_batch=4096, learning_rate=1e-5)
data = PretrainingData(open_corpus({corpus!r}), bert.tokenizer, recipe)
half = torch.autocast("cpu", torch.bfloat16) if {half} else contextlib.nullcontext()
with half:
    steps = pretrain(bert.model, data, recipe)
    for _ in range(3):
        next(steps)
    began = time.perf_counter()
    tokens = sum(next(steps).tokens for _ in range({steps}))
    seconds = time.perf_counter() - began
during = resident()
steps.close()
print(json.dumps([tokens / seconds, during, resident()]))
"""


def measured(arm: str, args: argparse.Namespace, tcmalloc: str | None) -> list[float]:
    """Returns tokens a second, and resident MiB in training and after it, of a new process."""
    work = CHILD.format(
        benchmarks=str(Path(__file__).parent),
        keeps=arm != "glibc as it is",
        corpus=args.corpus,
        half=args.precision == "bf16",
        steps=3 if args.quick else 12,
    )
    preload = {"LD_PRELOAD": tcmalloc} if arm == "tcmalloc" and tcmalloc else {}
    child = subprocess.run(
        [sys.executable, "-c", work],
        env=os.environ | preload,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: list[float] = json.loads(child.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(
        __doc__,
        corpus={"help": "a folder of Corpus.build; by default the course's own text"},
        precision={"choices": ("fp32", "bf16"), "default": "fp32"},
    )
    tcmalloc = ctypes.util.find_library("tcmalloc_minimal")
    arms = ["glibc as it is", "glibc, kept", *(["tcmalloc"] if tcmalloc else [])]
    seen: dict[str, list[list[float]]] = {arm: [] for arm in arms}
    rounds = 2 if args.quick else args.rounds or 5
    for turn in range(rounds):
        for arm in arms[:: -1 if turn % 2 else 1]:
            seen[arm].append(measured(arm, args, tcmalloc))
    rates = {arm: [row[0] for row in rows] for arm, rows in seen.items()}
    report(
        __file__,
        [
            {
                "allocator": arm,
                "tokens/s": f"{statistics.median(rates[arm]):,.0f}",
                "times as many": str(ratio(rates[arm], rates[arms[0]])),
                "MiB in training": f"{statistics.median(row[1] for row in rows):,.0f}",
                "MiB after it": f"{statistics.median(row[2] for row in rows):,.0f}",
            }
            for arm, rows in seen.items()
        ],
        f"Medians of {rounds} fresh processes each, interleaved; {args.precision}.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
