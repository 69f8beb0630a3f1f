"""Next sentence prediction's examples: `[CLS] A [SEP] B [SEP]`, as often B follows A as not.

Label 0 (`IS_NEXT`) says that B follows A, label 1 (`NOT_NEXT`) that B is random. The original
code counts so; texts that write "IsNext: true" mean label 0.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertedu.errors import InputError
from bertedu.heads import IS_NEXT, NOT_NEXT
from bertedu.pretraining.corpus import Corpus
from bertedu.tokenizer import BertTokenizer, kept_lengths
from bertedu.utils.validation import IGNORED

NO_PAIR = IGNORED  # the label of an example without B: no next sentence loss

EXAMPLE = np.dtype(
    [
        ("a_start", np.int64),
        ("a_end", np.int64),
        ("b_start", np.int64),
        ("b_end", np.int64),
        ("next_sentence_label", np.int64),
    ]
)

_TRIES = 10  # draws of a random B before giving up on finding one that differs

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
      balance. Here a pair gets the label that is behind, and a coin decides between equals; what
      remains over is an example without B, or is dropped. All documents give a pair before any
      gives its second, so that both labels are as frequent where documents begin.
    - A sentence that fills an example alone takes the next one with it, so that it can be
      followed, too: else every very long A would be a sign of a random B.
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
        self.short_share = short_share
        self.mlm_only = mlm_only

        chosen = np.arange(len(corpus)) if documents is None else np.asarray(documents, np.int64)
        first, end = corpus.document_starts[chosen], corpus.document_starts[chosen + 1]
        several = end - first > 1
        self._starts = array("q", corpus.sentence_starts)  # plain numbers: quick to index
        self._documents = list(zip(first[several].tolist(), end[several].tolist(), strict=True))
        self._singles = first[~several].tolist()
        overlong = np.diff(corpus.sentence_starts) > max_length - 3
        overlong_before = np.concatenate([[0], overlong.cumsum()])
        self._overlong = int((overlong_before[end] - overlong_before[first]).sum())
        if len(self._documents) < 2 and not (mlm_only and not self._documents):
            raise InputError(
                f"Of {len(chosen):,} documents, {len(self._documents)} have two sentences; "
                "sentence pairs need at least two such documents, since a random B comes from "
                "another one. Separate documents by a blank line, or give more text."
            )

    def epoch(self, epoch: int) -> PairEpoch:
        """Returns all examples of one epoch, in random order; the same for the same number.

        Args:
            epoch: 0, 1, 2, ...; part of the seed.

        Returns:
            `PairEpoch(examples, statistics)`: records that `materialize` turns into tensors.
            A position in `examples` is all that is needed to resume.
        """
        rng = Random(f"{self.seed} {epoch}")
        examples, shortened = self._pairs(rng)
        labels = examples["next_sentence_label"]
        labels[_surplus(labels, rng)] = NO_PAIR
        alone = labels == NO_PAIR
        examples["b_end"][alone] = examples["b_start"][alone]
        dropped = 0
        if not self.mlm_only:
            dropped = int(alone.sum())
            examples = examples[~alone]
        truncated = self._cut(examples, rng)
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
        order = array("q", range(len(examples)))
        rng.shuffle(order)
        return PairEpoch(examples[np.asarray(order)], statistics)

    def _pairs(self, rng: Random) -> tuple[NDArray[np.void], int]:
        """Returns the examples before they are cut to length, and how many aimed short."""
        starts, room = self._starts, self.max_length - 3
        examples = array("q")  # EXAMPLE's five numbers, one record after the other
        rest = [(document, first) for document, (first, _) in enumerate(self._documents)]
        ahead = shortened = 0  # ahead: random pairs more than following ones, so far
        while rest:  # one pair of every document, then another of each that is not used up, ...
            rng.shuffle(rest)
            left = []
            for document, first in rest:
                _, stop = self._documents[document]
                target = room
                if rng.random() < self.short_share:
                    target = rng.randint(2, room)
                    shortened += 1

                # Gather sentences, and split them at a random one: A before it, B from it on.
                end = self._gather(first, target, stop, at_least=2)
                split = rng.randrange(first + 1, max(end, first + 2))
                a_start, a_end = starts[first], starts[split]

                # B stays, or is replaced, and the sentences not used go back.
                b, b_end, label = split, end, IS_NEXT
                if split == end or ahead < 0 or (ahead == 0 and rng.random() < 0.5):
                    b, b_end = self._random_text(document, split, target - (a_end - a_start), rng)
                    end, label = split, NOT_NEXT if b < b_end else NO_PAIR
                ahead += {IS_NEXT: -1, NOT_NEXT: 1, NO_PAIR: 0}[label]
                examples.extend((a_start, a_end, starts[b], starts[b_end], label))
                if end < stop:
                    left.append((document, end))
            rest = left
        for sentence in self._singles:
            end = starts[sentence + 1]
            examples.extend((starts[sentence], end, end, end, NO_PAIR))
        return np.frombuffer(examples, EXAMPLE), shortened

    def _gather(self, first: int, tokens: int, stop: int, at_least: int = 1) -> int:
        """Returns the end of the sentences that reach so many tokens, as few as possible."""
        earliest = min(first + at_least, stop)
        return bisect_left(self._starts, self._starts[first] + tokens, earliest, stop)

    def _random_text(
        self, document: int, continuation: int, tokens: int, rng: Random
    ) -> tuple[int, int]:
        """Returns first sentence and end of about so many tokens from another document.

        Where every try opened with the sentence that truly continues, nothing: first equals end.
        """
        for _ in range(_TRIES):
            other = rng.randrange(len(self._documents) - 1)
            other += other >= document
            first, stop = self._documents[other]
            first = rng.randrange(first, stop)
            at_end = continuation == self._documents[document][1]
            if at_end or not self._same_sentence(first, continuation):
                return first, self._gather(first, tokens, stop)
        return first, first

    def _same_sentence(self, one: int, other: int) -> bool:
        """Returns whether two sentences are token by token the same."""
        (start, end), (other_start, other_end) = (self._starts[i : i + 2] for i in (one, other))
        return end - start == other_end - other_start and bool(
            (self.ids[start:end] == self.ids[other_start:other_end]).all()
        )

    def _cut(self, examples: NDArray[np.void], rng: Random) -> int:
        """Cuts examples to length, in place, and returns how many were cut.

        The longer segment loses a token at a time, at its front or its back: a coin decides.
        """
        too_long = np.flatnonzero(self.lengths(examples) > self.max_length)
        for example in (examples[i] for i in too_long):
            a, b = (
                int(example[f"{segment}_end"] - example[f"{segment}_start"]) for segment in "ab"
            )
            kept = kept_lengths(a, b, self.max_length - (3 if b else 2))
            for segment, gone in zip("ab", (a - kept[0], b - kept[1]), strict=True):
                front = rng.getrandbits(gone).bit_count()  # a coin for each token
                example[f"{segment}_start"] += front
                example[f"{segment}_end"] -= gone - front
        return len(too_long)

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


def _surplus(labels: _Indices, rng: Random) -> list[int]:
    """Returns the pairs to take out, at random, so that both labels are equally frequent."""
    follows, random = (np.flatnonzero(labels == label) for label in (IS_NEXT, NOT_NEXT))
    more = max(follows, random, key=len)
    return rng.sample(more.tolist(), abs(len(follows) - len(random)))
