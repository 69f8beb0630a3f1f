"""Forward and backward time: bertedu against transformers, same weights, same batches.

The uneven batch holds sentences of real text, one an input, padded to the longest of the batch.
"""

import statistics
from functools import partial
from typing import Any

import torch
import transformers
from bench import arguments, copy_weights, interleaved, open_corpus, report
from torch import Tensor

from bertedu import BertConfig, BertForPreTraining, BertModel

TINY = BertConfig(
    hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512
)
SIZES = {
    "6 x 384": (BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536), 16),
    "12 x 768": (BertConfig(), 4),
}
QUICK = {
    "2 x 128": (TINY, 2),
}
FULL = 128
TOLERANCE = 1e-5

Batch = dict[str, Tensor]


def make_batch(lengths: list[int]) -> Batch:
    """Returns random ids of the given lengths, padded to the longest; 15 % carry a label."""
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(1000, 30000, real.shape) * real
    labels = ids.masked_fill((torch.rand(real.shape) > 0.15) | ~real, -100)
    labels[:, 0] = ids[:, 0]
    segments = real & (torch.arange(max(lengths)) > torch.tensor(lengths)[:, None] // 2)
    return {
        "input_ids": ids,
        "token_type_ids": segments.long(),
        "attention_mask": real.long(),
        "labels": labels,
        "next_sentence_label": torch.randint(2, (len(lengths),)),
    }


def inputs(batch: Batch) -> Batch:
    """Returns what an encoder takes: no labels."""
    return {name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")}


@torch.no_grad()
def check_states(ours: BertModel, theirs: Any, batch: Batch) -> float:
    """Returns the largest difference at any position, padding included."""
    expected = theirs(**inputs(batch)).last_hidden_state
    difference = float((ours(**inputs(batch)).last_hidden_state - expected).abs().max())
    assert difference <= TOLERANCE, f"the models differ by {difference:.1e}"
    return difference


@torch.no_grad()
def check_losses(ours: BertForPreTraining, theirs: Any, batch: Batch) -> float:
    """Returns the difference of the two losses, nats."""
    difference = float((ours(**batch).loss - theirs(**batch).loss).abs())
    assert difference <= TOLERANCE, f"the losses differ by {difference:.1e}"
    return difference


@torch.no_grad()
def infer(model: Any, batch: Batch) -> None:
    """Forward only."""
    model(**inputs(batch))


def learn_states(model: Any, batch: Batch) -> None:
    """Forward and backward through the encoder."""
    model(**inputs(batch)).last_hidden_state.square().mean().backward()


def learn_both_tasks(model: Any, batch: Batch) -> None:
    """Forward and backward through encoder and both pretraining heads."""
    model(**batch).loss.backward()


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__, corpus={"help": "folder of Corpus.build; by default the course's"})
    torch.manual_seed(0)
    corpus = open_corpus(args.corpus)
    rows, worst = [], 0.0
    padding = {}
    for size, (config, count) in (QUICK if args.quick else SIZES).items():
        chosen = torch.randint(corpus.num_sentences, (count,)).tolist()
        real = [min(FULL, len(corpus.sentence(i)) + 2) for i in chosen]  # [CLS] and [SEP]
        batches = {"full": make_batch([FULL] * count), "uneven": make_batch(real)}
        padding[size] = 1 - statistics.mean(real) / max(real)
        hf_config = transformers.BertConfig(**config.to_dict())
        jobs = (
            ("forward", BertModel, transformers.BertModel, infer),
            ("forward + backward", BertModel, transformers.BertModel, learn_states),
            ("the same, both heads", BertForPreTraining, transformers.BertForPreTraining,
             learn_both_tasks),
        )  # fmt: skip
        for job, our_class, their_class, work in jobs[: 2 if size == "12 x 768" else 3]:
            ours, theirs = our_class(config), their_class(hf_config)
            copy_weights(ours, theirs)
            ours.eval(), theirs.eval()
            check = check_losses if work is learn_both_tasks else check_states
            worst = max(worst, *(check(ours, theirs, batch) for batch in batches.values()))
            ours.train(work is not infer), theirs.train(work is not infer)
            for kind, batch in batches.items():
                rounds = 2 if args.quick else args.rounds or (9 if count == 16 else 5)
                times = interleaved(
                    {
                        "transformers": partial(work, theirs, batch),
                        "bertedu": partial(work, ours, batch),
                    },
                    rounds,
                )
                rows.append(
                    {
                        "model": size,
                        "job": job,
                        "batch": f"{kind}, {len(batch['input_ids'])} x "
                        f"{batch['input_ids'].shape[1]}",
                        "transformers, ms": f"{1000 * times.median('transformers'):.0f}",
                        "times faster": str(times.ratio("transformers", "bertedu")),
                        "CPU": times.cpu_ratio("transformers", "bertedu"),
                    }
                )
    shares = ", ".join(f"{size}: {share:.0%}" for size, share in padding.items())
    report(
        __file__,
        rows,
        f"Padding in the uneven batch, {shares}. Largest difference between the two libraries, "
        f"outputs and losses: {worst:.1e} (bound {TOLERANCE:.0e}).",
        "Forward: eval, no_grad. Forward + backward: train, with the paper's dropout.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
