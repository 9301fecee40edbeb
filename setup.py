"""What pyproject.toml can't say: the notebooks go into the wheel, and the README's links hold outside the repository.

All else is in pyproject.toml.
"""

import re
import runpy
import tomllib
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithNotebooks(build_py):
    """Also writes notebooks/*.ipynb, without their outputs, into the package's folder `course/notebooks`."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # `initviz lab` then finds those of the checkout
            write = runpy.run_path(str(ROOT / "initviz" / "tools" / "_lab.py"))["write_notebooks"]
            write(Path(self.build_lib) / "initviz" / "course" / "notebooks", ROOT / "notebooks")


def readme() -> str:
    """README.md with absolute links, since a package index shows it without the files beside it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text, home = (ROOT / "README.md").read_text(encoding="utf-8"), project["urls"]["Source"]
    return re.sub(
        r"(!?)\[([^]]*)\]\((?!\w+:)([^)]+)\)",
        lambda m: f"{m[1]}[{m[2]}]({home}/{'raw' if m[1] else 'blob'}/HEAD/{m[3]})",
        text,
    )


setup(
    cmdclass={"build_py": BuildWithNotebooks}, long_description=readme(), long_description_content_type="text/markdown"
)
