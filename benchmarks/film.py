"""Makes the ten small checkpoints of the time machine, from the text to the files of the package.

    python benchmarks/film.py CORPUS OUT

CORPUS is a folder with plain and facts, whose sources bertedu/film/README.md names.
OUT gets the text, a vocabulary made from it, the untrained model (start), and the run that
`bertedu pretrain` makes of them; interrupted, the same command goes on. At the end the ten
checkpoints are written to bertedu/film. Needs the package `tokenizers`.
"""

import argparse
import hashlib
import itertools
import json
import lzma
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from bertedu import BertConfig, BertTokenizer, load
from bertedu.checkpoint import DECODER, load_into, save_pretrained
from bertedu.commands.pretrain import HELD_OUT
from bertedu.heads import BertForPreTraining
from bertedu.pretraining import (
    Evaluation,
    PretrainingData,
    Recipe,
    evaluate,
    unigram_log_probs,
)
from bertedu.pretraining.corpus import Corpus
from bertedu.pretraining.film import FILM, SCALE, STORY, SUMS, Moment, frame_file, unpacked
from bertedu.pretraining.kept import KEPT
from bertedu.tokenizer import SPECIAL_TOKENS
from bertedu.training.checkpoints import steps_behind
from bertedu.utils.files import write_json
from bertedu.widgets.web_pack import int8_rows

TEXTS = (
    *("plain/tatoeba", "facts/xcslb_properties"),  # sentences: masked words only
    *("plain/tinystories", "plain/storybooks"),  # stories: pairs, too
)
LONGEST_WAVE = 200.0  # positions, times 2 pi
PIECES = 4_000
LETTERS = 64  # signs that get a piece of their own, alone and within a word
SIZES: dict[str, Any] = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 384,
    "max_position_embeddings": 64,
    "initializer_range": 0.08,  # BERT's 0.02 is for eight times the width
}
SEED = 26
COMMAND = (
    "--steps 2000 --batch-tokens 1024 --learning-rate 3e-3 --warmup 200 --schedule wsd "
    "--decay-share 0.3 --max-length 64 --short-share 0.2 --mask-rate 0.25 --dropout 0 "
    f"--evaluate-every 500 --keep 9 --seed {SEED}"
).split()
JUDGED = 40  # batches of held-out text
POINTS = 60  # of the curve
ABOUT = (
    "a small BERT, 3 layers of 96 numbers with 4 heads and 4,000 pieces, trained from scratch on "
    "simple English for this picture; it is not the model of the other lessons"
)


def main() -> None:
    """Writes the text, the vocabulary and the start, and trains."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    text, start, run = args.out / "text", args.out / "start", args.out / "run"
    if not text.exists():
        text.mkdir(parents=True)
        write_text(args.corpus, text)
    if not start.exists():
        vocab = vocabulary(text)
        torch.manual_seed(SEED)
        model = BertForPreTraining(BertConfig(vocab_size=len(vocab), **SIZES))
        positions = model.bert.embeddings.position_embeddings.weight
        positions.data = sinusoids(*positions.shape) * SIZES["initializer_range"] * 2**0.5
        save_pretrained(model, start, BertTokenizer(vocab))
    command = [sys.executable, "-m", "bertedu.commands.cli", "pretrain", text, "--init", start]
    subprocess.run([*map(str, command), "--out", str(run), *COMMAND], check=True)
    store(start, run, FILM)


def sinusoids(positions: int, size: int) -> Tensor:
    """Returns a sine and a cosine of each wavelength, [positions, size]: what is near is alike.

    Source: Vaswani et al. 2017, section 3.5; with shorter waves, as the texts are short.
    """
    speeds = LONGEST_WAVE ** -torch.linspace(0, 1, size // 2)
    angles = torch.arange(positions)[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def write_text(corpus: Path, text: Path) -> None:
    """Writes the mix, a file for each source."""
    for name in TEXTS:
        with lzma.open(corpus / f"{name}.txt.xz", "rt", encoding="utf-8") as file:
            (text / f"{Path(name).name}.txt").write_text(file.read(), "utf-8")


def vocabulary(text: Path) -> list[str]:
    """Returns pieces made from the text: signs, and what most often stands together."""
    from tokenizers import BertWordPieceTokenizer

    trained = BertWordPieceTokenizer(lowercase=True)
    trained.train(
        sorted(map(str, text.glob("*.txt"))), vocab_size=PIECES, min_frequency=2,
        limit_alphabet=LETTERS, show_progress=False,
    )  # fmt: skip
    pieces = trained.get_vocab().keys() - set(SPECIAL_TOKENS)
    return [*SPECIAL_TOKENS, *sorted(pieces)]  # the trainer's own order differs from run to run


def store(start: Path, run: Path, film: Path) -> None:
    """Writes the start and what the run kept as a film, and prints the card's table."""
    film.mkdir(exist_ok=True)
    for old in film.glob("step-*"):
        old.unlink()
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copyfile(start / name, film / name)
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text("utf-8").splitlines()]
    steps = [row for row in rows if "mlm_loss" in row]
    judge = evaluation(run, BertTokenizer.from_folder(start))
    moments, unigram, sums = [], math.nan, []
    for folder in [start, *sorted(run.glob(f"{KEPT}/step-*"))]:
        done = 0 if folder == start else steps_behind(folder)
        bert = load(folder)
        stored = packed(bert.model.state_dict())
        file = film / frame_file(done)
        save_file(stored, file)
        sums.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
        load_into(bert.model, unpacked(stored))  # what is told is of what is stored
        found = judge(bert.model)
        unigram = found.unigram_loss
        tokens = sum(row["tokens"] for row in steps[:done])
        losses = (found.mlm_loss, found.mlm_accuracy, found.nsp_loss, found.nsp_accuracy)
        moments.append(Moment(done, tokens, *(round(number, 4) for number in losses)))
        print(
            f"| {done:,} | {tokens:,} | {found.mlm_loss:.2f} | {found.mlm_accuracy:.1%} | "
            f"{found.nsp_loss:.2f} | {found.nsp_accuracy:.1%} |"
        )
    (film / SUMS).write_text("".join(sums), "utf-8")
    told = {"about": ABOUT, "unigram_loss": round(unigram, 4), "curve": curve(steps)}
    write_json(film / STORY, told | {"moments": [moment._asdict() for moment in moments]})


def packed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns weights as they are stored; the tied decoder is left out: it is the words' table."""
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if name == DECODER:
            continue
        if weight.ndim == 2:
            stored[name], stored[name + SCALE] = int8_rows(weight.float())
        else:
            stored[name] = weight.half()
    return stored


def evaluation(run: Path, tokenizer: BertTokenizer) -> Callable[[BertForPreTraining], Evaluation]:
    """Returns what judges a model on the documents that `bertedu pretrain` held out."""
    corpus = Corpus.open(run / "corpus", tokenizer)
    _, held_out = corpus.split(HELD_OUT)
    recipe = Recipe(steps=1, tokens_per_batch=2048, max_length=64, short_share=0.2, seed=SEED)
    batches = PretrainingData(corpus, tokenizer, recipe, held_out).batches()
    unigrams = unigram_log_probs(corpus, len(tokenizer))
    judged = list(itertools.islice(batches, JUDGED))
    return lambda model: evaluate(model, judged, unigrams)


def curve(steps: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Returns tokens read and the mean loss there: few points, evenly spaced in their logarithm."""
    read = list(itertools.accumulate(row["tokens"] for row in steps))
    ends = sorted({round(len(steps) ** (i / POINTS)) for i in range(POINTS + 1)})
    points = []
    for first, last in itertools.pairwise([0, *ends]):
        losses = [row["mlm_loss"] for row in steps[first:last]]
        points.append([read[(first + last - 1) // 2], round(sum(losses) / len(losses), 3)])
    return points


if __name__ == "__main__":
    main()
