"""Notebook 04: questions and exercises on the product of Jacobians, saturation and the ends of number formats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, number
from initviz.datasets import digits
from initviz.inspection import Report, probe
from initviz.models import mlp
from initviz.theory import chi, fixed_point

QUESTIONS = {
    "power": Question(
        "Fifty layers. Each makes the gradient a mere 10 % smaller on its way back. What is left of it at the first layer?",
        (
            Choice("about 90 %", "That is one layer. The next takes 10 % of what is left."),
            Choice("about 10 %", "That would be 22 layers: $0.9^{22} = 0.1$."),
            Choice(
                "about half a percent",
                "$0.9^{49} = 0.006$. Depth turns a small flaw into a large one. That is all there is to it.",
                right=True,
            ),
            Choice("exactly nothing", "A power of 0.9 is never 0. A computer's number may be; that comes below."),
        ),
    ),
    "saturation": Question(
        "Thirty tanh layers with weights four times Xavier and no biases. More than half of the units are saturated, with a slope "
        "of nearly 0. What does the gradient do on its way back?",
        (
            Choice(
                "it vanishes: saturated units let nothing through",
                "The others do let something through, and from weights that are four times as large.",
            ),
            Choice("it keeps its scale: the two effects cancel", "They are not equally strong. Which one wins?"),
            Choice(
                "it explodes",
                "The mean squared slope is 0.15, but the squared weights are 16 times as large: $0.15 \\cdot 16 = 2.4$ per layer.",
                right=True,
            ),
        ),
    ),
    "directions": Question(
        "A product of 64 matrices of size 64 x 64 with independent normal entries, scaled so that the mean squared singular value "
        "of each is 1. How many of the 64 singular values of the product are larger than a hundredth of the largest?",
        (
            Choice("all 64: the scale is right", "The scale is an average. It says nothing about a single direction."),
            Choice("about 32", "After four matrices there are 49, after sixteen 22. And then?"),
            Choice(
                "about 7",
                "Such a matrix stretches some directions and squeezes others. Repeated, both become exponential.",
                right=True,
            ),
        ),
    ),
    "move": Question(
        "Ten sigmoid layers under Xavier are trained with SGD at a rate of 0.1 for 200 steps. How far have the first layer's weights "
        "moved, compared with the output layer's?",
        (
            Choice("as far: every layer is updated at every step", "Updated, yes. By a gradient of which size?"),
            Choice("about a hundredth", "Each layer in between takes a factor of 0.24."),
            Choice(
                "about a hundred-thousandth",
                "The slopes alone leave $0.24^{10}$, about $10^{-6}$; measured it is $10^{-5}$. In effect the first layers are frozen.",
                right=True,
            ),
        ),
    ),
}


# Exercises ---------------------------------------------------------------------------------------------------------------


def _report(activation: str, depth: int, scale: float, seed: int) -> Report:
    x, y = digits().batch(64)
    return probe(mlp(depth, 48, activation, "lecun_normal", scale=scale, seed=seed), x, y)


def _factor(answer: Any) -> None:
    for activation, depth, scale in (("linear", 4, 0.5), ("sigmoid", 12, 1.0), ("relu", 9, 2.0)):
        report = _report(activation, depth, scale, seed=depth)
        g = report.values("preactivation_gradient", "rms")
        right = (g[0] / g[depth - 1]) ** (1 / (depth - 1))
        given = number(call(answer, report))
        fitted = 2.0 ** -np.polyfit(np.arange(depth), np.log2(g[:depth]), 1)[0]
        if close(given, right) or close(
            given, fitted
        ):  # a line through all layers is as good an answer as one through two
            continue
        words = f"for {depth} {activation} layers it gives {given:.4g}; "
        others = {
            1 / right: "you divided the wrong way round: the gradient travels from the last layer to the first.",
            right**2: "that is the factor of the second moment; the rms is its root.",
            g[0]
            / g[depth - 1]: "that is the factor of all layers together. Take the root that makes it the factor of one.",
            (g[0] / g[depth])
            ** (1 / depth): "the last entry of the report is the output layer, which has no activation: leave it out.",
            (g[0] / g[depth - 1])
            ** (1 / depth): f"from the first of {depth} layers to the last there are {depth - 1} steps.",
        }
        for wrong, reason in others.items():
            if close(given, wrong):
                raise Wrong(words + reason)
        forward = report.values("activation", "rms")
        if close(given, (forward[depth - 1] / forward[0]) ** (1 / (depth - 1))):
            raise Wrong(words + "that is how the activations grow. The question is about gradients.")
        ratios = g[: depth - 1] / g[1:depth]
        if close(given, float(ratios.mean())) or close(given, float(np.median(ratios))):
            raise Wrong(words + "factors multiply, so their mean is the geometric one: the root of the product.")
        raise Wrong(words + f"the gradient goes from {g[depth - 1]:.3g} to {g[0]:.3g} in {depth - 1} steps.")


def _dies_after(answer: Any) -> None:
    for start, factor, smallest in (
        (1e-4, 0.24, 2.0**-149),
        (1e-4, 0.24, 2.0**-24),
        (1.0, 0.9, 2.0**-133),
        (0.02, 0.5, 2.0**-149),
    ):
        exact = math.log(smallest / start) / math.log(factor)
        given = number(call(answer, start, factor, smallest))
        if abs(given - exact) <= 1.001:
            continue
        words = f"from {start:g}, at {factor:g} per layer, down to {smallest:.2g} it gives {given:.4g} layers; "
        if close(given, -exact, rel=0.02):
            raise Wrong(words + "the sign is wrong: both logarithms are negative, so their quotient is positive.")
        if abs(given - exact / 2) <= 1.001:
            raise Wrong(words + "that is half of it: `factor` is that of the rms already, not of the second moment.")
        if abs(given - math.log(smallest) / math.log(factor)) <= 1.001:
            raise Wrong(words + "the gradient does not start from 1 but from `start`.")
        if abs(given + math.log10(smallest / start)) <= 1.001:
            raise Wrong(words + "that is how many powers of ten it has to fall. How many of them does a layer take?")
        left = start * factor**given if 0 <= given < 1e5 else math.nan
        raise Wrong(words + f"by then the rms is {left:.2g}. Solve start * factor**k = smallest for k.")


def _sigmoid_scale(answer: Any) -> None:
    scale = number(answer)
    if not 0 < scale < 1e3:
        raise Wrong(f"got {scale:g}; it is a positive number, and not a huge one.")
    factor = float(chi(fixed_point("sigmoid", scale), "sigmoid", scale))
    if abs(factor - 1) <= 0.02:
        return
    if close(scale, 4, rel=0.02):
        raise Wrong(
            f"4 makes up for a slope of 1/4, but only a unit at h = 0 has that slope. With such weights few are there: chi is {factor:.2f}."
        )
    if close(scale, 16, rel=0.02):
        raise Wrong(
            f"16 makes up for a squared slope of 1/16, but chi has the squared scale. With 16 it is {factor:.2f}, above 1."
        )
    raise Wrong(
        f"with {scale:g}, chi is {factor:.2f} at the fixed point; the scale has to be {'larger' if factor < 1 else 'smaller'}."
    )


EXERCISES = {
    "factor": Exercise(
        _factor,
        "the geometric mean, from the last hidden layer to the first. In the explorer's third panel, whose axis is logarithmic, it is the "
        "slope of the line.",
    ),
    "dies_after": Exercise(
        _dies_after,
        "a logarithm of a ratio over a logarithm of a factor. A type that reaches twice as many powers of ten down lasts for "
        "twice as many layers.",
    ),
    "sigmoid_scale": Exercise(
        _sigmoid_scale,
        "ten times Xavier. Then the gradient keeps its scale, and the verdict is 'saturated'. (Whether such a network trains well is "
        "another question. A gradient that arrives is necessary, not sufficient.)",
    ),
}
