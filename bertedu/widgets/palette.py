"""The course's colours, in one place for widgets and figures: static/palette.json."""

import json
from pathlib import Path

STATIC = Path(__file__).with_name("static")

_PALETTE = json.loads((STATIC / "palette.json").read_text(encoding="utf-8"))
LIGHT: dict[str, str] = _PALETTE["light"]
DARK: dict[str, str] = _PALETTE["dark"]
SCALES: dict[str, list[str]] = {name: _PALETTE[name] for name in ("sequential", "diverging")}


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
