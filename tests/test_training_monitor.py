"""The training monitor: what it shows, and that pause and stop hold a run that is going on."""

import asyncio
import time
from collections.abc import Iterator

import numpy as np
import pytest

from bertedu import InputError
from bertedu.pretraining import Evaluation, PretrainingStep
from bertedu.widgets import TrainingMonitor
from bertedu.widgets.training_monitor import SMOOTHED_OVER, _smoothed
from tests.finetuned_models import unpacked


def report(step: int) -> PretrainingStep:
    return PretrainingStep(step, 6.0 - step / 100, 0.7 - step / 1000, 1e-3, 900, 0.01)


def evaluation(mlm_loss: float = 5.0) -> Evaluation:
    return Evaluation(mlm_loss, 0.2, 0.6, 0.7, 6.5, 100, 50)


class Steps:
    """Step reports that take a moment each, and remember whether they were closed."""

    def __init__(self, count: int, seconds: float = 0.0) -> None:
        self.taken, self.closed, self.source = 0, False, self._steps(count, seconds)

    def _steps(self, count: int, seconds: float) -> Iterator[PretrainingStep]:
        try:
            for step in range(count):
                time.sleep(seconds)
                self.taken += 1
                yield report(step)
        finally:
            self.closed = True


def press(monitor: TrainingMonitor, command: str) -> None:
    """What a button does: a message, as ipywidgets hands it on."""
    monitor._handle_custom_msg({"command": command}, [])


async def wait_for(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_a_run_takes_every_step_and_looks_at_the_right_times() -> None:
    monitor, steps, looks = TrainingMonitor(7, 6.5), Steps(7), []
    asyncio.run(monitor.run(steps.source, looks.append, every=3))
    assert looks == [0, 3, 6, 7]
    assert [r.step for r in monitor.reports] == list(range(7))
    assert (monitor.state, steps.closed) == ("finished", True)


def test_stop_ends_the_run_at_once_and_keeps_what_was_learned() -> None:
    monitor, steps, looks = TrainingMonitor(1000, 6.5), Steps(1000, 0.01), []

    async def scene() -> None:
        run = asyncio.create_task(monitor.run(steps.source, looks.append, 400))
        await wait_for(lambda: steps.taken > 3)
        press(monitor, "stop")
        await asyncio.wait_for(run, 2)

    asyncio.run(scene())
    assert (monitor.state, steps.closed) == ("stopped", True)
    assert looks == [0, len(monitor.reports)]
    assert 3 < len(monitor.reports) == steps.taken < 1000


def test_pause_holds_the_run_until_it_goes_on() -> None:
    monitor, steps = TrainingMonitor(1000, 6.5), Steps(1000, 0.005)

    async def scene() -> None:
        run = asyncio.create_task(monitor.run(steps.source))
        await wait_for(lambda: steps.taken > 3)
        press(monitor, "pause")
        await wait_for(lambda: monitor.state == "paused")
        held = steps.taken
        await asyncio.sleep(0.2)
        assert steps.taken == held
        press(monitor, "run")
        await wait_for(lambda: steps.taken > held + 3)
        monitor.command = "stop"
        await asyncio.wait_for(run, 2)

    asyncio.run(scene())


def test_an_interrupt_in_the_middle_of_a_step_stops_as_gently() -> None:
    def interrupted() -> Iterator[PretrainingStep]:
        yield report(0)
        raise KeyboardInterrupt

    monitor = TrainingMonitor(5, 6.5)
    asyncio.run(monitor.run(interrupted()))
    assert monitor.state == "stopped"
    assert len(monitor.reports) == 1


def test_a_cell_that_the_kernel_cancels_stops_as_gently() -> None:
    monitor, steps = TrainingMonitor(1000, 6.5), Steps(1000, 0.005)

    async def scene() -> None:
        run = asyncio.create_task(monitor.run(steps.source))
        await wait_for(lambda: steps.taken > 3)
        run.cancel()
        await asyncio.wait_for(run, 2)

    asyncio.run(scene())
    assert (monitor.state, steps.closed) == ("stopped", True)


def test_an_error_in_training_is_not_hidden() -> None:
    def failing() -> Iterator[PretrainingStep]:
        yield report(0)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(TrainingMonitor(5, 6.5).run(failing()))


def test_updates_are_throttled() -> None:
    monitor, sent = TrainingMonitor(3000, 6.5), []
    monitor.observe(sent.append, "data")
    began = time.monotonic()
    for step in range(300):
        monitor.add(report(step))
    assert 1 <= len(sent) <= 2 + 5 * (time.monotonic() - began)


def test_the_smoothed_curve_is_a_mean_of_the_last_steps() -> None:
    losses = np.random.default_rng(0).random((50, 2), np.float32)
    expected = [losses[max(0, i + 1 - SMOOTHED_OVER) : i + 1].mean(0) for i in range(50)]
    assert np.allclose(_smoothed(losses), expected, atol=1e-6)


def test_a_run_that_diverged_is_still_shown() -> None:
    monitor = TrainingMonitor(3, 6.5)
    for step in range(3):
        monitor.add(report(step)._replace(mlm_loss=6.0 if step == 0 else float("nan")))
    monitor.evaluated(3, evaluation(float("nan")))
    assert unpacked(monitor.data)["curves"][0]["held_out"] == []


@pytest.mark.parametrize(("steps", "loss"), [(0, 6.5), (5, 0.0), (5, float("nan"))])
def test_what_cannot_be_shown_is_refused(steps: int, loss: float) -> None:
    with pytest.raises(InputError, match="at least one step"):
        TrainingMonitor(steps, loss)
