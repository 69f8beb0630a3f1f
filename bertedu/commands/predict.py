"""`bertedu predict`: texts in, what a fine-tuned model finds in them out."""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

from bertedu.commands.data import add_reading, reading
from bertedu.errors import InputError
from bertedu.finetuning.graduates import card, names
from bertedu.finetuning.model import CHUNK, FineTuned, load
from bertedu.finetuning.registry import TASKS
from bertedu.finetuning.tables import json_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "folder", nargs="?", metavar="DIR",
        help="a graduate, a folder, or a hub id; without any, the graduates are listed",
    )  # fmt: skip
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT",
        help="each is an input; two make one where the task reads a premise and a hypothesis, or "
        "a question and a document",
    )  # fmt: skip
    parser.add_argument(
        "--task", choices=TASKS, help="of a classifier that transformers fine-tuned: what it reads"
    )
    parser.add_argument(
        "--jsonl", nargs="?", const="-", metavar="FILE",
        help="JSON lines in (a file, or standard input), JSON lines out; a line that cannot be "
        "used is reported and left out, and the exit code is 1",
    )  # fmt: skip
    parser.add_argument("--data", metavar="FILE", help="as finetune reads it; JSON lines out")
    add_reading(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    if args.folder is None and not (args.jsonl or args.data):
        _list()
        return 0
    if args.folder is None:
        raise InputError("name the model: one of the graduates, a folder, or a hub id")
    if sum(map(bool, (args.texts, args.jsonl, args.data))) != 1:
        raise InputError("give texts, --jsonl or --data with a file of them: one of the three")
    tuned = load(args.folder, args.task)
    if args.texts:
        for prediction in tuned.predict(_inputs(tuned, args.texts)):
            print(prediction)
        return 0
    if args.data:
        examples = tuned.task.read(args.data, **reading(args))
        _answer(tuned, ((getattr(example, "id", None), example) for example in examples))
        return 0
    refused: list[InputError] = []
    _answer(tuned, _asked(tuned, args.jsonl, args.encoding or "utf-8", refused))
    return 1 if refused else 0


def _list() -> None:
    """Prints a line for each graduate: what it is for, and how to ask it."""
    for name in names():
        purpose, example = card(name)
        print(": ".join(filter(None, (name, purpose.rstrip("."), example))))
    if not names():
        print("No graduates come with this version: `bertedu finetune` makes a model.")


def _inputs(tuned: FineTuned[Any, Any], texts: list[str]) -> list[Any]:
    names = [names[0] for names in tuned.task.texts]
    if len(names) == 1:
        return texts
    if len(texts) % len(names):
        raise InputError(f"{tuned.task.name} reads pairs: give a {' and a '.join(names)}")
    return list(zip(*[iter(texts)] * len(names), strict=True))


def _answer(tuned: FineTuned[Any, Any], asked: Iterator[tuple[Any, Any]]) -> None:
    """Prints a line of JSON for each example, with its id where it has one."""
    while chunk := list(itertools.islice(asked, CHUNK)):  # no file is too long for the memory
        predictions = tuned.predict([example for _, example in chunk])
        for (identity, _), prediction in zip(chunk, predictions, strict=True):
            told = {} if identity is None else {"id": identity}
            print(json.dumps(told | prediction.to_json(), ensure_ascii=False), flush=True)


def _asked(
    tuned: FineTuned[Any, Any], path: str, encoding: str, refused: list[InputError]
) -> Iterator[tuple[Any, Any]]:
    """Yields id and example of each line; of one that cannot be used, the reason is printed."""

    def refuse(error: InputError) -> None:
        print(error, file=sys.stderr)
        refused.append(error)

    for row in json_rows(path, encoding, refused=refuse):
        try:
            example = tuned.task.asked(row)
            tuned.task.features(example, tuned.tokenizer, tuned.max_length)  # may refuse it, too
        except InputError as error:
            refuse(row.refused(error))
        else:
            yield row.cells.get("id"), example
