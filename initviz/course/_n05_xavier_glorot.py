"""Notebook 05: questions and exercises on Xavier initialization."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from initviz.course._kit import Choice, Exercise, Question, Wrong, call, close, listed, number, seeded, tensor

QUESTIONS = {
    "fan": Question(
        "A linear layer has 64 inputs and 1024 outputs, and weights of variance 1/64, so that the outputs have the variance of the "
        "inputs. Gradients of variance 1 come back to the outputs. What variance do they have at the inputs?",
        (
            Choice("1/16", "Each input feeds 1024 outputs: their gradients add up, they do not thin out."),
            Choice(
                "1",
                "It would be, if the layer were square. On the way back a sum has 1024 terms, not 64.",
            ),
            Choice(
                "16",
                "1024 terms of variance 1/64 each. What keeps the signal's scale is set by n_in, what keeps the gradient's by n_out.",
                right=True,
            ),
            Choice("1024", "A sum of 1024 terms, yes, but each is multiplied by a weight of variance 1/64."),
        ),
    ),
    "alternate": Question(
        "Twelve linear layers, 100, 400, 100, 400, ... units wide, under Xavier. What happens to the signal's variance on the way forward?",
        (
            Choice("it stays the same", "That takes variance 1/n_in in each layer, and Xavier has 2/(n_in + n_out)."),
            Choice(
                "it goes up and down, and stays the same from pair to pair",
                "One layer of a pair has a factor below 1, the other one above 1. Multiply the two.",
            ),
            Choice(
                "it goes up and down, and falls from pair to pair",
                "The factors are 2·100/500 = 0.4 and 2·400/500 = 1.6, and 0.4 times 1.6 is 0.64. It is this average of the two fans that "
                "drifts: variance 1/√(n_in n_out) goes up and down too, but keeps its place from pair to pair.",
                right=True,
            ),
            Choice("it grows", "The product of the two factors is below 1 whenever the two widths differ."),
        ),
    ),
    "sigmoid": Question(
        "Xavier assumes a slope of about 1 where the signal is. A sigmoid's slope is at most 1/4. Ten sigmoid layers under Xavier: by what "
        "factor does the gradient's variance change per layer?",
        (
            Choice("about 1: Xavier is made for sigmoid", "Many texts say so. Square the slope."),
            Choice("about 1/4", "A variance goes with the square of a factor."),
            Choice(
                "about 1/16 or less",
                "The square of 1/4; a little less, as not every unit sits where the slope is largest. It is about 1/18: the nine steps "
                "back from layer 10 to layer 1 leave about $5 \\cdot 10^{-12}$.",
                right=True,
            ),
        ),
    ),
    "relu": Question(
        "Now ReLU under Xavier, all layers of one width. By what factor does the second moment of the pre-activations change per layer?",
        (
            Choice("1", "ReLU sets half of the values to zero, and Xavier's weights do not make up for it."),
            Choice(
                "1/2",
                "A symmetric signal has half of its second moment on the positive side. The 29 steps to layer 30 leave two billionths.",
                right=True,
            ),
            Choice("1/4", "Half of the values are zero, but the other half keep their squares as they are."),
        ),
    ),
}


# Exercises ---------------------------------------------------------------------------------------------------------------

BOUND_MISTAKES: list[tuple[Callable[[int, int], float], str]] = [
    (lambda i, o: math.sqrt(2 / (i + o)), "that is the standard deviation; a uniform draw reaches further than it."),
    (lambda i, o: 2 / (i + o), "that is the variance; the bound is a length, like the standard deviation."),
    (lambda i, o: 6 / (i + o), "that is the bound's square; take the root."),
    (lambda i, o: math.sqrt(24 / (i + o)), "that is the whole width 2b from end to end; the bound is half of it."),
    (lambda i, o: math.sqrt(6 / i), "the outputs are left out: Xavier divides by n_in + n_out."),
    (lambda i, o: math.sqrt(6 / o), "the inputs are left out: Xavier divides by n_in + n_out."),
    (lambda i, o: math.sqrt(3 / (i + o)), "that bound gives the variance 1/(n_in + n_out); Xavier's has a 2 above."),
    (
        lambda i, o: 2 / (i + o) * math.sqrt(3),
        "√3 times the variance; it is √3 times the standard deviation.",
    ),
    (lambda i, o: math.sqrt(12 / (i + o)), "that bound gives twice the variance: n_in + n_out has a 6 above it."),
]


def _judge_uniform_bound(answer: Any) -> None:
    for n_in, n_out in ((52, 178), (64, 1024), (10, 10)):
        given = number(call(answer, n_in, n_out))
        expected = math.sqrt(6 / (n_in + n_out))
        if close(given, expected):
            continue
        why = _mistake(given, BOUND_MISTAKES, n_in, n_out)
        raise Wrong(
            f"for {n_in} inputs and {n_out} outputs it gives {given:.4g}: "
            + (
                why
                or f"a draw from U(-b, b) with this b has variance {given**2 / 3:.3g}, not {2 / (n_in + n_out):.3g}."
            )
        )


def _forward(widths: Sequence[int]) -> float:
    return math.prod(2 * i / (i + o) for i, o in pairwise(widths))


def _backward(widths: Sequence[int]) -> float:
    return math.prod(2 * o / (i + o) for i, o in pairwise(widths))


END_MISTAKES: list[tuple[Callable[[Sequence[int]], tuple[float, float]], str]] = [
    (lambda w: (1.0, 1.0), "Xavier keeps both only where every layer has as many outputs as inputs."),
    (
        lambda w: (_backward(w), _forward(w)),
        "forward and backward are the wrong way round: a forward sum has n_in terms.",
    ),
    (
        lambda w: (math.sqrt(_forward(w)), math.sqrt(_backward(w))),
        "that is the factor of the standard deviation; the variance goes with its square.",
    ),
    (
        lambda w: (_forward(w) / 2 ** (len(w) - 1), _backward(w) / 2 ** (len(w) - 1)),
        "the 2 of Xavier's 2/(n_in + n_out) is missing in each layer.",
    ),
    (
        lambda w: (2 * w[0] / (w[0] + w[-1]), 2 * w[-1] / (w[0] + w[-1])),
        "only the first and the last width count in it; every layer in between has a factor of its own.",
    ),
    (
        lambda w: (_forward(w), 2 - _forward(w)),
        "the two factors of one layer add up to 2; their products over several layers do not. Multiply the backward factors as well.",
    ),
    (
        lambda w: (_forward(w), 1 / _forward(w)),
        "backward is not one over forward: the two factors of a layer add up to 2, and 2 is not what they multiply to. Multiply "
        "the backward factors as well.",
    ),
    (
        lambda w: (sum(2 * i / (i + o) for i, o in pairwise(w)), sum(2 * o / (i + o) for i, o in pairwise(w))),
        "the factors of the layers are added; they multiply.",
    ),
    (
        lambda w: (2 * w[-2] / (w[-2] + w[-1]), 2 * w[-1] / (w[-2] + w[-1])),
        "that is the last layer's factor alone; take the product over all layers.",
    ),
]


def _judge_end_to_end(answer: Any) -> None:
    for widths in ([60, 130, 240, 500], [100, 400, 100, 400, 100], [64, 64, 64], [30, 20, 10]):
        given = listed(call(answer, widths))
        if not (isinstance(given, tuple | list) and len(given) == 2):
            raise Wrong(f"it gives {given!r}; the answer is two numbers, forward and backward.")
        pair = number(given[0]), number(given[1])
        expected = _forward(widths), _backward(widths)
        if close(pair[0], expected[0]) and close(pair[1], expected[1]):
            continue
        words = f"for widths {widths} it gives {pair[0]:.4g} forward and {pair[1]:.4g} backward: "
        for mistake, why in END_MISTAKES:
            other = mistake(widths)
            if close(pair[0], other[0]) and close(pair[1], other[1]):
                raise Wrong(words + why)
        which = "forward" if not close(pair[0], expected[0]) else "backward"
        raise Wrong(words + f"the {which} one is not what a net of such layers measures.")


def _judge_sigmoid(answer: Any) -> None:
    for n_in, n_out, seed in ((20, 30, 0), (30, 20, 1)):
        generator = seeded(seed)
        weight = (
            torch.randn(n_out, n_in, generator=generator) / n_in**0.5
        )  # float32: answers bring tensors of their own
        z = torch.randn(n_in, 50, generator=generator).double()
        given = call(answer, weight.clone())
        if not (isinstance(given, tuple | list) and len(given) == 2):
            raise Wrong("the answer is two tensors, a weight and a bias.")
        v, c = tensor(given[0], (n_out, n_in)).double(), tensor(given[1], (n_out,)).double()
        weight = weight.double()
        goal = 2 * weight @ torch.tanh(z)
        if torch.allclose(v @ torch.sigmoid(2 * z) + c[:, None], goal, atol=1e-4):
            continue
        raise Wrong(_sigmoid_words(weight, v, c))


def _sigmoid_words(weight: Tensor, v: Tensor, c: Tensor) -> str:
    rows = weight.sum(dim=1)
    near = lambda a, b: torch.allclose(a, b, rtol=1e-4, atol=1e-6)  # noqa: E731
    if near(v, 4 * weight):
        if near(c, torch.zeros_like(c)):
            return "the weight is right, but the bias is 0: a sigmoid's mean of 1/2 goes through it to the next layer."
        if near(c, 2 * rows):
            return "the weight is right, and the bias has the wrong sign: it takes the mean away."
        if near(c, -rows / 2):
            return "the weight is right; the bias must take away V times 1/2 with V = 4 W, not W times 1/2."
        if near(c, -4 * rows):
            return "the weight is right; the bias takes away V times 1, but a sigmoid's mean is 1/2."
        if near(c, torch.full_like(c, -0.5)):
            return "the weight is right; each unit adds up its own weights times 1/2, so the bias differs from unit to unit."
        return "the weight is right; the bias is not. Put tanh(h) = 2 sigmoid(2h) - 1 into 2 W tanh(h) and look at the constant."
    if near(v, 2 * weight):
        return "with 2 W it gives W tanh(h), half of what the next layer wants: it sees 2h', as this one saw 2h."
    if near(v, 16 * weight):
        return "16 would make up for the square of the slope; weights are multiplied by the slope itself."
    if near(v, weight):
        return "the weight is W as it was: a slope of 1/4 at 0 must be made up for."
    return "V sigmoid(2h) + c differs from 2 W tanh(h). Start from tanh(h) = 2 sigmoid(2h) - 1."


def _mistake(given: float, mistakes: list[tuple[Callable[..., float], str]], *args: Any) -> str | None:
    return next((why for mistake, why in mistakes if close(given, mistake(*args))), None)


EXERCISES = {
    "uniform_bound": Exercise(
        _judge_uniform_bound,
        "b = sqrt(3) std = sqrt(6/(n_in + n_out)), the formula of the lecture and of torch.nn.init.xavier_uniform_.",
    ),
    "end_to_end": Exercise(
        _judge_end_to_end,
        "each layer's two factors add up to 2, so at most one of them can be above 1, and over a net that comes back to its width "
        "both products are at most 1.",
    ),
    "sigmoid": Exercise(
        _judge_sigmoid,
        "V is four times W, and each bias takes away half of the sum of its row of V: the sigmoid net now computes exactly what "
        "the tanh net does.",
    ),
}
