"""`bertedu predict`: texts in, what a fine-tuned model finds in them out."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertedu.errors import InputError
from bertedu.finetuning.inference import HYPOTHESIS, PREMISE
from bertedu.finetuning.model import CHUNK, FineTuned, load
from bertedu.finetuning.question_answering import AnswerPrediction
from bertedu.finetuning.slot_filling import TagPrediction
from bertedu.finetuning.tables import Row, decoded, json_row, lines

PAIRS = {
    "inference": (PREMISE, HYPOTHESIS),
    "question_answering": (("question",), ("document", "context")),
}
"""The tasks that read two texts, and what JSON calls them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("folder", metavar="DIR", help="a fine-tuned model, or a hub id")
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT",
        help="each is an input; two make one where the task reads a premise and a hypothesis, or "
        "a question and a document",
    )  # fmt: skip
    parser.add_argument(
        "--jsonl", nargs="?", const="-", metavar="FILE",
        help="JSON lines in (a file, or standard input), JSON lines out",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    if bool(args.texts) == bool(args.jsonl):
        raise InputError("give texts, or --jsonl with a file of them, one of the two")
    tuned = load(args.folder)
    if args.jsonl:
        for rows in _chunks(args.jsonl):
            given = [_input(tuned, row) for row in rows]
            for row, prediction in zip(rows, tuned.predict(given), strict=True):
                identity = {"id": row.cells["id"]} if "id" in row.cells else {}
                print(json.dumps(identity | as_json(prediction), ensure_ascii=False), flush=True)
        return 0
    for prediction in tuned.predict(_inputs(tuned, args.texts)):
        print(described(prediction))
    return 0


def _inputs(tuned: FineTuned[Any, Any], texts: list[str]) -> list[Any]:
    if tuned.task.name not in PAIRS:
        return texts
    if len(texts) % 2:
        first, second = (names[0] for names in PAIRS[tuned.task.name])
        raise InputError(f"{tuned.task.name} reads pairs: give a {first} and a {second}")
    return list(zip(texts[::2], texts[1::2], strict=True))


def _chunks(path: str) -> Iterator[list[Row]]:
    """Yields some lines at a time, so that no file is too long for the memory."""
    name = "standard input" if path == "-" else path
    source = decoded(sys.stdin.buffer, name) if path == "-" else lines(Path(path))
    chunk: list[Row] = []
    for number, line in source:
        if line.strip():
            chunk.append(json_row(f"{name}:{number}", line))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _input(tuned: FineTuned[Any, Any], row: Row) -> Any:
    if tuned.task.name in PAIRS:
        first, second = PAIRS[tuned.task.name]
        given: Any = (row.value(*first), row.value(*second))
    elif row.cells.get("words") is not None:
        given = tuple(row.texts("words"))
    else:
        given = row.value("text", "sentence")
    try:
        example = tuned.task.example(given)
        tuned.task.features(example, tuned.tokenizer, tuned.max_length)  # to name what is refused
        return example
    except InputError as error:
        raise InputError(f"{row.where}: {error}") from error


def as_json(prediction: Any) -> dict[str, Any]:
    """Returns a prediction as JSON takes it, without its tensors.

    Example:
        >>> from bertedu.finetuning import ClassPrediction
        >>> as_json(ClassPrediction("yes", {"no": 0.25, "yes": 0.75}))
        {'label': 'yes', 'probabilities': {'no': 0.25, 'yes': 0.75}}
    """
    if isinstance(prediction, TagPrediction):
        return {
            "words": prediction.words,
            "tags": prediction.tags,
            "slots": [slot._asdict() for slot in prediction.slots],
            "intent": prediction.intent and prediction.intent._asdict(),
        }
    if isinstance(prediction, AnswerPrediction):
        return {
            "text": prediction.text,
            "no_answer_probability": prediction.no_answer_probability,
            "spans": [span._asdict() for span in prediction.spans],
        }
    values: dict[str, Any] = prediction._asdict()
    return values


def described(prediction: Any) -> str:
    """Returns a prediction as a reader wants it: a line, or one a slot.

    Example:
        >>> from bertedu.finetuning import ClassPrediction
        >>> described(ClassPrediction("yes", {"no": 0.25, "yes": 0.75}))
        'yes (75.0%)'
    """
    if isinstance(prediction, TagPrediction):
        found = [f"{slot.label}: {slot.text}" for slot in prediction.slots] or ["no slot"]
        return "\n".join([*([described(prediction.intent)] if prediction.intent else []), *found])
    if isinstance(prediction, AnswerPrediction):
        if not prediction.text:
            return f"no answer ({prediction.no_answer_probability:.1%})"
        return f"{prediction.text} ({prediction.spans[0].probability:.1%})"
    return f"{prediction.label} ({prediction.probabilities[prediction.label]:.1%})"
