"""Text files as people have them, line by line: any encoding, with or without a mark of it.

All data files are decoded here, and nowhere else.
"""

import codecs
import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from bertedu.errors import InputError

LONGEST = 1_000_000
"""Characters of a line, or of a text to be tokenized; a token needs some hundred bytes."""
CURE = "name the file's encoding (--encoding latin-1, for example), or convert it to UTF-8"

_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair: no text has one alone
_MARKS = (  # UTF-32's first, since it begins as UTF-16's does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8"),
)
_NO_TEXT = (
    (b"PK\x03\x04", "a .zip (or .xlsx, .docx)", "unpack it, or save it as text"),
    (b"\x1f\x8b", "a .gz", "unpack it"),
    (b"\xfd7zXZ\x00", "an .xz", "unpack it"),
    (b"BZh", "a .bz2", "unpack it"),
    (b"PAR1", "a .parquet", "save it as .jsonl or .csv"),
    (b"%PDF", "a .pdf", "save it as text"),
    (b"\x89PNG", "a picture", "give another"),
    (b"\xff\xd8\xff", "a picture", "give another"),
    (b"\xd0\xcf\x11\xe0", "an .xls or .doc", "save it as text"),
    (b"version https://git-lfs", "only git-lfs's pointer to the", "run `git lfs pull`"),
    (b"<!doctype html", "a web page instead of the", "download the file itself"),
    (b"<html", "a web page instead of the", "download the file itself"),
)


Refused = Callable[[InputError], None]
"""Is told of what cannot be used; where it returns, the next is read."""


def raised(error: InputError) -> None:
    """Lets what cannot be used end the reading."""
    raise error


def text_lines(
    path: str | Path,
    encoding: str = "utf-8",
    longest: int | None = LONGEST,
    refused: Refused = raised,
    cure: str = CURE,
) -> Iterator[tuple[str, str]]:
    r"""Yields each line of a file, or of standard input ("-"), with its place, as `file:3`.

    Args:
        path: of the file.
        encoding: where the file does not begin with a mark that tells its own.
        longest: characters of a line; a longer one is refused. None = any.
        refused: is told of a line in another encoding, or too long.
        cure: what to do about another encoding.

    Raises:
        InputError: there is no such file, it is of another kind, or a line in another encoding.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "a.txt")
        >>> _ = path.write_text("one\ntwo", encoding="utf-16")
        >>> [line for _, line in text_lines(path)]
        ['one', 'two']
    """
    if str(path) == "-":
        if sys.stdin:  # None: it was closed
            yield from decoded(
                sys.stdin.buffer, "standard input", encoding, longest, cure=cure, refused=refused
            )
        return
    with opened(path) as file:
        yield from decoded(file, str(path), encoding, longest, cure=cure, refused=refused)


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    """Gives a file, open; what the disk says against it becomes one sentence.

    Raises:
        InputError: there is no such file, it is a folder, or must not be read.
    """
    path = Path(path)
    if path.is_dir():
        inside = [entry.name for entry in sorted(path.iterdir()) if entry.name[0] != "."][:3]
        raise InputError(f"{path} is a folder: name a file in it ({', '.join(inside) or 'none'})")
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}: check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read ({error})") from error


def decoded(
    file: IO[bytes],
    name: str,
    encoding: str = "utf-8",
    longest: int | None = LONGEST,
    *,
    cut: bool = False,
    cure: str = CURE,
    refused: Refused = raised,
) -> Iterator[tuple[str, str]]:
    """Yields each line of an open file with its place.

    Args:
        file: open for reading bytes.
        name: what messages call it.
        encoding: where the file does not begin with a mark that tells its own.
        longest: characters of a line; None = any.
        cut: a longer line is cut at a blank and comes in parts, instead of being refused.
        cure: what to do about another encoding.
        refused: is told of a line in another encoding, or too long.

    Raises:
        InputError: the file is of another kind, or a line in another encoding or too long.
    """
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    head = buffered.peek(4096)
    known = _encoding(head, name, encoding)
    newline = "\r" if b"\r" in head and b"\n" not in head else "\n"  # "\r" alone: an old Mac's
    try:
        # What cannot be decoded becomes half a surrogate, so that its line is told exactly.
        text = io.TextIOWrapper(buffered, known, "surrogateescape", newline=newline)
    except LookupError as error:
        raise InputError(f"there is no encoding {encoding!r}: utf-8 and latin-1 are two") from error
    number, rest = 1, ""
    try:
        while line := rest + text.readline(-1 if longest is None else longest + 1 - len(rest)):
            where, rest = f"{name}:{number}", ""
            if longest is not None and cut and len(line.rstrip("\r\n")) > longest:
                at = line.rfind(" ", longest // 2) + 1 or len(line)
                line, rest = line[:at], line[at:]
            elif longest is not None and len(line.rstrip("\r\n")) > longest:
                while not line.endswith(newline) and (line := text.readline(longest)):
                    pass  # its rest
                refused(InputError(f"{where}: this line is longer than {longest:,} characters: "
                                   "is each example on a line of its own?"))  # fmt: skip
                number += 1
                continue
            number += line.endswith(newline)
            if not line.isascii() and _HALF.search(line):
                refused(InputError(f"{where}: this line is not {known}: {cure}"))
            else:
                yield where, line.lstrip("\ufeff").rstrip("\r\n")
    except UnicodeError as error:
        raise InputError(f"{name}:{number}: this line is not {known}: {cure}") from error
    finally:
        with contextlib.suppress(ValueError):
            text.detach()  # the file is whoever opened it to close


def _encoding(head: bytes, name: str, encoding: str) -> str:
    """Returns the encoding that a file's first bytes tell, or else the given one."""
    for mark, marked in _MARKS:
        if head.startswith(mark):
            return marked
    for begin, kind, cure in _NO_TEXT:
        if head.startswith(begin) or head[:99].lstrip().lower().startswith(begin):
            raise InputError(f"{name} is {kind} file, not text: {cure}")
    zeros = head.count(0)
    if zeros * 20 <= len(head) or encoding.lower().startswith(("utf-16", "utf-32", "utf_")):
        return encoding
    if head[1::2].count(0) > 0.9 * zeros:
        return "utf-16-le"
    if head[::2].count(0) > 0.9 * zeros:
        return "utf-16-be"
    raise InputError(f"{name} is no text file: it is full of zero bytes")


def whole_text(path: str | Path, encoding: str = "utf-8") -> str:
    """Returns the text of a file.

    Raises:
        InputError: as `text_lines`.
    """
    return "\n".join(line for _, line in text_lines(path, encoding, None))
