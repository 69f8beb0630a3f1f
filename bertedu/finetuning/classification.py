"""Case 1, classification: one label for a text, from the pooled output.

Source: Devlin et al. 2019, section 4.1.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertedu.config import BertConfig
from bertedu.errors import InputError
from bertedu.finetuning.tables import (
    NO_COLUMNS,
    Columns,
    check_columns,
    some,
    table,
    without_header,
    without_minus_one,
)
from bertedu.finetuning.task import Feature, Task
from bertedu.heads import BertForSequenceClassification, HeadOutput
from bertedu.model import BertModel, initialize
from bertedu.tokenizer import BertTokenizer
from bertedu.training.batches import Batch
from bertedu.utils.validation import IGNORED, check_labels

TEXT = (
    "text", "sentence", "review", "content", "tweet", "comment", "phrase", "utterance", "message",
    "review_text", "reviewtext", "review_body", "description", "question", "headline", "title",
)  # fmt: skip
LABEL = (
    "label", "gold_label", "sentiment", "class", "category", "labels", "target", "intent",
    "emotion", "polarity", "coarse_label", "rating", "stars", "score", "label_text",
)  # fmt: skip
"""What files call the two columns, the surest name first."""
POOLINGS = ("cls", "mean", "concat")
"""How all tokens' vectors become one: [CLS] through the pooler; their mean; one after another."""


@dataclass(frozen=True)
class Example:
    """A text, and its label where it is known."""

    text: str
    label: str | None = None


class ClassPrediction(NamedTuple):
    """The likeliest label, and every label's probability; they sum to 1."""

    label: str
    probabilities: dict[str, float]

    def __str__(self) -> str:
        """Returns the label and its probability.

        Example:
            >>> print(ClassPrediction("yes", {"no": 0.25, "yes": 0.75}))
            yes (75.0%)
        """
        return f"{self.label} ({self.probabilities[self.label]:.1%})"

    def to_json(self) -> dict[str, Any]:
        """Returns both."""
        return self._asdict()

    def chances(self) -> list[str]:
        """Returns a line for each label, the likeliest first."""
        order = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return [f"{label} {100 * probability:.1f} %" for label, probability in order]


def read(path: str | Path, encoding: str = "utf-8", columns: Columns = NO_COLUMNS) -> list[Example]:
    """Returns the examples of a file, or of a data set of the hub.

    Args:
        path: a table with a header (GLUE's .tsv, .csv), .json or .jsonl, with a column `sentence`
            or `text` and a column `label`; or lines `LABEL text`; or a data
            set of the hub, `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`.
        encoding: of the file.
        columns: what the file calls `text` and `label`.

    Raises:
        InputError: a line that cannot be read, named by its number.
    """
    check_columns(columns, "text", "label")
    rows = table(path, TEXT, encoding, columns, LABEL)
    if rows is None:
        rows = without_header(path, TEXT, LABEL, encoding)
    examples = some([Example(row.text(*TEXT), row.label(*LABEL)) for row in rows], path)
    labels = without_minus_one([example.label for example in examples])
    return [replace(example, label=label) for example, label in zip(examples, labels, strict=True)]


def class_prediction(logits: Tensor, labels: Sequence[str]) -> ClassPrediction:
    """Returns the prediction that logits [K] mean.

    Example:
        >>> class_prediction(torch.tensor([0.0, 0.0]), ("no", "yes"))
        ClassPrediction(label='no', probabilities={'no': 0.5, 'yes': 0.5})
    """
    probabilities = logits.double().softmax(-1).tolist()
    best = max(range(len(labels)), key=probabilities.__getitem__)
    return ClassPrediction(labels[best], dict(zip(labels, probabilities, strict=True)))


def labels_of(found: Sequence[str | None], kind: str = "label") -> tuple[str, ...]:
    """Returns the labels that occur, sorted.

    Raises:
        InputError: fewer than two, or more than 100 that are nearly as many as the examples;
            of fewer that are nearly as many, a warning is given.
    """
    counts = Counter(label for label in found if label is not None)
    if len(counts) < 2:
        only = (
            f"only {next(iter(counts))!r}"
            if counts
            else f"none (--columns {kind}=NAME names the column)"
        )
        raise InputError(f"the training examples need two {kind}s or more, and have {only}")
    if len(counts) > max(4, counts.total() // 2):
        told = (
            f"{counts.total():,} training examples have {len(counts):,} different {kind}s, such as "
            f"{min(counts)!r}: is the {kind} in another column? (--columns {kind}=NAME)"
        )
        if len(counts) > 100:
            raise InputError(told)
        warnings.warn(told, stacklevel=3)
    return tuple(sorted(counts))


def label_index(label: str | None, labels: Sequence[str]) -> Tensor:
    """Returns a label's number, int64; -100 for one that training never saw."""
    return torch.tensor(labels.index(label) if label in labels else IGNORED)


def accuracy(gold: Sequence[str | None], predicted: Sequence[str]) -> float:
    """Returns the share of right labels, among the examples that have one.

    Raises:
        InputError: none has.
    """
    known = [(g, p) for g, p in zip(gold, predicted, strict=True) if g is not None]
    if not known:
        raise InputError("there is no example with a label to compare with")
    return sum(g == p for g, p in known) / len(known)


def confusion(
    gold: Sequence[str | None], predicted: Sequence[str], labels: Sequence[str]
) -> Tensor:
    """Returns how often each right label (row) was given each label (column): int64 [K, K].

    Args:
        gold: right labels; examples without are left out.
        predicted: labels.
        labels: names of rows and columns; every label that occurs.

    Example:
        >>> confusion(["no", "no", "yes"], ["no", "yes", "yes"], ("no", "yes")).tolist()
        [[1, 1], [0, 1]]
    """
    counts = torch.zeros(len(labels), len(labels), dtype=torch.int64)
    for g, p in zip(gold, predicted, strict=True):
        if g is not None:
            counts[labels.index(g), labels.index(p)] += 1
    return counts


def macro_f1(gold: Sequence[str | None], predicted: Sequence[str]) -> float:
    """Returns the mean F1 of the labels that occur, each counted alike.

    Example:
        >>> round(macro_f1(["no", "no", "yes"], ["no", "yes", "yes"]), 3)
        0.667
    """
    known = [(g, p) for g, p in zip(gold, predicted, strict=True) if g is not None]
    right = Counter(g for g, p in known if g == p)
    either = Counter(g for g, _ in known) + Counter(p for _, p in known)
    return sum(2 * right[label] / count for label, count in either.items()) / max(1, len(either))


def warn_of_unseen(gold: Sequence[str | None], labels: Sequence[str], kind: str = "label") -> None:
    """Warns of labels that training never saw: no prediction can be right there."""
    unseen = Counter(label for label in gold if label is not None and label not in labels)
    if unseen:
        warnings.warn(
            f"{unseen.total():,} of {len(gold):,} have a {kind} that training never saw, such as "
            f"{min(unseen)!r}: they count as wrong",
            stacklevel=3,
        )


@dataclass(frozen=True)
class OneLabel(Task[Any, ClassPrediction]):
    """One label for an input, whatever its texts are; an example has it as `label`.

    Args:
        labels: the classes; () = those of the training examples.
    """

    labels: tuple[str, ...] = ()
    best = "accuracy"

    @classmethod
    def of_config(cls, config: BertConfig) -> Self:
        """Returns the task with the model's labels."""
        return cls(labels=config.labels)

    def learned_from(self, examples: Sequence[Any]) -> Self:
        """Returns the task with the labels of its training examples."""
        return replace(self, labels=self.labels or labels_of([e.label for e in examples]))

    def features(self, example: Any, tokenizer: BertTokenizer, max_length: int) -> list[Feature]:
        """Returns `[CLS] text [SEP]`, or that of a pair, its longer text cut to max_length."""
        texts = (getattr(example, names[0]) for names in self.texts)
        encoding = tokenizer.encode(*texts, max_length=max_length, truncate=True)
        if example.label is None:
            return [Feature(encoding)]
        return [Feature(encoding, {"labels": label_index(example.label, self.labels)})]

    def head(self, config: BertConfig) -> nn.Module:
        """Returns a fresh classifier."""
        return BertForSequenceClassification(replace(config, labels=self.labels))

    def decode(
        self,
        example: Any,  # noqa: ARG002 (all tasks take the same arguments)
        features: Sequence[Feature],  # noqa: ARG002
        outputs: Sequence[Batch],
    ) -> ClassPrediction:
        """Returns label and probabilities."""
        return class_prediction(outputs[0]["logits"], self.labels)

    def metrics(
        self, examples: Sequence[Any], predictions: Iterable[ClassPrediction]
    ) -> dict[str, float]:
        """Returns accuracy, and F1 as the mean over the classes."""
        gold = [example.label for example in examples]
        warn_of_unseen(gold, self.labels)
        predicted = [prediction.label for prediction in predictions]
        return {"accuracy": accuracy(gold, predicted), "f1": macro_f1(gold, predicted)}


@dataclass(frozen=True)
class Classification(OneLabel):
    """One label for a text.

    Args:
        labels: the classes; () = those of the training examples.
        pooling: what the classifier sees: "cls" (the pooled [CLS], as in the paper), "mean" of
            all outputs, or "concat", all outputs one after another.
        positions: how many outputs are concatenated; longer texts are cut, shorter ones filled
            with zeros.

    Raises:
        InputError: another pooling.

    Example:
        >>> task = Classification().learned_from([Example("so good", "+"), Example("bad", "-")])
        >>> task.labels
        ('+', '-')
    """

    pooling: str = "cls"
    positions: int = 32
    name = "classification"
    example_type = Example
    texts = (TEXT,)
    architecture = "BertForSequenceClassification"
    options: ClassVar[dict[str, str]] = {"pooling": "classification: cls, mean or concat"}
    new = ("classifier", "pooled_classifier", "bert.pooler")
    read = staticmethod(read)

    def __post_init__(self) -> None:
        """Refuse another pooling."""
        if self.pooling not in POOLINGS:
            known = ", ".join(POOLINGS)
            raise InputError(f"pooling is {self.pooling!r}; it must be one of {known}")

    def head(self, config: BertConfig) -> nn.Module:
        """Returns a fresh classifier of what `pooling` says."""
        if self.pooling == "cls":
            return super().head(config)
        config = replace(config, labels=self.labels)
        return BertForPooledClassification(config, self.pooling, self.positions)


class BertForPooledClassification(nn.Module):
    """One class for the whole input, from all outputs: their mean, or one after the other.

    A concatenation needs a fixed length: the first `positions` outputs are taken, and zeros stand
    where the input is shorter. So its classifier has `positions` times as many weights.

    Args:
        config: the sizes; its labels are the classes.
        pooling: "mean" or "concat" ("cls" is `BertForSequenceClassification`).
        positions: of a concatenation.

    Raises:
        InputError: another pooling, or more positions than the model has.

    Example:
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1,
        ...                     num_attention_heads=2, intermediate_size=16)
        >>> model = BertForPooledClassification(config, "concat", positions=3)
        >>> model.pooled_classifier.weight.shape, model(torch.tensor([[1, 5]])).logits.shape
        (torch.Size([2, 24]), torch.Size([1, 2]))
    """

    def __init__(self, config: BertConfig, pooling: str = "mean", positions: int = 32) -> None:
        super().__init__()
        if pooling not in POOLINGS[1:]:
            raise InputError(f"pooling is {pooling!r}; it must be one of {', '.join(POOLINGS[1:])}")
        if not 1 <= positions <= config.max_position_embeddings:
            raise InputError(
                f"positions is {positions}; it must be from 1 to {config.max_position_embeddings}"
            )
        self.config = config
        self.pooling = pooling
        self.positions = positions
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        width = config.hidden_size * (positions if pooling == "concat" else 1)
        # Not `classifier`: transformers would take that for a classifier of [CLS].
        self.pooled_classifier = nn.Linear(width, config.num_labels)
        initialize(self.pooled_classifier, config)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        **options: bool,
    ) -> HeadOutput:
        """Returns logits [B, K], and with labels int64 [B] their mean cross-entropy."""
        encoder = self.bert(input_ids, token_type_ids, attention_mask, **options)
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states = encoder.last_hidden_state * real[:, :, None]  # [B, S, H], zeros at the padding
        if self.pooling == "mean":
            pooled = states.sum(1) / real.sum(1, keepdim=True)  # [B, H]
        else:
            short = max(0, self.positions - states.shape[1])
            pooled = F.pad(states[:, : self.positions], (0, 0, 0, short)).flatten(1)  # [B, P * H]
        logits = self.pooled_classifier(self.dropout(pooled))  # [B, K]
        if labels is not None:
            check_labels("labels", labels, logits.shape[:1], logits.shape[-1])
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return HeadOutput(loss, logits, encoder)
