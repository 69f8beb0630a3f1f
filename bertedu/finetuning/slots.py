"""Sentences with slots: read from files of many forms, and cut into the words that are tagged.

A word is what blanks part, or in natural text also a punctuation mark; so is a Chinese character.
"""

import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bertedu.encoding import Offsets
from bertedu.errors import InputError
from bertedu.finetuning.bio import OUTSIDE, Slot, bio_of, mend, slots_of
from bertedu.finetuning.tables import NO_COLUMNS, Columns, Row, check_columns, some, sound, table
from bertedu.utils.chinese import CHINESE, count_chinese, words_of
from bertedu.utils.hub import HUB
from bertedu.utils.lines import text_lines

WORDS, TAGS = ("words", "tokens"), ("tags", "ner_tags", "slot_tags", "bio_tags", "labels")
SLOTS = ("slots", "entities", "spans", "labels", "label")
"""What files call the columns."""
_PARTS = {
    "label": ("label", "entity", "type", "entity_group", "name"),
    "start": ("start", "start_offset"),
    "end": ("end", "end_offset"),
}
TAG = re.compile(r"O|[BI]-.+")
ANY_TAG = re.compile(r"O|[BIESLUM]-.+")  # of other schemes, in files and published models
_COMMENT = re.compile(r"# ?(\S+ = |id )")
_MARK = "\0"  # stands for an accent or a vowel sign, which belongs to the letter before it
_LETTERS = rf"[^\W{CHINESE}](?:[^\W{CHINESE}]|{_MARK})*"
_WORD = re.compile(rf"{_LETTERS}(?:[.,:'\u2019&/-]{_LETTERS})*|[{CHINESE}]{_MARK}*|[^\w\s]{_MARK}*")


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
        """Returns an example of words with blanks between them; an illegal I- is mended.

        Beside a Chinese character there is no blank.

        Raises:
            InputError: a tag too many or too few, or one that is not O, B-x or I-x.

        Example:
            >>> Example.from_words(["play", "st.", "vincent"], ["O", "B-artist", "I-artist"]).slots
            [Slot(label='artist', text='st. vincent', start=5, end=16, first_word=1, last_word=2)]
        """
        if tags is not None and len(tags) != len(words):
            raise InputError(f"there are {len(words)} words and {len(tags)} labels")
        if wrong := [tag for tag in tags or () if not TAG.fullmatch(tag)]:
            raise InputError(f"the label {wrong[0]!r} is not O, B-... or I-...")
        text, offsets = "", []
        for word in words:
            if text and not count_chinese(text[-1] + word[:1]):
                text += " "
            offsets.append((len(text), len(text) + len(word)))
            text += word
        mended = None if tags is None else tuple(mend(tags)[0])
        return cls(text, tuple(offsets), mended, intent)

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

        Blanks at a slot's ends are not part of it.

        Raises:
            InputError: a slot that begins or ends between two letters, or overlaps another.

        Example:
            >>> Example.from_text("wake me at 7:30, please", [("time", 11, 15)]).tags
            ('O', 'O', 'O', 'B-time', 'O', 'O')
        """
        marked = (_MARK if unicodedata.category(char)[0] == "M" else char for char in text)
        offsets = tuple(match.span() for match in _WORD.finditer("".join(marked)))
        if slots is None:
            return cls(text, offsets, None, intent)
        trimmed = []
        for label, start, end in slots:
            found = text[start:end] if 0 <= start < end <= len(text) else ""
            begin = start + len(found) - len(found.lstrip())
            trimmed.append((label, begin, begin + len(found.strip())))
        offsets = _cut(text, offsets, {edge for _, *edges in trimmed for edge in edges})
        tags = [OUTSIDE] * len(offsets)
        for label, start, end in trimmed:
            inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
            whole = inside and (offsets[inside[0]][0], offsets[inside[-1]][1]) == (start, end)
            if not whole or any(tags[i] != OUTSIDE for i in inside):
                raise UnfitSlotError(
                    f"the slot {label!r} from {start} to {end}, {text[start:end]!r}, is not made "
                    "of whole words that no other slot has"
                )
            tags[inside[0]] = f"B-{label}"
            for i in inside[1:]:
                tags[i] = f"I-{label}"
        return cls(text, offsets, tuple(tags), intent)


class UnfitSlotError(InputError):
    """A slot that no words of its sentence make up."""


def _cut(text: str, offsets: Sequence[Offsets], edges: set[int]) -> tuple[Offsets, ...]:
    """Returns words, cut in two where a slot ends beside a mark in one: Paris|-based.

    Not between two letters: BERT's pieces would not be cut there.
    """
    parts = []
    for start, end in offsets:
        inside = [e for e in edges if start < e < end and not text[e - 1 : e + 1].isalnum()
                  and unicodedata.category(text[e])[0] != "M"]  # fmt: skip
        parts += list(pairwise([start, *sorted(inside), end]))
    return tuple(parts)


def read(path: str | Path, encoding: str = "utf-8", columns: Columns = NO_COLUMNS) -> list[Example]:
    """Returns the examples of a file, a folder, or a data set of the hub.

    Sentences with a slot that no whole words make up are left out, and counted in a warning.

    Args:
        path: a folder with `seq.in`, `seq.out` and optionally `label` (ATIS, SNIPS); a .jsonl
            with `words`, `tags` and optionally `intent`, or with `text`, `slots` (each with
            `label`, `start`, `end`; also doccano's) and `intent`; another file in CoNLL's form (a
            word a line, its tag last, an empty line between sentences); or a data set of the hub
            with `tokens` and `tags` or `ner_tags`, `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`.
        encoding: of the files.
        columns: what the file calls `words`, `tags`, `text`, `slots` and `intent`; for CoNLL's
            form, the numbers of `words` and `tags`.

    Raises:
        InputError: a line that cannot be read, named by its number.
    """
    check_columns(columns, "words", "tags", "text", "slots", "intent")
    if not str(path).startswith(HUB):
        path = Path(path)
        if path.is_dir() and (path / "seq.in").exists():
            return some(list(_parallel(path, encoding)), path)
        if path.suffix not in (".jsonl", ".json"):
            return some(list(_conll(path, encoding, columns)), path)
    examples: list[Example] = []
    unfit: list[UnfitSlotError] = []
    for row in table(path, (), encoding, columns) or ():
        try:
            examples.append(_from_row(row))
        except UnfitSlotError as error:
            unfit.append(UnfitSlotError(f"{row.where}: {error}"))
    if unfit and not examples:
        raise unfit[0]
    if unfit:
        warnings.warn(
            f"{len(unfit):,} of {len(unfit) + len(examples):,} sentences are left out: {unfit[0]}",
            stacklevel=2,
        )
    return some(examples, path)


def _from_row(row: Row) -> Example:
    """Returns a row's words with their tags; where there are none, its text with its slots."""
    intent = row.label("intent")
    try:
        tags = next((row.cells[name] for name in TAGS if row.cells.get(name) is not None), None)
        tagged = isinstance(tags, str) or (
            isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
        )
        words = next((name for name in WORDS if row.cells.get(name) is not None), None)
        if words or (tagged and tags):
            tags = row.texts(*TAGS)
            names = (words,) if words else ("text", "sentence")
            return _from_words(words_in(row, names, tags), tags, intent)
        text = sound(row.value("text", "sentence"), "text", row.where)
        spans = next((row.cells[name] for name in SLOTS if row.cells.get(name) is not None), None)
        return Example.from_text(text, None if spans is None else [*map(_span, spans)], intent)
    except UnfitSlotError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise row.refused(error) from error
        raise InputError(f"{row.where}: a slot needs label, start and end ({error})") from error


def words_in(
    row: Row, names: Sequence[str] = WORDS, tags: Sequence[str] | None = None
) -> list[str]:
    """Returns a row's words, which may be one text.

    Args:
        row: of a table.
        names: columns, of which the first is taken that there is.
        tags: of the words, if they are known.
    """
    given = row.value(*names)
    if isinstance(given, str) and (names[0] not in WORDS or count_chinese(given)):
        return _words(sound(given, names[0], row.where), tags)
    return row.texts(*names)


def _words(text: str, tags: Sequence[str] | None) -> list[str]:
    """Returns a text's words: what blanks part if each has a tag, else Chinese characters, too."""
    parted = text.split()
    return parted if tags is not None and len(parted) == len(tags) else words_of(text)


def _span(slot: Any) -> tuple[str, int, int]:
    """Returns label, start and end of {"label": ..., "start": ..., "end": ...} or [0, 4, "x"]."""
    if isinstance(slot, dict):
        parts = [next((slot[n] for n in names if n in slot), None) for names in _PARTS.values()]
    else:
        parts = sorted(slot, key=lambda part: not isinstance(part, str))
    label, start, end = parts
    if not isinstance(label, str) or type(start) is not int or type(end) is not int:
        raise TypeError(f"not {slot!r:.60}")
    return label.strip(), start, end


def _from_words(words: Sequence[str], tags: Sequence[str], intent: str | None = None) -> Example:
    """Returns an example of a file's words: "New York" is two, and an empty one is none.

    So is a word of two Chinese characters, since a text to be answered has no other words.
    """
    if len(words) != len(tags):
        return Example.from_words(words, tags, intent)  # which says so
    if all(map(ANY_TAG.fullmatch, tags)) and not all(map(TAG.fullmatch, tags)):
        tags = bio_of(tags)
    split = [(part, tag, i) for word, tag in zip(words, tags, strict=True)
             for i, part in enumerate(words_of(word))]  # fmt: skip
    return Example.from_words(
        [part for part, _, _ in split],
        [f"I-{tag[2:]}" if i and tag.startswith("B-") else tag for _, tag, i in split],
        intent,
    )


def _parallel(folder: Path, encoding: str) -> Iterator[Example]:
    """Yields the sentences of a folder with a file of words, one of tags, and one of intents."""
    texts, tags = (list(text_lines(folder / name, encoding)) for name in ("seq.in", "seq.out"))
    intents: list[tuple[str, str | None]] = [("", None)] * len(texts)
    if (folder / "label").is_file():
        intents = list(text_lines(folder / "label", encoding))
    if not len(texts) == len(tags) == len(intents):
        raise InputError(
            f"{folder}: seq.in has {len(texts):,} lines, seq.out {len(tags):,} and label "
            f"{len(intents):,}; they must have the same"
        )
    for (_, text), (place, tag), (intent_place, intent) in zip(texts, tags, intents, strict=True):
        if not text.strip() and not tag.strip():
            continue
        if intent is not None and not intent.strip():
            raise InputError(f"{intent_place}: the label is empty")
        try:
            tags_of = tag.split()
            yield _from_words(_words(text, tags_of), tags_of, intent and intent.strip())
        except InputError as error:
            raise InputError(f"{place}: {error}") from error


def _conll(path: Path, encoding: str, columns: Columns) -> Iterator[Example]:
    """Yields the sentences of a file with a word a line; tabs, where there are, part the cells."""
    sentences: list[list[tuple[str, list[str]]]] = [[]]
    for where, line in text_lines(path, encoding):
        cells = re.split("\t" if "\t" in line.rstrip() else " +", line.rstrip(" \t"))
        if not line.strip() or cells[0].strip() == "-DOCSTART-":
            sentences.append([])
        elif not _COMMENT.match(line):
            sentences[-1].append((where, [cell.strip() for cell in cells]))
    sentences = [sentence for sentence in sentences if sentence]
    if sentences and sentences[0][0][1][-1].lower() in (*TAGS, *SLOTS, "tag", "ner"):
        del sentences[0][0]  # a header
        sentences = [sentence for sentence in sentences if sentence]
    width = len(sentences[0][0][1]) if sentences else 0
    word = int(_is_numbered(sentences))
    try:
        word, tag = (int(columns.get(name, at)) - (name in columns) for name, at in
                     (("words", word), ("tags", -1)))  # fmt: skip
    except ValueError as error:
        raise InputError(f"{path}: --columns takes numbers for a file without a header") from error
    for sentence in sentences:
        words, tags = [], []
        for where, cells in sentence:
            right = len(cells) == width > max(word, tag, 1) and ANY_TAG.fullmatch(cells[tag])
            if not right:  # also "New York B-LOC" where other words are one, as York would be lost
                told = " ".join(cells)[:60]
                raise InputError(
                    f"{where}: {told!r} is not a word and, last, its tag: O, B-... or I-... (where "
                    "they stand elsewhere: --columns words=NUMBER,tags=NUMBER)"
                )
            words.append(cells[word])
            tags.append(cells[tag])
        yield _from_words(words, tags)


def _is_numbered(sentences: Sequence[Sequence[tuple[str, list[str]]]]) -> bool:
    """Returns whether the first column only counts each sentence's words, from 0 or 1."""
    rows = [[cells for _, cells in sentence] for sentence in sentences]
    return any(len(sentence) > 1 for sentence in rows) and any(
        all(len(cells) > 2 and cells[0] == str(i) for s in rows for i, cells in enumerate(s, first))
        for first in (0, 1)
    )
