"""What stands in a page of the book: Markdown, code and outputs as HTML, cut into sections."""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from bertedu.classroom.book.ledger import mark
from bertedu.classroom.book.markdown import code, parser
from bertedu.classroom.claims import Claim
from bertedu.classroom.editions import STRIP
from bertedu.classroom.stills import WIDGET_VIEW, as_image

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LESSON = re.compile(r' href="(?P<stem>\d\d_\w+)\.ipynb"')
_PICTURE = re.compile(r"<picture>.*?</picture>\n?|<!--.*?-->", re.DOTALL)
_WITHIN = re.compile(r' href="#(?P<title>[^"]+)"')  # a heading, as JupyterLab names it
_TAG = re.compile(r"<[^>]+>")
_TO_WIDGET = re.compile(r'<a href="#(?P<place>(?P<kind>[A-Z]\w*)\?[^"]*)"')
_WIDGET = re.compile(r'<div class="bertedu-still" data-widget="(?P<kind>\w+)"[^>]*>')
_RIGHT = re.compile(r'<details class="option">(?=<summary>.*\n<p><strong>Yes)')


@dataclass
class Section:
    """A heading and the text below it, as the search looks through them.

    Args:
        level: 1 for the page's title.
        anchor: the heading's id.
        title: the heading, in plain text.
        text: what follows, in plain text.
    """

    level: int
    anchor: str
    title: str
    text: list[str] = field(default_factory=list)


class Content:
    r"""The body of one page, which grows by Markdown and by a notebook's cells.

    Args:
        pages: where a link to each file of the repository leads in the book, by its stem.

    Example:
        >>> content = Content({"glossary": "glossary.html"})
        >>> content.add_markdown("# Dogs\n\nA [word](docs/glossary.md#text), a [file](Makefile).")
        >>> print(content.html)
        <h1 id="dogs">Dogs</h1>
        <p>A <a href="glossary.html#text">word</a>, a <span>file</span>.</p>
        <BLANKLINE>
        >>> content.sections[0].title, content.sections[0].text
        ('Dogs', ['A word, a file.'])
    """

    def __init__(self, pages: Mapping[str, str]) -> None:
        self.pages = pages
        self.sections: list[Section] = []
        self.classes: set[str] = set()
        self.claims: list[Claim] = []
        self._blocks: list[str] = []
        self._anchors: set[str] = set()
        self._unlinked = False

    @property
    def html(self) -> str:
        """Everything so far."""
        return _with_places("".join(self._blocks))

    def add_markdown(self, text: str, claims: Sequence[Claim] = ()) -> None:
        """Adds a text; HTML in it is shown, not obeyed, but for what folds a part of it.

        A <picture> is left out, like every picture that is a file, and so are comments.

        Args:
            text: in Markdown, with tables and $formulas$.
            claims: one for each number in it, or none.

        Raises:
            InputError: a formula that cannot be set.
        """
        reader = parser()
        tokens = reader.parse(_PICTURE.sub("", text))
        for token, following in zip(tokens, [*tokens[1:], None], strict=True):
            if token.type == "heading_open" and following is not None:
                title = _plain(reader.renderer.render([following], reader.options, {}))
                anchor = self._anchor(title)
                token.attrSet("id", anchor)
                self.sections.append(Section(int(token.tag[1]), anchor, title))
            elif token.type == "inline":
                for child in token.children or []:
                    self._lead(child)
                if self.sections and following is not None and following.type != "heading_close":
                    self._found(_plain(reader.renderer.render([token], reader.options, {})))
            elif token.type == "html_block":
                self._found(_plain(token.content))
        if claims:
            mark(tokens, claims, len(self.claims))
            self.claims += claims
        page = str(reader.renderer.render(tokens, reader.options, {}))
        self._blocks.append(_RIGHT.sub('<details class="option right">', page))

    def add_html(self, text: str) -> None:
        """Adds HTML as it is.

        Args:
            text: of our own making.
        """
        self._blocks.append(text)

    def add_wide(self, text: str) -> None:
        """Adds HTML that may need to be scrolled sideways; its links to lessons lead to pages.

        Args:
            text: an output's.
        """

        def lead(link: re.Match[str]) -> str:
            page = self.pages.get(link["stem"])
            return f' href="{page}"' if page else ""

        def lead_within(link: re.Match[str]) -> str:
            return f' href="#{_slug(link["title"])}"'

        page = _WITHIN.sub(lead_within, _LESSON.sub(lead, text))
        self.add_html(f'<div class="book-wide" tabindex="0">{page}</div>')

    def add_png(self, picture: bytes, alt: str) -> None:
        """Adds a picture.

        Args:
            picture: the file.
            alt: what it shows, in words.
        """
        self.add_html(_picture(as_image(picture, "png", alt)))

    def add_cell(
        self,
        cell: Any,
        widgets: Mapping[str, Mapping[str, str]],
        place: int = 0,
        claims: Sequence[Claim] = (),
    ) -> None:
        """Adds a notebook's cell, with its outputs.

        Args:
            cell: Markdown or code.
            widgets: as `live_widgets` gives them.
            place: its number in the notebook.
            claims: one for each number of its text, or none.
        """
        if STRIP in cell.metadata.get("tags", []):
            return  # the book has its own list of pages
        if cell.cell_type == "markdown":
            self.add_markdown(cell.source, claims)
            return
        if cell.cell_type != "code" or not cell.source.strip():
            return
        self.add_html(f'<div class="book-cell" id="cell-{place}">{code(cell.source)}')
        self._found(cell.source)
        for output in cell.outputs:
            self._add_output(output, widgets)
        self.add_html("</div>\n")

    def _add_output(self, output: Any, widgets: Mapping[str, Mapping[str, str]]) -> None:
        if output.output_type == "stream":
            self.add_html(_printed(output.text))
            return
        if output.output_type == "error":
            self.add_html(_printed("\n".join(output.traceback)))
            return
        data = output.data
        model = data.get(WIDGET_VIEW, {}).get("model_id")
        if model in widgets:
            self.classes.add(widgets[model]["class"])
            self.add_html(widgets[model]["html"])
        elif "text/html" in data:
            self.add_wide(data["text/html"])
        elif "image/svg+xml" in data:
            self.add_html(
                _picture(as_image(data["image/svg+xml"].encode(), "svg+xml", self._alt(data)))
            )
        elif "image/png" in data:
            self.add_png(base64.b64decode(data["image/png"]), self._alt(data))
        elif "text/markdown" in data:
            self.add_markdown(data["text/markdown"])
        elif "text/plain" in data:
            self.add_html(_printed(data["text/plain"]))

    def _alt(self, data: Mapping[str, str]) -> str:
        """What a picture shows: its own words, or else the heading that it stands under."""
        words = data.get("text/plain", "")
        if words and not words.startswith("<"):
            return words
        return f"Figure: {self.sections[-1].title}" if self.sections else "Figure"

    def _anchor(self, title: str) -> str:
        """An id as GitHub makes it from a heading."""
        name = _slug(title) or "section"
        anchor, number = name, 0
        while anchor in self._anchors:
            number += 1
            anchor = f"{name}-{number}"
        self._anchors.add(anchor)
        return anchor

    def _lead(self, token: Any) -> None:
        """Turns a link to a file into one to its page, and one that has none into plain text."""
        if token.type == "image" and not str(token.attrGet("src")).startswith("data:"):
            token.type, token.tag, token.attrs = "text", "", {}
            token.content = ""
        if token.type == "link_close" and self._unlinked:
            token.tag, self._unlinked = "span", False
        if token.type != "link_open":
            return
        address = str(token.attrGet("href"))
        if address.startswith(("https:", "http:", "#", "mailto:")):
            return
        path, mark, anchor = address.partition("#")
        stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        elsewhere = "solutions/" in path or (stem == "README" and path.strip("./") != "README.md")
        if elsewhere or stem not in self.pages:
            token.tag, token.attrs, self._unlinked = "span", {}, True
        else:
            token.attrSet("href", self.pages[stem] + mark + anchor)

    def _found(self, text: str) -> None:
        if self.sections:
            self.sections[-1].text.append(text)


def _slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _printed(text: str) -> str:
    plain = html.escape(_ANSI.sub("", text).rstrip("\n"))
    return f'<pre class="book-printed" tabindex="0">{plain}</pre>\n' if plain else ""


def _picture(image: str) -> str:
    return f'<figure class="book-figure" tabindex="0">{image}</figure>\n'


def _with_places(page: str) -> str:
    """A page in which a link that sets a widget also leads there where no script runs."""
    widgets = [*_WIDGET.finditer(page)]
    places: dict[int, list[str]] = {}
    for link in _TO_WIDGET.finditer(page):
        ends = [widget.end() for widget in widgets if widget["kind"] == link["kind"]]
        if ends and not any(link["place"] in others for others in places.values()):
            target = next((end for end in ends if end > link.start()), ends[-1])
            places.setdefault(target, []).append(link["place"])
    for end in sorted(places, reverse=True):
        anchors = (html.escape(unquote(html.unescape(place))) for place in places[end])
        spans = "".join(f'<span id="{anchor}"></span>' for anchor in anchors)
        page = page[:end] + spans + page[end:]
    return page


def _plain(markup: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", markup)).split())
