"""`bertedu lab`: the course in a folder of the reader's own, opened in JupyterLab.

What a reader has changed is never written over: where a new version of the course has another
text, it is put beside theirs.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from bertedu.errors import CheckpointError, InputError
from bertedu.utils.files import replacing, write_json

PACKAGE = Path(__file__).resolve().parents[1]
FIRST = "notebooks/00_start_here.ipynb"
BROUGHT = ".bertedu.json"  # in the reader's folder: the digest of each file as it was brought


def given() -> Path:
    """Returns the folder of the course as it came: in the package, or in the checkout around it.

    Raises:
        InputError: neither is there.
    """
    for folder in (PACKAGE / "course", PACKAGE.parent):
        if (folder / FIRST).is_file():
            return folder
    raise InputError("this bertedu was installed without its course: install the wheel")


def bring(source: Path, folder: Path) -> list[Path]:
    """Copies the course to a reader's folder; returns what was put beside a changed file.

    A file that the reader has changed stays as it is. Where the course's has changed, too, since
    it was brought, the new one stands beside it, as `01_wordpiece.new.ipynb`.

    Args:
        source: the folder with the course's notebooks/ and course/.
        folder: the reader's; made when it is not there.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> course, mine = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
        >>> (course / "notebooks").mkdir()
        >>> lesson = course / "notebooks" / "01_a.ipynb"
        >>> _ = lesson.write_text("first"), bring(course, mine)
        >>> _ = (mine / "notebooks" / "01_a.ipynb").write_text("mine"), lesson.write_text("second")
        >>> [path.name for path in bring(course, mine)]
        ['01_a.new.ipynb']
    """
    brought = _brought(folder)
    beside = []
    patterns = ("notebooks/*.ipynb", "notebooks/solutions/*.ipynb", "course/*.py", "docs/*.md")
    files = [file for pattern in patterns for file in source.glob(pattern)]
    try:
        for file in sorted(files):
            name, new = file.relative_to(source), _digest(file)
            target = folder / name
            theirs = target.exists() and _digest(target) not in {new, brought.get(name.as_posix())}
            if theirs and brought.get(name.as_posix()) == new:
                continue  # theirs, and nothing is newer
            if theirs:
                target = _free(target, new)
                beside.append(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or _digest(target) != new:
                with replacing(target) as temporary:
                    shutil.copyfile(file, temporary)
            brought[name.as_posix()] = new
    except OSError as error:
        raise CheckpointError(f"{folder} cannot hold the course: {error}") from error
    write_json(folder / BROUGHT, brought)
    return beside


def _brought(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / BROUGHT).read_text("utf-8"))
    except (OSError, ValueError):  # lost: then every file that differs counts as the reader's
        return {}
    return found if isinstance(found, dict) else {}


def _free(target: Path, digest: str) -> Path:
    """Returns a name beside a file that nobody uses, or that has this very content."""
    names = (f"{target.stem}.new{n if n > 1 else ''}{target.suffix}" for n in count(1))
    paths = (target.with_name(name) for name in names)
    return next(path for path in paths if not path.exists() or _digest(path) == digest)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def command(folder: Path, more: list[str]) -> list[str]:
    """Returns the words that start JupyterLab at the first lesson.

    Args:
        folder: of the course.
        more: words of the reader's, which come last and so prevail.
    """
    words = [sys.executable, "-m", "jupyterlab", "--log-level=WARN"]
    words += [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{FIRST}"]
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform == "linux" and not screen:
        words.append("--no-browser")
    if hasattr(os, "getuid") and os.getuid() == 0:
        words.append("--allow-root")
    return words + more


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--folder", type=Path, default=Path("bertedu-course"), help="default: %(default)s"
    )
    parser.add_argument(
        "--copy-only", action="store_true", help="copy the course, and start nothing"
    )
    parser.add_argument("more", nargs="*", help="for JupyterLab, after --")


def run(arguments: argparse.Namespace) -> int:
    """Brings the course and starts JupyterLab in its place; returns its exit code.

    Raises:
        InputError: no course, or no JupyterLab.
    """
    source, folder = given(), arguments.folder.resolve()
    if folder != source:  # a checkout is opened as it is
        for path in bring(source, folder):
            print(f"You have changed a file that has a new version: {path}")
    if arguments.copy_only:
        print(f"The course is in {folder}.")
        return 0
    if find_spec("jupyterlab") is None:
        raise InputError('JupyterLab is not installed: pip install "bertedu[lab]"')
    settings = [str(source / ".jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, settings))
    print(f"JupyterLab opens {folder / FIRST}. Ctrl-C ends it.", flush=True)
    return start(command(folder, arguments.more))


def start(words: list[str]) -> int:
    """Lets JupyterLab take this process's place, so that Ctrl-C is its own; on Windows, waits."""
    if os.name == "posix":
        os.execv(words[0], words)  # noqa: S606  # no shell between
    return subprocess.run(words, check=False).returncode  # noqa: S603  # our own words
