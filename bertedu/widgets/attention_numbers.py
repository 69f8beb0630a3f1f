"""What a head does on a text, in numbers: where its rows look, and how spread they are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bertedu.attention import attention_probs, attention_scores
from bertedu.encoding import Encoding
from bertedu.tokenizer import BertTokenizer
from bertedu.widgets.svg import percent

NUMBERS = ("entropy", "to [CLS]", "to [SEP]", "to itself", "to next", "to previous")


@dataclass(frozen=True)
class Attention:
    """What all heads of a model ask and answer about one text.

    Attributes:
        encoding: the text's S tokens.
        query: float32 [L, A, S, D], the model's own.
        key: float32 [L, A, S, D].
    """

    encoding: Encoding
    query: Tensor
    key: Tensor

    def probs(self, layer: int) -> Tensor:
        """Returns one layer's attention probabilities, [A, S, S]; layers count from 0."""
        return attention_probs(attention_scores(self.query[layer], self.key[layer]))


def row_numbers(probs: Tensor, input_ids: Tensor, tokenizer: BertTokenizer) -> Tensor:
    """Returns each row's NUMBERS: how spread it is, and the shares that go to certain places.

    Args:
        probs: [..., S, S], rows ask and sum to 1.
        input_ids: int64 [S].
        tokenizer: knows [CLS] and [SEP].

    Returns:
        [..., S, 6]: the entropy in nats, then five shares, which may overlap: a [CLS] that looks
        at itself counts twice. The last token has no next and the first no previous: nan.

    Example:
        >>> from bertedu import load_tokenizer
        >>> tokenizer = load_tokenizer()
        >>> ids = tokenizer.encode("dog").input_ids
        >>> row_numbers(torch.full((3, 3), 1 / 3), ids, tokenizer)[0]
        tensor([1.0986, 0.3333, 0.3333, 0.3333, 0.3333,    nan])
    """
    itself = probs.diagonal(dim1=-2, dim2=-1)
    nothing = torch.full_like(itself[..., :1], float("nan"))
    return torch.stack(
        [
            torch.special.entr(probs).sum(-1),
            probs[..., input_ids == tokenizer.cls_token_id].sum(-1),
            probs[..., input_ids == tokenizer.sep_token_id].sum(-1),
            itself,
            torch.cat([probs.diagonal(1, -2, -1), nothing], -1),
            torch.cat([nothing, probs.diagonal(-1, -2, -1)], -1),
        ],
        dim=-1,
    )


def told(numbers: Tensor) -> str:
    """Returns a row's numbers, float [6], in words.

    Example:
        >>> told(torch.tensor([0.5, 0.1, 0.2, 0.3, 0.2, 0.2]))
        'entropy 0.50 nats, to [CLS] 10.0 %, to [SEP] 20.0 %, to itself 30.0 %, to next 20.0 %,
        to previous 20.0 %'
    """
    entropy, *shares = numbers.tolist()
    parts = (f"{name} {percent(share)}" for name, share in zip(NUMBERS[1:], shares, strict=True))
    return ", ".join([f"entropy {entropy:.2f} nats", *parts])
