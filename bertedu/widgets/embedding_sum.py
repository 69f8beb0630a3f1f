"""What BERT reads: token + segment + position, their sum, LayerNorm; each can be switched off."""

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby
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
from bertedu.widgets.palette import DIVERGING, LIGHT, SEQUENTIAL
from bertedu.widgets.svg import MARGIN, WIDTH, Picture, visible_text

LONGEST = 64  # tokens: rows that a screen can show
POSITIONS = 64  # rows of the position tables that are compared
DIMENSIONS = 64  # shown at first, of H
TERMS = ("token", "segment", "position")
SWITCHES = (*TERMS, "layer_norm")  # a combination is a number: 1, 2, 4 and 8, where on
_EVERYTHING = 2 ** len(SWITCHES) - 1
_MOST_STATIC = 20  # tokens, and positions, in the static picture
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
        return moved(self.attention(), self.attention(_EVERYTHING))

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        terms = " + ".join(name for name in TERMS if self.settings[name]) or "nothing"
        norm = ", LayerNorm" if self.settings["layer_norm"] else ""
        size = f"{len(self.ids)} tokens x {self.terms.shape[-1]}"
        return f"{size}: {terms}{norm}; {self.moved:.1%} moved"

    def to_svg(self) -> str:
        """Returns the picture of the text, as the switches stand."""
        tokens = [self.bert.tokenizer.tokens[index] for index in self.ids[:_MOST_STATIC].tolist()]
        start, stop = self.settings["dimensions"]
        picture = Picture(f"{self.summary()}. {' '.join(tokens)}")
        picture.heading("Token + segment + position, their sum, and LayerNorm")
        if rest := len(self.ids) - len(tokens):
            picture.note(f"The first {len(tokens)} tokens; {rest} more are not drawn.")
        shown, normed = self.settings, self.settings["layer_norm"]
        names = [f"{name}{'' if shown[name] else ' (off)'}" for name in TERMS]
        titles = [names[0], "= sum", f"+ {names[1]}", "LayerNorm" if normed else "LayerNorm (off)"]
        off = torch.zeros_like(self.terms[0])
        parts = [term if shown[name] else off for name, term in zip(TERMS, self.terms, strict=True)]
        blocks = [parts[0], self.summed, parts[1], self.states, parts[2]]
        extreme = _scales(self._embeddings, self.terms)
        scales = [extreme[0]] * 3 + [extreme[normed], extreme[0]]
        half = (WIDTH - 2 * MARGIN - 20) / 2
        for row in range(3):
            height = 22 + 14 * len(tokens)
            drawn = [
                (MARGIN + (half + 20) * column, title, block[: len(tokens), start:stop], scale)
                for column, (title, block, scale) in enumerate(
                    list(zip([*titles, f"+ {names[2]}"], blocks, scales, strict=True))[
                        2 * row : 2 * row + 2
                    ]
                )
            ]
            picture.drawing(
                height,
                lambda top, drawn=drawn: "".join(  # type: ignore[misc]
                    _strip(title, tokens, values / scale, left, top, half)
                    for left, title, values, scale in drawn
                ),
            )
        picture.note(
            f"Dimensions {start} to {stop - 1} of {self.terms.shape[-1]}. Blue is below 0, red "
            f"above, white is 0; the deepest colour is {extreme[0]:.2f} or more, after LayerNorm "
            f"{extreme[1]:.1f} or more."
        )
        head = f"head {shown['head']}" if shown["head"] else "mean of all heads"
        picture.heading(f"First layer's attention ({head})")
        all_on, now = (self.attention(c)[: len(tokens), : len(tokens)] for c in (_EVERYTHING, None))
        highest, change = max(float(all_on.max()), float(now.max())), now - all_on
        most = float(change.abs().max()) or 1.0
        picture.drawing(210, lambda top: "".join((
            _square("everything on", all_on / highest, SEQUENTIAL, 0, top),
            _square("as the switches stand", now / highest, SEQUENTIAL, 1, top),
            _square("change", (change / most + 1) / 2, DIVERGING, 2, top),
        )))  # fmt: skip
        picture.note(
            f"Rows ask, columns answer. Probabilities from 0 to {highest:.1%}; change up to "
            f"{most if change.any() else 0:.1%}, red is more. {self.moved:.1%} of a token's "
            "attention moved."
        )
        picture.heading("How alike two positions are (cosine)")
        tables = self._positions[int(shown["centred"]), :, :_MOST_STATIC, :_MOST_STATIC]
        picture.drawing(210, lambda top: "".join(
            _square(title, (table + 1) / 2, DIVERGING, column, top)
            for column, (title, table) in enumerate(
                zip(("learned by BERT", "sinusoidal"), tables, strict=True))
        ))  # fmt: skip
        picture.note(f"Positions 0 to {tables.shape[-1] - 1}; blue is -1, white 0, red 1.")
        return picture.to_svg()

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
        states = [_states(parts, self.terms, c) for c in range(_EVERYTHING + 1)]
        _, probs = layer.attention.self(torch.stack(states), None, None, True)
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
            "scales": _scales(self._embeddings, self.terms),
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


def _scales(embeddings: BertEmbeddings, terms: Tensor) -> list[float]:
    """Where the colour ends, before and after LayerNorm: one value in a hundred lies beyond."""
    both = _summed(terms, _EVERYTHING), _states(embeddings, terms, _EVERYTHING)
    return [max(float(values.abs().quantile(0.99)), 1e-6) for values in both]


def _strip(
    title: str, tokens: Sequence[str], values: Tensor, left: float, top: float, width: float
) -> str:
    """Rows of colour under a title, a token before each."""
    labels = "".join(
        f'<text x="{left + 74:.0f}" y="{top + 28 + 14 * row:.0f}" font-size="12" '
        f'text-anchor="end" fill="{LIGHT["ink"]}">{escape(visible_text(token)[:10])}</text>'
        for row, token in enumerate(tokens)
    )
    return (
        f'<g font-family="monospace"><text x="{left:.0f}" y="{top + 12:.0f}" font-size="13" '
        f'font-weight="600" fill="{LIGHT["ink"]}">{title}</text>{labels}</g>'
        + _cells((values + 1) / 2, DIVERGING, left + 80, top + 18, width - 80, 14 * len(tokens))
    )


def _square(title: str, shares: Tensor, stops: Sequence[str], column: int, top: float) -> str:
    left = MARGIN + 248 * column
    return (
        f'<text x="{left}" y="{top + 12:.0f}" font-family="monospace" font-size="13" '
        f'fill="{LIGHT["ink"]}">{title}</text>'
    ) + _cells(shares, stops, left, top + 18, 184, 184)


def _cells(
    shares: Tensor, stops: Sequence[str], left: float, top: float, width: float, height: float
) -> str:
    """A matrix as colour: one path for each of the scale's stops, 0 the first and 1 the last."""
    rows, columns = shares.shape
    paths: dict[int, list[str]] = {}
    levels = (shares.clamp(0, 1) * (len(stops) - 1)).round().int().tolist()
    for y, row in enumerate(levels):
        x = 0
        for level, run in groupby(row):
            length = len(list(run))
            paths.setdefault(level, []).append(f"M{x} {y}.5h{length}")
            x += length
    drawn = "".join(f'<path stroke="{stops[k]}" d="{"".join(paths[k])}"/>' for k in sorted(paths))
    scale = f"scale({width / columns:.4f} {height / rows:.4f})"
    return f'<g transform="translate({left:.1f} {top:.1f}) {scale}">{drawn}</g>'
