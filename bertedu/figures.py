"""Figures in the course's visual language, for notebooks, slides and print.

A token is a chip: its piece in a monospaced face, its id small beneath, a line in the colour of
its segment under it. A continuation touches the chip before it and its ## is dimmed; a special
token is a grey outline.
"""

from collections.abc import Sequence
from typing import Any

from bertedu.errors import InputError

STYLE = "bertedu.bertedu"  # for matplotlib.pyplot.style.use
SEGMENTS = ("#0b7a75", "#6f42c1")  # A teal, B violet
INK, DIMMED, OUTLINE, CHIP = "#1f2328", "#6e7781", "#8c959f", "#eef1f4"

_PIECE, _ID = 12.0, 9.0  # points
_ADVANCE = 0.602  # of DejaVu Sans Mono, in font sizes
_HEIGHT, _LINE, _GAP, _INSET = 22.0, 52.0, 7.0, 6.0


def token_chips(
    tokens: Sequence[str],
    ids: Sequence[int] | None = None,
    *,
    segments: Sequence[int] | None = None,
    width: float = 7.5,
) -> Any:
    """Returns a matplotlib figure with one chip a token, in as many lines as they need.

    Args:
        tokens: S pieces; those in [brackets] are drawn as special tokens.
        ids: S ids to write beneath, or None.
        segments: S times 0 (A) or 1 (B), or None for no underline.
        width: inches.

    Raises:
        InputError: ids or segments that are not one a token.

    Example:
        >>> figure = token_chips(["[CLS]", "play", "##ing", "[SEP]"], [101, 2377, 2075, 102])
        >>> [text.get_text() for text in figure.axes[0].texts][:6]
        ['[CLS]', '101', 'play', '2377', '##', 'ing']
    """
    import matplotlib.pyplot as plt

    for name, values in (("ids", ids), ("segments", segments)):
        if values is not None and len(values) != len(tokens):
            raise InputError(f"{len(tokens)} tokens, but {len(values)} {name}")
    places, lines = _places(tokens, ids, width * 72)
    with plt.style.context(STYLE):
        figure = plt.figure(figsize=(width, lines * _LINE / 72), layout="none")
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, width * 72), ylim=(lines * _LINE, 0))  # one unit is one point
        axes.axis("off")
        for index, (left, top, chip_width) in enumerate(places):
            _draw_chip(axes, tokens[index], left, top, chip_width)
            if ids is not None:
                middle = left + chip_width / 2
                axes.text(middle, top + 37, str(int(ids[index])), ha="center", va="center",
                          family="monospace", size=_ID, color=DIMMED)  # fmt: skip
            if segments is not None:
                edge = (left + 1, left + chip_width - 1)
                axes.plot(edge, [top + 26] * 2, color=SEGMENTS[int(segments[index])], lw=3)
    plt.close(figure)  # shown once, as the cell's value
    return figure


def _places(
    tokens: Sequence[str], ids: Sequence[int] | None, width: float
) -> tuple[list[tuple[float, float, float]], int]:
    """Left, top and width of each chip in points, and the number of lines."""
    widths = [len(_drawable(token)) * _ADVANCE * _PIECE + 2 * _INSET for token in tokens]
    if ids is not None:
        numbers = (len(str(int(index))) * _ADVANCE * _ID + 6 for index in ids)
        widths = [max(pair) for pair in zip(widths, numbers, strict=True)]
    places: list[tuple[float, float, float]] = []
    right, line = 0.0, 0
    for index, token in enumerate(tokens):
        continues = index > 0 and token.startswith("##")
        left = right if continues else right + _GAP
        needed = widths[index] if continues else sum(widths[index : _word_end(tokens, index)])
        if left + needed > width and left > _GAP:
            left, line = _GAP, line + 1
        right = left + widths[index]
        places.append((left, line * _LINE + 5, widths[index]))
    return places, line + 1


def _word_end(tokens: Sequence[str], start: int) -> int:
    following = range(start + 1, len(tokens))
    return next((i for i in following if not tokens[i].startswith("##")), len(tokens))


def _draw_chip(axes: Any, token: str, left: float, top: float, width: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    special = token.startswith("[") and token.endswith("]") and len(token) > 2
    axes.add_patch(
        FancyBboxPatch(
            (left, top),
            width,
            _HEIGHT,
            boxstyle="round,pad=0,rounding_size=4",
            facecolor="none" if special else CHIP,
            edgecolor=OUTLINE,
            linewidth=1,
        )
    )
    marks, piece = ("##", token[2:]) if token.startswith("##") else ("", token)
    start = left + (width - len(_drawable(token)) * _ADVANCE * _PIECE) / 2
    for text, color in ((marks, OUTLINE), (_drawable(piece), DIMMED if special else INK)):
        if text:
            axes.text(start, top + _HEIGHT / 2, text, va="center_baseline",
                      family="monospace", size=_PIECE, color=color)  # fmt: skip
        start += len(text) * _ADVANCE * _PIECE


def _drawable(text: str) -> str:
    """The text with U+ numbers for what matplotlib's own font cannot draw."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans Mono"))
    return "".join(c if font.get_char_index(ord(c)) else f"U+{ord(c):X}" for c in text)
