"""Wrong answers to notebook 11's exercises, with the words of the reason that a student is given."""

import math

WRONG = {
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
