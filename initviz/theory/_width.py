"""Powers of the width: how weights, learning rates and the first changes of each layer grow with it, and the norms that they should have.

Let n be the width, and a a vector of n entries of order 1. A random matrix with entries of order 1 takes it to entries of order
sqrt(n), since signs cancel. An outer product, such as a gradient g a^T, takes it to entries of order n, since (g a^T) a = |a|^2 g: nothing
cancels (the README of the package `mup`, "The basic math", by the authors of Yang et al. 2021). So a step of gradient descent, which is an
outer product, grows faster with the width than the random weights that it is added to, and a rate that is right at one width is wrong at
another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from initviz._core.arguments import look_up, real_number
from initviz._core.scaling import Scaling

PARAMETRIZATIONS = {"standard": "one learning rate for all", "mup": "the maximal update parametrization"}
LAYERS = {"input": (0, 1), "hidden": (1, 1), "output": (1, 0)}
"""A layer's role -> the powers of the width in its fan_in and fan_out."""


@dataclass(frozen=True)
class WidthExponents:
    """Powers of the width n, by the role of a layer: "input", "hidden" (between two layers that widen) and "output".

    Attributes:
        std: of a weight's standard deviation.
        rate: of the learning rate.
        size: of the outputs h of the layer at the start: mean |h| goes as n to this power.
        change: of what a first small step changes in it, mean |dh|. "Small" means that the change of the logits is small, so that the
            network answers linearly.
    """

    std: dict[str, float]
    rate: dict[str, float]
    size: dict[str, float]
    change: dict[str, float]


def width_exponents(parametrization: str = "standard", optimizer: str = "sgd") -> WidthExponents:
    """The powers of the width in a network of an input layer, one hidden layer or more, and an output layer, under one of
    PARAMETRIZATIONS and "sgd" or "adam".

    With s and r the powers of std and rate: the gradient at hidden units comes through the output layer, so it is of order n^s_out.
    A step of SGD changes the input layer by n^(r_in + s_out) and a hidden one by n^(r_hid + s_out + 1), with the 1 from |a|^2; a step
    of Adam, whose entries are of order 1 whatever the gradient, by n^r_in and n^(r_hid + 1). The output layer changes by its own
    step, n^(r_out + 1), and by what changed below it, which lies along the output's weights: by n^(s_out + 1) times that. The larger
    one counts.

    Raises:
        TypeError, ValueError: an unknown name.
    """
    look_up("parametrization", parametrization, PARAMETRIZATIONS)
    look_up("optimizer", optimizer, {"sgd": 0, "adam": 0})
    doubled = {role: Scaling(2.0**fan_in, 2.0**fan_out) for role, (fan_in, fan_out) in LAYERS.items()}
    if parametrization == "mup":
        std = {role: round(math.log2(one.std), 9) for role, one in doubled.items()}
        rate = {role: math.log2(one.rate(optimizer)) for role, one in doubled.items()}
    else:
        std = {role: -fan_in / 2 for role, (fan_in, _) in LAYERS.items()}
        rate = dict.fromkeys(LAYERS, 0.0)
    gradient = std["output"] if optimizer == "sgd" else 0.0
    first, hidden = rate["input"] + gradient, rate["hidden"] + gradient + 1
    below = max(first, hidden)
    change = {"input": first, "hidden": below, "output": max(rate["output"] + 1, std["output"] + 1 + below)}
    size = {role: std[role] + fan_in / 2 for role, (fan_in, _) in LAYERS.items()}
    return WidthExponents(std, rate, size, change)


def spectral_scale(fan_in: float, fan_out: float) -> float:
    """sqrt(fan_out/fan_in): the order that a weight's largest singular value should have at each width, and an update's too.

    Such a matrix takes a vector of fan_in entries of order 1 that lies along it to fan_out entries of order 1. This condition gives muP
    (Yang, Simon & Bernstein 2023, A spectral condition for feature learning, arXiv 2310.17813).

    Raises:
        TypeError, ValueError: a fan that is not a number above 0.
    """
    for name, fan in {"fan_in": fan_in, "fan_out": fan_out}.items():
        if real_number(name, fan) == 0:
            raise ValueError(f"{name}: got {fan}; it takes a number above 0")
    return math.sqrt(fan_out / fan_in)
