"""python -m initviz execute: on tiny notebooks."""

from decimal import Decimal

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from initviz.tools._execute import change, main

WIDGET = "import ipywidgets\nipywidgets.VBox([ipywidgets.IntSlider(3), ipywidgets.HBox([ipywidgets.Text(), ipywidgets.Text()])])"


def write(path, *sources):
    cells = [new_markdown_cell("# Title", id="title"), *(new_code_cell(s, id=f"c{i}") for i, s in enumerate(sources))]
    for cell in cells[1:]:
        cell.metadata["execution"] = {"iopub.execute_input": "2020-01-01T00:00:00Z"}
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_outputs_and_counts_are_stored_without_widget_state_and_a_second_run_changes_nothing(tmp_path, capsys):
    (tmp_path / "beside.txt").write_text("found")
    path = write(tmp_path / "a.ipynb", "print(open('beside.txt').read())", "1 + 1", WIDGET)
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}  ")
    cells = nbformat.read(path, as_version=4).cells
    assert [c.execution_count for c in cells[1:]] == [1, 2, 3]
    assert cells[1].outputs[0].text == "found\n" and cells[2].outputs[0].data["text/plain"] == "2"
    metadata = nbformat.read(path, as_version=4).metadata
    assert "widgets" not in metadata
    assert cells[3].outputs[0].data["application/vnd.jupyter.widget-view+json"]["model_id"] == f"{0:032x}"
    assert metadata["kernelspec"]["name"] == "python3" and metadata["language_info"] == {"name": "python"}
    assert not any("execution" in c.metadata for c in cells)

    before = path.read_bytes()
    assert main([str(path)]) == 0
    assert path.read_bytes() == before


def test_check_writes_nothing_and_sees_a_changed_output(tmp_path, capsys):
    path = write(tmp_path / "a.ipynb", "print(6 * 7)")
    assert main([str(path)]) == 0
    before = path.read_bytes()
    assert main(["--check", str(path)]) == 0 and path.read_bytes() == before
    path.write_bytes(before.replace(b"42", b"43"))
    assert main(["--check", str(path)]) == 1
    assert path.read_bytes() == before.replace(b"42", b"43")
    assert "cell 2 gives another stdout, line 1: 'stdout: 42\\n'; stored is 'stdout: 43\\n'" in capsys.readouterr().err


def test_check_compares_numbers_as_numbers_within_the_cells_tolerance():
    share = Decimal("0.05")
    stored = ["text/html: <b>0.50</b>", "text/plain: 0.50", "stdout: loss 1.00 ± 0.02\n"]
    assert change(stored, ["text/html: <b>0.52</b>", "text/plain: 0.48", "stdout: loss 1.05 ± 0.01\n"], share) is None
    assert "another text/html, line 1: 0.53" in change(stored, [stored[0].replace("0.50", "0.53"), *stored[1:]], share)
    assert "another stdout, line 1: 'stdout: loss'" in change(
        [*stored[:2], "stdout: lost 1.00 ± 0.02\n"], stored, share
    )
    assert change(stored, stored[:2], share) == "text/html, text/plain; stored is text/html, text/plain, stdout"
    assert change([], stored[2:], share) == "stdout; stored is nothing" and change([], [], share) is None


def test_check_reads_the_tag(tmp_path, capsys):
    path = write(tmp_path / "a.ipynb", "print('loss 1.00')")
    assert main([str(path)]) == 0
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs[0].text = "loss 1.04\n"
    for tags, status in ([[], 1], [["tolerance=5%"], 0], [["tolerance=3%"], 1], [["tolerance"], 1]):
        notebook.cells[1].metadata["tags"] = tags
        nbformat.write(notebook, path)
        assert main(["--check", str(path)]) == status, tags
    assert "tags: got ['tolerance']" in capsys.readouterr().err


def test_a_failing_cell_is_named_and_the_file_stays(tmp_path, capsys):
    path = write(tmp_path / "a.ipynb", "1 / 0")
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert path.read_bytes() == before
    assert capsys.readouterr().err.startswith(f"{path}: a cell failed, ZeroDivisionError: division by zero")


@pytest.mark.parametrize(("name", "text", "status"), [("none.ipynb", None, 2), ("bad.ipynb", "not json", 1)])
def test_what_is_no_notebook_is_refused_in_a_line(tmp_path, capsys, name, text, status):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert main([str(path)]) == status
    assert str(path) in capsys.readouterr().err


def test_an_empty_folder_says_where_to_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert "no notebook found" in capsys.readouterr().err
