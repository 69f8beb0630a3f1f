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

import numpy as np
from numpy.typing import NDArray

import bertedu
from bertedu.commands.pretrain import HELD_OUT as HELD_OUT_SHARE
from bertedu.data import HELD_OUT
from bertedu.pretraining import Batch, PretrainingData, Recipe, evaluate, unigram_log_probs
from bertedu.pretraining.corpus import Corpus

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


def documents_of(corpus: Corpus, folder: Path, source: str) -> NDArray[np.int64]:
    """Returns what `bertedu pretrain` held out, of the sources with that in their name."""
    sources = json.loads((folder / "corpus.json").read_text())["sources"]
    held_out = corpus.split(HELD_OUT_SHARE)[1]
    chosen = [
        held_out[(held_out >= s["first_document"])
                 & (held_out < s["first_document"] + s["documents"])]
        for s in sources if source in Path(s["name"]).name
    ]  # fmt: skip
    return np.concatenate(chosen)


def without_unknown(batch: Batch, unknown: int) -> Batch:
    """Returns a batch's examples with at most one [UNK]: where both A and B have some, alike."""
    kept = (batch["input_ids"] == unknown).sum(dim=1) < 2
    return {name: values[kept] for name, values in batch.items()}


def main() -> None:
    """Judges, and prints a line a text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="*", type=Path, default=[HELD_OUT])
    parser.add_argument("--checkpoint", default="bertedu")
    parser.add_argument("--batches", type=int, default=64, help="of 2,048 tokens, for each text")
    parser.add_argument("--source", default="", help="of a corpus: files with this in their name")
    args = parser.parse_args()
    bert = bertedu.load(args.checkpoint)
    recipe = Recipe(steps=1, mlm_only=False)
    unknown = bert.tokenizer.vocab["[UNK]"]
    with tempfile.TemporaryDirectory() as name:
        for path in args.text:
            if (path / "corpus.json").is_file():
                corpus = Corpus.open(path)
                documents = documents_of(corpus, path, args.source)
            else:
                source = plain(path, Path(name))
                corpus = Corpus.build([str(source)], bert.tokenizer, f"{name}/corpus-{path.name}")
                documents = np.arange(len(corpus))
            data = PretrainingData(corpus, bert.tokenizer, recipe, documents)
            batches = list(itertools.islice(data.batches(), args.batches))
            unigrams = unigram_log_probs(corpus, len(bert.tokenizer))
            judged = asdict(evaluate(bert.model, batches, unigrams))
            print(json.dumps({"text": path.name, "documents": len(documents), **judged}))
            plainest = [
                b for b in (without_unknown(b, unknown) for b in batches) if len(b["labels"])
            ]
            judged = asdict(evaluate(bert.model, plainest))
            print("  at most one [UNK]:", judged["pairs"], "pairs, NSP",
                  f"{judged['nsp_accuracy']:.1%}", flush=True)  # fmt: skip
    for guesses in bert.fill_mask(*NOTES, top_k=10):
        print(*(f"{guess.token} {guess.probability:.1%}" for guess in guesses), sep=", ")
    print(f"is_random {1 - bert.next_sentence(*NOTES):.1%}")


if __name__ == "__main__":
    main()
