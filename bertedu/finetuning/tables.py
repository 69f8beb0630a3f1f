"""Tables of examples: TSV, CSV, JSON and data sets of the hub, row by row.

A row that cannot be read is named by its file and line; what might be read in two ways is asked
back, never guessed.
"""

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from bertedu.errors import InputError
from bertedu.utils.hub import HUB, data_set
from bertedu.utils.lines import LONGEST, Refused, raised, text_lines, whole_text

Columns = Mapping[str, str]
"""What a file calls a column, or its number from 1, by what we call it; {} = the usual names."""
NO_COLUMNS: Columns = {}
Cells = tuple[str, list[str]]
"""A row's place and its cells."""
T = TypeVar("T")
csv.field_size_limit(LONGEST)


@dataclass(frozen=True)
class Row:
    """One row: its cells by the lower-case names of their columns, and where it stands."""

    where: str
    cells: dict[str, Any]

    def refused(self, error: InputError) -> InputError:
        """Returns the error with the place where it was, which its sentence then begins with."""
        told = str(error)
        return error if told.startswith(self.where) else InputError(f"{self.where}: {told}")

    def value(self, *names: str) -> Any:
        """Returns the cell of the first of these columns that there is.

        Raises:
            InputError: there is none of them.
        """
        for name in names:
            if self.cells.get(name) is not None:
                return self.cells[name]
        raise InputError(f"{self.where}: there is no {' or '.join(map(repr, names))}")

    def text(self, *names: str) -> str:
        """Returns the same, which must be text."""
        return sound(self.value(*names), names[0], self.where).strip()

    def texts(self, *names: str) -> list[str]:
        """Returns the same, which must be a list of texts; of a text, its words."""
        value = self.value(*names)
        if isinstance(value, str) and " " in value.strip():
            value = value.split()
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise InputError(f"{self.where}: {names[0]} must be a list of texts")
        return [sound(text, names[0], self.where) for text in value]

    def label(self, *names: str) -> str | None:
        """Returns the same as a label; None where the table has no such column.

        Raises:
            InputError: the cell is empty, or holds several labels.
        """
        value = next((self.cells[name] for name in names if name in self.cells), None)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, list | dict):
            raise InputError(f"{self.where}: the label is {value!r:.40}; a text has one label here")
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 1.0 and 1 are one class
        if not (label := str(value).strip()):
            raise InputError(f"{self.where}: the label is empty")
        return label


def sound(value: Any, what: str, where: str) -> str:
    """Returns a text that a tokenizer can take.

    Raises:
        InputError: it is no text, is far too long, or holds half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise InputError(f"{where}: {what} is {value!r:.40}, not text")
    if len(value) > LONGEST:
        raise InputError(
            f"{where}: {what} has {len(value):,} characters; split it: {LONGEST:,} fit"
        )
    if re.search("[\ud800-\udfff]", value):
        raise InputError(f"{where}: {what} holds half of a surrogate pair: mend the file")
    return value


def some(examples: list[T], path: str | Path) -> list[T]:
    """Returns the examples of a file.

    Raises:
        InputError: there is none.
    """
    if not examples:
        raise InputError(f"{path} holds no example: give another file")
    return examples


def table(
    path: str | Path,
    columns: Sequence[str],
    encoding: str = "utf-8",
    named: Columns = NO_COLUMNS,
    others: Sequence[str] = (),
) -> Iterator[Row] | None:
    """Returns the rows of a file or a data set; None if the file's first line names no column.

    Args:
        path: a .json, .jsonl, .csv or other file (tab-separated), or a data set, as in `hub_rows`.
        columns: one of these must stand in a header.
        encoding: of the file.
        named: what the file calls its columns.
        others: names that only a header has; one that has them alone is refused.

    Raises:
        InputError: what cannot be read, by its place, or a header of other names.
    """
    if str(path).startswith(HUB):
        return _renamed(hub_rows(str(path)), named)
    if Path(path).suffix in (".jsonl", ".json"):
        return _renamed(json_rows(path, encoding), named)
    rows = records(path, (*columns, *named.values()), encoding)
    if named and all(number.isdecimal() for number in named.values()):
        return _numbered(rows, named)
    where, header = next(rows, (str(path), [""]))
    names = [name.strip().strip('"').lower() for name in header]
    if twice := [name for name in (*columns, *others) if names.count(name) > 1]:
        raise InputError(f"{where}: two columns are called {twice[0]}: rename one")
    if named or set(columns) & set(names):
        return _renamed(_with_header(names, rows), named)
    if len(names) > 1 and set(others) & set(names):
        refuse_header(where, header, columns[0], others[0])
    return None


def refuse_header(where: str, cells: Sequence[str], *ours: str) -> NoReturn:
    """Raises what to do where nothing says which column is which.

    Args:
        where: the place of the first row.
        cells: of it.
        ours: what we call the columns.
    """
    told = ", ".join(cells)
    names = ",".join(f"{name}=NAME" for name in ours)
    raise InputError(
        f"{where}: the header names no {ours[0]} ({told:.80}): add --columns {names}, with a "
        "column's number for NAME where there is no header"
    )


def records(path: str | Path, columns: Iterable[str], encoding: str) -> Iterator[Cells]:
    """Yields the place and the cells of each row that is not blank.

    Commas or semicolons separate a .csv, and another file whose first line then has one of the
    columns; else tabs do. Quotes are CSV's in the former, and in the latter if all of them are.
    """
    numbered = list(text_lines(path, encoding))
    first = next((line for _, line in numbered if line.strip()), "")
    known = {name.lower() for name in columns}
    delimiter = "\t"
    if "\t" not in first:
        for mark in ",;":
            names = {name.strip().strip('"').lower() for name in first.split(mark)}
            if len(names) > 1 and names & known:
                delimiter = mark
        if delimiter == "\t" and Path(path).suffix == ".csv":
            delimiter = max(",;", key=first.count)
    if delimiter == "\t" and not _quotes_are_csv(numbered):
        return ((where, line.split("\t")) for where, line in numbered if line.strip())
    return _csv(numbered, delimiter)


def _csv(numbered: Sequence[tuple[str, str]], delimiter: str) -> Iterator[Cells]:
    rows = csv.reader((line + "\n" for _, line in numbered), delimiter=delimiter, strict=True)
    start = 0
    try:
        for cells in rows:
            if any(cell.strip() for cell in cells):
                yield numbered[start][0], cells
            start = rows.line_num
    except csv.Error as error:
        raise InputError(f"{numbered[start][0]}: this is no row of a .csv ({error})") from error


def _quotes_are_csv(numbered: Sequence[tuple[str, str]]) -> bool:
    """Returns whether a tab-separated file's quotes are CSV's, and not GLUE's, which are text.

    They are if each of them opens, closes or doubles as in a CSV, and one is doubled or no text is
    without them: nobody writes that by accident.
    """
    if not any('"' in line for _, line in numbered):
        return False
    try:
        rows = [row for _, row in _csv(numbered, "\t")]
    except InputError:
        return False
    quoted = ['"' + cell.replace('"', '""') + '"' for row in rows for cell in row]
    plain = [cell for row in rows for cell in row]
    doubled, bare, at = False, 0, 0
    text = "\n".join(line for _, line in numbered if line.strip())
    for one, other in zip(quoted, plain, strict=True):
        if text.startswith(one, at):
            doubled |= '"' in other
            at += len(one) + 1
        elif '"' not in other and text.startswith(other, at):
            bare += not other.isdecimal()
            at += len(other) + 1
        else:
            return False
    return doubled or not bare


def _with_header(names: list[str], rows: Iterator[Cells]) -> Iterator[Row]:
    for where, cells in rows:
        if len(cells) < len(names) or any(cell.strip() for cell in cells[len(names) :]):
            counts = f"cells in the row: {len(cells)}, in the header: {len(names)}"
            raise InputError(f"{where}: {counts}")
        yield Row(where, dict(zip(names, cells, strict=False)))


def _numbered(rows: Iterator[Cells], named: Columns) -> Iterator[Row]:
    for where, cells in rows:
        if not all(1 <= int(number) <= len(cells) for number in named.values()):
            raise InputError(f"{where}: the row has {len(cells)} cells, and --columns names others")
        yield Row(where, {name: cells[int(number) - 1] for name, number in named.items()})


def _renamed(rows: Iterator[Row], named: Columns) -> Iterator[Row]:
    """Yields the rows with their columns under our names, too."""
    for row in rows:
        if missing := [name for name in named.values() if name.lower() not in row.cells]:
            raise InputError(
                f"{row.where}: there is no column {missing[0]!r}; there are "
                f"{', '.join(row.cells)!s:.80}"
            )
        ours = {name: row.cells[theirs.lower()] for name, theirs in named.items()}
        yield Row(row.where, row.cells | ours)


def check_columns(named: Columns, *known: str) -> None:
    """Refuses columns that the task does not read.

    Raises:
        InputError: it names one of them.
    """
    if wrong := sorted(set(named) - set(known)):
        raise InputError(f"--columns names {wrong[0]!r}; the columns are {', '.join(known)}")


def json_rows(
    path: str | Path, encoding: str = "utf-8", refused: Refused = raised
) -> Iterator[Row]:
    """Yields the objects of a file with one a line, or of one JSON array.

    Args:
        path: of the file.
        encoding: of the file.
        refused: is told of a line that is not one JSON object.

    Raises:
        InputError: there is no such file, or it is of another kind.
    """
    if Path(path).suffix == ".json" and (items := _array(whole_text(path, encoding))) is not None:
        yield from _items(items, f"{path}:1", refused)
        return
    longest = None if Path(path).suffix == ".json" else LONGEST
    lines = text_lines(path, encoding, longest, refused)
    for where, line in lines:
        if not line.strip():
            continue
        try:
            value = parsed(line, where)
        except InputError as error:
            if refused is not raised or not line.startswith("["):  # it may cost no other line
                refused(error)
                continue
            value = parsed("\n".join([line, *(more for _, more in lines)]), where)
        yield from _items(value if isinstance(value, list) else [value], where, refused)


def _array(text: str) -> list[Any] | None:
    """Returns the items of one JSON array, which may be an object's "data"."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(content, dict):
        content = content.get("data", content)
    return content if isinstance(content, list) else [content]


def _items(values: list[Any], where: str, refused: Refused) -> Iterator[Row]:
    for number, value in enumerate(values, start=1):
        if isinstance(value, dict):
            place = where if len(values) == 1 else f"{where}, item {number}"
            yield Row(place, {name.lower(): cell for name, cell in value.items()})
        else:
            refused(InputError(f"{where}: this line is no JSON object: {{...}} is needed"))


def parsed(text: str, where: str) -> Any:
    """Returns what JSON says.

    Args:
        text: JSON.
        where: the place of its first line, `file:3`.

    Raises:
        InputError: it is not JSON, or nested more deeply than any data.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InputError(f"{where}: this JSON is nested too deeply to be data") from error
    except ValueError as error:  # also of a number with thousands of digits
        told = str(error)
        if isinstance(error, json.JSONDecodeError):
            told, (name, _, first) = error.msg, where.rpartition(":")
            where = f"{name}:{int(first) + error.lineno - 1}"
        raise InputError(f"{where}: this line is not JSON ({told})") from error


def without_header(
    path: str | Path, columns: Sequence[str], labels: Sequence[str], encoding: str = "utf-8"
) -> Iterator[Row]:
    """Yields `text` and `label` of lines `LABEL text`, blank or tab between, or of GLUE's CoLA.

    Of two columns, the labels are where fewer things occur, whichever comes first.

    Args:
        path: of the file.
        columns: what files call the text.
        labels: what they call the label.
        encoding: of the file.

    Raises:
        InputError: a line that has only one of them, or columns that nothing tells apart.
    """
    rows = list(records(path, (), encoding))
    where, first = rows[0] if rows else (str(path), [""])
    side = 0
    if len(first) == 1:
        rows = [(place, "\t".join(cells).split(None, 1)) for place, cells in rows]
    elif len(first) == 4 and first[1] in {"0", "1"}:  # CoLA's source, label, "*", text
        rows = [(place, cells[1::2] if len(cells) == 4 else []) for place, cells in rows]
    elif len(first) == 2:
        side = _label_side([cells for _, cells in rows if len(cells) == 2])
        counts = Counter(cells[side] for _, cells in rows if len(cells) == 2)
        named = all(re.fullmatch(r"\w+( \w+)?", cell.strip()) for cell in first)
        if named and counts[first[side]] == 1 and 3 < 2 * len(counts) < len(rows):
            refuse_header(where, first, columns[0], labels[0])
    else:
        refuse_header(where, first, columns[0], labels[0])
    for where, cells in rows:
        if len(cells) != 2 or not all(cell.strip() for cell in cells):
            told = " ".join(cells).strip()[:40]
            raise InputError(f"{where}: {told!r} is not `LABEL text`")
        yield Row(where, {"label": cells[side], "text": cells[1 - side]})


def _label_side(pairs: Sequence[Sequence[str]]) -> int:
    """Returns which of two columns is the label's: fewer kinds of thing; then, fewer words."""
    columns = [[pair[side] for pair in pairs] for side in (0, 1)]
    kinds = [len(set(cells)) for cells in columns]
    words = [len(" ".join(cells).split()) for cells in columns]
    return int((kinds[1], words[1]) < (kinds[0], words[0]))


def without_minus_one(labels: Sequence[str | None]) -> list[str | None]:
    """Returns labels in which -1, the usual number of no label, is None.

    It is a class where the labels are -1, (0) and 1, and a twentieth of them or more are -1.

    Example:
        >>> without_minus_one(["0", "2", "-1", "1"]), without_minus_one(["-1", "1"])
        (['0', '2', None, '1'], ['-1', '1'])
    """
    found = set(labels) - {None, "0"}
    signed = len(found) == 2 and found <= {"-1", "1", "+1"}
    if signed and labels.count("-1") * 20 >= len(labels):
        return list(labels)
    return [None if label == "-1" else label for label in labels]


def hub_rows(name: str) -> Iterator[Row]:
    """Yields the rows of a data set of the hub; numbers of a class become its name.

    Args:
        name: hub:NAME, hub:NAME:SPLIT or hub:NAME:CONFIG:SPLIT; the split is else "train".

    Raises:
        InputError: the package `datasets` is missing, or there is no such data set.
    """
    with data_set(name) as rows:
        for number, values in enumerate(rows, start=1):
            named = {k.lower(): _named(rows.features.get(k), v) for k, v in values.items()}
            yield Row(f"{name}:{number}", named)


def _named(kind: Any, value: Any) -> Any:
    """Returns a class's name for its number, also in lists; -1 stands for no label."""
    names = getattr(kind, "names", None)
    if names is not None and isinstance(value, int):
        return names[value] if value >= 0 else None
    inner = getattr(kind, "feature", None)
    if isinstance(value, list) and getattr(inner, "names", None) is not None:
        return [_named(inner, v) for v in value]
    return value
