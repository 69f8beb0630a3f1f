"""What stands on top of the encoder: two heads to pretrain with, three to fine-tune with.

Every class has the encoder at `.bert`, as Hugging Face names it, and takes the same input as
`BertModel`; with labels it also returns the loss, in nats. A label of -100 is not counted.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertedu.config import BertConfig
from bertedu.errors import InputError
from bertedu.model import ACTIVATIONS, BertModel, BertOutput, initialize
from bertedu.utils.validation import IGNORED, check_labels

IS_NEXT, NOT_NEXT = 0, 1
"""next_sentence_label, and the index of its logit: B follows A; B is random, from elsewhere."""


class PreTrainingOutput(NamedTuple):
    """What `BertForPreTraining` returns.

    Attributes:
        loss: mlm_loss + nsp_loss, of those that had labels; None without labels.
        mlm_loss: mean over the labelled positions, nats a token.
        nsp_loss: mean over the labelled pairs, nats a pair; 0 when none is labelled.
        prediction_logits: [B, S, V]; with `labels` [N, V], at the N labelled positions only.
        seq_relationship_logits: [B, 2]; index 0 = B follows A, index 1 = B is random.
        encoder: the encoder's output.
    """

    loss: Tensor | None
    mlm_loss: Tensor | None
    nsp_loss: Tensor | None
    prediction_logits: Tensor
    seq_relationship_logits: Tensor
    encoder: BertOutput


class HeadOutput(NamedTuple):
    """What a fine-tuning head returns.

    Attributes:
        loss: mean over what was labelled, in nats; None without labels.
        logits: [B, K] for sequences, [B, S, K] for tokens, [B, S, 2] (start, end) for spans.
        encoder: the encoder's output.
    """

    loss: Tensor | None
    logits: Tensor
    encoder: BertOutput


class PredictionTransform(nn.Module):
    """Dense, activation, LayerNorm: prepares a vector to be compared with the token table."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, states: Tensor) -> Tensor:
        """Returns [..., H]."""
        output: Tensor = self.LayerNorm(self.activation(self.dense(states)))
        return output


class MaskedLMHead(nn.Module):
    """A logit for every token: the transformed vector times the token table, plus a bias.

    The table is the input's own (`decoder.weight` *is* `word_embeddings.weight`).
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.transform = PredictionTransform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, states: Tensor) -> Tensor:
        """Returns logits [..., V] of states [..., H]."""
        return F.linear(self.transform(states), self.decoder.weight, self.bias)


class PreTrainingHeads(nn.Module):
    """The masked-LM head over every token, the next-sentence head over the pooled [CLS]."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.predictions = MaskedLMHead(config)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)


class BertForPreTraining(nn.Module):
    """BERT with both pretraining heads.

    Source: Devlin et al. 2019, section 3.1; google-research/bert run_pretraining.py,
    get_masked_lm_output and get_next_sentence_output.

    Example:
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1,
        ...                     num_attention_heads=2, intermediate_size=16)
        >>> model = BertForPreTraining(config)
        >>> labels = torch.tensor([[-100, 7, -100, -100]])
        >>> output = model(torch.tensor([[1, 5, 6, 2]]), labels=labels,
        ...                next_sentence_label=torch.tensor([0]))
        >>> output.prediction_logits.shape, output.loss.ndim
        (torch.Size([1, 9]), 0)
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        self.cls = PreTrainingHeads(config)
        initialize(self.cls, config)
        self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        **options: bool,
    ) -> PreTrainingOutput:
        """Returns both heads' logits, and the losses of what has labels.

        Args:
            input_ids: as in `BertModel`.
            token_type_ids: as in `BertModel`.
            attention_mask: as in `BertModel`.
            labels: int64 [B, S], the true id where the loss counts, -100 elsewhere. The head
                then runs at those positions only: the same loss in a fraction of the time.
            next_sentence_label: int64 [B], 0 = B follows A, 1 = B is random, -100 = no pair.
            options: the keyword options of `BertModel`.

        Raises:
            InputError: labels of another shape, out of range, or without one to count.
        """
        encoder = self.bert(input_ids, token_type_ids, attention_mask, **options)
        if labels is not None:
            check_labels("labels", labels, input_ids.shape, self.config.vocab_size)
        if next_sentence_label is not None:
            check_labels("next_sentence_label", next_sentence_label, input_ids.shape[:1], 2)
        states = encoder.last_hidden_state
        mlm_loss = nsp_loss = None
        if labels is not None:
            labelled = labels != IGNORED  # [B, S]
            states = states[labelled]  # [N, H]
            if not len(states):
                raise InputError("labels is -100 everywhere: mask at least one token")
        prediction_logits = self.cls.predictions(states)
        seq_relationship_logits = self.cls.seq_relationship(encoder.pooler_output)
        if labels is not None:
            mlm_loss = F.cross_entropy(prediction_logits, labels[labelled])
        if next_sentence_label is not None:
            pairs = (next_sentence_label != IGNORED).sum().clamp(min=1)
            nsp_sum = F.cross_entropy(seq_relationship_logits, next_sentence_label, reduction="sum")
            nsp_loss = nsp_sum / pairs
        losses = [loss for loss in (mlm_loss, nsp_loss) if loss is not None]
        return PreTrainingOutput(
            torch.stack(losses).sum() if losses else None,
            mlm_loss,
            nsp_loss,
            prediction_logits,
            seq_relationship_logits,
            encoder,
        )


class BertForSequenceClassification(nn.Module):
    """One class for the whole input, from the pooled [CLS]: cases 1 and 3 of the notes.

    Source: Devlin et al. 2019, section 4.1; google-research/bert run_classifier.py.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        initialize(self.classifier, config)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        **options: bool,
    ) -> HeadOutput:
        """Returns logits [B, K], and with labels int64 [B] their mean cross-entropy."""
        encoder = self.bert(input_ids, token_type_ids, attention_mask, **options)
        logits = self.classifier(self.dropout(encoder.pooler_output))  # [B, K]
        if labels is not None:
            check_labels("labels", labels, logits.shape[:1], logits.shape[-1])
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return HeadOutput(loss, logits, encoder)


class BertForTokenClassification(nn.Module):
    """One class for every token: case 2 of the notes, slot filling.

    Source: Devlin et al. 2019, section 5.3.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        initialize(self.classifier, config)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        **options: bool,
    ) -> HeadOutput:
        """Returns logits [B, S, K], and with labels int64 [B, S] their mean cross-entropy."""
        encoder = self.bert(input_ids, token_type_ids, attention_mask, **options)
        logits = self.classifier(self.dropout(encoder.last_hidden_state))  # [B, S, K]
        if labels is not None:
            check_labels("labels", labels, logits.shape[:2], logits.shape[-1])
        loss = None if labels is None else F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return HeadOutput(loss, logits, encoder)


class BertForQuestionAnswering(nn.Module):
    """Two learned vectors, start and end, against every token: case 4 of the notes.

    `qa_outputs.weight[0]` is the start vector, `qa_outputs.weight[1]` the end vector.

    Args:
        config: the sizes.
        ignore_padding: whether the loss's softmax leaves padding out, so that an input's loss is
            the same whatever else is in its batch. The reference's runs over padding, too.

    Source: Devlin et al. 2019, section 4.2; google-research/bert run_squad.py.
    """

    def __init__(self, config: BertConfig, ignore_padding: bool = False) -> None:
        super().__init__()
        self.config = replace(config, labels=("start", "end"))  # the rows of qa_outputs
        self.ignore_padding = ignore_padding
        self.bert = BertModel(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        initialize(self.qa_outputs, config)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        **options: bool,
    ) -> HeadOutput:
        """Returns logits [B, S, 2], and with positions int64 [B] the mean of both losses.

        A position outside the input (a window that does not hold the answer) is not counted.

        Raises:
            InputError: one of the two positions without the other.
        """
        if (start_positions is None) != (end_positions is None):
            raise InputError("give start_positions and end_positions together, or neither")
        encoder = self.bert(input_ids, token_type_ids, attention_mask, **options)
        logits = self.qa_outputs(encoder.last_hidden_state)  # [B, S, 2]
        loss = None
        if start_positions is not None and end_positions is not None:
            length, scored = logits.shape[1], logits
            if self.ignore_padding and attention_mask is not None:
                scored = logits.masked_fill(attention_mask[:, :, None] == 0, -torch.inf)
            positions = torch.stack([start_positions, end_positions], dim=1)  # [B, 2]
            positions = positions.masked_fill((positions < 0) | (positions >= length), IGNORED)
            start_loss, end_loss = (
                F.cross_entropy(scored[:, :, i], positions[:, i]) for i in range(2)
            )
            loss = (start_loss + end_loss) / 2
        return HeadOutput(loss, logits, encoder)
