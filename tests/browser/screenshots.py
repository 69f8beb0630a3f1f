"""`make screenshots`: all of the course as readers see it, to be looked at by a person.

Every lesson in JupyterLab as it is opened, the gallery (which has every widget) also after it was
run, and every page of the book in build/site; light and dark, 1280 and 800 wide, and the book on a
telephone's 390, too. No test: nothing is asserted but that there is something to see, and pytest
does not collect it by itself. The pictures lie in test-artefacts/screenshots.
"""

from pathlib import Path

import pytest
from PIL import Image

from bertedu.classroom.lessons import COURSE
from tests.browser.conftest import REPO_ROOT

PICTURES = REPO_ROOT / "test-artefacts" / "screenshots"
BOOK = REPO_ROOT / "build" / "site"
LESSONS = [lesson.name for lesson in COURSE]
PAGES = sorted(page.name for page in BOOK.glob("*.html"))
NOTEBOOK = "document.querySelector('.jp-NotebookPanel .jp-WindowedPanel-outer')"
PAGE = "document.documentElement"
HIGHEST = 15_000  # pixels in one picture: more than a browser draws at once, it cuts


def keep(page, name: str, high: int, scrolled: str) -> None:
    """Keeps a page from its top to its end: so many px, in as few pictures as can be.

    `scrolled` is the JavaScript of what scrolls.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size(page.viewport_size | {"height": min(high, HIGHEST)})
    page.mouse.move(0, 0)  # away from what would tell something
    for part, top in enumerate(range(0, high, HIGHEST)):
        page.evaluate(f"{scrolled}.scrollTop = {top}")
        page.wait_for_timeout(800)
        file = PICTURES / f"{name}{f'-{part + 1}' if part else ''}.png"
        page.screenshot(path=file, animations="disabled")
        with Image.open(file) as picture:
            assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 2, file


def looks(widths: tuple[int, ...]) -> list[tuple[str, int]]:
    """Each theme with each width."""
    return [(theme, width) for theme in ("light", "dark") for width in widths]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_in_jupyterlab(name: str, open_notebook) -> None:
    page = open_notebook(f"{name}.ipynb", run=name == LESSONS[-1])
    for theme, width in looks((1280, 800)):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        high = page.evaluate(f"{NOTEBOOK}.scrollHeight") + 200  # what stands above it
        keep(page, f"lab-{name[:2]}-{width}-{theme}", high, NOTEBOOK)
    page.context.close()


@pytest.mark.parametrize("file", PAGES)
def test_a_page_of_the_book(file: str, new_page) -> None:
    page = new_page()
    page.goto((BOOK / file).as_uri())
    for theme, width in looks((1280, 800, 390)):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        high = page.evaluate(f"{PAGE}.scrollHeight")
        keep(page, f"book-{Path(file).stem}-{width}-{theme}", high, PAGE)
    page.context.close()


def test_there_is_a_book() -> None:
    assert PAGES, "no book in build/site: run `make site` first"
