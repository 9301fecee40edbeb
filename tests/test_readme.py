"""The README says what is so: its commands are CI's, its code runs, its table of the course is the folder's, its picture is there."""

import re
from pathlib import Path

import pytest

import initviz as iv

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_code_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    names: dict = {}
    exec(code, names)
    assert capsys.readouterr().out.startswith("VANISHING")
    assert (tmp_path / "before.png").stat().st_size > 10_000
    assert (
        iv.verdict(names["report"]).kind == "vanishing" and iv.verdict(names["app"].measurement.report).kind == "stable"
    )


def test_commands_set_up_and_the_tests_are_what_ci_runs():
    notebooks, tests, conda = (block.splitlines() for block in blocks("bash"))
    assert notebooks[0] == tests[0] == "python3 -m venv .venv && . .venv/bin/activate"
    assert len(blocks("powershell")) == len(blocks("bat")) == 1
    install, opened = notebooks[1:]
    assert install.endswith('-e ".[notebooks]"') and opened == "jupyter lab notebooks/00_start_here.ipynb"
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace(" -q ", " ").splitlines()
    assert len(tests) == 3 and [line for line in ci if line in tests] == tests[1:]
    assert " && ".join(conda) in (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_commands_hold_on_every_system():
    """No path into an environment, which Windows has elsewhere, and no quotes that its shells hand on; only where one is entered."""
    pages = [README, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")]
    text = "\n".join(pages)
    for enter in (blocks("bash")[0].splitlines()[0], *blocks("powershell"), *blocks("bat")):
        text = text.replace(enter, "")
    assert not re.findall(r".*venv[/\\].*|.*pip install.*'.*", text)


def test_what_it_links_to_is_there():
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)  # the picture, the notebooks, the other documents
    assert "docs/explorer.png" in links
    assert not [link for link in links if not (ROOT / link).exists()]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_is_in_the_table_of_the_course(path):
    assert re.search(rf"^\| \[{path.stem[:2]} .*\]\(notebooks/{path.name}\) \|", README, re.M)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_that_a_page_names_is_there(page):
    named = set(re.findall(r"`((?:initviz|tests|docs)/[\w./]+\.\w+)`", (ROOT / page).read_text(encoding="utf-8")))
    assert named and not [path for path in named if not (ROOT / path).exists()]
