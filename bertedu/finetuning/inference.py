"""Case 3, natural language inference: does the premise make the hypothesis true, false, or neither?

A pair of texts in, one label out; so it also reads other pairs, such as paraphrases.

Source: Devlin et al. 2019, section 4.1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import nn

from bertedu.config import BertConfig
from bertedu.errors import InputError
from bertedu.finetuning.classification import (
    ClassPrediction,
    class_metrics,
    class_prediction,
    label_index,
    labels_of,
)
from bertedu.finetuning.tables import table
from bertedu.finetuning.task import Batch, Feature, Task
from bertedu.heads import BertForSequenceClassification
from bertedu.tokenizer import BertTokenizer

PREMISE = ("premise", "sentence1", "#1 string", "question1", "question")
HYPOTHESIS = ("hypothesis", "sentence2", "#2 string", "question2", "sentence")
LABEL = ("gold_label", "label", "quality", "is_duplicate")
"""What files call the columns."""
NO_CONSENSUS = "-"
"""SNLI's label where the annotators did not agree; such pairs are left out, as usual."""


@dataclass(frozen=True)
class Example:
    """A premise, a hypothesis, and the label where it is known."""

    premise: str
    hypothesis: str
    label: str | None = None


def read(path: str | Path, encoding: str = "utf-8") -> list[Example]:
    """Returns the examples of a file, or of a data set of the hub.

    Args:
        path: a table with a header (.csv, or tab-separated as SNLI's, MNLI's and GLUE's) or
            .jsonl with columns `premise` or `sentence1`, `hypothesis` or `sentence2`, and
            `label` or `gold_label`; or `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`.
        encoding: of the file.

    Raises:
        InputError: a line that cannot be read, named by its number.
    """
    rows = table(path, PREMISE, encoding)
    if rows is None:
        raise InputError(f"{path}:1: the header names no premise: {', '.join(PREMISE)}")
    examples = (
        Example(row.text(*PREMISE), row.text(*HYPOTHESIS), row.label(*LABEL)) for row in rows
    )
    return [example for example in examples if example.label != NO_CONSENSUS]


def hypothesis_only(examples: Sequence[Example]) -> list[Example]:
    """Returns the pairs without their premises: what can be learned from those is no inference.

    Example:
        >>> hypothesis_only([Example("It rains.", "It is dry.", "contradiction")])
        [Example(premise='', hypothesis='It is dry.', label='contradiction')]
    """
    return [replace(example, premise="") for example in examples]


@dataclass(frozen=True)
class Inference(Task[Example, ClassPrediction]):
    """One label for a premise and a hypothesis.

    Args:
        labels: the classes; () = those of the training examples.

    Example:
        >>> pairs = [Example("It rains.", "It is wet.", "true"), Example("It rains.", "It is dry.",
        ...                                                             "false")]
        >>> Inference().learned_from(pairs).labels
        ('false', 'true')
    """

    labels: tuple[str, ...] = ()
    name: ClassVar[str] = "inference"
    best: ClassVar[str] = "accuracy"

    def example(self, given: Any) -> Example:
        """Returns a tuple (premise, hypothesis) as an example."""
        if isinstance(given, Example):
            return given
        if isinstance(given, tuple) and [type(text) for text in given] == [str, str]:
            return Example(*given)
        raise InputError("a pair is needed: (premise, hypothesis), both text")

    def learned_from(self, examples: Sequence[Example]) -> Self:
        """Returns the task with the labels of its training examples."""
        return replace(self, labels=self.labels or labels_of([e.label for e in examples]))

    def features(
        self, example: Example, tokenizer: BertTokenizer, max_length: int
    ) -> list[Feature]:
        """Returns `[CLS] premise [SEP] hypothesis [SEP]`, the longer one cut to max_length."""
        encoding = tokenizer.encode(
            example.premise, example.hypothesis, max_length=max_length, truncate=True
        )
        labels = (
            {} if example.label is None else {"labels": label_index(example.label, self.labels)}
        )
        return [Feature(encoding, labels)]

    def head(self, config: BertConfig) -> nn.Module:
        """Returns a fresh classifier."""
        return BertForSequenceClassification(replace(config, labels=self.labels))

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
