"""The sum of embeddings as a still picture, for print, for GitHub and for screen readers."""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bertedu.widgets.embedding_sum import EVERYTHING, TERMS
from bertedu.widgets.palette import DIVERGING, LIGHT, SEQUENTIAL
from bertedu.widgets.svg import MARGIN, WIDTH, Picture, visible_text

if TYPE_CHECKING:
    from bertedu.widgets.embedding_sum import EmbeddingSum

_MOST_STATIC = 20  # tokens, and positions


def drawn(sums: "EmbeddingSum") -> str:
    """Returns the picture of a text, as the widget's switches stand, as one SVG element."""
    tokens = [sums.bert.tokenizer.tokens[index] for index in sums.ids[:_MOST_STATIC].tolist()]
    start, stop = sums.settings["dimensions"]
    picture = Picture(f"{sums.summary()}. {' '.join(tokens)}")
    picture.heading("Token + segment + position, their sum, and LayerNorm")
    if rest := len(sums.ids) - len(tokens):
        picture.note(f"The first {len(tokens)} tokens; {rest} more are not drawn.")
    shown, normed = sums.settings, sums.settings["layer_norm"]
    names = [f"{name}{'' if shown[name] else ' (off)'}" for name in TERMS]
    titles = [names[0], "= sum", f"+ {names[1]}", "LayerNorm" if normed else "LayerNorm (off)"]
    off = torch.zeros_like(sums.terms[0])
    parts = [term if shown[name] else off for name, term in zip(TERMS, sums.terms, strict=True)]
    blocks = [parts[0], sums.summed, parts[1], sums.states, parts[2]]
    extreme = sums.scales
    scales = [extreme[0]] * 3 + [extreme[normed], extreme[0]]
    half = (WIDTH - 2 * MARGIN - 20) / 2
    for row in range(3):
        height = 22 + 14 * len(tokens)
        strips = [
            (MARGIN + (half + 20) * column, title, block[: len(tokens), start:stop], scale)
            for column, (title, block, scale) in enumerate(
                list(zip([*titles, f"+ {names[2]}"], blocks, scales, strict=True))[
                    2 * row : 2 * row + 2
                ]
            )
        ]
        picture.drawing(
            height,
            lambda top, strips=strips: "".join(  # type: ignore[misc]
                _strip(title, tokens, values / scale, left, top, half)
                for left, title, values, scale in strips
            ),
        )
    picture.note(
        f"Dimensions {start} to {stop - 1} of {sums.terms.shape[-1]}. Blue is below 0, red "
        f"above, white is 0; the deepest colour is {extreme[0]:.2f} or more, after LayerNorm "
        f"{extreme[1]:.1f} or more."
    )
    head = f"head {shown['head']}" if shown["head"] else "mean of all heads"
    picture.heading(f"First layer's attention ({head})")
    all_on, now = (sums.attention(c)[: len(tokens), : len(tokens)] for c in (EVERYTHING, None))
    highest, change = max(float(all_on.max()), float(now.max())), now - all_on
    most = float(change.abs().max()) or 1.0
    picture.drawing(210, lambda top: "".join((
        _square("everything on", all_on / highest, SEQUENTIAL, 0, top),
        _square("as the switches stand", now / highest, SEQUENTIAL, 1, top),
        _square("change", (change / most + 1) / 2, DIVERGING, 2, top),
    )))  # fmt: skip
    picture.note(
        f"Rows ask, columns answer. Probabilities from 0 to {highest:.1%}; change up to "
        f"{most if change.any() else 0:.1%}, red is more. {sums.moved:.1%} of a token's "
        "attention moved."
    )
    picture.heading("How alike two positions are (cosine)")
    tables = sums.cosines[:, :_MOST_STATIC, :_MOST_STATIC]
    picture.drawing(210, lambda top: "".join(
        _square(title, (table + 1) / 2, DIVERGING, column, top)
        for column, (title, table) in enumerate(
            zip(("learned by BERT", "sinusoidal"), tables, strict=True))
    ))  # fmt: skip
    picture.note(f"Positions 0 to {tables.shape[-1] - 1}; blue is -1, white 0, red 1.")
    return picture.to_svg()


def _strip(
    title: str, tokens: Sequence[str], values: Tensor, left: float, top: float, width: float
) -> str:
    """Rows of colour under a title, a token before each."""
    labels = "".join(
        f'<text x="{left + 74:.0f}" y="{top + 28 + 14 * row:.0f}" font-size="12" '
        f'text-anchor="end" fill="{LIGHT["ink"]}">{escape(visible_text(token)[:10])}</text>'
        for row, token in enumerate(tokens)
    )
    return (
        f'<g font-family="monospace"><text x="{left:.0f}" y="{top + 12:.0f}" font-size="13" '
        f'font-weight="600" fill="{LIGHT["ink"]}">{title}</text>{labels}</g>'
        + cells((values + 1) / 2, DIVERGING, left + 80, top + 18, width - 80, 14 * len(tokens))
    )


def _square(title: str, shares: Tensor, stops: Sequence[str], column: int, top: float) -> str:
    left = MARGIN + 248 * column
    return (
        f'<text x="{left}" y="{top + 12:.0f}" font-family="monospace" font-size="13" '
        f'fill="{LIGHT["ink"]}">{title}</text>'
    ) + cells(shares, stops, left, top + 18, 184, 184)


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
