"""One check of one exercise: it judges an answer, and says what a mistake suggests.

A check knows a naive oracle, several seeded inputs, and a catalogue of mistakes, each of which is
a real wrong answer. An answer that differs from the oracle is compared with the catalogue: who
gets what a known mistake gets reads its explanation; else the first difference is described.
"""

import contextlib
import copy
import inspect
import io
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from bertedu.classroom.checks import progress
from bertedu.classroom.checks.comparing import (
    Difference,
    Raised,
    difference,
    holds_stub,
    plain,
    shown,
)
from bertedu.errors import InputError

MOST_HINTS = 2
REGISTRY: dict[str, "Check"] = {}


class Mistake(NamedTuple):
    """A known wrong answer, and what to say to whoever gave it."""

    answer: Any
    message: str


class Verdict(NamedTuple):
    """What a check found; as text, the one line that the reader sees."""

    status: Literal["right", "wrong", "not done"]
    message: str = ""

    def __str__(self) -> str:
        if self.status == "wrong":
            return f"✗ not yet: {self.message}"
        return "✓ right" if self.status == "right" else "not done yet"


@dataclass
class Check:
    """Judges answers to one exercise; call it with yours.

    Args:
        oracle: computes the truth, as plainly as possible.
        lesson: its number, two digits.
        cases: gives the inputs, a tuple of arguments each; always the same ones.
        hints: at most two, the weaker first.
        through: runs an answer on a case where calling it is not enough, for example because
            it is random: `through(answer, *case)` gives what is compared.
        value: the answer is a value, not a function.

    Raises:
        InputError: more than two hints.

    Example:
        >>> def double(x: int) -> int:
        ...     return x + x
        >>> twice = Check(double, "00", cases=lambda: [(2,), (5,)])
        >>> twice.wrong("squares", lambda x: x * x, "you square; twice is x + x")
        >>> print(twice.judge(lambda x: 2 * x))
        ✓ right
        >>> print(twice.judge(lambda x: x**2))
        ✗ not yet: you square; twice is x + x
        >>> print(twice.judge(lambda x: 2 * x if x < 5 else 7))
        ✗ not yet: with x = 5 you have 7, where 10 is right
    """

    oracle: Callable[..., Any]
    lesson: str
    cases: Callable[[], Sequence[tuple[Any, ...]]] = lambda: [()]
    hints: Sequence[str] = ()
    through: Callable[..., Any] | None = None
    value: bool = False
    mistakes: dict[str, Mistake] = field(default_factory=dict)
    _hints_given: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if len(self.hints) > MOST_HINTS:
            raise InputError(f"{self.name} has {len(self.hints)} hints; give at most {MOST_HINTS}")

    @property
    def name(self) -> str:
        """Under which it is found in `bertedu.classroom.checks`."""
        return self.oracle.__name__

    @property
    def question(self) -> str:
        """What the exercise asks for, in a line."""
        return (inspect.getdoc(self.oracle) or self.name).split("\n")[0]

    def __repr__(self) -> str:
        return f"checks.{self.name}(your answer): {self.question} (lesson {self.lesson})"

    def wrong(self, name: str, answer: Any, message: str) -> None:
        """Adds a known mistake to the catalogue.

        Args:
            name: of the mistake, for the tests.
            answer: a function as a reader may write it (or a value, where `value` is set).
            message: what it suggests, in a learner's words.
        """
        self.mistakes[name] = Mistake(answer, message)

    def __call__(self, answer: Any) -> None:
        """Prints "✓ right", "✗ not yet: ..." or "not done yet", and notes the progress."""
        verdict = self.judge(answer)
        print(verdict)
        if verdict.status != "not done":
            complaint = progress.record(self.name, right=verdict.status == "right")
            if complaint:
                print(complaint)

    def passes(self, answer: Any) -> bool:
        """Returns whether the answer is right, without printing or noting anything."""
        return self.judge(answer).status == "right"

    def hint(self) -> None:
        """Prints the next hint; there are at most two."""
        if self._hints_given < len(self.hints):
            number = self._hints_given = self._hints_given + 1
            print(f"hint {number} of {len(self.hints)}: {self.hints[number - 1]}")
        else:
            print("no more hints" if self.hints else "no hints here: the exercise says it all")

    def judge(self, answer: Any) -> Verdict:
        """Returns the verdict on an answer; whatever the answer does, nothing is raised.

        Args:
            answer: the reader's function (or value, where `value` is set).
        """
        try:
            with _undisturbed():
                return self._judge(answer)
        except Exception as error:  # noqa: BLE001 (an answer that cannot even be compared)
            return Verdict("wrong", f"your answer cannot be compared ({type(error).__name__})")

    def _judge(self, answer: Any) -> Verdict:
        if holds_stub(answer):
            return Verdict("not done")
        if not self.value and not callable(answer):
            call = f"checks.{self.name}(your_function)"
            return Verdict("wrong", f"give the function itself, without calling it: {call}")
        cases = self.cases()
        yours: list[Any] = []
        for number, case in enumerate(cases):
            result, touched = self._run(answer, case)
            yours.append(result)
            if holds_stub(result) or (isinstance(result, Raised) and "ellipsis" in result.text):
                return Verdict("not done")
            truth, _ = self._run(self.oracle, case)
            found = difference(result, truth)
            if found:
                known = self._known(answer, cases, yours)
                return Verdict("wrong", known or self._described(case, number, yours, found))
            if touched:
                return Verdict("wrong", f"the result is right, but you change {touched} itself; "
                               "whoever gave it to you still needs it: work on a copy")  # fmt: skip
        return Verdict("right")

    def _run(self, answer: Any, case: tuple[Any, ...]) -> tuple[Any, str]:
        """Returns what the answer makes of a case, and which of its arguments it changed."""
        given = copy.deepcopy(case)
        try:
            if self.value:
                result = answer() if answer is self.oracle else answer
            elif self.through:
                result = self.through(_guarded(answer), *given)
            else:
                result = answer(*given)
        except _NotDoneError:
            return ..., ""
        except _NothingError:
            return None, ""
        except (Exception, SystemExit) as error:  # noqa: BLE001 (a reader's code may do anything)
            return Raised(type(error).__name__, " ".join(str(error).split())), ""
        if self.through or self.value:
            return plain(result), ""
        pairs = zip(self._arguments(), given, case, strict=False)
        return plain(result), next((name for name, *two in pairs if _changed(*two)), "")

    def _known(self, answer: Any, cases: Sequence[Any], yours: list[Any]) -> str | None:
        """Returns the message of the mistake that explains the first difference and half of all."""
        first = len(yours) - 1
        agreeing: dict[str, float] = {}
        for name, mistake in self.mistakes.items():
            theirs, _ = self._run(mistake.answer, cases[first])
            if not difference(yours[first], theirs):
                agreeing[name] = 0
        if not agreeing:
            return None
        yours += [self._run(answer, case)[0] for case in cases[len(yours) :]]
        truths = [self._run(self.oracle, case)[0] for case in cases]
        for name in agreeing:
            theirs = [self._run(self.mistakes[name].answer, case)[0] for case in cases]
            three = list(zip(yours, theirs, truths, strict=True))
            told = [
                not difference(y, t) for y, t, r in three if difference(y, r) or difference(t, r)
            ]
            agreeing[name] = sum(told) / len(told)
        best = max(agreeing, key=lambda name: agreeing[name])
        # To agree once may be chance: a wrong explanation is worse than none.
        return self.mistakes[best].message if agreeing[best] >= 0.5 else None

    def _described(self, case: tuple[Any, ...], number: int, yours: list[Any],
                   found: Difference) -> str:  # fmt: skip
        """Returns the first difference in words, for a mistake that nobody foresaw."""
        result = yours[-1]
        if self.value:
            at = f" at {found.place}" if found.place else ""  # which one, but not what is right
            close = ": nearly; mind the decimals that are asked for" if found.nearly else ""
            return f"you have {shown(found.yours)}{at}{close}"
        if isinstance(result, Raised):
            return f"your function stops with {result.kind}: {shown(result.text, 150)}"
        if result is None:
            return "your function returns nothing (None): does it end with a `return`?"
        same = number and all(not difference(result, earlier) for earlier in yours[:-1])
        if same:
            return (f"whatever it is given, your function returns {shown(result)}: compute the "
                    "answer from the arguments")  # fmt: skip
        given = ", ".join(f"{name} = {shown(x)}" for name, x in
                          zip(self._arguments(), case, strict=False))  # fmt: skip
        return f"with {given} {found}" if not self.through else f"{found}"

    def _arguments(self) -> list[str]:
        return list(inspect.signature(self.oracle).parameters)


def check(
    lesson: str,
    *,
    cases: Callable[[], Sequence[tuple[Any, ...]]] = lambda: [()],
    hints: Sequence[str] = (),
    through: Callable[..., Any] | None = None,
    value: bool = False,
) -> Callable[[Callable[..., Any]], Check]:
    """Returns a decorator that makes a check of a naive oracle and enters it in `checks`.

    Args:
        lesson: as in `Check`.
        cases: as in `Check`.
        hints: as in `Check`.
        through: as in `Check`.
        value: as in `Check`.

    Raises:
        InputError: a second check of the same name.
    """

    def enter(oracle: Callable[..., Any]) -> Check:
        made = Check(oracle, lesson, cases, hints, through, value)
        if made.name in REGISTRY:
            raise InputError(f"there are two checks called {made.name}; rename one")
        REGISTRY[made.name] = made
        return made

    return enter


class _NothingError(Exception):
    """A missing `return`, met on the way through."""


class _NotDoneError(Exception):
    """A stub's `...`, met on the way through."""


def _guarded(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the answer, that says when it is still a stub before somebody computes with it."""

    def ask(*given: Any, **named: Any) -> Any:
        result = answer(*given, **named)
        if holds_stub(result):
            raise _NotDoneError
        if result is None:
            raise _NothingError
        return result

    return ask


def _changed(now: Any, before: Any) -> bool:
    """Returns whether an argument is no longer what it was."""
    if isinstance(before, torch.Tensor):
        return not torch.equal(now, before)
    if isinstance(before, np.ndarray | np.void):
        return not np.array_equal(now, before)
    return isinstance(before, list | dict) and difference(plain(now), plain(before)) is not None


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
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
