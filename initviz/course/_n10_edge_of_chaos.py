"""Notebook 10: questions and exercises on the edge of chaos, isometry and finite width."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, number
from initviz.initializers import get_activation
from initviz.theory import critical_sigma_w, second_moment, slope_second_moment

QUESTIONS = {
    "sides": Question(
        r"tanh without biases: the edge is at $\sigma_w = 1$. Which network carries its gradient over more layers, the one at 0.95 or the "
        "one at 1.05?",
        (
            Choice("both alike", "So it would be if the fixed point q* stayed where it is. On one side it moves, and the slopes with it."),
            Choice(
                "0.95",
                "Below the edge the signal dies out, and χ is σ_w squared: 0.9 per layer. What is there above the edge that works against "
                "the larger weights?",
            ),
            Choice(
                "1.05",
                "Above the edge the signal settles where tanh is bent, and its smaller slopes take away what the larger weights give. The "
                "depth scales are 10 and 348 layers.",
                right=True,
            ),
        ),
    ),
    "isometry": Question(
        r"Orthogonal weights drawn at random, each network at its edge ($\sigma_w = 1$; ReLU: $\sqrt 2$), and small inputs (standard "
        "deviation 0.3). In which networks is, at eight layers, the largest singular value less than 10 times the smallest?",
        (
            Choice("linear, tanh and ReLU, all three", "What does a ReLU's slope do to half of the directions?"),
            Choice(
                "linear and tanh",
                "tanh has slopes near 1 as long as the signal is small. Half of a ReLU's slopes are 0, and under orthogonal weights drawn "
                "at random half of the directions are lost with them.",
                right=True,
            ),
            Choice("linear alone", "So it is for inputs of standard deviation 1. A small signal meets only slopes near 1 in a tanh."),
            Choice("none", "A product of orthogonal matrices is orthogonal, so the linear one has them all at exactly 1."),
        ),
    ),
    "directions": Question(
        "A layer of 64 ReLU units gets an input of 32 numbers. Are there weights with which, whatever the input, none of the 32 directions "
        "is lost and every length is kept?",
        (
            Choice(
                "no: a ReLU sets half of its values to 0",
                "Half of 64 is 32: enough, if those that remain have all directions among them.",
            ),
            Choice(
                "yes, any orthogonal ones",
                "Of such a matrix about half of the units are on. What these pass on has another length than the input.",
            ),
            Choice(
                "yes, two units for each direction",
                "Give them opposite signs. If one of them is off, the other is on, so each direction comes through once.",
                right=True,
            ),
            Choice("yes, if all weights are positive", "Then nothing is set to 0 for a positive input. Inputs have both signs."),
        ),
    ),
    "narrow": Question(
        "He's weights, 64 ReLU layers of 64 units. By what factor does the squared gradient of a typical draw stray from the middle of "
        "all draws (one standard deviation)?",
        (
            Choice("by a few percent", "One layer strays by √(5/64) = 28 % already, and there are 64."),
            Choice("by about 2", "√5 = 2.2 is the standard deviation of the logarithm."),
            Choice(
                "by about 9",
                "The logarithm has variance 5·64/64 = 5. One standard deviation is √5 = 2.2, and e to that is 9.",
                right=True,
            ),
            Choice("by about 150", "e to the fifth: 5 is the variance of the logarithm, not its standard deviation."),
        ),
    ),
    "deep": Question(
        "Which of them will learn within sixty steps?",
        (
            Choice("all but the Gaussian", "Compare the depth scales with 200 layers: 0.81 to the 200th is a small number."),
            Choice("only 1, the edge itself", "It need not be infinite: a depth scale as long as the network is enough."),
            Choice(
                "1 and 1.05",
                "Their depth scales are infinity and 348 layers. At 0.9 the gradient's square falls by e every 5 layers, at 1.3 it grows "
                "by e every 16: by e to the 12.4th, some 250,000, over 200 layers.",
                right=True,
            ),
            Choice("1, 1.05 and 1.3", "At 1.3 the gradient's square grows by e every 16 layers: some 250,000 times over 200 of them."),
        ),
    ),
}  # fmt: skip


# Exercises ---------------------------------------------------------------------------------------------------------------


def _at(activation: str, q: float) -> float:
    """The sigma_w at which chi is 1 if the second moment is q."""
    return float(1 / np.sqrt(slope_second_moment(get_activation(activation), np.array(q))))


def _kept(activation: str, sigma_b: float) -> float:
    """The sigma_w at which q* is 1."""
    return float(np.sqrt((1 - sigma_b**2) / second_moment(get_activation(activation), np.array(1.0))))


EDGE_MISTAKES: list[tuple[Callable[[str, float], float], str]] = [
    (lambda a, b: critical_sigma_w(a, b) ** 2, "that is the square of the answer: the variance has σ_w², the answer is σ_w."),
    (lambda a, b: critical_sigma_w(a), "that is the edge without biases. They raise q*, and a larger q has smaller slopes."),
    (lambda a, b: _at(a, 1.0), "there χ is 1 at q = 1. The network does not stay at q = 1: take χ at its fixed point."),
    (lambda a, b: _at(a, b**2), "there χ is 1 at q = σ_b², where the first layer would be without an input; q* is larger."),
    (_kept, "there q* is 1, so the signal keeps the scale of the input. It is the gradient that the edge is about: χ = 1."),
    (lambda a, b: critical_sigma_w(a, b**2), "the bias enters as σ_b² of a number that is a variance already; give σ_b as it is."),
    (lambda a, b: critical_sigma_w(a, math.sqrt(b)), "that is the edge for √σ_b: σ_b is a standard deviation as it is."),
]  # fmt: skip


def _judge_edge(answer: Any) -> None:
    for activation, sigma_b in (("tanh", 0.3), ("tanh", 0.6), ("softsign", 0.2)):
        given = number(call(answer, activation, sigma_b))
        if close(given, critical_sigma_w(activation, sigma_b), rel=0.01):
            continue
        words = f"for {activation} and σ_b = {sigma_b:g} it gives {given:.3g}: "
        for mistake, why in EDGE_MISTAKES:
            if close(given, mistake(activation, sigma_b), rel=0.005):
                raise Wrong(words + why)
        side = "vanish" if given < critical_sigma_w(activation, sigma_b) else "explode"
        raise Wrong(words + f"there gradients {side}; χ at the fixed point is not 1.")


WIDTH_MISTAKES: list[tuple[Callable[[int, float], float], str]] = [
    (lambda L, f: 20 * L / math.log(f) ** 2, "that is for the squared length. log|δ| is half of log|δ|²."),
    (lambda L, f: 5 * L / (4 * math.log(f) ** 2), "that is for one standard deviation, so for 68 of 100 draws; take two."),
    (lambda L, f: 5 * L / math.log10(f) ** 2, "the logarithm there is the natural one, math.log."),
    (lambda L, f: 5 * L / math.log2(f) ** 2, "the logarithm there is the natural one, math.log."),
    (lambda L, f: 5 * L / math.log(f), "the standard deviation is to be log f; its square is the variance. Square log f."),
    (lambda L, f: 5 * L, "f is left out. With n = 5L the variance of log|δ|² is 1, whatever f is."),
    (lambda L, f: 5 * L / f**2, "the factor enters by its logarithm: logarithms add up over layers."),
    (lambda L, f: 5 * L / f, "the factor enters by its logarithm, and squared: a variance is 5L/n."),
    (lambda L, f: 2 * L / math.log(f) ** 2, "2/n per layer is a linear network; half of a ReLU's slopes are 0, which makes it 5/n."),
    (lambda L, f: 3 * L / math.log(f) ** 2, "3/n per layer is for orthogonal weights; these are Gaussian."),
    (lambda L, f: math.log(f) ** 2 / (5 * L), "upside down: the more layers, the wider it must be."),
]  # fmt: skip


def _judge_width(answer: Any) -> None:
    for L, f in ((50, 2.5), (30, 1.5), (20, 5.0)):  # at 2 and 3 two mistakes give one number
        given, expected = number(call(answer, L, f)), 5 * L / math.log(f) ** 2
        exact = (1.96 / 2) ** 2 * expected  # 95 % lie within 1.96 standard deviations
        if min(abs(given - expected), abs(given - exact)) <= 1.001:  # rounded, in whichever way
            continue
        words = f"for {L} layers and a factor of {f:g} it gives {given:.4g}: "
        for mistake, why in WIDTH_MISTAKES:
            if abs(given - mistake(L, f)) <= max(1.001 * (expected > 2), 1e-3 * mistake(L, f)):
                raise Wrong(words + why)
        inside = math.erf(math.log(f) / math.sqrt(5 * L / given) * math.sqrt(2)) if given > 0 else 0
        raise Wrong(words + f"at that width {100 * inside:.1f} of 100 draws would be within it.")


EXERCISES = {
    "edge": Exercise(
        _judge_edge,
        "right. At this point a gradient keeps its mean square over any number of layers, in a wide network.",
    ),
    "width": Exercise(
        _judge_width,
        "right. Width must grow in proportion to depth: a network twice as deep needs twice the width for the same luck.",
    ),
}
