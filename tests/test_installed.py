"""The package as others get it: a wheel, installed away from the checkout, and a source archive whose tests can be collected."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from initviz.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
TOOLS = "Scripts" if os.name == "nt" else "bin"


def run(*command, cwd, rc=0):
    """A command away from the checkout; what it printed."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=clean, text=True, capture_output=True)
    assert done.returncode == rc, done.stdout + done.stderr
    return done.stdout + done.stderr


def sources(*new):
    """The files of the repository: git's list, or, in a source archive, all but what .gitignore names."""
    if shutil.which("git"):
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", *new], cwd=ROOT, capture_output=True).stdout
        if found := {name for name in listed.decode().split("\0") if (ROOT / name).is_file()}:
            return found
    ignored = [line.strip("/").split("/")[-1] for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    names = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return {
        name.as_posix() for name in names if not any(fnmatch(part, each) for part in name.parts for each in ignored)
    }


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The source archive, unpacked. It is made from a copy, so that no list of an earlier one is taken into it."""
    copy, out = tmp_path_factory.mktemp("copy") / "initviz", tmp_path_factory.mktemp("sdist")
    for name in sources("--others", "--exclude-standard"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    run(sys.executable, "-c", f"import setuptools.build_meta as b; b.build_sdist({str(out)!r})", cwd=copy)
    (packed,) = out.glob("initviz-*.tar.gz")
    with tarfile.open(packed) as tar:
        tar.extractall(out, filter="data")
    return out / packed.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(archive, tmp_path_factory):
    """The wheel, made from the source archive as pip makes it from an index."""
    out = tmp_path_factory.mktemp("wheel")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "-q",
        "--no-build-isolation",
        "--no-deps",
    ]
    run(*pip, "-w", out, archive, cwd=out)
    (file,) = out.glob("initviz-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A fresh environment with the wheel, which borrows all other packages from this one."""
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    own = {"base": str(home), "platbase": str(home)}
    packages = Path(sysconfig.get_path("purelib", "venv", own))
    packages.joinpath("borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        home,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
    ]
    run(*pip, wheel, cwd=home)
    return home / TOOLS


def test_the_archive_has_what_its_tests_need(archive):
    files = {path.relative_to(archive).as_posix() for path in archive.rglob("*") if path.is_file()}
    assert {"conftest.py", "tests/test_installed.py", ".ci/run"} <= set(sources()) <= files
    told = run(sys.executable, "-m", "pytest", "--collect-only", "-q", "--nbval", "notebooks", "tests", cwd=archive)
    assert re.search(r"^\d+ tests collected", told, re.MULTILINE)


def test_the_wheel_has_data_and_notebooks_without_outputs(wheel):
    with zipfile.ZipFile(wheel) as zipped:
        names = zipped.namelist()
        for path in (ROOT / "initviz").rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".ipynb"):
                assert path.relative_to(ROOT).as_posix() in names
        notebooks = [name for name in names if name.endswith(".ipynb")]
        assert sorted(name.rsplit("/", 1)[1] for name in notebooks) == NOTEBOOKS
        assert {"initviz/course/notebooks/lecture.md", "initviz/course/notebooks/notation.md"} <= set(names)
        cells = [
            cell for name in notebooks for cell in json.loads(zipped.read(name))["cells"] if cell["cell_type"] == "code"
        ]
        assert cells and not any(cell["outputs"] or cell["execution_count"] for cell in cells)
        metadata = next(zipped.read(name).decode() for name in names if name.endswith("/METADATA"))
    assert not [name for name in names if name.startswith(("tests/", "notebooks/", "benchmarks/"))]
    assert wheel.stat().st_size < 3e6
    assert not re.findall(r"\]\((?!https?:)[^)]*\)", metadata)  # links that hold only beside the files
    assert "Project-URL: Source, " in metadata and "Classifier: Typing :: Typed" in metadata
    assert "Provides-Extra: notebooks" in metadata and "Requires-Dist: torch>=" in metadata


def test_the_command_works_away_from_the_checkout(installed, tmp_path):
    assert {"diagnose", "lab", "compare"} <= set(re.findall(r"\w+", run(installed / "initviz", "--help", cwd=tmp_path)))
    (tmp_path / "mine.py").write_text(
        "import torch, initviz\nassert 'environment' in initviz.__file__, initviz.__file__\n"
        "def model():\n    torch.manual_seed(0)\n    return initviz.mlp(30, 16, 'relu', 'xavier_normal'), torch.randn(32, 64)\n"
    )
    assert "VANISHING" in run(installed / "initviz", "diagnose", "mine:model", cwd=tmp_path, rc=1)


def test_lab_writes_the_notebooks_of_the_wheel(installed, tmp_path):
    assert f"{len(NOTEBOOKS)} notebooks written to " in run(
        installed / "initviz", "lab", "course", "--only-write", cwd=tmp_path
    )
    pages = ["lecture.md", "notation.md"]
    assert sorted(path.name for path in (tmp_path / "course").iterdir()) == sorted([*NOTEBOOKS, *pages])


def test_lab_loses_no_students_work(tmp_path, capsys):
    command = ["lab", str(tmp_path / "course"), "--only-write"]
    assert main(command) == 0
    mine, gone = (tmp_path / "course" / name for name in NOTEBOOKS[:2])
    original = mine.read_text(encoding="utf-8")
    mine.write_text("my work", encoding="utf-8")
    gone.unlink()
    capsys.readouterr()
    assert main(command) == 0
    assert f"Kept, since they were changed: {mine.name}." in capsys.readouterr().out
    assert mine.read_text(encoding="utf-8") == "my work" and gone.exists()
    assert main([*command, "--overwrite"]) == 0 and "Kept" not in capsys.readouterr().out
    assert mine.read_text(encoding="utf-8") == original


def test_lab_opens_jupyterlab_on_the_first_notebook(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr("subprocess.call", lambda command: called.append(command) or 0)
    assert main(["lab", str(tmp_path), "--no-browser"]) == 0
    assert called == [[sys.executable, "-m", "jupyterlab", str(tmp_path / "00_start_here.ipynb"), "--no-browser"]]


def test_lab_says_what_is_missing_or_in_the_way(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    assert main(["lab", str(tmp_path / "file"), "--only-write"]) == 2
    assert capsys.readouterr().err.startswith("initviz: folder: ")
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    assert main(["lab", str(tmp_path / "course")]) == 2
    assert "initviz[notebooks]" in capsys.readouterr().err and not (tmp_path / "course").exists()
