"""Averages of an activation over a normal pre-activation: E[f(sqrt(q) z)] for z ~ N(0, 1), by quadrature or in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from initviz.activations import Activation

_EDGES = [0, 0.02, 0.06, 0.15, 0.3, 0.6, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8.5]
_ORDER = 12


@dataclass(frozen=True)
class Moments:
    """Averages at each q, arrays of the shape of q.

    Attributes:
        value2, value4: E[phi^2] and E[phi^4].
        slope2, slope4: E[phi'^2] and E[phi'^4].
        joint: E[phi^2 phi'^2].
        growth: d log E[phi^2] / d log q, 1 for a ReLU and between 0 and 1 for a saturating function.
    """

    value2: np.ndarray
    value4: np.ndarray
    slope2: np.ndarray
    slope4: np.ndarray
    joint: np.ndarray
    growth: np.ndarray


@cache
def nodes() -> tuple[np.ndarray, np.ndarray]:
    """Places z and weights w with sum(w * f(z)) = E[f(z)] for a standard normal z.

    Gauss-Legendre panels against the normal density. Plain Gauss-Hermite is no good here: an odd number of nodes has one at 0,
    where a ReLU's slope jumps, and its few nodes near 0 do not see tanh(20 z) turn. The panels meet at 0 and are fine there.
    """
    x, w = np.polynomial.legendre.leggauss(_ORDER)
    edges = np.array(_EDGES)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    z = (middle[:, None] + half[:, None] * x).ravel()
    weights = (half[:, None] * w).ravel() * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return np.concatenate([-z[::-1], z]), np.concatenate([weights[::-1], weights])


def second_moment(activation: Activation, q: np.ndarray) -> np.ndarray:
    """E[phi(sqrt(q) z)^2], of the shape of `q`: second moment of the activations when that of the pre-activations is q."""
    if activation.slope is not None:
        return q * (1 + activation.slope**2) / 2
    z, w = nodes()
    return _values(activation.function, q, z) ** 2 @ w


def moments(activation: Activation, q: np.ndarray) -> Moments:
    """All the averages at each q. The ReLU family and linear have closed forms; the rest is quadrature."""
    q = np.asarray(q, dtype=float)
    if activation.slope is not None:
        a = activation.slope
        ones = np.ones_like(q)
        half2, half4 = (1 + a**2) / 2, (1 + a**4) / 2
        return Moments(q * half2, 3 * q**2 * half4, ones * half2, ones * half4, q * half4, ones)
    z, w = nodes()
    value, slope = _values(activation.function, q, z), _values(activation.derivative, q, z)
    squared, slope_squared = value * value, slope * slope
    value2 = squared @ w
    rise = np.sqrt(q) * ((value * slope) @ (z * w))
    return Moments(
        value2=value2,
        value4=(squared * squared) @ w,
        slope2=slope_squared @ w,
        slope4=(slope_squared * slope_squared) @ w,
        joint=(squared * slope_squared) @ w,
        growth=np.divide(rise, value2, out=np.zeros_like(q), where=value2 > 0),
    )


def slope_second_moment(activation: Activation, q: np.ndarray) -> np.ndarray:
    """E[phi'(sqrt(q) z)^2], of the shape of `q`: the share of a gradient's second moment that passes through."""
    if activation.slope is not None:
        return np.full_like(q, (1 + activation.slope**2) / 2)
    z, w = nodes()
    return _values(activation.derivative, q, z) ** 2 @ w


def _values(function, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    scaled = np.sqrt(np.asarray(q, dtype=float))[..., None] * z
    with torch.no_grad():
        return function(torch.from_numpy(scaled)).numpy()
