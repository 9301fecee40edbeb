"""Typical wrong answers to the exercises of notebook 08."""

import numpy as np
from torch import nn

import initviz as iv

STUDY = iv.experiments.transfer_study("curves-cnn")
TUNED, RANDOM = STUDY.final("fine_tuned", 50), STUDY.final("random", 50)


def frozen(net, keep=("head",), count=lambda net: sum(p.numel() for p in net.parameters() if p.requires_grad)):
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name.startswith(keep))
    return count(net)


def head(start, frozen=False):
    def make(n_in, n_out):
        made = nn.Linear(n_in, n_out)
        start(made.weight)
        made.weight.requires_grad_(not frozen)
        return made

    return make


def within(pilot, labels, paired=True):
    """The first strategy within two standard errors of the best."""
    best = max(pilot.strategies, key=lambda s: pilot.final(s, labels).mean())
    for name in pilot.strategies:
        a, b = pilot.final(best, labels), pilot.final(name, labels)
        variance = (a - b).var(ddof=1) if paired else a.var(ddof=1) + b.var(ddof=1)
        if (a - b).mean() <= 2 * (variance / len(a)) ** 0.5:
            return name
    return best


WRONG = {
    "freeze": [
        (lambda net: frozen(net, count=lambda net: None), "returns nothing"),
        (lambda net: sum(p.numel() for p in net.parameters()), "everything still trains"),
        (lambda net: frozen(net, keep=("no such layer",)), "nothing trains any more"),
        (
            lambda net: frozen(net, keep=("head.weight",)),
            "should be head.weight and head.bias; it is head.weight and none",
        ),
        (lambda net: frozen(net, keep=("head", "conv1.bias")), "conv1.bias"),
        (lambda net: frozen(net, count=lambda net: net.head.weight.numel()), "leaves out the head's biases"),
        (lambda net: frozen(net, count=lambda net: sum(p.numel() for p in net.parameters())), "counts all parameters"),
        (lambda net: frozen(net, count=lambda net: 2), "counts tensors"),
        (lambda net: frozen(net, count=lambda net: 7), "returned 7; 330 numbers train"),
    ],
    "new_head": [
        (lambda n_in, n_out: nn.Linear(n_in, n_out), "the body gets a gradient"),
        (head(lambda w: nn.init.normal_(w, std=1e-3)), "the body gets a gradient"),
        (head(lambda w: nn.init.ones_(w.data[:, :1])), "the body gets a gradient"),
        (head(nn.init.zeros_, frozen=True), "is frozen"),
        (lambda n_in, n_out: nn.Linear(n_out, n_in), "goes from"),
        (lambda n_in, n_out: nn.Sequential(nn.Linear(n_in, n_out)), "the head is an nn.Linear"),
    ],
    "margin": [
        ((TUNED.mean(), 0.01), "the accuracy itself"),
        (((RANDOM - TUNED).mean(), 0.01), "wrong sign"),
        ((100 * (TUNED - RANDOM).mean(), 1.0), "in points"),
        (((TUNED - RANDOM).mean(), np.sqrt(TUNED.var(ddof=1) + RANDOM.var(ddof=1))), "independent"),
        (((TUNED - RANDOM).mean(), (TUNED - RANDOM).std()), "one less"),
        (((TUNED - RANDOM).mean() + 0.05, 0.01), "seed by seed"),
        (0.1, "two numbers"),
        (np.array(0.1), "two numbers"),
        (np.array([(TUNED - RANDOM).mean(), (TUNED - RANDOM).std()]), "one less"),
    ],
    "choose": [
        (lambda pilot, labels: "random", "in pilot 1 it chose random, which is behind fine_tuned by 25"),
        (
            lambda pilot, labels: max(pilot.strategies, key=lambda s: pilot.final(s, labels).mean()),
            "in pilot 2 .* costs less",
        ),
        (lambda pilot, labels: within(pilot, labels, paired=False), "in pilot 3 .* pair the accuracies by seed"),
        (lambda pilot, labels: within(pilot, pilot.labels[0]), "number of labels that is asked for"),
        (
            lambda pilot, labels: max(pilot.strategies, key=lambda s: pilot.curve(s, labels)[:, 1].mean()),
            "the end of training",
        ),
        (lambda pilot, labels: "fine-tuned", "a strategy of the pilot is one of frozen"),
        (lambda labels, related: "fine_tuned", "pilot 2 it chose fine_tuned"),
    ],
}
