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
        ("numbers.csv", ("premise,hypothesis,label\nIt rains.,It is wet.,entailment\n"
         "It rains.,Ann sings.,-\n")),
        ("sick.txt", ("pair_ID\tsentence_A\tsentence_B\tentailment_judgment\n"
         "1\tIt rains.\tIt is wet.\tentailment\n")),
        ("array.json", ('[{"premise": "It rains.", "hypothesis": "It is wet.", "label": '
         '"entailment"}, {"premise": "a", "hypothesis": "b", "label": "-"}]')),
        ("mrpc.tsv", ("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
         "entailment\t1\t2\tIt rains.\tIt is wet.\n")),
    ],
)  # fmt: skip
def test_each_form_is_read(name, content, tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        (tmp_path / name).write_text(content, encoding=encoding)
        assert inference.read(tmp_path / name) == [RAIN]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("a.csv", "a,b,{}\n"),
        ("a.tsv", "a\tb\t{}\n"),
        ("a.jsonl", '{{"premise": "a", "hypothesis": "b", "label": {}}}\n'),
        ("b.jsonl", '{{"premise": "a", "hypothesis": "b", "label": "{}"}}\n'),
    ],
)
def test_minus_one_is_no_label_in_any_format(name, row, tmp_path: Path) -> None:
    header = {"a.csv": "premise,hypothesis,label\n", "a.tsv": "premise\thypothesis\tlabel\n"}
    rows = [row.format(label) for label in (0, -1, 2, 1)]
    (tmp_path / name).write_text(header.get(name, "") + "".join(rows))
    examples = inference.read(tmp_path / name)
    assert [e.label for e in examples] == ["0", None, "2", "1"]
    assert Inference().learned_from(examples).labels == ("0", "1", "2")


def test_pairs_without_a_header_are_named_by_number(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("entailment\tIt rains.\tIt is wet.\n")
    with pytest.raises(InputError, match="--columns premise=NAME,hypothesis=NAME,label=NAME"):
        inference.read(tmp_path / "a.tsv")
    columns = {"premise": "2", "hypothesis": "3", "label": "1"}
    assert inference.read(tmp_path / "a.tsv", columns=columns) == [RAIN]


def test_a_bad_line_is_named_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("premise\thypothesis\tlabel\na\tb\tyes\na\tb\n")
    with pytest.raises(InputError, match=r"a\.tsv:3: cells in the row: 2, in the header: 3"):
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
