"""What the four cases have in common, so that one loop trains them all.

A case is a `Task`: files become examples, an example becomes features (inputs of the model), a head
on the encoder turns them into numbers, `decode` turns the numbers into a prediction, `metrics`
compares predictions with what is right. Each case's module has the same parts in the same order.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from bertedu.config import BertConfig
from bertedu.encoding import UNKNOWN_SHARE, Encoding, collate
from bertedu.errors import InputError
from bertedu.finetuning.tables import NO_COLUMNS, Columns, Row
from bertedu.tokenizer import BertTokenizer
from bertedu.training.batches import Batch
from bertedu.utils.validation import IGNORED

SETTINGS = "finetuning.json"
"""Where a fine-tuned model's folder says what its task is."""


class Prediction(Protocol):
    """What is found in one example, and how it is told; its parts are each case's own."""

    def __str__(self) -> str:
        """Returns what a reader wants to know, in one line or a few."""

    def to_json(self) -> dict[str, Any]:
        """Returns what JSON takes, without tensors."""

    def chances(self) -> list[str]:
        """Returns a line for each thing that may be so, with its probability, likeliest first."""


ExampleT = TypeVar("ExampleT")
PredictionT = TypeVar("PredictionT", bound=Prediction)


@dataclass(frozen=True)
class Feature:
    """One input of the model, made of an example or of a window of it.

    Attributes:
        encoding: the tokens.
        labels: the head's label arguments by name, int64, each a single class or one for every
            token [S]; empty where the example has no label.
    """

    encoding: Encoding
    labels: dict[str, Tensor] = field(default_factory=dict)


class Task(ABC, Generic[ExampleT, PredictionT]):
    """One case of fine-tuning: data, features, head, decoding and metrics.

    A subclass is a frozen dataclass; its fields are what a saved model keeps of the task.

    Attributes:
        name: as the command line calls it.
        best: the metric by which the best state of a model is kept; higher is better.
        example_type: of its examples.
        texts: for each text of an input, the names of the columns that may hold it; the first is
            the example's own name for it.
        architecture: what transformers calls a model of this task.
        usual_labels: those by which a model of that architecture is told to be of this task.
        options: fields that the command line sets, and what it says of them.
        new: prefixes of the parameters that a pretrained checkpoint need not hold.
        max_length: tokens of an input, unless a recipe says otherwise.
    """

    name: ClassVar[str]
    best: ClassVar[str]
    example_type: ClassVar[type[Any]]
    texts: ClassVar[tuple[tuple[str, ...], ...]] = (("text", "sentence"),)
    architecture: ClassVar[str] = ""
    usual_labels: ClassVar[frozenset[str]] = frozenset()
    options: ClassVar[dict[str, str]] = {}
    new: ClassVar[tuple[str, ...]] = ("classifier", "bert.pooler")
    max_length: ClassVar[int] = 128

    @staticmethod
    @abstractmethod
    def read(
        path: str | Path, encoding: str = "utf-8", columns: Columns = NO_COLUMNS
    ) -> list[ExampleT]:
        """Returns the examples of a file, a folder, or a data set of the hub.

        Args:
            path: of it.
            encoding: of it; a case that cannot be told leaves this out, and `columns`.
            columns: what it calls its columns.

        Raises:
            InputError: what cannot be read, named by its place.
        """

    @classmethod
    def of_config(cls, config: BertConfig) -> Self:  # noqa: ARG003 (most tasks need its labels)
        """Returns the task of a model that transformers fine-tuned."""
        return cls()

    def example(self, given: Any) -> ExampleT:
        """Returns what a reader typed as an example without an answer.

        Args:
            given: a text; a tuple of texts, where the task reads more than one; or an example.

        Raises:
            InputError: it is nothing that this task reads.
        """
        if isinstance(given, self.example_type):
            return given  # type: ignore[no-any-return]  # example_type is ExampleT
        names = [names[0] for names in self.texts]
        texts = (given,) if len(names) == 1 else given
        if isinstance(texts, tuple) and [isinstance(t, str) for t in texts] == [True] * len(names):
            return self.example_type(*texts)  # type: ignore[no-any-return]
        if len(names) == 1:
            raise InputError(f"a {names[0]} is needed, and this is a {type(given).__name__}")
        raise InputError(f"a pair is needed: ({', '.join(names)}), both text")

    def asked(self, row: Row) -> ExampleT:
        """Returns what a row of a table asks, as an example without an answer."""
        texts = tuple(row.value(*names) for names in self.texts)
        return self.example(texts[0] if len(texts) == 1 else texts)

    def group(self, example: ExampleT) -> Hashable:  # noqa: ARG002 (most examples stand alone)
        """Returns what must not be both in training and held out; None = it stands alone."""
        return None

    @abstractmethod
    def learned_from(self, examples: Sequence[ExampleT]) -> Self:
        """Returns this task with the labels that its training examples have.

        Raises:
            InputError: there is nothing to learn from.
        """

    def trainable(self, example: ExampleT) -> bool:
        """Returns whether the example says what is right, so that one can learn from it."""
        return getattr(example, "label", None) is not None

    @abstractmethod
    def features(
        self, example: ExampleT, tokenizer: BertTokenizer, max_length: int
    ) -> list[Feature]:
        """Returns the model's inputs for one example, with labels where it has an answer.

        Args:
            example: one.
            tokenizer: the model's.
            max_length: tokens of an input, at most.
        """

    @abstractmethod
    def head(self, config: BertConfig) -> nn.Module:
        """Returns a fresh model of these sizes with this task's head."""

    def losses(self, output: Any) -> dict[str, Tensor]:
        """Returns the parts of the loss, nats, by the labels that each is the mean over."""
        return {"labels": output.loss}

    def outputs(self, output: Any) -> Batch:
        """Returns what `decode` needs of the head's output: [B, S, ...] or, of two axes, [B, K]."""
        return {"logits": output.logits}

    @abstractmethod
    def decode(
        self, example: ExampleT, features: Sequence[Feature], outputs: Sequence[Batch]
    ) -> PredictionT:
        """Returns the prediction for one example.

        Args:
            example: one.
            features: its features.
            outputs: the rows of `outputs` that belong to them, without padding.
        """

    @abstractmethod
    def metrics(
        self, examples: Sequence[ExampleT], predictions: Iterable[PredictionT]
    ) -> dict[str, float]:
        """Returns how good predictions are, each number from 0 to 1; they are read once.

        Raises:
            InputError: there is no example with an answer.
        """

    @property
    def calibrates(self) -> bool:
        """Whether there is something to set after training."""
        return False

    def calibrated(
        self,
        examples: Sequence[ExampleT],  # noqa: ARG002 (most cases have nothing to set)
        predictions: Sequence[PredictionT],  # noqa: ARG002
    ) -> Self:
        """Returns this task with what is best set after training, on the development split."""
        return self

    def settings(self) -> dict[str, Any]:
        """Returns what makes this task again: its class called with these keywords."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # all are dataclasses


def hardly_read(features: Sequence[Feature]) -> bool:
    """Returns whether the vocabulary lacks much of what is in an example.

    Args:
        features: all of the example's.
    """
    return any(feature.encoding.unknown >= UNKNOWN_SHARE for feature in features)


def warn_of_unknown(unread: int, total: int, what: str) -> None:
    """Says so where examples are hardly read.

    Args:
        unread: how many are.
        total: how many there are.
        what: they are called.
    """
    if unread:
        warnings.warn(
            f"in {unread:,} of {total:,} {what} a tenth or more of the tokens are [UNK], which "
            "tell the model nothing: take a checkpoint with a vocabulary of their language",
            stacklevel=3,
        )


def collate_features(features: Sequence[Feature], pad_token_id: int = 0) -> Batch:
    """Returns features as one padded batch; a label at the padding is -100.

    Args:
        features: all with the same labels, or all without.
        pad_token_id: the id put at the padding.

    Example:
        >>> from bertedu.tokenizer import SPECIAL_TOKENS
        >>> tokenizer = BertTokenizer([*SPECIAL_TOKENS, "dog"])
        >>> one, two = tokenizer.encode("dog"), tokenizer.encode("dog dog")
        >>> tags = {"labels": torch.tensor([-100, 1, -100])}
        >>> more = {"labels": torch.tensor([-100, 1, 0, -100])}
        >>> collate_features([Feature(one, tags), Feature(two, more)])["labels"].tolist()
        [[-100, 1, -100, -100], [-100, 1, 0, -100]]
    """
    batch = collate([feature.encoding for feature in features], pad_token_id)
    for name in features[0].labels:
        values = [feature.labels[name] for feature in features]
        batch[name] = (
            nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=IGNORED)
            if values[0].ndim
            else torch.stack(values)
        )
    return batch
