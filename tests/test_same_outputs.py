"""Notebook outputs compared: words exactly, measured numbers within their tolerance, by nbval and by `execute --check` alike."""

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from initviz.tools._same_outputs import difference, is_resampled, tolerance

ROOT = Path(__file__).resolve().parent.parent

SAME = [  # stored, new, share
    ("loss 0.16, err 0.2\n", "loss 0.15, err 0.3\n", 0),  # one unit of the last place
    ("-0.16", "-0.17", 0), ("−0.16", "-0.16", 0), ("+0.00", "-0.00", 0), ("+0.00", "-0.01", 0),
    ("0.5", "0.499", 0),  # as :g writes them
    ("2e-24", "3e-24", 0), ("1.5E3", "1600.0", "10"), ("1,234.5", "1,234.6", 0),
    ("54%", "55%", 0), ("54 % of all", "53 % of all", 0), ("54 %", "56 %", "5"),
    ("82 % ± 3 % (5 seeds)", "85 % ± 6 % (5 seeds)", 0), ("305 ± 12", "317 ± 0", 0), ("0.81 ± 0.10", "0.91 ± 0.05", 0),
    ("310 ± 0", "312 ± 4", "2"), ("11 % ± 1 %", "13 % ± 2 %", 0), ("0.1 ± 0.1", "0.2 ± 0.2", 0),
    ("[1.0, inf, nan, -inf]", "[1.1, inf, nan, -inf]", 0),
    ("|  9.95 | 1.0", "| 10.00 |  1.0", "1"),  # what is aligned moves
    (" 9.95 layers\n12.00 layers", "10.01 layers\n11.99 layers", "1"),
]  # fmt: skip
OTHER = [
    ("loss 0.16", "lost 0.16", 0), ("a 1.0\nb 2.0\n", "a 1.0\n", 0), ("a 1.0\n", "a 1.0\nb 2.0\n", 0), ("a\nb 1.0", "a b 1.0", 0),
    ("0.16", "0.14", 0), ("0.16", "0.18", 0), ("0.5", "0.502", 0), ("0.160", "0.158", 0), ("0.16", "", 0), ("0.16", "0.16 0.16", 0),
    ("-0.16", "0.16", "99"), ("+0.16", "-0.16", 0), ("2e-24", "4e-24", 0), ("2e-24", "2e-23", "50"), ("2e-24", "2e24", "50"),
    ("54 %", "56 %", 0), ("54 %", "57 %", "5"), ("54 %", "54", 0), ("54 %", "54 ‰", 0),
    ("82 % ± 3 %", "86 % ± 3 %", 0), ("82 % ± 3 %", "82 % ± 7 %", 0), ("82 % ± 3 %", "82 % ± 30 %", 0), ("82 % ± 3 %", "82 %", 0),
    ("11 % ± 1 %", "14 % ± 2 %", 0), ("11 % ± 1 %", "12 % ± 3 %", 0), ("0.1 ± 0.1", "0.1 ± 0.3", 0),
    ("310 ± 0", "312 ± 0", 0), ("310 ± 0", "310 ± 7", "2"), ("310 ± 0 6.0", "310 ± 0 9.0", "2"),
    ("82 % ± 3 % (5 seeds)", "82 % ± 3 % (4 seeds)", "50"),
    ("305 ± 12", "318 ± 12", 0), ("305 + 12.0", "306 + 12.0", "50"),  # a whole number is a count
    ("4 of 5", "5 of 5", "50"), ("2,560 runs", "2,561 runs", "50"), ("10^-7", "10^-6", "50"), ("10⁻⁷", "10⁻⁶", "50"),
    ("layer1 0.5", "layer2 0.5", "50"), ("torch 2.13.0", "torch 2.12.0", "50"),
    ("float16 1.0", "float32 1.0", "50"), ("0.5x", "0.6x", "50"),
    ("1.0 inf", "1.0 nan", "50"), ("inf 1.0", "-inf 1.0", "50"), ("3e38", "inf", "50"), ("nan", "0.0", "50"), ("True", "False", "50"),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "new", "percent"), SAME)
def test_the_same(stored, new, percent):
    assert difference(stored, new, Decimal(percent) / 100) is None
    assert difference(stored, stored) is None


@pytest.mark.parametrize(("stored", "new", "percent"), OTHER)
def test_another(stored, new, percent):
    assert difference(stored, new, Decimal(percent) / 100)


def test_the_reason_names_line_number_and_tolerance():
    share = Decimal("0.05")
    assert difference("a 1.00\nb 0.16 c", "a 1.00\nb 0.2 c", share) == "line 2: 0.2; stored is 0.16, tolerance 0.01"
    assert difference("a 1.00\nb 100.0", "a 1.00\nb 106.0", share) == "line 2: 106.0; stored is 100.0, tolerance 5"
    assert "'4 of 5'" in difference("5 of 5", "4 of 5")


@pytest.mark.parametrize(
    ("new", "same"),
    [
        ("87 % ± 7 %", True), ("76 % ± 2 %", True), ("82 % ± 14 %", True), ("82 % ± 0 %", True), ("60 % ± 12 %", True),
        ("89 % ± 3 %", False), ("82 % ± 15 %", False), ("57 % ± 12 %", False), ("82 %", False), ("83 ± 3 %", False),
    ],
)  # fmt: skip
def test_another_sample(new, same):
    assert (difference("82 % ± 3 %", new, resampled=True) is None) is same
    assert (difference("a 0.50, 4 of 5", "a 0.52, 4 of 5", resampled=True) is None) is False  # alone it has no spread
    assert is_resampled(["tolerance=5%", "resampled"]) and not is_resampled(["tolerance=5%"])


@pytest.mark.parametrize(("new", "same"), [("0.51", True), ("0.53", False), ("0.50</td><td>", False)])
def test_in_html_the_cells_are_numbers_and_the_tags_are_words(new, same):
    html = '<table style="width: 1.5em"><td>0.50</td></table>'
    assert (difference(html, html.replace("0.50", new), html=True) is None) is same
    assert difference(html, html.replace("1.5em", "1.6em"), html=True)
    assert difference(html.replace("1.5em", "1.5"), html.replace("1.5em", "1.6"), html=True)


def test_the_tag():
    assert tolerance([]) == tolerance(["hide-input"]) == 0
    assert tolerance(["a", "tolerance=2.5%"]) == Decimal("0.025")
    for wrong in (["tolerance"], ["tolerance=5"], ["tolerance=-5%"], ["tolerance=1%", "tolerance=2%"]):
        with pytest.raises(ValueError, match="tags: got .*'tolerance=5%'"):
            tolerance(wrong)


CELLS = {  # source -> stored output, tags, whether it passes
    "print('loss 0.16')": ("loss 0.15\n", [], True),
    "print('loss 0.17')": ("loss 0.15\n", [], False),
    "print('loss 0.18')": ("loss 0.15\n", ["tolerance=20%"], True),
    "print('lost 0.15')": ("loss 0.15\n", ["tolerance=20%"], False),
    "print('a 1.0')": ("a 1.0\nb 1.0\n", ["tolerance=20%"], False),
    "print('a 1.0\\nb 1.0')": ("a 1.0\n", ["tolerance=20%"], False),
    "print('5 seeds, 80 % ± 4 %')": ("5 seeds, 81 % ± 3 %\n", [], True),
    "print('4 seeds, 81 % ± 3 %')": ("5 seeds, 81 % ± 3 %\n", [], False),
    "print('5 seeds, 75 % ± 4 %')": ("5 seeds, 81 % ± 3 %\n", ["resampled"], True),
    "print('5 seeds, 72 % ± 4 %')": ("5 seeds, 81 % ± 3 %\n", ["resampled"], False),
    "print('again 1.0')": ("again 1.0\n", ["tolerance"], False),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The cells above, and one value shown as HTML and as text, with what they are said to have given."""
    cells = []
    for source, (text, tags, _) in CELLS.items():
        output = new_output("stream", name="stdout", text=text)
        cells.append(new_code_cell(source, outputs=[output], metadata={"tags": tags}))
    for text in ("0.51", "0.55"):
        output = new_output("display_data", {"text/html": f"<b>{text}</b>", "text/plain": text})
        cells.append(
            new_code_cell("display({'text/html': '<b>0.50</b>', 'text/plain': '0.50'}, raw=True)", outputs=[output])
        )
    for number, cell in enumerate(cells, start=1):
        cell.execution_count = number
    path = tmp_path_factory.mktemp("stored") / "a.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_nbval_compares_so(stored):
    (stored.parent / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    command = f"{sys.executable} -m pytest -c {ROOT}/pyproject.toml -p no:cacheprovider --nbval -rA {stored}"
    printed = subprocess.run(command.split(), cwd=stored.parent, capture_output=True, text=True, check=False).stdout
    found = {int(cell): result == "PASSED" for result, cell in re.findall(r"(PASSED|FAILED) \S*::Cell (\d+)", printed)}
    assert found == dict(enumerate([*(passes for *_, passes in CELLS.values()), True, False])), printed
    assert "stdout, line 1: 0.17; stored is 0.15, tolerance 0.01" in printed
