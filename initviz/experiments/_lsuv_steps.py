"""LSUV halted after each layer: every layer's output at the start, as it is now, and on samples that LSUV did not see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from initviz._core.arguments import DEEPEST, got, look_up, real_number, whole_number
from initviz._core.devices import pick_device
from initviz.datasets import DATASETS, Data, get_dataset
from initviz.initializers import ACTIVATIONS, SCHEMES, Activation, LsuvLayer, LsuvTrace, lsuv_, within
from initviz.models import MLP, NetworkCache

STARTS = ("orthogonal", "he_normal", "xavier_normal", "small_normal", "pytorch_default")
"""Schemes to start from. The first is the paper's; the last has biases, so that one division is not enough."""

LSUV_CHOICES: dict[str, Activation] = ACTIVATIONS | {
    a.name: a
    for a in [
        Activation("x_tanh_x", "x tanh(x)", r"z \tanh z", lambda z: z * torch.tanh(z), 1.1487, "no paper: nobody derived a formula"),
        Activation("bump", "Bump exp(-x²)", r"e^{-z^2}", lambda z: torch.exp(-z * z), 1.4953, "no paper: nobody derived a formula"),
    ]
}  # fmt: skip
"""The activations of the table, and some that no scheme was made for."""

UNSEEN = 512
"""Samples of another draw, on which each layer is measured too."""

_cache = NetworkCache()


@dataclass(frozen=True)
class LsuvSettings:
    """A network for LSUV to go through, and how.

    Attributes:
        depth, width: hidden layers, and units in each.
        activation: a name in LSUV_CHOICES.
        start: a name in STARTS, the scheme of the weights before.
        tol, max_iter: see `lsuv_`.
        batch: samples in LSUV's batch.
        data: "digits", "gaussian" or "mnist1d".
        seed: of the weights and of the batch.
        device: where the network is made, by name; None becomes `torch.get_default_device()`.
    Raises:
        TypeError, ValueError: a field that is not as above; the message names it.
    """

    depth: int = 10
    width: int = 64
    activation: str = "x_tanh_x"
    start: str = "orthogonal"
    tol: float = 0.1
    max_iter: int = 10
    batch: int = 256
    data: str = "digits"
    seed: int = 0
    device: str | None = None

    def __post_init__(self) -> None:
        for name in ("depth", "width", "max_iter", "batch"):
            whole_number(name, getattr(self, name), most=DEEPEST)
        whole_number("seed", self.seed, least=0)
        real_number("tol", self.tol)
        look_up("activation", self.activation, LSUV_CHOICES)
        look_up("start", self.start, {name: name for name in STARTS})
        look_up("data", self.data, DATASETS)
        object.__setattr__(self, "device", str(pick_device(self.device)))


@dataclass(frozen=True)
class LsuvStep:
    """LSUV after some layers.

    Attributes:
        settings: the network.
        step: number of layers that are done, 0 to depth + 1.
        start, now: traces of all layers: none done, and `step` of them done; with the outputs' statistics.
        unseen: shape (depth + 1,), variance of each layer's output now, on samples of another draw.
    """

    settings: LsuvSettings
    step: int
    start: LsuvTrace
    now: LsuvTrace
    unseen: np.ndarray

    @property
    def sentence(self) -> str:
        """What happened in this step, in words."""
        layers, tol = self.now.layers, self.settings.tol
        variances = [layer.variance_after for layer in layers]
        if self.step == 0:
            label = SCHEMES[self.settings.start].label
            ends = f"{_short(min(variances))} and {_short(max(variances))}"
            return f"Nothing is done yet: after {label} the variances lie between {ends}."
        words = f"Layer {self.step} of {len(layers)}: {_done(layers[self.step - 1], tol)}"
        if self.step == len(layers):
            near = sum(within(variance, tol) for variance in variances)
            words += f" All done: {near} of {len(layers)} layers are within {tol:g} of 1, after {self.now.recomputed} divisions."
        return words


def lsuv_step(settings: LsuvSettings, step: int) -> LsuvStep:
    """Go through the first `step` layers.

    Raises:
        TypeError, ValueError: `step` is not a whole number from 0 to depth + 1; a batch larger than the data.
    """
    if not isinstance(settings, LsuvSettings):
        raise TypeError(f"settings: got {got(settings)}; it takes an initviz.experiments.LsuvSettings")
    layers = settings.depth + 1
    if whole_number("step", step, least=0) > layers:
        raise ValueError(f"step: got {step}; the network has {layers} layers")
    start, _ = _after(settings, 0)
    now, unseen = _after(settings, step)
    return LsuvStep(settings, step, start, now, unseen)


@lru_cache(maxsize=256)
def _after(settings: LsuvSettings, step: int) -> tuple[LsuvTrace, np.ndarray]:
    data = get_dataset(settings.data)
    x, _ = data.batch(settings.batch, seed=settings.seed)
    net = _network(settings, data)
    trace = lsuv_(
        net, x, tol=settings.tol, max_iter=settings.max_iter, orthonormal=False, first=step, strict=False, histograms=True
    )  # fmt: skip
    return trace, variances(net, data.x_test[:UNSEEN])


def variances(model: torch.nn.Module, x: Tensor) -> np.ndarray:
    """Variance of each linear and convolution layer's output on `x`, in the order of the forward pass; the model is left as it is."""
    return np.array([layer.variance_before for layer in lsuv_(model, x, orthonormal=False, first=0).layers])


def _network(settings: LsuvSettings, data: Data) -> MLP:
    s = settings
    sizes, device = [data.n_in, *[s.width] * s.depth, data.n_classes], pick_device(s.device)
    return _cache.mlp(sizes, LSUV_CHOICES[s.activation], SCHEMES[s.start], seed=s.seed, device=device)


def _done(layer: LsuvLayer, tol: float) -> str:
    if layer.skipped:
        return f"skipped, {layer.skipped}."
    before = _short(layer.variance_before)
    if not layer.iterations:
        return f"its variance {before} is within {tol:g} of 1, so its weight stays."
    many = (
        f"divided by its standard deviation {layer.iterations} times"
        if layer.iterations > 1
        else f"divided by √{before}"
    )
    return f"its output had variance {before}; its weight was {many}, and now it has {_short(layer.variance_after)}."


def _short(variance: float) -> str:
    return f"{variance:.2f}" if 0.01 <= variance < 100 else f"{variance:.0e}"
