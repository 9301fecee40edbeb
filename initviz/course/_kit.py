"""What questions and exercises are made of.

A judge is a function of the student's answer. It returns when the answer is right and raises `Wrong` with the reason when it is not.
`call` runs a student's function: an unsolved one is told from a wrong one, and an error in it is named, not raised.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Choice:
    """One answer to choose: its words, and what to say to whoever chose it."""

    words: str
    feedback: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question with choices, one or more of them right. Words may hold LaTeX between dollar signs."""

    words: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Exercise:
    """A judge, and what to say when the answer is right (what it means, not only that it is)."""

    judge: Callable[[Any], None]
    right: str


@dataclass(frozen=True)
class Judgement:
    """`passed` is None for an exercise that is not answered yet."""

    key: str
    passed: bool | None
    message: str

    def __str__(self) -> str:
        return f"{ {True: '✔', False: '✘', None: '○'}[self.passed] } {self.key}: {self.message}"


class Wrong(Exception):
    """The answer is wrong; the message says what is wrong with it, in a sentence to the student."""


class Unanswered(Exception):
    """There is no answer yet."""


def judge_answer(key: str, exercise: Exercise, answer: Any) -> Judgement:
    """Run the judge. Whatever the answer does, this returns."""
    try:
        if answer is None or answer is ...:
            raise Unanswered
        exercise.judge(answer)
    except Unanswered:
        return Judgement(key, None, "not answered yet. Fill in the dots and run the cell again; there is a hint below.")
    except Wrong as wrong:
        return Judgement(key, False, str(wrong))
    except Exception as error:  # such as a NaN that the judge counts with
        return Judgement(key, False, f"the answer can't be judged: {type(error).__name__}: {error}")
    return Judgement(key, True, exercise.right)


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The student's function on these arguments.

    Raises:
        Unanswered: it returns None or ..., or raises NotImplementedError.
        Wrong: it is no function, or it raised an error.
    """
    if not callable(function):
        raise Wrong(f"got {_short(function)}; the answer is a function.")
    try:
        result = function(*args, **kwargs)
    except NotImplementedError:
        raise Unanswered from None
    except Exception as error:
        words = ", ".join([_short(a) for a in args] + [f"{k}={_short(v)}" for k, v in kwargs.items()])
        raise Wrong(f"it raised {type(error).__name__} when called with ({words}): {error}") from None
    if result is None or result is ...:
        raise Unanswered
    return result


def number(value: Any) -> float:
    """The answer as a float.

    Raises:
        Unanswered: None or ... .
        Wrong: not one number.
    """
    if value is None or value is ...:
        raise Unanswered
    try:
        return float(value.detach() if isinstance(value, torch.Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"got {_short(value)}; the answer is one number.") from None


def listed(value: Any) -> Any:
    """A tensor or an array of answers as a list, anything else as it is."""
    return value.tolist() if isinstance(value, torch.Tensor | np.ndarray) else value


def tensor(value: Any, shape: tuple[int, ...]) -> torch.Tensor:
    """The answer as a tensor of this shape.

    Raises:
        Unanswered: None or ... .
        Wrong: no tensor, or one of another shape.
    """
    if value is None or value is ...:
        raise Unanswered
    if not isinstance(value, torch.Tensor):
        raise Wrong(f"got {_short(value)}; the answer is a torch.Tensor of shape {shape}.")
    if tuple(value.shape) != shape:
        raise Wrong(f"the tensor has shape {tuple(value.shape)}; it must have shape {shape}.")
    return value.detach()


def seeded(seed: int) -> torch.Generator:
    """Random numbers for a judge, on the device where the student's function makes its tensors."""
    return torch.Generator(torch.get_default_device()).manual_seed(seed)


def close(a: float, b: float, rel: float = 1e-3) -> bool:
    """Whether two numbers agree within `rel`."""
    return math.isclose(a, b, rel_tol=rel, abs_tol=1e-12)


def _short(value: Any) -> str:
    if isinstance(value, torch.Tensor) and value.numel() > 1:
        return f"a tensor of shape {tuple(value.shape)}"
    words = f"{value.item():g}" if isinstance(value, torch.Tensor) else getattr(value, "__name__", repr(value))
    return words if len(words) <= 60 else f"{type(value).__name__} {words[:50]} ..."
