"""Adapters: what they leave alone, what they learn, and what is refused."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bertedu import BertConfig, BertForPreTraining, CheckpointError, InputError, load_tokenizer
from bertedu.checkpoint import save_pretrained
from bertedu.commands.cli import main
from bertedu.finetuning import (
    Classification,
    FinetuningRecipe,
    FinetuningRun,
    QuestionAnswering,
    SlotFilling,
    classification,
    finetune,
    load,
    question_answering,
    slot_filling,
)
from bertedu.finetuning.adapters import CONFIG, WEIGHTS, add_lora, base_checksum, lora_layers
from bertedu.finetuning.task import Task

SIZES = BertConfig(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=64,
)  # fmt: skip
TEXTS = [
    classification.Example(f"a {word} day in the {place}", label)
    for word, label in [("lovely", "good"), ("awful", "bad"), ("fine", "good"), ("sad", "bad")]
    for place in ("garden", "city", "house", "sea", "hills", "rain")
]
RECIPE = FinetuningRecipe(epochs=40, batch_size=8, learning_rate=1e-2, dropout=0, lora_rank=4)
SHORT = replace(RECIPE, epochs=8)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("bases") / "base"
    save_pretrained(BertForPreTraining(SIZES), folder, load_tokenizer())
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters") / "mood"
    finetune(Classification(), base, TEXTS, TEXTS, recipe=RECIPE, progress=False).save(folder)
    return folder


def copied(folder: Path, to: Path) -> Path:
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def test_an_adapter_learns_and_leaves_the_encoder_alone(base: Path) -> None:
    run = FinetuningRun(Classification(), base, TEXTS, recipe=RECIPE)
    before = base_checksum(run.model.state_dict())
    learning = {name for name, p in run.model.named_parameters() if p.requires_grad}
    assert all(".lora_" in name or "classifier" in name or "pooler" in name for name in learning)
    reports = list(run)
    assert base_checksum(run.model.state_dict()) == before
    assert reports[-1].loss < 0.2 < reports[0].loss
    assert all(layer.lora_B.weight.any() for _, layer in lora_layers(run.model))


def test_a_saved_adapter_says_what_it_said_before(adapter: Path, base: Path) -> None:
    tuned = load(adapter)
    assert not (adapter / "model.safetensors").exists()
    assert tuned.evaluate(TEXTS) == tuned.metrics == {"accuracy": 1.0} | tuned.metrics
    assert tuned.base is not None
    assert tuned.base.name == str(base)


def test_two_adapters_share_one_base(adapter: Path) -> None:
    one, other = load(adapter), load(adapter)
    words = "bert.embeddings.word_embeddings.weight"
    assert one.model.get_parameter(words).data_ptr() == other.model.get_parameter(words).data_ptr()
    pooler = "bert.pooler.dense.weight"
    assert (
        one.model.get_parameter(pooler).data_ptr() != other.model.get_parameter(pooler).data_ptr()
    )


@pytest.mark.parametrize("task", [SlotFilling(), QuestionAnswering()])
def test_every_task_can_be_an_adapter(task: Task, base: Path, tmp_path: Path) -> None:
    examples = {
        "slot_filling": [
            slot_filling.Example.from_words(("fly", "to", city), ("O", "O", "B-city"), "go")
            for city in ("rome", "oslo", "paris")
        ],
        "question_answering": [
            question_answering.Example(
                f"who likes {it}?", f"bob likes {it}.", (question_answering.Answer("bob", 0),)
            )
            for it in ("tea", "milk", "jam")
        ],
    }[task.name]
    tuned = finetune(task, base, examples, recipe=SHORT, progress=False)
    tuned.save(tmp_path / "adapter")
    again = load(tmp_path / "adapter")
    given = [tuned.task.example(e) for e in examples]
    assert [str(p) for p in again.predictions(given)] == [str(p) for p in tuned.predictions(given)]


def test_a_continued_run_is_bit_identical(base: Path, tmp_path: Path) -> None:
    whole = FinetuningRun(Classification(), base, TEXTS, TEXTS, recipe=SHORT)
    expected = [(report.loss, report.metrics) for report in whole]
    first = FinetuningRun(
        Classification(), base, TEXTS, TEXTS, recipe=SHORT, folder=tmp_path, save_every=4
    )
    steps = iter(first)
    found = [(r.loss, r.metrics) for r in itertools.islice(steps, 10)]
    steps.close()
    rest = FinetuningRun(Classification(), base, TEXTS, TEXTS, recipe=SHORT, folder=tmp_path)
    found += [(report.loss, report.metrics) for report in rest]
    assert found == expected
    one, other = rest.finetuned.model.state_dict(), whole.finetuned.model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_an_adapter_learns_on(adapter: Path, base: Path, tmp_path: Path) -> None:
    slow = replace(SHORT, epochs=1, learning_rate=1e-4)
    run = FinetuningRun(Classification(), adapter, TEXTS, recipe=slow)
    assert run.finetuned.evaluate(TEXTS)["accuracy"] == 1.0  # it begins where it was
    before = base_checksum(run.model.state_dict())
    learning = {name for name, p in run.model.named_parameters() if p.requires_grad}
    fresh = FinetuningRun(Classification(), base, TEXTS, recipe=slow).model
    assert learning == {name for name, p in fresh.named_parameters() if p.requires_grad}
    losses = [report.loss for report in run]
    assert max(losses) < 0.5  # a fresh head begins with 0.69
    assert base_checksum(run.model.state_dict()) == before
    run.finetuned.save(tmp_path / "on")
    on, was = load(tmp_path / "on"), load(adapter)
    assert on.base == was.base
    for (_, now), (_, then) in zip(lora_layers(on.model), lora_layers(was.model), strict=True):
        assert not torch.equal(now.lora_B.weight, then.lora_B.weight)


def test_an_adapter_does_not_learn_on_as_something_else(adapter: Path) -> None:
    with pytest.raises(InputError, match="only rank 4 goes on with it"):
        FinetuningRun(Classification(), adapter, TEXTS, recipe=replace(SHORT, lora_rank=0))
    three = [*TEXTS, classification.Example("a day", "neither")]
    with pytest.raises(InputError, match=r"learned with labels \('bad', 'good'\), and these are"):
        FinetuningRun(Classification(), adapter, three, recipe=SHORT)
    with pytest.raises(InputError, match="was fine-tuned for classification"):
        FinetuningRun(QuestionAnswering(), adapter, [
            question_answering.Example("who?", "bob.", (question_answering.Answer("bob", 0),))
        ], recipe=SHORT)  # fmt: skip


def test_an_adapter_is_refused_on_another_base(adapter: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    torch.manual_seed(8)
    save_pretrained(BertForPreTraining(SIZES), other, load_tokenizer())
    moved = copied(adapter, tmp_path / "moved")
    settings = json.loads((moved / CONFIG).read_text())
    (moved / CONFIG).write_text(json.dumps(settings | {"base_model_name_or_path": str(other)}))
    with pytest.raises(CheckpointError, match="made for another checkpoint"):
        load(moved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"use_dora": True}, "use_dora = True is a variant"),
        ({"bias": "all"}, "bias = 'all' is a variant"),
        ({"rank_pattern": {"query": 8}}, "rank_pattern"),
        ({"peft_type": "IA3"}, "IA3 adapter"),
        ({"lora_alpha": "much"}, "damaged"),
        ({"base_model_name_or_path": "no/such/base"}, "is an adapter, and its base is not there"),
    ],
)
def test_what_is_not_computed_is_refused(
    change: dict[str, object], message: str, adapter: Path, tmp_path: Path
) -> None:
    odd = copied(adapter, tmp_path / "odd")
    settings = json.loads((odd / CONFIG).read_text())
    (odd / CONFIG).write_text(json.dumps(settings | change))
    with pytest.raises(CheckpointError, match=message):
        load(odd)


@pytest.mark.parametrize("fault", ["cut", "lacks", "half", "strange", "shape", "nan", "gone"])
def test_damaged_weights_are_named(fault: str, adapter: Path, tmp_path: Path) -> None:
    odd = copied(adapter, tmp_path / "odd")
    tensors = load_file(odd / WEIGHTS)
    name = min(tensors)
    if fault == "lacks":
        del tensors["base_model.model.classifier.weight"]
    elif fault == "half":  # the base has a pooler, too, and this would be half of each
        del tensors["base_model.model.bert.pooler.dense.bias"]
    elif fault == "strange":
        tensors["base_model.model.bert.nowhere.lora_A.weight"] = torch.zeros(4, 16)
    elif fault == "shape":
        tensors[name] = torch.zeros(3, 3)
    elif fault == "nan":
        tensors[name] = tensors[name] * float("nan")
    save_file(tensors, odd / WEIGHTS)
    if fault == "cut":
        (odd / WEIGHTS).write_bytes((odd / WEIGHTS).read_bytes()[:200])
    elif fault == "gone":
        (odd / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"moved|odd"):
        load(odd)


def test_what_cannot_be_run_is_refused(base: Path) -> None:
    with pytest.raises(InputError, match="random weights are no base"):
        FinetuningRun(Classification(), SIZES, TEXTS, recipe=RECIPE)
    with pytest.raises(InputError, match="freeze nothing else"):
        FinetuningRecipe(lora_rank=4, freeze_layers=1)
    with pytest.raises(InputError, match="no linear layer called nothing"):
        add_lora(BertForPreTraining(SIZES), 4, layers=["nothing"])


def test_the_command_makes_one_and_asks_it(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "mood.tsv"
    data.write_text("".join(f"{e.label}\t{e.text}\n" for e in TEXTS), encoding="utf-8")
    words = ["finetune", "classification", str(data), "--out", str(tmp_path / "mood")]
    words += ["--init", str(base), "--lora", "4", "--epochs", "40", "--learning-rate", "1e-2"]
    words += ["--batch-size", "8", "--dropout", "0", "--half", "--test", str(data)]
    assert main(words) == 0
    saved = load_file(tmp_path / "mood" / WEIGHTS)
    assert {weight.dtype for weight in saved.values()} == {torch.float16}
    assert (tmp_path / "mood" / WEIGHTS).stat().st_size < 50_000
    told = json.loads((tmp_path / "mood" / "metrics.json").read_text())
    assert told["test"] == load(tmp_path / "mood").evaluate(TEXTS)
    capsys.readouterr()
    text = "an awful day in the garden"
    assert main(["predict", str(tmp_path / "mood"), text]) == 0
    assert capsys.readouterr().out == f"{load(tmp_path / 'mood').predict(text)}\n"
