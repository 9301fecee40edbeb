"""What mean-field theory predicts for a plain network, dense or convolutional, beside what a probe measured of it."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor, nn

from initviz._core.arguments import got, real_number
from initviz.initializers import Scheme, fans, get_scheme
from initviz.inspection import Report
from initviz.models import CNN, Conv2d, Linear, Plain
from initviz.theory._averages import quiet
from initviz.theory._conv import predict_cnn
from initviz.theory._dense import Prediction, predict_dense, sample_bins


@quiet
def predict_network(
    net: Plain,
    x: Tensor,
    report: Report,
    *,
    scheme: str | Scheme,
    scale: float = 1.0,
    bias_std: float = 0.0,
    gain: float | None = None,
    mode: str = "fan_in",
) -> Prediction | None:
    """The mean-field prediction for `net` on the batch `x`, layer by layer beside `report`.

    It starts forward from the samples' second moments, and backward from the measured gradient of the last hidden layer.

    Args:
        net: from `mlp` or `cnn`.
        x: shape (batch, n_in), float; for a `cnn` also (batch, channels, height, width).
        report: what `probe` measured of them.
        scheme, scale, bias_std, gain, mode: how `net` was initialized, see `initviz.init_`.
    Returns:
        A `Prediction`, or None where there is no theory here: constant weights, weights scaled by a batch, batch normalization
        of a `cnn`.
    """
    for name, value, kind in (("net", net, Plain), ("x", x, Tensor), ("report", report, Report)):
        if not isinstance(value, kind):
            raise TypeError(f"{name}: got {got(value)}; it takes a {kind.__name__}")
    rule, phi, normalization = get_scheme(scheme), net.activation.activation, _normalization(net)
    if rule.data_driven or (rule.distribution == "constant" and rule.std_rule(1, 1) != 0):
        return None
    scale, bias_std = real_number("scale", scale), real_number("bias_std", bias_std)
    layers: list[Linear | Conv2d] = [*net.hidden, net.output]  # type: ignore[list-item]
    factor = (rule.gain(phi) if gain is None else gain) * scale
    gradient = report.values("preactivation_gradient", "rms")[len(net.hidden) - 1]
    gradient = gradient if math.isfinite(gradient) else 0.0
    stds = {  # most layers are alike
        shape: (rule.weight_std(weight, factor, mode), math.hypot(rule.bias_std(fans(weight)[0]), bias_std))
        for shape, weight in {layer.weight.shape: layer.weight for layer in layers}.items()
    }
    weight_std, bias_std_by_layer = np.array([stds[layer.weight.shape] for layer in layers]).T
    widths = np.array([layers[0].weight.shape[1], *(len(layer.weight) for layer in layers)], dtype=float)
    images = x.cpu().double().numpy()
    if not isinstance(net, CNN):
        features = images.reshape(len(x), -1)
        if normalization == "batch":
            features = features - features.mean(axis=0)
        return predict_dense(
            widths, phi, weight_std**2, bias_std_by_layer**2, sample_bins(np.square(features).mean(axis=1)),
            normalization, net.skip, gradient,
        )  # fmt: skip
    kernel = net.kernel
    if rule.distribution == "delta_orthogonal":  # all of the variance is at the centre: each place goes on by itself
        weight_std[:-1] *= kernel
        kernel = 1
    return predict_cnn(
        widths.astype(int).tolist(), kernel, net.padding_mode, phi, weight_std.tolist(), bias_std_by_layer.tolist(),
        images.reshape(len(x), *net.shape), normalization, net.skip, gradient,
    )  # fmt: skip


def _normalization(net: Plain) -> str | None:
    kinds = {nn.BatchNorm1d: "batch", nn.BatchNorm2d: "batch", nn.LayerNorm: "layer", nn.GroupNorm: "layer"}
    return kinds.get(type(net.norms[0]))  # type: ignore[call-overload]
