"""The journey, used as a person would; what appears is what the library computes."""

import pytest
import torch

from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.widgets import Journey
from bertedu.widgets.words import visible_text

TOKENIZER = load_tokenizer()
TEXT, PAIR = "calculus is a branch of [MASK]", "it was developed by newton and leibniz"
HOSTILE = "<script>window.hurt=1</script> <img src=x onerror='window.hurt=1'>"
MODEL = """
import torch
from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.widgets import Journey
torch.manual_seed(0)
config = BertConfig(hidden_size=48, num_hidden_layers=4, num_attention_heads=6,
                    intermediate_size=64, initializer_range=0.3)
bert = Bert(BertForPreTraining(config), load_tokenizer())
cases = {"length": lambda text, pair: [f"{len(text)} characters", "<img src=x>"]}
"""
POINTED = "Point at a token"


@pytest.fixture(scope="module")
def bert() -> Bert:
    """The same random model as in the notebook."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=48,
        num_hidden_layers=4,
        num_attention_heads=6,
        intermediate_size=64,
        initializer_range=0.3,
    )
    return Bert(BertForPreTraining(config), TOKENIZER)


@pytest.fixture(scope="module")
def page(lab, open_notebook):
    lab.write(
        "journey.ipynb",
        MODEL + "journey = Journey(bert=bert, cases=cases)",
        "journey",
        "Journey('my dog', None, bert)",
    )
    page = open_notebook("journey.ipynb")
    page.locator(".be-journey").nth(1).wait_for()
    return page


@pytest.fixture
def journey(page):
    """The first widget on its first text, nothing pinned."""
    widget = page.locator(".be-journey").first
    type_texts(widget, TEXT, PAIR)
    for name in ("layer 2", "head mean"):
        widget.get_by_role("button", name=name, exact=True).click()
    widget.get_by_role("button", name="its own input").click()
    pieces(widget).first.focus()
    page.keyboard.press("Escape")
    widget.get_by_role("button", name="Save picture").focus()
    page.mouse.move(0, 0)  # the page scrolled beneath it
    page.wait_for_function("() => !document.querySelector('.be-journey .be-lit')")
    return widget


def type_texts(widget, text: str, pair: str = "") -> None:
    for box, value in zip(widget.locator("textarea").all(), (text, pair), strict=True):
        box.fill(value)
    widget.page.wait_for_function("node => !node.ariaBusy", arg=widget.element_handle())


def pieces(widget):
    return widget.locator(".be-panel-1 [data-token]")


def choose(widget, *names: str) -> None:
    for name in names:
        widget.get_by_role("button", name=name, exact=True).click()


def line(widget) -> str:
    return widget.locator(".be-line").inner_text()


def numbers(locator) -> list[float]:
    return [float(text.replace("−", "-")) for text in locator.all_inner_texts()]


def two(value: torch.Tensor) -> str:
    return f"{float(value):.2f}".replace("-", "−").replace("−0.00", "0.00")


@pytest.mark.parametrize(
    ("text", "pair"),
    [(TEXT, PAIR), (HOSTILE, ""), ("", ""), ("שלום 你好 \N{DOG FACE}", "x"), ("word " * 46, "")],
)
def test_what_is_typed_travels_token_by_token(journey, bert, text: str, pair: str) -> None:
    type_texts(journey, text, pair)
    twin = Journey(text, pair or None, bert)
    tokens = twin.stages.encoding.tokens
    told = pieces(journey).locator(".be-piece").all_text_contents()
    assert told == [visible_text(token) for token in tokens]
    assert len(journey.locator(".be-panel-7 .be-answers .be-cell").all()) == len(tokens)
    got = numbers(journey.locator(".be-shares .be-cell"))
    assert got == pytest.approx((100 * twin.attention.mean(0)).tolist(), abs=0.51)
    assert journey.locator("img, script").count() == 0
    assert journey.page.evaluate("window.hurt") is None
    assert journey.evaluate("node => node.scrollWidth <= node.clientWidth")


def test_hovering_a_token_lights_it_in_all_panels_with_the_models_numbers(journey, bert) -> None:
    choose(journey, "layer 3", "head 5")
    for panel in (1, 2, 5, 6, 7):
        journey.locator(f".be-panel-{panel} [data-token='4']").last.hover()
        for other in (1, 2, 3, 5, 6, 7):
            assert journey.locator(f".be-panel-{other} .be-lit").count() > 0
        beam, piece = (
            node.bounding_box() for node in (journey.locator(".be-beam"), pieces(journey).nth(4))
        )
        assert beam["x"] - 1 <= piece["x"]
        assert piece["x"] + piece["width"] <= beam["x"] + beam["width"] + 1
        strips = journey.locator(".be-strip").last.bounding_box()
        assert beam["y"] < strips["y"]
        assert strips["y"] + strips["height"] < beam["y"] + beam["height"]
    probs = bert.attention(TEXT, PAIR)[2, 4, 4]
    shares = numbers(journey.locator(".be-shares .be-cell"))
    assert shares == pytest.approx((100 * probs).tolist(), abs=0.51)
    told = line(journey)
    best = int(probs.argmax())
    assert f"layer 3, head 5: asks {TOKENIZER.encode(TEXT, PAIR).tokens[best]} " in told
    states = bert.hidden_states(TEXT, PAIR)[:, 4]
    cosines = [two(torch.cosine_similarity(states[-1], states[n], dim=0)) for n in (0, -2)]
    assert f"cosine {cosines[0]} to its input, {cosines[1]} to the layer before" in told
    terms = Journey(TEXT, PAIR, bert).stages.lengths[:, 4]
    assert "token {}, segment {}, position {}, sum {}".format(*map(two, terms)) in told
    journey.locator(".be-label").first.hover()
    assert line(journey).startswith(POINTED)


def test_a_click_pins_and_another_token_is_compared_with_the_pinned(journey, bert) -> None:
    pieces(journey).nth(6).click()
    assert line(journey).startswith("Pinned: [MASK]: id 103 · ")
    [guesses] = bert.fill_mask(TEXT, PAIR)
    told = journey.locator(".be-card").first.inner_text()
    for token, probability in guesses:
        assert token in told
        assert f"{100 * probability:.1f} %" in told
    journey.locator(".be-panel-7 [data-token='1']").hover()
    probs = bert.attention(TEXT, PAIR)[1].mean(0)
    states = bert.hidden_states(TEXT, PAIR)[2]
    assert journey.locator(".be-tooltip").inner_text() == (
        f"“[MASK]” asks “calculus”: {100 * probs[6, 1]:.1f} %; “calculus” asks “[MASK]”: "
        f"{100 * probs[1, 6]:.1f} % (layer 2, mean of 6 heads); cosine after layer 2: "
        f"{two(torch.cosine_similarity(states[6], states[1], dim=0))}"
    )
    assert journey.locator(".be-held").is_visible()
    journey.page.keyboard.press("Escape")
    journey.locator(".be-label").first.hover()
    assert line(journey).startswith(POINTED)


def test_the_keyboard_alone_is_enough(journey, bert) -> None:
    keyboard = journey.page.keyboard
    pieces(journey).first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        keyboard.press(key)
    assert line(journey).startswith("Pinned: is: id 2003 · ")
    journey.get_by_role("button", name="head mean").focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        keyboard.press(key)
    probs = bert.attention(TEXT, PAIR)[1, 1, 2]
    assert numbers(journey.locator(".be-shares .be-cell")) == pytest.approx(
        (100 * probs).tolist(), abs=0.51
    )
    keyboard.press("Escape")
    assert line(journey).startswith(POINTED)


@pytest.mark.parametrize("compare", ["input", "before", "token"])
def test_the_hidden_states_are_the_librarys(journey, bert, compare: str) -> None:
    names = {"input": "its own input", "before": "the layer before", "token": "the lit token"}
    choose(journey, names[compare])
    pieces(journey).nth(3).click()
    states = bert.hidden_states(TEXT, PAIR)
    for stage in (1, 4):
        other = {"input": states[0], "before": states[stage - 1], "token": states[stage, 3][None]}
        expected = torch.cosine_similarity(states[stage], other[compare], dim=-1)
        got = numbers(journey.locator(f".be-state[data-stage='{stage}']"))
        assert got == pytest.approx(expected.tolist(), abs=0.006)


def test_the_pair_is_judged_and_a_single_text_asks_for_one(journey, bert) -> None:
    follows = bert.next_sentence(TEXT, PAIR)
    assert f"{100 * follows:.1f} % that it follows" in journey.locator(".be-verdict").inner_text()
    assert f"{100 * follows:.1f} %" in journey.locator(".be-card").nth(1).inner_text()
    assert f"{len(TEXT)} characters" in journey.locator(".be-card").nth(2).inner_text()
    type_texts(journey, "my dog")
    assert "Type a second one" in journey.locator(".be-verdict").inner_text()
    assert "6 characters" in journey.locator(".be-card").nth(2).inner_text()


def test_the_rolls_show_the_fates_and_what_the_model_says(journey, bert) -> None:
    twin = Journey(TEXT, PAIR, bert)
    for roll in (1, 2):
        choose(journey, "Another roll")
        places = twin.rolls()[roll]
        chips = journey.locator(".be-panel-2 .be-chip")
        assert [int(c.get_attribute("data-token")) for c in chips.all()] == [
            place["position"] for place in places
        ]
        fates = ["", "masked", "random", "kept"]
        assert chips.locator(".be-small").all_inner_texts() == [fates[p["fate"]] for p in places]
        chips.first.hover()
        told = journey.locator(".be-tooltip").inner_text()
        guess, share = places[0]["guess"], 100 * places[0]["probability"]
        assert f"the model says “{guess}” {share:.1f} %" in told


def test_what_is_too_long_says_so_and_the_picture_stays(journey) -> None:
    before = pieces(journey).all_inner_texts()
    type_texts(journey, "word " * 200)
    assert "at most 48: shorten it" in journey.locator(".be-status").inner_text()
    assert pieces(journey).all_inner_texts() == before


def test_two_widgets_leave_each_other_alone(journey) -> None:
    other = journey.page.locator(".be-journey").nth(1)
    before = other.inner_text()
    choose(journey, "layer 4", "the lit token")
    pieces(journey).nth(2).click()
    assert other.inner_text() == before
    assert other.locator(".be-lit").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(journey, theme: str, look_at) -> None:
    pieces(journey).nth(6).click()
    look_at(journey, "journey", theme, height=1700)
    type_texts(journey, "my dog is [MASK]", "he likes playing")
    pieces(journey).nth(2).click()
    look_at(journey, "journey-dog", theme, height=1700)
