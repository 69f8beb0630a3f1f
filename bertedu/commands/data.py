"""How a command is told of data files: their encoding, and what they call their columns."""

import argparse
from typing import Any

from bertedu.errors import InputError


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("--encoding", help="of the files, such as latin-1; by default UTF-8")
    parser.add_argument(
        "--columns", metavar="OURS=THEIRS,...",
        help="the columns' names in the files, as text=Phrase,label=Mood, or their numbers",
    )  # fmt: skip


def reading(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what was said of the files, as keywords of a case's `read`.

    Raises:
        InputError: --columns is not of its form.

    Example:
        >>> reading(argparse.Namespace(encoding=None, columns="text=Phrase,label=2"))
        {'columns': {'text': 'Phrase', 'label': '2'}}
    """
    options = {"encoding": args.encoding} if args.encoding else {}
    if not args.columns:
        return options
    pairs = [part.partition("=") for part in args.columns.split(",")]
    if not all(ours.strip() and theirs.strip() for ours, _, theirs in pairs):
        raise InputError(f"--columns is {args.columns!r}, not OURS=THEIRS,...: text=Phrase,label=2")
    return options | {"columns": {ours.strip(): theirs.strip() for ours, _, theirs in pairs}}
