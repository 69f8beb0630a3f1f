"""The checkpoints that a pretraining run keeps along its way, and what each of them answered.

Each lies in FOLDER/kept/step-NNNNNNN, in Hugging Face's layout and float16, so that
`bertedu.load` opens it. Beside its weights, `answers.json` says what it makes of `GAPS`, `PAIRS`
and `ATTENTION`, so that one may watch a model learn without loading any:

    {"steps": 4309,             behind it
     "of_steps": 20000,         of the run, as it was planned then
     "tokens": 16817244,        read so far, padding not counted
     "learning_rate": 0.0002,   of its last step
     "gaps": [{"text": "my dog is [MASK].",
               "pair": null,    segment B
               "guesses": [[["sick", 0.0912], ...]]},    for each [MASK] the five likeliest tokens
              ...],                                      and their probabilities
     "pairs": [{"text": "my dog is cute.",
                "pair": "he likes playing.",
                "follows": 0.9731},                      probability that the pair follows
               ...],
     "attention": {"text": ..., "pair": ...,
                   "layer": 5, "head": 6,                counted from 1
                   "tokens": ["[CLS]", "my", ...],       S
                   "probs": [[0.031, ...], ...]}}        S x S, rows ask and sum to 1
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertedu.bert import Bert, load
from bertedu.checkpoint import save_pretrained
from bertedu.errors import InputError
from bertedu.heads import BertForPreTraining
from bertedu.tokenizer import BertTokenizer
from bertedu.training.checkpoints import finishing
from bertedu.utils.files import write_json

KEPT = "kept"
FIRST = 16  # steps before the first kept checkpoint, at most

GAPS: tuple[tuple[str, str | None], ...] = (
    ("my dog is [MASK].", None),
    ("calculus is a [MASK] of math.", "it [MASK] developed by newton and leibniz."),
    ("the capital of france is [MASK].", None),
    ("birds can [MASK].", None),
    ("the sky is [MASK] today.", None),
    ("she drinks a cup of [MASK] every morning.", None),
    ("he [MASK] to school yesterday.", None),
    ("the children are playing in the [MASK].", None),
)
PAIRS = (
    ("my dog is cute.", "he likes playing."),
    ("my dog is cute.", "the bank lowered its interest rates."),
    ("it rained all day.", "so we stayed at home and read a book."),
    ("it rained all day.", "calculus was developed by newton and leibniz."),
)
ATTENTION = ("my dog is cute.", "he likes playing.")
LAYER, HEAD = 5, 6  # seen to look from "he" at "dog"; the last where a model has fewer


def marks(steps: int, count: int) -> list[int]:
    """Returns the steps after which a run keeps a checkpoint, evenly spaced in their logarithm.

    They are fewer than `count` in a run too short to tell them apart.

    Raises:
        InputError: a negative count.

    Example:
        >>> marks(20_000, 10)
        [16, 35, 78, 172, 381, 841, 1857, 4100, 9056, 20000]
        >>> marks(20_000, 1), marks(20_000, 0)
        ([20000], [])
    """
    if count < 0:
        raise InputError(f"{count} checkpoints cannot be kept: 0 or more")
    first = min(FIRST, max(1, steps // 50))
    spaced: list[int] = np.geomspace(steps, first, count).round().astype(int).tolist()
    return sorted(set(spaced))


def keep_checkpoint(
    finished: Path, model: BertForPreTraining, tokenizer: BertTokenizer, **progress: float
) -> None:
    """Writes a checkpoint with its answers, unless it is there; training does not notice.

    Args:
        finished: its folder.
        model: in training; left as it is.
        tokenizer: the one it is trained with.
        progress: how far the training is, for the answers' file.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written to.
    """
    if finished.exists():
        return
    with finishing(finished) as unfinished:
        save_pretrained(model, unfinished, tokenizer, torch.float16)
        with torch.random.fork_rng(devices=[]):  # a new model draws weights before it loads its own
            kept = load(unfinished)  # and so answers as its reader's will, on the CPU
        write_json(unfinished / "answers.json", {**progress, **answers(kept)})


def answers(bert: Bert) -> dict[str, Any]:
    """Returns what a model makes of the preset sentences, as `answers.json` has it.

    Example:
        >>> from bertedu import BertConfig, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> answered = answers(Bert(BertForPreTraining(config), load_tokenizer()))
        >>> [len(guesses) for guesses in answered["gaps"][1]["guesses"]]
        [5, 5]
        >>> answered["attention"]["layer"], answered["attention"]["tokens"][:3]
        (2, ['[CLS]', 'my', 'dog'])
    """
    gaps = [
        {
            "text": text,
            "pair": pair,
            "guesses": [
                [(guess.token, round(guess.probability, 4)) for guess in guesses]
                for guesses in bert.fill_mask(text, pair)
            ],
        }
        for text, pair in GAPS
    ]
    pairs = [
        {"text": text, "pair": pair, "follows": round(bert.next_sentence(text, pair), 4)}
        for text, pair in PAIRS
    ]
    text, pair = ATTENTION
    layer = min(LAYER, bert.config.num_hidden_layers)
    head = min(HEAD, bert.config.num_attention_heads)
    probs = bert.attention(text, pair)[layer - 1, head - 1]  # [S, S]
    attention = {
        "text": text,
        "pair": pair,
        "layer": layer,
        "head": head,
        "tokens": bert.encode(text, pair).tokens,
        "probs": [[round(p, 3) for p in row] for row in probs.tolist()],
    }
    return {"gaps": gaps, "pairs": pairs, "attention": attention}
