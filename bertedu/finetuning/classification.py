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

from bertedu.config import BertConfig
from bertedu.errors import InputError
from bertedu.finetuning.heads import POOLINGS, BertForPooledClassification
from bertedu.finetuning.tables import label_first, table
from bertedu.finetuning.task import Batch, Feature, Task
from bertedu.heads import BertForSequenceClassification
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.validation import IGNORED

TEXT, LABEL = ("text", "sentence", "review"), ("label", "gold_label")
"""What files call the two columns."""


@dataclass(frozen=True)
class Example:
    """A text, and its label where it is known."""

    text: str
    label: str | None = None


class ClassPrediction(NamedTuple):
    """The likeliest label, and every label's probability; they sum to 1."""

    label: str
    probabilities: dict[str, float]


def read(path: str | Path, encoding: str = "utf-8") -> list[Example]:
    """Returns the examples of a file, or of a data set of the hub.

    Args:
        path: a table with a header (GLUE's .tsv, .csv) or .jsonl, with a column `sentence` or
            `text` and a column `label`; or lines `LABEL text`; or a data
            set of the hub, `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`.
        encoding: of the file.

    Raises:
        InputError: a line that cannot be read, named by its number.
    """
    rows = table(path, TEXT, encoding)
    if rows is None:
        return [Example(text, label) for label, text in label_first(path, encoding)]
    return [Example(row.text(*TEXT), row.label(*LABEL)) for row in rows]


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
        InputError: fewer than two, or nearly as many as there are examples.
    """
    counts = Counter(label for label in found if label is not None)
    if len(counts) < 2:
        only = f"only {next(iter(counts))!r}" if counts else "none"
        raise InputError(f"the training examples need two {kind}s or more, and have {only}")
    if len(counts) > max(100, counts.total() // 2):
        raise InputError(
            f"{counts.total():,} training examples have {len(counts):,} different {kind}s, such as "
            f"{min(counts)!r}: is the {kind} in another column?"
        )
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
class Classification(Task[Example, ClassPrediction]):
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

    labels: tuple[str, ...] = ()
    pooling: str = "cls"
    positions: int = 32
    name: ClassVar[str] = "classification"
    best: ClassVar[str] = "accuracy"
    new: ClassVar[tuple[str, ...]] = ("classifier", "pooled_classifier", "bert.pooler")

    def __post_init__(self) -> None:
        """Refuse another pooling."""
        if self.pooling not in POOLINGS:
            known = ", ".join(POOLINGS)
            raise InputError(f"pooling is {self.pooling!r}; it must be one of {known}")

    def example(self, given: Any) -> Example:
        """Returns a text as an example."""
        if isinstance(given, Example):
            return given
        if not isinstance(given, str):
            raise InputError(f"a text is needed, and this is a {type(given).__name__}")
        return Example(given)

    def learned_from(self, examples: Sequence[Example]) -> Self:
        """Returns the task with the labels of its training examples."""
        return replace(self, labels=self.labels or labels_of([e.label for e in examples]))

    def features(
        self, example: Example, tokenizer: BertTokenizer, max_length: int
    ) -> list[Feature]:
        """Returns `[CLS] text [SEP]`, cut to max_length."""
        encoding = tokenizer.encode(example.text, max_length=max_length, truncate=True)
        labels = (
            {} if example.label is None else {"labels": label_index(example.label, self.labels)}
        )
        return [Feature(encoding, labels)]

    def head(self, config: BertConfig) -> nn.Module:
        """Returns a fresh classifier."""
        config = replace(config, labels=self.labels)
        if self.pooling == "cls":
            return BertForSequenceClassification(config)
        return BertForPooledClassification(config, self.pooling, self.positions)

    def decode(
        self,
        example: Example,  # noqa: ARG002 (all tasks take the same arguments)
        features: Sequence[Feature],  # noqa: ARG002
        outputs: Sequence[Batch],
    ) -> ClassPrediction:
        """Returns label and probabilities."""
        return class_prediction(outputs[0]["logits"], self.labels)

    def metrics(
        self, examples: Sequence[Example], predictions: Iterable[ClassPrediction]
    ) -> dict[str, float]:
        """Returns accuracy, and F1 as the mean over the classes."""
        return class_metrics([e.label for e in examples], predictions, self.labels)


def class_metrics(
    gold: Sequence[str | None], predictions: Iterable[ClassPrediction], labels: Sequence[str]
) -> dict[str, float]:
    """Returns accuracy, and F1 as the mean over the classes."""
    warn_of_unseen(gold, labels)
    predicted = [prediction.label for prediction in predictions]
    return {"accuracy": accuracy(gold, predicted), "f1": macro_f1(gold, predicted)}
