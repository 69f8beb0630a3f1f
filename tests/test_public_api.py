"""What `import bertedu` offers, and what it does not drag in."""

import subprocess
import sys
from types import ModuleType

import pytest

import bertedu
from tests.conftest import REPO_ROOT

HEAVY = ["transformers", "matplotlib", "ipywidgets", "anywidget", "huggingface_hub", "accelerate",
         "nupunkt", "nervaluate", "datasets", "rich", "IPython"]  # fmt: skip


def test_all_is_complete_and_sorted() -> None:
    public = {name: getattr(bertedu, name) for name in dir(bertedu) if not name.startswith("_")}
    ours = {
        name
        for name, value in public.items()
        if getattr(value, "__module__", "").startswith("bertedu")
        and not isinstance(value, ModuleType)
    }
    assert set(bertedu.__all__) == ours
    assert bertedu.__all__ == sorted(bertedu.__all__)
    with pytest.raises(AttributeError, match="no attribute 'bret'"):
        bertedu.bret  # noqa: B018 (asking is the test)


def test_everything_public_says_what_it_is() -> None:
    assert [name for name in bertedu.__all__ if not getattr(bertedu, name).__doc__] == []


def test_import_stays_light() -> None:
    program = f"from bertedu import *; import sys; print(*(m for m in {HEAVY} if m in sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPO_ROOT
    )
    assert found.stdout.split() == []


def test_only_certify_imports_transformers() -> None:
    files = [
        path.name
        for path in (REPO_ROOT / "bertedu").rglob("*.py")
        if any(
            line.split()[:2] in (["import", "transformers"], ["from", "transformers"])
            for line in path.read_text(encoding="utf-8").splitlines()
        )
    ]
    assert files == ["certify.py"]
