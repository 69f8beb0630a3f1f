"""Build next sentence prediction's pairs from real documents, one by one or by the thousand."""

from collections.abc import Mapping

import numpy as np

from bertedu.checkpoint import load_tokenizer
from bertedu.data import HELD_OUT
from bertedu.errors import InputError
from bertedu.heads import IS_NEXT
from bertedu.pretraining.corpus import Corpus, split_sentences
from bertedu.pretraining.pairs import PairSampler
from bertedu.tokenizer import BertTokenizer
from bertedu.widgets.base import Widget, pack

MOST_TOKENS = 50_000  # of all documents: what a page carries without being felt


class SentencePairBuilder(Widget):
    """Shows how `[CLS] A [SEP] B [SEP]` and its label are made, with rules good and faulty.

    Label 0 says that B follows A, label 1 that B is random: Google's convention.

    Args:
        documents: names and texts; None means the course's held-out documents. Documents of a
            single sentence are left out, as `PairSampler` does.
        tokenizer: None means the embedded checkpoint's.
        max_length: tokens of a pair at most, special tokens counted.
        seed: decides the first pair, and all random draws in the browser.

    Raises:
        InputError: fewer than two documents have two sentences, they have more than MOST_TOKENS
            tokens, or `max_length` has no room for a pair.

    Example:
        >>> documents = {
        ...     "dog": "My dog is cute. He likes playing.",
        ...     "calculus": "Calculus is a branch of math. It was developed by two people.",
        ... }
        >>> SentencePairBuilder(documents)
        SentencePairBuilder(2 documents, 4 sentences, 23 tokens; pairs of at most 64 tokens)
    """

    def __init__(
        self,
        documents: Mapping[str, str] | None = None,
        tokenizer: BertTokenizer | None = None,
        max_length: int = 64,
        seed: int = 0,
    ) -> None:
        self.tokenizer = load_tokenizer() if tokenizer is None else tokenizer
        texts = _course_documents() if documents is None else documents
        self.names, self.sentences, self.corpus = _read(texts, self.tokenizer)
        if self.corpus.num_tokens > MOST_TOKENS:
            raise InputError(
                f"The documents have {self.corpus.num_tokens:,} tokens and this picture carries "
                f"at most {MOST_TOKENS:,}: give fewer documents."
            )
        self.max_length = max_length
        super().__init__(data=self._packed(seed))

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        return (
            f"{len(self.names)} documents, {self.corpus.num_sentences} sentences, "
            f"{self.corpus.num_tokens:,} tokens; pairs of at most {self.max_length} tokens"
        )

    def _sentence_at(self, token: int) -> int:
        return int(np.searchsorted(self.corpus.sentence_starts, token, "right")) - 1

    def _packed(self, seed: int) -> bytes:
        sampler = PairSampler(
            self.corpus, self.tokenizer, max_length=self.max_length, seed=seed, short_share=0
        )
        pairs = sampler.epoch(0).examples
        first = pairs[int((pairs["next_sentence_label"] == IS_NEXT).argmax())]
        special = {name: getattr(self.tokenizer, f"{name}_token_id") for name in ("cls", "sep")}
        used = {*self.corpus.ids.tolist(), *special.values()}
        header = {
            "names": self.names,
            "sentences": self.sentences,
            "pieces": {index: self.tokenizer.tokens[index] for index in sorted(used)},
            "special": special,
            "max_length": self.max_length,
            "seed": seed,
            # A's first sentence, and B's, in the pair that is shown first.
            "first": [self._sentence_at(first["a_start"]), self._sentence_at(first["b_start"])],
        }
        return pack(
            header,
            ids=self.corpus.ids.astype(np.int32),
            sentence_starts=self.corpus.sentence_starts.astype(np.int32),
            document_starts=self.corpus.document_starts.astype(np.int32),
        )


def _course_documents() -> dict[str, str]:
    """The held-out documents: the first of every topic, then the second of every topic, ..."""
    texts = {
        (number, path.stem.replace("_", " ")): text
        for path in sorted(HELD_OUT.glob("*.txt"))
        for number, text in enumerate(path.read_text("utf-8").split("\n\n"), 1)
    }
    return {f"{topic} {number}": texts[number, topic] for number, topic in sorted(texts)}


def _read(
    texts: Mapping[str, str], tokenizer: BertTokenizer
) -> tuple[list[str], list[str], Corpus]:
    """Names of documents, texts of sentences, and token ids, of what can be part of a pair."""
    names: list[str] = []
    sentences: list[str] = []
    ids: list[int] = []
    sentence_starts, document_starts = [0], [0]
    marks = tokenizer.special_ids - {tokenizer.unk_token_id}
    for name, text in texts.items():
        split = [s for paragraph in text.splitlines() for s in split_sentences(paragraph.strip())]
        encoded = ([i for i in s if i not in marks] for s in tokenizer.ids_batch(split))
        kept = [(s, i) for s, i in zip(split, encoded, strict=True) if i]
        if len(kept) < 2:
            continue
        names.append(name)
        for sentence, pieces in kept:
            sentences.append(sentence)
            ids += pieces
            sentence_starts.append(len(ids))
        document_starts.append(len(sentences))
    corpus = Corpus(
        np.array(ids, np.uint32),
        np.array(sentence_starts, np.int64),
        np.array(document_starts, np.int64),
    )
    return names, sentences, corpus
