"""A stored notebook as a page without a kernel, and its questions elsewhere: what slides, the site and handouts share."""

from __future__ import annotations

import html
import re
from importlib.util import find_spec
from pathlib import Path

import nbformat

import initviz
from initviz._core.extras import MissingExtra
from initviz.widgets import recording

VIEW = "application/vnd.jupyter.widget-view+json"
PICTURES = ("image/png", "text/html")
"""What a widget's output holds beside the widget, for readers without a kernel."""
UNANSWERED = "not answered yet"
"""What an unsolved exercise prints, see `initviz.course.check`."""


def is_app(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell shows an app and does nothing else: `iv.explore...(...)`."""
    return cell.cell_type == "code" and cell.source.startswith("iv.explore")


def is_question(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell asks a question and does nothing else: `iv.quiz(...)`."""
    return cell.cell_type == "code" and cell.source.startswith("iv.quiz(")


def record_app(cell: nbformat.NotebookNode) -> None:
    """Measure the app of a cell on its `grid`; its output becomes a recording, whose sliders move without a kernel."""
    app = eval(cell.source, {"iv": initviz})
    words = {"text/html": recording(app, **app.grid()), "text/plain": app.summary()}
    cell.outputs = [nbformat.v4.new_output("display_data", words)]


def show_pictures(notebook: nbformat.NotebookNode) -> None:
    """Widgets become their pictures, or their words."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if any(kind in output.get("data", {}) for kind in PICTURES):
                output.data.pop(VIEW, None)


def says_unanswered(output: nbformat.NotebookNode) -> bool:
    """Whether an output is what an unsolved exercise prints, and nothing else."""
    text = output.get("text", "") if output.output_type == "stream" else ""
    return bool(text) and all(UNANSWERED in line for line in text.splitlines() if line.strip())


def for_a_platform(words: str) -> str:
    r"""Words of a question as HTML for a learning platform, with formulas between \( and \), which Moodle and Canvas set."""
    return re.sub(r"\$([^$]+)\$", r"\\(\1\\)", html.escape(words, quote=False))


def package_folder(package: str, extra: str = "slides") -> Path:
    """Where an installed package lies. (One is named with hyphens: it can be found, not imported.)

    Raises:
        MissingExtra: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtra(package, extra)
    return Path(spec.origin).parent
