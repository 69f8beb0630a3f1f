"""Case 4, question answering: the answer is a span of the document, found by two learned vectors.

A long document is read in overlapping windows. The answer is an exact slice of the document.

Source: Devlin et al. 2019, sections 4.2 and 4.3.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from bertedu.config import BertConfig
from bertedu.encoding import Offsets
from bertedu.errors import InputError
from bertedu.finetuning.spans import Windows, best_spans, illegal_spans, merge_logits, windows_of
from bertedu.finetuning.squad import Answer, Example, read, scored, squad_scores
from bertedu.finetuning.task import Feature, Task
from bertedu.heads import BertForQuestionAnswering
from bertedu.tokenizer import BertTokenizer
from bertedu.training.batches import Batch
from bertedu.utils.chinese import word_starts

__all__ = [
    "NO_ANSWER",
    "Answer",
    "AnswerPrediction",
    "Example",
    "QuestionAnswering",
    "SpanAnswer",
    "read",
    "squad_scores",
]

NO_ANSWER = ""


class SpanAnswer(NamedTuple):
    """One possible answer.

    Attributes:
        text: exactly as in the document.
        start: its first character.
        end: after its last character.
        first_token: position in the input.
        last_token: position of its last token.
        first_word: counted from 1, words being what blanks part, and each Chinese character.
        last_word: counted from 1.
        probability: among all legal spans, and no answer where that is an option.
        score: start logit of the first token + end logit of the last.
    """

    text: str
    start: int
    end: int
    first_token: int
    last_token: int
    first_word: int
    last_word: int
    probability: float
    score: float


class AnswerPrediction(NamedTuple):
    """What was found in one document.

    Attributes:
        text: the answer; "" = there is none.
        question: as given.
        document: as given.
        tokens: S of them, [CLS] question [SEP] document [SEP], however long the document.
        offsets: of each token, (start, end) in the characters of its own text.
        first: position of the document's first token.
        start_logits: float32 [S]; of a document in windows, each token's where it has the most
            context.
        end_logits: the same.
        spans: the best legal ones, the likeliest first; their probabilities and
            no_answer_probability are of one softmax, and sum to at most 1.
        no_answer_probability: 0 where no answer is not an option.
        null_score: start logit + end logit of [CLS].
        illegal: how many pairs of positions are no answer, by reason.
        windows: how many the document was read in.
    """

    text: str
    question: str
    document: str
    tokens: list[str]
    offsets: list[Offsets]
    first: int
    start_logits: Tensor
    end_logits: Tensor
    spans: list[SpanAnswer]
    no_answer_probability: float
    null_score: float
    illegal: dict[str, int]
    windows: int

    def __str__(self) -> str:
        """Returns the answer and its probability."""
        if not self.text:
            return f"no answer ({self.no_answer_probability:.1%})"
        return f"{self.text} ({self.spans[0].probability:.1%})"

    def to_json(self) -> dict[str, Any]:
        """Returns the answer and the best spans."""
        return {
            "text": self.text,
            "no_answer_probability": self.no_answer_probability,
            "spans": [span._asdict() for span in self.spans],
        }

    def chances(self) -> list[str]:
        """Returns a line for each of the three best spans, and one for no answer."""
        lines = [f"{span.text}: {100 * span.probability:.1f} %" for span in self.spans[:3]]
        if self.no_answer_probability:
            lines.append(f"(no answer: {100 * self.no_answer_probability:.1f} %)")
        return lines


@dataclass(frozen=True)
class QuestionAnswering(Task[Example, AnswerPrediction]):
    """The span of a document that answers a question.

    Args:
        no_answer: "there is none" is an option; None = if the training questions have such.
        null_threshold: no answer is given where null_score exceeds the best span's score by more.
        overlap: tokens that a window shares with the one before.
        max_answer_tokens: of an answer.
        n_best: spans in a prediction.

    Example:
        >>> where = Example("Who?", "Newton did.", (Answer("Newton", 0),))
        >>> QuestionAnswering().learned_from([where]).no_answer
        False
    """

    no_answer: bool | None = None
    null_threshold: float = 0.0
    overlap: int = 128
    max_answer_tokens: int = 30
    n_best: int = 20
    name = "question_answering"
    best = "f1"
    new = ("qa_outputs",)
    max_length = 384
    example_type = Example
    texts = (("question",), ("document", "context"))
    architecture = "BertForQuestionAnswering"
    read = staticmethod(read)

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name, least in {"overlap": 0, "max_answer_tokens": 1, "n_best": 1}.items():
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {least}")

    def group(self, example: Example) -> str:
        """Returns the document: questions about one document stay together."""
        return example.document

    def trainable(self, example: Example) -> bool:
        """Returns whether it is known where the answer stands, or that there is none."""
        return example.impossible or example.target is not None

    def learned_from(self, examples: Sequence[Example]) -> Self:
        """Returns the task, which offers no answer if one of the questions has none."""
        if not any(example.target for example in examples):
            raise InputError("no training question has an answer whose place is known")
        if self.no_answer is not None:
            return self
        return replace(self, no_answer=any(example.impossible for example in examples))

    def features(
        self, example: Example, tokenizer: BertTokenizer, max_length: int
    ) -> list[Feature]:
        """Returns `[CLS] question [SEP] window [SEP]` for every window of the document.

        A window that does not hold the whole answer learns [CLS], as in the reference.
        """
        if not example.document.strip():
            raise InputError(f"the document of {example.question[:60]!r} is empty: give its text")
        encodings = tokenizer.encode_windows(
            example.question, example.document, max_length=max_length, overlap=self.overlap
        )
        windows = windows_of(encodings, self.overlap)
        if not windows.stops[-1]:
            raise InputError(f"the document of {example.question[:60]!r} has no token to answer")
        tokens = _tokens_of(example.target, windows)
        if tokens is None and not example.impossible:  # no answer, or one without a token: "\u200b"
            return [Feature(encoding) for encoding in encodings]
        features = []
        for encoding, start, stop in zip(encodings, windows.starts, windows.stops, strict=True):
            inside = tokens is not None and start <= tokens[0] and tokens[1] < stop
            ends = [windows.first + t - start for t in tokens] if tokens and inside else [0, 0]
            labels = zip(("start_positions", "end_positions"), map(torch.tensor, ends), strict=True)
            features.append(Feature(encoding, dict(labels)))
        return features

    def head(self, config: BertConfig) -> nn.Module:
        """Returns fresh start and end vectors on an encoder."""
        return BertForQuestionAnswering(config, ignore_padding=True)

    def losses(self, output: Any) -> dict[str, Tensor]:
        """Returns the mean of the start's and the end's loss."""
        return {"start_positions": output.loss}

    def decode(
        self, example: Example, features: Sequence[Feature], outputs: Sequence[Batch]
    ) -> AnswerPrediction:
        """Returns the best legal spans of the whole document."""
        windows = windows_of([feature.encoding for feature in features], self.overlap)
        logits = merge_logits(windows, [output["logits"] for output in outputs])  # [S, 2]
        null_score = float(logits[0].sum())
        start, end = logits[windows.first : -1].unbind(1)  # [D]
        best = best_spans(
            start,
            end,
            n_best=self.n_best,
            max_tokens=self.max_answer_tokens,
            null_score=null_score if self.no_answer else None,
        )
        words = word_starts(example.document)
        offsets = windows.offsets[windows.first :]
        spans = []
        for span in best.spans:
            a, b = offsets[span.first][0], offsets[span.last][1]
            spans.append(
                SpanAnswer(
                    text=example.document[a:b],
                    start=a,
                    end=b,
                    first_token=windows.first + span.first,
                    last_token=windows.first + span.last,
                    first_word=bisect_right(words, a),
                    last_word=bisect_right(words, b - 1),
                    probability=span.probability,
                    score=span.score,
                )
            )
        silent = self.no_answer and null_score - spans[0].score > self.null_threshold
        return AnswerPrediction(
            text=NO_ANSWER if silent else spans[0].text,
            question=example.question,
            document=example.document,
            tokens=windows.tokens,
            offsets=windows.offsets,
            first=windows.first,
            start_logits=logits[:, 0],
            end_logits=logits[:, 1],
            spans=spans,
            no_answer_probability=best.no_answer_probability,
            null_score=null_score,
            illegal=illegal_spans(len(windows.tokens), len(start), self.max_answer_tokens),
            windows=len(features),
        )

    def metrics(
        self, examples: Sequence[Example], predictions: Iterable[AnswerPrediction]
    ) -> dict[str, float]:
        """Returns exact match and F1 by the official rules, also of the two kinds of question."""
        return squad_scores(examples, [prediction.text for prediction in predictions])

    @property
    def calibrates(self) -> bool:
        """Whether there is a threshold to set."""
        return bool(self.no_answer)

    def calibrated(
        self, examples: Sequence[Example], predictions: Sequence[AnswerPrediction]
    ) -> Self:
        """Returns the task with the threshold of no answer that gives the best F1 here.

        Source: rajpurkar/SQuAD-explorer evaluate-v2.0.py, find_best_thresh.
        """
        if not self.no_answer or not any(example.impossible for example in examples):
            return self
        rows = []  # by how much no answer is ahead, and what answering gains
        for e, p in zip(examples, predictions, strict=True):
            if not (e.answers or e.impossible):
                continue  # nothing to compare with
            gain = scored(e, p.spans[0].text)[1] - scored(e, NO_ANSWER)[1]
            rows.append((p.null_score - p.spans[0].score, gain))
        rows.sort()
        best, total, threshold = 0.0, 0.0, rows[0][0] - 1.0
        for (margin, gain), (following, _) in zip(rows, [*rows[1:], (rows[-1][0], 0)], strict=True):
            total += gain
            if total > best:
                best, threshold = total, (margin + following) / 2
        return replace(self, null_threshold=threshold)


def _tokens_of(answer: Answer | None, windows: Windows) -> tuple[int, int] | None:
    """Returns the document's tokens that cover an answer, both ends included."""
    if answer is None or answer.start is None:
        return None
    offsets = windows.offsets[windows.first : -1]
    end = answer.start + len(answer.text)
    first = bisect_right([b for _, b in offsets], answer.start)
    last = bisect_right([a for a, _ in offsets], end - 1) - 1
    return (first, last) if first <= last else None
