"""The course's notebooks: how they are executed and kept.

One source, `course/NN_topic.py` (py:percent), makes two editions: `notebooks/NN_topic.ipynb` for
students, `notebooks/solutions/NN_topic.ipynb` with the solutions. Built twice on one machine, they
are byte-identical. In a widget's place they show a picture of it (see `stills`).
"""

import argparse
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bertedu.classroom.claims.links import link_numbers
from bertedu.classroom.editions import (
    METADATA,
    Edition,
    add_root,
    editions,
    unexecuted,
    with_outputs,
)
from bertedu.classroom.stills import StillError, put_stills
from bertedu.classroom.tour import problems
from bertedu.errors import InputError
from bertedu.utils.files import replacing

NOT_DONE = "not done yet"
WIDGETS = "application/vnd.bertedu.widgets+json"
# Run after the last cell, so that a widget is stored as its reader would see it then.
_STORE = f"""
from IPython.display import display
from bertedu.classroom.stills import live_widgets
display({{"{WIDGETS}": live_widgets()}}, raw=True)
"""
MOST_LINES = 14
MOST_BYTES = 1_000_000
SECONDS_PER_CELL = 400  # the longest takes 60 on two idle cores
# A kernel that gives the same output wherever and whenever it runs.
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
    "OMP_WAIT_POLICY": "PASSIVE",  # a thread that waits leaves its core to others
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "SOURCE_DATE_EPOCH": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "NO_COLOR": "1",
    "BERTEDU_PROGRESS": "",  # building the solutions is nobody's progress
}


class CellError(RuntimeError):
    """A cell that failed while its notebook was built, told in a few lines."""


def executed(notebook: Any, folder: Path, seconds: int = SECONDS_PER_CELL) -> Any:
    """Returns the notebook run from top to bottom by this Python.

    The outputs say which widget they show; those of the course are under `metadata["widgets"]`, as
    `live_widgets` gives them.

    Args:
        notebook: as `unexecuted` gives it; its cells are filled in.
        folder: the kernel's working directory.
        seconds: the longest that one cell may take.

    Raises:
        CellError: a cell that fails, takes too long or ends the kernel.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbformat.v4 import new_code_cell

    class ThisPython(AsyncKernelManager):
        # Not the kernel that happens to be called python3 in the reader's home folder.
        kernel_spec = KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        )

    notebook.cells.append(new_code_cell(_STORE))  # type: ignore[no-untyped-call]
    reached = 0

    def remember(cell_index: int, **_: Any) -> None:
        nonlocal reached
        reached = cell_index

    client = NotebookClient(
        notebook,
        timeout=seconds,
        kernel_manager_class=ThisPython,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors only
        on_cell_start=remember,
    )
    try:
        client.execute(env=os.environ | ENVIRONMENT | {"PYTHONPATH": _this_library()})
    except CellExecutionError as error:
        raise CellError(_failure(notebook, reached, f"{error.ename}: {error.evalue}")) from None
    except CellTimeoutError:
        reason = f"took longer than {seconds} seconds"
        raise CellError(_failure(notebook, reached, reason)) from None
    except DeadKernelError:
        reason = "ended the kernel (out of memory?)"
        raise CellError(_failure(notebook, reached, reason)) from None
    said = [output.get("data", {}) for output in notebook.cells.pop().outputs]
    widgets = next(data[WIDGETS] for data in said if WIDGETS in data)
    notebook.metadata = {**METADATA, "widgets": widgets}
    return notebook


def _this_library() -> str:
    """A search path that finds the bertedu of this very process first."""
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, inherited)])


def _failure(notebook: Any, index: int, reason: str) -> str:
    first_lines = textwrap.indent("\n".join(notebook.cells[index].source.splitlines()[:4]), "  | ")
    return f"cell {index + 1}: {textwrap.shorten(reason, 400)}\n{first_lines}"


def build(edition: Edition) -> list[str]:
    """Executes one edition, writes it, and returns what its author should still look at.

    The file is replaced only when every cell has run.

    Args:
        edition: which source, and with or without solutions.

    Raises:
        CellError: as `executed`.
        StillError: a widget that shows nothing.
        InputError: the text has changed since the build began.
    """
    edition.path.parent.mkdir(parents=True, exist_ok=True)
    notebook = executed(unexecuted(edition), edition.path.parent)
    missing = put_stills(notebook, notebook.metadata.pop("widgets"))
    length = _write(edition, notebook)
    notes = [*remarks(notebook, edition.solved)]
    if missing:
        notes.append(f"its widgets are told in words, not shown as pictures: {missing}")
    if length > MOST_BYTES:
        notes.append(f"{length / 1e6:.1f} MB: fewer or smaller pictures, please")
    return notes


def retell(edition: Edition) -> list[str]:
    """Writes one edition with its new text and the outputs that it has; returns as `build`.

    Args:
        edition: which source, and with or without solutions.

    Raises:
        CellError: its code has changed since, or it was never built.
        InputError: as `build`.
    """
    if not edition.path.exists():
        raise CellError("a notebook that is not built: build it")
    notebook = with_outputs(unexecuted(edition), edition.path)
    counts = [cell.execution_count for cell in notebook.cells if _runs(cell)]
    if counts != [*range(1, len(counts) + 1)]:
        raise CellError("a notebook whose code has changed: build it")
    _write(edition, notebook)
    return [*remarks(notebook, edition.solved)]


def _runs(cell: Any) -> bool:
    return bool(cell.cell_type == "code" and cell.source.strip())


def _write(edition: Edition, notebook: Any) -> int:
    """Writes a notebook, the numbers of its text as links; returns how many characters."""
    import nbformat

    text = nbformat.writes(link_numbers(edition, notebook)) + "\n"  # type: ignore[no-untyped-call]
    with replacing(edition.path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return len(text)


def remarks(notebook: Any, solved: bool) -> Iterator[str]:
    """Yields what the course's rules say against an executed notebook.

    Args:
        notebook: the executed notebook.
        solved: whether its exercises should be done.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        first_line, lines = cell.source.split("\n")[0], len(cell.source.splitlines())
        if lines > MOST_LINES:
            yield f"{lines} lines in the cell that begins {first_line!r}"
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                yield f"stderr from the cell that begins {first_line!r}: {output.text[:80]!r}"
            if solved and NOT_DONE in str(output):
                yield f"{NOT_DONE!r} although solved: the cell that begins {first_line!r}"
    if not any("assert " in cell.source for cell in code):
        yield "no assertion"


def stale(edition: Edition) -> str | None:
    """Returns how a built notebook differs from its source, or None.

    Outputs are not compared: nbval runs them again.

    Args:
        edition: which notebook.
    """
    import nbformat

    if not edition.path.exists():
        return "is not built"
    try:
        built = nbformat.read(edition.path, as_version=4)  # type: ignore[no-untyped-call]
        expected = with_outputs(unexecuted(edition), edition.path)
    except (ValueError, nbformat.ValidationError):
        return "is not a notebook"
    for cell in filter(_runs, built.cells):
        if cell.execution_count is None:
            return f"was not executed at {cell.source.splitlines()[0]!r}"
    if built == link_numbers(edition, expected):
        return None
    for number, (old, new) in enumerate(zip(built.cells, expected.cells, strict=False), 1):
        if old != new:
            return f"differs from its source from cell {number} on"
    return "has other cells or metadata than its source"


def orphans(root: Path) -> list[Path]:
    """Returns the built notebooks that no source makes any more.

    Args:
        root: the folder that holds course/ and notebooks/.
    """
    made = {edition.path for edition in editions(root)}
    there = {*(root / "notebooks").rglob("[0-9][0-9]_*.ipynb")}
    return sorted(p for p in there - made if p.parent.name != ".ipynb_checkpoints")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `bertedu notebooks`.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "names", nargs="*", help="notebooks to build, by name or number (default: all)"
    )
    parser.add_argument(
        "--text",
        action="store_true",
        help="execute nothing: the new text, with the outputs that are there",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="build nothing; fail when one is stale, or a link broken",
    )
    add_root(parser)


def run(args: argparse.Namespace, say: Callable[[str], None] = print) -> int:
    """Returns 0 when all the notebooks are built (or, with `--check`, up to date), else 1.

    Args:
        args: as `add_arguments` describes them.
        say: receives each line of progress.

    Raises:
        InputError: no course/ here, or a name that fits no source.
    """
    if not (args.root / "course").is_dir():
        folder = args.root.resolve()
        raise InputError(f"no course/ in {folder}: run this in the repository, or give --root")
    root: Path = args.root.resolve()
    chosen = editions(root, args.names)
    return (
        _check(root, chosen, say)
        if args.check
        else _build(chosen, retell if args.text else build, say)
    )


def _check(root: Path, chosen: list[Edition], say: Callable[[str], None]) -> int:
    old = [(edition, reason) for edition in chosen if (reason := stale(edition))]
    for edition, reason in old:
        say(f"stale: {edition.path.relative_to(root)} {reason}")
    if old:
        names = " ".join(dict.fromkeys(edition.source.stem for edition, _ in old))
        say(f"mend with: bertedu notebooks {names}")
    alone = orphans(root)
    for path in alone:
        say(f"orphan: {path.relative_to(root)} has no source in course/; delete it")
    sources = dict.fromkeys(edition.source for edition in chosen)
    broken = [problem for source in sources for problem in problems(source)]
    for problem in broken:
        say(f"link: {problem}")
    if not old and not alone and not broken:
        say(f"{len(chosen)} notebooks up to date")
    return 1 if old or alone or broken else 0


def _build(
    chosen: list[Edition], make: Callable[[Edition], list[str]], say: Callable[[str], None]
) -> int:
    failed = 0
    for edition in chosen:
        start = time.perf_counter()
        try:
            notes = make(edition)
        except (CellError, StillError, InputError) as error:
            failed += 1
            say(f"{edition.name}  FAILED in {error}")
            continue
        seconds, kilobytes = time.perf_counter() - start, edition.path.stat().st_size / 1000
        say(f"{edition.name}  {seconds:.1f} s  {kilobytes:.0f} kB")
        for note in notes:
            say(f"  look again: {note}")
    return 1 if failed else 0
