"""The book: every link leads somewhere, nothing is fetched, and text stays text."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bertedu.classroom.book.content import Content
from bertedu.classroom.book.site import executed_lesson, write
from bertedu.classroom.editions import Edition
from bertedu.classroom.notebooks import CellError
from bertedu.commands import cli
from bertedu.errors import InputError

ROOT = Path(__file__).parent.parent
LESSON = """# %% [markdown]
# # 01 · A lesson
# A link to [the second](02_two.ipynb#steps), one to [nothing](../Makefile), and a `$` sign.
# ## 4. Split words into pieces
# The page of the lecture notes leads to this heading.
# ## Steps
# $$\\frac{a}{b}$$
# <img src=x onerror="window.hurt=1">

# %%
from bertedu.widgets import MaskExplorer
shown = MaskExplorer("</script><script>window.hurt=1</script>")
shown

# %%
print("zebra" * 2, "<b>")
"""
SECOND = "# %% [markdown]\n# # 02 · Another\n# ## Steps\n# A giraffe.\n\n# %%\n1 + 1\n"


class Elements(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif tag == "a" and name == "href":
                self.links.append(value or "")
            elif name in {"src", "href", "srcset", "poster", "data", "action"}:
                self.sources.append(value or "")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("course")
    (folder / "course").mkdir()
    (folder / "course" / "01_wordpiece.py").write_text(LESSON, encoding="utf-8")
    (folder / "course" / "02_two.py").write_text(SECOND, encoding="utf-8")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copyfile(ROOT / "README.md", folder / "README.md")
    return folder


@pytest.fixture(scope="module")
def book(root: Path) -> dict[str, str]:
    write(root, root / "out", say=lambda line: None)
    return {file.name: file.read_text(encoding="utf-8") for file in (root / "out").iterdir()}


def test_all_links_lead_to_a_page_and_a_place_in_it(book) -> None:
    pages = {name: Elements(html) for name, html in book.items() if name.endswith(".html")}
    assert set(pages) >= {"index.html", "01_wordpiece.html", "glossary.html", "about.html"}
    for name, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), name
        for link in page.links:
            if link.startswith("https://"):
                continue
            file, _, anchor = link.removesuffix("?slides").partition("#")
            assert not anchor or anchor in pages[file or name].ids, (name, link)
            assert (file or name) in pages, (name, link)
    assert "02_two.html#steps" in pages["01_wordpiece.html"].links


def test_nothing_is_fetched_but_the_books_own_files(book) -> None:
    for name, html in book.items():
        if name.endswith(".html"):
            fetched = [s for s in Elements(html).sources if not s.startswith(("data:", "#"))]
            assert set(fetched) <= {"book.css", "book.js", "claims.js", "deck.js"}, name
    assert "url(" not in book["book.css"]
    assert "@import" not in book["book.css"]
    assert sum(map(len, book.values())) < 2_000_000


def test_the_search_knows_every_section(book) -> None:
    sections = json.loads(book["search.js"].removeprefix("window.BOOK_SECTIONS = ").rstrip(";\n"))
    (giraffe,) = [section for section in sections if "giraffe" in section["text"]]
    assert (giraffe["page"], giraffe["anchor"]) == ("02_two.html", "steps")
    for section in sections:
        assert f'id="{section["anchor"]}"' in book[section["page"]]


def test_text_is_text_and_a_formula_a_picture(book) -> None:
    html = book["01_wordpiece.html"]
    assert "<img src=x" not in html
    assert "<script>window.hurt" not in html
    assert "zebrazebra &lt;b&gt;" in html
    assert 'alt="\\frac{a}{b}"' in html
    assert html.count('data-widget="MaskExplorer"') == 1


def test_a_formula_that_cannot_be_set_is_named() -> None:
    with pytest.raises(InputError, match="nonsense"):
        Content({}).add_markdown("# A\n\n$$\\nonsense{x}$$")


def test_a_lesson_is_executed_once_and_again_when_it_changes(root, book, monkeypatch) -> None:
    def refused(*args: object, **options: object) -> None:
        raise CellError("executed again")

    monkeypatch.setattr("bertedu.classroom.book.site.executed", refused)
    source = root / "course" / "02_two.py"
    edition = Edition(source, root / "notebooks" / "02_two.ipynb", solved=False)
    assert executed_lesson(edition, root / "build/book-cache").cells
    said: list[str] = []
    source.write_text(SECOND.replace("1 + 1", "1 / 0"), encoding="utf-8")
    with pytest.raises(CellError, match="02_two, executed again"):
        write(root, root / "other", say=said.append)
    source.write_text(SECOND, encoding="utf-8")
    assert not (root / "other").exists()


def test_no_folder_is_replaced_but_a_book(root, tmp_path, capsys) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert cli.main(["site", "--root", str(root), "--out", str(tmp_path)]) == 2
    assert "is not empty and is no book" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()
