"""The README's picture: `python -m tests.readme_picture` takes it anew, moving and still.

The widget is the real one in a page of its own, and the frames are what a browser shows after each
of a reader's clicks. docs/try_it.png, its first view, is for those who want nothing to move.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

import bertedu
from bertedu.classroom.stills import a_browser
from bertedu.widgets import TryIt
from bertedu.widgets.static_page import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Page

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, MOST_BYTES = 900, 1_500_000
COLOURS = 48
# What a reader does: where to click, and for how long to look at what comes.
CLICKS = (
    (".be-chips .be-chip:nth-child(3)", 2600),  # a word of the sentence
    (".be-chips .be-chip:nth-child(3)", 900),  # the same, given back
    (".be-chips .be-chip:nth-child(5)", 2600),  # the next word
    (".be-preset >> nth=2", 2800),
    (".be-preset >> nth=4", 3600),  # a pair: its verdict
)
_POINTER = """() => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="26" height="30" viewBox="0 0 26 30">'
    + '<path d="M3 2v21l5.6-5 3.4 8.6 4-1.7-3.4-8.4h7.6z" fill="#fff" stroke="#111" '
    + 'stroke-width="2"/></svg>';
  const pointer = document.createElement("div");
  pointer.id = "pointer";
  pointer.innerHTML = svg;
  pointer.style.cssText = "position:absolute;left:700px;top:330px;z-index:9;pointer-events:none";
  document.body.append(pointer);
}"""
_MOVE = """([left, top, down]) => {
  const { style } = document.getElementById("pointer");
  Object.assign(style, { left: `${left}px`, top: `${top}px` });
  style.filter = down ? "drop-shadow(0 0 5px #0969da)" : "";
}"""
_STYLE = (
    "body{margin:0!important;max-width:none!important;padding:0!important}h1{display:none}"
    ".bertedu-still{margin:0!important}.be-save,.be-tooltip,.be-status,.be-foot{display:none!important}"
)


def frames(page: "Page") -> Iterator[tuple[Image.Image, int]]:
    """Clicks through the widget; yields what is seen, and for how many ms."""

    def seen() -> Image.Image:
        return Image.open(BytesIO(page.screenshot(animations="disabled"))).convert("RGB")

    x, y = 700.0, 330.0
    yield seen(), 1800
    for target, look in CLICKS:
        node = page.locator(target).first
        box = node.bounding_box()
        assert box is not None
        goal = (box["x"] + box["width"] / 2 - 3, box["y"] + box["height"] / 2)
        for step in (0.4, 0.8, 1.0):
            place = (x + step * (goal[0] - x), y + step * (goal[1] - y))
            page.evaluate(_MOVE, [*place, False])
            yield seen(), 80
        x, y = goal
        page.evaluate(_MOVE, [x, y, True])
        yield seen(), 260
        node.click()
        page.mouse.move(5, 5)
        page.evaluate(_MOVE, [x, y, False])
        page.wait_for_timeout(150)
        yield seen(), look


def whole(page: "Page") -> dict[str, float]:
    """Where the widget is."""
    box = page.locator(".be-try-it").bounding_box()
    assert box is not None
    return dict(box)


def main() -> None:
    """Writes docs/try_it.png and docs/try_it.gif."""
    widget = TryIt(bert=bertedu.load())
    with a_browser() as browser:
        page = browser.new_context(
            viewport={"width": WIDTH, "height": 900}, color_scheme="light", reduced_motion="reduce"
        ).new_page()
        page.set_content(to_html(widget))
        page.add_style_tag(content=_STYLE)
        page.locator(".be-try-it .be-chip").first.wait_for()
        page.screenshot(path=DOCS / "try_it.png", animations="disabled", clip=whole(page))
        page.locator(CLICKS[-1][0]).click()  # the highest view
        page.wait_for_timeout(300)
        page.set_viewport_size({"width": WIDTH, "height": int(whole(page)["height"])})
        page.locator(".be-preset").first.click()
        page.mouse.move(5, 5)
        page.wait_for_timeout(300)
        page.evaluate(_POINTER)
        pictures, durations = zip(*frames(page), strict=True)
    every = Image.new("RGB", (WIDTH, len(CLICKS) * pictures[0].height))
    for place, picture in enumerate(pictures[5::5]):
        every.paste(picture, (0, place * picture.height))
    few = every.quantize(COLOURS, kmeans=1, dither=Image.Dither.NONE)
    reduced = [each.quantize(palette=few, dither=Image.Dither.NONE) for each in pictures]
    file = BytesIO()
    reduced[0].save(
        file, "GIF", save_all=True, append_images=reduced[1:], duration=list(durations), loop=0
    )
    size = len(file.getvalue())
    if size > MOST_BYTES:
        raise SystemExit(f"the moving picture has {size:,} bytes: at most {MOST_BYTES:,}")
    (DOCS / "try_it.gif").write_bytes(file.getvalue())
    print(f"docs/try_it.gif: {len(reduced)} frames, {size:,} bytes")


if __name__ == "__main__":
    main()
