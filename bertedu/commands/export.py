"""`bertedu export web MODEL OUT`: a model in a page that needs neither Python nor a network."""

import argparse
from pathlib import Path
from typing import Any

from bertedu.bert import Bert
from bertedu.bert import load as load_bert
from bertedu.finetuning.adapters import CONFIG as ADAPTER
from bertedu.finetuning.graduates import find
from bertedu.finetuning.model import FineTuned
from bertedu.finetuning.model import load as load_finetuned
from bertedu.finetuning.registry import TASKS
from bertedu.finetuning.task import SETTINGS
from bertedu.utils.files import read_json
from bertedu.widgets.web_page import write_page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("kind", choices=["web"], help="web: a folder to be opened in a browser")
    parser.add_argument(
        "model", metavar="MODEL", help='"bertedu", a graduate, a folder, or a hub id'
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder to write")
    parser.add_argument(
        "--task", choices=TASKS, help="of a classifier that transformers fine-tuned: what it reads"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    certified, packs = write_page(_loaded(args.model, args.task), args.out)
    for file in packs:
        print(f"{file.name}  {file.stat().st_size / 1e6:.2f} MB")
    if "loss" in certified:
        loss, loss_int8 = certified["loss"], certified["loss_int8"]
        print(f"held-out loss {loss:.4f} nats, as int8 {loss_int8:.4f}")
    if certified:
        what = "first guesses" if "loss" in certified else "answers"
        print(f"{certified['same']:.1%} of {certified['compared']} {what} are the same as int8")
    print(f"open {args.out / 'index.html'}")
    return 0


def _loaded(name: str, task: str | None) -> Bert | FineTuned[Any, Any]:
    folder = find(name)
    notes = [(folder / file).is_file() for file in (ADAPTER, SETTINGS)]
    heads = {kind.architecture for kind in TASKS.values()}
    config = folder / "config.json"
    written = read_json(config).get("architectures") if config.is_file() else None
    if task or any(notes) or heads & {*map(str, written if isinstance(written, list) else [])}:
        return load_finetuned(name, task)
    return load_bert(name)
