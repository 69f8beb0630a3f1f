"""The token chips: what is written, where, and in which colour."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import style
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import FancyBboxPatch

from bertedu.classroom.figures import (
    COLORS,
    PAPER,
    PARTS,
    PROOFS,
    SEGMENTS,
    SIGNED,
    STYLE,
    draw_losses,
    four_cases,
    proven,
    token_chips,
    two_pairs,
)  # fmt: skip
from bertedu.classroom.museum import floor_plan_figure
from bertedu.errors import InputError
from bertedu.pretraining.run import Evaluation, PretrainingStep
from bertedu.widgets.palette import DARK, LIGHT, STATIC
from bertedu.widgets.training_monitor import TrainingMonitor

COURSE = Path(__file__).parents[1] / "course"
PAGES = ("#ffffff", "#111111")  # JupyterLab's light and dark


def contrast(one: str, other: str) -> float:
    """From 1 to 21, as WCAG counts it."""

    def luminance(color: str) -> float:
        parts = (v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(color))
        return sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def chips(figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


def test_a_continuation_touches_the_chip_before_and_a_new_word_does_not():
    first, second, third = chips(token_chips(["play", "##ing", "dogs"]))
    assert second.get_x() == pytest.approx(first.get_x() + first.get_width())
    assert third.get_x() > second.get_x() + second.get_width() + 5


def test_figures_and_widgets_have_one_palette():
    stops = json.loads((STATIC / "palette.json").read_text("utf-8"))
    for name, key in ((SIGNED, "diverging"), ("Blues", "sequential")):
        colormap = mpl.colormaps[name]
        places = np.linspace(0, 1, len(stops[key]))
        for stop, found in zip(stops[key], colormap(places), strict=True):
            assert np.abs(np.array(to_rgb(stop)) - found[:3]).max() < 0.02
    rules = mpl.style.library.get(STYLE) or mpl.rc_params_from_file(
        COURSE.parent / "bertedu/classroom/bertedu.mplstyle", use_default_template=False
    )
    assert rules["image.cmap"] == "Blues"
    assert rules["figure.facecolor"].strip("#") == PAPER.strip("#")
    cycle = [f"#{color.strip('#')}" for color in rules["axes.prop_cycle"].by_key()["color"]]
    assert cycle[:3] == [COLORS["own"], COLORS["other"], COLORS["baseline"]]
    assert set(cycle) <= set(LIGHT.values())


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_each_meaning_has_a_colour_that_is_seen(theme: dict[str, str]):
    pairs = [("positive", "negative"), ("own", "other"), ("segment-a", "segment-b"),
             ("right", "wrong"), ("own", "baseline"), ("baseline", "graduate")]  # fmt: skip
    for one, other in pairs:
        assert theme[one] != theme[other]
        for name in (one, other):
            assert contrast(theme[name], theme["paper"]) >= 4.5, name
    # Of two signs each is nearer to its own end of the scale.
    ends = [json.loads((STATIC / "palette.json").read_text())["diverging"][i] for i in (1, -2)]
    for name, own, other in (("negative", *ends), ("positive", *ends[::-1])):
        near, far = (np.subtract(to_rgb(theme[name]), to_rgb(end)) for end in (own, other))
        assert np.abs(near).sum() < np.abs(far).sum()


def test_no_lesson_has_a_colour_of_its_own():
    own = re.compile(r"""["'](?:#[0-9A-Fa-f]{6}|PuOr|RdBu\w*|C\d|tab:\w+)["']""")
    found = {f.name: own.findall(f.read_text("utf-8")) for f in COURSE.glob("*.py")}
    assert len(found) == 16
    assert not [each for each in found.items() if each[1]]


def test_a_figure_is_a_light_card_since_no_ink_is_readable_on_both_pages():
    greys = (f"#{v:02x}{v:02x}{v:02x}" for v in range(256))
    assert max(min(contrast(grey, page) for page in PAGES) for grey in greys) < 4.5
    with style.context(STYLE):
        rules = dict(mpl.rcParams)
    names = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor",
             "ytick.labelcolor", "axes.edgecolor")  # fmt: skip
    for name in names:
        assert contrast(rules[name], PAPER) >= 4.5, name
    for color in rules["axes.prop_cycle"].by_key()["color"]:
        assert contrast(color, PAPER) >= 4.5, color
    for part, ground in PARTS.items():
        assert contrast(COLORS["ink"], ground) >= 4.5, part
        assert contrast(COLORS["dim"], ground) >= 4.5 or part != "group"
    assert contrast(COLORS["dim"], PAPER) >= 4.5
    assert contrast(COLORS["dim"], COLORS["chip"]) >= 4.5


@pytest.mark.parametrize("figure", [token_chips(["play", "##ing"]), four_cases()])
def test_what_shows_itself_is_a_card_with_a_margin(figure):
    picture = imread(io.BytesIO(figure._repr_png_()))
    sides = (picture[:4], picture[-4:], picture[:, :4], picture[:, -4:])
    edge = np.concatenate([side.reshape(-1, 4) for side in sides])
    assert np.abs(edge - (*to_rgb(PAPER), 1)).max() < 0.01


def test_long_labels_are_whole():
    with style.context(STYLE):
        figure = Figure(figsize=(3, 1.5))
        axes = figure.add_subplot(xlabel="a label that is far longer than its axes are wide, " * 2)
        axes.set_yticks([0.5], ["a long name of a row"])
        file = io.BytesIO()
        figure.savefig(file)
    picture = imread(io.BytesIO(file.getvalue()))
    assert picture.shape[1] > 3 * 120 * 1.5  # wider than it was asked to be
    ground = np.array((*to_rgb(PAPER), 1))
    margin = np.concatenate([picture[:, :8], picture[:, -8:]], axis=1)
    assert np.abs(margin - ground).max() < 0.01


@pytest.mark.parametrize("held_out", [False, True])
def test_losses_are_drawn_whole_and_named(held_out: bool, tmp_path: Path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    monitor = TrainingMonitor(900, 6.5)
    for step in range(3):
        monitor.add(PretrainingStep(step, 6.6, 0.7, 1e-3, 900, 0.1))
    if held_out:
        monitor.evaluated(3, Evaluation(6.4, 0.1, 0.6, 0.5, 6.5, 90, 9))
    draw_losses(monitor, tmp_path / "curves.svg")
    (figure,) = drawn
    figure.draw_without_rendering()
    whole, everything = figure.bbox_inches, figure.get_tightbbox()
    assert whole.x0 <= everything.x0
    assert everything.x1 <= whole.x1
    assert whole.y0 <= everything.y0
    named = {text.get_text() for text in figure.legends[0].get_texts()}
    assert named == {"each batch", "mean of the last 20"} | (
        {"held-out documents"} if held_out else set()
    )


def test_only_special_tokens_are_outlines():
    figure = token_chips(["[CLS]", "[", "dog", "]", "[SEP]"])
    filled = [chip.get_facecolor()[3] > 0 for chip in chips(figure)]
    assert filled == [False, True, True, True, False]


def test_segments_are_underlined_teal_then_violet():
    lines = token_chips(["a", "b", "c"], segments=[0, 0, 1]).axes[0].lines
    assert [to_hex(line.get_color()) for line in lines] == [SEGMENTS[0], SEGMENTS[0], SEGMENTS[1]]


def test_words_are_not_torn_at_the_end_of_a_line_and_nothing_leaves_the_picture():
    tokens = ["dog", "play", "##ing"] * 20
    figure = token_chips(tokens, list(range(29_000, 29_060)), width=4)
    tops = [chip.get_y() for chip in chips(figure)]
    assert len(set(tops)) > 1
    assert all(tops[i] == tops[i - 1] for i, token in enumerate(tokens) if token == "##ing")
    assert all(chip.get_x() + chip.get_width() <= 4 * 72 for chip in chips(figure))


def test_what_the_font_cannot_draw_is_written_as_a_number():
    figure = token_chips(["狗", "é", "🤗"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["U+72D7", "é", "U+1F917"]
    figure.savefig(io.BytesIO())  # a missing glyph would warn, and warnings are errors here


def test_ids_and_segments_must_be_one_a_token():
    with pytest.raises(InputError, match="2 tokens, but 1 ids"):
        token_chips(["my", "dog"], [2026])
    with pytest.raises(InputError, match="2 tokens, but 3 segments"):
        token_chips(["my", "dog"], segments=[0, 0, 0])


def test_a_figure_shows_itself_and_leaves_pyplot_as_it_was():
    code = """
import sys
from bertedu.classroom.figures import token_chips
figure = token_chips(["play", "##ing"])
assert figure._repr_png_().startswith(b"\\x89PNG")
assert repr(figure) == "tokens: play ##ing"
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_is_proven_is_green_and_ticked_and_nothing_else_is():
    for count, until in enumerate(PROOFS, 1):
        figure = proven(until)
        done, _, waiting = repr(figure).removeprefix("proven equal: ").partition("; not yet: ")
        assert done == ", ".join(PROOFS[:count])
        assert waiting == (", ".join(PROOFS[count:]) or "nothing")
        green = [box for box in chips(figure) if to_hex(box.get_edgecolor()) == COLORS["right"]]
        ticks = [t for t in figure.axes[0].texts if t.get_text().startswith("✓")]
        assert len(green) == len(ticks) == (1, 2, 3, 5, 6, 7, 9)[count - 1]
        assert [box.get_linewidth() > 2 for box in green].count(True) in {1, 2}
    with pytest.raises(InputError, match="it must be one of embeddings, self-attention"):
        proven("softmax")


@pytest.mark.parametrize("figure", [proven("heads"), two_pairs(), floor_plan_figure()])
def test_no_label_leaves_its_box(figure):
    figure.canvas.draw()
    boxes = [box.get_window_extent() for box in chips(figure)]
    for text in figure.axes[0].texts:
        place = text.get_window_extent()
        if not text.get_text():
            continue
        x, y = (place.x0 + place.x1) / 2, (place.y0 + place.y1) / 2
        box = min((b for b in boxes if b.contains(x, y)), key=lambda b: b.width * b.height)
        assert box.x0 < place.x0, text
        assert place.x1 < box.x1, text


def test_the_four_cases_stand_side_by_side_each_with_what_it_reads():
    figure = four_cases()
    ways = figure.words.split("; ")
    heads = [way for way in ways if way.startswith("BERT → ")]
    assert heads == [
        "BERT → pooler, linear", *["BERT → linear"] * 3, "BERT → pooler, linear",
        "BERT → start · T, end · T",
    ]  # fmt: skip
    assert len([way for way in ways if way.endswith("→ BERT")]) == 16
    figure.canvas.draw()
    boxes = [box.get_window_extent() for box in chips(figure)]
    written = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    for place in written:  # no label leaves the smallest box that its middle is in
        x, y = (place.x0 + place.x1) / 2, (place.y0 + place.y1) / 2
        box = min((b for b in boxes if b.contains(x, y)), key=lambda b: b.width * b.height)
        assert box.x0 < place.x0
        assert place.x1 < box.x1
    assert len(written) == 4 * 6 + 12
