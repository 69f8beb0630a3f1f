"""What BERT reads: token + segment + position, their sum, LayerNorm; each can be switched off."""

import re
from typing import Any, cast

import numpy as np
import torch
import traitlets
from torch import Tensor
from torch.nn.functional import normalize

from bertedu.bert import Bert, load
from bertedu.model import BertEmbeddings, BertLayer
from bertedu.tokenizer import BertTokenizer
from bertedu.widgets.base import SCREEN, AskingWidget, check_length, described
from bertedu.widgets.web_pack import model_checksum

LONGEST = SCREEN  # tokens: rows that a screen can show
POSITIONS = 64  # rows of the position tables that are compared
DIMENSIONS = 64  # shown at first, of H
TERMS = ("token", "segment", "position")
SWITCHES = (*TERMS, "layer_norm")  # a combination is a number: 1, 2, 4 and 8, where on
EVERYTHING = 2 ** len(SWITCHES) - 1
_PIECE = re.compile(r"(?<!\S)##\S+")


class EmbeddingSum(AskingWidget):
    """Shows how three tables become one vector a token, and what each does to the attention.

    A piece typed with its marks, such as `##ing`, is taken as that piece, as the notes write it;
    BERT's own tokenizer would take `playing` whole, and split `##ing` at the marks.

    Args:
        text: segment A.
        pair: segment B, or None.
        bert: None means the embedded checkpoint.

    Attributes:
        text, pair: what is shown; changes when the reader types, and can be set.
        settings: which of `SWITCHES` are on; head, 0 = the mean of all; dimensions, [start, stop];
            centred, whether the tables of positions are compared without their mean row.
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: the first text is no text, or longer than LONGEST tokens.
        CheckpointError: the embedded checkpoint's weights are asked for and not there.

    Source: Devlin et al. 2019, figure 2.

    Example:
        >>> from bertedu import BertConfig, load_tokenizer
        >>> from bertedu.heads import BertForPreTraining
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=1, num_attention_heads=3)
        >>> sums = EmbeddingSum(bert=Bert(BertForPreTraining(config), load_tokenizer()))
        >>> sums
        EmbeddingSum(11 tokens x 12: token + segment + position, LayerNorm; 0.0% moved)
        >>> sums.settings = sums.settings | {"segment": False, "position": False}
        >>> repr(sums)[:46]
        'EmbeddingSum(11 tokens x 12: token, LayerNorm;'
    """

    MOST_TOKENS = LONGEST
    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)

    def __init__(
        self,
        text: str = "my dog is cute",
        pair: str | None = "he likes play ##ing",
        bert: Bert | None = None,
    ) -> None:
        self.bert = load() if bert is None else bert
        self._positions = _compared(self._embeddings.position_embeddings.weight.detach())
        size = self.bert.config.hidden_size
        first = dict.fromkeys(SWITCHES, True) | {
            "head": 0,
            "dimensions": [0, min(DIMENSIONS, size)],
            "centred": False,
        }
        super().__init__(first, text=text, pair=pair)

    @property
    def combination(self) -> int:
        """What is switched on, as the number of its row in `attention_probs`."""
        return sum(2**bit for bit, name in enumerate(SWITCHES) if self.settings[name])

    @property
    def summed(self) -> Tensor:
        """The sum of the terms that are on, [S, H]; of all, the model's own to the bit."""
        return _summed(self.terms, self.combination)

    @property
    def states(self) -> Tensor:
        """What the first layer reads, [S, H]: the sum, normalised where LayerNorm is on."""
        return _states(self._embeddings, self.terms, self.combination)

    def attention(self, combination: int | None = None) -> Tensor:
        """Returns the first layer's probabilities, [S, S], of the head that is chosen.

        Args:
            combination: which of the switches are on; None means as they stand.
        """
        probs = self.attention_probs[self.combination if combination is None else combination]
        head = self.settings["head"]
        return probs[head - 1] if head else probs.mean(dim=0)

    @property
    def moved(self) -> float:
        """The share of a token's attention that goes elsewhere than with everything on, 0 to 1."""
        return moved(self.attention(), self.attention(EVERYTHING))

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        terms = " + ".join(name for name in TERMS if self.settings[name]) or "nothing"
        norm = ", LayerNorm" if self.settings["layer_norm"] else ""
        size = f"{len(self.ids)} tokens x {self.terms.shape[-1]}"
        return f"{size}: {terms}{norm}; {self.moved:.1%} moved"

    def checksum(self) -> str:
        """Returns the model's checksum."""
        return model_checksum(self.bert)

    @property
    def scales(self) -> list[float]:
        """Where the colour ends, before and after LayerNorm: one value in a hundred lies beyond."""
        both = _summed(self.terms, EVERYTHING), _states(self._embeddings, self.terms, EVERYTHING)
        return [max(float(values.abs().quantile(0.99)), 1e-6) for values in both]

    @property
    def cosines(self) -> Tensor:
        """How alike two positions are, [learned, sinusoidal] x P x P, as `centred` stands."""
        return self._positions[int(self.settings["centred"])]

    @property
    def _embeddings(self) -> BertEmbeddings:
        return self.bert.model.bert.embeddings

    @torch.inference_mode()
    def _look(self, text: str, pair: str | None) -> None:
        ids, types = encode_pieces(self.bert.tokenizer, text, pair)
        check_length(len(ids), min(LONGEST, self.bert.config.max_position_embeddings))
        parts, layer = self._embeddings, cast("BertLayer", self.bert.model.bert.encoder.layer[0])
        self.ids, self.types = ids, types
        self._own = _own_token(self.bert.tokenizer, ids, text, pair)
        self.terms = embedding_terms(parts, ids, types)
        states = [_states(parts, self.terms, c) for c in range(EVERYTHING + 1)]
        _, probs = layer.attention.self(torch.stack(states), None, True)
        self.attention_probs: Tensor = probs  # [combinations, A, S, S]

    def _packed(self) -> dict[str, Any]:
        """All that the browser needs to follow every switch."""
        norm = self._embeddings.LayerNorm
        return {
            **described(self.bert.tokenizer, self.ids, self.types),
            "own": self._own,
            "eps": norm.eps,
            "scales": self.scales,
            "terms": self.terms.numpy(),
            "gain": norm.weight.detach().numpy(),
            "shift": norm.bias.detach().numpy(),
            "attention": self.attention_probs.numpy().astype(np.float16),
            "positions": self._positions.numpy().astype(np.float16),
        }


def encode_pieces(
    tokenizer: BertTokenizer, text: str, pair: str | None = None
) -> tuple[Tensor, Tensor]:
    """Returns ids and segments, int64 [S] each, of `[CLS] text [SEP] (pair [SEP])`.

    As `encode`, but a piece that is written with its marks, and that the vocabulary has, stays.

    Args:
        tokenizer: the model's.
        text: segment A.
        pair: segment B, or None.

    Raises:
        InputError: it is no text.

    Example:
        >>> from bertedu import load_tokenizer
        >>> tokenizer = load_tokenizer()
        >>> [tokenizer.tokens[i] for i in encode_pieces(tokenizer, "play ##ing")[0]]
        ['[CLS]', 'play', '##ing', '[SEP]']
        >>> tokenizer.encode("play ##ing").tokens
        ['[CLS]', 'play', '#', '#', 'ing', '[SEP]']
    """

    def ids(text: str) -> list[int]:
        found, start = [], 0
        for match in _PIECE.finditer(text) if isinstance(text, str) else ():
            if (index := tokenizer.vocab.get(match[0])) is not None:
                found += [*tokenizer.ids(text[start : match.start()]), index]
                start = match.end()
        return found + tokenizer.ids(text[start:] if start else text)

    first = [tokenizer.cls_token_id, *ids(text), tokenizer.sep_token_id]
    second = [] if pair is None else [*ids(pair), tokenizer.sep_token_id]
    return torch.tensor(first + second), torch.tensor([0] * len(first) + [1] * len(second))


def embedding_terms(embeddings: BertEmbeddings, ids: Tensor, types: Tensor) -> Tensor:
    """Returns what a model adds up for S tokens: token, segment and position, [3, S, H]."""
    positions = torch.arange(len(ids))
    return torch.stack([
        embeddings.word_embeddings(ids),
        embeddings.token_type_embeddings(types),
        embeddings.position_embeddings(positions),
    ])  # fmt: skip


def _own_token(tokenizer: BertTokenizer, ids: Tensor, text: str, pair: str | None) -> str | None:
    """The first token that the tokenizer itself would put for pieces, were they typed as words."""

    def joined(text: str) -> str:
        return re.sub(r"\s+(##\S+)", lambda m: m[1][2:] if m[1] in tokenizer.vocab else m[0], text)

    own = tokenizer.encode(joined(text), None if pair is None else joined(pair))
    both = zip(own.input_ids.tolist(), ids.tolist(), own.tokens, strict=False)
    return next((token for index, shown, token in both if index != shown), None)


def sinusoids(positions: int, size: int) -> Tensor:
    """Returns the first Transformer's table of positions, which nobody learns: [positions, size].

    Source: Vaswani et al. 2017, section 3.5.

    Example:
        >>> sinusoids(2, 4)
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    rate = 10_000 ** (-torch.arange(0, size, 2) / size)
    angle = torch.arange(positions)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :size]


def moved(probs: Tensor, before: Tensor) -> float:
    """Returns the share of each row that lies elsewhere than before, 0 to 1, mean of the rows.

    Example:
        >>> round(moved(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.7, 0.3]])), 3)
        0.2
    """
    return float((probs - before).abs().sum(dim=-1).mean() / 2)


def _compared(learned: Tensor) -> Tensor:
    """Cosines: [as they are, without the mean row] x [learned, sinusoidal] x P x P."""
    tables = torch.stack([learned, sinusoids(*learned.shape)])
    both = torch.stack([tables, tables - tables.mean(dim=1, keepdim=True)])
    unit = normalize(both[:, :, :POSITIONS], dim=-1)
    return unit @ unit.transpose(-1, -2)


def _summed(terms: Tensor, combination: int) -> Tensor:
    token, segment, position = (
        term if combination >> bit & 1 else torch.zeros_like(term) for bit, term in enumerate(terms)
    )
    return token + segment + position  # the model's order, for the same last bit


def _states(embeddings: BertEmbeddings, terms: Tensor, combination: int) -> Tensor:
    summed = _summed(terms, combination)
    normed: Tensor = embeddings.LayerNorm(summed).detach()
    return normed if combination >> len(TERMS) & 1 else summed
