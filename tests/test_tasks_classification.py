"""Case 1, and what the other cases take from it: tables, labels, accuracy, F1."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertedu import InputError
from bertedu.finetuning import Classification, classification
from bertedu.finetuning.classification import (
    BertForPooledClassification,
    Example,
    accuracy,
    confusion,
    macro_f1,
)
from tests.cases import CONFIG, TOKENIZER

GOOD, BAD = Example("so good", "1"), Example("it 's bad", "0")


@pytest.mark.parametrize(
    ("name", "content", "examples"),
    [
        ("glue.tsv", "sentence\tlabel\nso good \t1\nit 's bad\t0\n", [GOOD, BAD]),
        ("turned.tsv", "\ufefflabel\tsentence\r\n1\tso good\r\n\r\n0\tit 's bad", [GOOD, BAD]),
        ("test.tsv", 'index\tsentence\n0\ta "quoted\n', [Example('a "quoted')]),
        ("comma.csv", 'text,label\n"so good",1\n"it \'s bad",0\n', [GOOD, BAD]),
        ("two.csv", 'text,label\n"so, ""good""",1\n', [Example('so, "good"', "1")]),
        ("lines.txt", "1 so good\n0 it 's bad\n\n", [GOOD, BAD]),
        ("trec.txt", "DESC:manner How did it ?\n", [Example("How did it ?", "DESC:manner")]),
        ("tab.txt", "very good\tso good\n", [Example("so good", "very good")]),
        ("cola.tsv", "gj04\t1\t\tso good\nclc\t0\t*\tit 's bad\n", [GOOD, BAD]),
        ("text_first.tsv", "so good\t1\nit 's bad\t0\nso good !\t1\n",
         [GOOD, BAD, Example("so good !", "1")]),
        ("no_header.csv", '"so good",1\n"it \'s bad",0\n"so, so",0\n',
         [GOOD, BAD, Example("so, so", "0")]),
        ("kaggle.tsv", "Id\tPhrase\tSentiment\n7\tso good\t1\n8\tit 's bad\t0\n", [GOOD, BAD]),
        ("excel.csv", "Text;Label;;\nso good;1;;\nit 's bad;0;;\n", [GOOD, BAD]),
        ("comma.txt", "label,text\n1,so good\n0,it 's bad\n", [GOOD, BAD]),
        ("quotes.tsv", 'text\tlabel\n"so ""good"""\t1\nit \'s bad\t0\n',
         [Example('so "good"', "1"), BAD]),
        ("all.tsv", '"text"\t"label"\n"so\tgood"\t"1"\n', [Example("so\tgood", "1")]),
        ("glue_quotes.tsv", 'sentence\tlabel\n"so" ""good\t1\n"so"\t0\n',
         [Example('"so" ""good', "1"), Example('"so"', "0")]),
        ("whole_quotes.tsv", 'sentence\tlabel\n"so"\t1\nit\t0\n',
         [Example('"so"', "1"), Example("it", "0")]),
        ("open_quotes.tsv", 'sentence\tlabel\n"so\t1\nit\t0\n"so\t0\n',
         [Example('"so', "1"), Example("it", "0"), Example('"so', "0")]),
        ("old_mac.csv", "text,label\rso good,1\rit 's bad,0\r", [GOOD, BAD]),
        ("array.json", '[{"Text": "so good", "label": 1.0},\n {"text": "it \'s bad", "label": 0}]',
         [GOOD, BAD]),
        ("array.jsonl", '[\n{"text": "so good", "label": 1},\n{"text": "no", "label": NaN}\n]',
         [GOOD, Example("no")]),
        ("data.json", '{"data": [{"text": "so good", "label": "1"}]}', [GOOD]),
        ("lines.json", '{"text": "so good", "label": 1}\n{"text": "it \'s bad", "label": 0}\n',
         [GOOD, BAD]),
        ("pretty.json", '{\n  "text": "so good",\n  "label": 1\n}\n', [GOOD]),
        ("test.csv", "text,label\nso good,-1\n", [Example("so good")]),
        ("three.csv", "text,label\na,0\nb,2\nc,-1\n",
         [Example("a", "0"), Example("b", "2"), Example("c")]),
        ("signed.csv", "text,label\na,0\nb,1\nc,-1\n",
         [Example("a", "0"), Example("b", "1"), Example("c", "-1")]),
        ("x.jsonl", '{"text": "so good", "label": 1}\n{"sentence": "no label"}\n',
         [GOOD, Example("no label")]),
    ],
)  # fmt: skip
def test_each_form_is_read(name, content, examples, tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        (tmp_path / name).write_bytes(content.encode(encoding))
        assert classification.read(tmp_path / name) == examples, encoding


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.tsv",
            "sentence\tlabel\ngood\t1\nbad\n",
            "a.tsv:3: cells in the row: 1, in the header: 2",
        ),
        ("a.tsv", "sentence\tlabel\ngood\t\n", "a.tsv:2: the label is empty"),
        ("a.csv", 'text,label\nfine,1\n"open,1\n', "a.csv:3: this is no row of a .csv"),
        ("a.txt", "1 good\nbad\n", "a.txt:2: 'bad' is not `LABEL text`"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text"\n', "a.jsonl:2: this line is not JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: this line is no JSON object"),
        ("a.jsonl", '{"label": 1}\n', "a.jsonl:1: there is no 'text'"),
        ("a.jsonl", '{"text": 5, "label": 1}\n', "a.jsonl:1: text is 5, not text"),
        ("a.tsv", "Zeile\tSentiment\ngood\t1\n", "--columns text=NAME,label=NAME"),
        (
            "a.tsv",
            "Zeile\tMeinung\n" + "good\t1\nbad\t0\n" * 3,
            "a.tsv:1: the header names no text",
        ),
        ("a.tsv", "1\tfilm\tgood\n", "a.tsv:1: the header names no text (1, film, good)"),
        ("a.csv", 'text,label\nfine,1\n"open,1\nfine,0\n', "a.csv:3: this is no row of a .csv"),
        ("a.jsonl", '{"text": "a", "label": ["x", "y"]}\n', "a.jsonl:1: the label is ['x', 'y']"),
        ("a.jsonl", '{"text": "\\ud800", "label": 1}\n', "text holds half of a surrogate pair"),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: this JSON is nested too deeply"),
        ("a.json", '[{"text": "a"},\n{"text"', "a.json:2: this line is not JSON"),
        ("a.jsonl", '{"text": 1' + "0" * 5000 + "}", "a.jsonl:1: this line is not JSON (Exceeds"),
        ("a.csv", "label,text,label\n1,good,0\n", "a.csv:1: two columns are called label"),
        ("a.tsv", "", "a.tsv holds no example"),
        ("a.tsv", "text\tlabel\n\n", "a.tsv holds no example"),
        ("a.tsv", "<!DOCTYPE html>\n<p>1", "a web page instead of the file, not text: download"),
        ("a.tsv", "version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
        ("a.tsv", "\0\1" * 9 + "\0\0\0\0x", "a.tsv is no text file"),
        ("a.xlsx", "PK\3\4", "a.xlsx is a .zip (or .xlsx, .docx) file, not text"),
        ("a.txt", "0 x\n1 " + "good " * 300_000, "a.txt:2: this line is longer than 1,000,000"),
        ("a.json", '[{"text": "' + "good " * 300_000 + '"}]', "text has 1,500,000 characters"),
    ],
)
def test_a_bad_line_is_named_by_its_number(name, content, message, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as mistake:
        classification.read(tmp_path / name)
    assert message in str(mistake.value)


def test_another_encoding_is_named_and_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("1 good\n0 caf\u00e9 closed\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.txt:2: this line is not utf-8"):
        classification.read(tmp_path / "a.txt")
    assert classification.read(tmp_path / "a.txt", "latin-1")[1].text == "caf\u00e9 closed"
    with pytest.raises(InputError, match="there is no file"):
        classification.read(tmp_path / "b.txt")
    with pytest.raises(InputError, match=r"is a folder: name a file in it \(a\.txt\)"):
        classification.read(tmp_path)
    with pytest.raises(InputError, match="there is no encoding 'latin-99'"):
        classification.read(tmp_path / "a.txt", "latin-99")
    (tmp_path / "a.txt").write_bytes("1 \u597d\n".encode("gb18030"))
    assert classification.read(tmp_path / "a.txt", "gb18030") == [Example("\u597d", "1")]


def test_columns_can_be_named_or_numbered(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("Zeile\tMeinung\tText\nso good\t1\tx\n")
    named = {"text": "zeile", "label": "Meinung"}
    assert classification.read(file, columns=named) == [GOOD]
    (tmp_path / "a.jsonl").write_text('{"Zeile": "so good", "MEINUNG": 1}')
    assert classification.read(tmp_path / "a.jsonl", columns=named) == [GOOD]
    for columns, message in [
        ({"text": "Satz"}, r"a\.tsv:2: there is no column 'Satz'; there are zeile, meinung, text"),
        ({"satz": "Zeile"}, "--columns names 'satz'; the columns are text, label"),
        ({"text": "1", "label": "4"}, r"a\.tsv:1: the row has 3 cells"),
    ]:
        with pytest.raises(InputError, match=message):
            classification.read(file, columns=columns)
    file.write_text("1\tfilm\tso good\n0\tfilm\tit 's bad\n")
    assert classification.read(file, columns={"text": "3", "label": "1"}) == [GOOD, BAD]


class Rows(list):
    """What `datasets` gives, as far as it is used."""

    def __init__(self, rows: list[dict]) -> None:
        super().__init__(rows)
        self.features = {"sentence": None, "label": SimpleNamespace(names=["no", "yes"])}


def test_a_data_set_of_the_hub_is_read(monkeypatch) -> None:
    asked = []

    def load_dataset(*name, split):
        asked.append((*name, split))
        if name[0] == "gone":
            raise OSError("no such data set\nat all")
        if name[0] == "script":
            raise RuntimeError("Dataset scripts are no longer supported")
        if name[0] == "slow":
            raise TimeoutError
        return Rows([{"sentence": "fine", "label": 1}, {"sentence": "what", "label": -1}])

    monkeypatch.setitem(sys.modules, "datasets",
                        SimpleNamespace(load_dataset=load_dataset))  # fmt: skip
    assert classification.read("hub:glue:sst2:validation") == [
        Example("fine", "yes"),
        Example("what"),
    ]
    assert classification.read("hub:mine:test")
    assert classification.read("hub:mine")
    assert asked == [("glue", "sst2", "validation"), ("mine", "test"), ("mine", "train")]
    with pytest.raises(InputError, match=r"hub:gone cannot be read \(no such data set\)"):
        classification.read("hub:gone")
    with pytest.raises(InputError, match=r"hub:script cannot be read \(Dataset scripts are no"):
        classification.read("hub:script")
    with pytest.raises(InputError, match=r"hub:slow cannot be read \(TimeoutError\)"):
        classification.read("hub:slow")


def test_without_datasets_the_hub_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install bertedu\[data\]"):
        classification.read("hub:glue:sst2:train")


LABELS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1)


@given(LABELS)
def test_f1_and_accuracy_are_those_of_the_confusion(rows) -> None:
    gold, predicted = [g for g, _ in rows], [p for _, p in rows]
    table = confusion(gold, predicted, "abcd")
    assert int(table.sum()) == len(rows)
    assert accuracy(gold, predicted) == pytest.approx(float(table.trace()) / len(rows))
    scores = []
    for k in range(4):
        found, right, true = table[:, k].sum(), table[k].sum(), table[k, k]
        if found + right:
            precision, recall = true / found.clamp(min=1), true / right.clamp(min=1)
            both = precision + recall
            scores.append(float(2 * precision * recall / both) if both else 0.0)
    assert macro_f1(gold, predicted) == pytest.approx(sum(scores) / len(scores))


def test_examples_without_a_label_are_left_out_of_metrics() -> None:
    assert accuracy(["a", None, "b"], ["a", "a", "a"]) == 0.5
    assert macro_f1(["a", None], ["a", "b"]) == 1.0
    with pytest.raises(InputError, match="no example with a label"):
        accuracy([None], ["a"])


def test_labels_that_cannot_be_labels_are_noticed() -> None:
    texts = [Example("x", f"text {i}") for i in range(300)]
    with pytest.raises(InputError, match="300 different labels.*in another column"):
        Classification().learned_from(texts)
    with pytest.warns(UserWarning, match="54 training examples have 54 different labels"):
        Classification().learned_from(texts[:54])
    with pytest.raises(InputError, match="have none .--columns label=NAME"):
        Classification().learned_from([Example("x")])
    with pytest.raises(InputError, match="pooling is 'max'"):
        Classification(pooling="max")


def head(pooling: str, positions: int = 5) -> BertForPooledClassification:
    torch.manual_seed(0)
    return BertForPooledClassification(CONFIG, pooling, positions).eval()


@pytest.mark.parametrize("pooling", ["mean", "concat"])
def test_padding_changes_no_pooling(pooling) -> None:
    from bertedu import collate

    model = head(pooling)
    short, long = TOKENIZER.encode("good"), TOKENIZER.encode("w1 w2 bad w3 w4 w5")
    together = collate([short, long])
    with torch.inference_mode():
        logits = model(**together).logits
        for row, encoding in enumerate((short, long)):
            alone = model(**collate([encoding])).logits[0]
            torch.testing.assert_close(logits[row], alone, atol=1e-5, rtol=1e-4)


def test_poolings_by_hand() -> None:
    from bertedu import collate

    batch = collate([TOKENIZER.encode("w1 w2 bad w3 w4 w5")])
    with torch.inference_mode():
        for pooling in ("mean", "concat"):
            model = head(pooling)
            output = model(**batch)
            states = output.encoder.last_hidden_state[0]  # [8, H]
            vector = states.mean(0) if pooling == "mean" else states[:5].flatten()
            torch.testing.assert_close(output.logits[0], model.pooled_classifier(vector))
        model = head("concat", 20)
        filled = torch.cat([states, states.new_zeros(12, 16)]).flatten()
        assert model.pooled_classifier.in_features == len(filled) == 320
    with pytest.raises(InputError, match="positions is 41; it must be from 1 to 40"):
        head("concat", 41)
    with pytest.raises(InputError, match="pooling is 'cls'"):
        head("cls")
