"""Wrong answers to the exercises of notebook 04."""

import math

import numpy as np


def ends(report):
    g = report.values("preactivation_gradient", "rms")
    return g, len(g) - 1


def upside_down(report):
    g, depth = ends(report)
    return (g[depth - 1] / g[0]) ** (1 / (depth - 1))


def of_the_second_moment(report):
    return 1 / upside_down(report) ** 2


def of_all_layers(report):
    g, depth = ends(report)
    return g[0] / g[depth - 1]


def with_the_output_layer(report):
    g, depth = ends(report)
    return (g[0] / g[depth]) ** (1 / depth)


def one_step_too_many(report):
    g, depth = ends(report)
    return (g[0] / g[depth - 1]) ** (1 / depth)


def of_activations(report):
    a = report.values("activation", "rms")
    return (a[-2] / a[0]) ** (1 / (len(a) - 2))


def arithmetic_mean(report):
    g, depth = ends(report)
    return np.mean(g[: depth - 1] / g[1:depth])


def all_factors(report):
    g, depth = ends(report)
    return g[: depth - 1] / g[1:depth]


WRONG = {
    "factor": [
        (upside_down, "the wrong way round"),
        (of_the_second_moment, "the factor of the second moment"),
        (of_all_layers, "the factor of all layers together"),
        (with_the_output_layer, "the last entry of the report is the output layer"),
        (one_step_too_many, "from the first of 4 layers to the last there are 3 steps"),
        (of_activations, "how the activations grow"),
        (arithmetic_mean, "the geometric one"),
        (all_factors, "the answer is one number"),
        (lambda report: 0.5 * report.loss, "the gradient goes from"),
    ],
    "dies_after": [
        (lambda start, factor, smallest: -math.log(smallest / start) / math.log(factor), "the sign is wrong"),
        (lambda start, factor, smallest: math.log(smallest / start) / math.log(factor**2), "half of it"),
        (lambda start, factor, smallest: math.log(smallest) / math.log(factor), "does not start from 1"),
        (lambda start, factor, smallest: -math.log10(smallest / start), "powers of ten"),
        (lambda start, factor, smallest: 10, "by then the rms is"),
        (50, "the answer is a function"),
    ],
    "sigmoid_scale": [
        (4, "only a unit at h = 0 has that slope"),
        (16, "1.55, above 1"),
        (8, "chi is 0.79 at the fixed point; the scale has to be larger"),
        (12, "the scale has to be smaller"),
        (-1, "a positive number"),
    ],
}
