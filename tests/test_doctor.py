import hashlib
import io
import json
import sys
from contextlib import redirect_stdout
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bertedu.commands import doctor
from bertedu.commands.cli import main
from bertedu.commands.doctor import Row


@pytest.fixture
def installed(monkeypatch):
    """Replace what is installed."""

    def install(**versions: str) -> None:
        def version(name: str) -> str:
            if name.replace("-", "_") not in versions:
                raise metadata.PackageNotFoundError(name)
            return versions[name.replace("-", "_")]

        monkeypatch.setattr(metadata, "version", version)

    return install


@pytest.mark.parametrize(("version", "ok"), [((3, 10, 9), False), ((3, 11, 0), True)])
def test_python(version, ok):
    row = doctor.check_python(version)
    assert row.ok is ok
    assert ".".join(map(str, version)) in row.found
    assert bool(row.remedy) is not ok


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({"numpy": "2.1.0", "torch": "2.6.0+cpu"}, None),
        ({"numpy": "1.9.0", "torch": "2.6.0"}, "numpy 1.9.0 (needs >=2.0)"),
        ({"numpy": "2.1.0"}, "torch missing (needs any)"),
    ],
)
def test_requirements_in_range(installed, versions, found):
    installed(**versions)
    row = doctor.check_requirements(["numpy>=2.0", "torch", "pytest>=9; extra == 'test'"])
    assert (row.ok, row.found) == (not found, found or "all 2 needed are there")


def test_requirements_of_the_lab_count_and_many_faults_are_shortened(installed):
    installed()
    row = doctor.check_requirements([f"p{i}; extra == 'lab'" for i in range(5)])
    assert row.ok is False
    assert row.found.endswith("p2 missing (needs any), and 2 more")
    assert "make lab" in row.remedy


def test_a_package_that_is_not_installed_is_said(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    row = doctor.check_requirements()
    assert (row.ok, row.found) == (None, "bertedu itself is not installed")


LOCK = """\
numpy==2.5.5 ; python_full_version >= '3.0' \\
    --hash=sha256:00
numpy==1.0.0 ; python_full_version < '3.0' \\
    --hash=sha256:00
rich==15.0.0 \\
    --hash=sha256:00
torch==2.13.0 ; sys_platform == 'never' \\
    --hash=sha256:00
"""


def test_the_lock_is_read_for_this_machine():
    assert doctor.read_lock(LOCK) == {"numpy": "2.5.5", "rich": "15.0.0", "torch": "2.13.0"}


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({"rich": "15.0.0", "numpy": "2.5.5", "torch": "2.13.0+cpu"}, None),
        ({"rich": "15.0.0", "numpy": "2.5.5", "torch": "2.12.0"}, "torch 2.12.0 (locked 2.13.0)"),
        ({"numpy": "2.5.5", "torch": "2.13.0"}, "rich missing (locked 15.0.0)"),
    ],
)
def test_locked_versions(installed, tmp_path, versions, found):
    installed(**versions)
    (tmp_path / "requirements.lock").write_text(LOCK)
    row = doctor.check_lock(tmp_path / "requirements.lock")
    assert (row.ok, row.found) == (
        None if found else True,
        found or "all 3 as in requirements.lock",
    )


def test_an_installation_without_a_lock_is_worth_a_note(tmp_path):
    row = doctor.check_lock(tmp_path / "requirements.lock")
    assert row.ok is None
    assert "checkout" in row.found


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """Let Jupyter find a `python3` kernel that starts with these words, before any other."""

    def install(*argv: str) -> None:
        folder = tmp_path / "kernels" / "python3"
        folder.mkdir(parents=True)
        spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))

    return install


@pytest.mark.parametrize("program", ["python", sys.executable])
def test_a_kernel_of_this_python(kernels, program):
    kernels(program, "-m", "ipykernel_launcher")
    assert doctor.check_kernel().ok is True


def test_a_kernel_of_another_python(kernels):
    kernels("/somewhere/bin/python3", "-m", "ipykernel_launcher")
    row = doctor.check_kernel()
    assert row.ok is False
    assert "/somewhere/bin/python3" in row.found
    assert "ipykernel install" in row.remedy


@pytest.mark.parametrize("absent", ["jupyter_client.kernelspec", "ipykernel"])
def test_no_kernel(monkeypatch, installed, absent):
    if absent == "ipykernel":
        installed()
    else:
        monkeypatch.setitem(sys.modules, absent, None)
    row = doctor.check_kernel()
    assert (row.ok, row.found) == (False, f"no {absent.partition('.')[0]}")


def labextensions(prefix: Path, *names: str) -> Path:
    for name in names:
        folder = prefix / "share/jupyter/labextensions" / name
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"version": "9.8.7"}')
    return prefix


def test_extensions(tmp_path):
    row = doctor.check_extensions(labextensions(tmp_path, *doctor.EXTENSIONS))
    assert row.ok is True
    assert "anywidget 9.8.7" in row.found


def test_a_missing_or_broken_extension(tmp_path):
    prefix = labextensions(tmp_path, *doctor.EXTENSIONS)
    (prefix / "share/jupyter/labextensions/anywidget/package.json").write_text("{")
    row = doctor.check_extensions(prefix)
    assert (row.ok, row.found) == (False, "missing: anywidget")
    assert row.remedy.endswith("--no-deps anywidget")
    assert "jupyterlab_widgets" in doctor.check_extensions(tmp_path / "empty").remedy


@pytest.mark.parametrize(("mib", "ok"), [(1299, False), (1300, True)])
def test_memory(monkeypatch, tmp_path, mib, ok):
    monkeypatch.setattr(doctor, "CGROUP", tmp_path)
    free = SimpleNamespace(available=mib * 2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    row = doctor.check_memory()
    assert (row.ok, row.found) == (ok, f"{mib:,} MiB free, 1,300 needed")
    assert bool(row.remedy) is not ok


def test_memory_of_a_container(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(f"{1000 * 2**20}\n")
    (tmp_path / "memory.current").write_text(f"{800 * 2**20}\n")
    assert doctor.check_memory().found.startswith("200 MiB free")
    (tmp_path / "memory.max").write_text("max\n")
    assert not doctor.check_memory().found.startswith("200 MiB free")


@pytest.mark.parametrize(("mib", "ok"), [(1023, False), (1024, True)])
def test_disk(monkeypatch, mib, ok):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=mib * 2**20))
    assert doctor.check_disk().ok is ok


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    """Return a folder with weights and their checksum."""
    monkeypatch.delenv("BERTEDU_CHECKPOINT", raising=False)
    digest = hashlib.sha256(b"weights").hexdigest()
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "SHA256").write_text(f"{digest}  model.safetensors\n")
    return tmp_path


def test_checkpoint(weights):
    assert doctor.check_checkpoint(weights).ok is True


def test_a_damaged_checkpoint(weights):
    (weights / "model.safetensors").write_bytes(b"weighty")
    row = doctor.check_checkpoint(weights)
    assert row.ok is False
    assert "damaged" in row.found
    assert "git restore" in row.remedy


@pytest.mark.parametrize("lost", ["model.safetensors", "SHA256"])
def test_half_a_checkpoint(weights, lost):
    (weights / lost).unlink()
    row = doctor.check_checkpoint(weights)
    assert (row.ok, row.found) == (False, f"{lost} is missing")


def test_no_checkpoint_is_worth_a_note(weights):
    row = doctor.check_checkpoint(weights / "nothing")
    assert row.ok is None
    assert "BERTEDU_CHECKPOINT" in row.remedy


def test_a_checkpoint_elsewhere(weights, monkeypatch):
    monkeypatch.setenv("BERTEDU_CHECKPOINT", str(weights))
    assert doctor.check_checkpoint().ok is False
    (weights / "config.json").write_text("{}")
    assert doctor.check_checkpoint().ok is True


def test_the_network_is_never_needed(monkeypatch):
    monkeypatch.setattr(psutil, "net_if_addrs", dict)
    assert doctor.check_network() == Row("Network", True, "none; not needed")


def test_a_check_that_fails_itself_is_a_row():
    def check_moon() -> Row:
        raise OSError("too far")

    [row] = doctor.examine([check_moon])
    assert (row.name, row.ok, row.found) == ("Moon", False, "cannot look: OSError: too far")
    assert row.remedy


@pytest.mark.parametrize(("oks", "code"), [((True, None), 0), ((True, False), 1)])
def test_the_exit_code_and_the_table_tell(monkeypatch, oks, code):
    rows = [Row(f"row{i}", ok, "[found]", f"do {i}") for i, ok in enumerate(oks)]
    monkeypatch.setattr(doctor, "examine", lambda: rows)
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(["doctor"]) == code
    for word in ("row0", "row1", "[found]", "do 1", "1 to mend." if code else "Ready."):
        assert word in printed.getvalue()


@pytest.mark.parametrize(
    ("threads", "share", "ok"),
    [
        ("1", 1.0, True),
        ("2", 1.5, True),
        ("16", 1.0, None),
        ("4,2", 4.0, True),
        ("many", 4.0, None),
    ],
)
def test_threads_and_the_share_they_have(monkeypatch, threads, share, ok):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(doctor, "share", lambda: share)
    row = doctor.check_threads()
    assert (row.name, row.ok) == ("Threads", ok)
    assert row.found.startswith(f"{threads} for a share of {share:g} of")
    assert bool(row.remedy) is (ok is None)


def test_threads_that_nobody_set(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.setattr(doctor, "share", lambda: 6.0)
    assert doctor.check_threads().found == "6 for a share of 6 of the machine's 6 cores"


@pytest.mark.parametrize(
    ("loaded", "found"),
    [
        ("7f00 r-xp /usr/lib/libtcmalloc_minimal.so.4.5.10", "tcmalloc"),
        (
            "7f00 r-xp /usr/lib/libc.so.6",
            "the system's; for hours of training, LD_PRELOAD tcmalloc",
        ),
        ("7f00 r-xp /home/me/mimalloc/lib/python/torch.so", "the system's"),
        (None, "the system's"),
    ],
)
def test_the_allocator_that_is_loaded(tmp_path, loaded, found):
    maps = tmp_path / "maps"
    if loaded:
        maps.write_text(loaded)
    row = doctor.check_allocator(maps)
    assert (row.name, row.ok, row.remedy) == ("Allocator", True, "")
    assert row.found.startswith(found)
