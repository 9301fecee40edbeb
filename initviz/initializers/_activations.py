"""Activation functions: the one table that menus, networks, theory, tests and the comparison read.

An activation phi is applied to each pre-activation z by itself. What initialization needs to know of it is how much of a signal
it passes on: E[phi(z)^2] forward and E[phi'(z)^2] backward, for a z that is near normal (see `initviz.theory`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initviz._core.arguments import look_up, real_number


@dataclass(frozen=True)
class Activation:
    """One activation function.

    Attributes:
        name: the key in ACTIVATIONS.
        label: the name for a menu.
        latex: phi(z), as LaTeX mathematics without dollar signs.
        function: Tensor -> Tensor, elementwise.
        gain: factor on the weights' standard deviation 1/sqrt(fan_in) that keeps the scale: torch.nn.init.calculate_gain
            where torch has one, else 1/sqrt(E[phi(z)^2]) for a standard normal z.
        source: the paper that brought it in, or the usual reference.
        flat: outputs below the first or above the second count as saturated: there the slope |phi'| is under 5 % of its largest.
            None where the function grows without end, and for the side on which a rectifier (ReLU, ELU, GELU, softplus) is off: half of
            its units are there in a sound network.
        slope: of the negative side of a piecewise linear activation (0 for ReLU, 1 for linear), else None.
        best_scheme: the usual scheme for it, a name in SCHEMES.
        keeps_scale: whether under it the scale of activations and gradients is kept at any depth: over 50 layers, from pre-activations of
            variance 1/2, 1 or 2, neither grows more than 10 times nor shrinks below 1/1000. Under He ELU's gradients grow 26x. No fixed
            variance does it for sigmoid, whose slope is too small, nor for GELU, SiLU and Mish: variance 1/E[phi(z)^2] holds a scale
            of 1 and drives any other away from it.
    """

    name: str
    label: str
    latex: str
    function: Callable[[Tensor], Tensor]
    gain: float
    source: str
    flat: tuple[float | None, float | None] = (None, None)
    slope: float | None = None
    best_scheme: str = "lecun_normal"
    keeps_scale: bool = True

    def derivative(self, z: Tensor) -> Tensor:
        """phi'(z), of the shape of `z`, by automatic differentiation: what a backward pass really multiplies by."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            return torch.autograd.grad(self.function(z).sum(), z)[0]


class ActivationModule(nn.Module):
    """An `Activation` (or its name) as a layer; `initviz.probe` recognizes it, whatever function it applies."""

    def __init__(self, activation: str | Activation) -> None:
        super().__init__()
        self.activation = get_activation(activation)

    def forward(self, z: Tensor) -> Tensor:
        return self.activation.function(z)

    def extra_repr(self) -> str:
        return self.activation.name


def rectifier_gain(slope: float) -> float:
    """The gain for max(z, 0) + slope min(z, 0): sqrt(2 / (1 + slope^2))."""
    return math.sqrt(2 / (1 + slope**2))


def _identity(z: Tensor) -> Tensor:
    return z * 1  # a tensor of its own, so that it has a gradient of its own


_TANH_FLAT = math.sqrt(0.95)  # 1 - a^2 = 0.05
_SIGMOID_FLAT = (1 - math.sqrt(0.95)) / 2  # 4 a (1 - a) = 0.05
_SOFTSIGN_FLAT = 1 - math.sqrt(0.05)  # (1 - |a|)^2 = 0.05

ACTIVATIONS: dict[str, Activation] = {
    a.name: a
    for a in [
        Activation(
            "linear", "Linear", r"z", _identity, 1.0, "Saxe, McClelland & Ganguli 2014", slope=1.0,
        ),
        Activation(
            "sigmoid", "Sigmoid", r"\frac{1}{1 + e^{-z}}", torch.sigmoid, 1.0, "Rumelhart, Hinton & Williams 1986",
            flat=(_SIGMOID_FLAT, 1 - _SIGMOID_FLAT), best_scheme="xavier_normal", keeps_scale=False,
        ),
        Activation(
            "tanh", "tanh", r"\tanh z", torch.tanh, 5 / 3, "LeCun et al. 1998", flat=(-_TANH_FLAT, _TANH_FLAT),
            best_scheme="xavier_normal",
        ),
        Activation(
            "softsign", "Softsign", r"\frac{z}{1 + |z|}", F.softsign, 2.3375, "Glorot & Bengio 2010",
            flat=(-_SOFTSIGN_FLAT, _SOFTSIGN_FLAT), best_scheme="xavier_normal",
        ),
        Activation(
            "relu", "ReLU", r"\max(0, z)", torch.relu, rectifier_gain(0), "Nair & Hinton 2010", slope=0.0, best_scheme="he_normal",
        ),
        Activation(
            "leaky_relu", "Leaky ReLU (0.01)", r"\max(z, 0.01 z)", partial(F.leaky_relu, negative_slope=0.01),
            rectifier_gain(0.01), "Maas, Hannun & Ng 2013", slope=0.01, best_scheme="he_normal",
        ),
        Activation(
            "prelu", "PReLU (start: 0.25)", r"\max(z, 0.25 z)", partial(F.leaky_relu, negative_slope=0.25),
            rectifier_gain(0.25), "He et al. 2015", slope=0.25, best_scheme="he_normal",
        ),
        Activation(
            "elu", "ELU", r"z \text{ if } z > 0 \text{ else } e^z - 1", F.elu, 1.2452, "Clevert, Unterthiner & Hochreiter 2016",
            best_scheme="he_normal", keeps_scale=False,
        ),
        Activation(
            "selu", "SELU", r"1.0507\,(z \text{ if } z > 0 \text{ else } 1.6733\,(e^z - 1))", F.selu, 0.75,
            "Klambauer et al. 2017",
        ),
        Activation(
            "gelu", "GELU", r"z\,\Phi(z)", F.gelu, 1.5335, "Hendrycks & Gimpel 2016", best_scheme="he_normal", keeps_scale=False,
        ),
        Activation(
            "silu", "SiLU (swish)", r"\frac{z}{1 + e^{-z}}", F.silu, 1.6765, "Ramachandran, Zoph & Le 2017",
            best_scheme="he_normal", keeps_scale=False,
        ),
        Activation(
            "mish", "Mish", r"z \tanh(\ln(1 + e^z))", F.mish, 1.4868, "Misra 2020", best_scheme="he_normal", keeps_scale=False,
        ),
        Activation(
            "softplus", "Softplus", r"\ln(1 + e^z)", F.softplus, 1.0419, "Dugas et al. 2001", best_scheme="he_normal",
        ),
        Activation(
            "sine", "Sine", r"\sin z", torch.sin, 1.5209, "Sitzmann et al. 2020",
        ),
    ]
}  # fmt: skip
"""Every activation by name."""

ALIASES = {
    "identity": "linear", "none": "linear", "logistic": "sigmoid", "leaky": "leaky_relu", "leakyrelu": "leaky_relu",
    "swish": "silu", "sin": "sine", "ReLU": "relu", "Tanh": "tanh", "GELU": "gelu",
}  # fmt: skip
"""Other spellings -> name in ACTIVATIONS."""


def get_activation(name: str | Activation) -> Activation:
    """The activation called `name` (aliases such as "swish" included).

    Raises:
        TypeError: `name` is neither a string nor an Activation.
        ValueError: unknown name; the message lists the near ones.
    """
    return name if isinstance(name, Activation) else look_up("activation", name, ACTIVATIONS, ALIASES)


def leaky_relu(slope: float) -> Activation:
    """Leaky ReLU with this slope on the negative side, max(z, 0) + slope min(z, 0): what a PReLU is at its start.

    Raises:
        TypeError, ValueError: a slope that is not a number from 0 to 1 (1 itself left out: that is linear).
    """
    slope = real_number("slope", slope)
    if slope >= 1:
        raise ValueError(f"slope: got {slope:g}; it takes a number from 0 to below 1")
    function = partial(F.leaky_relu, negative_slope=slope)
    latex = rf"\max(z, {slope:g} z)"
    entry = ACTIVATIONS["leaky_relu"]
    return replace(
        entry,
        label=f"Leaky ReLU ({slope:g})",
        latex=latex,
        function=function,
        gain=rectifier_gain(slope),
        slope=slope,
    )
