"""Next sentence prediction's examples: `[CLS] A [SEP] B [SEP]`, as often B follows A as not.

Label 0 (`IS_NEXT`) says that B follows A, label 1 (`NOT_NEXT`) that B is random. The original
code counts so; texts that write "IsNext: true" mean label 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertedu.errors import InputError
from bertedu.heads import IS_NEXT, NOT_NEXT
from bertedu.pretraining.corpus import Corpus
from bertedu.pretraining.pair_walk import EXAMPLE, NO_PAIR, PairWalk
from bertedu.tokenizer import BertTokenizer

_Indices = NDArray[np.int64]


@dataclass(frozen=True)
class PairStatistics:
    """What became of the text in one epoch.

    Attributes:
        follows: pairs with label 0, B follows A.
        random: pairs with label 1, B is random; always as many as `follows`.
        mlm_only: examples without B.
        dropped: examples left out: single-sentence documents and surplus pairs, where `mlm_only`
            examples are not wanted.
        single_sentence_documents: documents that cannot give a pair.
        shortened: pairs aimed at a random shorter length.
        truncated: examples that lost tokens to fit.
        overlong_sentences: sentences longer than a whole example.
    """

    follows: int
    random: int
    mlm_only: int
    dropped: int
    single_sentence_documents: int
    shortened: int
    truncated: int
    overlong_sentences: int


class PairEpoch(NamedTuple):
    """The examples of one epoch, in random order, and what they are made of.

    Attributes:
        examples: `EXAMPLE` records [N]: where A and B lie in `corpus.ids`, and the label.
        statistics: their counts.
    """

    examples: NDArray[np.void]
    statistics: PairStatistics


class PairSampler:
    """Sentence pairs of a corpus, different in every epoch, exactly 1:1 in each.

    Consecutive sentences of a document are gathered until they fill an example, and split at a
    random sentence into A and B. In one half of the pairs B stays; in the other it is replaced by
    text from a random other document, and the sentences not used go back. A tenth of the pairs
    aim at a random shorter length. What is too long is cut, token by token, at the front or back
    of the longer segment.

    Where the reference code differs, and why:

    - A coin decides there, and a lone sentence always gets a random B, so that the labels do not
      balance. Here they are dealt so that they do; what remains over is an example without B, or
      is dropped. And a sentence that fills an example alone takes the next one with it, so that
      it can be followed, too: else every very long A would be a sign of a random B.
    - A random B there may, after ten tries, come from the same document; never here. If B would
      open with the very sentence that truly continues (in a copy, say), another is drawn.
    - The shorter length is drawn once a document there, once a pair here, so that a tenth of the
      pairs, and not of the documents, are shorter.
    - Single-sentence documents are never part of a pair, neither as A nor as B: they could only
      be random, so that their style would give the answer away.

    Args:
        corpus: documents of sentences of token ids.
        tokenizer: the one that built the corpus; knows [CLS], [SEP] and [PAD].
        documents: indices of the documents to use, int64; by default all.
        max_length: tokens of an example at most, special tokens counted.
        seed: with the epoch's number, decides everything.
        short_share: share of the pairs that aim at a random shorter length.
        mlm_only: also give examples `[CLS] A [SEP]`, label -100, from single-sentence documents
            and surplus pairs.

    Raises:
        InputError: if `max_length` is less than 5, or fewer than two documents have two sentences.

    Source: Devlin et al. 2018, section 3.1, task 2, and appendix A.2;
        `create_instances_from_document` in google-research/bert.

    Example:
        >>> tokenizer = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"])
        >>> ids = np.arange(5, 13, dtype=np.uint16)  # two documents of two sentences of two tokens
        >>> corpus = Corpus(ids, np.arange(0, 9, 2), np.array([0, 2, 4]))
        >>> sampler = PairSampler(corpus, tokenizer, max_length=7)
        >>> examples, statistics = sampler.epoch(0)
        >>> statistics.follows == statistics.random
        True
        >>> sampler.materialize(examples[:2])["token_type_ids"]
        tensor([[0, 0, 0, 0, 1, 1, 1],
                [0, 0, 0, 0, 1, 1, 1]])
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: BertTokenizer,
        documents: Sequence[int] | _Indices | None = None,
        *,
        max_length: int = 128,
        seed: int = 0,
        short_share: float = 0.1,
        mlm_only: bool = False,
    ) -> None:
        if max_length < 5:
            raise InputError(
                f"max_length is {max_length}; [CLS] A [SEP] B [SEP] needs at least 5 tokens."
            )
        self.ids = corpus.ids
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.seed = seed
        self.mlm_only = mlm_only

        chosen = np.arange(len(corpus)) if documents is None else np.asarray(documents, np.int64)
        self._starts = np.array(corpus.sentence_starts)
        first, end = corpus.document_starts[chosen], corpus.document_starts[chosen + 1]
        has_pair = end - first > 1
        several, self._singles = first[has_pair], first[~has_pair]
        lengths = np.diff(self._starts)
        used = np.zeros(len(self._starts), dtype=np.int64)
        np.add.at(used, first, 1)
        np.add.at(used, end, -1)
        self._overlong = int((lengths[used.cumsum()[:-1] > 0] > max_length - 3).sum())
        if len(several) < 2 and not (mlm_only and not len(several)):
            raise InputError(
                f"Of {len(chosen):,} documents, {len(several)} have two sentences; sentence "
                "pairs need at least two such documents, since a random B comes from another one. "
                "Separate documents by a blank line, or give more text."
            )

        self._walk = PairWalk(
            corpus.ids, self._starts, several, end[has_pair], max_length - 3, short_share
        )

    def epoch(self, epoch: int) -> PairEpoch:
        """Returns all examples of one epoch, in random order; the same for the same number.

        Args:
            epoch: 0, 1, 2, ...; part of the seed.

        Returns:
            `PairEpoch(examples, statistics)`: records that `materialize` turns into tensors.
            A position in `examples` is all that is needed to resume.
        """
        rng = np.random.default_rng([self.seed, epoch])
        examples, shortened = self._walk.pairs(rng)
        surplus = _surplus(examples["next_sentence_label"], rng)
        examples["next_sentence_label"][surplus] = NO_PAIR
        single = np.zeros(len(self._singles), EXAMPLE)
        single["a_start"] = self._starts[self._singles]
        single["a_end"] = self._starts[self._singles + 1]
        single["next_sentence_label"] = NO_PAIR
        examples = np.concatenate([examples, single])

        alone = examples["next_sentence_label"] == NO_PAIR
        examples["b_end"][alone] = examples["b_start"][alone]
        dropped = 0
        if not self.mlm_only:
            dropped = int(alone.sum())
            examples = examples[~alone]
        truncated = self._truncate(examples, rng)
        labels = examples["next_sentence_label"]
        statistics = PairStatistics(
            follows=int((labels == IS_NEXT).sum()),
            random=int((labels == NOT_NEXT).sum()),
            mlm_only=int((labels == NO_PAIR).sum()),
            dropped=dropped,
            single_sentence_documents=len(self._singles),
            shortened=shortened,
            truncated=truncated,
            overlong_sentences=self._overlong,
        )
        return PairEpoch(rng.permutation(examples), statistics)

    def lengths(self, examples: NDArray[np.void]) -> _Indices:
        """Returns the tokens of each example, special tokens counted, int64 [N]."""
        length_b = examples["b_end"] - examples["b_start"]
        lengths: _Indices = examples["a_end"] - examples["a_start"] + length_b + 2 + (length_b > 0)
        return lengths

    def materialize(
        self, examples: NDArray[np.void], pad_to: int | None = None
    ) -> dict[str, Tensor]:
        """Returns the examples as one padded batch: the model's keyword arguments.

        Args:
            examples: `EXAMPLE` records [B], a part of an epoch.
            pad_to: S, at least the longest example; None means the longest.

        Returns:
            `input_ids`, `token_type_ids` (1 for B and its [SEP]) and `attention_mask` (0 =
            padding), int64 [B, S], and `next_sentence_label` (0 = B follows A, 1 = B is random,
            -100 = there is no B), int64 [B].

        Raises:
            InputError: if an example is longer than `pad_to`.
        """
        lengths = self.lengths(examples)[:, None]
        longest = int(lengths.max(initial=0))
        if pad_to is not None and longest > pad_to:
            raise InputError(f"an example has {longest} tokens, more than pad_to = {pad_to}")
        column = np.arange(pad_to or longest)
        a_start, b_start = examples["a_start"][:, None], examples["b_start"][:, None]
        first_sep = examples["a_end"][:, None] - a_start + 1  # its column
        in_b = (column > first_sep) & (column < lengths)
        index = np.where(in_b, b_start - first_sep - 1, a_start - 1) + column  # [B, S]
        token = (column != first_sep) & (column != lengths - 1) & (column < lengths) & (column > 0)
        input_ids = self.ids[np.where(token, index, 0)].astype(np.int64)
        input_ids[~token] = self.tokenizer.sep_token_id
        input_ids[:, :1] = self.tokenizer.cls_token_id
        input_ids[column >= lengths] = self.tokenizer.pad_token_id
        return {
            "input_ids": torch.from_numpy(input_ids),
            "token_type_ids": torch.from_numpy(in_b.astype(np.int64)),
            "attention_mask": torch.from_numpy((column < lengths).astype(np.int64)),
            "next_sentence_label": torch.from_numpy(examples["next_sentence_label"].copy()),
        }

    def _truncate(self, examples: NDArray[np.void], rng: np.random.Generator) -> int:
        """Cuts examples to length, in place, and returns how many were cut."""
        length = {s: examples[f"{s}_end"] - examples[f"{s}_start"] for s in "ab"}
        room = self.max_length - 2 - (length["b"] > 0)
        kept = _kept_lengths(length["a"], length["b"], room)
        for segment, keep in zip("ab", kept, strict=True):
            cut = length[segment] - keep
            front = rng.binomial(cut, 0.5)  # a coin for each token that goes
            examples[f"{segment}_start"] += front
            examples[f"{segment}_end"] -= cut - front
        return int((length["a"] + length["b"] > room).sum())


def _surplus(label: _Indices, rng: np.random.Generator) -> _Indices:
    """Returns the pairs to take out, at random, so that both labels are equally frequent."""
    follows, random = np.flatnonzero(label == IS_NEXT), np.flatnonzero(label == NOT_NEXT)
    more = max(follows, random, key=len)
    return rng.permutation(more)[: abs(len(follows) - len(random))]


def _kept_lengths(a: _Indices, b: _Indices, room: _Indices) -> tuple[_Indices, _Indices]:
    """Returns how many tokens stay: the longer segment loses one at a time, on a tie B."""
    keep_a = np.where(b <= room // 2, room - b, np.minimum(a, (room + 1) // 2))
    keep_a = np.minimum(a, keep_a)
    return keep_a, np.minimum(b, room - keep_a)
