"""When two answers are the same, and how to say where they are not."""

import math
import re
from collections.abc import ItemsView, KeysView, ValuesView
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch

MOST_CHARACTERS = 60


@dataclass(frozen=True)
class Raised:
    """An error instead of an answer: its kind and text, where it arose, and what it may mean."""

    kind: str
    text: str
    place: str = field(default="", compare=False)
    meaning: str = field(default="", compare=False)

    @property
    def told(self) -> str:
        """What is said of it."""
        if self.kind == "TooLong":
            return f"your function {self.text}: does every loop in it come to an end?"
        where = f" in {self.place}," if self.place else ""
        text = f": {shown(self.text, 100)}" if self.text else ""
        meant = f" ({self.meaning})" if self.meaning else ""
        return f"your function stops{where} with {self.kind}{text}{meant}"


class Difference(NamedTuple):
    """Where an answer first differs from the truth; as text, what to say about it."""

    yours: Any
    truth: Any
    place: str = ""
    what: str = ""

    def __str__(self) -> str:
        if self.what:
            return self.what
        at = f" at {self.place}" if self.place else ""
        yours, truth = shown(self.yours), shown(self.truth)
        if yours == truth:  # they differ further on
            yours, truth = repr(self.yours)[:200], repr(self.truth)[:200]
        return f"you have {yours}{at}, where {truth} is right"

    @property
    def nearly(self) -> bool:
        """Whether one of two numbers is the other, rounded."""
        two = (self.yours, self.truth)
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in two):
            return False
        return any(
            round(long, len(repr(float(short)).partition(".")[2])) == short
            for short, long in (two, two[::-1])
        )


def plain(result: Any) -> Any:
    """Returns an answer as nested lists, numbers and strings, whatever arrays it was made of.

    Args:
        result: anything a reader's function may return.

    Example:
        >>> plain((torch.tensor([1, 2]), np.float64(0.5)))
        [[1, 2], 0.5]
    """
    if isinstance(result, torch.Tensor):
        return result.detach().tolist()
    if isinstance(result, np.ndarray | np.generic):
        return plain(result.tolist()) if result.dtype.names else result.tolist()
    if isinstance(result, Raised):
        return result
    if isinstance(result, list | tuple | range | ValuesView | KeysView | ItemsView):
        return [plain(item) for item in result]
    if isinstance(result, dict):
        return {key: plain(value) for key, value in result.items()}
    return float(result) if isinstance(result, Fraction) else result


def holds_stub(result: Any) -> bool:
    """Returns whether there is a `...` anywhere in it: what an exercise has before it is done."""
    if isinstance(result, dict):
        return any(holds_stub(value) for value in result.values())
    if isinstance(result, list | tuple | set):
        return any(holds_stub(item) for item in result)
    return result is ...


_NUMBER = re.compile(
    r"([-+]?(?:\d{1,3}(?:[ ,_]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?)"
    r"(\s*%|x|\s+(?!(?:thousand|million)s?\b)[^\W\d][\w ]*)?",  # a unit, but none that multiplies
    re.IGNORECASE,
)
_FRACTION = re.compile(r"([-+]?\d+)\s*/\s*([1-9]\d*)")
_TRUTHS = {"true": True, "false": False}


def numbers_in(value: Any, truth: Any = None) -> Any:
    """Returns a value with numbers for the texts that say one, whatever unit stands behind it.

    Args:
        value: a guess or a prediction, or several of them.
        truth: what it is compared with; where that is a share up to 1, per cent are hundredths,
            and where it is True or False, 1 and 0 mean that.

    Example:
        >>> numbers_in(["14 %", "1,000 tokens", "0.5", "1/4", "part"])
        [14, 1000, 0.5, 0.25, 'part']
        >>> numbers_in(["14 %", 0], [0.14, False])
        [0.14, False]
    """
    if isinstance(value, list | tuple):
        each = truth if isinstance(truth, list | tuple) and len(truth) == len(value) else value
        return [numbers_in(*two) for two in zip(value, each, strict=True)]
    if isinstance(value, dict):
        named = truth if isinstance(truth, dict) else value
        return {name: numbers_in(part, named.get(name)) for name, part in value.items()}
    if isinstance(value, str):
        return _number(value.strip(), truth, value)
    return truths(value, truth)


def truths(value: Any, like: Any) -> Any:
    """Returns a plain answer with True and False for 1 and 0, where another one has these."""
    if isinstance(value, list) and isinstance(like, list) and len(value) == len(like):
        return [truths(*two) for two in zip(value, like, strict=True)]
    if isinstance(like, bool) and isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return value


def _number(text: str, truth: Any, otherwise: str) -> Any:
    if found := _NUMBER.fullmatch(text):
        number = float(re.sub("[ ,_]", "", found[1]))
        if (found[2] or "").endswith("%") and isinstance(truth, float) and abs(truth) <= 1:
            return number / 100
        return int(number) if math.isfinite(number) and number.is_integer() else number
    if found := _FRACTION.fullmatch(text):
        return int(found[1]) / int(found[2])
    return _TRUTHS.get(text.lower(), otherwise)


def difference(  # noqa: PLR0911 (one for each kind of answer)
    yours: Any, truth: Any, place: str = "", within: float = 0.0
) -> Difference | None:
    """Returns the first difference of two plain answers, or None.

    Whole numbers must be equal, others within 1e-4 of their size or 1e-5.

    Args:
        yours: the answer, as `plain` gives it.
        truth: what it should be.
        place: where in the whole answer these stand.
        within: how far apart two numbers may be besides, where not both are whole.

    Example:
        >>> difference([0.5, 0.5], [0.5, 0.5000001]) is None
        True
        >>> print(difference([[1, 2], [3, 5]], [[1, 2], [3, 4]]))
        you have 5 at [1][1], where 4 is right
        >>> print(difference([1, 2], [[1, 2]]))
        your result has the shape [2], where [1, 2] is right
    """
    if isinstance(truth, list) and isinstance(yours, list):
        shapes = _shape(yours), _shape(truth)
        if shapes[0] != shapes[1]:
            what = f"your result has the shape {shapes[0]}, where {shapes[1]} is right"
            return Difference(yours, truth, place, what if not place else "")
        pairs = enumerate(zip(yours, truth, strict=True))
        found = (difference(y, t, f"{place}[{i}]", within) for i, (y, t) in pairs)
        return next(filter(None, found), None)
    if isinstance(truth, dict) and isinstance(yours, dict):
        if yours.keys() != truth.keys():
            return Difference(yours, truth, place, _of_keys(yours, truth))
        found = (difference(yours[k], truth[k], f"{place}[{k!r}]", within) for k in truth)
        return next(filter(None, found), None)
    if _is_number(truth) and _is_number(yours):
        return _of_numbers(yours, truth, place, within)
    if _is_number(truth) and isinstance(yours, list) and len(yours) == 1 and _is_number(yours[0]):
        what = "you have a list of one number, where one number is asked for"
        return Difference(yours, truth, place, what if not place else "")
    try:
        equal = bool(yours == truth)
    except Exception:  # noqa: BLE001 (a reader's object may compare in any way)
        equal = False
    return None if equal else Difference(yours, truth, place)


def _of_keys(yours: dict[Any, Any], truth: dict[Any, Any]) -> str:
    """Returns which key is missing, or too many."""
    missing = [key for key in truth if key not in yours]
    if missing:
        return f"your result has no {shown(missing[0])}"
    extra = next(key for key in yours if key not in truth)
    return f"your result has {shown(extra)}, which is not asked for"


def _of_numbers(yours: Any, truth: Any, place: str, within: float) -> Difference | None:
    if isinstance(truth, int) or isinstance(yours, bool):
        equal = yours == truth
    else:
        equal = math.isclose(yours, truth, rel_tol=1e-4, abs_tol=max(1e-5, within))
    if isinstance(truth, bool) and not isinstance(yours, bool):
        kind = "you have numbers where True or False is asked for"
        return Difference(yours, truth, place, kind)
    if equal or (math.isnan(yours) and math.isnan(truth)):
        return None
    if math.isnan(yours):
        nan = "your result holds nan, 'not a number': somewhere there is 0 / 0, ∞ - ∞ or log(-1)"
        return Difference(yours, truth, place, nan)
    return Difference(yours, truth, place)


def shown(value: Any, most: int = MOST_CHARACTERS) -> str:
    """Returns a value in a few characters.

    Args:
        value: anything.
        most: characters.

    Example:
        >>> shown(torch.zeros(40, 3)), shown(torch.tensor([0.25, 1.0])), shown(1 / 3)
        ('a tensor [40, 3]', '[0.25, 1]', '0.3333')
    """
    if isinstance(value, torch.Tensor | np.ndarray) and math.prod(value.shape) > 8:
        kind = "a tensor" if isinstance(value, torch.Tensor) else "an array"
        return f"{kind} {list(value.shape)}"
    if isinstance(value, torch.nn.Module):
        return f"a {type(value).__name__}"
    if isinstance(value, Raised):
        return f"{value.kind}: {value.text}"[:most]
    text = value if isinstance(value, str) and most > MOST_CHARACTERS else _written(plain(value))
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _written(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if not value.is_integer() or abs(value) > 1e6 else f"{value:.0f}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    try:
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))  # the same in every run
    except Exception:  # noqa: BLE001 (a reader's object may have any repr)
        return f"a {type(value).__name__}"


def _shape(value: Any) -> list[int]:
    """Returns how long nested lists are, as far as all at one depth are equally long."""
    shape = []
    level = [value]
    while level and all(isinstance(item, list) for item in level):
        lengths = {len(item) for item in level}
        if len(lengths) > 1:
            break
        shape.append(lengths.pop())
        level = [part for item in level for part in item]
    return shape


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
