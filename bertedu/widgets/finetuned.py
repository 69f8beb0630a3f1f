"""What the widgets of the four fine-tuning cases share: a fine-tuned model, texts, an answer."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import traitlets

from bertedu.encoding import Encoding, collate
from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned
from bertedu.model import BertOutput
from bertedu.widgets.base import Widget
from bertedu.widgets.svg import visible_text


class FineTunedWidget(Widget):
    """A widget that asks a fine-tuned model about texts, and asks again when they change.

    A subclass names its case in CASE, its texts in FIELDS (traits of its own), and its switches
    as they stand at first in FIRST. It gives `_look` (asks the model), `_packed` (all that the
    browser needs) and `_checked` (refuses switches that mean nothing).

    Attributes:
        settings: the switches, and what is pinned.
        problem: why the last text is not shown, in one sentence, or "".
        picture: what "Save picture" saves.
    """

    CASE: ClassVar[str] = ""
    FIELDS: ClassVar[Sequence[str]] = ()
    FIRST: ClassVar[dict[str, Any]] = {}

    settings = traitlets.Dict().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)

    def __init__(self, finetuned: FineTuned[Any, Any], **asked: Any) -> None:
        if finetuned.task.name != self.CASE:
            raise InputError(
                f"{type(self).__name__} shows a model fine-tuned for {_spoken(self.CASE)}; this "
                f"one was for {_spoken(finetuned.task.name)}."
            )
        self.finetuned = finetuned
        self.problem = ""
        self._look(asked)
        super().__init__(**asked, settings=dict(self.FIRST), data=self._answered(asked))
        self.picture = self.to_svg()
        self.observe(self._answer, list(self.FIELDS))
        self.observe(self._redraw, "settings")

    def encoder_output(self, encoding: Encoding, **options: bool) -> BertOutput:
        """Returns what the model's encoder gives for one input."""
        model: Any = self.finetuned.model
        device = next(model.parameters()).device
        batch = {name: values.to(device) for name, values in collate([encoding]).items()}
        with torch.inference_mode():
            output: BertOutput = model.bert(**batch, **options)
        return output

    def _check_length(self, most: int, *texts: str) -> Encoding:
        """Returns the tokens of what is asked; more than `most`, or than fits, are refused."""
        encoding = self.finetuned.tokenizer.encode(*texts)
        most = min(most, self.finetuned.max_length)
        if len(encoding) > most:
            raise InputError(
                f"There are {len(encoding):,} tokens and this picture shows at most {most}: "
                "shorten the text."
            )
        length = sum(map(len, texts))
        if length > 20 * most:  # one endless word, or thousands of invisible characters
            raise InputError(
                f"There are {length:,} characters and this picture shows at most {20 * most:,}: "
                "shorten the text."
            )
        return encoding

    def _look(self, asked: dict[str, str]) -> None:
        """Asks the model; a refused text raises InputError and leaves everything as it was."""
        raise NotImplementedError

    def _packed(self, header: dict[str, Any]) -> bytes:
        """Returns the header, and what the browser needs beside it."""
        raise NotImplementedError

    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Returns the settings, or raises InputError."""
        return settings

    @traitlets.validate("settings")
    def _check(self, proposal: Any) -> dict[str, Any]:
        return self._checked({**self.FIRST, **proposal["value"]})

    def _answer(self, change: Any) -> None:  # noqa: ARG002  # which of them does not matter
        asked = {name: getattr(self, name) for name in self.FIELDS}
        if self._asked == asked:
            return  # all came in one message
        try:
            self._look(asked)
            self.problem = ""
        except InputError as error:
            self.problem = str(error)
        with self.hold_sync():
            self.settings = self._kept()
            self.data = self._answered(asked)
            self.picture = self.to_svg()

    def _kept(self) -> dict[str, Any]:
        """Returns the settings that stay when the text changes: all but what is pinned."""
        return dict(self.FIRST)

    def _answered(self, asked: dict[str, Any]) -> bytes:
        self._asked = asked
        first = {"asked": list(asked.values()), "problem": self.problem, "first": self.FIRST}
        return self._packed(first)

    def _redraw(self, change: Any) -> None:  # noqa: ARG002
        self.picture = self.to_svg()


def readable(text: str) -> str:
    """Returns a text with something to see for every character but the spaces.

    Example:
        >>> readable("a dog" + chr(0x200D))
        'a dogU+200D'
    """
    return visible_text(text).replace("␣", " ")


def shortened(text: str, most: int = 60) -> str:
    """Returns a readable text of at most so many characters, for one line.

    Example:
        >>> shortened("within a cloud", 9)
        'within a…'
    """
    seen = readable(text)
    return seen if len(seen) <= most else f"{seen[: most - 1].rstrip()}…"


def _spoken(case: str) -> str:
    return case.replace("_", " ")
