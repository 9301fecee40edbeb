"""Wrong answers to the exercises of notebook 05, with words of the reason."""

import math
from itertools import pairwise

import torch


def ends(forward, backward, combine=math.prod):
    return lambda widths: (
        combine(forward(i, o) for i, o in pairwise(widths)),
        combine(backward(i, o) for i, o in pairwise(widths)),
    )


def forward(widths):
    return math.prod(2 * i / (i + o) for i, o in pairwise(widths))


def sigmoid(v, c):
    return lambda W: (v * W, c(W))


WRONG = {
    "uniform_bound": [
        (lambda i, o: math.sqrt(2 / (i + o)), "that is the standard deviation"),
        (lambda i, o: 2 / (i + o), "that is the variance"),
        (lambda i, o: 6 / (i + o), "take the root"),
        (lambda i, o: math.sqrt(24 / (i + o)), "whole width"),
        (lambda i, o: math.sqrt(6 / i), "outputs are left out"),
        (lambda i, o: math.sqrt(6 / o), "inputs are left out"),
        (lambda i, o: math.sqrt(3 / (i + o)), "has a 2 above"),
        (lambda i, o: math.sqrt(3) * 2 / (i + o), "times the standard deviation"),
        (lambda i, o: math.sqrt(12 / (i + o)), "twice the variance"),
        (lambda i, o: 1.0, "has variance 0.333, not 0.0087"),
        (lambda i: i, "raised TypeError"),
        (lambda i, o: "b", "one number"),
    ],
    "end_to_end": [
        (ends(lambda i, o: 2 * o / (i + o), lambda i, o: 2 * i / (i + o)), "wrong way round"),
        (ends(lambda i, o: math.sqrt(2 * i / (i + o)), lambda i, o: math.sqrt(2 * o / (i + o))), "standard deviation"),
        (ends(lambda i, o: i / (i + o), lambda i, o: o / (i + o)), "2 of Xavier's .* is missing"),
        (lambda w: (2 * w[0] / (w[0] + w[-1]), 2 * w[-1] / (w[0] + w[-1])), "first and the last width"),
        (lambda w: (1.0, 1.0), "as many outputs as inputs"),
        (ends(lambda i, o: 2 * i / (i + o), lambda i, o: 2 * o / (i + o), sum), "they multiply"),
        (lambda w: (2 * w[-2] / (w[-2] + w[-1]), 2 * w[-1] / (w[-2] + w[-1])), "last layer's factor alone"),
        (ends(lambda i, o: 2 * i / (i + o), lambda i, o: 3.0), "the backward one is not"),
        (lambda w: (forward(w), 2 - forward(w)), "factors of one layer add up to 2; their products .* do not"),
        (lambda w: (forward(w), 1 / forward(w)), "backward is not one over forward"),
        (lambda w: 1.0, "two numbers"),
    ],
    "sigmoid": [
        (sigmoid(4, lambda W: torch.zeros(len(W))), "the bias is 0"),
        (sigmoid(4, lambda W: 2 * W.sum(1)), "wrong sign"),
        (sigmoid(4, lambda W: -W.sum(1) / 2), "V times 1/2"),
        (sigmoid(4, lambda W: -4 * W.sum(1)), "mean is 1/2"),
        (sigmoid(4, lambda W: torch.full((len(W),), -0.5)), "from unit to unit"),
        (sigmoid(4, lambda W: -W.sum(1)), "look at the constant"),
        (sigmoid(2, lambda W: -W.sum(1)), "half of what the next layer wants"),
        (sigmoid(16, lambda W: -8 * W.sum(1)), "square of the slope"),
        (sigmoid(1, lambda W: -W.sum(1) / 2), "the weight is W as it was"),
        (sigmoid(3, lambda W: -W.sum(1)), "Start from tanh"),
        (sigmoid(4, lambda W: -2 * W.sum(0)), "has shape"),
        (lambda W: 4 * W, "two tensors"),
    ],
}
