"""Chinese answers, scored by CMRC 2018's official rule, by which DRCD's are scored, too.

SQuAD's rule counts the words between blanks; Chinese has none, and what is not exactly right would
score 0.

Source: ymcui/cmrc2018, squad-style-data/cmrc2018_evaluate.py; Cui et al. 2019.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from bertedu.utils.chinese import count_chinese

CHINESE_SHARE = 0.2
"""The rule is for documents of which so many characters, or more, are Chinese."""

# As in the source, which removes them, and which counts characters up to 9fa5 one by one.
_SIGNS = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CHARACTER = re.compile("([\u4e00-\u9fa5])")
# What nltk.word_tokenize parts in the rest: signs but for 3.14, 1,000 and u.s.a, and do|n't, it|'s.
_PARTED = re.compile(
    r"[;@#$%&?!()\[\]{}<>«»„\"\u2012-\u2015\u2018]|\.{2,}|,(?!\d)|(?<!\.)\.(?=[\])}>\"'\s]*$)"
    r"|(?<=\w)(?:n't|'(?:s|m|d|ll|re|ve))(?=\s|$)|'(?=\s|$)|(?<!\w)'(?=\w)"
)


def is_chinese(document: str) -> bool:
    """Returns whether answers from a document are to be scored by this rule.

    Example:
        >>> is_chinese("他在1985年去了巴黎"), is_chinese("He said 好 and left.")
        (True, False)
    """
    return count_chinese(document) >= CHINESE_SHARE * max(1, len(document))


def segments(text: str) -> list[str]:
    """Returns a text's Chinese characters and other words, without the signs that do not count.

    Example:
        >>> segments("《Hello Kitty》1985年")
        ['hello', 'kitty1985', '年']
    """
    plain = text.lower().strip().translate(_SIGNS)
    parts = _CHARACTER.split(plain)  # every second one is a character
    return [word for part in parts for word in _PARTED.sub(r" \g<0> ", part).split()]


def exact_and_f1(prediction: str, golds: Sequence[str]) -> tuple[float, float]:
    """Returns exact match and F1 with the nearest right answer.

    F1 is of the longest run of segments that both have.

    Args:
        prediction: "" = no answer.
        golds: the right answers; empty = there is none, which the source does not know.

    Example:
        >>> exact_and_f1("《北京市》", ["北京市"]), exact_and_f1("北京", ["北京市", "上海"])
        ((1.0, 1.0), (0.0, 0.8))
    """
    if not golds:
        return float(not prediction), float(not prediction)
    found = prediction.lower().strip().translate(_SIGNS)
    exact = found in [gold.lower().strip().translate(_SIGNS) for gold in golds]
    return float(exact), max(_f1(segments(prediction), segments(gold)) for gold in golds)


def _f1(found: Sequence[str], gold: Sequence[str]) -> float:
    common = SequenceMatcher(None, found, gold, autojunk=False).find_longest_match().size
    return 2 * common / (len(found) + len(gold)) if common else 0.0
