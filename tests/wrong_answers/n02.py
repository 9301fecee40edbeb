"""Wrong answers to the exercises of notebook 02, with words of the reason."""

import torch


def columns(weight, tolerance):
    return _count(weight.T, tolerance)


def _count(rows, tolerance):
    scale = rows.norm(dim=1).max()
    kept = []
    for row in rows:
        if all((row - other).norm() > tolerance * scale for other in kept):
            kept.append(row)
    return len(kept)


def neighbours(weight, tolerance):
    return 1 + int(((weight[1:] - weight[:-1]).norm(dim=1) > tolerance * weight.norm(dim=1).max()).sum())


def exact(weight, tolerance):
    return len(weight.unique(dim=0))


def share_of_the_matrix(weight, tolerance):
    return _count(weight, tolerance * weight.norm() / weight.norm(dim=1).max())


def share_of_its_own_row(weight, tolerance):
    kept = []
    for row in weight:
        if all((row - other).norm() > tolerance * row.norm() for other in kept):
            kept.append(row)
    return len(kept)


def absolute(weight, tolerance):
    return _count(weight, tolerance / weight.norm(dim=1).max())


def gradient(slope, factor=1.0, target=True):
    def answer(W, V, x, y):
        a = torch.tanh(W @ x)
        return factor * (V.T @ (V @ a - y * target) * slope(W @ x, a)) @ x.T / x.shape[1]

    return answer


def true_slope(z, a):
    return 1 - a**2


WRONG = {
    "distinct": [
        (lambda weight, tolerance: weight.unique().numel(), "different entries; a neuron is a row"),
        (columns, "compares columns"),
        (neighbours, "each of the rows before it"),
        (exact, "less than the tolerance"),
        (absolute, "share of the longest row's length"),
        (lambda weight, tolerance: len(weight), "five equal rows it counts 5"),
        (lambda weight, tolerance: 1 / 0, "raised ZeroDivisionError"),
        (share_of_the_matrix, "differ by a fifth of their length"),
        (share_of_its_own_row, "small and near each other"),
        (lambda weight, tolerance: _count(weight, 0.1), "at a tolerance of 2"),
    ],
    "tanh": [
        (gradient(lambda z, a: 1), "slope of tanh is missing"),
        (gradient(lambda z, a: 1 - z**2), "not the pre-activation"),
        (gradient(lambda z, a: 1 - a), "not 1 - a"),
        (gradient(true_slope, factor=10), "mean over the batch"),
        (gradient(true_slope, factor=2), "factor 1/2"),
        (gradient(true_slope, factor=10 / 6), "not by the number of inputs"),
        (gradient(true_slope, factor=-1), "wrong sign"),
        (gradient(true_slope, target=False), "y is left out"),
        (gradient(lambda z, a: a), "differs from what autograd finds"),
        (lambda W, V, x, y: gradient(true_slope)(W, V, x, y).T, "has shape"),
    ],
    "rates": [
        (lambda n, lr: (lr, lr, lr, lr, lr), "the input layer's weights .* same as the wide network"),
        (lambda n, lr: (n * lr, n * lr, lr, lr / n, lr), "wrong way round"),
        (lambda n, lr: (lr / n, lr / n, n * lr, n * lr, lr), "the hidden weights .* Compare the gradient"),
        (lambda n, lr: (lr / n, lr / n, lr, lr, lr), "the output layer's weights .* same as the wide network"),
        (lambda n, lr: (lr / n, lr, n * lr), "five numbers"),
    ],
    "extrapolate": [
        (46.25, "that is the slope"),
        (142, "must be more than"),
        (281, "a little too soon"),
        (420, "add what two more decades take"),
        (23500, "logarithm"),
        ("soon", "one number"),
    ],
}
