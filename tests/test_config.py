"""BertConfig: Hugging Face's names, and one sentence for every size that cannot be."""

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertedu import BertConfig, CheckpointError, InputError


def test_defaults_are_bert_base() -> None:
    config = BertConfig()
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (
        12,
        768,
        12,
    )
    assert (config.vocab_size, config.intermediate_size, config.head_size) == (30522, 3072, 64)
    assert config.layer_norm_eps == 1e-12


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        BertConfig().hidden_size = 3


@given(
    heads=st.integers(1, 16),
    size=st.integers(1, 64),
    layers=st.integers(1, 30),
    labels=st.lists(st.text(min_size=1), min_size=1, max_size=12, unique=True),
)
def test_json_and_back(heads, size, layers, labels) -> None:
    config = BertConfig(
        hidden_size=heads * size,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        labels=tuple(labels),
    )
    assert config.head_size == size
    assert BertConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_published_settings_that_change_nothing_are_left_out() -> None:
    values = {"architectures": ["BertForMaskedLM"], "gradient_checkpointing": False,
              "transformers_version": "4.6.0", "use_cache": True, "pad_token_id": None,
              "model_type": "bert", "is_decoder": False}  # fmt: skip
    assert BertConfig.from_dict(values) == BertConfig()


def test_labels_are_read_in_the_order_of_their_ids() -> None:
    names = {str(i): f"name {i}" for i in (10, 2, 1, 0, 9, 8, 7, 6, 5, 4, 3)}
    assert BertConfig.from_dict({"id2label": names}).labels == tuple(f"name {i}" for i in range(11))
    assert BertConfig.from_dict({"num_labels": 3}).num_labels == 3


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0; it must be at least 1"),
        ({"vocab_size": -5}, "vocab_size is -5; it must be at least 1"),
        ({"hidden_size": 10, "num_attention_heads": 3}, "hidden_size 10 is not divisible by"),
        ({"hidden_act": "swish"}, "hidden_act 'swish' is not one of gelu, gelu_new, relu"),
        ({"hidden_size": 76.8}, "hidden_size is 76.8; it must be a whole number"),
        ({"hidden_size": "768"}, "hidden_size is '768'; it must be a whole number"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True; it must be a whole number"),
        ({"layer_norm_eps": "tiny"}, "layer_norm_eps is 'tiny'; it must be a number"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob is 1.5; it must be from 0 to 1"),
        ({"pad_token_id": 30522}, "pad_token_id is 30522; it must be from 0 to 30521"),
        ({"pad_token_id": -1}, "pad_token_id is -1; it must be from 0 to 30521"),
    ],
    ids=str,
)
def test_impossible_sizes_are_named(sizes, message) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        BertConfig(**sizes)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        BertConfig.from_dict(sizes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2'; bertedu computes only 'bert'"),
        ({"is_decoder": True}, "is_decoder is True; bertedu computes only False"),
        ({"add_cross_attention": True}, "add_cross_attention is True"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ({"hidden_size": None}, "hidden_size is None; it must be a whole number"),
        ({"id2label": ["a", "b"]}, "id2label must map numbers to names"),
        ({"id2label": {"one": "a"}}, "id2label must map numbers to names"),
        ([1, 2], "config.json holds a list, not settings"),
    ],
    ids=str,
)
def test_another_architecture_is_refused_by_name(values, message) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        BertConfig.from_dict(values)
