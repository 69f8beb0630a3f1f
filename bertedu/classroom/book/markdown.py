"""The book's reader of Markdown: what a text's tokens are, and how formulas and code are set."""

import html
import io
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from bertedu.classroom.stills import as_image
from bertedu.errors import InputError

_FOLD = re.compile(r'(<details(?: class="option")?>)\s*<summary>(.+?)</summary>', re.DOTALL)


@cache
def parser() -> Any:
    """Returns the reader of Markdown."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    reader.block.ruler.before("html_block", "fold", _fold)
    reader.use(dollarmath_plugin, allow_digits=False, allow_space=False, renderer=_formula)
    rules = cast("Any", reader.renderer).rules
    rules["table_open"] = lambda *_: '<div class="book-wide" tabindex="0"><table>\n'
    rules["table_close"] = lambda *_: "</table></div>\n"
    rules["fence"] = rules["code_block"] = lambda tokens, place, *_: code(
        tokens[place].content, tokens[place].info.strip() or "text"
    )
    return reader


def _fold(state: Any, start: int, end: int, silent: bool) -> bool:
    """Takes a block that opens or closes a part which a click unfolds."""
    stop = start
    while stop < end and not state.isEmpty(stop):
        stop += 1
    block = state.getLines(start, stop, state.blkIndent, False).strip()
    opening = _FOLD.fullmatch(block)
    if silent or (opening is None and block != "</details>"):
        return False
    if opening:
        summary = re.sub("&lt;(/?code)&gt;", r"<\1>", html.escape(" ".join(opening[2].split())))
        block = f"{opening[1]}<summary>{summary}</summary>"
    state.push("html_block", "", 0).content = f"{block}\n"
    state.line = stop
    return True


def _formula(tex: str, _options: Mapping[str, bool] | None = None) -> str:
    r"""A formula as a picture, set by matplotlib: no font and no script has to be fetched.

    Example:
        >>> _formula("x^2")[:44]
        '<img alt="x^2" src="data:image/svg+xml;base6'
    """
    from matplotlib import rc_context
    from matplotlib.mathtext import math_to_image

    file = io.BytesIO()
    try:
        with rc_context({"svg.fonttype": "path", "svg.hashsalt": "book", "mathtext.fontset": "cm"}):
            math_to_image(f"${tex.strip()}$", file, format="svg", dpi=72)
    except ValueError as error:
        raise InputError(f"matplotlib cannot set the formula {tex!r}: {error}") from None
    svg = re.sub(r"<metadata>.*?</metadata>", "", file.getvalue().decode(), flags=re.DOTALL)
    svg = svg[svg.index("<svg") :]
    return as_image(svg.encode(), "svg+xml", tex.strip())


def code(source: str, language: str = "python") -> str:
    """Returns code as HTML, in colours."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text", stripnl=False)
    marked = highlight(source.rstrip("\n"), lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="book-code" tabindex="0"><code>{marked}</code></pre>\n'
