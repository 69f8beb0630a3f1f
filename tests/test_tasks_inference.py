"""Case 3: pairs from every usual file, and the hypothesis alone."""

from pathlib import Path

import pytest

from bertedu import InputError
from bertedu.finetuning import Inference, inference
from bertedu.finetuning.inference import Example, hypothesis_only
from tests.cases import TOKENIZER, pairs

RAIN = Example("It rains.", "It is wet.", "entailment")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cad.tsv", "sentence1\tsentence2\tgold_label\nIt rains.\tIt is wet.\tentailment\n"),
        ("snli.txt", ("gold_label\tsentence1\tsentence2\tlabel1\n"
         "entailment\tIt rains.\tIt is wet.\tneutral\n-\tIt rains.\tAnn sings.\tneutral\n")),
        ("mnli.tsv", ("index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label\n"
         "0\tx\tIt rains.\tIt is wet.\tneutral\tentailment\n")),
        ("rte.csv", 'premise,hypothesis,label\n"It rains.",It is wet.,entailment\n'),
        ("snli.jsonl", ('{"sentence1": "It rains.", "sentence2": "It is wet.", "gold_label": '
         '"entailment"}\n{"sentence1": "a", "sentence2": "b", "gold_label": "-"}\n')),
        ("mrpc.tsv", ("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
         "entailment\t1\t2\tIt rains.\tIt is wet.\n")),
    ],
)  # fmt: skip
def test_each_form_is_read(name, content, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert inference.read(tmp_path / name) == [RAIN]


def test_a_bad_line_is_named_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("premise\thypothesis\tlabel\na\tb\tyes\na\tb\n")
    with pytest.raises(InputError, match=r"a\.tsv:3: the row has 2 cells and the header 3"):
        inference.read(file)
    file.write_text("text\tlabel\na\tb\n")
    with pytest.raises(InputError, match=r"a\.tsv:1: the header names no premise"):
        inference.read(file)
    file.write_text("premise\tlabel\na\tb\n")
    with pytest.raises(InputError, match=r"a\.tsv:2: there is no 'hypothesis'"):
        inference.read(file)


def test_a_pair_is_two_segments_and_its_label_a_number() -> None:
    task = Inference().learned_from(pairs(20))
    assert task.labels == ("false", "true")
    (feature,) = task.features(Example("good w1", "bad", "true"), TOKENIZER, 128)
    assert feature.encoding.tokens == ["[CLS]", "good", "w1", "[SEP]", "bad", "[SEP]"]
    assert feature.encoding.token_type_ids.tolist() == [0, 0, 0, 0, 1, 1]
    assert feature.labels["labels"].item() == 1
    (cut,) = task.features(Example("w1 " * 30, "bad", "true"), TOKENIZER, 10)
    assert len(cut.encoding) == 10
    assert "bad" in cut.encoding.tokens
    for given in ("one text", ("one",), ("a", "b", "c"), ("a", 3)):
        with pytest.raises(InputError, match="a pair is needed"):
            task.example(given)


def test_without_the_premise_only_the_hypothesis_is_left() -> None:
    (alone,) = hypothesis_only([RAIN])
    (feature,) = Inference(("entailment",)).features(alone, TOKENIZER, 128)
    assert feature.encoding.tokens[:2] == ["[CLS]", "[SEP]"]
    assert feature.encoding.pair == RAIN.hypothesis
