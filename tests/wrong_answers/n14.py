"""Typical wrong cures of notebook 14."""

import torch
from torch import nn

import initviz as iv


def _each(change):
    def cure(model, x):
        with torch.no_grad():
            for parameter in model.parameters():
                change(parameter)

    return cure


def _weights(change):
    return _each(lambda p: change(p) if p.dim() >= 2 else None)


def _another(model, x):
    return nn.Linear(64, 10)


def _one(name, change):
    def cure(model, x):
        with torch.no_grad():
            change(model.get_parameter(name))

    return cure


def _body_only(model, x):
    iv.init_(model.block, "he_normal")


def _untied(model, x):
    model.head.weight = nn.Parameter(0.02 * torch.randn(17, 128))


WRONG = {
    "cure_std": [
        (_each(lambda p: p.mul_(0.9)), "still exploding"),
        (lambda model, x: iv.init_(model, "small_normal"), "still vanishing"),
        (_another, "another network"),
        (3, "the answer is a function"),
    ],
    "cure_pixels": [
        (lambda x: x, "as it came"),
        (lambda x: x / 255, "all positive"),
        (lambda x: x - x.mean(), "still saturated"),
        (lambda x: x[:, :3], "must have shape"),
        (lambda x: (x - x.mean(0)) / x.std(0), "same in every image"),
        (lambda x: x.flip(0).roll(5, 1) - x.mean(), "other images"),
    ],
    "cure_zeros": [
        (_weights(lambda p: p.fill_(0.1)), "same number everywhere"),
        (_weights(lambda p: p.normal_(0, 0.01)), r"ReLU wants √2/√n_in"),
        (_each(lambda p: p.normal_(0, 0.2)), "biases are no longer zero"),
    ],
    "cure_gates": [
        (_each(lambda p: p.mul_(0.8)), "still saturated"),
        (_another, "another network"),
    ],
    "cure_tied": [
        (_one("head.weight", lambda p: p.mul_(0.5)), "still off-scale"),
        (_body_only, "still off-scale"),
        (_untied, "another network"),
        (_one("head.weight", lambda p: p.normal_(0, 128**-0.5)), "stable, but the first loss is"),
    ],
    "cure_adapter": [
        (_each(lambda p: p.normal_(0, 0.1)), "frozen weights have changed"),
        (_each(lambda p: p.normal_(0, 0.1) if p.shape in ((4, 64), (64, 4)) else None), "both factors are random"),
        (_one("4.weight", lambda p: p.mul_(0.5)), "still untrainable"),
    ],
    "cure_default": [
        (lambda model, x: iv.init_(model, "he_normal"), "by a formula"),
        (lambda model, x: iv.init_(model, "xavier_normal"), "still vanishing"),
    ],
    "cure_memory": [
        (_one("rnn.weight_hh_l0", lambda p: nn.init.orthogonal_(p, gain=0.5)), "still vanishing"),
        (_one("rnn.weight_hh_l0", lambda p: p.mul_(3)), "still exploding"),
        (_one("rnn.weight_ih_l0", nn.init.xavier_normal_), "still vanishing"),
        (_another, "another network"),
    ],
}
