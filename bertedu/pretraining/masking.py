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
    draws = draw(input_ids, tokenizer, generator, rule, attention_mask)
    fates = decide(input_ids, draws, rule, tokenizer, attention_mask)
    seen = input_ids.masked_fill(fates == MASKED, tokenizer.mask_token_id)
    replaced = fates == RANDOM
    if rule.random_share > 0:
        ordinary = tokenizer.ordinary_ids
        seen[replaced] = ordinary[
            torch.randint(len(ordinary), (int(replaced.sum()),), generator=generator)
        ]
    return MaskedBatch(seen, input_ids.masked_fill(fates == NOT_CHOSEN, IGNORED), fates)


class Draws(NamedTuple):
    """The random numbers that decide a batch's masks, each from 0 to 1, float64 [B, S].

    Attributes:
        order: the tokens, or words, with the smallest are chosen.
        fate: decides what becomes of a chosen token.
    """

    order: Tensor
    fate: Tensor


def draw(
    input_ids: Tensor,
    tokenizer: BertTokenizer,
    generator: torch.Generator,
    rule: MaskingRule = MaskingRule(),
    attention_mask: Tensor | None = None,
) -> Draws:
    """Returns the numbers by which `mask_tokens` decides; takes and raises what it does.

    Only a chosen token draws its fate; elsewhere it is nan.
    """
    _check(input_ids, attention_mask, generator)
    if rule.random_share > 0 and not len(tokenizer.ordinary_ids):
        raise InputError(
            "The vocabulary has no ordinary token to draw from; use a rule with random_share=0."
        )
    # Doubles, since two equal float32 keys in one row are likely enough to happen in an epoch.
    order = torch.rand(input_ids.shape, generator=generator, dtype=torch.float64)
    chosen = _choose(input_ids, order, rule, tokenizer, attention_mask)
    fate = torch.full_like(order, torch.nan)
    fate[chosen] = torch.rand(int(chosen.sum()), generator=generator, dtype=torch.float64)
    return Draws(order, fate)


def decide(
    input_ids: Tensor,
    draws: Draws,
    rule: MaskingRule,
    tokenizer: BertTokenizer,
    attention_mask: Tensor | None = None,
) -> Tensor:
    """Returns the fate of every token: the whole rule, and nothing random.

    Args:
        input_ids: token ids, int64 [B, S].
        draws: the numbers drawn, one of each kind a token.
        rule: rate, shares, whole words.
        tokenizer: knows the special and the continuation tokens.
        attention_mask: 1 at real tokens, 0 at padding, [B, S]; by default, all but [PAD].

    Returns:
        NOT_CHOSEN, MASKED, RANDOM or KEPT, uint8 [B, S].

    Example:
        >>> tokenizer = BertTokenizer(
        ...     ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "my", "dog", "is", "hairy"])
        >>> input_ids = torch.tensor([[2, 5, 6, 7, 8, 3]])
        >>> order = torch.tensor([[0.0, 0.5, 0.6, 0.7, 0.4, 0.1]])  # of words, "hairy" is first
        >>> draws = Draws(order, torch.full((1, 6), 0.85))
        >>> decide(input_ids, draws, MaskingRule(), tokenizer)  # 0.8 < 0.85 < 0.9: random
        tensor([[0, 0, 0, 0, 2, 0]], dtype=torch.uint8)
    """
    fates = torch.full(input_ids.shape, KEPT, dtype=torch.uint8)
    fates[draws.fate < rule.mask_share + rule.random_share] = RANDOM
    fates[draws.fate < rule.mask_share] = MASKED
    chosen = _choose(input_ids, draws.order, rule, tokenizer, attention_mask)
    return fates.masked_fill(~chosen, NOT_CHOSEN)


def _choose(
    input_ids: Tensor,
    order: Tensor,
    rule: MaskingRule,
    tokenizer: BertTokenizer,
    attention_mask: Tensor | None,
) -> Tensor:
    """Returns which tokens are chosen, bool [B, S]."""
    real = input_ids != tokenizer.pad_token_id if attention_mask is None else attention_mask.bool()
    is_special, is_continuation = _kinds(tokenizer)
    candidates = real & ~is_special[input_ids]
    wanted = (real.sum(1).double() * rule.rate).round().long().clamp(min=1)  # [B]
    if not rule.whole_words:
        return _first_tokens(order, candidates, wanted)
    starts_word = candidates.clone()
    starts_word[:, 1:] &= ~(is_continuation[input_ids[:, 1:]] & candidates[:, :-1])
    return _first_words(order, candidates, starts_word, wanted)


def _first_tokens(keys: Tensor, candidates: Tensor, wanted: Tensor) -> Tensor:
    """Return bool [B, S]: the `wanted` candidates of each row with the smallest keys."""
    order = keys.masked_fill(~candidates, 2.0).argsort(dim=1)  # candidates first, [B, S]
    wanted = torch.minimum(wanted, candidates.sum(1))
    taken = torch.arange(keys.shape[1]) < wanted[:, None]  # by rank
    return torch.zeros_like(candidates).scatter(1, order, taken)


def _first_words(keys: Tensor, candidates: Tensor, starts_word: Tensor, wanted: Tensor) -> Tensor:
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


@lru_cache(maxsize=4)
def _kinds(tokenizer: BertTokenizer) -> tuple[Tensor, Tensor]:
    """Returns which ids are special, and which continue a word, bool [V] each."""
    is_special = torch.zeros(len(tokenizer), dtype=torch.bool)
    is_special[sorted(tokenizer.special_ids)] = True
    return is_special, torch.tensor([token.startswith("##") for token in tokenizer.tokens])


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
