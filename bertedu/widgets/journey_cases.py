"""What fine-tuned models say about the Journey's text, in a few lines each."""

from collections.abc import Callable, Sequence
from typing import Any

from bertedu.errors import InputError
from bertedu.finetuning.classification import ClassPrediction
from bertedu.finetuning.model import FineTuned
from bertedu.finetuning.question_answering import AnswerPrediction
from bertedu.finetuning.slot_filling import TagPrediction
from bertedu.widgets.svg import percent

Case = Callable[[str, str | None], str | Sequence[str]]
_PAIRS = {  # what text and pair are to a case that reads both
    "inference": "premise and hypothesis",
    "question_answering": "question and document",
}
_MOST_SPANS = 3


def asking(model: FineTuned[Any, Any]) -> Case:
    """Returns a function of text and pair that says what a fine-tuned model finds.

    Args:
        model: of any of the four cases. Classification and slot filling read the first text.

    Example:
        >>> from bertedu import BertConfig, load_tokenizer
        >>> from bertedu.finetuning import Inference
        >>> task = Inference(labels=("entailment", "neutral"))
        >>> sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        >>> model = FineTuned(task, task.head(BertConfig(**sizes)), load_tokenizer(), 64)
        >>> len(asking(model)("a dog runs", "an animal moves"))  # a line for each label
        2
    """

    def case(text: str, pair: str | None) -> list[str]:
        name = model.task.name
        if name not in _PAIRS:
            return said(model.predict(text))
        if pair is None:
            raise InputError(f"It reads {_PAIRS[name]}: type a second text.")
        return said(model.predict((text, pair)))

    return case


def said(prediction: ClassPrediction | TagPrediction | AnswerPrediction) -> list[str]:
    """Returns a prediction as lines of text, the likeliest first.

    Example:
        >>> said(ClassPrediction("yes", {"no": 0.25, "yes": 0.75}))
        ['yes 75.0 %', 'no 25.0 %']
    """
    if isinstance(prediction, ClassPrediction):
        order = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        return [f"{label} {percent(probability)}" for label, probability in order]
    if isinstance(prediction, AnswerPrediction):
        lines = [f"{s.text}: {percent(s.probability)}" for s in prediction.spans[:_MOST_SPANS]]
        if prediction.no_answer_probability:
            lines.append(f"(no answer: {percent(prediction.no_answer_probability)})")
        return lines
    best = prediction.probabilities.max(dim=-1).values.tolist()  # of each word's tags
    lines = [f"{s.label}: {s.text} {percent(best[s.first_word])}" for s in prediction.slots]
    lines = lines or ["no slot"]
    if prediction.intent is not None:
        lines.append(f"intent {said(prediction.intent)[0]}")
    return lines
