"""What a page without a kernel holds: a widget's values as they are, and nothing that asks."""

import base64
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertedu.widgets import MaskExplorer, SentencePairBuilder, WordPieceExplorer
from bertedu.widgets.base import style_sheet
from bertedu.widgets.palette import STATIC
from bertedu.widgets.static_page import fragment, host_script, to_html

HOSTILE = (
    "</script><script>alert(1)</script><!-- <script> <img src=x onerror=alert(1)> ]]> & \u202e"
)
MODULES = sorted(file.stem for file in STATIC.glob("*.js") if 'name: "be-' in file.read_text())


class Elements(HTMLParser):
    """The elements of a page as a browser would see them, and the text of its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def stored(html: str) -> dict[str, object]:
    """The values in a fragment, as the host reads them."""
    [script] = Elements(html).scripts
    return {
        name: base64.b64decode(each["bytes"]) if "bytes" in each else each["value"]
        for name, each in json.loads(script).items()
    }


@settings(max_examples=30)
@given(st.text(max_size=40), st.none() | st.just(HOSTILE))
def test_a_fragment_holds_the_widgets_values(text: str, pair: str | None) -> None:
    widget = MaskExplorer(text, pair)
    widget.settings = widget.settings | {"roll": 3}
    found = stored(fragment(widget))
    expected = {name: getattr(widget, name) for name in widget.keys if not name.startswith("_")}
    for jupyters in ("layout", "tabbable", "tooltip"):
        del expected[jupyters]
    assert found == expected
    assert found["settings"]["roll"] == 3
    widget.close()


def test_hostile_text_adds_no_element() -> None:
    harmless = Elements(to_html(WordPieceExplorer("a"), "a"))
    hostile = Elements(to_html(WordPieceExplorer(HOSTILE), HOSTILE))
    assert set(hostile.tags) == set(harmless.tags)
    assert hostile.tags.count("script") == harmless.tags.count("script") == 3


def test_styles_and_modules_come_once_a_class() -> None:
    widgets = [WordPieceExplorer("a"), MaskExplorer("b"), WordPieceExplorer("c")]
    page = Elements(to_html(widgets))
    assert page.tags.count("style") == 1 + 2
    [modules] = [text for text in page.scripts if '"WordPieceExplorer"' in text]
    assert {
        name: base64.b64decode(text).decode() for name, text in json.loads(modules).items()
    } == {
        "WordPieceExplorer": str(WordPieceExplorer._esm),
        "MaskExplorer": str(MaskExplorer._esm),
    }
    assert page.tags.count("code") == 3 * 3  # the tokens, for who runs no scripts


def test_a_page_asks_for_nothing() -> None:
    html = to_html([WordPieceExplorer("a"), SentencePairBuilder()])
    assert Elements(html).addresses == []
    outside = re.findall(r"https?://[^\"'\s<]+", html)
    assert set(outside) <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in html
    assert "url(" not in html
    host = (STATIC / "host.js").read_text()
    assert host_script([WordPieceExplorer("a")]).endswith(f"<script>{host}</script>")
    assert "</" not in host  # or the script would end there
    assert "<!--" not in host


@pytest.mark.parametrize("name", MODULES)
def test_a_widgets_style_holds_within_it_only(name: str) -> None:
    """What stands after the shared rules is one block of the widget's own root class."""
    own = (STATIC / f"{name}.css").read_text()
    root = re.search(r'name: "(be-[\w-]+)"', (STATIC / f"{name}.js").read_text())[1]
    _, _, block = style_sheet(name).partition((STATIC / "shared.css").read_text())
    assert block.startswith(f".{root} {{\n")
    assert block.endswith("}\n")
    assert block.count("{") == block.count("}") == own.count("{") + 1
    assert not re.search(rf"^\s*\.(bertedu|{root})[\s.:\[>]", block[len(root) + 3 :], re.MULTILINE)
    assert block.replace("&", "")[len(root) + 4 : -2] == own.replace("&", "")
