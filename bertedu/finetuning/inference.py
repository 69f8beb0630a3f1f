"""Case 3, natural language inference: does the premise make the hypothesis true, false, or neither?

A pair of texts in, one label out; so it also reads other pairs, such as paraphrases.

Source: Devlin et al. 2019, section 4.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bertedu.finetuning.classification import OneLabel
from bertedu.finetuning.tables import (
    NO_COLUMNS,
    Columns,
    check_columns,
    records,
    refuse_header,
    some,
    table,
    without_minus_one,
)

PREMISE = (
    "premise", "sentence1", "sentence_a", "#1 string", "question1", "text1", "text_a", "question",
)  # fmt: skip
HYPOTHESIS = (
    "hypothesis", "sentence2", "sentence_b", "#2 string", "question2", "text2", "text_b",
    "sentence",
)  # fmt: skip
LABEL = (
    "gold_label", "label", "quality", "is_duplicate", "entailment_judgment", "is_paraphrase",
    "relation", "labels", "class",
)  # fmt: skip
"""What files call the columns."""
NO_CONSENSUS = "-"
"""SNLI's label where the annotators did not agree; such pairs are left out, as usual."""


@dataclass(frozen=True)
class Example:
    """A premise, a hypothesis, and the label where it is known."""

    premise: str
    hypothesis: str
    label: str | None = None


def read(path: str | Path, encoding: str = "utf-8", columns: Columns = NO_COLUMNS) -> list[Example]:
    """Returns the examples of a file, or of a data set of the hub.

    Args:
        path: a table with a header (.csv, or tab-separated as SNLI's, MNLI's and GLUE's), .json
            or .jsonl with columns `premise` or `sentence1`, `hypothesis` or `sentence2`, and
            `label` or `gold_label`; or `hub:NAME:SPLIT` or `hub:NAME:CONFIG:SPLIT`.
        encoding: of the file.
        columns: what the file calls `premise`, `hypothesis` and `label`.

    Raises:
        InputError: a line that cannot be read, named by its number.
    """
    check_columns(columns, "premise", "hypothesis", "label")
    rows = table(path, PREMISE, encoding, columns, (*HYPOTHESIS, *LABEL))
    if rows is None:
        where, first = next(records(path, (), encoding), (f"{path}:1", []))
        refuse_header(where, first, "premise", "hypothesis", "label")
    examples = [
        Example(row.text(*PREMISE), row.text(*HYPOTHESIS), row.label(*LABEL)) for row in rows
    ]
    labels = without_minus_one([example.label for example in some(examples, path)])
    return [
        replace(example, label=label)
        for example, label in zip(examples, labels, strict=True)
        if label != NO_CONSENSUS
    ]


def hypothesis_only(examples: Sequence[Example]) -> list[Example]:
    """Returns the pairs without their premises: what can be learned from those is no inference.

    Example:
        >>> hypothesis_only([Example("It rains.", "It is dry.", "contradiction")])
        [Example(premise='', hypothesis='It is dry.', label='contradiction')]
    """
    return [replace(example, premise="") for example in examples]


@dataclass(frozen=True)
class Inference(OneLabel):
    """One label for a premise and a hypothesis.

    Args:
        labels: the classes; () = those of the training examples.

    Example:
        >>> pairs = [Example("It rains.", "It is wet.", "true"), Example("It rains.", "It is dry.",
        ...                                                             "false")]
        >>> Inference().learned_from(pairs).labels
        ('false', 'true')
    """

    name = "inference"
    example_type = Example
    texts = (PREMISE, HYPOTHESIS)
    architecture = "BertForSequenceClassification"
    usual_labels = frozenset(
        ("entailment", "neutral", "contradiction", "not_entailment", "non_entailment", "equivalent",
         "not_equivalent", "duplicate", "not_duplicate")
    )  # fmt: skip
    read = staticmethod(read)

    def group(self, example: Example) -> str:
        """Returns the premise: pairs of one premise stay together."""
        return example.premise
