"""The book in a browser, opened from a disk with everything else refused."""

from pathlib import Path

import pytest

from bertedu.classroom.book.site import write

LESSON = """# %% [markdown]
# # 01 · A lesson
# ## Steps

# %%
from bertedu.widgets import MaskExplorer
MaskExplorer("my dog is cute")

# %%
print("zebra " * 60)
"""
SECOND = "# %% [markdown]\n# # 02 · Another\n# ## Animals\n# A giraffe.\n\n# %%\n1 + 1\n"
THIRD = "# %% [markdown]\n# # 03 · A third\n" + "".join(f"# ## Part {n}\n" for n in range(20))
FIGURE = "\n# %%\nfrom bertedu.classroom.figures import two_pairs\ntwo_pairs()\n"

NOTES = "# Claims\n\n## One\n\ntrue\n\n## Two\n\nfalse\n\n## Three\n\na slip\n"


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("course")
    (root / "course").mkdir()
    (root / "course" / "01_wordpiece.py").write_text(LESSON, encoding="utf-8")
    (root / "course" / "02_masked_language_model.py").write_text(SECOND, encoding="utf-8")
    third = root / "course" / "03_next_sentence_prediction.py"
    third.write_text(THIRD + FIGURE, encoding="utf-8")
    (root / "docs").mkdir()
    (root / "docs" / "notes.md").write_text(NOTES, encoding="utf-8")
    write(root, root / "site", say=lambda line: None)
    return root / "site"


@pytest.fixture
def opened(book: Path, new_page):
    asked = []

    def open_page(name: str, **look: object):
        page = new_page(**look)
        page.set_default_timeout(10_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto((book / name).as_uri())
        return page

    yield open_page
    mine = (book.as_uri(), "blob:", "data:")
    assert [url for url in asked if not url.startswith(mine)] == []


def test_every_widget_lives_and_says_what_is_off(opened) -> None:
    page = opened("01_wordpiece.html")
    widget = page.locator(".bertedu")
    widget.wait_for()
    assert page.locator(".bertedu-still > .bertedu-words").count() == 0
    widget.get_by_text("Reroll").click()
    assert "roll 2 of" in widget.inner_text()
    assert "no Python behind it" in widget.inner_text()
    assert widget.locator("textarea").first.get_attribute("readonly") is not None


def test_the_search_finds_a_word_by_keyboard(opened) -> None:
    page = opened("index.html")
    page.keyboard.press("/")
    page.keyboard.type("GIRAFFE")
    page.locator("#book-results a").wait_for()
    assert page.locator("#book-results a").count() == 1
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/02_masked_language_model.html#animals")


def test_a_word_that_is_nowhere_is_said_to_be(opened) -> None:
    page = opened("index.html")
    page.locator("#book-query").fill("<img src=x>")
    page.get_by_text("no sections").wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#book-results").is_hidden()


def test_next_and_previous_walk_through_the_book(opened) -> None:
    page = opened("index.html")
    assert page.locator("[rel=prev]").count() == 0
    ways = {
        "01_wordpiece": "01 · A lesson",
        "02_masked_language_model": "02 · Another",
        "03_next_sentence_prediction": "03 · A third",
        "claims": "Claims",
        "notes": "Claims",
    }
    for name, heading in ways.items():
        page.locator("[rel=next]").click()
        page.wait_for_url(f"**/{name}.html")
        page.get_by_role("heading", name=heading, level=1).wait_for()
    assert page.locator("[rel=next]").count() == 0
    page.locator("[rel=prev]").click()
    page.wait_for_url("**/claims.html")
    page.locator("[rel=prev]").click()
    page.get_by_role("heading", name="03 · A third", level=1).wait_for()


@pytest.mark.parametrize(("theme", "other"), [("light", "dark"), ("dark", "light")])
def test_light_and_dark_follow_the_system_and_the_switch(theme, other, opened) -> None:
    page = opened("01_wordpiece.html", theme=theme)
    page.locator(f'.bertedu[data-theme="{theme}"]').wait_for()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    before = page.evaluate(ground)
    page.locator("#book-theme").click()
    page.locator(f'.bertedu[data-theme="{other}"]').wait_for()
    assert page.evaluate(ground) != before
    page.reload()
    page.locator(f'.bertedu[data-theme="{other}"]').wait_for()


def test_on_a_telephone_the_list_shows_the_page_and_figures_can_be_read(opened, axe) -> None:
    page = opened("03_next_sentence_prediction.html", width=390)
    contents = page.locator(".book-contents > div")
    assert contents.evaluate("box => box.scrollTop") > 20  # to the third lesson, above its parts
    listed, here = (each.bounding_box() for each in (contents, contents.locator("[aria-current]")))
    assert listed["y"] < here["y"] < listed["y"] + 60
    assert page.locator(".book-figure img").bounding_box()["width"] > 550
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.evaluate(axe)
    found = page.evaluate(
        "axe.run(document, {preload: false}).then(r => r.violations.map(v => v.id))"
    )
    assert found == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "01_wordpiece.html"])
def test_pages_are_accessible_and_fit(name, theme, opened, axe, artefacts) -> None:
    page = opened(name, theme=theme)
    page.locator(".bertedu").wait_for()
    page.evaluate(axe)
    for width in (1280, 640):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=artefacts / f"site-{name}-{width}-{theme}.png")
        found = page.evaluate(
            "axe.run({exclude: '.bertedu'}, {preload: false})"  # widgets have their own tests
            ".then(r => r.violations.map(v => [v.id, v.nodes[0].html.slice(0, 200)]))"
        )
        assert found == []
    page.emulate_media(media="print")
    assert page.locator(".book-bar").is_hidden()


VISIBLE = """[...document.querySelectorAll('main > *, .book-cell > *')]
    .filter(n => !n.matches('nav, .book-cell') && n.checkVisibility({visibilityProperty: true}))
    .map(n => n.textContent.slice(0, 40))"""


def test_slides_show_all_of_a_lesson_a_screenful_at_a_time(opened) -> None:
    page = opened("01_wordpiece.html")
    page.locator(".bertedu").wait_for()
    everything = page.evaluate(VISIBLE)
    page.goto(page.url + "?slides")
    count = page.locator(".book-deck-count")
    count.get_by_text("1 of").wait_for()
    page.locator(".bertedu-live, .bertedu").first.wait_for(state="attached")
    seen: list[str] = []
    steps = 0
    while True:
        seen += [text for text in page.evaluate(VISIBLE) if text not in seen]
        before = count.inner_text(), page.evaluate(VISIBLE)
        page.keyboard.press("ArrowRight")
        if (count.inner_text(), page.evaluate(VISIBLE)) == before:
            break
        steps += 1
    assert seen == everything
    shown, of = count.inner_text().split(" of ")
    assert shown == of
    assert steps >= int(of) - 1 + 2  # the two outputs came a step after their code
    page.keyboard.press("Home")
    assert count.inner_text() == f"1 of {of}"
    page.keyboard.press("Escape")
    assert page.evaluate(VISIBLE) == everything


def test_a_text_is_shown_as_slides_too_a_section_each(opened) -> None:
    page = opened("notes.html")
    page.get_by_role("button", name="Show as slides").click()
    count = page.locator(".book-deck-count")
    shown = []
    for _ in range(3):
        shown.append((count.inner_text(), page.evaluate(VISIBLE)))
        page.keyboard.press("ArrowRight")
    assert shown == [
        ("1 of 3", ["Claims", "One", "true"]),
        ("2 of 3", ["Two", "false"]),
        ("3 of 3", ["Three", "a slip"]),
    ]
    assert opened("index.html").get_by_role("button", name="Show as slides").count() == 0


def test_a_widget_on_a_slide_is_alive_and_keeps_its_keys(opened) -> None:
    page = opened("01_wordpiece.html")
    page.locator(".bertedu").wait_for()
    page.get_by_role("button", name="Show as slides").click()
    while not page.locator(".bertedu").is_visible():
        page.keyboard.press("ArrowRight")
    page.locator(".bertedu").get_by_text("Reroll").click()
    assert "roll 2 of" in page.locator(".bertedu").inner_text()
    slide = page.locator(".book-deck-count").inner_text()
    page.locator(".bertedu input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".book-deck-count").inner_text() == slide
