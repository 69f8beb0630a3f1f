"""`bertedu certify` itself: everything equal here, and a broken model found out."""

import pytest

from bertedu import model
from bertedu.commands.certify import SMALL, certify
from bertedu.commands.cli import main
from bertedu.config import BertConfig


@pytest.fixture(autouse=True)
def no_page(monkeypatch) -> None:
    """What int8 changes takes long, and is in tests/test_web_pack.py."""
    monkeypatch.setattr("bertedu.commands.certify.certify_page", lambda bert: [])


def test_all_certificates_hold_for_several_seeds_and_sizes() -> None:
    odd = BertConfig(
        vocab_size=77, hidden_size=30, num_hidden_layers=1, num_attention_heads=3,
        intermediate_size=50, max_position_embeddings=9, hidden_act="relu", type_vocab_size=3,
    )  # fmt: skip
    for config in (SMALL, odd):
        for seed in range(3):
            rows = certify(config, seed, texts=60)
            assert [row for row in rows if not row.passed] == []
            assert len(rows) == 9 + 2 * config.num_hidden_layers


def test_a_broken_model_is_found_out(monkeypatch) -> None:
    monkeypatch.setitem(model.ACTIVATIONS, "gelu", model.ACTIVATIONS["gelu_new"])
    failed = {row.quantity for row in certify(texts=10) if not row.passed}
    assert {"hidden states of layer 1", "gradients, relative", "loss, nats"} <= failed
    assert "embeddings" not in failed


def test_the_command_prints_a_table_and_a_verdict(monkeypatch, capsys) -> None:
    assert main(["certify", "--texts", "20"]) == 0
    printed = capsys.readouterr().out
    assert "pooled [CLS]" in printed
    assert "Equal within every bar." in printed
    monkeypatch.setitem(model.ACTIVATIONS, "gelu", model.ACTIVATIONS["relu"])
    assert main(["certify", "--texts", "20"]) == 1
    assert "Beyond the bar: hidden states of layer 1" in " ".join(capsys.readouterr().out.split())
