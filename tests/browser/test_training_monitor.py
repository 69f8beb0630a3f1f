"""The training monitor's buttons, pressed while the cell runs."""

import time

import pytest

CELL = """
import time
from bertedu.pretraining import Evaluation, StepReport
from bertedu.widgets import TrainingMonitor

def steps():
    for i in range(STEPS):
        time.sleep(0.03)
        mlm_loss = 6.6 - 2 * i / STEPS + (i % 7) / 9
        yield StepReport(i, mlm_loss, 0.69 - i / STEPS / 5, 1e-3, 900, 0.03)

def look(step):
    e = Evaluation(6.5 - 2 * step / STEPS, 0.2, 0.69 - step / STEPS / 6, 0.6, 6.5, 100, 50)
    monitor.evaluated(step, e)
    monitor.predicted(step, [("The sun is [MASK].", ["hot", "big", "<b>"])])

monitor = TrainingMonitor(STEPS, 6.5)
await monitor.run(steps(), look, every=STEPS // 6)
"""
AFTER = "print('steps taken:', len(monitor.reports), monitor.state)"


def opened(lab, new_page, name: str, steps: int, **look):
    lab.write(name, f"STEPS = {steps}\n{CELL}", AFTER)
    page = new_page(**look)
    page.goto(f"{lab.url}/lab/tree/{name}?reset")
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=60_000)
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    widget = page.locator(".be-training")
    widget.wait_for(timeout=60_000)
    return page, widget


def test_pause_continue_and_stop_work_while_the_cell_runs(lab, new_page) -> None:
    page, widget = opened(lab, new_page, "monitor.ipynb", 20_000)
    status = widget.get_by_role("status")
    widget.get_by_role("button", name="Pause").click()
    status.get_by_text("paused").wait_for(timeout=5_000)
    held = status.inner_text()
    time.sleep(1)
    assert status.inner_text() == held
    widget.get_by_role("button", name="Continue").click()
    status.get_by_text("running").wait_for(timeout=5_000)
    began = time.monotonic()
    widget.get_by_role("button", name="Stop").click()
    page.get_by_text("steps taken:").last.wait_for(timeout=10_000)
    assert time.monotonic() - began < 2
    assert page.locator(".jp-OutputArea").get_by_text("stopped").count() > 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(lab, new_page, axe, artefacts, theme: str) -> None:
    page, widget = opened(lab, new_page, f"look-{theme}.ipynb", 60, theme=theme)
    widget.get_by_role("status").get_by_text("finished").wait_for(timeout=30_000)
    page.get_by_text("steps taken: 60 finished").wait_for()
    assert widget.locator("b, script").count() == 0
    page.evaluate(axe)
    for width in (1280, 800):
        page.set_viewport_size({"width": width, "height": 900})
        widget.screenshot(path=artefacts / f"training-{width}-{theme}.png")
        found = page.evaluate(
            "node => axe.run(node).then(r => r.violations.map(v => [v.id, v.nodes[0].html]))",
            widget.element_handle(),
        )
        assert found == []
