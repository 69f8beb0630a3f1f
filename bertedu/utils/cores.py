"""The share of the machine's cores that this process has, and threads that keep to it.

torch starts a thread for each core of the machine. A container (a JupyterHub's, a CI's) may have a
share of them only; its threads are then stopped by turns, while those that wait for them spin. A
class's cell of two seconds takes forty so.
"""

import os
import sys
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")  # Linux: what a container may use
OWN = Path("/proc/self/cgroup")  # where this process stands in it
CPUINFO = Path("/proc/cpuinfo")
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def follow_share() -> None:
    """Lets torch start no more threads than there are cores for, and those that wait sleep.

    What the user set stands. `import bertedu` calls this; it works best before torch is imported,
    which reads the environment once.

    Source: OpenMP 5.2, sections 21.1.2 and 21.1.8 (OMP_NUM_THREADS, OMP_WAIT_POLICY).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    threads = max(1, int(share()))
    if threads >= (os.cpu_count() or 1) or any(os.environ.get(name) for name in COUNTS):
        return
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch = sys.modules.get("torch")
    # Too late for the environment: a number that torch chose by itself is lowered here.
    if torch is not None and threads < torch.get_num_threads() in _all_cores():
        torch.set_num_threads(threads)


def share() -> float:
    """Returns how many cores this process may use at once: by its affinity, and by its quota.

    Example:
        >>> 0 < share() <= os.cpu_count()
        True
    """
    limit = quota()
    cores = float(_affinity())
    return cores if limit is None else min(cores, limit)


def quota(root: Path = CGROUP, own: Path = OWN) -> float | None:
    """Returns the cores that the container's quota is worth; None without one.

    Args:
        root: where the control groups are mounted.
        own: the file that says in which of them this process is.

    Source: the kernel's admin-guide, cgroup-v2 (cpu.max) and sched-bwc (cpu.cfs_quota_us).
    """
    try:
        lines = own.read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return None
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = root / ("cpu" if controllers else "")
        group = mounted / path.lstrip("/")
        # Those above limit, too. A container sees its own group as the root.
        for folder in (group, *group.parents):
            found += _quota_in(folder)
            if folder == mounted:
                break
    return min(found, default=None)


def _quota_in(group: Path) -> list[float]:
    """Returns one group's quota, if it has one: as version 2 writes it, or version 1."""
    try:
        if (group / "cpu.max").exists():
            limit, period = (group / "cpu.max").read_text("utf-8").split()
        else:
            limit = (group / "cpu.cfs_quota_us").read_text("utf-8")
            period = (group / "cpu.cfs_period_us").read_text("utf-8")
        cores = int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # none here, or "max"
        return []
    return [cores] if cores > 0 else []  # -1 in version 1: no limit


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _all_cores() -> set[int | None]:
    """Returns the numbers of threads that torch may choose by itself."""
    return {os.cpu_count(), psutil.cpu_count(logical=False), _affinity()}


def has_bfloat16(device: str = "cpu", about: Path = CPUINFO) -> bool:
    """Returns whether the device multiplies in bfloat16 itself; else that is slow.

    Args:
        device: cpu, or an accelerator as torch calls it.
        about: where Linux lists what the processor has.
    """
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return True  # torch does not say
    try:
        flags = set(about.read_text("utf-8").split())
    except OSError:  # not Linux
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
    return not flags.isdisjoint(("avx512_bf16", "amx_bf16", "bf16"))  # the last on ARM
