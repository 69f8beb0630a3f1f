"""What fine-tuned models say about the Journey's text, in a few lines each."""

from collections.abc import Callable, Sequence
from typing import Any

from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned

Case = Callable[[str, str | None], str | Sequence[str]]


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

    def told(inputs: str | tuple[str, str]) -> list[str]:
        lines: list[str] = model.predict(inputs).chances()
        return lines

    def case(text: str, pair: str | None) -> list[str]:
        names = [names[0] for names in model.task.texts]
        if len(names) == 1:
            return told(text)
        if pair is None:
            raise InputError(f"It reads {' and '.join(names)}: type a second text.")
        return told((text, pair))

    return case
