"""Wrong answers to the exercises of notebook 06, with words of the reason."""

import math

import torch
from torch import nn


def fix(std, bias=True, same=False):
    """A wrong way to fix the net: std(a, n_in, n_out)."""

    def answer(net, a):
        for layer in net:
            if isinstance(layer, nn.Linear):
                seeded = torch.Generator(torch.get_default_device()).manual_seed(0) if same else None
                nn.init.normal_(layer.weight, std=std(a, layer.in_features, layer.out_features), generator=seeded)
                if bias:
                    nn.init.zeros_(layer.bias)
        return net

    return answer


def orthogonal(net, a):
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, gain=math.sqrt(2 / (1 + a**2)))
    return net


def he(a, n, m):
    return math.sqrt(2 / ((1 + a**2) * n))


WRONG = {
    "conv_fans": [
        (lambda i, o, k, s: (o * k * k / s**2, i * k * k), "wrong way round"),
        (lambda i, o, k, s: (i, o), "kernel is left out"),
        (lambda i, o, k, s: (i * k, o * k / s), "k x k places"),
        (lambda i, o, k, s: (i * k * k, o), "more than one place"),
        (lambda i, o, k, s: (i * k * k, o * k * k), "with stride s"),
        (lambda i, o, k, s: (i * k * k, o * k * k / s), "divide by its square"),
        (lambda i, o, k, s: (i * k * k / s**2, o * k * k / s**2), "does not change what a unit sums over"),
        (lambda i, o, k, s: (i * k * k + 1, o * k * k / s**2), "fan_in is not"),
        (lambda i, o, k, s: (i * k * k, o * (k // s) ** 2), "for 8 to 20 channels, a 3 x 3 kernel and stride 2"),
        (lambda i, o, k, s: i * k * k, "two numbers"),
    ],
    "fix": [
        (lambda net, a: net, "still PyTorch's default"),
        (fix(lambda a, n, m: math.sqrt(2 / n)), "slope a is left out"),
        (fix(lambda a, n, m: 2 / ((1 + a**2) * n)), "take the root"),
        (fix(lambda a, n, m: he(a, n, m) / math.sqrt(2)), "the 2 of He's formula"),
        (fix(lambda a, n, m: math.sqrt(2 / ((1 + a) * n))), "squared"),
        (fix(lambda a, n, m: math.sqrt(2 / ((1 + a) ** 2 * n))), "not .1 . a.²"),
        (fix(lambda a, n, m: math.sqrt(2 * (1 + a**2) / n)), "belongs below"),
        (fix(lambda a, n, m: math.sqrt(2 / n) / (1 + a**2)), "under the root"),
        (fix(lambda a, n, m: he(a, m, n)), "that is fan_out"),
        (fix(lambda a, n, m: math.sqrt(2 / (n + m))), "Xavier's variance"),
        (fix(lambda a, n, m: math.sqrt(1 / n)), "linear net"),
        (fix(lambda a, n, m: 0.01), "the second moment is then multiplied by 0.005"),
        (fix(he, bias=False), "biases are still random"),
        (fix(he, same=True), "independent draws"),
        (lambda net, a: net[:-2], "14 linear layers now, not 15"),
        (lambda net, a: 3, "return the network"),
        (lambda net, a: [nn.init.zeros_(net[0].bias), None][1], "end it with `return net`"),
        (orthogonal, "96 inputs and 160 outputs .* multiplied by 0.6 there"),
    ],
    "layers": [
        (15, "still a little more"),
        (8, "millionth of a millionth"),
        (31, "not of its square"),
        (40, "Xavier's factor of 2"),
        (26, "the ReLU takes another 2"),
        (12, "factor of 10 per layer"),
        (5, "too few"),
        (100, "more than it takes"),
        ("many", "one number"),
    ],
}
