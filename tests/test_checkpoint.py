"""Checkpoint folders: there and back, old names, and every way a folder can be wrong."""

import errno
import json
import os
import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import bertedu
from bertedu import (
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    CheckpointError,
    from_pretrained,
    save_pretrained,
)
from bertedu.checkpoint import load_into, renamed, resolve
from bertedu.utils.files import replacing
from tests.tiny import CONFIG, TOKENIZER, build

CLASSES = [
    BertModel,
    BertForPreTraining,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertForQuestionAnswering,
]


@pytest.fixture
def folder(tmp_path):
    """Return a good checkpoint's folder, for the test to spoil."""
    save_pretrained(build(BertForPreTraining), tmp_path, TOKENIZER)
    return tmp_path


def refused(folder, message: str) -> None:
    for call in (bertedu.load, lambda path: from_pretrained(path, BertForPreTraining)):
        with pytest.raises(CheckpointError, match=message) as caught:
            call(folder)
        assert "\n" not in str(caught.value)


def rewrite(folder, change) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors")


@pytest.mark.parametrize("model_class", CLASSES)
def test_saved_and_loaded_again(model_class, tmp_path) -> None:
    model = build(model_class)
    save_pretrained(model, tmp_path)
    again = from_pretrained(tmp_path, model_class)
    assert again.config == model.config
    assert not again.training
    for name, weight in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight)


def test_saving_twice_gives_the_same_bytes(tmp_path) -> None:
    for name in "ab":
        save_pretrained(build(BertForPreTraining), tmp_path / name, TOKENIZER)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_half_precision_halves_the_file_and_is_read_as_float32(tmp_path) -> None:
    model = build(BertForPreTraining)
    save_pretrained(model, tmp_path, dtype=torch.float16)
    stored = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    again = from_pretrained(tmp_path, BertForPreTraining)
    for name, weight in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight.half().float())


def test_a_new_head_is_allowed_by_name_only(folder) -> None:
    with pytest.raises(CheckpointError, match=r"has no classifier.weight \(2 of BertForSequence"):
        from_pretrained(folder, BertForSequenceClassification)
    model = from_pretrained(
        folder, BertForSequenceClassification, labels=("a", "b", "c"), new=("classifier",)
    )
    assert model.classifier.weight.shape == (3, 16)


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        ("bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
        ("bert.encoder.layer.11.output.LayerNorm.beta",
         "bert.encoder.layer.11.output.LayerNorm.bias"),
        ("pooler.dense.weight", "bert.pooler.dense.weight"),
        ("embeddings.position_ids", None),
        ("bert.embeddings.position_ids", None),
        ("cls.predictions.decoder.bias", "cls.predictions.bias"),
        ("classifier.weight", "classifier.weight"),
    ],
)  # fmt: skip
def test_published_names(published, ours) -> None:
    assert renamed(published) == ours


def test_missing_folder() -> None:
    with pytest.raises(CheckpointError, match="there is no folder 'no/such/folder': check the"):
        bertedu.load("no/such/folder")
    with pytest.raises(CheckpointError, match="there is no folder"):
        resolve(__file__)


def test_empty_folder(tmp_path) -> None:
    message = "neither vocab.txt nor|has no config.json: name a folder with config.json, vocab"
    refused(tmp_path, message)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name) -> None:
    (folder / name).unlink()
    refused(folder, f"has no {re.escape(name)}")


def test_a_missing_vocabulary_is_named(folder) -> None:
    (folder / "vocab.txt").unlink()
    with pytest.raises(CheckpointError, match="has neither vocab.txt nor"):
        bertedu.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"not JSON", b"\xff\xfe"])
def test_a_config_that_is_not_json(folder, content) -> None:
    (folder / "config.json").write_bytes(content)
    refused(folder, r"config\.json is not JSON .*: copy it again")


def test_a_config_that_is_a_list(folder) -> None:
    (folder / "config.json").write_text("[]")
    refused(folder, "config.json holds a list, not settings")


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 100, 0.5, 0.9, -1])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_truncated_weights(folder, kept, file) -> None:
    if file == "pytorch_model.bin":
        torch.save(load_file(folder / "model.safetensors"), folder / file)
        (folder / "model.safetensors").unlink()
    content = (folder / file).read_bytes()
    size = int(kept * len(content)) if isinstance(kept, float) else kept
    (folder / file).write_bytes(content[:size])
    refused(
        folder, rf"{re.escape(file)} is damaged, or holds more than tensors, and was not loaded"
    )


def test_another_architecture_by_its_config(folder) -> None:
    values = json.loads((folder / "config.json").read_text()) | {"model_type": "roberta"}
    (folder / "config.json").write_text(json.dumps(values))
    refused(folder, "model_type is 'roberta'; bertedu computes only 'bert'")


def test_another_architecture_by_its_weights(folder) -> None:
    rewrite(folder, lambda weights: {f"gpt.{name}": w for name, w in weights.items()})
    refused(folder, "shares no parameter name with BERT: another architecture")


def test_a_lost_part_of_the_encoder(folder) -> None:
    rewrite(folder, lambda w: {n: t for n, t in w.items() if "layer.1." not in n})
    lost = r"bert\.encoder\.layer\.1\.intermediate\.dense\.weight, which config\.json asks for"
    refused(folder, rf"has no {lost}: .*, or is not whole")


def test_a_lost_part_of_a_layer(folder) -> None:
    rewrite(folder, lambda w: {n: t for n, t in w.items() if "layer.1.attention" not in n})
    refused(folder, r"has no bert\.encoder\.layer\.1\..* \(10 of .*, or is not whole")


def test_nothing_is_loaded_where_something_is_refused(folder) -> None:
    model = build(BertForSequenceClassification)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(CheckpointError, match="has no classifier.weight"):
        load_into(model, folder)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert load_into(model, folder, may_be_new=("classifier",)) == [
        "classifier.weight",
        "classifier.bias",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none(folder, value) -> None:
    def spoil(weights):
        weights["bert.pooler.dense.bias"][3] = value
        return weights

    rewrite(folder, spoil)
    refused(folder, "bert.pooler.dense.bias holds NaN or infinity; it cannot be used")


def test_shapes_that_disagree_with_the_config(folder) -> None:
    values = json.loads((folder / "config.json").read_text()) | {"intermediate_size": 33}
    (folder / "config.json").write_text(json.dumps(values))
    refused(
        folder, r"has shape \[32, 16\], the config asks for \[33, 16\]: config.json and weights"
    )


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(folder) -> None:
    witness = folder / "ran"

    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(witness),)

    content = pickle.dumps({"bert.pooler.dense.bias": Malicious()})
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    refused(folder, "holds more than tensors, and was not loaded")
    torch.save({"bert.pooler.dense.bias": Malicious()}, folder / "pytorch_model.bin")
    refused(folder, "holds more than tensors, and was not loaded")
    assert not witness.exists()
    pickle.loads(content)  # it would have
    assert witness.exists()


def test_a_pickle_of_something_else_is_refused(folder) -> None:
    (folder / "model.safetensors").unlink()
    for content in ([torch.ones(2)], {"step": 3}):
        torch.save(content, folder / "pytorch_model.bin")
        refused(folder, "pytorch_model.bin is not a table of tensors")


def test_safetensors_is_preferred_to_a_pickle(folder) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    assert bertedu.load(folder).missing == ()


def test_an_untied_decoder_is_refused() -> None:
    model = build(BertForPreTraining)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights["cls.predictions.decoder.weight"] += 1
    with pytest.raises(CheckpointError, match="the decoder is not tied to the word embeddings"):
        load_into(model, weights)


def test_a_vocabulary_larger_than_the_model_is_refused(folder) -> None:
    with (folder / "vocab.txt").open("a") as file:
        file.write("one\nmore\n")
    with pytest.raises((CheckpointError, bertedu.InputError), match="15 tokens and the model 13"):
        bertedu.load(folder)


def test_a_full_disk_leaves_the_old_file(folder, monkeypatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    model = build(BertForPreTraining)
    torch.nn.init.ones_(model.bert.pooler.dense.weight)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(CheckpointError, match="could not be written: .*No space left on device"):
        save_pretrained(model, folder, TOKENIZER)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def write_and_fail(target: Path, error: BaseException) -> None:
    with replacing(target) as temporary:
        temporary.write_text("half of the n")
        raise error


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr
)
def test_what_interrupts_a_writing_leaves_the_old_file(error, tmp_path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(type(error)):
        write_and_fail(target, error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_gives_the_new_file_to_everyone_to_read(tmp_path) -> None:
    target = tmp_path / "file"
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_the_old_vocabulary(folder, monkeypatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write = Path.write_text

    def full(path, text, **options):
        write(path, text[: len(text) // 2], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device"):
        TOKENIZER.save(folder)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="file could not be written"):
        save_pretrained(build(BertModel), tmp_path / "file")


def test_the_environment_names_the_course_checkpoint(folder, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("BERTEDU_CHECKPOINT", str(folder))
    assert bertedu.load().config == CONFIG
    monkeypatch.setenv("BERTEDU_CHECKPOINT", str(tmp_path / "none"))
    with pytest.raises(
        CheckpointError, match="BERTEDU_CHECKPOINT names .*none, which is no folder"
    ):
        bertedu.load()


def with_config(folder, **values) -> None:
    known = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(known | values))


@pytest.mark.parametrize(
    "sizes",
    [
        {"vocab_size": 10**9},
        {"hidden_size": 4 * 10**9},
        {"num_hidden_layers": 10**9},
        {"intermediate_size": 10**9},
        {"max_position_embeddings": 10**12},
        {"type_vocab_size": 10**9},
        {"hidden_size": 10**40, "num_attention_heads": 1},
    ],
    ids=str,
)
def test_huge_sizes_are_refused_before_anything_is_built(folder, sizes, monkeypatch) -> None:
    with_config(folder, **sizes)
    monkeypatch.setattr(BertModel, "__init__", lambda *_, **__: pytest.fail("it is being built"))
    refused(folder, "the config asks for|which config.json asks for")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is nan; it must be a number from 0 up"),
        ({"hidden_dropout_prob": float("inf")}, "hidden_dropout_prob is inf; it must be from 0"),
        ({"initializer_range": 10**400}, r"initializer_range is 10+; it must be a number from 0"),
        ({"hidden_size": [16]}, r"hidden_size is \[16\]; it must be a whole number"),
        ({"hidden_act": {}}, "hidden_act {} is not one of"),
        ({"id2label": {"0": "a", "1": "a"}}, "two labels have the name 'a': give each class a"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label must number its labels 0, 1, 2, ... with"),
        ({"id2label": {"0": "a", "1": 3}}, "id2label must map numbers to names"),
        ({"id2label": {"0": "a", "1": "b"}, "num_labels": 3}, "num_labels is 3, and id2label name"),
        ({"id2label": None, "num_labels": 10**9}, "num_labels is 1000000000; it must be from 1 to"),
        ({"id2label": None, "num_labels": "2"}, "num_labels is '2'; it must be from 1 to 100,000"),
        ({"quantization_config": {"load_in_8bit": True}}, "the weights are quantized .*: save the"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_config_of_wrong_types_and_numbers(folder, values, message) -> None:
    with_config(folder, **values)
    refused(folder, message)


def test_json_that_is_too_deep(folder) -> None:
    (folder / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    refused(folder, r"config\.json is not JSON .*: copy it again")


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.uint8, torch.bool, torch.int64, torch.float8_e4m3fn], ids=str
)
def test_weights_that_are_nothing_without_their_scales(folder, dtype) -> None:
    name = "bert.encoder.layer.0.attention.self.query.weight"
    rewrite(folder, lambda weights: weights | {name: weights[name].to(dtype)})
    kind = str(dtype).removeprefix("torch.")
    refused(folder, f"{name} is {kind}, and bertedu computes with floating-point numbers: save the")


def test_float64_is_read_and_what_float32_cannot_hold_is_refused(folder) -> None:
    name = "bert.pooler.dense.bias"
    rewrite(folder, lambda weights: {n: w.double() for n, w in weights.items()})
    assert bertedu.load(folder).missing == ()
    rewrite(folder, lambda weights: weights | {name: weights[name] + 1e300})
    refused(folder, f"{name} holds NaN or infinity; it cannot be used")


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin", "config.json"])
def test_what_git_lfs_leaves_in_a_file_s_place(folder, file) -> None:
    if file.endswith(".bin"):
        (folder / "model.safetensors").unlink()
    (folder / file).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 440473133\n"
    )
    refused(folder, rf"{re.escape(file)} only points to the file: run `git lfs pull` in its folder")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_names_that_a_wrapped_model_saved(folder, prefix) -> None:
    before = bertedu.load(folder)
    rewrite(folder, lambda weights: {prefix + name: w for name, w in weights.items()})
    after = bertedu.load(folder)
    assert after.missing == ()
    assert torch.equal(after.hidden_states("my dog"), before.hidden_states("my dog"))


def test_one_parameter_under_two_names_is_refused_where_they_differ(folder) -> None:
    name = "bert.pooler.dense.bias"
    rewrite(folder, lambda weights: weights | {f"module.{name}": weights[name].clone()})
    assert bertedu.load(folder).missing == ()
    rewrite(folder, lambda weights: weights | {f"module.{name}": weights[name] + 1})
    refused(folder, f"holds {name} twice, with different numbers")


def test_a_pickle_that_swells_is_refused(folder) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    name = "bert.embeddings.word_embeddings.weight"
    small = weights | {name: torch.zeros(1, 1).expand(13, 16)}
    torch.save(small, folder / "pytorch_model.bin")
    assert bertedu.load(folder).missing == ()  # as many bytes as it says
    torch.save(weights | {name: torch.zeros(1, 1).expand(10**9, 16)}, folder / "pytorch_model.bin")
    refused(folder, f"{name} is no ordinary tensor; it cannot be used")
    torch.save(weights, folder / "whole")
    with (
        zipfile.ZipFile(folder / "whole") as whole,
        zipfile.ZipFile(folder / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for part in whole.infolist():
            packed.writestr(part.filename, whole.read(part))
    refused(folder, "pytorch_model.bin is damaged, or holds more than tensors")


def divided(folder: Path, suffix: str) -> Path:
    """Divides a folder's weights among two files, as transformers does with what is large."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    names = [f"{stem}-0000{part}-of-00002.{suffix}" for part in (1, 2)]
    for part, name in enumerate(names):
        mine = {key: weights[key] for key in sorted(weights)[part::2]}
        (save_file if suffix == "safetensors" else torch.save)(mine, folder / name)
    places = {key: names[at % 2] for at, key in enumerate(sorted(weights))}
    index = folder / f"{stem}.{'safetensors' if stem == 'model' else 'bin'}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 9}, "weight_map": places}))
    return index


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_weights_that_are_divided_among_files(folder, suffix: str) -> None:
    right = bertedu.load(folder).model.state_dict()
    index = divided(folder, suffix)
    found = bertedu.load(folder).model.state_dict()
    assert found.keys() == right.keys()
    assert all(torch.equal(found[name], weight) for name, weight in right.items())
    content = json.loads(index.read_text())
    first, second = sorted(set(content["weight_map"].values()))
    for wrong in ("../" + first, 3, "", ".", "C:\\x.bin", first + "\n"):
        index.write_text(json.dumps({"weight_map": {"a": wrong}}))
        refused(folder, "does not say which file has which weight")
    for wrong in ([first], {}, None):
        index.write_text(json.dumps({"weight_map": wrong}))
        refused(folder, "does not say which file has which weight")
    index.write_text(json.dumps(content))
    (folder / second).rename(folder / "elsewhere")
    refused(folder, f"{second} is missing, and the index beside it names it")
    (folder / second).write_bytes((folder / first).read_bytes())
    refused(folder, "in two files")
    (folder / second).write_bytes((folder / "elsewhere").read_bytes()[:-50])
    refused(folder, f"{second} is damaged")
    (folder / second).write_bytes((folder / "elsewhere").read_bytes())
    assert bertedu.load(folder)


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000, "no\0where"])
def test_a_name_that_no_disk_could_hold_is_no_folder(name: str) -> None:
    with pytest.raises(CheckpointError, match="there is no folder") as told:
        resolve(name)
    assert len(str(told.value)) < 300
