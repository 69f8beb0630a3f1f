"""bertviz's views in a real browser: our numbers, its drawing, and nothing from outside."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bertedu import Bert, BertForPreTraining, load_tokenizer
from bertedu.widgets.bertviz import head_view, model_view, neuron_view
from tests.tiny import CONFIG, build

TOKENIZER = load_tokenizer()
BERT = Bert(
    build(
        BertForPreTraining,
        replace(CONFIG, vocab_size=len(TOKENIZER), max_position_embeddings=128),
    ),
    TOKENIZER,
)
TEXT, PAIR = "my dog is cute", "he likes unbelievable hairballs"
HOSTILE = (
    "</script><script>parent.hurt=1</script> <img src=x onerror='parent.hurt=1'> PYTHON_PARAMS "
    "שלום 你好 \N{DOG FACE}"
)
VIEWS = [head_view, model_view, neuron_view]
NAMES = [view.__name__ for view in VIEWS]
SECTIONS = ["All", "A → A", "B → B", "A → B", "B → A"]


@pytest.fixture(scope="module")
def page(new_page):
    return new_page()


def shown(page, view):
    """The frame in which a view is drawn."""
    page.set_content(f"<!doctype html><body>{view.html}</body>")
    frame = page.locator("iframe").element_handle().content_frame()
    frame.locator("#vis svg").wait_for()
    return frame


def params_of(frame) -> dict:
    """What bertviz reads; as one text, since a value by itself takes long to come over."""
    return json.loads(frame.evaluate("JSON.stringify(bertviz_params)"))


def cut(section: str, size: int, second: int) -> tuple[slice, slice]:
    """The rows and the columns of a section."""
    parts = {"A": slice(0, second), "B": slice(second, size)}
    if section == "All":
        return slice(0, size), slice(0, size)
    return parts[section[0]], parts[section[-1]]


def squares(lines) -> list[float]:
    """The shares that lines stand for: each is as opaque as the root of its share."""
    return lines.evaluate_all("lines => lines.map(l => l.getAttribute('stroke-opacity') ** 2)")


def close(found: object, expected: object) -> None:
    """Fails where two lists of lists differ by more than half precision does."""
    found, expected = np.array(found), np.array(expected)
    assert found.shape == expected.shape
    assert (abs(found - expected) <= np.maximum(0.001 * abs(expected), 0.0005)).all()


@pytest.mark.parametrize("view", VIEWS, ids=NAMES)
@pytest.mark.parametrize(
    ("text", "pair"),
    [(TEXT, None), (TEXT, PAIR), (HOSTILE, HOSTILE), ("", "")],
    ids=["one", "pair", "hostile", "empty"],
)
def test_bertviz_reads_our_numbers(page, view, text: str, pair: str | None) -> None:
    frame = shown(page, view(BERT, text, pair))
    encoding = BERT.encode(text, pair)
    attention, size = BERT.attention(text, pair), len(encoding)
    second = encoding.token_type_ids.tolist().index(1) if pair is not None else size
    params = params_of(frame)
    assert [section["name"] for section in params["attention"]] == (
        ["All"] if pair is None else SECTIONS
    )
    for section in params["attention"]:
        rows, columns = cut(section["name"], size, second)
        assert section["left_text"] == encoding.tokens[rows]
        assert section["right_text"] == encoding.tokens[columns]
        close(section["attn"], attention[:, :, rows, columns].tolist())
    texts = frame.locator("#vis text").all_text_contents()
    if view is not model_view:  # which shows tokens only on demand
        assert [text for text in texts if text in encoding.tokens][:size] == encoding.tokens
    assert page.evaluate("window.hurt") is None
    assert frame.evaluate("window.hurt") is None
    assert page.locator("img").count() == frame.locator("img").count() == 0


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # bertviz leaves it open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the same
@pytest.mark.parametrize("view", VIEWS[:2], ids=NAMES[:2])  # the third: in the unit tests
def test_they_are_what_bertviz_itself_would_show(page, view) -> None:
    stock = pytest.importorskip("bertviz")
    encoding = BERT.encode(TEXT, PAIR)
    attention = [layer[None] for layer in BERT.attention(TEXT, PAIR)]
    drawn = getattr(stock, view.__name__)(
        attention,
        encoding.tokens,
        encoding.token_type_ids.tolist().index(1),
        html_action="return",
    ).data
    start = drawn.index("const params = ") + len("const params = ")
    theirs, _ = json.JSONDecoder().raw_decode(drawn, start)
    ours = params_of(shown(page, view(BERT, TEXT, PAIR)))
    assert set(theirs) <= set(ours)
    for one, other in zip(ours["attention"], theirs["attention"], strict=True):
        assert one["left_text"] == other["left_text"]
        assert one["right_text"] == other["right_text"]
        close(one["attn"], other["attn"])


def test_head_view_draws_the_chosen_layer_and_sentences(page) -> None:
    frame = shown(page, head_view(BERT, TEXT, PAIR, layer=2))
    attention, size = BERT.attention(TEXT, PAIR), len(BERT.encode(TEXT, PAIR))
    second = BERT.encode(TEXT, PAIR).token_type_ids.tolist().index(1)
    heads = CONFIG.num_attention_heads

    def opacities() -> list[float]:
        return squares(frame.locator("#attention line"))

    assert frame.locator("#layer").input_value() == "2"
    close(opacities(), (attention[1] / heads).flatten().tolist())
    frame.get_by_label("Layer").select_option("1")
    close(opacities(), (attention[0] / heads).flatten().tolist())
    for section in SECTIONS:
        frame.get_by_label("Attention").select_option(label=section)
        rows, columns = cut(section, size, second)
        close(opacities(), (attention[0, :, rows, columns] / heads).flatten().tolist())
    frame.locator("#vis svg > g:last-child > rect").nth(2).dblclick()  # the third head alone
    rows, columns = cut("B → A", size, second)
    alone = attention[0, :, rows, columns].clone()
    alone[[0, 1, 3]] = 0
    close(opacities(), alone.flatten().tolist())


def test_model_view_opens_the_head_that_is_clicked(page) -> None:
    frame = shown(page, model_view(BERT, TEXT, PAIR, include_layers=[2]))
    frame.locator("#attn_background_0_2 ~ rect").click()
    assert "Layer 2, Head 3" in frame.locator(".detail").all_text_contents()
    close(
        squares(frame.locator(".detail line")), BERT.attention(TEXT, PAIR)[1, 2].flatten().tolist()
    )


def test_neuron_view_multiplies_our_queries_and_keys(page) -> None:
    frame = shown(page, neuron_view(BERT, TEXT, PAIR, include_layers=[2], head=3))
    assert frame.locator("#layer option").all_text_contents() == ["2"]
    assert frame.locator("#att_head option").all_text_contents() == ["1", "2", "3", "4"]
    token = frame.locator("#collapsed #leftText > g").nth(2)
    token.locator("text").hover()
    token.locator("rect").nth(1).click()  # its plus
    frame.locator("#expanded #leftText text").nth(2).hover()
    found = frame.locator(".dotproduct").evaluate_all("d => d.map(b => +b.dataset.value)")
    scores = frame.locator("#expanded").evaluate(
        "(_, [i]) => bertviz_params.attention[0].attn[0][2][i]", [2]
    )
    expected = BERT.attention(TEXT, PAIR)[1, 2, 2]
    close(scores, expected.tolist())
    weights = [2.718281828459045**score for score in found]
    close([weight / sum(weights) for weight in weights], expected.tolist())


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_they_look_as_they_should(mode: str, new_page, artefacts) -> None:
    page = new_page(theme=mode, height=1000)
    for view in VIEWS:
        frame = shown(page, view(BERT, TEXT, PAIR))
        assert frame.locator(f"body.{mode}").count() == 1
        for width in (1280, 800, 640):
            page.set_viewport_size({"width": width, "height": 1000})
            page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
            # The frame learns of its new size a moment later than the page.
            if view is model_view and width >= 800:  # whole, in a notebook beside its files, too
                frame.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
            # Bertviz may be wider than the frame, but nothing is lost below it.
            frame.wait_for_function("document.documentElement.scrollHeight <= innerHeight")
            sizes = frame.locator("text, p, label, select").evaluate_all(
                "nodes => nodes.map(node => parseFloat(getComputedStyle(node).fontSize))"
            )
            assert min(sizes) >= 12
            if width > 640:
                page.screenshot(path=artefacts / f"bertviz-{view.__name__}-{width}-{mode}.png")


def test_a_view_follows_the_theme_of_the_page_around_it(new_page) -> None:
    page = new_page(theme="null")  # a forced system theme would hold in the frame, too
    frame = shown(page, neuron_view(BERT, TEXT))
    assert frame.locator("body.light").count() == 1
    for name, value, mode in (
        ("jp-theme-light", "false", "dark"),
        ("jp-theme-light", "true", "light"),
        ("theme", "dark", "dark"),
    ):
        page.evaluate(
            "([name, value]) => { delete document.body.dataset.jpThemeLight;"
            " document.body.setAttribute(`data-${name}`, value) }",
            [name, value],
        )
        frame.locator(f"body.{mode} #vis svg").wait_for()
    asked = shown(page, neuron_view(BERT, TEXT, display_mode="dark"))
    assert asked.locator("body.dark").count() == 1


def test_a_notebook_shows_all_three_without_the_network(lab, open_notebook, artefacts) -> None:
    lab.write(
        "bertviz.ipynb",
        "from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer\n"
        "from bertedu.widgets.bertviz import head_view, model_view, neuron_view\n"
        "config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)\n"
        "bert = Bert(BertForPreTraining(config), load_tokenizer())",
        *(f"{name}(bert, {TEXT!r}, {PAIR!r})" for name in NAMES),
    )
    page = open_notebook("bertviz.ipynb")
    for place, name in enumerate(NAMES):
        frame = page.locator(".jp-OutputArea iframe").nth(place).element_handle().content_frame()
        frame.locator("#vis svg").wait_for()
        assert frame.locator(f"body.{name}").count() == 1
    page.screenshot(path=artefacts / "bertviz-notebook.png")
