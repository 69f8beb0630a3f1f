"""The masked language model's task: which tokens to hide, and what the model sees instead."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from bertedu.errors import InputError
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.validation import IGNORED

NOT_CHOSEN, MASKED, RANDOM, KEPT = range(4)


@dataclass(frozen=True)
class MaskingRule:
    """How many tokens are chosen, and what becomes of them.

    Args:
        rate: share of each sequence's tokens, special tokens counted, that are chosen.
        mask_share: share of the chosen tokens that become [MASK].
        random_share: share of the chosen tokens that become a random token; the rest is kept.
        whole_words: choose all pieces of a word or none.

    Raises:
        InputError: if a share lies outside [0, 1], or the shares sum to more than 1.

    Source: Devlin et al. 2018, section 3.1, task 1, and appendix A.1.

    Example:
        >>> MaskingRule()
        MaskingRule(rate=0.15, mask_share=0.8, random_share=0.1, whole_words=False)
    """

    rate: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1
    whole_words: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise InputError(f"The masking rate is {self.rate}; choose more than 0 and at most 1.")
        shares = (self.mask_share, self.random_share)
        if not (min(shares) >= 0 and sum(shares) <= 1 + 1e-9):  # refuses nan too
            raise InputError(
                f"mask_share {self.mask_share} and random_share {self.random_share} must be at "
                "least 0 and sum to at most 1; what they leave is the share of kept tokens."
            )


class MaskedBatch(NamedTuple):
    """What `mask_tokens` returns.

    Attributes:
        input_ids: what the model sees, int64 [B, S].
        labels: the original id where a token was chosen, -100 elsewhere, int64 [B, S].
        fates: NOT_CHOSEN, MASKED, RANDOM or KEPT, uint8 [B, S].
    """

    input_ids: Tensor
    labels: Tensor
    fates: Tensor


def mask_tokens(
    input_ids: Tensor,
    tokenizer: BertTokenizer,
    generator: torch.Generator,
    rule: MaskingRule = MaskingRule(),
    attention_mask: Tensor | None = None,
) -> MaskedBatch:
    """Return a masked copy of a batch, the labels, and the fate of every token.

    Each sequence gets exactly `max(1, round(rate * length))` chosen tokens, where the length
    counts [CLS] and [SEP] but no padding and a half rounds to the even neighbour; fewer only if
    it has fewer ordinary tokens. Special tokens are never chosen. With `rule.whole_words`, words
    are taken in random order, and a word that would exceed the count is passed over, so that
    a sequence may end with fewer labels.

    The reference code differs in three ways. It draws the random token from the whole
    vocabulary, so that [PAD] or an unused slot can appear in a sentence; here it is always
    an ordinary token (the original itself included, as there). It masks once, when the data
    is written, and repeats the text ten times; here every call draws anew. And it caps the
    count for its fixed-size arrays (`max_predictions_per_seq`), which is not needed here.

    Args:
        input_ids: token ids, int64 [B, S], on the CPU. Not changed.
        tokenizer: knows the special, ordinary and continuation tokens.
        generator: a CPU generator; the same state gives the same result on every machine.
        rule: rate, shares, whole words.
        attention_mask: 1 at real tokens, 0 at padding, [B, S]; by default, all but [PAD].

    Returns:
        `MaskedBatch(input_ids, labels, fates)`, each [B, S].

    Raises:
        InputError: if the shapes are wrong, the generator is not a CPU generator, or random
            tokens are wanted from a vocabulary that has no ordinary token.

    Source: Devlin et al. 2018, section 3.1; `create_masked_lm_predictions` in google-research/bert.

    Example:
        >>> tokenizer = BertTokenizer(
        ...     ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "my", "dog", "is", "hairy"])
        >>> input_ids = torch.tensor([[2, 5, 6, 7, 8, 3]])
        >>> masked = mask_tokens(input_ids, tokenizer, torch.Generator().manual_seed(0))
        >>> int((masked.labels != IGNORED).sum())
        1
    """
    _check(input_ids, attention_mask, generator)
    vocabulary = _vocabulary(tokenizer)
    if rule.random_share > 0 and not len(vocabulary.ordinary_ids):
        raise InputError(
            "The vocabulary has no ordinary token to draw from; use a rule with random_share=0."
        )
    if attention_mask is None:
        attention_mask = input_ids != tokenizer.pad_token_id
    real = attention_mask.bool()
    candidates = real & ~vocabulary.is_special[input_ids]
    wanted = (real.sum(1).double() * rule.rate).round().long().clamp(min=1)  # [B]

    # Doubles, since two equal float32 keys in one row are likely enough to happen in an epoch.
    keys = torch.rand(input_ids.shape, generator=generator, dtype=torch.float64)  # [B, S]
    if rule.whole_words:
        starts_word = candidates.clone()
        starts_word[:, 1:] &= ~(vocabulary.is_continuation[input_ids[:, 1:]] & candidates[:, :-1])
        chosen = _choose_words(keys, candidates, starts_word, wanted)
    else:
        chosen = _choose_tokens(keys, candidates, wanted)

    count = int(chosen.sum())
    draw = torch.rand(count, generator=generator, dtype=torch.float64)
    fate = torch.full((count,), KEPT, dtype=torch.uint8)
    fate[draw < rule.mask_share + rule.random_share] = RANDOM
    fate[draw < rule.mask_share] = MASKED
    seen = input_ids[chosen]
    seen[fate == MASKED] = tokenizer.mask_token_id
    replaced = fate == RANDOM
    if rule.random_share > 0:
        index = torch.randint(
            len(vocabulary.ordinary_ids), (int(replaced.sum()),), generator=generator
        )
        seen[replaced] = vocabulary.ordinary_ids[index]

    return MaskedBatch(
        input_ids=input_ids.masked_scatter(chosen, seen),
        labels=input_ids.masked_fill(~chosen, IGNORED),
        fates=torch.zeros(input_ids.shape, dtype=torch.uint8).masked_scatter(chosen, fate),
    )


def _choose_tokens(keys: Tensor, candidates: Tensor, wanted: Tensor) -> Tensor:
    """Return bool [B, S]: the `wanted` candidates of each row with the smallest keys."""
    order = keys.masked_fill(~candidates, 2.0).argsort(dim=1)  # candidates first, [B, S]
    wanted = torch.minimum(wanted, candidates.sum(1))
    taken = torch.arange(keys.shape[1]) < wanted[:, None]  # by rank
    return torch.zeros_like(candidates).scatter(1, order, taken)


def _choose_words(keys: Tensor, candidates: Tensor, starts_word: Tensor, wanted: Tensor) -> Tensor:
    """Return bool [B, S]: whole words in the order of their keys, at most `wanted` tokens a row."""
    word = (starts_word.long().cumsum(1) - 1).clamp(min=0)  # the word each token belongs to
    size = torch.zeros_like(word).scatter_add(1, word, candidates.long())  # tokens of each word
    order = keys.masked_fill(size == 0, 2.0).argsort(dim=1)
    size_in_order = size.gather(1, order)
    room = wanted.clone()
    taken = torch.zeros_like(candidates)
    # One step a rank, for all sequences at once: whether a word fits depends on those before it.
    for rank in range(int(starts_word.sum(1).max()) if starts_word.numel() else 0):
        fits = size_in_order[:, rank] <= room
        taken[:, rank] = fits
        room -= size_in_order[:, rank] * fits
        if not room.any():
            break
    word_taken = torch.zeros_like(candidates).scatter(1, order, taken)
    return candidates & word_taken.gather(1, word)


class _Vocabulary(NamedTuple):
    is_special: Tensor  # bool [V]
    is_continuation: Tensor  # bool [V]
    ordinary_ids: Tensor  # int64


@lru_cache(maxsize=4)
def _vocabulary(tokenizer: BertTokenizer) -> _Vocabulary:
    is_special = torch.zeros(len(tokenizer), dtype=torch.bool)
    is_special[sorted(tokenizer.special_ids)] = True
    is_continuation = torch.tensor([token.startswith("##") for token in tokenizer.tokens])
    return _Vocabulary(is_special, is_continuation, tokenizer.ordinary_ids)


def _check(input_ids: Tensor, attention_mask: Tensor | None, generator: torch.Generator) -> None:
    if input_ids.dim() != 2:
        raise InputError(
            f"input_ids has shape {tuple(input_ids.shape)}; mask_tokens needs a batch [B, S]."
        )
    if attention_mask is not None and attention_mask.shape != input_ids.shape:
        raise InputError(
            f"attention_mask has shape {tuple(attention_mask.shape)}, but input_ids "
            f"{tuple(input_ids.shape)}; give both the same [B, S]."
        )
    if generator.device.type != "cpu" or input_ids.device.type != "cpu":
        raise InputError(
            "mask_tokens works on the CPU, where every machine draws the same numbers; "
            "mask first, then move the batch."
        )
