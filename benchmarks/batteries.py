"""Judges a checkpoint on plain sentences of a class: words left out, and the four cases.

    python benchmarks/batteries.py --checkpoint bertedu
    python benchmarks/batteries.py --sentiment runs/sentiment --questions runs/questions

The sentences stand in `tests/batteries`. Every second one of a file is "unseen": nobody looks at
the answers to those while a checkpoint, a recipe or a mix of data is chosen.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import bertedu

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "batteries"
HALVES = "seen", "unseen"


class Gap(NamedTuple):
    """A sentence with one [MASK], and the words that are right there, each one piece."""

    half: str
    sentence: str
    answers: frozenset[str]


def rows_of(name: str) -> list[dict[str, str]]:
    """Returns the rows of one table, by the header's names."""
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def gaps() -> list[Gap]:
    """Returns all sentences with a gap."""
    rows = rows_of("gaps.tsv")
    return [Gap(row["half"], row["sentence"], frozenset(row["answers"].split())) for row in rows]


def copied(guess: str, sentence: str, bert: bertedu.Bert) -> bool:
    """Tells whether a guess is a word of the sentence; a punctuation mark is none."""
    return guess.isalnum() and guess in bert.encode(sentence).tokens


def gap_scores(bert: bertedu.Bert, chosen: Sequence[Gap]) -> dict[str, float]:
    """Returns how often a gap is filled rightly, and how often with a word that stands beside it.

    Args:
        bert: with its masked-LM head.
        chosen: one or more.

    Returns:
        Shares, from 0 to 1: `first` guess right, right among the `five` likeliest, first guess
        `copied`.
    """
    first, five, copies = 0, 0, 0
    for gap in chosen:
        guesses = [guess.token for guess in bert.fill_mask(gap.sentence)[0]]
        first += guesses[0] in gap.answers
        five += not gap.answers.isdisjoint(guesses)
        copies += copied(guesses[0], gap.sentence, bert)
    count = len(chosen)
    return {"first": first / count, "five": five / count, "copied": copies / count}


def main() -> None:
    """Judges, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="bertedu")
    parser.add_argument("--show", action="store_true", help="the guesses for the seen half")
    args = parser.parse_args()
    bert = bertedu.load(args.checkpoint)
    print("| battery | half | sentences | measured |\n|---|---|---|---|")
    for half in HALVES:
        chosen = [gap for gap in gaps() if gap.half == half]
        scores = gap_scores(bert, chosen)
        told = ", ".join(f"{name} {share:.1%}" for name, share in scores.items())
        print(f"| gaps | {half} | {len(chosen)} | {told} |")
    if args.show:
        for gap in gaps():
            if gap.half == "seen":
                guesses = [guess.token for guess in bert.fill_mask(gap.sentence)[0]]
                right = "right" if guesses[0] in gap.answers else "WRONG"
                print(f"{right}  {gap.sentence}  {' '.join(guesses)}")


if __name__ == "__main__":
    main()
