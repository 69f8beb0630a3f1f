"""Case 2, slot filling: one label for every word, and optionally an intent for the sentence.

A word that is split into pieces is labelled, and answers, at its first piece. Labels are BIO tags:
B-x begins a slot x, I-x continues it, O is outside.

Source: Devlin et al. 2019, section 5.3; Chen, Zhuo and Wang 2019 (the intent).
"""

import re
import unicodedata
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertedu.config import BertConfig
from bertedu.encoding import Encoding, Offsets
from bertedu.errors import InputError
from bertedu.finetuning.bio import OUTSIDE, Slot, bio_of, bridged, mend, slot_scores, slots_of
from bertedu.finetuning.classification import (
    ClassPrediction,
    accuracy,
    class_prediction,
    label_index,
    labels_of,
    warn_of_unseen,
)
from bertedu.finetuning.tables import NO_COLUMNS, Columns, Row, check_columns, some, sound, table
from bertedu.finetuning.task import Feature, Task
from bertedu.heads import BertForTokenClassification
from bertedu.model import BertOutput, BertPooler, initialize
from bertedu.tokenizer import BertTokenizer
from bertedu.training.batches import Batch
from bertedu.utils.hub import HUB
from bertedu.utils.lines import text_lines
from bertedu.utils.validation import IGNORED, check_labels

__all__ = [
    "OUTSIDE",
    "Example",
    "Slot",
    "SlotFilling",
    "TagPrediction",
    "mend",
    "pieces_of",
    "read",
    "slot_scores",
    "slots_of",
]

WORDS, TAGS = ("words", "tokens"), ("tags", "ner_tags", "slot_tags", "bio_tags", "labels")
SLOTS = ("slots", "entities", "spans", "labels", "label")
"""What files call the columns."""
_PARTS = {
    "label": ("label", "entity", "type", "entity_group", "name"),
    "start": ("start", "start_offset"),
    "end": ("end", "end_offset"),
}
_TAG = re.compile(r"O|[BI]-.+")
_ANY_TAG = re.compile(r"O|[BIESLUM]-.+")  # of other schemes, in files and published models
_COMMENT = re.compile(r"# ?(\S+ = |id )")
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
            given = row.texts(words) if words else row.text("text", "sentence").split()
            return _from_words(given, row.texts(*TAGS), intent)
        text = sound(row.value("text", "sentence"), "text", row.where)
        spans = next((row.cells[name] for name in SLOTS if row.cells.get(name) is not None), None)
        return Example.from_text(text, None if spans is None else [*map(_span, spans)], intent)
    except UnfitSlotError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise row.refused(error) from error
        raise InputError(f"{row.where}: a slot needs label, start and end ({error})") from error


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
    """Returns an example of a file's words: "New York" is two, and an empty one is none."""
    if len(words) != len(tags):
        return Example.from_words(words, tags, intent)  # which says so
    if all(map(_ANY_TAG.fullmatch, tags)) and not all(map(_TAG.fullmatch, tags)):
        tags = bio_of(tags)
    split = [(part, tag, i) for word, tag in zip(words, tags, strict=True)
             for i, part in enumerate(word.split(" ")) if part.strip()]  # fmt: skip
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
            yield Example.from_words(text.split(), tag.split(), intent and intent.strip())
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
            right = len(cells) == width > max(word, tag, 1) and _ANY_TAG.fullmatch(cells[tag])
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


class TagPrediction(NamedTuple):
    """What was found in one sentence.

    Attributes:
        words: W of them.
        offsets: where each stands in the text, (start, end) in characters.
        pieces: the tokens of each word; the first one answers for the word.
        tags: the likeliest BIO tag of each word, an illegal I- mended to B-.
        mended: indices of the words where that was so.
        probabilities: float32 [W, K], each word's distribution; 0 where a word has no piece or
            was cut off.
        labels: the K tags.
        slots: those that the tags mark.
        intent: of the sentence, if it was learned.
    """

    words: list[str]
    offsets: list[Offsets]
    pieces: list[list[str]]
    tags: list[str]
    mended: list[int]
    probabilities: Tensor
    labels: tuple[str, ...]
    slots: list[Slot]
    intent: ClassPrediction | None

    def __str__(self) -> str:
        """Returns the intent and the slots, each on its line."""
        found = [f"{slot.label}: {slot.text}" for slot in self.slots] or ["no slot"]
        return "\n".join([*([str(self.intent)] if self.intent else []), *found])

    def to_json(self) -> dict[str, Any]:
        """Returns words, tags, slots and intent."""
        return {
            "words": self.words,
            "tags": self.tags,
            "slots": [slot._asdict() for slot in self.slots],
            "intent": self.intent and self.intent.to_json(),
        }

    def chances(self) -> list[str]:
        """Returns a line for each slot, with its first word's probability, and the intent's."""
        best = self.probabilities.max(dim=-1).values.tolist()  # of each word's tags
        lines = [f"{s.label}: {s.text} {100 * best[s.first_word]:.1f} %" for s in self.slots]
        intent = [f"intent {self.intent.chances()[0]}"] if self.intent else []
        return [*(lines or ["no slot"]), *intent]


def pieces_of(example: Example, encoding: Encoding) -> list[list[int]]:
    """Returns, for each word, the positions of its tokens in the input."""
    positions: list[list[int]] = [[] for _ in example.offsets]
    starts = [start for start, _ in example.offsets]
    for position, (start, end) in enumerate(encoding.offsets):
        if end > start and not encoding.special_tokens_mask[position]:
            word = bisect_right(starts, start) - 1
            if word >= 0:
                positions[word].append(position)
    return positions


@dataclass(frozen=True)
class SlotFilling(Task[Example, TagPrediction]):
    """A BIO tag for every word, and an intent for the sentence where training has them.

    Args:
        labels: the tags; () = those of the training examples, O first. A model may have been
            trained with BIOES, BILOU or BMES; its slots are told in BIO.
        intents: the intents; () = those of the training examples, if any.
        intent: False leaves intents alone.

    Raises:
        InputError: a label that is no tag.

    Example:
        >>> task = SlotFilling().learned_from([Example.from_words(["in", "rome"], ["O", "B-city"])])
        >>> task.labels, task.intents
        (('O', 'B-city'), ())
    """

    labels: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()
    intent: bool = True
    name = "slot_filling"
    best = "f1"
    example_type = Example
    architecture = "BertForTokenClassification"
    new = ("classifier", "intent_classifier", "bert.pooler")
    read = staticmethod(read)

    def __post_init__(self) -> None:
        """Refuse labels that mark no slots."""
        if wrong := [label for label in self.labels if not _ANY_TAG.fullmatch(label)]:
            raise InputError(
                f"the label {wrong[0]!r:.40} is no tag: slots are marked by O, B-... and I-... "
                "(or BIOES, BILOU, BMES)"
            )

    @classmethod
    def of_config(cls, config: BertConfig) -> Self:
        """Returns the task with the model's tags."""
        return cls(labels=config.labels)

    def example(self, given: Any) -> Example:
        """Returns a text, or a tuple of words, as an example."""
        if isinstance(given, Example):
            return given
        if isinstance(given, str):
            return Example.from_text(given)
        if isinstance(given, tuple) and all(isinstance(word, str) for word in given):
            return Example.from_words(given)
        raise InputError(f"a text or a tuple of words is needed, not a {type(given).__name__}")

    def asked(self, row: Row) -> Example:
        """Returns the words of a row, or its text, as an example."""
        if any(row.cells.get(name) is not None for name in WORDS):
            return self.example(tuple(row.texts(*WORDS)))
        return super().asked(row)

    def trainable(self, example: Example) -> bool:
        """Returns whether the example has tags."""
        return example.tags is not None

    def learned_from(self, examples: Sequence[Example]) -> Self:
        """Returns the task with the tags and the intents of its training examples."""
        found = {tag for example in examples for tag in example.tags or ()} - {OUTSIDE}
        if not found and not self.labels:
            raise InputError("the training examples have no slot: every word is O")
        tags = sorted(found, key=lambda tag: (tag[2:], tag))
        given = [example.intent for example in examples]
        several = self.intent and len({*given} - {None}) > 1
        intents = self.intents or (labels_of(given, "intent") if several else ())
        return replace(self, labels=self.labels or (OUTSIDE, *tags), intents=intents)

    def features(
        self, example: Example, tokenizer: BertTokenizer, max_length: int
    ) -> list[Feature]:
        """Returns `[CLS] text [SEP]`, cut to max_length, labelled at each word's first piece."""
        encoding = tokenizer.encode(example.text, max_length=max_length, truncate=True)
        if example.tags is None:
            return [Feature(encoding)]
        numbers = {label: index for index, label in enumerate(self.labels)}
        labels = torch.full((len(encoding),), IGNORED)
        for tag, positions in zip(example.tags, pieces_of(example, encoding), strict=True):
            if positions:
                labels[positions[0]] = numbers.get(tag, IGNORED)
        given = {"labels": labels}
        if self.intents:
            given["intent_labels"] = label_index(example.intent, self.intents)
        return [Feature(encoding, given)]

    def head(self, config: BertConfig) -> nn.Module:
        """Returns a fresh token classifier."""
        config = replace(config, labels=self.labels)
        if self.intents:
            return BertForSlotFilling(config, len(self.intents))
        return BertForTokenClassification(config)

    def losses(self, output: Any) -> dict[str, Tensor]:
        """Returns the tags' loss, and the intents'."""
        if not self.intents:
            return super().losses(output)
        return {"labels": output.slot_loss, "intent_labels": output.intent_loss}

    def outputs(self, output: Any) -> Batch:
        """Returns the logits of tags and intents."""
        intents = {"intent_logits": output.intent_logits} if self.intents else {}
        return super().outputs(output) | intents

    def decode(
        self, example: Example, features: Sequence[Feature], outputs: Sequence[Batch]
    ) -> TagPrediction:
        """Returns each word's tag and the slots; a word without a piece is O, or in its slot."""
        encoding = features[0].encoding
        positions = pieces_of(example, encoding)
        probabilities = torch.zeros(len(positions), len(self.labels))
        answered = [i for i, of_word in enumerate(positions) if of_word]
        if answered:
            firsts = [positions[i][0] for i in answered]
            probabilities[answered] = outputs[0]["logits"][firsts].softmax(-1)
        best = probabilities.argmax(-1).tolist() if positions else []
        raw = [self.labels[k] if p else OUTSIDE for k, p in zip(best, positions, strict=True)]
        if not all(map(_TAG.fullmatch, self.labels)):
            raw = bio_of(raw)
        if not encoding.truncated:
            raw = bridged(raw, answered)
        tags, mended = mend(raw)
        intent = None
        if self.intents:
            intent = class_prediction(outputs[0]["intent_logits"], self.intents)
        return TagPrediction(
            words=example.words,
            offsets=list(example.offsets),
            pieces=[[encoding.tokens[p] for p in of_word] for of_word in positions],
            tags=tags,
            mended=mended,
            probabilities=probabilities,
            labels=self.labels,
            slots=slots_of(example.text, example.offsets, tags),
            intent=intent,
        )

    def metrics(
        self, examples: Sequence[Example], predictions: Iterable[TagPrediction]
    ) -> dict[str, float]:
        """Returns precision, recall and F1 of whole slots, and how well whole sentences do.

        `intent_accuracy`, and `sentence_accuracy` (all tags right, and the intent where there is
        one), are beside them.
        """
        pairs = [(e, p) for e, p in zip(examples, predictions, strict=True) if e.tags is not None]
        if not pairs:
            raise InputError("there is no example with labels to compare with")
        gold = [e.tags or () for e, _ in pairs]
        warn_of_unseen([tag for tags in gold for tag in tags], self.labels)
        scores = slot_scores(gold, [p.tags for _, p in pairs])
        right = [list(tags) == p.tags for tags, (_, p) in zip(gold, pairs, strict=True)]
        if self.intents and any(e.intent is not None for e, _ in pairs):
            intents = [e.intent for e, _ in pairs]
            warn_of_unseen(intents, self.intents, "intent")
            found = [p.intent.label if p.intent else "" for _, p in pairs]
            scores["intent_accuracy"] = accuracy(intents, found)
            right = [r and i in (None, f) for r, i, f in zip(right, intents, found, strict=True)]
        return scores | {"sentence_accuracy": sum(right) / len(right)}


class SlotOutput(NamedTuple):
    """What `BertForSlotFilling` returns.

    Attributes:
        loss: slot_loss + intent_loss, of those that had labels; None without labels.
        slot_loss: mean over the labelled tokens, nats.
        intent_loss: mean over the labelled inputs, nats; 0 when none is labelled.
        logits: [B, S, K], of the tags.
        intent_logits: [B, I].
        encoder: the encoder's output.
    """

    loss: Tensor | None
    slot_loss: Tensor | None
    intent_loss: Tensor | None
    logits: Tensor
    intent_logits: Tensor
    encoder: BertOutput


class BertForSlotFilling(BertForTokenClassification):
    """One class for every token, and one for the whole input from its pooled [CLS].

    transformers reads the tokens' part as a `BertForTokenClassification`.

    Args:
        config: the sizes; its labels are the tags.
        num_intents: classes of the whole input.

    Source: Chen, Zhuo and Wang 2019, BERT for joint intent classification and slot filling.

    Example:
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1,
        ...                     num_attention_heads=2, intermediate_size=16)
        >>> output = BertForSlotFilling(config, num_intents=5)(torch.tensor([[1, 5, 6]]))
        >>> output.logits.shape, output.intent_logits.shape
        (torch.Size([1, 3, 2]), torch.Size([1, 5]))
    """

    def __init__(self, config: BertConfig, num_intents: int) -> None:
        super().__init__(config)
        self.bert.pooler = BertPooler(config)
        self.intent_classifier = nn.Linear(config.hidden_size, num_intents)
        initialize(self.bert.pooler, config)
        initialize(self.intent_classifier, config)

    def forward(  # type: ignore[override]  # one label argument and one output more
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        intent_labels: Tensor | None = None,
        **options: bool,
    ) -> SlotOutput:
        """Returns both logits; with labels [B, S] and intent_labels [B], int64, the losses."""
        tags = super().forward(input_ids, token_type_ids, attention_mask, labels=labels, **options)
        pooled = self.dropout(tags.encoder.pooler_output)
        intent_logits = self.intent_classifier(pooled)  # [B, I]
        intent_loss = None
        if intent_labels is not None:
            check_labels("intent_labels", intent_labels, pooled.shape[:1], intent_logits.shape[1])
            total = F.cross_entropy(intent_logits, intent_labels, reduction="sum")
            intent_loss = total / (intent_labels != IGNORED).sum().clamp(min=1)
        losses = [loss for loss in (tags.loss, intent_loss) if loss is not None]
        loss = torch.stack(losses).sum() if losses else None
        return SlotOutput(loss, tags.loss, intent_loss, tags.logits, intent_logits, tags.encoder)
