"""Every notebook, opened and run as a reader does."""

from pathlib import Path

import nbformat
import pytest

from bertedu.classroom.notebooks import NOT_DONE

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def press_stop(page) -> None:
    """Ends a training early: what comes after it must work all the same."""
    monitor = page.locator(".be-training")
    monitor.wait_for(timeout=120_000)
    monitor.locator("tbody tr").nth(1).wait_for(timeout=120_000)  # it has looked twice
    monitor.get_by_role("button", name="Stop").click()


def not_done(notebook: str) -> int:
    """Returns how many outputs say that an exercise waits, in the notebook as it was built."""
    cells = nbformat.read(FOLDER / notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return sum(NOT_DONE in str(output) for output in outputs)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_runs_from_top_to_bottom(open_notebook, lab, notebook: str) -> None:
    trains_long = notebook.startswith("07")
    page = open_notebook(notebook, **({"meanwhile": press_stop} if trains_long else {}))
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts() == []
    assert page.get_by_text("Error displaying widget").count() == 0
    assert page.get_by_text("Javascript Error").count() == 0
    # Each exercise says so, and does not stop the others.
    told = page.locator(".jp-OutputArea-output").filter(has_text=NOT_DONE).count()
    assert told == not_done(notebook)
    page.context.close()
    lab.end_kernels()
