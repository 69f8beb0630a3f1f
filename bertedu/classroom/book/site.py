"""The course as a book of static pages, which open from a disk, without a kernel or a network.

A host of our own rather than Sphinx: the widgets need one anyway (`widgets/static_page.py`), and
what remains is Markdown, code and pictures, which packages of the lab's render already. A lesson
is executed, its cells become a page's `Content`, and the pages get one frame.
"""

import argparse
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any

import bertedu.widgets
from bertedu import finetuning
from bertedu.bert import Bert, load
from bertedu.classroom.book.content import Content, Section
from bertedu.classroom.book.ledger import FILTER, LEDGER, entries, page_data, today
from bertedu.classroom.claims import Claim, claims
from bertedu.classroom.claims.cells import Cell, code_cells
from bertedu.classroom.editions import Edition, add_root, editions, unexecuted
from bertedu.classroom.lessons import COURSE, CourseMap
from bertedu.classroom.notebooks import CellError, executed
from bertedu.errors import InputError
from bertedu.finetuning import graduates
from bertedu.finetuning.adapters import base_checksum
from bertedu.utils.files import replacing
from bertedu.widgets.palette import DARK, LIGHT
from bertedu.widgets.static_page import engine_note, fragment, host_script
from bertedu.widgets.time_machine import the_film
from bertedu.widgets.web_pack import (
    finetuned_checksum,
    model_checksum,
    tokenizer_checksum,
    web_pack,
)
from bertedu.widgets.web_page import BASE, write_pack, write_page

_STATIC = Path(__file__).with_name("static")
_TEXTS = {  # file of the repository: (page, its title)
    "docs/notes.md": ("notes.html", "The lecture notes"),
    "docs/glossary.md": ("glossary.html", "Glossary"),
    "docs/teaching.md": ("teaching.html", "Teaching"),
    "docs/architecture.md": ("architecture.html", "Where everything lives"),
    "README.md": ("about.html", "About"),
}
TRY_IT = "try_it.html"
MOST_BYTES = 25_000_000
_NO_MODELS: Mapping[str, str] = MappingProxyType({})
PACKAGE = Path(__file__).parents[2]
# Nothing from elsewhere, whatever a page asks for; `file:` is a page's neighbour on a disk.
_POLICY = (
    "default-src 'none'; script-src 'self' file: 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
    "worker-src blob:; connect-src 'self'; "
    "style-src 'self' file: 'unsafe-inline'; img-src data: blob:; frame-src 'self' data: blob:"
)
# What the palette leaves open, because no widget needs it.
_LIGHT = {"line": "#d8dee4", "quiet": "#f6f8fa"}
_DARK = {"line": "#3a4049", "quiet": "#22252a"}


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


def write(
    root: Path,
    out: Path,
    names: Sequence[str] | None = None,
    say: Callable[[str], None] = print,
    bert: Bert | None = None,
) -> list[Page]:
    """Writes the book, and returns its pages.

    Args:
        root: the folder of course/ and docs/.
        out: the folder to write to; a book that is there is replaced, and nothing else ever is.
        names: the lessons to put in, by name or number; None for all.
        say: receives each line of progress.
        bert: a model to put into the book, which then answers what is typed; None for none.

    Raises:
        InputError: a name that fits no lesson, or a folder that holds something else.
        CellError: a cell that fails.
    """
    if out.exists() and any(out.iterdir()) and not (out / "book.css").exists():
        raise InputError(f"{out} is not empty and is no book: name another folder with --out")
    lessons = [edition for edition in editions(root, list(names or [])) if not edition.solved]
    links = {edition.source.stem: f"{edition.source.stem}.html" for edition in lessons}
    texts = {name: page for name, page in _TEXTS.items() if (root / name).exists()}
    links |= {Path(name).stem: file for name, (file, _) in texts.items()}
    if bert is not None:
        links |= {Path(TRY_IT).stem: TRY_IT}
    pages = [Page("index.html", "The course", _index(links, bert))]
    failures, notebooks = [], {}
    for edition in lessons:
        try:
            notebooks[edition] = executed_lesson(edition, root / "build" / "book-cache")
        except CellError as error:  # the others are executed all the same, and kept
            failures.append(f"{edition.name}, {error}")
    if failures:
        raise CellError("\n".join(failures))
    pages += lesson_pages(notebooks, links, say)
    for name, (file, title) in texts.items():
        content = Content(links)
        content.add_markdown((root / name).read_text(encoding="utf-8"))
        pages.append(Page(file, title, content))
    _write(pages, out, bert)
    return pages


def lesson_pages(
    notebooks: Mapping[Edition, Any],
    links: dict[str, str],
    say: Callable[[str], None] = lambda _: None,
) -> list[Page]:
    """Returns the lessons' pages and, after them, that of all their claims.

    Args:
        notebooks: each lesson executed.
        links: where a link to each file leads, by its stem; the page of claims is added.
        say: receives each line of progress.
    """
    links[Path(LEDGER).stem] = LEDGER
    cells: dict[str, list[Cell]] = {
        edition.source.stem[:2]: code_cells(edition, notebook)
        for edition, notebook in notebooks.items()
    }
    numbered = {stem[:2]: page for stem, page in links.items() if stem[:2] in cells}
    pages = []
    ledger = Content(links)
    ledger.add_markdown(
        "# Claims\n\nEach number of the lessons' text, and what it rests on: the cell that shows "
        "it, with its assertion and the day on which it ran, or a source. A click on a number "
        "leads to its place in the text; a click there opens the cell. Numbers of lessons, "
        "sections and years are left out."
    )
    ledger.add_html(FILTER)
    for edition, notebook in notebooks.items():
        stem = edition.source.stem
        content = Content(links)
        found: list[list[Claim]] = claims(edition, notebook, cells)
        for place, cell in enumerate(notebook.cells):
            content.add_cell(cell, notebook.metadata["widgets"], place, found[place])
        executed_on = notebook.metadata.get("executed", "")
        if content.claims:
            content.add_html(page_data(content.claims, numbered, executed_on))
        pages.append(Page(links[stem], _title(stem), content))
        ledger.add_html(f'<h2 id="{stem[:2]}"><a href="{links[stem]}">{_title(stem)}</a></h2>\n')
        ledger.sections.append(Section(2, stem[:2], _title(stem)))
        ledger.add_html(entries(content.claims, links[stem], executed_on))
        say(f"{edition.name}  {len(content.html) / 1000:.0f} kB")
    return [*pages, Page(LEDGER, "Claims", ledger)]


def _write(pages: Sequence[Page], out: Path, bert: Bert | None) -> None:
    """Puts the finished book in its place, whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        book = Path(temporary) / "book"
        book.mkdir()
        models = {} if bert is None else _write_models(bert, book)
        if models and any("TimeMachine" in page.content.classes for page in pages):
            models |= _write_film(book)
        for page in pages:
            (book / page.file).write_text(to_html(page, pages, models), encoding="utf-8")
        css = style() + (_STATIC / "book.css").read_text(encoding="utf-8")
        (book / "book.css").write_text(css, encoding="utf-8")
        for script in ("book.js", "claims.js", "deck.js"):
            shutil.copyfile(_STATIC / script, book / script)
        (book / "search.js").write_text(search_index(pages), encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        book.replace(out)


def _write_models(bert: Bert, book: Path) -> dict[str, str]:
    """Writes a model's page and pack, and the packs of the graduates that stand on it.

    Returns:
        The name of the pack that stands in for a checksum, as `engine_note` takes them.
    """
    write_page(bert, book, TRY_IT)
    models = {tokenizer_checksum(bert.tokenizer): BASE, model_checksum(bert): BASE}
    encoder = base_checksum(bert.model.state_dict())
    for name in graduates.names():
        tuned = finetuning.load(name)
        if tuned.base and tuned.base.sha256 == encoder and (own := finetuned_checksum(tuned)):
            write_pack(name, web_pack(tuned), book)
            models[own] = name
    return models


def _write_film(book: Path) -> dict[str, str]:
    """Writes the packs of the time machine's checkpoints; returns their names by checksum."""
    film = the_film()
    models = {}
    for place, moment in enumerate(film.moments):
        name = f"film-{moment.steps:07}"
        write_pack(name, web_pack(film[place]), book)
        models[model_checksum(film[place])] = name
    return models


def _index(links: dict[str, str], bert: Bert | None) -> Content:
    content = Content(links)
    typing = (
        "What would need Python, such as a text of your own, is off here, and says so; the "
        "notebooks have it."
        if bert is None
        else "A BERT is in them: type a sentence of your own here, or a text into any picture that "
        f"takes one; [another page]({TRY_IT}) compares its numbers with PyTorch's. "
        "What only Python can answer, as of a model that a lesson trains, is off here and says so; "
        "the notebooks have it."
    )
    content.add_markdown(
        "# Where BERT is learned\n\n"
        "BERT learned its language by guessing hidden words. Try it: choose an example, and click "
        "a word to hide it."
    )
    content.add_html(f"{fragment(bertedu.widgets.TryIt(bert=bert))}\n")
    content.classes.add("TryIt")
    content.add_markdown(
        "A student's lecture notes on BERT, made alive: every number was computed on its page, "
        "every claim is an assertion, and every picture can be touched. [The page of claims]"
        f"({LEDGER}) leads from each number to the line that computed it. These pages need neither "
        f"Python nor a network. {typing}"
    )
    content.add_markdown("## The map")
    content.add_wide(
        CourseMap(
            {stem[:2]: page for stem, page in links.items() if stem[0].isdigit()}
        )._repr_html_()
    )
    content.add_markdown("## The lessons")
    items = []
    for lesson in COURSE:
        title, page = escape(_title(lesson.name)), links.get(lesson.name)
        slides = f' <small><a href="{page}?slides">slides</a></small>' if page else ""
        linked = f'<a href="{page}">{title}</a>' if page else title
        items.append(f"<li>{linked}{slides}<span>{escape(lesson.question)}</span></li>")
    content.add_html(f'<ul class="book-lessons">{"".join(items)}</ul>\n')
    return content


def _title(stem: str) -> str:
    number, _, words = stem.replace("_", " ").partition(" ")
    return f"{number} · {words}"


# ---- a lesson, executed


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
    edition.path.parent.mkdir(parents=True, exist_ok=True)
    notebook = executed(notebook, edition.path.parent)
    notebook.metadata["executed"] = today()
    cache.mkdir(parents=True, exist_ok=True)
    for old in cache.glob(f"{edition.source.stem}-*.ipynb"):
        old.unlink()
    with replacing(file) as temporary:
        nbformat.write(notebook, temporary)  # type: ignore[no-untyped-call]
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


# ---- a page


def style() -> str:
    """Returns the colours of the book, light and dark, as CSS.

    Example:
        >>> "--be-paper:#ffffff" in style()
        True
    """
    light, dark = (
        f"color-scheme:{theme};"
        + ";".join(f"--be-{name}:{color}" for name, color in {**colors, **extra}.items())
        for theme, colors, extra in (("light", LIGHT, _LIGHT), ("dark", DARK, _DARK))
    )
    return (
        f":root{{{light}}}\n@media(prefers-color-scheme:dark){{:root:not([data-theme]){{{dark}}}}}\n"
        f':root[data-theme="dark"]{{{dark}}}\n'
    )


def to_html(page: Page, pages: Sequence[Page], models: Mapping[str, str] = _NO_MODELS) -> str:
    """Returns a page as HTML.

    Args:
        page: the one.
        pages: all of the book, in the order in which it is read.
        models: what the engine beside the page can stand in for, see `engine_note`.
    """
    widgets = [getattr(bertedu.widgets, name) for name in sorted(page.content.classes)]
    host = host_script(widgets) if widgets else ""
    if models:
        host = engine_note([BASE], models) + host
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
        f'<script src="claims.js"></script><script src="deck.js"></script>\n{host}</body></html>\n'
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
    place = pages.index(page)
    links = "".join(
        f'<a rel="{rel}" href="{other.file}"><small>{word}</small>{escape(other.title)}</a>'
        for rel, word, others in (
            ("prev", "Previous", pages[max(place - 1, 0) : place]),
            ("next", "Next", pages[place + 1 : place + 2]),
        )
        for other in others
    )
    return f'<nav class="book-turn" aria-label="Previous and next">{links}</nav>\n'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `bertedu site`.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "--notebooks", nargs="+", metavar="NAME", help="a part only, by name or number"
    )
    parser.add_argument(
        "--bert", action="store_true", help="put the course's model in, to answer what is typed"
    )
    parser.add_argument("--out", type=Path, help="the folder to write (default: build/site)")
    add_root(parser)


def run(args: argparse.Namespace, say: Callable[[str], None] = print) -> int:
    """Returns 0 when the book is written, 1 when a lesson fails or the book is too large.

    Args:
        args: as `add_arguments` describes them.
        say: receives each line of progress.

    Raises:
        InputError: no course/ here, or a name that fits no lesson.
    """
    root: Path = args.root.resolve()
    if not (root / "course").is_dir():
        raise InputError(f"no course/ in {root}: run this in the repository, or give --root")
    out: Path = args.out or root / "build" / "site"
    try:
        bert = load() if args.bert else None
        pages = write(root, out.resolve(), args.notebooks, say, bert)
    except CellError as error:
        say(f"FAILED in {error}")
        return 1
    files = [file for file in out.iterdir() if ".pack" not in file.suffixes]  # which load later
    size = sum(file.stat().st_size for file in files)
    say(f"{len(pages)} pages, {size / 1e6:.1f} MB: open {out / 'index.html'}")
    if size > MOST_BYTES:
        say(f"too large: a book may have {MOST_BYTES / 1e6:.0f} MB")
    return 1 if size > MOST_BYTES else 0
