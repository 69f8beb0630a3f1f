"""The command line: `bertedu COMMAND`, each command a module of its own.

A command's module has `add_arguments(parser)` and `run(arguments) -> exit code`. It is imported
only when its command is called, so that `bertedu --help` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from bertedu.errors import CheckpointError, InputError

COMMANDS = {  # name: (what it does, module)
    "doctor": ("check this installation, and say how to mend it", "bertedu.commands.doctor"),
    "lab": ("open the course in JupyterLab, in a folder of yours", "bertedu.commands.lab"),
    "certify": ("compare this BERT with the reference implementation", "bertedu.commands.certify"),
    "pretrain": ("pretrain a BERT on documents", "bertedu.commands.pretrain"),
    "average": ("take the mean of checkpoints", "bertedu.commands.average"),
    "finetune": ("fine-tune a BERT for one of four tasks", "bertedu.commands.finetune"),
    "predict": ("ask a fine-tuned model", "bertedu.commands.predict"),
    "notebooks": ("build and execute the course's notebooks", "bertedu.classroom.notebooks"),
    "nbgrader": ("write lessons as assignments for nbgrader", "bertedu.classroom.nbgrader"),
    "site": ("write the course as pages that need no kernel", "bertedu.classroom.book.site"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command that `argv` names.

    A mistake of the user's costs them one sentence, never a traceback.

    Args:
        argv: the words after `bertedu`; those of the process by default.

    Returns:
        0 when all is well, 1 when the command found something wrong, 2 when it was asked for
        something impossible, 130 when it was interrupted.

    Raises:
        SystemExit: from argparse, after `--help`, `--version` or an unknown word.

    Example:
        >>> main([])  # doctest: +ELLIPSIS
        usage: bertedu ...
        2
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(words[0] if words else "")
    if not words:
        parser.print_help()
        return 2
    arguments = parser.parse_args(words)
    try:
        return int(import_module(COMMANDS[arguments.command][1]).run(arguments))
    except (InputError, CheckpointError) as mistake:
        print(f"bertedu {arguments.command}: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"bertedu {arguments.command}: interrupted", file=sys.stderr)
        return 130


def _parser(called: str) -> argparse.ArgumentParser:
    """Returns the parser, with the arguments of the one command that is called."""
    parser = argparse.ArgumentParser(prog="bertedu", description="The place where BERT is learned.")
    parser.add_argument("--version", action="version", version=f"bertedu {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (purpose, module) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose)
        if name == called:
            import_module(module).add_arguments(command)
    return parser


def _version() -> str:
    try:
        return version("bertedu")
    except PackageNotFoundError:
        return "(a checkout that is not installed)"


if __name__ == "__main__":
    sys.exit(main())
