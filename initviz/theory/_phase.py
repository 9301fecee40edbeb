"""The phase diagram: for each (sigma_w, sigma_b), where signals settle, and whether gradients vanish or explode on the way back.

With Var(W) = sigma_w^2 / fan_in and Var(b) = sigma_b^2 a deep network's second moment q settles at q* with

    q* = sigma_w^2 E[phi(sqrt(q*) z)^2] + sigma_b^2,     chi = sigma_w^2 E[phi'(sqrt(q*) z)^2]

(Poole et al. 2016, eq. 3; Schoenholz et al. 2017, eq. 9). chi < 1 is the ordered phase: two inputs grow alike and gradients vanish;
chi > 1 the chaotic one: near inputs part and gradients explode; chi = 1, between them, the edge of chaos.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from initviz._core.arguments import real_number
from initviz.initializers import Activation, get_activation
from initviz.theory._averages import numbers_from_0, quiet, second_moment, slope_second_moment

Q = np.geomspace(1e-8, 1e8, 1601)
"""The second moments between which everything is interpolated, a hundred a decade; beyond them q* counts as 0 or infinite."""


@dataclass(frozen=True)
class Phase:
    """A grid of the plane.

    Attributes:
        activation: its name.
        sigma_w: shape (columns,). sigma_b: shape (rows,).
        q: shape (rows, columns), the q* that a network reaches from q = 1: 0 if its signal dies out, inf if it grows without end.
        chi: shape (rows, columns), factor of the gradient's second moment a layer at q*.
        depth_scale: shape (rows, columns), 1/|log(chi)|: layers over which that second moment changes by e; inf at the edge.
        edge_w, edge_b: shape (points,), the critical line chi = 1, where a network from q = 1 settles on it.
    """

    activation: str
    sigma_w: np.ndarray
    sigma_b: np.ndarray
    q: np.ndarray
    chi: np.ndarray
    depth_scale: np.ndarray
    edge_w: np.ndarray
    edge_b: np.ndarray


@quiet
def phase_diagram(
    activation: str | Activation,
    sigma_w: np.ndarray | None = None,
    sigma_b: np.ndarray | None = None,
) -> Phase:
    """The plane of an activation.

    Args:
        activation: a name in ACTIVATIONS or an Activation.
        sigma_w, sigma_b: values of the axes, positive and at least 0; None takes 81 from 0.05 to 4 and 61 from 0 to 2.
    Returns:
        A `Phase`: q*, chi and the depth scale at each place of the plane, and the edge of chaos.
    Raises:
        TypeError, ValueError: an unknown activation, an axis with a negative or non-finite value.
    """
    phi = get_activation(activation)
    w = np.atleast_1d(numbers_from_0("sigma_w", np.linspace(0.05, 4, 81) if sigma_w is None else sigma_w))
    b = np.atleast_1d(numbers_from_0("sigma_b", np.linspace(0, 2, 61) if sigma_b is None else sigma_b))
    for name, axis in {"sigma_w": w, "sigma_b": b}.items():
        if axis.ndim > 1:
            raise ValueError(f"{name}: got shape {axis.shape}; it takes numbers in a row")
    value, slope = second_moment(phi, Q), slope_second_moment(phi, Q)
    q = np.array([[_settle(value, s, t) for s in w] for t in b])
    chi = w**2 * np.interp(np.log(np.clip(q, Q[0], Q[-1])), np.log(Q), slope)
    with np.errstate(divide="ignore"):
        log = np.log(chi)
        depth = np.where(np.abs(log) < 1e-9, np.inf, 1 / np.abs(log))
    if phi.slope is not None:  # chi does not depend on q: the line is straight
        edge = np.full_like(b, 1 / np.sqrt(slope[0]))
        return Phase(phi.name, w, b, q, chi, depth, edge, b)
    edge_w = 1 / np.sqrt(slope)  # each q on the line names its sigma_w, and that its sigma_b
    edge_b2 = Q - value / slope
    on = (edge_b2 >= -1e-9 * Q) & (edge_w <= w.max()) & (edge_b2 <= b.max() ** 2)
    edge_b = np.sqrt(np.maximum(edge_b2, 0))
    line = np.flatnonzero(on)
    reached = [i for i in np.union1d(line[::4], line[-1:]) if _near(_settle(value, edge_w[i], edge_b[i]), Q[i])]
    return Phase(phi.name, w, b, q, chi, depth, edge_w[reached], edge_b[reached])


def critical_sigma_w(activation: str | Activation, sigma_b: float = 0.0) -> float:
    """The sigma_w at the edge of chaos for this sigma_b: the smallest at which chi at q* is 1. NaN if there is none.

    tanh without biases: 1; ReLU: sqrt(2), for any bias.

    Raises:
        TypeError, ValueError: as `phase_diagram`.
    """
    phi, sigma_b = get_activation(activation), real_number("sigma_b", sigma_b)
    value, slope = second_moment(phi, Q), slope_second_moment(phi, Q)
    if phi.slope is not None:
        return float(1 / np.sqrt(slope[0]))
    gap = Q - value / slope - sigma_b * sigma_b
    if sigma_b == 0 and abs(gap[0]) < 1e-6 * Q[0] ** 0.5:  # q* = 0 lies on the line
        return float(1 / np.sqrt(slope[0]))
    at = np.flatnonzero((gap[:-1] <= 0) & (gap[1:] > 0))
    if not len(at):
        return float("nan")
    i = at[0]
    share = -gap[i] / (gap[i + 1] - gap[i])
    return float(1 / np.sqrt(slope[i] + share * (slope[i + 1] - slope[i])))


def _settle(value: np.ndarray, sigma_w: float, sigma_b: float) -> float:
    """q* of the map q -> sigma_w^2 value(q) + sigma_b^2, followed from q = 1: the map rises, so it stops at the first place where it
    crosses the diagonal on its way."""
    growth = sigma_w**2 * value + sigma_b**2 - Q
    start = int(np.searchsorted(Q, 1.0))
    if growth[start] > 0:
        at = np.flatnonzero(growth[start:] <= 0)
        if not len(at):
            return np.inf
        i = start + at[0] - 1
    else:
        at = np.flatnonzero(growth[: start + 1] > 0)
        if not len(at):
            return 0.0 if growth[start] < -1e-9 else 1.0
        i = at[-1]
    share = growth[i] / (growth[i] - growth[i + 1])
    return float(Q[i] + share * (Q[i + 1] - Q[i]))


def _near(settled: float, q: float) -> bool:
    """Whether a network settles at q and not at another crossing of the diagonal; at the edge itself it may get there slowly."""
    return settled == 0 or not np.isfinite(settled) or abs(np.log(settled / q)) < 0.1
