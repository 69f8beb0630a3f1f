"""Judges a checkpoint on text that it was not trained on: both pretraining losses, and the notes.

    python benchmarks/held_out.py wiki.test.txt other_text/ --checkpoint bertedu

Without a text, on the course's own held-out documents. Text as `bertedu pretrain` reads it, or
WikiText's own format (`= Title =`, `@-@`, `<unk>`), which is restored to plain text first: an
unknown word becomes [UNK], which is never masked.
"""

import argparse
import itertools
import json
import lzma
import re
import tempfile
from dataclasses import asdict
from pathlib import Path

import bertedu
from bertedu.corpus import Corpus
from bertedu.data import HELD_OUT
from bertedu.pretraining import PretrainingData, Recipe, evaluate, unigram_log_probs

WIKITEXT = re.compile(r"^ = [^=]+ = $", re.MULTILINE)
NOTES = "calculus is a [MASK] of math", "it [MASK] developed by newton and leibniz"


def restored(wikitext: str) -> str:
    r"""Returns WikiText as plain text: a paragraph a line, a blank line between articles.

    Example:
        >>> restored(" \n = A 5 @-@ year plan = \n \n He had a 5 @-@ year plan , ( or so ) . \n")
        '\n\nHe had a 5-year plan, (or so).'
    """
    lines = []
    for line in wikitext.split("\n"):
        if re.fullmatch(r" = [^=].* = ", line):
            lines.append("")  # an article begins
        elif line.strip() and not line.startswith(" ="):
            text = re.sub(r" @([-,.])@ ", r"\1", line.strip()).replace("<unk>", "[UNK]")
            text = re.sub(r'" ([^"]*?) "', r'"\1"', text)
            text = re.sub(r" ([,.;:!?)\]'])", r"\1", text)
            lines.append(re.sub(r"([(\[]) ", r"\1", text))
    return "\n".join(["", *lines])


def plain(path: Path, folder: Path) -> Path:
    """Returns a file of plain text: the path itself, or WikiText restored into the folder."""
    if path.is_dir():
        return path
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        text = file.read()
    if not WIKITEXT.search(text):
        return path
    copy = folder / path.name.removesuffix(".xz")
    copy.write_text(restored(text), encoding="utf-8")
    return copy


def main() -> None:
    """Judges, and prints a line a text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="*", type=Path, default=[HELD_OUT])
    parser.add_argument("--checkpoint", default="bertedu")
    parser.add_argument("--batches", type=int, default=64, help="of 2,048 tokens, for each text")
    args = parser.parse_args()
    bert = bertedu.load(args.checkpoint)
    recipe = Recipe(steps=1, mlm_only=False)
    with tempfile.TemporaryDirectory() as name:
        for path in args.text:
            source = plain(path, Path(name))
            corpus = Corpus.build([str(source)], bert.tokenizer, f"{name}/corpus-{path.name}")
            batches = PretrainingData(corpus, bert.tokenizer, recipe).batches()
            unigrams = unigram_log_probs(corpus, len(bert.tokenizer))
            judged = evaluate(bert.model, list(itertools.islice(batches, args.batches)), unigrams)
            print(json.dumps({"text": path.name, **asdict(judged)}), flush=True)
    for guesses in bert.fill_mask(*NOTES, top_k=10):
        print(*(f"{guess.token} {guess.probability:.1%}" for guess in guesses), sep=", ")
    print(f"is_random {1 - bert.next_sentence(*NOTES):.1%}")


if __name__ == "__main__":
    main()
