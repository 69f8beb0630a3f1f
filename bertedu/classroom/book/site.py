"""The course as a book of static pages, which open from a disk, without a kernel or a network.

A host of our own rather than Sphinx: the widgets need one anyway (`widgets/static_page.py`), and
what remains is Markdown, code and pictures, which packages of the lab's render already.
"""

import argparse
import base64
import shutil
import tempfile
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from bertedu.classroom.book.content import Content
from bertedu.classroom.book.notebooks import executed_lesson
from bertedu.classroom.book.page import Page, search_index, style, to_html
from bertedu.classroom.lessons import APPENDICES, LESSONS, course_map
from bertedu.classroom.notebook_editions import editions
from bertedu.classroom.notebooks import CellError
from bertedu.errors import InputError

_STATIC = Path(__file__).with_name("static")
_TEXTS = {  # file of the repository: (page, its title)
    "docs/glossary.md": ("glossary.html", "Glossary"),
    "docs/teaching.md": ("teaching.html", "Teaching"),
    "README.md": ("about.html", "About"),
}
MOST_BYTES = 25_000_000


def write(
    root: Path, out: Path, names: Sequence[str] | None = None, say: Callable[[str], None] = print
) -> list[Page]:
    """Writes the book, and returns its pages.

    Args:
        root: the folder of course/ and docs/.
        out: the folder to write to; a book that is there is replaced, and nothing else ever is.
        names: the lessons to put in, by name or number; None for all.
        say: receives each line of progress.

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
    pages = [Page("index.html", "The course", _index(links))]
    failures = []
    for edition in lessons:
        try:
            notebook = executed_lesson(edition, root / "build" / "book-cache")
        except CellError as error:  # the others are executed all the same, and kept
            failures.append(f"{edition.name}, {error}")
            continue
        content = Content(links)
        for cell in notebook.cells:
            content.add_cell(cell, notebook.metadata["widgets"])
        pages.append(Page(links[edition.source.stem], _title(edition.source.stem), content))
        say(f"{edition.name}  {len(content.html) / 1000:.0f} kB")
    if failures:
        raise CellError("\n".join(failures))
    for name, (file, title) in texts.items():
        content = Content(links)
        content.add_markdown((root / name).read_text(encoding="utf-8"))
        pages.append(Page(file, title, content))
    _write(pages, out)
    return pages


def _write(pages: Sequence[Page], out: Path) -> None:
    """Puts the finished book in its place, whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        book = Path(temporary) / "book"
        book.mkdir()
        for page in pages:
            (book / page.file).write_text(to_html(page, pages), encoding="utf-8")
        css = style() + (_STATIC / "book.css").read_text(encoding="utf-8")
        (book / "book.css").write_text(css, encoding="utf-8")
        for script in ("book.js", "deck.js"):
            shutil.copyfile(_STATIC / script, book / script)
        (book / "search.js").write_text(search_index(pages), encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        book.replace(out)


def _index(links: dict[str, str]) -> Content:
    from bertedu.widgets import WordPieceExplorer
    from bertedu.widgets.static_page import fragment

    content = Content(links)
    content.add_markdown(
        "# Where BERT is learned\n\n"
        "A student's lecture notes on BERT, made alive: every number was computed on its page, "
        "every claim is an assertion, and every picture can be touched. These pages need neither "
        "Python nor a network. What would need Python, such as a text of your own, is off here, "
        "and says so; the notebooks have it."
    )
    content.add_html(f"{fragment(WordPieceExplorer('my dog is cute', 'he likes playing'))}\n")
    content.classes.add("WordPieceExplorer")
    content.add_markdown("## The map")
    drawing = course_map()
    content.add_html(_png(drawing._repr_png_(), repr(drawing)))
    content.add_markdown("## The lessons")
    start = {"00_start_here": "What is all this, and does it run here?"}
    items = [
        f"<li>{_linked(name, links)}{_slides(name, links)}<span>{escape(question)}</span></li>"
        for name, question in {**start, **LESSONS, **APPENDICES}.items()
    ]
    content.add_html(f'<ul class="book-lessons">{"".join(items)}</ul>\n')
    return content


def _linked(name: str, links: dict[str, str]) -> str:
    title = escape(_title(name))
    return f'<a href="{links[name]}">{title}</a>' if name in links else title


def _slides(name: str, links: dict[str, str]) -> str:
    return f' <small><a href="{links[name]}?slides">slides</a></small>' if name in links else ""


def _png(picture: bytes, alt: str) -> str:
    data = base64.b64encode(picture).decode()
    image = f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'
    return f'<figure class="book-figure">{image}</figure>\n'


def _title(stem: str) -> str:
    number, _, words = stem.replace("_", " ").partition(" ")
    return f"{number} · {words}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `bertedu site`.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "--notebooks", nargs="+", metavar="NAME", help="a part only, by name or number"
    )
    parser.add_argument("--out", type=Path, help="the folder to write (default: build/site)")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the folder of course/ (default: this one)"
    )


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
        pages = write(root, out.resolve(), args.notebooks, say)
    except CellError as error:
        say(f"FAILED in {error}")
        return 1
    size = sum(file.stat().st_size for file in out.iterdir())
    say(f"{len(pages)} pages, {size / 1e6:.1f} MB: open {out / 'index.html'}")
    if size > MOST_BYTES:
        say(f"too large: a book may have {MOST_BYTES / 1e6:.0f} MB")
    return 1 if size > MOST_BYTES else 0
