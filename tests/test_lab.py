"""`bertedu lab`: the course comes with the wheel, and never over what its reader has done."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from bertedu.commands import cli, lab
from bertedu.errors import CheckpointError
from tests.conftest import REPO_ROOT

LESSON = Path("notebooks/01_a.ipynb")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Returns the folder of a small course as it came."""
    for name in ("notebooks/00_start_here.ipynb", LESSON, "notebooks/solutions/01_a.ipynb"):
        write(tmp_path / "given" / name, f"{name}, first edition")
    write(tmp_path / "given/course/01_a.py", "source")
    write(tmp_path / "given/notebooks/.ipynb_checkpoints/01_a-checkpoint.ipynb", "Jupyter's")
    return tmp_path / "given"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return tmp_path / "my course"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def content(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != lab.BROUGHT)
    return {file.relative_to(folder).as_posix(): file.read_text() for file in files}


def test_the_course_is_copied_whole_and_only_it(course, mine):
    assert lab.bring(course, mine) == []
    expected = content(course)
    del expected["notebooks/.ipynb_checkpoints/01_a-checkpoint.ipynb"]
    assert content(mine) == expected
    assert len(expected) == 4
    assert lab.bring(course, mine) == []
    assert content(mine) == expected


def test_a_new_version_replaces_what_nobody_changed(course, mine):
    lab.bring(course, mine)
    write(course / LESSON, "second edition")
    assert lab.bring(course, mine) == []
    assert (mine / LESSON).read_text() == "second edition"


def test_a_new_version_stands_beside_what_was_changed(course, mine):
    lab.bring(course, mine)
    write(mine / LESSON, "my answers")
    assert lab.bring(course, mine) == []  # nothing is newer
    write(course / LESSON, "second edition")
    assert lab.bring(course, mine) == [mine / "notebooks/01_a.new.ipynb"]
    assert lab.bring(course, mine) == []  # said once
    write(mine / "notebooks/01_a.new.ipynb", "my answers to the second")
    write(course / LESSON, "third edition")
    assert lab.bring(course, mine) == [mine / "notebooks/01_a.new2.ipynb"]
    assert {name: text for name, text in content(mine).items() if "/01_a." in name} == {
        "notebooks/01_a.ipynb": "my answers",
        "notebooks/01_a.new.ipynb": "my answers to the second",
        "notebooks/01_a.new2.ipynb": "third edition",
        "notebooks/solutions/01_a.ipynb": "notebooks/solutions/01_a.ipynb, first edition",
        "course/01_a.py": "source",
    }


@pytest.mark.parametrize("note", [None, "{", "[]"])
def test_without_its_note_every_other_file_counts_as_the_readers(course, mine, note):
    lab.bring(course, mine)
    write(course / LESSON, "second edition")
    (mine / lab.BROUGHT).unlink()
    if note:
        write(mine / lab.BROUGHT, note)
    assert lab.bring(course, mine) == [mine / "notebooks/01_a.new.ipynb"]
    assert (mine / LESSON).read_text() == f"{LESSON}, first edition"
    assert json.loads((mine / lab.BROUGHT).read_text())


def test_a_file_that_was_deleted_comes_again(course, mine):
    lab.bring(course, mine)
    (mine / LESSON).unlink()
    assert lab.bring(course, mine) == []
    assert (mine / LESSON).read_text() == f"{LESSON}, first edition"


def test_a_folder_that_cannot_hold_it_is_one_sentence(course, tmp_path):
    write(tmp_path / "file", "in the way")
    with pytest.raises(CheckpointError, match="file cannot hold the course: "):
        lab.bring(course, tmp_path / "file")


@pytest.fixture
def started(monkeypatch) -> list[str]:
    """Returns the words with which JupyterLab is started, which it is not."""
    words: list[str] = []
    monkeypatch.setattr(lab, "start", lambda given: words.extend(given) or 7)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    return words


def test_the_lab_opens_the_first_lesson_with_the_courses_settings(
    course, mine, started, monkeypatch, capsys
):
    monkeypatch.setattr(lab, "given", lambda: course)
    assert cli.main(["lab", "--folder", str(mine), "--", "--port=9999"]) == 7
    assert started[1:4] == ["-m", "jupyterlab", "--log-level=WARN"]
    assert f"--ServerApp.root_dir={mine}" in started
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in started
    assert started[-1] == "--port=9999"
    assert os.environ["JUPYTER_CONFIG_PATH"] == f"{course / '.jupyter'}{os.pathsep}mine"
    assert str(mine / lab.FIRST) in capsys.readouterr().out
    assert (mine / LESSON).is_file()


def test_a_changed_file_is_named(course, mine, started, monkeypatch, capsys):
    monkeypatch.setattr(lab, "given", lambda: course)
    write(mine / LESSON, "my answers")
    assert cli.main(["lab", "--folder", str(mine), "--copy-only"]) == 0
    assert str(mine / "notebooks/01_a.new.ipynb") in capsys.readouterr().out
    assert started == []


def test_a_checkout_is_opened_as_it_is(started, monkeypatch, tmp_path):
    monkeypatch.chdir(REPO_ROOT)
    monkeypatch.setattr(lab, "bring", lambda source, folder: pytest.fail("it copies"))
    assert cli.main(["lab", "--folder", "."]) == 7
    assert f"--ServerApp.root_dir={REPO_ROOT}" in started
    assert (REPO_ROOT / lab.FIRST).is_file()


def test_a_missing_lab_or_course_is_one_sentence(course, mine, monkeypatch, capsys):
    monkeypatch.setattr(lab, "PACKAGE", course / "nothing" / "here")
    assert cli.main(["lab", "--folder", str(mine)]) == 2
    assert "installed without its course" in capsys.readouterr().err
    monkeypatch.setattr(lab, "given", lambda: course)
    monkeypatch.setattr(lab, "find_spec", lambda name: None)
    assert cli.main(["lab", "--folder", str(mine)]) == 2
    assert 'pip install "bertedu[lab]"' in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a screen")
def test_a_browser_opens_only_where_there_is_a_screen(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert "--no-browser" in lab.command(Path(), [])
    monkeypatch.setenv("DISPLAY", ":0")
    assert "--no-browser" not in lab.command(Path(), [])


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="only Unix has a root")
def test_root_is_allowed_only_for_root(monkeypatch):
    for user in (0, 1000):
        monkeypatch.setattr(os, "getuid", lambda user=user: user)
        assert ("--allow-root" in lab.command(Path(), [])) is (user == 0)


# ---------------------------------------------------------------- the wheel alone

RUN_LESSON = """
import sys, nbformat
from pathlib import Path
from bertedu.classroom.notebooks import executed
lesson = Path(sys.argv[1])
notebook = nbformat.read(lesson, as_version=4)
notebook.cells.append(nbformat.v4.new_code_cell("import bertedu; print(bertedu.__file__)"))
done = executed(notebook, lesson.parent)
print(sum(cell.cell_type == "code" and cell.execution_count > 0 for cell in done.cells))
print(done.cells[-1].outputs[0].text)
"""


@pytest.mark.timeout(300)
def test_lesson_00_runs_from_the_wheel_alone(tmp_path):
    """Builds and installs without a network; the environment sees packages, not the checkout."""
    tree, python = tmp_path / "tree", tmp_path / "env" / "bin" / "python"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPO_ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, names.stdout.split("\0")):
        if (REPO_ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPO_ROOT / name, tree / name)
    ours = ("PYTHON", "BERTEDU", "JUPYTER", "PIP_")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    clean |= {"HOME": str(tmp_path), "BERTEDU_PROGRESS": ""}

    def call(*words: str) -> str:
        ended = subprocess.run(
            words, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    offline = ("--no-index", "--no-deps", "--quiet")
    wheels = str(tmp_path / "wheels")
    call(*pip, "wheel", str(tree), *offline, "--no-build-isolation", "--wheel-dir", wheels)
    [wheel] = (tmp_path / "wheels").iterdir()
    call(sys.executable, "-m", "venv", "--without-pip", str(python.parents[1]))
    paths = call(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    # Not a site folder: the link to the checkout that stands in it is not followed.
    Path(paths.strip(), "packages.pth").write_text(sysconfig.get_path("purelib"))
    call(*pip, "--python", str(python), "install", *offline, "--no-compile", str(wheel))

    said = call(str(python.with_name("bertedu")), "lab", "--folder", "mine", "--copy-only")
    assert said == f"The course is in {tmp_path / 'mine'}.\n"
    sources = sorted(path.stem for path in (REPO_ROOT / "course").glob("[0-9]*.py"))
    for folder, suffix in (
        ("notebooks", "ipynb"),
        ("notebooks/solutions", "ipynb"),
        ("course", "py"),
    ):
        assert sorted(p.stem for p in (tmp_path / "mine" / folder).glob(f"*.{suffix}")) == sources
    cells, where = call(str(python), "-c", RUN_LESSON, str(tmp_path / "mine" / lab.FIRST)).split()
    assert int(cells) > 5
    assert Path(where).is_relative_to(tmp_path / "env")
