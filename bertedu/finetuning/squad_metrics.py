"""Exact match and F1 by the official rules of SQuAD v1.1 and v2.0.

Source: rajpurkar/SQuAD-explorer, evaluate-v1.1.py and evaluate-v2.0.py.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Returns the text in lower case, without ASCII punctuation, articles and spare spaces.

    Example:
        >>> normalize_answer("The  White-House, a Home")
        'whitehouse home'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_and_f1(prediction: str, golds: Sequence[str], *, v1: bool = False) -> tuple[float, float]:
    """Returns exact match and F1 (of the words in common) with the nearest right answer.

    Args:
        prediction: "" = no answer.
        golds: the right answers; empty = there is none.
        v1: the rules of v1.1, where a text without any word matches nothing in F1.

    Example:
        >>> exact_and_f1("the cat", ["cat"]), exact_and_f1("", []), exact_and_f1("a cat", [])
        ((1.0, 1.0), (1.0, 1.0), (0.0, 0.0))
        >>> exact_and_f1("white cat", ["a cat", "dog"])[1]
        0.6666666666666666
    """
    right = [normalize_answer(gold) for gold in golds]
    if not v1:
        right = [gold for gold in right if gold] or [""]
    found = normalize_answer(prediction)
    return float(found in right), max((_f1(found, gold, v1) for gold in right), default=0.0)


def _f1(found: str, gold: str, v1: bool) -> float:
    if not v1 and not (found and gold):
        return float(found == gold)
    words, others = found.split(), gold.split()
    common = (Counter(words) & Counter(others)).total()
    return 2 * common / (len(words) + len(others)) if common else 0.0
