"""Figures in the course's visual language, for notebooks, slides and print.

A token is a chip: its piece in a monospaced face, its id small beneath, a line in the colour of
its segment under it. A continuation touches the chip before it and its ## is dimmed; a special
token is a grey outline.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib import rc_context, style
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import FancyBboxPatch
from matplotlib.patheffects import withStroke

from bertedu.errors import InputError
from bertedu.widgets.palette import LIGHT
from bertedu.widgets.training_monitor import SMOOTHED_OVER, TrainingMonitor

STYLE = "bertedu.classroom.bertedu"  # for matplotlib.pyplot.style.use
COLORS = LIGHT  # by what they mean, as in the widgets: "own" and "other", "right" and "wrong", ...
SIGNED = "RdBu_r"  # the widgets' colours of signed numbers: blue is negative, red positive
PAPER = "#f6f8fa"  # the card that a figure stands on, on a light page and on a dark one
SEGMENTS = (LIGHT["segment-a"], LIGHT["segment-b"])
INK, DIMMED, OUTLINE, CHIP = (LIGHT[name] for name in ("ink", "dim", "outline", "chip"))

_PIECE, _ID = 12.0, 9.0  # points
_ADVANCE = 0.602  # of DejaVu Sans Mono, in font sizes
_HEIGHT, _LINE, _GAP, _INSET = 22.0, 52.0, 7.0, 6.0
MARGIN = 0.12  # inches, around a diagram


class ChipFigure(Figure):
    """A figure of tokens, which any front end shows and a screen reader can read.

    It keeps clear of pyplot, whose backend and settings belong to the notebook.
    """

    words = ""

    def __repr__(self) -> str:
        """The tokens in a line."""
        return f"tokens: {self.words}"

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        with rc_context({"savefig.bbox": None}):  # its size is chosen
            self.savefig(picture, format="png")
        return picture.getvalue()


def token_chips(
    tokens: Sequence[str],
    ids: Sequence[int] | None = None,
    *,
    segments: Sequence[int] | None = None,
    width: float = 7.5,
) -> ChipFigure:
    """Returns a matplotlib figure with one chip a token, in as many lines as they need.

    Args:
        tokens: S pieces; those in [brackets] are drawn as special tokens.
        ids: S ids to write beneath, or None.
        segments: S times 0 (A) or 1 (B), or None for no underline.
        width: inches.

    Raises:
        InputError: ids or segments that are not one a token.

    Example:
        >>> token_chips(["[CLS]", "play", "##ing", "[SEP]"], [101, 2377, 2075, 102])
        tokens: [CLS] play ##ing [SEP]
    """
    for name, values in (("ids", ids), ("segments", segments)):
        if values is not None and len(values) != len(tokens):
            raise InputError(f"{len(tokens)} tokens, but {len(values)} {name}")
    places, lines = _places(tokens, ids, width * 72)
    with style.context([STYLE, {"figure.constrained_layout.use": False}]):
        figure = ChipFigure(figsize=(width, lines * _LINE / 72))
        figure.words = " ".join(tokens)
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


def _draw_chip(axes: Axes, token: str, left: float, top: float, width: float) -> None:
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
    for text, color in ((marks, DIMMED), (_drawable(piece), DIMMED if special else INK)):
        if text:
            axes.text(start, top + _HEIGHT / 2, text, va="center_baseline",
                      family="monospace", size=_PIECE, color=color)  # fmt: skip
        start += len(text) * _ADVANCE * _PIECE


def _drawable(text: str) -> str:
    """The text with U+ numbers for what matplotlib's own font cannot draw."""
    font = get_font(findfont("DejaVu Sans Mono"))
    return "".join(c if font.get_char_index(ord(c)) else f"U+{ord(c):X}" for c in text)


def draw_losses(monitor: TrainingMonitor, picture: Path) -> None:
    """Writes what a training monitor shows as an SVG: both losses beside their baselines.

    Args:
        monitor: with one step or more.
        picture: the file.
    """
    at, raw, smooth = monitor.losses()
    with style.context([STYLE]):
        figure = Figure(figsize=(7.5, 5.2))
        figure.suptitle(monitor.summary(), fontsize=11, color=DIMMED)
        for column, curve in enumerate(monitor.curves()):
            axes = figure.add_subplot(2, 1, column + 1, xlim=(0, monitor.steps), xlabel="step",
                                      ylabel="nats", title=curve.name)  # fmt: skip
            mean = f"mean of the last {SMOOTHED_OVER}"
            axes.plot(at, smooth[:, column], color=COLORS["own"], label=mean)
            steps, losses = ([point[i] for point in curve.held_out] for i in (0, 1))
            if steps:
                axes.plot(steps, losses, "o", color=COLORS["other"], mfc=PAPER,
                          clip_on=False, label="held-out documents")  # fmt: skip
            axes.axhline(curve.baseline, color=INK, lw=1.5, ls="--")
            axes.autoscale(axis="x", enable=False)
            limits = axes.get_ylim()
            axes.plot(at, raw[:, column], color=OUTLINE, lw=0.7, zorder=1, label="each batch")
            axes.set_ylim(limits)
            label = f" {curve.baseline_name} {curve.baseline:.2f}"
            axes.text(monitor.steps, curve.baseline, label, va="center", color=DIMMED)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        said = {"Title": monitor.summary(), "Date": None}
        figure.savefig(picture, format="svg", metadata=said)


def outline_intervals(bars: BarContainer) -> None:
    """Gives the interval lines of bars a light edge, so that they are seen on every colour.

    Args:
        bars: of `Axes.bar` or `Axes.barh` with `xerr` or `yerr`.

    Example:
        >>> outline_intervals(Figure().add_subplot().barh(["own"], [50], xerr=[5]))
    """
    drawn: Any = bars.errorbar
    _, caps, lines = drawn.lines
    for artist in (*caps, *lines):
        artist.set_path_effects([withStroke(linewidth=4, foreground=PAPER)])


PARTS = {  # one colour a part of BERT, light enough for dark letters on it
    "text": "#ffffff",
    "embeddings": "#fde3b4",
    "attention": "#bfe0f5",
    "feed-forward": "#b9e6d3",
    "norm": "#e3e6ea",
    "heads": "#f2cfe0",
    "group": "#eef1f4",
    "segment-a": "#cdeae7",
    "segment-b": "#e2d8f5",
    "proven": "#c3e6cb",
    "just proven": "#c3e6cb",
    "proven group": "#e6f4e9",
    "just proven group": "#e6f4e9",
}

Box = tuple[float, float, float, float, str]
Arrow = tuple[str, str] | tuple[str, str, float]


class Diagram(ChipFigure):
    """A figure of boxes and arrows, which a screen reader can read."""

    said = ""

    def __repr__(self) -> str:
        """What it says in a line, or else its arrows."""
        return self.said or f"diagram: {self.words}"


def diagram(
    boxes: Mapping[str, Box],
    arrows: Sequence[Arrow] = (),
    *,
    size: tuple[float, float] = (7.5, 3.2),
) -> Diagram:
    """Returns a figure of boxes joined by arrows.

    Args:
        boxes: label to (left, bottom, width, height, part), in inches; the part is a key of
            `PARTS`. A "group" is drawn as a frame, its label at the top.
        arrows: pairs of boxes, each named by the first line of its label. (from, to) goes
            straight, through the middle of what the two share in height or in width;
            (from, to, x) leaves and enters at the side facing x and goes round by way of x.
        size: width and height in inches, without the figure's margin.

    Raises:
        InputError: an arrow from or to a box that is not there, or between boxes that share
            neither height nor width.

    Example:
        >>> boxes = {"ids": (0, 0, 1, 1, "text"), "vectors": (2, 0, 1, 1, "embeddings")}
        >>> diagram(boxes, [("ids", "vectors")])
        diagram: ids → vectors
    """
    named = {label.partition("\n")[0]: box for label, box in boxes.items()}
    with style.context([STYLE, {"figure.constrained_layout.use": False}]):
        figure = Diagram(figsize=(size[0] + 2 * MARGIN, size[1] + 2 * MARGIN))
        figure.words = "; ".join(f"{arrow[0].strip()} → {arrow[1].strip()}" for arrow in arrows)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(-MARGIN, size[0] + MARGIN), ylim=(-MARGIN, size[1] + MARGIN))  # inches
        axes.axis("off")
        for label, box in boxes.items():
            _draw_box(axes, label, box)
        for arrow in arrows:
            if missing := [name for name in arrow[:2] if name not in named]:
                raise InputError(f"an arrow names {missing[0]!r}, which is not a box")
            start, end = named[arrow[0]][:4], named[arrow[1]][:4]
            path = _straight(start, end) if len(arrow) == 2 else _round(start, end, arrow[2])
            xs, ys = zip(*path, strict=True)
            axes.plot(xs[:-1], ys[:-1], color=DIMMED, lw=1.3, solid_capstyle="butt")
            axes.annotate("", path[-1], path[-2], arrowprops=_HEAD)
    return figure


PROOFS = (  # what lesson 06 proves equal to the library's, in its order
    "embeddings", "self-attention", "add, then LayerNorm", "feed-forward", "all layers", "pooler",
    "heads",
)  # fmt: skip


def proven(until: str) -> Diagram:
    """Returns BERT with the parts that are proven equal in green, with a tick each.

    Args:
        until: the part that was proven last, one of `PROOFS`; it has a thick frame.

    Raises:
        InputError: there is no such part.

    Example:
        >>> proven("self-attention")
        proven equal: embeddings, self-attention; not yet: add, then LayerNorm, feed-forward, all \
    layers, pooler, heads
    """
    if until not in PROOFS:
        raise InputError(f"until is {until!r}: it must be one of {', '.join(PROOFS)}")
    done = PROOFS.index(until)

    def part(name: str) -> str:
        place = PROOFS.index(name)
        return "text" if place > done else "just proven" if place == done else "proven"

    boxes: dict[str, Box] = {
        "L layers": (1.35, 0.0, 4.2, 1.5, f"{part('all layers')} group".replace("text ", "")),
        "embeddings": (0.0, 0.45, 1.2, 0.6, part("embeddings")),
        "self-\nattention": (1.46, 0.45, 0.86, 0.6, part("self-attention")),
        "add,\nLayerNorm": (2.47, 0.45, 0.93, 0.6, part("add, then LayerNorm")),
        "feed-\nforward": (3.55, 0.45, 0.82, 0.6, part("feed-forward")),
        "add,\u200a\nLayerNorm": (4.52, 0.45, 0.93, 0.6, part("feed-forward")),
        "masked-LM head": (5.85, 0.95, 1.65, 0.45, part("heads")),
        "pooler": (5.85, 0.12, 0.72, 0.45, part("pooler")),
        "NSP\nhead": (6.74, 0.12, 0.76, 0.45, part("heads")),
    }
    inside = ("embeddings", "self-", "add,", "feed-", "add,\u200a")
    ways = [("L layers", "masked-LM head"), ("L layers", "pooler"), ("pooler", "NSP")]
    figure = diagram(boxes, [*pairwise(inside), *ways], size=(7.5, 1.5))
    figure.said = (
        f"proven equal: {', '.join(PROOFS[: done + 1])}; "
        f"not yet: {', '.join(PROOFS[done + 1 :]) or 'nothing'}"
    )
    return figure


def two_pairs() -> Diagram:
    """Returns the idea of next sentence prediction: one A, what follows it, and what does not.

    Example:
        >>> two_pairs()
        half of the pairs: B follows A, label 0; the other half: B is from elsewhere, label 1
    """
    boxes: dict[str, Box] = {
        "one document": (0, 0.95, 3.6, 1.8, "group"),
        "another document": (3.9, 0.95, 3.6, 1.8, "group"),
        "A: The rain fell all night.": (0.25, 1.85, 3.1, 0.5, "segment-a"),
        "B: In the morning the streets\nwere wet.": (0.25, 1.1, 3.1, 0.55, "segment-b"),
        "A bank lends money.": (4.15, 1.85, 3.1, 0.5, "text"),
        "B: Interest is what a bank\npays for savings.": (4.15, 1.1, 3.1, 0.55, "segment-b"),
        "half of the pairs: B follows A\nlabel 0, IsNext": (0.25, 0, 3.1, 0.6, "heads"),
        "half of the pairs: B from elsewhere\nlabel 1, NotNext": (4.15, 0, 3.1, 0.6, "heads"),
    }
    a, follows, elsewhere = (
        "A: The rain fell all night.", "half of the pairs: B follows A",
        "half of the pairs: B from elsewhere",
    )  # fmt: skip
    arrows: list[Arrow] = [
        ("B: In the morning the streets", follows), ("B: Interest is what a bank", elsewhere),
        (a, follows, 0.1), (a, elsewhere, 3.75),
    ]  # fmt: skip
    figure = diagram(boxes, arrows, size=(7.5, 2.75))
    figure.said = (
        "half of the pairs: B follows A, label 0; the other half: B is from elsewhere, label 1"
    )
    return figure


def four_cases() -> Diagram:
    """Returns BERT with the heads of the notes' four cases side by side, a short input in each.

    H is the size of a vector, K the number of classes, N the number of different tags.

    Example:
        >>> four_cases().words.split("; ")[4:6]
        ['BERT → pooler, linear', 'pooler, linear → positive']
    """
    tags = ("O", "O", "B-city")
    cases: dict[str, tuple[tuple[str, ...], list[tuple[float, float, str, str]]]] = {
        # title: tokens, and (left, width, head, answer) of each head
        "case 1 · one sentence, one class": (
            ("[CLS]", "a lovely", "film", "[SEP]"),
            [(0, 1.7, "pooler, linear\nH → K", "positive")],
        ),
        "case 2 · a tag for each word": (
            ("[CLS]", "fly", "to", "rome"),
            [(0.9 + 0.9 * i, 0.86, "linear\nH → N", tag) for i, tag in enumerate(tags)],
        ),
        "case 3 · two sentences, one class": (
            ("[CLS]", "premise", "[SEP]", "hypothesis"),
            [(0, 1.7, "pooler, linear\nH → 3", "true, false\nor unknown")],
        ),
        "case 4 · the place of an answer": (
            ("[CLS]", "question", "[SEP]", "document"),
            [(1.61, 1.95, "start · T, end · T\nfor each token T", "softmax\nover the tokens")],
        ),
    }  # fmt: skip
    boxes: dict[str, Box] = {}
    arrows: list[Arrow] = []

    def add(label: str, *place: Any) -> str:
        name, mark, rest = label.partition("\n")
        while name in named:  # a box is found by its name: hair spaces tell two alike apart
            name = f"\u200a{name}\u200a"
        named.add(name)
        boxes[name + mark + rest] = place
        return name

    named: set[str] = set()
    for number, (title, (tokens, heads)) in enumerate(cases.items()):
        x, y = 0.05 + 3.8 * (number % 2), 3.2 - 3.15 * (number // 2)
        add(title, x, y, 3.7, 3.05, "group")
        bert = add("BERT", x + 0.07, y + 0.7, 3.56, 0.4, "attention")
        for i, token in enumerate(tokens):
            arrows.append((add(token, x + 0.07 + 0.9 * i, y + 0.1, 0.86, 0.38, "text"), bert))
        for left, width, label, answer in heads:
            head = add(label, x + 0.07 + left, y + 1.35, width, 0.55, "heads")
            arrows.append((bert, head))
            arrows.append((head, add(answer, x + 0.07 + left, y + 2.15, width, 0.5, "norm")))
    return diagram(boxes, arrows, size=(7.6, 6.3))


_HEAD: dict[str, Any] = {"arrowstyle": "-|>", "color": DIMMED, "shrinkA": 0, "shrinkB": 0}
_Point = tuple[float, float]
_Place = tuple[float, float, float, float]


def _draw_box(axes: Axes, label: str, box: Box) -> None:
    left, bottom, width, height, part = box
    group, is_proven = part.endswith("group"), "proven" in part
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=PARTS[part],
            edgecolor=COLORS["right"] if is_proven else OUTLINE,
            linewidth=2.6 if part.startswith("just") else 1,
            linestyle=(0, (4, 3)) if group else "-",
        )
    )
    middle = bottom + height - 0.08 if group else bottom + height / 2
    label = f"✓ {label}" if is_proven else label
    aligned = "top" if group else "center_baseline"
    axes.text(left + width / 2, middle, label, ha="center", va=aligned, size=10,
              color=DIMMED if group else INK, linespacing=1.3)  # fmt: skip


def _straight(start: _Place, end: _Place) -> list[_Point]:
    for axis in (0, 1):  # side by side in x means an arrow up or down
        low = max(start[axis], end[axis])
        high = min(start[axis] + start[axis + 2], end[axis] + end[axis + 2])
        if low < high:
            other, middle = 1 - axis, (low + high) / 2
            forward = start[other] < end[other]
            first = start[other] + (start[other + 2] if forward else 0)
            last = end[other] + (0 if forward else end[other + 2])
            path = [(middle, first), (middle, last)]
            return path if axis == 0 else [(y, x) for x, y in path]
    raise InputError("two boxes that share neither height nor width need a way round: add an x")


def _round(start: _Place, end: _Place, x: float) -> list[_Point]:
    sides = [box[0] if x < box[0] else box[0] + box[2] for box in (start, end)]
    leave, enter = (0.7, 0.3) if start[1] < end[1] else (0.3, 0.7)  # on the sides that face
    ys = [start[1] + leave * start[3], end[1] + enter * end[3]]
    return [(sides[0], ys[0]), (x, ys[0]), (x, ys[1]), (sides[1], ys[1])]
