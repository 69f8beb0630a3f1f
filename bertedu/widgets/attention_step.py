"""One head and one token that asks: query, keys, scores, softmax, weighted values, output."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import traitlets
from torch import Tensor

from bertedu.attention import attention_probs
from bertedu.bert import Bert, load
from bertedu.errors import InputError
from bertedu.widgets.base import ROWS, AskingWidget, described, encode_short
from bertedu.widgets.web_pack import model_checksum
from bertedu.widgets.words import percent

LONGEST = ROWS  # tokens: rows that a screen can show
STAGES = 6  # query and keys, scores, divided, softmax, weighted values, output
COLDEST, HOTTEST = 0.25, 4.0  # temperatures; the model's is 1


class AttentionStep(AskingWidget):
    """Shows how one token's query, the keys and the values of all become one head's output.

    All numbers are the model's own, in single precision; what follows from the queries, keys and
    values is computed in double precision, here and in the browser.

    Args:
        text: one text.
        bert: any model with its tokenizer; None means `bertedu.load()`.
        layer: from 1.
        head: from 1.
        token: the position that asks.

    Attributes:
        text: what is shown; changes when the reader types, and can be set.
        settings: layer and head, from 1; token, the position that asks, and target, one that
            answers and is pinned, or None; stage, from 1 to STAGES; temperature, and scaled,
            whether the scores are divided by √D: with 1 and True it is the model.
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: the first text is no text, or longer than LONGEST tokens or the model's
            positions, or there is no such layer, head or position.

    Source: Vaswani et al. 2017, section 3.2.1, equation 1.

    Example:
        >>> from bertedu import BertConfig, BertForPreTraining, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> step = AttentionStep("my dog is cute", bert, token=2)
        >>> step  # all weights are random and small, so the shares are alike
        AttentionStep(6 tokens, layer 1 head 1 of 2 x 3: “dog” gives most to “...”, 16... %)
        >>> step.settings = step.settings | {"temperature": 2, "scaled": False}
        >>> round(float(step.shares.sum()), 6), tuple(step.output.shape)
        (1.0, (4,))
    """

    MOST_TOKENS = LONGEST
    text = traitlets.Unicode().tag(sync=True)
    PINS: ClassVar[Sequence[str]] = ("token", "target")

    def __init__(
        self,
        text: str = "my dog is cute and he likes playing",
        bert: Bert | None = None,
        layer: int = 1,
        head: int = 1,
        token: int = 1,
    ) -> None:
        self.bert = load() if bert is None else bert
        first = {
            "layer": layer, "head": head, "token": 1, "target": None, "stage": STAGES,
            "temperature": 1, "scaled": True,
        }  # fmt: skip
        super().__init__(first, text=text)  # position 1 is there in every text
        self.settings = self.settings | {"token": token}

    @property
    def query(self) -> Tensor:
        """What the token asks with, [D]."""
        return self._of_head(self.trace.query)[self.settings["token"]]

    @property
    def scores(self) -> Tensor:
        """The query times each key, [S]: not yet divided."""
        return self._of_head(self.trace.key) @ self.query

    @property
    def shares(self) -> Tensor:
        """How much of each value the token takes, as the settings stand: [S], their sum is 1."""
        return attention_probs(self.scores / self._divisor)

    @property
    def output(self) -> Tensor:
        """The values, weighted by the shares and added up: [D]."""
        return self.shares @ self._of_head(self.trace.value)

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        settings, config, tokens = self.settings, self.bert.config, self.trace.encoding.tokens
        best = int(self.shares.argmax())
        ways = [] if settings["scaled"] else ["not divided by √D"]
        if settings["temperature"] != 1:
            ways.append(f"temperature {settings['temperature']:g}")
        return (
            f"{len(tokens)} tokens, layer {settings['layer']} head {settings['head']} of "
            f"{config.num_hidden_layers} x {config.num_attention_heads}: "
            f"“{tokens[settings['token']]}” gives most to “{tokens[best]}”, "
            f"{percent(float(self.shares[best]))}{''.join(f'; {way}' for way in ways)}"
        )

    def checksum(self) -> str:
        """Returns the model's checksum."""
        return model_checksum(self.bert)

    @property
    def _divisor(self) -> float:
        size = self.trace.query.shape[-1]
        divisor: float = self.settings["temperature"]
        return divisor * math.sqrt(size) if self.settings["scaled"] else divisor

    def _of_head(self, part: Tensor) -> Tensor:
        return part[self.settings["layer"] - 1, self.settings["head"] - 1].double()

    def _check(self, settings: dict[str, Any]) -> None:
        config, count = self.bert.config, len(self.trace.encoding)
        allowed = {
            "layer": range(1, config.num_hidden_layers + 1),
            "head": range(1, config.num_attention_heads + 1),
            "token": range(count),
            "target": [None, *range(count)],
            "stage": range(1, STAGES + 1),
        }
        for name, choices in allowed.items():
            if settings[name] not in choices:
                numbers = [choice for choice in choices if choice is not None]
                raise InputError(
                    f"There is no {name} {settings[name]!r}: choose from {numbers[0]} to "
                    f"{numbers[-1]}."
                )
        if not COLDEST <= settings["temperature"] <= HOTTEST:
            raise InputError(
                f"The temperature is {settings['temperature']}: choose from {COLDEST} to "
                f"{HOTTEST:g}."
            )

    def _look(self, text: str) -> None:
        most = min(LONGEST, self.bert.config.max_position_embeddings)
        self.trace = self.bert.trace(encode_short(self.bert.tokenizer, most, text))

    def _packed(self) -> dict[str, Any]:
        """The queries, keys, values and shares of all heads: the browser computes the rest."""
        found, encoding = self.trace, self.trace.encoding
        return {
            **described(self.bert.tokenizer, encoding.input_ids, encoding.token_type_ids),
            "query": found.query.float().numpy(),
            "key": found.key.float().numpy(),
            "value": found.value.float().numpy(),
            "probs": found.attention_probs.float().numpy(),
        }
