"""The encoder by itself; tests/parity holds it to the reference."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertedu import BertConfig, BertModel, InputError
from tests.tiny import CONFIG, build

IDS = torch.tensor([[2, 5, 6, 7, 3], [2, 9, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.fixture(scope="module")
def model() -> BertModel:
    return build(BertModel)


def test_shapes(model) -> None:
    output = model(IDS, attention_mask=MASK, output_hidden_states=True, output_attentions=True)
    assert output.last_hidden_state.shape == (2, 5, 16)
    assert output.pooler_output.shape == (2, 16)
    assert [h.shape for h in output.hidden_states] == [(2, 5, 16)] * 3
    assert [p.shape for p in output.attention_probs] == [(2, 4, 5, 5)] * 2
    assert output.last_hidden_state is output.hidden_states[-1]
    plain = model(IDS)
    assert plain.hidden_states is None
    assert plain.attention_probs is None
    assert build(lambda c: BertModel(c, add_pooling_layer=False))(IDS).pooler_output is None


def test_base_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = BertModel(BertConfig())
    assert sum(p.numel() for p in model.parameters()) == 109_482_240


def test_probabilities_sum_to_one_and_shut_padding_out(model) -> None:
    probs = torch.stack(model(IDS, attention_mask=MASK, output_attentions=True).attention_probs)
    torch.testing.assert_close(probs.sum(-1), torch.ones(2, 2, 4, 5))
    assert not probs[:, 1, :, :, 3:].any()
    assert (probs[:, 1, :, :, :3] > 0).all()


def test_padding_changes_nothing_at_real_tokens(model) -> None:
    alone = model(IDS[1:, :3]).last_hidden_state[0]
    padded = model(IDS, attention_mask=MASK)
    torch.testing.assert_close(padded.last_hidden_state[1, :3], alone)
    other = IDS.masked_fill(MASK == 0, 11)  # whatever stands at the padding
    torch.testing.assert_close(
        model(other, attention_mask=MASK).pooler_output, padded.pooler_output
    )


@torch.no_grad()
def test_order_and_segment_matter(model) -> None:
    plain = model(IDS).last_hidden_state
    swapped = model(IDS[:, [0, 2, 1, 3, 4]]).last_hidden_state
    assert float((swapped[:, [0, 2, 1, 3, 4]] - plain).abs().max()) > 1e-2
    segments = torch.tensor([[0, 0, 0, 1, 1]] * 2)
    assert float((model(IDS, segments).last_hidden_state - plain).abs().max()) > 1e-2


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.booleans(), min_size=6, max_size=6).filter(any), min_size=1, max_size=4)
)
def test_the_fast_path_equals_the_readable_formula(rows) -> None:
    model = build(BertModel)
    mask = torch.tensor(rows)
    ids = torch.randint(5, 13, mask.shape, generator=torch.Generator().manual_seed(0))
    readable = model(ids, attention_mask=mask, output_attentions=True).last_hidden_state
    fused = model(ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(fused, readable, atol=1e-5, rtol=0)


def test_gradients_of_the_fast_path_are_equal(model) -> None:
    gradients = []
    for readable in (False, True):
        model.zero_grad()
        states = model(IDS, attention_mask=MASK, output_attentions=readable).last_hidden_state
        states[MASK.bool()].square().mul(torch.arange(16)).sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        if name.endswith("key.bias"):  # 0 but for rounding: it shifts a row's scores all alike
            continue
        scale = float(gradient.abs().max()) + 1e-3
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5 * scale, rtol=1e-4)


def test_fresh_weights_are_as_the_paper_says() -> None:
    model = build(BertModel, BertConfig(num_hidden_layers=1, vocab_size=500))
    table = model.embeddings.word_embeddings.weight.detach()
    assert abs(float(table[1:].std()) - 0.02) < 1e-3
    assert not table[0].any()
    assert not model.pooler.dense.bias.any()
    assert (model.embeddings.LayerNorm.weight == 1).all()


def test_dropout_acts_in_training_only() -> None:
    model = build(BertModel, BertConfig(**vars(CONFIG) | {"hidden_dropout_prob": 0.3}))
    assert torch.equal(model(IDS).last_hidden_state, model(IDS).last_hidden_state)
    model.train()
    assert not torch.equal(model(IDS).last_hidden_state, model(IDS).last_hidden_state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_ids": [[2, 3]]}, "input_ids is a list, not a tensor: torch.tensor(...) makes one"),
        ({"input_ids": IDS[0]}, "input_ids has shape [5]; it must be [batch, sequence]"),
        ({"input_ids": IDS[:, :0]}, "input_ids has shape [2, 0]; it must be [batch, sequence]"),
        ({"input_ids": IDS.float()}, "input_ids is torch.float32; ids must be integers"),
        ({"input_ids": IDS + 7}, "input_ids holds 16; this model's ids go from 0 to 12: encode"),
        ({"input_ids": IDS - 1}, "input_ids holds -1; this model's ids go from 0 to 12"),
        (
            {"input_ids": torch.ones(1, 13, dtype=torch.long)},
            "the input has 13 tokens and this model has 12 positions: shorten the text, or encode",
        ),
        ({"token_type_ids": IDS}, "token_type_ids holds 9; this model's ids go from 0 to 1"),
        ({"token_type_ids": MASK[:, :2]}, "token_type_ids has shape [2, 2], input_ids [2, 5]"),
        ({"token_type_ids": MASK.float()}, "token_type_ids is torch.float32; ids must be integers"),
        ({"attention_mask": MASK[0]}, "attention_mask has shape [5], input_ids [2, 5]"),
        ({"attention_mask": MASK[:, None]}, "attention_mask has shape [2, 1, 5], input_ids [2, 5]"),
        ({"attention_mask": MASK * 0}, "attention_mask has a row of zeros: an input needs"),
        ({"attention_mask": (1.0 - MASK) * -1e4}, "attention_mask holds -10000.0; 1 is a real"),
        ({"attention_mask": [[1]]}, "attention_mask is a list, not a tensor"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unusable_input_is_named(model, arguments, message) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        model(**{"input_ids": IDS} | arguments)
