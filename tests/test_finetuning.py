"""The loop: learning, exact resumption, exact sharing, the best kept, and what is refused."""

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bertedu
from bertedu import BertForPreTraining, CheckpointError, InputError
from bertedu.bert import Bert
from bertedu.commands.finetune import described
from bertedu.commands.training import Stop, alone, followed
from bertedu.finetuning import (
    TASKS,
    Classification,
    FinetuningRecipe,
    FinetuningRun,
    FinetuningStep,
    Inference,
    QuestionAnswering,
    classification,
    finetune,
    inference,
    load,
    question_answering,
)
from bertedu.finetuning.run import batches_of
from bertedu.training import batches as of_batches
from bertedu.training.checkpoints import checkpoints
from tests.cases import CASES, CONFIG, TOKENIZER, questions, sentences
from tests.finetuned_models import finetuned

RECIPE = FinetuningRecipe(epochs=2, batch_size=8, learning_rate=1e-2)
each_case = pytest.mark.parametrize("name", CASES)


def make_run(name: str, train: int = 40, dev: int = 12, **options) -> FinetuningRun:
    task, examples = CASES[name]
    recipe = replace(RECIPE, **options.pop("recipe", {}))
    return FinetuningRun(
        task, options.pop("bert", CONFIG), examples(train), examples(dev, seed=1) if dev else None,
        recipe=recipe, tokenizer=TOKENIZER, **options,
    )  # fmt: skip


def told(reports: list[FinetuningStep]) -> list[tuple]:
    """What a step says, but for the time it took."""
    return [report._replace(seconds=0.0) for report in reports]


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@each_case
def test_each_case_is_learned(name: str) -> None:
    task, examples = CASES[name]
    config = replace(CONFIG, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    recipe = replace(RECIPE, epochs=12 if name != "inference" else 30)
    tuned = finetune(
        task, config, examples(160), examples(40, seed=1), recipe=recipe, tokenizer=TOKENIZER,
        progress=False,
    )  # fmt: skip
    assert tuned.metrics[task.best] > 0.9
    assert tuned.evaluate(examples(40, seed=2))[task.best] > 0.85


def test_questions_are_judged_without_keeping_their_predictions(monkeypatch) -> None:
    alive, at_once = weakref.WeakSet(), []
    decode = QuestionAnswering.decode

    def watched(self, *of_one):
        prediction = decode(self, *of_one)
        alive.add(prediction.start_logits)
        at_once.append(len(alive))
        return prediction

    monkeypatch.setattr(QuestionAnswering, "decode", watched)
    judged = make_run("question_answering", dev=0).finetuned.evaluate(questions(40))
    assert "f1" in judged
    assert len(at_once) >= 40
    assert max(at_once) <= 2


@each_case
def test_the_seed_decides_everything(name: str) -> None:
    one, again, other = (make_run(name, recipe={"seed": seed}) for seed in (3, 3, 4))
    first = told(list(one))
    torch.manual_seed(99)
    assert told(list(again)) == first
    assert same(weights(one.finetuned.model), weights(again.finetuned.model))
    assert told(list(other)) != first


@each_case
def test_a_continued_run_is_bit_identical(name: str, tmp_path: Path) -> None:
    whole = make_run(name)
    reports = told(list(whole))
    steps = iter(make_run(name, folder=tmp_path))
    first = told(list(itertools.islice(steps, 6)))
    steps.close()
    torch.manual_seed(99)  # whatever the process did in between
    continued = make_run(name, folder=tmp_path)
    assert first + told(list(continued)) == reports
    assert continued.evaluations == whole.evaluations
    assert same(weights(continued.finetuned.model), weights(whole.finetuned.model))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    run = make_run("classification", folder=tmp_path)
    list(run)
    again = make_run("classification", folder=tmp_path)
    assert list(again) == []
    assert same(weights(again.finetuned.model), weights(run.finetuned.model))
    assert [folder.name for folder in checkpoints(tmp_path)] == [f"step-{run.steps:07d}"]


def test_another_run_is_not_continued(tmp_path: Path) -> None:
    steps = iter(make_run("classification", folder=tmp_path))
    next(steps)
    steps.close()
    refused = pytest.raises(CheckpointError, match="another task, on other examples or from")
    with refused:
        next(iter(make_run("classification", train=80, folder=tmp_path)))
    with refused:  # as many examples, but others
        next(iter(make_run("classification", dev=11, folder=tmp_path)))
    with refused:
        next(iter(make_run("classification", bert=replace(CONFIG, initializer_range=0.5),
                           folder=tmp_path)))  # fmt: skip
    with pytest.raises(CheckpointError, match=r"learning_rate = 0\.01, not 0\.5"):
        next(iter(make_run("classification", folder=tmp_path, recipe={"learning_rate": 0.5})))


@pytest.mark.parametrize("part", ["run.json", "evaluations.json", "recipe.json", "optimizer.pt"])
def test_a_damaged_part_is_named(part: str, tmp_path: Path) -> None:
    list(make_run("classification", folder=tmp_path))
    [file] = tmp_path.rglob(part)
    file.write_bytes(file.read_bytes()[:-20] if part == "optimizer.pt" else b"")
    cure = "delete it, and the same command goes on" if part == "run.json" else "to begin anew"
    with pytest.raises(CheckpointError, match=f"is damaged .*: .*{cure}"):
        next(iter(make_run("classification", folder=tmp_path)))


def test_a_development_example_that_cannot_be_read_is_told_before_the_training() -> None:
    task, examples = CASES["question_answering"]
    empty = question_answering.Example("who?", "\u200b", impossible=True)
    with pytest.raises(InputError, match="the document of 'who\\?' has no token"):
        FinetuningRun(task, CONFIG, examples(8), [*examples(4), empty], tokenizer=TOKENIZER)


@pytest.mark.parametrize("name", ["epochs", "patience", "seed", "learning_rate", "freeze_layers"])
def test_a_number_that_is_too_small_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is -1; it must be at least"):
        FinetuningRecipe(**{name: -1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1e-9])
@pytest.mark.parametrize("name", ["learning_rate", "warmup", "weight_decay", "clip_norm"])
def test_a_number_that_is_none_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} is {value}; it must be at least 0, and finite"):
        FinetuningRecipe(**{name: value})


def judged_as(monkeypatch, accuracies: list[float]) -> None:
    """Let evaluations come out like this, whatever the model does."""
    scores = iter(accuracies)
    monkeypatch.setattr(Classification, "metrics", lambda *_: {"accuracy": next(scores)})


def test_the_first_of_the_best_states_is_kept(monkeypatch) -> None:
    judged_as(monkeypatch, [0.5, 0.9, 0.9, 0.3])
    run = make_run("classification", recipe={"epochs": 4})
    states = [weights(run.model) for report in run if report.metrics]
    tuned = run.finetuned
    assert tuned.metrics == {"accuracy": 0.9}
    assert same(weights(tuned.model), states[1])
    assert not same(states[1], states[2])


def test_patience_ends_a_run(monkeypatch, tmp_path: Path) -> None:
    accuracies = [0.5, 0.6, 0.6, 0.4, 0.9, 0.9]
    judged_as(monkeypatch, accuracies)
    run = make_run("classification", recipe={"epochs": 6, "patience": 2}, folder=tmp_path)
    reports = list(run)
    assert [report.epoch for report in reports if report.metrics] == [0, 1, 2, 3]
    assert list(make_run("classification", recipe=
                         {"epochs": 6, "patience": 2}, folder=tmp_path)) == []  # fmt: skip


def test_evaluations_are_where_they_belong() -> None:
    run = make_run("classification", recipe={"evaluations_per_epoch": 2})
    assert run.steps == len(run) == 10
    assert [report.step for report in run if report.metrics] == [1, 4, 6, 9]
    assert [step for step, _ in run.evaluations] == [1, 4, 6, 9]
    without = make_run("classification", dev=0)
    assert all(report.metrics is None for report in without)
    assert without.finetuned.metrics == {}


def test_frozen_weights_stay_and_the_others_do_not() -> None:
    run = make_run("slot_filling", recipe={"freeze_layers": 1})
    before = weights(run.model)
    list(run)
    moved = {n for n, w in run.model.state_dict().items() if not torch.equal(w, before[n])}
    assert moved
    assert not [n for n in moved if n.startswith(("bert.embeddings", "bert.encoder.layer.0."))]
    assert any(n.startswith("bert.encoder.layer.1.") for n in moved)
    head = make_run("classification", recipe={"freeze_encoder": True})
    before = weights(head.model)
    list(head)
    moved = {n for n, w in head.model.state_dict().items() if not torch.equal(w, before[n])}
    assert moved == {"classifier.weight", "classifier.bias"}
    with pytest.raises(InputError, match="freeze_layers is 3; this model has 2"):
        make_run("classification", recipe={"freeze_layers": 3})


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=90),
    st.integers(1, 9),
    st.integers(1, 60),
)
def test_an_epoch_has_every_example_once(lengths, size, tokens) -> None:
    recipe = FinetuningRecipe(batch_size=size, batch_tokens=tokens)
    batches = batches_of(np.array(lengths), recipe, epoch=0)
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) <= size
        assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= tokens


def test_examples_of_like_length_are_together_and_epochs_differ() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, size=800)
    first, second = (batches_of(lengths, FinetuningRecipe(), epoch) for epoch in (0, 1))
    assert first != second
    padded = sum(len(rows) * lengths[rows].max() for rows in first)
    assert lengths.sum() / padded > 0.9


def test_the_estimate_measures_and_changes_nothing() -> None:
    run = make_run("classification")
    before = weights(run.model)
    assert 0 < run.estimate() < 60
    assert same(before, weights(run.model))
    assert all(p.grad is None for p in run.model.parameters())


def test_a_run_starts_from_what_it_is_given(tmp_path: Path) -> None:
    torch.manual_seed(5)
    pretrained = BertForPreTraining(CONFIG)
    bertedu.save_pretrained(pretrained, tmp_path, TOKENIZER)
    encoder = pretrained.bert.state_dict()
    for bert in (Bert(pretrained, TOKENIZER), tmp_path, str(tmp_path)):
        run = make_run("classification", bert=bert, recipe={"dropout": 0.3})
        assert same(run.model.bert.state_dict(), encoder)
        assert run.model.config.hidden_dropout_prob == 0.3
    assert not same(make_run("classification").model.bert.state_dict(), encoder)


def test_a_head_begins_afresh_even_where_the_checkpoint_has_one(tmp_path: Path) -> None:
    tuned = finetune(
        Classification(), CONFIG, sentences(8), tokenizer=TOKENIZER, recipe=RECIPE, progress=False
    )
    tuned.save(tmp_path)
    three = [*sentences(8), classification.Example("w1", "neither")]
    run = FinetuningRun(Classification(), tmp_path, three)
    assert run.model.classifier.weight.shape[0] == 3
    assert same(run.model.bert.state_dict(), tuned.model.bert.state_dict())


def test_half_an_encoder_is_refused(tmp_path: Path) -> None:
    bertedu.save_pretrained(BertForPreTraining(CONFIG), tmp_path, TOKENIZER)
    deeper = replace(CONFIG, num_hidden_layers=3).to_dict()
    (tmp_path / "config.json").write_text(json.dumps(deeper))
    with pytest.raises(CheckpointError, match=r"has no bert\.encoder\.layer\.2.*is not whole"):
        make_run("classification", bert=tmp_path)
    with pytest.raises(InputError, match="do not belong together"):
        make_run("classification", bert=replace(CONFIG, vocab_size=9))


@each_case
def test_a_saved_model_answers_as_before(name: str, tmp_path: Path) -> None:
    examples = CASES[name][1]
    run = make_run(name)
    list(run)
    tuned = run.finetuned
    tuned.save(tmp_path)
    again = load(tmp_path)
    assert again.task == tuned.task
    assert again.metrics == tuned.metrics
    assert again.max_length == tuned.max_length == 40
    asked = examples(9, seed=7)
    assert repr(again.predict(asked)) == repr(tuned.predict(asked))
    assert repr(again) == repr(tuned)
    assert tuned.task.name in repr(tuned)


@each_case
def test_neighbours_change_no_prediction(name: str) -> None:
    run = make_run(name)
    list(run)
    tuned = run.finetuned
    asked = CASES[name][1](30, seed=7)
    for example, prediction in zip(asked, tuned.predict(asked), strict=True):
        alone = tuned.predict(example)
        for ours, theirs in zip(prediction, alone, strict=True):
            if isinstance(ours, torch.Tensor):
                torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
            elif isinstance(ours, str | list) and not (ours and hasattr(ours[0], "probability")):
                assert ours == theirs


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    bertedu.save_pretrained(BertForPreTraining(CONFIG), tmp_path, TOKENIZER)
    with pytest.raises(CheckpointError, match="holds no fine-tuned model"):
        load(tmp_path)
    settings = tmp_path / "finetuning.json"
    for content in (
        "{",
        "[]",
        '{"task": "translation", "settings": {}}',
        '{"task": "inference", "settings": {"colour": 1}}',
        '{"task": "inference"}',
    ):
        settings.write_text(content)
        with pytest.raises(CheckpointError, match="cannot be used"):
            load(tmp_path)
    settings.write_text('{"task": "inference", "settings": {"labels": ["a", "b"]}}')
    with pytest.raises(CheckpointError, match=r"has no classifier\.weight \(2 of"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "a text is needed, and this is a int"),
        (("a", "b"), "a text is needed, and this is a tuple"),
        (None, "a text is needed"),
    ],
)
def test_what_is_no_input_is_named(given, message) -> None:
    run = make_run("classification")
    with pytest.raises(InputError, match=message):
        run.finetuned.predict(given)


def test_there_must_be_something_to_learn() -> None:
    task = Classification()
    unlabelled = [classification.Example("w1")]
    for train in ([], unlabelled):
        with pytest.raises(InputError, match="no training example with an answer"):
            FinetuningRun(task, CONFIG, train, tokenizer=TOKENIZER)
    with pytest.raises(InputError, match="need two labels or more, and have only 'good'"):
        FinetuningRun(task, CONFIG, sentences(4)[::2], tokenizer=TOKENIZER)
    with pytest.raises(InputError, match="no development example has an answer"):
        FinetuningRun(task, CONFIG, sentences(4), unlabelled, tokenizer=TOKENIZER)
    with pytest.warns(UserWarning, match="1 of 5 training examples say no answer"):
        FinetuningRun(task, CONFIG, sentences(4) + unlabelled, tokenizer=TOKENIZER)


def test_a_dev_set_of_one_class_is_judged_all_the_same() -> None:
    run = FinetuningRun(
        Classification(), CONFIG, sentences(16), sentences(8)[::2], tokenizer=TOKENIZER
    )
    list(run)
    assert 0 <= run.finetuned.metrics["f1"] <= 1


def test_labels_that_training_never_saw_count_as_wrong() -> None:
    strange = [classification.Example("w1", "strange")]
    run = FinetuningRun(
        Classification(), CONFIG, sentences(16), sentences(3, 1) + strange, tokenizer=TOKENIZER
    )
    with pytest.warns(UserWarning, match="1 of 4 have a label that training never saw"):
        list(run)
    assert run.evaluations[-1][1]["accuracy"] <= 0.75


def test_what_is_cut_is_counted() -> None:
    long = [classification.Example("good " * 60, "good"), classification.Example("bad", "bad")]
    with pytest.warns(UserWarning, match="1 of 2 training examples were cut to 40 tokens"):
        run = FinetuningRun(Classification(), CONFIG, long, tokenizer=TOKENIZER)
    with pytest.warns(UserWarning, match="1 of 2 texts were cut to 40 tokens"):
        run.finetuned.predict(["good " * 60, "bad"])
    with pytest.raises(InputError, match="max_length is 50 and this model has 40 positions"):
        make_run("classification", recipe={"max_length": 50})


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"epochs": 0}, "epochs is 0"), ({"warmup": 2.0}, "a share"), ({"batch_size": 0}, "batch_")],
)
def test_recipes_that_cannot_run_are_refused(settings, message) -> None:
    with pytest.raises(InputError, match=message):
        FinetuningRecipe(**settings)


def write_examples(folder: Path) -> tuple[Path, Path, Path]:
    """A tiny checkpoint, sentences to learn from, and more to test on."""
    torch.manual_seed(1)
    bertedu.save_pretrained(BertForPreTraining(CONFIG), folder / "init", TOKENIZER)
    for name, seed in (("train", 0), ("test", 1)):
        rows = [f"{e.label} {e.text}\n" for e in sentences(90, seed)]
        (folder / f"{name}.txt").write_text("".join(rows))
    return folder / "init", folder / "train.txt", folder / "test.txt"


OPTIONS = ["--batch-size", "8", "--epochs", "8", "--learning-rate", "0.01", "--dropout", "0"]
SINGLE = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path, str]:
    """A run of the command that nobody disturbed: its words, its folder, what it printed."""
    folder = tmp_path_factory.mktemp("command")
    init, train, test = write_examples(folder)
    words = ["-m", "bertedu.commands.cli", "finetune", "classification", str(train)]
    words += ["--test", str(test), "--init", str(init), *OPTIONS]
    result = subprocess.run(
        [sys.executable, *words, "--out", str(folder / "out")],
        env=os.environ | SINGLE, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return words, folder / "out", result.stdout


def test_the_command_says_what_lies_ahead_and_how_it_went(finished) -> None:
    _, out, printed = finished
    assert "81 examples to learn from, 9 to judge by, 2 labels" in printed
    assert re.search(r"parameters to train in 88 steps, about \d+ min on this machine", printed)
    metrics = json.loads((out / "metrics.json").read_text())
    assert f"test: accuracy {metrics['test']['accuracy']:.1%}" in printed
    assert metrics["steps"] == 88
    assert metrics["test"]["accuracy"] > 0.9
    assert load(out).evaluate(sentences(90, 1)) == metrics["test"]
    assert not (out / "run").exists()


def test_a_killed_command_continues_as_if_nothing_had_happened(finished, tmp_path: Path) -> None:
    words, undisturbed, _ = finished
    command = [sys.executable, *words, "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        command, env=os.environ | SINGLE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/run/step-*")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command, env=os.environ | SINGLE, capture_output=True, check=True, timeout=120)
    assert same(weights(load(tmp_path / "out").model), weights(load(undisturbed).model))


def test_two_processes_learn_what_one_learns(finished, tmp_path: Path) -> None:
    words, undisturbed, _ = finished
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2",
              "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
              "--main_process_port", "0", "--num_cpu_threads_per_process", "1"]  # fmt: skip
    subprocess.run(
        [sys.executable, *launch, *words, "--out", str(tmp_path / "out")],
        env=os.environ | SINGLE, capture_output=True, check=True, timeout=200,
    )  # fmt: skip
    one, two = (weights(load(out).model) for out in (undisturbed, tmp_path / "out"))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=2e-3, rtol=0)


def run_cli(capsys, *words: str) -> tuple[int, str, str]:
    from bertedu.commands import cli

    code = cli.main(list(words))
    return code, *capsys.readouterr()


def test_predict_answers_on_the_command_line(finished, capsys, monkeypatch, tmp_path) -> None:
    _, out, _ = finished
    code, printed, _ = run_cli(capsys, "predict", str(out), "w1 good", "bad w2 w3")
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()] == ["good", "bad"]
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"id": 7, "text": "w1 good"}\n\n{"text": "bad w2"}\n')
    code, printed, _ = run_cli(capsys, "predict", str(out), "--jsonl", str(asked))
    rows = [json.loads(line) for line in printed.splitlines()]
    assert (rows[0]["id"], rows[0]["label"], rows[1]["label"]) == (7, "good", "bad")
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1)
    asked.write_text('{"text": "w1"}\n{"text": \n')
    code, _, complaint = run_cli(capsys, "predict", str(out), "--jsonl", str(asked))
    assert code == 1
    assert complaint.startswith(f"{asked}:2: this line is not JSON")
    given = b'{"text": "w1 good"}\n{"text": "caf\xe9"}\n{"id": 3, "text": "bad w2"}'
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given)))
    code, printed, complaint = run_cli(capsys, "predict", str(out), "--jsonl")
    assert code == 1
    assert [json.loads(line)["label"] for line in printed.splitlines()] == ["good", "bad"]
    assert complaint.startswith("standard input:2: this line is not utf-8")
    monkeypatch.setattr(sys, "stdin", None)  # as it is where it was closed
    assert run_cli(capsys, "predict", str(out), "--jsonl") == (0, "", "")
    code, _, complaint = run_cli(capsys, "predict", str(out))
    assert code == 2
    assert "give texts, --jsonl or --data" in complaint
    code, _, complaint = run_cli(capsys, "predict", str(out), "w1", "--data", str(asked))
    assert code == 2
    assert "one of the three" in complaint


BAD_LINES = {
    "[1]": "this line is no JSON object",
    '{"words": "w1"}': "there is no 'text'",
    '{"text": 3}': "a text is needed, and this is a int",
    "[" * 100_000: "this JSON is nested too deeply",
    "1" * 5_000: "this line is not JSON",
}


def test_a_bad_line_costs_none_of_its_neighbours(finished, capsys, tmp_path: Path) -> None:
    _, out, _ = finished
    asked = tmp_path / "asked.jsonl"
    good = [json.dumps({"id": i, "text": f"w{i} {('good', 'bad')[i % 2]}"}) for i in range(6)]
    asked.write_text(
        "\n".join(line for pair in zip(good, BAD_LINES, strict=False) for line in pair)
    )
    code, printed, complaint = run_cli(capsys, "predict", str(out), "--jsonl", str(asked))
    assert code == 1
    rows = [json.loads(line) for line in printed.splitlines()]
    assert [(row["id"], row["label"]) for row in rows] == [
        (i, ("good", "bad")[i % 2]) for i in range(len(BAD_LINES))
    ]
    told = complaint.splitlines()
    assert len(told) == len(BAD_LINES)
    for number, (line, reason) in enumerate(zip(told, BAD_LINES.values(), strict=True)):
        assert line.startswith(f"{asked}:{2 * number + 2}: {reason}")


def test_predict_and_evaluate_read_what_finetune_reads(finished, capsys, tmp_path: Path) -> None:
    words, out, _ = finished
    test = words[words.index("--test") + 1]
    code, printed, _ = run_cli(capsys, "predict", str(out), "--data", test)
    assert code == 0
    labels = [json.loads(line)["label"] for line in printed.splitlines()]
    right = [line.split()[0] for line in Path(test).read_text().splitlines()]
    metrics = json.loads((out / "metrics.json").read_text())["test"]
    assert np.mean([a == b for a, b in zip(labels, right, strict=True)]) == metrics["accuracy"]
    code, printed, _ = run_cli(capsys, "evaluate", str(out), test)
    assert (code, printed) == (0, f"{described(metrics)}\n")
    code, printed, _ = run_cli(capsys, "evaluate", str(out), test, "--json")
    assert (code, json.loads(printed)) == (0, metrics)


def test_predict_speaks_utf_8_whatever_the_terminal(finished, tmp_path: Path) -> None:
    _, out, _ = finished
    asked = '{"id": "\\u732b\\ud83d", "text": "w1 good"}\n'
    ended = subprocess.run(
        [sys.executable, "-m", "bertedu.commands.cli", "predict", str(out), "--jsonl"],
        env=os.environ | SINGLE | {"PYTHONIOENCODING": "latin-1"}, input=asked.encode(),
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert ended.stdout.startswith('{"id": "\u732b\\ud83d", "label": "good"'.encode())
    assert json.loads(ended.stdout)["id"] == "\u732b\ud83d"


@pytest.mark.parametrize("name", ["slot_filling", "inference", "question_answering"])
def test_predict_takes_what_each_case_reads(name: str, capsys, tmp_path: Path) -> None:
    run = make_run(name, recipe={"epochs": 8})
    list(run)
    run.finetuned.save(tmp_path)
    texts = {
        "slot_filling": ["good w1 in romes w2"],
        "inference": ["good w1", "good w2"],
        "question_answering": ["who", "w1 w2 rome w3 w4"],
    }[name]
    code, printed, _ = run_cli(capsys, "predict", str(tmp_path), *texts)
    assert code == 0
    assert printed.strip()
    fields = {"slot_filling": "text", "inference": "premise hypothesis",
              "question_answering": "question document"}[name].split()  # fmt: skip
    (tmp_path / "in.jsonl").write_text(json.dumps(dict(zip(fields, texts, strict=True))) + "\n")
    code, printed, _ = run_cli(capsys, "predict", str(tmp_path), "--jsonl", f"{tmp_path}/in.jsonl")
    assert code == 0
    keys = {"slot_filling": "slots", "inference": "label", "question_answering": "spans"}
    assert keys[name] in json.loads(printed)
    if len(texts) == 2:
        code, _, complaint = run_cli(capsys, "predict", str(tmp_path), "only one")
        assert code == 2
        assert "reads pairs" in complaint


def test_held_out_documents_stay_together() -> None:
    from bertedu.commands.finetune import held_out

    examples = [
        replace(e, question=q, id=f"{e.id} {q}") for e in questions(30) for q in ("who", "who .")
    ]
    train, dev = held_out(QuestionAnswering(), examples, 0.1, seed=0)
    assert (len(train), len(dev)) == (54, 6)
    assert not {e.document for e in train} & {e.document for e in dev}
    with pytest.raises(InputError, match="2 examples are too few"):
        held_out(QuestionAnswering(), examples[:2], 0.1, seed=0)
    of_one_premise = [
        inference.Example(f"w{i} w{i + 1}", hypothesis) for i in range(10) for hypothesis in "ab"
    ]
    train, dev = held_out(Inference(), of_one_premise, 0.2, seed=0)
    assert (len(train), len(dev)) == (16, 4)
    assert not {e.premise for e in train} & {e.premise for e in dev}


def test_every_case_has_the_same_shape() -> None:
    assert list(TASKS) == list(CASES)
    for name, task in TASKS.items():
        module = sys.modules[task.__module__]
        assert task.name == name
        assert task.read is module.read
        assert task.example_type is module.Example
        assert isinstance(CASES[name][1](1)[0], module.Example)


def test_a_full_disk_leaves_the_last_checkpoint(monkeypatch, tmp_path: Path) -> None:
    undisturbed = make_run("classification", recipe={"epochs": 3})
    whole = told(list(undisturbed))
    save, done = torch.save, []

    def full(_: object, path: Path) -> None:
        if len(done) > 7:
            raise OSError(28, "No space left on device")
        save(_, path)

    monkeypatch.setattr(torch, "save", full)
    run = make_run("classification", recipe={"epochs": 3}, folder=tmp_path)
    with pytest.raises(CheckpointError, match="make room"):
        done.extend(run)
    monkeypatch.undo()
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step-0000005"]
    # The evaluation behind that checkpoint has been noted; it is made again, not counted twice.
    assert len(json.loads((tmp_path / "evaluations.json").read_text())) == 2
    continued = make_run("classification", recipe={"epochs": 3}, folder=tmp_path)
    assert told(done)[:5] + told(list(continued)) == whole
    assert continued.evaluations == undisturbed.evaluations
    assert same(weights(continued.finetuned.model), weights(undisturbed.finetuned.model))


def test_a_loss_that_is_no_number_stops_the_run_and_saves_nothing(tmp_path: Path) -> None:
    run = make_run("classification", dev=0, folder=tmp_path, save_every=2)
    steps = iter(run)
    list(itertools.islice(steps, 3))
    before = weights(run.model)
    run.model.classifier.bias.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(InputError, match=r"the gradient is (inf|nan) in step 4, and nothing was"):
        next(steps)
    assert same(weights(run.model), before)
    run = make_run("classification", dev=0, folder=tmp_path, save_every=1)
    torch.nn.init.constant_(run.model.classifier.bias, float("nan"))
    [kept] = checkpoints(tmp_path)
    assert kept.name == "step-0000002"
    file = kept / "model.safetensors"
    digest = file.read_bytes()
    steps = iter(run)
    next(steps)
    torch.nn.init.constant_(run.model.classifier.bias, float("nan"))
    run.folder = None  # what step 3 would save is not asked here
    with pytest.raises(InputError, match=r"the loss is nan in step 4"):
        next(steps)
    assert file.read_bytes() == digest


def test_the_second_run_in_a_folder_is_told_so(finished, capsys, tmp_path: Path) -> None:
    words, _, _ = finished
    command = [*words[2:], "--out", str(tmp_path)]
    with alone(tmp_path):
        code, printed, complaint = run_cli(capsys, *command)
    assert (code, printed) == (2, "")
    assert complaint.startswith(f"bertedu finetune: another run is writing to {tmp_path}: ")
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_time_left_counts_the_steps_made_here(capsys) -> None:
    from tqdm.auto import tqdm

    def steps():
        time.sleep(0.5)  # to load what 900 steps came to
        for step in range(900, 910):
            yield SimpleNamespace(step=step)
            time.sleep(0.02)

    def rate() -> float:
        [bar] = tqdm._instances
        shown = bar.format_dict
        return (shown["n"] - shown["initial"]) / shown["elapsed"]

    with Stop() as stop:
        rates = [rate() for _ in followed(steps(), 1000, lambda _: {}, stop, shown=True)]
    assert rates[0] == 0
    assert 5 < rates[-1] < 50
    assert "910/1000" in capsys.readouterr().err


def test_ctrl_c_stops_after_the_step_and_the_second_time_at_once(capsys) -> None:
    closed, before = [], signal.getsignal(signal.SIGINT)

    def steps():
        try:
            for step in range(9):
                yield SimpleNamespace(step=step)
        finally:
            closed.append(step)

    seen = []
    with Stop() as stop:
        for report in followed(steps(), 9, lambda _: {}, stop, shown=True):
            seen.append(report.step)
            if report.step == 3:
                signal.raise_signal(signal.SIGINT)
    assert (seen, closed) == ([0, 1, 2, 3], [3])
    assert "stopped after step 4: run the same command to go on\n" in capsys.readouterr().out
    with Stop():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_no_warning_is_given_for_good_data() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(make_run("question_answering"))


def test_a_case_may_be_written_with_a_hyphen(capsys) -> None:
    code, _, complaint = run_cli(capsys, "finetune", "slot-filling", "none", "--out", "nowhere")
    assert (code, complaint) == (2, "bertedu finetune: there is no file none: check the path\n")


def test_what_is_frozen_is_shared_and_what_learns_is_not() -> None:
    run = make_run("classification", recipe={"freeze_layers": 1})
    for _ in run:
        pass
    tuned = run.finetuned.model
    for name, trained in run.model.named_parameters():
        kept = tuned.get_parameter(name)
        shares = kept.data_ptr() == trained.data_ptr()
        assert shares is not trained.requires_grad, name
    before = weights(tuned)
    with torch.no_grad():
        for trained in run.model.parameters():
            if trained.requires_grad:
                trained.add_(1)
    assert same(before, weights(tuned))


def test_what_learns_is_not_changed_during_a_run() -> None:
    run = make_run("classification", recipe={"freeze_layers": 1})
    steps = iter(run)
    while not run.evaluations:
        next(steps)
    run.model.requires_grad_(True)
    with pytest.raises(InputError, match="choose before the run"):
        list(steps)
    with pytest.raises(InputError, match="choose before the run"):
        _ = run.finetuned


class Libc:
    """Notes what glibc is told."""

    def __init__(self, _: None) -> None:
        self.mallopt = lambda setting, value: told_to_libc.append((setting, value))
        self.malloc_trim = lambda pad: told_to_libc.append(("trim", pad))


told_to_libc: list[tuple] = []


@pytest.mark.parametrize("ends", ["by itself", "early", "with an error"])
def test_memory_stays_during_a_training_and_goes_back_after_it(monkeypatch, ends: str) -> None:
    monkeypatch.setattr(of_batches.ctypes, "CDLL", Libc)
    monkeypatch.setattr(of_batches.sys, "platform", "linux")
    told_to_libc.clear()
    run = make_run("classification", dev=0)
    steps = iter(run)
    next(steps)
    assert (-4, 0) in told_to_libc  # M_MMAP_MAX: no piece is a mapping of its own
    assert ("trim", 0) not in told_to_libc
    if ends == "by itself":
        list(steps)
    elif ends == "early":
        steps.close()
    else:
        run.features.clear()
        with pytest.raises(IndexError):
            list(steps)
    assert told_to_libc[-1] == ("trim", 0)
    assert (-4, 65_536) in told_to_libc


def test_memory_stays_until_the_last_of_two_trainings_ends(monkeypatch) -> None:
    monkeypatch.setattr(of_batches.ctypes, "CDLL", Libc)
    monkeypatch.setattr(of_batches.sys, "platform", "linux")
    told_to_libc.clear()
    one, other = (iter(make_run("classification", dev=0)) for _ in range(2))
    next(one)
    next(other)
    one.close()
    assert ("trim", 0) not in told_to_libc
    other.close()
    assert told_to_libc[-1] == ("trim", 0)


def test_memory_stays_between_the_batches_of_many_predictions(monkeypatch) -> None:
    monkeypatch.setattr(of_batches.ctypes, "CDLL", Libc)
    monkeypatch.setattr(of_batches.sys, "platform", "linux")
    tuned = finetuned("classification")
    told_to_libc.clear()
    tuned.predict("my dog")
    assert told_to_libc == []  # a single batch
    list(tuned.predictions([tuned.task.example("my dog")] * 2, batch_tokens=4))
    assert (-4, 0) in told_to_libc
    assert told_to_libc[-1] == ("trim", 0)


def test_memory_of_another_allocator_is_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(of_batches.sys, "platform", "darwin")
    monkeypatch.setattr(of_batches.ctypes, "CDLL", None)  # it would fail
    with of_batches.kept_memory():
        pass
