"""A pretrained BERT in one hand: model and tokenizer together, one call a question."""

import os
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bertedu.checkpoint import check_vocabulary, load_into, read_config, resolve
from bertedu.config import BertConfig
from bertedu.encoding import Encoding, collate
from bertedu.errors import CheckpointError, InputError
from bertedu.heads import IS_NEXT, BertForPreTraining
from bertedu.model import BertOutput
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.validation import check_finite

HEADS = ("cls.", "bert.pooler.")
"""What stands on the encoder; a checkpoint need not hold it."""


class Guess(NamedTuple):
    """One answer for a [MASK]: the token and its probability."""

    token: str
    probability: float


@dataclass(frozen=True, eq=False)
class Trace:
    """What one forward pass makes of one input, part by part; `Bert.trace` gives it.

    Attributes:
        encoding: the S tokens.
        hidden_states: after the embeddings and after each layer, [L + 1, S, H].
        query: what each token asks with, in each head, [L, A, S, D].
        key: what it answers with, [L, A, S, D].
        value: what it gives to those that ask, [L, A, S, D].
        attention_probs: [L, A, S, S], rows ask and sum to 1.
        seq_relationship_logits: [2], 0 = B follows A; None where the checkpoint has no such head.
    """

    encoding: Encoding
    hidden_states: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    attention_probs: Tensor
    seq_relationship_logits: Tensor | None
    _predictions: nn.Module | None = field(repr=False)

    @cached_property
    def prediction_logits(self) -> Tensor | None:
        """What the masked-LM head says at every place, [S, V]; None where there is no such head.

        Computed when first asked for: it costs as much as the layers, and few ask.
        """
        if self._predictions is None:
            return None
        with torch.inference_mode():
            logits: Tensor = self._predictions(self.hidden_states[-1])
        return logits


class Bert:
    """A BERT with its tokenizer, ready for questions; `bertedu.load` gives one.

    Args:
        model: with both pretraining heads.
        tokenizer: the one it was trained with.
        missing: names of parameters that its checkpoint did not hold; a head that is missing
            is refused, not answered at random.

    Raises:
        InputError: model and tokenizer have vocabularies of different sizes.

    Example:
        >>> from bertedu import BertConfig, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> bert.attention("my dog is cute").shape  # [L, A, S, S]
        torch.Size([2, 3, 6, 6])
    """

    def __init__(
        self,
        model: BertForPreTraining,
        tokenizer: BertTokenizer,
        missing: tuple[str, ...] = (),
    ) -> None:
        check_vocabulary(model.config, tokenizer)
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.missing = missing

    def __repr__(self) -> str:
        """Gives the sizes that a reader wants to know."""
        c, count = self.config, sum(p.numel() for p in self.model.parameters())
        return (
            f"Bert({c.num_hidden_layers} layers x {c.hidden_size}, {c.num_attention_heads} heads, "
            f"{c.vocab_size:,} tokens, {count:,} parameters)"
        )

    @property
    def config(self) -> BertConfig:
        """The model's sizes."""
        return self.model.config

    def encode(self, text: str, pair: str | None = None, *, truncate: bool = False) -> Encoding:
        """Returns the model's input for a text or a pair; a warning says what was cut.

        Raises:
            InputError: it is longer than the model's positions and `truncate` is False.
        """
        longest = self.config.max_position_embeddings
        encoding = self.tokenizer.encode(text, pair, max_length=longest, truncate=truncate)
        if encoding.truncated:
            warnings.warn(
                f"the last {encoding.truncated:,} tokens were left out: the model reads {longest}",
                stacklevel=2,
            )
        return encoding

    def fill_mask(self, text: str, pair: str | None = None, *, top_k: int = 5) -> list[list[Guess]]:
        """Returns the likeliest tokens for each [MASK].

        Args:
            text: with at least one [MASK], here or in the pair.
            pair: segment B.
            top_k: guesses for each [MASK].

        Returns:
            For each [MASK] in order, `top_k` guesses, the likeliest first; probabilities are
            over the whole vocabulary.

        Raises:
            InputError: there is no [MASK], or top_k is not between 1 and V.
            CheckpointError: the checkpoint has no masked-LM head, or its numbers ran over.
        """
        self._require("cls.predictions", "fill a [MASK]")
        if not 1 <= top_k <= len(self.tokenizer):
            raise InputError(f"top_k is {top_k}; it must be from 1 to {len(self.tokenizer):,}")
        encoding = self.encode(text, pair)
        masked = encoding.input_ids == self.tokenizer.mask_token_id  # [S]
        if not masked.any():
            raise InputError("the text has no [MASK]: write [MASK] where a word is to be guessed")
        with torch.inference_mode():
            states = self._encoder_output(encoding).last_hidden_state[0, masked]  # [N, H]
            probs = check_finite(self.model.cls.predictions(states).softmax(dim=-1))  # [N, V]
        best = probs[:, : len(self.tokenizer)].topk(top_k)
        return [
            [Guess(self.tokenizer.tokens[i], p) for p, i in zip(values, ids, strict=True)]
            for values, ids in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    def next_sentence(self, text: str, pair: str) -> float:
        """Returns the probability that `pair` follows `text` (label 0), not that it is random.

        Raises:
            CheckpointError: the checkpoint has no next-sentence head.
        """
        self._require("cls.seq_relationship", "judge a next sentence")
        self._require("bert.pooler", "judge a next sentence")
        with torch.inference_mode():
            pooled = self._encoder_output(self.encode(text, pair)).pooler_output
            logits = self.model.cls.seq_relationship(pooled)
            probs = check_finite(logits.softmax(dim=-1))  # [1, 2]
        return float(probs[0, IS_NEXT])

    def hidden_states(self, text: str, pair: str | None = None) -> Tensor:
        """Returns every token's vector after the embeddings and after each layer: [L + 1, S, H]."""
        output = self._encoder_output(self.encode(text, pair), output_hidden_states=True)
        return torch.cat(output.hidden_states or ())

    def attention(self, text: str, pair: str | None = None) -> Tensor:
        """Returns every head's attention probabilities: [L, A, S, S], rows ask and sum to 1."""
        return self.trace(text, pair).attention_probs

    def trace(self, text: str | Encoding, pair: str | None = None) -> Trace:
        """Returns all that one forward pass computes on the way, for one encoding.

        Args:
            text: segment A, or what `encode` gave.
            pair: segment B.

        Raises:
            InputError: it is longer than the model's positions.

        Example:
            >>> from bertedu import BertConfig, load_tokenizer
            >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
            >>> trace = Bert(BertForPreTraining(config), load_tokenizer()).trace("my dog is cute")
            >>> trace.query.shape, trace.prediction_logits.shape  # [L, A, S, D] and [S, V]
            (torch.Size([2, 3, 6, 4]), torch.Size([6, 30522]))
        """
        encoding = text if isinstance(text, Encoding) else self.encode(text, pair)
        heard: dict[str, list[Tensor]] = {"query": [], "key": [], "value": []}
        layers: Any = self.model.bert.encoder.layer
        hooks = [
            getattr(layer.attention.self, name).register_forward_hook(
                lambda _, __, output, kept=kept: kept.append(output[0])
            )
            for layer in layers
            for name, kept in heard.items()
        ]
        try:
            output = self._encoder_output(
                encoding, output_hidden_states=True, output_attentions=True
            )
        finally:
            for hook in hooks:
                hook.remove()
        size = (len(layers), len(encoding), self.config.num_attention_heads, -1)
        query, key, value = (
            torch.stack(kept).view(size).transpose(1, 2) for kept in heard.values()
        )
        heads = self.model.cls
        judged = None
        if not (self._lacks("cls.seq_relationship") or self._lacks("bert.pooler")):
            with torch.inference_mode():
                judged = heads.seq_relationship(output.pooler_output)[0]
        return Trace(
            encoding,
            torch.cat(output.hidden_states or ()),
            query,
            key,
            value,
            torch.cat(output.attention_probs or ()),
            judged,
            None if self._lacks("cls.predictions") else heads.predictions,
        )

    def _encoder_output(self, encoding: Encoding, **options: bool) -> BertOutput:
        with torch.inference_mode():
            output: BertOutput = self.model.bert(**collate([encoding]), **options)
        return output

    def _lacks(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.missing)

    def _require(self, prefix: str, purpose: str) -> None:
        if self._lacks(prefix):
            raise CheckpointError(
                f"this checkpoint has no {prefix}, so it cannot {purpose}: load one that was "
                "saved with both pretraining heads"
            )


def load(name: str | os.PathLike[str] = "bertedu") -> Bert:
    """Returns a pretrained BERT with its tokenizer.

    Args:
        name: "bertedu" (the checkpoint in the package, or the folder that the environment
            variable BERTEDU_CHECKPOINT names), a folder in Hugging Face's layout, or a hub id
            such as "bert-base-uncased".

    Raises:
        CheckpointError: it is not there, or cannot be used; the message says why.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: there is no folder 'no/such/folder': check the path
    """
    folder: Path = resolve(name)
    if name == "bertedu" and not (folder / "config.json").is_file():
        raise CheckpointError(
            "the course's trained weights are not in this copy: set BERTEDU_CHECKPOINT to a "
            'folder that holds some, or name a hub id such as "bert-base-uncased"'
        )
    tokenizer = BertTokenizer.from_folder(folder)
    model = BertForPreTraining(read_config(folder))
    return Bert(model, tokenizer, tuple(load_into(model, folder, may_be_new=HEADS)))
