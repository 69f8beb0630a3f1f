"""Running a reader's function: for a limited time, its errors explained, and nothing disturbed.

The limit works in whichever thread a cell runs and on every system: a second thread asks Python to
raise an exception in the first one. (A signal would need Unix and the main thread.)
"""

import contextlib
import copy
import ctypes
import io
import linecache
import random
import re
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from bertedu.classroom.checks.comparing import Raised, difference, holds_stub, plain

LIMIT = 3.0  # seconds of computing for all calls of one answer; honest ones take a hundredth
AGAIN = 1.0  # seconds until the next interruption, for a loop that swallows the first one
PATIENCE = 60.0  # seconds by the clock, however busy the machine is with others


class NothingError(Exception):
    """A missing `return`, met on the way through."""


class NotDoneError(Exception):
    """A stub's `...`, met on the way through."""


class TooLongError(BaseException):
    """Time is up. No `Exception`, so that a reader's own `except` does not swallow it."""


_SHAPES = "these shapes do not fit together; after a sum, mean or max over one dimension, "
EXPLAINED = (  # kinds of error, words in its text, what it usually means
    (
        "RuntimeError",
        r"must match the (existing )?size|non-singleton dimension",
        f"{_SHAPES}`keepdim=True` keeps its place",
    ),
    ("ValueError", r"could not be broadcast", f"{_SHAPES}`keepdims=True` keeps its place"),
    (
        "RuntimeError|ValueError",
        r"cannot be multiplied|size mismatch|matmul|inconsistent tensor size|batch2|1D tensors",
        (
            "for `a @ b`, the last number of a's shape must be b's last but one (or its only one): "
            "is a `.T` or a `transpose` missing?"
        ),
    ),
    (
        "RuntimeError|ValueError",
        r"[Bb]oolean value of Tensor|truth value of an array",
        (
            "a tensor of several values is neither true nor false as a whole: use `.any()` or "
            "`.all()`, and `&` and `|` instead of `and` and `or`"
        ),
    ),
    (
        "ValueError",
        r"math domain error|expected a (positive|nonnegative) input",
        "a logarithm of 0 or less: which p can become 0?",
    ),
    ("ZeroDivisionError", r"", "you divide by 0: which number can be 0 here?"),
)


class Reader:
    """A reader's answer, called and overheard; within the context also for a limited time.

    Args:
        answer: the function (or value).
        arguments: the names of what it is given.
        without: names of functions, or modules (with a dot), that it must not use.

    Attributes:
        endless: whether it ran out of time.
        changed: the name of an argument that it changed, or "".
        forbidden: the name of a forbidden function that it used, or "".
        raised: the error of its last call, if there was one.
        last: what its last call returned.
    """

    def __init__(self, answer: Any, arguments: Sequence[str], without: Sequence[str] = ()) -> None:
        self.answer, self.arguments, self.without = answer, arguments, without
        self.endless, self.changed, self.forbidden = False, "", ""
        self.raised: Raised | None = None
        self.last: Any = None
        self._begun = time.monotonic()
        self._computing, self._waiting = LIMIT, PATIENCE  # seconds that are left
        self._running, self._interrupted = False, False
        self._ended, self._lock = threading.Event(), threading.Lock()

    def __enter__(self) -> "Reader":
        if callable(self.answer):
            thread = threading.get_ident()
            threading.Thread(target=self._watch, args=(thread,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Returns what the answer returns.

        Raises:
            NotDoneError: it is still a stub.
            NothingError: it returned None.
            Exception: what the answer raised; `raised` has it in words.
        """
        self.raised = self.last = None
        before = [copy.deepcopy(x) if isinstance(x, _MUTABLE) else x for x in given]
        if self.endless:
            raise TimeoutError
        try:
            with self._limited(), self._overheard():
                self.last = result = self.answer(*given, **named)
        except TooLongError:
            self.endless = True
            seconds = time.monotonic() - self._begun
            self.raised = Raised("TooLong", f"is still running after {seconds:.0f} seconds")
            raise TimeoutError from None
        except NotDoneError:
            raise
        except (Exception, SystemExit) as error:
            self.raised = raised(error)
            if "ellipsis" in self.raised.text:
                raise NotDoneError from error
            raise RuntimeError from error
        named_pairs = zip(self.arguments, given, before, strict=False)
        changed = (name for name, now, was in named_pairs if _changed(now, was))
        self.changed = self.changed or next(changed, "")
        if holds_stub(result):
            raise NotDoneError
        if result is None:
            raise NothingError
        return result

    def _watch(self, thread: int) -> None:
        """Counts the seconds in which the answer runs; then interrupts it, again and again."""
        computed, clock = time.process_time(), time.monotonic()
        while not self._ended.wait(0.05):
            with self._lock:
                before = computed, clock
                computed, clock = time.process_time(), time.monotonic()
                if self._running:
                    self._computing -= computed - before[0]
                    self._waiting -= clock - before[1]
                    if self._computing < 0 or self._waiting < 0:
                        self._interrupted = True
                        _interrupt(thread, TooLongError)
                        self._computing, self._waiting = AGAIN, AGAIN

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        with self._lock:
            self._running = True
        try:
            yield
        finally:
            with self._lock:
                self._running = False
            if self._interrupted:  # an interruption of the last moment shall come now, not later
                with contextlib.suppress(TooLongError):
                    for _ in range(20):
                        time.sleep(0.005)

    @contextlib.contextmanager
    def _overheard(self) -> Iterator[None]:
        """Notes whether a forbidden function is called, where some are."""
        if not self.without:
            yield
            return
        before = sys.getprofile()

        def note(frame: FrameType, event: str, called: Any) -> None:
            if event == "call":
                module = str(frame.f_globals.get("__name__", ""))
                self._hear(frame.f_code.co_name, module)
            elif event == "c_call":
                self._hear(str(getattr(called, "__name__", "")), "torch")

        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _hear(self, name: str, module: str) -> None:
        if module in self.without or (
            name in self.without and module.split(".", maxsplit=1)[0] in {"torch", "bertedu"}
        ):
            self.forbidden = self.forbidden or name


_PATHS = sysconfig.get_paths()
_LIBRARIES = (  # where a reader's own code is not
    str(Path(__file__).parents[2]),
    *(_PATHS[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    "<frozen",
)
_MUTABLE = (torch.Tensor, np.ndarray, np.void, list, dict, set)


def _changed(now: Any, before: Any) -> bool:
    """Returns whether an argument is no longer what it was."""
    if isinstance(before, torch.Tensor):
        return not torch.equal(now, before)
    if isinstance(before, np.ndarray | np.void):
        return not np.array_equal(now, before)
    if isinstance(before, set):
        return bool(now != before)
    return isinstance(before, list | dict) and difference(plain(now), plain(before)) is not None


def _interrupt(thread: int, error: type[BaseException]) -> None:
    """Has Python raise an error in a thread at its next step."""
    raised_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    raised_in(ctypes.c_ulong(thread), ctypes.py_object(error))


def raised(error: BaseException) -> Raised:
    """Returns an error in words.

    Args:
        error: as it was caught.
    """
    text = " ".join(str(error).split())
    return Raised(type(error).__name__, text, place(error), meaning(error))


def place(error: BaseException) -> str:
    """Returns the line of a reader's code in which an error arose, as "line 3, `a / b`", or "".

    Args:
        error: as it was caught.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(_LIBRARIES):
            continue
        line = linecache.getline(frame.filename, frame.lineno or 0).strip()
        return f"line {frame.lineno}" + (f", `{line[:60]}`" if line else "")
    return ""


def meaning(error: BaseException) -> str:
    """Returns what one of the usual errors usually means, or "".

    Args:
        error: as it was caught.

    Example:
        >>> meaning(ZeroDivisionError("division by zero"))
        'you divide by 0: which number can be 0 here?'
    """
    kind, text = type(error).__name__, str(error)
    return next((meant for kinds, words, meant in EXPLAINED
                 if re.fullmatch(kinds, kind) and re.search(words, text)), "")  # fmt: skip


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keeps a judged answer from printing, warning, and moving the notebook's random numbers."""
    state, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with (
        torch.set_grad_enabled(torch.is_grad_enabled()),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=[]),
    ):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        random.seed(0)
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(of_numpy)  # noqa: NPY002
