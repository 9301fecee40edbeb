"""Notebook 06: questions and exercises on He initialization."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from initviz._core.restore import random_states
from initviz.course._kit import Choice, Exercise, Question, Unanswered, Wrong, call, close, listed, number

QUESTIONS = {
    "half": Question(
        "A signal z is normal with mean 0 and variance 1. What are the mean, the variance and the second moment of max(0, z)?",
        (
            Choice(
                "mean 0, variance 1/2, second moment 1/2",
                "All values are now 0 or more: the mean can't be 0. So variance and second moment differ.",
            ),
            Choice(
                "mean 0.40, variance 0.34, second moment 0.50",
                "The squares of the positive half stay and the others are gone: 1/2. A part of it, 0.40², is the mean's.",
                right=True,
            ),
            Choice(
                "mean 0.40, variance 0.50, second moment 0.66",
                "The second moment can't be more than half: half of the squares are gone.",
            ),
        ),
    ),
    "leaky": Question(
        "A leaky ReLU has slope 1/2 on the negative side. How should the variance of the weights change, against a ReLU's 2/n_in?",
        (
            Choice(
                "larger, 2.5/n_in", "A leaky ReLU passes more than a ReLU, so the weights need to make up for less."
            ),
            Choice(
                "smaller, 1.6/n_in",
                "It passes 1/2 and, from the negative side, (1/2)²/2 = 1/8: 5/8 in all, and 8/5 makes up for it.",
                right=True,
            ),
            Choice("smaller, 1/n_in", "That is the linear case, where all of the signal passes."),
        ),
    ),
    "padding": Question(
        "A deep plain ReLU net of 3 x 3 convolutions on 8 x 8 images, zero padding, He's variance 2/(9 channels). What happens to the "
        "second moment from layer to layer?",
        (
            Choice("it is kept", "Each sum has nine terms per channel. But what are those beyond the border?"),
            Choice(
                "it falls by some 8 % per layer",
                "At the border up to 5 of 9 terms are zero. On a small image that is a lot of places; on a large one hardly any.",
                right=True,
            ),
            Choice(
                "it halves", "That would be Xavier's variance. He's makes up for the ReLU; something smaller is left."
            ),
        ),
    ),
    "thirty": Question(
        "Thirty plain ReLU layers of 64 units, trained on digits for 300 steps of SGD (rate 0.002, momentum 0.9) from five seeds. From "
        "which weights do they learn?",
        (
            Choice(
                "He's, Xavier's and PyTorch's default",
                "Under Xavier every layer's weights get a gradient some $2^{15}$ times too small. PyTorch's default leaves "
                "$6^{-15}$ of what goes back to the first layer, and no signal reaches the last.",
            ),
            Choice("He's and Xavier's", "Xavier's second moment is halved thirty times: 1 becomes a billionth."),
            Choice(
                "He's alone",
                "Only there signal and gradient keep their size, and these steps are long enough.",
                right=True,
            ),
            Choice("none: thirty layers are too many", "They are many, but see what a factor of 2 does."),
        ),
    ),
    "default": Question(
        "torch.nn.Linear(n, n) draws its weights from U(-1/sqrt(n), 1/sqrt(n)). By what does it miss He's variance?",
        (
            Choice(
                "it is He's: PyTorch calls kaiming_uniform_",
                "It calls it with a = sqrt(5), a slope that no ReLU here has.",
            ),
            Choice("by a factor of 2, as Xavier", "1/sqrt(n) is the bound. What is the variance of a uniform draw?"),
            Choice(
                "by a factor of 6", "A uniform draw of bound b has variance b²/3: 1/(3n), and He's is 2/n.", right=True
            ),
        ),
    ),
}


# Exercises ---------------------------------------------------------------------------------------------------------------

Fans = tuple[float, float]

FAN_MISTAKES: list[tuple[Callable[[int, int, int, int], Fans], str]] = [
    (
        lambda i, o, k, s: (o * k * k / s**2, i * k * k),
        "the two are the wrong way round: fan_in counts what a unit sums over.",
    ),
    (lambda i, o, k, s: (i, o), "the kernel is left out: a unit sums over k x k places of each channel."),
    (lambda i, o, k, s: (i * k, o * k / s), "a kernel has k x k places, not k."),
    (lambda i, o, k, s: (i * k * k, o * k / s), "a kernel has k x k places, not k."),
    (lambda i, o, k, s: (i * k * k, o), "an input feeds more than one place of each output channel."),
    (
        lambda i, o, k, s: (i * k * k, o * k * k),
        "with stride s only one place in s x s has a unit, so an input feeds fewer (torch leaves this out).",
    ),
    (lambda i, o, k, s: (i * k * k, o * k * k / s), "a stride skips places in both directions: divide by its square."),
    (
        lambda i, o, k, s: (i * k * k / s**2, o * k * k / s**2),
        "a stride does not change what a unit sums over, only how many units there are.",
    ),
]


def _judge_conv_fans(answer: Any) -> None:
    for case in ((3, 64, 5, 1), (16, 24, 3, 1), (12, 40, 4, 2), (8, 20, 3, 2)):
        c_in, c_out, k, stride = case
        given = listed(call(answer, *case))
        if not (isinstance(given, tuple | list) and len(given) == 2):
            raise Wrong(f"it gives {given!r}; the answer is two numbers, fan_in and fan_out.")
        pair = number(given[0]), number(given[1])
        expected = c_in * k * k, c_out * k * k / stride**2
        if close(pair[0], expected[0]) and close(pair[1], expected[1]):
            continue
        words = f"for {c_in} to {c_out} channels, a {k} x {k} kernel and stride {stride} it gives {pair[0]:g} and {pair[1]:g}: "
        for mistake, why in FAN_MISTAKES:
            other = mistake(*case)
            if close(pair[0], other[0]) and close(pair[1], other[1]):
                raise Wrong(words + why)
        which = "fan_in" if not close(pair[0], expected[0]) else "fan_out"
        raise Wrong(words + f"{which} is not what the variance measures.")


WIDTHS = (96, 160) * 8


def _sick(slope: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n, m in pairwise(WIDTHS):
        layers += [nn.Linear(n, m), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers)


FIX_MISTAKES: list[tuple[Callable[[float, int, int], float], str]] = [
    (lambda a, n, m: 1 / math.sqrt(3 * n), "the weights are still PyTorch's default."),
    (lambda a, n, m: math.sqrt(2 / n), "that is He's variance for a plain ReLU; the slope a is left out."),
    (
        lambda a, n, m: 2 / ((1 + a**2) * n),
        "that is the variance in the place of the standard deviation; take the root.",
    ),
    (lambda a, n, m: math.sqrt(1 / ((1 + a**2) * n)), "the 2 of He's formula is missing."),
    (lambda a, n, m: math.sqrt(2 / ((1 + a) * n)), "the slope enters squared: 1 + a²."),
    (lambda a, n, m: math.sqrt(2 / ((1 + a) ** 2 * n)), "it is 1 + a², not (1 + a)²."),
    (
        lambda a, n, m: math.sqrt(2 * (1 + a**2) / n),
        "1 + a² belongs below: a leaky ReLU passes more, so it needs less.",
    ),
    (lambda a, n, m: math.sqrt(2 / n) / (1 + a**2), "1 + a² belongs under the root."),
    (lambda a, n, m: math.sqrt(2 / ((1 + a**2) * m)), "that is fan_out; the forward scale goes with fan_in."),
    (lambda a, n, m: math.sqrt(2 / (n + m)), "that is Xavier's variance, which does not know of the leaky ReLU."),
    (lambda a, n, m: math.sqrt(1 / n), "that keeps the scale of a linear net; a leaky ReLU takes a part away."),
]


def _judge_fix(answer: Any) -> None:
    with random_states():
        for seed, slope in enumerate((0.3, 0.6, 0.01)):
            torch.manual_seed(seed)
            net = _sick(slope)
            before = [parameter.detach().clone() for parameter in net.parameters()]
            try:
                fixed = call(answer, net, slope)
            except Unanswered:
                if all(map(torch.equal, net.parameters(), before)):
                    raise
                raise Wrong(
                    "the network has changed, but the function returns nothing: end it with `return net`."
                ) from None
            if not isinstance(fixed, nn.Module):
                raise Wrong(f"it gives a {type(fixed).__name__}; return the network.")
            linears = [layer for layer in fixed.modules() if isinstance(layer, nn.Linear)]
            if len(linears) != len(WIDTHS) - 1:
                raise Wrong(f"the network has {len(linears)} linear layers now, not {len(WIDTHS) - 1}.")
            _judge_weights(linears, slope)


def _judge_weights(linears: list[nn.Linear], slope: float) -> None:
    stds = [layer.weight.detach().double().square().mean().sqrt().item() for layer in linears]
    shapes = [(layer.in_features, layer.out_features) for layer in linears]
    wanted = lambda n, m: math.sqrt(2 / ((1 + slope**2) * n))  # noqa: E731
    if not all(close(std, wanted(*shape), rel=0.03) for std, shape in zip(stds, shapes)):
        for mistake, why in FIX_MISTAKES:
            if all(close(std, mistake(slope, *shape), rel=0.03) for std, shape in zip(stds, shapes)):
                raise Wrong(f"for slope {slope:g}: {why}")
        std, (n, m) = max(zip(stds, shapes), key=lambda layer: abs(math.log(max(layer[0], 1e-30) / wanted(*layer[1]))))
        raise Wrong(
            f"for slope {slope:g}, a layer of {n} inputs and {m} outputs has weights of standard deviation {std:.3g}; "
            f"the second moment is then multiplied by {std**2 * n * (1 + slope**2) / 2:.3g} there, not by 1."
        )
    if any(layer.bias is not None and bool((layer.bias != 0).any()) for layer in linears):
        raise Wrong(
            "the weights are right; the biases are still random, and each layer adds their variance. Set them to zero."
        )
    first = linears[0].weight
    if any(torch.equal(layer.weight, first) for layer in linears[2::2]):
        raise Wrong("all layers of one size have the same weights: they must be independent draws.")


LAYER_MISTAKES = {
    15: "after 15 layers it is 2·10⁻¹², still a little more.",
    8: "that is where the second moment falls below a millionth; the question is about a millionth of a millionth.",
    31: "6 is the factor of the second moment itself, not of its square.",
    40: "that is Xavier's factor of 2 per layer; PyTorch's default loses 6.",
    26: "that is the factor 3 of a linear net; the ReLU takes another 2.",
    11: "12 is the decimal logarithm of the drop; a factor of 6 is log10(6) = 0.78 of a decade, so it takes more than 12 layers.",
    12: "that would be a factor of 10 per layer; it is 6.",
}


def _judge_layers(answer: Any) -> None:
    given = number(answer)
    if given == 16:
        return
    if given in LAYER_MISTAKES:
        raise Wrong(f"{given:g}: {LAYER_MISTAKES[int(given)]}")
    if given < 16:
        raise Wrong(f"{given:g} is too few: 6 to the power of -{given:g} is {6.0**-given:.1g}.")
    raise Wrong(f"{given:g} is more than it takes: 6 to the power of -16 is already {6.0**-16:.1g}.")


EXERCISES = {
    "conv_fans": Exercise(
        _judge_conv_fans,
        "a unit sums over every channel at every place of its kernel, and an input feeds every output channel at as many "
        "places, one in stride² of them.",
    ),
    "fix": Exercise(
        _judge_fix,
        "weights of variance 2/((1 + a²) n_in) and zero biases: each layer now passes on what it gets.",
    ),
    "layers": Exercise(
        _judge_layers,
        "6^16 is 2.8·10¹². The gradient itself is then a millionth of what it was, and a net of 30 layers has 14 more.",
    ),
}
