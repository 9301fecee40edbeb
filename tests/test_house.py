"""The house: pins, the conda environment, the floors and the commands agree with each other."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
TESTED_HIGHER = {"torch"}
"""torch 2.6 has no build that is small enough to fetch for a test run; it was tried by hand."""
NOT_TESTED = {"torchvision"}
"""Its build must be that of torch."""
BY_PIP = {"mnist1d"}
"""Not on conda-forge."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str = "constraints.txt") -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pairs = [re.fullmatch(r"([\w.-]+)==([\w.!]+)", line) for line in lines if line and not line.startswith("#")]
    assert all(pairs)
    return {canonical(pair[1]): pair[2] for pair in pairs if pair}


def requirements() -> list[str]:
    project = PROJECT["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    return [line for line in lines if not line.startswith("initviz[")]


def extra(name: str) -> list[str]:
    """What an extra needs, with what the extras that it names need."""
    lines = PROJECT["project"]["optional-dependencies"][name]
    inner = [part for line in lines for part in re.findall(r"^initviz\[(.*)\]", line)]
    return [line for line in lines if not line.startswith("initviz[")] + [
        line for names in inner for part in names.split(",") for line in extra(part)
    ]


def named(lines: list[str]) -> list[str]:
    return [canonical(re.match(r"[\w.-]+", line)[0]) for line in lines]


def conda_lines() -> list[str]:
    return [line for line in ENVIRONMENT if isinstance(line, str)]


def pip_lines() -> list[str]:
    return next(line["pip"] for line in ENVIRONMENT if isinstance(line, dict))


def test_every_dependency_is_pinned():
    assert not [name for name in named(requirements()) if name not in pins()]


@pytest.mark.parametrize("line", requirements())
def test_the_lowest_version_of_every_dependency_is_the_one_that_is_tested(line):
    name, _, bound = line.partition(">=")
    pinned, lowest = pins("constraints-lowest.txt"), Version(bound)
    assert Version(pins()[canonical(name)]) >= lowest
    if name in TESTED_HIGHER:
        assert Version(pinned[canonical(name)]) > lowest
    elif name not in NOT_TESTED:
        assert Version(pinned[canonical(name)]) == lowest


def test_torch_is_pinned_without_a_build():
    assert pins()["torch"] == "2.13.0"


def test_a_conda_environment_has_every_dependency_at_its_pin():
    expected = set(named(PROJECT["project"]["dependencies"] + extra("notebooks")))
    conda = {CONDA_NAMES.get(n, n): pins()[n] for n in expected - BY_PIP}
    stated = dict(line.split("==") for line in conda_lines() if "==" in line)
    assert stated == conda
    assert set(pip_lines()) == {*(f"{name}=={pins()[name]}" for name in BY_PIP), "-e ."}


def test_a_conda_environment_has_the_oldest_python_of_the_project():
    assert "python=" + PROJECT["project"]["requires-python"].removeprefix(">=") in conda_lines()
    assert "pip" in conda_lines()


@pytest.mark.parametrize("line", conda_lines())
def test_conda_understands_every_line(line):
    from rattler import MatchSpec

    name = re.split("=", line)[0]
    assert name in str(MatchSpec(line, strict=True))


def test_the_floors_are_kept():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"], cwd=ROOT, text=True,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def rooms() -> list[Path]:
    return [path for path in (ROOT / "initviz").iterdir() if (path / "__init__.py").exists()]


def test_only_rooms_stand_in_the_house():
    assert {path.name for path in (ROOT / "initviz").glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("room", [room for room in rooms() if room.name != "_core"], ids=lambda room: room.name)
def test_files_are_private_and_rooms_are_public(room):
    assert all(path.name.startswith("_") for path in room.glob("*.py"))
    names = getattr(
        importlib.import_module(f"initviz.{room.name}"), "__all__", []
    )  # tools are commands and share nothing
    assert not {path.stem for path in room.glob("*.py")} & set(names)


def test_no_file_reaches_into_another_room():
    """What a room shares stands in its __init__; only _core has no door of its own."""
    for path in (ROOT / "initviz").rglob("*.py"):
        room = path.relative_to(ROOT / "initviz").parts[0]
        for line in re.findall(r"^\s*from initviz\.(\w+)\._", path.read_text(encoding="utf-8"), re.M):
            assert line in (room, "_core"), f"{path}: {line}"
