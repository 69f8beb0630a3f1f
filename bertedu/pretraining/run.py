"""Pretraining: the masked language model and next sentence prediction, learned at once.

Everything that is random in step k (which pairs, which masks, which dropout) is drawn from the
seed and k alone. So a run that was killed and continued gives the same losses, bit for bit, as
one that never stopped, and several processes see the batch that one process would have seen.

Nor does the learning rate know how long a run will be, under the schedule "wsd" and until it
falls. So such a run can be given more steps later, and gives what it would have given had it been
planned so.
"""

import hashlib
import itertools
import json
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertedu.errors import CheckpointError, InputError
from bertedu.heads import BertForPreTraining
from bertedu.pretraining.corpus import Corpus
from bertedu.pretraining.kept import KEPT, keep_checkpoint, marks
from bertedu.pretraining.masking import MaskingRule, mask_tokens
from bertedu.pretraining.pairs import PairSampler
from bertedu.tokenizer import BertTokenizer
from bertedu.training.batches import Batch, bucketed, counted, kept_memory
from bertedu.training.checkpoints import (
    another_run,
    checkpoint_name,
    checkpoints,
    differences,
    reading,
    remove_after,
    steps_behind,
)
from bertedu.training.step import Trainer, learning_rate_at, seed_of
from bertedu.utils.files import write_json
from bertedu.utils.validation import IGNORED, check_numbers

if TYPE_CHECKING:
    from accelerate import Accelerator

SCHEDULES = ("linear", "wsd")
DECAY = "decay"
"""The folder of the checkpoint from which a run under "wsd" can be given more steps."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run, apart from the text and the starting weights.

    Args:
        steps: optimizer steps.
        tokens_per_batch: a batch has as many examples as fit into so many tokens, padding
            counted, all processes together.
        learning_rate: the peak, reached at the end of the warm-up.
        warmup_steps: steps over which the learning rate rises.
        schedule: what it does then. "linear": it falls to 0, linearly. "wsd" (warm-up, stable,
            decay): it stays, and falls to 0, linearly, in the last steps only.
        decay_share: share of the steps that those last ones are.
        weight_decay: of everything but biases and LayerNorm.
        max_length: tokens of an example at most.
        short_share: share of the pairs that aim at a random shorter length.
        clip_norm: the gradient's length at most.
        masking: how many tokens are chosen, and what becomes of them.
        seed: decides pairs, masks and dropout.
        mlm_only: also learn from documents of a single sentence, without a pair.

    Raises:
        InputError: a number that cannot be used.

    Source: Devlin et al. 2019, appendix A.2; google-research/bert optimization.py. wsd: Hu et al.
    2024, MiniCPM, section 4.
    """

    steps: int
    tokens_per_batch: int = 2048
    learning_rate: float = 5e-4
    warmup_steps: int = 100
    weight_decay: float = 0.01
    max_length: int = 128
    short_share: float = 0.1
    clip_norm: float = 1.0
    masking: MaskingRule = field(default_factory=MaskingRule)
    seed: int = 0
    mlm_only: bool = True
    schedule: str = "linear"
    decay_share: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        check_numbers(self)
        if self.steps < 1 or self.tokens_per_batch < self.max_length:
            raise InputError(
                f"steps is {self.steps} and tokens_per_batch {self.tokens_per_batch}: a run needs "
                f"a step, and a batch the {self.max_length} tokens of one example"
            )
        if self.schedule not in SCHEDULES:
            raise InputError(f"schedule is {self.schedule!r}: choose {' or '.join(SCHEDULES)}")
        if self.decay_share >= 1:
            raise InputError(f"decay_share is {self.decay_share}: from 0 to less than 1")
        if self.short_share > 1:
            raise InputError(f"short_share is {self.short_share}: from 0 to 1")

    @property
    def decay_start(self) -> int:
        """The number of steps after which the learning rate falls.

        Example:
            >>> Recipe(steps=1000).decay_start, Recipe(steps=1000, schedule="wsd").decay_start
            (100, 800)
        """
        if self.schedule == "linear":
            return self.warmup_steps
        return max(self.warmup_steps, self.steps - round(self.decay_share * self.steps))

    def learning_rate_at(self, step: int) -> float:
        """Returns the learning rate of a step, counted from 0.

        Example:
            >>> recipe = Recipe(steps=10, learning_rate=1.0, warmup_steps=2)
            >>> [round(recipe.learning_rate_at(step), 3) for step in (0, 1, 2, 9)]
            [0.5, 1.0, 1.0, 0.125]
        """
        return learning_rate_at(
            step, self.steps, peak=self.learning_rate, warmup=self.warmup_steps,
            fall=self.decay_start,
        )  # fmt: skip


class PretrainingData:
    """Masked sentence pairs, batch by batch; batch k is the same whenever it is asked for.

    Args:
        corpus: token ids.
        tokenizer: the one that made them.
        recipe: lengths, masking, seed.
        documents: indices of those to use; all by default.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: BertTokenizer,
        recipe: Recipe,
        documents: NDArray[np.int64] | None = None,
    ) -> None:
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.sampler = PairSampler(
            corpus,
            tokenizer,
            documents=documents,
            max_length=recipe.max_length,
            short_share=recipe.short_share,
            seed=recipe.seed,
            mlm_only=recipe.mlm_only,
        )

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Yields batch `start` and all that follow, epoch after epoch, without end.

        A batch has the model's arguments: input_ids, token_type_ids, attention_mask and labels,
        int64 [B, S], and next_sentence_label, int64 [B].
        """
        for step, examples in enumerate(self._examples()):
            if step >= start:
                yield self._batch(examples, step)

    def tokens(self, steps: int) -> int:
        """Returns how many tokens the first so many batches have, padding not counted."""
        first = itertools.islice(self._examples(), steps)
        return sum(int(self.sampler.lengths(examples).sum()) for examples in first)

    def _examples(self) -> Iterator[NDArray[np.void]]:
        """Yields the examples of each batch, epoch after epoch."""
        for epoch in itertools.count():
            examples = self.sampler.epoch(epoch).examples
            for rows in self._bucketed(examples, epoch):
                yield examples[rows]

    def _bucketed(self, examples: NDArray[np.void], epoch: int) -> Iterator[NDArray[np.int64]]:
        """Yields the rows of each batch: examples of like length, batches in random order.

        What is left over when a pool of examples is cut into batches waits for the next epoch.
        """
        rng = np.random.default_rng([self.recipe.seed, epoch])
        budget = self.recipe.tokens_per_batch
        lengths = self.sampler.lengths(examples)
        pools = range(0, len(examples), 64 * budget // self.recipe.max_length)
        for pool in np.split(np.arange(len(examples)), pools[1:]):
            batches = bucketed(pool, lengths, budget)
            full = batches[:-1] or batches
            yield from (full[i] for i in rng.permutation(len(full)))

    def _batch(self, examples: NDArray[np.void], step: int) -> Batch:
        batch = self.sampler.materialize(examples)
        generator = torch.Generator().manual_seed(seed_of(self.recipe.seed, step))
        masked = mask_tokens(
            batch["input_ids"],
            self.tokenizer,
            generator,
            self.recipe.masking,
            batch["attention_mask"],
        )
        return {**batch, "input_ids": masked.input_ids, "labels": masked.labels}


class PretrainingStep(NamedTuple):
    """What happened in one step: losses in nats, over the whole batch, before the update."""

    step: int
    mlm_loss: float
    nsp_loss: float
    learning_rate: float
    tokens: int  # real tokens of the batch, padding not counted
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """How a model does on held-out batches.

    Attributes:
        mlm_loss: nats for each labelled token.
        mlm_accuracy: share of the labelled tokens whose first guess is right.
        nsp_loss: nats a pair.
        nsp_accuracy: share of the pairs judged rightly.
        unigram_loss: mlm_loss of one who knows only how often each token occurs.
        tokens: labelled tokens.
        pairs: labelled pairs.
    """

    mlm_loss: float
    mlm_accuracy: float
    nsp_loss: float
    nsp_accuracy: float
    unigram_loss: float
    tokens: int
    pairs: int


def starting_point(folder: Path, recipe: Recipe) -> Path | None:
    """Returns the checkpoint in a run's folder that the run goes on from; None if it begins.

    That is the newest. Under "wsd" it may be given another number of steps than it had: before
    its learning rate falls, by the old number and by the new one, it simply goes on; after that
    it goes back to the checkpoint that was kept where the fall began.

    Raises:
        CheckpointError: the folder holds the run of another recipe, or one that cannot be given
            this number of steps.
    """
    points = sorted([*checkpoints(folder), *checkpoints(folder / DECAY)], key=steps_behind)
    stable: list[int] = []  # where the learning rate had not begun to fall
    for point in reversed(points):
        different = differences(point, recipe)
        if not different:
            return point
        theirs, _ = different.pop("steps", (recipe.steps, recipe.steps))
        if different:
            raise another_run(folder, different)
        if recipe.schedule != "wsd":
            hint = " (a run under the schedule wsd can be given more steps)"
            raise another_run(folder, {"steps": (theirs, recipe.steps)}, hint)
        done, newest = steps_behind(point), steps_behind(points[-1])
        if newest > recipe.steps:
            raise CheckpointError(
                f"{folder} has {newest:,} steps behind it, more than {recipe.steps:,}: ask for "
                "more steps, or choose another folder"
            )
        if done <= replace(recipe, steps=theirs).decay_start:
            if done <= recipe.decay_start:
                return point
            stable.append(done)
    if stable:
        raise CheckpointError(
            f"of {recipe.steps:,} steps the learning rate would fall from step "
            f"{recipe.decay_start:,}, and {folder} goes on from step {stable[-1]:,} at the "
            f"earliest: ask for {math.ceil(stable[-1] / (1 - recipe.decay_share)):,} steps or more"
        )
    if points:
        raise CheckpointError(
            f"{folder} keeps no checkpoint from before its learning rate fell, so it cannot be "
            "given another number of steps: choose another folder"
        )
    return None


def check_text(folder: Path, data: PretrainingData, leads: bool = True) -> None:
    """Notes in a run's folder what text it learns from; a run is not continued on other text.

    A run from before there was such a note gets it now.

    Args:
        folder: of the run.
        data: what is to be learned.
        leads: False for the other processes of the same run, which write nothing.

    Raises:
        CheckpointError: the run began on other text, or with another vocabulary.
    """
    vocabulary = hashlib.sha256("\n".join(data.tokenizer.tokens).encode())
    note = {"text": data.corpus.digest, "vocabulary": vocabulary.hexdigest()}
    path = folder / "run.json"
    if not path.is_file():
        if leads:
            write_json(path, note)
        return
    with reading(path, "delete it, and the same command goes on"):
        theirs = json.loads(path.read_text("utf-8"))
    if theirs != note:
        raise CheckpointError(
            f"{folder} holds a run on other text, or with another vocabulary: choose another folder"
        )


def pretrain(
    model: BertForPreTraining,
    data: PretrainingData,
    recipe: Recipe,
    *,
    folder: Path | None = None,
    save_every: int = 200,
    keep: int = 0,
    accelerator: "Accelerator | None" = None,
) -> Generator[PretrainingStep, None, None]:
    """Trains the model, and yields after every step; close it, and it saves and stops.

    Args:
        model: trained in place.
        data: the batches.
        recipe: the optimizer's numbers.
        folder: where checkpoints go; a run that was interrupted there is continued, from its
            `starting_point`.
        save_every: steps between checkpoints.
        keep: how many checkpoints stay, along the whole run, with their answers (`kept`).
        accelerator: of the `accelerate` package, for several processes or a GPU.

    Raises:
        CheckpointError: the folder cannot be written to, or holds the run of another recipe or on
            other text; the last good checkpoint stays.
    """
    checkpoint = starting_point(folder, recipe) if folder else None
    trainer = Trainer(model, recipe, accelerator, checkpoint)
    marked = marks(recipe.steps, keep)
    stable_until = recipe.decay_start if recipe.schedule == "wsd" else -1
    writes_to = folder if trainer.accelerator.is_main_process else None
    if folder:
        check_text(folder, data, writes_to is not None)
    if writes_to:
        remove_after(writes_to, trainer.done)  # the fall of a run that was given more steps

    def save() -> None:
        if writes_to:
            done = trainer.done
            places = [writes_to / DECAY, writes_to] if done == stable_until else [writes_to]
            for finished in [place / checkpoint_name(done) for place in places]:
                if not finished.exists():
                    trainer.save(finished, data.tokenizer)

    if trainer.done == stable_until:  # a new number of steps may let it fall from here on
        save()
    steps = range(trainer.done, recipe.steps)
    with kept_memory():
        for step, batch in zip(steps, data.batches(trainer.done), strict=False):
            began, rate = time.perf_counter(), recipe.learning_rate_at(step)
            mlm_loss, nsp_loss = trainer.step(batch, losses, rate).tolist()
            report = PretrainingStep(
                step=step,
                mlm_loss=mlm_loss,
                nsp_loss=nsp_loss,
                learning_rate=rate,
                tokens=int(batch["attention_mask"].sum()),
                seconds=time.perf_counter() - began,
            )
            if writes_to and trainer.done in marked:
                keep_checkpoint(
                    writes_to / KEPT / checkpoint_name(trainer.done),
                    model,
                    data.tokenizer,
                    steps=trainer.done,
                    of_steps=recipe.steps,
                    tokens=data.tokens(trainer.done),
                    learning_rate=rate,
                )
            try:
                yield report
            except GeneratorExit:  # the caller takes no more steps
                save()
                raise
            if trainer.done % save_every == 0 or trainer.done in {recipe.steps, stable_until}:
                save()  # after the caller has noted the step: no checkpoint without its note


def losses(output: Any) -> dict[str, Tensor]:
    """Returns both losses, nats, by the labels that each is the mean over."""
    return {"labels": output.mlm_loss, "next_sentence_label": output.nsp_loss}


@torch.inference_mode()
def evaluate(
    model: BertForPreTraining, batches: list[Batch], unigrams: Tensor | None = None
) -> Evaluation:
    """Returns losses and accuracies on held-out batches, without dropout.

    Args:
        model: left in the mode it was in.
        batches: as `PretrainingData.batches` gives them; keep them to compare over time.
        unigrams: log-probability of each token in the training text, [V], for the baseline.

    Raises:
        InputError: there is no batch.
    """
    if not batches:
        raise InputError("there is no held-out batch to evaluate on")
    was_training = model.training
    model.eval()
    sums = torch.zeros(5, dtype=torch.float64)  # both losses, both hits, the baseline
    tokens = pairs = 0
    device = next(model.parameters()).device
    for on_cpu in batches:
        batch = {name: values.to(device) for name, values in on_cpu.items()}
        output = model(**batch)
        labels = batch["labels"][batch["labels"] != IGNORED]
        follows = batch["next_sentence_label"]
        n, p = len(labels), counted(follows)
        hits = (output.prediction_logits.argmax(-1) == labels).sum()
        nsp_hits = (output.seq_relationship_logits.argmax(-1) == follows).sum()
        baseline = 0.0 if unigrams is None else -float(unigrams[labels.cpu()].sum())
        sums += torch.tensor(
            [float(output.mlm_loss) * n, float(output.nsp_loss) * p, hits, nsp_hits, baseline]
        )
        tokens, pairs = tokens + n, pairs + p
    model.train(was_training)
    mlm, nsp, mlm_hits, pair_hits, unigram = sums.tolist()
    p = max(1, pairs)
    return Evaluation(
        mlm / tokens, mlm_hits / tokens, nsp / p, pair_hits / p, unigram / tokens, tokens, pairs
    )


def unigram_log_probs(corpus: Corpus, vocab_size: int) -> Tensor:
    """Returns each token's log-probability by its count plus one, float32 [V].

    Example:
        >>> corpus = Corpus(np.array([5, 5, 6]), np.array([0, 3]), np.array([0, 1]))
        >>> unigram_log_probs(corpus, 7).exp()[5]
        tensor(0.3000)
    """
    counts = np.ones(vocab_size)
    for ids in corpus.blocks():
        counts += np.bincount(ids, minlength=vocab_size)
    return torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32)


def set_token_frequencies(model: BertForPreTraining, unigrams: Tensor) -> None:
    """Sets the masked-LM head's bias to the tokens' frequencies: what a fresh head learns first.

    Adam moves a bias by about one learning rate a step, so that it would take thousands of
    steps to learn what a count tells at once.
    """
    bias = model.cls.predictions.bias
    with torch.no_grad():  # a checkpoint may have rows more than its tokenizer has tokens
        bias[: len(unigrams)] = unigrams - unigrams.mean()
