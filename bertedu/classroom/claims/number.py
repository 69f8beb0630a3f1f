"""Numbers as a text writes them, and when two of them are the same."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)*(?:e[-+]?\d+)?"
_NUMBER = re.compile(
    rf"(?<![\w.])(?<![A-Za-z]-)(?P<sign>[-+−]?)(?P<digits>{_DIGITS})(?P<suffix>[MBk]\b)?"
)
_SUFFIX = {"k": 1e3, "M": 1e6, "B": 1e9, "million": 1e6, "billion": 1e9}


@dataclass(frozen=True)
class Number:
    """A number as it is written.

    Args:
        start: where it begins in its passage.
        end: where it ends, with its percent sign.
        written: as the text has it.
        value: what it says; a percentage counts in percent.
        digits: how many decimals are written.
        percent: whether it is a percentage.
    """

    start: int
    end: int
    written: str
    value: float
    digits: int
    percent: bool

    @property
    def width(self) -> int:
        """How many digits it has that say something; leading zeros do not."""
        return len(re.sub(r"\D", "", self.written.partition("e")[0]).lstrip("0"))

    def agrees(self, other: "Number", *, bound: bool = False) -> bool:
        """Whether another number, rounded as this one is written, is this one.

        Args:
            other: as a cell shows it.
            bound: whether the author has bound the two: points may then be percent, and a
                round number be rounded.

        Example:
            >>> told, other = numbers("83.5 %")[0], numbers("0.8346; 83.5%; 84%")
            >>> [told.agrees(number) for number in other]
            [True, True, False]
        """
        half = 0.5000001 * 10.0**-self.digits * _scale(self.written)
        if bound and not self.digits and abs(self.value) >= 100:
            half *= 10.0 ** (len(plain := f"{abs(self.value):.0f}") - len(plain.rstrip("0")))
        if "e" in self.written:
            half = 1e-9 * abs(self.value)
        found = abs(other.value)
        if other.percent and not self.percent and not self.digits and not bound:
            return False
        exact = self.digits <= other.digits or _scale(self.written) > 1 or found == abs(self.value)
        if self.percent and not other.percent and other.digits >= 1 and found <= 1:
            return abs(100 * found - abs(self.value)) <= half
        scale = _scale(self.written)  # a table may count in millions
        wanted = {abs(self.value): half, abs(self.value) / scale: half / scale}
        return exact and any(abs(found - value) <= width for value, width in wanted.items())


def _scale(written: str) -> float:
    return next((by for word, by in _SUFFIX.items() if written.endswith(word)), 1.0)


def numbers(text: str, hidden: Sequence[tuple[int, int]] = ()) -> list[Number]:
    """Returns the numbers in a text; digits of names (GPT-2, L12) are none.

    Args:
        text: in plain words.
        hidden: (start, end) of what is not to be looked at.

    Example:
        >>> [number.written for number in numbers("GPT-2 has 1,024 places, BERT 512: 50 %.")]
        ['1,024', '512', '50 %']
    """
    found = []
    for match in _NUMBER.finditer(text):
        if any(start <= match.start() < end for start, end in hidden):
            continue
        end, written, digits = match.end(), match[0], match["digits"]
        listed = re.match(
            rf"(?P<own>\s?%)|(?:(?:,| to| and| or|, and|, or) [-+−]?{_DIGITS})+ ?%", text[end:]
        )
        if listed and listed["own"]:
            end += listed.end()
            written = text[match.start() : end]
        elif word := re.match(r" (million|billion)\b", text[end:]):
            end += word.end()
            written = text[match.start() : end]
        plain = digits.replace(",", "")
        try:
            value = float(plain) * _scale(written)
        except ValueError:  # 1.0.3
            value = math.nan
        places = len(plain.partition("e")[0].partition(".")[2])
        if "e-" in plain:
            places += int(plain.partition("e-")[2])
        sign = -1 if match["sign"] in {"-", "−"} else 1
        found.append(
            Number(
                match.start(), end, " ".join(written.split()), sign * value, places, bool(listed)
            )
        )
    return found
