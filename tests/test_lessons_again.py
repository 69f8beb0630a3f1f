"""A lesson that was run is run again: from the top, from the end, and with its answers taken back.

    python tests/test_lessons_again.py          every lesson that does not train for minutes
    python tests/test_lessons_again.py 05 10    these, whatever they do

One line a lesson: its cells, the seconds of all its passes, the most memory its kernel had in the
first one and in all, and each cell that failed. The unit tests do this for the quick lessons, and
look through all of them for names with two meanings.
"""

import re
import symtable
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
import pytest

from bertedu.classroom import notebooks
from bertedu.classroom.editions import Edition, unexecuted
from bertedu.classroom.notebooks import NOT_DONE, executed

ROOT = Path(__file__).resolve().parents[1]
TRAINS = ("07", "08", "09", "10", "11", "12")  # a minute or more, and three passes take longer
LESSONS = [path.stem for path in sorted((ROOT / "course").glob("[0-9][0-9]_*.py"))]
RUN_AGAIN = [lesson for lesson in LESSONS if not lesson.startswith(TRAINS)]
QUICK = ("00",)  # about 10 s of one core
ONE_CORE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TOLD = "trained since: "  # what a cell on a fresh model says to whoever comes back to it too late
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"


@dataclass
class Outcome:
    """What came of a lesson that was run again: its size, its cost, and what failed where."""

    cells: int
    seconds: float
    mebibytes: tuple[int, int]  # the most memory after the first pass, and after all of them
    failures: list[str]


def run_again(source: Path) -> Outcome:
    """Returns what fails when a lesson's cells are run again, all in one kernel.

    Solved, from the top; once more from the top; each cell from the last to the first, as by a
    reader who scrolls up; then the exercises' stubs, as by one who takes the answers back. No cell
    may fail, what must print the same (nbval-check-output) must print it every time, and each
    exercise must be "not done yet" again.
    """
    solved = _code(unexecuted(Edition(source, source, solved=True)))
    exercises = list(_exercises(source))
    passes = [
        ("first", solved),
        ("from the top again", solved),
        ("backwards", solved[::-1]),
        ("answers taken back", [cell for exercise in exercises for cell in exercise]),
    ]
    cells = [(when, cell, _copy(cell)) for when, chosen in passes for cell in chosen]
    copies = [copy for _, _, copy in cells]
    peaks = [_code_cell(PEAK) for _ in range(2)]
    run = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[*copies[: len(solved)], peaks[0], *copies[len(solved) :], peaks[1]]
    )
    start = time.perf_counter()
    with mock.patch.dict(notebooks.ENVIRONMENT, ONE_CORE):
        executed(run, source.parent)
    seconds = time.perf_counter() - start
    first = {cell.id: _said(copy) for when, cell, copy in cells if when == "first"}
    failures = []
    for when, cell, copy in cells:
        where = f"{when}, at {cell.source.splitlines()[0]!r}"
        failures += [f"{where}: {error}" for error in _errors(copy)]
        fixed = "nbval-check-output" in cell.metadata.get("tags", [])
        if fixed and when != "answers taken back" and _said(copy) != first[cell.id]:
            failures.append(f"{where}: said {first[cell.id]!r} at first, now {_said(copy)!r}")
    said = {cell.id: _said(copy) for when, cell, copy in cells if when == "answers taken back"}
    failures += [
        f"not {NOT_DONE!r} without its answer: {stub.source.splitlines()[0]!r}"
        for stub, *check in exercises
        if not any(NOT_DONE in said[cell.id] for cell in (stub, *check))
    ]
    once, always = (int(_said(peak)) for peak in peaks)
    return Outcome(len(solved), seconds, (once, always), failures)


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _exercises(source: Path) -> Iterator[list[Any]]:
    """Yields each exercise as the student gets it: the cell with its stub, and the one after it."""
    solved = {cell.source for cell in unexecuted(Edition(source, source, solved=True)).cells}
    student = _code(unexecuted(Edition(source, source, solved=False)))
    for cell, following in zip(student, [*student[1:], None], strict=True):
        if cell.source not in solved:
            checked_at_once = "checks.guess(" in cell.source
            yield [cell] if checked_at_once or following is None else [cell, following]


def _copy(cell: Any) -> Any:
    """The cell to be run once more; an error in it does not end the run."""
    return _code_cell(cell.source, metadata={"tags": ["raises-exception"]})


def _code_cell(source: str, **more: Any) -> Any:
    return nbformat.v4.new_code_cell(source, **more)  # type: ignore[no-untyped-call]


def _errors(cell: Any) -> list[str]:
    errors = [out for out in cell.outputs if out.output_type == "error"]
    return [f"{out.ename}: {out.evalue}" for out in errors if not out.evalue.startswith(TOLD)]


def _said(cell: Any) -> str:
    texts = [
        out.get("data", {}).get("text/plain", "") if "data" in out else out.get("text", "")
        for out in cell.outputs
        if out.get("name") != "stderr"
    ]
    return "".join(texts)


def given_and_used(code: str) -> tuple[set[str], set[str], set[str]]:
    """Returns the names that a cell assigns, that it imports, and that it takes from others."""
    cell = symtable.symtable(code, "cell", "exec")
    symbols = cell.get_symbols()
    imported = {symbol.get_name() for symbol in symbols if symbol.is_imported()}
    assigned = {symbol.get_name() for symbol in symbols if symbol.is_assigned()} - imported
    used = {
        symbol.get_name()
        for table in _tables(cell)
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table is cell or symbol.is_global())
    }
    return assigned, imported, used - assigned - imported


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def with_two_meanings(cells: list[str]) -> dict[str, list[str]]:
    """Returns the names that cells take from others though several assign them, with those cells.

    Whoever runs such cells in another order gets an error or, worse, other numbers.
    """
    names = [given_and_used(code) for code in cells]
    used = set().union(*(used for _, _, used in names))
    found = {}
    for name in sorted(used):
        assign = [i for i, (assigned, _, _) in enumerate(names) if name in assigned]
        give = [i for i, (_, imported, _) in enumerate(names) if name in imported] if assign else []
        if len(assign + give) > 1:
            found[name] = [cells[i].splitlines()[0] for i in sorted(assign + give)]
    return found


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_name_that_other_cells_use_has_one_meaning(lesson: str) -> None:
    source = ROOT / "course" / f"{lesson}.py"
    cells = _code(unexecuted(Edition(source, source, solved=True)))
    assert with_two_meanings([cell.source for cell in cells]) == {}


def test_a_second_meaning_is_found() -> None:
    cells = ["text = 'a'", "def size():\n    return len(text)", "for text in 'bc':\n    pass"]
    assert with_two_meanings(cells) == {"text": ["text = 'a'", "for text in 'bc':"]}
    assert with_two_meanings([*cells[:2], "[text for text in 'bc']", "max('a')"]) == {}
    assert with_two_meanings(["import math", "import math", "math.pi"]) == {}
    assert "random" in with_two_meanings(["import random", "random.random()", "random = 1"])


@pytest.mark.parametrize("lesson", [lesson for lesson in RUN_AGAIN if lesson.startswith(QUICK)])
def test_a_lesson_can_be_run_again(lesson: str) -> None:
    assert run_again(ROOT / "course" / f"{lesson}.py").failures == []


LESSON = """\
# %%
counts = [1, 2]

# %% tags=["nbval-check-output"]
print(counts)

# %%
assert len(counts) == 2
counts = [*counts, 3]

# %%
# BEGIN SOLUTION
answer = 3
# END SOLUTION

# %%
print("not done yet" if answer is ... else "right")
"""


def test_what_fails_again_is_named(tmp_path: Path) -> None:
    source = tmp_path / "01_small.py"
    source.write_text(LESSON, encoding="utf-8")
    outcome = run_again(source)
    assert outcome.cells == 5
    assert 10 < outcome.mebibytes[0] <= outcome.mebibytes[1]
    backwards, printed = outcome.failures
    assert backwards == "backwards, at 'assert len(counts) == 2': AssertionError: "
    assert re.search(r"backwards, at 'print\(counts\)': .*now '\[1, 2, 3\]", printed)
    source.write_text(LESSON.replace("answer is ...", "answer is None"), encoding="utf-8")
    assert outcome.failures[-1] != run_again(source).failures[-1]


def main(names: list[str]) -> int:
    """Runs the named lessons again (without names, all of RUN_AGAIN); 0 when none fails."""
    failed = 0
    for lesson in LESSONS if names else RUN_AGAIN:
        if not names or lesson.startswith(tuple(names)):
            outcome = run_again(ROOT / "course" / f"{lesson}.py")
            failed += bool(outcome.failures)
            once, always = outcome.mebibytes
            cost = f"{outcome.seconds:.1f} s  {once} MiB once, {always} MiB again"
            print(
                f"{lesson}  {outcome.cells} cells  {cost}",
                *outcome.failures,
                sep="\n  ",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
