"""A guess before the result: whoever commits to a number remembers the one that comes out."""

from collections.abc import Mapping
from typing import Any

from bertedu.classroom.checks.comparing import (
    MOST_CHARACTERS,
    holds_stub,
    numbers_in,
    plain,
    shown,
)

FIRST_GUESS = "not done yet: put your guess in place of `...`, then run this cell"


def guess(yours: Any, truth: Any, unit: str = "", within: float = 0.0) -> None:
    """Prints a guess beside what came out; as long as there is no guess, the result stays hidden.

    A guess is no exercise: none is wrong, and nothing is noted.

    Args:
        yours: the guess, a number or a word; or several, by name. '14', '14 %' and, where the
            truth is 1 % or more, .14 are all taken for 14 %.
        truth: what came out, in the same form.
        unit: written behind each number.
        within: how far from the truth a number may be to count as guessed.

    Example:
        >>> guess(..., 14)
        not done yet: put your guess in place of `...`, then run this cell
        >>> guess(10, 14, "pieces")
        you guessed 10 pieces; it is 14 pieces
        >>> guess({"dog": 55, "cat": 90}, {"dog": 57.14, "cat": 60.0}, "%", within=5)
        dog: ✓ you guessed 55 %; it is 57.1 %
        cat: you guessed 90 %; it is 60.0 %
    """
    if holds_stub(yours):
        print(FIRST_GUESS)
    elif not isinstance(truth, Mapping):
        print(_beside(yours, truth, unit, within))
    elif not isinstance(yours, Mapping) or yours.keys() != truth.keys():
        print(f"give one guess for each of: {', '.join(map(str, truth))}")
    else:
        for name in truth:
            print(f"{name}: {_beside(yours[name], truth[name], unit, within)}")


def _beside(yours: Any, truth: Any, unit: str, within: float) -> str:
    real = plain(truth)
    mine = _meant(plain(yours), real, unit)
    try:
        right = bool(mine == real) or abs(mine - real) <= within
    except Exception:  # noqa: BLE001 (words have no distance; a reader's object may do anything)
        right = False
    mark = "✓ " if right else ""
    return f"{mark}you guessed {_written(mine, unit)}; it is {_written(real, unit)}"


def _meant(mine: Any, real: Any, unit: str) -> Any:
    """Returns a guess as the number that it says, a share as so many per cent."""
    if isinstance(real, bool) or not isinstance(real, int | float):
        return mine
    said_so = isinstance(mine, str) and "%" in mine
    mine = numbers_in(mine)
    is_share = unit == "%" and not said_so and isinstance(mine, float) and 0 < mine < 1 <= real
    return 100 * mine if is_share else mine


def _written(value: Any, unit: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value[:MOST_CHARACTERS] if isinstance(value, str) else shown(value)
    number = f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
    one = abs(value) == 1 and isinstance(value, int)
    return f"{number} {unit.removesuffix('s') if one else unit}".rstrip()
