"""Case 4: answers are exact slices, wrong offsets are found, scores are SQuAD's own."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bertedu import InputError
from bertedu.finetuning import QuestionAnswering, question_answering
from bertedu.finetuning.question_answering import Answer, Example, squad_scores
from bertedu.finetuning.squad import exact_and_f1, normalize_answer
from tests.cases import TOKENIZER

TASK = QuestionAnswering(no_answer=True, overlap=4, max_answer_tokens=5)
ROME = Example("who", "w1 in romes . w2", (Answer("romes", 6),))


def decoded(task: QuestionAnswering, example: Example, logits: torch.Tensor | None = None,
            length: int = 40, **peaks: float):  # fmt: skip
    """A prediction from logits that are 0 but at the tokens named start... and end..."""
    features = task.features(example, TOKENIZER, length)
    if logits is None:
        logits = torch.zeros(len(features[0].encoding), 2)
        for name, value in peaks.items():
            kind, position = name.split("_")
            logits[int(position), ("start", "end").index(kind)] = value
    return task.decode(example, features, [{"logits": logits}] * len(features))


def squad(answers, version: str = "v2.0", **more) -> str:
    question = {"id": "q1", "question": "who", "answers": answers, **more}
    paragraph = {"context": "w1 in romes . w2", "qas": [question]}
    return json.dumps({"version": version, "data": [{"paragraphs": [paragraph]}]})


def test_squad_is_read_in_both_versions(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(squad([{"text": "romes", "answer_start": 6}], "1.1"))
    assert question_answering.read(file) == [replace(ROME, id="q1")]
    file.write_text(squad([{"text": "w1", "answer_start": 0}], is_impossible=True))
    (example,) = question_answering.read(file)
    assert (example.answers, example.impossible, example.target) == ((), True, None)
    rows = tmp_path / "a.jsonl"
    rows.write_text(
        '{"question": "who", "document": "w1 romes", "answers": [{"text": "romes", "start": 3}]}\n'
        '{"question": "who", "context": "w1", "answers": []}\n'
        '{"question": "who", "context": "w1"}\n'
        '{"question": "who", "context": "w1", "answers": {"text": ["w1"], "answer_start": [0]}}\n'
    )
    one, none, unknown, hub = question_answering.read(rows)
    assert one.target == Answer("romes", 3)
    assert (none.impossible, unknown.impossible) == (True, False)
    assert hub.target == Answer("w1", 0)
    assert [TASK.trainable(e) for e in (one, none, unknown)] == [True, True, False]
    for answers, message in [
        ('{"text": "w1", "start": 0}', "answers need a list of text and one of answer_start"),
        ('{"text": ["w1"], "answer_start": []}', "answers need a list of text"),
        ("5", "answers must be a list"),
    ]:
        rows.write_text(f'{{"question": "who", "context": "w1", "answers": {answers}}}\n')
        with pytest.raises(InputError, match=rf"a\.jsonl:1: {message}"):
            question_answering.read(rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", squad([{"text": "romes", "answer_start": 6}], is_impossible="false")),
        ("a.json", squad([{"text": " romes ", "answer_start": 5}], is_impossible=0)),
        ("a.json", ('[{"id": "q1", "question": "who", "context": "w1 in romes . w2", "answers": '
         '{"text": ["romes"], "answer_start": [6]}}]')),
        ("a.json", ('{"id": "q1", "question": "who", "context": "w1 in romes . w2", "answers": '
         '[{"text": "romes", "start": 6}]}')),
        ("a.jsonl", ('{"id": "q1", "Question": "who", "passage": "w1 in romes . w2", '
         '"answer": "romes", "answer_start": 6}')),
        ("a.csv", "id,question,context,answer,answer_start\nq1,who,w1 in romes . w2,romes,6\n"),
    ],
)  # fmt: skip
def test_other_forms_say_the_same(name, content, tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / name).write_text(content, encoding=encoding)
        assert question_answering.read(tmp_path / name) == [replace(ROME, id="q1")]


def test_impossible_is_true_or_false(tmp_path: Path) -> None:
    for value in ("true", True, 1, "1"):
        (tmp_path / "a.json").write_text(squad([{"text": "w1", "answer_start": 0}],
                                               is_impossible=value))  # fmt: skip
        assert question_answering.read(tmp_path / "a.json")[0].impossible
    (tmp_path / "a.json").write_text(squad([], is_impossible="perhaps"))
    with pytest.raises(InputError, match="q1: is_impossible is 'perhaps', not true or false"):
        question_answering.read(tmp_path / "a.json")
    (tmp_path / "a.csv").write_text("frage,text\nwer,er\n")
    with pytest.raises(InputError, match=r"a\.csv:1: the header names no question: add"):
        question_answering.read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "romes", "answer_start": 5},
        {"text": "paris", "answer_start": 6},
        {"text": "romes", "answer_start": -10},
        {"text": "romes", "answer_start": "6"},
        {"text": "romes"},
    ],
)
def test_an_answer_that_is_not_there_is_counted_and_not_learned(answer, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(squad([answer]))
    with pytest.warns(
        UserWarning, match=r"a\.json: 1 answers do not stand where the file says.*q1"
    ):
        (example,) = question_answering.read(file)
    assert not TASK.trainable(example)
    assert example.target is None
    assert squad_scores([example], [answer["text"]])["f1"] == 1, "the text is still right"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"data": [', r"a\.json:1: this line is not JSON"),
        ('{"questions": []}', "not SQuAD's form"),
        ("", r"a\.json:1: this line is not JSON"),
        ("[" * 100_000, r"a\.json:1: this JSON is nested too deeply"),
        (squad([]).replace("w1 in", "\\ud800"), "half of a surrogate pair|is_impossible"),
        ("[]", "not SQuAD's form"),
        (squad([{"start": 3}]), r"question q1: an answer needs text and start"),
        (squad([{"text": " ", "answer_start": 2}]), r"question q1: the answer ' ' is no text"),
        (squad([], is_impossible=False), "question q1: there is no answer, and is_impossible"),
        (squad([]).replace("w1 in romes . w2", " "), "q1.*is_impossible|document is empty"),
        (squad([], is_impossible=True).replace("w1 in romes . w2", " "), "the document is empty"),
        (squad([], question=7, is_impossible=True), "must be text"),
    ],
)
def test_a_bad_file_says_where(content, message, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=message):
        question_answering.read(tmp_path / "a.json")


def test_labels_are_the_tokens_of_the_answer() -> None:
    (feature,) = TASK.features(ROME, TOKENIZER, 40)
    tokens = ["[CLS]", "who", "[SEP]", "w1", "in", "rome", "##s", ".", "w2", "[SEP]"]
    assert feature.encoding.tokens == tokens
    assert (feature.labels["start_positions"], feature.labels["end_positions"]) == (5, 6)
    inside = replace(ROME, answers=(Answer("me", 8),))  # of a piece: the piece stands for it
    (feature,) = TASK.features(inside, TOKENIZER, 40)
    assert (feature.labels["start_positions"], feature.labels["end_positions"]) == (5, 5)
    (feature,) = TASK.features(Example("who", "w1", impossible=True), TOKENIZER, 40)
    assert (feature.labels["start_positions"], feature.labels["end_positions"]) == (0, 0)


def test_every_window_with_the_whole_answer_learns_it_and_no_other() -> None:
    document = " ".join(["w1"] * 9 + ["romes", "w2"] + ["w3"] * 20)
    start = document.index("romes")
    example = Example("who", document, (Answer("romes w2", start),))
    features = TASK.features(example, TOKENIZER, 14)
    assert len(features) > 3
    for feature in features:
        first, last = (int(feature.labels[f"{end}_positions"]) for end in ("start", "end"))
        tokens = feature.encoding.tokens
        text = " ".join(tokens)
        if "rome ##s w2" in text:
            assert tokens[first : last + 1] == ["rome", "##s", "w2"]
        else:
            assert (first, last) == (0, 0)
    assert sum(int(f.labels["start_positions"]) > 0 for f in features) >= 1


def test_the_most_frequent_answer_is_learned() -> None:
    answers = (Answer("w1", 0), Answer("romes", 6), Answer("romes", 6), Answer("w1", None))
    assert replace(ROME, answers=answers).target == Answer("romes", 6)


def test_answers_are_exact_slices_and_numbered_by_words() -> None:
    example = Example("WHO?", 'W1 in  "Romes", w2  w3', ())
    prediction = decoded(TASK, example, start_7=9.0, end_8=9.0)
    best = prediction.spans[0]
    assert prediction.tokens[7:9] == ["rome", "##s"]
    assert prediction.text == best.text == "Romes" == example.document[best.start : best.end]
    assert (best.first_word, best.last_word) == (3, 3)
    assert (best.first_token, best.last_token) == (7, 8)
    assert best.score == 18
    assert prediction.tokens[prediction.first] == "w1"
    for span in prediction.spans:
        assert example.document[span.start : span.end] == span.text
        assert span.last_token - span.first_token < 5
    assert sum(s.probability for s in prediction.spans) + prediction.no_answer_probability <= 1
    assert sum(prediction.illegal.values()) == 14**2 - (5 * 9 - 10)


def test_illegal_peaks_are_passed_over() -> None:
    question = decoded(TASK, ROME, start_1=50.0, end_1=50.0, start_5=9.0, end_6=9.0)
    assert question.text == "romes"
    backwards = decoded(TASK, ROME, start_8=50.0, end_3=50.0)
    assert backwards.spans[0].first_token <= backwards.spans[0].last_token
    assert backwards.text


def test_no_answer_wins_only_where_it_is_an_option_and_ahead() -> None:
    peaks = {"start_0": 6.0, "end_0": 6.0, "start_5": 5.0, "end_6": 5.0}
    prediction = decoded(TASK, ROME, **peaks)
    assert prediction.text == ""
    assert prediction.null_score == 12
    assert prediction.no_answer_probability > prediction.spans[0].probability
    assert decoded(replace(TASK, null_threshold=3.0), ROME, **peaks).text == "romes"
    certain = decoded(replace(TASK, no_answer=False), ROME, **peaks)
    assert (certain.text, certain.no_answer_probability) == ("romes", 0)


def test_the_threshold_is_the_best_of_all() -> None:
    examples, predictions = [], []
    for margin, impossible in ((3, False), (9, True), (1, False), (2, True), (4, False), (8, True)):
        examples.append(replace(ROME, answers=() if impossible else ROME.answers,
                                impossible=impossible))  # fmt: skip
        peaks = {"start_5": 5.0, "end_6": 5.0, "start_0": 5.0, "end_0": 5.0 + margin}
        predictions.append(decoded(TASK, ROME, **peaks))
    tuned = TASK.calibrated(examples, predictions)
    assert 4 < tuned.null_threshold < 8
    unknown = [replace(ROME, answers=())] * 5  # must not count as questions without an answer
    far = [decoded(TASK, ROME, start_5=9.0, end_6=9.0)] * 5
    assert TASK.calibrated(examples + unknown, predictions + far) == tuned

    def f1(threshold: float) -> float:
        return squad_scores(
            examples,
            ["" if p.null_score - p.spans[0].score > threshold else p.spans[0].text
             for p in predictions],
        )["f1"]  # fmt: skip

    assert f1(tuned.null_threshold) == max(f1(t / 2) for t in range(-4, 22)) == pytest.approx(5 / 6)
    answerable = [replace(e, impossible=False, answers=ROME.answers) for e in examples]
    assert TASK.calibrated(answerable, predictions) == TASK


@pytest.mark.parametrize(
    ("prediction", "golds", "v1", "scores"),
    [
        ("The Cat!", ["cat"], False, (1, 1)),
        ("black cat", ["the cat", "black dog cat"], False, (0, 0.8)),
        ("cat cat", ["cat"], False, (0, 2 / 3)),
        ("", ["cat"], False, (0, 0)),
        ("cat", [], False, (0, 0)),
        ("", [], False, (1, 1)),
        ("the", ["a"], True, (1, 0)),  # v1.1: equal, yet no word in common
        ("the", ["a"], False, (1, 1)),  # v2.0: an answer without a word is no answer
        ("cat", ["the", "cat"], False, (1, 1)),
        ("", ["the", "cat"], False, (0, 0)),
        ("U.S.", ["us"], False, (1, 1)),
        ("caf\u00e9\u2019s", ["caf\u00e9s"], False, (0, 0)),  # only ASCII punctuation goes
    ],
)
def test_official_rules(prediction, golds, v1, scores) -> None:
    assert exact_and_f1(prediction, golds, v1=v1) == pytest.approx(scores)


def test_normalizing_keeps_words_that_hold_an_article() -> None:
    assert normalize_answer("An  atheist's The-ory, a the") == "atheists theory"


def test_scores_tell_the_two_kinds_of_question_apart() -> None:
    none = replace(ROME, answers=(), impossible=True)
    scores = squad_scores([ROME, none, none, Example("?", "w1")], ["romes", "", "w1", "x"])
    assert scores == pytest.approx(
        {"exact_match": 2 / 3, "f1": 2 / 3, "no_answer_accuracy": 0.5, "answerable_f1": 1.0}
    )
    assert "no_answer_accuracy" not in squad_scores([ROME], ["romes"])
    with pytest.raises(InputError, match="no question with an answer"):
        squad_scores([Example("?", "w1")], ["x"])


def test_a_published_system_gets_its_official_scores(shared: Path) -> None:
    folder = shared / "data" / "squad_dev"
    if not folder.is_dir():
        pytest.skip("optional reference data: BERTEDU_SHARED has no data/squad_dev")
    examples = question_answering.read(folder / "dev-v1.1.rebuilt.json")
    answers = json.loads(
        (folder / "predictions" / "logistic_regression_baseline_v1.1.json").read_text()
    )
    scores = squad_scores(examples, [answers.get(example.id, "") for example in examples])
    assert {name: round(100 * value, 3) for name, value in scores.items()} == {
        "exact_match": 40.142,
        "f1": 50.982,
    }


def test_what_cannot_be_asked_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="the document of 'who' is empty"):
        TASK.features(Example("who", " \n"), TOKENIZER, 40)
    with pytest.raises(InputError, match="the question's 400 tokens leave -19 of 384"):
        TASK.features(Example("w1 " * 400, "w1 w2"), TOKENIZER, 384)
    with pytest.raises(InputError, match="a pair is needed"):
        TASK.example("only a question")
    with pytest.raises(InputError, match="no training question has an answer"):
        TASK.learned_from([Example("who", "w1", impossible=True)])
    with pytest.raises(InputError, match="has no token"):
        decoded(TASK, Example("who", "\u0000\u0001."[:2]), torch.zeros(4, 2))


def test_fifty_thousand_words_are_read_in_windows() -> None:
    document = "w1 w2 w3 w4 romes " * 10_000
    task = QuestionAnswering()
    began = time.process_time()
    features = task.features(Example("who", document), TOKENIZER, 384)
    outputs = [{"logits": torch.zeros(len(feature.encoding), 2)} for feature in features]
    outputs[100]["logits"][200:202] = 9.0
    prediction = task.decode(Example("who", document), features, outputs)
    assert time.process_time() - began < 60
    assert prediction.windows == len(features) > 200
    assert len(prediction.tokens) == 60_004
    best = prediction.spans[0]
    assert document[best.start : best.end] == best.text
    assert best.first_word > 20_000
