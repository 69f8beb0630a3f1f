"""What the commands that train have in common: one run a folder, how it stops, how it is told."""

import argparse
import contextlib
import signal
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from filelock import FileLock, Timeout

from bertedu.errors import CheckpointError
from bertedu.utils.cores import has_bfloat16

if TYPE_CHECKING:
    from accelerate import Accelerator


class Step(Protocol):
    """What the reports of both loops say."""

    @property
    def step(self) -> int: ...  # noqa: D102 (the reports say it)


StepT = TypeVar("StepT", bound=Step)


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Adds the option that `accelerator` reads."""
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), default="fp32",
        help="bf16: matrix products in bfloat16, quicker where the processor has it",
    )  # fmt: skip


def accelerator(precision: str) -> "Accelerator":
    """Returns what spreads the training over processes or a GPU, in this precision."""
    from accelerate import Accelerator

    # Without a word of ours, what `accelerate launch --mixed_precision` says holds.
    chosen = Accelerator(mixed_precision="bf16" if precision == "bf16" else None)
    if precision == "bf16" and chosen.is_main_process and not has_bfloat16(chosen.device.type):
        warnings.warn(
            "this processor has no bfloat16: --precision bf16 will hardly be quicker here",
            stacklevel=2,
        )
    return chosen


@contextlib.contextmanager
def alone(folder: Path, leads: bool = True) -> Iterator[None]:
    """Keeps a run's folder for this process, until it ends in whatever way.

    Args:
        folder: new or old.
        leads: False for the other processes of the same run.

    Raises:
        CheckpointError: another run is writing there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> with alone(folder), alone(folder):
        ...     pass  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: another run is writing to ...
    """
    if not leads:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise CheckpointError(
            f"another run is writing to {folder}: wait for it, stop it, or choose another folder"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file
            (folder / ".lock").unlink(missing_ok=True)  # filelock notices a name that went
        lock.release()


class Stop:
    """Whether the run was asked to stop (Ctrl-C, SIGTERM): it does so after the step it is in.

    The second time, what is being done is interrupted at once.

    Example:
        >>> with Stop() as stop:
        ...     signal.raise_signal(signal.SIGINT)
        ...     stop.asked
        True
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "Stop":
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._ask) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def followed(
    steps: Generator[StepT, None, None],
    total: int,
    told: Callable[[StepT], dict[str, str]],
    stop: Stop,
    *,
    shown: bool,
) -> Iterator[StepT]:
    """Yields a run's steps under a bar, until one is asked to stop; then the run saves.

    The bar begins after the first step made here: neither what was done before nor what it takes to
    begin is a measure of what is left. It takes the mean of all, for evaluations belong to it.

    Args:
        steps: the run.
        total: steps of the whole run.
        told: what the bar says of a step.
        stop: looked at after every step.
        shown: False shows nothing.
    """
    from tqdm.auto import tqdm

    progress: Any = None
    for report in steps:
        done = report.step + 1
        if progress is None:
            progress = tqdm(
                total=total, initial=done, unit="step", disable=not shown,
                mininterval=5, miniters=1, smoothing=0,
            )  # fmt: skip
        progress.update(done - progress.n)
        progress.set_postfix(told(report))
        yield report
        if stop.asked:
            steps.close()
            if shown:
                tqdm.write(f"stopped after step {done}: run the same command to go on")
            break
    if progress is not None:
        progress.close()
