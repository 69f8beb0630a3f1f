"""What stands in a widget's place where nothing draws it, and texts that can be seen."""

import unicodedata
from collections.abc import Sequence
from html import escape

_NAMED = {" ": "␣", "\u00a0": "⍽", "\n": "↵", "\r": "␍", "\t": "⇥"}


def in_words(name: str, summary: str, tokens: Sequence[str] = ()) -> str:
    """Returns what a widget says, as HTML for readers whose page runs no scripts.

    Args:
        name: of the widget.
        summary: its main numbers in one line.
        tokens: those that it shows, if it shows any.

    Example:
        >>> in_words("MaskExplorer", "1 token: 1 chosen", ["dog"])[27:]
        '<p><b>MaskExplorer</b>: 1 token: 1 chosen</p><p><code>dog</code></p></div>'
    """
    chips = " ".join(f"<code>{escape(visible_text(token))}</code>" for token in tokens)
    row = f"<p>{chips}</p>" if chips else ""
    return f'<div class="bertedu-words"><p><b>{name}</b>: {escape(summary)}</p>{row}</div>'


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


def percent(share: float) -> str:
    """Returns a probability as text, with one decimal.

    Example:
        >>> percent(0.1234)
        '12.3 %'
    """
    return f"{100 * share:.1f} %"
