"""How far one draw of the weights strays from the mean-field maps: a layer of n units is not infinitely wide.

The logarithm of a second moment is near normal in one draw. For a ReLU its variance is 5/n a layer (Hanin & Nica 2018, theorem 1). Here
it is derived for every activation, as linear noise about the map: see `Spread`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from initviz.initializers import Activation
from initviz.theory._averages import Moments, slope_second_moment

REACH = 2.5
"""Standard deviations from the map to the ends of a `stretched` band: more than 2, since a batch's mean goes by its largest samples."""
AMPLIFIES = 1.5
"""A map that makes a relative difference of second moments larger than this, from one layer to a later one, amplifies."""


@dataclass(frozen=True)
class Band:
    """Root mean squares by layer, shape (depth + 1,): the map's, and the ends within which a single draw falls 95 times in 100."""

    mid: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Stray:
    """The logarithm of a second moment against the map's, in one draw and for one sample: its mean and variance, shape (layers,)."""

    mean: np.ndarray
    variance: np.ndarray

    def sampled(self, variance: np.ndarray) -> Stray:
        """The same after an average over finitely many units, which adds this relative variance."""
        return Stray(self.mean - variance / 2, self.variance + variance)


def band(second: np.ndarray, stray: Stray) -> Band:
    """The band about the second moments of shape (layers, samples).

    Of one sample the logarithm is normal with this mean and variance. The average over a batch lies between the two ends of what can
    be: samples that stray together, which is the same law, and samples that stray on their own, whose average has the logarithm
    mean + variance/2 (0 for a ReLU; large where the map amplifies differences, as for a GELU whose signal dies out).
    """
    mid = second.mean(axis=1)
    reach = 2 * np.sqrt(stray.variance)
    low, high = stray.mean - reach, np.maximum(stray.mean + stray.variance / 2, 0) + reach
    return Band(np.sqrt(mid), np.sqrt(mid * np.exp(low)), np.sqrt(mid * np.exp(high)))


def stretched(second: np.ndarray, low: np.ndarray, high: np.ndarray, spread: Spread, quantity: str) -> Band:
    """The band where the map amplifies differences, about the second moments of shape (layers, samples).

    Noise is then no longer linear: a GELU's signal that happens to be larger dies out more slowly, and that again makes it larger.
    But most of it comes from the first layers. So it is gathered there (`Spread.start`) and sent through the map itself: `low` and
    `high` are what the maps give that begin REACH standard deviations below and above. Noise of a quantity's own is added.
    """
    mid, ends = second.mean(axis=1), (low.mean(axis=1), high.mean(axis=1))
    share = ratio(spread.start, spread.start[-1]) if quantity in ("preactivation", "activation") else 1.0
    own = 4 * spread.own[quantity]
    down, up = (np.sqrt((share * np.log(ratio(end, mid, 1.0))) ** 2 + own) for end in ends)
    return Band(np.sqrt(mid), np.sqrt(mid * np.exp(-down)), np.sqrt(mid * np.exp(up)))


def susceptibility(q: np.ndarray, m, sigma_w2: np.ndarray, skip: bool) -> np.ndarray:
    """d log q' / d log q from each hidden layer to the next, shape (depth, samples)."""
    passed = ratio(sigma_w2[1:, None] * m.value2, q[1:]) * m.growth
    if skip:
        passed[:-1] += ratio(q[:-2], q[1:-1])
    return passed


def radial(
    n: np.ndarray, q: np.ndarray, m: Moments, sigma_w2: np.ndarray, branch: np.ndarray, skip: bool, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What one direction adds to the second moments of dL/dh and dL/da, two arrays of shape (depth, samples). Derived here.

    chi takes the weights W of the way back as if they had not been used on the way forward. But h = W a, so W^T passes on what the
    gradient has along h: r = h . dL/dh of the next layer comes back as r W-share / |a|^2 along a, and as phi' a to this one. To stretch h
    by a factor changes log q alone, so r shrinks by d log q'/d log q a layer, which for a function with a large mean (softplus)
    is much nearer to 1 than chi. At the last layer 1/n of the gradient's square is there; many layers back this may be most of it.

    Args:
        gradient: shape (depth, samples), the second moment of dL/dh by chi alone.
    """
    width = n[1:-1]
    share = ratio(sigma_w2[1:, None] * m.value2, q[1:])
    passed = susceptibility(q, m, sigma_w2, skip)
    more_h, more_a = np.zeros_like(gradient), np.zeros_like(gradient)
    square = width[-1] * q[len(width) - 1] * gradient[-1]  # of r
    to_a = ratio(branch, m.slope2)
    norms = m.value2 * width[:, None]  # |a|^2
    over_a, over_h = (np.where(n > 0, n, np.inf) for n in (norms * width[:, None], norms**2))
    for l in range(len(width) - 2, -1, -1):
        by_chance = width[l + 1] * q[l + 1] * (gradient[l + 1] + more_h[l + 1])  # what chi has already counted
        excess = share[l] ** 2 * np.maximum(square - by_chance, 0)
        more_a[l] = to_a[l] * more_h[l + 1] + excess / over_a[l]
        more_h[l] = branch[l] * more_h[l + 1] + m.joint[l] * excess / over_h[l]
        more_h[l] += more_h[l + 1] if skip else 0
        square = passed[l] ** 2 * square
    return more_h, more_a


class Spread:
    """A `Stray` for each quantity, of shape (layers,): preactivation, activation, preactivation_gradient, activation_gradient.

    Also `start`, shape (layers,): the standard deviation of log q at the first layer that would do as much, alone, as the noise of all
    the layers up to this one; and `own`: the part of each variance that does not come through log q.

    Linear noise about the map (derived here; for a ReLU it is Hanin & Nica's 5/n). Given q, the mean of phi^2 over n units has the
    relative variance v = (E[phi^4]/E[phi^2]^2 - 1)/n. It enters log q' with the weight r, its share of q', and what is in log q already
    passes on with the weight S = d log q'/d log q. On the way back each layer adds (3 E[phi'^4]/E[phi'^2]^2 - 1)/n, and what is in
    log q moves E[phi'^2] with it. A factor of mean 1 and relative variance v has a logarithm of mean -v/2.
    """

    def __init__(
        self,
        n: np.ndarray,
        q: np.ndarray,
        m: Moments,
        phi: Activation,
        sigma_w2: np.ndarray,
        branch: np.ndarray,
        norm: bool,
        skip: bool,
        along: np.ndarray,
    ) -> None:
        depth, width = len(n) - 2, n[1:-1]
        q, branch = q.mean(axis=1), branch.mean(axis=1)
        value2, value4, slope2, slope4, joint, growth = (
            getattr(m, name).mean(axis=1) for name in ("value2", "value4", "slope2", "slope4", "joint", "growth")
        )
        v = np.maximum(ratio(value4, value2**2) - 1, 0) / width
        share = np.minimum(ratio(sigma_w2[1:] * value2, q[1:]), 1)
        fresh = share**2 * v
        passed = share * growth
        if skip and depth > 1:
            kept = ratio(q[: depth - 1], q[1:depth])
            passed[:-1] += kept
            fresh[:-1] += 4 * share[:-1] * kept / width[1:]
        if norm:
            fresh, passed = np.zeros_like(fresh), np.zeros_like(passed)

        mean, variance = np.zeros(depth + 1), np.zeros(depth + 1)
        for l in range(depth):
            mean[l + 1] = passed[l] * mean[l] - fresh[l] / 2
            variance[l + 1] = passed[l] ** 2 * variance[l] + fresh[l]
        pull = np.cumprod(passed)
        self.amplifies = bool(pull.max() > AMPLIFIES)
        self.start = np.sqrt(np.append(0, np.cumsum(ratio(fresh, pull**2))))
        own = np.append(np.zeros(depth) if norm else 2 / width, 2 / n[-1])
        self.preactivation = Stray(mean, variance).sampled(own)
        seen = Stray(growth * mean[:depth], growth**2 * variance[:depth]).sampled(v)
        self.activation = Stray(np.append(seen.mean, 0), np.append(seen.variance, 0))

        backward = np.maximum(3 * ratio(slope4, slope2**2) - 1, 0) / width
        lean = _lean(phi, q[:depth]) if not norm else np.zeros(depth)
        if skip:
            part = branch / (1 + branch)
            backward = part**2 * backward + 4 * part * (1 - part) / width
            lean = part * lean
        backward[-1] = lean[-1] = 0  # the way back begins at the last hidden layer, as measured
        paths = np.zeros((depth, depth + 1))  # [k, l]: how layer k's noise moves the product of chi from layer l on
        for k in range(depth - 1):
            reach = np.cumprod(np.append(1.0, passed[k + 1 : depth - 1]))
            paths[k, k + 1 : depth] = lean[k + 1 : depth] * reach
        paths = _from_here_on(paths)
        variance = np.append(_from_here_on(backward), 0) + fresh @ paths**2
        # A unit that is large and steep moves both: the noise of layer k on the way forward and on the way back go together.
        together = 2 * share * (ratio(joint, value2 * slope2) - 1) / width * (not norm)
        together[-1] = 0
        variance[:depth] += _from_here_on(together * np.diag(paths[:, 1:]))
        shift = np.append(_from_here_on(lean * mean[:depth] - backward / 2), 0)
        one = np.append(2 * along**2, 0)  # the square of one number, r of `radial`: relative variance 2
        self.preactivation_gradient = Stray(shift, np.maximum(variance, 0)).sampled(one)
        above = np.append(_from_here_on(backward), 0) + one
        self.own = {
            "preactivation": own,
            "activation": np.append(v, 0),
            "preactivation_gradient": above,
            "activation_gradient": np.append(above[1:], 0) + np.append(2 / width, 0),
        }
        behind = self.preactivation_gradient
        ahead = Stray(np.append(behind.mean[1:], 0), np.append(behind.variance[1:], 0))
        self.activation_gradient = ahead.sampled(np.append(2 / width, 0))


def _from_here_on(values: np.ndarray) -> np.ndarray:
    """Sums over the last axis, from each place to the end."""
    return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]


def _lean(phi: Activation, q: np.ndarray, step: float = 0.05) -> np.ndarray:
    """d log E[phi'^2] / d log q, by a central difference; 0 for the ReLU family."""
    if phi.slope is not None:
        return np.zeros_like(q)
    up, down = (slope_second_moment(phi, q * math.exp(sign * step)) for sign in (1, -1))
    return np.log(np.maximum(up, 1e-300) / np.maximum(down, 1e-300)) / (2 * step)


def ratio(a: np.ndarray, b: np.ndarray | float, otherwise: float = 0.0) -> np.ndarray:
    """a / b, and `otherwise` where b is 0."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), b)
    return np.divide(a, b, out=np.full(a.shape, otherwise), where=b != 0)
