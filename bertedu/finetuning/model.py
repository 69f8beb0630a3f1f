"""A fine-tuned model in one hand: its task, its weights and its tokenizer, ready to answer.

It begins as a pretrained encoder under a fresh head (`starting_model`), and ends as a folder.
"""

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor, nn

from bertedu.bert import Bert
from bertedu.checkpoint import (
    check_vocabulary,
    load_into,
    load_tokenizer,
    named,
    read_config,
    read_weights,
    resolve,
    save_pretrained,
)
from bertedu.config import BertConfig
from bertedu.errors import CheckpointError, InputError
from bertedu.finetuning.adapters import CONFIG as ADAPTER
from bertedu.finetuning.adapters import (
    Unfilled,
    base_checksum,
    base_of,
    load_adapter,
    published_model,
    save_adapter,
)
from bertedu.finetuning.classification import OneLabel
from bertedu.finetuning.graduates import find
from bertedu.finetuning.registry import TASKS, task_named
from bertedu.finetuning.task import (
    SETTINGS,
    ExampleT,
    Feature,
    PredictionT,
    Task,
    collate_features,
    hardly_read,
    warn_of_unknown,
)
from bertedu.tokenizer import BertTokenizer
from bertedu.training.batches import Batch, bucketed, kept_memory
from bertedu.utils.files import read_json, write_json
from bertedu.utils.validation import check_finite

Checkpoint = Bert | BertConfig | str | os.PathLike[str]
"""A loaded BERT, a checkpoint's name, or a config, which stands for fresh random weights."""

CHUNK = 512  # examples whose features are in memory at once


def starting_model(
    task: Task[Any, Any],
    bert: Checkpoint,
    tokenizer: BertTokenizer | None = None,
    dropout: float | None = None,
) -> tuple[nn.Module, BertTokenizer]:
    """Returns a model with a fresh head on a checkpoint's encoder, and its tokenizer.

    Raises:
        CheckpointError: the checkpoint lacks a part of the encoder.
        InputError: the tokenizer has more tokens than the model.
    """
    weights: dict[str, Tensor] | None = None
    source = "the checkpoint"
    if isinstance(bert, BertConfig):
        config, tokenizer = bert, tokenizer or load_tokenizer()
    elif isinstance(bert, Bert):
        config, tokenizer = bert.config, bert.tokenizer
        state = bert.model.state_dict()
        weights = {name: weight for name, weight in state.items() if name not in bert.missing}
    else:
        folder = resolve(bert)
        config, tokenizer, source = read_config(folder), load_tokenizer(folder), str(folder)
        weights = read_weights(folder)
    check_vocabulary(config, tokenizer)
    if dropout is not None:
        config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    model = task.head(config)
    if weights is not None:
        heads = tuple(name for name in task.new if not name.startswith("bert."))
        encoder = {name: w for name, w in weights.items() if not name.startswith(heads)}
        load_into(model, encoder, may_be_new=task.new, source=source)
    return model, tokenizer


def freeze(model: nn.Module, layers: int, encoder: bool) -> None:
    """Keeps some of a model's weights as they are.

    Args:
        model: with its encoder at `.bert`.
        layers: how many, from the bottom, with the embeddings if it is one or more.
        encoder: everything below the head.

    Raises:
        InputError: more layers than there are.
    """
    config: BertConfig = model.config  # type: ignore[assignment]
    if not 0 <= layers <= config.num_hidden_layers:
        raise InputError(f"freeze_layers is {layers}; this model has {config.num_hidden_layers}")
    frozen = [f"bert.encoder.layer.{i}." for i in range(layers)]
    frozen += ["bert.embeddings."] if layers else []
    frozen += ["bert."] if encoder else []
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.startswith(tuple(frozen))


class Base(NamedTuple):
    """The checkpoint that an adapter stands on.

    Attributes:
        name: as in `bertedu.load`.
        sha256: of its encoder's weights.
    """

    name: str
    sha256: str

    @classmethod
    def of(cls, bert: Checkpoint, model: nn.Module) -> "Base":
        """Returns what an adapter notes of its base.

        Args:
            bert: what a fine-tuning begins with.
            model: made from it.

        Raises:
            InputError: fresh random weights, which nobody else has.
        """
        if isinstance(bert, BertConfig):
            raise InputError(
                "an adapter stands on a checkpoint: random weights are no base for one"
            )
        name = "bertedu" if isinstance(bert, Bert) else os.fspath(bert)
        return cls(name, base_checksum(model.state_dict()))


class FineTuned(Generic[ExampleT, PredictionT]):
    """A fine-tuned model; `bertedu.finetune` and `bertedu.finetuning.load` give one.

    Args:
        task: with its labels.
        model: encoder and head.
        tokenizer: the model's.
        max_length: tokens of an input; longer documents are read in windows, other texts cut.
        metrics: how good it was on the development split, where there was one.
        base: the checkpoint that it is an adapter on; None for one that was fine-tuned whole.
    """

    def __init__(
        self,
        task: Task[ExampleT, PredictionT],
        model: nn.Module,
        tokenizer: BertTokenizer,
        max_length: int,
        metrics: dict[str, float] | None = None,
        base: "Base | None" = None,
    ) -> None:
        self.task = task
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.metrics = metrics or {}
        self.base = base
        self._told_of_unknown = False

    def __repr__(self) -> str:
        """Gives the task, the size, and how good it is."""
        count = sum(parameter.numel() for parameter in self.model.parameters())
        scores = "".join(f", {name} {value:.1%}" for name, value in self.metrics.items())
        return f"FineTuned({self.task.name}, {count:,} parameters{scores})"

    @property
    def config(self) -> BertConfig:
        """The model's sizes."""
        config: BertConfig = self.model.config  # type: ignore[assignment]
        return config

    @overload  # no example is a list
    def predict(  # type: ignore[overload-overlap]
        self, inputs: list[Any], *, progress: bool = False
    ) -> list[PredictionT]: ...
    @overload
    def predict(
        self, inputs: str | tuple[str, ...] | ExampleT, *, progress: bool = False
    ) -> PredictionT: ...
    def predict(self, inputs: Any, *, progress: bool = False) -> Any:
        """Returns what the model finds in one input, or in each of a list.

        Args:
            inputs: a text (classification, slot filling), a tuple of words (slot filling), a
                tuple (premise, hypothesis) or (question, document), or an example of the task;
                or a list of them.
            progress: show a bar.

        Raises:
            InputError: it is nothing that the task reads; the sentence says what is.
        """
        if not isinstance(inputs, list):
            return self.predict([inputs])[0]
        examples = [self.task.example(given) for given in inputs]
        return list(self.predictions(examples, progress=progress))

    def predictions(
        self, examples: Sequence[ExampleT], *, batch_tokens: int = 4096, progress: bool = False
    ) -> Iterator[PredictionT]:
        """Yields the prediction for each example; examples of like length are run together.

        Args:
            examples: of the task.
            batch_tokens: of a batch, padding counted.
            progress: show a bar.
        """
        from tqdm.auto import tqdm

        cut = unread = 0
        with tqdm(total=len(examples), disable=not progress, unit="example") as bar:
            for first in range(0, len(examples), CHUNK):
                chunk = examples[first : first + CHUNK]
                features = [
                    self.task.features(example, self.tokenizer, self.max_length)
                    for example in chunk
                ]
                cut += sum(f.encoding.truncated > 0 for of_one in features for f in of_one)
                unread += sum(map(hardly_read, features))
                outputs = iter(
                    self._outputs([f for of_one in features for f in of_one], batch_tokens)
                )
                for example, of_one in zip(chunk, features, strict=True):
                    rows = [next(outputs) for _ in of_one]
                    yield self.task.decode(example, of_one, rows)
                    bar.update()
        if cut:
            warnings.warn(
                f"{cut:,} of {len(examples):,} texts were cut to {self.max_length} tokens",
                stacklevel=2,
            )
        if not self._told_of_unknown:  # a long file is answered part by part
            warn_of_unknown(unread, len(examples), "texts")
            self._told_of_unknown = unread > 0

    @torch.inference_mode()
    def _outputs(self, features: Sequence[Feature], batch_tokens: int) -> list[Batch]:
        """Returns the head's output for each feature, without padding."""
        was_training = self.model.training
        self.model.eval()
        device = next(self.model.parameters()).device
        lengths = np.array([len(feature.encoding) for feature in features])
        outputs: list[Batch] = [{}] * len(features)
        batches = bucketed(np.arange(len(features)), lengths, batch_tokens)
        with kept_memory() if len(batches) > 1 else nullcontext():
            for rows in batches:
                inputs = [Feature(features[i].encoding) for i in rows]
                batch = collate_features(inputs, self.tokenizer.pad_token_id)
                on_device = {name: values.to(device) for name, values in batch.items()}
                output = self.task.outputs(self.model(**on_device))
                on_cpu = {name: values.float().cpu() for name, values in output.items()}
                for place, i in enumerate(rows):
                    outputs[i] = {
                        name: values[place, : lengths[i]] if values.ndim > 2 else values[place]
                        for name, values in on_cpu.items()
                    }
                    for values in outputs[i].values():
                        check_finite(values)
        self.model.train(was_training)
        return outputs

    def evaluate(self, examples: Sequence[ExampleT], *, progress: bool = False) -> dict[str, float]:
        """Returns how good the predictions for examples with answers are, from 0 to 1.

        Args:
            examples: of the task; those without an answer are left out.
            progress: show a bar.

        Raises:
            InputError: none has an answer.
        """
        return self.task.metrics(examples, self.predictions(examples, progress=progress))

    def save(self, folder: str | os.PathLike[str], dtype: torch.dtype = torch.float32) -> None:
        """Writes a folder that `bertedu.finetuning.load` and transformers, or peft, open.

        Args:
            folder: made when missing.
            dtype: of the numbers in the file; they are float32 again when loaded.

        Raises:
            CheckpointError: the folder cannot be written to.
        """
        settings = {
            "task": self.task.name,
            "settings": self.task.settings(),
            "max_length": self.max_length,
            "metrics": self.metrics,
        }
        if self.base:
            save_adapter(self.model, Path(folder), self.base.name, dtype)
            settings["base_sha256"] = self.base.sha256
        else:
            save_pretrained(self.model, folder, self.tokenizer, dtype)
        write_json(Path(folder) / SETTINGS, settings)


def load(name: str | os.PathLike[str], task: str | None = None) -> FineTuned[Any, Any]:
    """Returns a fine-tuned model: a graduate, or what `FineTuned.save`, or transformers, wrote.

    Adapters on one checkpoint share its numbers in memory.

    Args:
        name: of a graduate, such as "questions"; a folder ("./questions" where a graduate is
            called so, too), or a hub id.
        task: its name, where transformers wrote the folder and its labels do not tell: whether a
            classifier reads single texts or pairs.

    Raises:
        CheckpointError: it is not there, or is no fine-tuned model of one of the four cases.
        InputError: it is of another task.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: there is no folder 'no/such/folder': check the path
    """
    folder = find(name)
    base = _base(folder) if (folder / ADAPTER).exists() else None
    config = base.config if base else read_config(folder)
    note = folder / SETTINGS
    if note.is_file():
        made, length, metrics = _noted(note)
        if task not in (None, made.name):
            raise InputError(f"{folder} was fine-tuned for {made.name}, not for {task}")
        if base and read_json(note).get("base_sha256", base.sha256) != base.sha256:
            raise CheckpointError(
                f"{folder} was made for another checkpoint than {base.folder}: it would answer "
                "nonsense"
            )
    else:
        published = published_model(folder) if base else read_json(folder / "config.json")
        config = replace(config, labels=published["labels"]) if base else config
        made, length, metrics = _published_task(folder, config, task, published), None, {}
    length = min(length or config.max_position_embeddings, config.max_position_embeddings)
    if base:
        with torch.device("meta"), Unfilled():
            model = made.head(config)
        load_into(model, base.weights, may_be_new=made.new, source=base.folder)
        load_adapter(model, folder)
        noted = Base(base_of(folder), base.sha256)
        return FineTuned(made, model, base.tokenizer, length, metrics, noted)
    model = made.head(config)
    load_into(model, folder)
    if getattr(made, "labels", config.labels) != config.labels:
        raise CheckpointError(f"{note} and config.json name other labels: copy both again")
    tokenizer = BertTokenizer.from_folder(folder)
    check_vocabulary(config, tokenizer)
    return FineTuned(made, model, tokenizer, length, metrics)


def opened(model: FineTuned[Any, Any] | str) -> FineTuned[Any, Any]:
    """Returns a model that is given as such, or by its name as in `load`."""
    return load(model) if isinstance(model, str) else model


class _Shared(NamedTuple):
    """What all adapters on one checkpoint share in memory."""

    folder: Path
    config: BertConfig
    weights: dict[str, Tensor]
    sha256: str
    tokenizer: BertTokenizer


def _base(adapter: Path) -> _Shared:
    """Returns the checkpoint that an adapter stands on.

    Raises:
        CheckpointError: it is not there, or cannot be used.
    """
    name = base_of(adapter)
    try:
        folder = resolve(name)
    except CheckpointError as error:
        raise CheckpointError(
            f"{adapter} is an adapter, and its base is not there ({error}): name it as "
            f"base_model_name_or_path in {adapter / ADAPTER}"
        ) from None
    files = [(file.name, file.stat()) for file in sorted(folder.iterdir()) if file.is_file()]
    return _shared(folder, tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in files))


@lru_cache(maxsize=1)
def _shared(folder: Path, files: tuple[tuple[str, int, int], ...]) -> _Shared:  # noqa: ARG001
    """Returns a checkpoint as it is in memory; read again when one of its files has changed."""
    config, weights = read_config(folder), named(read_weights(folder), folder)
    tokenizer = BertTokenizer.from_folder(folder)
    check_vocabulary(config, tokenizer)
    return _Shared(folder, config, weights, base_checksum(weights), tokenizer)


def _noted(note: Path) -> tuple[Task[Any, Any], int, dict[str, float]]:
    """Returns the task, the length and the metrics that `FineTuned.save` noted.

    Raises:
        CheckpointError: it noted other things.
    """
    try:
        saved = read_json(note)
        kind = task_named(saved["task"])
        settings = saved["settings"].items()
        made = kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in settings})
        length, metrics = saved.get("max_length") or kind.max_length, saved.get("metrics") or {}
        for field in fields(made):  # type: ignore[arg-type]  # all tasks are dataclasses
            _check_type(field.name, getattr(made, field.name), getattr(kind, field.name))
        _check_type("max_length", length, 0)
        for name, value in metrics.items():
            _check_type(name, value, 0.0)
        if length < 1:
            raise InputError(f"max_length is {length}; it must be at least 1")
    except (KeyError, TypeError, AttributeError, InputError, CheckpointError) as error:
        raise CheckpointError(f"{note} cannot be used: {error}") from error
    return made, length, metrics


def _check_type(name: str, value: Any, like: Any) -> None:
    """Refuses NaN, and a setting of another type than its default; None stands for a bool."""
    kinds = {float: (float, int), type(None): (bool, type(None))}.get(type(like), (type(like),))
    texts = all(isinstance(text, str) for text in value) if isinstance(value, tuple) else True
    if type(value) not in kinds or not texts or (type(value) is float and math.isnan(value)):
        raise InputError(f"{name} is {value!r:.40}, of another kind than it should be")


def _published_task(
    folder: Path, config: BertConfig, named: str | None, values: dict[str, Any]
) -> Task[Any, Any]:
    """Returns the task of a folder that transformers wrote: by its architecture and its labels.

    Args:
        folder: for the messages.
        config: the model's.
        named: the task that the caller names, or None.
        values: what its config.json says, or what an adapter of peft's means.

    Raises:
        CheckpointError: it is none of the four, or another use of the same head.
        InputError: it is another than the named one.
    """
    written = values.get("architectures")
    written = written if isinstance(written, list) else []
    known = [kind for kind in TASKS.values() if kind.architecture and kind.architecture in written]
    if not known:
        readable = dict.fromkeys(kind.architecture for kind in TASKS.values() if kind.architecture)
        raise CheckpointError(
            f"{folder} holds no fine-tuned model: it has neither {SETTINGS} nor an architecture "
            f"among {', '.join(readable)}"
        )
    labels = {label.lower() for label in config.labels}
    told = [kind for kind in known if labels <= kind.usual_labels]
    if named is not None:
        told = [kind for kind in known if kind is task_named(named)]
        if not told:
            raise InputError(f"{folder} is a {known[0].architecture}, which is not for {named}")
    made = (told or known)[0]
    problem = values.get("problem_type")
    if issubclass(made, OneLabel) and (
        config.num_labels < 2 or problem not in (None, "single_label_classification")
    ):
        raise CheckpointError(
            f"{folder} does not choose one of several labels (problem_type {problem!r:.40}, "
            f"{config.num_labels} in all), and bertedu reads no other classifier: its logits can "
            "be had by bertedu.from_pretrained(..., bertedu.BertForSequenceClassification)"
        )
    try:
        return made.of_config(config)
    except InputError as error:
        raise CheckpointError(f"{folder}: {error}") from error
