"""`bertedu predict`: texts in, what a fine-tuned model finds in them out."""

import argparse
import itertools
import json
from typing import Any

from bertedu.errors import InputError
from bertedu.finetuning.model import CHUNK, FineTuned, load
from bertedu.finetuning.registry import TASKS
from bertedu.finetuning.tables import Row, json_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("folder", metavar="DIR", help="a fine-tuned model, or a hub id")
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
        help="JSON lines in (a file, or standard input), JSON lines out",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    if bool(args.texts) == bool(args.jsonl):
        raise InputError("give texts, or --jsonl with a file of them, one of the two")
    tuned = load(args.folder, args.task)
    if args.jsonl:
        asked = json_rows(args.jsonl)
        while rows := list(itertools.islice(asked, CHUNK)):  # no file is too long for the memory
            given = [_input(tuned, row) for row in rows]
            for row, prediction in zip(rows, tuned.predict(given), strict=True):
                identity = {"id": row.cells["id"]} if "id" in row.cells else {}
                told = json.dumps(identity | prediction.to_json(), ensure_ascii=False)
                print(told, flush=True)
        return 0
    for prediction in tuned.predict(_inputs(tuned, args.texts)):
        print(prediction)
    return 0


def _inputs(tuned: FineTuned[Any, Any], texts: list[str]) -> list[Any]:
    names = [names[0] for names in tuned.task.texts]
    if len(names) == 1:
        return texts
    if len(texts) % len(names):
        raise InputError(f"{tuned.task.name} reads pairs: give a {' and a '.join(names)}")
    return list(zip(*[iter(texts)] * len(names), strict=True))


def _input(tuned: FineTuned[Any, Any], row: Row) -> Any:
    try:
        example = tuned.task.asked(row)
        tuned.task.features(example, tuned.tokenizer, tuned.max_length)  # to name what is refused
        return example
    except InputError as error:
        raise row.refused(error) from error
