"""The image for a hub and for Binder installs what the README installs, at the versions that are tested, and its page says the same."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import initviz as iv

ROOT = Path(__file__).resolve().parent.parent


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    return dict(line.split("==") for line in read(name).splitlines() if not line.startswith("#"))


def instructions(kind: str) -> list[str]:
    return re.findall(rf"^{kind} (.+)", read("binder/Dockerfile"), re.M)


def page(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", read("docs/hub.md"), re.S)


def installations(lines: list[str]) -> list[str]:
    return [line.replace("--no-cache-dir ", "") for line in lines if "pip install" in line]


def test_the_image_is_installed_as_the_readme_says_and_with_torchs_small_build():
    (base,) = instructions("FROM")
    python = next(
        line for line in yaml.safe_load(read("environment.yml"))["dependencies"] if line.startswith("python=")
    )
    assert base == f"{python.replace('=', ':')}-slim"
    torch, course = installations(instructions("RUN"))
    workflow = yaml.safe_load(read(".github/workflows/tests.yml"))["jobs"]["tests"]["steps"]
    assert torch in [step.get("run") for step in workflow]
    readme = re.search(r'python -m pip install .*"\.\[notebooks\]"', read("README.md"))[0].replace(" -e ", " ")
    assert course == readme.replace(".txt", ".txt -c binder/constraints.txt") + " jupyterhub notebook"


def test_what_the_hub_needs_is_pinned_and_nothing_twice():
    hub = pins("binder/constraints.txt")
    assert {"jupyterhub", "notebook"} < set(hub)
    assert not set(hub) & set(pins("constraints.txt"))
    assert f"JupyterHub {hub['jupyterhub']}" in read("docs/hub.md")


def test_the_page_says_what_the_image_does():
    docker, helm, littlest = page("shell")
    assert instructions("ENTRYPOINT") == ['["sh", "/srv/initviz/binder/start"]']
    assert "--file binder/Dockerfile" in docker and f"initviz:{iv.__version__}" in docker and "config.yaml" in helm
    config = yaml.safe_load(page("yaml")[0])["singleuser"]
    assert config["image"]["tag"] == iv.__version__ and config["image"]["name"] in docker
    assert (ROOT / config["defaultUrl"].removeprefix("/lab/tree/")).exists(), "where binder/start writes the notebooks"
    torch, course = installations(instructions("RUN"))
    in_image = torch, course.replace(" -c binder/constraints.txt", "").removesuffix(" jupyterhub notebook")
    assert [line.replace("sudo -E", "python -m") for line in installations(littlest.splitlines())] == list(in_image)


@pytest.mark.skipif(os.name != "posix", reason="the image is Linux's")
def test_a_server_starts_with_the_notebooks_in_the_students_folder(tmp_path):
    (tmp_path / "initviz").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m initviz "$@"\n')
    (tmp_path / "initviz").chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    environ = os.environ | {"HOME": str(home), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(ROOT / "binder" / "start"), "sh", "-c", 'echo "$0 $1"', "a server", "with arguments"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.stdout.endswith("a server with arguments\n"), done.stderr
    assert {path.name for path in (home / "notebooks").glob("*.ipynb")} == {
        path.name for path in (ROOT / "notebooks").glob("*.ipynb")
    }
