"""`bertedu pretrain`: text in, a pretrained BERT out; interrupted, it goes on where it was.

Under `--schedule wsd` a later call may also ask for more `--steps`. The run's folder has its newest
checkpoint (step-*), the best weights by held-out loss (best), the checkpoints kept along the way
(kept, see `bertedu.pretraining.kept`), the one that more steps go on from once the learning rate
has begun to fall (decay), every step's losses (history.jsonl, curves.svg), and the text as ids
(corpus).
"""

import argparse
import itertools
import json
import math
import re
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bertedu.bert import HEADS
from bertedu.checkpoint import (
    check_vocabulary,
    load_into,
    load_tokenizer,
    read_config,
    resolve,
    save_pretrained,
)
from bertedu.commands.training import Stop, accelerator, add_precision, alone, followed
from bertedu.config import BertConfig
from bertedu.encoding import UNKNOWN_SHARE
from bertedu.errors import InputError
from bertedu.heads import BertForPreTraining
from bertedu.pretraining.corpus import Corpus
from bertedu.pretraining.masking import MaskingRule
from bertedu.pretraining.run import (
    SCHEDULES,
    Evaluation,
    PretrainingData,
    PretrainingStep,
    Recipe,
    check_text,
    evaluate,
    pretrain,
    set_token_frequencies,
    starting_point,
    unigram_log_probs,
)
from bertedu.tokenizer import BertTokenizer
from bertedu.training.checkpoints import checkpoints, reading, steps_behind
from bertedu.training.step import hours_left, seconds_of
from bertedu.utils.files import replacing
from bertedu.utils.lines import text_lines

if TYPE_CHECKING:
    from accelerate import Accelerator

MOST_PARAMETERS = 2_000_000_000  # six times BERT-large: 32 GB of memory to train
HELD_OUT = 0.02  # share of the documents,
HELD_OUT_DOCUMENTS = 8  # and at least so many: evaluation needs pairs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("corpus", nargs="+", help="text files or folders, hub:NAME, or a corpus")
    parser.add_argument("--out", required=True, type=Path, help="folder of the run")
    parser.add_argument("--init", default="scratch", help="scratch, bertedu, or a folder")
    parser.add_argument(
        "--vocab", metavar="FILE", help="from scratch: a vocab.txt instead of BERT's English one"
    )
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-tokens", type=int, default=2048, help="tokens a step")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="the peak")
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument(
        "--schedule", choices=SCHEDULES, default="linear",
        help="after the warm-up, the learning rate falls to 0, or (wsd) stays and falls at the "
        "end, so that a later call may ask for more steps",
    )  # fmt: skip
    parser.add_argument(
        "--decay-share", type=float, default=0.2, help="of the steps, in which it falls (wsd)"
    )
    parser.add_argument("--max-length", type=int, default=128, help="tokens an example")
    parser.add_argument(
        "--short-share", type=float, default=0.1, help="of the pairs, of a random shorter length"
    )
    parser.add_argument("--mask-rate", type=float, default=0.15, help="of the training")
    parser.add_argument("--dropout", type=float, help="instead of the model's own")
    add_precision(parser)
    parser.add_argument("--layers", type=int, default=6, help="from scratch")
    parser.add_argument("--hidden-size", type=int, default=384, help="from scratch")
    parser.add_argument("--heads", type=int, default=12, help="from scratch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate-every", type=int, default=200, help="steps")
    parser.add_argument("--evaluation-batches", type=int, default=16)
    parser.add_argument(
        "--keep", type=int, default=10,
        help="checkpoints that stay, along the whole run, with their answers (0: none)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    hardware = accelerator(args.precision)
    with alone(args.out, hardware.is_main_process):
        return train(args, hardware)


def train(args: argparse.Namespace, hardware: "Accelerator") -> int:
    """Trains in a folder that no other run is writing to; returns the command's exit code."""
    from tqdm.auto import tqdm

    leader = hardware.is_main_process
    if args.evaluate_every < 1 or args.evaluation_batches < 1 or args.keep < 0:
        raise InputError("--evaluate-every and --evaluation-batches are from 1, --keep from 0")
    recipe = Recipe(
        steps=args.steps,
        tokens_per_batch=args.batch_tokens,
        learning_rate=args.learning_rate,
        warmup_steps=args.warmup,
        max_length=args.max_length,
        short_share=args.short_share,
        seed=args.seed,
        masking=MaskingRule(rate=args.mask_rate),
        schedule=args.schedule,
        decay_share=args.decay_share,
    )
    point = starting_point(args.out, recipe)  # refuses another run's folder at once
    steps_done = steps_behind(point) if point else 0
    tokenizer = starting_tokenizer(args.init, args.vocab)
    with hardware.main_process_first():
        corpus = open_corpus(args.corpus, tokenizer, args.out / "corpus", progress=leader)
    learned, held_out = corpus.split(min(0.5, max(HELD_OUT, HELD_OUT_DOCUMENTS / len(corpus))))
    data = PretrainingData(corpus, tokenizer, recipe, learned)
    check_text(args.out, data, leader)
    if leader:
        warn_of_unknown_text(corpus, tokenizer)
    judged = replace(recipe, mlm_only=False, masking=MaskingRule())
    held_out_data = PretrainingData(corpus, tokenizer, judged, held_out)
    held_out_batches = list(itertools.islice(held_out_data.batches(), args.evaluation_batches))
    unigrams = unigram_log_probs(corpus, len(tokenizer))

    torch.manual_seed(args.seed)
    model = starting_model(args, tokenizer, unigrams)
    if leader:
        announce(model, data, recipe, corpus, steps_done)
        if any(steps_behind(newer) > steps_done for newer in checkpoints(args.out)):
            print(
                f"back to step {steps_done:,}, before the learning rate fell, and from there on "
                f"to {recipe.steps:,}",
                flush=True,
            )

    history = History(args.out / "history.jsonl", steps_done) if leader else None
    steps = pretrain(
        model, data, recipe, folder=args.out, save_every=args.evaluate_every,
        keep=args.keep, accelerator=hardware,
    )  # fmt: skip
    with Stop() as stop:
        for report in followed(steps, recipe.steps, losses_told, stop, shown=leader):
            if not history:
                continue
            history.add(report._asdict())
            done = report.step + 1
            if done % args.evaluate_every == 0 or done == recipe.steps:
                evaluation = evaluate(model, held_out_batches, unigrams)
                if history.is_best(evaluation):
                    save_pretrained(model, args.out / "best", tokenizer)
                history.add({"step": report.step, "held_out": asdict(evaluation)})
                history.draw(args.out / "curves.svg", recipe.steps)
                tqdm.write(described(done, evaluation))
    return 130 if stop.asked else 0


def losses_told(report: PretrainingStep) -> dict[str, str]:
    """Returns what the bar says of a step."""
    return {"mlm": f"{report.mlm_loss:.2f}", "nsp": f"{report.nsp_loss:.2f}"}


def open_corpus(
    sources: list[str], tokenizer: BertTokenizer, out: Path, *, progress: bool
) -> Corpus:
    """Returns a corpus that was built before, or builds one from text.

    Raises:
        InputError: it was built with another vocabulary.
    """
    if len(sources) == 1 and (Path(sources[0]) / "corpus.json").is_file():
        return Corpus.open(sources[0], tokenizer)
    return Corpus.build(sources, tokenizer, out, progress=progress)


def starting_tokenizer(init: str, vocab: str | None) -> BertTokenizer:
    """Returns the checkpoint's tokenizer; from scratch, that of a vocabulary, or BERT's own.

    A vocabulary without a capital is for text in lower case.

    Args:
        init: scratch, or a checkpoint's name.
        vocab: a file with a token a line, in the order of their ids.

    Raises:
        InputError: the file is no vocabulary, or the checkpoint has its own.
    """
    if vocab is None:
        return load_tokenizer("bertedu" if init == "scratch" else init)
    if init != "scratch":
        raise InputError(f"{init} has a vocabulary of its own: --vocab is for --init scratch")
    tokens = [line for _, line in text_lines(vocab, cure="convert it to UTF-8")]
    while tokens and not tokens[-1].strip():  # as editors leave them at the end
        tokens.pop()
    capitals = any(re.search("[A-Z]", token) for token in tokens if not token.startswith("["))
    try:
        return BertTokenizer(tokens, lowercase=not capitals)
    except InputError as error:
        raise InputError(f"{vocab}: {error}") from error


def warn_of_unknown_text(corpus: Corpus, tokenizer: BertTokenizer) -> None:
    """Says so where much of the text is not in the vocabulary."""
    unknown = sum(int((ids == tokenizer.unk_token_id).sum()) for ids in corpus.blocks())
    if unknown >= UNKNOWN_SHARE * corpus.num_tokens:
        warnings.warn(
            f"{unknown / corpus.num_tokens:.0%} of the text's tokens are [UNK]: give a vocabulary "
            "of its language (--vocab FILE)",
            stacklevel=2,
        )


def starting_model(
    args: argparse.Namespace, tokenizer: BertTokenizer, unigrams: torch.Tensor
) -> BertForPreTraining:
    """Returns the model to start from; heads that its checkpoint lacks are fresh.

    Raises:
        CheckpointError: the checkpoint lacks a part of the encoder.
        InputError: the tokenizer has more tokens than the checkpoint.
    """
    if args.init == "scratch":
        parameters = args.layers * 12 * args.hidden_size**2 + len(tokenizer) * args.hidden_size
        if parameters > MOST_PARAMETERS:
            raise InputError(
                f"--layers {args.layers} with --hidden-size {args.hidden_size} has "
                f"{parameters:,} parameters; at most {MOST_PARAMETERS:,} can be trained here: take "
                "fewer layers, or smaller ones"
            )
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=args.hidden_size,
            num_hidden_layers=args.layers,
            num_attention_heads=args.heads,
            intermediate_size=4 * args.hidden_size,
            pad_token_id=tokenizer.pad_token_id,
        )
    else:
        folder = resolve(args.init)
        config = read_config(folder)
        check_vocabulary(config, tokenizer)
    if args.dropout is not None:
        config = replace(
            config,
            hidden_dropout_prob=args.dropout,
            attention_probs_dropout_prob=args.dropout,
        )
    model = BertForPreTraining(config)
    missing = [name for name, _ in model.named_parameters()]
    if args.init != "scratch":
        missing = load_into(model, folder, may_be_new=HEADS)
    if "cls.predictions.bias" in missing:
        set_token_frequencies(model, unigrams)
    return model


def announce(
    model: BertForPreTraining, data: PretrainingData, recipe: Recipe, corpus: Corpus, done: int
) -> None:
    """Prints how much text, how many steps and how many hours lie ahead."""
    batches = list(itertools.islice(data.batches(), 4))
    seconds = min(seconds_of(model, batch) for batch in batches)
    tokens = sum(int(batch["attention_mask"].sum()) for batch in batches) / len(batches)
    left = recipe.steps - done
    print(
        f"{corpus}\n"
        f"{sum(p.numel() for p in model.parameters()):,} parameters; {recipe.steps:,} steps of "
        f"about {tokens:,.0f} tokens, {recipe.steps * tokens / 1e6:.1f}M in all "
        f"({recipe.steps * tokens / corpus.num_tokens:.1f} times the text)\n"
        f"{left:,} steps to go, about {hours_left(left, seconds)} on this machine",
        flush=True,
    )


def described(done: int, evaluation: Evaluation) -> str:
    """Returns an evaluation as one line."""
    e = evaluation
    return (
        f"step {done}: held-out MLM {e.mlm_loss:.2f} nats (unigram {e.unigram_loss:.2f}), "
        f"top-1 {e.mlm_accuracy:.1%}, NSP {e.nsp_loss:.2f} nats (ln 2 = 0.69), "
        f"accuracy {e.nsp_accuracy:.1%}"
    )


class History:
    """A run's losses, a JSON object a line; lines past the last checkpoint are taken back.

    Raises:
        CheckpointError: it is damaged, or lacks a step that the checkpoint has behind it.
    """

    def __init__(self, path: Path, steps_done: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows: list[dict[str, Any]] = []
        with reading(path):
            # A kill may have left half a line at the end, of a step past the checkpoint.
            for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
                row = json.loads(line)
                if row["step"] >= steps_done:
                    break
                self.rows.append(row)
            noted = sum("mlm_loss" in row for row in self.rows)
            if noted < steps_done:
                raise ValueError(f"{noted:,} of {steps_done:,} steps are noted")
        with replacing(path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in self.rows), "utf-8")
        self.path = path

    def add(self, row: dict[str, Any]) -> None:
        """Appends one row."""
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:  # on disk before what it is a note of
            file.write(json.dumps(row) + "\n")

    def draw(self, picture: Path, steps: int) -> None:
        """Draws the losses beside their baselines, where the widgets' packages are installed."""
        try:
            from bertedu.classroom.figures import draw_losses
            from bertedu.widgets import TrainingMonitor
        except ImportError:
            return  # a training machine needs no notebook software
        judged = [(row["step"], Evaluation(**row["held_out"])) for row in self.rows
                  if "held_out" in row]  # fmt: skip
        monitor = TrainingMonitor(steps, judged[-1][1].unigram_loss)
        for row in self.rows:
            if "mlm_loss" in row:
                monitor.add(PretrainingStep(**row))
        for step, evaluation in judged:
            monitor.evaluated(step + 1, evaluation)
        draw_losses(monitor, picture)

    def is_best(self, evaluation: Evaluation) -> bool:
        """Returns whether no earlier evaluation had a lower sum of losses."""
        earlier = [row["held_out"] for row in self.rows if "held_out" in row]
        total = evaluation.mlm_loss + evaluation.nsp_loss
        return math.isfinite(total) and all(total < e["mlm_loss"] + e["nsp_loss"] for e in earlier)
