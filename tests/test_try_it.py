"""Try it shows what `fill_mask` and `next_sentence` say, of presets that are answered well."""

from functools import cache

import pytest
import torch

import bertedu
from bertedu import Bert, BertConfig, BertForPreTraining, InputError, load_tokenizer
from bertedu.widgets import TryIt
from bertedu.widgets.try_it import CARRIED, GUESSES, LONGEST, PRESETS, Preset, without_heads
from tests.finetuned_models import unpacked

TOKENIZER = load_tokenizer()
TEXT, PAIR = "my dog is [MASK].", "he likes playing"


@cache
def bert(missing: tuple[str, ...] = ()) -> Bert:
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, initializer_range=0.4
    )
    return Bert(BertForPreTraining(config), TOKENIZER, missing)


def asked(text: str = TEXT, pair: str | None = None, **more: object) -> TryIt:
    widget = TryIt(text, pair, bert())
    for name, value in more.items():
        setattr(widget, name, value)
    return widget


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.text)
def test_the_first_guess_for_each_preset_is_a_good_one(preset: Preset) -> None:
    widget = TryIt(preset.text, preset.pair)
    assert widget.places[0].first[0].token in preset.good
    if preset.pair:
        assert widget.follows is not None


def test_there_are_four_to_six_presets_each_with_a_mask() -> None:
    assert 4 <= len(PRESETS) <= 6
    for text, pair, good in PRESETS:
        assert (text + (pair or "")).count("[MASK]") == 1
        assert all(word in TOKENIZER.vocab for word in good)
    follows = {round(TryIt(text, pair).follows) for text, pair, _ in PRESETS if pair}
    assert follows == {0, 1}  # a pair of both kinds


@pytest.mark.parametrize("pair", [None, PAIR])
def test_guesses_and_verdict_are_the_librarys(pair: str | None) -> None:
    widget = asked(TEXT, pair)
    [place] = widget.places
    [expected] = bert().fill_mask(TEXT, pair, top_k=GUESSES)
    assert place.position == 4
    assert [guess.token for guess in place.first] == [guess.token for guess in expected]
    assert [g.probability for g in place.first] == pytest.approx([g.probability for g in expected])
    assert place.hidden is None
    judged = None if pair is None else pytest.approx(bert().next_sentence(TEXT, pair))
    assert widget.follows == judged
    said = "no pair" if pair is None else f"B follows A {widget.follows:.1%}".replace("%", " %")
    assert widget.summary().endswith(said)


def test_a_hidden_word_has_its_rank_and_probability() -> None:
    widget = asked(masks=[2])
    every = bert().fill_mask("my [MASK] is [MASK].", top_k=len(TOKENIZER))[0]
    tokens = [guess.token for guess in every]
    dog, _ = widget.places
    assert dog.hidden == ("dog", tokens.index("dog") + 1, pytest.approx(every[dog[2][1] - 1][1]))
    assert dog.hidden.rank > GUESSES  # this model has learned nothing: the rank has to be told
    assert unpacked(widget.data)["hidden"] == [2]


@pytest.mark.parametrize(
    ("word", "token", "why"),
    [
        ("Cat ", "cat", ""),
        ("##ing", "##ing", ""),
        ("unaffable", None, "That is 3 tokens (una ##ffa ##ble), and BERT guesses one."),
        (" ", None, "Type a word."),
        ("☃", None, "BERT's vocabulary does not have that word."),
        ("[MASK]", None, "BERT's vocabulary does not have that word."),
    ],
)
def test_a_readers_guess_is_ranked_or_refused(word: str, token: str | None, why: str) -> None:
    [place] = asked(guesses={"4": word}).places
    assert place.refused == why
    assert (place.guess is None) == (token is None)
    if token is not None:
        every = bert().fill_mask(TEXT, top_k=len(TOKENIZER))[0]
        rank = [guess.token for guess in every].index(token) + 1
        assert place.guess[:2] == (token, rank)


def test_what_the_text_does_not_have_is_left_out() -> None:
    widget = asked(masks=[0, 4, 6, 17, -1], guesses={"1": "dog"}, off=[[7, 1], [1, 9]])
    [place] = widget.places
    assert (place.hidden, place.guess) == (None, None)
    assert widget.places == asked().places
    with pytest.raises(InputError, match=f"49 tokens and this picture shows at most {LONGEST}"):
        asked("a " * 47)


def test_a_head_that_is_off_adds_nothing() -> None:
    model = bert()
    layer = model.model.bert.encoder.layer[0].attention
    with torch.no_grad(), without_heads(model, [[1, 2]]):
        found = model.hidden_states(TEXT)
    before = layer.output.dense.weight.detach().clone()
    with torch.no_grad():
        layer.output.dense.weight[:, 8:16] = 0  # the second head's numbers of 24
        expected = model.hidden_states(TEXT)
        layer.output.dense.weight.copy_(before)
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, model.hidden_states(TEXT), atol=1e-3)
    some = asked(off=[[1, 2]]).places[0].first
    assert some != asked().places[0].first


def test_a_page_without_python_carries_what_python_would_say() -> None:
    presets = [Preset(TEXT, None, ()), Preset("my dog", PAIR, ())]
    widget = TryIt("a cat", None, bert(), presets)
    answers = widget.carried()["answers"]
    assert [one["asked"][:3] for one in answers] == [
        *(["a cat", None, masks] for masks in ([], [1], [2])),
        *([TEXT, None, masks] for masks in ([], [1], [2], [3], [5])),
        *(["my dog", PAIR, masks] for masks in ([], [1], [2], [4], [5], [6])),
    ]
    for answer in answers:
        text, pair, masks, _, _ = answer["asked"]
        expected = unpacked(asked(text, pair, masks=masks).data)
        for mine, theirs in zip(answer["places"], expected["places"], strict=True):
            assert mine["hidden"] == pytest.approx(theirs["hidden"], abs=2e-6)
            assert len(mine["first"]) == (GUESSES if masks else CARRIED)
            shares = [share for _, share in theirs["first"]]
            assert [share for _, share in mine["first"][:GUESSES]] == pytest.approx(
                shares, abs=2e-6
            )
        assert answer["follows"] == pytest.approx(expected["follows"], abs=1e-5)
        for name in ("tokens", "ids", "types", "special", "hidden", "heads", "vocabulary"):
            assert answer[name] == expected[name]


def test_a_head_that_the_checkpoint_lacks_is_not_answered_at_random() -> None:
    widget = TryIt(TEXT, PAIR, bert(("cls.predictions.bias", "cls.seq_relationship.bias")))
    [place] = widget.places
    assert (place.first, widget.follows) == ([], None)
    assert "nothing hidden" not in asked().summary()


def test_its_model_is_the_one_it_is_given() -> None:
    assert TryIt().bert.config == bertedu.load().config
    assert asked().bert is bert()
