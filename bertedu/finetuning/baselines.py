"""What a model must beat: the majority, a bag of words, each word's usual tag, word overlap.

Each is a few lines, learns in seconds, and knows nothing of word order.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bertedu.errors import InputError
from bertedu.finetuning import slot_filling
from bertedu.finetuning.classification import ClassPrediction, class_prediction
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.chinese import CHINESE, split_chinese

Text = str | tuple[str, str]
_WORDS = re.compile(rf"[{CHINESE}]|[^\W{CHINESE}]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def majority(labels: Sequence[str]) -> str:
    """Returns the most frequent label, the first of them on a tie.

    Example:
        >>> majority(["no", "yes", "yes"])
        'yes'
    """
    if not labels:
        raise InputError("there is no label to count")
    return Counter(labels).most_common(1)[0][0]


@dataclass(frozen=True)
class BagOfWords:
    """Logistic regression on token counts; a pair of texts has two counts, side by side.

    Args:
        labels: the K classes.
        tokenizer: what counts as a token.
        weight: [V, K], or [2 V, K] for pairs; with the bias in the last row.

    Example:
        >>> from bertedu import load_tokenizer
        >>> texts = ["a good film", "a bad film", "so good", "so bad"]
        >>> bag = BagOfWords.fit(texts, ["+", "-", "+", "-"], load_tokenizer())
        >>> bag.predict(["good !", "bad !"])[0].label
        '+'
    """

    labels: tuple[str, ...]
    tokenizer: BertTokenizer
    weight: Tensor

    @classmethod
    def fit(
        cls,
        texts: Sequence[Text],
        labels: Sequence[str],
        tokenizer: BertTokenizer,
    ) -> "BagOfWords":
        """Returns the regression with the least sum of losses and of half the squared weights.

        Args:
            texts: one or pairs.
            labels: as many.
            tokenizer: what counts as a token.

        Raises:
            InputError: no texts, or not as many labels.
        """
        if not texts or len(texts) != len(labels):
            raise InputError(f"there are {len(texts)} texts and {len(labels)} labels")
        names = tuple(sorted(set(labels)))
        gold = torch.tensor([names.index(label) for label in labels])
        parts = 1 if isinstance(texts[0], str) else 2
        weight = torch.zeros(parts * len(tokenizer) + 1, len(names), requires_grad=True)
        ids, offsets = _ids(texts, tokenizer)
        optimizer = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            logits = F.embedding_bag(ids, weight, offsets, mode="sum")
            loss = F.cross_entropy(logits, gold) + weight.square().sum() / 2 / len(texts)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        return cls(names, tokenizer, weight.detach())

    def predict(self, texts: Sequence[Text]) -> list[ClassPrediction]:
        """Returns label and probabilities for each text or pair."""
        if not texts:
            return []
        ids, offsets = _ids(texts, self.tokenizer)
        logits = F.embedding_bag(ids, self.weight, offsets, mode="sum")
        return [class_prediction(row, self.labels) for row in logits]


def _ids(texts: Sequence[Text], tokenizer: BertTokenizer) -> tuple[Tensor, Tensor]:
    """Returns the tokens of all texts, one after another, and where each text begins.

    The second text's tokens have numbers of their own, and each text ends with the bias's.
    """
    size = len(tokenizer)
    if isinstance(texts[0], str):
        rows = tokenizer.ids_batch([str(text) for text in texts])
    else:
        first, second = (tokenizer.ids_batch([text[i] for text in texts]) for i in (0, 1))
        rows = [a + [size + i for i in b] for a, b in zip(first, second, strict=True)]
        size *= 2
    rows = [[*row, size] for row in rows]
    lengths = torch.tensor([0, *map(len, rows[:-1])])
    return torch.tensor([i for row in rows for i in row]), lengths.cumsum(0)


@dataclass(frozen=True)
class UsualTags:
    """Each word's most frequent tag; O for a word that training never saw.

    Args:
        tags: by the lower-case word.

    Example:
        >>> train = [slot_filling.Example.from_words(["to", "rome"], ["O", "B-city"])]
        >>> UsualTags.fit(train).predict([slot_filling.Example.from_words(["Rome", "now"])])
        [['B-city', 'O']]
    """

    tags: dict[str, str]

    @classmethod
    def fit(cls, examples: Sequence[slot_filling.Example]) -> "UsualTags":
        """Returns what the examples say of each word."""
        counts: dict[str, Counter[str]] = {}
        for example in examples:
            for word, tag in zip(example.words, example.tags or (), strict=False):
                counts.setdefault(word.lower(), Counter())[tag] += 1
        return cls({word: seen.most_common(1)[0][0] for word, seen in counts.items()})

    def predict(self, examples: Sequence[slot_filling.Example]) -> list[list[str]]:
        """Returns a tag a word, for `slot_filling.slot_scores`."""
        return [
            [self.tags.get(word.lower(), slot_filling.OUTSIDE) for word in example.words]
            for example in examples
        ]


def overlapping_words(question: str, document: str) -> str:
    """Returns an answer by counting words alone, for `question_answering.squad_scores`.

    It is taken from the sentence that shares most words with the question: the longest run of
    words in it that the question has not, at most five of them; of Chinese, a word is a character.

    Source: the idea of Rajpurkar et al. 2016, section 5.1 (their sliding-window baseline).

    Example:
        >>> overlapping_words("Who drew the map?", "It rained. Anna Bell drew the map.")
        'Anna Bell'
    """
    asked = set(_WORDS.findall(question.lower()))

    def shared(sentence: str) -> int:
        return len(asked & set(_WORDS.findall(sentence.lower())))

    parts = split_chinese(document) or [document]
    sentence = max((each for part in parts for each in _SENTENCE_END.split(part)), key=shared)
    best: list[re.Match[str]] = []
    run: list[re.Match[str]] = []
    for word in _WORDS.finditer(sentence):
        run = [] if word[0].lower() in asked else [*run, word][-5:]
        if len(run) > len(best):
            best = run
    return sentence[best[0].start() : best[-1].end()] if best else sentence.strip()
