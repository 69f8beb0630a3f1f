"""Where the answer begins and ends: two vectors against every token, and all pairs of places."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
import traitlets
from torch import Tensor

from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned
from bertedu.finetuning.question_answering import AnswerPrediction, Example, QuestionAnswering
from bertedu.finetuning.spans import best_window, windows_of
from bertedu.widgets.base import MODEL
from bertedu.widgets.finetuned import FineTunedWidget
from bertedu.widgets.words import percent, shortened

LONGEST = MODEL  # tokens of question and document together


class SpanExplorer(FineTunedWidget):
    """Shows how two learned vectors find an answer in a document.

    Args:
        finetuned: a model fine-tuned for question answering, or its name, as "questions".
        question: segment A.
        document: segment B; its words are counted from 1, and are what stands between spaces.

    Attributes:
        question, document: what is shown; changes when the reader types, and can be set.
        prediction: the library's answers, with the logits of all S positions.
        outputs: float32 [S, H], the encoder's output at each position; times the start vector
            (and plus the bias) it is the start logit.
        settings: start and end, the positions that are pinned, or None; view, "joint" (one
            softmax over all legal spans) or "product" (of two softmaxes over all positions);
            threshold of no answer, None = the model's.
        problem: why the last question is not answered, in one sentence, or "".

    Raises:
        InputError: the model was fine-tuned for another case, or the document is empty, or both
            together are longer than LONGEST tokens.

    Source: Devlin et al. 2019, sections 4.2 and 4.3.

    Example:
        >>> from bertedu import BertConfig, load_tokenizer
        >>> from bertedu.finetuning import QuestionAnswering
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> task = QuestionAnswering(no_answer=True)
        >>> model = FineTuned(task, task.head(config), load_tokenizer(), max_length=64)
        >>> explorer = SpanExplorer(model, "what plays?", "my cute dog likes playing")
        >>> len(explorer.prediction.tokens), explorer.outputs.shape  # [S, H]
        (11, torch.Size([11, 12]))
        >>> explorer.question = "who likes it?"
    """

    MOST_TOKENS = LONGEST
    CASE: ClassVar[str] = "question_answering"
    PINS: ClassVar[Sequence[str]] = ("start", "end")

    question = traitlets.Unicode().tag(sync=True)
    document = traitlets.Unicode().tag(sync=True)

    def __init__(self, finetuned: FineTuned[Any, Any] | str, question: str, document: str) -> None:
        first = {"start": None, "end": None, "view": "joint", "threshold": None}
        super().__init__(finetuned, first, question=question, document=document)

    @property
    def _task(self) -> QuestionAnswering:
        return cast("QuestionAnswering", self.finetuned.task)

    @property
    def threshold(self) -> float:
        """No answer is given where [CLS] scores higher than the best span by more than this."""
        chosen = self.settings["threshold"]
        return float(self._task.null_threshold if chosen is None else chosen)

    @property
    def silent(self) -> bool:
        """Whether the answer is that there is none."""
        lead = self.prediction.null_score - self.prediction.spans[0].score
        return bool(self._task.no_answer) and lead > self.threshold

    @property
    def legal_share(self) -> float:
        """How much of the product of both softmaxes lies on legal spans."""
        inside = slice(self.prediction.first, -1)
        product = self._starts[inside, None] * self._ends[None, inside]
        return float(product.triu().tril(self._task.max_answer_tokens - 1).sum())

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        best = self.prediction.spans[0]
        told = f"“{shortened(best.text)}” {_words(best)} {percent(best.probability)}"
        if self._task.no_answer:
            none = percent(self.prediction.no_answer_probability)
            return f"no answer {none}, then {told}" if self.silent else f"{told}, no answer {none}"
        return told

    def _look(self, question: str, document: str) -> None:
        tokens = len(self.finetuned.tokenizer.encode(question, document))
        if tokens > LONGEST:
            raise InputError(
                f"Question and document have {tokens:,} tokens and this picture shows at most "
                f"{LONGEST}: shorten the document."
            )
        prediction: AnswerPrediction = self.finetuned.predict([(question, document)])[0]
        outputs = self._encoded(Example(question, document))
        starts = [match.start() for match in re.finditer(r"\S+", document)]
        first, last = prediction.first, len(prediction.tokens) - 1
        self._word = [
            bisect_right(starts, offset[0]) if first <= i < last else 0
            for i, offset in enumerate(prediction.offsets)
        ]
        self._starts = prediction.start_logits.double().softmax(0)  # [S]
        self._ends = prediction.end_logits.double().softmax(0)
        self.prediction, self.outputs = prediction, outputs

    def _encoded(self, example: Example) -> Tensor:
        """The encoder's output [S, H], each position's from the window that its logits are of."""
        task = self._task
        model: Any = self.finetuned.model
        features = task.features(example, self.finetuned.tokenizer, self.finetuned.max_length)
        encodings = [feature.encoding for feature in features]
        states = [self.encoder_output(each).last_hidden_state[0] for each in encodings]
        with torch.inference_mode():
            scores = [float(model.qa_outputs(of_window[0]).sum()) for of_window in states]
        windows = windows_of(encodings, task.overlap)
        chosen, first = best_window(windows).tolist(), windows.first
        surest = states[scores.index(min(scores))]
        document = [
            states[window][first + token - windows.starts[window]]
            for token, window in enumerate(chosen)
        ]
        return torch.stack([*surest[:first], *document, surest[-1]]).float()

    def _packed(self) -> dict[str, Any]:
        p, task = self.prediction, self._task
        head: Any = self.finetuned.model.qa_outputs
        return {
            "tokens": p.tokens,
            "words": self._word,
            "begin": p.first,
            "spans": [
                [each.text, each.first_token, each.last_token, each.first_word, each.last_word,
                 each.probability, each.score]
                for each in p.spans
            ],
            "most": task.max_answer_tokens,
            "no_answer": bool(task.no_answer),
            "no_answer_probability": p.no_answer_probability,
            "null_score": p.null_score,
            "threshold": float(task.null_threshold),
            "illegal": p.illegal,
            "windows": p.windows,
            "biases": head.bias.detach().tolist(),
            "starts": p.start_logits.numpy().astype(np.float64),
            "ends": p.end_logits.numpy().astype(np.float64),
            "outputs": self.outputs.cpu().numpy(),
            "vectors": head.weight.detach().float().cpu().numpy(),
        }  # fmt: skip

    def _check(self, settings: dict[str, Any]) -> None:
        for name in ("start", "end"):
            place, size = settings[name], len(self.prediction.tokens)
            if place is not None and not 0 <= place < size:
                raise InputError(f"There is no position {place}: they go from 0 to {size - 1}.")
        if settings["view"] not in {"joint", "product"}:
            raise InputError(f"view is {settings['view']!r}; it must be joint or product")


def _words(span: Any) -> str:
    """A span as the notes write it: the words where it begins and ends, from 1."""
    return f"({span.first_word}, {span.last_word})"
