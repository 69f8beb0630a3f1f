"""Still pictures of widgets: what a built notebook shows on GitHub, on paper, before its first run.

The widget's own JavaScript draws them, in a browser without a window, while the notebook is built;
so a still is what a reader sees, and nobody draws it a second time.
"""

import base64
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import bertedu.widgets
from bertedu.widgets.base import HTML, Widget
from bertedu.widgets.bertviz import FRAME
from bertedu.widgets.static_page import fragment, host_script

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDTH = 1080  # CSS pixels: the narrowest at which no table of a widget has to be scrolled
SHARPNESS = 1.5  # dots a CSS pixel
COLOURS = 128  # enough for letters and scales; every colour more makes the notebooks larger
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--font-render-hinting=none",
)
_STYLE = """body{margin:0}.be-save,.be-tooltip{display:none!important}
.bertedu{max-width:none!important}"""
# Some widgets paint in the frame after the one in which they learn how wide they are.
_PAINTED = """async () => {
  await document.fonts.ready;
  for (let n = 0; n < 4; n++) await new Promise(requestAnimationFrame);
}"""
_BEYOND = """root => Math.max(0, ...[...root.querySelectorAll(".be-scroll")]
  .map((node) => node.scrollWidth - node.clientWidth))"""

Stored = Mapping[str, str]


class StillError(RuntimeError):
    """No picture can be taken: there is no browser, or a widget does not show in it."""


def live_widgets() -> dict[str, dict[str, str]]:
    """Returns the course's widgets in this process as `stored`, each under its views' id.

    Example:
        >>> from bertedu.widgets import MaskExplorer
        >>> widget = MaskExplorer("my dog")
        >>> live_widgets()[widget.model_id]["class"]
        'MaskExplorer'
    """
    from ipywidgets.widgets.widget import _instances

    return {key: stored(each) for key, each in _instances.items() if isinstance(each, Widget)}


def stored(widget: Widget) -> dict[str, str]:
    """Returns a widget as it stands: its class, its main numbers, and a piece of a page."""
    return {"class": type(widget).__name__, "alt": repr(widget), "html": fragment(widget)}


def put_stills(
    notebook: Any, widgets: Mapping[str, Stored], browser: "Browser | None" = None
) -> str:
    """Puts pictures in the place of the widgets' views in an executed notebook.

    Also in the place of bertviz's frames, which a notebook shows only to those who trust it. Other
    packages' widgets only lose their views, which mean nothing without a kernel.

    Args:
        notebook: as `executed` gives it.
        widgets: as `live_widgets` gives them.
        browser: None opens one.

    Returns:
        Why there is no picture, and the words stay; or "".

    Raises:
        StillError: a widget does not show in the browser.
    """
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", []) if "data" in o]
    ids = [output["data"].pop(WIDGET_VIEW, {}).get("model_id") for output in outputs]
    shown = [
        (output, widgets[key]) for output, key in zip(outputs, ids, strict=True) if key in widgets
    ]
    framed = [each for each in outputs if f'class="{FRAME}"' in each["data"].get(HTML, "")]
    if not shown and not framed:
        return ""
    try:
        with nullcontext(browser) if browser else a_browser() as opened:
            stills = taken(opened, [widget for _, widget in shown])
            frames = taken_frames(opened, [output["data"][HTML] for output in framed])
    except NoBrowserError as error:
        return str(error)
    for (output, widget), still in zip(shown, stills, strict=True):
        output["data"][HTML] = as_image(still, "webp", widget["alt"], WIDTH)
    for output, still in zip(framed, frames, strict=True):
        output["data"][HTML] = as_image(still, "webp", output["data"]["text/plain"], WIDTH)
    return ""


class NoBrowserError(StillError):
    """There is no browser on this machine, or nothing to steer it with."""


@contextmanager
def a_browser() -> Iterator["Browser"]:
    """Opens a browser without a window.

    Raises:
        NoBrowserError: there is none.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise NoBrowserError("playwright is not installed") from None
    with sync_playwright() as driver:
        path = next(filter(None, map(shutil.which, BROWSERS)), None)
        try:
            browser = driver.chromium.launch(executable_path=path, args=list(_QUIET))
        except Error as error:
            raise NoBrowserError(f"no browser starts: {str(error).splitlines()[0]}") from None
        yield browser
        browser.close()


def taken(browser: "Browser", widgets: Sequence[Stored]) -> list[bytes]:
    """Returns a picture (WebP) of each widget, light, WIDTH wide, as it looks with a kernel.

    Args:
        browser: reaches nothing but what it is given.
        widgets: as `live_widgets` gives them.

    Raises:
        StillError: a widget does not show.
    """
    from playwright.sync_api import Error

    context = _closed_context(browser)
    pictures = []
    for widget in widgets:
        page = context.new_page()
        page.set_content(page_of(widget))
        root = page.locator(".bertedu-still > div > .bertedu")
        try:
            root.wait_for(timeout=20_000)
        except Error:
            raise StillError(f"{widget['alt'][:80]} does not show in the browser") from None
        width = WIDTH
        page.evaluate(_PAINTED)
        while (more := root.evaluate(_BEYOND)) and width < 2 * WIDTH:
            width += more  # on paper nobody scrolls sideways; with more room, letters are larger
            page.set_viewport_size({"width": width, "height": 600})
            page.evaluate(_PAINTED)
        height = int(root.evaluate("root => root.getBoundingClientRect().height")) + 1
        # High enough that what sticks to the end is there.
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(_PAINTED)
        pictures.append(reduced(root.screenshot(animations="disabled")))
        page.close()
    context.close()
    return pictures


def taken_frames(browser: "Browser", frames: Sequence[str]) -> list[bytes]:
    """Returns a picture (WebP) of each of bertviz's frames, light, WIDTH wide.

    Args:
        browser: reaches nothing but what it is given.
        frames: as `BertvizView` shows itself, in HTML.
    """
    context = _closed_context(browser)
    pictures = []
    for each in frames:
        page = context.new_page()
        page.set_content(f"<!DOCTYPE html><style>{_STYLE}</style><body>{each}</body>")
        page.frame_locator(f".{FRAME}").locator("#vis svg").wait_for(timeout=20_000)
        page.evaluate(_PAINTED)
        pictures.append(reduced(page.locator(f".{FRAME}").screenshot(animations="disabled")))
        page.close()
    context.close()
    return pictures


def _closed_context(browser: "Browser") -> "BrowserContext":
    return browser.new_context(
        viewport={"width": WIDTH, "height": 600},
        device_scale_factor=SHARPNESS,
        color_scheme="light",
        reduced_motion="reduce",
        offline=True,
    )


def page_of(widget: Stored) -> str:
    """Returns a page with one widget and nothing else, which shows it as if it had a kernel."""
    cls = getattr(bertedu.widgets, widget["class"])
    return (
        f'<!DOCTYPE html><html><meta charset="utf-8"><style>{_STYLE}</style>'
        f'<body data-kernel="none">{widget["html"]}{host_script([cls])}</body></html>'
    )


def reduced(picture: bytes) -> bytes:
    """Returns a picture (PNG) in COLOURS colours, as WebP, a seventh of its size."""
    from PIL import Image

    image = Image.open(BytesIO(picture)).convert("RGB")
    # The other methods forget rare colours: the dark end of a scale became a segment's green.
    rare = Image.Quantize.MAXCOVERAGE
    few = image.quantize(COLOURS, method=rare, kmeans=1, dither=Image.Dither.NONE)
    file = BytesIO()
    few.convert("RGB").save(file, "WEBP", lossless=True, quality=80, method=4)
    return file.getvalue()


def as_image(picture: bytes, kind: str, alt: str, width: int | None = None) -> str:
    """Returns a picture as HTML that even a notebook from elsewhere shows.

    JupyterLab shows neither SVG nor widgets in a notebook that this reader has not run, but images.

    Args:
        picture: the file.
        kind: "svg+xml", "png" or "webp".
        alt: what it shows, in words.
        width: in CSS pixels; None means its own.

    Example:
        >>> as_image(b"<svg/>", "svg+xml", "a dog & a cat")
        '<img alt="a dog &amp; a cat" src="data:image/svg+xml;base64,PHN2Zy8+">'
    """
    size = f' width="{width}"' if width else ""
    packed = base64.b64encode(picture).decode()
    return f'<img alt="{escape(alt)}"{size} src="data:image/{kind};base64,{packed}">'
