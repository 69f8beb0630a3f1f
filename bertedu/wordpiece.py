"""How a text becomes pieces: every step that the tokenizer takes at once, kept to be looked at.

    text -> characters -> normalised -> words -> pieces

The answer is the tokenizer's own, which tests hold on text of every kind; only what happens on
the way is added here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from bertedu.errors import InputError
from bertedu.tokenizer import LONGEST_WORD, SPECIAL_TOKENS, BertTokenizer

CLEAN, CHINESE, ACCENTS, LOWERCASE = STEPS = (
    "clean_text",  # control characters go, every white space becomes a space
    "handle_chinese_chars",  # a space on both sides of a Chinese character
    "strip_accents",  # decompose to NFD, drop the marks
    "lowercase",
)
# The tokenizer's four switches, one at a time. Python's `unicodedata` would not do: its tables
# are newer, and differ between versions of Python.
_ALONE = {step: BertNormalizer(**{name: name == step for name in STEPS}) for step in STEPS}
_SPLITTER = BertPreTokenizer()
_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")


@dataclass(frozen=True)
class Character:
    """One character of the text: what it is normalised to, and by which of the steps.

    Attributes:
        original: as typed.
        normalized: no character, one, or several.
        changed_by: the steps that changed it.
    """

    original: str
    normalized: str
    changed_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Piece:
    """A token, its id, and the characters `text[start:end]` that it stands for."""

    token: str
    id: int
    start: int
    end: int


@dataclass(frozen=True)
class Word:
    """A word and its pieces.

    Attributes:
        text: normalised.
        start: where its first character stands in the text.
        end: one past its last character.
        searches: one tuple a piece: the candidates in the order tried, longest first. Only the
            last one can be in the vocabulary; if even that is not, the whole word is [UNK].
            Without any search: a special token, or longer than LONGEST_WORD.
        pieces: what the word becomes.
    """

    text: str
    start: int
    end: int
    searches: tuple[tuple[str, ...], ...]
    pieces: tuple[Piece, ...]

    @property
    def special(self) -> bool:
        """Whether it is a special token written in the text, which nothing may split."""
        return self.text in SPECIAL_TOKENS


@dataclass(frozen=True)
class Trace:
    """All that happened to one text; `characters` has one entry for each of its characters."""

    text: str
    characters: tuple[Character, ...]
    words: tuple[Word, ...]

    @property
    def pieces(self) -> list[Piece]:
        """The pieces of all words in order: those of `BertTokenizer.encode`, none around them."""
        return [piece for word in self.words for piece in word.pieces]


def wordpiece_trace(text: str, tokenizer: BertTokenizer) -> Trace:
    """Returns every step from the text to its pieces.

    Args:
        text: one segment; special tokens written in it, such as [MASK], are taken as such.
        tokenizer: gives the vocabulary and what is normalised.

    Raises:
        InputError: not a text, or a tokenizer that does not split as BERT's own.

    Source: google-research/bert tokenization.py, BasicTokenizer and WordpieceTokenizer.

    Example:
        >>> from bertedu.tokenizer import BertTokenizer
        >>> tokenizer = BertTokenizer([*SPECIAL_TOKENS, "he", "play", "##ing", "##in"])
        >>> trace = wordpiece_trace("Playing", tokenizer)
        >>> trace.characters[0]
        Character(original='P', normalized='p', changed_by=('lowercase',))
        >>> trace.words[0].searches
        (('playing', 'playin', 'playi', 'play'), ('##ing',))
        >>> trace.pieces[1]
        Piece(token='##ing', id=7, start=4, end=7)
    """
    if not tokenizer.usual:
        raise InputError(
            "this tokenizer has added tokens, or a normalizer of its own: its steps are not BERT's"
        )
    tokenizer.ids(text)  # refuses what is no text
    steps = _steps(tokenizer)
    characters: list[Character] = []
    words: list[Word] = []
    for part in _SPECIAL.split(text):
        start = len(characters)
        if part in SPECIAL_TOKENS:
            piece = Piece(part, tokenizer.vocab[part], start, start + len(part))
            words.append(Word(part, piece.start, piece.end, (), (piece,)))
            characters += (Character(character, character) for character in part)
        else:
            characters += (normalize_character(character, steps) for character in part)
            spelled = [
                (c, i) for i, of in enumerate(characters[start:], start) for c in of.normalized
            ]
            words += (_word(letters, tokenizer) for letters in split_words(spelled))
    return Trace(text, tuple(characters), tuple(words))


@cache
def normalize_character(character: str, steps: tuple[str, ...] = STEPS) -> Character:
    """Returns what one character becomes, step by step.

    No step looks at a neighbour, so a text is normalised one character at a time, and every
    result knows where it came from.

    Example:
        >>> normalize_character("É")
        Character(original='É', normalized='e', changed_by=('strip_accents', 'lowercase'))
        >>> normalize_character(chr(0x200D)).normalized  # zero-width joiner
        ''
    """
    current, changed_by = character, []
    for step in steps:
        after = _ALONE[step].normalize_str(current)
        if after != current:
            changed_by.append(step)
        current = after
    return Character(character, current, tuple(changed_by))


def split_words(letters: Iterable[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """Returns the words: split at spaces, and each punctuation mark a word of its own.

    Args:
        letters: normalised characters, each with its place in the text.

    Example:
        >>> ["".join(c for c, _ in word) for word in split_words(zip("he's in.", range(8)))]
        ['he', "'", 's', 'in', '.']
    """
    words: list[list[tuple[str, int]]] = [[]]
    for character, place in letters:
        if character.isspace():
            words.append([])
        elif is_punctuation(character):
            words += [[(character, place)], []]
        else:
            words[-1].append((character, place))
    return [word for word in words if word]


@cache
def is_punctuation(character: str) -> bool:
    """Returns whether BERT sets the character apart: Unicode's P*, and all ASCII symbols.

    Example:
        >>> [is_punctuation(c) for c in ".$a€"]
        [True, True, False, False]
    """
    return len(_SPLITTER.pre_tokenize_str(f"a{character}")) > 1


def longest_matches(word: str, vocab: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Returns, for each piece of a word, the candidates tried, longest first.

    A search ends with the candidate that is in the vocabulary, and the next one starts behind
    it. The last search of a word that cannot be spelled ends without one.

    Example:
        >>> longest_matches("hugs", {"hu": 0, "##g": 1, "##s": 2})
        [('hugs', 'hug', 'hu'), ('##gs', '##g'), ('##s',)]
        >>> longest_matches("hub", {"hu": 0})
        [('hub', 'hu'), ('##b',)]
    """
    searches: list[tuple[str, ...]] = []
    start = 0
    while start < len(word) <= LONGEST_WORD:
        tried: list[str] = []
        for end in range(len(word), start, -1):
            tried.append(("##" if start else "") + word[start:end])
            if tried[-1] in vocab:
                break
        searches.append(tuple(tried))
        if tried[-1] not in vocab:
            break
        start = end
    return searches


def _word(letters: list[tuple[str, int]], tokenizer: BertTokenizer) -> Word:
    text = "".join(character for character, _ in letters)
    places = [place for _, place in letters]
    searches = tuple(longest_matches(text, tokenizer.vocab))
    if not searches or searches[-1][-1] not in tokenizer.vocab:
        tokens, lengths = ["[UNK]"], [len(text)]
    else:
        tokens = [tried[-1] for tried in searches]
        lengths = [len(token) - 2 * bool(i) for i, token in enumerate(tokens)]
    pieces, first = [], 0
    for token, length in zip(tokens, lengths, strict=True):
        last = first + length - 1
        pieces.append(Piece(token, tokenizer.vocab[token], places[first], places[last] + 1))
        first += length
    return Word(text, places[0], places[-1] + 1, searches, tuple(pieces))


def _steps(tokenizer: BertTokenizer) -> tuple[str, ...]:
    accents = tokenizer.strip_accents
    on = {
        CLEAN: True,
        CHINESE: tokenizer.tokenize_chinese_chars,
        ACCENTS: tokenizer.lowercase if accents is None else accents,
        LOWERCASE: tokenizer.lowercase,
    }
    return tuple(step for step in STEPS if on[step])
