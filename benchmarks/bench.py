"""What the benchmarks share: interleaved timing, tables, and the text they run on.

Run alone, it describes the machine.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

# Threads that wait sleep: spinning would slow down whatever else runs, and count as work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here needs the network

import torch

import bertedu
from bertedu.pretraining.corpus import Corpus

RESULTS = Path(__file__).parent / "results"
COURSE_TEXT = Path(bertedu.__file__).parent / "data" / "documents"


class Ratio(NamedTuple):
    """How many times as much: the median, and the middle half of the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(one: Sequence[float], other: Sequence[float]) -> Ratio:
    """Returns `one` over `other`, each round compared with itself."""
    rounds = [a / b for a, b in zip(one, other, strict=True)]
    low, median, high = statistics.quantiles(rounds, n=4, method="inclusive")
    return Ratio(median, low, high)


class Times(dict[str, list[float]]):
    """Seconds of every case, one a round; `cpu` holds the processor's, all threads together.

    Processor time hardly minds what else runs on the machine, and leaves out what a second
    core brings.
    """

    cpu: dict[str, list[float]]

    def median(self, case: str) -> float:
        """Returns the middle of a case's times."""
        return statistics.median(self[case])

    def ratio(self, slow: str, fast: str) -> Ratio:
        """Returns how often `fast` fits into `slow`."""
        return ratio(self[slow], self[fast])

    def best_ratio(self, slow: str, fast: str) -> str:
        """Returns the same of the fastest rounds: for short jobs on a busy machine."""
        return f"{min(self[slow]) / min(self[fast]):.2f}"

    def cpu_ratio(self, slow: str, fast: str) -> str:
        """Returns the same of the processor's time."""
        return f"{ratio(self.cpu[slow], self.cpu[fast]).median:.2f}"


def interleaved(cases: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Returns the times of A B, B A, A B, ...: what slows the machine down slows both.

    Every case runs once beforehand, unmeasured.
    """
    for case in cases.values():
        case()
    times = Times({name: [] for name in cases})
    times.cpu = {name: [] for name in cases}
    for turn in range(max(2, rounds)):
        for name in list(cases)[:: -1 if turn % 2 else 1]:
            began, busy = time.perf_counter(), time.process_time()
            cases[name]()
            times[name].append(time.perf_counter() - began)
            times.cpu[name].append(time.process_time() - busy)
    print(*(f"{name}: {times.median(name):.4f} s  " for name in times), file=sys.stderr)
    return times


def arguments(description: str | None, **options: Any) -> argparse.Namespace:
    """Returns the command line: --quick, --save, --rounds, and what a script adds.

    Args:
        description: the script's docstring.
        options: name -> the keyword arguments of `add_argument`.
    """
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="as little as shows that it runs")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    parser.add_argument("--rounds", type=int, help="measured rounds of every case")
    for name, settings in options.items():
        parser.add_argument(f"--{name}", **settings)
    return parser.parse_args()


def machine() -> dict[str, Any]:
    """Returns what the figures depend on; `load` is the number of busy threads beforehand."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(": ")[1] for x in lines if x.startswith("model name")), model)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "simd": torch.backends.cpu.get_cpu_capability(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "tokenizers")},
    }


def report(script: str, rows: list[dict[str, Any]], *notes: str, save: bool) -> None:
    """Prints the rows as a table, with the machine and the notes; on demand also writes them."""
    columns = list(rows[0])
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    here = machine()
    facts = ", ".join(f"{name} {value}" for name, value in here.items())
    text = "\n".join([*lines, "", *notes, f"Machine: {facts}."])
    print(text, flush=True)
    if save:
        name = Path(script).stem
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        content = {"machine": here, "rows": rows, "notes": list(notes)}
        (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def open_corpus(folder: str | None) -> Corpus:
    """Returns the corpus of a folder that `Corpus.build` made; None = the course's own text."""
    if folder is not None:
        return Corpus.open(folder)
    with tempfile.TemporaryDirectory() as out:  # its arrays stay mapped when it is gone
        return Corpus.build(COURSE_TEXT, bertedu.load_tokenizer(), out, progress=False)


def read_text(path: Path) -> list[str]:
    """Returns the documents of a .txt file, or of a folder of them."""
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    text = "\n\n".join(file.read_text("utf-8") for file in files)
    return [document.strip() for document in text.split("\n\n") if document.strip()]


def copy_weights(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Gives transformers' model the weights of ours; every name must fit."""
    missing, unexpected = target.load_state_dict(source.state_dict(), strict=False)
    # transformers keeps a second name for the tied bias of the decoder
    assert set(missing) <= {"cls.predictions.decoder.bias"}, missing
    assert not unexpected, unexpected


if __name__ == "__main__":
    for name, value in machine().items():
        print(f"{name:14}{value}")
