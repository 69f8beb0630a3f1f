"""Model and heads equal transformers' on the same weights: outputs, losses and gradients."""

import pytest
import torch
import transformers

import bertedu
from bertedu.tokenizer import SPECIAL_TOKENS
from tests.parity.reference import (
    BASE,
    CONFIGS,
    GRADIENT_BAR,
    OUTPUT_BAR,
    assert_close,
    assert_same_gradients,
    gradient,
    make_batch,
    make_labels,
    randomize,
    twins,
)

HEADS = [
    "BertForPreTraining",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertForQuestionAnswering",
]
PADDINGS = ["none", "uneven", "scattered"]
configs = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
paddings = pytest.mark.parametrize("padding", PADDINGS)


def assert_same_encoder(ours, theirs) -> None:
    assert_close(ours.last_hidden_state, theirs.last_hidden_state)
    assert len(ours.hidden_states) == len(theirs.hidden_states)
    for mine, other in zip(ours.hidden_states, theirs.hidden_states, strict=True):
        assert_close(mine, other)


@configs
@paddings
def test_encoder_equals_the_reference_layer_by_layer(config, padding) -> None:
    ours, theirs = twins(bertedu.BertModel, "BertModel", config)
    batch = make_batch(config, padding)
    everything = {"output_hidden_states": True, "output_attentions": True}
    with torch.no_grad():
        mine, other = ours(**batch, **everything), theirs(**batch, **everything)
    assert_same_encoder(mine, other)
    assert_close(mine.pooler_output, other.pooler_output)
    assert len(mine.attention_probs) == config.num_hidden_layers
    for probs, reference in zip(mine.attention_probs, other.attentions, strict=True):
        assert_close(probs, reference)


@configs
@pytest.mark.parametrize("text", ["abc", "a b [PAD] c [MASK]", "\N{DOG FACE}", ""])
@pytest.mark.parametrize("pair", [None, "b [SEP]"])
def test_a_trace_equals_the_reference_part_by_part(config, text, pair) -> None:
    ours, theirs = twins(bertedu.BertForPreTraining, "BertForPreTraining", config)
    tokenizer = bertedu.BertTokenizer([*SPECIAL_TOKENS, *"abcdefgh"])
    trace = bertedu.Bert(ours, tokenizer).trace(text, pair)
    heard = []
    hooks = [
        linear.register_forward_hook(lambda _, __, output: heard.append(output[0]))
        for layer in theirs.bert.encoder.layer
        for linear in (layer.attention.self.query, layer.attention.self.key)
    ]
    with torch.no_grad():
        other = theirs(
            trace.encoding.input_ids[None],
            token_type_ids=trace.encoding.token_type_ids[None],
            output_hidden_states=True,
            output_attentions=True,
        )
    for hook in hooks:
        hook.remove()
    assert_close(trace.hidden_states, torch.cat(other.hidden_states))
    assert_close(trace.attention_probs, torch.cat(other.attentions))
    assert_close(trace.prediction_logits, other.prediction_logits[0])
    assert_close(trace.seq_relationship_logits, other.seq_relationship_logits[0])
    for number, (query, key) in enumerate(zip(trace.query, trace.key, strict=True)):
        assert_close(query.transpose(0, 1).flatten(1), heard[2 * number])
        assert_close(key.transpose(0, 1).flatten(1), heard[2 * number + 1])


@configs
@paddings
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_fused_attention_equals_the_reference(config, padding, attention) -> None:
    ours, theirs = twins(bertedu.BertModel, "BertModel", config, attention)
    batch = make_batch(config, padding)
    with torch.no_grad():
        assert_same_encoder(
            ours(**batch, output_hidden_states=True), theirs(**batch, output_hidden_states=True)
        )


@configs
def test_left_out_arguments_mean_what_the_reference_means(config) -> None:
    ours, theirs = twins(bertedu.BertModel, "BertModel", config)
    ids = make_batch(config, "none")["input_ids"]
    with torch.no_grad():
        assert_close(ours(ids).last_hidden_state, theirs(ids).last_hidden_state)


def run_head(name, config, padding, attention="eager"):
    """Return (our output, theirs, our model, theirs) after both losses went back."""
    ours, theirs = twins(getattr(bertedu, name), name, config, attention)
    batch = make_batch(config, padding)
    labels = make_labels(config, name, batch)
    mine, other = ours(**batch, **labels), theirs(**batch, **labels)
    mine.loss.backward()
    other.loss.backward()
    return mine, other, ours, theirs


def assert_same_logits(name, ours, theirs, batch) -> None:
    with torch.no_grad():
        mine, other = ours(**batch), theirs(**batch)
    if name == "BertForPreTraining":
        assert_close(mine.prediction_logits, other.prediction_logits)
        assert_close(mine.seq_relationship_logits, other.seq_relationship_logits)
    elif name == "BertForQuestionAnswering":
        assert_close(mine.logits[..., 0], other.start_logits)
        assert_close(mine.logits[..., 1], other.end_logits)
    else:
        assert_close(mine.logits, other.logits)


@configs
@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(
    ("padding", "attention"), [("uneven", "eager"), ("scattered", "eager"), ("none", "sdpa")]
)
def test_head_loss_and_every_gradient_equal_the_reference(name, config, padding, attention) -> None:
    mine, other, ours, theirs = run_head(name, config, padding, attention)
    assert_close(mine.loss, other.loss)
    assert_same_gradients(ours, theirs)
    assert_same_logits(name, ours, theirs, make_batch(config, padding))


@configs
def test_pretraining_with_labels_at_real_tokens_equals_the_reference(config) -> None:
    ours, theirs = twins(bertedu.BertForPreTraining, "BertForPreTraining", config)
    batch = make_batch(config, "uneven")
    labels = make_labels(config, "BertForPreTraining", batch)
    labels["labels"] = labels["labels"].where(batch["attention_mask"] == 1, torch.tensor(-100))
    mine, other = ours(**batch, **labels), theirs(**batch, **labels)
    mine.loss.backward()
    other.loss.backward()
    assert_close(mine.loss, other.loss)
    assert_same_gradients(ours, theirs)


@configs
def test_masked_lm_alone_equals_the_reference(config) -> None:
    theirs = transformers.BertForMaskedLM(transformers.BertConfig(**config.to_dict())).eval()
    randomize(theirs, 1)
    ours = bertedu.BertForPreTraining(config).eval()
    new = ("bert.pooler", "cls.seq_relationship")
    missing = bertedu.checkpoint.load_into(ours, theirs.state_dict(), may_be_new=new)
    assert {name.rsplit(".", 1)[0] for name in missing} == {
        "bert.pooler.dense",
        "cls.seq_relationship",
    }
    batch = make_batch(config, "uneven")
    labels = make_labels(config, "BertForPreTraining", batch)["labels"]
    mine, other = ours(**batch, labels=labels), theirs(**batch, labels=labels)
    assert_close(mine.mlm_loss, other.loss)
    assert mine.loss is not None
    assert mine.nsp_loss is None
    assert_close(mine.prediction_logits, other.logits[labels != -100])
    assert_close(ours(**batch).prediction_logits, other.logits)
    mine.loss.backward()
    other.loss.backward()
    parameters = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        expected = gradient(parameter)
        bar = GRADIENT_BAR * float(expected.abs().max()) + 1e-7  # a key's bias has none
        assert_close(gradient(parameters[name]), expected, bar)


@configs
def test_next_sentence_alone_equals_the_reference(config) -> None:
    theirs = transformers.BertForNextSentencePrediction(
        transformers.BertConfig(**config.to_dict())
    ).eval()
    randomize(theirs, 2)
    ours = bertedu.BertForPreTraining(config).eval()
    new = ("cls.predictions.",)
    missing = bertedu.checkpoint.load_into(ours, theirs.state_dict(), may_be_new=new)
    assert all(name.startswith("cls.predictions.") for name in missing)
    batch = make_batch(config, "uneven")
    pairs = torch.tensor([0, 1, 1, 0, 1])
    mine, other = ours(**batch, next_sentence_label=pairs), theirs(**batch, labels=pairs)
    assert_close(mine.nsp_loss, other.loss)
    assert mine.mlm_loss is None
    assert_close(mine.seq_relationship_logits, other.logits)


@pytest.mark.parametrize("name", HEADS[:1])
def test_twelve_layers_of_768_equal_the_reference(name) -> None:
    ours, theirs = twins(getattr(bertedu, name), name, BASE, "sdpa")
    batch = make_batch(BASE, "uneven")
    labels = make_labels(BASE, name, batch)
    mine = ours(**batch, **labels, output_hidden_states=True)
    other = theirs(**batch, **labels, output_hidden_states=True)
    assert_close(mine.loss, other.loss)
    for ours_here, theirs_here in zip(mine.encoder.hidden_states, other.hidden_states, strict=True):
        assert_close(ours_here, theirs_here)
    assert_close(mine.prediction_logits, other.prediction_logits[labels["labels"] != -100])
    mine.loss.backward()
    other.loss.backward()
    assert_same_gradients(ours, theirs)


def test_the_bar_sees_each_weight() -> None:
    """Nudge one weight at a time: a comparison that ignored a parameter would stay silent."""
    config = CONFIGS["small"]
    ours, theirs = twins(bertedu.BertForPreTraining, "BertForPreTraining", config)
    batch = make_batch(config, "uneven")
    unseen = []
    with torch.no_grad():
        other = theirs(**batch)
        for name, parameter in ours.named_parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
            mine = ours(**batch)
            worst = max(
                float((mine.prediction_logits - other.prediction_logits).abs().max()),
                float((mine.seq_relationship_logits - other.seq_relationship_logits).abs().max()),
            )
            if worst <= OUTPUT_BAR:
                unseen.append(name)
            parameter.copy_(theirs.get_parameter(name))
    keys = [f"bert.encoder.layer.{i}.attention.self.key.bias" for i in range(2)]
    assert unseen == keys  # the softmax takes no notice of a key's bias
