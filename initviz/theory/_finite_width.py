"""Finite width: how far one draw of the weights is from the mean-field maps, since a layer of n units is not infinitely wide.

The logarithm of a second moment is near normal in one draw. For a ReLU its variance is 5/n a layer (Hanin & Nica 2018, theorem 1). Here
it is derived for every activation, as linear noise about the map: see `Fluctuations`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from initviz.initializers import Activation
from initviz.theory._averages import Moments, slope_second_moment

REACH = 2.5
"""Standard deviations from the map to the ends of an `amplified_band`: more than 2, since a batch's mean goes by its largest samples."""
AMPLIFIES = 1.5
"""A map that makes a relative difference of second moments larger than this, from one layer to a later one, amplifies."""


@dataclass(frozen=True)
class Band:
    """Root mean squares by layer, shape (depth + 1,): the map's, and the ends within which a single draw falls 95 times in 100."""

    mid: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class LogNormal:
    """Mean and variance, shape (layers,), of the logarithm of a second moment over the map's, in one draw and for one sample."""

    mean: np.ndarray
    variance: np.ndarray

    def averaged(self, variance: np.ndarray) -> LogNormal:
        """The same after an average over finitely many units, which adds this relative variance."""
        return LogNormal(self.mean - variance / 2, self.variance + variance)


def band(second: np.ndarray, log: LogNormal) -> Band:
    """The band about the second moments of shape (layers, samples).

    Of one sample the logarithm is normal with this mean and variance. The average over a batch lies between the two ends of what can
    be: samples that move together, which is the same law, and samples that move on their own, whose average has the logarithm
    mean + variance/2 (0 for a ReLU; large where the map amplifies differences, as for a GELU whose signal dies out).
    """
    mid = second.mean(axis=1)
    reach = 2 * np.sqrt(log.variance)
    low, high = log.mean - reach, np.maximum(log.mean + log.variance / 2, 0) + reach
    return Band(np.sqrt(mid), np.sqrt(mid * np.exp(low)), np.sqrt(mid * np.exp(high)))


def amplified_band(
    second: np.ndarray, low: np.ndarray, high: np.ndarray, fluctuations: Fluctuations, quantity: str
) -> Band:
    """The band where the map amplifies differences, about the second moments of shape (layers, samples).

    Noise is then no longer linear: a GELU's signal that happens to be larger dies out more slowly, and that again makes it larger.
    But most of it comes from the first layers. So it is gathered there (`Fluctuations.start`) and sent through the map itself: `low` and
    `high` are what the maps give that begin REACH standard deviations below and above. Noise of a quantity's own is added.
    """
    mid, ends = second.mean(axis=1), (low.mean(axis=1), high.mean(axis=1))
    share = ratio(fluctuations.start, fluctuations.start[-1]) if quantity in ("preactivation", "activation") else 1.0
    own = 4 * fluctuations.own[quantity]
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


class Fluctuations:
    """A `LogNormal` for each quantity, of shape (layers,): preactivation, activation, preactivation_gradient, activation_gradient.

    Also `start`, shape (layers,): the standard deviation of log q at the first layer that would do as much, alone, as the noise of all
    the layers up to this one; `own`: the part of each variance that does not come through log q; and `amplifies`: whether the map makes
    differences so much larger that noise is no longer linear, see `amplified_band`.

    Linear noise about the map (derived here; for a ReLU it is Hanin & Nica's 5/n). Given q, the mean of phi^2 over n units has the
    relative variance v = (E[phi^4]/E[phi^2]^2 - 1)/n. It enters log q' with the weight r, its share of q', and what is in log q already
    passes on with the weight S = d log q'/d log q. On the way back each layer adds (3 E[phi'^4]/E[phi'^2]^2 - 1)/n, and what is in
    log q moves E[phi'^2] with it. A factor of mean 1 and relative variance v has a logarithm of mean -v/2.

    Args:
        n: shape (depth + 2,), widths; the arguments after it are averages over samples or have samples as their last axis.
        q, m, branch: of the hidden layers, as `moment_maps` finds them.
        phi, norm, skip: the activation, whether layer normalization stands before it, whether pre-activations are added up.
        sigma_w2: shape (depth + 1,), fan_in times the variance of a weight.
        along: shape (depth,), the share of the gradient's square that `radial` adds.
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
        m = Moments(**{field.name: getattr(m, field.name).mean(axis=1) for field in fields(m)})
        f = _forward(width, q, m, sigma_w2, norm, skip)
        back = _backward(width, q[:depth], m, phi, branch, norm, skip, f)

        pull = np.cumprod(f.passed)
        self.amplifies = bool(pull.max() > AMPLIFIES)
        self.start = np.sqrt(np.append(0, np.cumsum(ratio(f.fresh, pull**2))))
        over_units = np.append(2 / width, 0)
        one = np.append(2 * along**2, 0)  # the square of one number, r of `radial`: relative variance 2
        noise = np.append(_from_here_on(back.fresh), 0) + one
        self.own = {
            "preactivation": np.append(np.zeros(depth) if norm else 2 / width, 2 / n[-1]),
            "activation": np.append(f.value, 0),
            "preactivation_gradient": noise,
            "activation_gradient": np.append(noise[1:], 0) + over_units,
        }
        self.preactivation = f.log_q.averaged(self.own["preactivation"])
        seen = LogNormal(m.growth * f.log_q.mean[:depth], m.growth**2 * f.log_q.variance[:depth]).averaged(f.value)
        self.activation = LogNormal(np.append(seen.mean, 0), np.append(seen.variance, 0))
        self.preactivation_gradient = gradient = back.log.averaged(one)
        ahead = LogNormal(np.append(gradient.mean[1:], 0), np.append(gradient.variance[1:], 0))
        self.activation_gradient = ahead.averaged(over_units)


@dataclass(frozen=True)
class _Forward:
    """What moves log q on its way forward. Shape (depth,): `value`, the relative variance of a mean of phi^2; `share`, of q' that comes
    from it; `fresh` and `passed`, what a layer adds to the variance of log q' and what it passes on. `log_q`: shape (depth + 1,)."""

    value: np.ndarray
    share: np.ndarray
    fresh: np.ndarray
    passed: np.ndarray
    log_q: LogNormal


def _forward(width: np.ndarray, q: np.ndarray, m: Moments, sigma_w2: np.ndarray, norm: bool, skip: bool) -> _Forward:
    depth = len(width)
    value = np.maximum(ratio(m.value4, m.value2**2) - 1, 0) / width
    share = np.minimum(ratio(sigma_w2[1:] * m.value2, q[1:]), 1)
    fresh, passed = share**2 * value, share * m.growth
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
    return _Forward(value, share, fresh, passed, LogNormal(mean, variance))


@dataclass(frozen=True)
class _Backward:
    """`fresh`: shape (depth,), what each layer's slopes add to the variance of the gradient's logarithm. `log`: shape (depth + 1,)."""

    fresh: np.ndarray
    log: LogNormal


def _backward(
    width: np.ndarray,
    q: np.ndarray,
    m: Moments,
    phi: Activation,
    branch: np.ndarray,
    norm: bool,
    skip: bool,
    f: _Forward,
) -> _Backward:
    depth = len(width)
    fresh = np.maximum(3 * ratio(m.slope4, m.slope2**2) - 1, 0) / width
    lean = np.zeros(depth) if norm else _lean(phi, q)
    if skip:
        part = branch / (1 + branch)
        fresh = part**2 * fresh + 4 * part * (1 - part) / width
        lean = part * lean
    fresh[-1] = lean[-1] = 0  # the way back begins at the last hidden layer, as measured
    paths = np.zeros((depth, depth + 1))  # [k, l]: how layer k's noise moves the product of chi from layer l on
    for k in range(depth - 1):
        reach = np.cumprod(np.append(1.0, f.passed[k + 1 : depth - 1]))
        paths[k, k + 1 : depth] = lean[k + 1 : depth] * reach
    paths = _from_here_on(paths)
    variance = np.append(_from_here_on(fresh), 0) + f.fresh @ paths**2
    # A unit that is large and steep moves both: the noise of layer k on the way forward and on the way back go together.
    together = 2 * f.share * (ratio(m.joint, m.value2 * m.slope2) - 1) / width * (not norm)
    together[-1] = 0
    variance[:depth] += _from_here_on(together * np.diag(paths[:, 1:]))
    mean = np.append(_from_here_on(lean * f.log_q.mean[:depth] - fresh / 2), 0)
    return _Backward(fresh, LogNormal(mean, np.maximum(variance, 0)))


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
