"""What theory says before anything is measured: mean-field maps of the second moment, forward and backward, with a band.

In a wide layer a pre-activation is a sum of many independent terms, so it is near normal, and all that a layer passes on is its
second moment q = E[h^2]. With weights of variance sigma_w^2 / fan_in and biases of variance sigma_b^2:

    forward    q' = sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2        z ~ N(0, 1)     Poole et al. 2016, eq. 3
    backward   g  = chi g',    chi = sigma_w^2 E[phi'(sqrt(q) z)^2]                  Schoenholz et al. 2017, eq. 9 and 17

where g is the second moment of the loss's gradient with respect to a pre-activation. chi = 1 is the edge of chaos.

A layer of n units is not infinitely wide. One draw of the weights strays from the map by a factor whose logarithm is near normal;
for a ReLU its variance is 5/n a layer (Hanin & Nica 2018, theorem 1). `predict` gives that band for every activation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from initviz._arguments import look_up, real_number, whole_number
from initviz.activations import Activation
from initviz.activations import activation as activation_named
from initviz.averages import moments, second_moment, slope_second_moment

SAMPLE_BINS = 4
"""Groups of equal size into which samples of different norm are put: each has a q of its own."""


@dataclass(frozen=True)
class Band:
    """Root mean squares by layer, shape (depth + 1,): the map's, and the ends within which a single draw falls 95 times in 100."""

    mid: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Prediction:
    """A `Band` for each quantity that a `Report` measures, over the hidden layers and then the output layer (NaN where the
    theory is silent), and `chi`, shape (depth + 1,): the factor of the gradient's second moment from the next layer to this."""

    preactivation: Band
    activation: Band
    preactivation_gradient: Band
    activation_gradient: Band
    chi: np.ndarray


def variance_map(
    q: float | np.ndarray, activation: str | Activation, sigma_w: float, sigma_b: float = 0.0
) -> np.ndarray:
    """The next layer's second moment of pre-activations, sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2 (Poole et al. 2016, eq. 3)."""
    sigma_w, sigma_b = real_number("sigma_w", sigma_w), real_number("sigma_b", sigma_b)
    return sigma_w**2 * second_moment(activation_named(activation), np.asarray(q, dtype=float)) + sigma_b**2


def chi(q: float | np.ndarray, activation: str | Activation, sigma_w: float) -> np.ndarray:
    """Factor of the gradient's second moment a layer, sigma_w^2 E[phi'(sqrt(q) z)^2] (Schoenholz et al. 2017, eq. 9)."""
    return real_number("sigma_w", sigma_w) ** 2 * slope_second_moment(
        activation_named(activation), np.asarray(q, dtype=float)
    )


def fixed_point(activation: str | Activation, sigma_w: float, sigma_b: float = 0.0, start: float = 1.0) -> float:
    """q* with variance_map(q*) = q*, by iteration from `start`; 0 if it dies out, inf if it grows without end."""
    q = real_number("start", start)
    for _ in range(20_000):
        new = float(variance_map(q, activation, sigma_w, sigma_b))
        if new > 1e12:
            return math.inf
        if new < 1e-12:
            return 0.0
        if abs(new - q) <= 1e-13 * q:
            return new
        q = new
    return 0.0 if q < 1e-3 else q  # at the edge a saturating function dies out as slowly as 1/layers


def depth_scale(activation: str | Activation, sigma_w: float, sigma_b: float = 0.0) -> float:
    """Layers over which a gradient's second moment changes by e: -1/log(chi(q*)) (Schoenholz et al. 2017, eq. 10).

    Positive where gradients vanish (ordered phase), negative where they explode (chaotic phase), infinite at the edge of chaos.
    """
    q = fixed_point(activation, sigma_w, sigma_b)
    factor = float(chi(min(q, 1e12), activation, sigma_w))
    if factor == 0:
        return 0.0
    return math.inf if abs(factor - 1) < 1e-9 else -1 / math.log(factor)


def predict(
    widths: Sequence[int],
    activation: str | Activation,
    weight_std: float | Sequence[float],
    bias_std: float | Sequence[float] = 0.0,
    input_second_moment: float | np.ndarray = 1.0,
    normalization: str | None = None,
    skip: bool = False,
    gradient_rms: float = 1.0,
) -> Prediction | None:
    """Predict every layer of the network that `initviz.mlp` builds.

    Args:
        widths: [n_in, n_1, ..., n_depth, n_out].
        activation: a name or an Activation.
        weight_std, bias_std: standard deviation of an entry, one number or one a weight matrix (depth + 1).
        input_second_moment: mean square of an input's features, one number or one a sample.
        normalization: None or "layer". For "batch" there is no prediction here (None comes back): what a batch normalization
            takes out depends on the correlation of the samples, which has a map of its own (Yang et al. 2019).
        skip: pre-activations are added up: q' = q + sigma_w^2 E[phi^2] + sigma_b^2.
        gradient_rms: of the last hidden layer's pre-activations, where the way back begins.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    phi = activation_named(activation)
    if len(widths) < 3:
        raise ValueError(f"widths: got {list(widths)}; it takes the input, one or more hidden layers and the output")
    n = np.array([whole_number("widths", width) for width in widths], dtype=float)
    look_up("normalization", normalization or "none", {"none": 0, "layer": 0, "batch": 0})
    if normalization == "batch":
        return None
    depth, layers = len(n) - 2, len(n) - 1
    weight_variance = _one_a_layer("weight_std", weight_std, layers) ** 2
    sigma_w2, sigma_b2 = n[:-1] * weight_variance, _one_a_layer("bias_std", bias_std, layers) ** 2
    real_number("gradient_rms", gradient_rms)
    norm = normalization == "layer"

    # Forward: q[l] of the stream, shape (layers, samples); the activation sees q = 1 behind a layer normalization.
    q = np.empty((layers, len(inputs := _sample_bins(input_second_moment))))
    q[0] = sigma_w2[0] * inputs + sigma_b2[0]
    for l in range(depth):
        added = sigma_w2[l + 1] * second_moment(phi, np.ones_like(q[l]) if norm else q[l]) + sigma_b2[l + 1]
        q[l + 1] = added + (q[l] if skip and l + 1 < depth else 0)
        if (
            l
            and not skip
            and np.allclose(q[l + 1], q[l], rtol=1e-12, atol=0)
            and _same_from(l, n, weight_variance, sigma_b2)
        ):
            q[l + 1 : depth] = q[l + 1]  # at the fixed point: the rest is the same
            q[depth] = sigma_w2[depth] * second_moment(phi, np.ones_like(q[l]) if norm else q[l]) + sigma_b2[depth]
            break
    m = moments(phi, np.ones_like(q[:depth]) if norm else q[:depth])
    seen = np.vstack([np.ones_like(q[:depth]), q[depth:]]) if norm else q

    # Backward: to z, the activation's input, and to h, the stream.
    branch = (n[1:] * weight_variance)[1:, None] * m.slope2  # from dL/dh of the next layer to dL/dz of this one
    to_z, to_h = np.full_like(q, np.nan), np.full_like(q, np.nan)
    to_z[depth - 1] = gradient_rms**2
    to_h[depth - 1] = to_z[depth - 1] / q[depth - 1] if norm else to_z[depth - 1]
    to_h[depth] = _ratio(to_z[depth - 1], branch[depth - 1])
    for l in range(depth - 2, -1, -1):
        to_z[l] = branch[l] * to_h[l + 1]
        to_h[l] = _ratio(to_z[l], q[l]) if norm else to_z[l]
        if skip:
            to_h[l] += to_h[l + 1]
    gradient = to_z if norm else to_h.copy()  # without normalization z and h are one
    gradient[depth] = np.nan
    to_a = np.vstack([_ratio(branch, m.slope2) * to_h[1:], np.full_like(q[:1], np.nan)])
    if not norm:
        gradient[:depth] += _radial(n, q, m, sigma_w2, skip, gradient_rms**2)

    spread = _Spread(n, q, m, phi, sigma_w2, branch, norm, skip)
    after = np.append(gradient[1:].mean(axis=1), np.nan)
    return Prediction(
        preactivation=_band(seen, spread.preactivation),
        activation=_band(np.vstack([m.value2, np.full_like(q[:1], np.nan)]), spread.activation),
        preactivation_gradient=_band(gradient, spread.gradient),
        activation_gradient=_band(to_a, np.append(spread.gradient[1:], 0) + np.append(2 / n[1:-1], 0)),
        chi=_ratio(gradient.mean(axis=1), after),
    )


def _susceptibility(q: np.ndarray, m, sigma_w2: np.ndarray, skip: bool) -> np.ndarray:
    """d log q' / d log q from each hidden layer to the next, shape (depth, samples)."""
    passed = _ratio(sigma_w2[1:, None] * m.value2, q[1:]) * m.growth
    if skip:
        passed[:-1] += _ratio(q[:-2], q[1:-1])
    return passed


def _radial(n: np.ndarray, q: np.ndarray, m, sigma_w2: np.ndarray, skip: bool, last: float) -> np.ndarray:
    """What the direction of h itself adds to the gradient's second moment, shape (depth, samples). Derived here.

    chi averages over all n directions. One of them is special: to stretch h by a factor changes log q alone, so
    r = h . dL/dh shrinks by d log q'/d log q a layer, which for a function with a large mean (softplus) is much nearer to 1 than
    chi. At the last layer the gradient has 1/n of its square there; many layers back this may be most of it.
    """
    depth = len(n) - 2
    s2 = _susceptibility(q, m, sigma_w2, skip)[: depth - 1] ** 2
    back = np.vstack([np.cumprod(s2[::-1], axis=0)[::-1], np.ones_like(q[:1])])
    return _ratio(back * n[depth] * q[depth - 1] * last, (n[1:-1] ** 2)[:, None] * q[:depth])


class _Spread:
    """Variance of the logarithm of each second moment in one draw, by layer, shape (layers,).

    Linear noise about the map (derived here; for a ReLU it is Hanin & Nica's 5/n). Given q, the mean of phi^2 over n units has the
    relative variance v = (E[phi^4]/E[phi^2]^2 - 1)/n. It enters log q' with the weight r, its share of q', and what is in log q already
    passes on with the weight S = d log q'/d log q. On the way back each layer adds (3 E[phi'^4]/E[phi'^2]^2 - 1)/n, and what is in
    log q moves E[phi'^2] with it.
    """

    def __init__(self, n, q, m, phi, sigma_w2, branch, norm, skip) -> None:
        depth, width = len(n) - 2, n[1:-1]
        q, branch = q.mean(axis=1), branch.mean(axis=1)
        value2, value4, slope2, slope4, joint, growth = (
            getattr(m, name).mean(axis=1) for name in ("value2", "value4", "slope2", "slope4", "joint", "growth")
        )
        v = np.maximum(_ratio(value4, value2**2) - 1, 0) / width
        share = np.minimum(_ratio(sigma_w2[1:] * value2, q[1:]), 1)
        fresh = share**2 * v
        passed = share * growth
        if skip and depth > 1:
            kept = _ratio(q[: depth - 1], q[1:depth])
            passed[:-1] += kept
            fresh[:-1] += 4 * share[:-1] * kept / width[1:]
        if norm:
            fresh, passed = np.zeros_like(fresh), np.zeros_like(passed)

        variance = np.zeros(depth + 1)
        for l in range(depth):
            variance[l + 1] = passed[l] ** 2 * variance[l] + fresh[l]
        own = np.zeros(depth) if norm else 2 / width
        self.preactivation = variance + np.append(own, 2 / n[-1])
        self.activation = np.append(growth**2 * variance[:depth] + v, 0)

        backward = np.maximum(3 * _ratio(slope4, slope2**2) - 1, 0) / width
        lean = _lean(phi, q[:depth]) if not norm else np.zeros(depth)
        if skip:
            part = branch / (1 + branch)
            backward = part**2 * backward + 4 * part * (1 - part) / width
            lean = part * lean
        backward[-1] = lean[-1] = 0  # the way back begins at the last hidden layer, as measured
        paths = np.zeros(
            (depth, depth + 1)
        )  # [k, l]: how the noise of layer k moves the product of chi from layer l on
        for k in range(depth - 1):
            reach = np.cumprod(np.append(1.0, passed[k + 1 : depth - 1]))
            paths[k, k + 1 : depth] = lean[k + 1 : depth] * reach
        paths = np.cumsum(paths[:, ::-1], axis=1)[:, ::-1]
        self.gradient = np.append(np.cumsum(backward[::-1])[::-1], 0) + fresh @ paths**2
        # A unit that is large and steep moves both: the noise of layer k on the way forward and on the way back go together.
        together = 2 * share * (_ratio(joint, value2 * slope2) - 1) / width * (not norm)
        together[-1] = 0
        self.gradient[:depth] += np.cumsum((together * np.diag(paths[:, 1:]))[::-1])[::-1]
        self.gradient = np.maximum(self.gradient, 0)


def _lean(phi: Activation, q: np.ndarray, step: float = 0.05) -> np.ndarray:
    """d log E[phi'^2] / d log q, by a central difference; 0 for the ReLU family."""
    if phi.slope is not None:
        return np.zeros_like(q)
    up, down = (slope_second_moment(phi, q * math.exp(sign * step)) for sign in (1, -1))
    return np.log(np.maximum(up, 1e-300) / np.maximum(down, 1e-300)) / (2 * step)


def _band(second: np.ndarray, variance: np.ndarray) -> Band:
    """In one draw the logarithm has the mean -V/2 and the standard deviation sqrt(V); a batch's mean strays less than that."""
    mid = second.mean(axis=1)
    low, high = mid * np.exp(-variance / 2 - 2 * np.sqrt(variance)), mid * np.exp(2 * np.sqrt(variance))
    return Band(np.sqrt(mid), np.sqrt(low), np.sqrt(high))


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.broadcast_arrays(np.asarray(a, dtype=float), b)
    return np.divide(a, b, out=np.zeros_like(a, dtype=float), where=b != 0)


def _same_from(layer: int, *arrays: np.ndarray) -> bool:
    """Whether all hidden layers from `layer` on are alike, the output layer apart."""
    return all((array[layer:-1] == array[layer]).all() for array in arrays)


def _one_a_layer(argument: str, value: float | Sequence[float], layers: int) -> np.ndarray:
    values = np.atleast_1d(np.asarray(value, dtype=float))
    if values.shape not in ((1,), (layers,)):
        raise ValueError(
            f"{argument}: got {values.size} numbers; it takes one, or one for each of {layers} weight matrices"
        )
    for number in values:
        real_number(argument, number)
    return np.broadcast_to(values, layers)


def _sample_bins(input_second_moment: float | np.ndarray) -> np.ndarray:
    values = np.sort(np.atleast_1d(np.asarray(input_second_moment, dtype=float)))
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("input_second_moment: has a negative or non-finite value; it takes mean squares")
    return np.array([group.mean() for group in np.array_split(values, min(SAMPLE_BINS, len(values)))])
