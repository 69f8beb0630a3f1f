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
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bertedu.checkpoint import load_into
from bertedu.config import BertConfig
from bertedu.errors import CheckpointError, InputError
from bertedu.finetuning.model import Checkpoint, FineTuned, freeze, load, starting_model
from bertedu.finetuning.recipe import FinetuningRecipe, batches_of, evaluation_steps
from bertedu.finetuning.task import Batch, ExampleT, Feature, PredictionT, Task, collate_features
from bertedu.tokenizer import BertTokenizer
from bertedu.training.checkpoints import counted, make_optimizer, reading, resume, save_checkpoint
from bertedu.utils.files import write_json

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["FineTuned", "FinetuningRecipe", "FinetuningRun", "StepReport", "finetune", "load"]


class StepReport(NamedTuple):
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
            means fresh random weights.
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
        self.model, self.tokenizer = starting_model(self.task, bert, tokenizer, recipe.dropout)
        freeze(self.model, recipe.freeze_layers, recipe.freeze_encoder)
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
        self.accelerator = accelerator
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
        return features

    def estimate(self) -> float:
        """Returns about how many seconds all steps will take here, measured on three batches."""
        middle = sorted((len(rows), i) for i, (_, rows) in enumerate(self._batches))
        seconds, tokens = 0.0, 0
        for _, index in middle[:: max(1, len(middle) // 3)][:3]:
            batch = self._batch(index)
            began = time.perf_counter()
            self.model.train()
            self.model(**batch, skip_padding=True).loss.backward()  # gradients that nobody uses
            self.model.zero_grad(set_to_none=True)
            seconds += time.perf_counter() - began
            tokens += int(batch["attention_mask"].sum())
        return seconds / tokens * self._tokens

    def _batch(self, step: int) -> Batch:
        features = [self.features[row] for row in self._batches[step][1]]
        return collate_features(features, self.tokenizer.pad_token_id)

    def __iter__(self) -> Generator[StepReport, None, None]:
        """Trains, and yields after every step; close it, and it saves and stops.

        Raises:
            CheckpointError: the folder cannot be written to, or holds another run.
        """
        recipe, accelerator = self.recipe, self.accelerator
        self.model.to(accelerator.device if accelerator else next(self.model.parameters()).device)
        trained: Any = self.model
        optimizer: Any = make_optimizer(self.model, recipe)
        first = self._resume(optimizer) if self.folder else 0
        if accelerator:
            trained, optimizer = accelerator.prepare(self.model, optimizer)

        def save(done: int) -> None:
            if self.folder is not None and self._leads:
                finished = self.folder / f"step-{done:07d}"
                save_checkpoint(finished, self.model, optimizer, self.tokenizer, recipe)

        for step in range(first, self.steps):
            if self._patience_is_over():
                break
            began = time.perf_counter()
            batch = self._batch(step)
            loss = self._step(step, batch, trained, optimizer)
            seconds = time.perf_counter() - began
            metrics = self._evaluate(step) if self.dev and step in self._evaluated else None
            report = StepReport(
                step=step,
                epoch=self._batches[step][0],
                loss=float(loss),
                learning_rate=recipe.learning_rate_at(step, self.steps),
                tokens=int(batch["attention_mask"].sum()),
                seconds=seconds,
                metrics=metrics,
            )
            done = step + 1
            try:
                yield report
            except GeneratorExit:  # the caller takes no more steps
                save(done)
                raise
            if metrics is not None or done % self.save_every == 0 or done == self.steps:
                save(done)
        self.model.eval()

    def _step(self, step: int, batch: Batch, trained: Any, optimizer: Any) -> Tensor:
        """Returns the loss of a batch, before the update that it makes."""
        recipe, accelerator = self.recipe, self.accelerator
        rank, world = 0, 1
        if accelerator:
            rank, world = accelerator.process_index, accelerator.num_processes
        device = next(self.model.parameters()).device
        trained.train()
        torch.manual_seed(recipe.seed * 1_000_003 + step * world + rank)  # dropout
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(step, self.steps)
        mine = {name: share(values, rank, world).to(device) for name, values in batch.items()}
        output = trained(**mine, skip_padding=True)
        loss: Tensor = output.loss
        if world > 1:
            # Each process has means over its own share; weighted, they add up to the whole's.
            idle = rank >= len(batch["input_ids"])
            loss = torch.zeros_like(output.loss)
            for name, part in self.task.losses(output).items():
                weight = counted(mine[name]) / max(1, counted(batch[name]))
                loss = loss + part * (0.0 if idle else weight)
        backward = accelerator.backward if accelerator else Tensor.backward
        backward(loss * world)  # gradients are averaged over the processes
        clip = accelerator.clip_grad_norm_ if accelerator else nn.utils.clip_grad_norm_
        clip(trained.parameters(), recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss = loss.detach()
        return accelerator.reduce(loss, "sum") if accelerator else loss

    @property
    def _leads(self) -> bool:
        return self.accelerator is None or self.accelerator.is_main_process

    def _evaluate(self, step: int) -> dict[str, float]:
        """Returns the metrics on the development split; keeps the state if it is the best."""
        tuned = FineTuned(self.task, self.model, self.tokenizer, self.max_length)
        metrics = tuned.evaluate(self.dev or [])
        tuned.metrics = metrics
        is_best = all(metrics[self.task.best] > m[self.task.best] for _, m in self.evaluations)
        self.evaluations.append((step, metrics))
        if is_best:
            self._best = {n: w.detach().clone() for n, w in self.model.state_dict().items()}
            if self.folder is not None and self._leads:
                tuned.save(self.folder / "best")
        if self.folder is not None and self._leads:
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

    def _best_evaluation(self) -> int:
        """Returns the place of the first of the best evaluations, -1 where there is none."""
        scores = [metrics[self.task.best] for _, metrics in self.evaluations]
        return scores.index(max(scores)) if scores else -1

    def _patience_is_over(self) -> bool:
        since = len(self.evaluations) - 1 - self._best_evaluation()
        return bool(self.evaluations) and since >= (self.recipe.patience or math.inf)

    def _resume(self, optimizer: torch.optim.Optimizer) -> int:
        """Loads what an interrupted run left in the folder; returns its number of steps."""
        folder = self.folder or Path()
        note = {"task": self.task.name, "settings": self.task.settings(), "digest": self._digest}
        if (folder / "run.json").is_file():
            if _read(folder / "run.json") != json.loads(json.dumps(note)):
                raise CheckpointError(
                    f"{folder} holds a run of another task, on other examples or from another "
                    "start: choose another folder"
                )
        else:
            write_json(folder / "run.json", note)
        done = resume(folder, self.model, optimizer, self.recipe)
        if (folder / "evaluations.json").is_file() and done:
            rows = _read(folder / "evaluations.json")
            self.evaluations = [(step, metrics) for step, metrics in rows if step < done]
        if self.evaluations:
            best = self.task.head(self.model.config)  # type: ignore[arg-type]
            load_into(best, folder / "best")
            self._best = best.state_dict()
        return done

    @property
    def finetuned(self) -> FineTuned[ExampleT, PredictionT]:
        """The best state so far; where nothing was evaluated, the last one."""
        model = copy.deepcopy(self.model)
        metrics: dict[str, float] = {}
        if self._best is not None:
            model.load_state_dict(self._best)
            metrics = self.evaluations[self._best_evaluation()][1]
        tuned = FineTuned(self.task, model, self.tokenizer, self.max_length, metrics)
        if self.dev and self.task.calibrates:
            found = list(tuned.predictions(self.dev))
            tuned.task = self.task.calibrated(self.dev, found)
            if tuned.task != self.task:
                tuned.metrics = tuned.evaluate(self.dev)
        return tuned


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


def share(values: Tensor, rank: int, world: int) -> Tensor:
    """Returns a process's rows of a batch; the first row where none is left, to count for 0."""
    mine = values[rank::world]
    return mine if len(mine) else values[:1]
