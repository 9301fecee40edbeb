"""Averages of an activation over a normal pre-activation: E[f(sqrt(q) z)] for z ~ N(0, 1), by quadrature or in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np
import torch

from initviz._core.arguments import got, real_number
from initviz.initializers import Activation, get_activation

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_EDGES = [0, *np.geomspace(1e-6, 0.6, 10)[:-1], 0.6, 1.2, 2, 2.8, 3.6, 4.4, 5.2, 6.2, 8.5]
_ORDER = 10


def quiet(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function without numpy's warnings: an explosion may leave float64's range, and its numbers are infinite or NaN from there."""

    @wraps(function)
    def silent(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with np.errstate(over="ignore", invalid="ignore"):
            return function(*args, **kwargs)

    return silent


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
    where a ReLU's slope jumps, and its few nodes near 0 do not see tanh(20 z) turn. The panels meet at 0 and grow by a factor of
    4 from there, so that tanh(sqrt(q) z) is as smooth on them at q = 1e10 as at 1: for every entry of ACTIVATIONS averages are
    right to 6 digits up to q = 1e12. A function that turns many times within a panel, such as sin(30 z), is beyond them.
    """
    x, w = np.polynomial.legendre.leggauss(_ORDER)
    edges = np.array(_EDGES)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    z = (middle[:, None] + half[:, None] * x).ravel()
    weights = (half[:, None] * w).ravel() * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return np.concatenate([-z[::-1], z]), np.concatenate([weights[::-1], weights])


@quiet
def second_moment(activation: str | Activation, q: float | np.ndarray) -> np.ndarray:
    """E[phi(sqrt(q) z)^2], of the shape of `q`: second moment of the activations when that of the pre-activations is q, at least 0."""
    activation, q = get_activation(activation), numbers("q", q)
    if _is_closed(activation):
        return _closed(activation, q).value2
    z, w = nodes()
    return _values(activation.function, q, z) ** 2 @ w


def mean(activation: Activation, q: np.ndarray) -> np.ndarray:
    """E[phi(sqrt(q) z)], of the shape of `q`: mean of the activations when the second moment of the pre-activations is q."""
    q = np.asarray(q, dtype=float)
    if activation.slope is not None:  # E[max(z, 0)] = 1/sqrt(2 pi)
        return (1 - activation.slope) * np.sqrt(q / (2 * np.pi))
    z, w = nodes()
    return _values(activation.function, q, z) @ w


@quiet
def slope_second_moment(activation: str | Activation, q: float | np.ndarray) -> np.ndarray:
    """E[phi'(sqrt(q) z)^2], of the shape of `q`, at least 0: the share of a gradient's second moment that passes through."""
    activation, q = get_activation(activation), numbers("q", q)
    if _is_closed(activation):
        return _closed(activation, q).slope2
    z, w = nodes()
    return _slopes(activation, q, z) ** 2 @ w


def moments(activation: Activation, q: np.ndarray) -> Moments:
    """All the averages at each q. The ReLU family, linear and sine have closed forms; the rest is quadrature."""
    q = np.asarray(q, dtype=float)
    if _is_closed(activation):
        return _closed(activation, q)
    z, w = nodes()
    value, slope = _values(activation.function, q, z), _slopes(activation, q, z)
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


def numbers(argument: str, value: object) -> np.ndarray:
    """`value` as an array of floats; raises TypeError for what is none."""
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError, RuntimeError):  # a tensor without values
        raise TypeError(f"{argument}: got {got(value)}; it takes numbers") from None


def numbers_from_0(argument: str, value: object) -> np.ndarray:
    """`value` as an array of finite floats of at least 0, one or more.

    Raises:
        TypeError, ValueError: it is none.
    """
    values = numbers(argument, value)
    if not values.size:
        raise ValueError(f"{argument}: is empty; it takes finite numbers of at least 0")
    for end in (values.min(), values.max()):
        real_number(argument, end)
    return values


def _is_closed(activation: Activation) -> bool:
    return activation.slope is not None or activation.function is torch.sin


def _closed(activation: Activation, q: np.ndarray) -> Moments:
    ones = np.ones_like(q)
    if activation.slope is not None:
        a = activation.slope
        half2, half4 = (1 + a**2) / 2, (1 + a**4) / 2
        return Moments(q * half2, 3 * q**2 * half4, ones * half2, ones * half4, q * half4, ones)
    # E[cos(k sqrt(q) z)] = exp(-k^2 q / 2); lost is 1 minus that, exact also for a small q
    lost2, lost4 = -np.expm1(-2 * q), -np.expm1(-8 * q)
    value4 = np.where(q < 1e-3, q**2 * (3 - 10 * q + 21 * q**2 - 34 * q**3), (4 * lost2 - lost4) / 8)
    growth = np.divide(2 * q * np.exp(-2 * q), lost2, out=ones.copy(), where=lost2 > 0)
    return Moments(lost2 / 2, value4, 1 - lost2 / 2, (8 - 4 * lost2 - lost4) / 8, lost4 / 8, growth)


def _values(function, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return function(torch.from_numpy(np.sqrt(q)[..., None] * z)).numpy()


def _slopes(activation: Activation, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    return _values(activation.derivative, np.maximum(q, 1e-300), z)  # at q = 0 on both sides of a kink at 0
