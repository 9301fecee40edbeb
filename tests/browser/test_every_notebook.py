"""In every notebook that has an app: it opens, one control is moved by keyboard, and the picture follows. Served by Voila.

Only the cells that the app needs are run: strict nbval runs the others.
"""

import ast

import nbformat
import pytest
from browser.pages import APP, ERRORS, HANDLE, PICTURE, ROOT, SECONDS, changed, settled
from nbformat.v4 import new_code_cell, new_notebook

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
VIEW = "application/vnd.jupyter.widget-view+json"


def app_cells(path) -> list[str]:
    """The source of the first cell that shows a widget with a picture, after those of the cells that it needs."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    place = next(
        (i for i, cell in enumerate(cells)
         if any({VIEW, "image/png"} <= set(output.get("data", {})) for output in cell.outputs)), None,
    )  # fmt: skip
    if place is None:
        return []
    sources, wanted = [cells[place].source], names(cells[place].source, ast.Load)
    for cell in reversed(cells[:place]):
        if wanted & names(cell.source, ast.Store):
            sources.insert(0, cell.source)
            wanted |= names(cell.source, ast.Load)
    return sources


def names(source: str, context: type) -> set[str]:
    """The names that a cell uses (ast.Load), or that it makes: assigned, imported or defined (ast.Store)."""
    found = set()
    code = "\n".join("" if line.lstrip()[:1] in "%!" else line for line in source.splitlines())
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            found.add(node.id)
        elif context is ast.Store and isinstance(node, ast.alias):
            found.add((node.asname or node.name).split(".")[0])
        elif context is ast.Store and isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found


def test_an_app_is_cut_out_with_what_it_needs(tmp_path):
    cells = [
        new_code_cell(source) for source in ("import a.b", "x = 1\ny = 2", "z = 3", "def f(): return x", "a.show(f)")
    ]
    cells[-1].outputs = [nbformat.v4.new_output("display_data", {VIEW: {}, "image/png": ""})]
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    assert app_cells(tmp_path / "a.ipynb") == ["import a.b", "x = 1\ny = 2", "def f(): return x", "a.show(f)"]


@pytest.fixture(scope="module")
def voila(serve, tmp_path_factory):
    """Every notebook's app, served."""
    folder = tmp_path_factory.mktemp("voila")
    for path in NOTEBOOKS:
        notebook = new_notebook(cells=[new_code_cell(source) for source in app_cells(path)])
        notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        nbformat.write(notebook, folder / path.name)
    return serve(["voila", str(folder), "--no-browser", "--show_tracebacks=True"], folder)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_control_moves_the_picture(page, voila, screenshots, path):
    assert app_cells(path), "no cell of this notebook shows an app with a picture"
    page.goto(f"{voila}/voila/render/{path.name}", timeout=240_000)
    picture = page.locator(PICTURE).first
    picture.wait_for(timeout=120_000)
    before = settled(page, picture, quiet=1)
    control, keys = first_control(picture.locator(APP))
    control.focus()
    for key in keys:
        page.keyboard.press(key)
        if changed(page, picture, before, seconds=SECONDS / len(keys)):
            break
    else:
        pytest.fail(f"{control} did not move the picture")
    settled(page, picture, quiet=1)
    page.screenshot(path=screenshots / f"{path.stem}.png", full_page=True)
    assert page.locator(ERRORS).count() == 0


def first_control(app):
    """The first slider, or else menu, or else button, and the keys that may move it (the second if it is at its end)."""
    for selector, keys in (
        (f"{HANDLE}:not([disabled] *)", ["ArrowRight", "ArrowLeft"]),
        ("select:enabled", ["ArrowDown", "ArrowUp"]),
        ("button:enabled", ["Enter"]),
    ):
        if app.locator(selector).count():
            return app.locator(selector).first, keys
    raise AssertionError("an app without a control")
