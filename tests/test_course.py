"""The list of lessons and the course's drawings: nothing promised, hidden or cut off."""

import ast
import re
from html import unescape
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from bertedu import load_tokenizer
from bertedu.classroom.book.content import Content
from bertedu.classroom.figures import diagram
from bertedu.classroom.lessons import (
    COURSE,
    LESSONS,
    CourseMap,
    architecture,
    circle,
    lesson_links,
    lesson_strip,
    lesson_table,
    map_figure,
)
from bertedu.classroom.museum import EXHIBITS, FOR_CLASS, FloorPlan, heading
from bertedu.errors import InputError

SOURCES = Path(__file__).parents[1] / "course"
README = (SOURCES.parent / "README.md").read_text("utf-8")
DRAWINGS = [map_figure, architecture]


def test_every_notebook_is_a_lesson():
    named = {lesson.name for lesson in COURSE}
    assert {source.stem for source in SOURCES.glob("[0-9][0-9]_*.py")} <= named


def test_the_front_page_lists_every_lesson_in_order():
    listed = re.findall(r"^\| \[(.+?)\]\(notebooks/(\w+)\.ipynb\)", README, re.MULTILINE)
    assert [name for _, name in listed] == [lesson.name for lesson in COURSE]
    assert all(title[:2] == name[:2] for title, name in listed)


def test_only_lessons_that_exist_are_links(tmp_path):
    (tmp_path / "notebooks/solutions").mkdir(parents=True)
    (tmp_path / "notebooks/01_wordpiece.ipynb").touch()
    (tmp_path / "course").mkdir()
    (tmp_path / "course/06_the_whole_model.py").touch()
    table = lesson_table(tmp_path / "notebooks")
    assert table.count("](") == 2
    assert "[wordpiece](01_wordpiece.ipynb)" in table
    assert "[the whole model](06_the_whole_model.ipynb)" in table
    assert lesson_table(tmp_path / "notebooks/solutions").count("](") == 1


def test_no_output_shows_an_address_in_memory_or_a_label_object():
    for path in SOURCES.parent.glob("notebooks/**/[0-9]*.ipynb"):
        text = path.read_text("utf-8")
        assert not re.search(r" at 0x[0-9a-f]{6}|\"Text\(\d", text), path.name


def test_every_lesson_is_on_the_map():
    labels = [text.get_text() for text in map_figure().axes[0].texts]
    for name in LESSONS:
        assert any(label.startswith(name[:2]) for label in labels), name


def test_the_map_leads_to_every_lesson_and_shows_what_is_done():
    links = lesson_links(SOURCES)
    assert set(links) == {lesson.name[:2] for lesson in COURSE}
    html = CourseMap(links, {"02": (3, 4), "05": (0, 9)})._repr_html_()
    assert re.findall(r'href="(\w+)\.ipynb"', html) != []
    assert set(re.findall(r'href="(\w+)\.ipynb"', html)) == set(LESSONS)
    circles = dict(re.findall(r'data-lesson="(\d\d)" style="[^"]*">(.?)</span>', html))
    assert {number: sign for number, sign in circles.items() if sign} == {"02": "◕", "05": "○"}
    assert 'title="3 of 4 exercises are right"' in html


def test_a_links_place_on_the_map_is_its_box():
    html = CourseMap({"08": "08.ipynb"})._repr_html_()
    place = [float(x) for x in re.findall(r"(?:left|top|width|height):([\d.]+)%", html)[1:5]]
    assert place == pytest.approx([62.53, 57.78, 15.76, 16.47], abs=0.01)  # of 7.74 by 3.34 inches
    # Frames first: what stands in one is drawn over it, and can be clicked.
    numbers = re.findall(r'href="(\d\d)"', CourseMap({n[:2]: n[:2] for n in LESSONS})._repr_html_())
    assert numbers[:2] == ["06", "07"]


def test_the_floor_plan_leads_to_every_room_and_exhibit_of_the_museum():
    lesson = (SOURCES / "13_bug_museum.py").read_text("utf-8")
    headings = {
        name.replace(" ", "-") for name in re.findall(r"^# ##+ (.+)$", lesson, re.MULTILINE)
    }
    html = FloorPlan({"best_pairs": "right", "windows": ""})._repr_html_()
    links = [unescape(link) for link in re.findall(r'href="#([^"]+)"', html)]
    assert len(links) == len(set(links)) == 8 + 27
    assert set(links) == {name for name in headings if re.match(r"(Room|Exhibit)-\d", name)}
    assert all(link.isascii() for link in links)  # JupyterLab would not find another
    marks = re.findall(r'title="([^"]*)"[^>]*>Exhibit (\d+) <span style="[^"]*">(.?)</span>', html)
    assert {int(n): mark for _, n, mark in marks if mark} == {1: "●", 27: "○"}
    assert marks[0][0] == "two best pairs (right)"
    checks_used = re.findall(r"^checks\.(\w+)\(", lesson, re.MULTILINE)
    assert [check for *_, check in EXHIBITS.values()] == checks_used[: len(EXHIBITS)]
    table = lesson[lesson.index("| room |") : lesson.index("| 8 false alarms")]
    assert sorted(map(int, re.findall(r"\*\*(\d+)\*\*", table))) == sorted(FOR_CLASS)


def test_in_the_book_the_floor_plan_leads_to_the_books_own_headings():
    content = Content({})
    for number in EXHIBITS:
        content.add_markdown(f"### {heading(number)}")
    content.add_wide(FloorPlan()._repr_html_())
    links = re.findall(r'href="#([^"]+)"', content.html)
    titles = set(re.findall(r'<h3 id="([^"]+)"', content.html))
    assert len(titles) == len(EXHIBITS)
    assert titles == {link for link in links if link.startswith("exhibit")}


def test_every_wordpiece_explorer_opens_on_a_word_that_splits():
    shown = [
        ast.literal_eval(f"[{texts}]")
        for source in SOURCES.glob("*.py")
        for texts in re.findall(
            r"(?m)^(?:widgets\.)?WordPieceExplorer\((.+)\)$", source.read_text("utf-8")
        )
    ]
    assert len(shown) >= 3
    tokenizer = load_tokenizer()
    for texts in shown:
        assert any(token.startswith("##") for token in tokenizer.encode(*texts).tokens), texts


def test_circles_fill_and_only_a_whole_one_is_full():
    assert [circle(right, 4) for right in range(5)] == list("○◔◑◕●")
    assert [circle(right, 9) for right in (0, 1, 4, 5, 8, 9)] == list("○◔◔◕◕●")


def test_the_strip_leads_everywhere_but_here():
    first, middle, last = (lesson_strip(COURSE[i].name) for i in (0, 7, -1))
    assert middle.startswith("[← 06 the whole model](06_the_whole_model.ipynb) · [00](")
    assert middle.endswith(
        "[15](15_gallery.ipynb) · [08 classification →](08_classification.ipynb)"
    )
    assert " **07** " in middle
    assert "←" not in first
    assert "→" not in last


@pytest.mark.parametrize("draw", DRAWINGS)
def test_boxes_keep_apart_and_hold_their_labels(draw):
    figure = draw()
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    labels = [text for text in axes.texts if text.get_text()]
    assert len(boxes) == len(labels)
    whole = figure.bbox
    for box, label in zip(boxes, labels, strict=True):
        inside, outside = label.get_window_extent(renderer), box.get_window_extent(renderer)
        assert outside.x0 < inside.x0 and inside.x1 < outside.x1, label.get_text()  # noqa: PT018
        assert outside.y0 < inside.y0 and inside.y1 < outside.y1, label.get_text()  # noqa: PT018
        assert whole.x0 <= outside.x0 and outside.x1 <= whole.x1, label.get_text()  # noqa: PT018
        assert whole.y0 <= outside.y0 and outside.y1 <= whole.y1, label.get_text()  # noqa: PT018
    solid = [box for box in boxes if box.get_linestyle() in {"-", "solid"}]
    for one, other in combinations(solid, 2):
        assert not one.get_window_extent(renderer).overlaps(other.get_window_extent(renderer))


def test_a_residual_leaves_a_box_elsewhere_than_it_enters():
    boxes = {name: (0, y, 1, 0.5, "text") for name, y in (("a", 0), ("b", 1), ("c", 2))}
    figure = diagram(boxes, [("a", "b", 1.5), ("b", "c", 1.5)], size=(2, 3))
    first, second = (line.get_ydata() for line in figure.axes[0].lines)
    assert first[-1] < second[0]  # both at b's right side


def test_arrows_need_boxes_that_exist_and_a_way_between_them():
    boxes = {"a": (0, 0, 1, 1, "text"), "b": (2, 2, 1, 1, "text")}
    with pytest.raises(InputError, match="an arrow names 'x'"):
        diagram(boxes, [("a", "x")])
    with pytest.raises(InputError, match="add an x"):
        diagram(boxes, [("a", "b")])
