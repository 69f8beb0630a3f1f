"""What a class needs: memory and processor time of every kernel, with many at work at once.

Each kernel is one student's: it runs a whole lesson, and stays until all have finished. RSS counts
shared pages (libraries, the checkpoint) in every kernel, PSS divides them among those that share.
"""

import asyncio
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from bench import arguments, report
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from bertedu.classroom.editions import editions, unexecuted

ROOT = Path(__file__).parents[1]
SECONDS_PER_CELL = 1200  # a full class on few cores is slow


class ThisPython(AsyncKernelManager):
    """A kernel of the Python that runs this script."""

    kernel_spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    )


async def student(lesson: str, begun: asyncio.Barrier, done: asyncio.Barrier) -> dict[str, float]:
    """Runs a lesson as one student does; returns seconds and MiB.

    Args:
        lesson: the notebook's name or number.
        begun: passed when all kernels are up, so that they work at the same time.
        done: passed when all have run the lesson, so that they are measured side by side.
    """
    edition = editions(ROOT, [lesson])[0]
    client = NotebookClient(
        unexecuted(edition),
        timeout=SECONDS_PER_CELL,
        kernel_manager_class=ThisPython,
        resources={"metadata": {"path": str(edition.path.parent)}},
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    async with client.async_setup_kernel():
        kernel = psutil.Process(client.km.provisioner.pid)
        await begun.wait()
        began, waited, busy_before = time.perf_counter(), 0.0, cpu(kernel)
        for index, cell in enumerate(client.nb.cells):
            if cell.cell_type == "code":
                asked = time.perf_counter()
                await client.async_execute_cell(cell, index)
                waited = max(waited, time.perf_counter() - asked)
        seconds, busy = time.perf_counter() - began, cpu(kernel) - busy_before
        await done.wait()
        memory = kernel.memory_full_info()
        return {
            "wall": seconds,
            "longest": waited,
            "cpu": busy,
            "rss": memory.rss / 2**20,
            "pss": getattr(memory, "pss", float("nan")) / 2**20,
            "peak": peak_mib(kernel.pid),
        }


def cpu(process: psutil.Process) -> float:
    """Returns the processor seconds that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def peak_mib(pid: int) -> float:
    """Returns the most resident memory that a process ever had, where Linux tells."""
    status = Path(f"/proc/{pid}/status")
    if not status.is_file():
        return float("nan")
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def a_class(lesson: str, kernels: int) -> list[dict[str, float]]:
    """Returns what each kernel needed, all at work at once."""
    begun, done = asyncio.Barrier(kernels), asyncio.Barrier(kernels)
    return await asyncio.gather(*(student(lesson, begun, done) for _ in range(kernels)))


def main() -> None:
    """Measures one kernel alone, then a class, and prints the table."""
    args = arguments(
        __doc__,
        lesson={"default": "02", "help": "name or number of the notebook"},
        kernels={"type": int, "default": 8, "help": "students at once"},
    )
    rows: list[dict[str, Any]] = []
    for kernels in (1, 2 if args.quick else args.kernels):
        seen = asyncio.run(a_class(args.lesson, kernels))
        middle = {name: median(one[name] for one in seen) for name in seen[0]}
        rows.append(
            {
                "kernels at once": kernels,
                "CPU s each": f"{middle['cpu']:.0f}",
                "wall s": f"{max(one['wall'] for one in seen):.0f}",
                "longest cell, wall s": f"{max(one['longest'] for one in seen):.0f}",
                "RSS MiB each": f"{middle['rss']:.0f}",
                "PSS MiB each": f"{middle['pss']:.0f}",
                "peak RSS MiB": f"{max(one['peak'] for one in seen):.0f}",
                "PSS MiB of all": f"{sum(one['pss'] for one in seen):.0f}",
            }
        )
    report(
        __file__,
        rows,
        f"Lesson {args.lesson}, every code cell, one after the other without a pause for thought: "
        "the worst that a class can do. Medians over the kernels; wall and peak are the largest.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
