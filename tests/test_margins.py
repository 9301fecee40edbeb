"""How near a notebook is to failing: what `margins.measure` finds in a notebook whose numbers are known, and what the command says."""

import margins
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

CELLS = [  # source, stored output, tags
    (
        "import numpy as np, torch\nassert 3 < 5\nassert 1 < 2 < 2.5, 'said'\nassert all(n >= 1 for n in (2, 4))",
        None,
        [],
    ),
    ("print('80 % ± 4 %')", "82 % ± 4 %\n", []),
    ("print('80 % ± 4 %')", "82 % ± 4 %\n", ["resampled"]),
    ("print('loss 0.50')", "loss 0.60\n", ["tolerance=50%"]),
    ("assert np.array([1.0, 4.0]).min() > 0 and (torch.tensor([[3.0, 1.0]]) <= 3.5).all()", None, []),
    ("%time\nassert 1 == 1", None, []),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    cells = []
    for source, text, tags in CELLS:
        outputs = [new_output("stream", name="stdout", text=text)] if text else []
        cells.append(new_code_cell(source, outputs=outputs, metadata={"tags": tags}))
    path = tmp_path_factory.mktemp("notebook") / "a.ipynb"
    nbformat.write(new_notebook(cells=cells[:-1]), path)
    return path


def test_parts_and_distances(path, tmp_path, monkeypatch):
    monkeypatch.setenv("MARGINS", str(tmp_path / "claims"))
    monkeypatch.setenv("PYTHONPATH", str(margins.machines.HERE))
    found = margins.measure(path)
    assert found["parts"] == {"cell 2": 0.5, "cell 3": 0.25, "cell 4": pytest.approx(1 / 3)}
    assert found["claims"] == {
        "cell 1, line 2, comparison 1": 2,
        "cell 1, line 3, comparison 2": 1,
        "cell 1, line 3, comparison 3": 0.5,
        "cell 1, line 4, comparison 4": 1,
        "cell 1, line 4, comparison 5": 3,
        "cell 5, line 1, comparison 1": 1,
        "cell 5, line 1, comparison 2": 0.5,
    }


def test_what_is_no_plain_python_stays_and_a_false_claim_goes_on(tmp_path, monkeypatch):
    assert (
        margins.rewritten(CELLS[-1][0], 1) == CELLS[-1][0]
        and margins.rewritten("x = 1  # as it is", 1) == "x = 1  # as it is"
    )
    monkeypatch.setenv("MARGINS", str(tmp_path / "claims"))
    exec(margins.rewritten("assert 2 < 1\nassert 'a' == 'b'", 7))
    assert (tmp_path / "claims").read_text() == "[7, 1, -1.0]\n"


def test_an_unknown_machine_is_named(path, capsys):
    assert (
        margins.main([str(path), "--", "upl-8"]) == 2
        and "no such machine: upl-8; there are oldest" in capsys.readouterr().err
    )


def test_the_command_says_what_fails_somewhere(path, tmp_path, capsys):
    assert margins.main([str(path), "--", "ulp-8"]) == 0
    assert capsys.readouterr().out == f"{path}\n"  # a half of its tolerance is not yet said
    edge = tmp_path / "edge.ipynb"
    source = "import torch\ndraw = torch.randn(100, generator=torch.Generator().manual_seed(0)).double().sum().item()"
    text = "loss 0.7\n"
    cells = [
        new_code_cell(source),
        new_code_cell("assert draw > 1e9\nprint('loss 0.5')", outputs=[new_output("stream", name="stdout", text=text)]),
    ]
    nbformat.write(new_notebook(cells=cells), edge)
    assert margins.main([str(edge), "--", "ulp-8", "ulp-9"]) == 1
    said = capsys.readouterr().out
    assert "cell 2: up to 2.00 of its tolerance" in said and "cell 2, line 1, comparison 1: apart by -1e+09" in said
