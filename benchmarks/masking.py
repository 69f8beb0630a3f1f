"""Masking a batch: `mask_tokens` against transformers' DataCollatorForLanguageModeling.

"masks" compares the masking of a padded tensor alone; "batch" compares the way from token ids to
a padded and masked batch: `PairSampler.materialize` and `mask_tokens` against the collator's
call, with special_tokens_mask in the features, as its documentation recommends, or without.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers
from bench import arguments, interleaved, open_corpus, report
from numpy.typing import NDArray
from torch import Tensor

import bertedu
from bertedu.checkpoint import EMBEDDED
from bertedu.pretraining.masking import MaskingRule, mask_tokens
from bertedu.pretraining.pairs import PairSampler

MAX_LENGTH = 128


def word_offsets(tokens: list[str]) -> list[tuple[int, int]]:
    """Returns offsets that say which token continues a word, which is all the collator reads."""
    offsets, end = [], 0
    for token in tokens:
        start = end if token.startswith("##") else end + 1
        end = start + len(token.removeprefix("##"))
        offsets.append((start, end))
    return offsets


def make_batch(sampler: PairSampler, examples: NDArray[np.void], mask: Callable[..., Any]) -> None:
    """Makes a padded and masked batch."""
    batch = sampler.materialize(examples, pad_to=MAX_LENGTH)
    mask(batch["input_ids"], attention_mask=batch["attention_mask"])


def their_masks(collator: Any, ids: Tensor, is_special: Tensor, extra: dict[str, Tensor]) -> None:
    """Masks a copy: the collator writes into what it is given."""
    collator.torch_mask_tokens(ids.clone(), is_special, **extra)


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__, corpus={"help": "folder of Corpus.build; by default the course's"})
    warnings.simplefilter("ignore")  # theirs: whole words without random tokens
    tokenizer = bertedu.load_tokenizer()
    sampler = PairSampler(open_corpus(args.corpus), tokenizer, max_length=MAX_LENGTH)
    theirs = transformers.BertTokenizer.from_pretrained(str(EMBEDDED))
    generator = torch.Generator().manual_seed(0)
    pool = sampler.epoch(0).examples
    special = torch.tensor(sorted(tokenizer.special_ids - {tokenizer.unk_token_id}))
    rounds = 5 if args.quick else args.rounds or 101
    rows = []
    for count in (16, 128):
        examples = pool[:count]
        padded = sampler.materialize(examples, pad_to=MAX_LENGTH)
        ids, real = padded["input_ids"], padded["attention_mask"]
        is_special = torch.isin(ids, special)
        features: list[dict[str, Any]] = [
            {
                name: values[row][: int(real[row].sum())].tolist()
                for name, values in padded.items()
                if values.dim() == 2
            }
            for row in range(count)
        ]
        prepared = [
            {**f, "special_tokens_mask": is_special[row][: len(f["input_ids"])].tolist()}
            for row, f in enumerate(features)
        ]
        for whole_words in (False, True):
            rule = MaskingRule(whole_words=whole_words)
            collator = transformers.DataCollatorForLanguageModeling(
                theirs, whole_word_mask=whole_words, pad_to_multiple_of=MAX_LENGTH
            )
            extra: dict[str, Any] = {}
            if whole_words:
                offsets = [word_offsets([tokenizer.tokens[i] for i in row]) for row in ids.tolist()]
                extra = {"offset_mapping": torch.tensor(offsets)}

            ours = partial(mask_tokens, tokenizer=tokenizer, generator=generator, rule=rule)
            our_masks = partial(ours, ids, attention_mask=real)
            our_batch = partial(make_batch, sampler, examples, ours)
            jobs = {"masks": (partial(their_masks, collator, ids, is_special, extra), our_masks)}
            if not whole_words:  # the collator cannot pad offsets
                jobs["batch, special_tokens_mask given"] = (partial(collator, prepared), our_batch)
                jobs["batch, as the tokenizer gives it"] = (partial(collator, features), our_batch)
            for job, (their_work, our_work) in jobs.items():
                times = interleaved({"transformers": their_work, "bertedu": our_work}, rounds)
                rows.append(
                    {
                        "job": job,
                        "whole words": "yes" if whole_words else "no",
                        "B x S": f"{count} x {MAX_LENGTH}",
                        "transformers, ms": f"{1000 * times.median('transformers'):.2f}",
                        "bertedu, ms": f"{1000 * times.median('bertedu'):.2f}",
                        "times faster": str(times.ratio("transformers", "bertedu")),
                        "fastest rounds": times.best_ratio("transformers", "bertedu"),
                    }
                )
    report(
        __file__,
        rows,
        "Not quite the same work: ours chooses exactly 15 % of each sequence, theirs tosses a coin "
        "a token; for whole words theirs always puts [MASK], ours keeps 80/10/10.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
