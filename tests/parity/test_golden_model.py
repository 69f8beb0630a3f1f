"""The stored activations and gradients of a tiny BERT, computed once by transformers 4."""

import json

import numpy as np
import pytest
import torch

import bertedu
from bertedu.checkpoint import load_into
from bertedu.model import ACTIVATIONS
from tests.parity.reference import GRADIENT_BAR, assert_close


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "data" / "bert_golden"
    if not folder.is_dir():
        pytest.skip("optional reference data: BERTEDU_SHARED holds no bert_golden")
    return folder


def run(folder, head: str, model_class, **renamed: str):
    """Return our output, the stored one and the loaded model, after the loss went back."""
    with np.load(folder / f"{head}.npz") as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files}
    groups: dict[str, dict[str, torch.Tensor]] = {"param": {}, "in": {}, "out": {}, "grad": {}}
    for name, array in arrays.items():
        group, _, key = name.partition("/")
        groups[group][key] = array
    classes = {"sequence_classification": 3, "token_classification": 5}.get(head, 2)
    values = json.loads((folder / "config.json").read_text()) | {"num_labels": classes}
    model = model_class(bertedu.BertConfig.from_dict(values)).eval()
    assert load_into(model, groups["param"]) == []
    inputs = {renamed.get(name, name): tensor for name, tensor in groups["in"].items()}
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    output.loss.backward()
    assert_close(output.loss, groups["out"]["loss"])
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    largest = max(float(g.abs().max()) for g in groups["grad"].values())
    assert groups["grad"].keys() <= gradients.keys()
    for name, expected in groups["grad"].items():
        scale = float(expected.abs().max())
        assert_close(gradients[name], expected, GRADIENT_BAR * max(scale, 1e-3 * largest))
    return output, groups["out"], model, inputs


def test_pretraining(golden) -> None:
    output, stored, model, inputs = run(
        golden, "pretraining", bertedu.BertForPreTraining,
        mlm_labels="labels", nsp_labels="next_sentence_label",
    )  # fmt: skip
    for name in ("mlm_loss", "nsp_loss"):
        assert_close(getattr(output, name), stored[name])
    for layer, states in enumerate(output.encoder.hidden_states):
        assert_close(states, stored[f"hidden_{layer}"])
    for layer, probs in enumerate(output.encoder.attention_probs):
        assert_close(probs, stored[f"attention_{layer}"])
    assert_close(output.encoder.pooler_output, stored["pooled"])
    assert_close(output.seq_relationship_logits, stored["nsp_logits"])
    labelled = inputs.pop("labels") != -100
    assert_close(output.prediction_logits, stored["mlm_logits"][labelled])
    assert_close(model(**inputs).prediction_logits, stored["mlm_logits"])


def test_sequence_classification(golden) -> None:
    output, stored, *_ = run(
        golden, "sequence_classification", bertedu.BertForSequenceClassification
    )
    assert_close(output.logits, stored["logits"])


def test_token_classification(golden) -> None:
    output, stored, *_ = run(golden, "token_classification", bertedu.BertForTokenClassification)
    assert_close(output.logits, stored["logits"])


def test_question_answering(golden) -> None:
    output, stored, *_ = run(golden, "question_answering", bertedu.BertForQuestionAnswering)
    assert_close(output.logits[..., 0], stored["start_logits"])
    assert_close(output.logits[..., 1], stored["end_logits"])


def test_activations(golden) -> None:
    stored = json.loads((golden / "activations.json").read_text())
    values = torch.tensor(stored.pop("x"))
    ours = {"gelu_erf": "gelu", "gelu_tanh": "gelu_new", "gelu_new": "gelu_new", "relu": "relu"}
    compared = [name for name in stored if name in ours]
    assert {ours[name] for name in compared} >= {"gelu", "gelu_new"}
    for name in compared:
        assert_close(ACTIVATIONS[ours[name]](values), torch.tensor(stored[name]))
