"""bertviz's three views, of our models' numbers, without the network.

bertviz itself loads its libraries from a CDN and sends every number as text. Here the numbers
come once, as compressed bytes, into a closed frame. Layers and heads count from 1, as in all
widgets.
"""

import base64
import gzip
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bertedu.bert import Bert
from bertedu.config import BertConfig
from bertedu.errors import InputError
from bertedu.widgets.base import javascript_module, pack
from bertedu.widgets.palette import DARK, LIGHT, STATIC

MOST_MARKS = 130_000  # lines and boxes drawn at once: 12 layers x 12 heads at 30 tokens
MOST_NUMBERS = 2_000_000  # sent, two bytes each
_D3 = ("mpld3", "js/d3.v5.min.js", [("v5.7.0", 1)])
_PARAMS = ("PYTHON_PARAMS", "window.bertviz_params", 2)
_SIGNS = [f"'neg': '{each['negative']}', 'pos': '{each['positive']}'" for each in (LIGHT, DARK)]
_CHANGES = {  # in each script: a text, what stands for it here, and how often it must be there
    "head_view": [
        _PARAMS,
        # A line is as opaque as the root of its share: of many small shares something is seen.
        ("return d / activeHeads()", "return Math.sqrt(d / activeHeads())", 1),
    ],
    "model_view": [_PARAMS, ("return d;\n                });", "return Math.sqrt(d);\n});", 2)],
    "neuron_view": [
        ("window.bertviz_params", "window.bertviz_params", 1),
        ("return d;\n                });", "return Math.sqrt(d);\n});", 1),
        # The course's colours of signed numbers.
        ("'neg': '#ff6318',\n                'pos': '#2090dd'", _SIGNS[1], 1),
        ("'neg': '#ff6318',\n                'pos': '#0c36d8'", _SIGNS[0], 1),
    ],
}
FRAME = "be-bertviz"
_AUTO = (  # as `isDark` in shared.js: what JupyterLab or the book says, or else the system
    f".{FRAME}{{color-scheme:light dark}}"
    f'[data-jp-theme-light="true"] .{FRAME},[data-theme="light"] .{FRAME}{{color-scheme:light}}'
    f'[data-jp-theme-light="false"] .{FRAME},[data-theme="dark"] .{FRAME}{{color-scheme:dark}}'
)
# Nothing may be loaded, whatever a script asks for.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class BertvizView:
    """One of bertviz's views, which a notebook shows and any page can hold.

    Attributes:
        view: "head_view", "model_view" or "neuron_view".
        tokens: what asks and answers.
        layers: those that are shown, from 1.
        heads: those that are shown, from 1.
        html: a frame that needs nothing else.
    """

    view: str
    tokens: tuple[str, ...]
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    html: str = field(repr=False)

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        return (
            f"{self.view}, {len(self.tokens)} tokens, {_counted(len(self.layers), 'layer')} x "
            f"{_counted(len(self.heads), 'head')}"
        )

    def __repr__(self) -> str:
        return f"BertvizView({self.summary()})"

    def _repr_html_(self) -> str:
        return self.html


def head_view(
    bert: Bert,
    text: str,
    pair: str | None = None,
    *,
    display_mode: str = "auto",
    layer: int | None = None,
    heads: Sequence[int] | None = None,
    include_layers: Sequence[int] | None = None,
) -> BertvizView:
    """Returns lines between tokens, for one layer at a time, a colour for each head.

    Args:
        bert: any model with its tokenizer.
        text: segment A.
        pair: segment B; then a menu chooses between A and B, too.
        display_mode: "light", "dark", or "auto", as the page around it is.
        layer: the one shown first, from 1; None means the first that is included.
        heads: those switched on at first, from 1; None means all.
        include_layers: those to choose from, from 1; None means all.

    Raises:
        InputError: there is no such layer, head or mode, or the text is too long to be drawn.
        ImportError: bertviz or mpld3 is not installed, or has changed.

    Source: Vig 2019, https://aclanthology.org/P19-3007.

    Example:
        >>> from bertedu import BertConfig, BertForPreTraining, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> head_view(bert, "my dog is cute", "he likes playing")
        BertvizView(head_view, 10 tokens, 2 layers x 3 heads)
    """
    config = bert.config
    layers = _chosen("layer", include_layers, config.num_hidden_layers)
    on = _chosen("head", heads, config.num_attention_heads)
    first = _first("layer", layer, layers)
    settings = {
        "display_mode": _mode(display_mode),
        "layer": first,
        "heads": [head - 1 for head in on],
    }
    every = _chosen("head", None, config.num_attention_heads)
    return _view("head_view", bert, text, pair, layers, every, settings)


def model_view(
    bert: Bert,
    text: str,
    pair: str | None = None,
    *,
    display_mode: str = "auto",
    include_layers: Sequence[int] | None = None,
    include_heads: Sequence[int] | None = None,
) -> BertvizView:
    """Returns all layers and heads at a glance, each to be clicked and seen large.

    Args:
        bert: any model with its tokenizer.
        text: segment A.
        pair: segment B; then a menu chooses between A and B, too.
        display_mode: "light", "dark", or "auto", as the page around it is.
        include_layers: those that are shown, from 1; None means all.
        include_heads: those that are shown, from 1; None means all.

    Raises:
        InputError: there is no such layer, head or mode, or the text is too long to be drawn.
        ImportError: bertviz or mpld3 is not installed, or has changed.

    Source: Vig 2019, https://aclanthology.org/P19-3007.

    Example:
        >>> from bertedu import BertConfig, BertForPreTraining, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> model_view(bert, "my dog is cute", include_layers=[2])
        BertvizView(model_view, 6 tokens, 1 layer x 3 heads)
    """
    config = bert.config
    layers = _chosen("layer", include_layers, config.num_hidden_layers)
    heads = _chosen("head", include_heads, config.num_attention_heads)
    settings = {
        "display_mode": _mode(display_mode),
        "total_heads": config.num_attention_heads,
    }
    return _view("model_view", bert, text, pair, layers, heads, settings)


def neuron_view(
    bert: Bert,
    text: str,
    pair: str | None = None,
    *,
    display_mode: str = "auto",
    layer: int | None = None,
    head: int | None = None,
    include_layers: Sequence[int] | None = None,
) -> BertvizView:
    """Returns how query and key, component by component, become attention.

    Args:
        bert: any model with its tokenizer.
        text: segment A.
        pair: segment B; then a menu chooses between A and B, too.
        display_mode: "light", "dark", or "auto", as the page around it is.
        layer: the one shown first, from 1; None means the first that is included.
        head: the one shown first, from 1; None means the first.
        include_layers: those to choose from, from 1; None means all.

    Raises:
        InputError: there is no such layer, head or mode, or the text is too long to be drawn.
        ImportError: bertviz or mpld3 is not installed, or has changed.

    Source: Vig 2019, https://aclanthology.org/P19-3007.

    Example:
        >>> from bertedu import BertConfig, BertForPreTraining, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> neuron_view(bert, "my dog is cute", layer=2, head=3)
        BertvizView(neuron_view, 6 tokens, 2 layers x 3 heads)
    """
    config = bert.config
    layers = _chosen("layer", include_layers, config.num_hidden_layers)
    heads = _chosen("head", None, config.num_attention_heads)
    settings = {
        "display_mode": _mode(display_mode),
        "layer": layers.index(_first("layer", layer, layers)),
        "head": heads.index(_first("head", head, heads)),
    }
    return _view("neuron_view", bert, text, pair, layers, heads, settings)


def _view(
    view: str,
    bert: Bert,
    text: str,
    pair: str | None,
    layers: list[int],
    heads: list[int],
    settings: dict[str, Any],
) -> BertvizView:
    encoding = bert.tokenizer.encode(text, pair)
    size = len(encoding)
    _refuse_too_long(view, bert.config, size, len(layers), len(heads))
    segments = encoding.token_type_ids.tolist()
    header = {
        "view": view,
        "tokens": encoding.tokens,
        "second": segments.index(1) if 1 in segments else None,
        "settings": {"include_layers": layers, "include_heads": heads, **settings},
        "scripts": {"d3": _script(*_D3), "view": _drawing(view)},
    }
    chosen = np.ix_([layer - 1 for layer in layers], [head - 1 for head in heads])
    trace = bert.trace(encoding)
    numbers = {"attention": trace.attention_probs}
    if view == "neuron_view":
        numbers |= {"query": trace.query, "key": trace.key}
    arrays = {
        name: each.float().numpy()[chosen].astype(np.float16) for name, each in numbers.items()
    }
    packed = base64.b64encode(gzip.compress(pack(header, **arrays), mtime=0)).decode()
    label = f"bertviz: {view} of {size} tokens"
    height = _height(view, size, len(layers), bert.config.num_attention_heads)
    framed = _frame(packed, label, height, settings["display_mode"])
    return BertvizView(view, tuple(encoding.tokens), tuple(layers), tuple(heads), framed)


def _burden(view: str, S: int, L: int, A: int, D: int) -> tuple[int, int]:
    """Returns how many lines and boxes are drawn at once, and how many numbers are sent."""
    pairs, maps = S * S, L * A * S * S
    if view == "head_view":
        return A * (pairs + 2 * S), maps
    if view == "model_view":
        return maps, maps
    return 7 * pairs + 3 * S * D, maps + 2 * L * A * S * D


def _height(view: str, S: int, L: int, A: int) -> float:
    """Returns the pixels that bertviz draws on; A counts all heads."""
    if view == "head_view":
        return 30 + 22.5 * S
    if view == "model_view":
        return max(38 + L * (84 / A * S + 10), 55 + 18 * S)
    return 100 + 26 * S


def _refuse_too_long(view: str, config: BertConfig, size: int, layers: int, heads: int) -> None:
    def fits(tokens: int, kept: int) -> bool:
        marks, numbers = _burden(view, tokens, kept, heads, config.head_size)
        longest = config.max_position_embeddings
        return tokens <= longest and marks <= MOST_MARKS and numbers <= MOST_NUMBERS

    if fits(size, layers):
        return
    most = next(tokens for tokens in range(size, -1, -1) if fits(tokens, layers))
    advice = f"give at most {most} tokens"
    if kept := next((kept for kept in range(layers, 0, -1) if fits(size, kept)), 0):
        advice += f", or choose {_counted(kept, 'layer')} at most with include_layers"
    raise InputError(
        f"The text has {size:,} tokens, too many for {view} with {_counted(layers, 'layer')} x "
        f"{_counted(heads, 'head')}: {advice}."
    )


def _chosen(kind: str, wanted: Sequence[int] | None, count: int) -> list[int]:
    """Returns the numbers of layers or heads, from 1; None means all."""
    if wanted is None:
        return list(range(1, count + 1))
    unknown = [number for number in wanted if not 1 <= number <= count]
    if unknown or not wanted:
        what = f"{kind} {unknown[0]}" if unknown else f"{kind} chosen"
        raise InputError(f"There is no {what}: this model has {kind}s 1 to {count}.")
    return sorted(set(wanted))


def _first(kind: str, wanted: int | None, included: list[int]) -> int:
    if wanted is None:
        return included[0]
    if wanted not in included:
        raise InputError(f"There is no {kind} {wanted} here: choose one of {included}.")
    return wanted


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)


def _mode(display_mode: str) -> str:
    if display_mode not in {"auto", "light", "dark"}:
        raise InputError(f"display_mode is {display_mode!r}: it must be 'auto', 'light' or 'dark'.")
    return display_mode


def _drawing(view: str) -> str:
    """Returns bertviz's script, made to read what ours prepares."""
    source = _script("bertviz", f"{view}.js", [(text, n) for text, _, n in _CHANGES[view]])
    for text, ours, _ in _CHANGES[view]:
        source = source.replace(text, ours)
    return source


def _script(package: str, file: str, texts: Sequence[tuple[str, int]]) -> str:
    """Returns a script of an installed package, in which each text stands so many times."""
    spec = find_spec(package)  # finds it without importing it
    if spec is None or spec.origin is None:
        raise ImportError(f"{package} is not installed: pip install 'bertedu[lab]'")
    path = Path(spec.origin).parent / file
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    if any(source.count(text) != count for text, count in texts):
        raise ImportError(
            f"the installed {package} has another {file} than this module knows: install the "
            "version that requirements.lock names"
        )
    return source


def _frame(packed: str, label: str, height: float, mode: str) -> str:
    """Returns a frame that reaches neither the page around it nor the network.

    What is in a frame learns from its `color-scheme` whether it is to be light or dark.
    """
    if mode == "auto":
        style, look = f"<style>{_AUTO}</style>", f'class="{FRAME}" style="border: 0"'
    else:
        style, look = "", f'class="{FRAME}" style="border: 0; color-scheme: {mode}"'
    document = (
        '<!doctype html><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{label}</title>"
        f"<style>{(STATIC / 'bertviz.css').read_text(encoding='utf-8')}</style><body>"
        f'<script type="module">{javascript_module("bertviz")}\ndraw("{packed}");</script>'
    )
    return (
        f'<div>{style}<iframe title="{label}" sandbox="allow-scripts" width="100%" '
        f'height="{round(height) + 100}" {look} '
        f'srcdoc="{html.escape(document)}"></iframe></div>'
    )
