"""What all tests share: the optional reference data, and how hypothesis searches."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPO_ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("laptop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Returns the checkout's folder."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Returns the folder of the optional reference data, or skips and says so."""
    folder = Path(os.environ.get("BERTEDU_SHARED", REPO_ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("optional reference data: BERTEDU_SHARED names no folder")
    return folder
