"""BERT's encoder: embeddings, then L layers of self-attention and feed-forward network.

Attribute names mirror Hugging Face's, so that a published checkpoint loads as it is.
Shapes: B batch, S sequence, L layers, A heads, H hidden size, D = H / A, V vocabulary.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertedu.attention import attend
from bertedu.config import BertConfig
from bertedu.utils.validation import check_input

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}


class BertOutput(NamedTuple):
    """What the encoder returns.

    Attributes:
        last_hidden_state: [B, S, H], the last layer's vector of each token.
        pooler_output: [B, H], tanh of a dense layer over [CLS]; None without a pooler.
        hidden_states: L + 1 times [B, S, H], the embeddings first; None unless asked for.
        attention_probs: L times [B, A, S, S], rows ask, columns answer; None unless asked for.
    """

    last_hidden_state: Tensor
    pooler_output: Tensor | None
    hidden_states: tuple[Tensor, ...] | None
    attention_probs: tuple[Tensor, ...] | None


class BertEmbeddings(nn.Module):
    """Token + segment + position, each a learned table, then LayerNorm and dropout."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        """Returns the summed and normalised embeddings, [B, S, H], of ids [B, S]."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)  # [S]
        summed = (
            self.word_embeddings(input_ids)
            + self.token_type_embeddings(token_type_ids)
            + self.position_embeddings(positions)
        )  # [B, S, H]
        output: Tensor = self.dropout(self.LayerNorm(summed))
        return output


class BertSelfAttention(nn.Module):
    """A heads, each mixing the tokens' values by its own queries and keys."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.head_size = config.head_size
        self.dropout_prob = config.attention_probs_dropout_prob

    def heads(self, states: Tensor) -> Tensor:
        """Returns [B, S, H] cut into heads: [B, A, S, D]."""
        return states.view(*states.shape[:2], -1, self.head_size).transpose(1, 2)

    def forward(
        self, states: Tensor, mask: Tensor | None, want_probs: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the heads' contexts side by side, [B, S, H], and the probabilities."""
        query = self.heads(self.query(states))  # [B, A, S, D]
        key = self.heads(self.key(states))
        value = self.heads(self.value(states))
        dropout = self.dropout_prob if self.training else 0.0
        probs = None
        if want_probs:
            context, probs = attend(query, key, value, mask, dropout)
        else:  # the same, fused; a test holds the two equal
            context = F.scaled_dot_product_attention(query, key, value, mask, dropout)
        return context.transpose(1, 2).flatten(2), probs


class BertResidual(nn.Module):
    """LayerNorm(x + dropout(dense(y))): how each half of a layer ends."""

    def __init__(self, config: BertConfig, input_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(input_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, update: Tensor, states: Tensor) -> Tensor:
        """Returns `states` plus the projected `update`, normalised."""
        output: Tensor = self.LayerNorm(states + self.dropout(self.dense(update)))
        return output


class BertAttention(nn.Module):
    """The first half of a layer: tokens look at each other."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertResidual(config, config.hidden_size)

    def forward(
        self, states: Tensor, mask: Tensor | None, want_probs: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the new states and the attention probabilities."""
        context, probs = self.self(states, mask, want_probs)
        return self.output(context, states), probs


class BertIntermediate(nn.Module):
    """H to four times H, then the activation."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, states: Tensor) -> Tensor:
        """Returns [..., intermediate_size]."""
        return self.activation(self.dense(states))


class BertLayer(nn.Module):
    """Self-attention, then a feed-forward network on each token by itself."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertResidual(config, config.intermediate_size)

    def forward(
        self, states: Tensor, mask: Tensor | None, want_probs: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the new states and the attention probabilities."""
        states, probs = self.attention(states, mask, want_probs)
        return self.output(self.intermediate(states), states), probs


class BertEncoder(nn.Module):
    """L layers, one after the other."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))


class BertPooler(nn.Module):
    """tanh of a dense layer over the vector of [CLS]."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, states: Tensor) -> Tensor:
        """Returns [B, H] for states [B, S, H]."""
        return torch.tanh(self.dense(states[:, 0]))


class BertModel(nn.Module):
    """The encoder, with its pooler: token ids in, one vector a token out.

    Args:
        config: the sizes.
        add_pooling_layer: False leaves the pooler out, as heads that read every token do.

    Source: Devlin et al. 2019, section 3; google-research/bert modeling.py, BertModel.

    Example:
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=2,
        ...                     num_attention_heads=2, intermediate_size=16)
        >>> output = BertModel(config)(torch.tensor([[1, 5, 6, 2]]), output_attentions=True)
        >>> output.last_hidden_state.shape, len(output.attention_probs)
        (torch.Size([1, 4, 8]), 2)
    """

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        initialize(self, config)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> BertOutput:
        """Returns the encoder's output.

        Args:
            input_ids: int64 [B, S], ids below V.
            token_type_ids: int64 [B, S], 0 = segment A, 1 = segment B; None means all A.
            attention_mask: [B, S], 1 = real token, 0 = padding; None means no padding.
            output_hidden_states: also return the states before and after every layer.
            output_attentions: also return every layer's attention probabilities.

        Raises:
            InputError: ids out of range, too many tokens, or shapes that do not agree.
        """
        input_ids, token_type_ids, real = check_input(
            self.config, input_ids, token_type_ids, attention_mask
        )
        mask = None if real is None else real[:, None, None, :]  # [B, 1, 1, S], True = look
        states = self.embeddings(input_ids, token_type_ids)  # [B, S, H]
        hidden_states, attention_probs = [states], []
        for layer in self.encoder.layer:
            states, probs = layer(states, mask, output_attentions)
            if output_hidden_states:
                hidden_states.append(states)
            attention_probs.append(probs)
        return BertOutput(
            states,
            self.pooler(states) if self.pooler is not None else None,
            tuple(hidden_states) if output_hidden_states else None,
            tuple(attention_probs) if output_attentions else None,
        )


def initialize(module: nn.Module, config: BertConfig) -> None:
    """Fills every weight below `module` afresh, as the paper's code does.

    Source: google-research/bert modeling.py, create_initializer (normal, deviation 0.02; theirs
    cuts the normal at two deviations, Hugging Face's and ours does not).
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=config.initializer_range)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.Embedding) and part.padding_idx is not None:
            with torch.no_grad():
                part.weight[part.padding_idx].zero_()
