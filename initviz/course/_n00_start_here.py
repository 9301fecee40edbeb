"""Notebook 00: four predictions, and two exercises in working the explorer and reading a report."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, number, seeded
from initviz.datasets import digits
from initviz.experiments import measure
from initviz.inspection import probe
from initviz.models import mlp

QUESTIONS = {
    "sigmoid": Question(
        "Thirty sigmoid layers of 256 units, Xavier weights. The gradient at layer 30 has an rms of about $10^{-4}$. "
        "What is it at layer 1?",
        (
            Choice(
                "about the same: Xavier is made to keep it", "Xavier assumes a slope of 1. A sigmoid's is at most 1/4."
            ),
            Choice(
                "about $10^{-6}$, a hundredth",
                "A hundredth would be a factor of 0.85 per layer. The slope alone is 1/4.",
            ),
            Choice(
                "about $10^{-22}$",
                "Each layer multiplies the gradient by the sigmoid's slope, at most 1/4: 29 layers make "
                "$(1/4)^{29} = 3 \\cdot 10^{-18}$, and $10^{-4}$ times that is left.",
                right=True,
            ),
            Choice("exactly 0", "float32 goes down to $10^{-45}$. It would take twice as many layers."),
        ),
    ),
    "relu": Question(
        "Fifty ReLU layers, Xavier weights. A ReLU sets the negative half of its inputs to 0. What happens to the activations?",
        (
            Choice(
                "they keep their scale: half of the values is left, and that is enough",
                "Half of the values means half of the second moment, and that in every layer.",
            ),
            Choice(
                "their rms falls by 0.7 per layer, to a hundred-millionth",
                "Half of the second moment is a factor of $\\sqrt{1/2} = 0.71$ for the rms, and $0.71^{49} = 4 \\cdot 10^{-8}$.",
                right=True,
            ),
            Choice(
                "they explode, as nothing bounds a ReLU", "Nothing bounds it, but nothing pushes the signal up either."
            ),
        ),
    ),
    "small": Question(
        "Thirty tanh layers of 256 units, weights drawn with a standard deviation of 0.01. Small random numbers: surely a careful start. "
        "What does the panel of activations look like?",
        (
            Choice(
                "alike in all layers: tanh keeps them between -1 and 1",
                "It bounds them from above. Nothing holds them up.",
            ),
            Choice("wider from layer to layer, until tanh saturates", "That takes weights that enlarge the signal."),
            Choice(
                "narrower from layer to layer, by a factor of 0.16",
                "A sum of 256 products with weights of 0.01: $0.01 \\cdot \\sqrt{256} = 0.16$. Thirty layers leave $10^{-24}$.",
                right=True,
            ),
        ),
    ),
    "float16": Question(
        "Fifty ReLU layers, weights half as large again as they should be, all numbers in float16, whose largest is 65,504. The "
        "signal starts with an rms of about 1. Where does the first value overflow?",
        (
            Choice("about layer 5", "Five layers make $1.5^5 = 7.6$. There is room up to 65,504."),
            Choice(
                "about layer 23",
                "The rms would reach 65,504 at layer 27, as $1.5^{27} = 57\\,000$. The largest of 65,536 activations gets there a few "
                "layers before.",
                right=True,
            ),
            Choice("about layer 45", "$1.5^{45}$ is $10^8$, far above 65,504."),
            Choice(
                "nowhere: a floating point number floats",
                "In float16 the exponent has 5 bits. Beyond 65,504 there is only infinity.",
            ),
        ),
    ),
}


# Exercises ---------------------------------------------------------------------------------------------------------------

DEPTH, SEEDS = 50, 3


def _scale(answer: Any) -> None:
    scale = number(answer)
    if not 0 < scale < math.inf:
        raise Wrong(f"got {scale:g}; a scale is a positive number.")
    logs = []
    for seed in range(SEEDS):
        run = measure(
            activation="relu", scheme="xavier_normal", depth=DEPTH, scale=scale, seed=seed, quantities=["activation"]
        )
        rms = run.report.values("activation", "rms")
        logs.append(math.log(rms[DEPTH - 1] / rms[0]) if rms[DEPTH - 1] > 0 else -math.inf)
    change = float(np.mean(logs))
    if abs(change) <= math.log(3):
        return
    if close(scale, 2, rel=0.02):
        raise Wrong(
            "with 2 the signal explodes: twice the standard deviation is four times the variance, and two times is what is missing."
        )
    factor = f"{math.exp(change / (DEPTH - 1)):.3f}" if math.isfinite(change) else "less than 0.1"
    words = "larger" if change < 0 else "smaller"
    raise Wrong(
        f"with {scale:g} the rms of activations changes by a factor of {factor} per layer; the scale has to be {words}."
    )


def _patients() -> dict[str, nn.Module]:
    """Networks whose layer with the smallest gradient of weights is the first, one in the middle, and the last."""
    generator = seeded(0)

    def linear(n_in: int, n_out: int, scale: float) -> nn.Linear:
        layer = nn.Linear(n_in, n_out, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(n_out, n_in, generator=generator) * scale / math.sqrt(n_in))
        return layer

    return {
        "twelve sigmoid layers": mlp(12, 32, "sigmoid", "xavier_normal"),
        "a net whose first weights are tiny": nn.Sequential(
            linear(64, 32, 1e-4), nn.Tanh(), linear(32, 32, 1), nn.Tanh(), linear(32, 10, 1)
        ),
        "a net of tiny weights before large ones": nn.Sequential(
            linear(64, 32, 1), nn.Tanh(), linear(32, 32, 1e-3), nn.Tanh(), linear(32, 10, 1e3)
        ),
    }


def _quietest(answer: Any) -> None:
    x, y = digits().batch(64)
    for words, model in _patients().items():
        report = probe(model, x, y)
        names = [layer.name for layer in report.reached]
        right = names[int(report.values("weight_gradient", "rms").argmin())]
        given = call(answer, model, x, y)
        if given == right:
            continue
        if not isinstance(given, str):
            got = f"{given:.3g}" if isinstance(given, int | float | np.number) else f"a {type(given).__name__}"
            raise Wrong(f"got {got}; the answer is a layer's name, such as {names[0]!r}: report.reached[i].name.")
        if given not in names:
            raise Wrong(
                f"got {given!r}, which is no layer of this network; its layers are {', '.join(map(repr, names))}."
            )
        for quantity in ("preactivation_gradient", "activation", "weight"):
            if given == names[int(np.nanargmin(report.values(quantity, "rms")))]:
                raise Wrong(
                    f"in {words} you name {given!r}; it has the smallest {quantity}. What a weight learns from is its own gradient, "
                    "'weight_gradient'."
                )
        if given == names[int(report.values("weight_gradient", "rms").argmax())]:
            raise Wrong(f"in {words} you name {given!r}, the layer with the largest gradient.")
        raise Wrong(f"in {words} you name {given!r}; the smallest gradient of weights is that of {right!r}.")


EXERCISES = {
    "scale": Exercise(
        _scale,
        "the square root of 2 is 1.414. ReLU halves the second moment, so the variance of the weights has to double. That is He "
        "initialization, the subject of notebook 06.",
    ),
    "quietest": Exercise(
        _quietest,
        "that is the layer which learns last. A small gradient may come from what comes back (sigmoid) or from what went in (tiny weights "
        "before it).",
    ),
}
