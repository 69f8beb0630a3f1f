"""Static pictures in the course's visual language: what paper, GitHub and screen readers get."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.sax.saxutils import escape

from torch import Tensor

from bertedu.tokenizer import BertTokenizer
from bertedu.widgets.palette import LIGHT, ink_on

WIDTH = 760
MARGIN = 16
_ADVANCE = 0.61  # of a monospaced face, in font sizes
_PIECE, _SMALL = 15, 12
_MONO = "DejaVu Sans Mono, Menlo, Consolas, monospace"
_SANS = "system-ui, Liberation Sans, Helvetica, sans-serif"
_NAMED = {" ": "␣", "\u00a0": "⍽", "\n": "↵", "\r": "␍", "\t": "⇥"}


@dataclass(frozen=True)
class Chip:
    """A token, or a word, in a row of chips.

    Attributes:
        text: the piece.
        below: small lines beneath.
        segment: 0 (A) or 1 (B), or None for no colour.
        special: a grey outline.
        fate: "masked", "random" or "kept", of a token that was chosen to be predicted.
        was: the piece that a random one replaced.
        fill: a colour of a scale, as #rrggbb; the piece is then written in black or white on it.
    """

    text: str
    below: Sequence[str] = ()
    segment: int | None = None
    special: bool = False
    fate: str | None = None
    was: str = ""
    fill: str = ""

    @property
    def continues(self) -> bool:
        """Whether it touches the chip before it."""
        return self.text.startswith("##") and len(self.text) > 2 and not self.special


def token_chips(
    tokenizer: BertTokenizer,
    ids: Tensor,
    types: Tensor,
    below: Sequence[Sequence[str]] | None = None,
) -> list[Chip]:
    """Returns a chip for each of S tokens, with its id beneath, or what `below` says.

    Example:
        >>> from bertedu import load_tokenizer
        >>> tokenizer = load_tokenizer()
        >>> text = tokenizer.encode("dog")
        >>> token_chips(tokenizer, text.input_ids, text.token_type_ids)[1]
        Chip(text='dog', below=['3899'], segment=0, special=False, fate=None, was='', fill='')
    """
    numbers = ids.tolist()
    lines = [[str(index)] for index in numbers] if below is None else below
    return [
        Chip(tokenizer.tokens[index], small, segment, index in tokenizer.special_ids)
        for index, small, segment in zip(numbers, lines, types.tolist(), strict=True)
    ]


class Picture:
    """A picture that grows downwards, one block after another; its width is fixed.

    Example:
        >>> picture = Picture("two tokens")
        >>> picture.chips([Chip("play", ["2377"], segment=0), Chip("##ing", ["2075"], segment=0)])
        >>> picture.to_svg().count("<rect")  # the paper, and two for each chip
        5
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []
        self._bottom = float(MARGIN)

    def heading(self, text: str) -> None:
        """Adds a heading."""
        self._bottom += 22
        self._text(text, MARGIN, self._bottom, 14, family=_SANS, weight=600)
        self._bottom += 10

    def note(self, text: str) -> None:
        """Adds a paragraph of small text, broken between words."""
        limit = (WIDTH - 2 * MARGIN) / (13 * 0.5)
        line = ""
        for word in [*text.split(" "), ""]:
            if line and (not word or len(line) + len(word) >= limit):
                self._bottom += 17
                self._text(line, MARGIN, self._bottom, 13, family=_SANS, color=LIGHT["dim"])
                line = ""
            line += f"{' ' if line else ''}{word}"
        self._bottom += 6

    def lines(self, lines: Iterable[tuple[str, str]]) -> None:
        """Adds lines of monospaced text, each in a colour of the palette."""
        for text, color in lines:
            self._bottom += 20
            self._text(text, MARGIN + 4, self._bottom, 14, color=LIGHT[color])
        self._bottom += 6

    def chips(self, chips: Sequence[Chip]) -> None:
        """Adds chips in as many rows as they need; a row breaks between words where it can."""
        left, height = float(MARGIN), 0.0
        self._bottom += 6
        self._parts.append(
            f'<g font-family="{_MONO}" font-size="{_PIECE}" text-anchor="middle" '
            f'fill="{LIGHT["ink"]}">'
        )
        for index, chip in enumerate(chips):
            left += 0 if chip.continues or left == MARGIN else 8
            needed = _width(chip)
            for follower in chips[index + 1 :]:
                if chip.continues or not follower.continues:
                    break
                needed += _width(follower)
            limit = WIDTH - MARGIN
            if left > MARGIN and left + min(needed, limit - MARGIN) > limit:
                left, height, self._bottom = float(MARGIN), 0.0, self._bottom + height + 8
            self._parts.append(self._chip(chip, left))
            left += _width(chip)
            height = max(height, 30 + 16 * len(chip.below))
        self._parts.append("</g>")
        self._bottom += height + 6

    def drawing(self, height: float, draw: Callable[[float], str]) -> None:
        """Adds what `draw` returns as SVG when told how far down the block begins."""
        self._parts.append(draw(self._bottom + 6))
        self._bottom += height + 6

    def to_svg(self) -> str:
        """Returns the picture as one SVG element, dark on light paper."""
        height = round(self._bottom + MARGIN)
        title = escape(readable(self.title))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" '
            f'height="{height}" viewBox="0 0 {WIDTH} {height}"><title>{title}</title>'
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{LIGHT["paper"]}"/>'
            + "".join(self._parts)
            + "</svg>"
        )

    def _chip(self, chip: Chip, left: float) -> str:
        width, top = _width(chip), self._bottom
        line = LIGHT["outline"] if chip.segment is None else LIGHT[f"segment-{'ab'[chip.segment]}"]
        fill, stroke, ink = _colors(chip)
        marks, text = ("##", chip.text[2:]) if chip.continues else ("", chip.text)
        marks = f'<tspan fill="{LIGHT["dim"]}">{marks}</tspan>' if marks else ""
        if chip.was:
            was = escape(_fitted(visible_text(chip.was)))
            struck = f'fill="{LIGHT["ink"]}" text-decoration="line-through"'
            marks = f"<tspan {struck}>{was}</tspan> {marks}"
        middle = left + width / 2
        below = "".join(
            f'<text x="{middle:.0f}" y="{top + 42 + 16 * number:.0f}" font-size="{_SMALL}" '
            f'fill="{LIGHT["dim"]}">{escape(small)}</text>'
            for number, small in enumerate(chip.below)
            if small
        )
        return (
            f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="25" rx="4" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="{2 if chip.fate else 1}"/>'
            f'<rect x="{left:.0f}" y="{top + 23:.0f}" width="{width:.0f}" height="4" '
            f'fill="{line}"/>'
            f'<text x="{middle:.0f}" y="{top + 17:.0f}"'
            + (f' fill="{ink}">' if ink else ">")
            + f"{marks}{escape(_fitted(visible_text(text)))}</text>{below}"
        )

    def _text(
        self,
        text: str,
        x: float,
        y: float,
        size: int,
        *,
        color: str = LIGHT["ink"],
        family: str = _MONO,
        weight: int = 400,
    ) -> None:
        if family == _MONO:
            text = _fitted(text, int((WIDTH - MARGIN - x) / (size * _ADVANCE)))
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-family="{family}" font-size="{size}" '
            f'font-weight="{weight}" fill="{color}" xml:space="preserve">{escape(text)}</text>'
        )


def visible(character: str) -> str:
    """Returns something that can be seen: a space as ␣, what has no ink by its number.

    Example:
        >>> "".join(map(visible, "a b" + chr(0x200D)))
        'a␣bU+200D'
    """
    if character in _NAMED:
        return _NAMED[character]
    category = unicodedata.category(character)
    ignorable = 0xFE00 <= ord(character) <= 0xFE0F or 0xE0000 <= ord(character) <= 0xE0FFF
    if category[0] in "CZ" or ignorable:
        return f"U+{ord(character):04X}"
    return f"◌{character}" if category[0] == "M" else character


def visible_text(text: str) -> str:
    """Returns the text with something to see for every character."""
    return "".join(map(visible, text))


def readable(text: str) -> str:
    """Returns the text with something to see for every character but the spaces.

    Example:
        >>> readable("a dog" + chr(0x200D))
        'a dogU+200D'
    """
    return visible_text(text).replace("␣", " ")


def shortened(text: str, most: int = 60) -> str:
    """Returns a readable text of at most so many characters, for one line.

    Example:
        >>> shortened("within a cloud", 9)
        'within a…'
    """
    seen = readable(text)
    return seen if len(seen) <= most else f"{seen[: most - 1].rstrip()}…"


def cells(
    shares: Tensor, stops: Sequence[str], left: float, top: float, width: float, height: float
) -> str:
    """Returns a matrix as colour: a path for each of the scale's stops, 0 the first, 1 the last."""
    rows, columns = shares.shape
    paths: dict[int, list[str]] = {}
    levels = (shares.clamp(0, 1) * (len(stops) - 1)).round().int().tolist()
    for y, row in enumerate(levels):
        x = 0
        for level, run in groupby(row):
            length = len(list(run))
            paths.setdefault(level, []).append(f"M{x} {y}.5h{length}")
            x += length
    drawn = "".join(f'<path stroke="{stops[k]}" d="{"".join(paths[k])}"/>' for k in sorted(paths))
    scale = f"scale({width / columns:.4f} {height / rows:.4f})"
    return f'<g transform="translate({left:.1f} {top:.1f}) {scale}">{drawn}</g>'


def percent(share: float) -> str:
    """Returns a probability as text, with one decimal.

    Example:
        >>> percent(0.1234)
        '12.3 %'
    """
    return f"{100 * share:.1f} %"


def _colors(chip: Chip) -> tuple[str, str, str]:
    """Fill, stroke and ink of a chip; "" is the ink around it."""
    if chip.fate == "masked":
        return LIGHT["mask"], LIGHT["mask"], LIGHT["paper"]
    if chip.fate:
        return LIGHT["chip"], LIGHT[chip.fate], LIGHT["random"] if chip.fate == "random" else ""
    if chip.fill:
        return chip.fill, LIGHT["outline"], ink_on(chip.fill)
    if chip.special:
        return "none", LIGHT["outline"], LIGHT["dim"]
    return LIGHT["chip"], LIGHT["outline"], ""


def _width(chip: Chip) -> float:
    text = f"{chip.was} {chip.text}" if chip.was else chip.text
    piece = _cells(_fitted(visible_text(text))) * _ADVANCE * _PIECE + 16
    return max([piece, *(_cells(small) * _ADVANCE * _SMALL + 6 for small in chip.below)])


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _fitted(text: str, limit: int = 72) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
