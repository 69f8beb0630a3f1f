"""The builder of the notebooks, on small courses made for each test."""

import argparse
import base64
import html
import json
import re
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bertedu.classroom import notebooks, stills
from bertedu.classroom.editions import BEGIN, END, METADATA, editions, unexecuted, without_solutions
from bertedu.classroom.stills import BROWSERS, SHARPNESS, as_image
from bertedu.errors import InputError
from bertedu.widgets import MaskExplorer
from bertedu.widgets.palette import LIGHT
from bertedu.widgets.words import visible_text

REPO_ROOT = Path(__file__).parent.parent
SANITIZE = REPO_ROOT / "tests" / "notebooks" / "sanitize.cfg"

SOURCE = '''\
# %% [markdown]
# # A small lesson

# %%
import matplotlib.pyplot as plt
import ipywidgets
print({"the", "order", "of", "a", "set", "of", "strings"})

# %% tags=["nbval-check-output"]
numbers = {f"item{i}" for i in range(20)}  # noqa: C401
print(sorted(numbers)[:3])
print(6 * 7)
assert 6 * 7 == 42

# %% tags=["nbval-check-output"]
_ = plt.plot([1, 2, 4])

# %%
ipywidgets.IntSlider(3)

# %% [markdown]
# ## Exercise

# %%
def double(number):
    """Returns twice the number."""
    # BEGIN SOLUTION
    return 2 * number
    # END SOLUTION


# %%
# BEGIN SOLUTION
guess = double(2)
# END SOLUTION

# %%
print("not done yet" if guess is ... else guess == 4)

# %% [markdown] tags=["solution"]
# Because two times two is four.
'''


def course(folder: Path, source: str = SOURCE, name: str = "01_small") -> Path:
    (folder / "course").mkdir(parents=True, exist_ok=True)
    (folder / "course" / f"{name}.py").write_text(source, encoding="utf-8")
    return folder


def bertedu_notebooks(root: Path, *words: str) -> tuple[int, str]:
    """The command's exit code and what it said."""
    parser = argparse.ArgumentParser()
    notebooks.add_arguments(parser)
    said: list[str] = []
    code = notebooks.run(parser.parse_args([*words, "--root", str(root)]), said.append)
    return code, "\n".join(said)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def outputs(notebook: dict) -> str:
    return json.dumps([cell.get("outputs") for cell in notebook["cells"]])


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    root = course(tmp_path_factory.mktemp("built"))
    code, said = bertedu_notebooks(root)
    assert code == 0, said
    assert re.search(r"01_small  \d+\.\d s  \d+ kB\nsolutions/01_small  \d+\.\d s", said)
    return root


def test_built_twice_is_byte_identical(built, tmp_path):
    again = course(tmp_path)
    assert bertedu_notebooks(again)[0] == 0
    for path in ("notebooks/01_small.ipynb", "notebooks/solutions/01_small.ipynb"):
        assert (again / path).read_bytes() == (built / path).read_bytes()


def test_new_text_keeps_the_outputs_and_new_code_is_refused(built, tmp_path):
    root = Path(shutil.copytree(built, tmp_path / "again"))
    before = [read(path) for path in sorted(root.rglob("*.ipynb"))]
    source = (root / "course/01_small.py").read_text(encoding="utf-8")
    course(root, source.replace("two times two is four", "4 is 2 · 2"))
    assert bertedu_notebooks(root, "--check")[0] == 1
    assert bertedu_notebooks(root, "--text")[0] == 0
    assert bertedu_notebooks(root, "--check")[0] == 0
    after = [read(path) for path in sorted(root.rglob("*.ipynb"))]
    assert [outputs(notebook) for notebook in after] == [outputs(notebook) for notebook in before]
    assert "4 is 2 · 2" in str(after[1])
    for code_changed in (
        source.replace("2 * number", "number + number"),
        source.replace("# %%\n# BEGIN SOLUTION\nguess = double(2)\n# END SOLUTION\n", ""),
    ):
        assert code_changed != source
        course(root, code_changed)
        code, said = bertedu_notebooks(root, "--text")
        assert code == 1
        assert "solutions/01_small  FAILED in a notebook whose code has changed: build it" in said
    assert read(root / "notebooks/solutions/01_small.ipynb") == after[1]


def test_a_source_that_changes_while_it_is_built_is_said(tmp_path):
    root = tmp_path
    changes = (
        f"from pathlib import Path\nPath({str(root)!r}, 'course/01_small.py').write_text('')\n"
    )
    course(root, f"# %% [markdown]\n# 2 words\n\n# %%\n{changes}")
    code, said = bertedu_notebooks(root)
    assert code == 1
    assert "FAILED in 01_small.py has changed meanwhile: run it again" in said
    assert not (root / "notebooks/01_small.ipynb").exists()


def test_outputs_are_kept_and_nothing_of_the_moment_is(built):
    notebook = read(built / "notebooks/01_small.ipynb")
    assert notebook["metadata"] == METADATA
    assert "42" in outputs(notebook)
    assert "image/png" in outputs(notebook)
    assert "IntSlider(value=3)" in outputs(notebook)
    assert "widget-view" not in outputs(notebook)
    for cell in notebook["cells"]:
        assert set(cell["metadata"]) <= {"tags"}


def test_a_new_cell_leaves_the_other_ids_as_they_were(built, tmp_path):
    longer = course(tmp_path, SOURCE.replace("# %%\nimport", "# %%\nnew = 1\n\n# %%\nimport", 1))
    (edition, _) = editions(longer)
    (old, _) = editions(built)
    old_ids = {cell.source: cell.id for cell in unexecuted(old).cells}
    new_ids = {cell.source: cell.id for cell in unexecuted(edition).cells}
    assert new_ids.pop("new = 1") not in old_ids.values()
    assert new_ids == old_ids


def test_a_number_and_its_percent_sign_stay_on_one_line(tmp_path):
    text = 'It is 4 %, 19{=given} %, `5 %` and [so](#Widget?at=1 "6 % of all").'
    (edition, _) = editions(course(tmp_path, f"# %% [markdown]\n# {text}\n"))
    (shown,) = [cell.source for cell in unexecuted(edition).cells if "It is" in cell.source]
    apart = text.replace("{=given}", "")
    assert shown == apart.replace(" %,", "\N{NO-BREAK SPACE}%,", 2)


def test_students_get_stubs_and_run_all_goes_through(built):
    student = read(built / "notebooks/01_small.ipynb")
    solved = read(built / "notebooks/solutions/01_small.ipynb")
    code = "\n".join("".join(cell["source"]) for cell in student["cells"])
    assert "return ...  # not done yet: your code here" in code
    assert "guess = ...  # not done yet: your code here" in code
    for secret in ("2 * number", "SOLUTION", "two times two", "noqa"):
        assert secret not in code
    assert "not done yet" in outputs(student)
    assert "not done yet" not in outputs(solved)
    assert "True" in outputs(solved)
    assert "two times two" in str(solved["cells"][-1]["source"])


@pytest.mark.parametrize(
    ("solution", "stub"),
    [
        ("a, (b, c) = [1, (2, 3)]", "a = ...|b = ...|c = ..."),
        ("squares = [n * n for n in range(3)]", "squares = ..."),
        ("half = 1\nhalf = half / 2", "half = ..."),
    ],
)
def test_a_stub_names_what_the_solution_assigns(solution, stub):
    code = f"{BEGIN}\n{solution}\n{END}"
    lines = without_solutions(code).splitlines()
    assert "|".join(line.split("  #")[0] for line in lines) == stub


@pytest.mark.parametrize(
    "code",
    [
        f"{BEGIN}\nanswer = 1",
        f"answer = 1\n{END}",
        f"{BEGIN}\nprint('no name, no return')\n{END}",
    ],
)
def test_a_block_that_would_leak_or_leave_nothing_is_refused(code):
    with pytest.raises(InputError):
        without_solutions(code)


def test_what_tells_a_guess_from_the_truth_is_folded_for_students(tmp_path):
    (tmp_path / "course").mkdir()
    source = tmp_path / "course" / "01_small.py"
    source.write_text("# %%\nmine = 3\n\n# %%\nchecks.guess(mine, 4)\n", encoding="utf-8")
    student, solved = (unexecuted(edition) for edition in editions(tmp_path))
    folded = {"jupyter": {"outputs_hidden": True}}
    assert [cell.metadata for cell in student.cells] == [{}, folded]
    assert [cell.metadata for cell in solved.cells] == [{}, {}]


def test_check_is_silent_about_outputs_and_names_a_changed_source(built, tmp_path):
    root = course(tmp_path)
    for path in ("notebooks/01_small.ipynb", "notebooks/solutions/01_small.ipynb"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes((built / path).read_bytes().replace(b"42\\n", b"43\\n"))
    assert bertedu_notebooks(root, "--check") == (0, "2 notebooks up to date")

    course(root, SOURCE.replace("A small lesson", "A lesson"))
    code, said = bertedu_notebooks(root, "--check")
    assert code == 1
    assert "stale: notebooks/01_small.ipynb differs from its source from cell 1 on" in said
    assert "mend with: bertedu notebooks 01_small" in said


def test_check_names_the_missing_the_unexecuted_the_broken_and_the_orphan(built, tmp_path):
    root = course(tmp_path)
    assert "01_small.ipynb is not built" in bertedu_notebooks(root, "--check")[1]

    student = root / "notebooks/01_small.ipynb"
    student.parent.mkdir(exist_ok=True)
    notebook = read(built / "notebooks/01_small.ipynb")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["execution_count"], cell["outputs"] = None, []
    student.write_text(json.dumps(notebook), encoding="utf-8")
    said = bertedu_notebooks(root, "--check")[1]
    assert "was not executed at 'import matplotlib.pyplot as plt'" in said

    student.write_text("<<<<<<< HEAD", encoding="utf-8")
    assert "01_small.ipynb is not a notebook" in bertedu_notebooks(root, "--check")[1]

    (root / "notebooks/07_gone.ipynb").write_text("{}", encoding="utf-8")
    code, said = bertedu_notebooks(root, "--check")
    assert code == 1
    assert "orphan: notebooks/07_gone.ipynb has no source in course/; delete it" in said


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("print('before')\n1 / 0", "cell 1: ZeroDivisionError: division by zero"),
        ("import os\nos._exit(1)", "cell 1: ended the kernel"),
    ],
)
def test_a_failing_cell_is_named_and_the_old_file_stays(tmp_path, cell, reason):
    root = course(tmp_path, f"# %%\n{cell}\n")
    old = root / "notebooks/01_small.ipynb"
    old.parent.mkdir()
    old.write_text("the one before", encoding="utf-8")
    code, said = bertedu_notebooks(root)
    assert code == 1
    assert f"01_small  FAILED in {reason}" in said
    assert f"  | {cell.splitlines()[0]}" in said
    assert old.read_text(encoding="utf-8") == "the one before"
    assert sorted(path.name for path in old.parent.iterdir()) == ["01_small.ipynb", "solutions"]


def test_a_cell_has_its_time_and_no_more(tmp_path):
    (edition, _) = editions(course(tmp_path, "# %%\nwhile True: pass\n"))
    with pytest.raises(notebooks.CellError, match=r"cell 1: took longer than 1 seconds"):
        notebooks.executed(unexecuted(edition), tmp_path, seconds=1)


def test_what_an_author_should_look_at_again_is_said(tmp_path):
    long_cell = "\n".join(f"x{i} = {i}" for i in range(15))
    source = f"# %%\n{long_cell}\n\n# %%\nimport sys\nprint('oh', file=sys.stderr)\n\n"
    source += "# %%\nprint('not done yet')\n"
    code, said = bertedu_notebooks(course(tmp_path, source))
    assert code == 0
    assert "look again: 15 lines in the cell that begins 'x0 = 0'" in said
    assert "look again: stderr from the cell that begins 'import sys'" in said
    assert "look again: no assertion" in said
    assert said.count("'not done yet' although solved") == 1


def test_names_choose_and_a_wrong_one_is_answered(tmp_path):
    root = course(course(tmp_path), name="02_other")
    assert [e.name for e in editions(root, ["02"])] == ["02_other", "solutions/02_other"]
    with pytest.raises(InputError, match=r"no notebook '03'.*there are: 01_small, 02_other"):
        editions(root, ["03"])
    with pytest.raises(InputError, match="no course/ in"):
        bertedu_notebooks(tmp_path / "course")


@pytest.mark.parametrize(
    "path", sorted((REPO_ROOT / "notebooks/solutions").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_the_courses_own_solutions_satisfy_their_checks(path):
    said = outputs(read(path))
    assert "not done yet" not in said
    assert "not yet; you have" not in said


def nbval(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"]
    command += ["--nbval-lax", "--nbval-current-env", "--nbval-sanitize-with", str(SANITIZE)]
    command.append(str(folder))
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )


def test_nbval_passes_on_another_machines_pictures_and_fails_on_another_number(built, tmp_path):
    text = (built / "notebooks/01_small.ipynb").read_text(encoding="utf-8")
    picture = re.search(r'"image/png": "([^"]{40})', text)[1]
    copy = tmp_path / "01_small.ipynb"

    copy.write_text(text.replace(picture, "iVBORw0KGgo" + "A" * 29), encoding="utf-8")
    same = nbval(tmp_path)
    assert same.returncode == 0, same.stdout

    copy.write_text(text.replace('"42\\n"', '"43\\n"'), encoding="utf-8")
    other = nbval(tmp_path)
    assert other.returncode == 1, other.stdout
    assert "1 failed" in other.stdout
    assert "mismatch 'stdout'" in other.stdout


def test_a_link_out_of_the_notebooks_leads_there_from_the_solutions_too(tmp_path):
    (tmp_path / "course").mkdir()
    text = "# %% [markdown]\n# A [page](../docs/notes.md), and [the next lesson](02_two.ipynb).\n"
    (tmp_path / "course" / "01_one.py").write_text(text)
    texts = {edition.solved: unexecuted(edition).cells[0].source for edition in editions(tmp_path)}
    assert texts[False] == "A [page](../docs/notes.md), and [the next lesson](02_two.ipynb)."
    assert texts[True] == "A [page](../../docs/notes.md), and [the next lesson](02_two.ipynb)."


WIDGET = """\
# %% tags=["nbval-check-output"]
import ipywidgets
from bertedu.widgets import MaskExplorer
shown = MaskExplorer("my dog is hairy", "<b> likes &")
shown

# %%
shown.settings = shown.settings | {"rate": 100}
assert len(shown.fates)

# %%
ipywidgets.IntSlider(3)
"""


def html_of(notebook: dict) -> str:
    (output,) = notebook["cells"][0]["outputs"]
    assert set(output["data"]) == {"text/html", "text/plain"}
    return "".join(output["data"]["text/html"])


def test_a_widget_is_shown_as_a_browser_draws_it(tmp_path):
    """As it stands after the last cell, with what it says as the picture's words."""
    if not any(map(shutil.which, BROWSERS)):
        pytest.skip("no browser is installed")
    root = course(tmp_path, WIDGET)
    code, said = bertedu_notebooks(root)
    assert code == 0
    assert "look again" not in said
    student, solved = (
        read(root / f"notebooks/{name}.ipynb") for name in ("01_small", "solutions/01_small")
    )
    assert "widget-view" not in outputs(student)
    assert student["metadata"] == METADATA
    alt, width, packed = re.fullmatch(
        r'<img alt="([^"]+)" width="(\d+)" src="data:image/webp;base64,([^"]+)">', html_of(student)
    ).groups()
    twin = MaskExplorer("my dog is hairy", "<b> likes &")
    twin.settings = twin.settings | {"rate": 100}
    assert html.unescape(alt) == repr(twin)
    picture = Image.open(BytesIO(base64.b64decode(packed))).convert("RGB")
    assert picture.width == SHARPNESS * int(width)
    shades = {colour for _, colour in picture.getcolors(1 << 20)}
    for name in ("paper", "segment-a", "segment-b", "mask"):
        assert tuple(bytes.fromhex(LIGHT[name][1:])) in shades, name
    assert len(packed) < 120_000
    assert html_of(solved) == html_of(student)  # the same to the last byte

    # A reader's kernel has words there: to nbval the same, as is another machine's picture.
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(root / "notebooks/01_small.ipynb", alone)
    same = nbval(alone)
    assert same.returncode == 0, same.stdout


def test_without_a_browser_a_widget_is_told_in_words_and_its_author_hears_of_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(stills, "BROWSERS", ())
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "nothing"))
    root = course(tmp_path, WIDGET)
    [note] = notebooks.build(editions(root)[0])
    assert note.startswith("its widgets are told in words, not shown as pictures: no browser ")
    told = html_of(read(root / "notebooks/01_small.ipynb"))
    assert told == MaskExplorer("my dog is hairy", "<b> likes &").to_words()


@given(st.text(max_size=20))
def test_a_picture_is_one_image_whatever_is_said_of_it(alt):
    markup = as_image(b"<svg/>", "svg+xml", visible_text(alt), 7)
    [shown] = ET.fromstring(f"<p>{markup[:-1]}/></p>")
    assert shown.tag == "img"
    assert shown.attrib["alt"] == visible_text(alt)
