"""The mean of checkpoints."""

import pytest
import torch
from safetensors.torch import load_file

from bertedu import (
    BertConfig,
    BertForPreTraining,
    BertModel,
    CheckpointError,
    InputError,
    from_pretrained,
    save_pretrained,
)
from bertedu.checkpoint import read_weights
from bertedu.commands import cli
from bertedu.pretraining.averaging import average
from tests.tiny import CONFIG, TOKENIZER, build


@pytest.fixture
def three(tmp_path):
    """Two whole models and an encoder, each with weights of its own."""
    folders = []
    for seed, model_class in enumerate((BertForPreTraining, BertForPreTraining, BertModel)):
        folders.append(str(tmp_path / f"{seed}"))
        torch.manual_seed(seed)
        save_pretrained(model_class(CONFIG), folders[-1], TOKENIZER)
    return folders


def test_each_tensor_is_the_mean_of_those_that_have_it(three, tmp_path) -> None:
    average(dict(zip(three, (0.5, 0.2, 0.3), strict=True)), tmp_path / "mean", keep=("pooler",))
    first, second, encoder = (read_weights(tmp_path / name) for name in "012")
    mean = read_weights(tmp_path / "mean")
    assert mean.keys() == first.keys()
    for name, value in mean.items():
        a, b = first[name], second[name]
        if "pooler" in name:
            expected = a
        elif name.startswith("bert."):
            expected = 0.5 * a + 0.2 * b + 0.3 * encoder[name.removeprefix("bert.")]
        else:
            expected = (0.5 * a + 0.2 * b) / 0.7
        torch.testing.assert_close(value, expected)
    from_pretrained(tmp_path / "mean", BertForPreTraining)


@pytest.mark.parametrize("shares", [(), (0.5,), (0.7, 0.2), (1.5, -0.5)])
def test_shares_that_make_no_mean(shares, three, tmp_path) -> None:
    with pytest.raises(InputError, match="sum to 1"):
        average(dict(zip(three, shares, strict=False)), tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_another_architecture(three, tmp_path) -> None:
    wider = BertConfig(**{**vars(CONFIG), "hidden_size": 2 * CONFIG.hidden_size})
    save_pretrained(BertModel(wider), tmp_path / "wider", TOKENIZER)
    with pytest.raises(CheckpointError, match="another shape"):
        average({three[0]: 0.5, tmp_path / "wider": 0.5}, tmp_path / "mean")


def test_one_is_itself(tmp_path) -> None:
    model = build(BertForPreTraining)
    save_pretrained(model, tmp_path / "one", TOKENIZER)
    average({tmp_path / "one": 1.0}, tmp_path / "mean")
    for name, value in read_weights(tmp_path / "mean").items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=0, atol=0)


def test_the_command_does_the_same(three, tmp_path, capsys) -> None:
    shares = dict(zip(three, (0.5, 0.2, 0.3), strict=True))
    average(shares, tmp_path / "mean", keep=("pooler", "embeddings"), dtype=torch.float16)
    words = [f"{folder}={share}" for folder, share in shares.items()]
    options = ["--keep", "pooler", "embeddings", "--half", "--out", str(tmp_path / "command")]
    assert cli.main(["average", *words, *options]) == 0
    assert "the mean of 3 checkpoints" in capsys.readouterr().out
    files = [tmp_path / folder / "model.safetensors" for folder in ("mean", "command")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert {tensor.dtype for tensor in load_file(files[1]).values()} == {torch.float16}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{0}"], "write a checkpoint and its share"),
        (["0.5"], "write a checkpoint and its share"),
        (["{0}=half"], "write a checkpoint and its share"),
        (["{0}=0.5", "{0}=0.5"], "named twice"),
        (["{0}=0.5", "{1}=0.4"], "sum to 1"),
        (["nowhere/at/all=1"], "nowhere"),
    ],
)
def test_the_command_says_in_one_sentence_what_is_wrong(
    words, message, three, tmp_path, capsys
) -> None:
    out = tmp_path / "mean"
    asked = [word.format(*three) for word in words]
    assert cli.main(["average", *asked, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not out.exists()
