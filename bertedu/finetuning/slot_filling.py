"""Case 2, slot filling: one label for every word, and optionally an intent for the sentence.

A word that is split into pieces is labelled, and answers, at its first piece. Labels are BIO tags:
B-x begins a slot x, I-x continues it, O is outside.

Source: Devlin et al. 2019, section 5.3; Chen, Zhuo and Wang 2019 (the intent).
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
from bertedu.finetuning.tables import Row, hub_rows, json_rows, lines
from bertedu.finetuning.task import Batch, Feature, Task
from bertedu.heads import BertForTokenClassification
from bertedu.model import BertOutput, BertPooler, initialize
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.hub import HUB
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

_TAG = re.compile(r"O|[BI]-.+")
_ANY_TAG = re.compile(r"O|[BIESLUM]-.+")  # of models that were trained elsewhere
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
        raise row.refused(error) from error


def _parallel(folder: Path, encoding: str) -> Iterator[Example]:
    """Yields the sentences of a folder with a file of words, one of tags, and one of intents."""
    texts, tags = (list(lines(folder / name, encoding)) for name in ("seq.in", "seq.out"))
    intents: list[tuple[str, str | None]] = [("", None)] * len(texts)
    if (folder / "label").is_file():
        intents = list(lines(folder / "label", encoding))
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


def _conll(path: Path, encoding: str) -> Iterator[Example]:
    """Yields the sentences of a file with a word a line."""
    words: list[str] = []
    tags: list[str] = []
    for where, line in (*lines(path, encoding), ("", "")):
        cells = re.split(r"[ \t]+", line.strip()) if line.strip() else []
        if cells and cells[0] == "-DOCSTART-":
            continue
        if cells:
            if len(cells) < 2 or not _TAG.fullmatch(cells[-1]):
                raise InputError(
                    f"{where}: {line.strip()!r} is not a word and, last, its tag: O, B-... or I-..."
                )
            words.append(cells[0])
            tags.append(cells[-1])
        elif words:
            yield Example.from_words(words, tags)
            words, tags = [], []


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
        if row.cells.get("words") is not None:
            return self.example(tuple(row.texts("words")))
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
