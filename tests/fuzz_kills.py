"""Kills training at any moment and goes on: `python -m tests.fuzz_kills [COUNT] [SEED]`.

Each run is killed one to three times, mostly without a warning, and at last left alone. Its weights
and its losses must be, to the last bit, those of a run that nobody disturbed.
"""

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from bertedu.commands import cli
from tests.test_finetuning import OPTIONS, write_examples
from tests.test_pretraining import TEXT, command
from tests.test_pretraining import history as losses


def in_a_child(words: list[str], log: Path) -> int:
    """Starts a command in a process of its own, with everything imported; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    with log.open("a") as file, contextlib.suppress(BaseException):
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            code = cli.main(words)
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:  # noqa: BLE001 (that is what is sought)
            traceback.print_exc()
    os._exit(code)


def end_of(child: int) -> int:
    """Waits for a command; returns its exit status, negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def contents(out: Path) -> dict[str, object]:
    """Returns what a run leaves: the bytes of its weights, and its losses."""
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.safetensors")}
    return found | {"losses": losses(out) if (out / "history.jsonl").is_file() else []}


def main(count: int = 60, seed: int = 0) -> int:
    """Prints what became of the kills; returns 1 where a run ended otherwise or complained."""
    torch.set_num_threads(1)
    rng, counts, wrong = random.Random(seed), Counter[str](), 0
    folder = Path(tempfile.mkdtemp())
    (folder / "text.txt").write_text(TEXT)
    init, train, _ = write_examples(folder)
    jobs: dict[str, Callable[[Path], list[str]]] = {
        "pretrain": lambda out: command(folder / "text.txt", out)[2:],
        "finetune": lambda out: [
            "finetune", "classification", str(train), "--init", str(init), *OPTIONS,
            "--out", str(out),
        ],
    }  # fmt: skip
    undisturbed, seconds = {}, {}
    for name, words in jobs.items():
        begun = time.monotonic()
        assert end_of(in_a_child(words(folder / name), folder / "log")) == 0
        seconds[name] = time.monotonic() - begun
        undisturbed[name] = contents(folder / name)
    killed = number = 0
    while killed < count:
        number += 1
        name, out, log = rng.choice([*jobs]), folder / f"{number}", folder / f"{number}.log"
        for _ in range(rng.randrange(1, 4)):
            child = in_a_child(jobs[name](out), log)
            time.sleep(rng.uniform(0, seconds[name] / 2))
            kind = rng.choices([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], [4, 1, 1])[0]
            os.kill(child, kind)
            code = end_of(child)
            killed += 1
            counts[f"{kind.name}: {'came too late' if code == 0 else f'ended with {code}'}"] += 1
        code = end_of(in_a_child(jobs[name](out), log))
        told = log.read_text()
        if code or contents(out) != undisturbed[name] or "Traceback" in told:
            wrong += 1
            print(f"{number}: {name}: ended with {code}; {told[-2000:]}")
        shutil.rmtree(out)
    shutil.rmtree(folder)
    print(f"{killed} kills of {number} runs, seed {seed}: {dict(counts)}, {wrong} runs wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
