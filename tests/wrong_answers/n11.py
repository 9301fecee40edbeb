"""Wrong answers to notebook 11's exercises, with the words of the reason that a student is given."""

import math


def variance(a):
    return (1 + a**2) / 2 - (1 - a) ** 2 / (2 * math.pi)


WRONG = {
    "factor": [
        (lambda a: 1, "subtract the square of the mean"),
        (lambda a: math.pi / (math.pi - 1), "a is left out"),
        (lambda a: math.sqrt((1 + a**2) / 2 / variance(a)), "root mean square"),
        (lambda a: variance(a) / ((1 + a**2) / 2), "upside down"),
        (lambda a: (1 + a**2) / (1 + a**2 - (1 + a) ** 2 / math.pi), "is negative"),
        (lambda a: (1 + a**2) / (1 + a**2 - 1 / math.pi), "lowers the mean"),
        (lambda a: (1 + a**2) / 2 / ((1 + a**2) / 2 - (1 - a) / math.sqrt(2 * math.pi)), "to be squared"),
        (lambda a: (1 + a**2) / 2, "divide it by the variance"),
        (variance, "it divides"),
        (lambda a: (1 + a) / (1 + a - (1 - a) ** 2 / math.pi), "its square a²"),
        (lambda a: 0.5, "no activation does less"),
        (lambda a: 2, "between 1"),
        (1.47, "the answer is a function"),
    ],
    "branch_factor": [
        (lambda N, G: G ** (1 / N) - 1, "take the root"),
        (lambda N, G: math.sqrt(math.log(G) / N), "many blocks only"),
        (lambda N, G: 1 / math.sqrt(N), "G is left out"),
        (lambda N, G: math.sqrt((G - 1) / N), "not 1 . N s²"),
        (lambda N, G: math.sqrt(G / N), "not added"),
        (lambda N, G: G ** (1 / (2 * N)), "a factor of 1"),
        (lambda N, G: G ** (1 / N), "solve it for s"),
        (lambda N, G: G ** (1 / (2 * N)) - 1, "not as 1 . s"),
        (lambda N, G: math.sqrt(G ** (1 / (2 * N)) - 1), "no root to take"),
        (lambda N, G: 0.5, "grows by 1.95"),
        (lambda N, G: "small", "one number"),
        (0.1, "the answer is a function"),
    ],
}
