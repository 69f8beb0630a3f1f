"""What a lesson's kernel reads before its first cell: fine-tuning that is done is not done again.

The editions of a lesson fine-tune the same models, which is most of what running them costs. So
`make test` keeps each finished run while it lasts, in BERTEDU_KEPT_RUNS; a run of the same task,
start, examples and recipe takes its reports and its weights from there. IPython reads this file
(PYTHONSTARTUP) in the reader's namespace, where it leaves nothing.
"""


def _keep_runs() -> None:
    import hashlib
    import os
    from collections.abc import Generator
    from pathlib import Path
    from unittest import mock

    import torch

    from bertedu.finetuning import FinetuningRun, FinetuningStep
    from bertedu.training.step import OneProcess

    folder = os.environ.get("BERTEDU_KEPT_RUNS")
    if not folder:  # read by something else, such as a search for examples to test
        return
    train = FinetuningRun.__iter__

    def train_once(run: FinetuningRun) -> Generator[FinetuningStep, None, None]:
        if run.folder or not isinstance(run.accelerator, OneProcess):
            yield from train(run)
            return
        key = (run.task, run.model.config, run.max_length, run.recipe, run._identity())
        name = hashlib.sha256(repr(key).encode("utf-8", "surrogatepass")).hexdigest()
        kept = Path(folder, name)
        if not kept.is_file():
            reports = []
            for report in train(run):
                reports.append(report)
                yield report
            states = [
                state and changed(run, state) for state in (run.model.state_dict(), run._best)
            ]
            unfinished = kept.with_suffix(f".{os.getpid()}")
            torch.save((reports, run.evaluations, states, torch.get_rng_state()), unfinished)
            unfinished.replace(kept)
            return
        reports, run.evaluations, (last, best), random = torch.load(kept, weights_only=False)
        yield from reports
        start = {name: weights.clone() for name, weights in run.model.state_dict().items()}
        run._best = best and start | best
        run.model.load_state_dict(start | last)
        run.model.eval()
        torch.set_rng_state(random)

    def changed(run: FinetuningRun, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        trained = {name for name, weights in run.model.named_parameters() if weights.requires_grad}
        return {name: weights for name, weights in state.items() if name in trained}

    mock.patch.object(FinetuningRun, "__iter__", train_once).start()


_keep_runs()
del _keep_runs
