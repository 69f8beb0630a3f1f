"""Every head of a model on one text: what does this head do with that word?"""

import base64
import struct
import zlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import traitlets
from numpy.typing import NDArray
from torch import Tensor

import bertedu
from bertedu.attention import attention_probs, attention_scores
from bertedu.bert import Bert
from bertedu.encoding import Encoding
from bertedu.errors import InputError
from bertedu.model import BertLayer
from bertedu.tokenizer import BertTokenizer
from bertedu.widgets.base import Widget, javascript_module, pack, style_sheet
from bertedu.widgets.palette import LIGHT, SEQUENTIAL
from bertedu.widgets.svg import MARGIN, WIDTH, Chip, Picture, visible_text

LONGEST = 512  # tokens
NUMBERS = ("entropy", "to [CLS]", "to [SEP]", "to itself", "to next", "to previous")
_MOST_MAPS = 1_900_000  # bytes of all maps together; beyond it they become coarse
_MOST_EXACT = 100_000  # bytes for which every head's numbers come along unasked
_COARSE = 64  # dots a side of a coarse map
_PRINTED = 24  # dots a side of a small map in the static picture
_ORDINARY, _CLS, _SEP, _SPECIAL = range(4)
_FIRST = {
    "layer": 1, "head": 1, "beside": None, "token": None, "target": None, "view": "matrix",
    "special": True, "renormalise": False, "difference": False,
}  # fmt: skip


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


class AttentionExplorer(Widget):
    """Shows all layers and heads at a glance, one of them large, and how its numbers come about.

    Args:
        text: segment A.
        pair: segment B, or None.
        bert: any model with its tokenizer; None means `bertedu.load()`.
        other: a second text; the same head is shown on both.
        complete: send every head's exact numbers, queries and keys at once, so that a page
            without Python has them all; None does so for short texts. What is not there is shown
            from maps in steps of 0.4 %, and the widget says so.

    Attributes:
        text, pair, other: what is shown; changes when the reader types, and can be set.
        settings: layer and head, from 1; beside, [layer, head] of a second one, or None; token
            and target, the positions that are pinned; how it is shown.
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: the first text is no text, or longer than LONGEST tokens or the model's
            positions, or the settings name a head that is not there.

    Example:
        >>> from bertedu import BertConfig, BertForPreTraining, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> explorer = AttentionExplorer("my dog is cute", bert=bert)
        >>> explorer  # all weights are random and small, so a head looks everywhere alike
        AttentionExplorer(6 tokens, layer 1 head 1 of 2 x 3: entropy 1.79 nats, to itself 16.7 %)
        >>> explorer.settings = explorer.settings | {"layer": 2, "token": 2}
    """

    _esm = javascript_module("attention_explorer")
    _css = style_sheet("attention_explorer")
    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    other = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    heads = traitlets.Bytes().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        text: str = "my dog is cute",
        pair: str | None = None,
        bert: Bert | None = None,
        other: str | None = None,
        complete: bool | None = None,
    ) -> None:
        self.bert = bertedu.load() if bert is None else bert
        self.complete = complete
        self.problem = ""
        self._version = 0
        self._look(text, pair, other)
        super().__init__(
            text=text,
            pair=pair,
            other=other,
            settings=dict(_FIRST),
            data=self._packed(text, pair, other),
        )
        self.heads = self._packed_heads()
        self.picture = self.to_svg()
        self.observe(self._answer, ["text", "pair", "other"])
        self.observe(self._follow, "settings")

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        layer, head = self.settings["layer"], self.settings["head"]
        config = self.bert.config
        numbers = self._averages[0][layer - 1, head - 1].tolist()
        return (
            f"{len(self._shown[0].encoding)} tokens, layer {layer} head {head} of "
            f"{config.num_hidden_layers} x {config.num_attention_heads}: entropy "
            f"{numbers[0]:.2f} nats, to itself {_percent(numbers[3])}"
        )

    def to_svg(self) -> str:
        """Returns the picture of all heads, and of what the chosen one does with each token."""
        attention, layer, head = self._shown[0], self.settings["layer"], self.settings["head"]
        encoding = attention.encoding
        probs = attention.probs(layer - 1)[head - 1]  # [S, S]
        picture = Picture(f"{self.summary()}. {' '.join(encoding.tokens)}")
        picture.heading("All heads: a row asks, a column answers")
        height, drawing = _overview(self._maps[0], self._darkest, layer, head)
        picture.drawing(height, drawing)
        picture.note(
            f"White is 0 %, the darkest blue {100 * self._darkest:.0f} % or more. "
            f"The frame: layer {layer}, head {head}."
        )
        picture.heading(f"Layer {layer}, head {head}: averages over the {len(encoding)} tokens")
        picture.lines([(_told(self._averages[0][layer - 1, head - 1]), "ink")])
        token = self.settings["token"]
        if token is None:
            answers, heading = probs.mean(dim=0), "What the tokens answer, on average"
        else:
            asker = visible_text(encoding.tokens[token])
            answers, heading = probs[token], f"What the tokens answer when “{asker}” asks"
        picture.heading(heading)
        picture.chips(
            [
                Chip(piece, [_percent(share)], int(segment), kind != _ORDINARY)
                for piece, share, segment, kind in zip(
                    encoding.tokens,
                    answers.tolist(),
                    encoding.token_type_ids,
                    self._kinds(encoding),
                    strict=True,
                )
            ]
        )
        return picture.to_svg()

    @traitlets.validate("settings")
    def _check(self, proposal: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {**_FIRST, **proposal["value"]}
        config = self.bert.config
        for layer, head in [(settings["layer"], settings["head"]), settings["beside"] or (1, 1)]:
            if not (
                1 <= layer <= config.num_hidden_layers and 1 <= head <= config.num_attention_heads
            ):
                raise InputError(
                    f"There is no layer {layer}, head {head}: this model has layers 1 to "
                    f"{config.num_hidden_layers} and heads 1 to {config.num_attention_heads}."
                )
        for name in ("token", "target"):
            place, length = settings[name], len(self._shown[0].encoding)
            if place is not None and not 0 <= place < length:
                raise InputError(
                    f"There is no token {place}: the text's positions go from 0 to {length - 1}."
                )
        return settings

    def _look(self, text: str, pair: str | None, other: str | None) -> None:
        """Computes what all heads do; a refused text leaves everything as it was."""
        shown = [self._attention(text, pair)]
        if other:
            shown.append(self._attention(other, None))
        layers, heads = shown[0].query.shape[:2]
        whole = layers * heads * sum(len(each.encoding) ** 2 for each in shown)
        coarse = whole > _MOST_MAPS and not self.complete
        maps, averages = [], []
        for each in shown:
            size, rows, numbers = len(each.encoding), [], []
            for layer in range(layers):
                probs = each.probs(layer)  # [A, S, S]
                numbers.append(
                    row_numbers(probs, each.encoding.input_ids, self.bert.tokenizer).nanmean(-2)
                )
                steps = (probs * 255).round().to(torch.uint8).numpy()
                rows.append(pooled(steps, min(size, _COARSE) if coarse else size))
            maps.append(np.stack(rows))  # [L, A, side, side]
            averages.append(torch.stack(numbers))  # [L, A, 6]
        exact = sum(layers * heads * len(e.encoding) * 4 * e.query.shape[-1] for e in shown)
        fits = exact + 2 * whole < _MOST_EXACT
        self._everything = fits if self.complete is None else self.complete
        self._shown, self._maps, self._averages = shown, maps, averages
        dots = np.concatenate([each.ravel() for each in maps])
        self._darkest = max(1, int(np.ceil(np.quantile(dots, 0.98) / 2.55))) / 100
        self._version += 1

    def _attention(self, text: str, pair: str | None) -> Attention:
        encoding = self.bert.tokenizer.encode(text, pair)
        longest = min(LONGEST, self.bert.config.max_position_embeddings)
        if len(encoding) > longest:
            raise InputError(
                f"The text has {len(encoding):,} tokens and at most {longest} can be shown: "
                "shorten it."
            )
        states = self.bert.hidden_states(text, pair)  # [L + 1, S, H]
        query: list[Tensor] = []
        key: list[Tensor] = []
        with torch.inference_mode():
            for layer, before in zip(self.bert.model.bert.encoder.layer, states, strict=False):
                attend = cast("BertLayer", layer).attention.self
                for kept, ask in ((query, attend.query), (key, attend.key)):
                    kept.append(attend.heads(ask(before[None]), None)[0])  # [A, S, D]
        return Attention(encoding, torch.stack(query).float(), torch.stack(key).float())

    def _answer(self, change: Any) -> None:  # noqa: ARG002  # which of them does not matter
        asked = self.text, self.pair, self.other
        if self._asked == asked:
            return  # all came in one message
        try:
            self._look(*asked)
            self.problem = ""
        except InputError as error:
            self.problem = str(error)
        with self.hold_sync():
            self.settings = self.settings | {"token": None, "target": None}
            self.data = self._packed(*asked)
            self.heads = self._packed_heads()
            self.picture = self.to_svg()

    def _follow(self, change: Any) -> None:  # noqa: ARG002
        if self._sent != (self._version, self._wanted()):
            self.heads = self._packed_heads()
        self.picture = self.to_svg()

    def _wanted(self) -> list[list[tuple[int, int]]]:
        """For each text the heads, from 0, whose exact numbers the browser needs now."""
        if self._everything:
            every = list(np.ndindex(*self._shown[0].query.shape[:2]))
            return [every for _ in self._shown]
        chosen = (self.settings["layer"] - 1, self.settings["head"] - 1)
        first = [chosen]
        if self.settings["beside"]:
            layer, head = self.settings["beside"]
            first.append((layer - 1, head - 1))
        return [first, [chosen]][: len(self._shown)]

    def _packed(self, text: str, pair: str | None, other: str | None) -> bytes:
        """What every view needs, for all heads, and for what it is the answer."""
        self._asked = (text, pair, other)
        arrays: dict[str, NDArray[Any]] = {}
        for number, (maps, averages) in enumerate(zip(self._maps, self._averages, strict=True)):
            arrays[f"maps{number}"] = maps
            arrays[f"averages{number}"] = averages.numpy().astype(np.float32)
        header = {
            "asked": self._asked,
            "problem": self.problem,
            "version": self._version,
            "first": _FIRST,
            "darkest": self._darkest,
            "texts": [
                {
                    "tokens": each.encoding.tokens,
                    "ids": each.encoding.input_ids.tolist(),
                    "types": each.encoding.token_type_ids.tolist(),
                    "kinds": self._kinds(each.encoding),
                }
                for each in self._shown
            ],
        }
        return pack(header, **arrays)

    def _packed_heads(self) -> bytes:
        """The exact numbers of the heads that are wanted."""
        wanted = self._wanted()
        self._sent = (self._version, wanted)
        # Half precision where all heads travel: it is told to two decimals either way.
        vectors = np.float16 if self._everything else np.float32
        arrays: dict[str, NDArray[Any]] = {}
        for number, (each, heads) in enumerate(zip(self._shown, wanted, strict=True)):
            layers = {layer: each.probs(layer) for layer, _ in heads}
            probs = torch.stack([layers[layer][head] for layer, head in heads])
            arrays[f"probs{number}"] = probs.numpy().astype(np.float16)
            for name, vector in (("query", each.query), ("key", each.key)):
                chosen = torch.stack([vector[place] for place in heads])
                arrays[f"{name}{number}"] = chosen.numpy().astype(vectors)
        return pack({"version": self._version, "which": wanted}, **arrays)

    def _kinds(self, encoding: Encoding) -> list[int]:
        """Which tokens are [CLS], which [SEP], which special in another way."""
        tokenizer = self.bert.tokenizer
        kinds = dict.fromkeys(tokenizer.special_ids, _SPECIAL)
        kinds |= {tokenizer.cls_token_id: _CLS, tokenizer.sep_token_id: _SEP}
        return [kinds.get(index, _ORDINARY) for index in encoding.input_ids.tolist()]


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
        >>> tokenizer = bertedu.load_tokenizer()
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


def pooled(maps: NDArray[Any], side: int) -> NDArray[Any]:
    """Returns maps [..., S, S] as [..., side, side]: each dot is the largest of its block."""
    size = maps.shape[-1]
    if size <= side:
        return maps
    edges = np.arange(side) * size // side
    smaller: NDArray[Any] = np.maximum.reduceat(
        np.maximum.reduceat(maps, edges, axis=-1), edges, axis=-2
    )
    return smaller


def _overview(maps: NDArray[Any], darkest: float, layer: int, head: int) -> tuple[float, Any]:
    """The height of all small maps, and what draws them from a top edge on."""
    layers, heads = maps.shape[:2]
    left, labels = MARGIN + 64.0, 18.0
    cell = min(48.0, (WIDTH - MARGIN - left) / heads)

    def draw(top: float) -> str:
        def label(text: object, x: float, y: float) -> str:
            return f'<text x="{x:.0f}" y="{y:.0f}">{text}</text>'

        down = top + labels
        x, y = left + (head - 1) * cell, down + (layer - 1) * cell
        return (
            f'<g font-family="system-ui, Liberation Sans, Helvetica, sans-serif" font-size="12" '
            f'fill="{LIGHT["dim"]}">'
            + "".join(label(n + 1, left + (n + 0.4) * cell, top + 12) for n in range(heads))
            + "".join(
                label(f"layer {n + 1}", MARGIN, down + (n + 0.5) * cell + 4) for n in range(layers)
            )
            + f'<image x="{left:.1f}" y="{down:.1f}" width="{heads * cell:.1f}" '
            f'height="{layers * cell:.1f}" preserveAspectRatio="none" '
            'style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{_png(_mosaic(maps, darkest))}"/>'
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell:.1f}" height="{cell:.1f}" '
            f'fill="none" stroke="{LIGHT["start"]}" stroke-width="3"/></g>'
        )

    return labels + layers * cell, draw


def _mosaic(maps: NDArray[np.uint8], darkest: float) -> NDArray[np.uint8]:
    """All maps side by side, as colours from 1 on, with lines of colour 0 between them."""
    small = pooled(maps, _PRINTED).astype(np.float64)  # [L, A, side, side]
    small = small.repeat(times := -(-_PRINTED // small.shape[-1]), axis=2).repeat(times, axis=3)
    levels = 1 + np.minimum(small / (255 * darkest), 1) * 254
    framed = np.pad(levels.round().astype(np.uint8), ((0, 0), (0, 0), (0, 1), (0, 1)))
    layers, heads, side, _ = framed.shape
    return framed.transpose(0, 2, 1, 3).reshape(layers * side, heads * side)


def _png(levels: NDArray[np.uint8]) -> str:
    """A picture of colours 1 to 255 of the sequential scale, 0 a grey line, as base64."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in SEQUENTIAL])
    places = np.linspace(0, len(stops) - 1, 255)
    scale = np.stack([np.interp(places, range(len(stops)), stops[:, i]) for i in range(3)], axis=1)
    colors = bytes.fromhex(LIGHT["outline"][1:]) + scale.round().astype(np.uint8).tobytes()
    height, width = levels.shape
    rows = np.pad(levels, ((0, 0), (1, 0))).tobytes()  # a 0 before each row: no filter

    def chunk(kind: bytes, body: bytes) -> bytes:
        framed = kind + body
        return struct.pack(">I", len(body)) + framed + struct.pack(">I", zlib.crc32(framed))

    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", colors)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    ).decode()


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _told(numbers: Tensor) -> str:
    entropy, *shares = numbers.tolist()
    told = (f"{name} {_percent(share)}" for name, share in zip(NUMBERS[1:], shares, strict=True))
    return ", ".join([f"entropy {entropy:.2f} nats", *told])
