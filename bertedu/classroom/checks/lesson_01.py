"""Checks of lesson 01: WordPiece."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

from bertedu.classroom.checks.drawing import some
from bertedu.classroom.checks.framework import check
from bertedu.classroom.checks.tokenizer import tokenizer
from bertedu.wordpiece import longest_matches

Splits = Mapping[str, Sequence[str]]

# Predict


@check("01", value=True)
def how_many_pieces() -> dict[str, int]:
    """Into how many pieces four words split."""
    vocabulary = tokenizer().vocab
    words = ["playing", "outplaying", "cuteness"]
    split = {word: len(longest_matches(word, vocabulary)) for word in words}
    return {
        "playing": split["playing"],
        "outplaying": split["outplaying"],
        "dog🤗": 1,
        "cuteness": split["cuteness"],
    }


how_many_pieces.wrong(
    "play ##ing",
    {"playing": 2, "outplaying": 3, "dog🤗": 1, "cuteness": 2},
    "`playing` is in the vocabulary whole, and the longest match wins: see section 4",
)
how_many_pieces.wrong(
    "emoji apart",
    {"playing": 1, "outplaying": 3, "dog🤗": 2, "cuteness": 2},
    "one character without a piece makes its whole word a single [UNK]: see section 6",
)
how_many_pieces.wrong(
    "##outplaying",
    {"playing": 1, "outplaying": 2, "dog🤗": 1, "cuteness": 2},
    "after `out`, a piece must begin with ##, and there is no `##playing`: see section 4",
)


@check("01", value=True)
def segment_ids() -> list[int]:
    """The segment ids of the pair good dog / yes."""
    return [0] * len(["[CLS]", "good", "dog", "[SEP]"]) + [1] * len(["yes", "[SEP]"])


segment_ids.wrong(
    "words only", [0, 0, 1], "special tokens have segment ids, too: each token gets one"
)
segment_ids.wrong(
    "SEP into B",
    [0, 0, 0, 1, 1, 1],
    "the first [SEP] closes A, so that it still has A's segment id 0",
)
segment_ids.wrong(
    "last SEP to A", [0, 0, 0, 0, 1, 0], "the last [SEP] closes B, so that it has B's segment id 1"
)
segment_ids.wrong("from one", [1, 1, 1, 1, 2, 2], "the segments are counted from 0: A is 0, B is 1")


@check("01", value=True)
def p_u_score() -> Fraction:
    """The score of the pair (p, ##u), as a Fraction."""
    return Fraction(17, 17 * 36)


p_u_score.wrong("count", 17, "17 is how often the pair occurs; divide by the counts of both parts")
p_u_score.wrong(
    "each word once",
    Fraction(2, 2 * 5),
    "you count each word once; pug occurs 5 times in the text and pun 12",
)
p_u_score.wrong(
    "divided by one part",
    Fraction(17, 36),
    "the score divides by the counts of both parts, of p as well",
)


# Complete


def _words_and_pieces() -> list[tuple[Any, ...]]:
    return [
        ([], "out"),
        (["out"], "##play"),
        (["dogs", "outplay"], "##ing"),
        (["dogs"], "em"),
        (["a", "b", "em"], "##bed"),
    ]


def _one_more(rng: random.Random) -> tuple[Any, ...]:
    words = some(rng, ["out", "dogs", "em", "a", "#"], 0, 3)
    pieces = ["play", "s", "embed", "#", "a##b"]
    return words, rng.choice(pieces if not words else [*pieces, *(f"##{p}" for p in pieces)])


@check(
    "01",
    cases=_words_and_pieces,
    hints=(
        "is it a continuation? `piece.startswith('##')`",
        "then the last word becomes longer: `words[-1] + ...`; the others stay",
    ),
    drawn=_one_more,
)
def with_piece(words: list[str], piece: str) -> list[str]:
    """The words so far and one more piece."""
    if piece[:2] != "##":
        return [*words, piece]
    before, last = words[: len(words) - 1], words[len(words) - 1]
    return [*before, last + piece[2:]]


with_piece.wrong(
    "keeps ##",
    lambda words, piece: [*words[:-1], words[-1] + piece] if piece[:2] == "##" else [*words, piece],
    "## is still in the word: it only marks a continuation, so remove it",
)
with_piece.wrong(
    "always a new word",
    lambda words, piece: [*words, piece.removeprefix("##")],
    "a piece with ## begins no new word: it makes the last one longer",
)
with_piece.wrong(
    "always joins",
    lambda words, piece: [*words[:-1], "".join(words[-1:]) + piece.removeprefix("##")],
    "a piece without ## begins a new word: look at how the piece starts",
)
with_piece.wrong(
    "first word",
    lambda words, piece: (
        [words[0] + piece[2:], *words[1:]] if piece[:2] == "##" else [*words, piece]
    ),
    "the piece continues the last word of the list, `words[-1]`, not the first",
)
with_piece.wrong(
    "forgets the others",
    lambda words, piece: [words[-1] + piece[2:]] if piece[:2] == "##" else [*words, piece],
    "the words before the last one are missing: keep `words[:-1]` in front",
)


def _piece_lists() -> list[tuple[Any, ...]]:
    rng = random.Random(1)
    lists = [["dogs"], ["out", "##play", "##ing", "dogs", "em", "##bed", "##s"]]
    lists += [["w", *rng.choices(["w", "##p", "dog", "##s"], k=rng.randint(1, 9))] for _ in "1234"]
    return [(pieces,) for pieces in lists]


@check(
    "01",
    cases=_piece_lists,
    hints=(
        "the number of a token's word: how many words began before or at it, minus one",
        "`sum(begins[: position + 1])` counts the words that began before or at a position",
    ),
    drawn=lambda rng: (["w", *some(rng, ["w", "##p", "dog", "##s", "#"], 0, 9)],),
)
def word_numbers(pieces: list[str]) -> list[int]:
    """For each token, the number of the word that it belongs to."""
    numbers, words = [], -1
    for piece in pieces:
        words += not piece.startswith("##")
        numbers.append(words)
    return numbers


def _begun(pieces: list[str], extra: int) -> list[int]:
    begins = [not piece.startswith("##") for piece in pieces]
    return [sum(begins[: i + extra]) for i in range(len(pieces))]


word_numbers.wrong(
    "from one",
    lambda pieces: _begun(pieces, 1),
    "your first word has the number 1; counting starts at 0",
)
word_numbers.wrong(
    "words before",
    lambda pieces: _begun(pieces, 0),
    "a word that begins at this very token must be counted, too (then take 1 away): "
    "`begins[:position]` stops before it",
)
word_numbers.wrong(
    "positions",
    lambda pieces: list(range(len(pieces))),
    "you count tokens; a piece with ## belongs to the word before it",
)
word_numbers.wrong(
    "continuations",
    lambda pieces: [sum(p.startswith("##") for p in pieces[: i + 1]) for i in range(len(pieces))],
    "you count the pieces with ##; a word begins at the pieces without",
)


def _small_texts() -> list[tuple[Any, ...]]:
    words = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}
    other = {"banana": 3, "ban": 2, "nab": 7}  # the pair (##a, ##n) stands twice in one word
    texts = []
    for counts in (words, other):
        splits = {w: [w[0], *(f"##{c}" for c in w[1:])] for w in counts}
        texts.append((splits, counts))
    return texts


def _small_text(rng: random.Random) -> tuple[Any, ...]:
    counts = {"".join(some(rng, "abn", 1, 6)): rng.randint(1, 9) for _ in range(4)}
    return {w: [w[0], *(f"##{c}" for c in w[1:])] for w in counts}, counts


@check(
    "01",
    cases=_small_texts,
    hints=(
        "the helper returns the counts of the pieces and of the pairs; you need one of them",
        "`of_pair` already has what is asked for",
    ),
    drawn=_small_text,
)
def frequency_scores(splits: Splits, counts: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """The rule that counts: how often each pair of neighbours occurs."""
    scores: dict[tuple[str, str], int] = {}
    for word, pieces in splits.items():
        for pair in pairwise(pieces):
            scores[pair] = scores.get(pair, 0) + counts[word]
    return scores


def _pieces(splits: Splits, counts: Mapping[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for word, pieces in splits.items():
        for piece in pieces:
            found[piece] += counts[word]
    return found


def _divided(splits: Splits, counts: Mapping[str, int]) -> dict[tuple[str, str], Fraction]:
    of_piece = _pieces(splits, counts)
    return {
        (a, b): Fraction(n, of_piece[a] * of_piece[b])
        for (a, b), n in frequency_scores.oracle(splits, counts).items()
    }


frequency_scores.wrong(
    "divides", _divided, "that is WordPiece's score; the plain count does not divide"
)
frequency_scores.wrong("pieces", _pieces, "these are the counts of the pieces; count the pairs")
frequency_scores.wrong(
    "each word once",
    lambda splits, counts: frequency_scores.oracle(splits, dict.fromkeys(counts, 1)),
    "you count each word once; a word that occurs 10 times has each of its pairs 10 times",
)
frequency_scores.wrong(
    "a pair once a word",
    lambda splits, counts: dict(
        sum((Counter(dict.fromkeys(pairwise(p), counts[w])) for w, p in splits.items()), Counter())
    ),
    "in *banana*, ##a ##n stands twice: count a pair as often as it stands in the word",
)


# Build


_GLUED = (  # where the longest match first needs more pieces, and where it does not
    *("massifslayer", "fitsswords", "sampleedict", "dancecrank", "bowedlively", "birchjudged"),
    *("guynudged", "liquidbrings", "acutepeabody", "emergeshah", "jokescribe", "dirkeeping"),
    *("choirsystems", "goughgruff", "doedial", "promoshore", "bondedcases", "untofeared"),
    *("tipdelay", "play", "a"),
)


@check(
    "01",
    cases=lambda: [
        (w,)
        for w in (
            "playing",
            "outplaying",
            "embeddings",
            "sharedreduction",
            "bbcbeings",
            "dog",
            "unaffable",
            "xqz",
        )
    ],
    hints=(
        "start with best = [0]: the empty beginning needs no piece",
        "for each end, try all starts; the piece is word[start:end], with ## unless start is 0",
    ),
    drawn=lambda rng: (rng.choice(_GLUED),),
)
def fewest_pieces(word: str) -> int:
    """The smallest number of pieces of the vocabulary that make up a word."""
    return _fewest(word, 0)


@cache
def _fewest(word: str, start: int) -> int:
    if start == len(word):
        return 0
    vocabulary, mark = tokenizer().vocab, "##" if start else ""
    rest = [
        1 + _fewest(word, end)
        for end in range(start + 1, len(word) + 1)
        if mark + word[start:end] in vocabulary
    ]
    return min(rest, default=len(word) + 1)


def _fewest_without_marks(word: str) -> int:
    best, vocabulary = [0], tokenizer().vocab
    for end in range(1, len(word) + 1):
        found = [best[start] + 1 for start in range(end) if word[start:end] in vocabulary]
        best.append(min(found, default=len(word) + 1))
    return best[-1]


fewest_pieces.wrong(
    "greedy",
    lambda word: len(longest_matches(word, tokenizer().vocab)),
    "that is the longest match. The longest piece first can leave a rest that needs more: "
    "try all the places where the last piece may begin",
)
fewest_pieces.wrong(
    "without ##",
    _fewest_without_marks,
    "inside a word only pieces with ## fit: look up '##' + word[start:end] unless start is 0",
)
fewest_pieces.wrong(
    "characters", len, "that is the number of characters; a piece may be longer than one"
)
fewest_pieces.wrong(
    "off by one",
    lambda word: _fewest(word, 0) + 1,
    "one too many everywhere: the empty beginning, best[0], needs 0 pieces",
)


def _marks() -> list[tuple[Any, ...]]:
    text = "Our naïve Café 🤗 outplays 안"
    encoding = tokenizer().encode(text)
    marks = [("fé", "plays"), ("naïve", " Café"), ("Our", " naïve"), ("outp", "lays"), ("안", "")]
    cases = [(encoding, text.index(a), text.index(b) if b else len(text)) for a, b in marks]
    space = text.index(" naïve")
    return [*cases, (encoding, 0, len(text)), (encoding, space, space + 1)]


@cache
def _encoded(text: str) -> Any:
    return tokenizer().encode(text)


def _any_mark(rng: random.Random) -> tuple[Any, ...]:
    text = rng.choice(["Our naïve Café 🤗 outplays 안", "embeddings, unaffable!", "a b  c"])
    start = rng.randrange(len(text))
    return _encoded(text), start, rng.randint(start + 1, len(text))


@check(
    "01",
    cases=_marks,
    hints=(
        "two ranges share a character if each begins before the other ends",
        "`left < end and right > start`, for (left, right) in encoding.offsets",
    ),
    drawn=_any_mark,
)
def touched(encoding: Any, start: int, end: int) -> list[int]:
    """The positions of the tokens that share a character with a part of the text."""
    marked = set(range(start, end))
    return [i for i, offsets in enumerate(encoding.offsets) if marked & set(range(*offsets))]


def _where(condition: Any) -> Any:
    return lambda encoding, start, end: [
        i for i, (left, right) in enumerate(encoding.offsets) if condition(left, right, start, end)
    ]


touched.wrong(
    "inside only",
    _where(lambda left, right, start, end: start <= left and right <= end > left and left < right),
    "you leave out tokens that are marked only in part: one shared character is enough",
)
touched.wrong(
    "neighbours too",
    _where(lambda left, right, start, end: left <= end and right >= start and left < right),
    "you also take tokens that only touch the edge: `end` is the first character that is not "
    "marked, so use < and >",
)
touched.wrong(
    "without CLS",
    lambda encoding, start, end: [i - 1 for i in touched.oracle(encoding, start, end)],
    "your positions are one too small: [CLS] stands at position 0",
)
touched.wrong(
    "beginning only",
    _where(lambda left, right, start, end: start <= left < end and right > left),
    "a token that begins before the mark and reaches into it is missing: look at its end, too",
)
