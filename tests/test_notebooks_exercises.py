"""Exercises: each stands unsolved in its notebook, its folded solution passes, and typical wrong answers are refused with the reason.

In a notebook an exercise is a code cell that ends in `iv.check("NN.name", answer)`. A later markdown cell holds a hint and the
solution, each in a `<details>`; the solution's code, in a ```python block, takes the place of the exercise's and needs only what
the notebook's first code cell imports.
"""

import ast
import contextlib
import importlib
import io
import math
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

import initviz as iv
from initviz import course
from initviz.course import Exercise, Question
from initviz.course._kit import judge_answer

ROOT = Path(__file__).resolve().parent.parent
SOLUTION = re.compile(r"<details>\s*<summary>[^<]*[Ss]olution[^<]*</summary>.*?```python\n(.*?)```.*?</details>", re.S)
HINT = re.compile(r"<details>\s*<summary>[^<]*[Hh]int")


def notebook(number):
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    return nbformat.read(path, as_version=4)


def tables(table):
    return [
        f"{number}.{name}"
        for number, module in sorted(course.lessons().items())
        for name in getattr(importlib.import_module(f"initviz.course.{module}"), table)
    ]


def plain(source: str) -> str:
    """The cell without IPython's own lines, such as %matplotlib inline."""
    return "\n".join(line for line in source.splitlines() if not line.startswith("%"))


def checks(source: str) -> dict[str, ast.stmt]:
    """Key -> the statement that checks it."""
    found = {}
    for statement in ast.parse(plain(source)).body:
        call = getattr(statement, "value", None)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "iv.check":
            found[call.args[0].value] = statement
    return found


def quizzes(cells) -> list[str]:
    return re.findall(r"iv\.quiz\(\"([^\"]+)\"\)", "\n".join(c.source for c in cells if c.cell_type == "code"))


@pytest.mark.parametrize("number", course.lessons())
def test_a_lesson_is_named_as_its_notebook_and_its_parts_are_all_used(number):
    cells = notebook(number).cells
    assert (ROOT / "notebooks" / f"{course.lessons()[number][2:]}.ipynb").exists()
    used = [key for cell in cells if cell.cell_type == "code" for key in checks(cell.source)]
    assert sorted(used) == sorted(key for key in tables("EXERCISES") if key.startswith(number))
    assert sorted(quizzes(cells)) == sorted(key for key in tables("QUESTIONS") if key.startswith(number))


@pytest.mark.parametrize("key", tables("QUESTIONS"))
def test_a_question_has_a_right_answer_and_feedback_for_every_choice(key):
    question = course._entry(key, "QUESTIONS")
    assert isinstance(question, Question) and len(question.choices) >= 2
    assert any(choice.right for choice in question.choices) and not all(choice.right for choice in question.choices)
    widget = course.quiz(key)
    for number, choice in enumerate(question.choices):
        widget.choices.value = number
        assert choice.feedback and choice.feedback in widget.feedback.value
        assert ("Right" in widget.feedback.value) == choice.right


@pytest.mark.parametrize("key", tables("EXERCISES"))
def test_the_exercise_is_unsolved_and_its_solution_passes(key):
    cells = notebook(key[:2]).cells
    place, cell = next((i, c) for i, c in enumerate(cells) if c.cell_type == "code" and key in checks(c.source))
    assert any(f"○ {key}: not answered yet" in output.get("text", "") for output in cell.outputs)
    after = "\n".join(c.source for c in cells[place + 1 : place + 3] if c.cell_type == "markdown")
    assert HINT.search(after), "no hint below"
    solution = SOLUTION.search(after)
    assert solution, "no folded solution below"
    first = next(c.source for c in cells if c.cell_type == "code")
    names: dict = {}
    exec(plain(first), names)
    exec(solution[1], names)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(ast.unparse(checks(cell.source)[key]), names)
    assert printed.getvalue().startswith(f"✔ {key}: "), printed.getvalue()


@pytest.mark.parametrize("key", tables("EXERCISES"))
def test_wrong_answers_are_refused_with_the_reason(key):
    assert isinstance(course._entry(key, "EXERCISES"), Exercise)
    wrong = importlib.import_module(f"wrong_answers.n{key[:2]}").WRONG[key[3:]]
    assert len(wrong) >= 2
    for answer, words in wrong:
        judgement = course.judge(key, answer)
        assert judgement.passed is False, (key, answer)
        assert re.search(words, judgement.message), judgement.message


def equal_rows(n_in, n_out):
    head = torch.nn.Linear(n_in, n_out)
    torch.nn.init.zeros_(head.bias)
    with torch.no_grad():
        head.weight.copy_(torch.randn(n_in).expand(n_out, n_in))
    return head


def zero_head(model, x):
    iv.init_(model, "he_normal")
    torch.nn.init.zeros_(list(model.modules())[-1].weight)


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        (
            "05.end_to_end",
            lambda w: np.array([[2 * i / (i + o), 2 * o / (i + o)] for i, o in pairwise(w)]).prod(axis=0),
        ),
        ("06.conv_fans", lambda c_in, c_out, k, s: torch.tensor([c_in * k * k, c_out * k * k / s**2])),
        ("07.saving", lambda tries: np.array([len(tries) * (len(tries) + sum(tries)), len(tries) + sum(tries)])),
        ("08.new_head", equal_rows),
        ("10.width", lambda L, f: 5 * L * (1.96 / 2) ** 2 / math.log(f) ** 2),
        ("14.cure_zeros", zero_head),
    ],
)
def test_right_answers_of_another_kind_are_taken(key, answer):
    judgement = course.judge(key, answer)
    assert judgement.passed, judgement.message


@pytest.mark.parametrize("answer", [lambda *_, **__: math.nan, lambda *_, **__: "x", object(), float("inf")])
def test_no_answer_is_an_error(answer):
    assert course.judge("08.freeze", answer).passed is False

    def judge(_):
        raise ZeroDivisionError("of a judge")

    assert "can't be judged: ZeroDivisionError" in judge_answer("00.x", Exercise(judge, ""), answer).message
