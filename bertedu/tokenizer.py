"""Text to BERT's input, and back: WordPiece tokens, ids, segments and character offsets.

The `tokenizers` package splits; the assembling, `[CLS] A [SEP] B [SEP]`, is done here.
`bertedu.wordpiece` shows the splitting step by step.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from bertedu.encoding import Encoding, Offsets
from bertedu.errors import CheckpointError, InputError
from bertedu.utils.files import replacing, write_json
from bertedu.utils.published_tokenizer import ROLES, read

SPECIAL_TOKENS = tuple(ROLES.values())
LONGEST_WORD = 100  # characters; a longer word is [UNK], as in Hugging Face (Google: 200)
_UNUSED = re.compile(r"\[unused\d+\]")


@dataclass(frozen=True)
class _Pieces:
    """The pieces of one text, no special tokens around them."""

    text: str
    ids: list[int]
    tokens: list[str]
    offsets: list[Offsets]

    def cut(self, start: int, stop: int) -> "_Pieces":
        part = slice(start, stop)
        return _Pieces(self.text, self.ids[part], self.tokens[part], self.offsets[part])


class BertTokenizer:
    """BERT's WordPiece tokenizer.

    Attributes:
        usual: its splitting is BERT's own, and its vocabulary has no added tokens; False only for
            some that were published (`from_folder`).

    Args:
        vocab: the tokens in the order of their ids, or a mapping from token to id.
        lowercase: lower-case first; also strips accents, unless `strip_accents` says otherwise.
        strip_accents: None = as `lowercase`.
        tokenize_chinese_chars: every Chinese character is a word of its own.

    Raises:
        InputError: a vocabulary with doubles, gaps, or without one of the special tokens.

    Source: google-research/bert tokenization.py, FullTokenizer.

    Example:
        >>> words = ["my", "dog", "likes", "play", "##ing"]
        >>> tokenizer = BertTokenizer([*SPECIAL_TOKENS, *words])
        >>> tokenizer.encode("My dog", "likes playing").tokens
        ['[CLS]', 'my', 'dog', '[SEP]', 'likes', 'play', '##ing', '[SEP]']
    """

    def __init__(
        self,
        vocab: Sequence[str] | Mapping[str, int],
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
    ) -> None:
        tokens = list(vocab) if not isinstance(vocab, Mapping) else sorted(vocab, key=vocab.get)  # type: ignore[arg-type]
        self.tokens: list[str] = tokens
        self.vocab: dict[str, int] = {token: index for index, token in enumerate(tokens)}
        if isinstance(vocab, Mapping) and dict(vocab) != self.vocab:
            raise InputError("the vocabulary's ids must run from 0 without a gap")
        if len(self.vocab) != len(tokens):
            double = next(token for i, token in enumerate(tokens) if self.vocab[token] != i)
            raise InputError(f"the vocabulary holds {double!r} more than once")
        if missing := [token for token in SPECIAL_TOKENS if token not in self.vocab]:
            raise InputError(f"the vocabulary lacks {', '.join(missing)}")
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars
        (self.pad_token_id, self.unk_token_id, self.cls_token_id, self.sep_token_id,
         self.mask_token_id) = (self.vocab[token] for token in SPECIAL_TOKENS)  # fmt: skip
        self.special_ids = frozenset(self.vocab[token] for token in SPECIAL_TOKENS)
        self._splitter = Tokenizer(
            WordPiece(
                self.vocab, unk_token=SPECIAL_TOKENS[1], max_input_chars_per_word=LONGEST_WORD
            )
        )
        self._splitter.normalizer = BertNormalizer(
            clean_text=True,
            handle_chinese_chars=tokenize_chinese_chars,
            strip_accents=strip_accents,
            lowercase=lowercase,
        )
        self._splitter.pre_tokenizer = BertPreTokenizer()
        self._splitter.add_special_tokens([AddedToken(t, special=True) for t in SPECIAL_TOKENS])
        self.usual = True

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> "BertTokenizer":
        """Returns the tokenizer of a checkpoint folder, as transformers reads it.

        Raises:
            CheckpointError: there is none, its files disagree, or it is not BERT's WordPiece.
        """
        try:
            published = read(Path(folder), LONGEST_WORD)
            tokenizer = cls(published.tokens, **published.switches)  # type: ignore[arg-type]
            tokenizer._extend(published.splitter, published.added)
            for token, index in published.ids.items():
                if tokenizer.vocab.get(token) != index:
                    raise InputError(
                        f"the added token {token!r:.40} has the id {index!r:.40}, and the next "
                        f"free one is {len(published.tokens)}"
                    )
            tokenizer.ids("[CLS] a\u0301 \u4f60")  # what cannot split anything is found here
            return tokenizer
        except (InputError, CheckpointError) as error:
            raise CheckpointError(f"the tokenizer in {folder} cannot be read: {error}") from error
        except Exception as error:  # a file that holds other things than it should
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise CheckpointError(
                f"the tokenizer in {folder} cannot be read ({reason:.80}): copy its files again"
            ) from error

    def _extend(self, splitter: Tokenizer | None, added: Sequence[AddedToken]) -> None:
        """Takes another splitter, and tokens that are found in a text before it is split."""
        own = _state(self._splitter)
        if splitter is not None:
            splitter.add_special_tokens([AddedToken(t, special=True) for t in SPECIAL_TOKENS])
            self._splitter = splitter
        self._splitter.add_tokens(list(added))
        self.usual = _state(self._splitter) == own
        ids = self._splitter.get_vocab()  # in another order every time
        self.tokens = sorted(ids, key=ids.__getitem__)
        self.vocab = {token: ids[token] for token in self.tokens}
        known = self._splitter.get_added_tokens_decoder()
        self.special_ids |= {index for index, token in known.items() if token.special}

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes what transformers also reads: vocab.txt and tokenizer_config.json.

        Of a tokenizer that is not BERT's usual one, tokenizer.json says how it splits.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        base = self.tokens[: self._splitter.get_vocab_size(with_added_tokens=False)]
        with replacing(folder / "vocab.txt") as temporary:
            temporary.write_text("\n".join(base) + "\n", encoding="utf-8")
        for name in ("tokenizer.json", "added_tokens.json", "special_tokens_map.json"):
            (folder / name).unlink(missing_ok=True)  # of another that was saved here
        settings = {
            "do_lower_case": self.lowercase,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "tokenizer_class": "BertTokenizer",
        }
        if not self.usual:
            cls, sep = ((token, self.vocab[token]) for token in ("[CLS]", "[SEP]"))
            self._splitter.post_processor = TemplateProcessing(
                single="[CLS] $A [SEP]",
                pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                special_tokens=[cls, sep],
            )
            with replacing(folder / "tokenizer.json") as temporary:
                temporary.write_text(self._splitter.to_str(), encoding="utf-8")
            settings |= {**ROLES, "tokenizer_class": "PreTrainedTokenizerFast"}
        write_json(folder / "tokenizer_config.json", settings)

    def __len__(self) -> int:
        """V, the number of tokens in the vocabulary."""
        return len(self.tokens)

    @cached_property
    def ordinary_ids(self) -> Tensor:
        """int64 ids that are neither special nor [unusedN]: what a random token may be."""
        return torch.tensor(
            [
                index
                for index, token in enumerate(self.tokens)
                if index not in self.special_ids and not _UNUSED.fullmatch(token)
            ]
        )

    def encode(
        self,
        text: str,
        pair: str | None = None,
        *,
        max_length: int | None = None,
        truncate: bool = False,
    ) -> Encoding:
        """Returns `[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`.

        Args:
            text: segment A; special tokens written in it, such as [MASK], are taken as such.
            pair: segment B.
            max_length: the most tokens allowed, special ones included.
            truncate: cut to max_length, from the end of the longer segment, token by token
                (from the second on a tie); False refuses what is too long.

        Raises:
            InputError: the text is too long, or not text.

        Source: google-research/bert run_classifier.py, convert_single_example and
        _truncate_seq_pair. (Hugging Face's fast tokenizer may give the odd token to the other
        segment when both are cut.)
        """
        first = self._pieces(text)
        second = None if pair is None else self._pieces(pair)
        around = 2 if second is None else 3
        total = len(first.ids) + (len(second.ids) if second else 0) + around
        if max_length is not None and total > max_length:
            if not truncate:
                raise InputError(
                    f"the text has {total:,} tokens and max_length is {max_length}: shorten it, "
                    "or encode it with truncate=True"
                )
            room = max_length - around
            if room < 0:
                raise InputError(f"max_length is {max_length}; an input needs {around} or more")
            kept = kept_lengths(len(first.ids), len(second.ids) if second else 0, room)
            first = first.cut(0, kept[0])
            second = second.cut(0, kept[1]) if second else None
            return replace(self._assemble(first, second), truncated=total - max_length)
        return self._assemble(first, second)

    def encode_windows(
        self, question: str, document: str, *, max_length: int = 384, overlap: int = 128
    ) -> list[Encoding]:
        """Returns `[CLS] question [SEP] window [SEP]` for windows that cover the document.

        Args:
            question: segment A, never cut.
            document: segment B, cut into windows.
            max_length: tokens of a window with its question and special tokens, at most.
            overlap: tokens that a window shares with the one before (Hugging Face's `stride`).

        Raises:
            InputError: the question leaves no room for more than the overlap.
        """
        if overlap < 0:
            raise InputError(f"overlap is {overlap}; it must be 0 or more")
        first, second = self._pieces(question), self._pieces(document)
        room = max_length - len(first.ids) - 3
        if room <= overlap and len(second.ids) > room:
            raise InputError(
                f"the question's {len(first.ids)} tokens leave {room} of {max_length} for the "
                f"document, and windows overlap by {overlap}: shorten the question, raise "
                "max_length or lower overlap"
            )
        windows = []
        for start in range(0, max(1, len(second.ids)), max(1, room - overlap)):
            windows.append(self._assemble(first, second.cut(start, start + room)))
            if start + room >= len(second.ids):
                break
        return windows

    def ids(self, text: str) -> list[int]:
        """Returns the ids of one text's pieces, nothing around them."""
        return self._pieces(text).ids

    def ids_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Returns the ids of each text's pieces, on all cores."""
        if isinstance(texts, str):
            raise InputError("this is one string: give a list of texts")
        texts = list(texts)
        try:
            encodings = self._splitter.encode_batch_fast(texts, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            return [self._pieces(text).ids for text in texts]  # names what is wrong
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """Returns readable text: pieces joined to words, words by spaces.

        Raises:
            InputError: an id outside the vocabulary.
        """
        words: list[str] = []
        for index in map(int, ids):
            if not 0 <= index < len(self.tokens):
                raise InputError(f"id {index} is outside 0 to {len(self.tokens) - 1}")
            token = self.tokens[index]
            if index in self.special_ids and skip_special:
                continue
            if token.startswith("##") and words:
                words[-1] += token[2:]
            else:
                words.append(token)
        return " ".join(words)

    def _pieces(self, text: str) -> _Pieces:
        if not isinstance(text, str):
            raise InputError(f"the text is {type(text).__name__}, not a string")
        try:
            encoding = self._splitter.encode(text, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            raise InputError(
                "the text holds half of a surrogate pair, which is no character: decode it "
                'with errors="replace"'
            ) from error
        ids = encoding.ids
        return _Pieces(text, ids, [self.tokens[index] for index in ids], encoding.offsets)

    def _assemble(self, first: _Pieces, second: _Pieces | None) -> Encoding:
        cls, sep = (_Pieces("", [self.vocab[t]], [t], [(0, 0)]) for t in ("[CLS]", "[SEP]"))
        parts = [cls, first, sep] + ([second, sep] if second is not None else [])
        ids = [index for part in parts for index in part.ids]
        boundary = len(first.ids) + 2
        return Encoding(
            text=first.text,
            pair=None if second is None else second.text,
            tokens=[token for part in parts for token in part.tokens],
            input_ids=torch.tensor(ids),
            token_type_ids=(torch.arange(len(ids)) >= boundary).long(),
            attention_mask=torch.ones(len(ids), dtype=torch.int64),
            offsets=[offset for part in parts for offset in part.offsets],
            special_tokens_mask=[int(p is cls or p is sep) for p in parts for _ in p.ids],
        )


def kept_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """Returns how many tokens of each segment stay when both must fit into `room`.

    The longer segment loses its last token until they fit; on a tie, the second.

    Example:
        >>> kept_lengths(9, 4, 10), kept_lengths(9, 9, 11)
        ((6, 4), (6, 5))
    """
    if first + second <= room:
        return first, second
    if second <= room // 2:  # only the first is cut
        return room - second, second
    if first <= (room + 1) // 2:
        return first, room - first
    return room - room // 2, room // 2


def _state(splitter: Tokenizer) -> str:
    """Returns all that makes a splitter what it is, but for its vocabulary."""
    parts = (splitter.normalizer, splitter.pre_tokenizer)
    states = [None if part is None else part.__getstate__() for part in parts]
    return repr(
        (states, splitter.model.max_input_chars_per_word, splitter.get_added_tokens_decoder())
    )
