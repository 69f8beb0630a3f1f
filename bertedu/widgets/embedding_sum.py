"""What BERT reads: token + segment + position, their sum, LayerNorm; each can be switched off."""

import re
from typing import Any, cast

import numpy as np
import torch
import traitlets
from torch import Tensor
from torch.nn.functional import normalize

from bertedu.bert import Bert, load
from bertedu.errors import InputError
from bertedu.model import BertEmbeddings, BertLayer
from bertedu.tokenizer import BertTokenizer
from bertedu.widgets.base import Widget, javascript_module, pack, style_sheet

LONGEST = 64  # tokens: rows that a screen can show
POSITIONS = 64  # rows of the position tables that are compared
DIMENSIONS = 64  # shown at first, of H
TERMS = ("token", "segment", "position")
SWITCHES = (*TERMS, "layer_norm")  # a combination is a number: 1, 2, 4 and 8, where on
EVERYTHING = 2 ** len(SWITCHES) - 1
_PIECE = re.compile(r"(?<!\S)##\S+")


class EmbeddingSum(Widget):
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

    _esm = javascript_module("embedding_sum")
    _css = style_sheet("embedding_sum")
    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        text: str = "my dog is cute",
        pair: str | None = "he likes play ##ing",
        bert: Bert | None = None,
    ) -> None:
        self.bert = load() if bert is None else bert
        self.problem = ""
        self._positions = _compared(self._embeddings.position_embeddings.weight.detach())
        self._add_up(text, pair)
        size = self.bert.config.hidden_size
        settings = dict.fromkeys(SWITCHES, True) | {
            "head": 0,
            "dimensions": [0, min(DIMENSIONS, size)],
            "centred": False,
        }
        super().__init__(text=text, pair=pair, settings=settings, data=self._packed(text, pair))
        self.picture = self.to_svg()
        self.observe(self._answer, ["text", "pair"])
        self.observe(self._draw, "settings")

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

    def to_svg(self) -> str:
        """Returns the picture of the text, as the switches stand."""
        from bertedu.widgets.embedding_picture import drawn

        return drawn(self)

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
    def _add_up(self, text: str, pair: str | None) -> None:
        """Computes what is shown; a refused text leaves everything as it was."""
        ids, types = encode_pieces(self.bert.tokenizer, text, pair)
        longest = min(LONGEST, self.bert.config.max_position_embeddings)
        if len(ids) > longest:
            raise InputError(
                f"The text has {len(ids):,} tokens and this picture shows at most {longest}: "
                "shorten it."
            )
        parts, layer = self._embeddings, cast("BertLayer", self.bert.model.bert.encoder.layer[0])
        self.ids, self.types = ids, types
        self._own = _own_token(self.bert.tokenizer, ids, text, pair)
        self.terms = torch.stack([
            parts.word_embeddings(ids),
            parts.token_type_embeddings(types),
            parts.position_embeddings(torch.arange(len(ids))),
        ])  # fmt: skip  # [3, S, H]
        states = [_states(parts, self.terms, c) for c in range(EVERYTHING + 1)]
        _, probs = layer.attention.self(torch.stack(states), None, True)
        self.attention_probs: Tensor = probs  # [combinations, A, S, S]

    def _answer(self, change: Any) -> None:  # noqa: ARG002  # which of the two does not matter
        if self._asked == (self.text, self.pair):
            return  # both came in one message
        try:
            self._add_up(self.text, self.pair)
            self.problem = ""
        except InputError as error:
            self.problem = str(error)
        with self.hold_sync():
            self.data = self._packed(self.text, self.pair)
            self.picture = self.to_svg()

    def _draw(self, change: Any) -> None:  # noqa: ARG002
        self.picture = self.to_svg()

    def _packed(self, text: str, pair: str | None) -> bytes:
        """All that the browser needs to follow every switch, and for what it is the answer."""
        self._asked = (text, pair)
        tokenizer, norm, ids = self.bert.tokenizer, self._embeddings.LayerNorm, self.ids.tolist()
        header = {
            "asked": self._asked,
            "problem": self.problem,
            "tokens": [tokenizer.tokens[index] for index in ids],
            "ids": ids,
            "types": self.types.tolist(),
            "special": [index in tokenizer.special_ids for index in ids],
            "own": self._own,
            "eps": norm.eps,
            "scales": self.scales,
        }
        return pack(
            header,
            terms=self.terms.numpy(),
            gain=norm.weight.detach().numpy(),
            shift=norm.bias.detach().numpy(),
            attention=self.attention_probs.numpy().astype(np.float16),
            positions=self._positions.numpy().astype(np.float16),
        )


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
