"""`bertedu evaluate`: how good a fine-tuned model is on examples with answers."""

import argparse
import json

from bertedu.commands.data import add_reading, reading
from bertedu.commands.finetune import described
from bertedu.finetuning.model import load
from bertedu.finetuning.registry import TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("folder", metavar="DIR", help="a graduate, a folder, or a hub id")
    parser.add_argument("data", metavar="FILE", help="file, folder or hub:NAME:SPLIT")
    parser.add_argument(
        "--task", choices=TASKS, help="of a classifier that transformers fine-tuned: what it reads"
    )
    add_reading(parser)
    parser.add_argument("--json", action="store_true", help="metrics as JSON, from 0 to 1")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    tuned = load(args.folder, args.task)
    metrics = tuned.evaluate(tuned.task.read(args.data, **reading(args)), progress=True)
    print(json.dumps(metrics) if args.json else described(metrics))
    return 0
