"""The small maps of all heads: made coarse where they are many, and drawn as one picture."""

import base64
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertedu.widgets.palette import LIGHT, SEQUENTIAL
from bertedu.widgets.svg import MARGIN, WIDTH

_PRINTED = 24  # dots a side of a small map in the static picture


def pooled(maps: NDArray[Any], side: int) -> NDArray[Any]:
    """Returns maps [..., S, S] as [..., side, side]: each dot is the largest of its block."""
    size = maps.shape[-1]
    if size <= side:
        return maps
    edges = np.arange(side) * size // side
    smaller: NDArray[Any] = np.maximum.reduceat(
        np.maximum.reduceat(maps, edges, axis=-1), edges, axis=-2
    )
    return smaller


def overview(
    maps: NDArray[Any], darkest: float, layer: int, head: int
) -> tuple[float, Callable[[float], str]]:
    """Returns the height of all small maps, and what draws them from a top edge on.

    Args:
        maps: uint8 [L, A, side, side], probabilities in steps of 1 / 255.
        darkest: the probability that the deepest colour stands for.
        layer: the one that is framed, from 1.
        head: the one that is framed, from 1.
    """
    layers, heads = maps.shape[:2]
    left, labels = MARGIN + 64.0, 18.0
    cell = min(48.0, (WIDTH - MARGIN - left) / heads)

    def draw(top: float) -> str:
        def label(text: object, x: float, y: float) -> str:
            return f'<text x="{x:.0f}" y="{y:.0f}">{text}</text>'

        down = top + labels
        x, y = left + (head - 1) * cell, down + (layer - 1) * cell
        return (
            f'<g font-family="system-ui, Liberation Sans, Helvetica, sans-serif" font-size="12" '
            f'fill="{LIGHT["dim"]}">'
            + "".join(label(n + 1, left + (n + 0.4) * cell, top + 12) for n in range(heads))
            + "".join(
                label(f"layer {n + 1}", MARGIN, down + (n + 0.5) * cell + 4) for n in range(layers)
            )
            + f'<image x="{left:.1f}" y="{down:.1f}" width="{heads * cell:.1f}" '
            f'height="{layers * cell:.1f}" preserveAspectRatio="none" '
            'style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{_png(_mosaic(maps, darkest))}"/>'
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell:.1f}" height="{cell:.1f}" '
            f'fill="none" stroke="{LIGHT["start"]}" stroke-width="3"/></g>'
        )

    return labels + layers * cell, draw


def _mosaic(maps: NDArray[np.uint8], darkest: float) -> NDArray[np.uint8]:
    """All maps side by side, as colours from 1 on, with lines of colour 0 between them."""
    small = pooled(maps, _PRINTED).astype(np.float64)  # [L, A, side, side]
    small = small.repeat(times := -(-_PRINTED // small.shape[-1]), axis=2).repeat(times, axis=3)
    levels = 1 + np.minimum(small / (255 * darkest), 1) * 254
    framed = np.pad(levels.round().astype(np.uint8), ((0, 0), (0, 0), (0, 1), (0, 1)))
    layers, heads, side, _ = framed.shape
    return framed.transpose(0, 2, 1, 3).reshape(layers * side, heads * side)


def _png(levels: NDArray[np.uint8]) -> str:
    """A picture of colours 1 to 255 of the sequential scale, 0 a grey line, as base64."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in SEQUENTIAL])
    places = np.linspace(0, len(stops) - 1, 255)
    scale = np.stack([np.interp(places, range(len(stops)), stops[:, i]) for i in range(3)], axis=1)
    colors = bytes.fromhex(LIGHT["outline"][1:]) + scale.round().astype(np.uint8).tobytes()
    height, width = levels.shape
    rows = np.pad(levels, ((0, 0), (1, 0))).tobytes()  # a 0 before each row: no filter

    def chunk(kind: bytes, body: bytes) -> bytes:
        framed = kind + body
        return struct.pack(">I", len(body)) + framed + struct.pack(">I", zlib.crc32(framed))

    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", colors)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    ).decode()
