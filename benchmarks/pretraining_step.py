"""Whole pretraining steps, from sentence pairs to the updated weights, in tokens a second.

Ours is `bertedu.pretraining.pretrain`, step by step. Theirs is what a user of transformers
writes: DataCollatorForLanguageModeling, BertForPreTraining with next_sentence_label, and the
Trainer's own optimizer settings (fused AdamW, gradients clipped at 1). Both start from the same
weights and draw from the same pairs, 2,048 positions a step. Tokens are real ones: padding is
not counted. Floating point operations are those that the task needs (real tokens, attention
within a sequence, logits where there is a label), the same count for both.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from bench import arguments, copy_weights, interleaved, open_corpus, ratio, report
from torch import Tensor

import bertedu
from bertedu import BertConfig, BertForPreTraining
from bertedu.checkpoint import EMBEDDED
from bertedu.pretraining import Batch, PretrainingData, Recipe, pretrain
from bertedu.pretraining.corpus import Corpus

EMBEDDED_SIZE = BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536)
TINY = BertConfig(
    hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512
)
RECIPE = Recipe(steps=10_000, learning_rate=1e-5)
Shape = tuple[int, ...]
ROWS = RECIPE.tokens_per_batch // RECIPE.max_length  # 16


class Work(NamedTuple):
    """What a step has done."""

    tokens: int
    flops: float


def needed(c: BertConfig, attention_mask: Tensor, labels: Tensor) -> Work:
    """Returns real tokens, and the operations of forward and backward that the task needs."""
    lengths = attention_mask.sum(1)
    tokens, labelled = int(lengths.sum()), int((labels != -100).sum())
    dense = 2 * tokens * (4 * c.hidden_size**2 + 2 * c.hidden_size * c.intermediate_size)
    attention = 4 * int((lengths**2).sum()) * c.hidden_size
    head = 2 * labelled * c.hidden_size * (c.hidden_size + c.vocab_size)
    return Work(tokens, 3.0 * (c.num_hidden_layers * (dense + attention) + head))


class WatchedData(PretrainingData):
    """Our batches; the last one stays, to count what was in it."""

    full = False  # only batches in which every sequence is full
    last: Batch

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Yields those of `PretrainingData` that are wanted."""
        for batch in super().batches(start):
            real = batch["attention_mask"]
            if not self.full or (real.shape[1] == self.recipe.max_length and bool(real.all())):
                self.last = batch
                yield batch


def our_step(
    config: BertConfig, data: WatchedData
) -> tuple[BertForPreTraining, Callable[[], Work]]:
    """Returns a fresh model, and what trains it one step further."""
    model = BertForPreTraining(config)
    steps = pretrain(model, data, RECIPE)

    def step() -> Work:
        next(steps)
        return needed(config, data.last["attention_mask"], data.last["labels"])

    return model, step


def their_step(
    config: BertConfig, ours: BertForPreTraining, features: list[dict[str, Any]], pad_to: int | None
) -> Callable[[], Work]:
    """Returns what trains transformers' model one step further."""
    model = transformers.BertForPreTraining(transformers.BertConfig(**config.to_dict()))
    copy_weights(ours, model)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RECIPE.learning_rate, fused=True)
    collator = transformers.DataCollatorForLanguageModeling(
        transformers.BertTokenizer.from_pretrained(str(EMBEDDED)), pad_to_multiple_of=pad_to
    )
    endless = itertools.cycle(features)

    def step() -> Work:
        batch = collator(list(itertools.islice(endless, ROWS)))
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return needed(config, batch["attention_mask"], batch["labels"])

    return step


def read_features(data: PretrainingData, full: bool, count: int) -> list[dict[str, Any]]:
    """Returns examples as transformers' collator takes them, special_tokens_mask included."""
    examples = data.sampler.epoch(0).examples
    lengths = data.sampler.lengths(examples)
    if full:
        examples = examples[lengths == RECIPE.max_length]
    features = []
    special = torch.tensor(sorted(data.tokenizer.special_ids - {data.tokenizer.unk_token_id}))
    for example in np.split(examples[:count], min(count, len(examples))):
        row = data.sampler.materialize(example)
        row["special_tokens_mask"] = torch.isin(row["input_ids"], special).long()
        label = row.pop("next_sentence_label")
        features.append(
            {name: values[0].tolist() for name, values in row.items()}
            | {"next_sentence_label": int(label)}
        )
    return features


class MatrixProducts:
    """The machine's limit: the products of one step of full sequences, and nothing else."""

    def __init__(self, c: BertConfig) -> None:
        n = RECIPE.tokens_per_batch
        h, i, layers = c.hidden_size, c.intermediate_size, c.num_hidden_layers
        heads, s = c.num_attention_heads * ROWS, RECIPE.max_length
        labelled = round(0.15 * n)
        self.products = []  # left, right, result, how often
        for m, k, p, count in ((n, h, h, 4 * layers), (n, h, i, layers), (n, i, h, layers),
                               (labelled, h, c.vocab_size, 1)):  # fmt: skip
            for a, b, o in ((m, k, p), (m, p, k), (k, m, p)):  # forward, both gradients
                self.add(torch.mm, (a, b), (b, o), (a, o), count)
        for a, b, o, count in ((s, c.head_size, s, 3 * layers), (s, s, c.head_size, 3 * layers)):
            self.add(torch.bmm, (heads, a, b), (heads, b, o), (heads, a, o), count)
        self.best: list[float] = []  # FLOP/s of the fastest product of each round

    def add(self, multiply: Any, left: Shape, right: Shape, result: Shape, count: int) -> None:
        """Adds a product that a step does `count` times."""
        tensors = torch.randn(left), torch.randn(right), torch.empty(result)
        self.products.append((multiply, *tensors, count))

    def __call__(self) -> None:
        """Does them all."""
        best = 0.0
        for multiply, left, right, result, count in self.products:
            flops = 2.0 * result.numel() * left.shape[-1]
            for _ in range(count):
                began = time.perf_counter()
                multiply(left, right, out=result)
                best = max(best, flops / (time.perf_counter() - began))
        self.best.append(best)

    @property
    def flops(self) -> float:
        """Operations of all products."""
        return sum(2.0 * o.numel() * a.shape[-1] * n for _, a, _, o, n in self.products)


def measure(
    size: BertConfig, corpus: Corpus, text: str, dropout: float, rounds: int
) -> Iterator[dict[str, Any]]:
    """Yields a row of the table for each way to train."""
    config = replace(size, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    recipe = replace(RECIPE, mlm_only=text == "uneven")
    data = WatchedData(corpus, bertedu.load_tokenizer(), recipe)
    data.full = text == "full"
    features = read_features(data, data.full, (rounds + 2) * ROWS)
    limit = MatrixProducts(config)
    model, ours = our_step(config, data)
    steps = {"transformers, padded to 128": their_step(config, model, features, 128)}
    if not data.full:
        steps["transformers, to the longest"] = their_step(config, model, features, None)
    steps["bertedu"] = ours
    done: dict[str, list[Work]] = {name: [] for name in steps}

    def counting(name: str) -> Callable[[], None]:
        return lambda: done[name].append(steps[name]())

    times = interleaved({name: counting(name) for name in steps} | {"products": limit}, rounds)
    rate, cpu_rate, used = {}, {}, {}
    for name in steps:
        work = done[name][1:]  # the first was the warm-up
        rate[name] = [w.tokens / t for w, t in zip(work, times[name], strict=True)]
        cpu_rate[name] = [w.tokens / t for w, t in zip(work, times.cpu[name], strict=True)]
        used[name] = [w.flops / t for w, t in zip(work, times[name], strict=True)]
    alone = [limit.flops / t for t in times["products"]]
    for name in steps:
        yield {
            "sequences": text,
            "dropout": dropout,
            "who": name,
            "tokens a step": round(statistics.mean(w.tokens for w in done[name][1:])),
            "tokens/s": f"{statistics.median(rate[name]):.0f}",
            "bertedu, times as fast": str(ratio(rate["bertedu"], rate[name])),
            "CPU": f"{ratio(cpu_rate['bertedu'], cpu_rate[name]).median:.2f}",
            "of the best product": f"{ratio(used[name], limit.best[1:]).median:.0%}",
            "of the products alone": f"{ratio(used[name], alone).median:.0%}",
        }  # fmt: skip


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__, corpus={"help": "folder of Corpus.build; by default the course's"})
    torch.manual_seed(0)
    corpus = open_corpus(args.corpus)
    rounds = 2 if args.quick else args.rounds or 5
    rows = []
    for dropout in (0.1,) if args.quick else (0.1, 0.0):
        for text in ("uneven", "full"):
            rows += measure(TINY if args.quick else EMBEDDED_SIZE, corpus, text, dropout, rounds)
    report(
        __file__,
        rows,
        f"Text: {corpus}. uneven: pairs, and single-sentence documents for the masked language "
        "model alone, as `bertedu pretrain` takes them; full: only sequences of 128 tokens.",
        "of the best product: needed FLOP/s over the fastest single matrix product of the same "
        "shapes in the same round; of the products alone: over all of the step's products, run "
        "back to back.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
