"""Where a corpus comes from: text files, JSON lines and data sets of the hub, line by line."""

import io
import json
import lzma
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from bertedu.errors import InputError
from bertedu.utils.hub import HUB, data_set
from bertedu.utils.lines import LONGEST, decoded, opened

LONGEST_DOCUMENT = 1 << 24  # characters of a line of JSON
SUFFIXES = (".txt", ".txt.xz", ".jsonl", ".jsonl.xz")


@dataclass(frozen=True)
class Source:
    """A file, or a data set of the hub, and what tells that it has changed."""

    name: str
    size: int = 0  # bytes on disk; 0 = not known
    modified: int = 0  # nanoseconds

    def is_that_of(self, entry: dict[str, Any]) -> bool:
        """Returns whether a corpus's note of a source means this one, unchanged."""
        return asdict(self).items() <= entry.items()


class Block(NamedTuple):
    """Some lines of a source, and how far it has been read."""

    paragraphs: list[str]  # "" ends a document
    lines: int  # of the source, in this block
    bytes_read: int  # of the file as it lies on disk, with all blocks before


def find_sources(listed: Iterable[str | Path], exclude: Sequence[str]) -> Iterator[Source]:
    """Yields every file and data set that the list names, folders in the order of their names.

    Raises:
        InputError: a path that is missing, empty or of another kind.
    """
    for item in listed:
        if str(item).startswith(HUB):
            yield Source(str(item))
            continue
        path = Path(item)
        if not path.exists():
            raise InputError(f"{path} does not exist; give a file or folder of text.")
        files = [path]
        if path.is_dir():
            files = sorted(
                file
                for file in path.rglob("*")
                if file.name.endswith(SUFFIXES)
                and not any(map(_hidden, file.relative_to(path).parts))
                and file.is_file()
                and not any(fnmatch(file.name, pattern) for pattern in exclude)
            )
            if not files:
                raise InputError(f"{path} holds no file that ends in {', '.join(SUFFIXES)}.")
        elif not path.name.endswith(SUFFIXES):
            raise InputError(f"{path} does not end in {', '.join(SUFFIXES)}; rename or convert it.")
        for file in files:
            status = file.stat()
            if not status.st_size:
                raise InputError(f"{file} is empty; fill it, or leave it out.")
            yield Source(str(file), status.st_size, status.st_mtime_ns)


def _hidden(name: str) -> bool:
    """Returns whether a system or an editor, and not the reader, keeps a file or folder there."""
    return name.startswith(".") or name == "__MACOSX"


def blocks(source: Source, skip: int, characters: int) -> Iterator[Block]:
    """Yields the lines of a source but the first `skip`, about so many characters at a time."""
    if source.name.startswith(HUB):
        read = _hub_rows(source.name, skip)
    elif ".jsonl" in Path(source.name).name:
        read = _json_lines(source.name, skip)
    else:
        read = (([line], at) for _, line, at in islice(_lines(source.name, cut=True), skip, None))
    paragraphs: list[str] = []
    lines = size = bytes_read = 0
    for more, bytes_read in read:
        paragraphs += more
        lines += 1
        size += sum(map(len, more))
        if size >= characters:
            yield Block(paragraphs, lines, bytes_read)
            paragraphs, lines, size = [], 0, 0
    if paragraphs:
        yield Block(paragraphs, lines, bytes_read)


def _lines(name: str, *, cut: bool) -> Iterator[tuple[str, str, int]]:
    """Yields each line's place, the line, and the bytes read; a long one is cut, or refused."""
    longest = LONGEST if cut else LONGEST_DOCUMENT
    cure = "convert it to UTF-8, or leave it out."
    with opened(name) as file, ExitStack() as stack:
        text: IO[bytes] = file
        try:
            if name.endswith(".xz"):
                text = io.BufferedReader(stack.enter_context(lzma.open(file)), 1 << 16)
            for where, line in decoded(text, name, longest=longest, cut=cut, cure=cure):
                yield where, line.strip(), file.tell()
        except (lzma.LZMAError, EOFError) as error:
            raise InputError(f"{name} is not a whole .xz file ({error}); get it again.") from None


def _json_lines(name: str, skip: int) -> Iterator[tuple[list[str], int]]:
    for where, line, bytes_read in islice(_lines(name, cut=False), skip, None):
        try:
            text = json.loads(line)["text"] if line else ""
            text.encode("utf-8")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise InputError(
                f'{where} has no {{"text": "..."}}; mend that line, or leave it out.'
            ) from None
        yield _document(text) if line else [], bytes_read


def _hub_rows(name: str, skip: int) -> Iterator[tuple[list[str], int]]:
    with data_set(name, streaming=True) as rows:
        bytes_read = 0
        for row in rows.skip(skip):
            if not isinstance(row.get("text"), str):
                raise InputError(f'{name} has no column of texts named "text"; give another.')
            bytes_read += len(row["text"].encode("utf-8", "replace"))
            yield _document(row["text"]), bytes_read


def _document(text: str) -> list[str]:
    return ["", *(part for line in text.splitlines() for part in _parts(line.strip()))]


def _parts(paragraph: str) -> Iterator[str]:
    """Yields a paragraph, a very long one cut at blanks, as that of a text file is."""
    while len(paragraph) > LONGEST:
        at = paragraph.rfind(" ", LONGEST // 2, LONGEST) + 1 or LONGEST
        yield paragraph[:at].strip()
        paragraph = paragraph[at:]
    if paragraph:
        yield paragraph
