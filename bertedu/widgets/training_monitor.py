"""Watch a model learn: losses against their baselines, held-out points, and changing answers."""

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from bertedu.errors import InputError
from bertedu.pretraining.run import Evaluation, PretrainingStep
from bertedu.widgets.base import Widget, pack

SECONDS_BETWEEN_UPDATES = 0.2
MOST_POINTS = 400  # of a curve that is drawn
SMOOTHED_OVER = 20  # steps
_HEIGHT, _LEFT, _RIGHT = 150, 44, 130  # of a plot in the picture, and what its axis and labels need
NOT_STARTED, RUNNING, PAUSED, STOPPED, FINISHED = (
    "not started", "running", "paused", "stopped", "finished",
)  # fmt: skip

Predictions = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Curve:
    """One loss: the baseline it must beat, and what is held out."""

    name: str
    baseline: float
    baseline_name: str
    held_out: list[tuple[int, float]]


class TrainingMonitor(Widget):
    """Shows both pretraining losses while they fall; it can be paused and stopped.

    The training runs in the cell itself, so that Run All goes on only with the finished model:
    write `await monitor.run(...)`. Between two steps the kernel listens to the buttons. Stop, or
    the kernel's own interrupt (the square in the toolbar), ends the run gently after the step it
    is in, and what was learned so far stays.

    Args:
        steps: of the whole run.
        unigram_loss: the masked LM's loss of one who knows only how often each token occurs, nats.

    Attributes:
        state: "not started", "running", "paused", "stopped" or "finished".
        command: "run", "pause" or "stop"; the buttons set it, and so can Python.
        reports, evaluations, predictions: all that was shown, in order.

    Raises:
        InputError: fewer than one step, or a baseline that is no positive number.

    Example:
        >>> monitor = TrainingMonitor(steps=2, unigram_loss=6.5)
        >>> monitor.add(PretrainingStep(0, 6.6, 0.7, 1e-3, 900, 0.1))
        >>> monitor
        TrainingMonitor(1 of 2 steps, running; MLM 6.60 nats, NSP 0.70 nats)
    """

    command = traitlets.Enum(("run", "pause", "stop"), default_value="run").tag(sync=True)

    def __init__(self, steps: int, unigram_loss: float) -> None:
        if steps < 1 or not (isfinite(unigram_loss) and unigram_loss > 0):
            raise InputError(
                f"steps is {steps} and unigram_loss {unigram_loss}: give at least one step, and "
                "a loss above 0"
            )
        self.steps = steps
        self.unigram_loss = unigram_loss
        self.state = NOT_STARTED
        self.reports: list[PretrainingStep] = []
        self.evaluations: list[tuple[int, Evaluation]] = []
        self.predictions: list[tuple[int, list[tuple[str, list[str]]]]] = []
        self._sent = 0.0
        self._worked = 0.0  # seconds, pauses not counted
        super().__init__(data=self._packed())
        self.on_msg(lambda _, message, __: self.set_trait("command", message["command"]))

    async def run(
        self,
        reports: Generator[PretrainingStep, None, None],
        look: Callable[[int], None] | None = None,
        every: int = 50,
    ) -> None:
        """Takes the steps, shows them as they come, and ends after the last or at a Stop.

        Args:
            reports: as `pretrain` gives them; closed at the end.
            look: called with the number of steps done, at first with 0, then every so often and
                at the end; it may call `evaluated` and `predicted`.
            every: steps between two looks.
        """
        from IPython.display import display

        self.command = "run"
        shown = display(self, display_id=True)  # type: ignore[no-untyped-call]
        looked = -1
        try:
            self.state = RUNNING
            began = time.monotonic()
            if look and not self.reports:
                look(looked := 0)
            for report in reports:
                self.add(report)
                done = report.step + 1
                if look and (done % every == 0 or done == self.steps):
                    look(looked := done)
                self._worked += time.monotonic() - began
                if await self._told_to_stop():
                    break
                began = time.monotonic()
        except (KeyboardInterrupt, asyncio.CancelledError):  # how the kernel's interrupt arrives
            self.command = "stop"
        finally:
            reports.close()
        if look and self.reports and looked <= self.reports[-1].step:
            look(self.reports[-1].step + 1)
        finished = bool(self.reports) and self.reports[-1].step + 1 >= self.steps
        self.state = FINISHED if finished else STOPPED
        self._show(now=True)
        if shown is not None:
            shown.update(self)  # what is saved is the end, not the empty beginning

    def add(self, report: PretrainingStep) -> None:
        """Shows one more step."""
        self.reports.append(report)
        self.state = FINISHED if report.step + 1 >= self.steps else RUNNING
        self._show()

    def evaluated(self, step: int, evaluation: Evaluation) -> None:
        """Shows held-out losses after so many steps."""
        self.evaluations.append((step, evaluation))
        self._show(now=True)

    def predicted(self, step: int, predictions: Predictions) -> None:
        """Shows what the model says after so many steps: texts, each with its best guesses."""
        self.predictions.append((step, [(text, list(words)) for text, words in predictions]))
        self._show(now=True)

    def summary(self) -> str:
        """Returns the main numbers in one line; held-out losses where there are any."""
        done = self.reports[-1].step + 1 if self.reports else 0
        text = f"{done:,} of {self.steps:,} steps, {self.state}"
        if self.evaluations:
            e = self.evaluations[-1][1]
            return f"{text}; held-out MLM {e.mlm_loss:.2f} nats, NSP {e.nsp_loss:.2f} nats"
        if self.reports:
            r = self.reports[-1]
            return f"{text}; MLM {r.mlm_loss:.2f} nats, NSP {r.nsp_loss:.2f} nats"
        return text

    def curves(self) -> list[Curve]:
        """Returns both losses' baselines and held-out points."""
        return [
            Curve(
                "Masked language model", self.unigram_loss, "unigram",
                [(step, e.mlm_loss) for step, e in self.evaluations if isfinite(e.mlm_loss)],
            ),
            Curve(
                "Next sentence prediction", log(2), "ln 2, a coin",
                [(step, e.nsp_loss) for step, e in self.evaluations if isfinite(e.nsp_loss)],
            ),
        ]  # fmt: skip

    async def _told_to_stop(self) -> bool:
        """Lets the buttons' messages in, and waits while paused."""
        await asyncio.sleep(0.001)  # 0 would not let the kernel read its sockets
        if self.command == "pause":
            self.state = PAUSED
            self._show(now=True)
            while self.command == "pause":
                await asyncio.sleep(0.05)
            self.state = RUNNING
            self._show(now=True)
        return bool(self.command == "stop")

    def losses(self) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
        """Returns steps from 1, [P], and both losses there, [P, 2]: each batch's, and smoothed."""
        rows = [(r.mlm_loss, r.nsp_loss) for r in self.reports]
        losses = np.array(rows, np.float32).reshape(-1, 2)
        shown = _places(len(losses))
        at = np.array([self.reports[i].step + 1 for i in shown], np.int32)
        return at, losses[shown], _smoothed(losses)[shown]

    def _show(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._sent >= SECONDS_BETWEEN_UPDATES:
            self.data = self._packed()
            self._sent = time.monotonic()

    def _packed(self) -> bytes:
        done = self.reports[-1].step + 1 if self.reports else 0
        pace = self._worked / done if done else None
        at, raw, smooth = self.losses()
        header: dict[str, Any] = {
            "steps": self.steps,
            "done": done,
            "state": self.state,
            "seconds_left": None if pace is None else round(pace * (self.steps - done), 1),
            "learning_rate": self.reports[-1].learning_rate if self.reports else None,
            "smoothed_over": SMOOTHED_OVER,
            "curves": [vars(curve) for curve in self.curves()],
            "predictions": self.predictions,
        }
        return pack(header, at=at, raw=raw, smooth=smooth)


def _smoothed(losses: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each row and those before it, SMOOTHED_OVER at most."""
    sums = np.cumsum(np.vstack([np.zeros((1, 2)), losses.astype(np.float64)]), axis=0)
    last = np.arange(1, len(losses) + 1)
    first = np.maximum(last - SMOOTHED_OVER, 0)
    means: NDArray[np.float32] = (sums[last] - sums[first]) / (last - first)[:, None]
    return means.astype(np.float32)


def _places(count: int) -> list[int]:
    """Evenly spread places of at most MOST_POINTS, the last among them."""
    return sorted(set(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int)))
