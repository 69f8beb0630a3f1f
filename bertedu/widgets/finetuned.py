"""What the widgets of the four fine-tuning cases share: a fine-tuned model, texts, an answer."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from bertedu.encoding import Encoding, collate
from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned, opened
from bertedu.model import BertOutput
from bertedu.widgets.base import AskingWidget
from bertedu.widgets.web_pack import finetuned_checksum


class FineTunedWidget(AskingWidget):
    """A widget that asks a model fine-tuned for the case that a subclass names in CASE."""

    CASE: ClassVar[str] = ""

    def __init__(
        self, finetuned: FineTuned[Any, Any] | str, first: Mapping[str, Any], **asked: str
    ) -> None:
        finetuned = opened(finetuned)
        if finetuned.task.name != self.CASE:
            sentence = (
                f"{type(self).__name__} shows a model fine-tuned for {self.CASE}; this one was "
                f"for {finetuned.task.name}."
            )
            raise InputError(sentence.replace("_", " "))
        self.finetuned = finetuned
        super().__init__(first, **asked)

    def checksum(self) -> str | None:
        """Returns the adapter's checksum; None for a model that was fine-tuned whole."""
        return finetuned_checksum(self.finetuned)

    def encoder_output(self, encoding: Encoding, **options: bool) -> BertOutput:
        """Returns what the model's encoder gives for one input."""
        model: Any = self.finetuned.model
        device = next(model.parameters()).device
        batch = {name: values.to(device) for name, values in collate([encoding]).items()}
        with torch.inference_mode():
            output: BertOutput = model.bert(**batch, **options)
        return output

    def _length(self, *texts: str) -> tuple[int, int]:
        """Returns how many tokens what is shown has, and how many it may have."""
        count = len(self.finetuned.tokenizer.encode(*texts))
        return count, min(self.MOST_TOKENS, self.finetuned.max_length)

    def _check_length(self, *texts: str) -> None:
        """Raises InputError where more tokens are asked about than are shown, or fit."""
        count, most = self._length(*texts)
        if count > most:
            raise InputError(
                f"There are {count:,} tokens and this picture shows at most {most}: "
                "shorten the text."
            )
        length = sum(map(len, texts))
        if length > 20 * most:  # one endless word, or thousands of invisible characters
            raise InputError(
                f"There are {length:,} characters and this picture shows at most {20 * most:,}: "
                "shorten the text."
            )
