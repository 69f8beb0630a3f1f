"""BIO tags and the slots that they mark: there, back, and scored as conlleval scores them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from bertedu.encoding import Offsets

OUTSIDE = "O"


class Slot(NamedTuple):
    """One slot: its label, its text, and where it stands.

    Attributes:
        label: what it is, without B- and I-.
        text: the original characters.
        start: of its first character.
        end: after its last character.
        first_word: index, from 0.
        last_word: index of the last word in it.
    """

    label: str
    text: str
    start: int
    end: int
    first_word: int
    last_word: int


def mend(tags: Sequence[str]) -> tuple[list[str], list[int]]:
    """Returns legal BIO tags, and where they differ: an I- that continues nothing begins a slot.

    That is how conlleval counts, too.

    Example:
        >>> mend(["O", "I-city", "I-city", "I-day"])
        (['O', 'B-city', 'I-city', 'B-day'], [1, 3])
    """
    legal: list[str] = []
    before = OUTSIDE
    for tag in tags:
        broken = tag.startswith("I-") and before[2:] != tag[2:]
        legal.append(f"B-{tag[2:]}" if broken else tag)
        before = tag
    return legal, [i for i, (a, b) in enumerate(zip(tags, legal, strict=True)) if a != b]


def bio_of(tags: Sequence[str]) -> list[str]:
    """Returns BIO tags for those of a scheme that also marks where a slot ends.

    Example:
        >>> bio_of(["B-city", "E-city", "S-city", "O", "U-day"])  # BIOES, BILOU, BMES
        ['B-city', 'I-city', 'B-city', 'O', 'B-day']
    """
    plain: list[str] = []
    ended = False
    for tag in tags:
        mark, rest = tag[:1], tag[1:]
        inside = mark in "IELM" and not ended
        plain.append(tag if mark == OUTSIDE else f"{'I' if inside else 'B'}{rest}")
        ended = mark in "ELSU"
    return plain


def bridged(tags: Sequence[str], answered: Sequence[int]) -> list[str]:
    """Returns tags in which a slot goes on over words that no token answers for.

    Args:
        tags: one a word; O where no token answers, as for a lone accent.
        answered: indices of the other words.

    Example:
        >>> bridged(["B-city", "O", "I-city"], [0, 2])
        ['B-city', 'I-city', 'I-city']
    """
    whole = list(tags)
    for before, after in pairwise(answered):
        if tags[after].startswith("I-") and tags[before][2:] == tags[after][2:]:
            whole[before + 1 : after] = [tags[after]] * (after - before - 1)
    return whole


def slots_of(text: str, offsets: Sequence[Offsets], tags: Sequence[str]) -> list[Slot]:
    """Returns the slots that legal tags mark.

    Args:
        text: the sentence.
        offsets: of its words.
        tags: one a word.
    """
    slots: list[Slot] = []
    for index, ((start, end), tag) in enumerate(zip(offsets, tags, strict=True)):
        if tag.startswith("B-"):
            slots.append(Slot(tag[2:], text[start:end], start, end, index, index))
        elif tag.startswith("I-"):
            begun = slots.pop()
            slots.append(begun._replace(text=text[begun.start : end], end=end, last_word=index))
    return slots


def slot_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Returns precision, recall and F1 of whole slots: the label and both ends must be right.

    Args:
        gold: BIO tags of each sentence.
        predicted: as many tags.

    Source: conlleval, of the CoNLL-2000 shared task; nervaluate's strict scores.

    Example:
        >>> slot_scores([["B-city", "I-city", "O"]], [["B-city", "O", "O"]])["f1"]
        0.0
    """
    from nervaluate import Evaluator

    right, found = ([mend(tags)[0] for tags in rows] for rows in (gold, predicted))
    kinds = sorted({tag[2:] for rows in (right, found) for tags in rows for tag in tags} - {""})
    strict = Evaluator(right, found, tags=kinds, loader="list").evaluate()["overall"]["strict"]
    return {name: float(getattr(strict, name)) for name in ("precision", "recall", "f1")}
