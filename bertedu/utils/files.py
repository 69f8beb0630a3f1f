"""Files that are written whole or not at all: a full disk or a killed process keeps the old one."""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertedu.errors import CheckpointError

WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""One of these has the weights, or says which files have them; the first that is there counts."""
_SHARD = re.compile(r"\w[\w.-]*\.(safetensors|bin)")
_POINTER = b"version https://git-lfs.github.com/spec/"


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Gives a temporary file that takes the place of `path` once it is written whole.

    Args:
        path: the file, new or old, in a folder that is there.
        mode: who may read and write it, where the system knows that.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "numbers.txt"
        >>> with replacing(path) as temporary:
        ...     _ = temporary.write_text("1 2 3")
        >>> path.read_text()
        '1 2 3'
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Returns the text of one of a checkpoint's files.

    Raises:
        CheckpointError: it is not UTF-8, cannot be read, or only points to the file.
    """
    refuse_pointer(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is no text that can be read ({error})") from error


def read_json(path: Path) -> dict[str, Any]:
    """Returns the settings in a JSON file.

    Raises:
        CheckpointError: it is not JSON, or holds something else.
    """
    refuse_pointer(path)
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # not UTF-8 is a ValueError, too
        raise CheckpointError(f"{path} is not JSON ({error}): copy it again") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds a {type(values).__name__}, not settings")
    return values


def refuse_pointer(path: Path) -> None:
    """Refuses the few lines that git leaves in place of a large file.

    Raises:
        CheckpointError: git-lfs has not brought the file itself, or it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_POINTER))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be opened ({error})") from error
    if start == _POINTER:
        raise CheckpointError(
            f"{path} only points to the file: run `git lfs pull` in its folder, which brings it"
        )


def weight_files(folder: Path) -> list[Path]:
    """Returns the files among which a checkpoint's weights are divided; [] where there are none.

    Raises:
        CheckpointError: an index that is damaged, or names what is no file beside it.

    Source: transformers, modeling_utils.py, whose `save_pretrained` divides what is large.
    """
    path = next((folder / file for file in WEIGHT_FILES if (folder / file).is_file()), None)
    if path is None or path.suffix != ".json":
        return [path] if path else []
    names = read_json(path).get("weight_map")
    files = list(names.values()) if isinstance(names, dict) else []
    if not files or not all(isinstance(file, str) and _SHARD.fullmatch(file) for file in files):
        raise CheckpointError(f"{path} does not say which file has which weight: copy it again")
    return [folder / file for file in sorted(set(files))]


def write_json(path: Path, content: Any) -> None:
    """Writes a small JSON file, and its folder where it is missing.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"{path} could not be written: {error}") from error
