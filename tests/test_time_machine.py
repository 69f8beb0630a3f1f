"""The time machine shows what each checkpoint of the film says, and its film is whole."""

import base64
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import film as film_script
from bertedu import Bert, InputError
from bertedu.checkpoint import DECODER
from bertedu.commands import doctor
from bertedu.errors import CheckpointError
from bertedu.pretraining.film import FILM, Film, frame_file
from bertedu.pretraining.film import unpacked as unpacked_weights
from bertedu.widgets import TimeMachine
from bertedu.widgets.time_machine import GUESSES, LONGEST, PRESETS, the_film
from bertedu.widgets.try_it import Preset
from bertedu.widgets.web_pack import int8_rows, model_checksum, web_pack
from tests.finetuned_models import unpacked
from tests.page_engine import ask

TEXT, PAIR = "the [MASK] dog ran to the [MASK].", "it was happy."
MOST_BYTES = 8_000_000


def fresh(place: int) -> Bert:
    """A checkpoint that no widget has touched."""
    return Film()[place]


# ---------------------------------------------------------------- the film


def test_ten_checkpoints_fit_into_8_mb_and_are_spaced_evenly_in_their_tokens() -> None:
    assert sum(file.stat().st_size for file in FILM.iterdir()) <= MOST_BYTES
    moments = Film().moments
    assert len(moments) == 10
    assert moments[0][:2] == (0, 0)
    ratios = np.diff(np.log([moment.tokens for moment in moments[1:]]))
    assert ratios.max() <= 1.05 * ratios.min()
    assert 3_500 <= len(Film().tokenizer) <= 4_500


def test_it_learned_from_noise_to_words() -> None:
    film = Film()
    first, last = film.moments[0], film.moments[-1]
    vocabulary = np.log(len(film.tokenizer))
    assert first.mlm_loss == pytest.approx(vocabulary, abs=0.3)  # a guess at random
    assert any(abs(moment.mlm_loss - film.unigram_loss) < 0.2 for moment in film.moments)
    assert last.mlm_loss < film.unigram_loss - 2
    assert (first.mlm_accuracy, last.mlm_accuracy > 0.3) == (pytest.approx(0, abs=0.01), True)
    assert 0.6 < last.nsp_accuracy < 0.8  # its card and its picture say that it is weak here
    tokens, losses = np.array(film.curve).T
    assert (np.diff(tokens) > 0).all()
    assert (tokens[-1], losses[0] - losses[-1] > 3) == (
        pytest.approx(last.tokens, rel=0.1),
        True,
    )


def test_what_is_stored_is_what_a_page_would_make_of_it() -> None:
    model = fresh(9).model
    from safetensors.torch import load_file

    stored = load_file(FILM / frame_file(Film().moments[9].steps))
    for name, weight in model.state_dict().items():
        if weight.ndim == 2 and name in stored:
            assert torch.equal(int8_rows(weight)[0], stored[name]), name


def test_the_checkpoints_share_a_tokenizer_and_are_read_when_asked_for() -> None:
    film = Film()
    assert film._read == {}
    assert film[3].tokenizer is film[7].tokenizer
    assert film[3] is film[-7]
    assert sorted(film._read) == [3, 7]
    with pytest.raises(IndexError):
        _ = film[10]


def test_opening_it_draws_no_number() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    _ = Film()[0]
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("lost", ["film.json", "step-0000000.safetensors", "vocab.txt"])
def test_what_is_missing_or_damaged_costs_one_sentence(lost: str, tmp_path: Path) -> None:
    shutil.copytree(FILM, tmp_path / "film")
    file = tmp_path / "film" / lost
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 3] if lost != "vocab.txt" else b"")
    with pytest.raises((CheckpointError, InputError), match=lost.partition(".")[0]):
        TimeMachine(film=Film(tmp_path / "film"))
    file.unlink()
    with pytest.raises((CheckpointError, InputError)):
        TimeMachine(film=Film(tmp_path / "film"))


def test_the_doctor_knows_its_checksums(tmp_path: Path) -> None:
    there = tmp_path / "film"
    shutil.copytree(FILM, there)
    assert doctor.check_film in doctor.CHECKS
    row = doctor.check_film(there)
    assert (row.ok, row.found) == (True, "10 checkpoints: their checksums are right")
    weights = there / frame_file(0)
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    row = doctor.check_film(there)
    assert row.ok is False
    assert row.found.startswith(f"{weights.name} is damaged: checksum ")
    assert "git restore bertedu/film" in row.remedy
    weights.unlink()
    assert doctor.check_film(there).found == f"{weights.name} is missing"
    weights.write_bytes(whole)
    shutil.copyfile(weights, there / "mine.safetensors")
    assert "mine.safetensors is not in SHA256" in doctor.check_film(there).found
    assert doctor.check_film(there / "nothing").ok is None


def test_the_script_that_makes_it_does_what_it_says() -> None:
    waves = film_script.sinusoids(64, 96)
    assert waves.shape == (64, 96)
    near, far = (float(waves[20] @ waves[20 + step]) for step in (1, 9))
    assert pytest.approx(float(waves[20] @ waves[20]), abs=1e-3) == 48
    assert 48 > near > far
    points = film_script.curve([{"tokens": 10, "mlm_loss": float(step)} for step in range(1000)])
    assert points[:2] == [[10, 0.0], [20, 1.0]]
    assert len(points) < film_script.POINTS
    assert all(last[0] > first[0] for first, last in itertools.pairwise(points))
    for tokens, loss in points:  # the mean of steps that lie around there
        assert loss == pytest.approx(tokens / 10 - 1, abs=1)
    weights = fresh(5).model.state_dict()
    again = unpacked_weights(film_script.packed(weights))
    assert weights.keys() - again.keys() == {DECODER}
    assert all(torch.allclose(again[name], weights[name], atol=1e-4) for name in again)


# ---------------------------------------------------------------- the widget


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.text)
def test_the_last_checkpoint_answers_each_preset_well(preset: Preset) -> None:
    widget = TimeMachine(preset.text, preset.pair)
    first, last = widget.frames[0], widget.frames[-1]
    assert last.places[0][0].token in preset.good
    assert first.places[0][0].token not in preset.good
    assert last.places[0][0].probability > 5 * first.places[0][0].probability


def test_there_are_four_to_six_presets_each_with_a_mask() -> None:
    assert 4 <= len(PRESETS) <= 6
    for text, pair, good in PRESETS:
        assert (text + (pair or "")).count("[MASK]") == 1
        assert all(word in the_film().tokenizer.vocab for word in good)
    assert any(pair for _, pair, _ in PRESETS)


def test_every_frame_is_a_fresh_pass_through_its_checkpoint() -> None:
    widget = TimeMachine(TEXT, PAIR)
    assert len(widget.frames) == 10
    for place, frame in enumerate(widget.frames):
        bert = fresh(place)
        expected = bert.fill_mask(TEXT, PAIR, top_k=GUESSES)
        for mine, theirs in zip(frame.places, expected, strict=True):
            assert [guess.token for guess in mine] == [guess.token for guess in theirs]
            shares = [guess.probability for guess in theirs]
            assert [guess.probability for guess in mine] == pytest.approx(shares, abs=1e-5)
        assert frame.follows == pytest.approx(bert.next_sentence(TEXT, PAIR), abs=1e-5)
        assert torch.allclose(frame.attention, bert.attention(TEXT, PAIR), atol=1e-5)
        assert frame.moment == Film().moments[place]


def test_the_browser_gets_every_frame_at_once() -> None:
    widget = TimeMachine(TEXT, PAIR)
    sent = unpacked(widget.data)
    assert sent["positions"] == [2, 7]
    assert sent["heads"] == [3, 4]
    assert sent["follows"] == [frame.follows for frame in widget.frames]
    count = len(sent["tokens"])
    assert sent["attention"].shape == (10, 3, 4, count, count)
    for place, frame in enumerate(widget.frames):
        every = fresh(place).fill_mask(TEXT, PAIR, top_k=4_000)
        assert np.abs(sent["attention"][place] - 255 * frame.attention.numpy()).max() <= 0.5
        for n, words in enumerate(sent["words"]):
            shares = dict(every[n])
            assert sent[f"probs{n}"][place].tolist() == pytest.approx(
                [shares[word] for word in words], abs=1e-6
            )
            assert {guess.token for guess in frame.places[n]} <= set(words)


def test_moving_through_the_film_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    widget = TimeMachine()
    before = widget.data
    monkeypatch.setattr(TimeMachine, "_look", lambda *_, **__: pytest.fail("asked again"))
    for place in range(10):
        widget.settings = widget.settings | {"frame": place, "layer": 3, "head": 4}
        step = f"step {widget.frames[place].moment.steps:,}, "
        assert f"checkpoint {place + 1} of 10, {step}" in widget.summary()
    assert widget.data is before


def test_a_text_without_a_mask_or_a_pair_is_shown_too() -> None:
    widget = TimeMachine("the dog ran.")
    assert [frame.places for frame in widget.frames] == [[]] * 10
    assert unpacked(widget.data)["follows"] is None
    assert widget.summary().endswith("no [MASK]; no pair")


def test_bad_input_costs_one_sentence_and_leaves_the_picture() -> None:
    widget = TimeMachine()
    before = widget.frames
    widget.text = "a " * LONGEST
    assert widget.problem == (
        f"The text has {LONGEST + 2} tokens and this picture shows at most {LONGEST}: shorten it."
    )
    assert widget.frames is before
    widget.text = "the dog."
    assert widget.problem == ""
    for wrong in ({"frame": 10}, {"layer": 4}, {"head": 0}, {"token": 5}):
        name = next(iter(wrong))
        with pytest.raises(InputError, match=f"There is no {name}"):
            widget.settings = widget.settings | wrong
    with pytest.raises(InputError, match="shorten it"):
        TimeMachine("a " * LONGEST)


def test_a_page_without_python_carries_what_python_would_send() -> None:
    presets = [Preset("the dog [MASK].", None, ()), Preset(TEXT, PAIR, ())]
    widget = TimeMachine("a cat.", presets=presets)
    answers = widget.carried()["answers"]
    assert [answer["asked"] for answer in answers] == [[text, pair] for text, pair, _ in presets]
    for answer, (text, pair, _) in zip(answers, presets, strict=True):
        assert base64.b64decode(answer["data"]) == TimeMachine(text, pair).data
    assert json.dumps(widget.film)
    assert widget.checksums() == [model_checksum(fresh(place)) for place in range(10)]
    assert len(set(widget.checksums())) == 10


@pytest.mark.timeout(600)
def test_a_page_with_an_engine_computes_the_same(tmp_path: Path) -> None:
    film = the_film()
    packs = [web_pack(film[place]) for place in range(len(film))]
    asked = [(TEXT, PAIR), ("the dog ran.", None), ("[MASK]", ""), ("a " * LONGEST, None)]
    questions = [
        ["TimeMachine", {"text": text, "pair": pair}, {"frame": 3}, {}] for text, pair in asked
    ]
    *told, refused = ask(tmp_path, packs[0], more=packs, widgets=questions)["widgets"]
    for (text, pair), traits in zip(asked, told, strict=False):
        mine = unpacked(base64.b64decode(traits["data"]))
        theirs = unpacked(TimeMachine(text, pair).data)
        assert {*mine} == {*theirs}
        for name, value in theirs.items():
            if name == "attention":  # whole numbers: one may round to the other side
                assert np.abs(mine[name].astype(int) - value).max() <= 1
            elif isinstance(value, np.ndarray):
                assert np.abs(mine[name] - value).max() <= 1e-4
            elif name == "follows" and value is not None:
                assert mine[name] == pytest.approx(value, abs=1e-4)
            elif name != "first":
                assert mine[name] == value, name
    with pytest.raises(InputError) as said:
        TimeMachine("a " * LONGEST)
    assert refused == {"problem": str(said.value)}
