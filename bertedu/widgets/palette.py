"""The course's colours, in one place for widgets, pictures and figures: static/palette.json."""

import json
from pathlib import Path

STATIC = Path(__file__).with_name("static")

_PALETTE = json.loads((STATIC / "palette.json").read_text(encoding="utf-8"))
LIGHT: dict[str, str] = _PALETTE["light"]
DARK: dict[str, str] = _PALETTE["dark"]
SEQUENTIAL: list[str] = _PALETTE["sequential"]  # probabilities, from 0
DIVERGING: list[str] = _PALETTE["diverging"]  # signed values, 0 in the middle


def sequential(value: float, highest: float = 1.0) -> str:
    """Returns the colour of a probability: light to dark, always from 0.

    Example:
        >>> sequential(0.0), sequential(1.0), sequential(0.5, highest=0.5)
        ('#f7fbff', '#08306b', '#08306b')
    """
    return _between(SEQUENTIAL, value / highest if highest else 0.0)


def diverging(value: float, extreme: float) -> str:
    """Returns the colour of a signed value: symmetric about 0, which is neutral.

    Example:
        >>> diverging(0.0, 2.0), diverging(-2.0, 2.0), diverging(2.0, 2.0)
        ('#f7f7f7', '#053061', '#67001f')
    """
    return _between(DIVERGING, 0.5 + value / (2 * extreme) if extreme else 0.5)


def ink_on(color: str) -> str:
    """Returns black or white, whichever is read better on a colour.

    Example:
        >>> ink_on("#f7fbff"), ink_on("#08306b")
        ('#000000', '#ffffff')
    """
    shares = [channel / 255 for channel in bytes.fromhex(color[1:])]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # As WCAG counts contrast: (lighter + 0.05) / (darker + 0.05).
    return "#000000" if (luminance + 0.05) ** 2 >= 0.05 * 1.05 else "#ffffff"


def _between(stops: list[str], share: float) -> str:
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    ends = zip(bytes.fromhex(stops[low][1:]), bytes.fromhex(stops[low + 1][1:]), strict=True)
    return "#" + "".join(f"{int(a + (place - low) * (b - a) + 0.5):02x}" for a, b in ends)


def css_variables() -> str:
    """Returns the rules that give a widget its colours, by the theme it is shown in.

    Example:
        >>> "--be-segment-a: #0b7a75;" in css_variables()
        True
    """
    return "".join(
        f'.bertedu[data-theme="{theme}"] {{\n'
        + "".join(f"  --be-{name}: {color};\n" for name, color in colors.items())
        + "}\n"
        for theme, colors in (("light", LIGHT), ("dark", DARK))
    )
