"""What a text is taken for, and what each of its words did: the text is asked without it."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import NDArray

from bertedu.encoding import Encoding, Offsets
from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned
from bertedu.finetuning.slot_filling import Example
from bertedu.widgets.base import BYTE
from bertedu.widgets.finetuned import FineTunedWidget
from bertedu.widgets.words import percent, shortened

LONGEST = BYTE  # tokens, with [CLS] and [SEP]
_SOME = 0.001  # an effect of less than 0.1 percentage points is told as none


class TextClassifier(FineTunedWidget):
    """Shows a text's probabilities, and how they change when a word is left out.

    All the texts with one word less are asked together.

    Args:
        finetuned: a model fine-tuned for classification, or its name, as "sentiment".
        text: what is classified.

    Attributes:
        text: what is shown; changes when the reader types, and can be set.
        probabilities: of each label, float [K].
        effects: float [W, K]: a label's probability minus its probability without the word.
        settings: label, whose probability is explained (None: the likeliest one's); word, the
            place of the one that is pinned, or None; attention, whether it is shown beneath.
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: the model was fine-tuned for another case, or the text is no text, or longer
            than LONGEST tokens or the model's max_length.

    Source: Zeiler and Fergus 2014 (occlusion); Li, Monroe and Jurafsky 2016, "Understanding
    neural networks through representation erasure".

    Example:
        >>> from bertedu import BertConfig, load_tokenizer
        >>> from bertedu.finetuning import Classification
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> task = Classification(labels=("bad", "good"))
        >>> model = FineTuned(task, task.head(config), load_tokenizer(), max_length=64)
        >>> classifier = TextClassifier(model, "my dog is cute")
        >>> classifier.words, classifier.effects.shape  # [W, K]
        (['my', 'dog', 'is', 'cute'], (4, 2))
    """

    MOST_TOKENS = LONGEST
    CASE: ClassVar[str] = "classification"
    PINS: ClassVar[Sequence[str]] = ("word",)

    text = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, finetuned: FineTuned[Any, Any] | str, text: str = "a warm, funny, engaging film"
    ) -> None:
        super().__init__(finetuned, {"label": None, "word": None, "attention": False}, text=text)

    @property
    def words(self) -> list[str]:
        """The words of the text, as they stand there."""
        return [self._shown[start:end] for start, end in self._spans]

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        best = int(self.probabilities.argmax())
        told = f"{self.labels[best]} {percent(self.probabilities[best])}"
        effects = self.effects[:, best]
        if not len(effects):
            return f"{told}, no words"
        strongest = int(np.abs(effects).argmax())
        if abs(effects[strongest]) < _SOME / 2:
            return f"{told}, no word matters"
        word = shortened(self.words[strongest])
        return f"{told}, most by “{word}”: {_points(effects[strongest])}"

    def _look(self, text: str) -> None:
        self._check_length(text)
        encoding = self.finetuned.tokenizer.encode(text)
        spans = Example.from_text(text).offsets
        versions = [text, *(f"{text[:start]} {text[end:]}" for start, end in spans)]
        predictions = self.finetuned.predict(versions)
        self.labels = list(predictions[0].probabilities)
        table = np.array([list(each.probabilities.values()) for each in predictions])
        self.probabilities, self._without = table[0], table[1:]  # [K], [W, K]
        self.effects: NDArray[np.float64] = self.probabilities - self._without
        self._attention = self._from_cls(encoding, spans)
        self._shown, self._spans = text, spans

    def _from_cls(self, encoding: Encoding, spans: Sequence[Offsets]) -> NDArray[np.float64]:
        """The share of [CLS]'s attention that goes to each word: last layer, mean of its heads."""
        output = self.encoder_output(encoding, output_attentions=True)
        row = (output.attention_probs or ())[-1][0, :, 0].mean(0).tolist()  # [S]
        return np.array(
            [
                sum(
                    share
                    for share, (left, right), added in zip(
                        row, encoding.offsets, encoding.special_tokens_mask, strict=True
                    )
                    if not added and start <= left and right <= end
                )
                for start, end in spans
            ]
        )

    def _packed(self) -> dict[str, Any]:
        return {
            "length": self._length(self._shown),
            "labels": self.labels,
            "words": self.words,
            "probabilities": self.probabilities,
            "without": self._without,
            "attention": self._attention,
        }

    def _check(self, settings: dict[str, Any]) -> None:
        label, word = settings["label"], settings["word"]
        if label is not None and label not in self.labels:
            raise InputError(
                f"There is no label {label!r}: this model has {', '.join(self.labels)}."
            )
        if word is not None and not 0 <= word < len(self._spans):
            raise InputError(
                f"There is no word {word}: the text has {len(self._spans)}, from 0 on."
            )


def _points(effect: float, unit: str = " points") -> str:
    """An effect in percentage points, with its sign; what is nearly nothing is 0."""
    if abs(effect) < _SOME / 2:
        return f"0.0{unit}"
    return f"{'−' if effect < 0 else '+'}{abs(100 * effect):.1f}{unit}"  # noqa: RUF001
