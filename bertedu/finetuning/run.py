"""Fine-tuning: one loop for the four cases.

As in pretraining, what is random in step k comes from the seed and k alone: a run that was killed
and continued gives the same numbers, bit for bit, as one that never stopped.
"""

import copy
import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertedu.checkpoint import load_into
from bertedu.config import BertConfig
from bertedu.errors import CheckpointError, InputError
from bertedu.finetuning.adapters import CONFIG as ADAPTER
from bertedu.finetuning.adapters import add_lora, freeze_base, load_adapter, read_adapter_config
from bertedu.finetuning.model import Base, Checkpoint, FineTuned, freeze, load, starting_model
from bertedu.finetuning.task import (
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
from bertedu.training.checkpoints import checkpoint_name, newest, reading, steps_behind
from bertedu.training.step import (
    OneProcess,
    Trainer,
    learning_rate_at,
    seconds_of,
)
from bertedu.utils.files import write_json
from bertedu.utils.validation import check_numbers

if TYPE_CHECKING:
    from accelerate import Accelerator

POOL = 20  # batches: within so many, examples of like length are put together


@dataclass(frozen=True)
class FinetuningRecipe:
    """Everything that decides a run, apart from the task, the examples and the start weights.

    Args:
        epochs: how often every example is seen.
        batch_size: examples a step at most, all processes together.
        batch_tokens: tokens a step at most, padding counted, unless one example alone has more.
        learning_rate: the peak, reached at the end of the warm-up.
        warmup: share of the steps over which the learning rate rises; then it falls to 0.
        weight_decay: of everything but biases and LayerNorm.
        clip_norm: the gradient's length at most.
        max_length: tokens of an input; None = the task's, 128, or 384 for question answering.
        dropout: instead of the checkpoint's own.
        freeze_layers: how many layers keep their weights, from the bottom; the embeddings, too,
            if it is one or more.
        freeze_encoder: everything below the head keeps its weights, the pooler too.
        lora_rank: the encoder learns by low-rank updates of this rank, and is saved as an adapter;
            0 = all its weights learn.
        evaluations_per_epoch: on the development split.
        patience: evaluations without a better one after which the run ends early; None = none.
        seed: decides the head's first weights, the order of the examples, and dropout.

    Raises:
        InputError: a number that cannot be used.

    Source: Devlin et al. 2019, appendix A.3.
    """

    epochs: int = 3
    batch_size: int = 32
    batch_tokens: int = 4096
    learning_rate: float = 1e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    max_length: int | None = None
    dropout: float | None = None
    freeze_layers: int = 0
    freeze_encoder: bool = False
    lora_rank: int = 0
    evaluations_per_epoch: int = 1
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        from_one = ("epochs", "batch_size", "batch_tokens", "evaluations_per_epoch", "patience")
        for name in (*from_one, "max_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        check_numbers(self)
        if self.warmup > 1:
            raise InputError(f"warmup is {self.warmup}, a share of the steps: from 0 to 1")
        if self.lora_rank and (self.freeze_layers or self.freeze_encoder):
            raise InputError("low-rank updates leave the whole encoder frozen: freeze nothing else")

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Returns the learning rate of a step, counted from 0, in a run of so many.

        Example:
            >>> recipe = FinetuningRecipe(learning_rate=1.0, warmup=0.2)
            >>> [round(recipe.learning_rate_at(step, 10), 3) for step in (0, 1, 2, 9)]
            [0.5, 1.0, 1.0, 0.125]
        """
        rising = round(self.warmup * steps)
        return learning_rate_at(step, steps, peak=self.learning_rate, warmup=rising, fall=rising)


def batches_of(lengths: NDArray[np.int64], recipe: FinetuningRecipe, epoch: int) -> list[list[int]]:
    """Returns the rows of each batch of an epoch: examples of like length, batches shuffled.

    Example:
        >>> recipe = FinetuningRecipe(batch_size=2, batch_tokens=10)
        >>> sorted(batches_of(np.array([3, 9, 5, 4]), recipe, epoch=0))
        [[0], [1], [2, 3]]
    """
    rng = np.random.default_rng([recipe.seed, epoch])
    shuffled = rng.permutation(len(lengths))
    batches = []
    for first in range(0, len(shuffled), POOL * recipe.batch_size):
        pool = shuffled[first : first + POOL * recipe.batch_size]
        batches += bucketed(pool, lengths, recipe.batch_tokens, recipe.batch_size)
    return [batches[i].tolist() for i in rng.permutation(len(batches))]


def evaluation_steps(batches: Sequence[int], recipe: FinetuningRecipe) -> Iterator[int]:
    """Yields the steps after which the development split is looked at.

    Example:
        >>> list(evaluation_steps([10, 10], FinetuningRecipe(evaluations_per_epoch=2)))
        [4, 9, 14, 19]
    """
    first = 0
    for count in batches:
        for part in range(1, recipe.evaluations_per_epoch + 1):
            yield first + max(1, count * part // recipe.evaluations_per_epoch) - 1
        first += count


class FinetuningStep(NamedTuple):
    """What happened in one step.

    Attributes:
        step: counted from 0.
        epoch: counted from 0.
        loss: nats, over the whole batch, before the update.
        learning_rate: of this step.
        tokens: real tokens of the batch, padding not counted.
        seconds: of the step, without the evaluation.
        metrics: on the development split after the step, where it was evaluated; else None.
    """

    step: int
    epoch: int
    loss: float
    learning_rate: float
    tokens: int
    seconds: float
    metrics: dict[str, float] | None


class FinetuningRun(Generic[ExampleT, PredictionT]):
    """One run, step by step: iterate to train, then take `finetuned`.

    Args:
        task: what is learned; it takes its labels from the training examples.
        bert: a loaded BERT, the name of a checkpoint as in `bertedu.load`, or a config, which
            means fresh random weights; the folder of an adapter of the same task, which learns
            on, with its head.
        train: examples; those without an answer are left out, with a warning.
        dev: examples to evaluate on, to keep the best state, and to stop early.
        recipe: the numbers.
        tokenizer: where `bert` is a config; by default the embedded checkpoint's.
        folder: where checkpoints go; a run that was interrupted there is continued.
        save_every: steps between checkpoints; there is also one after every evaluation.
        accelerator: of the `accelerate` package, for several processes or a GPU.

    Attributes:
        steps: how many there will be, unless the run ends early.
        task: with its labels.
        model: the model in training.
        evaluations: step and metrics of each evaluation so far.

    Raises:
        InputError: no example to learn from, or one that cannot be read.
        CheckpointError: a checkpoint that cannot be used.
    """

    def __init__(
        self,
        task: Task[ExampleT, PredictionT],
        bert: Checkpoint,
        train: Sequence[ExampleT],
        dev: Sequence[ExampleT] | None = None,
        *,
        recipe: FinetuningRecipe | None = None,
        tokenizer: BertTokenizer | None = None,
        folder: str | os.PathLike[str] | None = None,
        save_every: int = 500,
        accelerator: "Accelerator | None" = None,
    ) -> None:
        self.recipe = recipe = recipe or FinetuningRecipe()
        usable = [example for example in train if task.trainable(example)]
        if not usable:
            raise InputError("there is no training example with an answer to learn from")
        self.task = task.learned_from(usable)
        torch.manual_seed(recipe.seed)
        adapter = _adapter(bert, self.task, recipe.lora_rank)
        start = adapter.base.name if adapter and adapter.base else bert
        self.model, self.tokenizer = starting_model(self.task, start, tokenizer, recipe.dropout)
        freeze(self.model, recipe.freeze_layers, recipe.freeze_encoder)
        self.base = None
        if adapter:
            self.base = adapter.base
            load_adapter(self.model, Path(bert))  # type: ignore[arg-type]
            freeze_base(self.model)
        elif recipe.lora_rank:
            self.base = Base.of(bert, self.model)
            add_lora(self.model, recipe.lora_rank)
        config: BertConfig = self.model.config  # type: ignore[assignment]
        self.max_length = recipe.max_length or min(task.max_length, config.max_position_embeddings)
        if self.max_length > config.max_position_embeddings:
            raise InputError(
                f"max_length is {self.max_length} and this model has "
                f"{config.max_position_embeddings} positions"
            )
        self.dev = list(dev) if dev is not None else None
        if self.dev is not None and not any(task.trainable(example) for example in self.dev):
            raise InputError("no development example has an answer to compare with")
        self.features = self._features(usable, len(train))
        for example in self.dev or ():  # one that cannot be read is told now, not after an epoch
            self.task.features(example, self.tokenizer, self.max_length)
        lengths = np.array([len(feature.encoding) for feature in self.features])
        epochs = [batches_of(lengths, recipe, epoch) for epoch in range(recipe.epochs)]
        self._batches = [(e, rows) for e, batches in enumerate(epochs) for rows in batches]
        self._tokens = sum(int(lengths[rows].sum()) for _, rows in self._batches)
        self.steps = len(self._batches)
        self._evaluated = set(evaluation_steps([len(b) for b in epochs], recipe))
        self.folder = None if folder is None else Path(folder)
        self._digest = self._identity() if self.folder else ""
        self.save_every = save_every
        self.accelerator = accelerator or OneProcess(self.model)
        self.evaluations: list[tuple[int, dict[str, float]]] = []
        self._best: dict[str, Tensor] | None = None

    def __len__(self) -> int:
        """The number of steps."""
        return self.steps

    def _features(self, examples: Sequence[ExampleT], given: int) -> list[Feature]:
        """Returns the labelled inputs of all examples; a warning counts what is not learned."""
        each = [self.task.features(e, self.tokenizer, self.max_length) for e in examples]
        features = [f for of_one in each for f in of_one if f.labels]
        unused = given - len(examples) + sum(not of_one[0].labels for of_one in each)
        cut = sum(feature.encoding.truncated > 0 for feature in features)
        if unused:
            warnings.warn(
                f"{unused:,} of {given:,} training examples say no answer, or one that is not "
                "where they say, and are left out",
                stacklevel=4,
            )
        if cut:
            warnings.warn(
                f"{cut:,} of {given:,} training examples were cut to {self.max_length} tokens",
                stacklevel=4,
            )
        if not features:
            raise InputError("there is no training example with an answer to learn from")
        warn_of_unknown(sum(map(hardly_read, each)), given, "training examples")
        return features

    def estimate(self) -> float:
        """Returns about how many seconds all steps will take here, measured on three batches."""
        middle = sorted((len(rows), i) for i, (_, rows) in enumerate(self._batches))
        seconds, tokens = 0.0, 0
        with kept_memory():  # as in the training
            for _, index in middle[:: max(1, len(middle) // 3)][:3]:
                batch = self.batch(index)
                seconds += seconds_of(self.model, batch)
                tokens += int(batch["attention_mask"].sum())
        return seconds / tokens * self._tokens

    def batch(self, step: int) -> Batch:
        """Returns the inputs and labels of a step, counted from 0."""
        features = [self.features[row] for row in self._batches[step][1]]
        return collate_features(features, self.tokenizer.pad_token_id)

    def __iter__(self) -> Generator[FinetuningStep, None, None]:
        """Trains, and yields after every step; close it, and it saves and stops.

        Raises:
            CheckpointError: the folder cannot be written to, or holds another run.
        """
        trainer = Trainer(self.model, self.recipe, self.accelerator, self._interrupted())

        def save() -> None:
            if self.folder is not None:
                trainer.save(self.folder / checkpoint_name(trainer.done), self.tokenizer)

        with kept_memory():
            for step in range(trainer.done, self.steps):
                if self._patience_is_over():
                    break
                began, rate = time.perf_counter(), self.recipe.learning_rate_at(step, self.steps)
                batch = self.batch(step)
                loss = float(trainer.step(batch, self.task.losses, rate).sum())
                seconds = time.perf_counter() - began
                metrics = self._evaluate(step) if self.dev and step in self._evaluated else None
                report = FinetuningStep(
                    step=step,
                    epoch=self._batches[step][0],
                    loss=loss,
                    learning_rate=rate,
                    tokens=int(batch["attention_mask"].sum()),
                    seconds=seconds,
                    metrics=metrics,
                )
                try:
                    yield report
                except GeneratorExit:  # the caller takes no more steps
                    save()
                    raise
                if (
                    metrics is not None
                    or trainer.done % self.save_every == 0
                    or trainer.done == self.steps
                ):
                    save()
        self.model.eval()

    def _evaluate(self, step: int) -> dict[str, float]:
        """Returns the metrics on the development split; keeps the state if it is the best."""
        tuned = FineTuned(self.task, self.model, self.tokenizer, self.max_length, base=self.base)
        metrics = tuned.evaluate(self.dev or [])
        tuned.metrics = metrics
        self._check_learning()
        is_best = all(metrics[self.task.best] > m[self.task.best] for _, m in self.evaluations)
        self.evaluations.append((step, metrics))
        if is_best:
            self._best = {n: p.detach().clone() for n, p in self._learning(self.model).items()}
            if self.folder is not None and self.accelerator.is_main_process:
                tuned.save(self.folder / "best")
        if self.folder is not None and self.accelerator.is_main_process:
            write_json(self.folder / "evaluations.json", self.evaluations)
        return metrics

    def _identity(self) -> str:
        """Returns a digest of what the run starts from, learns from, and is judged by."""
        digest = hashlib.sha256(repr(self.dev).encode("utf-8", "surrogatepass"))
        tensors = list(self.model.state_dict().values())
        for feature in self.features:
            tensors += [feature.encoding.input_ids, *feature.labels.values()]
        for tensor in tensors:
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @staticmethod
    def _learning(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
        """Returns the weights that learn, by name."""
        return {name: p for name, p in model.named_parameters() if p.requires_grad}

    def _check_learning(self) -> None:
        """Refuses to mix weights that have learned with a best state that lacks them."""
        if self._best is not None and self._best.keys() != self._learning(self.model).keys():
            raise InputError(
                "other weights learn now than at the best evaluation so far: choose before the run "
                "what learns, by freeze_layers, freeze_encoder or lora_rank"
            )

    def _best_evaluation(self) -> int:
        """Returns the place of the first of the best evaluations, -1 where there is none."""
        scores = [metrics[self.task.best] for _, metrics in self.evaluations]
        return scores.index(max(scores)) if scores else -1

    def _patience_is_over(self) -> bool:
        since = len(self.evaluations) - 1 - self._best_evaluation()
        return bool(self.evaluations) and since >= (self.recipe.patience or math.inf)

    def _interrupted(self) -> Path | None:
        """Returns the checkpoint to go on from, and reads what was evaluated before it."""
        if (folder := self.folder) is None:
            return None
        note = {"task": self.task.name, "settings": self.task.settings(), "digest": self._digest}
        if (folder / "run.json").is_file():
            with reading(folder / "run.json", "delete it, and the same command goes on"):
                theirs = json.loads((folder / "run.json").read_text("utf-8"))
            if theirs != json.loads(json.dumps(note)):
                raise CheckpointError(
                    f"{folder} holds a run of another task, on other examples or from another "
                    "start: choose another folder"
                )
        else:
            write_json(folder / "run.json", note)
        checkpoint = newest(folder, self.recipe)
        if checkpoint and (folder / "evaluations.json").is_file():
            rows = _read(folder / "evaluations.json")
            done = steps_behind(checkpoint)
            self.evaluations = [(step, metrics) for step, metrics in rows if step < done]
        if self.evaluations:
            best = copy.deepcopy(self.model)
            (load_adapter if self.base else load_into)(best, folder / "best")
            names = self._learning(self.model)
            self._best = {name: best.get_parameter(name).detach() for name in names}
        return checkpoint

    @property
    def finetuned(self) -> FineTuned[ExampleT, PredictionT]:
        """The best state so far; where nothing was evaluated, the last one.

        What is frozen shares its memory with the run's model.
        """
        self._check_learning()
        frozen = (p for p in self.model.parameters() if not p.requires_grad)
        shared = {id(p): torch.nn.Parameter(p.detach(), requires_grad=False) for p in frozen}
        model = copy.deepcopy(self.model, shared)
        metrics: dict[str, float] = {}
        if self._best is not None:
            model.load_state_dict(self._best, strict=False)
            metrics = self.evaluations[self._best_evaluation()][1]
        tuned = FineTuned(
            self.task, model, self.tokenizer, self.max_length, metrics, base=self.base
        )
        if self.dev and self.task.calibrates:
            found = list(tuned.predictions(self.dev))
            tuned.task = self.task.calibrated(self.dev, found)
            if tuned.task != self.task:
                tuned.metrics = tuned.evaluate(self.dev)
        return tuned


def _adapter(bert: Checkpoint, task: Task[Any, Any], rank: int) -> FineTuned[Any, Any] | None:
    """Returns the adapter that a run is to go on from, if `bert` is the folder of one.

    Raises:
        CheckpointError: it cannot be used, or was made for another base.
        InputError: it is of another task, other labels or another rank.
    """
    if not isinstance(bert, str | os.PathLike) or not (Path(bert) / ADAPTER).is_file():
        return None
    made = load(bert, task.name)
    for name in ("labels", "intents", "pooling"):  # what the head is made for
        if (its := getattr(made.task, name, None)) != (ours := getattr(task, name, None)):
            raise InputError(f"{bert} learned with {name} {its}, and these are {ours}")
    if rank != (r := read_adapter_config(Path(bert))["r"]):
        raise InputError(f"{bert} is an adapter of rank {r}: only rank {r} goes on with it")
    return made


def finetune(
    task: Task[ExampleT, PredictionT],
    bert: Checkpoint,
    train: Sequence[ExampleT],
    dev: Sequence[ExampleT] | None = None,
    *,
    recipe: FinetuningRecipe | None = None,
    tokenizer: BertTokenizer | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
    accelerator: "Accelerator | None" = None,
) -> FineTuned[ExampleT, PredictionT]:
    """Returns a model fine-tuned for a task, in its best state on the development split.

    Args:
        task: one of `bertedu.finetuning.registry`: Classification(), SlotFilling(), Inference() or
            QuestionAnswering().
        bert: as in `FinetuningRun`: a loaded BERT, a checkpoint's name, or a config.
        train: examples to learn from.
        dev: examples to evaluate on; without any, the last state is kept.
        recipe: the numbers.
        tokenizer: where `bert` is a config.
        folder: where checkpoints go; a run that was interrupted there is continued.
        progress: show a bar.
        accelerator: of the `accelerate` package.

    Raises:
        InputError: examples that cannot be learned from.
        CheckpointError: a checkpoint that cannot be used.

    Example:
        >>> from bertedu.finetuning import Classification, classification
        >>> train = [classification.Example("so good", "+"), classification.Example("bad", "-")]
        >>> tiny = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        ...                   intermediate_size=16)
        >>> tuned = finetune(Classification(), tiny, train, progress=False)
        >>> sorted(tuned.predict("good").probabilities)
        ['+', '-']
    """
    from tqdm.auto import tqdm

    run = FinetuningRun(
        task, bert, train, dev, recipe=recipe, tokenizer=tokenizer, folder=folder,
        accelerator=accelerator,
    )  # fmt: skip
    with tqdm(total=run.steps, unit="step", disable=not progress) as bar:
        for report in run:
            bar.update(report.step + 1 - bar.n)
            best = report.metrics and f", {task.best} {report.metrics[task.best]:.1%}"
            bar.set_postfix_str(f"loss {report.loss:.2f}{best or ''}")
    return run.finetuned


def _read(path: Path) -> Any:
    with reading(path):
        return json.loads(path.read_text("utf-8"))
