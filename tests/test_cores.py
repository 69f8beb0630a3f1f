"""Threads follow the share of the machine that this process has, and what the user set stands."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bertedu.utils import cores

V1 = "4:memory:/\n3:cpu,cpuacct:/docker/ab12\n1:name=systemd:/\n"
V2 = "0::/user.slice/student.service\n"
REMEMBERED = (*cores.COUNTS, "OMP_WAIT_POLICY")


def groups(root: Path, files: dict[str, str], own: str) -> float | None:
    """Writes control groups and the process's own place in them; returns the quota found."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "own").write_text(own)
    return cores.quota(root, root / "own")


@pytest.mark.parametrize(
    ("files", "own", "found"),
    [
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"cpu.max": "max 100000\n"}, "0::/\n", None),
        ({"user.slice/student.service/cpu.max": "50000 100000\n"}, V2, 0.5),
        # A group above limits, too.
        ({"user.slice/student.service/cpu.max": "max 100000\n",
          "user.slice/cpu.max": "400000 200000\n"}, V2, 2.0),
        ({"user.slice/student.service/cpu.max": "300000 100000\n",
          "user.slice/cpu.max": "400000 100000\n"}, V2, 3.0),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "50000\n"}, V1, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, V1, None),
        ({"cpu/docker/ab12/cpu.cfs_quota_us": "100000\n",
          "cpu/docker/ab12/cpu.cfs_period_us": "100000\n",
          "cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, V1, 1.0),
        ({"memory/cpu.cfs_quota_us": "1", "memory/cpu.cfs_period_us": "1"}, "4:memory:/\n", None),
        ({"cpu.max": "nonsense"}, "0::/\n", None),
        ({"cpu/cpu.cfs_quota_us": "1000", "cpu/cpu.cfs_period_us": "0"}, V1, None),
        ({}, V1 + V2, None),
    ],
)  # fmt: skip
def test_both_versions_of_the_quota_are_read(tmp_path, files, own, found):
    assert groups(tmp_path, files, own) == found


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert cores.quota(tmp_path, tmp_path / "nothing") is None


@pytest.mark.parametrize(("limit", "share"), [(None, 8.0), (2.5, 2.5), (64.0, 8.0)])
def test_the_share_is_the_smaller_of_affinity_and_quota(monkeypatch, limit, share):
    monkeypatch.setattr(cores, "quota", lambda: limit)
    monkeypatch.setattr(cores, "_affinity", lambda: 8)
    assert cores.share() == share


@pytest.fixture
def machine(monkeypatch):
    """Return what lets `follow_share` find a machine of 16 cores with a share, and torch loaded."""

    def install(share: float, chosen: int = 16, **environment: str) -> SimpleNamespace:
        for name in REMEMBERED:
            monkeypatch.delenv(name, raising=False)
            if name in environment:
                monkeypatch.setenv(name, environment[name])
        torch = SimpleNamespace(threads=chosen, get_num_threads=lambda: torch.threads)
        torch.set_num_threads = lambda threads: setattr(torch, "threads", threads)
        monkeypatch.setitem(sys.modules, "torch", torch)
        monkeypatch.setattr(os, "cpu_count", lambda: 16)
        monkeypatch.setattr(cores, "share", lambda: share)
        monkeypatch.setattr(cores, "_all_cores", lambda: {16, 8})
        cores.follow_share()
        return torch

    before = {name: os.environ.get(name) for name in REMEMBERED}
    yield install
    for name, value in before.items():  # what was not there before monkeypatch saw it
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.mark.parametrize(("share", "threads"), [(0.5, 1), (1.0, 1), (2.9, 2), (15.0, 15)])
def test_threads_follow_the_share_and_those_that_wait_sleep(machine, share, threads):
    assert machine(share).threads == threads
    assert os.environ["OMP_NUM_THREADS"] == str(threads)
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_a_whole_machine_is_left_as_it_is(machine):
    assert machine(16.0).threads == 16
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("name", cores.COUNTS)
def test_what_the_user_set_stands(machine, name):
    torch = machine(1.0, chosen=12, OMP_WAIT_POLICY="ACTIVE", **{name: "12"})
    assert torch.threads == 12
    assert {n: os.environ.get(n) for n in cores.COUNTS} == dict.fromkeys(cores.COUNTS) | {
        name: "12"
    }
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_number_that_the_user_gave_torch_stands(machine):
    assert machine(1.0, chosen=12).threads == 12  # neither all cores nor the physical ones
    assert machine(1.0, chosen=8).threads == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux sets affinity so")
def test_one_core_by_affinity_is_one_thread_in_torch():
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import bertedu, torch;"
        "print(torch.get_num_threads(), os.environ['OMP_WAIT_POLICY'])"
    )
    clean = {name: value for name, value in os.environ.items() if name not in REMEMBERED}
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, env=clean, check=True)
    assert ended.stdout.split() == ["1", "PASSIVE"]


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ("flags : fpu sse2 avx512_bf16 avx512f", True),
        ("flags : amx_bf16", True),
        ("Features : fp asimd bf16", True),  # ARM
        ("flags : fpu avx2 avx512f", False),
        ("model name : bf16_like", False),
    ],
)
def test_a_processor_says_whether_it_has_bfloat16(tmp_path, flags, has):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    assert cores.has_bfloat16("cpu", tmp_path / "cpuinfo") is has


@pytest.mark.parametrize("has", [True, False])
def test_where_linux_does_not_say_torch_does(tmp_path, monkeypatch, has):
    import torch

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has, raising=False)
    assert cores.has_bfloat16("cpu", tmp_path / "none") is has
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert cores.has_bfloat16("cpu", tmp_path / "none") is False


@pytest.mark.parametrize("has", [True, False])
def test_an_accelerator_has_bfloat16_if_torch_says_so_or_says_nothing(monkeypatch, has):
    import torch

    asked = []
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **how: asked.append(how) or has)
    assert cores.has_bfloat16("cuda") is has
    assert asked == [{"including_emulation": False}]
    assert cores.has_bfloat16("mps")


def test_bf16_warns_where_the_processor_emulates_it(monkeypatch, recwarn):
    from accelerate.state import AcceleratorState

    from bertedu.commands import training

    for has in (True, False):
        monkeypatch.setattr(training, "has_bfloat16", lambda device, has=has: has)
        for precision, means in (("fp32", "no"), ("bf16", "bf16")):
            assert told_of(recwarn) == []
            AcceleratorState._reset_state()  # it remembers the first precision of a process
            assert training.accelerator(precision).mixed_precision == means
        AcceleratorState._reset_state()
        sentence = "this processor has no bfloat16: --precision bf16 will hardly be quicker here"
        assert told_of(recwarn) == ([] if has else [sentence])


def told_of(warned) -> list[str]:
    return [str(warning.message) for warning in warned]
