"""Fine-tuned models that were made elsewhere: taken for what they are, or refused in a sentence."""

import json

import pytest
import torch

import bertedu
from bertedu import (
    Bert,
    BertConfig,
    BertForPreTraining,
    BertForSequenceClassification,
    BertForTokenClassification,
    CheckpointError,
    InputError,
    save_pretrained,
)
from bertedu.commands.cli import main
from bertedu.finetuning import Classification, FineTuned, SlotFilling, load
from bertedu.finetuning.bio import bio_of
from tests.cases import CONFIG, TOKENIZER

NLI = ("entailment", "neutral", "contradiction")
SENTENCE, PAIR = "w1 w2 good", ("w1 w2", "good w3")


def published(folder, model_class, labels, tokenizer=TOKENIZER, **values):
    """Write a folder as transformers does: no finetuning.json."""
    torch.manual_seed(0)
    sizes = {"initializer_range": 0.5, "vocab_size": len(tokenizer)}
    config = BertConfig.from_dict(CONFIG.to_dict() | sizes | {"id2label": None} | values)
    model = model_class(BertConfig(**{**vars(config), "labels": tuple(labels)})).eval()
    save_pretrained(model, folder, tokenizer)
    known = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(known | values))
    return model


@pytest.mark.parametrize(
    "labels",
    [NLI, ("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), ("entailment", "not_entailment"),
     ("not_equivalent", "equivalent")],
    ids=str,
)  # fmt: skip
def test_labels_of_inference_tell_that_pairs_are_read(labels, tmp_path, capsys) -> None:
    model = published(tmp_path, BertForSequenceClassification, labels)
    tuned = load(tmp_path)
    assert tuned.task.name == "inference"
    batch = bertedu.collate([TOKENIZER.encode(*PAIR)])
    with torch.inference_mode():
        right = model(**batch).logits[0].softmax(-1).tolist()
    assert list(tuned.predict(PAIR).probabilities.values()) == pytest.approx(right, abs=1e-6)
    assert main(["predict", str(tmp_path), *PAIR]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_where_labels_do_not_tell_the_reader_does(tmp_path, capsys) -> None:
    published(tmp_path, BertForSequenceClassification, ("LABEL_0", "LABEL_1", "LABEL_2"))
    assert load(tmp_path).task.name == "classification"
    assert load(tmp_path, task="inference").predict(PAIR).label.startswith("LABEL_")
    for command, lines in (([], 2), (["--task", "inference"], 1)):
        assert main(["predict", *command, str(tmp_path), *PAIR]) == 0
        assert len(capsys.readouterr().out.splitlines()) == lines
    with pytest.raises(InputError, match="is a BertForSequenceClassification, which is not for sl"):
        load(tmp_path, task="slot_filling")
    load(tmp_path).save(tmp_path)
    with pytest.raises(InputError, match="was fine-tuned for classification, not for inference"):
        load(tmp_path, task="inference")


def test_its_own_length_holds(tmp_path) -> None:
    model = published(
        tmp_path, BertForSequenceClassification, ("a", "b"), max_position_embeddings=200
    )
    tuned = load(tmp_path)
    assert tuned.max_length == 200
    text = "w1 " * 150 + "bad"
    with torch.inference_mode():
        right = model(**bertedu.collate([TOKENIZER.encode(text)])).logits[0].softmax(-1)
    assert tuned.predict(text).probabilities["a"] == pytest.approx(float(right[0]), abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "values", "reason"),
    [
        (("toxic", "insult", "threat"), {"problem_type": "multi_label_classification"},
         "problem_type 'multi_label_classification', 3 in all"),
        (("LABEL_0",), {}, "problem_type None, 1 in all"),
        (("LABEL_0",), {"problem_type": "regression"}, "problem_type 'regression', 1 in all"),
        (("a", "b"), {"problem_type": "regression"}, "problem_type 'regression', 2 in all"),
        (("a", "b"), {"problem_type": ["odd"]}, r"problem_type \['odd'\], 2 in all"),
    ],
    ids=str,
)  # fmt: skip
def test_scores_and_several_labels_at_once_are_refused(labels, values, reason, tmp_path) -> None:
    model = published(tmp_path, BertForSequenceClassification, labels, **values)
    with pytest.raises(CheckpointError, match=f"does not choose one of several labels .{reason}"):
        load(tmp_path)
    again = bertedu.from_pretrained(tmp_path, BertForSequenceClassification)
    batch = bertedu.collate([TOKENIZER.encode(SENTENCE)])
    assert torch.equal(again(**batch).logits, model(**batch).logits)


@pytest.mark.parametrize(
    "labels",
    [("O", "PER", "LOC"), ("O", "PER-B", "PER-I"), ("LABEL_0", "LABEL_1"), ("O", "B_PER", "I_PER"),
     ("O", "B-"), ("o", "b-per")],
    ids=str,
)  # fmt: skip
def test_labels_that_mark_no_slots_are_refused_by_name(labels, tmp_path) -> None:
    published(tmp_path, BertForTokenClassification, labels)
    wrong = next(label for label in labels if label != "O")
    with pytest.raises(CheckpointError, match=rf"the label '{wrong}' is no tag: slots are|'o' is"):
        load(tmp_path)
    with pytest.raises(InputError, match="is no tag"):
        SlotFilling(labels=labels)


@pytest.mark.parametrize(
    ("tags", "slots"),
    [
        ("B-x E-x O S-y", ["x: w1 w2", "y: w4"]),
        ("B-x I-x L-x U-x", ["x: w1 w2 w3", "x: w4"]),
        ("B-x M-x E-x E-x", ["x: w1 w2 w3", "x: w4"]),
        ("S-x I-x E-x I-x", ["x: w1", "x: w2 w3", "x: w4"]),
        ("E-x I-y L-y O", ["x: w1", "y: w2 w3"]),
    ],
)
def test_slots_of_schemes_that_mark_their_ends(tags, slots) -> None:
    labels = tuple(dict.fromkeys(["O", *tags.split(), "S-z"]))
    task = SlotFilling(labels=labels)
    tuned = FineTuned(task, task.head(CONFIG), TOKENIZER, 40)
    example = task.example(("w1", "w2", "w3", "w4"))
    features = task.features(example, TOKENIZER, 40)
    logits = torch.zeros(6, len(labels))
    for position, tag in enumerate(tags.split(), 1):
        logits[position, labels.index(tag)] = 9.0
    assert str(tuned.task.decode(example, features, [{"logits": logits}])) == "\n".join(slots)


def test_bio_stays_as_it_is() -> None:
    tags = ["O", "B-x", "I-x", "B-x", "O", "I-y"]
    assert bio_of(tags) == tags


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_length": "128"}, "max_length is '128', of another kind than it should be"),
        ({"max_length": -1}, "max_length is -1; it must be at least 1"),
        ({"max_length": 1e9}, "max_length is 1000000000.0, of another kind"),
        ({"metrics": {"accuracy": "good"}}, "accuracy is 'good', of another kind"),
        ({"metrics": {"accuracy": float("nan")}}, "accuracy is nan, of another kind"),
        ({"metrics": [1]}, "cannot be used"),
        ({"settings": {"labels": [1, 2]}}, r"labels is \(1, 2\), of another kind"),
        ({"settings": {"labels": "ab"}}, "labels is 'ab', of another kind"),
        ({"settings": {"labels": ["a", "b"], "positions": "32"}}, "positions is '32', of another"),
        ({"settings": {"labels": ["a", "b"], "pooling": 3}}, "pooling is 3; it must be one of"),
        ({"settings": None}, "cannot be used"),
        ({"task": ["classification"]}, "cannot be used"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_note_of_wrong_types_is_refused(change, message, tmp_path) -> None:
    task = Classification(labels=("a", "b"))
    FineTuned(task, task.head(CONFIG), TOKENIZER, 40).save(tmp_path)
    note = tmp_path / "finetuning.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | change))
    with pytest.raises(CheckpointError, match=message) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{note} cannot be used: ")


def test_labels_in_two_orders_are_refused(tmp_path) -> None:
    task = Classification(labels=("a", "b"))
    FineTuned(task, task.head(CONFIG), TOKENIZER, 40).save(tmp_path)
    note = tmp_path / "finetuning.json"
    note.write_text(note.read_text().replace('"a"', '"c"'))
    with pytest.raises(CheckpointError, match=r"config\.json name other labels: copy both again"):
        load(tmp_path)


def test_a_tokenizer_with_more_ids_than_the_model_is_refused(tmp_path) -> None:
    published(tmp_path, BertForSequenceClassification, ("a", "b"))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<new>": len(TOKENIZER)}))
    with pytest.raises(InputError, match=f"has {len(TOKENIZER) + 1} tokens and the model"):
        load(tmp_path)


def test_numbers_that_overflow_are_no_prediction() -> None:
    task = Classification(labels=("a", "b"))
    model = task.head(CONFIG)
    torch.nn.init.constant_(model.bert.pooler.dense.weight, 3e38)
    torch.nn.init.constant_(model.classifier.weight, 3e38)
    with pytest.raises(CheckpointError, match="the model's answer is no finite number: its weigh"):
        FineTuned(task, model, TOKENIZER, 40).predict(SENTENCE)


def test_guesses_that_overflow_are_none() -> None:
    model = BertForPreTraining(CONFIG)
    torch.nn.init.constant_(model.cls.predictions.bias, 3e38)
    torch.nn.init.constant_(model.cls.seq_relationship.bias, float("inf"))
    bert = Bert(model, TOKENIZER)
    assert bert.fill_mask("w1 [MASK]", top_k=1)
    torch.nn.init.constant_(model.cls.predictions.transform.LayerNorm.bias, 3e38)
    for ask in (lambda: bert.fill_mask("w1 [MASK]"), lambda: bert.next_sentence("w1", "w2")):
        with pytest.raises(CheckpointError, match="is no finite number"):
            ask()
