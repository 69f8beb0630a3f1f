"""A lesson as a page of the book with its widgets alive, made in seconds.

Of a lesson's code only that is run which a widget needs: no training, and no kernel. A training
monitor shows a made-up run.
"""

import ast
import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jupytext

from bertedu.classroom.book.content import Content
from bertedu.classroom.book.site import Page, style, to_html
from bertedu.classroom.tour import KINDS
from bertedu.pretraining import PretrainingStep
from bertedu.widgets import TrainingMonitor
from bertedu.widgets.base import Widget
from bertedu.widgets.static_page import fragment

TRAININGS = {"FinetuningRun", "pretrain", "learn", "train_and_watch"}
STATIC = Path(__file__).resolve().parents[1] / "bertedu" / "classroom" / "book" / "static"


def made_up_run(steps: int) -> TrainingMonitor:
    """Returns a monitor of a run whose losses fall."""
    monitor = TrainingMonitor(steps, 6.5)

    def losses() -> Iterator[PretrainingStep]:
        for step in range(steps):
            yield PretrainingStep(
                step, 6.5 - step / steps, 0.7 - step / steps / 10, 1e-3, 900, 0.01
            )

    with ThreadPoolExecutor() as apart:  # from a browser's loop, which may run in this thread
        apart.submit(asyncio.run, monitor.run(losses(), lambda step: None)).result()
    return monitor


def _used(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    return {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def _called(nodes: Sequence[ast.AST]) -> set[str]:
    calls = [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Call)]
    return {getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls}


def needed_for(cell: Sequence[ast.stmt], before: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Returns the statements that a cell needs from those before it, and its own, in order."""
    chosen = [node for node in cell if not isinstance(node, ast.Assert)]
    wanted = set().union(*map(_used, chosen))
    for node in reversed(before):
        if _defined(node) & wanted:
            chosen.insert(0, node)
            wanted |= _used(node)
    return chosen


def widget_of(cell: Sequence[ast.stmt], before: Sequence[ast.stmt]) -> Widget | None:
    """Returns what a cell shows, where that is a widget that needs no training."""
    own = _called(cell)
    if "TrainingMonitor" in own:
        code = "".join(map(ast.unparse, [*before, *cell]))
        return made_up_run(30 if "steps = 30" in code else 400)
    if not own & set(KINDS) or not isinstance(cell[-1], ast.Expr):
        return None
    statements = needed_for(cell, before)
    if _called(statements) & TRAININGS:
        return None
    last = statements.pop()
    names: dict[str, Any] = {}
    code = ast.Module(statements, [])
    exec(compile(code, "lesson", "exec"), names)
    shown = eval(compile(ast.Expression(last.value), "lesson", "eval"), names)
    return shown if isinstance(shown, Widget) else None


def content_of(source: Path) -> Content:
    """Returns a lesson's prose with its widgets, and nothing else of its code."""
    content = Content({})
    before: list[ast.stmt] = []
    for cell in jupytext.read(source, fmt="py:percent").cells:
        if "solution" in cell.metadata.get("tags", []):
            continue
        if cell.cell_type == "markdown":
            content.add_markdown(cell.source)
            continue
        body = ast.parse(cell.source.replace("await ", "")).body
        widget = widget_of(body, before) if body else None
        before += body
        if widget is not None:
            content.classes.add(type(widget).__name__)
            content.add_html(f'<div class="book-cell">{fragment(widget)}</div>\n')
    return content


def write_lesson(source: Path, folder: Path) -> Path:
    """Writes a lesson's page, and what it needs beside it, and returns its file."""
    page = Page(f"{source.stem}.html", source.stem, content_of(source))
    (folder / page.file).write_text(to_html(page, [page]), encoding="utf-8")
    css = style() + (STATIC / "book.css").read_text(encoding="utf-8")
    (folder / "book.css").write_text(css, encoding="utf-8")
    for script in ("book.js", "claims.js", "deck.js"):
        (folder / script).write_text((STATIC / script).read_text("utf-8"), encoding="utf-8")
    return folder / page.file
