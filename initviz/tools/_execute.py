"""`python -m initviz execute [--check] [notebook ...]`: run notebooks in place, so that their committed outputs are real.

Without arguments, every notebook of notebooks/. Outputs and execution counts are stored, and of a widget the picture and the words
that its output holds beside it: with its state a page would try to bring it to life, and be blank without a network. What changes
from run to run without meaning (times, the kernel's patch version, random ids of widgets) is taken out or made steady.
`--check` writes nothing: it runs them and compares the text of their outputs with what is stored, as `pytest --nbval` does.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from decimal import Decimal
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import ExecutePreprocessor

from initviz.tools._same_outputs import difference, is_resampled, tolerance

TIMEOUT = 300
"""Seconds that one cell may take."""


def execute(path: Path, check: bool = False) -> float:
    """Run the notebook at `path` and write it back with its outputs; returns the seconds it took.

    With `check` nothing is written; stored and new outputs are compared as text, measured numbers as numbers.

    Raises:
        CellExecutionError, CellTimeoutError, DeadKernelError: a cell failed. The file is then as it was.
        ValueError: not a notebook, or with `check` a cell's outputs differ from the stored ones or its tolerance can't be read.
    """
    notebook = nbformat.read(path, as_version=4)
    stored = [text_outputs(cell) for cell in notebook.cells]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("widgets", None)
    seconds = run(notebook, path.parent)
    if check:
        for number, (cell, before) in enumerate(zip(notebook.cells, stored, strict=True), start=1):
            tags = cell.metadata.get("tags", [])
            changed = change(before, text_outputs(cell), tolerance(tags), resampled=is_resampled(tags))
            if changed:
                raise ValueError(f"cell {number} gives {changed}")
        return seconds
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python"}
    path.write_text(steady(notebook) + "\n", encoding="utf-8", newline="\n")
    return seconds


def run(notebook: nbformat.NotebookNode, folder: Path) -> float:
    """Run its cells in place, in a kernel that starts in `folder`; returns the seconds it took."""
    start = time.perf_counter()
    runner = ExecutePreprocessor(timeout=TIMEOUT, kernel_name="python3", store_widget_state=False)
    runner.record_timing, runner.coalesce_streams = False, True
    runner.preprocess(notebook, {"metadata": {"path": str(folder)}})
    return time.perf_counter() - start


def text_outputs(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell printed and showed as text; its streams count as one, however they were cut."""
    texts: list[str] = []
    streams: dict[str, str] = {}
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            streams[output.name] = streams.get(output.name, "") + output.text
        elif output.output_type == "error":
            texts.append(f"{output.ename}: {output.evalue}")
        else:
            texts += [f"{kind}: {output.data[kind]}" for kind in sorted(output.data) if kind.startswith("text/")]
    return texts + [f"{name}: {streams[name]}" for name in sorted(streams)]


def change(stored: list[str], new: list[str], share: Decimal, *, resampled: bool = False) -> str | None:
    """What differs between two results of `text_outputs`, in words; None if nothing does but the numbers' last digits."""
    kinds, stored_kinds = ([text.split(":", 1)[0] for text in texts] for texts in (new, stored))
    if kinds != stored_kinds:
        return f"{', '.join(kinds) or 'nothing'}; stored is {', '.join(stored_kinds) or 'nothing'}"
    for kind, before, after in zip(kinds, stored, new):
        reason = difference(before, after, share, resampled=resampled, html=kind == "text/html")
        if reason:
            return f"another {kind}, {reason}"
    return None


def steady(notebook: nbformat.NotebookNode) -> str:
    """The notebook as text, its widgets numbered as a reader meets them instead of by random ids."""
    text = nbformat.writes(notebook)
    for number, name in enumerate(dict.fromkeys(re.findall(r'"model_id": "([0-9a-f]{32})"', text))):
        text = text.replace(name, f"{number:032x}")
    return text


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m initviz execute", description="Run notebooks in place.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of notebooks/")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a text output differs")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted(Path("notebooks").glob("*.ipynb"))
    if not paths:
        print("no notebook found: run this where the folder notebooks/ is, or name some", file=sys.stderr)
        return 2
    for path in paths:
        try:
            print(f"{path}  {execute(path, options.check):.1f} s", flush=True)
        except FileNotFoundError:
            print(f"{path}: no such file", file=sys.stderr)
            return 2
        except CellExecutionError as error:
            print(f"{path}: a cell failed, {error.ename}: {error.evalue}\n{error}", file=sys.stderr)
            return 1
        except (CellTimeoutError, DeadKernelError, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
    return 0
