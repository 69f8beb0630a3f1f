"""The journey, used as a person would; what appears is what the library computes."""

import pytest
import torch

from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.errors import InputError
from bertedu.widgets import Journey
from bertedu.widgets.static_page import to_html
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
    choose(widget, "layer 2", "head mean", "its own input")
    pieces(widget).first.focus()
    for _ in range(2):  # the station, and the token
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


def station(widget, number: int) -> None:
    """Opens a station, if it is a strip."""
    head = widget.locator(f".be-panel-{number} .be-head")
    if head.get_attribute("aria-expanded") == "false":
        head.click()


def choose(widget, *names: str) -> None:
    for name in names:
        station(widget, 2 if "roll" in name else 5 if name.startswith(("layer", "head")) else 6)
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


def test_hovering_a_token_lights_it_at_all_stations_with_the_models_numbers(journey, bert) -> None:
    choose(journey, "layer 3", "head 5")
    for panel in (1, 2, 5, 6, 7):
        journey.locator(f".be-panel-{panel} [data-token='4'] >> visible=true").last.hover()
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
    station(journey, 7)
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
    for _ in range(2):
        journey.page.keyboard.press("Escape")
    journey.locator(".be-label").first.hover()
    assert line(journey).startswith(POINTED)


def test_the_keyboard_alone_is_enough(journey, bert) -> None:
    keyboard = journey.page.keyboard
    pieces(journey).first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        keyboard.press(key)
    assert line(journey).startswith("Pinned: is: id 2003 · ")
    journey.locator(".be-panel-5 .be-head").focus()
    keyboard.press("Enter")
    journey.get_by_role("button", name="head mean").focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        keyboard.press(key)
    probs = bert.attention(TEXT, PAIR)[1, 1, 2]
    assert numbers(journey.locator(".be-shares .be-cell")) == pytest.approx(
        (100 * probs).tolist(), abs=0.51
    )
    keyboard.press("Escape")
    assert journey.locator(".be-open").count() == 0
    assert journey.evaluate("() => document.activeElement.className") == "be-head"
    assert line(journey).startswith("Pinned: is")
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
    station(journey, 7)
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
        journey.locator(".be-panel-2 .be-mark").first.wait_for()  # it follows the rest
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
    shown = "node => getComputedStyle(node).opacity"
    assert journey.locator(".be-scroll").evaluate(shown) == "0.33"
    assert journey.locator(".be-foot").evaluate(shown) == "1"
    type_texts(journey, TEXT, PAIR)
    assert journey.locator(".be-scroll").evaluate(shown) == "1"


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
    look_at(journey, "journey", theme, height=800)
    for number in range(1, 8):
        station(journey, number)
        look_at(journey, f"journey-{number}", theme, height=1000)
    journey.page.keyboard.press("Escape")
    type_texts(journey, "my dog is [MASK]", "he likes playing")
    pieces(journey).nth(2).click()
    look_at(journey, "journey-dog", theme, height=800)


# ---- the cockpit: a page without a kernel --------------------------------------------------------


@pytest.fixture(scope="module")
def cockpit(new_page, bert):
    """Shows a journey as a page of its own, one token pinned; returns its root element."""
    page = new_page(height=800)

    def show(text: str, pair: str | None = None, token: int = 2, width: int = 1280):
        page.set_viewport_size({"width": width, "height": 800})
        widget = Journey(text, pair, bert)
        widget.settings = widget.settings | {"token": token}
        page.set_content(to_html(widget))
        root = page.locator(".be-journey")
        root.wait_for()
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        return root

    return show


def box(node) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    it = node.bounding_box()
    return it["x"], it["y"], it["x"] + it["width"], it["y"] + it["height"]


def test_all_seven_strips_are_seen_at_once(cockpit) -> None:
    root = cockpit(TEXT, PAIR)
    strips = [box(strip) for strip in root.locator(".be-panel").all()]
    assert len(strips) == 7
    assert all(55 <= bottom - top <= 75 for _, top, _, bottom in strips)
    assert strips[-1][3] - strips[0][1] <= 640
    assert root.bounding_box()["height"] <= 800
    for strip in root.locator(".be-panel").all():  # nothing reaches into the next
        assert strip.evaluate("node => node.scrollHeight <= node.clientHeight + 1")
    station(root, 5)
    opened = [box(strip) for strip in root.locator(".be-panel").all()]
    heights = [bottom - top for _, top, _, bottom in opened]
    assert [n for n, height in enumerate(heights, 1) if height > 75] == [5]


@pytest.mark.parametrize("text", [TEXT, "my dog likes playing and " * 8])
def test_the_light_is_one_column_through_all_strips(cockpit, text: str) -> None:
    root = cockpit(text, None, 4)
    left, top, right, bottom = box(root.locator(".be-edges"))
    strips = [box(strip) for strip in root.locator(".be-panel").all()]
    assert (top, bottom) == pytest.approx((strips[0][1], strips[-1][3]), abs=2)
    lit = root.locator(".be-lit:not(.be-span) >> visible=true").all()
    where = {node.evaluate("n => n.closest('.be-panel').dataset.panel") for node in lit}
    assert where == set("12567")  # the third has spans, the fourth canvases
    for node in lit:
        assert left - 2.5 <= box(node)[0]
        assert box(node)[2] <= right + 0.5
    canvases = root.locator("canvas").all()  # whose columns begin where the pieces' do
    start = box(root.locator(".be-panel-1 [data-token='0']"))[0]
    assert [box(canvas)[0] for canvas in canvases] == pytest.approx([start] * 6, abs=2.5)


@pytest.mark.parametrize(("words", "scrolls"), [(14, False), (30, True), (46, True)])
def test_many_tokens_scroll_sideways_together(cockpit, words: int, scrolls: bool) -> None:
    root = cockpit("word " * words)
    scroller = root.locator(".be-scroll")
    wide = scroller.evaluate("node => node.scrollWidth > node.clientWidth + 1")
    assert wide == scrolls
    assert root.evaluate("node => node.scrollWidth <= node.clientWidth")
    assert root.locator(".be-panel-1").evaluate("n => getComputedStyle(n).writingMode") == (
        "horizontal-tb"
    )
    last = f"[data-token='{words + 1}']"
    head = root.locator(".be-head").first
    before = box(head)
    root.locator(f".be-panel-1 {last}").focus()
    columns = [
        box(root.locator(f".be-panel-{n} {last} >> visible=true").first) for n in (1, 5, 6, 7)
    ]
    assert all(column[:1] == pytest.approx(columns[0][:1], abs=3) for column in columns)
    assert box(scroller)[2] >= columns[0][2] - 1  # in sight
    assert box(head) == before  # and the names stay beside
    assert sum(  # nothing else scrolls
        node.evaluate("n => n.scrollHeight > n.clientHeight + 1 && n.clientHeight > 0 && "
                      "/auto|scroll/.test(getComputedStyle(n).overflowY)")
        for node in root.locator(":not(textarea)").all()
    ) == 0  # fmt: skip


@pytest.mark.parametrize("width", [1280, 800, 600])
def test_a_random_replacement_stays_in_its_column_and_is_whole_on_hover(
    cockpit, bert, width: int
) -> None:
    root = cockpit(TEXT, PAIR, width=width)
    rolls = Journey(TEXT, PAIR, bert).rolls()
    station(root, 2)
    for places in [*rolls[1:], rolls[0]]:
        choose(root, "Another roll")
        for place in places:
            i = place["position"]
            chip = root.locator(f".be-panel-2 .be-chip[data-token='{i}']")
            piece = box(root.locator(f".be-panel-1 [data-token='{i}']"))
            assert piece[0] - 3 <= box(chip)[0]
            assert box(chip)[2] <= piece[2] + 3
            if place["fate"] == 2:
                struck, whole = (chip.locator(part).bounding_box() for part in ("s", ".be-piece"))
                assert 2 * struck["height"] <= whole["height"]  # two lines
                chip.hover()
                told = root.locator(".be-tooltip").inner_text()
                assert f"the random “{visible_text(place['token'])}”" in told


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_strip_opens_and_closes_by_keyboard(cockpit, key: str) -> None:
    root = cockpit(TEXT, PAIR)
    keyboard = root.page.keyboard
    for number in range(1, 8):
        root.locator(f".be-panel-{number} .be-head").focus()
        keyboard.press(key)
        assert root.locator(".be-open").get_attribute("data-panel") == str(number)
    keyboard.press("Escape")
    assert root.locator(".be-open").count() == 0
    assert root.locator("[aria-expanded=true]").count() == 0


def test_python_can_open_a_station(cockpit, bert) -> None:
    widget = Journey(TEXT, PAIR, bert)
    with pytest.raises(InputError, match="There is no open 8"):
        widget.settings = widget.settings | {"open": 8}
    widget.settings = widget.settings | {"open": 6}
    page = cockpit(TEXT).page
    page.set_content(to_html(widget))
    page.locator(".be-journey").wait_for()
    assert page.locator(".be-open").get_attribute("data-panel") == "6"
