"""What `make test` keeps of a run is what the run gave."""

import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch

from bertedu import BertConfig
from bertedu.finetuning import Classification, FinetuningRecipe, FinetuningRun, classification
from bertedu.training.step import Trainer

TINY = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
KEPT_RUNS = str(Path(__file__).with_name("kept_runs.py"))
EXAMPLES = [classification.Example(text, text[0]) for text in ("good", "bad", "great", "boring")]
RECIPE = FinetuningRecipe(epochs=2, batch_size=2)


@pytest.fixture(autouse=True)
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[mock.Mock]:
    """Keeps runs, and counts the steps that are really taken."""
    monkeypatch.setenv("BERTEDU_KEPT_RUNS", str(tmp_path))
    monkeypatch.setattr(FinetuningRun, "__iter__", FinetuningRun.__iter__)  # put back at the end
    left = runpy.run_path(KEPT_RUNS)
    assert {name for name in left if not name.startswith("__")} == set()
    step = Trainer.step
    with mock.patch.object(Trainer, "step", autospec=True, side_effect=step) as steps:
        yield steps


def trained(
    recipe: FinetuningRecipe = RECIPE, examples: list = EXAMPLES, dev: list | None = EXAMPLES[:2]
) -> tuple:
    """Returns all that a reader sees of a run, and what chance will bring next."""
    run = FinetuningRun(Classification(), TINY, examples, dev, recipe=recipe)
    reports = list(run)
    weights = [*run.model.state_dict().values(), *run.finetuned.model.state_dict().values()]
    return reports, run.evaluations, run.model.training, torch.rand(3).tolist(), weights


@pytest.mark.parametrize(
    "which", [{}, {"dev": None}, {"recipe": replace(RECIPE, freeze_encoder=True)}]
)
def test_a_second_run_takes_no_step_and_gives_the_same(which: dict, steps: mock.Mock) -> None:
    *first, weights = trained(**which)
    assert steps.call_count == 4
    *second, weights_again = trained(**which)
    assert steps.call_count == 4
    assert first == second
    assert all(map(torch.equal, weights, weights_again))


def test_another_run_takes_its_own_steps(steps: mock.Mock) -> None:
    others = [
        {},
        {"recipe": replace(RECIPE, seed=1)},
        {"recipe": replace(RECIPE, learning_rate=1e-3)},
        {"examples": EXAMPLES[::-1]},
    ]
    losses = {trained(**other)[0][-1].loss for other in others}
    assert len(losses) == len(others)
    assert steps.call_count == 4 * len(others)


def test_a_stopped_run_is_not_kept(steps: mock.Mock) -> None:
    run = iter(FinetuningRun(Classification(), TINY, EXAMPLES, EXAMPLES[:2], recipe=RECIPE))
    next(run)
    run.close()
    trained()
    assert steps.call_count == 1 + 4


def test_without_a_folder_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BERTEDU_KEPT_RUNS")
    before = FinetuningRun.__iter__
    runpy.run_path(KEPT_RUNS)
    assert FinetuningRun.__iter__ is before
