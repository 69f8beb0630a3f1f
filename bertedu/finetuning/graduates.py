"""The graduates: adapters on the embedded checkpoint that come with the course, each by a name.

Each is a folder with its card, a README.md. SHA256 beside the folders has the checksum of each
one's weights, as `sha256sum */*.safetensors` prints it: by this the doctor knows them.
"""

import re
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from bertedu.checkpoint import resolve
from bertedu.errors import CheckpointError
from bertedu.finetuning.adapters import CONFIG, WEIGHTS
from bertedu.finetuning.task import SETTINGS

GRADUATES = Path(__file__).parents[1] / "graduates"
CARD, SUMS = "README.md", "SHA256"


class Card(NamedTuple):
    """What a graduate's card begins with.

    Attributes:
        purpose: its first line below the title, "" where the card is lost.
        example: the first command that asks it.
    """

    purpose: str
    example: str


def names() -> list[str]:
    """Returns the graduates' names: those that are there, and those that should be."""
    sums = GRADUATES / SUMS
    listed = re.findall(r"(\w+)/", sums.read_text("utf-8")) if sums.is_file() else []
    return sorted({*listed, *(file.parent.name for file in GRADUATES.glob(f"*/{CONFIG}"))})


def card(name: str) -> Card:
    """Returns what a graduate's card says first."""
    file = GRADUATES / name / CARD
    text = file.read_text("utf-8") if file.is_file() else ""
    purpose = re.search(r"^[^#\s].*$", text, re.MULTILINE)
    example = re.search(r"^\$ (bertedu predict .+)$", text, re.MULTILINE)
    return Card(
        purpose[0] if purpose else "",
        example[1] if example else f"bertedu predict {name} TEXT",
    )


def find(name: str | PathLike[str]) -> Path:
    """Returns the folder of a graduate, or else of a checkpoint.

    Args:
        name: a graduate's name, which wins over a folder that is called so (that one is
            "./name"), or as in `bertedu.checkpoint.resolve`.

    Raises:
        CheckpointError: the graduate is not whole, or there is nothing of the name.

    Example:
        >>> find("no/such/folder")
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: there is no folder 'no/such/folder': check the path
    """
    there = names()
    if name in there:
        folder = GRADUATES / name
        if lost := [file for file in (CONFIG, WEIGHTS, SETTINGS) if not (folder / file).is_file()]:
            raise CheckpointError(
                f"the graduate {name} has no {lost[0]}: `git restore bertedu/graduates`, or "
                "install bertedu again"
            )
        return folder
    try:
        return resolve(name)
    except CheckpointError as error:
        if there and re.fullmatch(r"[\w-]+", str(name)):  # a path is no slip of the pen
            raise CheckpointError(f"{error}; the graduates are {', '.join(there)}") from error
        raise
