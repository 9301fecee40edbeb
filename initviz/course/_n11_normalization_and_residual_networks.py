"""Notebook 11: questions and exercises on normalization and residual networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, number

QUESTIONS = {
    "explode": Question(
        "Fifty ReLU layers with batch normalization and He's weights: what is the first layer's gradient, against the last one's?",
        (
            Choice(
                "about the same: normalization holds it",
                "It holds the signal. The gradient is divided by the same numbers as the signal, and these are not 1 behind a ReLU.",
            ),
            Choice(
                "far smaller",
                "He's weights alone keep the gradient. Now it is also divided by a spread, which is smaller than the signal's rms. Does "
                "that make the gradient smaller?",
            ),
            Choice(
                "some 10,000 times larger",
                "A signal with a mean has a standard deviation below its root mean square. He's weights keep the latter; a layer divides "
                "by the former.",
                right=True,
            ),
            Choice(
                "it depends on the scale of the weights",
                "Weights twice as large make the gradient twice as large, and the normalization divides it by twice as much.",
            ),
        ),
    ),
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

FACTOR_MISTAKES: list[tuple[Callable[[float], float], str]] = [
    (lambda a: 1.0, "that takes E[φ²] for the variance: subtract the square of the mean."),
    (lambda a: math.pi / (math.pi - 1), "that is ReLU's, a = 0; the slope a is left out."),
    (lambda a: _factor(a) ** 0.5, "that is the factor of the root mean square; the second moment's is its square."),
    (lambda a: 1 / _factor(a), "upside down: the way back divides by the variance."),
    (lambda a: _factor(a, mean=(1 + a) / math.sqrt(2 * math.pi)), "below 0 the leaky ReLU is negative: the mean is (1 - a)/√(2π)."),
    (lambda a: _factor(a, mean=1 / math.sqrt(2 * math.pi)), "the part below 0 lowers the mean, to (1 - a)/√(2π)."),
    (lambda a: _factor(a, mean=((1 - a) / math.sqrt(2 * math.pi)) ** 0.5), "the mean is to be squared: Var = E[φ²] - E[φ]²."),
    (lambda a: (1 + a**2) / 2, "that is E[φ'²]; divide it by the variance of φ."),
    (lambda a: (1 + a**2) / 2 - (1 - a) ** 2 / (2 * math.pi), "that is the variance of φ; it divides E[φ'²]."),
    (lambda a: (1 + a) / (1 + a - (1 - a) ** 2 / math.pi), "below 0 the slope is a and its square a²."),
]  # fmt: skip


def _factor(a: float, mean: float | None = None) -> float:
    """E[phi'^2] / Var(phi) of a leaky ReLU with slope a, or with another mean than its own."""
    kept = (1 + a**2) / 2
    return kept / (kept - ((1 - a) / math.sqrt(2 * math.pi) if mean is None else mean) ** 2)


def _judge_factor(answer: Any) -> None:
    for a in (0.25, 0.5, 0.01):
        given = number(call(answer, a))
        if close(given, _factor(a), rel=1e-4):
            continue
        words = f"for a = {a:g} it gives {given:.4g}: "
        for mistake, why in FACTOR_MISTAKES:
            if close(given, mistake(a), rel=1e-6):
                raise Wrong(words + why)
        way = (
            "no activation does less than keep it" if given < 1 else "it is between 1 (a = 1, linear) and 1.47 (a = 0)"
        )
        raise Wrong(words + f"{way}.")


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
    "factor": Exercise(
        _judge_factor,
        "right. The nearer a function is to a linear one, the slower gradients explode: 1.34 at a = 0.1, 1.02 at a = 0.7.",
    ),
    "branch_factor": Exercise(
        _judge_branch_factor,
        "each block multiplies by 1 + s², and N of them by G. For G = e and many blocks that is 1/√N.",
    ),
}
