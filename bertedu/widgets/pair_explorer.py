"""Whether a text follows from another: a point in a triangle, which moves when a word is edited."""

from collections.abc import Sequence
from typing import Any, ClassVar
from xml.sax.saxutils import escape

import numpy as np
import traitlets
from numpy.typing import NDArray

from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned
from bertedu.widgets.finetuned import FineTunedWidget
from bertedu.widgets.palette import LIGHT
from bertedu.widgets.svg import WIDTH, Picture, percent, readable

LONGEST = 256  # tokens of a pair, with [CLS] and both [SEP]
MOST_TRIES = 12
_CORNERS = ("entailment", "contradiction", "neutral")  # top, left, right
_NOTES = {"entailment": "true", "contradiction": "false", "neutral": "unknown"}
_SIDE = 340.0  # of the printed triangle

Pair = tuple[str, str]


class PairExplorer(FineTunedWidget):
    """Shows what a premise and a hypothesis are taken for as a point in a triangle.

    Args:
        finetuned: a model fine-tuned for inference, with three labels.
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

    CASE: ClassVar[str] = "inference"
    PINS: ClassVar[Sequence[str]] = ("pinned",)

    premise = traitlets.Unicode().tag(sync=True)
    hypothesis = traitlets.Unicode().tag(sync=True)
    tries: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        finetuned: FineTuned[Any, Any],
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
        return f"{_told(self.labels, self.probabilities)}; hypothesis alone {self._said_alone()}"

    def to_svg(self) -> str:
        """Returns the picture of the triangle, with the trail and the hypothesis alone."""
        premise, hypothesis = self._pair  # a refused text is not in the picture
        picture = Picture(f"{self.summary()}. {premise} / {hypothesis}")
        picture.heading("A: premise")
        picture.lines([(readable(premise), "segment-a")])
        picture.heading("B: hypothesis")
        picture.lines([(readable(hypothesis), "segment-b")])
        picture.drawing(_SIDE * 0.866 + 64, self._triangle)
        picture.lines([(f"●  {_told(self.labels, self.probabilities, every=True)}", "ink")])
        picture.lines([(f"◆  {_told(self.labels, self.alone, every=True)}   B alone", "segment-b")])
        for number, (pair, shares) in enumerate(zip(self._tried, self.trail, strict=True), 1):
            told = _told(self.labels, shares, every=True)
            picture.lines([(f"{number:<2} {told}   {readable(pair[1])}", "dim")])
        picture.note(
            "● the pair; ◆ the hypothesis with no premise; numbers: earlier tries, the oldest "
            "first. The nearer to a corner, the more probable; the dashed lines part the regions "
            "in which each label is the likeliest."
        )
        return picture.to_svg()

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
            self._check_length(LONGEST, *pair)
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

    def _said_alone(self) -> str:
        best = int(self.alone.argmax())
        return f"{self.labels[best]} {percent(self.alone[best])}"

    def _triangle(self, top: float) -> str:
        left, height = (WIDTH - _SIDE) / 2, _SIDE * 0.866
        corners = np.array([[0.5, 0], [0, 1], [1, 1]]) * [_SIDE, height] + [left, top + 24]
        edge = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        parts = [
            f'<polygon points="{edge}" fill="none" stroke="{LIGHT["outline"]}" stroke-width="1.5"/>'
        ]
        middle = corners.mean(axis=0)
        for one, other in ((0, 1), (1, 2), (2, 0)):
            x, y = (corners[one] + corners[other]) / 2
            parts.append(
                f'<path d="M{middle[0]:.1f} {middle[1]:.1f}L{x:.1f} {y:.1f}" '
                f'stroke="{LIGHT["outline"]}" stroke-dasharray="4 4"/>'
            )
        names = [
            f"{label} ({note})" if (note := _NOTES.get(label)) else label for label in self.labels
        ]
        places = zip(names, corners, ((0, -8), (8, 20), (-8, 20)), strict=True)
        parts += [_label(name, x + dx, y + dy) for name, (x, y), (dx, dy) in places]
        points = [*self.trail, self.probabilities] @ corners
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{LIGHT["dim"]}" stroke-width="1.5"/>')
        for number, (x, y) in enumerate(points[:-1], 1):
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{LIGHT["paper"]}" '
                f'stroke="{LIGHT["dim"]}"/>' + _label(str(number), x, y + 4)
            )
        x, y = self.alone @ corners
        parts.append(
            f'<path d="M{x:.1f} {y - 9:.1f}l9 9l-9 9l-9 -9z" fill="{LIGHT["paper"]}" '
            f'stroke="{LIGHT["segment-b"]}" stroke-width="3"/>'
        )
        x, y = points[-1]
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{LIGHT["ring"]}"/>')
        return "".join(parts)


def _label(text: str, x: float, y: float) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="12" '
        'font-family="system-ui, Liberation Sans, Helvetica, sans-serif" '
        f'fill="{LIGHT["ink"]}">{escape(text)}</text>'
    )


def _told(labels: Sequence[str], shares: NDArray[np.float64], *, every: bool = False) -> str:
    if every:
        pairs = zip(labels, shares, strict=True)
        return ", ".join(f"{label} {percent(share)}" for label, share in pairs)
    best = int(shares.argmax())
    return f"{labels[best]} {percent(shares[best])}"
