"""A stored notebook without a kernel: exported as HTML, or opened in JupyterLab and not run, it shows its pictures and its questions."""

import nbformat
import pytest
from browser.servers import LAB
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

from initviz.tools._execute import main


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A notebook with an app and a question, executed as ours are."""
    path = tmp_path_factory.mktemp("stored") / "stored.ipynb"
    cells = [
        new_code_cell("import initviz as iv\niv.explore(depth=3, width=16)", id="a"),
        new_code_cell("iv.quiz('00.sigmoid')", id="b"),
    ]
    nbformat.write(new_notebook(cells=cells), path)
    assert main([str(path)]) == 0
    return path


def test_it_carries_pictures_and_words_and_no_widget_state(stored):
    notebook = nbformat.read(stored, as_version=4)
    assert "widgets" not in notebook.metadata
    app, question = (cell.outputs[0].data for cell in notebook.cells)
    assert {"image/png", "text/plain"} <= set(app) and {"text/html", "text/plain"} <= set(question)
    assert stored.stat().st_size < 200_000


def test_exported_html_shows_the_picture_and_the_folded_answers(page, stored, tmp_path, screenshots):
    asked = []
    page.route(
        lambda url: not url.startswith(("file:", "data:")),
        lambda route: (asked.append(route.request.url), route.abort()),
    )
    html, _ = HTMLExporter().from_filename(stored)
    (tmp_path / "stored.html").write_text(html, encoding="utf-8")
    page.goto((tmp_path / "stored.html").as_uri())
    picture = page.locator(".jp-OutputArea img").first
    assert picture.is_visible() and picture.evaluate("image => image.naturalWidth") == 1280
    answers = page.locator("ol details")
    assert answers.count() >= 2 and answers.first.is_visible()
    feedback = answers.first.evaluate("answer => answer.lastChild.textContent.trim()")
    assert answers.first.evaluate("answer => !answer.open") and len(feedback) > 5
    answers.first.locator("summary").click()
    assert answers.first.evaluate("answer => answer.open")
    page.screenshot(path=screenshots / "exported.png", full_page=True)


def test_jupyterlab_shows_them_before_anything_is_run(page, serve, stored, screenshots):
    lab = serve(LAB, stored.parent)
    page.goto(f"{lab}/lab/tree/{stored.name}?reset")
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
    page.wait_for_timeout(4000)
    page.screenshot(path=screenshots / "stored-lab.png")
    assert page.locator(".jp-OutputArea img").first.is_visible()
    assert page.locator("ol details").first.is_visible()
