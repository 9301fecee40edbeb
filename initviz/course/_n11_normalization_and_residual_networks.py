"""Notebook 11: questions and exercises on normalization and residual networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, number

QUESTIONS = {
    "doubling": Question(
        "Unscaled, $x + F(x)$ in each of a hundred ReLU blocks. By how much does the root mean square of the stream grow?",
        (
            Choice(
                "not at all: every branch keeps the second moment",
                "Each branch does, but the stream is a sum: what passes by and what the branch adds.",
            ),
            Choice(
                "about 10-fold: a hundred branches of equal size add up",
                "They would, if they were of equal size. Each reads a stream that has already grown.",
            ),
            Choice(
                "about $10^{15}$-fold",
                "Each block doubles the second moment: $2^{100} = 10^{30}$, and the root of that.",
                right=True,
            ),
        ),
    ),
}


# Exercises ---------------------------------------------------------------------------------------------------------------

BRANCH_MISTAKES: list[tuple[Callable[[int, float], float], str]] = [
    (
        lambda n, g: g ** (1 / n) - 1,
        "that is s squared: the branch's second moment is multiplied by s²; take the root.",
    ),
    (lambda n, g: math.sqrt(math.log(g) / n), "that is right for many blocks only; G^(1/N) - 1 is not quite log(G)/N."),
    (lambda n, g: 1 / math.sqrt(n), "that is right for (1 + 1/N)^N alone, near e; G is left out."),
    (
        lambda n, g: math.sqrt((g - 1) / n),
        "growth is multiplied from block to block, not added: (1 + s²)^N is not 1 + N s².",
    ),
    (lambda n, g: math.sqrt(g / n), "growth is multiplied from block to block, not added."),
    (
        lambda n, g: g ** (1 / (2 * n)),
        "that factor on the whole stream gives G; what passes by the branch has a factor of 1.",
    ),
    (lambda n, g: g ** (1 / n), "that is a block's factor on the second moment, 1 + s²; solve it for s."),
    (lambda n, g: g ** (1 / n) / 2, "in 1 + s² the 1 is what passes by: subtract it."),
    (
        lambda n, g: g ** (1 / (2 * n)) - 1,
        "stream and branch add as squares, 1 + s², since they are uncorrelated, not as 1 + s.",
    ),
    (
        lambda n, g: math.sqrt(g ** (1 / (2 * n)) - 1),
        "G is the second moment's growth already; there is no root to take of it.",
    ),
    (lambda n, g: math.sqrt(g ** (2 / n) - 1), "G is the second moment's growth already; it need not be squared."),
]


def _judge_branch_factor(answer: Any) -> None:
    for blocks, growth in ((3, 8.0), (10, 4.0), (100, math.e)):
        given = number(call(answer, blocks, growth))
        expected = math.sqrt(growth ** (1 / blocks) - 1)
        if close(given, expected, rel=1e-4):
            continue
        words = f"for N = {blocks} and G = {growth:.3g} it gives {given:.4g}: "
        for mistake, why in BRANCH_MISTAKES:
            if close(given, mistake(blocks, growth), rel=1e-6):
                raise Wrong(words + why)
        raise Wrong(words + f"with that factor the second moment grows by {(1 + given**2) ** blocks:.3g}.")


EXERCISES = {
    "branch_factor": Exercise(
        _judge_branch_factor,
        "each block multiplies by 1 + s², and N of them by G. For G = e and many blocks that is 1/√N.",
    ),
}
