"""The mask explorer, used as a person would; what appears is what the masking rule gives."""

import pytest

from bertedu import load_tokenizer
from bertedu.pretraining.masking import KEPT, MASKED, NOT_CHOSEN, RANDOM
from bertedu.widgets import MaskExplorer
from bertedu.widgets.words import visible_text

TOKENIZER = load_tokenizer()
FIRST = "my dog is hairy and likes to play with the other dogs in the park every day"
HOSTILE = "<script>window.hurt=1</script> <img src=x onerror='window.hurt=1'>"
FATES = {NOT_CHOSEN: "", MASKED: "masked", RANDOM: "random", KEPT: "kept"}


@pytest.fixture(scope="module")
def page(lab, open_notebook):
    lab.write(
        "masks.ipynb",
        "from bertedu.widgets import MaskExplorer",
        f"explorer = MaskExplorer({FIRST!r}); explorer",
        "MaskExplorer('my dog is hairy', seed=3)",
    )
    page = open_notebook("masks.ipynb")
    page.locator(".be-mask-explorer").nth(1).wait_for()
    return page


@pytest.fixture
def explorer(page):
    """The first widget, showing the first text under the paper's shares."""
    widget = page.locator(".be-mask-explorer").first
    page.keyboard.press("Escape")
    type_text(widget, FIRST)
    widget.get_by_role("button", name="The paper's shares").click()
    return widget


def type_text(widget, text: str) -> None:
    widget.locator("textarea").first.fill(text)
    widget.page.wait_for_function("node => !node.ariaBusy", arg=widget.element_handle())


def shown(widget) -> list[str]:
    """Each token's small lines: the id it sees, its label, its fate."""
    return widget.locator("[aria-label=Tokens] .be-chip").evaluate_all(
        "chips => chips.map(c => [...c.querySelectorAll('.be-small')].map(s => s.textContent))"
    )


def expected(text: str, *, seed: int = 0, **settings: object) -> tuple[list[str], list[str]]:
    """Each token's label and fate, as the library decides them."""
    twin = MaskExplorer(text, seed=seed)
    twin.settings = twin.settings | settings
    ids = TOKENIZER.encode(text).input_ids.tolist()
    fates = twin.fates[twin.settings["roll"]].tolist()
    twin.close()
    labels = [
        "-100" if fate == NOT_CHOSEN else str(index) for fate, index in zip(fates, ids, strict=True)
    ]
    return labels, [FATES[fate] for fate in fates]


def agrees(widget, text: str, **settings: object) -> None:
    labels, fates = expected(text, **settings)
    rows = shown(widget)
    assert [row[1] for row in rows] == labels
    assert [row[2].strip() for row in rows] == fates


@pytest.mark.parametrize("text", [FIRST, HOSTILE, "", "שלום 你好 \N{DOG FACE}", "word " * 100])
def test_typed_text_is_masked_as_the_library_masks_it(explorer, text: str) -> None:
    type_text(explorer, text)
    agrees(explorer, text)
    assert explorer.locator("img, script").count() == 0
    assert explorer.page.evaluate("window.hurt") is None


def roll_of(widget) -> int:
    """The roll that is shown, counted from 0."""
    return int(widget.locator(".be-roll").inner_text().split()[1].replace(",", "")) - 1


def test_a_reroll_is_the_next_row_of_the_library(explorer) -> None:
    before, first = shown(explorer), roll_of(explorer)
    for roll in range(first + 1, first + 4):
        explorer.get_by_role("button", name="Reroll").click()
        agrees(explorer, FIRST, roll=roll)
    assert shown(explorer) != before


def test_sliders_follow_the_keyboard_without_asking_python(explorer) -> None:
    rate = explorer.locator("[aria-label=Shares] input").first
    rate.focus()
    for _ in range(35):
        explorer.page.keyboard.press("ArrowRight")
    assert rate.input_value() == "50"
    agrees(explorer, FIRST, rate=50, roll=roll_of(explorer))


def test_another_seed_is_another_row(explorer) -> None:
    explorer.locator("input[type=number]").fill("7")
    explorer.page.wait_for_function("node => !node.ariaBusy", arg=explorer.element_handle())
    agrees(explorer, FIRST, seed=7)
    explorer.locator("input[type=number]").fill("0")
    explorer.page.wait_for_function("node => !node.ariaBusy", arg=explorer.element_handle())


def test_two_widgets_leave_each_other_alone(explorer) -> None:
    other = explorer.page.locator(".be-mask-explorer").nth(1)
    before = shown(other)
    explorer.get_by_role("button", name="Reroll").click()
    assert shown(other) == before
    agrees(other, "my dog is hairy", seed=3)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_should(theme: str, explorer, look_at) -> None:
    assert visible_text("[MASK]") in explorer.inner_text()
    look_at(explorer, "masks", theme, height=1100)
