"""The command line: `bertedu COMMAND`, each command a module of its own.

A command's module has `add_arguments(parser)` and `run(arguments) -> exit code`. It is imported
only when its command is called, so that `bertedu --help` answers at once.
"""

import argparse
import contextlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
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
    "evaluate": ("score a fine-tuned model", "bertedu.commands.evaluate"),
    "export": ("put a model in a page that needs no Python", "bertedu.commands.export"),
    "notebooks": ("build and execute the course's notebooks", "bertedu.classroom.notebooks"),
    "claims": (
        "say where each number of the lessons comes from",
        "bertedu.classroom.claims.command",
    ),
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
        something impossible, 130 when it was interrupted, 141 when nobody read on.

    Raises:
        SystemExit: from argparse, after `--help`, `--version` or an unknown word.

    Example:
        >>> main([])  # doctest: +ELLIPSIS
        usage: bertedu ...
        2
    """
    with _sentences(), _streams() if argv is None else contextlib.nullcontext():
        return _answer(list(sys.argv[1:] if argv is None else argv))


def _answer(words: list[str]) -> int:
    name = " ".join(["bertedu", *words[:1]])
    try:
        parser = _parser(words[0] if words else "")
        if not words:
            parser.print_help()
            return 2
        try:
            arguments = parser.parse_args(words)  # ends with SystemExit after --help
            return int(import_module(COMMANDS[arguments.command][1]).run(arguments))
        finally:
            if sys.stdout:  # None where it was closed
                sys.stdout.flush()
    except (InputError, CheckpointError) as mistake:
        return _said(f"{name}: {mistake}", 2)
    except BrokenPipeError:  # as `head` leaves it: no one is there to be told
        return 141
    except OSError as error:  # a full disk, a folder that may not be written to
        return _said(f"{name}: {error.filename or 'a file'}: {error.strerror or error}", 2)
    except KeyboardInterrupt:
        return _said(f"{name}: interrupted", 130)


def _said(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):  # standard error may be closed, too
        print(sentence, file=sys.stderr)
    return code


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """Lets a warning say its sentence, without the place in a file that nobody here has open."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"{message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Makes of this process one that speaks UTF-8, and ends without a word more."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Half a character of UTF-16 has no UTF-8: as an escape it also stays JSON.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what was to be said has been said
        try:
            if sys.stdout:
                sys.stdout.flush()
        except OSError:  # Python would try once more, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
