"""The site, built once: its links hold, every name is in it, and from a folder, without a network, its sliders move on desk and phone."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from browser.pages import PICTURE, ROOT, changed, key
from bs4 import BeautifulSoup
from IPython.core.inputtransformer2 import TransformerManager

import initviz as iv
from initviz.tools import _site as site

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
WIDTHS = (390, 1280, 1920)
SECONDS = 2
"""Until a slider has moved a picture, from the moment that the page is asked for."""
HEAVIEST = 8e6
"""Bytes of a page with all that it loads; MathJax is 2.3e6 of them, and is fetched once for all pages."""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site's folder. Of the notebooks' apps only that of 05 moves, to be quick."""
    out = tmp_path_factory.mktemp("site")
    assert site.build(out, record=("05",)) == 0
    return out


@pytest.fixture(scope="module")
def soups(built):
    """Path -> its page, parsed."""
    return {
        path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(built.rglob("*.html"))
        if path.parent.name != "_static"
    }


def loaded(path: Path, soup: BeautifulSoup) -> set[Path]:
    """The files that a page loads with itself."""
    parts = [tag["src"] for tag in soup.select("[src]")] + [tag["href"] for tag in soup.select("link[href]")]
    local = [unquote(urlsplit(part).path) for part in parts if not part.startswith(("data:", "http"))]
    return {path, *((path.parent / name).resolve() for name in local)}


def test_every_link_leads_somewhere(built, soups):
    anchors = {path: {tag["id"] for tag in soup.select("[id]")} for path, soup in soups.items()}
    broken = []
    for path, soup in soups.items():
        for tag in soup.select("a[href]"):
            link = urlsplit(tag["href"])
            if link.scheme in ("http", "https"):
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            if not target.exists() or (link.fragment and unquote(link.fragment) not in anchors.get(target, ())):
                broken.append(f"{path.relative_to(built)}: {tag['href']}")
    assert not broken


def test_what_a_page_loads_lies_beside_it(built, soups, capsys):
    lines = []
    for path, soup in soups.items():
        outside = [tag.get("src") or tag["href"] for tag in soup.select('[src^="http"], link[href^="http"]')]
        assert not outside, path
        files = loaded(path, soup)
        assert not [file for file in files if not file.exists()], path
        weight = sum(file.stat().st_size for file in files)
        lines.append(f"{weight / 1e6:5.1f} MB, {len(files):2} files  {path.relative_to(built)}")
        assert weight < HEAVIEST, lines[-1]
    with capsys.disabled():
        print("\nThe weight of a page with all that it loads:", *lines, sep="\n")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_its_page(built, soups, path):
    notebook, page = nbformat.read(path, as_version=4), soups[built / "course" / f"{path.stem}.html"]
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    questions = [cell for cell in cells if cell.source.startswith("iv.quiz(") and cell.outputs]
    assert len(page.select(".initviz-quiz")) == len(questions)
    assert all(len(quiz.select("details")) >= 2 for quiz in page.select(".initviz-quiz"))
    pictures = sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)
    assert len(page.select(".cell_output img")) + len(page.select(".initviz-recording")) == pictures
    words = page.select_one("article").get_text()
    assert not re.search("^○", words, re.M) and "widget-view" not in str(page)
    assert not [picture["alt"] for picture in page.select(".cell_output img") if "_images/" in picture["alt"]]
    assert len(page.select(".initviz-recorded")) == len(page.select(".initviz-recording"))
    assert page.select_one(f'a[download][href="../notebooks/{path.name}"]') and not re.search(r"\biv\.quiz\(", words)


def test_a_lecturer_finds_the_questions_without_an_installation(built, soups):
    page = soups[built / "lecturers.html"]
    links = [link["href"] for link in page.select('a[download][href^="handouts/"]')]
    assert len(links) == 3 * len(NOTEBOOKS) and len(page.select("tr:has(a[download])")) == len(NOTEBOOKS)
    assert all((built / link).stat().st_size > 100 for link in links)
    assert not [path.name for path in (built / "handouts").iterdir() if "solutions" in path.name]


def test_every_public_name_is_in_the_reference(soups):
    known = {tag["id"] for soup in soups.values() for tag in soup.select("dt[id]")}
    assert not [
        f"{module}.{name}"
        for module, names in site.public_names().items()
        for name in names
        if f"{module}.{name}" not in known
    ]
    everyday = [name for name in iv.__all__ if f"initviz.{name}" not in known]
    assert all(f"initviz.{name}" in site.public_names() for name in everyday), "rooms have pages of their own"


def test_sources_are_linked(built, soups):
    links = {tag["href"] for tag in soups[built / "reference" / "theory.html"].select("dd a[href^=https]")}
    assert "https://arxiv.org/abs/1611.01232" in links
    papers = soups[built / "papers.html"]
    rows = [row for row in papers.select("table tr") if "He et al. 2015" in row.get_text()]
    assert len(rows) == 2 and all(row.select_one('a[href="https://arxiv.org/abs/1502.01852"]') for row in rows)
    assert len(papers.select("table tbody tr")) == len(iv.SCHEMES)


def test_ways_to_run_a_notebook_follow_the_repositorys_address(built, monkeypatch):
    path = ROOT / "notebooks" / "05_xavier_glorot.ipynb"
    assert site.repository() is None, "a placeholder is no address"
    assert "Colab" not in site._ways_to_open(path.name) and (built / ".nojekyll").exists()
    assert "pip install" not in (built / "notebooks" / path.name).read_text(encoding="utf-8")
    monkeypatch.setattr(site, "repository", lambda: "https://github.com/someone/initviz")
    words = site._ways_to_open(path.name)
    assert (
        "https://colab.research.google.com/github/someone/initviz/blob/gh-pages/notebooks/05_xavier_glorot.ipynb"
        in words
    )
    assert "https://mybinder.org/v2/gh/someone/initviz/HEAD?urlpath=lab/tree/notebooks/05_xavier_glorot.ipynb" in words
    assert "vscode://vscode.git/clone?url=https%3A%2F%2Fgithub.com%2Fsomeone%2Finitviz" in words
    notebook = nbformat.reads(site.to_download(path.read_text(encoding="utf-8")), as_version=4)
    nbformat.validate(notebook)
    code = TransformerManager().transform_cell(notebook.cells[1].source)
    ran = []
    shell = type("Shell", (), {"run_line_magic": lambda self, *line: ran.append(line)})()
    exec(code, {"get_ipython": lambda: shell})
    assert not ran, "initviz is here"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    exec(code, {"get_ipython": lambda: shell})
    assert ran == [("pip", 'install -q "initviz[widgets] @ git+https://github.com/someone/initviz"')]


def test_the_practitioners_page_says_what_happens(capsys):
    words = (ROOT / "docs" / "practitioners.md").read_text(encoding="utf-8")
    diagnosis, tied, mend = re.findall(r"```python\n(.*?)```", words, re.S)
    first, shortened = re.findall(r"```text\n(.*?)```", words, re.S)
    names: dict = {}
    exec(diagnosis, names)
    assert capsys.readouterr().out.startswith(first)
    exec(tied, names)
    page = capsys.readouterr().out
    assert all(line.split("...")[0].rstrip() in page for line in shortened.splitlines())
    exec(mend, names)
    kinds = re.findall(r"^\| ([a-z-]+) \|", words, re.M)
    assert set(kinds) - {"verdict"} == set(iv.diagnosis.KINDS)


def test_outside_a_checkout_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(site, "DOCS", tmp_path)
    assert site.main([str(tmp_path / "out")]) == 2
    assert "checkout" in capsys.readouterr().err


# In a browser --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS[:2])
@pytest.mark.parametrize(("name", "control"), [("index.html", "depth"), ("course/05_xavier_glorot.html", "n_out")])
def test_a_slider_moves_soon_after_the_page_opens(built, offline, screenshots, width, name, control):
    offline.set_viewport_size({"width": width, "height": 844})
    taken = []
    for _ in range(5):  # once is enough: another program on the machine can hold the page up
        offline.goto((built / name).as_uri(), wait_until="commit")
        picture = offline.locator(f".initviz-recording {PICTURE}[data-paints]").first
        picture.wait_for()
        before = key(picture)
        offline.locator(f"[name={control}]").focus()
        offline.keyboard.press("ArrowLeft")
        offline.wait_for_function("() => +document.querySelector('.initviz-recording canvas').dataset.figures > 1")
        taken.append(offline.evaluate("() => performance.now()") / 1000)  # since the page was asked for
        assert changed(offline, picture, before)
        if taken[-1] <= SECONDS:
            break
    offline.screenshot(path=screenshots / f"site-{Path(name).stem}-{width}.png")
    assert min(taken) <= SECONDS and offline.asked == []
    assert picture.bounding_box()["width"] <= width


def test_every_page_fits_phone_and_desk_and_asks_for_nothing(built, soups, offline):
    wide = []
    for path, soup in soups.items():
        offline.goto(path.as_uri())
        if soup.select_one(".math"):
            offline.wait_for_function("() => window.MathJax?.startup?.promise")
            offline.evaluate("() => MathJax.startup.promise")
            assert offline.locator("mjx-container").count() and not offline.locator("mjx-merror").count(), path
        for width in WIDTHS:
            offline.set_viewport_size({"width": width, "height": 844})
            if (found := offline.evaluate("() => document.documentElement.scrollWidth")) > width:
                wide.append(f"{path.relative_to(built)}: {found} of {width} pixels")
    assert not wide and offline.asked == []


def test_a_question_answers_and_formulas_are_set(built, offline):
    offline.goto((built / "course" / "05_xavier_glorot.html").as_uri())
    quiz = offline.locator(".initviz-quiz", has_text="Now ReLU under Xavier").first
    right = quiz.locator("details", has_text="✔").first
    assert not right.evaluate("answer => answer.open")
    right.locator("summary").click()
    assert right.evaluate("answer => answer.open") and right.inner_text().count("✔") == 1


def test_search_works_from_a_folder(built, offline):
    offline.goto((built / "search.html").as_uri() + "?q=orthogonal")
    offline.locator("#search-results li a").first.wait_for()
    assert offline.locator("#search-results li a").count() > 3 and offline.asked == []


def test_a_picture_is_large_enough_on_a_phone_and_an_app_on_a_desk(built, offline):
    """Its words are some 17 pixels high in the 1280 that a picture has; an app's panels stand side by side where there is room."""
    offline.goto((built / "course" / "05_xavier_glorot.html").as_uri())
    picture = offline.locator(".cell_output > img").first
    app = offline.locator(f".initviz-recording {PICTURE}[data-paints]").first
    app.wait_for()
    for width in WIDTHS:
        offline.set_viewport_size({"width": width, "height": 844})
        assert picture.bounding_box()["width"] >= 600
        offline.wait_for_function(
            "wide => { const box = document.querySelector('.initviz-recording canvas').getBoundingClientRect();"
            " return wide === (box.width > 1.5 * box.height); }",
            arg=width > 390,
        )
    assert app.bounding_box()["width"] > 900


def test_questions_and_apps_stand_on_the_dark_page_itself(built, offline):
    offline.emulate_media(color_scheme="dark")
    offline.goto((built / "course" / "05_xavier_glorot.html").as_uri())
    offline.locator(f"{PICTURE}[data-dark=true]").first.wait_for()
    for part in (".initviz-quiz", ".initviz-recording", ".initviz-recorded"):
        box = offline.locator(f".text_html:has({part})").first
        assert box.evaluate("box => getComputedStyle(box).backgroundColor") == "rgba(0, 0, 0, 0)", part


def test_a_dark_page_has_dark_pictures(built, offline):
    offline.emulate_media(color_scheme="dark")
    offline.goto((built / "index.html").as_uri())
    picture = offline.locator(f"{PICTURE}[data-dark=true]").first
    picture.wait_for()
    light, dark = (
        offline.locator(".initviz-said").first.evaluate(f"part => getComputedStyle({part}).{what}")
        for part, what in (("part", "color"), ("document.body", "backgroundColor"))
    )
    assert min(map(int, re.findall(r"\d+", light)[:3])) > 180 and max(map(int, re.findall(r"\d+", dark)[:3])) < 60
