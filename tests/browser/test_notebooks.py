"""Every notebook, opened and run as a reader does."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_top_to_bottom(open_notebook, name: str) -> None:
    page = open_notebook(name)
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').all_inner_texts() == []
    assert page.get_by_text("Error displaying widget").count() == 0
    assert page.get_by_text("Javascript Error").count() == 0
    page.context.close()
