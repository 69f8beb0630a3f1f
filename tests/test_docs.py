"""What the pages say about each other and about the course is true: links, headings, terms."""

import re
from functools import cache
from pathlib import Path

import pytest

from bertedu.classroom.book.content import Content
from bertedu.classroom.lessons import COURSE, LESSONS

ROOT = Path(__file__).parents[1]
SOURCES = {path.stem[:2]: path for path in sorted((ROOT / "course").glob("[0-9][0-9]_*.py"))}
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
    *SOURCES.values(),
]
TEACHING = ROOT / "docs" / "teaching.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
MODEL_CARD = ROOT / "bertedu" / "checkpoints" / "README.md"  # it comes with the weights


@cache
def markdown(page: Path) -> str:
    """Returns a page's text; of a notebook's source, that of its text cells."""
    text = page.read_text("utf-8")
    if page.suffix == ".py":
        cells = re.findall(r"^# %% \[markdown\].*\n((?:#.*\n)*)", text, re.MULTILINE)
        text = re.sub(r"^# ?", "", "\n".join(cells), flags=re.MULTILINE)
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(page: Path) -> list[str]:
    return re.findall(r"^#{1,6} (.+?)\s*$", markdown(page), re.MULTILINE)


def anchor(heading: str) -> str:
    """Returns a heading's anchor as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower())
    return kept.replace(" ", "-")


def links(page: Path) -> list[str]:
    """Returns the targets inside the project, but for widgets (see test_tour.py)."""
    prose = re.sub(r"`[^`\n]*`", "", markdown(page))
    targets = re.findall(r"\]\(<?([^)\s>]+)>?\)", prose)
    return [target for target in targets if not re.match(r"[a-z]+:|#[A-Z]\w*\?", target)]


def broken(page: Path, target: str) -> str:
    """Returns what is wrong with a link, or nothing."""
    name, _, fragment = target.partition("#")
    # A lesson's text is read in notebooks/, where a built notebook stands for each source.
    folder = ROOT / "notebooks" if page.suffix == ".py" else page.parent
    linked = (folder / name).resolve() if name else page
    if linked.suffix == ".ipynb" and linked.parent == ROOT / "notebooks":
        linked = ROOT / "course" / f"{linked.stem}.py"
    if not linked.exists() and linked != MODEL_CARD:
        return f"{target}: there is no {linked.relative_to(ROOT)}"
    if fragment and fragment not in map(anchor, headings(linked)):
        return f"{target}: no heading of {linked.name} has this anchor"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    assert [fault for target in links(page) if (fault := broken(page, target))] == []


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    page = ROOT / "docs" / "teaching.md"
    assert "no heading" in broken(page, "glossary.md#no-such-heading")
    assert "there is no docs/nothing.md" in broken(page, "nothing.md")
    assert broken(page, "glossary.md#text-and-tokens") == ""
    example = tmp_path / "page.md"
    example.write_text("# A `b`, c!\n[x](y.md#z) `[no](link)` [site](https://example.org)\n")
    assert links(example) == ["y.md#z"]
    assert anchor(headings(example)[0]) == "a-b-c"


# --- the teacher's page ---


def lesson_sections() -> dict[str, str]:
    """Returns number -> text of each lesson's section."""
    parts = re.split(r"^### (?=\d\d )", markdown(TEACHING), flags=re.MULTILINE)[1:]
    return {part[:2]: part.partition("\n## ")[0] for part in parts}


def test_every_notebook_has_its_section() -> None:
    assert set(SOURCES) <= set(lesson_sections())
    for number, text in lesson_sections().items():
        assert {"**Aims.**", "**Minutes.**", "**Show", "dispels it"} <= set(
            re.findall(r"\*\*Aims\.\*\*|\*\*Minutes\.\*\*|\*\*Show|dispels it", text)
        ), number


def test_every_section_is_named_as_its_notebook() -> None:
    found = [title for title in headings(TEACHING) if re.match(r"\d\d ", title)]
    titles = {title[:2]: title.replace("-", " ") for title in found}
    for number, source in SOURCES.items():
        assert titles[number] == source.stem.replace("_", " ")
    for name in LESSONS:
        assert titles[name[:2]] == name.replace("_", " ")


def named(text: str) -> list[str]:
    """Returns the notebooks' headings that a text names: in italics, with their number."""
    titles = re.findall(r"(?<!\*)\*((?:\d+\.|Exhibit \d+ ·|Room \d+:) [^*]+)\*", text)
    return [" ".join(title.split()) for title in titles]


def test_every_heading_it_names_is_in_that_notebook() -> None:
    for number, text in lesson_sections().items():
        for other, part in by_lesson(number, text):
            if other in SOURCES:
                missing = [title for title in named(part) if title not in headings(SOURCES[other])]
                assert missing == [], f"lesson {other}"


def by_lesson(number: str, text: str) -> list[tuple[str, str]]:
    """Returns a text in parts, each with its lesson: `13, *5. ...*` speaks of another one."""
    elsewhere = re.compile(r"(?<!\d)(\d\d), (\*\d+\. [^*]+\*(?:, \*\d+\. [^*]+\*)*)")
    parts = [(found[1], found[2]) for found in elsewhere.finditer(text)]
    return [(number, elsewhere.sub("", text)), *parts]


def test_every_heading_in_the_plans_is_in_some_notebook() -> None:
    everything = {title for source in SOURCES.values() for title in headings(source)}
    sections = lesson_sections()
    absent = "".join(text for number, text in sections.items() if number not in SOURCES)
    found = [title for title in named(markdown(TEACHING)) if title not in named(absent)]
    assert len(found) > 60
    assert [title for title in found if title not in everything] == []


def test_every_cell_it_names_can_be_searched_for() -> None:
    parts = {**lesson_sections(), "02": lesson_sections()["02"] + plan_for_02()}
    count = 0
    for number, text in parts.items():
        source = SOURCES[number].read_text("utf-8") if number in SOURCES else ""
        for names in re.findall(r"cells? ((?:`[^`]+`(?: and )?)+)", text):
            for name in re.findall(r"`([^`]+)`", names):
                assert not source or name in source, f"lesson {number}: no cell has {name!r}"
                count += 1
    assert count > 12


def plan_for_02() -> str:
    _, _, rest = markdown(TEACHING).partition("## Lesson 02, minute by minute\n")
    return rest.partition("\n## ")[0]


def test_the_plan_of_lesson_02_follows_the_notebook() -> None:
    minutes = [int(minute) for minute in re.findall(r"^\| (\d+) \|", plan_for_02(), re.MULTILINE)]
    assert len(minutes) > 12
    assert minutes == sorted(set(minutes))
    assert minutes[-1] < 90
    rows = "\n".join(re.findall(r"^\| \d+ \|.*$", plan_for_02(), re.MULTILINE))
    order = [headings(SOURCES["02"]).index(title) for title in named(rows)]
    assert order == sorted(order)


# --- the glossary ---

ROW = re.compile(r"^\| (?!term|:--)" + r"([^|]+?) \| " * 4 + r"(\d\d) \|$", re.MULTILINE)
TERMS = ROW.findall(GLOSSARY.read_text("utf-8"))


def test_the_glossary_is_whole() -> None:
    assert len(TERMS) >= 94
    table_lines = [x for x in GLOSSARY.read_text("utf-8").splitlines() if x.startswith("| ")]
    headers = sum(line.startswith("| term") for line in table_lines)
    assert len(TERMS) == len(table_lines) - headers  # no row is left out by its form
    names = [term.lower() for term, *_ in TERMS]
    assert len(set(names)) == len(names)  # one word a concept
    for column in (1, 2):
        chinese = [row[column] for row in TERMS]
        assert len(set(chinese)) == len(chinese)


@pytest.mark.parametrize("row", TERMS, ids=[row[0] for row in TERMS])
def test_a_term_occurs_in_the_lesson_that_it_names(row: tuple[str, ...]) -> None:
    term, mainland, taiwan, meaning, lesson = row
    assert re.search(r"[一-鿿]", mainland)
    assert re.search(r"[一-鿿]", taiwan)
    assert meaning.endswith(".")
    assert any(name.startswith(lesson) for name in LESSONS)
    assert occurs(term, markdown(SOURCES[lesson]))


def occurs(term: str, text: str) -> bool:
    """Returns whether a term stands in a text as a word of its own, or in the plural."""
    word = re.escape(term.strip("`"))
    return bool(re.search(rf"(?<!\w){word}s?(?!\w)", " ".join(text.split()), re.IGNORECASE))


# A term is marked where it is introduced, by a link to its section of the glossary.
MARKED = re.compile(r"\[\*\*([^*]+)\*\*\]\(\.\./docs/glossary\.md#([\w-]+)\)")


def marked(text: str) -> list[tuple[str, str]]:
    """Returns each marked term of a lesson's text, with the section that its mark leads to."""
    return [(" ".join(term.split()), section) for term, section in MARKED.findall(text)]


def of_the_glossary(term: str) -> str:
    """Returns the glossary's form of a term, or nothing."""
    return next(
        (row[0] for row in TERMS if re.fullmatch(re.escape(row[0]) + "s?", term, re.IGNORECASE)), ""
    )


def section_of_terms() -> dict[str, str]:
    parts = re.split(r"^## ", GLOSSARY.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {row[0]: anchor(part.partition("\n")[0]) for part in parts for row in ROW.findall(part)}


@pytest.mark.parametrize("number", sorted(SOURCES))
def test_a_lesson_marks_each_term_that_it_introduces_once(number: str) -> None:
    found = marked(markdown(SOURCES[number]))
    assert [term for term, _ in found if not of_the_glossary(term)] == []
    names = [of_the_glossary(term) for term, _ in found]
    assert sorted(names) == sorted(row[0] for row in TERMS if row[4] == number)
    sections = section_of_terms()
    assert [name for name, (_, at) in zip(names, found, strict=True) if sections[name] != at] == []


def test_a_mark_is_a_bold_link_to_the_glossary() -> None:
    text = "**bold**, [**masked\nlanguage models**](../docs/glossary.md#pretraining), [a](b.md)"
    assert marked(text) == [("masked language models", "pretraining")]
    assert of_the_glossary("Masked language models") == "masked language model"
    assert of_the_glossary("`[PAD]`") == "`[PAD]`"
    assert of_the_glossary("nonsense") == ""


def test_a_part_of_a_word_is_no_term() -> None:
    assert occurs("head", "All heads, *the* Head.")
    assert occurs("`[PAD]`", "filled with `[PAD]`")
    assert occurs("linear classifier", "a linear\nclassifier")
    assert not occurs("head", "It goes ahead.")
    assert not occurs("label", "labelled")


# --- how each lesson opens and ends ---

OPTION = re.compile(
    r'^<details class="option"><summary>(.+?)</summary>\n\n\*\*(Yes|No)\.\*\* (.+?)\n\n</details>$',
    re.MULTILINE | re.DOTALL,
)
WITH_QUIZ = sorted(set(SOURCES) - {"00"})


def quiz(number: str) -> dict[str, list[tuple[str, str, str]]]:
    """Returns each question of a lesson's test: its options, each Yes or No, and why."""
    _, _, rest = markdown(SOURCES[number]).partition("\n## Test yourself\n")
    part = re.split(r"^(?:## |\*\*Next:)", rest, maxsplit=1, flags=re.MULTILINE)[0]
    found = re.split(r"^\*\*(\d\. .+?)\*\*$", part, flags=re.MULTILINE | re.DOTALL)[1:]
    return {
        title: OPTION.findall(text) for title, text in zip(found[::2], found[1::2], strict=True)
    }


@pytest.mark.parametrize("number", sorted(SOURCES))
def test_a_lesson_opens_with_its_question_and_ends_with_the_answer(number: str) -> None:
    (lesson,) = [lesson for lesson in COURSE if lesson.name.startswith(number)]
    text = markdown(SOURCES[number])
    assert re.match(rf"# .+\n\n\*\*{re.escape(lesson.question)}\*\*\n\n", text)
    recap = re.search(r"^## (?:\d+\. )?Recap.*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert recap
    answers = re.findall(
        r"^\*\*The answer:\*\* ([^\n].+?)(?:\n\n|\Z)", recap[0], re.MULTILINE | re.DOTALL
    )
    assert len(answers) == 1
    assert re.fullmatch(r"[A-Z].{40,}\.", " ".join(answers[0].split()))


@pytest.mark.parametrize("number", WITH_QUIZ)
def test_a_lesson_ends_with_three_questions_whose_every_option_is_explained(number: str) -> None:
    questions = quiz(number)
    assert len(questions) == 3
    for title, options in questions.items():
        assert title.endswith("?"), title
        letters = [" ".join(text.split())[:3] for text, _, _ in options]
        assert letters == ["A. ", "B. ", "C. ", "D. "][: max(3, len(options))]
        assert [word for _, word, _ in options].count("Yes") == 1, title
        assert all(len(why.split()) > 4 and why.endswith(".") for _, _, why in options), title


@pytest.mark.parametrize("number", WITH_QUIZ)
def test_the_right_option_is_not_always_at_the_same_place(number: str) -> None:
    words = [[word for _, word, _ in options] for options in quiz(number).values()]
    assert len({of_one.index("Yes") for of_one in words}) > 1


def test_the_book_keeps_what_folds_and_tells_the_right_option() -> None:
    book = Content({})
    book.add_markdown(
        '<details class="option"><summary>\nA. <b>No</b>\n<code>x</code>\n</summary>\n\n'
        "**No.** A *wrong* one.\n\n</details>\n\n"
        '<details class="option"><summary>B.</summary>\n\n**Yes.** It is.\n\n</details>\n\n'
        "<details onclick=x><summary>C.</summary>\n\n</details>"
    )
    assert '<details class="option"><summary>A. &lt;b&gt;No&lt;/b&gt; <code>x</code>' in book.html
    assert "<p><strong>No.</strong> A <em>wrong</em> one.</p>\n</details>" in book.html
    assert '<details class="option right"><summary>B.</summary>' in book.html
    assert "<details onclick" not in book.html


# --- the page of the lecture notes ---

NOTES = ROOT / "docs" / "notes.md"
VERDICTS = re.compile(r"\*\*(true|partly|false|a slip)\*\*")


def test_every_claim_of_the_notes_has_its_verdict_and_its_section() -> None:
    rows = re.findall(r"^\| (?!claim|:--)(.+) \|$", NOTES.read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 25
    for row in rows:
        claim, verdict, shown = row.split(" | ")
        assert VERDICTS.match(verdict), claim
        assert "../notebooks/" in shown or shown == "the same section", claim


def test_the_section_that_a_link_names_is_the_one_it_leads_to() -> None:
    found = re.findall(r"\[\*([^*]+)\*\]\([^)#]+#([^)]+)\)", NOTES.read_text("utf-8"))
    assert len(found) >= 25
    assert [title for title, fragment in found if anchor(title) != fragment] == []


def test_readers_find_the_page_of_the_notes() -> None:
    for page in (ROOT / "README.md", TEACHING, SOURCES["00"]):
        assert any(target.endswith("notes.md") for target in links(page)), page.name
