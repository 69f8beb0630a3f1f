"""Lessons as nbgrader's assignments; its own round trip is tests/grading.py (`make grading`)."""

import re
from pathlib import Path

import nbformat
import pytest

from bertedu.classroom.editions import BEGIN, SOLUTION, Edition, editions
from bertedu.classroom.nbgrader import assignment
from bertedu.commands import cli
from bertedu.errors import InputError

ROOT = Path(__file__).parent.parent
LESSON = '''# %% [markdown]
# # 01 · A lesson

# %%
from bertedu.classroom import checks

# %%
# BEGIN SOLUTION
segment_ids = [0, 0, 0, 0, 1, 1]
# END SOLUTION

# %%
checks.segment_ids(segment_ids)

# %% [markdown] tags=["solution"]
# *Why:* so.

# %%
def with_piece(words, piece):
    """Joins."""
    # BEGIN SOLUTION
    return ["".join(words) + piece]
    # END SOLUTION

# %%
checks.with_piece(with_piece)
'''


@pytest.fixture
def lesson(tmp_path: Path) -> Edition:
    (tmp_path / "course").mkdir()
    source = tmp_path / "course" / "01_wordpiece.py"
    source.write_text(LESSON, encoding="utf-8")
    return Edition(source, tmp_path / "01.ipynb", solved=True)


def points_of(codes: list[str]) -> list[float]:
    """Runs the cells; returns the values of those that end in their points."""
    names: dict[str, object] = {}
    points = []
    for code in codes:
        *body, last = code.split("\n")
        if last.endswith("# points"):
            exec("\n".join(body), names)
            points.append(eval(last, names))
        else:
            exec(code, names)
    return points


def test_answers_are_the_students_and_checks_give_the_points(lesson) -> None:
    notebook = assignment(lesson)
    codes = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "Why" not in "".join(cell.source for cell in notebook.cells)
    assert points_of(codes) == [1.0, 0.0]  # the second solution is wrong
    released = [SOLUTION.sub(r"\1# your code here", code) for code in codes]  # as nbgrader does
    assert points_of(released) == [0.0, 0.0]
    marks = [cell.metadata.nbgrader for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert [mark.solution for mark in marks] == [True, False, True, False]
    assert all(mark.grade == mark.locked == (not mark.solution) for mark in marks)
    assert [mark.points for mark in marks if mark.grade] == [1, 1]


def test_every_lesson_with_exercises_becomes_an_assignment() -> None:
    for edition in editions(ROOT):
        if not edition.solved or not re.match(r"0[0-9]|1[01]", edition.source.stem):
            continue
        notebook = assignment(edition)
        nbformat.validate(notebook)
        marked = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
        ids = [cell.metadata.nbgrader.grade_id for cell in marked]
        assert len(ids) == len(set(ids)), edition.name
        assert sum(cell.metadata.nbgrader.get("points", 0) for cell in marked) >= 3, edition.name
        for cell in notebook.cells:
            assert (BEGIN in cell.source) == (
                cell.metadata.get("nbgrader", {}).get("solution") is True
            )


def test_a_course_folder_is_written_and_its_settings_are_kept(lesson, capsys) -> None:
    folder = lesson.source.parent.parent
    call = ["nbgrader", str(folder / "grading"), "01", "--root", str(folder)]
    assert cli.main(call) == 0
    assert "01_wordpiece.ipynb  2 points" in capsys.readouterr().out
    config = folder / "grading" / "nbgrader_config.py"
    compile(config.read_text(), "config", "exec")
    config.write_text("c = 1")
    assert cli.main(call) == 0
    assert config.read_text() == "c = 1"


def test_a_lesson_without_exercises_is_refused(lesson) -> None:
    lesson.source.write_text("# %%\n1 + 1\n", encoding="utf-8")
    with pytest.raises(InputError, match="no exercise"):
        assignment(lesson)
