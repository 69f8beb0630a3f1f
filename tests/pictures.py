"""What a widget shows, as far as Python knows: the numbers that it sends, and its words."""

import numpy as np

from bertedu.widgets.base import Widget
from tests.finetuned_models import unpacked


def drawn_from(widget: Widget) -> dict[str, object]:
    """Everything that the browser draws from but what is typed; two that look alike are equal."""
    data = unpacked(widget.data)
    arrays = {name: each.tolist() for name, each in data.items() if isinstance(each, np.ndarray)}
    told = {name: each for name, each in data.items() if name not in ("asked", "problem")}
    settings = getattr(widget, "settings", None)
    return told | arrays | {"settings": settings, "words": widget.to_words()}
