"""Sick networks to practise on: each comes from a mistake that people really make. A function returns (model, x) or (model, x, y).

`initviz.diagnose(*left_at_the_default())` shows what is wrong, notebook 14 cures them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from initviz._core.restore import random_states
from initviz.datasets import digits, gaussian
from initviz.initializers import init_

Patient = tuple[nn.Module, Tensor]


@contextmanager
def _seeded() -> Iterator[None]:
    """torch's layers draw from the global state: from seed 0 inside, and as it was afterwards. They do so on the CPU, whence
    `_here` takes the model: its numbers are the same on every device."""
    with random_states(seed=0), torch.device("cpu"):
        yield


def _here(model: nn.Module) -> nn.Module:
    return model.to(torch.get_default_device())


def left_at_the_default() -> Patient:
    """A deep plain ReLU network, built from nn.Linear and trained as it came."""
    with _seeded():
        layers = [module for _ in range(30) for module in (nn.Linear(64, 64), nn.ReLU())]
        model = nn.Sequential(*layers, nn.Linear(64, 10))
    return _here(model), digits().batch(128)[0]


def one_std_for_all() -> Patient:
    """A convolutional network whose every weight was drawn with the same standard deviation, 0.2."""
    with _seeded():
        layers = [module for _ in range(12) for module in (nn.Conv2d(32, 32, 3, padding=1), nn.ReLU())]
        model = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), *layers, nn.Flatten(), nn.Linear(32 * 64, 10))
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.2)
    return _here(model), digits().batch(32)[0].reshape(-1, 1, 8, 8)


def raw_pixels() -> Patient:
    """A sound tanh network, shown pixels from 0 to 255."""
    with _seeded():
        layers = [module for _ in range(4) for module in (nn.Linear(64, 64), nn.Tanh())]
        model = init_(nn.Sequential(*layers, nn.Linear(64, 10)), "xavier_normal")
    x = digits().batch(128)[0]
    return _here(model), 255 * (x - x.min()) / (x.max() - x.min())


def zeros_like_the_biases() -> Patient:
    """A network whose loop over the parameters zeroed the weights with the biases."""
    with _seeded():
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    return _here(model), digits().batch(128)[0]


class Reader(nn.Module):
    """An LSTM that reads an image row by row, and a classifier on its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 256, batch_first=True)
        self.classify = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.lstm(x)[0][:, -1])


def stuck_gates() -> Patient:
    """An LSTM whose weights were drawn from a standard normal, as one line for all parameters does it."""
    with _seeded():
        model = Reader()
        for parameter in model.lstm.parameters():
            nn.init.normal_(parameter)
    return _here(model), digits().batch(128)[0].reshape(-1, 8, 8)


class TiedReader(nn.Module):
    """A token model: embedding, one residual block, norm, and an output layer that shares the embedding's weight."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.block = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.embedding(x)
        return self.head(self.norm(hidden + self.block(hidden)))


def tied_at_std_one() -> tuple[nn.Module, Tensor, Tensor]:
    """A token model whose output layer shares the weight of nn.Embedding, left at that layer's default standard deviation of 1.

    The tokens are the 17 gray levels of the digits' pixels, the target is the next pixel. A good guess costs ln 17 = 2.8; the
    first loss is about 80."""
    with _seeded():
        model = TiedReader(17, 128)
    model.to(torch.get_default_device())
    model.head.weight = model.embedding.weight  # a move to some devices unties them
    x = digits().batch(32)[0]
    tokens = (16 * (x - x.min()) / (x.max() - x.min())).round().long()
    return model, tokens[:, :-1], tokens[:, 1:]


class Adapter(nn.Module):
    """A frozen linear layer plus a product of two small matrices that learns, as in LoRA (Hu et al. 2022, arXiv:2106.09685)."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Parameter(torch.zeros(rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + x @ self.down.T @ self.up.T


def adapter_of_zeros() -> Patient:
    """A frozen network with an adapter whose two factors both start at zero: the gradient of each is the other, so both stay zero."""
    with _seeded():
        first, second = nn.Linear(64, 64), nn.Linear(64, 64)
        model = init_(nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(64, 10)), "he_normal")
        first.requires_grad_(False)
        model.register_module("2", Adapter(second, rank=4))
    return _here(model), digits().batch(128)[0]


class LastState(nn.Module):
    """A plain tanh RNN that reads a sequence, and a classifier on its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, 64, batch_first=True)
        self.classify = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.rnn(x)[0][:, -1])


def answer_after_200_steps() -> Patient:
    """An nn.RNN as PyTorch makes it, that reads 200 numbers one by one and is asked for its answer only after the last one."""
    with _seeded():
        model = LastState()
    return _here(model), gaussian(200, 10).batch(32)[0].unsqueeze(-1)


PATIENTS: dict[str, Callable[[], Patient | tuple[nn.Module, Tensor, Tensor]]] = {
    "left at the default": left_at_the_default,
    "one std for all": one_std_for_all,
    "raw pixels": raw_pixels,
    "zeros like the biases": zeros_like_the_biases,
    "stuck gates": stuck_gates,
    "tied at std one": tied_at_std_one,
    "adapter of zeros": adapter_of_zeros,
    "answer after 200 steps": answer_after_200_steps,
}
"""All of them, by name."""


def is_patient(value: object) -> bool:
    """Whether `value` is (model, x) or (model, x, y)."""
    return isinstance(value, tuple) and len(value) in (2, 3) and isinstance(value[0], nn.Module)
