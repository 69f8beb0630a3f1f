"""A fifth case is one module and one line: from a file, through both commands, to the Journey."""

import json
import types
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import bertedu
from bertedu import BertForPreTraining, BertModel
from bertedu.commands import cli
from bertedu.finetuning import TASKS, Classification, load, registry
from bertedu.finetuning.tables import table
from bertedu.finetuning.task import Feature, Task
from bertedu.utils.validation import IGNORED
from bertedu.widgets.journey import asking
from tests.cases import CONFIG, TOKENIZER, sentences


@dataclass(frozen=True)
class Example:
    """A text, who wrote it, and which token of it tells: what nobody has built in."""

    text: str
    author: str = ""
    telling: int | None = None


class Pointer(NamedTuple):
    """Where it points to, and every token's share."""

    tokens: list[str]
    shares: Tensor

    def __str__(self) -> str:
        return f"-> {self.tokens[int(self.shares.argmax())]}"

    def to_json(self) -> dict[str, object]:
        return {"token": self.tokens[int(self.shares.argmax())], "tokens": self.tokens}

    def chances(self) -> list[str]:
        order = self.shares.argsort(descending=True).tolist()
        return [f"{self.tokens[i]} {100 * float(self.shares[i]):.1f} %" for i in order]


class PointingBert(nn.Module):
    """One learned vector against every token."""

    def __init__(self, config: bertedu.BertConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = BertModel(config, add_pooling_layer=False)
        self.pointer = nn.Linear(config.hidden_size, 1)

    def forward(self, input_ids, token_type_ids=None, attention_mask=None, *, labels=None,
                **options):  # fmt: skip
        states = self.bert(input_ids, token_type_ids, attention_mask, **options).last_hidden_state
        logits = self.pointer(states).squeeze(-1)  # [B, S]
        logits = logits.masked_fill(attention_mask == 0, -torch.inf)
        loss = None if labels is None else F.cross_entropy(logits, labels, ignore_index=IGNORED)
        return types.SimpleNamespace(loss=loss, logits=logits[..., None])


@dataclass(frozen=True)
class TellingWord(Task[Example, Pointer]):
    """Which word tells whether a text is good or bad."""

    most: int = 5
    name = "telling_word"
    best = "accuracy"
    example_type = Example
    architecture = "PointingBert"
    options = {"most": "of something"}  # noqa: RUF012
    new = ("pointer",)

    @staticmethod
    def read(path):
        rows = table(path, ("text",))
        return [Example(r.text("text"), r.text("author"), int(r.text("telling"))) for r in rows]

    def group(self, example):
        return example.author

    def trainable(self, example):
        return example.telling is not None

    def learned_from(self, examples):  # noqa: ARG002
        return self

    def features(self, example, tokenizer, max_length):
        encoding = tokenizer.encode(example.text, max_length=max_length, truncate=True)
        known = example.telling is not None
        return [Feature(encoding, {"labels": torch.tensor(example.telling)} if known else {})]

    def head(self, config):
        return PointingBert(config)

    def decode(self, example, features, outputs):  # noqa: ARG002
        return Pointer(features[0].encoding.tokens, outputs[0]["logits"][:, 0].softmax(0))

    def metrics(self, examples, predictions):
        pairs = zip(examples, predictions, strict=True)
        right = [e.telling == int(p.shares.argmax()) for e, p in pairs]
        return {"accuracy": sum(right) / len(right)}


@pytest.fixture
def files(tmp_path: Path, monkeypatch) -> Path:
    """A checkpoint to start from and a table to learn from; the task has its line."""
    monkeypatch.setitem(registry.TASKS, "telling_word", TellingWord)
    torch.manual_seed(1)
    bertedu.save_pretrained(BertForPreTraining(CONFIG), tmp_path / "init", TOKENIZER)
    rows = ["text\ttelling\tauthor"]
    for number, example in enumerate(sentences(120)):
        place = 1 + example.text.split().index(example.label)  # after [CLS]
        rows.append(f"{example.text}\t{place}\twriter {number // 3}")
    (tmp_path / "train.tsv").write_text("\n".join(rows))
    return tmp_path


def test_a_fifth_case_is_fine_tuned_saved_and_asked(files: Path, capsys, monkeypatch) -> None:
    out = files / "out"
    words = ["finetune", "telling-word", str(files / "train.tsv"), "--init", str(files / "init"),
             "--out", str(out), "--epochs", "10", "--batch-size", "8", "--learning-rate", "0.01",
             "--dropout", "0", "--most", "7"]  # fmt: skip
    with pytest.raises(SystemExit):
        cli.main([*words[:-2], "--least", "7"])  # an option of no case
    capsys.readouterr()
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert "108 examples to learn from, 12 to judge by" in printed
    assert load(out).metrics["accuracy"] > 0.9
    assert json.loads((out / "metrics.json").read_text())["case"] == "telling_word"
    assert load(out).task == TellingWord(most=7)

    assert cli.main(["predict", str(out), "w1 good w2", "bad w3"]) == 0
    assert capsys.readouterr().out == "-> good\n-> bad\n"
    asked = files / "asked.jsonl"
    asked.write_text('{"id": 3, "text": "w1 w4 bad"}\n')
    assert cli.main(["predict", str(out), "--jsonl", str(asked)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "id": 3, "token": "bad", "tokens": ["[CLS]", "w1", "w4", "bad", "[SEP]"],
    }  # fmt: skip
    lines = asking(load(out))("w1 good w2", None)
    assert lines[0].startswith("good ")
    assert len(lines) == 5

    (out / "finetuning.json").unlink()  # as another program leaves it: by its architecture
    assert load(out).task == TellingWord()


def test_a_fifth_case_holds_out_whole_groups(files: Path) -> None:
    from bertedu.commands.finetune import held_out

    train, dev = held_out(TellingWord(), TellingWord.read(files / "train.tsv"), 0.1, seed=0)
    assert (len(train), len(dev)) == (108, 12)
    assert not {e.author for e in train} & {e.author for e in dev}


def test_a_variant_of_a_case_is_one_more_case(monkeypatch, tmp_path: Path, capsys) -> None:
    class Mood(Classification):
        name = "mood"

    monkeypatch.setitem(registry.TASKS, "mood", Mood)
    (tmp_path / "a.txt").write_text("good w1\nbad w2\n")
    assert Mood.read(tmp_path / "a.txt") == Classification.read(tmp_path / "a.txt")
    words = ["finetune", "mood", str(tmp_path / "a.txt"), "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--pooling", "max"]) == 2
    assert "pooling is 'max'" in capsys.readouterr().err
    published = bertedu.BertForSequenceClassification(CONFIG)
    bertedu.save_pretrained(published, tmp_path / "published", TOKENIZER)
    assert type(load(tmp_path / "published").task) is Classification  # not its variant


def test_without_its_line_there_is_no_fifth_case(capsys) -> None:
    assert "telling_word" not in TASKS
    with pytest.raises(SystemExit):
        cli.main(["finetune", "telling-word", "x", "--out", "y"])
    assert "invalid choice: 'telling_word'" in capsys.readouterr().err
