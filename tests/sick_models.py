"""Models with an illness each, from mistakes that people make. A function returns (model, x); its name says what is wrong."""

import torch
from torch import nn

import initviz as iv


def _deep(activation, depth, width=64):
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def _x(*shape):
    return torch.randn(shape, generator=torch.Generator(torch.get_default_device()).manual_seed(0))


def left_at_the_default():
    torch.manual_seed(0)
    return _deep(nn.ReLU, 30), _x(64, 64)


def all_zero():
    model = _deep(nn.ReLU, 5)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model, _x(64, 64)


def raw_pixels():
    return iv.init_(_deep(nn.Tanh, 4), "xavier_normal"), 255 * _x(64, 64).abs()


def weights_too_large():
    return iv.init_(_deep(nn.ReLU, 20), "he_normal", scale=2), _x(64, 64)


def overflow_in_float16():
    model = iv.init_(_deep(nn.ReLU, 8), "he_normal").half()
    return model, (1.2e4 * _x(64, 64)).half()


def sigmoid_all_the_way():
    return iv.init_(_deep(nn.Sigmoid, 20), "xavier_normal"), _x(64, 64)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(16, 32, batch_first=True)
        self.out = nn.Linear(32, 5)

    def forward(self, x):
        return self.out(self.lstm(x)[0][:, -1])


def gates_stuck():
    torch.manual_seed(0)
    model = Recurrent()
    for parameter in model.lstm.parameters():
        parameter.data *= 40
    return model, _x(32, 50, 16)


def dead_units():
    model = iv.init_(_deep(nn.ReLU, 3), "he_normal")
    for layer in model[:-1:2]:
        nn.init.constant_(layer.bias, -4.0)
    return model, _x(64, 64)


def healthy():
    return iv.init_(_deep(nn.ReLU, 20), "he_normal"), _x(64, 64)


def healthy_model_alone():
    return healthy()[0]


def no_model():
    return 3
