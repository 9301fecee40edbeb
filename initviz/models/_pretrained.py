"""The small networks that ship with initviz, pretrained: `pretrained(name)` loads one, `card(name)` says what it is.

`python -m initviz pretrain` made them. Weights are safetensors files, which hold numbers and nothing that runs.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from initviz._core.arguments import look_up, whole_number
from initviz._core.devices import pick_device
from initviz.datasets import Data, curves, textures
from initviz.initializers import Scheme, init_
from initviz.models._checkpoint import load_safetensors_

FOLDER = Path(__file__).with_name("weights")
CHANNELS = 32


@dataclass(frozen=True)
class SourceTask:
    """What a shipped network was trained on.

    Attributes:
        name: the key in PRETRAINED.
        label: for a menu.
        data: makes the data.
        words: the task in a sentence.
        steps: updates, at the full learning rate and at a tenth of it.
        seed: of the weights and of the batches.
    """

    name: str
    label: str
    data: Callable[[], Data]
    words: str
    steps: tuple[int, int]
    seed: int


PRETRAINED = {
    task.name: task
    for task in [
        SourceTask(
            "curves-cnn", "Curves (related)", curves,
            "Tell apart 100 random curves, distorted as MNIST-1D distorts its digits.",
            (3000, 1000), 100,
        ),
        SourceTask(
            "textures-cnn", "Textures (unrelated)", textures,
            "Tell apart 10 colours of noise, which swing at ten frequencies and have no shape.", (1000, 300), 102,
        ),
    ]
}  # fmt: skip
"""Every shipped network by name."""


@dataclass(frozen=True)
class Card:
    """Where weights come from and what they can do.

    Attributes:
        name: the key in PRETRAINED.
        task: what the network was trained to do, in a sentence.
        data: how the data is made, as a line of Python, with numbers of training and test samples.
        network: the architecture, as a line of Python.
        parameters: how many numbers the file holds.
        training: optimizer, learning rates, steps, batch size.
        command: what made the file.
        n_classes: classes of the source task; guessing gets 1 / n_classes of them right.
        accuracy: share in [0, 1] of the source task's test set.
    """

    name: str
    task: str
    data: str
    network: str
    parameters: int
    training: str
    command: str
    n_classes: int
    accuracy: float

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.name}: {self.task}",
                f"  data      {self.data}",
                f"  network   {self.network}, {self.parameters:,} parameters",
                f"  training  {self.training}",
                f"  accuracy  {self.accuracy:.0%} of the source's test set (chance {1 / self.n_classes:.0%})",
                f"  made by   {self.command}",
            ]
        )


def signal_cnn(
    n_classes: int = 10,
    scheme: str | Scheme = "he_normal",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> nn.Sequential:
    """A convolutional network for signals, shape (batch, length) -> logits (batch, n_classes).

    Three convolutions of 32 channels and kernel 5, the last two of stride 2, each with a ReLU; the largest value of each channel
    over time; a linear head.

    Args:
        n_classes: whole number of at least 2.
        scheme, seed: see `init_`.
        device: where it is made; None is `torch.get_default_device()`.
    """
    n_classes = whole_number("n_classes", n_classes, least=2)
    layer = partial(nn.utils.skip_init, device=pick_device(device))  # init_ draws the weights
    net = nn.Sequential(
        OrderedDict(
            signal=nn.Unflatten(1, (1, -1)),
            conv1=layer(nn.Conv1d, 1, CHANNELS, 5, padding=2),
            relu1=nn.ReLU(),
            conv2=layer(nn.Conv1d, CHANNELS, CHANNELS, 5, padding=2, stride=2),
            relu2=nn.ReLU(),
            conv3=layer(nn.Conv1d, CHANNELS, CHANNELS, 5, padding=2, stride=2),
            relu3=nn.ReLU(),
            pool=nn.AdaptiveMaxPool1d(1),
            flatten=nn.Flatten(),
            head=layer(nn.Linear, CHANNELS, n_classes),
        )
    )
    init_(net, scheme, seed=seed)
    return net


def pretrained(name: str, device: str | torch.device | None = None) -> nn.Sequential:
    """The network called `name` ("curves-cnn", "textures-cnn") with its pretrained weights, in eval mode, on `device`; None is
    `torch.get_default_device()`.

    Raises:
        TypeError, ValueError: an unknown name; the message lists the near ones.
    """
    look_up("name", name, PRETRAINED)
    net = signal_cnn(card(name).n_classes, device=device)
    load_safetensors_(net, FOLDER / f"{name}.safetensors")
    return net.eval()


def card(name: str) -> Card:
    """The card of the network called `name`.

    Raises:
        TypeError, ValueError: an unknown name; the message lists the near ones.
    """
    look_up("name", name, PRETRAINED)
    return Card(**json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))
