"""Every head of a model on one text: what does this head do with that word?"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import traitlets
from numpy.typing import NDArray
from torch import Tensor

from bertedu.bert import Bert, load
from bertedu.encoding import Encoding
from bertedu.errors import InputError
from bertedu.tokenizer import BertTokenizer
from bertedu.widgets.base import MODEL, AskingWidget, described, encode_short, pack
from bertedu.widgets.web_pack import model_checksum
from bertedu.widgets.words import percent

LONGEST = MODEL  # tokens
_MOST_MAPS = 1_900_000  # bytes of all maps together; beyond it they become coarse
_MOST_EXACT = 100_000  # bytes for which every head's numbers come along unasked
_COARSE = 64  # dots a side of a coarse map
NUMBERS = ("entropy", "to [CLS]", "to [SEP]", "to itself", "to next", "to previous")
_ORDINARY, _CLS, _SEP, _SPECIAL = range(4)
_FIRST = {
    "layer": 1, "head": 1, "beside": None, "token": None, "target": None, "view": "matrix",
    "special": True, "renormalise": False, "difference": False,
}  # fmt: skip


class AttentionExplorer(AskingWidget):
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

    MOST_TOKENS = LONGEST
    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    other = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    heads = traitlets.Bytes().tag(sync=True)
    PINS: ClassVar[Sequence[str]] = ("token", "target")

    def __init__(
        self,
        text: str = "my dog is cute",
        pair: str | None = None,
        bert: Bert | None = None,
        other: str | None = None,
        complete: bool | None = None,
    ) -> None:
        self.bert = load() if bert is None else bert
        self.complete = complete
        self._version = 0
        super().__init__(_FIRST, text=text, pair=pair, other=other)
        self._send_heads()
        self.observe(self._send_heads, ["data", "settings"])

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

    def checksum(self) -> str:
        """Returns the model's checksum."""
        return model_checksum(self.bert)

    def _check(self, settings: dict[str, Any]) -> None:
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

    def _look(self, text: str, pair: str | None, other: str | None) -> None:
        """Computes what all heads do."""
        most = min(LONGEST, self.bert.config.max_position_embeddings)
        texts = [(text, pair), *([(other, None)] if other else ())]
        encodings = [encode_short(self.bert.tokenizer, most, *each) for each in texts]
        shown = [self.bert.trace(each) for each in encodings]
        layers, heads = shown[0].query.shape[:2]
        whole = layers * heads * sum(len(each.encoding) ** 2 for each in shown)
        coarse = whole > _MOST_MAPS and not self.complete
        maps, averages = [], []
        for each in shown:
            probs, size = each.attention_probs.float(), len(each.encoding)
            steps = (probs * 255).round_().to(torch.uint8).numpy()
            maps.append(pooled(steps, min(size, _COARSE) if coarse else size))
            numbers = row_numbers(probs, each.encoding.input_ids, self.bert.tokenizer)
            averages.append(numbers.nanmean(-2))  # [L, A, 6]
        exact = sum(layers * heads * len(e.encoding) * 4 * e.query.shape[-1] for e in shown)
        fits = exact + 2 * whole < _MOST_EXACT
        self._everything = fits if self.complete is None else self.complete
        self._shown, self._maps, self._averages = shown, maps, averages
        dots = np.concatenate([each.ravel() for each in maps])
        self._darkest = max(1, int(np.ceil(np.quantile(dots, 0.98) / 2.55))) / 100
        self._version += 1

    def _send_heads(self, change: Any = None) -> None:  # noqa: ARG002
        """Sends the exact numbers of the heads that are wanted, unless they are there."""
        wanted = (self._version, self._wanted())
        if getattr(self, "_sent", None) != wanted:
            self._sent = wanted
            self.heads = self._packed_heads(*wanted)

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

    def _packed(self) -> dict[str, Any]:
        """What every view needs, for all heads."""
        packed: dict[str, Any] = {
            "version": self._version,
            "darkest": self._darkest,
            "texts": [
                {
                    **described(self.bert.tokenizer, each.input_ids, each.token_type_ids),
                    "kinds": self._kinds(each),
                }
                for each in (trace.encoding for trace in self._shown)
            ],
        }
        for number, (maps, averages) in enumerate(zip(self._maps, self._averages, strict=True)):
            packed[f"maps{number}"] = maps
            packed[f"averages{number}"] = averages.numpy().astype(np.float32)
        return packed

    def _packed_heads(self, version: int, wanted: list[list[tuple[int, int]]]) -> bytes:
        # Half precision where all heads travel: it is told to two decimals either way.
        vectors = np.float16 if self._everything else np.float32
        arrays: dict[str, NDArray[Any]] = {}
        for number, (each, which) in enumerate(zip(self._shown, wanted, strict=True)):
            places = tuple(torch.tensor(which).T)  # layers, and heads
            probs = each.attention_probs[places]
            arrays[f"probs{number}"] = probs.float().numpy().astype(np.float16)
            for name, vector in (("query", each.query), ("key", each.key)):
                arrays[f"{name}{number}"] = vector[places].float().numpy().astype(vectors)
        return pack({"version": version, "which": wanted}, **arrays)

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
