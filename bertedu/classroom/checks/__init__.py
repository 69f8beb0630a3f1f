"""Checks of the exercises: `checks.NAME(answer)` says whether it is right, and if not, why.

Example:
    >>> from bertedu.classroom import checks
    >>> checks.mask_for_keys
    checks.mask_for_keys(your answer): A mask [B, S] in the shape that shuts out keys. (lesson 06)
    >>> print(checks.mask_for_keys.judge(lambda real: real[:, None, None, :]))
    ✓ right
    >>> checks.mask_for_keys(...)
    not done yet
"""

from difflib import get_close_matches
from importlib import import_module

from bertedu.classroom.checks import progress
from bertedu.classroom.checks.framework import REGISTRY, Check
from bertedu.classroom.checks.guessing import (
    guess as guess,  # for the course: checks.guess(mine, truth)
)

_LESSONS = range(14)  # whose checks are in lesson_00, lesson_01, ...


def every_check() -> dict[str, Check]:
    """Returns all checks by name, in the order of the course."""
    for number in _LESSONS:  # when first asked for, so that the library itself stays light
        import_module(f"{__name__}.lesson_{number:02}")
    return dict(REGISTRY)


def board() -> progress.Board:
    """Returns the progress board: lessons, and which of their checks are done on this machine.

    Example:
        >>> print(repr(board()).split("  ")[0])
        00 start here
    """
    from bertedu.classroom.lessons import LESSONS

    titles = {name[:2]: name.replace("_", " ") for name in ("00_start_here", *LESSONS)}
    remark = ""
    try:
        kept = progress.load()
    except (OSError, ValueError) as error:
        kept, remark = {}, f"The file of your progress cannot be read: {error}"
    states: dict[str, dict[str, str]] = {}
    for name, check in sorted(every_check().items(), key=lambda item: item[1].lesson):
        entry = kept.get(name)
        state = "" if entry is None else "right" if entry.get("right") else "tried"
        states.setdefault(check.lesson, {})[name] = state
    lessons = [progress.Lesson(titles.get(n, n), checks) for n, checks in states.items()]
    return progress.Board(lessons, remark)


def __getattr__(name: str) -> Check:
    if name.startswith("_"):
        raise AttributeError(name)
    known = every_check()
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    meant = f"; did you mean checks.{near[0]}?" if near else ""
    raise AttributeError(f"there is no check {name!r}{meant}")


def __dir__() -> list[str]:
    return sorted([*globals(), *every_check()])
