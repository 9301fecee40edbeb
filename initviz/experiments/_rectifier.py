"""A deep network of leaky ReLUs: what share of a second moment each half of the function passes, and what that does at depth.

For a z that is symmetric about 0, phi(z) = max(z, 0) + a min(z, 0) passes E[phi(z)^2] = (1 + a^2)/2 E[z^2]: one half of it on the positive
side, a^2/2 on the negative. Weights of variance v then give a factor of v fan_in (1 + a^2)/2 a layer (He et al. 2015, eq. 9 and 15).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from initviz._core.arguments import look_up, real_number, whole_number
from initviz.datasets import digits
from initviz.experiments._growth import slopes
from initviz.initializers import leaky_relu
from initviz.inspection import probe
from initviz.models import Plain, cnn, mlp
from initviz.theory import Band, predict_network

RECIPES: dict[str, tuple[str, str, bool]] = {
    "he": ("He for this slope: 2 / ((1 + a²) fan_in)", "he_normal", True),
    "he_relu": ("He for a ReLU: 2 / fan_in", "he_normal", False),
    "xavier": ("Xavier: 2 / (fan_in + fan_out)", "xavier_normal", True),
    "pytorch": ("PyTorch's default: 1 / (3 fan_in)", "pytorch_default", True),
}
"""Ways to draw the weights: label with the variance, scheme, and whether the scheme is told the slope."""
LAYERS: dict[str, str] = {
    "dense": "dense",
    "circular": "3 x 3 convolution, circular",
    "zeros": "3 x 3 convolution, zero padding",
}
"""Kinds of layer: name -> label. The convolutions differ in what they see beyond the image's border, see `initviz.cnn`."""
BATCH = {"dense": 64, "circular": 16, "zeros": 16}


@dataclass(frozen=True)
class RectifierRun:
    """One draw of the network, measured on digits.

    Attributes:
        slope, recipe, layer, width, scale: what was asked for.
        fan_in, fan_out, weight_std: of a layer in the middle.
        passed: E[phi^2] / E[z^2], the mean over layers, measured; (1 + a^2)/2 in theory.
        forward, backward: shape (depth,), second moments of pre-activations and of the gradients with respect to them.
        forward_theory, backward_theory: the same, predicted, the gradient's from its measured value at the last layer.
        forward_band, backward_band: shape (2, depth), the ends within which a single draw falls 95 times in 100.
    """

    slope: float
    recipe: str
    layer: str
    width: int
    scale: float
    fan_in: float
    fan_out: float
    weight_std: float
    passed: float
    forward: np.ndarray
    backward: np.ndarray
    forward_theory: np.ndarray
    backward_theory: np.ndarray
    forward_band: np.ndarray
    backward_band: np.ndarray

    @property
    def forward_factors(self) -> tuple[float, float]:
        """The factor of the second moment a layer, measured and in theory: 2 to the slope of its log2."""
        return _factor(self.forward), _factor(self.forward_theory)

    @property
    def backward_factors(self) -> tuple[float, float]:
        """The same for the gradient, in its own direction."""
        return _factor(self.backward[::-1]), _factor(self.backward_theory[::-1])


def rectifier(
    slope: float = 0.0,
    recipe: str = "he",
    *,
    layer: str = "dense",
    width: int = 256,
    depth: int = 30,
    scale: float = 1.0,
    seed: int = 0,
) -> RectifierRun:
    """Build the network, probe it on digits and predict it.

    Args:
        slope: a, from 0 (ReLU) to below 1.
        recipe, layer: keys of RECIPES and LAYERS.
        width: units of a dense layer, channels of a convolution.
        depth: hidden layers, 2 or more.
        scale: factor on the weights.
        seed: of the weights and of the batch.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    phi = leaky_relu(slope)
    _, scheme, told = look_up("recipe", recipe, RECIPES)
    look_up("layer", layer, LAYERS)
    depth = whole_number("depth", depth, least=2)
    x, y = digits().batch(BATCH[layer], seed=whole_number("seed", seed, least=0))
    how: dict = {
        "scheme": scheme,
        "scale": real_number("scale", scale),
        "gain": None if told else math.sqrt(2),
    }
    if layer == "dense":
        net: Plain = mlp(depth, width, phi, seed=seed, **how)
    else:
        net = cnn(depth, width, phi, padding_mode=layer, seed=seed, **how)
    report = probe(net, x, y, quantities=("preactivation", "activation", "preactivation_gradient", "weight"))
    theory = predict_network(net, x, report, **how)
    assert theory is not None
    before, after = (report.values(q, "second_moment")[:depth] for q in ("preactivation", "activation"))
    middle = report.layers[1]
    return RectifierRun(
        slope=phi.slope or 0.0,
        recipe=recipe,
        layer=layer,
        width=width,
        scale=scale,
        fan_in=int(middle.fan_in),
        fan_out=int(middle.fan_out),
        weight_std=middle.weight.std if middle.weight else math.nan,
        passed=float(np.mean(after / before)),
        forward=before,
        backward=report.values("preactivation_gradient", "second_moment")[:depth],
        forward_theory=theory.preactivation.mid[:depth] ** 2,
        backward_theory=theory.preactivation_gradient.mid[:depth] ** 2,
        forward_band=_band(theory.preactivation, depth),
        backward_band=_band(theory.preactivation_gradient, depth),
    )


def _factor(moments: np.ndarray) -> float:
    return 2.0 ** float(slopes(moments[None])[0])


def _band(band: Band, depth: int) -> np.ndarray:
    return np.stack([band.low, band.high])[:, :depth] ** 2
