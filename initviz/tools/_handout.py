"""`initviz handout 05`: what a class gets of a notebook on paper, in a learning platform, or to hand in.

    05_xavier_glorot.ipynb           the notebook without outputs and without the folded solutions; hints stay, exercises check themselves
    05_xavier_glorot.questions.md    its questions, a sheet to print or to project
    05_xavier_glorot.gift            the same in Moodle's GIFT format, with the feedback for each answer
    05_xavier_glorot.qti.zip         the same as a QTI 1.2 package, which Canvas imports
    05_xavier_glorot.solutions.md    for the teacher: right answers with their reasons, and the solutions of the exercises

With --nbgrader the notebook is the source of an nbgrader assignment instead: solutions stand between nbgrader's marks, and a locked
cell behind each exercise gives a point if `initviz.course.judge` passes the answer. What nbgrader puts in the place of a solution must not
raise an error there, so nbgrader_config.py says `c.ClearSolutions.code_stub = {"python": "# your code above"}`.
"""

from __future__ import annotations

import argparse
import re
import string
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from initviz.course import Question, question
from initviz.tools._lab import CHECKOUT, PACKED, without_outputs
from initviz.tools._qti import package
from initviz.tools._stored import for_a_platform

_SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>\n(.*?)\n?</details>\n*", re.S)
_ASKED = re.compile(r'^iv\.quiz\("([\w.]+)"\)', re.M)
_CHECKED = re.compile(r'^iv\.check\("([\w.]+)", (.+)\)$', re.M)


def find(number: str) -> Path:
    """The notebook of a number ("05"), or of a path.

    Raises:
        ValueError: there is none.
    """
    if number.endswith(".ipynb") and Path(number).exists():
        return Path(number)
    folder = PACKED if PACKED.is_dir() else CHECKOUT
    found = sorted(folder.glob(f"{number}_*.ipynb")) if re.fullmatch(r"\d\d", number) else []
    if not found:
        known = ", ".join(path.name[:2] for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")))
        raise ValueError(f"notebook: got {number!r}; it takes the path of a notebook, or one of {known}")
    return found[0]


def handout(path: Path, nbgrader: bool = False) -> dict[str, str | bytes]:
    """The files of a notebook's handout: name -> text, or the bytes of the QTI package."""
    notebook = nbformat.reads(without_outputs(path.read_text(encoding="utf-8")), as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    questions = {key: question(key) for key in _ASKED.findall(code)}
    title = re.sub(r"^#+ ", "", notebook.cells[0].source.splitlines()[0])
    if nbgrader:
        _mark(notebook)
    solutions = [f"# {title}: solutions", "", "For the teacher.", "", *_answers(questions), *_take_solutions(notebook)]
    return {
        path.name: nbformat.writes(notebook) + "\n",
        f"{path.stem}.questions.md": "\n".join([f"# {title}: predict", "", *_sheet(questions)]),
        f"{path.stem}.gift": "\n".join(_gift(key, one) for key, one in questions.items()),
        f"{path.stem}.qti.zip": package(f"initviz-{path.stem}", title, questions),
        f"{path.stem}.solutions.md": "\n".join(solutions),
    }


def _sheet(questions: dict[str, Question]) -> list[str]:
    lines = []
    for number, one in enumerate(questions.values(), 1):
        choices = [f"   - [ ] {letter}. {choice.words}" for letter, choice in zip(string.ascii_uppercase, one.choices)]
        lines += [f"{number}. {one.words}", "", *choices, ""]
    return lines


def _answers(questions: dict[str, Question]) -> list[str]:
    lines = ["## Questions", ""]
    for number, one in enumerate(questions.values(), 1):
        lines += [f"{number}. {one.words}", ""]
        for letter, choice in zip(string.ascii_uppercase, one.choices):
            lines.append(f"   - {'✔' if choice.right else '✘'} {letter}. {choice.words} — {choice.feedback}")
        lines.append("")
    return lines


def _take_solutions(notebook: NotebookNode) -> list[str]:
    """Take the folded solutions out of a notebook's cells; returns them, below the headings of their exercises."""
    lines, heading = ["## Exercises", ""], ""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        heading = (re.findall(r"^#+ (.*)$", cell.source, re.M) or [heading])[-1]
        for solution in _SOLUTION.findall(cell.source):
            lines += [f"### {heading}", "", solution.strip(), ""]
        cell.source = _SOLUTION.sub("", cell.source).rstrip()
    return lines


def _gift(key: str, one: Question) -> str:
    """A question in GIFT, the format that Moodle imports: https://docs.moodle.org/en/GIFT_format."""
    right = sum(choice.right for choice in one.choices)
    lines = [f"::{_literal(key)}::[html]{_literal(one.words)} {{"]
    for choice in one.choices:
        weight = (
            "="
            if choice.right and right == 1
            else f"~%{100 / right:.5g}%"
            if choice.right
            else "~%-50%"
            if right > 1
            else "~"
        )
        lines.append(f"    {weight}{_literal(choice.words)}#{_literal(choice.feedback)}")
    return "\n".join([*lines, "}", ""])


def _literal(words: str) -> str:
    """Words such that GIFT reads them as they are."""
    return re.sub(r"[\\~=#{}:]", r"\\\g<0>", for_a_platform(words))


def _mark(notebook: NotebookNode) -> None:
    """Mark a notebook's exercises for nbgrader: where the answer goes, with its solution, and a locked cell behind it that judges it."""
    made: list[NotebookNode] = []
    common = {"schema_version": 3, "task": False}
    for number, cell in enumerate(notebook.cells):
        made.append(cell)
        checked = _CHECKED.search(cell.source) if cell.cell_type == "code" else None
        if not checked:
            continue
        key, answer = checked.groups()
        name = re.sub(r"\W", "-", key)
        code = "\n\n".join(re.findall(r"```python\n(.*?)\n```", _next_solution(notebook.cells[number + 1 :]), re.S))
        cell.source = f"{cell.source[: checked.start()]}### BEGIN SOLUTION\n{code}\n### END SOLUTION\n{checked[0]}"
        cell.metadata["nbgrader"] = {**common, "grade": False, "solution": True, "locked": False, "grade_id": name}
        judged = f'from initviz.course import judge\n\njudged = judge("{key}", {answer})\nassert judged.passed, judged.message'
        marks = {**common, "grade": True, "solution": False, "locked": True, "points": 1, "grade_id": f"{name}-judged"}
        metadata = {"slideshow": {"slide_type": "skip"}, "nbgrader": marks}
        made.append(nbformat.v4.new_code_cell(judged, metadata=metadata, id=f"{name}-judged"))
    notebook.cells = made


def _next_solution(cells: list[NotebookNode]) -> str:
    return next(
        (found[1] for cell in cells if cell.cell_type == "markdown" and (found := _SOLUTION.search(cell.source))), ""
    )


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="initviz handout", description="Write what a class gets of a notebook.")
    parser.add_argument("notebooks", nargs="+", help="numbers, such as 05, or paths")
    parser.add_argument("--out", type=Path, default=Path("handout"), help="folder (default: %(default)s)")
    parser.add_argument("--nbgrader", action="store_true", help="mark exercises for nbgrader, a point each")
    options = parser.parse_args(arguments)
    try:
        paths = [find(number) for number in options.notebooks]
        if any(path.parent.resolve() == options.out.resolve() for path in paths):
            raise ValueError(
                "out: got the folder of the notebooks; it takes another, or the handout would replace them"
            )
        options.out.mkdir(parents=True, exist_ok=True)
        for path in paths:
            for name, text in handout(path, options.nbgrader).items():
                (options.out / name).write_bytes(text if isinstance(text, bytes) else text.encode())
                print(options.out / name)
    except (ValueError, TypeError, OSError, nbformat.reader.NotJSONError) as error:
        print(f"initviz handout: {error}", file=sys.stderr)
        return 2
    return 0
