"""`bertedu average`: the mean of checkpoints, better than either where one grew from the other."""

import argparse
from os import PathLike
from pathlib import Path

from bertedu.errors import InputError
from bertedu.pretraining.averaging import average


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "checkpoints", nargs="+", metavar="CHECKPOINT=SHARE",
        help="such as run/best=0.7; the shares sum to 1, and the first gives config and tokenizer",
    )  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument(
        "--keep", nargs="+", default=[], metavar="NAME",
        help="parameters with this in their name are the first checkpoint's alone",
    )  # fmt: skip
    parser.add_argument("--half", action="store_true", help="write 16-bit numbers")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    import torch

    shares: dict[str | PathLike[str], float] = dict(map(_share, args.checkpoints))
    if len(shares) < len(args.checkpoints):
        raise InputError("a checkpoint is named twice: add up its shares")
    dtype = torch.float16 if args.half else torch.float32
    average(shares, args.out, keep=tuple(args.keep), dtype=dtype)
    print(f"{args.out}: the mean of {len(shares)} checkpoints")
    return 0


def _share(word: str) -> tuple[str, float]:
    """Returns a checkpoint and its share.

    Example:
        >>> _share("run/best=0.7")
        ('run/best', 0.7)
    """
    name, _, share = word.rpartition("=")
    try:
        number = float(share)
    except ValueError:
        name = ""
    if not name:
        raise InputError(f"{word}: write a checkpoint and its share, such as run/best=0.7")
    return name, number
