r"""The ledger of claims: where each number in a lesson's prose comes from.

A number of a text is followed to the code cell that shows it: in an assertion, in an output, or
as a setting. The number must be there, to the digits that the text gives; the nearest cell wins,
and a number that could be anything (a small one) needs a word beside it that is beside it there,
too. What no cell computes has a source, or says in which way it claims nothing: it counts lessons
or sections, belongs to a question, or defines a sign. A number without any of these is a finding.

Where this does not suffice, a mark in the source, `{=share}`, binds the numbers before it in its
sentence to the cell that has the name `share` (`{=05:share}`: of lesson 05), to a source
(`{=source Liu et al. 2019}`; `{=paper}` is Devlin et al. 2019), or to one of the kinds below
(`{=given}`; `{=#}` is a place). Readers see no mark.
"""

import argparse
import ast
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

from bertedu.classroom.notebooks import MARK, Edition, editions, unexecuted
from bertedu.errors import InputError

KINDS = {
    "output": "shown by a cell",
    "assertion": "asserted in a cell",
    "setting": "set in a cell",
    "arithmetic": "worked out in the text, and by the build again",
    "picture": "shown by a picture that the link sets",
    "source": "cited",
    "quoted": "part of a text that is quoted",
    "given": "given in a question or an exercise",
    "definition": "a convention, a definition or a formula",
    "place": "a lesson, a section, an item of a list",
    "name": "part of a name, a version, a year or a number of an issue",
    "estimate": "the reader's own time or cost",
}
COMPUTED = ("output", "assertion", "setting")
FOLLOWED = {*COMPUTED, "arithmetic", "picture", "source"}  # what the book marks

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)*(?:e[-+]?\d+)?"
_NUMBER = re.compile(
    rf"(?<![\w.])(?<![A-Za-z]-)(?P<sign>[-+−]?)(?P<digits>{_DIGITS})(?P<suffix>[MBk]\b)?"
)
_SUFFIX = {"k": 1e3, "M": 1e6, "B": 1e9, "million": 1e6, "billion": 1e9}
_WORD = re.compile(r"[A-Za-z]+")
_LIST = r"(?:\s*(?:,? and|,? or|,|to|-|/)\s+#?§?{0})*"
_ONE = r"#?(?:[A-E]\.)?\d+(?:\.\d+)*[a-c]?"
_PLACE = re.compile(
    r"\b(?:lessons?|sections?|exhibits?|questions?|exercises?|cases?|tables?|figures?|appendi(?:x|ces)"
    r"|rooms?|panels?|tasks?|footnotes?|pull requests?|issues?|examples?)\s+"
    + _ONE + _LIST.format(_ONE)
    + r"|§" + _ONE + _LIST.format(_ONE)
    + r"|(?<![\d.,])(?:0\d|1[0-5])(?=[,. )':]|$)(?:(?:, | and | to | or )(?:0\d|1[0-4])\b)+"
    + r"|(?<![\d.,])0\d\b(?![.,]\d)",
    re.IGNORECASE,
)  # fmt: skip
_ITEM = re.compile(r"\*\*\d+[a-z]?\.")
_NAME = re.compile(
    r"\b(?:SQuAD|CMRC|Python|PyTorch|transformers|JupyterLab|Notebook|MNLI|Unicode|CoNLL) "
    r"\d+(?:\.\d+)*|#\d+|arXiv:\d+\.\d+|\b(?:19[5-9]|20[0-3])\d\b(?! (?:tokens|steps|rows))"
)
_CITED = re.compile(
    r"[A-Z][\w-]+(?: et al\.| (?:and|&) [A-Z][\w-]+)?,? \(?(?:19|20)\d\d"
    r"(?:,? \(?arXiv:\d+\.\d+\)?)?(?:, (?:Table|appendix|§|abstract)[^.;)]*)?|arXiv:\d+\.\d+"
    r"|\b[\w-]+/[\w.-]+(?: ?#\d+|, README)|§\d[\d.]*"
    r"|\b[Tt]he paper(?:'s)?\b|\b[Tt]he authors?\b|\bREADME\b|\b[Ii]ts card\b|\bappendix [A-E]"
)
_EXPRESSION = re.compile(
    r"(?:[-−√(]|\b(?:log|ln)\s|\d)(?:[\d\s.,+\-−·×/()^√=≈⁰¹²³⁴⁵⁶⁷⁸⁹]|\b(?:log|ln)\b)*"
    r"[\d)⁰¹²³⁴⁵⁶⁷⁸⁹]"
)
_FORMULA = re.compile(
    r"\d[\d.]* ?[·×] ?(?:[A-Za-z]\b|√)|\b\d+ [A-Z]\b(?= [+·)]|[.,)]| numbers)"
    r"|[A-Z] ?[-+·×] ?\d[\d.]*(?![\d.]*[\d%])|\d[\d.]* · √?\([^)]*\)|\b[a-z] \(1 - [a-z]\)"
    r"|\b(?:80/10/10|100/0/0|80/0/20)\b|e\^\(?s? ?\+? ?\d+"
)
_UNITS = {"point", "percent", "second", "minute", "hour", "day", "dollar", "gb", "mb", "layer"}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_LITTLE = (
    "the and for with from that this are was were has have had its not all one two but than only "
    "each can more most our out per about some same of in on at to by an as is it be or if so no "
    "what which how many also when where then them they you your gives give has into over under "
    "print for range len format fmt skip assert text"
)
_COMMON = frozenset(_LITTLE.split())
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Number:
    """A number as it is written.

    Args:
        start: where it begins in its passage.
        end: where it ends, with its percent sign.
        written: as the text has it.
        value: what it says; a percentage counts in percent.
        digits: how many decimals are written.
        percent: whether it is a percentage.
    """

    start: int
    end: int
    written: str
    value: float
    digits: int
    percent: bool

    @property
    def width(self) -> int:
        """How many digits it has that say something; leading zeros do not."""
        return len(re.sub(r"\D", "", self.written.partition("e")[0]).lstrip("0"))

    def agrees(self, other: "Number", *, bound: bool = False) -> bool:
        """Whether another number, rounded as this one is written, is this one.

        Args:
            other: as a cell shows it.
            bound: whether the author has bound the two: points may then be percent, and a
                round number be rounded.

        Example:
            >>> told, other = numbers("83.5 %")[0], numbers("0.8346; 83.5%; 84%")
            >>> [told.agrees(number) for number in other]
            [True, True, False]
        """
        half = 0.5000001 * 10.0**-self.digits * _scale(self.written)
        if bound and not self.digits and abs(self.value) >= 100:
            half *= 10.0 ** (len(plain := f"{abs(self.value):.0f}") - len(plain.rstrip("0")))
        if "e" in self.written:
            half = 1e-9 * abs(self.value)
        found = abs(other.value)
        if other.percent and not self.percent and not self.digits and not bound:
            return False
        exact = self.digits <= other.digits or _scale(self.written) > 1 or found == abs(self.value)
        if self.percent and not other.percent and other.digits >= 1 and found <= 1:
            return abs(100 * found - abs(self.value)) <= half
        scale = _scale(self.written)  # a table may count in millions
        wanted = {abs(self.value): half, abs(self.value) / scale: half / scale}
        return exact and any(abs(found - value) <= width for value, width in wanted.items())


def _scale(written: str) -> float:
    return next((by for word, by in _SUFFIX.items() if written.endswith(word)), 1.0)


def numbers(text: str, hidden: Sequence[tuple[int, int]] = ()) -> list[Number]:
    """Returns the numbers in a text; digits of names (GPT-2, L12) are none.

    Args:
        text: in plain words.
        hidden: (start, end) of what is not to be looked at.

    Example:
        >>> [number.written for number in numbers("GPT-2 has 1,024 places, BERT 512: 50 %.")]
        ['1,024', '512', '50 %']
    """
    found = []
    for match in _NUMBER.finditer(text):
        if any(start <= match.start() < end for start, end in hidden):
            continue
        end, written, digits = match.end(), match[0], match["digits"]
        listed = re.match(
            rf"(?P<own>\s?%)|(?:(?:,| to| and| or|, and|, or) [-+−]?{_DIGITS})+ ?%", text[end:]
        )
        if listed and listed["own"]:
            end += listed.end()
            written = text[match.start() : end]
        elif word := re.match(r" (million|billion)\b", text[end:]):
            end += word.end()
            written = text[match.start() : end]
        plain = digits.replace(",", "")
        try:
            value = float(plain) * _scale(written)
        except ValueError:  # 1.0.3
            value = math.nan
        places = len(plain.partition("e")[0].partition(".")[2])
        if "e-" in plain:
            places += int(plain.partition("e-")[2])
        sign = -1 if match["sign"] in {"-", "−"} else 1
        found.append(
            Number(
                match.start(), end, " ".join(written.split()), sign * value, places, bool(listed)
            )
        )
    return found


# ---- the prose


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


# ---- the cells


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
            words = _stems(f"{line} {head}")
            found += [Shown(number, "output", line.strip(), words) for number in in_line]
        asserted = [" ".join(text.split()) for text in self.assertions]
        for text in asserted:
            found += [Shown(n, "assertion", text, _stems(text)) for n in _constants(text)]
        for line in self.source.splitlines():
            found += [Shown(n, "setting", line.strip(), _stems(line)) for n in _constants(line)]
        return found


def _constants(code: str) -> list[Number]:
    return numbers(re.sub(r"(?<=\d)_(?=\d)", "", re.sub(r"\[(.*?)\]|\*\*\s*\d", r" \1 ", code)))


def _stem(word: str) -> str:
    word = word.lower()
    for ending in ("ies", "es", "s", "ed", "ing"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _stems(text: str) -> frozenset[str]:
    words = {word.lower() for word in _WORD.findall(text.replace("_", " "))}
    return frozenset(_stem(word) for word in words - _COMMON if len(word) > 1 or word.isupper())


def _near(text: str, number: Number) -> tuple[frozenset[str], frozenset[str]]:
    """The words around a number, and those that it counts or names: the next two, and `H =`."""
    before, after = text[: number.start], text[number.end :]
    clause = re.split(r"[.;:?!(]\s", after)[0]
    around = [*_WORD.findall(before)[-8:], *_WORD.findall(clause)[:8]]
    named = re.search(r"([A-Za-z]+)(?: of| is| are|,)? ?=? ?[(*]*$", before)
    counted = [*_WORD.findall(re.split(r"[.,;:?!()]", after)[0])[:2]]
    letter = re.search(r"\b([A-Z]) = $", before)
    return (
        _stems(" ".join(around)),
        _stems(" ".join([*counted, *([named[1]] if named else [])]))
        | ({letter[1].lower()} if letter else set()),
    )


# ---- from a number to its cell


@dataclass(frozen=True)
class Claim:
    """A number of the prose, and what it rests on.

    Args:
        lesson: as "08".
        number: as it is written.
        sentence: the one that it stands in.
        kind: one of `KINDS`, or "" for a finding.
        cell: what computed it; None where none did.
        line: the line that shows it (of an output or of the code), the source, or the sum.
        reason: of a finding.
    """

    lesson: str
    number: str
    sentence: str
    kind: str
    cell: Cell | None = None
    line: str = ""
    reason: str = ""


def claims(
    edition: Edition, notebook: Any, others: Mapping[str, list[Cell]] | None = None
) -> list[list[Claim]]:
    """Returns, for each cell of the notebook, the claims in its prose, in their order.

    Args:
        edition: which lesson, with or without solutions.
        notebook: its cells with their outputs.
        others: the code cells of other lessons, by number, which a text may name.
    """
    marked = unexecuted(edition, marked=True).cells
    lesson = edition.source.stem[:2]
    cells = code_cells(edition, notebook)
    found: list[list[Claim]] = []
    section = 0
    exercises, premises = False, set[float]()
    for place, cell in enumerate(marked):
        if cell.cell_type != "markdown" or "strip" in cell.metadata.get("tags", []):
            found.append([])
            continue
        here: list[Claim] = []
        tokens = parse(cell.source)
        for passage in passages(tokens):
            if re.match(r"\*\*\d+\.", passage.text):
                premises = {abs(number.value) for number in passage.numbers}
            ledger = _Ledger(lesson, place, section, cells, others or {}, exercises, premises)
            here += [ledger.claim(passage, number) for number in passage.numbers]
        heads = len(re.findall(r"^## ", cell.source, re.MULTILINE))
        section += heads
        if heads:
            exercises = exercises or "## Exercises" in cell.source
        found.append(here)
    return found


def parse(text: str) -> list[Any]:
    """Returns a text's tokens as the book reads it."""
    from bertedu.classroom.book.markdown import parser

    tokens: list[Any] = parser().parse(text)
    return tokens


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


_PAPER = "Devlin et al. 2019, arXiv:1810.04805"
Rest = tuple[str, Cell | None, str, str]  # a claim's kind, cell, line and reason
_MARKS: dict[str, Rest] = {"#": ("place", None, "", ""), "paper": ("source", None, _PAPER, "")}


@dataclass
class _Ledger:
    """What the claims of one passage are looked up in."""

    lesson: str
    place: int
    section: int
    cells: list[Cell]
    others: Mapping[str, list[Cell]]
    exercises: bool
    premises: set[float]

    def claim(self, passage: Passage, number: Number) -> Claim:
        """Returns what a number of the passage rests on: the first rule that fits."""
        start, end = passage.sentence(number.start)
        sentence = passage.text[start:end].strip().removeprefix("**")
        rest = next(self._rests_on(passage, number, start, end))
        return Claim(self.lesson, number.written, " ".join(MARK.sub("", sentence).split()), *rest)

    def _rests_on(self, passage: Passage, number: Number, start: int, end: int) -> Iterator[Rest]:
        text = passage.text
        sentence = text[start:end].strip()
        mark = MARK.search(text, number.end)
        if mark and mark.start() == number.end:
            yield self._bound(mark[1].strip(), number)
        yield from self._written(passage, number, start, end)
        if mark and (mark.start() < end or not text[end : mark.start()].strip()):
            yield self._bound(mark[1].strip(), number)
        if abs(number.value) in self.premises:
            yield "given", None, "", ""
        cited = _citation(text, start, end)
        best = self._search(passage, number, self.cells, strict=bool(cited))
        if best is None and (elsewhere := re.search(r"[Ll]esson (\d\d)", sentence)):
            there = self.others.get(elsewhere[1], [])
            best = self._search(passage, number, there, strict=True)
        if best:
            yield best[1].kind, best[0], best[1].line, ""
        if cited:
            yield "source", None, cited, ""
        if sentence.rstrip('*" )').endswith("?") or "Predict" in text:
            yield "given", None, "", ""
        yield "", None, "", "no cell shows it, and no source is named"

    def _written(self, passage: Passage, number: Number, start: int, end: int) -> Iterator[Rest]:
        """The kinds that a number has by the way in which it is written."""
        text = passage.text
        link = next((a for s, e, a in passage.links if s <= number.start < e), None)
        shown = any(each.value == number.value for each in numbers(passage.said))
        if shown or (link and "?" in link):
            yield "picture", None, "", ""
        item = number.start == 2 and _ITEM.match(text)  # behind the ** that begins it
        first = number.start == 0 and " | " in text and re.match(r" [a-z]", text[number.end :])
        pointed = any((s, e) == (number.start, number.end) for s, e, _ in passage.links)
        if item or first or pointed or _inside(number, _PLACE.finditer(text)):
            yield "place", None, "", ""
        if _inside(number, _NAME.finditer(text)):
            yield "name", None, "", ""
        if text.startswith("**Time"):
            yield "estimate", None, "", ""
        if _inside(number, _quotes(passage)):
            yield "quoted", None, "", ""
        if _ITEM.match(text) and (self.exercises or re.match(r"\*\*\d+\. [A-Z]", text)):
            yield "given", None, "", ""
        for found in _EXPRESSION.finditer(text, start, end):
            own = found.start() <= number.start < found.end()
            expression = _balanced(found[0])
            operands = [abs(each.value) for each in numbers(expression)]
            named = not number.percent and abs(number.value) in operands
            if (own or named) and holds(expression):
                yield "arithmetic", None, expression, ""
            if own and (total := self._total(expression)):
                yield "arithmetic", total[0], f"{expression} = {total[1].number.written}", ""
        unit = re.match(r" ([a-z]+)", text[number.end :])
        sign = number.written in {"0", "1", "-100"} and not (unit and _stem(unit[1]) in _UNITS)
        if sign or _inside(number, _FORMULA.finditer(text)):
            yield "definition", None, "", ""

    def _total(self, expression: str) -> tuple[Cell, Shown] | None:
        """What shows the value of a sum that stands there without it; the nearest."""
        if not re.search(r"\d\s*[·×/+]\s*\d", expression) or re.search("[=≈]", expression):
            return None
        try:
            value = _value(expression.rstrip(".,: "))
        except (SyntaxError, ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError):
            return None
        shown = [
            (abs(cell.place - self.place), cell, shown)
            for cell in self.cells
            for shown in cell.shown
            if value == round(value) >= 20 and shown.number.value == value
        ]
        return min(shown, key=lambda each: each[0])[1:] if shown else None

    def _bound(self, mark: str, number: Number) -> Rest:
        """What a mark in the text binds a number to."""
        word, _, source = " ".join(mark.split()).partition(" ")
        if word in _MARKS:
            return _MARKS[word]
        if source or word in KINDS:
            return ("source", None, source, "") if source else (word, None, "", "")
        lesson, _, name = word.rpartition(":")
        cells = self.others.get(lesson, []) if lesson else self.cells
        if lesson and not cells:  # a book of some lessons only
            return "source", None, f"lesson {lesson}, at `{name}`", ""
        found = [
            (
                not number.agrees(shown.number),
                name not in shown.line,
                COMPUTED.index(shown.kind),
                abs(cell.place - self.place),
                cell,
                shown,
            )
            for cell in cells
            if name in cell.names
            for shown in cell.shown
            if number.agrees(shown.number, bound=True)
        ]
        if not found:
            return "", None, "", f"no cell with the name {name!r} shows {number.written}"
        *_, cell, shown = min(found, key=lambda each: each[:4])
        return shown.kind, cell, shown.line, ""

    def _search(
        self, passage: Passage, number: Number, cells: list[Cell], *, strict: bool
    ) -> tuple[Cell, Shown] | None:
        """The best cell, by the words that it shares with the text, and by its distance."""
        blank = MARK.sub(lambda mark: " " * len(mark[0]), passage.text)
        around, counted = _near(blank, number)
        small = number.digits == 0 and abs(number.value) < 100 and not number.percent
        clear = number.width >= 3 and (number.digits > 0 or abs(number.value) >= 1000)
        clear = clear or "e" in number.written
        round_one = re.fullmatch(r"[-+]?10*|50|100 ?%|50 ?%", number.written) is not None
        best: tuple[float, Cell, Shown] | None = None
        for cell in cells:
            distance = abs(cell.place - self.place)
            for shown in cell.shown:
                if not number.agrees(shown.number):
                    continue
                shared = len(around & shown.words)
                same = cell.section == self.section
                if strict:
                    good = clear and bool(around & shown.words)
                elif small or round_one:
                    good = bool(counted & shown.words) and (same or shown.kind != "setting")
                elif clear:
                    good = True
                else:
                    good = shared > 0 or (same and distance <= 3 and shown.kind != "setting")
                if not good:
                    continue
                score = 3 * min(shared, 2) + 2 * same + (distance <= 2) - 0.02 * distance
                score += shown.kind != "setting"
                if best is None or score > best[0]:
                    best = score, cell, shown
        return best[1:] if best else None


def _inside(number: Number, matches: Iterable[re.Match[str] | tuple[int, int]]) -> bool:
    spans = (match if isinstance(match, tuple) else match.span() for match in matches)
    return any(start <= number.start < end for start, end in spans)


def _quotes(passage: Passage) -> Iterator[tuple[int, int]]:
    yield from (m.span() for m in re.finditer(r'"[^"]*[A-Za-z]{2,}[^"]*"', passage.text))
    for start, end in passage.slanted:
        if re.search(r"[A-Za-z]{2,}", passage.text[start:end]):
            yield start, end


def _citation(text: str, start: int, end: int) -> str:
    """What a sentence cites, in its own words; "" where it cites nothing."""
    found = [" ".join(match[0].split()) for match in _CITED.finditer(text, start, end)]
    own = [_PAPER if re.match(r"(?i)the paper|appendix|§", one) else one for one in found]
    return "; ".join(dict.fromkeys(one.strip(" ,(") for one in own))


# ---- sums in the text


def _balanced(expression: str) -> str:
    """An expression without the brackets and the stops of the sentence around it."""
    text = expression.strip(" .,")
    while text.count("(") > text.count(")") and text.startswith("("):
        text = text[1:].strip(" .,")
    while text.count(")") > text.count("(") and text.endswith(")"):
        text = text[:-1].strip(" .,")
    return text


_OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow, ast.USub: operator.neg,
}  # fmt: skip


def holds(expression: str) -> bool:
    """Whether a text's equation is right, to the digits of its parts.

    Args:
        expression: sums with = or ≈ between them.

    Example:
        >>> holds("20/(36 × 20) = 1/36"), holds("2 · 384 + 2 = 771"), holds("2 · 384")
        (True, False, False)
    """
    parts = re.split(r"[=≈]", expression)
    if len(parts) < 2:
        return False
    try:
        values = [_value(part) for part in parts]
    except (SyntaxError, ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError):
        return False
    widths = [_width(part) for part in parts]
    pairs = pairwise(zip(values, widths, strict=True))
    return all(abs(a - b) <= one + other + 1e-9 * abs(a) for (a, one), (b, other) in pairs)


def _width(part: str) -> float:
    """How far a part may be from what it stands for: half a unit of each rounded number in it."""
    if re.search(r"[·×/^√]|log|ln", part):
        return 0
    written = numbers(part)
    rounded = [number.digits for number in written if number.digits or len(written) == 1]
    return sum(0.5000001 * 10.0**-digits for digits in rounded)


def _value(part: str) -> float:
    text = re.sub(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: "**" + m[1].translate(_RAISED), part)
    text = text.replace(",", "").replace("·", "*").replace("×", "*").replace("−", "-")
    text = text.replace("^", "**")
    text = re.sub(r"(?<=[\d)])\s+(?=log|ln)", " * ", text)
    text = re.sub(r"\b(log|ln)\s*([\d.]+(?:\s*/\s*[\d.]+)?)", r"log(\2)", text)
    text = re.sub(r"√\s*([\d.]+)", r"sqrt(\1)", text)
    return _worked_out(ast.parse(text.strip(), mode="eval").body)


def _worked_out(node: ast.AST) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_worked_out(node.left), _worked_out(node.right))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_worked_out(node.operand))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return {"log": math.log, "ln": math.log, "sqrt": math.sqrt}[node.func.id](
            _worked_out(node.args[0])
        )
    raise ValueError("no sum")


# ---- the command


def built(
    root: Path, names: Sequence[str] | None = None, *, solved: bool = True
) -> dict[str, list[Claim]]:
    """Returns the claims of the built notebooks, by lesson.

    Args:
        root: the folder of course/ and notebooks/.
        names: as `editions` takes them; None for all.
        solved: whether in the edition with the solutions.

    Raises:
        InputError: a notebook that is not built.
    """
    chosen = [edition for edition in editions(root, list(names or [])) if edition.solved == solved]
    notebooks, others = {}, {}
    for edition in editions(root):
        if edition.solved != solved:
            continue
        if not edition.path.exists():
            raise InputError(f"{edition.path} is not built: run bertedu notebooks")
        notebook = unexecuted(edition)
        notebooks[edition] = with_outputs(notebook, edition.path)
        others[edition.source.stem[:2]] = code_cells(edition, notebook)
    return {
        edition.source.stem: [
            claim for cell in claims(edition, notebooks[edition], others) for claim in cell
        ]
        for edition in chosen
    }


def with_outputs(notebook: Any, path: Path) -> Any:
    """Returns a notebook with the outputs that its cells have in a built one.

    Args:
        notebook: without outputs; changed in place.
        path: of the built one, in which other cells may have changed since.
    """
    from nbformat.v4 import reads_json

    kept = reads_json(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    outputs = {cell.id: cell.get("outputs", []) for cell in kept.cells}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = outputs.get(cell.id, [])
    return notebook


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `bertedu claims`.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument("names", nargs="*", metavar="NAME", help="lessons, by name or number")
    parser.add_argument("--all", action="store_true", help="list every number, not only findings")
    parser.add_argument("--students", action="store_true", help="look at the students' edition")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the folder of course/ (default: this one)"
    )


def run(args: argparse.Namespace, say: Callable[[str], None] = print) -> int:
    """Returns 0 when each number has a cell or a source, else 1.

    Args:
        args: as `add_arguments` describes them.
        say: receives each line.

    Raises:
        InputError: no course/ here, a name that fits no lesson, a notebook that is not built.
    """
    root: Path = args.root.resolve()
    if not (root / "course").is_dir():
        raise InputError(f"no course/ in {root}: run this in the repository, or give --root")
    ledger = built(root, args.names, solved=not args.students)
    open_ones = 0
    for lesson, found in ledger.items():
        kinds = Counter(claim.kind or "FINDING" for claim in found)
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        say(f"{lesson}: {len(found)} numbers: {told}")
        for claim in found:
            if args.all or not claim.kind:
                where = f"cell {claim.cell.place}" if claim.cell else ""
                proof = claim.reason or f"{where} {claim.line}".strip()
                say(f"  {claim.kind or 'FINDING'} | {claim.number} | {claim.sentence} | {proof}")
        open_ones += kinds["FINDING"]
    say(f"{sum(map(len, ledger.values()))} numbers, {open_ones} without a cell or a source")
    return 1 if open_ones else 0
