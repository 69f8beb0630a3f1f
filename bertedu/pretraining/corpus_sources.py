"""Where a corpus comes from: text files, JSON lines and data sets of the hub, line by line."""

import io
import json
import lzma
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, NamedTuple

from bertedu.errors import InputError

SUFFIXES = (".txt", ".txt.xz", ".jsonl", ".jsonl.xz")
HUB = "hub:"


@dataclass(frozen=True)
class Source:
    """A file, or a data set of the hub, and what tells that it has changed."""

    name: str
    size: int = 0  # bytes on disk; 0 = not known
    modified: int = 0  # nanoseconds

    def is_that_of(self, entry: dict[str, Any]) -> bool:
        """Returns whether a corpus's note of a source means this one, unchanged."""
        return asdict(self).items() <= entry.items()

    def lines(self, position: int) -> "Iterator[Lines]":
        """Yields its lines from a position on."""
        if self.name.startswith(HUB):
            return _hub_rows(self.name, position)
        read = _json_lines if ".jsonl" in Path(self.name).name else _text_lines
        return read(self.name, position)


class Lines(NamedTuple):
    """Some lines of a source, and how far it has been read."""

    paragraphs: list[str]  # "" ends a document
    position: int  # where the next line begins
    bytes_read: int  # of the file as it lies on disk


def blocks(source: Source, position: int, characters: int) -> Iterator[Lines]:
    """Yields the lines from a position on, put together to about so many characters."""
    paragraphs: list[str] = []
    size = bytes_read = 0
    for line in source.lines(position):
        paragraphs += line.paragraphs
        size += sum(map(len, line.paragraphs))
        position, bytes_read = line.position, line.bytes_read
        if size >= characters:
            yield Lines(paragraphs, position, bytes_read)
            paragraphs, size = [], 0
    if paragraphs:
        yield Lines(paragraphs, position, bytes_read)


def _raw_lines(name: str, position: int) -> Iterator[tuple[str, int, int]]:
    """Yields each line, the position after it in the (unpacked) text, and the bytes read."""
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(Path(name).open("rb"))
        text = file
        if name.endswith(".xz"):
            text = io.BufferedReader(stack.enter_context(lzma.open(file)), 1 << 16)
        try:
            text.seek(position)
            for line in text:
                decoded = line.decode("utf-8").removeprefix("" if position else "\ufeff").strip()
                position += len(line)
                yield decoded, position, file.tell()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name} is not UTF-8 at byte {position + error.start:,}; convert it to UTF-8, "
                "or leave it out."
            ) from None
        except (lzma.LZMAError, EOFError) as error:
            raise InputError(f"{name} is not a whole .xz file ({error}); get it again.") from None


def _text_lines(name: str, position: int) -> Iterator[Lines]:
    for line, after, bytes_read in _raw_lines(name, position):
        yield Lines([line], after, bytes_read)


def _json_lines(name: str, position: int) -> Iterator[Lines]:
    for line, after, bytes_read in _raw_lines(name, position):
        if line:
            try:
                text = json.loads(line)["text"]
                text.encode("utf-8")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InputError(
                    f'{name} has no {{"text": "..."}} in the line that ends at byte {after:,}; '
                    "mend that line, or leave it out."
                ) from None
            yield Lines(_document(text), after, bytes_read)


def _document(text: str) -> list[str]:
    return ["", *filter(None, map(str.strip, text.splitlines()))]


def _hub_rows(name: str, position: int) -> Iterator[Lines]:
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"{name} needs the package `datasets`; pip install bertedu[data], "
            "or give a file of text."
        ) from None
    data_set, _, split = name.removeprefix(HUB).partition(":")
    try:
        rows = datasets.load_dataset(data_set, split=split or "train", streaming=True)
        bytes_read = 0
        for row in rows.skip(position):
            if not isinstance(row.get("text"), str):
                raise InputError(f'{name} has no column of texts named "text"; give another.')
            position += 1
            bytes_read += len(row["text"].encode("utf-8", "replace"))
            yield Lines(_document(row["text"]), position, bytes_read)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{name} cannot be read ({str(error).splitlines()[0]}); check the name, the split and "
            "the network, or give a file of text."
        ) from error


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
                if file.is_file()
                and file.name.endswith(SUFFIXES)
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
