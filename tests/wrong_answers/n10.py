"""Wrong answers to notebook 10's exercises, with the words of the reason that a student is given."""

import math

import numpy as np

import initviz as iv


def chi_is_1_at(q):
    """An edge that takes chi at a q of its own choice, with only sigma_w as a factor."""
    return lambda activation, sigma_b: 1 / math.sqrt(iv.theory.chi(q(sigma_b), activation, 1.0))


def kept(activation, sigma_b):
    return math.sqrt((1 - sigma_b**2) / iv.theory.variance_map(1.0, activation, 1.0))


WRONG = {
    "edge": [
        (lambda a, b: iv.theory.critical_sigma_w(a, b) ** 2, "square of the answer"),
        (lambda a, b: iv.theory.critical_sigma_w(a), "edge without biases"),
        (lambda a, b: 1.0, "edge without biases"),
        (chi_is_1_at(lambda b: 1.0), "q = 1"),
        (chi_is_1_at(lambda b: b**2), "q = σ_b²"),
        (kept, "q\\* is 1"),
        (lambda a, b: iv.theory.critical_sigma_w(a, b**2), "σ_b as it is"),
        (lambda a, b: 0.9 * iv.theory.critical_sigma_w(a, b), "gradients vanish"),
        (lambda a, b: 2 * iv.theory.critical_sigma_w(a, b), "gradients explode"),
        (1.2, "is a function"),
    ],
    "width": [
        (lambda L, f: 20 * L / np.log(f) ** 2, "half of log"),
        (lambda L, f: math.ceil(5 * L / (4 * math.log(f) ** 2)), "one standard deviation"),
        (lambda L, f: 5 * L / math.log10(f) ** 2, "the natural one"),
        (lambda L, f: 5 * L / math.log(f), "Square log f"),
        (lambda L, f: 5 * L / math.log2(f) ** 2, "the natural one"),
        (lambda L, f: 5 * L, "f is left out"),
        (lambda L, f: 5 * L / f**2, "by its logarithm"),
        (lambda L, f: 2 * L / math.log(f) ** 2, "linear network"),
        (lambda L, f: 3 * L / math.log(f) ** 2, "orthogonal weights"),
        (lambda L, f: 10 * L, "of 100 draws"),
        (lambda L, f: -1, "of 100 draws"),
    ],
}
