"""What mean-field theory predicts for the stream of a residual network or a transformer, and for its gradient."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import nn

from initviz._core.arguments import got
from initviz._core.statistics import mean_square
from initviz.initializers import ActivationModule
from initviz.models import Attention, Linear, Residual, Transformer, ends
from initviz.theory._averages import numbers
from initviz.theory._dense import chi, variance_map


@torch.no_grad()
def predict_stream(net: Residual | Transformer, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean-field second moments of the stream x_0 ... x_N and of its gradient, from the network's weights as they are now.

    Branch and stream are uncorrelated, so their second moments add: q' = skip^2 q + (alpha branch)^2 E[F^2], and on the way back
    each block multiplies the gradient's by skip^2 + (alpha branch)^2 chi_1 ... chi_m.

    An attention branch averages values over places. If these are alike it passes them on as they are, with the factor
    n Var(W_value) n Var(W_out); the more they differ, the less it passes. So for a transformer this is where deep networks tend to and,
    forward, an upper bound on average. Normalization divides a signal by its root mean square, and the gradient likewise.

    Args:
        net: from `iv.residual` or `iv.transformer`, of N blocks.
        q: shape (samples,), the second moment of x_0 for each sample (at each place of it).
    Returns:
        Two arrays of shape (N + 1,): E[x_l^2] after each block, and the gradient's relative to that of x_N.
    """
    if not isinstance(net, Residual | Transformer):
        raise TypeError(f"net: got {got(net)}; it takes what iv.residual or iv.transformer returns")
    q = numbers("q", q)
    forward, factors = (_residual if isinstance(net, Residual) else _transformer)(net, q)  # type: ignore[arg-type]
    back = np.cumprod([np.ones_like(q), *factors[::-1]], axis=0)[::-1]
    blocks = slice(None, None, 1 if isinstance(net, Residual) else 2)  # a transformer's block is two branches
    return np.array(forward).mean(axis=1)[blocks], back.mean(axis=1)[blocks]


def _residual(net: Residual, q: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    phi = net.activation.activation
    forward, factors = [q], []
    for block, layers in zip(net.shortcuts(), net.branches()):
        inside, passed = q, np.ones_like(q)
        for layer in layers:
            weight, bias = math.sqrt(mean_square(layer.weight)), math.sqrt(mean_square(layer.bias))
            inside, before = variance_map(inside, phi, layer.in_features**0.5 * weight, bias), inside
            passed = passed * chi(before, phi, layer.out_features**0.5 * weight)
        q = block.skip**2 * q + block.strength * inside
        forward.append(q)
        factors.append(block.skip**2 + block.strength * passed)
    return forward, factors


def _transformer(net: Transformer, q: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    forward, factors = [q], []
    for branch in net.shortcuts():
        before = q if net.norm == "pre" else np.ones_like(q)
        gain, passed = _gains(branch.body, q / before)
        total = branch.skip**2 * q + branch.strength * gain * q / before
        behind = total if net.norm == "post" else np.ones_like(q)
        factors.append((branch.skip**2 + branch.strength * passed / before) / behind)
        q = total / behind
        forward.append(q)
    return forward, factors


def _gains(body: nn.Module, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors of a branch on a second moment that comes in at `q`, and on its gradient's on the way back."""
    if isinstance(body, Attention):
        gain = np.full_like(q, _sigma2(body.value) * _sigma2(body.out))
        return gain, gain
    first, last = ends(body)
    inside, phi = _sigma2(first) * q, cast(ActivationModule, body.get_submodule("1")).activation
    passed = chi(inside, phi, 1.0) * _sigma2(first) * _sigma2(last)  # the ratio of the fans cancels on the way back
    return variance_map(inside, phi, 1.0) * _sigma2(last) / q, passed


def _sigma2(layer: Linear) -> float:
    """fan_in times the weights' second moment."""
    return mean_square(layer.weight) * layer.in_features
