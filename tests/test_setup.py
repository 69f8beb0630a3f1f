import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from bertedu.commands import doctor
from bertedu.commands.cli import COMMANDS
from bertedu.commands.lab import FIRST

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINS = re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE)
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))


def requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["widgets"], *extras["lab"], *extras["test"]]
    return [r for r in map(Requirement, lines) if r.name != "bertedu"]


def conda(package: str) -> str:
    [version] = [
        version
        for name, _, version in (line.partition("=") for line in CONDA["dependencies"][:-1])
        if name == package
    ]
    return version


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_the_lock_pins_each_direct_dependency_in_its_range(requirement):
    versions = [v for name, v in PINS if name == requirement.name.replace("_", "-").lower()]
    assert versions
    assert all(requirement.specifier.contains(version) for version in versions)


def test_torch_has_one_version_everywhere():
    [override] = map(Requirement, PYPROJECT["tool"]["uv"]["override-dependencies"])
    [locked] = [version for name, version in PINS if name == "torch"]
    assert str(override.specifier) == f"=={locked}"
    assert conda("pytorch-cpu") == locked
    # The lock names it for `make`, and never installs it.
    assert f"torch=={locked} ; sys_platform == 'never'" in LOCK
    assert not [name for name, _ in PINS if re.match(r"nvidia|triton|cuda", name)]


def test_python_has_one_range_everywhere():
    supported = SpecifierSet(PYPROJECT["project"]["requires-python"])
    major, minor = doctor.OLDEST_PYTHON
    assert supported == SpecifierSet(f">={major}.{minor}")
    assert supported.contains(conda("python"))
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{major}{minor}"
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert set(re.findall(r"version_info < (\(.*?\))", makefile)) == {f"({major}, {minor})"}


def test_conda_installs_the_package_with_the_extras_that_are_locked():
    assert CONDA["dependencies"][-1] == {"pip": ["-e .[lab,test]"]}


def test_every_pin_has_a_hash_and_none_a_place():
    pins = re.split(r"^(?=\w)", LOCK, flags=re.MULTILINE)[1:]
    assert len(pins) == len(PINS) > 100
    assert all("--hash=sha256:" in pin for pin in pins)
    assert not re.search(r"https?:|file:", LOCK)


def test_each_ignored_rule_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    lint = text[text.index("\nignore = [") : text.index("[tool.mypy]")]
    rules = re.findall(r'^    "[A-Z]+\d*",.*$', lint, re.MULTILINE)
    assert len(rules) > 10
    assert [rule for rule in rules if not re.search(r",\s+# \w+", rule)] == []


def test_every_file_beside_the_code_comes_with_the_package():
    package = ROOT / "bertedu"
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["bertedu"]
    shipped = {file for pattern in patterns for file in package.glob(pattern)}
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "bertedu"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    files = {ROOT / name for name in tracked if name and not name.endswith(".py")}
    assert package / "py.typed" in files
    assert files - shipped == set()


# ---------------------------------------------------------------- GitHub's machines, as a file

WORKFLOW = (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
JOBS = yaml.safe_load(WORKFLOW)["jobs"]


def told(job: str) -> str:
    """Returns all that a job runs."""
    return "\n".join(step["run"] for step in JOBS[job]["steps"] if "run" in step)


def python_of(job: str) -> str:
    [version] = [step["with"]["python-version"] for step in JOBS[job]["steps"]
                 if "setup-python" in step.get("uses", "")]  # fmt: skip
    return version


def test_the_five_jobs_are_the_five_machines():
    systems = {name: job["runs-on"].partition("-")[0] for name, job in JOBS.items()}
    assert systems == {
        "linux-oldest": "ubuntu",
        "linux-newest": "ubuntu",
        "macos": "macos",
        "windows-without-make": "windows",
        "wheel-alone": "ubuntu",
    }
    assert python_of("linux-oldest") == ".".join(map(str, doctor.OLDEST_PYTHON))
    assert "lowest-direct" in told("linux-oldest")
    assert python_of("linux-newest") == "3.x"
    assert "make" not in told("windows-without-make")
    assert "never been run" in WORKFLOW


def test_the_jobs_name_what_exists(runner):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for name in set(JOBS) - {"wheel-alone"}:
        [stages] = re.findall(r"^(?:python tests/run\.py|make) (.+)$", told(name), re.MULTILINE)
        assert set(stages.split()) <= {stage.name for stage in runner.STAGES}, name
        assert all(re.search(rf"^{stage}:", makefile, re.MULTILINE) for stage in stages.split())
    [locked] = [version for name, version in PINS if name == "torch"]
    assert set(re.findall(r"torch==([\d.]+)", WORKFLOW)) == {locked}
    commands = re.findall(r"^bertedu (\w+)", told("wheel-alone"), re.MULTILINE)
    assert commands == ["doctor", "lab"]
    assert set(commands) <= set(COMMANDS)
    assert "--copy-only" in told("wheel-alone")
    assert f"bertedu-course/{FIRST}" in told("wheel-alone")


# ---------------------------------------------------------------- make, with a python that notes

FAKE_PYTHON = """\
#!/bin/sh
echo "$@" >> "$NOTES"
case "$*" in
    *version_info*) [ -z "$OLD" ];;
    --version) echo Python 3.9.1;;
    *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python;;
    *require-hashes*) [ -z "$BROKEN" ];;
esac
"""


class Make:
    """A checkout's Makefile with a python that only notes what it was asked."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        self.folder = folder
        fake = folder.parent / "fake_python"
        fake.write_text(FAKE_PYTHON)
        fake.chmod(0o755)
        self.python = str(fake)
        self.notes = folder.parent / "notes"

    def __call__(self, target: str, code: int = 0, **environment: str) -> str:
        """Run one target; return what was printed, and leave what python was asked in `asked`."""
        self.notes.write_text("")
        clean = {k: v for k, v in os.environ.items() if "MAKE" not in k and "DISPLAY" not in k}
        ended = subprocess.run(
            ["make", target, f"PYTHON={self.python}"],
            cwd=self.folder,
            env=clean | {"NOTES": str(self.notes)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert bool(ended.returncode) is bool(code), ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    @property
    def asked(self) -> str:
        return self.notes.read_text()


@pytest.fixture
def make(tmp_path) -> Make:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    return Make(tmp_path / "a folder's name")


def test_the_first_call_installs_and_the_second_does_not(make):
    make("test")
    order = [
        "-m venv",
        "install torch==",
        "--require-hashes -r requirements.lock",
        "-e .",
        "run.py",
    ]
    places = [make.asked.index(word) for word in order]
    assert places == sorted(places)
    make("test")
    assert make.asked == "tests/run.py\n"


def test_a_new_lock_is_installed_into_the_same_environment(make):
    make("test")
    (make.folder / ".venv/kept").touch()
    future = (make.folder / ".venv/ready").stat().st_mtime + 10
    os.utime(make.folder / "requirements.lock", (future, future))
    make("test")
    assert "--require-hashes" in make.asked
    assert (make.folder / ".venv/kept").exists()


def test_an_interrupted_installation_is_begun_again(make):
    assert "[3/4]" in make("test", code=2, BROKEN="yes")
    assert "run.py" not in make.asked
    (make.folder / ".venv/half").touch()
    assert "left unfinished" in make("test")
    assert "--require-hashes" in make.asked
    assert not (make.folder / ".venv/half").exists()


def test_a_moved_folder_gets_a_new_environment(make):
    make("test")
    make.folder = make.folder.rename(make.folder.parent / "elsewhere")
    assert "belongs to another folder" in make("test")
    assert "-m venv" in make.asked


def test_an_environment_made_by_hand_is_kept(make):
    (make.folder / ".venv/bin").mkdir(parents=True)
    shutil.copy(make.python, make.folder / ".venv/bin/python")
    (make.folder / ".venv/mine").touch()
    make("test")
    assert "--require-hashes" in make.asked
    assert (make.folder / ".venv/mine").exists()


def test_an_old_python_is_one_clear_sentence(make):
    said = make("lab", code=2, OLD="yes")
    assert "bertedu needs Python 3.11 or newer, and" in said
    assert "is Python 3.9.1: install one, or name one with 'make lab PYTHON=" in said
    assert not (make.folder / ".venv").exists()


def test_a_missing_python_is_said(make):
    make.python = "python3.99"
    assert "and python3.99 is missing: install one" in make("lab", code=2)


def test_the_lab_opens_this_folder_as_it_is(make):
    make("lab")
    assert make.asked.splitlines()[-1] == "-m bertedu.commands.cli lab --folder ."


def test_no_setting_of_the_readers_own_reaches_pip_or_python(make):
    """Each variable that would send an installation elsewhere is unset before anything runs."""
    places = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PYTHONPATH", "PYTHONHOME")
    fake = Path(make.python)
    told = "; ".join(f'echo "$0 {name}=${name}" >> "$NOTES"' for name in places)
    fake.write_text(FAKE_PYTHON.replace('echo "$@"', f'{told}; echo "$@"'))
    make("test", **dict.fromkeys(places, "elsewhere"))
    assert make.asked.count("PIP_ROOT=") > 3
    assert "elsewhere" not in make.asked


def test_help_lists_every_target(make):
    said = make("help")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    [targets] = re.findall(r"^\.PHONY: (.*) FORCE$", makefile, re.MULTILINE)
    assert {"lab", "test", "help"} < set(targets.split())
    for target in targets.split():
        assert re.search(rf"^  make {target} +\w", said, re.MULTILINE), target


# ---------------------------------------------------------------- the stages of `make test`


@pytest.fixture
def runner(monkeypatch, tmp_path):
    """Return tests/run.py with stages that take no time, in a folder of its own."""
    spec = importlib.util.spec_from_file_location("run", ROOT / "tests/run.py")
    run = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "run", run)
    spec.loader.exec_module(run)
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "CI", False)
    return run


def stages(run, monkeypatch, **commands: str) -> None:
    every = tuple(run.Stage(name, (command,)) for name, command in commands.items())
    monkeypatch.setattr(run, "STAGES", every)


def test_all_stages_run_although_one_fails(runner, monkeypatch, capfd):
    stages(runner, monkeypatch, one="false", two="echo still-here")
    assert runner.main([]) == 1
    said = capfd.readouterr().out
    assert "still-here" in said
    assert "NOT right: one (" in said


def test_one_stage_can_be_named_and_a_wrong_name_is_said(runner, monkeypatch, capfd):
    stages(runner, monkeypatch, one="false", two="true")
    assert runner.main(["two"]) == 0
    assert runner.main(["three"]) == 2
    assert "No stage three: one, two." in capfd.readouterr().out


@pytest.mark.parametrize("ci", [False, True])
def test_an_absent_folder_or_tool_is_a_named_skip_and_on_ci_a_failure(
    runner, monkeypatch, capfd, ci
):
    monkeypatch.setattr(runner, "CI", ci)
    absent = (
        runner.Stage("one", ("true",), folder="nowhere"),
        runner.Stage("two", ("true",), tool="no-such-tool"),
    )
    monkeypatch.setattr(runner, "STAGES", absent)
    assert runner.main([]) == int(ci)
    said = capfd.readouterr().out
    assert "skipped in one: 1 x there is no folder nowhere" in said
    assert "skipped in two: 1 x no-such-tool is not installed" in said


@pytest.mark.parametrize(
    ("reason", "ci", "code"),
    [
        ("chromium is missing", False, 0),
        ("chromium is missing", True, 1),
        ("optional reference data: BERTEDU_SHARED names no folder", True, 0),
    ],
)
def test_skipped_tests_are_told_and_on_ci_only_reference_data_may_be_missing(
    runner, monkeypatch, capfd, tmp_path, reason, ci, code
):
    monkeypatch.setattr(runner, "CI", ci)
    skip = f"import pytest\n\ndef test_it():\n    pytest.skip({reason!r})\n"
    (tmp_path / "test_skip.py").write_text(skip)
    stages(runner, monkeypatch, unit=f"{runner.PYTEST} -c /dev/null --rootdir=. test_skip.py")
    assert runner.main([]) == code
    assert f"skipped in unit: 1 x {reason}" in capfd.readouterr().out


def test_npm_installs_only_when_its_lock_is_newer(runner, monkeypatch, tmp_path):
    stage = runner.Stage("javascript", ("true",), folder="js")
    lock = tmp_path / "js/package-lock.json"
    installed = tmp_path / "js/node_modules/.package-lock.json"
    installed.parent.mkdir(parents=True)
    assert runner._commands(stage) == ("true",)
    lock.touch()
    assert runner._commands(stage)[0].startswith("npm ci")
    installed.touch()
    assert runner._commands(stage) == ("true",)
