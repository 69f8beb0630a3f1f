"""The graduates: found by name, on one base in memory, wherever a fine-tuned model is taken."""

import hashlib
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bertedu import BertConfig, BertForPreTraining, CheckpointError, InputError, load_tokenizer
from bertedu import checkpoint as checkpoints
from bertedu.checkpoint import save_pretrained
from bertedu.commands import doctor
from bertedu.commands.cli import main
from bertedu.finetuning import FineTuned, graduates, load
from bertedu.finetuning import model as finetuned
from bertedu.finetuning.adapters import CONFIG, WEIGHTS, add_lora
from bertedu.finetuning.model import Base, starting_model
from bertedu.finetuning.task import SETTINGS
from bertedu.widgets import Journey, PairExplorer, SpanExplorer, TextClassifier, TokenTagger
from tests.finetuned_models import SIZES, TASKS

CASES = {
    "inference": "inference",
    "questions": "question_answering",
    "sentiment": "classification",
    "slots": "slot_filling",
}
TEXTS = ("my cute dog likes playing", "an animal plays")
WORDS = "bert.embeddings.word_embeddings.weight"
MOST_BYTES = 3_000_000
SECTIONS = ("data", "licence", "command", "figures", "limits")
SHIPPED = graduates.names()


def randomly(model: torch.nn.Module) -> None:
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape) * 0.3


def sums(folder: Path) -> None:
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder).as_posix()}\n"
        for file in sorted(folder.glob(f"*/{WEIGHTS}"))
    ]
    (folder / "SHA256").write_text("".join(lines))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a small base, and four adapters on it with random numbers."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(7)
    save_pretrained(BertForPreTraining(BertConfig(**SIZES)), folder / "base", load_tokenizer())
    for name, case in CASES.items():
        task = TASKS[case]
        model, tokenizer = starting_model(task, folder / "base")
        sha256 = Base.of(folder / "base", model).sha256
        add_lora(model, rank=4)
        randomly(model)
        tuned = FineTuned(task, model, tokenizer, 64, base=Base("bertedu", sha256))
        tuned.save(folder / "graduates" / name, torch.float16)
        card = f"# {name}\n\nIt does {case}.\n\n```console\n$ bertedu predict {name} a b\n```\n"
        (folder / "graduates" / name / "README.md").write_text(card)
    sums(folder / "graduates")
    return folder


@pytest.fixture
def there(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets the library find them, in a copy; returns their folder."""
    shutil.copytree(made, tmp_path / "made")
    monkeypatch.setenv("BERTEDU_CHECKPOINT", str(tmp_path / "made" / "base"))
    monkeypatch.setattr(graduates, "GRADUATES", tmp_path / "made" / "graduates")
    return tmp_path / "made" / "graduates"


@pytest.mark.parametrize(("name", "case"), CASES.items())
def test_a_graduate_is_loaded_by_its_name(name: str, case: str, there: Path) -> None:
    tuned = load(name)
    assert tuned.task == TASKS[case]
    assert tuned.base is not None
    assert tuned.base.name == "bertedu"
    saved = load_file(there / name / WEIGHTS)
    assert {weight.dtype for weight in saved.values()} == {torch.float16}
    state = tuned.model.state_dict()
    assert {weight.dtype for weight in state.values()} == {torch.float32}
    for published, weight in saved.items():
        assert torch.equal(state[published.removeprefix("base_model.model.")], weight.float())


def test_a_name_wins_and_a_path_is_a_folder(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(there / "sentiment", tmp_path / "questions")
    monkeypatch.chdir(tmp_path)
    assert load("questions").task.name == "question_answering"
    assert load("./questions").task.name == "classification"
    assert load(Path("questions")).task.name == "classification"


def test_they_share_one_base_which_is_read_once(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load("questions")

    def read_again(*_: object) -> None:
        raise AssertionError("the base was read, or its checksum computed, a second time")

    for name in ("read_weights", "read_config", "base_checksum"):
        monkeypatch.setattr(finetuned, name, read_again)
    drawn = torch.get_rng_state()
    others = [load(name) for name in ("sentiment", "slots", "inference", "questions")]
    assert torch.equal(torch.get_rng_state(), drawn), "numbers were drawn, only to be replaced"
    places = {tuned.model.get_parameter(WORDS).data_ptr() for tuned in (first, *others)}
    assert len(places) == 1
    heads = {
        tuned.model.get_parameter("qa_outputs.weight").data_ptr() for tuned in (first, others[3])
    }
    assert len(heads) == 2


def test_a_base_that_changes_on_the_disk_is_read_again(there: Path) -> None:
    load("questions")
    torch.manual_seed(8)
    model = BertForPreTraining(BertConfig(**SIZES))
    save_pretrained(model, there.parent / "base", load_tokenizer())
    with pytest.raises(CheckpointError, match="questions was made for another checkpoint than"):
        load("questions")


def test_an_unknown_name_is_told_which_there_are(
    there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> Path:
        raise CheckpointError(f"the hub has no model {name!r}")

    monkeypatch.setattr(checkpoints, "download", nothing)
    known = "the graduates are inference, questions, sentiment, slots"
    with pytest.raises(CheckpointError, match=f"^the hub has no model 'question'; {known}$"):
        load("question")
    for name in ("some/model", "no/such/folder", Path("a/b")):
        with pytest.raises(CheckpointError) as caught:
            load(name)
        assert "graduates" not in str(caught.value)


@pytest.mark.parametrize("lost", [CONFIG, WEIGHTS, SETTINGS, "."])
def test_a_missing_graduate_is_one_sentence(lost: str, there: Path) -> None:
    if lost == ".":
        shutil.rmtree(there / "slots")
    else:
        (there / "slots" / lost).unlink()
    with pytest.raises(CheckpointError, match="^the graduate slots has no .*: `git restore"):
        load("slots")
    row = doctor.check_graduates(there)
    first = CONFIG if lost == "." else lost
    assert (row.ok, row.found) == (False, f"slots/{first} is missing")


def test_a_damaged_graduate_is_one_sentence(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = there / "slots" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-9])
    assert main(["predict", "slots", "fly to Rome"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"{WEIGHTS} is damaged" in said.err


def test_the_doctor_knows_their_checksums(there: Path) -> None:
    row = doctor.check_graduates(there)
    assert (row.ok, row.found.partition(":")[0]) == (True, ", ".join(CASES))
    weights = there / "slots" / WEIGHTS
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # it still loads
    load("slots")
    row = doctor.check_graduates(there)
    assert row.ok is False
    assert row.found.startswith(f"slots/{WEIGHTS} is damaged: checksum ")
    assert "git restore bertedu/graduates" in row.remedy
    weights.write_bytes(whole)
    shutil.copytree(there / "slots", there / "mine")
    assert "mine/adapter_model.safetensors is not in SHA256" in doctor.check_graduates(there).found
    (there / "SHA256").unlink()
    assert doctor.check_graduates(there).ok is False
    assert doctor.check_graduates(there / "nothing").ok is None
    assert doctor.check_graduates in doctor.CHECKS


def test_the_commands_take_a_name(
    there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "questions", *TEXTS[::-1]]) == 0
    assert capsys.readouterr().out == f"{load('questions').predict(TEXTS[::-1])}\n"
    assert main(["predict", "--task", "classification", "sentiment", TEXTS[0]]) == 0
    assert capsys.readouterr().out == f"{load('sentiment').predict(TEXTS[0])}\n"
    data = tmp_path / "data.tsv"
    data.write_text("sentence\tlabel\na fine day\tpositive\na sad day\tnegative\n")
    assert main(["evaluate", "sentiment", str(data), "--json"]) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["accuracy"] <= 1
    assert main(["predict", "--jsonl"]) == 2
    assert "name the model" in capsys.readouterr().err


def test_predict_alone_lists_them(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "slots" / "README.md").unlink()
    assert main(["predict"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "inference: It does inference: bertedu predict inference a b",
        "questions: It does question_answering: bertedu predict questions a b",
        "sentiment: It does classification: bertedu predict sentiment a b",
        "slots: bertedu predict slots TEXT",
    ]
    monkeypatch.setattr(graduates, "GRADUATES", there / "nothing")
    assert main(["predict"]) == 0
    assert capsys.readouterr().out.startswith("No graduates come with this version")


def test_widgets_take_a_name(there: Path) -> None:
    one, other = TEXTS
    for by_name, by_model in (
        (TextClassifier("sentiment", one), TextClassifier(load("sentiment"), one)),
        (TokenTagger("slots", one), TokenTagger(load("slots"), one)),
        (PairExplorer("inference", *TEXTS), PairExplorer(load("inference"), *TEXTS)),
        (SpanExplorer("questions", other, one), SpanExplorer(load("questions"), other, one)),
    ):
        assert repr(by_name) == repr(by_model)
    with pytest.raises(InputError, match="fine-tuned for classification; this one was for slot"):
        TextClassifier("slots")
    journey = Journey(*TEXTS, cases={"mood": "sentiment", "follows": "inference"})
    expected = load("sentiment").predict(one).chances()
    assert journey.answers["mood"] == expected
    assert journey.answers["follows"] == load("inference").predict(TEXTS).chances()


def test_a_graduate_is_exported_with_its_base(
    there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "web", "questions", str(tmp_path / "page")]) == 0
    packs = {file.name for file in (tmp_path / "page").glob("*.pack")}
    assert packs == {"bert.pack", "question_answering.pack"}
    capsys.readouterr()


# ---------------------------------------------------------------- those that are shipped

shipped = pytest.mark.parametrize("name", SHIPPED or ["none"])


@pytest.fixture
def folder(name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the folder of one that comes with the course."""
    if not SHIPPED:
        pytest.skip("no graduates come with this version")
    monkeypatch.delenv("BERTEDU_CHECKPOINT", raising=False)
    return graduates.find(name)


@shipped
def test_a_shipped_graduate_is_small_and_its_card_is_whole(name: str, folder: Path) -> None:
    files = list(folder.iterdir())
    assert {file.name for file in files} == {CONFIG, WEIGHTS, SETTINGS, "README.md"}
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    card = (folder / "README.md").read_text("utf-8")
    titles = {title.lower() for title in re.findall(r"^## (\w+)", card, re.MULTILINE)}
    assert set(SECTIONS) - titles == set()
    purpose, example = graduates.card(name)
    assert purpose.endswith(".")
    assert example.startswith(f"bertedu predict {name} ")


@shipped
def test_a_shipped_graduate_answers_as_its_card_says(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (folder / "README.md").read_text("utf-8")
    examples = re.findall(r"^\$ bertedu (predict .+)\n((?:(?![$`]).+\n)+)", card, re.MULTILINE)
    assert examples
    for command, answer in examples:
        assert main(shlex.split(command)) == 0
        said = capsys.readouterr().out
        number = r"\d+\.\d"  # other processors round a little differently
        assert re.sub(number, "#", said) == re.sub(number, "#", answer)
        found, stated = (list(map(float, re.findall(number, text))) for text in (said, answer))
        assert found == pytest.approx(stated, abs=0.2)


def test_the_doctor_finds_what_is_shipped_whole() -> None:
    assert doctor.check_graduates().ok is (True if SHIPPED else None)
