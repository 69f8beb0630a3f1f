"""What `bertedu certify` does without the reference; the comparison itself is in tests/parity."""

import sys

import pytest

from bertedu.commands.certify import Certificate, certify
from bertedu.commands.cli import main
from bertedu.errors import InputError


@pytest.fixture
def no_transformers(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)


def test_without_transformers_one_sentence_says_how_to_get_it(no_transformers) -> None:
    with pytest.raises(InputError, match="run `pip install transformers`"):
        certify()


def test_the_command_fails_without_a_traceback(no_transformers, capsys) -> None:
    assert main(["certify"]) == 2
    assert "pip install transformers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("difference", "passed"), [(0.0, True), (1e-5, True), (1.1e-5, False), (float("nan"), False)]
)
def test_a_certificate_holds_up_to_its_bar(difference, passed) -> None:
    assert Certificate("hidden states", difference, 1e-5).passed is passed
