"""What `bertedu certify` does without the reference; the comparison itself is in tests/parity."""

import sys

import pytest

from bertedu.commands.certify import Certificate, certify, certify_page
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


FOUND = {"compared": 600, "same": 0.985, "loss": 2.0, "loss_int8": 2.004}


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (FOUND, [True, True]),  # of the embedded checkpoint: see test_web_pack.py
        (FOUND | {"same": 0.97}, [True, False]),
        (FOUND | {"loss_int8": 1.99}, [False, True]),
        ({}, []),  # a model that cannot guess
    ],
)
def test_what_int8_may_change_in_a_page_has_a_bar(found, passed, monkeypatch) -> None:
    monkeypatch.setattr("bertedu.commands.certify.certificate", lambda bert: found)
    assert [row.passed for row in certify_page(None)] == passed
