"""Widgets in a page without a kernel: everything they need stands in the page itself."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from bertedu.widgets.base import AskingWidget, Widget
from bertedu.widgets.palette import STATIC
from bertedu.widgets.words import readable

# Nothing may be loaded, whatever a text asks for; a module is made from the page's own bytes.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)
_PAGE_STYLE = (
    "body{max-width:74rem;margin:24px auto;padding:0 16px;color-scheme:light dark;"
    'font:16px/1.5 system-ui,"Liberation Sans",sans-serif}'
    ".bertedu-still{margin:18px 0}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#e9edf1}}"
)


def fragment(widget: Widget) -> str:
    """Returns a widget as it stands, as a piece of HTML for a page that also has `host_script`.

    Its stored data is in it, and its main numbers in words, which is what a reader sees where
    scripts do not run.

    Args:
        widget: any of the course's. One that fetches from Python on demand shows what it has;
            `AttentionExplorer(..., complete=True)` has everything.

    Example:
        >>> from bertedu.widgets import WordPieceExplorer
        >>> fragment(WordPieceExplorer("my dog"))[:55]
        '<div class="bertedu-still" data-widget="WordPieceExplor'
    """
    state = {name: _stored(widget, name) for name in widget.keys if not _is_jupyters(name)}
    state |= {name: {"value": value} for name, value in widget.carried().items()}
    name = escape(type(widget).__name__)
    asking = ""
    if isinstance(widget, AskingWidget) and (models := widget.checksums()):
        told = {"asked": [*widget._asked], "beside": [*widget.BESIDE], "models": models}
        asks = json.dumps(told)
        asking = f' data-asks="{escape(asks)}"'
    return (
        f'<div class="bertedu-still" data-widget="{name}"{asking}>'
        f'<script type="application/json">{_json(state)}</script>'
        f"{widget.to_words()}</div>"
    )


def engine_note(packs: Sequence[str], models: Mapping[str, str]) -> str:
    """Returns what a page says of its engine, for `host_script`; bert.js stands beside the page.

    Args:
        packs: the names of those that it wakes with, see `web_page.write_page`.
        models: by the checksum of what it can stand in for, see `AskingWidget.checksums`, the
            name of the pack; one that it does not wake with is loaded when a widget needs it.

    Example:
        >>> engine_note(["bert"], {"ab": "bert"})
        '<script type="application/json" id="bertedu-engine">{"packs": ["bert"], "models":
        {"ab": "bert"}}</script><script src="bert.js"></script>'
    """
    note = _json({"packs": [*packs], "models": {**models}})
    return (
        f'<script type="application/json" id="bertedu-engine">{note}</script>'
        '<script src="bert.js"></script>'
    )


def host_script(widgets: Iterable[Widget | type[Widget]]) -> str:
    """Returns what a page needs once, after its last `fragment`: styles, modules, and their host.

    Args:
        widgets: at least one of each class in the page, or the classes themselves.

    Example:
        >>> from bertedu.widgets import WordPieceExplorer
        >>> html = host_script([WordPieceExplorer("my dog"), WordPieceExplorer("he likes")])
        >>> html.count("<style>"), html.count("<script")
        (1, 2)
    """
    classes = {
        (widget if isinstance(widget, type) else type(widget)).__name__: widget
        for widget in widgets
    }
    styles = "".join(f"<style>{widget._css}</style>" for widget in classes.values())
    modules = {
        name: base64.b64encode(str(widget._esm).encode()).decode()
        for name, widget in classes.items()
    }
    host = (STATIC / "host.js").read_text(encoding="utf-8")
    return (
        f'{styles}<script type="application/json" id="bertedu-modules">'
        f"{_json(modules)}</script><script>{host}</script>"
    )


def to_html(widgets: Widget | Sequence[Widget], title: str = "bertedu") -> str:
    """Returns one page that holds the widgets and needs nothing else: no server, no network.

    Args:
        widgets: one, or several, which stand below each other.
        title: of the page, and its heading.

    Example:
        >>> from bertedu.widgets import WordPieceExplorer
        >>> html = to_html(WordPieceExplorer("my dog"), title="Pieces")
        >>> "<h1>Pieces</h1>" in html, "https:" in html
        (True, False)
    """
    every = [widgets] if isinstance(widgets, Widget) else list(widgets)
    name = escape(readable(title))
    body = "\n".join(map(fragment, every))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_PAGE_STYLE}</style></head>\n<body><h1>{name}</h1>\n{body}\n"
        f"{host_script(every)}</body></html>\n"
    )


def _is_jupyters(name: str) -> bool:
    """Whether a trait is the notebook's own business."""
    return name.startswith("_") or name in {"layout", "tabbable", "tooltip"}


def _stored(widget: Widget, name: str) -> dict[str, Any]:
    value = getattr(widget, name)
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    return {"value": value}


def _json(value: Any) -> str:
    """JSON that does not end the script that it stands in, nor begin another."""
    return json.dumps(value).replace("<", r"\u003c")
