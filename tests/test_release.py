"""What a release carries says what is so: versions, the repository's address, and workflows that run the README's commands."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import yaml

import initviz as iv

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def workflow(name: str) -> dict:
    return yaml.safe_load(read(f".github/workflows/{name}.yml"))


def commands(job: dict) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == PROJECT["version"] == iv.__version__
    assert re.search(r"^## (\S+?),", read("CHANGELOG.md"), re.M)[1] == PROJECT["version"]
    assert citation["cff-version"] == "1.2.0" and citation["license"] == PROJECT["license"] and citation["authors"]


def test_the_repositorys_address_stands_in_one_place():
    """CONTRIBUTING.md says what follows from it."""
    address = re.sub(r"^https?://", "", PROJECT["urls"]["Source"])
    names = [
        path
        for pattern in ("*.*", "docs/*.*", "initviz/**/*.py", ".github/**/*.yml", "notebooks/*.ipynb")
        for path in ROOT.glob(pattern)
    ]
    assert [
        path.name for path in names if path.is_file() and address in path.read_bytes().decode("utf-8", "ignore")
    ] == ["pyproject.toml"]


def test_the_tests_of_a_push_are_those_of_the_readme():
    job = workflow("tests")["jobs"]["tests"]
    _, install, test = re.findall(r"```bash\n(.*?)```", read("README.md"), re.S)[1].splitlines()
    torch, *others = commands(job)
    assert others == [install, test, f'{test} -m "not browser"'], "Chromium is on the path on Linux alone"
    assert torch.startswith("python -m pip install -c constraints.txt torch --index-url")
    matrix = job["strategy"]["matrix"]
    assert {re.match("[a-z]+", name)[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    stated = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert matrix["python"] == stated and PROJECT["requires-python"] == f">={stated[0]}"


def test_the_site_is_built_as_contributing_says():
    _, install, _, build, _ = commands(workflow("site")["jobs"]["site"])
    block = re.search(r"## The web site\n\n((?:    .*\n)+)", read("CONTRIBUTING.md"))[1]
    site = build.partition(" --pages")[0]
    assert [line.strip() for line in block.splitlines()] == [install, site] and "--release" in build
    assert "`initviz site --pages`" in read("CONTRIBUTING.md")


def test_a_version_stays_when_the_next_is_published(tmp_path, monkeypatch):
    """The workflow's own lines, with a folder as the remote: main at the root, each tag in its folder, all of them in the menu."""
    from initviz.tools import _site as site

    clone, publish = (commands(workflow("site")["jobs"]["site"])[place] for place in (2, 4))
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    monkeypatch.setattr(site, "repository", lambda: "https://github.com/someone/initviz")
    environment = os.environ | {"REMOTE": str(remote), "GITHUB_SHA": "1234"}
    for number, version in enumerate(("main", "0.1.0", "0.10.0", "0.9.0", "main"), 1):
        work, built = tmp_path / f"work{number}", tmp_path / f"built{number}"
        work.mkdir()
        built.mkdir()
        (built / "index.html").write_text(f"{version} {number}")
        (built / f"only{number}.html").write_text("")
        subprocess.run(["bash", "-ec", clone], cwd=work, env=environment, check=True, capture_output=True)
        monkeypatch.setattr(iv, "__version__", version)
        site.publish(built, work / "build" / "pages", release=version != "main")
        subprocess.run(["bash", "-ec", publish], cwd=work / "build" / "pages", env=environment, check=True)
    assert site.BRANCH in clone and f"new:{site.BRANCH}" in publish
    seen = tmp_path / "seen"
    subprocess.run(["git", "clone", "-q", "--branch", site.BRANCH, remote, seen], check=True)
    pages = {str(path.parent.relative_to(seen)): path.read_text() for path in seen.rglob("index.html")}
    assert pages == {".": "main 5", "0.1.0": "0.1.0 2", "0.10.0": "0.10.0 3", "0.9.0": "0.9.0 4"}
    assert (seen / "only5.html").exists() and not (seen / "only1.html").exists()
    menu = json.loads((seen / site.VERSIONS).read_text(encoding="utf-8"))
    assert [entry["version"] for entry in menu] == ["main", "0.10.0", "0.9.0", "0.1.0"]
    assert menu[1]["url"] == "https://someone.github.io/initviz/0.10.0/"
    log = subprocess.run(["git", "log", "--oneline"], cwd=seen, check=True, capture_output=True, text=True).stdout
    assert len(log.splitlines()) == 1


def test_every_command_is_in_the_changelog():
    from initviz.__main__ import TOOLS

    words = read("CHANGELOG.md")
    assert not [name for name in TOOLS if name not in words and name != "transfer-study"]
