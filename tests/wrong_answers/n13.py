"""Wrong answers to the exercises of notebook 13, with words of the reason."""

import math

RIGHT = {"input": (0, 1, 0), "hidden": (-1 / 2, 0, -1), "output": (-1, -1, -1)}


def table(**rows):
    return RIGHT | rows


WRONG = {
    "table": [
        (table(hidden=(-1, 0, -1)), "hidden, std of a weight: n to the power -1 .* power of the variance"),
        (table(output=(-2, -1, -1)), "that is the power of the variance"),
        (table(output=(-1 / 2, -1, -1)), "lie along its weights"),
        (table(input=(-1 / 2, 1, 0)), "input, std of a weight.*as many inputs at every width"),
        (table(input=(0, 0, 0)), "input, SGD's rate.*of order 1/n"),
        (table(input=(0, 1, 1)), "input, Adam's rate.*divided the size of the gradient out"),
        (table(input=(0, 1, -1)), "input, Adam's rate"),
        (table(hidden=(-1 / 2, -1, -1)), "hidden, SGD's rate.*makes up for that"),
        (table(hidden=(-1 / 2, 0, 0)), "hidden, Adam's rate.*do not cancel"),
        (table(output=(-1, 0, -1)), "output, SGD's rate.*of order 1"),
        (table(output=(-1, -1, 0)), "output, Adam's rate"),
        (table(output=(-1, -1)), "a row has three powers"),
        ({"input": (0, 1, 0)}, "a dict with the keys input, hidden, output"),
        (3, "a dict with the keys"),
    ],
    "update": [
        (lambda n_in, n_out: 1 / math.sqrt(n_in * n_out), "is 1 for every shape"),
        (lambda n_in, n_out: math.sqrt(n_out / n_in), "that is the largest singular value to reach"),
        (lambda n_in, n_out: 1 / n_out, "the wrong way round"),
        (lambda n_in, n_out: 1 / math.sqrt(n_in), "would do for random signs"),
        (lambda n_in, n_out: n_out / n_in, "SGD's power"),
        (lambda n_in, n_out: 0.5 / n_in, "largest singular value is then 1.41; it should be 2.83"),
        (0.01, "the answer is a function"),
    ],
    "heads": [
        (lambda d, base: 1 / math.sqrt(d), "q·k is of order d"),
        (lambda d, base: 1 / d, "at the base it must be the usual 1/sqrt"),
        (lambda d, base: 8 / d, "fall as 1/d from 1/sqrt\\(16\\)"),
        (lambda d, base: base / d, "at the base it must be the usual"),
        (lambda d, base: "a", "the answer is one number"),
    ],
}
