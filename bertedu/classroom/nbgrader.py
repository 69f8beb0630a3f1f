"""Lessons as assignments of nbgrader: released, collected and graded with its own commands.

An exercise's answer cell becomes a solution cell, and the cell that checks it a graded one, which
shows its points as its last value: nbgrader reads that as (partial) credit, and Run All goes on
where a test that raises would stop it.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bertedu.classroom.editions import (
    BEGIN,
    SOLUTION,
    Edition,
    add_root,
    editions,
    stub,
    unexecuted,
)
from bertedu.errors import InputError

_CONFIG = '''"""Settings of nbgrader for bertedu's lessons, written once by `bertedu nbgrader`."""
import os

os.environ["BERTEDU_PROGRESS"] = ""  # grading is nobody's progress
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "bertedu"
c.ClearSolutions.code_stub = {"python": "# your code here"}  # its "..." is there already
c.ExecutePreprocessor.timeout = 600
'''
_CALL = re.compile(r"^checks\.(\w+)\((.*)\)$", re.MULTILINE)


def assignment(edition: Edition) -> Any:
    """Returns a lesson as a notebook (nbformat 4.5) for nbgrader's `source` folder.

    Args:
        edition: the one with the solutions.

    Raises:
        InputError: a lesson without exercises.

    Source: nbgrader's documentation, "Creating and grading assignments", metadata schema 3.
    """
    from bertedu.classroom.checks import every_check

    notebook, known = unexecuted(edition), every_check()
    cells = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    answers = graded = 0
    for cell in cells:
        if cell.cell_type != "code":
            continue
        calls = [call for call in _CALL.finditer(cell.source) if call[1] in known]
        if BEGIN in cell.source:
            answers += 1
            cell.source = with_stubs(cell.source)
            cell.metadata["nbgrader"] = _metadata(f"answer-{answers}", solution=True)
        elif calls:
            graded += len(calls)
            passed = " + ".join(f"checks.{call[1]}.passes({call[2]})" for call in calls)
            cell.source += f"\nfloat({passed})  # points"
            name = "-".join(call[1] for call in calls)
            cell.metadata["nbgrader"] = _metadata(name, points=len(calls))
    if not graded:
        raise InputError(f"{edition.source.stem} has no exercise that a check judges")
    notebook.cells = cells
    return notebook


def with_stubs(code: str) -> str:
    r"""Returns a cell's code with what stays when nbgrader has removed the solutions.

    Args:
        code: with solutions between their marks.

    Example:
        >>> print(with_stubs("# BEGIN SOLUTION\nanswer = 2 + 2\n# END SOLUTION"))
        answer = ...  # not done yet: your code here
        # BEGIN SOLUTION
        answer = 2 + 2
        # END SOLUTION
    """

    def completed(found: re.Match[str]) -> str:
        stays = stub(found[1], found[2])
        if stays.lstrip().startswith("return"):
            return f"{found[0]}\n{stays}"  # never reached while the solution is there
        return f"{stays}\n{found[0]}"

    return SOLUTION.sub(completed, code)


def _metadata(name: str, *, points: int = 0, solution: bool = False) -> dict[str, Any]:
    return {
        "schema_version": 3,
        "grade_id": name,
        "solution": solution,
        "grade": not solution,
        "locked": not solution,
        "task": False,
        **({} if solution else {"points": points}),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `bertedu nbgrader`.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument("folder", type=Path, help="nbgrader's course folder, or a new one")
    parser.add_argument("names", nargs="+", metavar="NAME", help="lessons, by name or number")
    add_root(parser)


def run(args: argparse.Namespace, say: Callable[[str], None] = print) -> int:
    """Writes each lesson to `source/NAME/NAME.ipynb`, and says how to go on; returns 0.

    Args:
        args: as `add_arguments` describes them.
        say: receives each line.

    Raises:
        InputError: no such lesson, or one without exercises.
    """
    import nbformat

    for edition in editions(args.root.resolve(), args.names):
        if not edition.solved:
            continue
        name = edition.source.stem
        notebook = assignment(edition)
        file = args.folder / "source" / name / f"{name}.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, file)  # type: ignore[no-untyped-call]
        points = sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells)
        say(f"{file}  {points} points")
    config = args.folder / "nbgrader_config.py"
    if not config.exists():
        config.write_text(_CONFIG, encoding="utf-8")
    say(f"next, in {args.folder}: nbgrader generate_assignment NAME")
    return 0
