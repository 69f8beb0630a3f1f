"""What a reader has done so far: a small file on their own machine, and a board that shows it."""

import contextlib
import html
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from bertedu.utils.files import replacing

PATIENCE = 10.0  # seconds in which the other notebooks have written, however slow the disk
VARIABLE = "BERTEDU_PROGRESS"
_said: set[str] = set()


def path() -> Path | None:
    """Returns the file in which the progress is kept; None where none is wanted.

    The environment variable BERTEDU_PROGRESS names another file; set to nothing, none is kept.
    """
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE]) if os.environ[VARIABLE] else None
    return platformdirs.user_data_path("bertedu", appauthor=False) / "progress.json"


def load() -> dict[str, dict[str, Any]]:
    """Returns for each check that was tried: `tries`, a count, and `right`, whether it is done.

    Raises:
        ValueError: the file is not one of ours.
        OSError: it cannot be read.
    """
    file = path()
    if file is None or not file.exists():
        return {}
    found = json.loads(file.read_text("utf-8"))
    if not isinstance(found, dict) or not all(isinstance(x, dict) for x in found.values()):
        raise ValueError("it is not a list of checks")
    return found


def record(name: str, *, right: bool) -> str | None:
    """Notes one try. Returns a sentence if that is impossible, the first time only.

    Args:
        name: of the check.
        right: whether this try was; who was right once is done.
    """
    try:
        file = path()
        if file is None:
            return None
        file.parent.mkdir(parents=True, exist_ok=True)
        with _alone(file):
            kept = load()
            before = kept.get(name, {})
            kept[name] = {
                "tries": int(before.get("tries", 0)) + 1,
                "right": right or bool(before.get("right")),
            }
            with replacing(file, mode=0o600) as scratch:
                scratch.write_text(json.dumps(kept, indent=1, sort_keys=True), "utf-8")
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"
        if reason in _said:
            return None
        _said.add(reason)
        return f"(Your progress is not kept: {reason}. Everything else works.)"
    return None


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keeps other notebooks from writing between reading and writing, on every system."""
    lock = FileLock(file.with_name(f".{file.name}.lock"), timeout=PATIENCE)
    with contextlib.ExitStack() as held:
        # On a disk without locks (some network homes), a last writer that wins is all there is.
        with contextlib.suppress(OSError):
            held.enter_context(lock)
        yield


@dataclass(frozen=True)
class Lesson:
    """One line of the board: a lesson and its checks, each with how far it is."""

    title: str
    checks: Mapping[str, str]  # name -> "right", "tried" or ""

    @property
    def done(self) -> int:
        """How many are right."""
        return sum(state == "right" for state in self.checks.values())


SIGNS = {"right": "●", "tried": "◐", "": "○"}
MEANING = {"right": "right", "tried": "tried", "": "not yet"}
LEGEND = "● right  ◐ tried  ○ not yet"


class Board:
    """The progress as a table: HTML in a notebook, text elsewhere.

    Args:
        lessons: its lines.
        remark: a sentence beneath, for example why there is no progress.
    """

    def __init__(self, lessons: list[Lesson], remark: str = "") -> None:
        self.lessons, self.remark = lessons, remark

    @property
    def done(self) -> dict[str, tuple[int, int]]:
        """A lesson's number ("01"), and how many of how many are right, as the map takes it."""
        return {each.title[:2]: (each.done, len(each.checks)) for each in self.lessons}

    @property
    def states(self) -> dict[str, str]:
        """A check's name, and "right", "tried" or "", of all lessons."""
        return {name: state for each in self.lessons for name, state in each.checks.items()}

    def __repr__(self) -> str:
        width = max((len(lesson.title) for lesson in self.lessons), default=0)
        lines = [
            f"{lesson.title:{width}}  {lesson.done:2} of {len(lesson.checks):2}  "
            + "".join(SIGNS[state] for state in lesson.checks.values())
            for lesson in self.lessons
        ]
        return "\n".join([*lines, self._total(), *([self.remark] if self.remark else [])])

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>"
            f'<td style="text-align:left">{html.escape(lesson.title)}</td>'
            f"<td>{lesson.done} of {len(lesson.checks)}</td>"
            '<td style="text-align:left;letter-spacing:0.2em">' + self._marks(lesson) + "</td></tr>"
            for lesson in self.lessons
        )
        head = "<tr><th style='text-align:left'>lesson</th><th>done</th><th></th></tr>"
        remark = f"<p>{html.escape(self.remark)}</p>" if self.remark else ""
        return (
            f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
            f"<p>{html.escape(self._total())}</p>{remark}"
        )

    def _total(self) -> str:
        done = sum(lesson.done for lesson in self.lessons)
        total = sum(len(lesson.checks) for lesson in self.lessons)
        return f"{done} of {total} done.  {LEGEND}"

    @staticmethod
    def _marks(lesson: Lesson) -> str:
        return "".join(
            f'<span role="img" title="{html.escape(name)}: {MEANING[state]}" '
            f'aria-label="{html.escape(name)}: {MEANING[state]}">{SIGNS[state]}</span>'
            for name, state in lesson.checks.items()
        )
