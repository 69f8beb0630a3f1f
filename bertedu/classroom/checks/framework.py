"""One check of one exercise: it judges an answer, and says what a mistake suggests.

A check knows a naive oracle, legal inputs (some chosen, most drawn with fixed seeds), and a
catalogue of mistakes, each of which is a real wrong answer. Who gets what a known mistake gets on
*every* input, and what no other one gets, reads its explanation; everybody else reads the first
input on which the answer differs, what it gave there, and what is right.
"""

import copy
import functools
import inspect
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from bertedu.classroom.checks import progress
from bertedu.classroom.checks.comparing import (
    MOST_CHARACTERS,
    Difference,
    Raised,
    difference,
    holds_stub,
    numbers_in,
    plain,
    shown,
    truths,
)
from bertedu.classroom.checks.running import (
    NotDoneError,
    NothingError,
    Reader,
    place,
    raised,
    undisturbed,
)
from bertedu.errors import InputError

MOST_HINTS = 2
DRAWN = 60  # legal inputs beside the chosen ones: what agrees on all of them is no coincidence
_BRACKETS = "[]'\""
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
        cases: gives chosen inputs, a tuple of arguments each; always the same ones.
        drawn: makes one more legal input from a seeded `random.Random`, corners among them.
        count: how many inputs are drawn.
        hints: at most two, the weaker first.
        through: runs an answer on a case where calling it is not enough, for example because
            it is random: `through(answer, *case)` gives what is compared.
        value: the answer is a value, not a function.
        within: how far from the truth the numbers of a value may be: half a unit of the last
            decimal that is asked for.
        read: what is done with an answer before it is compared, where one thing has several names.
        without: what the exercise forbids: names of functions, or modules (with a dot).

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
    cases: Callable[[], Sequence[tuple[Any, ...]]] = list
    drawn: Callable[[random.Random], tuple[Any, ...]] | None = None
    count: int = DRAWN
    hints: Sequence[str] = ()
    through: Callable[..., Any] | None = None
    value: bool = False
    within: float = 0.0
    read: Callable[[Any], Any] = plain
    without: Sequence[str] = ()
    mistakes: dict[str, Mistake] = field(default_factory=dict)
    alternatives: dict[str, Any] = field(default_factory=dict)
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

    def right(self, name: str, answer: Any) -> None:
        """Adds another right answer, where the exercise leaves open which of several is given.

        Args:
            name: what it does otherwise, for the tests.
            answer: a function (or a value, where `value` is set).
        """
        self.alternatives[name] = answer

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
            print("no more hints" if self.hints else "no hints here: read the exercise again")

    @functools.cached_property
    def examples(self) -> list[tuple[Any, ...]]:
        """All inputs: the chosen ones, then the drawn ones; for a value a single empty one."""
        chosen = list(self.cases())
        if self.drawn:
            chosen += [self.drawn(random.Random(seed)) for seed in range(self.count)]
        return chosen or [()]

    def judge(self, answer: Any) -> Verdict:
        """Returns the verdict on an answer; whatever the answer does, nothing is raised.

        Args:
            answer: the reader's function (or value, where `value` is set).
        """
        try:
            with undisturbed():
                return self._judge(answer)
        except Exception as error:  # noqa: BLE001 (an answer that cannot even be compared)
            return Verdict("wrong", f"your answer cannot be compared ({type(error).__name__})")

    def _judge(self, answer: Any) -> Verdict:
        if holds_stub(answer):
            return Verdict("not done")
        if not self.value and not callable(answer):
            call = f"checks.{self.name}(your_function)"
            return Verdict("wrong", f"give the function itself, without calling it: {call}")
        yours: list[Any] = []
        first: int | None = None  # where it is not what the oracle says
        rivals = [Mistake(answer, "") for answer in self.alternatives.values()]
        rivals += self.mistakes.values()
        constant = True
        with Reader(answer, self._arguments, self.without) as reader:
            for number, case in enumerate(self.examples):
                result = self._run(reader, case)
                if holds_stub(result):
                    return Verdict("not done")
                yours.append(result)
                if first is None and self._apart(result, self._result(self.oracle, number)):
                    first = number
                rivals = [rival for rival in rivals if not self._is_not(rival, result, number)]
                constant = constant and not self._apart(result, yours[0])
                if first is not None and (reader.endless or not (rivals or constant)):
                    break
        if first is None or not all(rival.message for rival in rivals):  # another right answer
            return self._manners(reader)
        if len(rivals) == 1:
            return Verdict("wrong", rivals[0].message)
        return Verdict("wrong", self._described(first, yours, constant and len(yours) > 1))

    def _run(self, reader: Reader, case: tuple[Any, ...]) -> Any:
        """Returns what the answer makes of a case."""
        try:
            if self.value:
                return self.read(numbers_in(reader.answer, self.oracle()))
            given = copy.deepcopy(case)
            if self.through:
                return plain(self.through(reader, *given))
            return self.read(reader(*given))
        except NotDoneError:
            return ...
        except NothingError:
            return None
        except Exception as error:  # noqa: BLE001 (a reader's code may do anything)
            return reader.raised or self._unfit(reader, error)

    def _unfit(self, reader: Reader, error: Exception) -> Any:
        """Returns what is said when not the answer stops, but whoever reads what it returned."""
        if self.value:
            return plain(reader.answer)
        if place(error):  # a reader's class, for example, whose method was called
            return raised(error)
        reason = shown(f"{type(error).__name__}: {error}", 120)
        return Raised("", f"what your function returns ({shown(reader.last)}) is of another kind "
                      f"than is asked for ({reason})")  # fmt: skip

    def _result(self, answer: Any, number: int) -> Any:
        """Returns what one of our own answers makes of a case; computed once."""
        key = id(answer), number
        if key not in self._kept:
            if self.value:
                self._kept[key] = self.read(answer() if answer is self.oracle else answer)
            else:
                self._kept[key] = self._run(Reader(answer, self._arguments), self.examples[number])
        return self._kept[key]

    @functools.cached_property
    def _kept(self) -> dict[tuple[int, int], Any]:
        return {}

    def _apart(self, yours: Any, truth: Any) -> Difference | None:
        return difference(yours, truth, within=self.within)

    def _is_not(self, rival: Mistake, yours: Any, number: int) -> Difference | None:
        """Returns where an answer differs from another one; a mistake is one in 0 and 1, too."""
        theirs = self._result(rival.answer, number)
        return self._apart(truths(yours, theirs) if rival.message else yours, theirs)

    def _manners(self, reader: Reader) -> Verdict:
        """Returns the verdict on an answer whose results are right."""
        if reader.changed:
            return Verdict("wrong", f"the result is correct, but you change {reader.changed} "
                           "itself, which is still needed: work on a copy")  # fmt: skip
        if reader.forbidden:
            source = f"it comes from `{reader.forbidden}`, which is not allowed"
            return Verdict("wrong", f"the result is correct, but {source}: compute it yourself")
        return Verdict("right")

    def _described(self, number: int, yours: list[Any], constant: bool) -> str:
        """Returns the first difference in words, for a mistake that nobody foresaw."""
        result, truth = yours[number], self._result(self.oracle, number)
        found = self._apart(result, truth)
        if self.value:
            at = f" at {found.place}" if found and found.place else ""  # but not what is right
            close = ": nearly; mind the decimals that are asked for"
            mine = found.yours if found else result
            return f"you have {shown(mine)}{at}{close if self._nearly(found) else ''}"
        names = self._arguments
        if self.through:  # a case holds what `through` is given, after the answer
            names = list(inspect.signature(self.through).parameters)[1:]
        each = MOST_CHARACTERS if len(names) < 4 else MOST_CHARACTERS // 2
        given = ", ".join(f"{name} = {shown(x, each)}" for name, x in
                          zip(names, self.examples[number], strict=False))  # fmt: skip
        if isinstance(result, Raised):
            return result.text if not result.kind else f"with {given} {result.told}"
        if result is None and truth is not None:
            ways = "is there a `return` on every way through it? (`x.sort()` gives None, too)"
            return f"with {given} your function returns nothing (None): {ways}"
        if constant and not self.through and found and not found.what:
            return (f"whatever it is given, your function returns {shown(result)}; "
                    f"with {given}, {shown(truth)} is right")  # fmt: skip
        return f"with {given} {found}" if not self.through else self._seen(found)

    def _seen(self, found: Difference | None) -> str:
        """Returns what was found out about many calls, or about a block, in words."""
        if found and found.truth is True and found.yours is False:
            return f"this must be true, and is not yet: {found.place.strip(_BRACKETS)}"
        return str(found)

    def _nearly(self, found: Difference | None) -> bool:
        return bool(self.within and found and found.nearly)

    @functools.cached_property
    def _arguments(self) -> list[str]:
        return list(inspect.signature(self.oracle).parameters)


def check(lesson: str, **options: Any) -> Callable[[Callable[..., Any]], Check]:
    """Returns a decorator that makes a check of a naive oracle and enters it in `checks`.

    Args:
        lesson: as in `Check`.
        options: as in `Check`.

    Raises:
        InputError: a second check of the same name.
    """

    def enter(oracle: Callable[..., Any]) -> Check:
        made = Check(oracle, lesson, **options)
        if made.name in REGISTRY:
            raise InputError(f"there are two checks called {made.name}; rename one")
        REGISTRY[made.name] = made
        return made

    return enter
