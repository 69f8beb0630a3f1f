"""Type a text and watch it become pieces, ids and offsets, step by step."""

from typing import Any

import traitlets

from bertedu.checkpoint import load_tokenizer
from bertedu.encoding import Encoding
from bertedu.errors import InputError
from bertedu.tokenizer import LONGEST_WORD, BertTokenizer
from bertedu.widgets.base import AskingWidget
from bertedu.widgets.web_pack import tokenizer_checksum
from bertedu.wordpiece import STEPS, Trace, Word, wordpiece_trace

LONGEST_TEXT = 2_000  # characters of both texts: a picture that a browser repaints at once


class WordPieceExplorer(AskingWidget):
    """Shows a text on its way to BERT: normalised, split, matched, numbered.

    Args:
        text: segment A.
        pair: segment B, or None.
        tokenizer: None means the embedded checkpoint's.

    Attributes:
        text, pair: what is shown; changes when the reader types, and can be set.
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: the first text is no text, or longer than LONGEST_TEXT characters.

    Example:
        >>> explorer = WordPieceExplorer("my dog is cute", "he likes unplayable games")
        >>> explorer
        WordPieceExplorer(13 tokens: 8 words, 10 pieces, 0 unknown)
        >>> explorer.text = "my dog"
        >>> explorer.pair = None
        >>> explorer
        WordPieceExplorer(4 tokens: 2 words, 2 pieces, 0 unknown)
    """

    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)

    def __init__(
        self,
        text: str = "my dog is unaffable",
        pair: str | None = None,
        tokenizer: BertTokenizer | None = None,
    ) -> None:
        self.tokenizer = load_tokenizer() if tokenizer is None else tokenizer
        super().__init__({}, text=text, pair=pair)

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        words = [word for trace in self._traces for word in trace.words]
        pieces = [piece for word in words for piece in word.pieces]
        unknown = sum(piece.id == self.tokenizer.unk_token_id for piece in pieces)
        return (
            f"{len(self._encoding)} tokens: {len(words)} words, {len(pieces)} pieces, "
            f"{unknown} unknown"
        )

    def checksum(self) -> str:
        """Returns the tokenizer's checksum."""
        return tokenizer_checksum(self.tokenizer)

    def _look(self, text: str, pair: str | None) -> None:
        length = len(text) + len(pair or "")
        if length > LONGEST_TEXT:
            raise InputError(
                f"The text has {length:,} characters and this picture shows at most "
                f"{LONGEST_TEXT:,}: shorten it."
            )
        encoding = self.tokenizer.encode(text, pair)
        segments = [text] if pair is None else [text, pair]
        self._traces: list[Trace] = [wordpiece_trace(s, self.tokenizer) for s in segments]
        self._encoding: Encoding = encoding

    def _packed(self) -> dict[str, Any]:
        encoding = self._encoding
        return {
            "longest_word": LONGEST_WORD,
            "steps": STEPS,
            "segments": [
                {
                    "text": trace.text,
                    "normalized": [c.normalized for c in trace.characters],
                    "changed": {
                        i: [STEPS.index(step) for step in c.changed_by]
                        for i, c in enumerate(trace.characters)
                        if c.changed_by
                    },
                    "words": [self._described(word) for word in trace.words],
                }
                for trace in self._traces
            ],
            "tokens": encoding.tokens,
            "ids": encoding.input_ids.tolist(),
            "types": encoding.token_type_ids.tolist(),
            "added": encoding.special_tokens_mask,
            "offsets": encoding.offsets,
            "special_ids": sorted(self.tokenizer.special_ids),
        }

    def _described(self, word: Word) -> dict[str, Any]:
        """A word without its candidates: they follow from where each match ended."""
        matched = [tried[-1] for tried in word.searches]
        return {
            "text": word.text,
            "start": word.start,
            "end": word.end,
            "special": word.special,
            "pieces": [piece.token for piece in word.pieces],
            "matches": [[token, self.tokenizer.vocab.get(token)] for token in matched],
        }
