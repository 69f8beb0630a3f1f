"""Folders travel both ways between bertedu and transformers, old ones included."""

import json
import re

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import bertedu
from bertedu.checkpoint import load_into
from tests.parity.reference import CONFIGS, assert_close, make_batch, randomize, twins

CONFIG = CONFIGS["small"]
CLASSES = [
    "BertModel",
    "BertForPreTraining",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
]
classes = pytest.mark.parametrize("name", CLASSES)


def outputs(output) -> list[torch.Tensor]:
    """Return what both libraries call by one name or another, in one order."""
    names = ("prediction_logits", "seq_relationship_logits", "logits", "last_hidden_state")
    found = [getattr(output, name) for name in names if getattr(output, name, None) is not None]
    if hasattr(output, "start_logits"):
        found.append(torch.stack([output.start_logits, output.end_logits], dim=-1))
    return found


def assert_same_model(ours, theirs, bar: float = 1e-5) -> None:
    batch = make_batch(CONFIG)
    with torch.no_grad():
        pairs = list(zip(outputs(ours(**batch)), outputs(theirs(**batch)), strict=True))
    assert pairs
    for mine, other in pairs:
        assert_close(mine, other, bar)


@classes
def test_transformers_reads_what_we_save(name, tmp_path) -> None:
    ours = getattr(bertedu, name)(CONFIG).eval()
    randomize(ours, 3)
    bertedu.save_pretrained(ours, tmp_path)
    theirs, info = getattr(transformers, name).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert_same_model(ours, theirs)
    auto = transformers.AutoConfig.from_pretrained(tmp_path)
    assert auto.architectures == [name]
    assert tuple(auto.id2label.values()) == ours.config.labels


@classes
def test_we_read_what_transformers_saves(name, tmp_path) -> None:
    ours, theirs = twins(getattr(bertedu, name), name, CONFIG)
    theirs.save_pretrained(tmp_path)
    again = bertedu.from_pretrained(tmp_path, getattr(bertedu, name))
    assert_same_model(again, theirs)
    assert again.config.to_dict() == ours.config.to_dict()


@classes
def test_a_pickle_of_tensors_is_read(name, tmp_path) -> None:
    ours, theirs = twins(getattr(bertedu, name), name, CONFIG)
    bertedu.save_pretrained(ours, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    assert_same_model(bertedu.from_pretrained(tmp_path, type(ours)), theirs)


def test_heads_travel_one_by_one(tmp_path) -> None:
    ours = bertedu.BertForPreTraining(CONFIG).eval()
    randomize(ours, 4)
    bertedu.save_pretrained(ours, tmp_path)
    encoder, info = transformers.BertModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert all(key.startswith("cls.") for key in info["unexpected_keys"])
    lm, info = transformers.BertForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    batch = make_batch(CONFIG)
    with torch.no_grad():
        mine = ours(**batch)
        assert_close(mine.encoder.last_hidden_state, encoder(**batch).last_hidden_state)
        assert_close(mine.prediction_logits, lm(**batch).logits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_as_float32_by_us_and_as_said_by_transformers(
    dtype, tmp_path
) -> None:
    ours = bertedu.BertForPreTraining(CONFIG).eval()
    randomize(ours, 6)
    bertedu.save_pretrained(ours, tmp_path, dtype=dtype)
    ours = bertedu.from_pretrained(tmp_path, bertedu.BertForPreTraining)
    assert {p.dtype for p in ours.parameters()} == {torch.float32}
    theirs = transformers.BertForPreTraining.from_pretrained(tmp_path, dtype=torch.float32)
    assert_same_model(ours, theirs)
    said = transformers.BertForPreTraining.from_pretrained(tmp_path)
    assert said.dtype == dtype


def test_the_file_holds_each_number_once(tmp_path) -> None:
    ours = bertedu.BertForPreTraining(CONFIG)
    bertedu.save_pretrained(ours, tmp_path / "ours")
    transformers.BertForPreTraining(transformers.BertConfig(**CONFIG.to_dict())).save_pretrained(
        tmp_path / "theirs"
    )
    mine, other = (load_file(tmp_path / f / "model.safetensors") for f in ("ours", "theirs"))
    assert {n: t.shape for n, t in mine.items()} == {n: t.shape for n, t in other.items()}


def test_theirs_in_several_files(tmp_path) -> None:
    theirs = transformers.BertForPreTraining(transformers.BertConfig(**CONFIG.to_dict())).eval()
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert not (tmp_path / "model.safetensors").exists()
    assert_same_model(bertedu.from_pretrained(tmp_path, bertedu.BertForPreTraining), theirs)


LEGACY = {  # what published files look like: their names, given today's
    "TensorFlow's names": lambda w: {
        re.sub(
            r"LayerNorm\.(weight|bias)",
            lambda m: {"weight": "LayerNorm.gamma", "bias": "LayerNorm.beta"}[m[1]],
            name,
        ): tensor
        for name, tensor in w.items()
    },
    "a decoder beside the table": lambda w: (
        w | {"cls.predictions.decoder.weight": w["bert.embeddings.word_embeddings.weight"].clone()}
    ),
    "no decoder": lambda w: {n: t for n, t in w.items() if not n.startswith(DECODER)},
    "a decoder without a bias": lambda w: {n: t for n, t in w.items() if n != f"{DECODER}.bias"},
    "a bias under the decoder's name only": lambda w: {
        n.replace("cls.predictions.bias", f"{DECODER}.bias"): t
        for n, t in w.items()
        if n != f"{DECODER}.bias"
    },
    "position_ids": lambda w: w | {"bert.embeddings.position_ids": torch.arange(40)[None]},
    "half precision": lambda w: {n: t.half() for n, t in w.items()},
}
DECODER = "cls.predictions.decoder"


@pytest.mark.parametrize("change", LEGACY.values(), ids=LEGACY)
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_published_names_of_all_ages_are_read(change, file, tmp_path) -> None:
    _, theirs = twins(bertedu.BertForPreTraining, "BertForPreTraining", CONFIG)
    weights = {n: t.clone() for n, t in change(theirs.state_dict()).items()}
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    if file.endswith(".bin"):
        torch.save(weights, tmp_path / file)
    else:
        save_file(weights, tmp_path / file)
    ours = bertedu.from_pretrained(tmp_path, bertedu.BertForPreTraining)
    if any(t.dtype == torch.float16 for t in weights.values()):
        theirs = theirs.half().float()
    assert_same_model(ours, theirs)


def test_names_without_the_prefix_are_read() -> None:
    _, theirs = twins(bertedu.BertModel, "BertModel", CONFIG)
    bare = theirs.state_dict()
    assert not any(name.startswith("bert.") for name in bare)
    for weights in (bare, {f"bert.{name}": tensor for name, tensor in bare.items()}):
        ours = bertedu.BertModel(CONFIG).eval()
        assert load_into(ours, weights) == []
        assert_same_model(ours, theirs)
    inside = bertedu.BertForTokenClassification(CONFIG)
    assert load_into(inside, bare, may_be_new=("classifier",)) == [
        "classifier.weight",
        "classifier.bias",
    ]


def test_an_untied_decoder_is_refused() -> None:
    _, theirs = twins(bertedu.BertForPreTraining, "BertForPreTraining", CONFIG)
    weights = theirs.state_dict()
    weights[f"{DECODER}.weight"] = weights[f"{DECODER}.weight"] + 1
    with pytest.raises(bertedu.CheckpointError, match="not tied to the word embeddings"):
        load_into(bertedu.BertForPreTraining(CONFIG), weights)


@pytest.mark.parametrize(
    "settings",
    [{}, {"lowercase": False}, {"lowercase": False, "strip_accents": True},
     {"strip_accents": False}, {"tokenize_chinese_chars": False}],
    ids=str,
)  # fmt: skip
def test_tokenizer_travels_both_ways(settings, tmp_path) -> None:
    words = ["My", "my", "Café", "café", "cafe", "Cafe", "博推", "博", "推", "dog", "##s"]
    ours = bertedu.BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words], **settings)
    text, pair = "My dogs, Café 博推", "my [MASK] café"
    ours.save(tmp_path / "ours")
    (tmp_path / "ours" / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    for reader in (transformers.BertTokenizer, transformers.AutoTokenizer):
        theirs = reader.from_pretrained(tmp_path / "ours")
        assert theirs(text, pair)["input_ids"] == ours.encode(text, pair).input_ids.tolist()
    theirs.save_pretrained(tmp_path / "theirs")
    again = bertedu.BertTokenizer.from_folder(tmp_path / "theirs")
    assert again.encode(text, pair).tokens == ours.encode(text, pair).tokens
    assert again.tokens == ours.tokens
