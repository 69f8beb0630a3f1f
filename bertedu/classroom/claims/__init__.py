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

`number` reads numbers, `prose` the passages of a text, `cells` what the code shows, and `sums`
works sums out; here the rules lead from one to the other. `command` is `bertedu claims`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bertedu.classroom.claims.cells import WORD, Cell, Shown, code_cells, stem, stems
from bertedu.classroom.claims.number import Number, numbers
from bertedu.classroom.claims.prose import Passage, parse, passages
from bertedu.classroom.claims.sums import EXPRESSION, balanced, holds, value_of
from bertedu.classroom.editions import MARK, Edition, unexecuted
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
_FORMULA = re.compile(
    r"\d[\d.]* ?[·×] ?(?:[A-Za-z]\b|√)|\b\d+ [A-Z]\b(?= [+·)]|[.,)]| numbers)"
    r"|[A-Z] ?[-+·×] ?\d[\d.]*(?![\d.]*[\d%])|\d[\d.]* · √?\([^)]*\)|\b[a-z] \(1 - [a-z]\)"
    r"|\b(?:80/10/10|100/0/0|80/0/20)\b|e\^\(?s? ?\+? ?\d+"
)
_UNITS = {"point", "percent", "second", "minute", "hour", "day", "dollar", "gb", "mb", "layer"}


def _near(text: str, number: Number) -> tuple[frozenset[str], frozenset[str]]:
    """The words around a number, and those that it counts or names: the next two, and `H =`."""
    before, after = text[: number.start], text[number.end :]
    clause = re.split(r"[.;:?!(]\s", after)[0]
    around = [*WORD.findall(before)[-8:], *WORD.findall(clause)[:8]]
    named = re.search(r"([A-Za-z]+)(?: of| is| are|,)? ?=? ?[(*]*$", before)
    counted = [*WORD.findall(re.split(r"[.,;:?!()]", after)[0])[:2]]
    letter = re.search(r"\b([A-Z]) = $", before)
    return (
        stems(" ".join(around)),
        stems(" ".join([*counted, *([named[1]] if named else [])]))
        | ({letter[1].lower()} if letter else set()),
    )


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

    Raises:
        InputError: the source has other text than the notebook.
    """
    marked = unexecuted(edition, marked=True).cells
    if [MARK.sub("", each.source) for each in _texts(marked)] != [
        each.source for each in _texts(notebook.cells)
    ]:
        raise InputError(f"{edition.source.name} has changed meanwhile: run it again")
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


def _texts(cells: Iterable[Any]) -> list[Any]:
    return [cell for cell in cells if cell.cell_type == "markdown"]


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
        for found in EXPRESSION.finditer(text, start, end):
            own = found.start() <= number.start < found.end()
            expression = balanced(found[0])
            operands = [abs(each.value) for each in numbers(expression)]
            named = not number.percent and abs(number.value) in operands
            if (own or named) and holds(expression):
                yield "arithmetic", None, expression, ""
            if own and (total := self._total(expression)):
                yield "arithmetic", total[0], f"{expression} = {total[1].number.written}", ""
        unit = re.match(r" ([a-z]+)", text[number.end :])
        sign = number.written in {"0", "1", "-100"} and not (unit and stem(unit[1]) in _UNITS)
        if sign or _inside(number, _FORMULA.finditer(text)):
            yield "definition", None, "", ""

    def _total(self, expression: str) -> tuple[Cell, Shown] | None:
        """What shows the value of a sum that stands there without it; the nearest."""
        if not re.search(r"\d\s*[·×/+]\s*\d", expression) or re.search("[=≈]", expression):
            return None
        value = value_of(expression.rstrip(".,: "))
        if value is None or not value == round(value) >= 20:
            return None
        shown = [
            (abs(cell.place - self.place), cell, shown)
            for cell in self.cells
            for shown in cell.shown
            if shown.number.value == value
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
