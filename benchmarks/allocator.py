"""What the allocator of memory costs a pretraining, and many answers: tokens a second, and MiB.

    python benchmarks/allocator.py --corpus C --precision bf16 --rounds 5

glibc gives large pieces of memory back after each batch and asks for them again in the next.
`bertedu.training.batches.kept_memory` tells it to keep them until the work is over. tcmalloc keeps
them of itself; it has to be loaded before Python is (`LD_PRELOAD`), so that only the user can
choose it. Each arm is a process of its own, one after the other: a pretraining begins with the
embedded checkpoint, 4,096 tokens a step; answers are those of the graduate in sentiment to the
course's own reviews, in float32.
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

BEGINNING = """
import contextlib, json, resource, sys, time, psutil, torch, bertedu
from bertedu.data import SENTIMENT
from bertedu.finetuning import classification, load, model
from bertedu.pretraining import PretrainingData, Recipe, pretrain, run
sys.path.insert(0, {benchmarks!r})
from bench import open_corpus
if not {keeps}:
    run.kept_memory = model.kept_memory = contextlib.nullcontext
def told(tokens, seconds):
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps([tokens / seconds, most, psutil.Process().memory_info().rss / 2**20]))
"""
PRETRAINING = """
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
steps.close()
told(tokens, seconds)
"""
ANSWERS = """
graduate = load("sentiment")
given = [e for part in ("train", "test") for e in classification.read(SENTIMENT / f"{{part}}.tsv")]
tokens = sum(len(graduate.tokenizer.encode(example.text)) for example in given)
list(graduate.predictions(given))
began = time.perf_counter()
for _ in range({steps}):
    list(graduate.predictions(given))
told({steps} * tokens, time.perf_counter() - began)
"""
WORKS = {"pretraining": PRETRAINING, "answers": ANSWERS}


def measured(work: str, arm: str, args: argparse.Namespace, tcmalloc: str | None) -> list[float]:
    """Returns tokens a second, and resident MiB at most and after the work, of a new process."""
    script = (BEGINNING + WORKS[work]).format(
        benchmarks=str(Path(__file__).parent),
        keeps=arm != "glibc as it is",
        corpus=args.corpus,
        half=args.precision == "bf16",
        steps=3 if args.quick else 12,
    )
    preload = {"LD_PRELOAD": tcmalloc} if arm == "tcmalloc" and tcmalloc else {}
    child = subprocess.run(
        [sys.executable, "-c", script],
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
    rounds = 2 if args.quick else args.rounds or 5
    rows = []
    for work in WORKS:
        seen: dict[str, list[list[float]]] = {arm: [] for arm in arms}
        for turn in range(rounds):
            for arm in arms[:: -1 if turn % 2 else 1]:
                seen[arm].append(measured(work, arm, args, tcmalloc))
        rates = {arm: [found[0] for found in of_arm] for arm, of_arm in seen.items()}
        rows += [
            {
                "work": work,
                "allocator": arm,
                "tokens/s": f"{statistics.median(rates[arm]):,.0f}",
                "times as many": str(ratio(rates[arm], rates[arms[0]])),
                "MiB at most": f"{statistics.median(found[1] for found in of_arm):,.0f}",
                "MiB after it": f"{statistics.median(found[2] for found in of_arm):,.0f}",
            }
            for arm, of_arm in seen.items()
        ]
    what = (
        f"Medians of {rounds} fresh processes each, interleaved; pretraining in {args.precision}."
    )
    report(__file__, rows, what, save=args.save)


if __name__ == "__main__":
    main()
