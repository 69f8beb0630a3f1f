"""The token chips: what is written, where, and in which colour."""

import io
import subprocess
import sys

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch

from bertedu.classroom.figures import SEGMENTS, four_cases, token_chips
from bertedu.errors import InputError


def chips(figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


def test_a_continuation_touches_the_chip_before_and_a_new_word_does_not():
    first, second, third = chips(token_chips(["play", "##ing", "dogs"]))
    assert second.get_x() == pytest.approx(first.get_x() + first.get_width())
    assert third.get_x() > second.get_x() + second.get_width() + 5


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
