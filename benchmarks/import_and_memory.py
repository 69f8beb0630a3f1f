"""What a fresh kernel pays: seconds to import, MiB once imported, MiB with a model in use.

`import bertedu` alone loads nothing yet, so that BertModel is imported on both sides. The model
runs once, since weights that are only mapped from disk take no memory until they are touched.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import torch
from bench import arguments, report

from bertedu import BertConfig, BertModel, save_pretrained

CHILD = """
import sys, time
began = time.perf_counter()
{work}
print(time.perf_counter() - began, flush=True)
sys.stdin.read()  # stay until the memory was read
"""
IMPORTS = {
    "torch": "import torch",
    "bertedu": "from bertedu import BertModel",
    "transformers": "from transformers import BertModel",
}
LOADS = {
    "torch": None,
    "bertedu": "import bertedu; model = bertedu.from_pretrained({folder!r}, BertModel)",
    "transformers": "model = BertModel.from_pretrained({folder!r}).eval()",
}
RUN = "import torch; torch.set_grad_enabled(False); model(torch.arange(5, 69)[None])"


def fresh(work: str) -> tuple[float, float]:
    """Returns seconds and resident MiB of `work` in a Python of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD.format(work=work)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdin
        assert child.stdout
        line = child.stdout.readline()
        assert line, f"it failed: {work}"
        resident = psutil.Process(child.pid).memory_info().rss / 2**20
        child.stdin.close()
        return float(line), resident


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__)
    rounds = 2 if args.quick else args.rounds or 7
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        config = BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536)
        save_pretrained(BertModel(config), Path(folder))
        works = {
            "import": IMPORTS,
            "load": {
                name: f"{IMPORTS[name]}; {load.format(folder=folder)}; {RUN}"
                for name, load in LOADS.items()
                if load
            },
        }
        seen: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for turn in range(-1, rounds):  # the first only fills the disk's cache
            for kind, cases in works.items():
                for name in list(cases)[:: -1 if turn % 2 else 1]:
                    measured = fresh(cases[name])
                    if turn >= 0:
                        seen.setdefault((kind, name), []).append(measured)

    def middle(kind: str, name: str, column: int) -> float:
        return statistics.median(row[column] for row in seen[kind, name])

    rows = [
        {
            "what": name if kind == "import" else f"{name}, 6 x 384 loaded and run",
            "seconds": f"{middle(kind, name, 0):.2f}",
            "times torch": f"{middle(kind, name, 0) / middle('import', 'torch', 0):.2f}",
            "MiB": f"{middle(kind, name, 1):.0f}",
        }
        for kind, name in seen
    ]
    lead = {
        kind: middle(kind, "transformers", 1) - middle(kind, "bertedu", 1)
        for kind in ("import", "load")
    }
    ratios = [
        b[0] / a[0]
        for a, b in zip(*(seen["import", name] for name in ("torch", "bertedu")), strict=True)
    ]
    report(
        __file__,
        rows,
        f"import of bertedu / import of torch, round by round: {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}). Resident memory below transformers': "
        f"{lead['import']:.0f} MiB imported, {lead['load']:.0f} MiB with the model.",
        f"Medians of {rounds} fresh processes each, interleaved.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
