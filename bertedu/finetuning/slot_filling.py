"""Case 2, slot filling: one label for every word, and optionally an intent for the sentence.

A word that is split into pieces is labelled, and answers, at its first piece. Labels are BIO tags:
B-x begins a slot x, I-x continues it, O is outside.

Source: Devlin et al. 2019, section 5.3; Chen, Zhuo and Wang 2019 (the intent).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
from bertedu.finetuning.slots import ANY_TAG, TAG, WORDS, Example, read, words_in
from bertedu.finetuning.tables import Row
from bertedu.finetuning.task import Feature, Task
from bertedu.heads import BertForTokenClassification
from bertedu.model import BertOutput, BertPooler, initialize
from bertedu.tokenizer import BertTokenizer
from bertedu.training.batches import Batch
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
        if wrong := [label for label in self.labels if not ANY_TAG.fullmatch(label)]:
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
            return self.example(tuple(words_in(row)))
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
        if not all(map(TAG.fullmatch, self.labels)):
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
