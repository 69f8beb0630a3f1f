"""A lesson executed for the book: its outputs, and beside them every widget's stored data."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertedu.classroom.notebook_editions import Edition, unexecuted
from bertedu.classroom.notebooks import executed
from bertedu.utils.files import replacing

PACKAGE = Path(__file__).parents[2]
WIDGETS = "application/vnd.bertedu.widgets+json"
# Run after the lesson's last cell, so that a widget is stored as its reader would see it then.
_STORE = f"""
from IPython.display import display
from bertedu.classroom.book.notebooks import live_widgets
display({{"{WIDGETS}": live_widgets()}}, raw=True)
"""


def live_widgets() -> dict[str, dict[str, str]]:
    """Returns the course's widgets in this process, each under the id that its views have.

    Example:
        >>> from bertedu.widgets import MaskExplorer
        >>> widget = MaskExplorer("my dog")
        >>> live_widgets()[widget.model_id]["class"]
        'MaskExplorer'
    """
    if "bertedu.widgets" not in sys.modules:
        return {}
    from ipywidgets.widgets.widget import _instances

    from bertedu.widgets.base import Widget
    from bertedu.widgets.static_page import fragment

    return {
        key: {"class": type(widget).__name__, "html": fragment(widget)}
        for key, widget in _instances.items()
        if isinstance(widget, Widget)
    }


def executed_lesson(edition: Edition, cache: Path) -> Any:
    """Returns a lesson's notebook with its outputs, and its widgets under `metadata["widgets"]`.

    What was executed before is read from the cache, unless the lesson, the library or its
    checkpoint has changed since.

    Args:
        edition: which lesson.
        cache: a folder for executed notebooks.

    Raises:
        CellError: a cell that fails.
    """
    import nbformat

    notebook = unexecuted(edition)
    sources = json.dumps([cell.source for cell in notebook.cells])
    key = hashlib.sha256((sources + _library()).encode()).hexdigest()[:16]
    file = cache / f"{edition.source.stem}-{key}.ipynb"
    if file.exists():
        return nbformat.read(file, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells.append(nbformat.v4.new_code_cell(_STORE))  # type: ignore[no-untyped-call]
    edition.path.parent.mkdir(parents=True, exist_ok=True)
    notebook = executed(notebook, edition.path.parent, keep_views=True)
    (output,) = notebook.cells.pop().outputs
    notebook.metadata = {**notebook.metadata, "widgets": output.data[WIDGETS]}
    cache.mkdir(parents=True, exist_ok=True)
    for old in cache.glob(f"{edition.source.stem}-*.ipynb"):
        old.unlink()
    with replacing(file) as temporary:
        temporary.write_text(nbformat.writes(notebook), encoding="utf-8")  # type: ignore[no-untyped-call]
    return notebook


def _library() -> str:
    """A digest of what a lesson's outputs depend on: the library's code, its data, its model."""
    digest = hashlib.sha256()
    for file in _files():
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    other_model = os.environ.get("BERTEDU_CHECKPOINT")
    if other_model:
        yield from sorted(file for file in Path(other_model).iterdir() if file.is_file())
    for file in sorted(PACKAGE.rglob("*")):
        # Styles and scripts are added when a page is written, not when a lesson is executed.
        book = Path(__file__).parent in file.parents
        if file.is_file() and not book and file.suffix not in {".js", ".css", ".pyc"}:
            yield file
