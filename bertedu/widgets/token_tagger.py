"""A label for every word: its distribution, its pieces, and the slots that the labels mark."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import traitlets

from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned
from bertedu.finetuning.slot_filling import Slot, TagPrediction, mend, slots_of
from bertedu.widgets.base import BYTE
from bertedu.widgets.finetuned import FineTunedWidget
from bertedu.widgets.words import percent, shortened

LONGEST = BYTE  # tokens, with [CLS] and [SEP]
_TOLD = 4  # slots in the one line


class TokenTagger(FineTunedWidget):
    """Shows what each word is taken for, and what decoding makes of the labels.

    The reader can flip a word's label, also to one that is not allowed there: an I- that
    continues nothing is mended to a B-, as conlleval counts.

    Args:
        finetuned: a model fine-tuned for slot filling, or its name, as "slots".
        text: a sentence; each punctuation mark is a word.

    Attributes:
        text: what is shown; changes when the reader types, and can be set.
        prediction: the library's, whatever the reader flipped.
        settings: word, the place of the one that is pinned, or None; flips, labels that the
            reader put in place of the likeliest, by the word's place as text ("0" is the first).
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: the model was fine-tuned for another case, or the text is no text, or longer
            than LONGEST tokens or the model's max_length.

    Source: Devlin et al. 2019, section 5.3; Ramshaw and Marcus 1995 (BIO labels).

    Example:
        >>> from bertedu import BertConfig, load_tokenizer
        >>> from bertedu.finetuning import SlotFilling
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> task = SlotFilling(labels=("O", "B-city", "I-city"))
        >>> model = FineTuned(task, task.head(config), load_tokenizer(), max_length=64)
        >>> tagger = TokenTagger(model, "to Taipei")
        >>> tagger.settings = {"flips": {"0": "O", "1": "I-city"}}  # illegal, and mended
        >>> tagger
        TokenTagger(2 words: city “Taipei”)
        >>> tagger.mended
        [1]
    """

    MOST_TOKENS = LONGEST
    CASE: ClassVar[str] = "slot_filling"
    PINS: ClassVar[Sequence[str]] = ("word", "flips")

    text = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, finetuned: FineTuned[Any, Any] | str, text: str = "arrive in Taipei on November 2nd"
    ) -> None:
        super().__init__(finetuned, {"word": None, "flips": {}}, text=text)

    @property
    def labels(self) -> list[str]:
        """Each word's label before decoding: the likeliest, or what the reader made of it."""
        flips: dict[str, str] = self.settings["flips"]
        return [flips.get(str(w), label) for w, label in enumerate(self._likeliest)]

    @property
    def mended(self) -> list[int]:
        """The words whose label is an I- that continues nothing; it is read as B-."""
        return mend(self.labels)[1]

    @property
    def slots(self) -> list[Slot]:
        """The slots that the mended labels mark."""
        return slots_of(self._shown, self.prediction.offsets, mend(self.labels)[0])

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        words = len(self.prediction.words)
        slots = self.slots
        told_slots = [f"{slot.label} “{shortened(slot.text)}”" for slot in slots[:_TOLD]]
        if len(slots) > _TOLD:
            told_slots.append(f"{len(slots) - _TOLD} more")
        found = ", ".join(told_slots) or "no slot"
        intent = self.prediction.intent
        told = (
            ""
            if intent is None
            else f"; intent {intent.label} {percent(max(intent.probabilities.values()))}"
        )
        return f"{words} word{'' if words == 1 else 's'}: {found}{told}"

    def _look(self, text: str) -> None:
        self._check_length(text)
        prediction: TagPrediction = self.finetuned.predict([text])[0]
        self.prediction, self._shown = prediction, text
        self._likeliest = [
            prediction.labels[k] if pieces else "O"
            for k, pieces in zip(
                prediction.probabilities.argmax(-1).tolist() if prediction.words else [],
                prediction.pieces,
                strict=True,
            )
        ]

    def _packed(self) -> dict[str, Any]:
        p = self.prediction
        return {
            "length": self._length(self._shown),
            "shown": self._shown,
            "words": p.words,
            "offsets": p.offsets,
            "pieces": p.pieces,
            "labels": p.labels,
            "likeliest": self._likeliest,
            "intent": None if p.intent is None else list(p.intent.probabilities.items()),
            "probabilities": p.probabilities.numpy().astype(np.float32),
        }

    def _check(self, settings: dict[str, Any]) -> None:
        count, labels = len(self.prediction.words), self.prediction.labels
        for word in [settings["word"], *map(int, settings["flips"])]:
            if word is not None and not 0 <= word < count:
                raise InputError(f"There is no word {word}: the text has {count}, from 0 on.")
        for label in settings["flips"].values():
            if label not in labels:
                raise InputError(
                    f"There is no label {label!r}: this model has {', '.join(labels)}."
                )
