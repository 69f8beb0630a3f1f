"""Mask a text again and again: which tokens are chosen, what becomes of them, what is counted."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import traitlets
from torch import Tensor

from bertedu.checkpoint import load_tokenizer
from bertedu.encoding import Encoding
from bertedu.errors import InputError
from bertedu.pretraining.masking import (
    KEPT,
    MASKED,
    RANDOM,
    Draws,
    MaskingRule,
    decide,
    draw,
    mask_tokens,
)
from bertedu.tokenizer import BertTokenizer
from bertedu.widgets.base import BYTE, AskingWidget, described, encode_short
from bertedu.widgets.web_pack import tokenizer_checksum

LONGEST = BYTE  # tokens, so that a position fits into a byte
ROLLS = 2_000
_MOST_DRAWS = 2**18  # of all rolls together: 2.6 MB
_POOL = 256  # tokens that random replacements come from, so that one fits into a byte
_NAMES = {MASKED: "masked", RANDOM: "random", KEPT: "kept"}
_PAPER = {"rate": 15, "mask": 80, "random": 10, "whole_words": False, "roll": 0}


class MaskExplorer(AskingWidget):
    """Shows what the masked language model's rule does to a text, over thousands of rolls.

    With the paper's shares, roll r is row r of `mask_tokens` on as many copies of the text, with
    a generator seeded by `seed`, fate for fate. (The random tokens come from a smaller pool.)

    Args:
        text: segment A.
        pair: segment B, or None.
        tokenizer: None means the embedded checkpoint's.
        seed: of all the rolls; not negative.

    Attributes:
        text, pair, seed: what is shown; changes when the reader types, and can be set.
        settings: rate, mask and random in percent, whole_words, and the roll, from 0.
        problem: why the last text or seed is not shown, in one sentence, or "".

    Raises:
        InputError: the first text is no text, or longer than LONGEST tokens, or the seed is
            negative.

    Example:
        >>> explorer = MaskExplorer("my dog is hairy")
        >>> explorer
        MaskExplorer(6 tokens: 1 chosen, 1 masked, 0 random, 0 kept)
        >>> explorer.settings = explorer.settings | {"rate": 50, "mask": 0}
        >>> explorer
        MaskExplorer(6 tokens: 3 chosen, 0 masked, 0 random, 3 kept)
    """

    MOST_TOKENS = LONGEST
    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    PINS: ClassVar[Sequence[str]] = ("roll",)

    def __init__(
        self,
        text: str = "my dog is hairy",
        pair: str | None = None,
        tokenizer: BertTokenizer | None = None,
        seed: int = 0,
    ) -> None:
        self.tokenizer = load_tokenizer() if tokenizer is None else tokenizer
        super().__init__(_PAPER, text=text, pair=pair, seed=seed)

    @property
    def rule(self) -> MaskingRule:
        """The rule that the sliders stand at."""
        return MaskingRule(
            self.settings["rate"] / 100,
            self.settings["mask"] / 100,
            self.settings["random"] / 100,
            self.settings["whole_words"],
        )

    @property
    def fates(self) -> Tensor:
        """The fate of each token in each roll, under the rule: uint8 [R, S]."""
        return fates_from_draws(
            self._encoding.input_ids, self.tokenizer, self._keys, self._draws, self.rule
        )

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        counts = torch.bincount(self.fates[self.settings["roll"]].long(), minlength=4).tolist()
        named = ", ".join(f"{counts[fate]} {name}" for fate, name in _NAMES.items())
        return f"{len(self._encoding)} tokens: {sum(counts[1:])} chosen, {named}"

    def checksum(self) -> str:
        """Returns the tokenizer's checksum."""
        return tokenizer_checksum(self.tokenizer)

    def _look(self, text: str, pair: str | None, seed: int) -> None:
        """Draws what all rules decide by."""
        if not 0 <= seed < 2**31:
            raise InputError(f"The seed is {seed}; choose a number from 0 to {2**31 - 1:,}.")
        encoding = encode_short(self.tokenizer, LONGEST, text, pair)
        rolls = min(ROLLS, _MOST_DRAWS // len(encoding))
        copies = encoding.input_ids.expand(rolls, -1)
        generator, replay = (torch.Generator().manual_seed(seed) for _ in range(2))
        everything = torch.ones_like(copies)  # a [PAD] that was typed counts, too
        mask_tokens(copies, self.tokenizer, generator, attention_mask=everything)

        self._encoding: Encoding = encoding
        # First the numbers that `mask_tokens` drew, then others for the tokens it did not choose.
        self._keys, self._draws = draw(copies, self.tokenizer, replay, attention_mask=everything)
        others = self._draws.isnan()
        self._draws[others] = torch.rand(
            int(others.sum()), generator=generator, dtype=torch.float64
        )
        ordinary = self.tokenizer.ordinary_ids
        self._pool = ordinary[torch.randint(len(ordinary), (_POOL,), generator=generator)]
        size = (*copies.shape,)
        self._random = torch.randint(_POOL, size, generator=generator, dtype=torch.uint8)

    def _packed(self) -> dict[str, Any]:
        """All that the browser needs to follow every slider."""
        encoding, tokenizer = self._encoding, self.tokenizer
        return {
            **described(tokenizer, encoding.input_ids, encoding.token_type_ids),
            "mask_id": tokenizer.mask_token_id,
            "pool": [[tokenizer.tokens[index], index] for index in self._pool.tolist()],
            "paper": _PAPER,
            "order": self._keys.argsort(dim=1).numpy().astype(np.uint8),
            "draws": self._draws.numpy(),
            "random": self._random.numpy(),
        }


def fates_from_draws(
    input_ids: Tensor, tokenizer: BertTokenizer, keys: Tensor, draws: Tensor, rule: MaskingRule
) -> Tensor:
    """Returns what `mask_tokens` does to copies of a text when it draws these numbers.

    Args:
        input_ids: int64 [S], without padding.
        tokenizer: knows the special and the continuation tokens.
        keys: float64 [R, S]; the chosen tokens, or words, are those with the smallest.
        draws: float64 [R, S]; a chosen token's fate is decided by the one at its place.
        rule: rate, shares, whole words.

    Returns:
        NOT_CHOSEN, MASKED, RANDOM or KEPT, uint8 [R, S].

    Example:
        >>> tokenizer = load_tokenizer()
        >>> ids = tokenizer.encode("my dog is hairy").input_ids
        >>> keys = torch.tensor([[0.0, 0.5, 0.6, 0.7, 0.4, 0.1]])
        >>> draws = torch.full((1, 6), 0.85)
        >>> fates_from_draws(ids, tokenizer, keys, draws, MaskingRule())  # 0.8 < 0.85 < 0.9
        tensor([[0, 0, 0, 0, 2, 0]], dtype=torch.uint8)
    """
    copies = input_ids.expand(keys.shape)
    return decide(copies, Draws(keys, draws), rule, tokenizer, torch.ones_like(copies))
