"""The heads by themselves; tests/parity holds them to the reference."""

import re

import pytest
import torch
from torch.nn import functional as F

from bertedu import (
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    InputError,
    collate,
)
from bertedu.finetuning import QuestionAnswering
from tests.tiny import TOKENIZER, build

IDS = torch.tensor([[2, 5, 4, 7, 3], [2, 9, 4, 4, 3]])
LABELS = torch.tensor([[-100, -100, 6, -100, -100], [-100, -100, 10, 11, -100]])


def test_the_masked_lm_head_runs_at_labelled_positions_only() -> None:
    model = build(BertForPreTraining)
    everywhere = model(IDS)
    labelled = model(IDS, labels=LABELS)
    assert everywhere.prediction_logits.shape == (2, 5, 13)
    assert labelled.prediction_logits.shape == (3, 13)
    torch.testing.assert_close(
        labelled.prediction_logits, everywhere.prediction_logits[LABELS != -100]
    )
    expected = F.cross_entropy(everywhere.prediction_logits.flatten(0, 1), LABELS.flatten())
    torch.testing.assert_close(labelled.loss, expected)
    assert labelled.nsp_loss is None
    assert everywhere.loss is None


def test_both_losses_are_added() -> None:
    model = build(BertForPreTraining)
    output = model(IDS, labels=LABELS, next_sentence_label=torch.tensor([0, 1]))
    torch.testing.assert_close(output.loss, output.mlm_loss + output.nsp_loss)
    expected = F.cross_entropy(output.seq_relationship_logits, torch.tensor([0, 1]))
    torch.testing.assert_close(output.nsp_loss, expected)


def test_pairs_labelled_minus_100_are_not_counted() -> None:
    model = build(BertForPreTraining)
    first = model(IDS[:1], next_sentence_label=torch.tensor([1])).nsp_loss
    both = model(IDS, next_sentence_label=torch.tensor([1, -100])).nsp_loss
    torch.testing.assert_close(both, first)
    none = model(IDS, labels=LABELS, next_sentence_label=torch.tensor([-100, -100]))
    torch.testing.assert_close(none.loss, none.mlm_loss)


def test_the_decoder_is_the_token_table() -> None:
    model = build(BertForPreTraining)
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight


def test_minus_100_is_not_counted_for_tokens() -> None:
    model = build(BertForTokenClassification)
    labels = torch.tensor([[-100, 1, 0, -100, -100], [-100, -100, -100, -100, 1]])
    output = model(IDS, labels=labels)
    chosen = labels != -100
    torch.testing.assert_close(output.loss, F.cross_entropy(output.logits[chosen], labels[chosen]))


def test_spans_are_scored_by_a_start_and_an_end_vector() -> None:
    model = build(BertForQuestionAnswering)
    output = model(IDS)
    states, weight = output.encoder.last_hidden_state, model.qa_outputs.weight
    torch.testing.assert_close(output.logits[..., 0], states @ weight[0])
    torch.testing.assert_close(output.logits[..., 1], states @ weight[1])
    assert model.config.labels == ("start", "end")


def test_answers_outside_the_window_are_not_counted() -> None:
    model = build(BertForQuestionAnswering)
    spans = {"start_positions": torch.tensor([1, 99]), "end_positions": torch.tensor([2, -1])}
    first = model(IDS[:1], start_positions=torch.tensor([1]), end_positions=torch.tensor([2])).loss
    torch.testing.assert_close(model(IDS, **spans).loss, first)


@pytest.mark.parametrize(
    ("model_class", "labels", "message"),
    [
        (BertForPreTraining, {"labels": LABELS * 0 - 100}, "labels is -100 everywhere: mask at"),
        (BertForPreTraining, {"labels": LABELS + 100}, "labels holds 106; they go from 0 to 12"),
        (
            BertForPreTraining,
            {"labels": LABELS[:, :3]},
            "labels has shape [2, 3]; it must be [2, 5]",
        ),
        (BertForPreTraining, {"labels": LABELS.float()}, "labels is torch.float32; labels must be"),
        (
            BertForPreTraining,
            {"next_sentence_label": torch.tensor([0, 2])},
            "next_sentence_label holds 2; they go from 0 to 1",
        ),
        (
            BertForSequenceClassification,
            {"labels": torch.tensor([0, 5])},
            "labels holds 5; they go from 0 to 1, or are -100 where nothing is counted",
        ),
        (
            BertForSequenceClassification,
            {"labels": torch.tensor([[0, 1]])},
            "labels has shape [1, 2]; it must be [2]",
        ),
        (BertForTokenClassification, {"labels": IDS}, "labels holds 2; they go from 0 to 1"),
        (
            BertForQuestionAnswering,
            {"start_positions": torch.tensor([0, 1])},
            "give start_positions and end_positions together, or neither",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unusable_labels_are_named(model_class, labels, message) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        build(model_class)(IDS, **labels)


def test_a_question_costs_the_same_in_any_batch_where_padding_is_ignored() -> None:
    model = build(QuestionAnswering().head)  # as fine-tuning makes it
    short, long = (
        TOKENIZER.encode("my dog", "is cute"),
        TOKENIZER.encode("he likes", "playing " * 3),
    )
    ends = {"start_positions": torch.tensor([4, 5]), "end_positions": torch.tensor([5, 6])}
    together = model(**collate([short, long]), **ends).loss
    alone = [
        model(**collate([e]), **{n: p[i : i + 1] for n, p in ends.items()}).loss
        for i, e in enumerate((short, long))
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean())
    reference = build(BertForQuestionAnswering)
    reference.load_state_dict(model.state_dict())
    whole = reference(**collate([short, long]), **ends).loss
    assert not torch.allclose(whole, together, atol=1e-4), "the reference counts padding, too"
