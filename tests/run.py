"""Runs every stage of `make test`, even when one fails, and says what was skipped and why.

    python tests/run.py              every stage
    python tests/run.py unit parity  some of them

On CI (the variable CI is set) nothing may be missing: an absent stage or tool is a failure, and so
is a skipped test, unless it only lacks the optional reference data (BERTEDU_SHARED).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
CI = bool(os.environ.get("CI"))
PYTEST = "python -m pytest --quiet --junitxml={report}"
# Folders of tests/ that are a stage of their own.
APART = " ".join(f"--ignore=tests/{name}" for name in ("parity", "notebooks", "js", "browser"))
NBVAL = "--nbval-lax --nbval-current-env --nbval-sanitize-with=tests/notebooks/sanitize.cfg"
IN_TWO = "-n2 --dist=loadfile --no-loadscope-reorder --timeout=900"
# The browser stage runs the student edition. The later lessons take longest, so they come first.
SOLUTIONS = " ".join(
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"), reverse=True)
)
# Two labs; each module's tests stay together, in the order that tests/browser/conftest.py chose.
BROWSER = "-n2 --dist=loadgroup --no-loadscope-reorder --timeout=1200"
NODE = (
    "node --test --test-reporter=spec --test-reporter-destination=stdout"
    " --test-reporter=junit --test-reporter-destination={report}"
)


@dataclass(frozen=True)
class Stage:
    """What is run, one command after the other, and what must be there for it."""

    name: str
    commands: tuple[str, ...]
    folder: str = "."
    tool: str = "python"
    workers: int = 1


STAGES = (
    Stage("lint", ("python -m ruff check .", "python -m codespell_lib")),
    Stage("types", ("python -m mypy",)),
    Stage("unit", (f"{PYTEST} -n2 --doctest-modules bertedu tests {APART}",), workers=2),
    Stage("parity", (f"{PYTEST} -n2 tests/parity",), "tests/parity", workers=2),
    Stage(
        "notebooks",
        (
            "python -m bertedu.commands.cli notebooks --check",
            f"{PYTEST} {NBVAL} {IN_TWO} {SOLUTIONS}",
        ),
        "notebooks",
        workers=2,
    ),
    Stage("javascript", (f"{NODE} tests/js/",), "tests/js", tool="node"),
    Stage("browser", (f"{PYTEST} {BROWSER} tests/browser",), "tests/browser", workers=2),
)


@dataclass
class Outcome:
    """How a stage ended: its verdict, its seconds, and why tests were skipped, with counts."""

    verdict: str
    seconds: float = 0.0
    tests: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    lessons: Counter[str] = field(default_factory=Counter)  # seconds in each

    @property
    def good(self) -> bool:
        """Whether the stage counts as passed here: on CI, nothing may be missing."""
        if self.verdict != "passed":
            return self.verdict == "skipped" and not CI
        return not CI or all("BERTEDU_SHARED" in reason for reason in self.skipped)


def run(stage: Stage, scratch: Path) -> Outcome:
    """Returns how the stage ended; its output goes to the terminal."""
    missing = _missing(stage)
    if missing:
        return Outcome("skipped", skipped=Counter([missing]))
    start = time.perf_counter()
    outcome = Outcome("passed")
    # Threads that wait sleep, so that they do not keep another worker's from their work.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    if stage.workers > 1:
        environment["OMP_NUM_THREADS"] = "1"
    for number, command in enumerate(_commands(stage)):
        report = scratch / f"{stage.name}{number}.xml"
        words = [word.format(report=report) for word in command.split()]
        if words[0] == "python":
            words[0] = sys.executable
        if subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode:
            outcome.verdict = "failed"
        if report.is_file():
            tests, skipped, lessons = read_report(report)
            outcome.tests += tests
            outcome.skipped += skipped
            outcome.lessons += lessons
    outcome.seconds = time.perf_counter() - start
    return outcome


def read_report(report: Path) -> tuple[int, Counter[str], Counter[str]]:
    """Returns a JUnit report's number of tests, skips by reason, and seconds by lesson."""
    cases = list(ET.parse(report).iter("testcase"))
    skips = [skip for case in cases for skip in case.iter("skipped")]
    skips = [skip for skip in skips if skip.get("type") != "pytest.xfail"]  # those did run
    reasons = Counter(_reason(skip.get("message") or skip.text or "") for skip in skips)
    lessons: Counter[str] = Counter()
    for case in cases:
        name = f"{case.get('classname')}.{case.get('name')}"
        if found := re.search(r"notebooks\S*\b(\d\d_\w+)", name):
            lessons[found[1]] += float(case.get("time", 0))
    return len(cases), reasons, lessons


def _reason(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "no reason given"


def _missing(stage: Stage) -> str:
    if not (ROOT / stage.folder).is_dir():
        return f"there is no folder {stage.folder}"
    if stage.tool != "python" and not shutil.which(stage.tool):
        return f"{stage.tool} is not installed"
    return ""


def _commands(stage: Stage) -> tuple[str, ...]:
    """Returns the stage's commands; npm's packages come first where their lock is newer."""
    lock = ROOT / stage.folder / "package-lock.json"
    installed = lock.with_name("node_modules") / ".package-lock.json"
    if not lock.is_file() or _changed(installed) >= _changed(lock):
        return stage.commands
    return (f"npm ci --no-audit --no-fund --prefix={stage.folder}", *stage.commands)


def _changed(file: Path) -> float:
    return file.stat().st_mtime if file.is_file() else 0.0


def main(names: list[str]) -> int:
    """Runs the named stages (without names, all) and returns 0 when everything is right."""
    unknown = set(names) - {stage.name for stage in STAGES}
    if unknown:
        print(f"No stage {', '.join(sorted(unknown))}: {', '.join(s.name for s in STAGES)}.")
        return 2
    outcomes = {}
    os.environ["BERTEDU_PROGRESS"] = ""  # what the tests solve is not the reader's progress
    with tempfile.TemporaryDirectory() as scratch:
        for stage in STAGES:
            if not names or stage.name in names:
                print(f"\n=== {stage.name} ===", flush=True)
                outcomes[stage.name] = run(stage, Path(scratch))
                print(
                    f"--- {stage.name}: {outcomes[stage.name].verdict}, "
                    f"{outcomes[stage.name].seconds:.1f} s",
                    flush=True,
                )
    print(summary(outcomes))
    return 0 if all(outcome.good for outcome in outcomes.values()) else 1


def summary(outcomes: dict[str, Outcome]) -> str:
    """Returns the closing table, then each reason for skipping."""
    row = "{:12}{:10}{:>8}{:>8}{:>9}".format
    lines = ["", row("stage", "verdict", "seconds", "tests", "skipped")]
    for name, it in outcomes.items():
        verdict = it.verdict if it.good or it.verdict == "failed" else "missing"
        counts = (it.tests or "", it.skipped.total() or "")
        lines.append(row(name, verdict, f"{it.seconds:.1f}", *counts))
    for name, it in outcomes.items():
        lines += [f"skipped in {name}: {count} x {reason}" for reason, count in it.skipped.items()]
    for name, it in outcomes.items():
        slow = [f"{lesson} {seconds:.0f}" for lesson, seconds in it.lessons.most_common(8)]
        if it.lessons.total() > 1:  # some were run
            lines.append(f"seconds of the longest lessons in {name}: {', '.join(slow)}")
    bad = [name for name, outcome in outcomes.items() if not outcome.good]
    seconds = sum(outcome.seconds for outcome in outcomes.values())
    verdict = f"NOT right: {', '.join(bad)}" if bad else "All is right"
    return "\n".join([*lines, f"{verdict} ({seconds:.0f} s)."])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
