"""The walk through the documents that makes sentence pairs, before they are cut to length.

Arrays do what the original code does in a loop over documents: all of them advance together.
"""

import numpy as np
from numpy.typing import NDArray

from bertedu.heads import IS_NEXT, NOT_NEXT
from bertedu.utils.validation import IGNORED

NO_PAIR = IGNORED  # an example without B: no next sentence loss

EXAMPLE = np.dtype(
    [
        ("a_start", np.int64),
        ("a_end", np.int64),
        ("b_start", np.int64),
        ("b_end", np.int64),
        ("next_sentence_label", np.int64),
    ]
)

_SECTION = 512  # sentences; very long documents are walked in parallel sections of this many
_TRIES = 10  # draws of a random B before giving up on finding one that differs

_Indices = NDArray[np.int64]


class PairWalk:
    """Gathers consecutive sentences, splits them into A and B, and draws the random Bs.

    `bertedu.pretraining.pairs.PairSampler` says by which rules, and why.

    Args:
        ids: the corpus's token ids.
        starts: where each sentence begins in them, int64, and the end of the last.
        first: the first sentence of each document, int64; each has two or more.
        end: after its last sentence.
        room: tokens of A and B together.
        short_share: share of the pairs that aim at a random shorter length.
    """

    def __init__(
        self,
        ids: NDArray[np.integer],
        starts: _Indices,
        first: _Indices,
        end: _Indices,
        room: int,
        short_share: float,
    ) -> None:
        self.ids = ids
        self.room = room
        self.short_share = short_share
        self._starts = starts
        self._first, self._end = first, end

    def pairs(self, rng: np.random.Generator) -> tuple[NDArray[np.void], int]:
        """Returns the pairs of all documents, and how many aimed short.

        All documents advance together, each by one pair a step.

        Args:
            rng: decides where a pair is split, its label, and its random B.

        Returns:
            `EXAMPLE` records [N], where a random B that could not be found is empty and the label
            `NO_PAIR`; and the number of those that aimed at a shorter length.
        """
        starts, room = self._starts, self.room
        owner, cursor, stop = self._sections()
        pairs = [np.zeros(0, EXAMPLE)]
        shortened = excess = 0  # random pairs more than following ones, so far
        while len(cursor):
            short = rng.random(len(cursor)) < self.short_share
            shortened += int(short.sum())
            target = np.where(short, rng.integers(2, room + 1, len(cursor)), room)
            chunk_end = self._gather(cursor, target, stop, at_least=2)
            split = cursor + rng.integers(1, np.maximum(chunk_end - cursor, 2))
            label, excess = _deal_labels(chunk_end > split, excess, rng)

            pair = np.zeros(len(cursor), EXAMPLE)
            pair["a_start"], pair["a_end"] = starts[cursor], starts[split]
            pair["b_start"], pair["b_end"] = starts[split], starts[chunk_end]
            pair["next_sentence_label"] = label
            other = np.flatnonzero(label == NOT_NEXT)
            missing = target[other] - (starts[split] - starts[cursor])[other]
            b_first, b_end = self._random_text(owner[other], split[other], missing, rng)
            pair["b_start"][other], pair["b_end"][other] = starts[b_first], starts[b_end]
            pair["next_sentence_label"][other[b_first == b_end]] = NO_PAIR
            pairs.append(pair)

            cursor = np.where(label == IS_NEXT, chunk_end, split)
            going = cursor < stop
            owner, cursor, stop = owner[going], cursor[going], stop[going]
        return np.concatenate(pairs), shortened

    def _sections(self) -> tuple[_Indices, _Indices, _Indices]:
        """Returns document, first sentence and end of each section of the documents."""
        count = -(-(self._end - self._first) // _SECTION)
        owner = np.repeat(np.arange(len(count)), count)
        within = np.arange(len(owner)) - np.repeat(count.cumsum() - count, count)
        first = self._first[owner] + within * _SECTION
        return owner, first, np.minimum(first + _SECTION, self._end[owner])

    def _gather(
        self, first: _Indices, tokens: _Indices, stop: _Indices, at_least: int = 1
    ) -> _Indices:
        """Returns the end of the sentences that reach so many tokens, as few as possible."""
        end = np.searchsorted(self._starts, self._starts[first] + tokens)
        return np.minimum(np.maximum(end, first + at_least), stop)

    def _random_text(
        self, owner: _Indices, continuation: _Indices, tokens: _Indices, rng: np.random.Generator
    ) -> tuple[_Indices, _Indices]:
        """Returns first sentence and end of text from another document, [N] each.

        Where every try opened with the sentence that truly continues, nothing: first equals end.
        """
        first = np.zeros_like(owner)
        end = np.zeros_like(owner)
        todo = np.arange(len(owner))
        for _ in range(_TRIES):
            other = rng.integers(0, len(self._first) - 1, len(todo))
            other += other >= owner[todo]
            first[todo] = rng.integers(self._first[other], self._end[other])
            end[todo] = self._gather(first[todo], tokens[todo], self._end[other])
            at_end = continuation[todo] == self._end[owner[todo]]
            todo = todo[~at_end & self._same_sentence(first[todo], continuation[todo])]
            if not len(todo):
                break
        end[todo] = first[todo]
        return first, end

    def _same_sentence(self, one: _Indices, other: _Indices) -> NDArray[np.bool_]:
        """Returns where two sentences are token by token the same, bool [N]."""
        last = len(self._starts) - 2
        start, other_start = self._starts[one], self._starts[np.minimum(other, last)]
        length = self._starts[one + 1] - start
        same: NDArray[np.bool_] = length == self._starts[np.minimum(other, last) + 1] - other_start
        if same.any():
            length = length[same]
            begin = length.cumsum() - length
            within = np.arange(length.sum()) - np.repeat(begin, length)
            left = self.ids[np.repeat(start[same], length) + within]
            right = self.ids[np.repeat(other_start[same], length) + within]
            same[same] = np.logical_and.reduceat(left == right, begin)
        return same


def _deal_labels(
    can_follow: NDArray[np.bool_], excess: int, rng: np.random.Generator
) -> tuple[_Indices, int]:
    """Returns labels that balance those dealt before as far as possible, and the new excess.

    Args:
        can_follow: where B may follow, bool [N]; elsewhere it must be random.
        excess: random pairs more than following ones, so far.
        rng: decides which pairs get which label, and which label an odd one out.
    """
    label = np.full(len(can_follow), NOT_NEXT)
    free = np.flatnonzero(can_follow)
    surplus = excess + len(label)  # if all were random
    follows = min(max((surplus + int(rng.integers(2))) // 2, 0), len(free))
    label[rng.permutation(free)[:follows]] = IS_NEXT
    return label, surplus - 2 * follows
