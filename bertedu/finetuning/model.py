"""A fine-tuned model in one hand: its task, its weights and its tokenizer, ready to answer.

It begins as a pretrained encoder under a fresh head (`starting_model`), and ends as a folder.
"""

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor, nn

from bertedu.bert import Bert
from bertedu.checkpoint import (
    load_into,
    load_tokenizer,
    read_config,
    read_weights,
    renamed,
    resolve,
    save_pretrained,
)
from bertedu.config import BertConfig
from bertedu.errors import CheckpointError, InputError
from bertedu.finetuning.adapters import CONFIG as ADAPTER
from bertedu.finetuning.adapters import (
    base_checksum,
    load_adapter,
    published_model,
    read_adapter_config,
    save_adapter,
)
from bertedu.finetuning.registry import TASKS, task_named
from bertedu.finetuning.task import Batch, ExampleT, Feature, PredictionT, Task, collate_features
from bertedu.tokenizer import BertTokenizer
from bertedu.training.batches import bucketed
from bertedu.utils.files import write_json

Checkpoint = Bert | BertConfig | str | os.PathLike[str]
"""A loaded BERT, a checkpoint's name, or a config, which stands for fresh random weights."""

SETTINGS = "finetuning.json"
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
    if config.vocab_size < len(tokenizer):
        raise InputError(
            f"the tokenizer has {len(tokenizer):,} tokens and the model {config.vocab_size:,}: "
            "they do not belong together"
        )
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

        cut = 0
        with tqdm(total=len(examples), disable=not progress, unit="example") as bar:
            for first in range(0, len(examples), CHUNK):
                chunk = examples[first : first + CHUNK]
                features = [
                    self.task.features(example, self.tokenizer, self.max_length)
                    for example in chunk
                ]
                cut += sum(f.encoding.truncated > 0 for of_one in features for f in of_one)
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

    @torch.inference_mode()
    def _outputs(self, features: Sequence[Feature], batch_tokens: int) -> list[Batch]:
        """Returns the head's output for each feature, without padding."""
        was_training = self.model.training
        self.model.eval()
        device = next(self.model.parameters()).device
        lengths = np.array([len(feature.encoding) for feature in features])
        outputs: list[Batch] = [{}] * len(features)
        for rows in bucketed(np.arange(len(features)), lengths, batch_tokens):
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

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes a folder that `bertedu.finetuning.load` and transformers, or peft, open.

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
            save_adapter(self.model, Path(folder), self.base.name)
            settings["base_sha256"] = self.base.sha256
        else:
            save_pretrained(self.model, folder, self.tokenizer)
        write_json(Path(folder) / SETTINGS, settings)


def load(name: str | os.PathLike[str]) -> FineTuned[Any, Any]:
    """Returns a fine-tuned model from a folder that `FineTuned.save`, or transformers, wrote.

    Args:
        name: a folder, or a hub id.

    Raises:
        CheckpointError: it is not there, or is no fine-tuned model of one of the four cases.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: there is no folder 'no/such/folder': check the path
    """
    folder = resolve(name)
    adapter = read_adapter_config(folder) if (folder / ADAPTER).is_file() else None
    start = resolve(adapter["base_model_name_or_path"]) if adapter else folder
    config = read_config(start)
    try:
        saved: dict[str, Any] = {}
        if (folder / SETTINGS).is_file():
            saved = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            settings = saved["settings"].items()
            made = {name: tuple(v) if isinstance(v, list) else v for name, v in settings}
            task = task_named(saved["task"])(**made)
        else:
            if adapter:
                architectures, labels = published_model(folder)
                config = replace(config, labels=labels)
            else:
                values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
                architectures = list(values.get("architectures") or ())
            task = _published_task(folder, architectures, config)
        length = min(saved.get("max_length") or task.max_length, config.max_position_embeddings)
        with torch.device("meta" if adapter else "cpu"):
            model = task.head(config)
    except (KeyError, TypeError, AttributeError, ValueError) as error:  # also what is not JSON
        raise CheckpointError(f"{folder / SETTINGS} cannot be used: {error}") from error
    base = None
    if adapter:
        weights, sha256, tokenizer = _shared(start)
        if sha256 != saved.get("base_sha256", sha256):
            raise CheckpointError(
                f"{folder} was made for another checkpoint than {start}: it would answer nonsense"
            )
        base = Base(adapter["base_model_name_or_path"], sha256)
        load_into(model, weights, may_be_new=task.new, source=start)
        load_adapter(model, folder)
    else:
        load_into(model, folder)
        tokenizer = BertTokenizer.from_folder(start)
    return FineTuned(task, model, tokenizer, length, saved.get("metrics"), base)


class _Shared(NamedTuple):
    """What all adapters on one checkpoint share in memory."""

    weights: dict[str, Tensor]
    sha256: str
    tokenizer: BertTokenizer


@lru_cache(maxsize=1)
def _shared(folder: Path) -> _Shared:
    """Returns a checkpoint's weights by our names, their checksum, and its tokenizer."""
    read = read_weights(folder).items()
    weights = {ours: weight for name, weight in read if (ours := renamed(name))}
    return _Shared(weights, base_checksum(weights), BertTokenizer.from_folder(folder))


def _published_task(folder: Path, names: Iterable[str], config: BertConfig) -> Task[Any, Any]:
    """Returns the first task with one of the architectures that a folder names."""
    known = {task.architecture: task for task in reversed(TASKS.values()) if task.architecture}
    for name in names:
        if name in known:
            return known[name].of_config(config)
    raise CheckpointError(
        f"{folder} holds no fine-tuned model: it has neither {SETTINGS} nor an architecture "
        f"among {', '.join(known)}"
    )
