"""The mean-field prediction of `initviz.theory` for plain convolutional networks: one second moment for each place of the image.

Weights of variance sigma_w^2 / fan_in, fan_in = channels x kernel area, and a sum over the places p + d that the kernel sees:

    forward    q'(p) = sigma_w^2 / area  sum_d E[phi(sqrt(q(p + d)) z)^2] + sigma_b^2       Xiao et al. 2018, section 2.1
    backward   g(p)  = sigma_w^2 channels_out / (channels_in area)  E[phi'(sqrt(q(p)) z)^2]  sum_d g'(p - d)

With circular padding a sum sees as many places everywhere, and where all q are alike these are the maps of a dense layer. With zero
padding what lies beyond the border is missing from both sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from initviz._core.arguments import look_up, real_number, several, switch, whole_number
from initviz.initializers import Activation, get_activation
from initviz.models import PADDINGS
from initviz.theory._averages import moments, numbers, quiet, second_moment, slope_second_moment
from initviz.theory._dense import SAMPLE_BINS, Prediction, _one_a_layer
from initviz.theory._finite_width import Fluctuations, band, radial, ratio


@quiet
def predict_cnn(
    channels: Sequence[int],
    kernel: int,
    padding_mode: str,
    activation: str | Activation,
    weight_std: float | Sequence[float],
    bias_std: float | Sequence[float],
    inputs: np.ndarray,
    normalization: str | None = None,
    skip: bool = False,
    gradient_rms: float = 1.0,
) -> Prediction | None:
    """Predict every layer of the network that `initviz.cnn` builds.

    The band is that of a dense network with as many units as there are channels: as if all places moved together. Places that
    differ average out a part of that, so that single draws differ less.

    Args:
        channels: [channels of the image, n_1, ..., n_depth, n_out].
        kernel: side of a kernel in pixels.
        padding_mode: "zeros" or "circular".
        inputs: shape (batch, channels, height, width), the images.
        activation, weight_std, bias_std, normalization, skip, gradient_rms: as for `initviz.theory.predict`.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    phi = get_activation(activation)
    n = np.array([whole_number("channels", c) for c in several("channels", channels)], dtype=float)
    if len(n) < 3:
        raise ValueError(
            f"channels: got {n.astype(int).tolist()}; it takes the image's, one or more hidden layers' and the output's"
        )
    kernel, inputs = whole_number("kernel", kernel), numbers("inputs", inputs)
    if inputs.ndim != 4 or inputs.shape[1] != n[0]:
        raise ValueError(f"inputs: got shape {inputs.shape}; it takes (batch, {int(n[0])}, height, width)")
    look_up("padding_mode", padding_mode, PADDINGS)
    look_up("normalization", "none" if normalization is None else normalization, {"none": 0, "layer": 0, "batch": 0})
    skip, gradient_rms = switch("skip", skip), real_number("gradient_rms", gradient_rms)
    if normalization == "batch":
        return None
    depth, layers, norm = len(n) - 2, len(n) - 1, normalization == "layer"
    weights = _one_a_layer("weight_std", weight_std, layers) ** 2
    sigma_b2 = _one_a_layer("bias_std", bias_std, layers) ** 2
    places = math.prod(inputs.shape[2:])

    # Forward: q[l], shape (bins of samples, height, width), of the stream; the activation sees it over its mean behind a layer norm.
    square = np.square(inputs, dtype=float).sum(axis=1)
    order = np.argsort(square.sum(axis=(1, 2)))
    bins = np.array([square[group].mean(axis=0) for group in np.array_split(order, min(SAMPLE_BINS, len(order)))])
    see = lambda q: q / np.maximum(_mean(q), 1e-300)[:, None, None] if norm else q  # noqa: E731
    q = [weights[0] * _sum_seen(bins, kernel, padding_mode) + sigma_b2[0]]
    for l in range(1, depth):
        passed = n[l] * _sum_seen(second_moment(phi, see(q[-1])), kernel, padding_mode)
        q.append(weights[l] * passed + sigma_b2[l] + (q[-1] if skip else 0))
    value2 = np.array([_mean(second_moment(phi, see(one))) for one in q])
    slope2 = [slope_second_moment(phi, see(one)) for one in q]
    logits = weights[depth] * n[depth] * places * value2[-1] + sigma_b2[depth]
    mean = np.vstack([[_mean(one) for one in q], logits])

    # Backward: dL/da, dL/dz and dL/dh of each hidden layer. At the last one dL/da is alike everywhere: the output layer is dense.
    to_a = [np.full_like(q[0], gradient_rms * gradient_rms / max(slope2[-1].mean(), 1e-300))]
    to_z: list[np.ndarray] = []
    to_h: list[np.ndarray] = []
    for l in range(depth - 1, -1, -1):
        to_z.insert(0, slope2[l] * to_a[0])
        to_h.insert(0, to_z[0] / np.maximum(_mean(q[l]), 1e-300)[:, None, None] if norm else to_z[0])
        if skip and l < depth - 1:
            to_h[0] = to_h[0] + to_h[1]
        if l:
            to_a.insert(0, weights[l] * n[l + 1] * _sum_seen(to_h[0], kernel, padding_mode, back=True))
    nothing = np.full((1, len(bins)), np.nan)
    gradient = np.vstack([*(_mean(one) for one in (to_z if norm else to_h)), nothing])

    # How far one draw is off, from the places' means and the factors that they came to (a border takes its part of them).
    seen = np.vstack([np.ones_like(mean[:depth]) if norm else mean[:depth], mean[depth:]])
    m = moments(phi, seen[:depth])
    added = mean[1:] - sigma_b2[1:, None]
    if skip:
        added[:-1] -= mean[: depth - 1]
    sigma_w2 = np.append(1.0, ratio(added, value2).mean(axis=1))
    branch = np.array([ratio(_mean(z), _mean(h)) for z, h in zip(to_z, [*to_h[1:], np.ones_like(q[0])])])
    back = np.vstack([[_mean(one) for one in to_a], nothing])
    more_h = np.zeros_like(mean[:depth])
    if not norm:
        more_h, more_a = radial(n * places, mean, m, sigma_w2, branch, skip, gradient[:depth])
        gradient[:depth] += more_h
        back[:depth] += more_a
    along = ratio(more_h.mean(axis=1), gradient[:depth].mean(axis=1))
    fluctuations = Fluctuations(n, mean, m, phi, sigma_w2, branch, norm, skip, along)
    return Prediction(
        preactivation=band(seen, fluctuations.preactivation),
        activation=band(np.vstack([value2, nothing]), fluctuations.activation),
        preactivation_gradient=band(gradient, fluctuations.preactivation_gradient),
        activation_gradient=band(back, fluctuations.activation_gradient),
        chi=ratio(gradient.mean(axis=1), np.append(gradient[1:].mean(axis=1), np.nan)),
    )


def _mean(q: np.ndarray) -> np.ndarray:
    """Mean over the places, shape (bins,)."""
    return q.mean(axis=(1, 2))


def _sum_seen(values: np.ndarray, kernel: int, padding_mode: str, back: bool = False) -> np.ndarray:
    """At each place the sum over what the kernel sees there or, on the way back, over the places that see it. Shape as `values`.

    torch pads an even kernel by one more at the end.
    """
    before, after = (kernel - 1) // 2, kernel // 2
    sides = (after, before) if back else (before, after)
    padded = np.pad(values, ((0, 0), sides, sides), mode=PADDINGS[padding_mode])  # type: ignore[call-overload]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
    return windows.sum(axis=(3, 4))
