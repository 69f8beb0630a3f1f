"""A lesson's round trip through the real nbgrader: released, handed in, graded (`make grading`).

Three students: one hands in the lesson as it was released, one the solutions, one a known mistake.
Not a stage of `make test`, since nbgrader brings menus of its own into the reader's JupyterLab.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
LESSON = "01_wordpiece"


def main() -> None:
    """Grades the three and asserts their points."""
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder)
        run(course, "bertedu.commands.cli", "nbgrader", str(course), "01", "--root", str(ROOT))
        run(course, "nbgrader", "generate_assignment", LESSON)
        source = nbformat.read(course / "source" / LESSON / f"{LESSON}.ipynb", 4)
        released = nbformat.read(course / "release" / LESSON / f"{LESSON}.ipynb", 4)
        assert not any("BEGIN SOLUTION" in cell.source for cell in released.cells)
        most = sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in source.cells)
        expected = {"empty": 0, "solved": most, "mistaken": most - 1}
        for student, notebook in zip(expected, handed_in(source, released), strict=True):
            place = course / "submitted" / student / LESSON
            place.mkdir(parents=True)
            nbformat.write(notebook, place / f"{LESSON}.ipynb")
        run(course, "nbgrader", "autograde", LESSON, "--create")
        run(course, "nbgrader", "export")
        points = scores(course / "grades.csv")
        print(f"of {most} points:", points)
        assert points == expected
        run(course, "nbgrader", "generate_feedback", LESSON)
        page = (course / "feedback" / "mistaken" / LESSON / f"{LESSON}.html").read_text()
        assert "not yet:" in page  # the student reads what the mistake suggests


def handed_in(source, released):
    """Yields the notebooks of the three: their answers in the released lesson's cells."""
    answers = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in source.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    wrong = "segment_ids = [0, 0, 0, 0, 0, 0]"
    for change in (None, answers, answers | {"answer-2": wrong}):
        notebook = nbformat.from_dict(released)
        for cell in notebook.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            if change and name in change:
                cell.source = change[name]
        yield notebook


def scores(table: Path) -> dict[str, float]:
    """Returns each student's points from nbgrader's export."""
    head, *rows = [line.split(",") for line in table.read_text().splitlines()]
    name, score = head.index("student_id"), head.index("score")
    return {row[name]: float(row[score]) for row in rows}


def run(course: Path, module: str, *words: str) -> None:
    """Runs a program in the course's folder; what it says is shown when it fails."""
    command = [sys.executable, "-m", module, *words]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path}
    done = subprocess.run(
        command, cwd=course, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{module} {' '.join(words)}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
