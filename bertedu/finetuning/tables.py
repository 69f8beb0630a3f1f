"""Tables of examples: TSV, CSV, JSON lines and data sets of the hub, row by row.

A row that cannot be read is named by its file and line.
"""

import contextlib
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertedu.errors import InputError
from bertedu.utils.hub import HUB, data_set


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
        value = self.value(*names)
        if not isinstance(value, str):
            raise InputError(f"{self.where}: {names[0]} is {value!r}, not text")
        return value.strip()

    def texts(self, *names: str) -> list[str]:
        """Returns the same, which must be a list of texts."""
        value = self.value(*names)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise InputError(f"{self.where}: {names[0]} must be a list of texts")
        return value

    def label(self, *names: str) -> str | None:
        """Returns the same as a label; None where the table has no such column.

        Raises:
            InputError: the cell is empty.
        """
        value = next((self.cells[name] for name in names if name in self.cells), None)
        if value is None:
            return None
        if not (label := str(value).strip()):
            raise InputError(f"{self.where}: the label is empty")
        return label


def table(
    path: str | Path, columns: tuple[str, ...], encoding: str = "utf-8"
) -> Iterator[Row] | None:
    """Returns the rows of a file or a data set; None if the file's first line names no column.

    Args:
        path: a .jsonl, .csv or other file (tab-separated), or a data set, as in `hub_rows`.
        columns: one of these must stand in a header.
        encoding: of the file.
    """
    if str(path).startswith(HUB):
        return hub_rows(str(path))
    if Path(path).suffix in (".jsonl", ".json"):
        return json_rows(path, encoding)
    rows = (_commas if Path(path).suffix == ".csv" else _tabs)(path, encoding)
    _, header = next(rows, ("", []))
    names = [name.strip().lower() for name in header]
    return _with_header(names, rows) if set(columns) & set(names) else None


def _with_header(names: list[str], rows: Iterator[tuple[str, list[str]]]) -> Iterator[Row]:
    for where, cells in rows:
        if len(cells) != len(names):
            raise InputError(f"{where}: the row has {len(cells)} cells and the header {len(names)}")
        yield Row(where, dict(zip(names, cells, strict=True)))


def _tabs(path: str | Path, encoding: str) -> Iterator[tuple[str, list[str]]]:
    """Yields each line's place and cells; quotes are text, as in GLUE's files."""
    for where, line in lines(path, encoding):
        if line.strip():
            yield where, line.split("\t")


def _commas(path: str | Path, encoding: str) -> Iterator[tuple[str, list[str]]]:
    rows = csv.reader((line + "\n" for _, line in lines(path, encoding)), strict=True)
    try:
        for cells in rows:
            if cells:
                yield f"{path}:{rows.line_num}", cells
    except csv.Error as error:
        raise InputError(f"{path}:{rows.line_num}: this is no row of a .csv ({error})") from error


def json_rows(path: str | Path, encoding: str = "utf-8") -> Iterator[Row]:
    """Yields the objects of a file with one a line.

    Raises:
        InputError: a line that is not one JSON object.
    """
    for where, line in lines(path, encoding):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: this line is not JSON ({error.msg})") from error
        if not isinstance(values, dict):
            raise InputError(f"{where}: this line is no JSON object: {{...}} is needed")
        yield Row(where, {name.lower(): value for name, value in values.items()})


def lines(path: str | Path, encoding: str = "utf-8") -> Iterator[tuple[str, str]]:
    """Yields each line of a file, or of standard input ("-"), with its place, as `file:3`.

    Raises:
        InputError: there is no such file, or a line in another encoding.
    """
    piped = str(path) == "-"
    if not piped and not Path(path).is_file():
        raise InputError(f"there is no file {path}: check the path")
    name = "standard input" if piped else path
    with contextlib.ExitStack() as opened:
        file = sys.stdin.buffer if piped else opened.enter_context(Path(path).open("rb"))
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{name}:{number}: this line is not {encoding}: name the file's encoding "
                    '(encoding="latin-1"), or convert it'
                ) from error
            yield f"{name}:{number}", text.removeprefix("\ufeff").rstrip("\r\n")


def label_first(path: str | Path, encoding: str = "utf-8") -> Iterator[tuple[str, str]]:
    """Yields label and text of lines `LABEL text`, blank or tab between, or of GLUE's CoLA.

    Raises:
        InputError: a line that has only one of them.
    """
    for where, line in lines(path, encoding):
        cells = line.split("\t")
        if len(cells) == 4 and cells[1] in {"0", "1"}:
            yield cells[1], cells[3].strip()
        elif told := line.strip():
            label, _, text = told.partition("\t" if "\t" in told else " ")
            if not text.strip():
                raise InputError(f"{where}: {told[:40]!r} is not `LABEL text`")
            yield label.strip(), text.strip()


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
