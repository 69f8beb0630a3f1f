"""Links in the lessons that set a widget: none leads nowhere, and each names what can be set."""

import re
from pathlib import Path

import pytest

import bertedu.widgets
from bertedu.classroom.book.content import Content
from bertedu.classroom.tour import KINDS, links, problems
from bertedu.widgets.base import Widget

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "course").glob("*.py"))
FEWEST = 5  # links in a lesson that shows a widget
LESSON = """# %% [markdown]
# # 01 · A lesson
#
# In [layer 3](#AttentionExplorer?layer=3&token=dog
# "dog 41.2 %") it is 41.2 %.

# %%
from bertedu.widgets import AttentionExplorer

AttentionExplorer("my dog is cute")
"""


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_link_of_the_course_can_be_followed(lesson: Path) -> None:
    assert [*problems(lesson)] == []


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_with_a_widget_has_links_that_set_it(lesson: Path) -> None:
    source = lesson.read_text(encoding="utf-8")
    alone = {"Patch"}  # what it changes is computed anew, and a page without a model cannot follow
    shown = [
        kind
        for kind in KINDS.keys() - alone
        if re.search(rf"^[\w. =]*\b{kind}\(", source, re.MULTILINE)
    ]
    assert len([*links(source)]) >= (FEWEST if shown else 0)


def test_lesson_05_can_be_walked_through_by_its_links() -> None:
    source = (ROOT / "course" / "05_self_attention.py").read_text(encoding="utf-8")
    stages = [link.parts.get("stage") for link in links(source) if link.kind == "AttentionStep"]
    assert [stage for stage in stages if stage][:6] == list("123456")
    sections = re.findall(r"^# ## (\d+)\.", source, re.MULTILINE)
    starts = [source.index(f"# ## {number}.") for number in sections]
    places = [source.index(link.href) for link in links(source)]
    with_links = {
        number
        for number, start, end in zip(sections, starts, [*starts[1:], len(source)], strict=True)
        if any(start < place < end for place in places)
    }
    assert with_links >= {"1", "2", "3", "6", "7"}


def test_there_is_a_kind_for_every_widget() -> None:
    widgets = {
        name
        for name in bertedu.widgets.__all__
        if issubclass(getattr(bertedu.widgets, name), Widget)
    }
    assert set(KINDS) == widgets


def test_a_link_has_its_parts_and_what_stands_around_it() -> None:
    [link] = links(LESSON)
    assert (link.kind, link.parts) == ("AttentionExplorer", {"layer": "3", "token": "dog"})
    assert (link.line, link.title, link.words) == (4, "dog 41.2 %", "layer 3")
    assert link.paragraph == "In layer 3 it is 41.2 %."


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("#AttentionExplorer?", "#Nonsense?", "there is no widget Nonsense"),
        ("#AttentionExplorer?", "#Journey?", "this lesson shows no Journey"),
        ("layer=3", "layer=7", "layer '7' can be 1 to 6"),
        ("layer=3", "layer=x", "layer 'x' can be 1 to 6"),
        ("layer=3", "layr=3", "AttentionExplorer has no 'layr'"),
        ("token=dog", "token=lion", "token 'lion' is not in what the widget shows"),
        ("token=dog", "token=dog.2", "token 'dog.2' is not in what the widget shows"),
        ("token=dog", "view=circles", "view 'circles' can be matrix, lines"),
        ("token=dog", "beside=one", "beside 'one' must look like"),
        ('\n# "dog 41.2 %"', "", "no title says what the widget shows then"),
        ("it is 41.2 %", "it is 41.3 %", "the prose around it does not have 41.2"),
    ],
)
def test_a_broken_link_is_named(right: str, wrong: str, says: str, tmp_path: Path) -> None:
    lesson = tmp_path / "01_lesson.py"
    lesson.write_text(LESSON, encoding="utf-8")
    assert [*problems(lesson)] == []
    lesson.write_text(LESSON.replace(right, wrong, 1), encoding="utf-8")
    [problem] = problems(lesson)
    assert problem.startswith("01_lesson.py, line 4: #")
    assert says in problem


def test_a_text_in_the_link_is_what_its_token_is_sought_in(tmp_path: Path) -> None:
    lesson = tmp_path / "01_lesson.py"
    with_text = LESSON.replace("token=dog", "token=lion&text=a+lion")
    lesson.write_text(with_text, encoding="utf-8")
    assert [*problems(lesson)] == []


def test_in_the_book_a_link_leads_to_its_widget_without_scripts() -> None:
    content = Content({})
    content.add_html('<div class="bertedu-still" data-widget="TryIt">one</div>')
    content.add_markdown(
        '[a](#TryIt?hide=dog "dog"), [b](#TryIt?hide=[MASK]), [c](#Journey?open=1)'
    )
    content.add_html('<div class="bertedu-still" data-widget="TryIt" data-asks="x">two</div>')
    content.add_markdown("[d](#TryIt?hide=cat&off=1.2)")
    *_, last = content.html.partition("two")[0].rpartition('data-asks="x">')
    assert last == (
        '<span id="TryIt?hide=dog"></span><span id="TryIt?hide=[MASK]"></span>'
        '<span id="TryIt?hide=cat&amp;off=1.2"></span>'
    )
    assert 'data-widget="TryIt">one' in content.html
    assert 'title="dog"' in content.html
