"""Every check knows its solution, finds each mistake of its catalogue, and survives anything."""

import importlib
import json
import math
import os
import random
import re
import stat
import subprocess
import sys
import threading
import time
from itertools import combinations

import numpy as np
import platformdirs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.checks import lesson_02, progress, running
from bertedu.classroom.checks.comparing import difference, plain
from bertedu.classroom.checks.framework import Check, check
from bertedu.classroom.editions import without_solutions
from bertedu.classroom.notebooks import ENVIRONMENT
from bertedu.errors import InputError
from tests.answers import try_all
from tests.course_answers import CHECKS, COURSE, course_functions, solution

FUNCTIONS = {name: check for name, check in CHECKS.items() if not check.value}
MISTAKES = [
    pytest.param(check, mistake, id=f"{name}: {label}")
    for name, check in CHECKS.items()
    for label, mistake in check.mistakes.items()
]
EXHIBITS = {  # the museum's ill functions, and the checks of their mends
    "lower_case_option": "wants_lower_case",
    "highlight": "where_in_original",
    "fate_at_first": "fate_of_token",
    "two_draws_at_first": "fate_of_two_draws",
    "anything_goes": "may_be_chosen",
    "any_id": "random_ids",
    "any_sentence": "other_sentence",
    "next_at_first": "probability_of_next",
    "neat_text": "corpus_text",
    "nearly_layer_norm": "bert_layer_norm",
    "types_at_first": "token_types",
    "mask_at_first": "additive_mask",
    "shares_at_first": "attention_shares",
    "NewbornOutput": "attention_output",
    "loss_at_first": "real_slot_loss",
    "pair_loss_at_first": "next_sentence_loss",
    "output_at_first": "classifier_logits",
    "spared_at_first": "without_decay",
    "labels_at_first": "piece_labels",
    "vector_at_first": "mean_vector",
    "score_at_first": "span_probability",
    "span_at_first": "best_span",
    "answered_at_first": "has_answer",
}


@pytest.fixture(autouse=True)
def progress_file(tmp_path, monkeypatch):
    file = tmp_path / "kept" / "progress.json"
    monkeypatch.setenv("BERTEDU_PROGRESS", str(file))
    monkeypatch.setattr(progress, "_said", set())
    return file


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_solution_is_right_and_is_not_the_oracle(check):
    verdict = check.judge(solution(check))
    assert str(verdict) == "✓ right", verdict
    assert check.passes(solution(check))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_stub_is_not_done_yet(check):
    stubs = [...]
    if check.value:
        stubs += [{"a": ...}, [0, ...], (..., ...)]
    else:
        stubs += [lambda *given: ..., lambda *given: [0, ...], lambda *given: ....softmax(-1)]
    for stub in stubs:
        assert str(check.judge(stub)) == "not done yet"


@pytest.mark.parametrize(("check", "mistake"), MISTAKES)
def test_a_known_mistake_is_told_in_its_own_words(check, mistake):
    verdict = check.judge(mistake.answer)
    assert verdict.status == "wrong"
    assert verdict.message == mistake.message


@pytest.mark.parametrize(("ill", "name"), EXHIBITS.items())
def test_an_exhibit_of_the_museum_is_known_as_it_hangs_there(ill, name):
    verdict = CHECKS[name].judge(course_functions("13")[ill])
    assert verdict.message in {mistake.message for mistake in CHECKS[name].mistakes.values()}


def test_every_exhibit_has_a_check_and_a_source():
    text = next(COURSE.glob("13_*.py")).read_text("utf-8")
    exhibits = text.split("### Exhibit ")[1:]
    assert len(exhibits) >= 20
    for number, exhibit in enumerate(exhibits, 1):
        assert exhibit.startswith(f"{number}. ")
        words = " ".join(exhibit.replace("\n#", " ").split())
        for part in ("**Symptom.**", "**Predict:**", "**The damage", "**Published:**",
                     "**Remember:**"):  # fmt: skip
            assert part in words, (number, part)
        assert sum(f"checks.{name}(" in exhibit for name in CHECKS) == 1, number
        assert re.search(r"[\w.-]+/[\w.-]+,? (#|pull request #)\d+", words), number


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_catalogue_has_three_mistakes_with_words_of_their_own(check):
    messages = [mistake.message for mistake in check.mistakes.values()]
    assert len(messages) >= 3
    assert len(set(messages)) == len(messages)
    assert all("\n" not in m and 15 < len(m) < 200 and not m.endswith(".") for m in messages)


@pytest.mark.parametrize("check", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_hard_coded_answer_is_not_right(check):
    assert len(check.examples) >= 2
    kept = []

    def hard_coded(*given):
        if not kept:
            kept.append(check.oracle(*given))
        return kept[0]

    assert check.judge(hard_coded).status == "wrong"


@pytest.mark.parametrize("check", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_mistake_that_nobody_foresaw_is_described(check):
    for strange in (lambda *given: "a word", lambda *given: None, lambda *given: 10**9):
        verdict = check.judge(strange)
        assert verdict.status == "wrong"
        assert verdict.message


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_nothing_that_an_answer_does_comes_out(check, capsys):
    class Hostile:
        def __eq__(self, other):
            raise RuntimeError("no comparing")

        def __repr__(self):
            raise RuntimeError("no repr")

        __hash__ = None

    def noisy(*given):
        print("noise")
        random.random()
        torch.rand(1)
        raise ValueError("two\nlines " * 100)

    torch.manual_seed(1), random.seed(1)
    expected = torch.rand(1), random.random()
    torch.manual_seed(1), random.seed(1)
    answers = [noisy, lambda: 0, lambda *given: Hostile(), Hostile(), None, 3.5, "x", [], print]
    endless = []
    endless.append(endless)
    answers += [endless, lambda *given: endless, lambda *given: (n for n in range(3))]
    answers += [lambda *given: given, lambda *given: float("nan"), lambda *given: sys.exit()]
    for answer in answers:
        check(answer)
        line = capsys.readouterr().out
        assert line.startswith("✗ not yet: ")
        assert line.count("\n") == 1
        assert len(line) < 400
    assert (torch.rand(1), random.random()) == expected


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_check_has_a_question_and_at_most_two_hints(check, capsys):
    assert check.question.endswith(".") or check.question.endswith("?")
    assert check.name in repr(check)
    check._hints_given = 0
    for _ in range(4):
        check.hint()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("hint")] == lines[: len(check.hints)]
    assert lines[-1].startswith("no ")


def twice(**options):
    def double(x):
        """Twice a number."""
        return x + x

    made = Check(double, "00", cases=lambda: [(2,), (3,), (4,)], **options)
    made.wrong("squares", lambda x: x * x, "you square")
    made.wrong("adds two", lambda x: x + 2, "you add two")
    return made


def test_of_two_mistakes_that_agree_at_first_the_better_one_is_told():
    made = Check(lambda x: 0, "00", cases=lambda: [(2,), (3,), (4,)])
    made.wrong("squares", lambda x: x * x, "you square")
    made.wrong("adds two", lambda x: x + 2, "you add two")  # the same at 2
    assert made.judge(lambda x: 2 + x).message == "you add two"
    assert made.judge(lambda x: x**2).message == "you square"


def test_what_agrees_with_a_mistake_once_is_not_taken_for_it():
    made = Check(lambda x: 0, "00", cases=lambda: [(1,), (2,), (3,), (4,), (5,)])
    made.wrong("squares", lambda x: x * x, "you square")
    assert (
        made.judge(lambda x: 5 - x if x > 1 else x).message
        == "with x = 1 you have 1, where 0 is right"
    )
    assert (
        made.judge(lambda x: x * x if x < 4 else 7).message
        == "with x = 1 you have 1, where 0 is right"
    )
    assert made.judge(lambda x: x**2).message == "you square"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (4, "give the function itself, without calling it: checks.double(your_function)"),
        (lambda: 4, "with x = 2 your function stops with TypeError: "),
        (
            lambda x: None,
            "with x = 2 your function returns nothing (None): is there a `return` on ",
        ),
        (lambda x: 4 if x == 2 else 7, "with x = 3 you have 7, where 6 is right"),
        (lambda x: 4, "whatever it is given, your function returns 4; with x = 3, 6 is right"),
        (lambda x: [2 * x], "with x = 2 you have a list of one number, where one number is asked"),
        (lambda x: float("nan"), "with x = 2 your result holds nan"),
        (lambda x: x * x, "you square"),
    ],
)
def test_the_first_difference_is_described(answer, message):
    assert twice().judge(answer).message.startswith(message)


def test_of_several_values_the_first_wrong_one_is_named_but_not_what_is_right():
    for truth in ([1, 2, 3], {"a": 1, "b": 2}):
        made = Check(lambda truth=truth: truth, "00", value=True)
        assert made.judge(truth).status == "right"
    made = Check(lambda: [1, 2, 3], "00", value=True)
    assert made.judge((1, 7, 4)).message == "you have 7 at [1]"
    assert made.judge((7, 2, 3)).message == "you have 7 at [0]"
    assert made.judge(7).message == "you have 7"
    made = Check(lambda: {"a": 1, "b": 2}, "00", value=True)
    assert made.judge({"a": 1, "b": 8}).message == "you have 8 at ['b']"


ROUNDS = int(os.environ.get("BERTEDU_ANSWERS", "0"))  # drawn wrong answers to each exercise
BRIEFLY = {"follows", "has_answer", "fate_of_token", "windows", "overlap", "word_numbers"}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_who_is_right_and_who_is_wrong_is_told_so_and_nothing_untrue(check):
    found = try_all(check, ROUNDS or (20 if check.name in BRIEFLY else 1))
    assert found.right >= 3
    assert found.wrong >= len(check.mistakes)
    assert (found.refused, found.accepted, found.untrue) == ([], [], [])


@pytest.mark.parametrize("check", FUNCTIONS.values(), ids=FUNCTIONS)
def test_no_two_mistakes_are_the_same_on_every_input(check):
    for one, other in combinations(check.mistakes.values(), 2):
        pairs = ((check._result(one.answer, i), check._result(other.answer, i))
                 for i in range(len(check.examples)))  # fmt: skip
        assert any(difference(*two) for two in pairs)


def wrongly(name, answer):
    verdict = CHECKS[name].judge(answer)
    assert verdict.status == "wrong"
    return verdict.message


def test_what_nearly_agrees_with_a_mistake_is_not_explained_by_it():
    """Each of these was once told something that it had not done."""
    exchanged = {"kept": "random", "random": "kept"}
    fate = CHECKS["fate_of_token"].oracle

    def least(one, other):
        change = (one - other).abs().amin(dim=(2, 3))
        return divmod(int(change.argmin()), change.shape[1])

    for name, answer, result in (
        ("fate_of_token", lambda draw: exchanged.get(fate(draw), fate(draw)), "you have"),
        ("follows", lambda logits: logits.argmax(-1), "exchanged"),
        ("steadiest_head", least, "smallest"),
        ("has_answer", lambda nulls, best: best >= sorted(nulls)[len(nulls) // 2], "you have"),
    ):  # fmt: skip
        assert result in wrongly(name, answer)


def test_ties_tiny_inputs_and_parts_of_words_are_tested():
    def no_last_window(length, size, overlap):
        return [(i, min(i + size, length)) for i in range(0, length - overlap, size - overlap)]

    def cuts_padding(ids, sep):
        return (ids == sep).cumsum(0) - (ids == sep).long()

    def keeps_the_last(pairs):
        last = {hypothesis: label for _, hypothesis, label in pairs}
        return sum(last[hypothesis] == label for _, hypothesis, label in pairs) / len(pairs)

    def in_letters(premise, hypothesis):
        return sum(w in " ".join(premise) for w in {*hypothesis}) / len({*hypothesis})

    assert "length = 3, size = 8, overlap = 3" in wrongly("windows", no_last_window)
    assert "only segments 0 and 1" in wrongly("segments_of", cuts_padding)
    assert "*last* label" in wrongly("best_alone", keeps_the_last)
    assert "whole words" in wrongly("overlap", in_letters)
    assert "exactly a half" in wrongly("says_true", lambda p: p[:, 1] >= 0.5)
    assert "comes from `rng`" in wrongly(
        "other_sentence",
        lambda follows, count, _: random.choice([i for i in range(count) if i != follows]),
    )


def _oracle(name):
    return CHECKS[name].oracle


def _last_place(text, word):
    lowered = "".join(char.lower()[0] for char in text)
    return lowered.rindex(word), lowered.rindex(word) + len(word)


def _without_own_words(probability, text):
    return _oracle("word_effects")(probability, text.lower())


NEARLY_RIGHT = {  # each of these was once taken for right
    "last place": ("where_in_original", _last_place),
    "one number": ("sentence_states", lambda model, ids: model.table(ids).detach()[0]),
    "0 and 1": (
        "may_be_chosen",
        lambda *given: torch.tensor(_oracle("may_be_chosen")(*given)).long(),
    ),
    "long": ("follows", lambda logits: torch.as_tensor(_oracle("follows")(logits)).long()),
    "float": ("mask_for_keys", lambda real: real[:, None, None, :].float()),
    "int": ("wants_lower_case", lambda arguments: int(_oracle("wants_lower_case")(arguments))),
    "15 in 100": ("fate_of_token", lambda d: "kept" if d == 0.15 else _oracle("fate_of_token")(d)),
    "small letters": (
        "in_both",
        lambda *files: _oracle("in_both")(
            *([tuple(t.lower() for t in p) for p in f] for f in files)
        ),
    ),
    "no blanks": (
        "in_both",
        lambda *files: _oracle("in_both")(
            *([tuple(t.strip() for t in p) for p in f] for f in files)
        ),
    ),
    "one case": (
        "best_alone",
        lambda pairs: _oracle("best_alone")([(p, h.lower(), y) for p, h, y in pairs]),
    ),
    "a lowered text": ("word_effects", _without_own_words),
    "lowered names": (
        "without_decay",
        lambda names, parts: [n for n in names if any(p.lower() in n.lower() for p in parts)],
    ),
    "the seed again": (
        "random_ids",
        lambda count, V, special, rng: _oracle("random_ids")(
            count, V, special, torch.Generator().manual_seed(rng.initial_seed())
        ),
    ),
    "3.8 deviations": ("is_80_10_10", lambda fates: lesson_02._within(fates, 3.8)),
    "minus twenty": ("additive_mask", lambda mask: (1 - mask[:, None, None, :]) * -20.0),
    "## anywhere": (
        "with_piece",
        lambda words, piece: (
            [*words[:-1], words[-1] + piece.replace("##", "")] if "##" in piece else [*words, piece]
        ),
    ),
    "one sign": (
        "word_numbers",
        lambda pieces: [sum(p[0] != "#" for p in pieces[: i + 1]) - 1 for i in range(len(pieces))],
    ),
}


@pytest.mark.parametrize(("name", "answer"), NEARLY_RIGHT.values(), ids=NEARLY_RIGHT)
def test_what_is_nearly_right_is_wrong(name, answer):
    assert wrongly(name, answer)


def test_numbers_are_not_taken_for_true_and_false():
    for kind in ("0 and 1", "long", "float", "int"):
        assert "numbers where True or False is asked for" in wrongly(*NEARLY_RIGHT[kind])


class _AddsLast(torch.nn.Module):
    """dense(norm(states + context)): BERT's parts in another order."""

    def __init__(self, H):
        super().__init__()
        self.dense, self.norm = torch.nn.Linear(H, H), torch.nn.LayerNorm(H)

    def forward(self, context, states):
        return self.dense(self.norm(states + context))


class _OwnParameters(torch.nn.Module):
    def __init__(self, H):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(H, H))
        self.bias = torch.nn.Parameter(torch.randn(H))
        self.norm = torch.nn.LayerNorm(H)

    def forward(self, context, states):
        return self.norm(states + context @ self.weight + self.bias)


def test_no_explanation_names_what_an_answer_did_not_do():
    """Each of these was once told something untrue."""

    def stops(*given):
        return 1 / 0

    assert "ids = [[1, 5, 2, 8]], training = True" in wrongly("sentence_states", stops)
    assert "count" not in wrongly("random_ids", stops).partition("your function")[0]
    biased = lambda follows, count, rng: [i for i in range(count) if i != follows][  # noqa: E731
        min(rng.randrange(count), count - 2)
    ]
    assert "one fixed sentence" not in wrongly("other_sentence", biased)
    of_numpy = lambda follows, count, _: np.random.choice(  # noqa: E731, NPY002
        [i for i in range(count) if i != follows]
    )
    assert "module" not in wrongly("other_sentence", of_numpy)
    assert "0 and -1" not in wrongly("additive_mask", lambda mask: mask[:, None, None, :].float())
    assert "adds first" not in wrongly("attention_output", _AddsLast)
    assert "nn.Linear" in wrongly("attention_output", _OwnParameters)
    assert "detach" in wrongly("sentence_states", lambda model, ids: model(ids).detach())
    no_root = CHECKS["is_80_10_10"].mistakes["no root"].answer
    assert "root" in wrongly("is_80_10_10", no_root)
    one_number = lambda *given: [_oracle("shift_difference")(*given)]  # noqa: E731
    assert "list of one number" in wrongly("shift_difference", one_number)


def test_what_is_asked_to_be_done_without_is_not_used():
    loss = torch.nn.functional.cross_entropy
    assert "comes from `cross_entropy`" in wrongly("masked_lm_loss", loss)
    assert "`embedding`" in wrongly(
        "look_up", lambda table, ids: torch.nn.Embedding.from_pretrained(table)(ids)
    )
    attended = lambda q, k, v, mask: bertedu.attention.attend(q, k, v, mask)[0]  # noqa: E731
    assert "comes from `attend" in wrongly("masked_attention", attended)
    assert sys.getprofile() is None

    def cross_entropy(log_p, labels):  # a reader's own function may have the name
        return CHECKS["masked_lm_loss"].oracle(log_p, labels)

    assert CHECKS["masked_lm_loss"].passes(cross_entropy)


def test_an_input_that_is_emptied_is_missed_also_where_the_answer_is_random():
    def popping(candidates, count, generator):
        places = torch.randperm(len(candidates), generator=generator)[:count]
        chosen = [candidates[i] for i in places]
        candidates.clear()
        return chosen

    assert "you change candidates itself" in wrongly("choose", popping)


def test_an_error_is_told_with_its_input_its_line_and_what_it_usually_means():
    def divides(x):
        nothing = x - x
        return x / nothing

    message = twice().judge(divides).message
    assert message.startswith("with x = 2 your function stops in line ")
    assert "`return x / nothing`, with ZeroDivisionError" in message
    assert message.endswith("(you divide by 0: which number can be 0 here?)")
    two, three = torch.ones(2, 3), torch.ones(3, 2)
    for wrong, meant in (
        (lambda x: two / two.sum(-1), "`keepdim=True`"),
        (lambda x: two.numpy() / two.numpy().sum(-1), "`keepdims=True`"),
        (lambda x: two @ two, "`.T`"),
        (lambda x: two.numpy() @ two.numpy(), "`.T`"),
        (lambda x: two[0] @ three[:, 0][:2], "`.T`"),
        (lambda x: 1 if two > 0 else 2, "`.any()`"),
        (lambda x: 1 if two.numpy() > 0 else 2, "`.any()`"),
        (lambda x: math.log(x - x), "a logarithm of 0"),
    ):
        assert meant in twice().judge(wrong).message


def test_logits_are_compared_up_to_what_every_softmax_removes():
    """As exhibit 19 says: what counts is what cross_entropy makes of them."""

    def logits(states, weight, bias):
        return states @ weight.T + bias

    for same in (
        lambda states, weight, bias: logits(states, weight, bias) + 7,
        lambda states, weight, bias: logits(states, weight, bias).log_softmax(-1),
    ):
        assert checks.classifier_logits.judge(same).status == "right"
    for other in (
        lambda states, weight, bias: 2 * logits(states, weight, bias),
        lambda states, weight, bias: logits(states, weight, bias) + torch.arange(len(bias)),
    ):
        assert checks.classifier_logits.judge(other).status == "wrong"


def test_an_error_of_who_reads_the_answer_is_not_the_answer_s():
    message = wrongly("classifier_logits", lambda states, weight, bias: "logits")
    assert message.startswith("what your function returns ('logits') is of another kind")
    assert "stops" not in message


def test_the_message_is_of_the_input_that_it_names():
    message = twice().judge(lambda x: {2: 4, 3: 5, 4: 99}[x]).message
    assert message == "with x = 3 you have 5, where 6 is right"


def endless(x):
    while True:
        x += 1


def stubborn(x):
    while True:
        try:
            x += 1
        except Exception:  # noqa: BLE001 (what readers write)
            x -= 1


@pytest.mark.parametrize("answer", [endless, stubborn])
@pytest.mark.parametrize("in_main", [True, False])
def test_an_endless_loop_comes_to_an_end_in_any_thread(answer, in_main, monkeypatch):
    monkeypatch.setattr(running, "LIMIT", 0.2)
    said, begun = [], time.monotonic()

    def ask():
        said.append(twice().judge(answer).message)

    if in_main:
        ask()
    else:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(60)
    told = re.match(r"with x = 2 your function is still running after (\d+) seconds", said[0])
    assert told
    assert int(told[1]) <= round(time.monotonic() - begun)
    assert str(twice().judge(lambda x: 2 * x)) == "✓ right"


def test_a_sleeping_loop_ends_by_the_clock(monkeypatch):
    monkeypatch.setattr(running, "PATIENCE", 0.3)

    def sleeping(x):
        while True:
            time.sleep(0.01)

    assert "still running" in twice().judge(sleeping).message


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("blind_loss", [math.log(30_522), math.log(30_522) / 2]),
        ("blind_loss", ["10.33", "5.16"]),
        ("loss_of_guessing", [math.log(2), math.inf]),
        ("loss_of_guessing", [0.693, "infinite"]),
        ("billions", 131.072),
        ("best_of_100", "99.5 %"),
        ("official_scores", (0, 2 / 3)),
        ("table_for_four", {"tag accuracy": 0.75, "precision": 0.67, "recall": 0.5, "f1": 0.57}),
        ("is_attends_to", ["cute", "is"]),
        ("is_attends_to", {"Is", "Cute"}),
        ("shares_after", ["Nothing", "Less even"]),
        ("loss_of_guessing", (0.69, "Without bound")),
        ("loss_of_guessing", (0.69, "without bound.")),
        ("two_dogs", ["False", "True"]),
        ("knows_nothing", [6.9, "False"]),
        ("knows_nothing", [6.9, 0]),
        ("official_scores", ["0 %", "67 %"]),
        ("p_u_score", "1/36"),
        ("lazy_scores", {"three labels": "1/3", "true or not": "2/3"}),
        (
            "table_for_four",
            {"tag accuracy": "75 %", "precision": "67 %", "recall": "50%", "f1": "57 %"},
        ),
    ],
)
def test_an_unrounded_number_and_infinity_are_right(name, answer):
    assert str(CHECKS[name].judge(answer)) == "✓ right"


def test_decimals_are_spoken_of_only_where_they_are_asked_for():
    assert "decimals" in wrongly("loss_of_fresh_head", 1.4)
    assert "decimals" not in wrongly("more_for_length", 393_216.4)


def test_the_checks_come_with_the_first_cell():
    for source in sorted(COURSE.glob("[0-9][0-9]_*.py")):
        text = source.read_text("utf-8")
        if "checks." in text:
            first = re.split(r"^# %%(?! \[markdown\]).*\n", text, flags=re.MULTILINE)[1]
            assert "from bertedu.classroom import checks\n" in first, source.name
            assert text.count("from bertedu.classroom import checks\n") == 1, source.name


def test_arguments_must_not_be_changed():
    def doubled(x):
        """Twice a tensor."""
        return [2 * number for number in x.tolist()]

    made = Check(doubled, "00", cases=lambda: [(torch.tensor([1, 2]),)])
    assert made.passes(lambda x: x * 2)
    assert "you change x itself" in made.judge(lambda x: x.mul_(2)).message


def test_names_are_found_and_near_ones_proposed():
    assert checks.segments_of is CHECKS["segments_of"]
    assert {*CHECKS, "board"} <= set(dir(checks))
    with pytest.raises(AttributeError, match="did you mean checks.segments_of"):
        checks.segment_of  # noqa: B018
    with pytest.raises(InputError, match="two checks called segments_of"):
        check("03")(CHECKS["segments_of"].oracle)
    with pytest.raises(InputError, match="at most 2"):
        twice(hints=("a", "b", "c"))


@pytest.mark.parametrize(
    ("yours", "truth", "options", "said"),
    [
        (19, 19, {}, "✓ you guessed 19; it is 19"),
        (1_000_000, 12, {"unit": "years"}, "you guessed 1,000,000 years; it is 12 years"),
        (50, 57.25, {"unit": "%"}, "you guessed 50 %; it is 57.2 %"),
        (50, torch.tensor(54.5), {"within": 5}, "✓ you guessed 50; it is 54.5"),
        (50, np.float64(55.5), {"within": 5}, "you guessed 50; it is 55.5"),
        ("branch", "part", {"unit": "%"}, "you guessed branch; it is part"),
        ("part", "part", {}, "✓ you guessed part; it is part"),
        ("five", 5, {}, "you guessed five; it is 5"),
        ("14", 14.2, {"unit": "%", "within": 1}, "✓ you guessed 14 %; it is 14.2 %"),
        ("14 %", 14.2, {"unit": "%", "within": 1}, "✓ you guessed 14 %; it is 14.2 %"),
        (
            " 1,000 tokens",
            1000,
            {"unit": "tokens"},
            "✓ you guessed 1,000 tokens; it is 1,000 tokens",
        ),
        (0.14, 14.2, {"unit": "%", "within": 1}, "✓ you guessed 14.0 %; it is 14.2 %"),
        (".14", 14.2, {"unit": "%", "within": 1}, "✓ you guessed 14.0 %; it is 14.2 %"),
        (0.14, 0.5, {"unit": "%"}, "you guessed 0.1 %; it is 0.5 %"),
        ("14,0", 14.2, {"unit": "%"}, "you guessed 14,0; it is 14.2 %"),
        ("0.5 %", 50.0, {"unit": "%"}, "you guessed 0.5 %; it is 50.0 %"),
        ("10 000", 10_000, {}, "✓ you guessed 10,000; it is 10,000"),
        ("15k", 15_000, {}, "you guessed 15k; it is 15,000"),
        (0.14, 14.2, {"unit": "nats"}, "you guessed 0.1 nats; it is 14.2 nats"),
        (1, 14.2, {"unit": "%"}, "you guessed 1 %; it is 14.2 %"),
        ({"a": "60 %"}, {"a": 60.0}, {"unit": "%"}, "a: ✓ you guessed 60 %; it is 60.0 %"),
        (None, 5, {}, "you guessed None; it is 5"),
        (True, False, {}, "you guessed True; it is False"),
        ({"a": 1}, {"a": 1, "b": 2}, {}, "give one guess for each of: a, b"),
        (3, {"a": 1, "b": 2}, {}, "give one guess for each of: a, b"),
        (
            {"b": 1, "a": 1},
            {"a": 1, "b": 2},
            {"unit": "tokens"},
            "a: ✓ you guessed 1 token; it is 1 token\nb: you guessed 1 token; it is 2 tokens",
        ),
    ],
)
def test_a_guess_is_shown_beside_the_truth(yours, truth, options, said, capsys):
    checks.guess(yours, truth, **options)
    assert capsys.readouterr().out == said + "\n"


@pytest.mark.parametrize("stub", [..., {"a": 1, "b": ...}, [...]])
def test_before_there_is_a_guess_nothing_is_told(stub, capsys, progress_file):
    checks.guess(stub, {"a": 4711, "b": 4711}, "tokens")
    assert capsys.readouterr().out == (
        "not done yet: put your guess in place of `...`, then run this cell\n"
    )
    assert not progress_file.exists()


def test_whatever_is_guessed_the_lesson_goes_on(capsys):
    class Hostile:
        def __eq__(self, other):
            raise RuntimeError("no comparing")

        __hash__ = None

    for strange in (Hostile(), [1, 2], torch.zeros(3), {"a": 1}, "x" * 9_000, float("nan"), print):
        checks.guess(strange, 5)
        line = capsys.readouterr().out
        assert line.endswith("; it is 5\n")
        assert not line.startswith("✓")
        assert len(line) < 200


def test_every_guess_of_the_course_is_left_to_the_reader():
    cells = [
        cell
        for source in sorted(COURSE.glob("[0-9][0-9]_*.py"))
        for cell in re.split(r"^# %%.*\n", source.read_text("utf-8"), flags=re.MULTILINE)
        if "\nchecks.guess(" in cell
    ]
    assert len(cells) >= 9
    for cell in cells:
        named = re.search(r"^checks\.guess\((\w+), ", cell, re.MULTILINE)
        assert named, cell
        stub = re.search(rf"^{named[1]} = \.\.\. ", without_solutions(cell), re.MULTILINE)
        assert stub, named[1]


numbers = st.integers(-9, 9) | st.floats(allow_nan=False, width=16) | st.booleans() | st.text()
nested = st.recursive(numbers, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


def alike(one, other) -> bool:
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other or one == pytest.approx(other, rel=1e-4, abs=1e-5)


@given(nested, nested)
def test_two_answers_differ_if_and_only_if_python_says_so(one, other):
    assert difference(plain(one), plain(one)) is None
    if difference(one, other) is None:
        assert alike(one, other)
    else:
        said = str(difference(one, other))
        assert one != other or "True or False is asked for" in said  # True == 1 for Python
        assert said


def test_arrays_and_lists_are_the_same_and_large_counts_are_exact():
    same = [torch.tensor([[1, 2]]), np.array([[1, 2]]), [(1, 2)], [[1.0, True + 1]]]
    assert all(difference(plain(x), [[1, 2]]) is None for x in same)
    assert difference(109_482_241, 109_482_240)
    assert difference(109_482_241.0, 109_482_240)
    assert difference(float("inf"), 3.0)


def test_progress_is_kept_and_right_stays_right(progress_file, capsys):
    made = CHECKS["segments_of"]
    for answer in (..., made.mistakes["turned round"].answer, made.oracle, lambda *given: 0):
        made(answer)
    kept = json.loads(progress_file.read_text("utf-8"))
    assert kept == {"segments_of": {"right": True, "tries": 3}}  # a stub is no try
    lock = progress_file.with_name(".progress.json.lock")
    assert {*progress_file.parent.iterdir()} <= {progress_file, lock}
    text = repr(checks.board())
    assert "03 next sentence prediction" in text
    assert "1 of " in next(line for line in text.splitlines() if line.startswith("03"))
    assert f"1 of {len(CHECKS)} done." in text
    assert capsys.readouterr().out.splitlines()[0] == "not done yet"


def test_the_board_is_the_same_for_all_who_can_see_and_who_listen(progress_file):
    CHECKS["follows"](lambda logits: 0)
    page = checks.board()._repr_html_()
    assert '<span role="img" title="follows: tried" aria-label="follows: tried">◐</span>' in page
    hostile = progress.Board([progress.Lesson("<b>", {'"><script>': "right"})], "<i>")
    assert "<script>" not in hostile._repr_html_()
    assert "<b>" not in hostile._repr_html_()
    assert "<i>" not in hostile._repr_html_()


def test_a_file_that_is_not_ours_is_left_alone_and_said_once(progress_file, capsys):
    progress_file.parent.mkdir()
    for text in ("{", "[1]", '{"follows": 3}', ""):
        progress._said.clear()
        progress_file.write_text(text)
        for _ in range(2):
            CHECKS["follows"](CHECKS["follows"].oracle)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == lines[2] == "✓ right"
        assert lines[1].startswith("(Your progress is not kept: ")
        assert len(lines) == 3
        assert progress_file.read_text() == text
        assert "cannot be read" in repr(checks.board())


def test_a_place_that_cannot_be_written_is_said_once(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BERTEDU_PROGRESS", str(tmp_path / "file" / "progress.json"))
    for _ in range(2):
        CHECKS["follows"](CHECKS["follows"].oracle)
    assert [line[:5] for line in capsys.readouterr().out.splitlines()] == [
        "✓ rig",
        "(Your",
        "✓ rig",
    ]


def test_nothing_is_kept_where_nothing_is_wanted(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BERTEDU_PROGRESS", "")
    CHECKS["follows"](CHECKS["follows"].oracle)
    assert progress.path() is None
    assert progress.load() == {}
    assert capsys.readouterr().out == "✓ right\n"


def test_to_build_the_solutions_is_nobody_s_progress():
    assert ENVIRONMENT["BERTEDU_PROGRESS"] == ""


@pytest.mark.parametrize(
    ("system", "variable", "expected"),
    [
        ("unix.Unix", "XDG_DATA_HOME", "bertedu/progress.json"),
        ("unix.Unix", "HOME", ".local/share/bertedu/progress.json"),
        ("windows.Windows", "LOCALAPPDATA", "bertedu/progress.json"),
        ("macos.MacOS", "HOME", "Library/Application Support/bertedu/progress.json"),
    ],
)
def test_the_file_lies_where_the_system_keeps_such_files_and_where_it_always_lay(
    system, variable, expected, monkeypatch, tmp_path
):
    for name in ("BERTEDU_PROGRESS", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    module, name = system.split(".")
    home = importlib.import_module(f"platformdirs.{module}")
    if module == "windows" and sys.platform != "win32":
        # Elsewhere there is no Windows to be asked; the variables say what it would say.
        monkeypatch.setattr(home, "_RESOLVE_WIN_FOLDER", home.get_win_folder_from_env_vars)
    monkeypatch.setattr(platformdirs, "PlatformDirs", getattr(home, name))
    monkeypatch.setenv(variable, str(tmp_path))
    assert progress.path() == tmp_path / expected


SEVERAL = """
import sys, types
for name in ("bertedu", "bertedu.classroom", "bertedu.classroom.checks"):  # without torch
    sys.modules[name] = package = types.ModuleType(name)
    package.__path__ = [f"{sys.argv[2]}/{name.replace('.', '/')}"]
from bertedu.classroom.checks import progress
for number in range(20):
    assert progress.record(f"{sys.argv[1]}-{number}", right=True) is None
"""


def test_eight_notebooks_that_write_at_once_lose_nothing(progress_file):
    command = [sys.executable, "-c", SEVERAL]
    running = [subprocess.Popen([*command, str(n), str(COURSE.parent)]) for n in range(8)]
    assert [each.wait(120) for each in running] == [0] * 8
    expected = {f"{process}-{number}" for process in range(8) for number in range(20)}
    assert set(progress.load()) == expected


def test_the_file_is_the_reader_s_alone(progress_file):
    progress.record("follows", right=True)
    if hasattr(stat, "S_IRWXO"):
        assert not progress_file.stat().st_mode & stat.S_IRWXO
