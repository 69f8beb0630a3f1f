"""One page of the book: its frame, its way to the other pages, and the widgets' host."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import bertedu.widgets
from bertedu.classroom.book.content import Content
from bertedu.widgets.palette import DARK, LIGHT
from bertedu.widgets.static_page import host_script

# Nothing from elsewhere, whatever a page asks for; `file:` is a page's neighbour on a disk.
_POLICY = (
    "default-src 'none'; script-src 'self' file: 'unsafe-inline' blob:; "
    "style-src 'self' file: 'unsafe-inline'; img-src data: blob:; frame-src 'self' data: blob:"
)
# What the palette leaves open, because no widget needs it.
_EXTRA = {
    "light": "--be-line:#d8dee4;--be-quiet:#f6f8fa",
    "dark": "--be-line:#3a4049;--be-quiet:#22252a",
}


@dataclass(frozen=True)
class Page:
    """A page that is ready to be written.

    Args:
        file: its name, as `05_self_attention.html`.
        title: as it stands in the list of pages.
        content: what is in it.
    """

    file: str
    title: str
    content: Content


def style() -> str:
    """Returns the colours of the book, light and dark, as CSS.

    Example:
        >>> "--be-paper:#ffffff" in style()
        True
    """
    rules = []
    for theme, colors in (("light", LIGHT), ("dark", DARK)):
        values = ";".join(f"--be-{name}:{color}" for name, color in colors.items())
        rules.append((f"color-scheme:{theme};{values};{_EXTRA[theme]}", theme))
    (light, _), (dark, _) = rules
    return (
        f":root{{{light}}}\n@media(prefers-color-scheme:dark){{:root:not([data-theme]){{{dark}}}}}\n"
        f':root[data-theme="dark"]{{{dark}}}\n'
    )


def to_html(page: Page, pages: Sequence[Page]) -> str:
    """Returns a page as HTML.

    Args:
        page: the one.
        pages: all of the book, in the order in which it is read.
    """
    widgets = [getattr(bertedu.widgets, name) for name in sorted(page.content.classes)]
    host = host_script(widgets) if widgets else ""
    title = escape(page.title)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{title} · bertedu</title><link rel="stylesheet" href="book.css"></head>\n'
        '<body><a class="book-skip" href="#book-main">Skip to the text</a>\n'
        '<header class="book-bar"><a class="book-name" href="index.html">bertedu</a>'
        '<div class="book-search" role="search"><input id="book-query" type="search" '
        'placeholder="Search  ( / )" aria-label="Search the book" autocomplete="off">'
        '<ul id="book-results" hidden></ul></div>'
        '<button id="book-theme" type="button">Dark</button></header>\n'
        '<script src="book.js"></script>\n'
        f'<div class="book-page">{_contents(page, pages)}\n'
        f'<main id="book-main">\n{page.content.html}{_turn(page, pages)}</main></div>\n'
        f'<script src="deck.js"></script>\n{host}</body></html>\n'
    )


def search_index(pages: Sequence[Page]) -> str:
    """Returns the script that the search reads: every section of every page, in plain text.

    Args:
        pages: all of the book.
    """
    sections = [
        {
            "page": page.file,
            "lesson": page.title,
            "anchor": section.anchor,
            "title": section.title,
            "text": " ".join(" ".join(section.text).split()),
        }
        for page in pages
        for section in page.content.sections
    ]
    return f"window.BOOK_SECTIONS = {json.dumps(sections, ensure_ascii=False)};\n"


def _contents(page: Page, pages: Sequence[Page]) -> str:
    items = []
    for other in pages:
        here = ' aria-current="page"' if other is page else ""
        inner = "".join(
            f'<li><a href="#{section.anchor}">{escape(section.title)}</a></li>'
            for section in page.content.sections
            if other is page and section.level == 2
        )
        nested = f"<ul>{inner}</ul>" if inner else ""
        items.append(f'<li><a href="{other.file}"{here}>{escape(other.title)}</a>{nested}</li>')
    return (
        '<nav class="book-contents" aria-label="Pages"><div tabindex="0"><ul>'
        f"{''.join(items)}</ul></div></nav>"
    )


def _turn(page: Page, pages: Sequence[Page]) -> str:
    place = next(number for number, other in enumerate(pages) if other is page)
    links = []
    if place > 0:
        before = pages[place - 1]
        links.append(
            f'<a rel="prev" href="{before.file}"><small>Previous</small>{escape(before.title)}</a>'
        )
    if place + 1 < len(pages):
        after = pages[place + 1]
        links.append(
            f'<a rel="next" href="{after.file}"><small>Next</small>{escape(after.title)}</a>'
        )
    return f'<nav class="book-turn" aria-label="Previous and next">{"".join(links)}</nav>\n'
