"""What leaving the padding out of the dense layers would gain, on batches as training makes them.

Both loops put examples of like length together, so that little padding is left. One side trains
the library's model; the other trains the same model unpadded: the real tokens of a batch lie one
behind the other, and only the attention sees them in rows. A round is one whole step of both on
one batch: forward, backward, clipping, optimizer. Run it with OMP_NUM_THREADS=1.
"""

import copy
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bench import arguments, interleaved, open_corpus, ratio, report
from torch import Tensor, nn
from torch.nn import functional as F

import bertedu
from bertedu import BertConfig, BertForPreTraining, BertModel
from bertedu.finetuning import TASKS, FinetuningRecipe, FinetuningRun
from bertedu.model import BertOutput, BertSelfAttention
from bertedu.pretraining import Batch, PretrainingData, Recipe
from bertedu.training.step import make_optimizer

DATA = Path(bertedu.__file__).parent / "data"
COURSE = {
    "classification": DATA / "sentiment" / "train.tsv",
    "slot_filling": DATA / "slots" / "train",
    "inference": DATA / "inference" / "train.tsv",
    "question_answering": DATA / "questions" / "train.json",
}
SETS = (  # case, and its file in the folder of real data
    ("classification", "sst2_glue/train.tsv"),
    ("classification", "sst_sentence/stsa.binary.train"),
    ("slot_filling", "snips/train"),
    ("question_answering", "squad_dev/dev-v1.1.rebuilt.json"),
)
EMBEDDED_SIZE = BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536)
TINY = BertConfig(
    hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512
)
TOLERANCE = 1e-4


class Unpadded(BertModel):
    """The encoder with its dense layers on the N real tokens of a batch only."""

    def forward(
        self, input_ids: Tensor, token_type_ids: Any, attention_mask: Any, **_: bool
    ) -> BertOutput:
        """Returns the last states, [B, S, H] with zeros at the padding, and the pooler's output."""
        real = attention_mask.bool()  # [B, S]
        if bool(real.all()):
            return super().forward(input_ids, token_type_ids)
        states = self.embeddings(input_ids, token_type_ids)[real]  # [N, H]
        for layer in self.encoder.layer:
            states = layer.attention.output(context(layer.attention.self, states, real), states)
            states = layer.output(layer.intermediate(states), states)
        padded = in_rows(states, real)
        pooled = None if self.pooler is None else self.pooler(padded)
        return BertOutput(padded, pooled, None, None)


def context(attention: BertSelfAttention, states: Tensor, real: Tensor) -> Tensor:
    """Returns the heads' contexts side by side, [N, H], of packed states [N, H]."""
    query, key, value = (
        in_rows(dense(states), real).unflatten(2, (-1, attention.head_size)).transpose(1, 2)
        for dense in (attention.query, attention.key, attention.value)
    )  # [B, A, S, D]
    dropout = attention.dropout_prob if attention.training else 0.0
    mixed = F.scaled_dot_product_attention(query, key, value, real[:, None, None], dropout)
    return mixed.transpose(1, 2).flatten(2)[real]


def in_rows(states: Tensor, real: Tensor) -> Tensor:
    """Returns packed states [N, H] at their places in [B, S, H], zeros at the padding."""
    padded = states.new_zeros(*real.shape, states.shape[-1])
    padded[real] = states
    return padded


def unpadded(model: Any) -> Any:
    """Returns a copy of a model, with the same weights, that leaves the padding out."""
    other = copy.deepcopy(model)
    other.bert.__class__ = Unpadded
    return other


@torch.no_grad()
def check(padded: Any, packed: Any, batch: Batch) -> None:
    """Both must have the same states at every real token."""
    inputs = [batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")]
    real = inputs[2].bool()
    one, other = (m.eval().bert(*inputs).last_hidden_state[real] for m in (padded, packed))
    difference = float((one - other).abs().max())
    assert difference <= TOLERANCE, f"the states differ by {difference:.1e}"


def stepping(model: nn.Module, recipe: Any, batches: list[Batch]) -> Callable[[], None]:
    """Returns what trains a model one step further, on the next of the batches."""
    optimizer, endless = make_optimizer(model, recipe), itertools.cycle(batches)
    model.train()

    def step() -> None:
        model(**next(endless)).loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def padding(*batches: Batch) -> float:
    """Returns which share of the positions is padding."""
    masks = [batch["attention_mask"] for batch in batches]
    return 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def spread(batches: list[Batch], count: int) -> list[Batch]:
    """Returns so many of the batches, from the one with least padding to the one with most."""
    ordered = sorted(batches, key=padding)
    return [ordered[int((i + 0.5) * len(ordered) / count)] for i in range(count)]


def measure(
    job: str, model: nn.Module, recipe: Any, batches: list[Batch], rounds: int
) -> dict[str, Any]:
    """Returns a row of the table."""
    other = unpadded(model)
    used = spread(batches, rounds)
    check(model, other, used[-1])
    sides = {"padded": stepping(model, recipe, used), "unpadded": stepping(other, recipe, used)}
    times = interleaved(sides, rounds)
    middle = ratio(times.cpu["padded"], times.cpu["unpadded"])
    print(f"{job}: CPU {middle}, padding {padding(*used):.1%}", flush=True)
    return {
        "batches": job,
        "padding, all": f"{padding(*batches):.1%}",
        "measured": f"{padding(*used):.1%}",
        "a step, ms": f"{1000 * times.median('padded'):.0f}",
        "unpadded, times as fast": str(times.ratio("padded", "unpadded")),
        "CPU": str(middle),
        "CPU, all rounds": f"{sum(times.cpu['padded']) / sum(times.cpu['unpadded']):.3f}",
    }


def pretraining_rows(args: Any, size: BertConfig, rounds: int) -> Iterator[dict[str, Any]]:
    """Yields a row for each size of a batch, and for each dropout."""
    corpus, tokenizer = open_corpus(args.corpus), bertedu.load_tokenizer()
    for tokens, dropout in ((2048, 0.1), (2048, 0.0), (4096, 0.1)):
        recipe = Recipe(steps=10_000, tokens_per_batch=tokens)
        batches = PretrainingData(corpus, tokenizer, recipe).batches()
        config = replace(size, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
        yield measure(
            f"pretraining, {tokens:,} tokens, dropout {dropout}", BertForPreTraining(config),
            recipe, list(itertools.islice(batches, 300)), rounds,
        )  # fmt: skip


def finetuning_rows(args: Any, size: BertConfig, rounds: int) -> Iterator[dict[str, Any]]:
    """Yields a row for each set of examples, the course's own first."""
    sets = [(case, path, f"the course's {path.parent.name}") for case, path in COURSE.items()]
    if args.data:
        sets += [(case, args.data / name, name.split("/")[0]) for case, name in SETS]
    recipe = FinetuningRecipe(epochs=1)
    for case, path, name in sets:
        task_class, module = TASKS[case]
        run = FinetuningRun(task_class(), size, module.read(str(path))[:8000], recipe=recipe)
        batches = [run.batch(step) for step in range(run.steps)]
        yield measure(f"{case}, {name}", run.model, recipe, batches, rounds)


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(
        __doc__,
        corpus={"help": "folder of Corpus.build; by default the course's"},
        data={"type": Path, "help": "folder with sst2_glue/, snips/ and so on"},
        only={"choices": ["pretraining", "finetuning"], "help": "one of the two"},
    )
    torch.manual_seed(0)
    warnings.simplefilter("ignore")  # answers whose place is unknown
    size, rounds = (TINY, 2) if args.quick else (EMBEDDED_SIZE, args.rounds or 24)
    rows: list[dict[str, Any]] = []
    if args.only != "finetuning":
        rows += pretraining_rows(args, size, rounds)
    if args.only != "pretraining":
        rows += finetuning_rows(args, size, rounds)
    report(
        __file__,
        rows,
        "padding: share of all positions, of an epoch (300 batches of pretraining) and of the "
        "batches measured, which are spread evenly from least to most padding. CPU, all rounds: "
        "the ratio of the sums.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
