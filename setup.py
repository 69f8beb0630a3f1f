"""What pyproject.toml cannot say: a wheel carries the course, which lies beside the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithCourse(build_py):
    """Copies the course to where `bertedu lab` finds it in an installed package."""

    def run(self) -> None:
        """Builds the package, and the course into it."""
        super().run()
        if self.editable_mode:  # a checkout has its course already
            return
        course = Path(self.build_lib) / "bertedu" / "course"
        shutil.rmtree(course, ignore_errors=True)
        for folder in ("notebooks", "course", "docs", ".jupyter"):
            shutil.copytree(
                HERE / folder,
                course / folder,
                ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__"),
            )


setup(cmdclass={"build_py": BuildWithCourse})
