"""The journey's numbers are the library's, at each of the seven stations."""

import asyncio
import json
from unittest import mock
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertedu import (
    Bert,
    BertConfig,
    BertForPreTraining,
    CheckpointError,
    InputError,
    load_tokenizer,
)
from bertedu.pretraining.masking import MASKED, mask_tokens
from bertedu.widgets import Journey
from bertedu.widgets.base import HTML, REST
from bertedu.widgets.journey import (
    DIMENSIONS,
    DRAWN,
    GUESSES,
    LONGEST,
    MOST_CASES,
    MOST_LINES,
    ROLLS,
)
from tests.finetuned_models import TASKS, finetuned
from tests.pictures import drawn_from

TOKENIZER = load_tokenizer()
PAIR = ("calculus is a branch of [MASK]", "it was developed by newton and leibniz")
HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(1)> \u202eשלום \N{DOG FACE}"
LAYERS, HEADS = 3, 4


def random_bert(missing: tuple[str, ...] = (), positions: int = 512) -> Bert:
    """A model whose weights are random, but not small: its numbers differ from each other."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=32,
        max_position_embeddings=positions,
        initializer_range=0.4,
    )
    return Bert(BertForPreTraining(config), TOKENIZER, missing)


BERT = random_bert()


@pytest.fixture(scope="module")
def journey() -> Journey:
    return Journey(*PAIR, bert=BERT)


def unpacked(block: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    body = -(-(4 + length) // 8) * 8
    arrays = {
        each["name"]: np.frombuffer(
            block, each["dtype"], int(np.prod(each["shape"])), body + each["offset"]
        ).reshape(each["shape"])
        for each in header["arrays"]
    }
    return header, arrays


FATES = ("", "masked", "random", "kept")


def test_every_panel_has_the_librarys_numbers(journey: Journey) -> None:
    header, arrays = unpacked(journey.data)
    encoding = BERT.encode(*PAIR)
    assert header["tokens"] == encoding.tokens
    assert header["ids"] == encoding.input_ids.tolist()
    assert header["types"] == encoding.token_type_ids.tolist()
    assert header["follows"] == pytest.approx(BERT.next_sentence(*PAIR), abs=1e-5)
    states = BERT.hidden_states(*PAIR)
    tables = BERT.model.bert.embeddings
    count = len(encoding)
    with torch.inference_mode():
        terms = [
            tables.word_embeddings(encoding.input_ids),
            tables.token_type_embeddings(encoding.token_type_ids),
            tables.position_embeddings(torch.arange(count)),
        ]
        summed = terms[0] + terms[1] + terms[2]
        assert torch.equal(tables.LayerNorm(summed), states[0])
        shown = torch.stack([*terms, summed, states[0]])
    assert np.array_equal(arrays["terms"], shown[..., :DIMENSIONS])
    np.testing.assert_allclose(arrays["lengths"], shown[:4].norm(dim=-1), rtol=1e-6)
    probs = BERT.attention(*PAIR)
    np.testing.assert_allclose(arrays["attention"], probs, atol=5e-4)
    cosine = torch.cosine_similarity
    for stage in range(LAYERS + 1):
        np.testing.assert_allclose(
            arrays["to_input"][stage], cosine(states[stage], states[0], dim=-1), atol=1e-5
        )
        between = cosine(states[stage][:, None], states[stage][None], dim=-1)
        np.testing.assert_allclose(arrays["cosines"][stage], between, atol=1e-3)
        if stage:
            np.testing.assert_allclose(
                arrays["to_before"][stage - 1],
                cosine(states[stage], states[stage - 1], dim=-1),
                atol=1e-6,
            )
    with torch.inference_mode():
        said = BERT.model.cls.predictions(states[-1]).softmax(-1)
    np.testing.assert_allclose(arrays["probs"], said.topk(GUESSES).values, atol=1e-5)


def test_at_the_mask_it_says_what_fill_mask_says(journey: Journey) -> None:
    [expected] = BERT.fill_mask(*PAIR, top_k=GUESSES)
    place = journey.stages.encoding.tokens.index("[MASK]")
    got = journey.guesses(place)
    assert [guess.token for guess in got] == [guess.token for guess in expected]
    assert [g.probability for g in got] == pytest.approx(
        [g.probability for g in expected], abs=1e-5
    )


def test_the_rolls_are_the_masking_rules_and_their_answers_the_models(journey: Journey) -> None:
    encoding = BERT.encode(*PAIR)
    copies = encoding.input_ids.expand(DRAWN, -1)
    drawn = mask_tokens(copies, TOKENIZER, torch.Generator().manual_seed(0))
    kinds = [len(set(row.tolist()) - {0}) for row in drawn.fates]
    best = sorted(range(DRAWN), key=lambda roll: -kinds[roll])[:ROLLS]  # stable: first drawn first
    assert kinds[best[0]] == 3
    for roll, places in zip(best, journey.rolls(), strict=True):
        row = drawn.input_ids[roll]
        assert [place["position"] for place in places] == (
            drawn.fates[roll].nonzero().flatten().tolist()
        )
        with torch.inference_mode():
            output = BERT.model(row[None], encoding.token_type_ids[None])
            probs = output.prediction_logits[0].softmax(-1)
        for place in places:
            i = place["position"]
            assert place["fate"] == drawn.fates[roll, i]
            assert (place["token"] == "[MASK]") == (place["fate"] == MASKED)
            assert place["id"] == row[i]
            assert place["guess"] == TOKENIZER.tokens[int(probs[i].argmax())]
            assert place["probability"] == pytest.approx(float(probs[i].max()), abs=1e-5)
            true = float(probs[i, encoding.input_ids[i]])
            assert place["truth"] == pytest.approx(true, abs=1e-5)


def test_what_the_model_says_of_the_rolls_follows_the_rest() -> None:
    journey = Journey(*PAIR, bert=BERT)

    def of_both() -> tuple[dict, dict]:
        return unpacked(journey.data)[0], unpacked(journey.said)[0]

    async def typed(*texts: str) -> tuple[dict, dict]:
        for text in texts:
            journey.set_state({"text": text})
        return of_both()

    async def rested(*texts: str) -> tuple[dict, dict]:
        await typed(*texts)
        await asyncio.sleep(REST + 0.1)
        return of_both()

    data, said = of_both()
    assert [data["ids"], data["types"]] == [said["ids"], said["types"]]
    assert said["rolls"] == journey.rolls()
    told = dict.fromkeys(("guess", "probability", "truth"))
    assert data["rolls"] == [[place | told for place in roll] for roll in said["rolls"]]
    data, before = asyncio.run(typed("a cat"))
    assert (before, data["tokens"][:3]) == (said, ["[CLS]", "a", "cat"])
    with mock.patch.object(Journey, "rolls", side_effect=journey.rolls) as asked:
        data, after = asyncio.run(rested("a dog", "a bird", "half of it: \ud800"))
    assert (asked.call_count, journey.problem != "") == (1, True)  # of the last that has an answer
    assert after["ids"] == data["ids"] == TOKENIZER.encode("a bird", PAIR[1]).input_ids.tolist()
    journey.text = "a cat"  # nobody draws it
    assert unpacked(journey.said)[0]["ids"] == unpacked(journey.data)[0]["ids"]


@pytest.mark.parametrize("head", [0, 3])
def test_the_chosen_head_is_the_librarys(head: int) -> None:
    journey = Journey(*PAIR, bert=BERT)
    journey.settings = journey.settings | {"layer": 2, "head": head}
    probs = BERT.attention(*PAIR)[1]
    expected = probs[head - 1] if head else probs.mean(dim=0)
    torch.testing.assert_close(journey.attention, expected)


def test_repr_is_one_stable_line(journey: Journey) -> None:
    [guess, *_] = journey.guesses(6)
    assert repr(journey) == (
        f"Journey(18 tokens, 3 layers x 4 heads; [MASK] is {guess.token} "
        f"{guess.probability:.1%}, B follows A {journey.stages.follows:.1%})"
    )
    assert repr(Journey("my dog", None, BERT)) == (
        "Journey(4 tokens, 3 layers x 4 heads; no [MASK], no pair)"
    )
    data, _ = journey._repr_mimebundle_()
    assert data["text/plain"] == repr(journey)
    assert data[HTML] == journey.to_words()


def test_fine_tuned_cases_answer_in_a_few_lines() -> None:
    def inference(text: str, pair: str | None) -> list[str]:
        if pair is None:
            raise InputError("This case needs a pair.")
        return [f"entailment {len(text) + len(pair)} %"]

    cases = {"inference": inference, "long": lambda *_: "line\n" * 99, "<b>": lambda *_: HOSTILE}
    journey = Journey("my dog", "he", BERT, cases)
    assert journey.answers["inference"] == ["entailment 8 %"]
    assert journey.answers["long"] == ["line"] * MOST_LINES
    assert "3 cases;" in repr(journey)
    assert unpacked(journey.data)[0]["answers"] == journey.answers
    journey.pair = None
    assert journey.answers["inference"] == ["This case needs a pair."]
    assert journey.problem == ""
    with pytest.raises(
        InputError, match="at most 6, each a fine-tuned model, its name, or a function"
    ):
        Journey("my dog", None, BERT, dict.fromkeys(map(str, range(MOST_CASES + 1)), inference))
    with pytest.raises(InputError, match="cases has 1 entries"):
        Journey("my dog", None, BERT, {"x": 3})  # type: ignore[dict-item]
    with pytest.raises(CheckpointError, match="there is no folder 'no model'"):
        Journey("my dog", None, BERT, {"x": "no model"})


@pytest.mark.parametrize("case", TASKS)
def test_a_fine_tuned_model_is_asked_as_it_is(case: str) -> None:
    model = finetuned(case)
    text, pair = "flights to taipei in march", "the cheap flights to taipei are in march"
    journey = Journey(text, pair, BERT, {case: model})
    both = case in ("inference", "question_answering")
    found = model.predict((text, pair) if both else text)
    lines = journey.answers[case]
    if case == "question_answering":
        best = found.spans[0]
        assert lines[0] == f"{best.text}: {100 * best.probability:.1f} %"
        assert lines[-1] == f"(no answer: {100 * found.no_answer_probability:.1f} %)"
    elif case == "slot_filling":
        assert len(lines) == max(1, len(found.slots)) + 1
        for line, slot in zip(lines, found.slots, strict=False):
            share = float(found.probabilities[slot.first_word].max())
            assert line == f"{slot.label}: {slot.text} {100 * share:.1f} %"
        share = found.intent.probabilities[found.intent.label]
        assert lines[-1] == f"intent {found.intent.label} {100 * share:.1f} %"
    else:
        assert lines[0] == f"{found.label} {100 * found.probabilities[found.label]:.1f} %"
        assert len(lines) == len(found.probabilities)
    journey.pair = None
    assert (
        len(journey.answers[case]) == 1 and "type a second text" in journey.answers[case][0]
    ) == both


@pytest.mark.parametrize("text", ["", HOSTILE, "a " * (LONGEST - 2), "[PAD] [CLS]"])
def test_every_text_is_text(text: str) -> None:
    journey = Journey(text, None, BERT)
    root = ET.fromstring(journey.to_words())
    assert {node.tag for node in root.iter()} == {"div", "p", "b", "code"}
    assert unpacked(journey.data)[0]["tokens"] == TOKENIZER.encode(text).tokens
    assert len(journey.data) < 200_000


@settings(max_examples=15)
@given(st.text(max_size=30), st.none() | st.text(max_size=20))
def test_whatever_is_typed_has_an_answer(text: str, pair: str | None) -> None:
    journey = Journey(text, pair, BERT)
    ET.fromstring(journey.to_words())
    header, arrays = unpacked(journey.data)
    assert len(header["tokens"]) == arrays["attention"].shape[-1]
    assert (header["follows"] is None) == (pair is None)
    assert [len(roll) > 0 for roll in header["rolls"]] == [not all(header["special"])] * ROLLS
    journey.close()


@pytest.mark.parametrize("count", [LONGEST - 1, 10_000])
def test_what_is_too_long_is_refused_and_the_picture_stays(count: int) -> None:
    sentence = f"The text has {count + 2:,} tokens and this picture shows at most {LONGEST}"
    with pytest.raises(InputError, match="^" + sentence):
        Journey("a " * count, None, BERT)
    journey = Journey("my dog", None, BERT)
    journey.settings = journey.settings | {"token": 1}
    before = drawn_from(journey)
    journey.text = "a " * count
    assert journey.problem.startswith(sentence)
    assert unpacked(journey.data)[0]["problem"] == journey.problem
    assert (drawn_from(journey), journey.settings["token"]) == (before, 1)
    journey.text = "half a pair: \ud800"
    assert "surrogate" in journey.problem
    journey.text = "a cat"
    assert (journey.problem, journey.settings["token"]) == ("", None)
    assert unpacked(journey.data)[0]["tokens"] == ["[CLS]", "a", "cat", "[SEP]"]


def test_a_model_with_few_positions_is_not_overrun() -> None:
    with pytest.raises(InputError, match="at most 5"):
        Journey("my dog is cute", None, random_bert(positions=5))


@pytest.mark.parametrize(
    ("name", "value"),
    [("layer", 0), ("layer", LAYERS + 1), ("head", HEADS + 1), ("compare", "x"), ("roll", ROLLS),
     ("token", 18), ("token", -1)],
)  # fmt: skip
def test_settings_that_name_nothing_are_refused(name: str, value: object) -> None:
    journey = Journey(*PAIR, bert=BERT)
    with pytest.raises(InputError, match=f"There is no {name} "):
        journey.settings = journey.settings | {name: value}
    assert journey.settings["token"] is None


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="not a string"):
        Journey(7, None, BERT)  # type: ignore[arg-type]


def test_a_checkpoint_without_heads_says_so_instead_of_guessing() -> None:
    bare = random_bert(("cls.predictions.bias", "cls.seq_relationship.weight"))
    with pytest.raises(CheckpointError):
        bare.fill_mask("my [MASK]")
    journey = Journey("my [MASK]", "he", bare)
    assert repr(journey) == "Journey(6 tokens, 3 layers x 4 heads; no [MASK], no pair)"
    header, arrays = unpacked(journey.data)
    assert header["guesses"] == [[]] * 6
    assert header["follows"] is None
    assert header["rolls"][0][0]["guess"] is None
    assert arrays["probs"].shape == (6, 0)
