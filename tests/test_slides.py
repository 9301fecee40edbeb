"""python -m initviz slides: on a tiny notebook. (How slides look is seen in tests/browser/test_decks.py.)"""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from initviz.tools import _slides as slides
from initviz.tools import _stored as stored

VIEW = {"model_id": "0" * 32, "version_major": 2, "version_minor": 0}


@pytest.fixture
def path(tmp_path):
    cells = [new_markdown_cell("# A title\n\n$x^2$"), new_code_cell("app()"), new_code_cell('iv.quiz("00.why")')]
    cells[1].outputs = [new_output("display_data", {stored.VIEW: VIEW, "image/png": "aWNvbg==", "text/plain": "App"})]
    cells[2].outputs = [
        new_output("display_data", {stored.VIEW: VIEW, "text/html": "<b>Why?</b>", "text/plain": "Quiz"})
    ]
    for cell in cells:
        cell.metadata["slideshow"] = {"slide_type": "slide"}
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    return tmp_path / "a.ipynb"


def test_a_deck_is_one_file_that_shows_widgets_as_their_pictures(path, capsys):
    assert slides.main([str(path)]) == 0
    target = path.with_suffix(".slides.html")
    assert capsys.readouterr().out == f"{target}\n"
    page = target.read_text(encoding="utf-8")
    assert page.count("<section") == 2 and "A title" in page, "cells without a heading go on with the one before"
    assert "data:image/png;base64,aWNvbg==" in page and "<b>Why?</b>" in page
    assert "widget-view" not in page
    assert "app" in page and "00.why" not in page, "of a question the deck shows the words, not the line that asks it"


def test_what_cannot_be_read_is_said_in_a_line(tmp_path, capsys):
    (tmp_path / "b.ipynb").write_text("no notebook")
    for name in ("none.ipynb", "b.ipynb"):
        assert slides.main([str(tmp_path / name)]) == 2
        assert capsys.readouterr().err.startswith(f"{tmp_path / name}: ")


def test_a_missing_extra_is_named(path, capsys, monkeypatch):
    monkeypatch.setattr(stored, "find_spec", lambda package: None)
    assert slides.main([str(path)]) == 2
    assert 'pip install "initviz[slides]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("a = 1\nassert a == 1\nprint(a)", "a = 1\nprint(a)"),
        ("assert f(\n    1,\n) == 2, (\n    'no'\n)\nprint(2)", "print(2)"),
        ("for x in y:\n    print(x)\n    assert x", "for x in y:\n    print(x)"),
        ("for x in y:\n    assert x\n    assert x > 1\nprint(1)", "for x in y:\n    ...\nprint(1)"),
        ("if a:\n    b = 1\nelse:\n    assert c", "if a:\n    b = 1\nelse:\n    ..."),
        ("%matplotlib inline\nassert a", "%matplotlib inline\nassert a"),
    ],
)
def test_asserts_are_left_out_and_the_code_stays_whole(code, left):
    assert slides._without_asserts(code) == left


def test_speakers_notes_tell_the_time_and_what_to_ask(path):
    cells = [
        new_markdown_cell("# One\n\n" + "word " * 220 + "Why is that so?"),
        new_markdown_cell("# Two"),
        new_code_cell('iv.quiz("00.why")'),
    ]
    for cell in cells[:2]:
        cell.metadata["slideshow"] = {"slide_type": "slide"}
    notes = [cell.source for cell in slides._slides_of(cells, False) if cell.metadata.slideshow.slide_type == "notes"]
    assert notes[0].startswith("**Minute 0 to 2.**") and notes[0].endswith("Ask: Why is that so?")
    assert notes[1].startswith("**Minute 2 to 4.**") and "show of hands" in notes[1]
