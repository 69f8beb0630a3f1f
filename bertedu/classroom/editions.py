"""The course's sources, and the two notebooks that each of them becomes.

In a source, `course/NN_topic.py` (py:percent), a solution stands between `# BEGIN SOLUTION` and
`# END SOLUTION`. The student edition has `...` in its place: Python's own word for "to be filled
in", which runs without an error and which every check reports as "not done yet". A cell tagged
`solution` is in the solutions edition only.
"""

import argparse
import ast
import hashlib
import re
import textwrap
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bertedu.classroom.lessons import COURSE, lesson_strip
from bertedu.errors import InputError

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
SOLUTION = re.compile(rf"^([ \t]*){BEGIN}\n(.*?)^[ \t]*{END}$", re.MULTILINE | re.DOTALL)
STUB = "...  # not done yet: your code here"
# What a .py file needs and a cell does not, as is a second blank line around functions.
FOR_LINTERS = re.compile(r" *# (fmt: skip|noqa\b.*)$", re.MULTILINE)
# What a cell says that tells a guess from the truth is folded for students: it would give the
# truth away. JupyterLab shows it as soon as the cell is run.
GUESS = "checks.guess("
FOLDED = {"outputs_hidden": True}
# Binds a number of the text to its cell or its source (see `claims`); readers do not see it.
MARK = re.compile(r"\{=([^}]+)\}")
# A number and its % stay on one line; code, and what a link says to a widget, stay as they are.
TOGETHER = re.compile(r'`[^`]*`|"[^"]*"|(?<=[\d}]) (?=%)')
STRIP = "strip"  # the tag of the links to the other lessons, at the head and the foot
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


@dataclass(frozen=True)
class Edition:
    """One of the two notebooks that a source makes.

    Args:
        source: the file in course/.
        path: the notebook it becomes.
        solved: whether the solutions are in it.
    """

    source: Path
    path: Path
    solved: bool

    @property
    def name(self) -> str:
        """The notebook's name, as progress lines and messages give it."""
        return f"solutions/{self.source.stem}" if self.solved else self.source.stem


def editions(root: Path, names: list[str] | None = None) -> list[Edition]:
    """Returns both editions of the named sources, or of all.

    Args:
        root: the folder that holds course/ and notebooks/.
        names: stems (`01_wordpiece`) or how they begin (`01`); None for all.

    Raises:
        InputError: a name that fits no source.
    """
    sources = sorted((root / "course").glob("[0-9][0-9]_*.py"))
    for name in names or []:
        if not any(source.stem.startswith(name) for source in sources):
            known = ", ".join(source.stem for source in sources) or "none"
            raise InputError(f"no notebook {name!r} in {root / 'course'}; there are: {known}")
    return [
        Edition(source, folder / f"{source.stem}.ipynb", solved)
        for source in sources
        if not names or any(source.stem.startswith(name) for name in names)
        for folder, solved in (
            (root / "notebooks", False),
            (root / "notebooks" / "solutions", True),
        )
    ]


def without_solutions(code: str) -> str:
    r"""Returns a cell's code with each solution replaced by its stub.

    A block that returns becomes `return ...`; any other gives `...` to the names it assigns.

    Args:
        code: the source of one cell.

    Raises:
        InputError: a block that is not closed, or that neither returns nor assigns.

    Example:
        >>> print(without_solutions("# BEGIN SOLUTION\nanswer = 2 + 2\n# END SOLUTION"))
        answer = ...  # not done yet: your code here
    """
    student = SOLUTION.sub(lambda found: stub(found[1], found[2]), code)
    if BEGIN in student or END in student:
        raise InputError(f"{BEGIN!r} without {END!r}, or the other way round, in:\n{code}")
    return student


def stub(indent: str, solution: str) -> str:
    """Returns what stands in a solution's place: each of its names is `...`, or it returns that.

    Args:
        indent: of the solution.
        solution: its code.

    Raises:
        InputError: it neither returns nor assigns.
    """
    block = f"def block():\n{textwrap.indent(textwrap.dedent(solution), '    ')}"
    body = cast("ast.FunctionDef", ast.parse(block).body[0])
    if indent and any(isinstance(node, ast.Return) for node in ast.walk(body)):
        return f"{indent}return {STUB}"
    names = [
        node.id
        for statement in body.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    if not names:
        raise InputError(f"a solution must return or assign something:\n{solution}")
    return "\n".join(f"{indent}{name} = {STUB}" for name in dict.fromkeys(names))


def unexecuted(edition: Edition, *, marked: bool = False) -> Any:
    """Returns one edition as a notebook (nbformat 4.5) without outputs.

    Args:
        edition: which source, and with or without solutions.
        marked: whether the text keeps its marks (see `claims`).
    """
    import jupytext
    import nbformat

    notebook = jupytext.read(edition.source, fmt="py:percent")
    cells = [cell for cell in notebook.cells if edition.solved or "solution" not in _tags(cell)]
    if edition.source.stem in (lesson.name for lesson in COURSE):
        strip = nbformat.v4.new_markdown_cell(  # type: ignore[no-untyped-call]
            lesson_strip(edition.source.stem), metadata={"tags": [STRIP]}
        )
        cells = [strip, *cells, deepcopy(strip)]
    seen: dict[str, int] = {}
    for cell in cells:
        if cell.cell_type == "code":
            cell.source = re.sub("\n{3,}", "\n\n", FOR_LINTERS.sub("", cell.source))
            if not edition.solved:
                cell.source = without_solutions(cell.source)
        else:
            cell.source = TOGETHER.sub(_together, cell.source)
            if not marked:
                cell.source = MARK.sub("", cell.source)
            if edition.solved:  # it lies one folder deeper than the lesson
                cell.source = cell.source.replace("](../", "](../../")
        cell.metadata = {"tags": _tags(cell)} if _tags(cell) else {}
        if not edition.solved and GUESS in cell.source:
            cell.metadata["jupyter"] = FOLDED
        # From the text, not from the place: a new cell leaves the other ids as they were.
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    notebook.cells = cells
    notebook.metadata = METADATA
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def with_outputs(notebook: Any, path: Path) -> Any:
    """Returns a notebook with the outputs that cells of the same code have in a built one.

    Args:
        notebook: without outputs; changed in place.
        path: of the built one, in which other cells may have changed since.

    Raises:
        ValueError: the file there is not a notebook.
    """
    from nbformat.v4 import reads_json

    built = reads_json(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    there = {cell.id: cell for cell in built.cells}
    for cell in notebook.cells:
        if cell.cell_type == "code" and (old := there.get(cell.id)):
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
    return notebook


def _together(found: re.Match[str]) -> str:
    return "\u00a0" if found[0] == " " else found[0]


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def add_root(parser: argparse.ArgumentParser) -> None:
    """Adds --root, which every command about the lessons has.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the folder of course/ (default: this one)"
    )
