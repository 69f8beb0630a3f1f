"""The code cells of a lesson: every number that one shows, with the words beside it."""

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from typing import Any

from bertedu.classroom.claims.number import Number, numbers
from bertedu.classroom.editions import Edition

WORD = re.compile(r"[A-Za-z]+")
_LITTLE = (
    "the and for with from that this are was were has have had its not all one two but than only "
    "each can more most our out per about some same of in on at to by an as is it be or if so no "
    "what which how many also when where then them they you your gives give has into over under "
    "print for range len format fmt skip assert text"
)
_COMMON = frozenset(_LITTLE.split())
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Shown:
    """A number that a cell shows.

    Args:
        number: the number.
        kind: "output", "assertion" or "setting".
        line: the line that it stands in.
        words: the words of that line and of its table's head, as stems.
    """

    number: Number
    kind: str
    line: str
    words: frozenset[str]


@dataclass
class Cell:
    """A code cell as the ledger sees it.

    Args:
        lesson: its lesson, as "08".
        id: of the notebook's cell.
        place: its number among the lesson's cells.
        section: the number of the section (## heading) that it stands in.
        source: its code.
        printed: its outputs, in plain text.
    """

    lesson: str
    id: str
    place: int
    section: int
    source: str
    printed: str

    @cached_property
    def names(self) -> set[str]:
        """Every name in its code."""
        return set(re.findall(r"[A-Za-z_]\w*", self.source))

    @cached_property
    def assertions(self) -> list[str]:
        """Its assertions, each as it is written."""
        try:
            tree = ast.parse(self.source)
        except SyntaxError:  # a magic
            return []
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        lines = self.source.splitlines()
        return ["\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in found]

    @cached_property
    def shown(self) -> list[Shown]:
        """Every number in its outputs, assertions and code."""
        found = []
        head = ""
        for line in self.printed.splitlines():
            in_line = numbers(line)
            if not in_line:
                head = line if line.strip() else head
            words = stems(f"{line} {head}")
            found += [Shown(number, "output", line.strip(), words) for number in in_line]
        asserted = [" ".join(text.split()) for text in self.assertions]
        for text in asserted:
            found += [Shown(n, "assertion", text, stems(text)) for n in _constants(text)]
        for line in self.source.splitlines():
            found += [Shown(n, "setting", line.strip(), stems(line)) for n in _constants(line)]
        return found


def _constants(code: str) -> list[Number]:
    return numbers(re.sub(r"(?<=\d)_(?=\d)", "", re.sub(r"\[(.*?)\]|\*\*\s*\d", r" \1 ", code)))


def stem(word: str) -> str:
    """Returns a word without its ending, so that *layers* is *layer*."""
    word = word.lower()
    for ending in ("ies", "es", "s", "ed", "ing"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems(text: str) -> frozenset[str]:
    """Returns the stems of a text's words, but for the most frequent ones."""
    words = {word.lower() for word in WORD.findall(text.replace("_", " "))}
    return frozenset(stem(word) for word in words - _COMMON if len(word) > 1 or word.isupper())


def code_cells(edition: Edition, notebook: Any) -> list[Cell]:
    """Returns a notebook's code cells.

    Args:
        edition: which lesson.
        notebook: with its outputs.
    """
    cells, section = [], 0
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            section += len(re.findall(r"^## ", cell.source, re.MULTILINE))
        elif cell.cell_type == "code":
            printed = "\n".join(_printed(output) for output in cell.get("outputs", []))
            lesson = edition.source.stem[:2]
            cells.append(Cell(lesson, cell.id, place, section, cell.source, printed))
    return cells


def _printed(output: Any) -> str:
    if output.output_type == "stream":
        return _ANSI.sub("", output.text)
    data = output.get("data", {})
    text = data.get("text/plain", "")
    page = data.get("text/html") or data.get("text/markdown")
    if page and "<table" in page:
        rows = re.sub(r"</tr>|<br>", "\n", re.sub(r"</t[dh]>\s*", " | ", page))
        text = unescape(
            re.sub(r"<(?:style|script).*?</(?:style|script)>|<[^>]+>", "", rows, flags=re.DOTALL)
        )
    elif "text/markdown" in data:
        text = data["text/markdown"]
    return _ANSI.sub("", text)
