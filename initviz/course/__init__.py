"""The questions and exercises of the notebooks, a module a notebook: `_n05_xavier_glorot` belongs to notebooks/05_xavier_glorot.ipynb.

A notebook says `iv.quiz("05.sigmoid")` and `iv.check("05.uniform_bound", uniform_bound)`. What a question says and how an
answer is judged stands here, out of a student's sight.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from types import ModuleType
from typing import Any

from initviz._core.arguments import look_up
from initviz.course._kit import Exercise, Judgement, Question, judge_answer
from initviz.course._quiz import Quiz

__all__ = ["Exercise", "Judgement", "Question", "Quiz", "check", "judge", "lessons", "question", "quiz"]


def lessons() -> dict[str, str]:
    """Number of each notebook that has questions or exercises -> the name of its module: {"05": "_n05_xavier_glorot", ...}."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return {name[2:4]: name for name in names if re.match(r"_n\d\d_", name)}


def quiz(key: str) -> Quiz:
    """The question `key` ("05.sigmoid"), as a widget: choose an answer, and it says why that is right or wrong.

    Raises:
        TypeError, ValueError: no such question; the message lists the near ones.
    """
    return Quiz(question(key))


def question(key: str) -> Question:
    """The question `key` itself: its words, and its choices with what is said to each. Errors as `quiz`."""
    return _entry(key, "QUESTIONS")


def check(key: str, answer: Any) -> None:
    """Judge `answer` to the exercise `key` ("05.uniform_bound") and print what is right, or what is wrong with it.

    A wrong or missing answer is no error: a notebook runs to its end with its exercises unsolved.

    Raises:
        TypeError, ValueError: no such exercise; the message lists the near ones.
    """
    print(judge(key, answer))


def judge(key: str, answer: Any) -> Judgement:
    """What `check` prints, as a `Judgement`."""
    return judge_answer(key, _entry(key, "EXERCISES"), answer)


def _entry(key: str, table: str) -> Any:
    number, _, name = key.partition(".") if isinstance(key, str) else ("", "", "")
    module = look_up("key", number if isinstance(key, str) else key, {n: n for n in lessons()})
    return look_up("key", name, getattr(_lesson(module), table))


def _lesson(number: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{lessons()[number]}")
