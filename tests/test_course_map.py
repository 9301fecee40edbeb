"""The map of the course in notebook 00: a row for each notebook, with its file and the time that it says it takes."""

import re
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def cells(name: str) -> list[str]:
    return [cell.source for cell in nbformat.read(NOTEBOOKS / name, as_version=4).cells]


def rows() -> list[tuple[str, int]]:
    """(file, minutes) of each row but the first, which is the map's own notebook."""
    table = next(source for source in cells("00_start_here.ipynb") if "| notebook |" in source)
    return [
        (name, int(minutes)) for name, minutes in re.findall(r"^\| \[[^]]*\]\(([^)]+)\).*\| (\d+) \|$", table, re.M)
    ]


def test_every_notebook_has_its_row_in_order():
    assert [name for name, _ in rows()] == sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))[1:]


def test_the_minutes_are_what_the_notebooks_say():
    said = {name: sum(map(int, re.findall(r"(\d+) minutes", cells(name)[0]))) for name, _ in rows()}
    assert dict(rows()) == said


def test_the_pages_that_notebooks_link_to_are_there():
    for path in NOTEBOOKS.glob("*.ipynb"):
        for source in cells(path.name):
            for target in re.findall(r"\]\(([\w-]+\.(?:md|ipynb))", source):
                assert (NOTEBOOKS / target).exists(), f"{path.name}: {target}"
    for page in NOTEBOOKS.glob("*.md"):
        for target in re.findall(r"\]\(([\w-]+\.(?:md|ipynb))", page.read_text(encoding="utf-8")):
            assert (NOTEBOOKS / target).exists(), f"{page.name}: {target}"


def test_the_paths_of_a_lecture_name_slides_that_are_there():
    page = (NOTEBOOKS.parent / "docs" / "lecturers.md").read_text(encoding="utf-8")
    paths = re.findall(r"^\| (\d+) \| (\d\d) \| (.*) \|$", page, re.M)
    first = page.index("For 90 minutes")
    assert sum(int(minutes) for minutes, number, words in paths if page.index(words) < first) == 45
    assert sum(int(minutes) for minutes, _, _ in paths) == 90
    for _, number, words in paths:
        (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
        headings = re.findall(r"^#+ (.*)$", "\n".join(cells(path.name)), re.M)
        assert not [word for word in words.split("; ") if word not in headings], path.name
