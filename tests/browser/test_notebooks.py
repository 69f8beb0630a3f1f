"""Every notebook, opened and run as a reader does."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def press_stop(page) -> None:
    """Ends a training early: what comes after it must work all the same."""
    monitor = page.locator(".be-training")
    monitor.wait_for(timeout=120_000)
    monitor.locator("tbody tr").nth(1).wait_for(timeout=120_000)  # it has looked twice
    monitor.get_by_role("button", name="Stop").click()


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_runs_from_top_to_bottom(open_notebook, lab, notebook: str) -> None:
    trains_long = notebook.startswith("07")
    page = open_notebook(notebook, **({"meanwhile": press_stop} if trains_long else {}))
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts() == []
    assert page.get_by_text("Error displaying widget").count() == 0
    assert page.get_by_text("Javascript Error").count() == 0
    page.context.close()
    lab.end_kernels()
