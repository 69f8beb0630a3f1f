"""Which characters are Chinese, and where Chinese sentences end.

BERT makes a word of each such character, and so does whatever counts words.
"""

import re
from itertools import pairwise

CHINESE = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b81f"
    "\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f"
)
"""Their ranges, for a regular expression's brackets: ideographs, neither kana nor hangul.

They are those of the package `tokenizers`; Google's have 256 rare ones more, from 2B820 on.
"""

# Closing quotes included; not before a title's or bracket's end.
_SENTENCE_END = re.compile(r"[。！？｡]+[”’」』]*(?![。！？｡”’」』》〉）)])")
_ONE = re.compile(f"[{CHINESE}]")
_WORD = re.compile(rf"[{CHINESE}]|[^\s{CHINESE}]+")


def count_chinese(text: str) -> int:
    """Returns how many characters of a text are Chinese.

    Example:
        >>> count_chinese("T恤, 5元")
        2
    """
    return len(_ONE.findall(text))


def words_of(text: str) -> list[str]:
    """Returns what blanks part, and each Chinese character by itself.

    Source: google-research/bert tokenization.py, _tokenize_chinese_chars.

    Example:
        >>> words_of("play 小城T5")
        ['play', '小', '城', 'T5']
    """
    return _WORD.findall(text)


def word_starts(text: str) -> list[int]:
    """Returns where each of these words begins.

    Example:
        >>> word_starts("play 小城T5")
        [0, 5, 6, 7]
    """
    return [match.start() for match in _WORD.finditer(text)]


def split_chinese(text: str) -> list[str]:
    """Returns a text cut behind each end of a Chinese sentence; other ends are not looked for.

    Example:
        >>> split_chinese("我有一只狗。它很可爱。 It is. Really.")
        ['我有一只狗。', '它很可爱。', ' It is. Really.']
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return [part for a, b in pairwise([0, *ends, len(text)]) if (part := text[a:b])]
