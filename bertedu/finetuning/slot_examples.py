"""Sentences with a label for each word: written by hand, and read from files.

Labels are BIO tags: B-x begins a slot x, I-x continues it, O is outside.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertedu.encoding import Offsets
from bertedu.errors import InputError
from bertedu.finetuning.bio import OUTSIDE, Slot, mend, slots_of
from bertedu.finetuning.tables import Row, hub_rows, json_rows, lines
from bertedu.utils.hub import HUB

_TAG = re.compile(r"O|[BI]-.+")
_MARK = "\0"  # stands for an accent or a vowel sign, which belongs to the letter before it
_WORD = re.compile(rf"\w[\w{_MARK}]*(?:[.,:'\u2019&/-]\w[\w{_MARK}]*)*|[^\w\s]{_MARK}*")


@dataclass(frozen=True)
class Example:
    """A sentence in words, with their tags and its intent where they are known.

    Attributes:
        text: the sentence.
        offsets: where each word stands in it: `text[start:end]`.
        tags: a legal BIO tag a word.
        intent: of the whole sentence.
    """

    text: str
    offsets: tuple[Offsets, ...]
    tags: tuple[str, ...] | None = None
    intent: str | None = None

    @property
    def words(self) -> list[str]:
        """The words."""
        return [self.text[start:end] for start, end in self.offsets]

    @property
    def slots(self) -> list[Slot]:
        """The slots that the tags mark."""
        return slots_of(self.text, self.offsets, self.tags or ())

    @classmethod
    def from_words(
        cls, words: Sequence[str], tags: Sequence[str] | None = None, intent: str | None = None
    ) -> "Example":
        """Returns an example of words with spaces between them; an illegal I- is mended.

        Raises:
            InputError: a tag too many or too few, or one that is not O, B-x or I-x.

        Example:
            >>> Example.from_words(["play", "st.", "vincent"], ["O", "B-artist", "I-artist"]).slots
            [Slot(label='artist', text='st. vincent', start=5, end=16, first_word=1, last_word=2)]
        """
        if tags is not None and len(tags) != len(words):
            raise InputError(f"there are {len(words)} words and {len(tags)} labels")
        if wrong := [tag for tag in tags or () if not _TAG.fullmatch(tag)]:
            raise InputError(f"the label {wrong[0]!r} is not O, B-... or I-...")
        offsets, end = [], -1
        for word in words:
            offsets.append((end + 1, end + 1 + len(word)))
            end = offsets[-1][1]
        mended = None if tags is None else tuple(mend(tags)[0])
        return cls(" ".join(words), tuple(offsets), mended, intent)

    @classmethod
    def from_text(
        cls,
        text: str,
        slots: Sequence[tuple[str, int, int]] | None = None,
        intent: str | None = None,
    ) -> "Example":
        """Returns an example of natural text, where each punctuation mark is a word.

        Args:
            text: the sentence.
            slots: label, start and end (in characters) of each; None = not known.
            intent: of the sentence.

        Raises:
            InputError: a slot that begins or ends inside a word, or overlaps another.

        Example:
            >>> Example.from_text("wake me at 7:30, please", [("time", 11, 15)]).tags
            ('O', 'O', 'O', 'B-time', 'O', 'O')
        """
        marked = (_MARK if unicodedata.category(char)[0] == "M" else char for char in text)
        offsets = tuple(match.span() for match in _WORD.finditer("".join(marked)))
        if slots is None:
            return cls(text, offsets, None, intent)
        tags = [OUTSIDE] * len(offsets)
        for label, start, end in slots:
            inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
            whole = inside and (offsets[inside[0]][0], offsets[inside[-1]][1]) == (start, end)
            if not whole or any(tags[i] != OUTSIDE for i in inside):
                raise InputError(
                    f"the slot {label!r} from {start} to {end}, {text[start:end]!r}, is not made "
                    "of whole words that no other slot has"
                )
            tags[inside[0]] = f"B-{label}"
            for i in inside[1:]:
                tags[i] = f"I-{label}"
        return cls(text, offsets, tuple(tags), intent)


def read(path: str | Path, encoding: str = "utf-8") -> list[Example]:
    """Returns the examples of a file, a folder, or a data set of the hub.

    Args:
        path: a folder with `seq.in`, `seq.out` and optionally `label` (ATIS, SNIPS); a .jsonl
            with `words`, `tags` and optionally `intent`, or with `text`, `slots` (each with
            `label`, `start`, `end`) and `intent`; another file in CoNLL's form (a word a line,
            its tag last, an empty line between sentences); or a data set of the hub with
            `tokens` and `tags` or `ner_tags`, `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`.
        encoding: of the files.

    Raises:
        InputError: a line that cannot be read, named by its number.
    """
    if str(path).startswith(HUB):
        return [_from_row(row) for row in hub_rows(str(path))]
    path = Path(path)
    if path.is_dir():
        return list(_parallel(path, encoding))
    if path.suffix in (".jsonl", ".json"):
        return [_from_row(row) for row in json_rows(path, encoding)]
    return list(_conll(path, encoding))


def _from_row(row: Row) -> Example:
    intent = row.label("intent")
    try:
        if "slots" in row.cells or "text" in row.cells:
            slots = row.cells.get("slots")
            spans = None if slots is None else [(s["label"], s["start"], s["end"]) for s in slots]
            return Example.from_text(str(row.value("text")), spans, intent)
        tags = row.texts("tags", "ner_tags", "labels")
        return Example.from_words(row.texts("words", "tokens"), tags, intent)
    except (KeyError, TypeError) as error:
        raise InputError(f"{row.where}: a slot needs label, start and end ({error})") from error
    except InputError as error:
        raise InputError(f"{row.where}: {str(error).removeprefix(f'{row.where}: ')}") from error


def _parallel(folder: Path, encoding: str) -> Iterator[Example]:
    """Yields the sentences of a folder with a file of words, one of tags, and one of intents."""
    texts, tags = (list(lines(folder / name, encoding)) for name in ("seq.in", "seq.out"))
    intents: list[tuple[int, str | None]] = [(n, None) for n, _ in texts]
    if (folder / "label").is_file():
        intents = list(lines(folder / "label", encoding))
    if not len(texts) == len(tags) == len(intents):
        raise InputError(
            f"{folder}: seq.in has {len(texts):,} lines, seq.out {len(tags):,} and label "
            f"{len(intents):,}; they must have the same"
        )
    for (number, text), (_, tag), (_, intent) in zip(texts, tags, intents, strict=True):
        if not text.strip() and not tag.strip():
            continue
        if intent is not None and not intent.strip():
            raise InputError(f"{folder / 'label'}:{number}: the label is empty")
        try:
            yield Example.from_words(text.split(), tag.split(), intent and intent.strip())
        except InputError as error:
            raise InputError(f"{folder / 'seq.out'}:{number}: {error}") from error


def _conll(path: Path, encoding: str) -> Iterator[Example]:
    """Yields the sentences of a file with a word a line."""
    words: list[str] = []
    tags: list[str] = []
    for number, line in (*lines(path, encoding), (0, "")):
        cells = re.split(r"[ \t]+", line.strip()) if line.strip() else []
        if cells and cells[0] == "-DOCSTART-":
            continue
        if cells:
            if len(cells) < 2 or not _TAG.fullmatch(cells[-1]):
                raise InputError(
                    f"{path}:{number}: {line.strip()!r} is not a word and, last, its tag: O, "
                    "B-... or I-..."
                )
            words.append(cells[0])
            tags.append(cells[-1])
        elif words:
            yield Example.from_words(words, tags)
            words, tags = [], []
