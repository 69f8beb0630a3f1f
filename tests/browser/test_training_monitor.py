"""The training monitor's buttons, pressed while the cell runs."""

import re
import time

import pytest

HOSTILE = "<img src=x onerror='window.hurt=1'> שלום 你好 \N{DOG FACE} " + "word " * 200
CELL = """
import time
from bertedu.pretraining import Evaluation, PretrainingStep
from bertedu.widgets import TrainingMonitor

def steps():
    for i in range(STEPS):
        time.sleep(0.03)
        mlm_loss = 6.6 - 2 * i / STEPS + (i % 7) / 9
        yield PretrainingStep(i, mlm_loss, 0.69 - i / STEPS / 5, 1e-3, 900, 0.03)

def look(step):
    e = Evaluation(6.5 - 2 * step / STEPS, 0.2, 0.69 - step / STEPS / 6, 0.6, 6.5, 100, 50)
    monitor.evaluated(step, e)
    monitor.predicted(step, [(GAP, ["hot", "big", "<b>"])])

monitor = TrainingMonitor(STEPS, 6.5)
await monitor.run(steps(), look, every=STEPS // 6)
print("steps taken:", len(monitor.reports), monitor.state)
"""
LONG, SHORT = 20_000, 60


@pytest.fixture(scope="module")
def page(lab, open_notebook):
    """Three runs, one after the other: one for the buttons, one to look at, one that is hostile."""
    gap = "The sun is [MASK]."
    lab.write(
        "monitor.ipynb",
        f"GAP, STEPS = {gap!r}, {LONG}\n{CELL}",
        f"STEPS = {SHORT}\n{CELL}",
        f"GAP, STEPS = {HOSTILE!r}, 6\n{CELL}",
    )
    return open_notebook("monitor.ipynb", meanwhile=press)


def press(page) -> None:
    """Pause, continue and stop, each pressed while the first cell runs and each at work there."""
    widget = page.locator(".be-training")
    widget.wait_for(timeout=60_000)
    status = widget.get_by_role("status").first
    widget.get_by_role("button", name="Pause").click()
    status.get_by_text("paused").wait_for()
    held = status.inner_text()
    time.sleep(1)
    assert status.inner_text() == held
    widget.get_by_role("button", name="Continue").click()
    status.get_by_text("running").wait_for()
    widget.get_by_role("button", name="Stop").click()


def ended(page, number: int) -> tuple[int, str]:
    """How a run ended, as its cell prints it: steps and state."""
    cell = page.locator(".jp-CodeCell").nth(number)
    told = cell.locator(".jp-OutputArea-output").get_by_text("steps taken:").inner_text()
    taken, state = re.search(r"steps taken: (\d+) (\w+)", told).groups()
    return int(taken), state


def test_pause_continue_and_stop_work_while_the_cell_runs(page) -> None:
    taken, state = ended(page, 0)  # which it did long before its ten minutes were over
    assert state == "stopped"
    assert 0 < taken < LONG
    first = page.locator(".be-training").first
    assert f"{taken:,} of {LONG:,} steps" in first.get_by_role("status").first.inner_text()
    assert first.get_by_role("button", name="Stop").is_disabled()


def test_two_monitors_leave_each_other_alone(page) -> None:
    assert ended(page, 1) == (SHORT, "finished")
    first, second = page.locator(".be-training").all()[:2]
    before = first.inner_text()
    second.locator("svg.be-curve").first.click()
    assert second.locator(".be-line").last.inner_text().startswith("Pinned: Step ")
    assert first.inner_text() == before
    page.keyboard.press("Escape")


def test_what_the_model_says_is_text(page) -> None:
    assert ended(page, 2) == (6, "finished")
    widget = page.locator(".be-training").nth(2)
    shown = widget.locator("thead th").last.inner_text()
    assert shown.split() == HOSTILE.split()
    assert widget.locator("tbody tr").last.locator("td").inner_text() == "hot big <b>"
    assert widget.locator("b, img, script").count() == 0
    assert page.evaluate("window.hurt") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(page, look_at, theme: str) -> None:
    look_at(page.locator(".be-training").nth(1), "training", theme)
