"""Every head of a model on one text: what does this head do with that word?"""

from typing import Any, cast

import numpy as np
import torch
import traitlets
from numpy.typing import NDArray
from torch import Tensor

import bertedu
from bertedu.bert import Bert
from bertedu.encoding import Encoding
from bertedu.errors import InputError
from bertedu.model import BertLayer
from bertedu.widgets.attention_maps import overview, pooled
from bertedu.widgets.attention_numbers import Attention, row_numbers, told
from bertedu.widgets.base import Widget, javascript_module, pack, style_sheet
from bertedu.widgets.svg import Chip, Picture, percent, visible_text

LONGEST = 512  # tokens
_MOST_MAPS = 1_900_000  # bytes of all maps together; beyond it they become coarse
_MOST_EXACT = 100_000  # bytes for which every head's numbers come along unasked
_COARSE = 64  # dots a side of a coarse map
_ORDINARY, _CLS, _SEP, _SPECIAL = range(4)
_FIRST = {
    "layer": 1, "head": 1, "beside": None, "token": None, "target": None, "view": "matrix",
    "special": True, "renormalise": False, "difference": False,
}  # fmt: skip


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
        AttentionExplorer(6 tokens, layer 1 head 1 of 2 x 3: entropy 1.79 nats, to itself 16... %)
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
            f"{numbers[0]:.2f} nats, to itself {percent(numbers[3])}"
        )

    def to_svg(self) -> str:
        """Returns the picture of all heads, and of what the chosen one does with each token."""
        attention, layer, head = self._shown[0], self.settings["layer"], self.settings["head"]
        encoding = attention.encoding
        probs = attention.probs(layer - 1)[head - 1]  # [S, S]
        picture = Picture(f"{self.summary()}. {' '.join(encoding.tokens)}")
        picture.heading("All heads: a row asks, a column answers")
        height, drawing = overview(self._maps[0], self._darkest, layer, head)
        picture.drawing(height, drawing)
        picture.note(
            f"White is 0 %, the darkest blue {100 * self._darkest:.0f} % or more. "
            f"The frame: layer {layer}, head {head}."
        )
        picture.heading(f"Layer {layer}, head {head}: averages over the {len(encoding)} tokens")
        picture.lines([(told(self._averages[0][layer - 1, head - 1]), "ink")])
        token = self.settings["token"]
        if token is None:
            answers, heading = probs.mean(dim=0), "What the tokens answer, on average"
        else:
            asker = visible_text(encoding.tokens[token])
            answers, heading = probs[token], f"What the tokens answer when “{asker}” asks"
        picture.heading(heading)
        picture.chips(
            [
                Chip(piece, [percent(share)], int(segment), kind != _ORDINARY)
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
