"""What becomes of one text at every stage of BERT: the numbers behind the Journey."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from bertedu.bert import Bert
from bertedu.encoding import Encoding, collate
from bertedu.errors import InputError
from bertedu.heads import IS_NEXT
from bertedu.pretraining.masking import KEPT, MASKED, RANDOM, MaskedBatch, mask_tokens
from bertedu.utils.validation import IGNORED

LONGEST = 48  # tokens: columns that a screen can show side by side
ROLLS = 8  # that the reader can look through
DRAWN = 400  # rolls that those are chosen from


@dataclass(frozen=True)
class Stages:
    """What becomes of one input at every stage of a model; `stages` computes it.

    Attributes:
        encoding: the S tokens.
        masked: ROLLS training examples that the masking rule makes of it, [ROLLS, S].
        masked_probs: what the masked-LM head gives at each labelled place of those, row by row,
            [N, V]; None without that head.
        follows: the probability that B follows A; None without a pair or without that head.
        terms: token, segment and position embeddings, [3, S, H].
        hidden_states: after the embeddings and after each layer, [L + 1, S, H].
        attention_probs: [L, A, S, S].
        probs: what the masked-LM head gives at every place as typed, [S, V]; None without it.
    """

    encoding: Encoding
    masked: MaskedBatch
    masked_probs: Tensor | None
    follows: float | None
    terms: Tensor
    hidden_states: Tensor
    attention_probs: Tensor
    probs: Tensor | None

    @property
    def summed(self) -> Tensor:
        """The sum of the three terms, the model's own to the bit: [S, H]."""
        token, segment, position = self.terms
        total: Tensor = token + segment + position
        return total

    @property
    def cosines(self) -> Tensor:
        """How alike two tokens' vectors are after each stage: [L + 1, S, S]."""
        unit = normalize(self.hidden_states, dim=-1)
        return unit @ unit.transpose(-1, -2)

    @property
    def to_input(self) -> Tensor:
        """How alike each token's vector still is to its own input: [L + 1, S]."""
        return cosine_similarity(self.hidden_states, self.hidden_states[:1], dim=-1)

    @property
    def to_before(self) -> Tensor:
        """How alike it is to the same token's vector one layer earlier: [L, S]."""
        return cosine_similarity(self.hidden_states[1:], self.hidden_states[:-1], dim=-1)

    @property
    def lengths(self) -> Tensor:
        """Lengths of token, segment and position embedding, and of their sum: [4, S]."""
        lengths: Tensor = torch.cat([self.terms, self.summed[None]]).norm(dim=-1)
        return lengths


@torch.inference_mode()
def stages(bert: Bert, text: str, pair: str | None = None) -> Stages:
    """Returns what becomes of a text at every stage.

    Of DRAWN training examples that the paper's masking rule makes of it, seed 0, those with the
    most different fates are kept, the first drawn first.

    Args:
        bert: any model with its tokenizer.
        text: segment A.
        pair: segment B, or None.

    Raises:
        InputError: it is no text, or longer than LONGEST tokens or the model's positions.
    """
    tokenizer, model = bert.tokenizer, bert.model
    encoding = tokenizer.encode(text, pair)
    longest = min(LONGEST, bert.config.max_position_embeddings)
    if len(encoding) > longest:
        raise InputError(
            f"The text has {len(encoding):,} tokens and this picture shows at most {longest}: "
            "shorten it."
        )
    output = model.bert(**collate([encoding]), output_hidden_states=True, output_attentions=True)
    lacks = [any(n.startswith(part) for n in bert.missing) for part in ("cls.pred", "cls.seq")]
    lacks[1] |= any(n.startswith("bert.pooler") for n in bert.missing)
    masked = _most_different(bert, encoding)
    probs = masked_probs = follows = None
    if not lacks[0]:
        head, size = model.cls.predictions, len(tokenizer)
        probs = head(output.last_hidden_state[0]).softmax(-1)[:, :size]
        types = encoding.token_type_ids.expand_as(masked.input_ids)
        states = model.bert(masked.input_ids, types).last_hidden_state
        masked_probs = head(states[masked.labels != IGNORED]).softmax(-1)[:, :size]
    if pair is not None and not lacks[1]:
        judged = model.cls.seq_relationship(output.pooler_output).softmax(dim=-1)
        follows = float(judged[0, IS_NEXT])
    tables = model.bert.embeddings
    terms = torch.stack([
        tables.word_embeddings(encoding.input_ids),
        tables.token_type_embeddings(encoding.token_type_ids),
        tables.position_embeddings(torch.arange(len(encoding))),
    ])  # fmt: skip  # [3, S, H]
    return Stages(
        encoding, masked, masked_probs, follows, terms,
        torch.cat(output.hidden_states), torch.cat(output.attention_probs), probs,
    )  # fmt: skip


def _most_different(bert: Bert, encoding: Encoding) -> MaskedBatch:
    """ROLLS of the rule's rolls: those with the most different fates, the first drawn first."""
    copies = encoding.input_ids.expand(DRAWN, -1)
    generator = torch.Generator().manual_seed(0)
    real = torch.ones_like(copies)  # a [PAD] that was typed counts, too
    masked = mask_tokens(copies, bert.tokenizer, generator, attention_mask=real)
    fates = torch.tensor([MASKED, RANDOM, KEPT])[:, None, None]
    different = (masked.fates == fates).any(-1).sum(0)  # [DRAWN]
    kept = different.sort(descending=True, stable=True).indices[:ROLLS]
    return MaskedBatch(*(part[kept] for part in masked))
