"""One std, many widths: what a standard deviation tuned at one width does at others, measured and predicted.

A pre-activation is a sum of n = fan_in products, h = sum_j W_j a_j with Var(W) = std^2 and E[W] = 0, so

    E[h^2] = n std^2 E[a^2]

and what a layer does depends on n and std through sigma_w = std sqrt(n) alone. A fixed std makes it grow with the width; a
std in proportion to 1/sqrt(n) keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from initviz._core.arguments import DEEPEST, at_least_one, look_up, real_number, whole_number
from initviz.initializers import Activation, DrawCache, get_activation
from initviz.theory import predict, second_moment, slope_second_moment

WIDTHS = (32, 64, 128, 256, 512, 1024)
RULES = {"fixed": "the same std at every width", "fan_in": "std in proportion to 1/sqrt(fan_in)"}
"""How the std goes on from the width at which it was chosen to the others."""
WAYS = {"activation": "activations", "preactivation_gradient": "gradients of pre-activations"}
"""What is followed through the layers: the signal forward, or the gradient backward."""

_draws = DrawCache(megabytes=120)  # the deepest networks of a slider, 16 layers of all six widths, take 90


@dataclass(frozen=True)
class SignalByWidth:
    """Networks of W widths, alike but for that: `depth` hidden layers of as many units as there are inputs.

    Attributes:
        widths: shape (W,).
        std: shape (W,), standard deviation of a weight.
        way: a key of WAYS.
        measured: shape (W, depth), root mean square in each hidden layer. The inputs' is near 1; so is that of the gradient
            at the last hidden layer, where the way back begins.
        theory, low, high: the same shape, the mean-field prediction and the ends of its 95 % band.
    """

    widths: np.ndarray
    std: np.ndarray
    way: str
    measured: np.ndarray
    theory: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def factor(self) -> np.ndarray:
        """Shape (W,): measured factor of the rms a layer, the geometric mean over the layers."""
        return _factor(self.measured, self.way)

    @property
    def factor_theory(self) -> np.ndarray:
        """Shape (W,): the same, predicted."""
        return _factor(self.theory, self.way)


@dataclass(frozen=True)
class FactorCurve:
    """The factor of the rms a layer as a function of sigma_w = std sqrt(width), arrays of one shape: all that a map over std and
    width has to say."""

    sigma_w: np.ndarray
    factor: np.ndarray

    def at(self, std: np.ndarray | float, width: np.ndarray | float) -> np.ndarray:
        """The factor at these, by interpolation of logarithms."""
        sigma_w = np.asarray(std) * np.sqrt(width)
        with np.errstate(divide="ignore"):
            return np.exp(np.interp(np.log(sigma_w), np.log(self.sigma_w), np.log(self.factor)))


def std_at(width: int, std: float, chosen_at: int, rule: str = "fixed") -> float:
    """The std at `width` by a rule of RULES, if `std` was chosen at width `chosen_at`."""
    look_up("rule", rule, RULES)
    return std if rule == "fixed" else std * math.sqrt(chosen_at / width)


def signal_by_width(
    std: float,
    *,
    chosen_at: int = 64,
    rule: str = "fixed",
    widths: Sequence[int] = WIDTHS,
    depth: int = 10,
    activation: str | Activation = "relu",
    distribution: str = "normal",
    way: str = "activation",
    seed: int = 0,
    batch: int = 32,
) -> SignalByWidth:
    """Follow a signal, or a gradient, through a network of each width.

    The inputs are `batch` samples of as many independent standard normal features as the network is wide, so that all layers have
    the same fans. On the way back the gradient at the last hidden layer's pre-activations is standard normal noise.

    Args:
        std: standard deviation of a weight at the width `chosen_at`.
        rule: a key of RULES.
        widths, depth: of the networks.
        activation: a name or an Activation.
        distribution: "normal" or "uniform".
        way: a key of WAYS.
        seed: of weights, inputs and gradient.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    phi, std = get_activation(activation), real_number("std", std)
    depth, seed = whole_number("depth", depth, least=2, most=DEEPEST), whole_number("seed", seed, least=0)
    look_up("way", way, WAYS)
    look_up("distribution", distribution, {"normal": 0, "uniform": 0})
    chosen_at, batch = whole_number("chosen_at", chosen_at), whole_number("batch", batch)
    sizes = [whole_number("widths", width) for width in at_least_one("widths", widths)]
    stds = [std_at(width, std, chosen_at, rule) for width in sizes]
    rows = []
    for width, own in zip(sizes, stds):
        x = _draws((batch, width), "normal", seed, depth)
        weights = [_draws((width, width), distribution, seed, layer) for layer in range(depth)]
        start = _draws((batch, width), "normal", seed, depth + 1)
        forward, backward = _follow(phi, own, x, weights, start if way != "activation" else None)
        prediction = predict(
            [width] * (depth + 2), phi, own, input_second_moment=x.double().square().mean(1).numpy(),
            gradient_rms=backward[-1] if len(backward) else 1.0,
        )  # fmt: skip
        band = getattr(prediction, way)
        rows.append([backward if len(backward) else forward, *(b[:depth] for b in (band.mid, band.low, band.high))])
    measured, theory, low, high = np.moveaxis(np.array(rows), 1, 0)
    return SignalByWidth(np.array(sizes), np.array(stds), way, measured, theory, low, high)


@torch.no_grad()
def _follow(
    phi: Activation, std: float, x: Tensor, weights: list[Tensor], gradient: Tensor | None
) -> tuple[np.ndarray, np.ndarray]:
    """rms of each layer's activations, and of the gradients of its pre-activations (empty without a `gradient` to begin with).

    A unit draw is multiplied first and scaled then, so that it need not be scaled anew for each std.
    """
    a, h = x, []
    forward = []
    for weight in weights:
        h.append(std * (a @ weight.T))
        a = phi.function(h[-1])
        forward.append(_rms(a))
    if gradient is None:
        return np.array(forward), np.array([])
    backward = [_rms(gradient)]
    for layer in range(len(weights) - 1, 0, -1):
        gradient = std * (gradient @ weights[layer]) * phi.derivative(h[layer - 1])
        backward.append(_rms(gradient))
    return np.array(forward), np.array(backward[::-1])


def factor_curve(
    activation: str | Activation, depth: int, way: str = "activation", sigma_w: np.ndarray | None = None
) -> FactorCurve:
    """The predicted factor of the rms a layer in wide networks of `depth` layers, for inputs of mean square 1.

    Forward it is (E[a_L^2])^(1/2L), backward the root of the geometric mean of chi over the layers between the first and the last.

    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    phi, depth = get_activation(activation), whole_number("depth", depth, least=2, most=DEEPEST)
    look_up("way", way, WAYS)
    sigma = np.geomspace(1e-3, 1e2, 161)
    if sigma_w is not None:
        sigma = np.array([real_number("sigma_w", one) for one in at_least_one("sigma_w", sigma_w)])
    q, log_chi = sigma**2, np.zeros_like(sigma)
    for _ in range(depth - 1):
        log_chi += np.log(np.maximum(sigma**2 * slope_second_moment(phi, q), 1e-300))
        q = np.minimum(sigma**2 * second_moment(phi, q), 1e250)
    if way == "activation":
        return FactorCurve(sigma, np.maximum(second_moment(phi, q), 1e-300) ** (1 / (2 * depth)))
    return FactorCurve(sigma, np.exp(log_chi / (2 * (depth - 1))))


def _rms(values: Tensor) -> float:
    """In float64: the square of a float32 of 1e-25 is none."""
    return float(values.double().square().mean().sqrt())


def _factor(rms: np.ndarray, way: str) -> np.ndarray:
    depth = rms.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return rms[:, -1] ** (1 / depth) if way == "activation" else (rms[:, 0] / rms[:, -1]) ** (1 / (depth - 1))
