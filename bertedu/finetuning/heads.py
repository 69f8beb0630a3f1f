"""Two heads for which transformers has no class: other poolings, and slots with an intent."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertedu.config import BertConfig
from bertedu.errors import InputError
from bertedu.heads import BertForTokenClassification, HeadOutput
from bertedu.model import BertModel, BertOutput, BertPooler, initialize
from bertedu.utils.validation import IGNORED, check_labels

POOLINGS = ("cls", "mean", "concat")
"""How all tokens' vectors become one: [CLS] through the pooler; their mean; one after another."""


class BertForPooledClassification(nn.Module):
    """One class for the whole input, from all outputs: their mean, or one after the other.

    A concatenation needs a fixed length: the first `positions` outputs are taken, and zeros stand
    where the input is shorter. So its classifier has `positions` times as many weights.

    Args:
        config: the sizes; its labels are the classes.
        pooling: "mean" or "concat" ("cls" is `BertForSequenceClassification`).
        positions: of a concatenation.

    Raises:
        InputError: another pooling, or more positions than the model has.

    Example:
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1,
        ...                     num_attention_heads=2, intermediate_size=16)
        >>> model = BertForPooledClassification(config, "concat", positions=3)
        >>> model.pooled_classifier.weight.shape, model(torch.tensor([[1, 5]])).logits.shape
        (torch.Size([2, 24]), torch.Size([1, 2]))
    """

    def __init__(self, config: BertConfig, pooling: str = "mean", positions: int = 32) -> None:
        super().__init__()
        if pooling not in POOLINGS[1:]:
            raise InputError(f"pooling is {pooling!r}; it must be one of {', '.join(POOLINGS)}")
        if not 1 <= positions <= config.max_position_embeddings:
            raise InputError(
                f"positions is {positions}; it must be from 1 to {config.max_position_embeddings}"
            )
        self.config = config
        self.pooling = pooling
        self.positions = positions
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        width = config.hidden_size * (positions if pooling == "concat" else 1)
        # Not `classifier`: transformers would take that for a classifier of [CLS].
        self.pooled_classifier = nn.Linear(width, config.num_labels)
        initialize(self.pooled_classifier, config)

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
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states = encoder.last_hidden_state * real[:, :, None]  # [B, S, H], zeros at the padding
        if self.pooling == "mean":
            pooled = states.sum(1) / real.sum(1, keepdim=True)  # [B, H]
        else:
            short = max(0, self.positions - states.shape[1])
            pooled = F.pad(states[:, : self.positions], (0, 0, 0, short)).flatten(1)  # [B, P * H]
        logits = self.pooled_classifier(self.dropout(pooled))  # [B, K]
        if labels is not None:
            check_labels("labels", labels, logits.shape[:1], logits.shape[-1])
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return HeadOutput(loss, logits, encoder)


class SlotOutput(NamedTuple):
    """What `BertForSlotFilling` returns.

    Attributes:
        loss: slot_loss + intent_loss, of those that had labels; None without labels.
        slot_loss: mean over the labelled tokens, nats.
        intent_loss: mean over the labelled inputs, nats; 0 when none is labelled.
        logits: [B, S, K], of the tags.
        intent_logits: [B, I].
        encoder: the encoder's output.
    """

    loss: Tensor | None
    slot_loss: Tensor | None
    intent_loss: Tensor | None
    logits: Tensor
    intent_logits: Tensor
    encoder: BertOutput


class BertForSlotFilling(BertForTokenClassification):
    """One class for every token, and one for the whole input from its pooled [CLS].

    transformers reads the tokens' part as a `BertForTokenClassification`.

    Args:
        config: the sizes; its labels are the tags.
        num_intents: classes of the whole input.

    Source: Chen, Zhuo and Wang 2019, BERT for joint intent classification and slot filling.

    Example:
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1,
        ...                     num_attention_heads=2, intermediate_size=16)
        >>> output = BertForSlotFilling(config, num_intents=5)(torch.tensor([[1, 5, 6]]))
        >>> output.logits.shape, output.intent_logits.shape
        (torch.Size([1, 3, 2]), torch.Size([1, 5]))
    """

    def __init__(self, config: BertConfig, num_intents: int) -> None:
        super().__init__(config)
        self.bert.pooler = BertPooler(config)
        self.intent_classifier = nn.Linear(config.hidden_size, num_intents)
        initialize(self.bert.pooler, config)
        initialize(self.intent_classifier, config)

    def forward(  # type: ignore[override]  # one label argument and one output more
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        intent_labels: Tensor | None = None,
        **options: bool,
    ) -> SlotOutput:
        """Returns both logits; with labels [B, S] and intent_labels [B], int64, the losses."""
        tags = super().forward(input_ids, token_type_ids, attention_mask, labels=labels, **options)
        pooled = self.dropout(tags.encoder.pooler_output)
        intent_logits = self.intent_classifier(pooled)  # [B, I]
        intent_loss = None
        if intent_labels is not None:
            check_labels("intent_labels", intent_labels, pooled.shape[:1], intent_logits.shape[1])
            total = F.cross_entropy(intent_logits, intent_labels, reduction="sum")
            intent_loss = total / (intent_labels != IGNORED).sum().clamp(min=1)
        losses = [loss for loss in (tags.loss, intent_loss) if loss is not None]
        loss = torch.stack(losses).sum() if losses else None
        return SlotOutput(loss, tags.loss, intent_loss, tags.logits, intent_logits, tags.encoder)
