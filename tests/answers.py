"""Right and wrong answers to every exercise, made by a seeded generator, and what the checks say.

`python -m tests.answers` tries about two thousand and prints, by lesson, how many right answers
were refused, how many wrong ones accepted, and how many explanations were given and untrue. An
answer is right or wrong by what it gives on fresh legal inputs, which no check has seen; an
explanation is true if the mistake that it names gives the same as the answer on all of them, too.
"""

import argparse
import itertools
import random
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from bertedu.classroom.checks.comparing import difference, plain
from bertedu.classroom.checks.framework import Check
from bertedu.classroom.checks.running import Reader, undisturbed
from tests.course_answers import CHECKS, solution
from tests.right_answers import RIGHT

PROBES = 25  # fresh legal inputs, from seeds that no check uses
CLEAR = 3  # on how many of them a wrong answer differs: a slip on one input of a hundred is luck


class Tried(NamedTuple):
    """An answer, what it is made of, and whether it is right."""

    name: str
    answer: Any
    right: bool


@dataclass
class Figures:
    """What was tried, and what went wrong."""

    right: int = 0
    refused: list[str] = field(default_factory=list)
    wrong: int = 0
    accepted: list[str] = field(default_factory=list)
    explained: int = 0
    untrue: list[str] = field(default_factory=list)


def forms(answer: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The same answer, given as lists, as tuples, as arrays, and as 64-bit numbers."""

    def as_array(result: Any) -> Any:
        if isinstance(result, torch.Tensor):
            return result.detach().numpy()
        numbers = isinstance(result, list | tuple) and not _holds_texts(result)
        return np.array(result) if numbers and _regular(result) else result

    def as_double(result: Any) -> Any:
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            return result.double()
        return np.float64(result) if isinstance(result, float) else result

    for name, form in {
        "lists": plain,
        "tuples": _tuples,
        "arrays": as_array,
        "double": as_double,
    }.items():
        yield name, lambda *given, form=form: form(answer(*given))


def _tuples(result: Any) -> Any:
    result = plain(result)
    return tuple(map(_tuples, result)) if isinstance(result, list) else result


def _holds_texts(result: Any) -> bool:
    if isinstance(result, list | tuple):
        return any(map(_holds_texts, result))
    return isinstance(result, str)


def _regular(result: Any) -> bool:
    try:
        return np.array(result).dtype != object
    except ValueError:
        return False


def right_answers(check: Check) -> Iterator[Tried]:
    """Answers that are right: the oracle, the course's, ours, and each in several forms."""
    if check.value:
        truth = check.oracle()
        for name, value in (("oracle", truth), ("solution", solution(check)),
                            *check.alternatives.items(), ("text", _as_text(truth)),
                            ("tuple", tuple(truth) if isinstance(truth, list) else truth),
                            ("array", _as_array(truth))):  # fmt: skip
            yield Tried(name, value, True)
        return
    yield Tried("oracle", check.oracle, True)
    mine = solution(check)
    yield Tried("solution", mine, True)
    for name, other in check.alternatives.items():
        yield Tried(name, other, True)
    for name, other in RIGHT.get(check.name, {}).items():
        yield Tried(name, other, True)
    if not check.through:
        for name, other in forms(mine):
            yield Tried(f"solution as {name}", other, True)


def _as_text(truth: Any) -> Any:
    if isinstance(truth, list):
        return [_as_text(part) for part in truth]
    if isinstance(truth, dict):
        return {name: _as_text(part) for name, part in truth.items()}
    number = isinstance(truth, int | float) and not isinstance(truth, bool)
    return f"{truth!r}" if number else truth


def _as_array(truth: Any) -> Any:
    numbers = isinstance(truth, list) and not _holds_texts(truth)
    return np.array(truth) if numbers and len({type(part) for part in truth}) == 1 else truth


def coin(*given: Any, salt: int) -> bool:
    """A coin that the input decides: the same input always gets the same side."""
    chance = (torch.Generator, random.Random)  # whose names say where in memory they are
    known = plain([each for each in given if not isinstance(each, chance)])
    return bool(zlib.crc32(f"{known}{salt}".encode()) & 4)


def otherwise(value: Any, rng: random.Random) -> Any:  # noqa: PLR0911
    """A result that is near another one, and of its kind, but not it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice([value + 1, value - 1, -value - 1, 2 * value + 1])
    if isinstance(value, float):
        return rng.choice(
            [value * 1.03 + 0.01, -value - 0.1, 1 - value + 0.01, value + 1, value / 2 + 1]
        )
    if isinstance(value, str):
        return rng.choice([value[1:] + "x", value + "s", "" if value else "a", value + " "])
    if isinstance(value, dict) and value:
        name = rng.choice(sorted(value, key=repr))
        if rng.random() < 0.3:
            return {k: v for k, v in value.items() if k != name}
        return {**value, name: otherwise(value[name], rng)}
    if isinstance(value, list) and value:
        i = rng.randrange(len(value))
        return rng.choice([
            [*value[:i], otherwise(value[i], rng), *value[i + 1 :]],
            [*value[:i], otherwise(value[i], rng), *value[i + 1 :]],
            value[:-1], [*value, value[0]], [value],
        ])  # fmt: skip
    return [value]


def transformed(value: Any, rng: random.Random) -> Any:  # noqa: PLR0911
    """A whole result turned round, shifted, sorted or cut."""
    if isinstance(value, bool):
        return rng.choice([not value, True, False])
    if isinstance(value, int | float):
        return rng.choice([-value, abs(value), value * 2, round(value, 1), value + 1, value**2, 0])
    if isinstance(value, str):
        return rng.choice([value.upper(), value.lower(), value[::-1], value.strip("."), value[:-1]])
    if isinstance(value, dict):
        return dict.fromkeys(value, next(iter(value.values()), 0))
    if isinstance(value, list):
        if not value:
            return [0]
        if isinstance(value[0], list) and rng.random() < 0.5:
            return [transformed(part, rng) for part in value]
        try:
            ordered = sorted(value)
        except TypeError:
            ordered = value[::-1]
        each = [transformed(part, rng) for part in value]
        turned = [value[::-1], ordered, value[1:] + value[:1]]
        return rng.choice([*turned, value[:-1], [value[0]] * len(value), each])
    return value


KINDS = (
    *("one place", "one place at times", "whole", "whole at times", "mixed"),
    *("two mistakes", "constant", "other input", "stops at times"),
)


def drawn_answer(check: Check, number: int) -> tuple[str, Callable[..., Any]]:
    """A function that is wrong, or nearly always; which, the number decides."""
    seed = zlib.crc32(f"{check.name} {number}".encode())
    rng = random.Random(seed)
    truth, named = check.oracle, list(check.mistakes.items())
    (one, first), (other, second) = rng.sample(named, 2)
    kind = rng.choice(KINDS)

    def answer(*given: Any) -> Any:
        heads = coin(*given, salt=seed)
        again = random.Random(seed)  # the same change for every input
        if kind.startswith("one place"):
            result = plain(truth(*given))
            return otherwise(result, again) if heads or kind.endswith("place") else result
        if kind.startswith("whole"):
            result = plain(truth(*given))
            return transformed(result, again) if heads or kind.endswith("whole") else result
        if kind == "mixed":
            return first.answer(*given) if heads else truth(*given)
        if kind == "two mistakes":
            return first.answer(*given) if heads else second.answer(*given)
        if kind == "constant":
            kept.append(plain(truth(*given)))
            return kept[0]
        if kind == "stops at times" and heads:
            raise ValueError("no")
        return truth(*map(_moved, given)) if kind == "other input" else truth(*given)

    kept: list[Any] = []
    return f"{number} {kind} ({one}, {other})", answer


def _moved(given: Any) -> Any:
    """An input a little beside the one that was given."""
    if isinstance(given, torch.Tensor) and given.dim() and len(given) > 1:
        return given.roll(1, 0)
    if isinstance(given, list):
        return given[::-1]
    return given


def drawn_value(check: Check, number: int) -> tuple[str, Any]:
    """A value that is wrong, or nearly always; which, the number decides."""
    rng = random.Random(zlib.crc32(f"{check.name} {number}".encode()))
    truth = plain(check.oracle())
    made = otherwise if number % 2 else transformed
    return f"{number} {made.__name__}", made(truth, rng)


class Judge:
    """Says of an answer whether it is right, by inputs that its check has never seen."""

    def __init__(self, check: Check, probes: int = PROBES) -> None:
        self.check = check
        cases = check.examples
        if check.drawn:
            few = probes if check.count > 20 else probes // 2
            cases = [check.drawn(random.Random(10_000 + seed)) for seed in range(few)]
        self.fresh = Check(check.oracle, check.lesson, cases=lambda: cases, through=check.through,
                           value=check.value, within=check.within, read=check.read)  # fmt: skip

    def results(self, answer: Any) -> list[Any]:
        with undisturbed():
            reader = Reader(answer, self.fresh._arguments)
            return [self.fresh._run(reader, case) for case in self.fresh.examples]

    def apart(self, mine: list[Any], answer: Any) -> int:
        """On how many fresh inputs a result is not that of one of the check's own answers."""
        with undisturbed():
            theirs = [self.fresh._result(answer, i) for i in range(len(mine))]
        pairs = zip(mine, theirs, strict=True)
        return sum(difference(*two, within=self.check.within) is not None for two in pairs)

    def wrong(self, mine: list[Any]) -> bool:
        """Whether it differs clearly from everything that is right."""
        clear = min(CLEAR, len(mine))
        rights = [self.check.oracle, *self.check.alternatives.values()]
        return all(self.apart(mine, right) >= clear for right in rights)


def wrong_answers(check: Check, judge: Judge, rounds: int, start: int = 0) -> Iterator[Tried]:
    """Answers that are wrong: the catalogue's, and as many drawn ones as are asked for."""
    for name, mistake in check.mistakes.items():
        yield Tried(name, mistake.answer, False)
    for number in range(start, start + rounds):
        name, answer = (drawn_value if check.value else drawn_answer)(check, number)
        mine = judge.results(answer)
        if not any(result is ... for result in mine) and judge.wrong(mine):
            yield Tried(name, answer, False)


def try_all(check: Check, rounds: int, start: int = 0) -> Figures:
    """Judges right and wrong answers to one exercise."""
    figures, judge = Figures(), Judge(check)
    messages = {mistake.message: mistake for mistake in check.mistakes.values()}
    for name, answer, _ in right_answers(check):
        figures.right += 1
        verdict = check.judge(answer)
        if verdict.status != "right":
            figures.refused.append(f"{check.name}: {name}: {verdict}")
    for name, answer, _ in wrong_answers(check, judge, rounds, start):
        figures.wrong += 1
        verdict = check.judge(answer)
        if verdict.status == "right":
            figures.accepted.append(f"{check.name}: {name}")
        if verdict.message in messages:
            figures.explained += 1
            named = messages[verdict.message].answer
            if answer is not named and judge.apart(judge.results(answer), named):
                figures.untrue.append(f"{check.name}: {name}: {verdict.message}")
    return figures


def main() -> None:
    """Prints the figures by lesson; fails if one of the three that should be 0 is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="drawn answers to each exercise")
    parser.add_argument("--start", type=int, default=0, help="the number of the first of them")
    parser.add_argument("--lesson", help="only this one, two digits")
    chosen = parser.parse_args()
    start = time.perf_counter()
    print("lesson  checks   right refused   wrong accepted   explained untrue")
    whole: list[Figures] = []
    for lesson, group in itertools.groupby(CHECKS.values(), lambda each: each.lesson):
        if chosen.lesson in (None, lesson):
            found = [try_all(check, chosen.rounds, chosen.start) for check in group]
            print(row(lesson, found), flush=True)
            whole += found
    print(row("all", whole), f"{time.perf_counter() - start:.0f} s", sep="\n")
    faults = [
        f"{kind}: {fault}"
        for kind in ("refused", "accepted", "untrue")
        for each in whole
        for fault in getattr(each, kind)
    ]
    print(*faults, sep="\n")
    sys.exit(bool(faults))


def row(name: str, found: list[Figures]) -> str:
    """A line of the table."""

    def count(part: str) -> int:
        values = [getattr(each, part) for each in found]
        return sum(len(value) if isinstance(value, list) else value for value in values)

    columns = {"right": 8, "refused": 8, "wrong": 8, "accepted": 9, "explained": 12, "untrue": 7}
    return f"{name:6}{len(found):8}" + "".join(f"{count(c):{w}}" for c, w in columns.items())


if __name__ == "__main__":
    main()
