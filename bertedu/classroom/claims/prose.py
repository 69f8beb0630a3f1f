"""The prose of a lesson, in passages: plain text that remembers its links, italics and code."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bertedu.classroom.claims.number import Number, numbers
from bertedu.classroom.editions import MARK


def parse(text: str) -> list[Any]:
    """Returns a text's tokens as the book reads it."""
    from bertedu.classroom.book.markdown import parser

    tokens: list[Any] = parser().parse(text)
    return tokens


@dataclass
class Passage:
    """A paragraph, an item of a list or a row of a table, in plain text.

    Args:
        text: without markup.
        pieces: where each text token of the parser begins in it.
        code: (start, end) of what is code or a formula.
        slanted: (start, end) of what is in italics.
        links: (start, end, address).
        said: what the pictures say that its links set, by the links' titles.
        title: the heading of level 2 or 3 that it stands under.
    """

    text: str = ""
    pieces: list[tuple[int, Any]] = field(default_factory=list)
    code: list[tuple[int, int]] = field(default_factory=list)
    slanted: list[tuple[int, int]] = field(default_factory=list)
    links: list[tuple[int, int, str]] = field(default_factory=list)
    said: str = ""

    def add(self, inline: Any) -> None:
        """Adds what the parser found in one block."""
        opened: list[tuple[int, str]] = []
        for token in inline.children or []:
            start = len(self.text)
            if token.type == "text":
                self.pieces.append((start, token))
                self.text += token.content
            elif token.type in {"softbreak", "hardbreak"}:
                self.text += " "
            elif token.type.startswith(("code", "math")):
                self.text += token.content
                self.code.append((start, len(self.text)))
            elif token.type == "strong_open" and not self.text:
                self.text = "**"
            elif token.type in {"em_open", "link_open"}:
                opened.append((start, str(token.attrGet("href") or "")))
                if "?" in opened[-1][1]:
                    self.said += f"{token.attrGet('title') or ''}; "
            elif token.type == "em_close":
                self.slanted.append((opened.pop()[0], start))
            elif token.type == "link_close":
                begun, address = opened.pop()
                self.links.append((begun, start, address))

    @cached_property
    def numbers(self) -> list[Number]:
        """The numbers in it, but for those in code and in marks."""
        marks = [match.span() for match in MARK.finditer(self.text)]
        return numbers(self.text, [*self.code, *marks])

    def sentence(self, place: int) -> tuple[int, int]:
        """Returns where the sentence around a place begins and ends."""
        ends = [0]
        for match in re.finditer(r"[.?!][\"*)]*(?:\{=[^}]+\})?\s+(?=[A-Z*\"(\d`])", self.text):
            before = self.text[: match.start()]
            if not re.search(r"(?:\bal|\bFig|\bvs|\*\*\d+)$", before):
                ends.append(match.end())
        ends.append(len(self.text))
        return max(e for e in ends if e <= place), min(e for e in ends if e > place)


def passages(tokens: Iterable[Any]) -> Iterator[Passage]:
    """Yields a text's passages in order; headings are none.

    Args:
        tokens: as the book's parser gives them.
    """
    row: Passage | None = None
    heading = False
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            heading = token.type == "heading_open"
        elif token.type == "tr_open":
            row = Passage()
        elif token.type == "tr_close" and row is not None:
            yield row
            row = None
        elif token.type == "inline" and row is not None:
            row.add(token)
            row.text += " | "
        elif token.type == "inline" and not heading:
            passage = Passage()
            passage.add(token)
            yield passage
