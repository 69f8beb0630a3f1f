"""Is this installation whole? One row a question, and each broken row says how to mend it.

Nothing heavy is imported and nothing is sent anywhere: the answers come from installed metadata,
from files and from the operating system.
"""

import argparse
import hashlib
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from packaging.markers import Marker
from packaging.requirements import Requirement

from bertedu.utils.cores import share

PACKAGE = Path(__file__).resolve().parents[1]
LOCK = PACKAGE.parent / "requirements.lock"
CHECKPOINTS = PACKAGE / "checkpoints"
GRADUATES = PACKAGE / "graduates"
FILM = PACKAGE / "film"
ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "finetuning.json")
CGROUP = Path("/sys/fs/cgroup")  # a Linux container's limits
OLDEST_PYTHON = (3, 11)
KERNEL_MIB = 1300  # what one notebook of the course may take
DISK_MIB = 1024  # room for a reader's own checkpoints
MAPS = Path("/proc/self/maps")  # what this process has loaded, on Linux
QUICK_ALLOCATORS = ("tcmalloc", "jemalloc", "mimalloc")
LAB = 'pip install "bertedu[lab]"'
EXTENSIONS = {  # what JupyterLab loads: the package that brings it
    "@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets",
    "anywidget": "anywidget",
}


@dataclass(frozen=True)
class Row:
    """One question's answer.

    Args:
        name: what was looked at.
        ok: True when it is well, False when it must be mended, None when it is worth knowing.
        found: what was found.
        remedy: how to mend it; empty when it is well.
    """

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Row:
    """Returns whether the running Python is new enough.

    Example:
        >>> check_python((3, 9, 1)).ok
        False
    """
    found = f"{'.'.join(map(str, version))} in {sys.prefix}"
    if version >= OLDEST_PYTHON:
        return Row("Python", True, found)
    return Row("Python", False, found, "install Python 3.11 or newer, then run `make lab` again")


def check_requirements(requirements: Iterable[str] | None = None) -> Row:
    """Returns whether every package that the library and the lab need is there, in its range.

    Args:
        requirements: requirement lines; those of the installed bertedu by default.
    """
    if requirements is None:
        try:
            requirements = metadata.requires("bertedu") or []
        except metadata.PackageNotFoundError:
            remedy = "run `make lab`, or `pip install -e .` in the checkout"
            return Row("Packages", None, "bertedu itself is not installed", remedy)
    needed = [r for r in map(Requirement, requirements) if _applies(r.marker)]
    faults = []
    for r in needed:
        found = _version(r.name)
        if found is None or not r.specifier.contains(found, prereleases=True):
            faults.append(f"{r.name} {found or 'missing'} (needs {r.specifier or 'any'})")
    if faults:
        return Row("Packages", False, _some(faults), f"run `make lab`, or `{LAB}`")
    return Row("Packages", True, f"all {len({r.name for r in needed})} needed are there")


def check_lock(lock: Path = LOCK) -> Row:
    """Returns whether the installed packages are exactly the versions of requirements.lock."""
    if not lock.is_file():
        found = "no requirements.lock: it comes with a checkout, not with the package"
        return Row("Locked versions", None, found)
    pins = read_lock(lock.read_text("utf-8"))
    versions = {name: _version(name) for name in pins}
    # A CPU build of torch calls itself 2.13.0+cpu.
    others = [
        f"{name} {found or 'missing'} (locked {pins[name]})"
        for name, found in versions.items()
        if found is None or found.partition("+")[0] != pins[name]
    ]
    if others:
        remedy = "`make lab` installs the locked versions; others in range should work"
        return Row("Locked versions", None, _some(others), remedy)
    return Row("Locked versions", True, f"all {len(pins)} as in requirements.lock")


def read_lock(text: str) -> dict[str, str]:
    r"""Returns the version that a lock pins for each package it installs on this machine.

    torch's line is counted although its marker never holds: torch is installed before the lock.

    Example:
        >>> read_lock("rich==15.0.0 \\\n    --hash=sha256:0\nx==1 ; sys_platform == 'never'\n")
        {'rich': '15.0.0'}
    """
    lines = re.findall(r"^([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]+))?", text, re.MULTILINE)
    return {
        name: version
        for name, version, marker in lines
        if not marker or name == "torch" or Marker(marker).evaluate()
    }


def check_kernel() -> Row:
    """Returns whether a notebook's `python3` kernel is this Python."""
    remedy = f"{LAB}, then `python -m ipykernel install --sys-prefix`"
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        return Row("Kernel", False, "no jupyter_client", remedy)
    if _version("ipykernel") is None:
        return Row("Kernel", False, "no ipykernel", remedy)
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return Row("Kernel", False, "no kernel named python3", remedy)
    program = Path(spec.argv[0])
    # Jupyter runs a bare `python` with its own interpreter.
    if program.name != spec.argv[0] and program.parent != Path(sys.executable).parent:
        found = f"python3 starts {program}, and this is {sys.executable}"
        return Row("Kernel", False, found, "`python -m ipykernel install --sys-prefix`")
    return Row("Kernel", True, f"python3 is this Python, ipykernel {_version('ipykernel')}")


def check_extensions(prefix: Path = Path(sys.prefix)) -> Row:
    """Returns whether JupyterLab will find the front-end halves of the widgets."""
    folder = prefix / "share" / "jupyter" / "labextensions"
    found, missing = [], []
    for extension, package in EXTENSIONS.items():
        try:
            description = json.loads((folder / extension / "package.json").read_text("utf-8"))
            found.append(f"{extension} {description['version']}")
        except (OSError, ValueError, KeyError):
            missing.append(package)
    if missing:
        remedy = f"pip install --force-reinstall --no-deps {' '.join(missing)}"
        return Row("Widgets in JupyterLab", False, f"missing: {', '.join(missing)}", remedy)
    return Row("Widgets in JupyterLab", True, ", ".join(found))


def check_memory() -> Row:
    """Returns whether one more notebook fits into memory, or into the container's limit."""
    free = psutil.virtual_memory().available
    try:
        limit, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, limit - used)
    except (OSError, ValueError):
        pass  # no container, or one without a limit
    return _room("Memory", free, KERNEL_MIB, "close other notebooks (Kernel > Shut Down All)")


def check_threads() -> Row:
    """Returns whether torch starts no more threads than this process has cores for."""
    cores = share()
    words = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count())
    found = f"{words} for a share of {cores:.3g} of the machine's {os.cpu_count()} cores"
    first = words.partition(",")[0].strip()
    if first.isdecimal() and int(first) <= math.ceil(cores):
        return Row("Threads", True, found)
    remedy = "unset OMP_NUM_THREADS (bertedu then follows the share), or set it to fewer"
    return Row("Threads", None, found, remedy)


def check_allocator(maps: Path = MAPS) -> Row:
    """Returns which quick allocator is loaded, if any."""
    name = "Allocator"
    if not maps.is_file():
        return Row(name, True, "the system's")
    loaded = maps.read_text(errors="replace")
    if found := re.search(rf"/lib({'|'.join(QUICK_ALLOCATORS)})[^/\s]*\.so", loaded):
        return Row(name, True, found[1])
    advice = "for hours of training, LD_PRELOAD tcmalloc (Debian: libtcmalloc-minimal4)"
    return Row(name, True, f"the system's; {advice}")


def check_disk(folder: Path | None = None) -> Row:
    """Returns whether there is room for checkpoints in the current folder."""
    free = shutil.disk_usage(folder or Path.cwd()).free
    return _room("Disk", free, DISK_MIB, "free some space, or work in a folder on another disk")


def check_checkpoint(folder: Path = CHECKPOINTS) -> Row:
    """Returns whether the embedded weights are byte for byte those that were trained."""
    name = "Checkpoint"
    elsewhere = os.environ.get("BERTEDU_CHECKPOINT")
    if elsewhere:
        there = (Path(elsewhere) / "config.json").is_file()
        remedy = "let BERTEDU_CHECKPOINT name a folder with a config.json, or unset it"
        return Row(name, there, f"BERTEDU_CHECKPOINT is {elsewhere}", "" if there else remedy)
    restore = "`git restore bertedu/checkpoints`, or install bertedu again"
    sums, weights = folder / "SHA256", folder / "model.safetensors"
    if not weights.is_file() and not sums.is_file():
        remedy = "let BERTEDU_CHECKPOINT name a folder with a checkpoint"
        return Row(name, None, "no weights come with this version", remedy)
    if not weights.is_file() or not sums.is_file():
        lost = sums.name if weights.is_file() else weights.name
        return Row(name, False, f"{lost} is missing", restore)
    digest = _sha256(weights)
    if digest not in sums.read_text("utf-8").split():
        return Row(name, False, f"{weights.name} is damaged: checksum {digest[:8]}...", restore)
    size = weights.stat().st_size / 2**20
    return Row(name, True, f"{size:.1f} MiB, checksum {digest[:8]}... is right")


def check_graduates(folder: Path = GRADUATES) -> Row:
    """Returns whether each graduate is whole, and its weights those that were trained."""
    name, sums = "Graduates", folder / "SHA256"
    there = {file.parent.name for file in folder.glob(f"*/{ADAPTER[0]}")}
    if not there and not sums.is_file():
        return Row(name, None, "none come with this version", "`bertedu finetune` makes a model")
    lines = sums.read_text("utf-8").splitlines() if sums.is_file() else []
    digests = {file: digest for digest, file in map(str.split, lines)}
    faults = []
    for graduate in sorted(there | {file.partition("/")[0] for file in digests}):
        weights = f"{graduate}/{ADAPTER[1]}"
        lost = [file for file in ADAPTER if not (folder / graduate / file).is_file()]
        if lost:
            faults.append(f"{graduate}/{lost[0]} is missing")
        elif (digest := _sha256(folder / weights)) != digests.get(weights):
            wrong = "is damaged" if weights in digests else "is not in SHA256"
            faults.append(f"{weights} {wrong}: checksum {digest[:8]}...")
    if faults:
        restore = "`git restore bertedu/graduates`, or install bertedu again"
        return Row(name, False, _some(faults), restore)
    return Row(name, True, f"{', '.join(sorted(there))}: their checksums are right")


def check_film(folder: Path = FILM) -> Row:
    """Returns whether the time machine's checkpoints are whole, and those that were trained."""
    name, sums = "Film", folder / "SHA256"
    there = {file.name for file in folder.glob("*.safetensors")}
    if not there and not sums.is_file():
        return Row(name, None, "none comes with this version", "`TimeMachine` shows nothing")
    lines = sums.read_text("utf-8").splitlines() if sums.is_file() else []
    digests = {file: digest for digest, file in map(str.split, lines)}
    faults = [f"{lost} is missing" for lost in sorted(digests.keys() - there)]
    for file in sorted(there):
        if (digest := _sha256(folder / file)) != digests.get(file):
            wrong = "is damaged" if file in digests else "is not in SHA256"
            faults.append(f"{file} {wrong}: checksum {digest[:8]}...")
    if faults:
        restore = "`git restore bertedu/film`, or install bertedu again"
        return Row(name, False, _some(faults), restore)
    return Row(name, True, f"{len(there)} checkpoints: their checksums are right")


def check_network() -> Row:
    """Returns whether there is a network; nothing of the course needs one, and nothing is sent."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    outward = [
        address.address
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if name in up and address.family.name in {"AF_INET", "AF_INET6"}
    ]
    there = any(not address.startswith(("127.", "::1", "fe80")) for address in outward)
    return Row("Network", True, f"{'connected' if there else 'none'}; not needed")


CHECKS: tuple[Callable[[], Row], ...] = (
    check_python,
    check_requirements,
    check_lock,
    check_kernel,
    check_extensions,
    check_memory,
    check_threads,
    check_allocator,
    check_disk,
    check_checkpoint,
    check_graduates,
    check_film,
    check_network,
)


def examine(checks: Iterable[Callable[[], Row]] = CHECKS) -> list[Row]:
    """Returns a row for each check, a broken one where the check itself failed.

    Example:
        >>> [row.name for row in examine()][:2]
        ['Python', 'Packages']
    """
    return [_safely(check) for check in checks]


def _safely(check: Callable[[], Row]) -> Row:
    try:
        return check()
    except Exception as error:  # noqa: BLE001  # a broken installation can fail in any way
        name = check.__name__.removeprefix("check_").capitalize()
        found = f"cannot look: {type(error).__name__}: {error}"
        return Row(name, False, found, "run `make lab` again")


def _applies(marker: Marker | None) -> bool:
    """Returns whether a requirement belongs to the library, its widgets or the lab here."""
    extras = ("", "widgets", "lab")
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _some(items: list[str], most: int = 3) -> str:
    more = f", and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _room(name: str, free: int, needed: int, remedy: str) -> Row:
    mib = free // 2**20
    enough = mib >= needed
    found = f"{mib:,} MiB free, {needed:,} needed"
    return Row(name, enough, found, "" if enough else remedy)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares that `bertedu doctor` takes no arguments."""
    parser.epilog = "The exit code is 0 when nothing must be mended, and 1 otherwise."


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001  # every command is called alike
    """Prints the table and returns 0 when nothing must be mended, 1 otherwise."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = examine()
    table = Table(box=None, pad_edge=False)
    for title in ("", "", "found", "to do"):
        table.add_column(title, overflow="fold")
    looks = {True: ("ok", "green"), None: ("note", "yellow"), False: ("MEND", "bold red")}
    for row in rows:
        table.add_row(Text(*looks[row.ok]), row.name, Text(row.found), Text(row.remedy))
    broken = sum(row.ok is False for row in rows)
    console = Console()
    console.print(table)
    verdict = f"{broken} to mend." if broken else "Ready."
    console.print(f"\n{verdict}", highlight=False)
    return 1 if broken else 0
