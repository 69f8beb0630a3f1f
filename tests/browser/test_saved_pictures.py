""" "Save picture": the file that is saved looks like the widget, in a page without Python, too."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bertedu.widgets.base import Widget
from bertedu.widgets.static_page import to_html
from tests.browser.test_static_page import CASES

NEARLY = 40  # of 255: letters that lie between two dots of the screen are drawn a shade off
# Of the dots; the names of Journey's stations stick, so their letters are smoothed otherwise.
FEW = 0.004


def shot(locator) -> Image.Image:
    """What is seen of an element, without what is not in its picture."""
    page = locator.page
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur?.()")  # the picture has no ring of the focus
    hide = "(all, on) => { for (const node of all) node.style.display = on ? 'none' : '' }"
    page.locator(".be-save, .be-tooltip").evaluate_all(hide, True)
    image = Image.open(io.BytesIO(locator.screenshot())).convert("RGB")
    page.locator(".be-save, .be-tooltip").evaluate_all(hide, False)
    return image


def saved(root, folder: Path) -> Path:
    """The file that the button saves."""
    with root.page.expect_download() as download:
        root.get_by_role("button", name="Save picture").click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


@pytest.fixture
def living(new_page, tmp_path: Path) -> Callable[..., object]:
    """Opens a widget in a page of its own without Python, and returns its root element."""

    def opened(widget: Widget, theme: str, width: int = 1280):
        page = new_page(theme=theme, width=width, height=1800)
        file = tmp_path / "page.html"
        file.write_text(to_html(widget), encoding="utf-8")
        page.goto(file.as_uri())
        root = page.locator(".bertedu-still > div > .bertedu")
        root.wait_for()
        page.locator("h1").evaluate("node => node.remove()")  # or all lies between two dots
        return root

    return opened


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", CASES)
def test_the_saved_picture_looks_like_the_widget(
    name: str, theme: str, living, new_page, tmp_path: Path, artefacts: Path
) -> None:
    build, target, _ = CASES[name]
    root = living(build(), theme)
    root.locator(target).first.click()  # pinned, switched, another roll
    seen = shot(root)
    file = saved(root, tmp_path)
    assert re.fullmatch(r"[a-z_]+\.svg", file.name)
    assert root.get_by_role("button", name="Save picture").is_visible()
    text = file.read_text(encoding="utf-8")
    assert "Save picture" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)

    page = new_page(theme="light", height=1800)  # the picture keeps its own theme
    page.goto(file.as_uri())
    drawn = shot(page.locator("foreignObject > section"))
    seen.save(artefacts / f"saved-{name}-{theme}-widget.png")
    drawn.save(artefacts / f"saved-{name}-{theme}-picture.png")
    assert drawn.size == seen.size
    difference = np.abs(np.asarray(seen, int) - np.asarray(drawn, int)).max(-1)
    inside = difference[1:-1, 1:-1]  # the frame itself may lie between two dots
    assert (inside > NEARLY).mean() < FEW
    page.close()


def test_what_was_scrolled_to_is_in_the_picture(living, new_page, tmp_path: Path) -> None:
    root = living(CASES["Journey"][0](), "light")
    stations = root.locator(".be-scroll")
    assert stations.evaluate("node => { node.scrollLeft = 30; return node.scrollLeft }") == 30
    seen = shot(stations)
    page = new_page(height=1800)
    page.goto(saved(root, tmp_path).as_uri())
    drawn = shot(page.locator("foreignObject .be-scroll"))
    width = seen.width - 20  # nothing scrolls in a picture, so it has no bar
    both = [np.asarray(image, int)[:, :width] for image in (seen, drawn)]
    assert (np.abs(both[0] - both[1]).max(-1) > NEARLY).mean() < 0.01
    page.close()


def test_a_picture_shows_within_a_page_that_runs_nothing(living, new_page, tmp_path: Path) -> None:
    """As an image: no script, and what was drawn on a canvas is there."""
    root = living(CASES["EmbeddingSum"][0](), "light")
    file = saved(root, tmp_path)
    page = new_page(height=1800)
    (tmp_path / "image.html").write_text(f"<!DOCTYPE html><img src={file.name}>")
    page.goto((tmp_path / "image.html").as_uri())
    image = shot(page.locator("img"))
    assert len(image.getcolors(1 << 20)) > 400  # the matrices of colour
    page.close()
