"""Whether a text follows from another: a point in a triangle, which moves when a word is edited."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import NDArray

from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned
from bertedu.widgets.base import BYTE
from bertedu.widgets.finetuned import FineTunedWidget
from bertedu.widgets.words import percent

LONGEST = BYTE  # tokens of a pair, with [CLS] and both [SEP]
MOST_TRIES = 12
_CORNERS = ("entailment", "contradiction", "neutral")  # top, left, right
_NOTES = {"entailment": "true", "contradiction": "false", "neutral": "unknown"}

Pair = tuple[str, str]


class PairExplorer(FineTunedWidget):
    """Shows what a premise and a hypothesis are taken for as a point in a triangle.

    Args:
        finetuned: a model fine-tuned for inference, with three labels, or its name, as
            "inference".
        premise: segment A, what is given.
        hypothesis: segment B, whether it follows.
        tries: earlier pairs, the oldest first; their points are the trail.

    Attributes:
        premise, hypothesis: what is shown; changes when the reader types, and can be set.
        tries: the last MOST_TRIES pairs that the reader left; can be set.
        labels: the three, in the order of the triangle's corners: top, left, right.
        probabilities: of the pair, float [3].
        alone: of the hypothesis with no premise, float [3].
        trail: of the tries, float [T, 3].
        settings: pinned, the place of a try, -1 for the hypothesis alone, or None.
        problem: why the last pair is not shown, in one sentence, or "".

    Raises:
        InputError: the model was fine-tuned for another case or has not three labels, or a pair
            is no text, or longer than LONGEST tokens or the model's max_length.

    Source: Bowman et al. 2015 (SNLI); Poliak et al. 2018, "Hypothesis only baselines in natural
    language inference".

    Example:
        >>> from bertedu import BertConfig, load_tokenizer
        >>> from bertedu.finetuning import Inference
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> task = Inference(labels=("contradiction", "entailment", "neutral"))
        >>> model = FineTuned(task, task.head(config), load_tokenizer(), max_length=64)
        >>> explorer = PairExplorer(model, "my dog is cute", "an animal is cute")
        >>> explorer.labels, explorer.probabilities.shape
        (['entailment', 'contradiction', 'neutral'], (3,))
    """

    MOST_TOKENS = LONGEST
    CASE: ClassVar[str] = "inference"
    PINS: ClassVar[Sequence[str]] = ("pinned",)
    BESIDE: ClassVar[Sequence[str]] = ("tries",)

    premise = traitlets.Unicode().tag(sync=True)
    hypothesis = traitlets.Unicode().tag(sync=True)
    tries: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        finetuned: FineTuned[Any, Any] | str,
        premise: str = "the cute dog likes playing in the park",
        hypothesis: str = "an animal is outside",
        tries: Sequence[Pair] = (),
    ) -> None:
        self._known: dict[Pair, NDArray[np.float64]] = {}
        self._tried: list[Pair] = [(first, second) for first, second in tries][-MOST_TRIES:]
        super().__init__(finetuned, {"pinned": None}, premise=premise, hypothesis=hypothesis)
        self.tries = [list(pair) for pair in self._tried]
        self.observe(self._follow, "tries")

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        both, alone = (
            _likeliest(self.labels, shares) for shares in (self.probabilities, self.alone)
        )
        return f"{both}; hypothesis alone {alone}"

    def _look(self, premise: str, hypothesis: str) -> None:
        pairs = [(premise, hypothesis), ("", hypothesis), *self._tried]
        self._ask(pairs)
        self.probabilities, self.alone = (self._known[pair] for pair in pairs[:2])
        self._pair = pairs[0]

    @property
    def trail(self) -> NDArray[np.float64]:
        """The probabilities of the tries, [T, 3]."""
        return np.array([self._known[pair] for pair in self._tried]).reshape(-1, 3)

    def _ask(self, pairs: Sequence[Pair]) -> None:
        """Gets to know the pairs that are not known yet, in one batch."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        for pair in new:
            self._check_length(*pair)
        if not new:
            return
        answers = [answer.probabilities for answer in self.finetuned.predict(new)]
        names = list(answers[0])
        if len(names) != 3:
            raise InputError(
                f"PairExplorer draws three labels in a triangle; this model has {len(names)}: "
                f"{', '.join(names)}."
            )
        self.labels = list(_CORNERS) if set(names) == set(_CORNERS) else names
        for pair, shares in zip(new, answers, strict=True):
            self._known[pair] = np.array([shares[label] for label in self.labels])

    def _follow(self, change: Any) -> None:  # noqa: ARG002
        """The reader has left a pair behind: it becomes a point of the trail."""
        tried = [(str(first), str(second)) for first, second in self.tries][-MOST_TRIES:]
        if tried == self._tried:
            return
        try:
            self._ask(tried)
        except InputError as error:
            self.problem = str(error)
        else:
            self._tried = tried
        with self.hold_sync():
            self.tries = [list(pair) for pair in self._tried]
            self.data = self._answer(self._asked)

    def _packed(self) -> dict[str, Any]:
        return {
            "length": self._length(*self._pair),
            "labels": self.labels,
            "notes": [_NOTES.get(label, "") for label in self.labels],
            "shown": self._pair,
            "tries": self._tried,
            "most_tries": MOST_TRIES,
            "probabilities": self.probabilities,
            "alone": self.alone,
            "trail": self.trail,
        }

    def _check(self, settings: dict[str, Any]) -> None:
        pinned = settings["pinned"]
        if pinned is not None and not -1 <= pinned < len(self._tried):
            raise InputError(f"There is no try {pinned}: there are {len(self._tried)}, from 0 on.")


def _likeliest(labels: Sequence[str], shares: NDArray[np.float64]) -> str:
    best = int(shares.argmax())
    return f"{labels[best]} {percent(shares[best])}"
