"""The ledger of claims: each number of the lessons' text has a cell or a source."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from bertedu.classroom.book.content import Content
from bertedu.classroom.book.site import lesson_pages
from bertedu.classroom.claims import COMPUTED, FOLLOWED, KINDS, Claim, claims
from bertedu.classroom.claims.command import built
from bertedu.classroom.claims.links import link_numbers, placed
from bertedu.classroom.claims.number import numbers
from bertedu.classroom.claims.prose import parse, passages
from bertedu.classroom.claims.sums import holds
from bertedu.classroom.editions import Edition, editions, unexecuted, with_outputs
from bertedu.commands import cli

ROOT = Path(__file__).resolve().parents[1]
CELL_LINK = re.compile(r"\[([^\[\]]+)\]\(#cell-id=([\w-]+)\)")
LESSONS = [path.stem for path in sorted((ROOT / "course").glob("[0-9][0-9]_*.py"))]


@cache
def ledger(*, solved: bool) -> dict[str, list[Claim]]:
    return built(ROOT, solved=solved)


@pytest.mark.parametrize("solved", [True, False], ids=["solutions", "students"])
@pytest.mark.parametrize("lesson", LESSONS)
def test_every_number_of_the_text_has_a_cell_or_a_source(lesson: str, solved: bool) -> None:
    """To mend one: bind it (`{=name}` after it), correct it, cite its source, or delete it."""
    found = ledger(solved=solved)[lesson]
    assert {claim.kind for claim in found} <= {*KINDS, ""}
    assert [(c.number, c.sentence, c.reason) for c in found if not c.kind] == []
    for claim in found:
        assert claim.kind != "source" or claim.line


def test_the_lessons_have_as_many_numbers_as_they_have() -> None:
    """A rule that lost sight of the text would find nothing to complain about."""
    counted = {lesson: len(found) for lesson, found in ledger(solved=True).items()}
    assert sum(counted.values()) > 1500
    assert min(counted.values()) > 20
    followed = [c for found in ledger(solved=True).values() for c in found if c.kind in FOLLOWED]
    assert len(followed) > 500


def claimed(tmp_path: Path, text: str, *cells: tuple[str, str]) -> list[Claim]:
    """Returns the claims of a lesson of one text, before cells that are (code, what it prints)."""
    parts = ["# %% [markdown]", *(f"# {line}" for line in text.splitlines())]
    for code, _ in cells:
        parts += ["", "# %%", code]
    source = tmp_path / "01_lesson.py"
    source.write_text("\n".join(parts) + "\n", encoding="utf-8")
    edition = Edition(source, source, solved=True)
    notebook = unexecuted(edition)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, (_, printed) in zip(code, cells, strict=True):
        cell.outputs = [new_output("stream", text=printed)]
    return [claim for cell in claims(edition, notebook) for claim in cell]


CELL = (
    "print(f'accuracy {right:.1%} of {n} sentences')\nassert right > 0.8",
    "accuracy 83.5% of 40 sentences\n",
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The accuracy is 83.5 %.", "output"),
        ("The accuracy is 84 %.", "output"),  # rounded
        ("The accuracy is 83.4 %.", ""),
        ("The accuracy is 83.54 %.", ""),  # more than is shown
        ("The accuracy is more than 80 %.", "assertion"),
        ("We ask 40 sentences.", "output"),
        ("We ask 40 people.", ""),  # a small number needs its word
        ("We ask 41 sentences.", ""),
        ("We ask 40{=right} people.", "output"),
        ("We ask 41{=right} people.", ""),
        ("We ask 40{=nobody} people.", ""),
        ("We ask 7{=given} people.", "given"),
        ("It takes 7{=source Liu et al. 2019} days.", "source"),
        ("Liu et al. 2019 took 77 days.", "source"),
        ("In lesson 05, section 3, the third of the cases 1 to 4.", "place"),
        ("A head of 7 · 11 = 77 numbers.", "arithmetic"),
        ("A head of 7 · 11 = 78 numbers.", ""),
        ('They say "77 times".', "quoted"),
        ("How much is 77 times that?", "given"),
        ("1 means random, and 0 means follows.", "definition"),
        ("Nearly 77 thousand.", ""),
        ("See [head 77](#attention?head=77).", "picture"),
    ],
)
def test_a_number_finds_what_it_rests_on(text: str, kind: str, tmp_path: Path) -> None:
    kinds = [claim.kind for claim in claimed(tmp_path, text, CELL) if claim.kind != "name"]
    assert kinds
    assert set(kinds) == {kind}


def test_the_line_that_shows_it_is_kept_and_a_mark_is_not_seen(tmp_path: Path) -> None:
    (claim,) = claimed(tmp_path, "We ask 40{=right} people.", CELL)
    assert claim.sentence == "We ask 40 people."
    assert claim.line == "accuracy 83.5% of 40 sentences"
    assert claim.cell
    assert claim.cell.assertions == ["assert right > 0.8"]
    edition = Edition(tmp_path / "01_lesson.py", tmp_path / "x", solved=False)
    assert unexecuted(edition).cells[0].source == "We ask 40 people."


def test_the_nearest_of_two_cells_wins(tmp_path: Path) -> None:
    near, far = ("print(near)", "loss 1.234 nats\n"), ("print(far)", "loss 1.234 nats\n")
    (claim,) = claimed(tmp_path, "The loss is 1.234 nats.", near, far)
    assert claim.cell
    assert claim.cell.source == "print(near)"


def test_another_lessons_number_is_looked_up_there(tmp_path: Path) -> None:
    text = "In lesson 05 the share was 12.34 %."
    assert [c.kind for c in claimed(tmp_path, text, CELL)] == ["place", ""]
    source = tmp_path / "01_lesson.py"
    edition = Edition(source, source, solved=True)
    other = claimed(tmp_path, "It is 12.34 %.", ("print(x)", "share 12.34%\n"))
    assert other[0].cell
    source.write_text(f"# %% [markdown]\n# {text}\n", encoding="utf-8")
    notebook = unexecuted(edition)
    found = [c for cell in claims(edition, notebook, {"05": [other[0].cell]}) for c in cell]
    assert [c.kind for c in found] == ["place", "output"]


@pytest.mark.parametrize(
    ("sum_", "right"),
    [
        ("-log(1/4) = log 4 = 1.39", True),
        ("-log(1/4) = log 4 = 1.38", False),
        ("10⁶ · 256 · 512 = 131,072,000,000", True),
        ("3 · 384 = 1,152", True),
        ("3 · 384 = 1,153", False),
        ("2 + 2", False),
        ("(12 + 12) / (5 · 5) = 0.96", True),
        ("__import__('os') = 1", False),
    ],
)
def test_a_sum_is_done_again(sum_: str, right: bool) -> None:
    assert holds(sum_) is right


def test_headings_code_and_formulas_are_no_text() -> None:
    text = (
        "# 12 heads\n\nThe `13` and $x_{14}$ of **15** dogs.\n\n| a | b |\n|--|--|\n| 16 | 17 |\n"
    )
    found = [n.written for passage in passages(parse(text)) for n in passage.numbers]
    assert found == ["15", "16", "17"]
    assert numbers("GPT-2, L12, F1") == []


def test_a_changed_output_is_a_finding(tmp_path: Path) -> None:
    """What a lesson prints may change by a new checkpoint: its text is then found."""
    (edition,) = (e for e in editions(ROOT, ["06"]) if e.solved)
    notebook = with_outputs(unexecuted(edition), edition.path)
    before = [c for cell in claims(edition, notebook) for c in cell]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = output.text.replace("590,592", "590,593")
    after = [c for cell in claims(edition, notebook) for c in cell]
    lost = [new.number for old, new in zip(before, after, strict=True) if old.kind and not new.kind]
    assert lost == ["590,592"]


def test_the_command_counts_findings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "course").mkdir()
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    text = "# %% [markdown]\n# We ask 4321 people.\n\n# %%\n1 + 1\n"
    (tmp_path / "course" / "01_a.py").write_text(text, encoding="utf-8")
    assert cli.main(["claims", "--root", str(tmp_path)]) == 2
    assert "is not built" in capsys.readouterr().err
    (tmp_path / "notebooks/solutions/01_a.ipynb").write_text(
        '{"cells": [], "metadata": {}}', encoding="utf-8"
    )
    assert cli.main(["claims", "--root", str(tmp_path)]) == 1
    assert "1 numbers, 1 without a cell or a source" in capsys.readouterr().out


# ---- the book


@pytest.fixture(scope="module")
def pages() -> dict[str, Content]:
    (edition,) = (e for e in editions(ROOT, ["08"]) if not e.solved)
    notebook = with_outputs(unexecuted(edition), edition.path)
    notebook.metadata = {"widgets": {}, "executed": "2026-11-30"}
    links = {edition.source.stem: f"{edition.source.stem}.html"}
    return {page.file: page.content for page in lesson_pages({edition: notebook}, links)}


def test_each_number_of_08_leads_to_a_cell_that_is_there(pages: dict[str, Content]) -> None:
    html = pages["08_classification.html"].html
    marks = re.findall(r'<a class="book-claim" id="claim-(\d+)" href="([^"]+)">(.*?)</a>', html)
    assert len(marks) > 40
    data = json.loads(re.findall(r'id="book-claims">(.*?)</script>', html)[0])
    assert data["executed"] == "2026-11-30"
    ids = set(re.findall(r' id="([^"]+)"', html))
    for place, href, shown in marks:
        number, _, kind, _, key, line = data["rows"][int(place)]
        assert shown.split() == number.split()
        assert kind in FOLLOWED
        assert line
        assert href.startswith("claims.html") or href[1:] in ids
        if key:
            cell = data["cells"][key]
            assert cell["href"][1:] in ids
            lines = [" ".join(text.split()) for text in [cell["printed"], cell["code"]]]
            assert kind == "arithmetic" or any(" ".join(line.split()) in text for text in lines)


def test_the_page_of_claims_lists_them_with_their_proof(pages: dict[str, Content]) -> None:
    html, lesson = pages["claims.html"].html, pages["08_classification.html"].html
    ids = set(re.findall(r' id="([^"]+)"', lesson))
    links = re.findall(r'<li><b><a href="08_classification.html#([^"]+)"', html)
    assert len(links) == len(re.findall('class="book-claim"', lesson))
    assert set(links) <= ids
    assert "<code>assert chance &lt; low &lt; same.mean() &lt; 0.7</code> · 2026-11-30" in html
    assert "Reimers and Gurevych 2019" in html
    assert "no cell shows it" not in html


def test_a_text_without_claims_has_no_marks() -> None:
    content = Content({})
    content.add_markdown("We ask 40 people.")
    assert content.html == "<p>We ask 40 people.</p>\n"
    notebook = new_notebook(cells=[new_markdown_cell("40"), new_code_cell("1")])
    content.add_cell(notebook.cells[0], {})
    assert "book-claim" not in content.html


@pytest.mark.parametrize("lesson", ["02", "05", "08"])
def test_in_jupyterlab_each_computed_number_leads_to_its_cell(lesson: str) -> None:
    """And nothing else of the text is changed. (`bertedu notebooks --check`: of all lessons.)"""
    links = 0
    for edition in editions(ROOT, [lesson]):
        notebook = with_outputs(unexecuted(edition), edition.path)
        texts = [cell.source for cell in notebook.cells]
        found = claims(edition, notebook)
        wanted = [
            (claim.number, claim.cell.id)
            for text, here in zip(texts, found, strict=True)
            for _, claim, *_ in placed(parse(text) if here else [], here)
            if claim.kind in COMPUTED and claim.cell and claim.cell.lesson == claim.lesson
        ]
        linked = [cell.source for cell in link_numbers(edition, notebook).cells]
        told = [link for text in linked for link in CELL_LINK.findall(text)]
        assert [(" ".join(number.split()), cell) for number, cell in told] == wanted
        assert {cell for _, cell in told} <= {cell.id for cell in notebook.cells}
        assert [CELL_LINK.sub(r"\1", text) for text in linked] == texts
        links += len(told)
    assert links > 20
