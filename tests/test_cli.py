import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from bertedu.commands import cli
from bertedu.errors import CheckpointError, InputError


def python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def fail_with(monkeypatch):
    """Make `bertedu doctor` raise an error."""

    def install(error: BaseException) -> None:
        def run(arguments):
            raise error

        command = SimpleNamespace(add_arguments=lambda parser: None, run=run)
        monkeypatch.setattr(cli, "import_module", lambda name: command)

    return install


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_explains_itself(name, capsys):
    module = import_module(cli.COMMANDS[name][1])
    assert callable(module.run)
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: bertedu {name}")


def test_a_command_is_given_its_arguments_and_its_exit_code_is_returned(monkeypatch):
    seen = []

    def run(arguments):
        seen.append(arguments.steps)
        return 7

    command = SimpleNamespace(
        add_arguments=lambda parser: parser.add_argument("--steps", type=int), run=run
    )
    monkeypatch.setattr(cli, "import_module", lambda name: command)
    assert cli.main(["pretrain", "--steps", "3"]) == 7
    assert seen == [3]


@pytest.mark.parametrize(
    "mistake", [InputError("the text is empty"), CheckpointError("no weights")]
)
def test_a_mistake_is_one_sentence(mistake, fail_with, capsys):
    fail_with(mistake)
    assert cli.main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"bertedu doctor: {mistake}\n")


def test_an_interruption_is_quiet(fail_with, capsys):
    fail_with(KeyboardInterrupt())
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "bertedu doctor: interrupted\n"


def test_an_interruption_while_the_command_is_imported_is_quiet(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupted)
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "bertedu doctor: interrupted\n"


def test_a_full_disk_is_one_sentence(fail_with, capsys):
    fail_with(OSError(28, "No space left on device", "run/history.jsonl"))
    assert cli.main(["doctor"]) == 2
    told = "bertedu doctor: run/history.jsonl: No space left on device\n"
    assert capsys.readouterr() == ("", told)


def test_a_warning_is_its_sentence():
    ended = python(
        "import types, warnings\n"
        "from bertedu.commands import cli\n"
        "before = warnings.formatwarning\n"
        "run = lambda _: warnings.warn('2 texts were cut') or 0\n"
        "command = types.SimpleNamespace(add_arguments=lambda _: None, run=run)\n"
        "cli.import_module = lambda _: command\n"
        "assert cli.main(['doctor']) == 0\n"
        "assert warnings.formatwarning is before"
    )
    assert (ended.returncode, ended.stderr) == (0, "2 texts were cut\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
@pytest.mark.parametrize(
    ("words", "code"),
    [("| true", 141), ("2>&- | true", 141), (">/dev/full", 2), (">&- 2>&-", 0)],
)
def test_a_reader_who_leaves_is_told_nothing(words, code):
    if "full" in words and not Path("/dev/full").exists():
        pytest.skip("no device that is full")
    program = (
        "import sys, types\n"
        "from bertedu.commands import cli\n"
        "command = types.SimpleNamespace(\n"
        "    add_arguments=lambda _: None, run=lambda _: print(1) or 0)\n"
        "cli.import_module = lambda _: command\n"
        "sys.argv = ['bertedu', 'doctor']\n"
        "sys.exit(cli.main())"
    )
    closed, pipe, reader = words.partition("|")
    called = f'"$PYTHON" -c "$PROGRAM" {closed}'
    ended = subprocess.run(  # when the command prints, the pipe's reader is gone
        ["/bin/sh", "-c", f"exec 3>&1; {{ sleep 0.3; {called}; echo $? >&3; }} {pipe}{reader}"],
        env=os.environ | {"PYTHON": sys.executable, "PROGRAM": program, "PYTHONUNBUFFERED": ""},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.stdout == f"{code}\n"
    full = "bertedu doctor: a file: No space left on device\n"
    assert ended.stderr == (full if code == 2 else "")


def test_a_bug_is_not_hidden(fail_with):
    fail_with(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["doctor"])


def test_help_lists_every_command(capsys):
    assert cli.main([]) == 2
    printed = capsys.readouterr().out
    for name, (purpose, _) in cli.COMMANDS.items():
        assert re.search(rf"^    {name}\s+{re.escape(purpose)}$", printed, re.MULTILINE)


def test_an_unknown_command_is_named(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["docter"])
    assert end.value.code == 2
    assert "'docter'" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys, monkeypatch):
    monkeypatch.setattr(cli, "version", lambda name: {"bertedu": "1.2.3"}[name])
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == "bertedu 1.2.3\n"


def test_the_doctor_examines_an_installation_whose_torch_is_broken():
    ended = python(
        "import sys; sys.modules['torch'] = None\n"
        "import bertedu.commands.cli, bertedu.commands.doctor"
    )
    assert ended.returncode == 0, ended.stderr
