"""Wrong answers to the exercises of notebook 03, with words of the reason."""

import math


def layers(factor=lambda std, n: std * math.sqrt(n), round_=math.floor, plus=1, never=math.inf):
    def answer(std, n, least):
        f = factor(std, n)
        return never if f > 0.999 else round_(math.log(least) / math.log(f)) + plus

    return answer


WRONG = {
    "std_for_width": [
        (lambda n: 1 / n, "variance; the standard deviation is its root"),
        (lambda n: math.sqrt(2 / n), "right for a ReLU layer"),
        (lambda n: math.sqrt(n), "the smaller each must be"),
        (lambda n: math.sqrt(3 / n), "bound of a uniform draw"),
        (lambda n: math.sqrt(1 / (3 * n)), "is its bound, not its standard deviation"),
        (lambda n: -1 / math.sqrt(n), "not negative"),
        (lambda n: 0.3, "multiplies the variance by"),
        (0.1, "the answer is a function"),
    ],
    "uniform_bound": [
        (lambda std: std, "smaller std than b"),
        (lambda std: std / math.sqrt(3), "other way round"),
        (lambda std: 3 * std, "take the root"),
        (lambda std: std * math.sqrt(12), "whole width"),
        (lambda std: 3 * std**2, r"That is b\^2"),
        (lambda std: -std * math.sqrt(3), "not negative"),
        (lambda std: 2 * std, r"b / sqrt\(3\)"),
        (lambda std: std.sqrt(), "raised AttributeError"),
    ],
    "carry_over": [
        (lambda std, n_from, n_to: std, "must change with the width"),
        (lambda std, n_from, n_to: std * math.sqrt(n_to / n_from), "wrong way"),
        (lambda std, n_from, n_to: std * n_from / n_to, "how the variance goes"),
        (lambda std, n_from, n_to: -std * math.sqrt(n_from / n_to), "not negative"),
        (lambda std, n_from, n_to: 1 / math.sqrt(n_to), "must stay the same"),
    ],
    "layers_left": [
        (layers(factor=lambda std, n: std**2 * n), "factor of the variance"),
        (layers(plus=0), "mind the rounding"),
        (layers(round_=math.ceil, plus=0), "After 2 it is 0.25, after 3 it is 0.125: mind the rounding"),
        (layers(never=0), "never falls below"),
        (lambda std, n, least: 1000, "After k layers"),
    ],
}
