"""Wrong answers to notebook 12's exercises, with the words of the reason that a student is given."""

import math

import torch
from torch import nn


def head(std):
    """A mend that draws the head anew, with a standard deviation that may depend on the weight's (V, d)."""

    def mend(net):
        weight = net.output.weight
        nn.init.normal_(weight, std=std(*weight.shape), generator=torch.Generator().manual_seed(0))
        return net

    return mend


def everything(net):
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(0.1)
    return net


WRONG = {
    "qk_std": [
        (lambda d, b: b / d, "their standard deviation"),
        (lambda d, b: d**-0.5, "β = 1 alone"),
        (lambda d, b: math.sqrt(b / math.sqrt(d)), "d inputs each"),
        (lambda d, b: b / math.sqrt(d), "not with σ"),
        (lambda d, b: b**0.25 / math.sqrt(d), "already, not their variance"),
        (lambda d, b: 0.02, "standard deviation of 0.307"),
        (0.02, "is a function"),
    ],
    "residual": [
        (lambda L, f: f ** (1 / L) / (1 - f ** (1 / L)), "take the root"),
        (lambda L, f: f ** (1 / L), "solve it for r"),
        (lambda L, f: math.sqrt(f ** (1 / L)), "not by r²"),
        (lambda L, f: math.sqrt(L / math.log(1 / f)), "many layers only"),
        (lambda L, f: math.sqrt(L), "f is left out"),
        (lambda L, f: math.sqrt(f / (1 - f)), "for one layer"),
        (lambda L, f: 2.0, "0.0687 of the difference"),
    ],
    "mend": [
        (lambda net: net, "the head is as it was"),
        (head(lambda V, d: 0.0), "passes no gradient"),
        (head(lambda V, d: 1 / d), "the root of it"),
        (head(lambda V, d: 0.02), "GPT-2's choice"),
        (head(lambda V, d: (3 * d) ** -0.5), "torch's own start"),
        (head(lambda V, d: (2 / d) ** 0.5), "no ReLU"),
        (head(lambda V, d: (2 / (V + d)) ** 0.5), "with d alone"),
        (head(lambda V, d: 0.5), "a sum of d products"),
        (everything, "other weights than the head's"),
        (lambda net: 1.0, "returns float that is not"),
    ],
}
