"""What strict nbval does not see in a committed notebook: cleared cells, missing pictures, slides, traces of a machine."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SLIDE_TYPES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
DRAWS = re.compile(r"\b(?:explore|flow|show)\(|\bplt\.|\.plot\(")
PICTURES = {"explore", "flow"}
PLACES = re.compile(r"/home/|/root/|/Users/|/tmp/|/work/|site-packages|[A-Z]:\\\\?Users")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def test_there_is_a_notebook():
    assert NOTEBOOKS


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def last_call(body: list[ast.stmt]) -> str:
    """The name of the function that the last statement calls, or an empty string."""
    if body and isinstance(body[-1], ast.Expr) and isinstance(body[-1].value, ast.Call):
        function = body[-1].value.func
        return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return ""


def statements(cell) -> list[ast.stmt]:
    return ast.parse("\n".join("" if line.lstrip()[:1] in "%!" else line for line in cell.source.splitlines())).body


def shows(cell) -> bool:
    """True when a cell prints in its top level, or ends in a value that is displayed."""
    body = statements(cell)
    if any(last_call(inner) == "print" for part in body for inner in ([part], getattr(part, "body", []))
           if not isinstance(part, ast.FunctionDef | ast.ClassDef | ast.If)):  # fmt: skip
        return True
    if not body or not isinstance(body[-1], ast.Expr) or cell.source.rstrip().endswith(";"):
        return False
    return last_call(body) in {*PICTURES, "verdict"} or not isinstance(body[-1].value, ast.Call | ast.Constant)


def test_initviz_is_imported_before_torch(notebook):
    """Or it can't tell torch's threads not to spin (initviz/_openmp.py)."""
    names = re.findall(r"(?m)^(?:import|from) (initviz|torch)\b", "\n".join(c.source for c in code_cells(notebook)))
    assert names[0] == "initviz"


def test_execution_counts_run_from_one(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_output_was_cleared(notebook):
    assert outputs(notebook)
    assert not [cell.source for cell in code_cells(notebook) if shows(cell) and not cell.outputs]


def test_a_picture_is_stored_where_one_is_drawn(notebook):
    if any(DRAWS.search(cell.source) for cell in code_cells(notebook)):
        assert any("image/png" in output.get("data", {}) for output in outputs(notebook))


def test_a_call_that_draws_has_its_picture_below(notebook):
    for cell in code_cells(notebook):
        if last_call(statements(cell)) in PICTURES and not cell.source.rstrip().endswith(";"):
            assert any("image/png" in output.get("data", {}) for output in cell.outputs), cell.source


def test_a_widget_carries_its_picture_or_its_words(notebook):
    views = [output.data for output in outputs(notebook) if WIDGET_VIEW in output.get("data", {})]
    assert all(view.get("image/png") or view.get("text/html") for view in views)


def test_no_error_is_stored(notebook):
    assert not [output for output in outputs(notebook) if output.output_type == "error"]


def test_no_trace_of_a_machine(notebook):
    texts = [output.get("text", "") for output in outputs(notebook)]
    texts += [
        str(v) for output in outputs(notebook) for k, v in output.get("data", {}).items() if k.startswith("text/")
    ]
    assert not [text for text in texts if PLACES.search(text)]


def test_it_starts_with_its_title(notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")


def test_every_cell_has_its_place_in_the_slides(notebook):
    missing = [
        c.source[:60] for c in notebook.cells if c.metadata.get("slideshow", {}).get("slide_type") not in SLIDE_TYPES
    ]
    assert not missing
