"""Case 2: words and pieces, BIO there and back, slots scored as conlleval scores them."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertedu import InputError
from bertedu.finetuning import SlotFilling, slot_filling
from bertedu.finetuning.slot_filling import Example, mend, slot_scores, slots_of
from tests.cases import TOKENIZER, requests

TAGS = st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"])


@given(st.lists(TAGS, max_size=12))
def test_mended_tags_are_legal_and_mending_is_done_once(tags) -> None:
    legal, mended = mend(tags)
    assert mend(legal) == (legal, [])
    assert [i for i in range(len(tags)) if legal[i] != tags[i]] == mended
    for before, tag in pairwise(["O", *legal]):
        assert not tag.startswith("I-") or before[2:] == tag[2:]
    assert all(re.fullmatch("I-.", tags[i]) and legal[i] == f"B-{tags[i][2:]}" for i in mended)


@given(st.lists(TAGS, max_size=12), st.data())
def test_tags_to_slots_and_back(tags, data) -> None:
    words = [data.draw(st.sampled_from(["a", "bc", "def"])) for _ in tags]
    example = Example.from_words(words, tags)
    again = ["O"] * len(words)
    for slot in example.slots:
        assert example.text[slot.start : slot.end] == slot.text
        assert slot.text == " ".join(words[slot.first_word : slot.last_word + 1])
        for i in range(slot.first_word, slot.last_word + 1):
            again[i] = f"{'B' if i == slot.first_word else 'I'}-{slot.label}"
    assert again == list(example.tags)
    spans = [(slot.label, slot.start, slot.end) for slot in example.slots]
    assert Example.from_text(example.text, spans) == example


def conlleval(gold: list[str], predicted: list[str]) -> tuple[int, int, int]:
    """Correct, found and right chunks, as the shared task's script counts them, tag by tag."""
    correct = found = right = 0
    inside = False
    before_g = before_p = "O"
    for g, p in zip([*gold, "O"], [*predicted, "O"], strict=True):
        ends_g = before_g != "O" and (g[0] in "OB" or g[2:] != before_g[2:])
        ends_p = before_p != "O" and (p[0] in "OB" or p[2:] != before_p[2:])
        begins_g = g != "O" and (g[0] == "B" or before_g[2:] != g[2:])
        begins_p = p != "O" and (p[0] == "B" or before_p[2:] != p[2:])
        if inside:
            if ends_g and ends_p:
                correct, inside = correct + 1, False
            elif ends_g != ends_p or g[2:] != p[2:]:
                inside = False
        inside = inside or (begins_g and begins_p and g[2:] == p[2:])
        found, right = found + begins_p, right + begins_g
        before_g, before_p = g, p
    return correct, found, right


SENTENCES = st.lists(
    st.integers(1, 9).flatmap(
        lambda n: st.tuples(*[st.lists(TAGS, min_size=n, max_size=n)] * 2)
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip


@given(SENTENCES)
def test_slots_are_scored_as_conlleval_does(sentences) -> None:
    counts = [conlleval(gold, predicted) for gold, predicted in sentences]
    correct, found, right = (sum(column) for column in zip(*counts, strict=True))
    precision, recall = correct / max(1, found), correct / max(1, right)
    f1 = 2 * precision * recall / (precision + recall) if correct else 0.0
    scores = slot_scores([g for g, _ in sentences], [p for _, p in sentences])
    assert scores == pytest.approx({"precision": precision, "recall": recall, "f1": f1})


@pytest.mark.parametrize(
    ("gold", "predicted", "f1"),
    [
        ("O O", "O O", 0.0),  # nothing to find, nothing found
        ("B-x I-x", "B-x I-x", 1.0),
        ("B-x I-x", "B-x B-x", 0.0),
        ("B-x B-x", "B-x I-x", 0.0),
        ("B-x O", "I-x O", 1.0),  # an I- that continues nothing begins a slot
        ("B-x I-y", "B-x B-y", 1.0),
        ("B-x O", "B-y O", 0.0),
        ("O B-x", "B-x B-x", 2 / 3),
        ("B-x O B-x", "B-x O O", 2 / 3),
    ],
)
def test_edge_cases_of_the_score(gold, predicted, f1) -> None:
    assert slot_scores([gold.split()], [predicted.split()])["f1"] == pytest.approx(f1)


TWO = [
    Example.from_words(["fly", "to", "st.", "louis"], ["O", "O", "B-city", "I-city"], "flight"),
    Example.from_words(["hello"], ["O"], "greeting"),
]


def test_a_folder_of_three_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "seq.in").write_text("fly to st. louis \nhello\n")
    (tmp_path / "seq.out").write_text("O O B-city I-city\nO\n")
    (tmp_path / "label").write_text("flight\ngreeting\n")
    assert slot_filling.read(tmp_path) == TWO
    (tmp_path / "label").unlink()
    assert slot_filling.read(tmp_path)[0].intent is None
    (tmp_path / "seq.out").write_text("O O B-city I-city\nO O\n")
    with pytest.raises(InputError, match=r"seq\.out:2: there are 1 words and 2 labels"):
        slot_filling.read(tmp_path)
    (tmp_path / "seq.out").write_text("O O X-city I-city\nO\n")
    with pytest.raises(InputError, match=r"seq\.out:1: the label 'X-city' is not O, B-"):
        slot_filling.read(tmp_path)
    (tmp_path / "seq.out").write_text("O\n")
    with pytest.raises(InputError, match=r"seq\.in has 2 lines, seq\.out 1"):
        slot_filling.read(tmp_path)
    (tmp_path / "seq.out").write_text("O O B-city I-city\nO\n")
    (tmp_path / "label").write_text("flight\n\n")
    with pytest.raises(InputError, match=r"label:2: the label is empty"):
        slot_filling.read(tmp_path)
    (tmp_path / "seq.in").write_text("fly to st. louis\n\n")
    (tmp_path / "label").unlink()
    with pytest.raises(InputError, match=r"seq\.out:2: there are 0 words and 1 labels"):
        slot_filling.read(tmp_path)


def test_conll_is_read_also_in_its_oldest_scheme(tmp_path: Path) -> None:
    file = tmp_path / "eng.train"
    file.write_text("-DOCSTART- -X- O O\n\nU.N. NNP I-NP I-ORG\nsays VB O O\n\nRome NN X I-LOC\n")
    first, second = slot_filling.read(file)
    assert (first.words, first.tags) == (["U.N.", "says"], ("B-ORG", "O"))
    assert second.tags == ("B-LOC",)
    file.write_text("Rome I-LOC\n\nRome\n")
    with pytest.raises(InputError, match=r"eng\.train:3: 'Rome' is not a word and, last, its tag"):
        slot_filling.read(file)


YORK = Example.from_words(["in", "New", "York"], ["O", "B-LOC", "I-LOC"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tabs.conll", "in\tO\nNew York\tB-LOC\n"),
        ("empty.conll", "in\tO\n\tO\nNew\tB-LOC\n \tO\nYork\tI-LOC\n"),
        ("empty_blank.conll", "in O\n O\nNew B-LOC\nYork I-LOC\n"),
        ("numbered.conllu", ("# sent_id = 1\n# text = in New York\n"
         "1\tin\t_\tO\n2\tNew\t_\tB-LOC\n3\tYork\t_\tI-LOC\n")),
        ("from_0.tsv", "token\tner\n0\tin\tO\n1\tNew\tB-LOC\n2\tYork\tI-LOC\n".replace(
            "token", "id\ttoken")),
        ("docstart.txt", "-DOCSTART- -X- O\nin X O\nNew X B-LOC\nYork X I-LOC\n"),
        ("bioes.txt", "in O\nNew B-LOC\nYork E-LOC\n"),
        ("trailing.tsv", "in\tO\t\nNew\tB-LOC \nYork\tI-LOC\n"),
        ("both.jsonl", ('{"text": "in New York", "tokens": ["in", "New York"], '
         '"ner_tags": ["O", "B-LOC"]}')),
        ("empty.jsonl", ('{"tokens": ["in", "", "New", "York"], '
         '"tags": ["O", "O", "B-LOC", "I-LOC"]}')),
        ("text_tags.jsonl", '{"text": "in New York", "tags": ["O", "B-LOC", "I-LOC"]}'),
        ("string.jsonl", '{"text": "in New York", "tags": "O B-LOC I-LOC"}'),
        ("doccano.jsonl", '{"id": 1, "text": "in New York", "label": [[3, 11, "LOC"]]}'),
        ("doccano_old.jsonl", '{"id": 1, "text": "in New York", "labels": [[3, 11, "LOC"]]}'),
        ("doccano_new.jsonl", ('{"text": "in New York", "entities": [{"id": 7, "label": "LOC", '
         '"start_offset": 3, "end_offset": 11}], "relations": []}')),
        ("rasa.json", ('[{"text": "in New York", "entities": [{"entity": "LOC", "start": 3, '
         '"end": 11, "value": "New York"}]}]')),
        ("blank.jsonl", ('{"text": "in New York", "slots": '
         '[{"label": "LOC", "start": 2, "end": 11}]}')),
    ],
)  # fmt: skip
def test_no_word_is_lost_and_no_number_is_one(name, content, tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / name).write_text(content, encoding=encoding)
        assert slot_filling.read(tmp_path / name) == [YORK]


def test_a_row_with_a_cell_too_many_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("in O\nNew York B-LOC\n")
    with pytest.raises(InputError, match=r"a\.txt:2: 'New York B-LOC' is not a word and"):
        slot_filling.read(tmp_path / "a.txt")


def test_docstart_ends_a_sentence_and_columns_can_be_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Rome B-LOC\n-DOCSTART- O\nRome I-LOC\n")
    assert [e.words for e in slot_filling.read(tmp_path / "a.txt")] == [["Rome"], ["Rome"]]
    (tmp_path / "a.txt").write_text("B-LOC Rome\nO fell\n")
    with pytest.raises(InputError, match=r"a\.txt:1: 'B-LOC Rome' .*--columns words=NUMBER"):
        slot_filling.read(tmp_path / "a.txt")
    (example,) = slot_filling.read(tmp_path / "a.txt", columns={"words": "2", "tags": "1"})
    assert (example.words, example.tags) == (["Rome", "fell"], ("B-LOC", "O"))
    with pytest.raises(InputError, match="--columns takes numbers"):
        slot_filling.read(tmp_path / "a.txt", columns={"words": "word"})


def test_a_word_is_cut_where_pieces_are_and_else_left_out(tmp_path: Path) -> None:
    based = Example.from_text("a Paris-based bank", [("LOC", 2, 7)])
    assert based.words == ["a", "Paris", "-based", "bank"]
    assert based.tags == ("O", "B-LOC", "O", "O")
    file = tmp_path / "a.jsonl"
    good = '{"text": "in Rome", "slots": [{"label": "LOC", "start": 3, "end": 7}]}\n'
    slots = [(4, 7), (3, 9), (7, 3), (-4, 7), (2, 3)]
    bad = "".join(good.replace("3, ", f"{a}, ").replace("7}", f"{b}}}") for a, b in slots)
    file.write_text(good + bad)
    with pytest.warns(UserWarning, match=r"5 of 6 sentences are left out: .*a\.jsonl:2: the slot"):
        (example,) = slot_filling.read(file)
    assert example.slots == slots_of(example.text, example.offsets, ("O", "B-LOC"))


def test_json_lines_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(
        '{"words": ["hello"], "tags": ["O"], "intent": "greeting"}\n'
        '{"text": " wake me at 7:30, ok", "slots": [{"label": "time", "start": 12, "end": 16}]}\n'
        '{"text": "no answer yet"}\n'
    )
    one, two, three = slot_filling.read(file)
    assert one == TWO[1]
    assert [slot.text for slot in two.slots] == ["7:30"]
    assert two.text[12:16] == "7:30"
    assert three.tags is None
    for line, message in [
        (
            '{"text": "wake me", "slots": [{"label": "x", "start": 1, "end": 4}]}',
            "not made of whole",
        ),
        ('{"text": "wake me", "slots": [{"start": 1}]}', "needs label, start and end"),
        ('{"text": "wake me", "slots": [7]}', "needs label, start and end"),
        ('{"text": "wake me", "labels": [[0, 4]]}', "needs label, start and end"),
        ('{"text": "wake me", "slots": "time"}', "needs label, start and end"),
        ('{"text": 7, "slots": []}', "text is 7, not text"),
        ('{"words": ["a", "b"], "tags": ["O"]}', "there are 2 words and 1 labels"),
        ('{"words": ["a"]}', "there is no 'tags'"),
        ('{"words": "a", "tags": ["O"]}', "words must be a list of texts"),
        ('{"words": ["a", "b"], "tags": "OO"}', "tags must be a list of texts"),
    ]:
        file.write_text(line)
        with pytest.raises(InputError, match=rf"a\.jsonl:1: .*{message}") as refused:
            slot_filling.read(file)
        assert str(refused.value).count("a.jsonl:1") == 1


def test_marks_belong_to_the_word_that_they_stand_on() -> None:
    for text in (
        "cafe\u0301 noir",
        "\u0939\u093f\u0928\u094d\u0926\u0940 \u0939\u0948",
        "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627 \u0628",
        "\u2764\ufe0f ok",
    ):
        assert Example.from_text(text).words == text.split()
    assert Example.from_text("a\u2764\ufe0fb, \u0301").words == [
        "a",
        "\u2764\ufe0f",
        "b",
        ",",
        "\u0301",
    ]


def test_a_word_without_a_piece_does_not_end_a_slot() -> None:
    task = SlotFilling(("O", "B-city", "I-city"))
    example = Example.from_words(["in", "\u200b", "romes", "\u200b", "w1"])
    logits = torch.zeros(6, 3)  # [CLS] in rome ##s w1 [SEP]
    logits[1, 1] = logits[2, 2] = logits[4, 0] = 9.0
    prediction = decoded(logits, example, task)
    assert prediction.tags == ["B-city", "I-city", "I-city", "O", "O"]
    assert prediction.slots[0].text == "in \u200b romes"


def test_only_the_first_piece_of_a_word_is_labelled() -> None:
    example = Example.from_words(["in", "romes", "w1"], ["O", "B-city", "I-city"])
    task = SlotFilling().learned_from([example])
    assert task.labels == ("O", "B-city", "I-city")
    (feature,) = task.features(example, TOKENIZER, 128)
    assert feature.encoding.tokens == ["[CLS]", "in", "rome", "##s", "w1", "[SEP]"]
    assert feature.labels["labels"].tolist() == [-100, 0, 1, -100, 2, -100]


def decoded(logits: torch.Tensor, example: Example, task: SlotFilling, length: int = 128):
    features = task.features(example, TOKENIZER, length)
    return task.decode(example, features, [{"logits": logits}])


def test_a_prediction_by_hand() -> None:
    task = SlotFilling(("O", "B-city", "I-city"))
    example = task.example("in romes, w1")
    assert example.words == ["in", "romes", ",", "w1"]
    logits = torch.zeros(7, 3)  # [CLS] in rome ##s , w1 [SEP]
    logits[1, 0] = logits[2, 2] = logits[5, 2] = 9.0  # in: O; romes: I-city; w1: I-city
    logits[3, 1] = 99.0  # of a piece that does not answer
    logits[4, 0] = 9.0
    prediction = decoded(logits, example, task)
    assert prediction.pieces == [["in"], ["rome", "##s"], ["[UNK]"], ["w1"]]
    assert prediction.tags == ["O", "B-city", "O", "B-city"]
    assert prediction.mended == [1, 3]
    assert [(s.text, s.start, s.end) for s in prediction.slots] == [("romes", 3, 8), ("w1", 10, 12)]
    torch.testing.assert_close(prediction.probabilities, logits[[1, 2, 4, 5]].softmax(-1))
    assert prediction.intent is None


def test_words_without_pieces_or_beyond_the_limit_are_outside() -> None:
    task = SlotFilling(("O", "B-city"))
    example = task.example(("in", "\u0000", "romes"))
    prediction = decoded(torch.ones(6, 2), example, task)
    assert prediction.pieces[1] == []
    assert float(prediction.probabilities[1].sum()) == 0
    cut = decoded(torch.tensor([[0.0, 1.0]] * 3), example, task, 3)
    assert cut.tags == ["B-city", "O", "O"]
    nothing = decoded(torch.zeros(2, 2), task.example(""), task)
    assert nothing.words == nothing.tags == nothing.slots == []


def test_the_intent_is_learned_only_where_there_are_some() -> None:
    assert SlotFilling().learned_from(TWO).intents == ("flight", "greeting")
    assert SlotFilling(intent=False).learned_from(TWO).intents == ()
    assert SlotFilling().learned_from(TWO[:1]).intents == ()
    with pytest.raises(InputError, match="every word is O"):
        SlotFilling().learned_from(TWO[1:])


def test_metrics_count_whole_sentences_and_intents() -> None:
    task = SlotFilling().learned_from(TWO)
    perfect = []
    for example in TWO:
        features = task.features(example, TOKENIZER, 128)
        logits = torch.zeros(len(features[0].encoding), len(task.labels))
        for position, label in enumerate(features[0].labels["labels"].tolist()):
            logits[position, max(0, label)] = 9.0
        wrong_intent = torch.tensor([1.0, 0.0])  # flight: right once of two
        outputs = [{"logits": logits, "intent_logits": wrong_intent}]
        perfect.append(task.decode(example, features, outputs))
    assert task.metrics(TWO, perfect) == {
        "precision": 1.0, "recall": 1.0, "f1": 1.0, "intent_accuracy": 0.5,
        "sentence_accuracy": 0.5,
    }  # fmt: skip
    unseen = [Example.from_words(["hello"], ["B-name"], "greeting")]
    with pytest.warns(UserWarning, match="label that training never saw, such as 'B-name'"):
        scores = task.metrics(unseen, perfect[1:])
    assert scores["recall"] == 0
    with pytest.raises(InputError, match="no example with labels"):
        task.metrics([task.example("hello")], perfect[1:])


def test_slots_of_what_was_read() -> None:
    for example in requests(30):
        assert list(example.slots) == slots_of(example.text, example.offsets, example.tags)
