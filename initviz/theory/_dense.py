"""What theory says before anything is measured: mean-field maps of the second moment, forward and backward, with a band.

In a wide layer a pre-activation is a sum of many independent terms, so it is near normal, and all that a layer passes on is its
second moment q = E[h^2]. With weights of variance sigma_w^2 / fan_in and biases of variance sigma_b^2:

    forward    q' = sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2        z ~ N(0, 1)     Poole et al. 2016, eq. 3
    backward   g  = chi g',    chi = sigma_w^2 E[phi'(sqrt(q) z)^2]                  Schoenholz et al. 2017, eq. 9 and 17

where g is the second moment of the loss's gradient with respect to a pre-activation. chi = 1 is the edge of chaos.

A layer of n units is not infinitely wide. One draw of the weights differs from the map by a factor whose logarithm is near normal;
for a ReLU its variance is 5/n a layer (Hanin & Nica 2018, theorem 1). `predict` gives that band for every activation.

Behind a normalization q is 1, and a gradient is divided by what the signal was divided by. Layer normalization divides by the second
moment of the pre-activations, batch normalization by their variance over the batch. There two samples are uncorrelated, in a large
batch, so the next layer's variance is sigma_w^2 (E[phi^2] - E[phi]^2), and a gradient's second moment grows on its way back by

    E[phi'(z)^2] / (E[phi(z)^2] - E[phi(z)]^2)        ReLU: pi/(pi - 1)             Yang et al. 2019, a mean field theory of batch norm

a layer, which is 1 for a linear function and more for every other (Poincare's inequality). Samples that are alike in more than their
mean, and small batches, make it a little more: a unit's variance over the batch then strays, and the mean of 1/variance is above 1/mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from initviz._core.arguments import look_up, real_number, several, switch, whole_number
from initviz._core.extras import from_extra
from initviz.initializers import Activation, get_activation
from initviz.theory._averages import Moments, mean, moments, numbers, quiet, second_moment, slope_second_moment
from initviz.theory._finite_width import REACH, Band, Fluctuations, amplified_band, band, radial, ratio

SAMPLE_BINS = 4
"""Groups of equal size into which samples of different norm are put: each has a q of its own."""
EPSILON = 1e-5
"""What torch's normalizations add to a variance."""
QUANTITIES = ("preactivation", "activation", "preactivation_gradient", "activation_gradient")
"""What is predicted: these of the quantities of a `Report`."""


@dataclass(frozen=True)
class Prediction:
    """A `Band` for each quantity that a `Report` measures, over the hidden layers and then the output layer (NaN where the
    theory is silent), and `chi`, shape (depth + 1,): the factor of the gradient's second moment from the next layer to this."""

    preactivation: Band
    activation: Band
    preactivation_gradient: Band
    activation_gradient: Band
    chi: np.ndarray


@quiet
def variance_map(
    q: float | np.ndarray, activation: str | Activation, sigma_w: float, sigma_b: float = 0.0
) -> np.ndarray:
    """The next layer's second moment of pre-activations, sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2 (Poole et al. 2016, eq. 3).

    Args:
        q: second moments of this layer's pre-activations, of any shape.
        activation: a name or an Activation.
        sigma_w, sigma_b: sqrt(fan_in) times the weights' standard deviation, and the biases' standard deviation.
    Returns:
        An array of the shape of `q`.
    Raises:
        TypeError, ValueError: an argument that is negative, not finite or no number; an unknown activation.
    """
    sigma_w, sigma_b = real_number("sigma_w", sigma_w), real_number("sigma_b", sigma_b)
    return sigma_w * sigma_w * second_moment(get_activation(activation), _second_moments("q", q)) + sigma_b * sigma_b


@quiet
def chi(q: float | np.ndarray, activation: str | Activation, sigma_w: float) -> np.ndarray:
    """Factor of the gradient's second moment a layer, sigma_w^2 E[phi'(sqrt(q) z)^2] (Schoenholz et al. 2017, eq. 9).

    Arguments, shapes and errors as `variance_map`.
    """
    slope2 = slope_second_moment(get_activation(activation), _second_moments("q", q))
    sigma_w = real_number("sigma_w", sigma_w)
    return sigma_w * sigma_w * slope2


@quiet
def fixed_point(activation: str | Activation, sigma_w: float, sigma_b: float = 0.0, start: float = 1.0) -> float:
    """q* with variance_map(q*) = q*, where a deep network settles that begins at q = `start`.

    The map rises with q, so it is the first crossing of the diagonal on the way up or down from `start`; `start` itself where the
    map is the diagonal (ReLU at sigma_w^2 = 2); 0 if the signal dies out (below 1e-20), inf if it grows without end (beyond 1e12).

    Raises:
        TypeError, ValueError: as `variance_map`.
    """
    q = real_number("start", start) or float(variance_map(0.0, activation, sigma_w, sigma_b))
    up = float(variance_map(q, activation, sigma_w, sigma_b)) > q
    ladder = np.geomspace(q, 1e12 if up else 1e-20, 600) if q else np.zeros(1)
    gap = variance_map(ladder, activation, sigma_w, sigma_b) - ladder
    if abs(gap[0]) <= 1e-12 * q:
        return q
    crossed = np.flatnonzero(gap < -1e-11 * ladder if up else gap > 1e-11 * ladder)
    if not len(crossed):
        return math.inf if up else 0.0
    with from_extra():  # late: it takes longer to load than all of initviz
        from scipy.optimize import brentq

    gap_at = lambda log_q: float(variance_map(math.exp(log_q), activation, sigma_w, sigma_b)) / math.exp(log_q) - 1  # noqa: E731
    here, before = np.log(ladder[crossed[0]]), np.log(ladder[crossed[0] - 1])
    return math.exp(brentq(gap_at, before, here, xtol=1e-14)) if gap_at(before) * gap_at(here) < 0 else math.exp(before)


def depth_scale(activation: str | Activation, sigma_w: float, sigma_b: float = 0.0) -> float:
    """Layers over which a gradient's second moment changes by e: -1/log(chi(q*)) (Schoenholz et al. 2017, section 3).

    Positive where gradients vanish (ordered phase), negative where they explode (chaotic phase), infinite at the edge of chaos.

    Raises:
        TypeError, ValueError: as `variance_map`.
    """
    q = fixed_point(activation, sigma_w, sigma_b)
    factor = float(chi(min(q, 1e12), activation, sigma_w))
    if factor == 0:
        return 0.0
    return math.inf if abs(factor - 1) < 1e-9 else -1 / math.log(factor)


@quiet
def predict(
    widths: Sequence[int],
    activation: str | Activation,
    weight_std: float | Sequence[float],
    bias_std: float | Sequence[float] = 0.0,
    input_second_moment: float | np.ndarray = 1.0,
    normalization: str | None = None,
    skip: bool = False,
    gradient_rms: float = 1.0,
) -> Prediction:
    """Predict every layer of the network that `initviz.mlp` builds.

    Args:
        widths: [n_in, n_1, ..., n_depth, n_out].
        activation: a name or an Activation.
        weight_std, bias_std: standard deviation of an entry, one number or one a weight matrix (depth + 1).
        input_second_moment: mean square of an input's features, one number or one a sample.
        normalization: None, "layer" or "batch". For "batch", `input_second_moment` is that of the samples' differences from their
            mean, and the batch is taken to be large.
        skip: pre-activations are added up: q' = q + sigma_w^2 E[phi^2] + sigma_b^2.
        gradient_rms: of the last hidden layer's pre-activations, where the way back begins.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    phi = get_activation(activation)
    n = np.array([whole_number("widths", width) for width in several("widths", widths)], dtype=float)
    if len(n) < 3:
        raise ValueError(
            f"widths: got {n.astype(int).tolist()}; it takes the input, one or more hidden layers and the output"
        )
    look_up("normalization", "none" if normalization is None else normalization, {"none": 0, "layer": 0, "batch": 0})
    weights = _one_a_layer("weight_std", weight_std, len(n) - 1) ** 2
    biases = _one_a_layer("bias_std", bias_std, len(n) - 1) ** 2
    inputs = sample_bins(_second_moments("input_second_moment", input_second_moment))
    if not len(inputs):
        raise ValueError("input_second_moment: is empty; it takes one number, or one a sample")
    gradient_rms = real_number("gradient_rms", gradient_rms)
    kind = None if normalization == "none" else normalization
    return predict_dense(n, phi, weights, biases, inputs, kind, switch("skip", skip), gradient_rms)


def predict_dense(
    n: np.ndarray,
    phi: Activation,
    weights: np.ndarray,
    biases: np.ndarray,
    inputs: np.ndarray,
    normalization: str | None,
    skip: bool,
    gradient_rms: float,
) -> Prediction:
    """What `predict` gives; arguments are trusted.

    Args:
        n: shape (depth + 2,), the widths.
        weights, biases: shape (depth + 1,), variances of an entry.
        inputs: from `sample_bins`.
        normalization: None, "layer" or "batch": what stands before each activation. For "batch", `inputs` are of the samples'
            differences from the batch's mean.
    """
    first = n[0] * weights[0] * inputs + (0 if normalization == "batch" else biases[0])
    maps = partial(
        moment_maps, n=n, phi=phi, weights=weights, biases=biases, normalization=normalization, skip=skip, last=gradient_rms * gradient_rms
    )  # fmt: skip
    at = maps(first)
    fluctuations = Fluctuations(
        n, at.q, at.m, phi, n[:-1] * weights, at.branch, normalization is not None, skip, at.along
    )
    if fluctuations.amplifies:
        factor = math.exp(REACH * fluctuations.start[-1])
        low, high = maps(first / factor), maps(first * factor)
        bands = {
            name: amplified_band(getattr(at, name), getattr(low, name), getattr(high, name), fluctuations, name)
            for name in QUANTITIES
        }
    else:
        bands = {name: band(getattr(at, name), getattr(fluctuations, name)) for name in QUANTITIES}
    gradient = at.preactivation_gradient.mean(axis=1)
    return Prediction(**bands, chi=ratio(gradient, np.append(gradient[1:], np.nan)))


@dataclass(frozen=True)
class _Maps:
    """Second moments by layer, shape (depth + 1, samples), NaN where there is nothing; and what the band needs."""

    preactivation: np.ndarray
    activation: np.ndarray
    preactivation_gradient: np.ndarray
    activation_gradient: np.ndarray
    q: np.ndarray
    m: Moments
    branch: np.ndarray
    along: np.ndarray


def moment_maps(
    first: np.ndarray,
    n: np.ndarray,
    phi: Activation,
    weights: np.ndarray,
    biases: np.ndarray,
    normalization: str | None,
    skip: bool,
    last: float,
) -> _Maps:
    """Forward from `first`, the first hidden layer's q, shape (samples,); backward from `last` at the last hidden layer."""
    depth = len(n) - 2
    sigma_w2 = n[:-1] * weights
    nothing = np.full((1, len(first)), np.nan)
    norm = normalization is not None

    def divisor(q: np.ndarray) -> np.ndarray:
        """What a normalization divides a square by: the variance over a sample's units, or that over the batch, and its epsilon."""
        return EPSILON + (q.mean(axis=-1, keepdims=True) if normalization == "batch" else q)

    def passed_on(q: np.ndarray) -> np.ndarray:
        """What the next hidden layer sums: the activations' second moment or, before batch normalization, their variance.

        That is E[(a - m)^2] with the batch's mean m. Two samples of a large batch are uncorrelated behind batch normalization, so
        E[a m] is the product of their means (Yang et al. 2019; there for samples that have all the same q).
        """
        if normalization != "batch":
            return second_moment(phi, q)
        a = mean(phi, q)
        return second_moment(phi, q) - a**2 + (a - a.mean()) ** 2

    # Forward: q[l] of the stream; behind a normalization the activation sees 1 (less if q is as small as its epsilon).
    see = lambda q: q / divisor(q) if norm else q  # noqa: E731
    q = np.empty((depth + 1, len(first)))
    q[0] = first
    for l in range(depth - 1):
        added = sigma_w2[l + 1] * passed_on(see(q[l])) + (0 if normalization == "batch" else biases[l + 1])
        q[l + 1] = added + (q[l] if skip else 0)
        settled = (
            l and not skip and (np.abs(q[l + 1] - q[l]) <= 1e-12 * q[l]).all()
        )  # np.allclose takes five times as long
        if settled and _same_from(l, n, weights, biases):
            q[l + 1 : depth] = q[l + 1]  # at the fixed point: the rest is the same
            break
    q[depth] = sigma_w2[depth] * second_moment(phi, see(q[depth - 1])) + biases[depth]
    m = moments(phi, see(q[:depth]))

    # Backward: to z, the activation's input, and to h, the stream.
    branch = (n[1:] * weights)[1:, None] * m.slope2  # from dL/dh of the next layer to dL/dz of this one
    to_z, to_h = np.full_like(q, np.nan), np.full_like(q, np.nan)
    to_z[depth - 1] = last
    to_h[depth - 1] = last / divisor(q[depth - 1]) if norm else last
    to_h[depth] = ratio(to_z[depth - 1], branch[depth - 1])
    for l in range(depth - 2, -1, -1):
        to_z[l] = branch[l] * to_h[l + 1]
        to_h[l] = to_z[l] / divisor(q[l]) if norm else to_z[l]
        if skip:
            to_h[l] += to_h[l + 1]
    gradient = to_z if norm else to_h.copy()  # without normalization z and h are one
    gradient[depth] = np.nan
    to_a = np.vstack([(n[1:] * weights)[1:, None] * to_h[1:], nothing])
    more_h = np.zeros_like(q[:depth])
    if not norm:
        more_h, more_a = radial(n, q, m, sigma_w2, branch, skip, gradient[:depth])
        gradient[:depth] += more_h
        to_a[:depth] += more_a
    return _Maps(
        preactivation=np.vstack([see(q[:depth]), q[depth:]]),
        activation=np.vstack([m.value2, nothing]),
        preactivation_gradient=gradient,
        activation_gradient=to_a,
        q=q,
        m=m,
        branch=branch,
        along=ratio(more_h.mean(axis=1), gradient[:depth].mean(axis=1)),
    )


def _same_from(layer: int, *arrays: np.ndarray) -> bool:
    """Whether all hidden layers from `layer` on are alike, the output layer apart."""
    return all((array[layer:-1] == array[layer]).all() for array in arrays)


def _one_a_layer(argument: str, value: float | Sequence[float], layers: int) -> np.ndarray:
    values = np.atleast_1d(numbers(argument, value))
    if values.shape not in ((1,), (layers,)):
        raise ValueError(
            f"{argument}: got {values.size} numbers; it takes one, or one for each of {layers} weight matrices"
        )
    for number in values:
        real_number(argument, number)
    return np.broadcast_to(values, layers)


def sample_bins(second_moments: np.ndarray) -> np.ndarray:
    """Means of up to SAMPLE_BINS groups of samples, put together by size; none of no samples."""
    values = np.sort(np.ravel(second_moments))
    groups = min(SAMPLE_BINS, len(values))
    return np.array([group.mean() for group in np.array_split(values, groups)]) if groups else values


def _second_moments(argument: str, value: float | np.ndarray) -> np.ndarray:
    values = numbers(argument, value)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(f"{argument}: has a negative or non-finite value; it takes second moments")
    return values
