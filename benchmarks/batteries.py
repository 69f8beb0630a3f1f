"""Judges a checkpoint on plain sentences of a class: words left out, and the four cases.

    python benchmarks/batteries.py --checkpoint bertedu
    python benchmarks/batteries.py --sentiment runs/sentiment --questions runs/questions

The sentences stand in `tests/batteries`. Every second one of a file is "unseen": nobody looks at
the answers to those while a checkpoint, a recipe or a mix of data is chosen.
"""

import argparse
import csv
import json
import lzma
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bertedu
from bertedu.finetuning import FineTuned, classification, inference, load, slot_filling, squad

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "batteries"
HALVES = "seen", "unseen"
SLOT = re.compile(r"\[([^]]+)\]\((\w+)\)")


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


def occurring(chosen: Sequence[Gap], folder: Path) -> set[str]:
    """Returns the filled sentences that stand, as whole sentences, in a folder's .txt and .txt.xz.

    Args:
        chosen: each is filled with every right answer, in lower case.
        folder: of the training text.
    """
    filled = {
        gap.sentence.lower().replace("[mask]", answer).rstrip(".")
        for gap in chosen
        for answer in gap.answers
    }
    found = set()
    for path in [*folder.rglob("*.txt"), *folder.rglob("*.txt.xz")]:
        with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8") as file:
            text = file.read().lower().replace(" ,", ",").replace(" '", "'")
        found |= filled & {s.strip(" \"'“”\u2018\u2019()") for s in re.split(r"[.!?\n\t]+", text)}
    return found


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


def sentiment(half: str) -> list[classification.Example]:
    """Returns a half's sentences, positive and negative."""
    return [
        classification.Example(row["text"], row["label"])
        for row in rows_of("sentiment.tsv")
        if row["half"] == half
    ]


def pairs(half: str) -> list[inference.Example]:
    """Returns a half's premises and hypotheses, as many of each label."""
    return [
        inference.Example(row["premise"], row["hypothesis"], row["label"])
        for row in rows_of("inference.tsv")
        if row["half"] == half
    ]


def commands(half: str) -> list[slot_filling.Example]:
    """Returns a half's commands, with SNIPS' intents and tags."""
    return [marked(r["text"], r["intent"]) for r in rows_of("slots.tsv") if r["half"] == half]


def marked(text: str, intent: str) -> slot_filling.Example:
    """Returns a command whose slots are marked in the text: words in brackets, then the slot.

    Example:
        >>> marked("play [hey jude](track)", "PlayMusic").tags
        ('O', 'B-track', 'I-track')
    """
    words: list[str] = []
    tags: list[str] = []
    end = 0
    for slot in SLOT.finditer(text):
        before, inside = text[end : slot.start()].split(), slot[1].split()
        words += before + inside
        tags += ["O"] * len(before) + [f"B-{slot[2]}"] + [f"I-{slot[2]}"] * (len(inside) - 1)
        end = slot.end()
    rest = text[end:].split()
    return slot_filling.Example.from_words(words + rest, tags + ["O"] * len(rest), intent)


def questions(half: str) -> list[squad.Example]:
    """Returns a half's questions, each with its passage and all answers that are right."""
    passages = json.loads((FOLDER / "questions.json").read_text("utf-8"))
    return [
        squad.Example(
            asked["question"],
            passage["passage"],
            tuple(squad.Answer(text, None) for text in asked["answers"]),
        )
        for passage in passages
        if passage["half"] == half
        for asked in passage["questions"]
    ]


def true_against_false(model: FineTuned[Any, Any], chosen: Sequence[inference.Example]) -> float:
    """Returns how often the right one of entailment and contradiction is the likelier one.

    Args:
        model: of inference, with those labels.
        chosen: pairs; neutral ones are left out.
    """
    decided = [pair for pair in chosen if pair.label != "neutral"]
    right = 0
    for pair, answer in zip(decided, model.predict(decided), strict=True):
        likelier = max(("entailment", "contradiction"), key=answer.probabilities.__getitem__)
        right += pair.label == likelier
    return right / len(decided)


CASES: dict[str, tuple[str, Callable[[str], list[Any]], tuple[str, ...]]] = {
    "sentiment": ("classification", sentiment, ("accuracy",)),
    "slots": ("slot_filling", commands, ("f1", "intent_accuracy", "sentence_accuracy")),
    "inference": ("inference", pairs, ("accuracy",)),
    "questions": ("question_answering", questions, ("exact_match", "f1")),
}
"""A battery's task, its examples of a half, and the measures that are told."""


def case_scores(model: FineTuned[Any, Any], case: str, half: str) -> dict[str, float]:
    """Returns how good a fine-tuned model of that case is on a half of its battery, from 0 to 1."""
    _, examples_of, measures = CASES[case]
    examples = examples_of(half)
    measured = model.evaluate(examples)
    scores = {name: measured[name] for name in measures}
    if case == "inference":
        scores["true against false"] = true_against_false(model, examples)
    return scores


def tell(battery: str, half: str, count: int, scores: dict[str, float]) -> None:
    """Prints a row of the table."""
    told = ", ".join(f"{name.replace('_', ' ')} {share:.1%}" for name, share in scores.items())
    print(f"| {battery} | {half} | {count} | {told} |", flush=True)


def main() -> None:
    """Judges, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="bertedu", help="a name or a folder")
    parser.add_argument("--show", action="store_true", help="the guesses for the seen gaps")
    parser.add_argument("--corpus", type=Path, help="tell instead what of the gaps stands in it")
    for case in CASES:
        parser.add_argument(f"--{case}", metavar="MODEL", help="fine-tuned: a folder")
    args = parser.parse_args()
    if args.corpus:
        print(*sorted(occurring(gaps(), args.corpus)) or ["none of the sentences"], sep="\n")
        return
    bert = bertedu.load(args.checkpoint)
    print("| battery | half | examples | measured |\n|---|---|---|---|")
    for half in HALVES:
        chosen = [gap for gap in gaps() if gap.half == half]
        tell("gaps", half, len(chosen), gap_scores(bert, chosen))
    for case, (task, examples_of, _) in CASES.items():
        if name := getattr(args, case):
            model = load(name, task)
            for half in HALVES:
                tell(case, half, len(examples_of(half)), case_scores(model, case, half))
    for gap in gaps() if args.show else []:
        if gap.half == "seen":
            guesses = [guess.token for guess in bert.fill_mask(gap.sentence)[0]]
            verdict = "right" if guesses[0] in gap.answers else "wrong"
            print(f"{verdict}  {gap.sentence}  {' '.join(guesses)}")


if __name__ == "__main__":
    main()
