"""A text as the model takes it, with where its tokens stand in it; and several as one batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bertedu.errors import InputError

Offsets = tuple[int, int]
UNKNOWN_SHARE = 0.1
"""With so many [UNK] among its tokens, a text is hardly read: the vocabulary is not for it."""


@dataclass(frozen=True)
class Encoding:
    """One input, ready for the model.

    Attributes:
        text: the first segment, as given.
        pair: the second segment, as given, or None.
        tokens: the S tokens, special ones included.
        input_ids: int64 [S].
        token_type_ids: int64 [S], 0 up to the first [SEP], 1 after it.
        attention_mask: int64 [S], all 1; padding comes with `collate`.
        offsets: S pairs (start, end) of characters: `text[start:end]`, or of `pair` where the
            token type is 1, is what the token stands for; (0, 0) for a special token put there
            by the encoder.
        special_tokens_mask: S times 1 for the [CLS] and [SEP] put there, else 0.
        truncated: how many tokens of the text were left out because it was too long.
    """

    text: str
    pair: str | None
    tokens: list[str]
    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor
    offsets: list[Offsets]
    special_tokens_mask: list[int]
    truncated: int = 0

    def __len__(self) -> int:
        """The number of tokens, S."""
        return len(self.tokens)

    @property
    def unknown(self) -> float:
        """The share of the text's tokens that are [UNK]."""
        own = len(self.tokens) - sum(self.special_tokens_mask)
        return self.tokens.count("[UNK]") / max(1, own)

    def characters(self, position: int) -> str:
        """Returns the piece of the original text behind one token, "" for [CLS] and [SEP]."""
        start, end = self.offsets[position]
        source = self.pair if self.token_type_ids[position] else self.text
        return (source or "")[start:end]


def collate(
    encodings: Sequence[Encoding], pad_token_id: int = 0, pad_to: int | None = None
) -> dict[str, Tensor]:
    """Returns the encodings as one padded batch: the model's keyword arguments.

    Args:
        encodings: B inputs of any lengths.
        pad_token_id: the id put at the padding.
        pad_to: S; None means the longest.

    Returns:
        input_ids, token_type_ids and attention_mask (0 = padding), each int64 [B, S].

    Raises:
        InputError: no encodings, or one longer than pad_to.

    Example:
        >>> from bertedu.tokenizer import SPECIAL_TOKENS, BertTokenizer
        >>> tokenizer = BertTokenizer([*SPECIAL_TOKENS, "dog"])
        >>> batch = collate([tokenizer.encode("dog"), tokenizer.encode("")])
        >>> batch["attention_mask"].tolist()
        [[1, 1, 1], [1, 1, 0]]
    """
    if not encodings:
        raise InputError("there is nothing to put into a batch")
    longest = max(map(len, encodings))
    size = longest if pad_to is None else pad_to
    if longest > size:
        raise InputError(f"an input has {longest} tokens, more than pad_to = {size}")
    batch = {
        name: torch.zeros(len(encodings), size, dtype=torch.int64)
        for name in ("input_ids", "token_type_ids", "attention_mask")
    }
    batch["input_ids"].fill_(pad_token_id)
    for row, encoding in enumerate(encodings):
        for name, values in batch.items():
            values[row, : len(encoding)] = getattr(encoding, name)
    return batch
