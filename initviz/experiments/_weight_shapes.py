"""What training did to the distribution of the weights: each layer's, beside a fresh draw of the same shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.arguments import got, whole_number
from initviz._core.layers import is_linear
from initviz.initializers import Scheme, fans, get_scheme

EDGES = np.linspace(-8, 8, 49)
"""Cells of the histograms, in standard deviations of the fresh draw."""


@dataclass(frozen=True)
class WeightShape:
    """One layer's weight and a fresh draw for it.

    Attributes:
        name: the layer's path in the model.
        shape: of the weight.
        std, fresh_std: root mean square of the weights, and standard deviation that the scheme gives them.
        excess_kurtosis: E[w^4] / E[w^2]^2 - 3 about the mean: 0 for a normal distribution, above 0 for heavier tails.
        fresh_excess_kurtosis: of the fresh draw, for the size of the sampling error.
        density, fresh_density: shape (48,), histograms over EDGES of weight / fresh_std; each sums to the share inside, over the
            width of a cell.
        outside: share of the weights beyond EDGES.
    """

    name: str
    shape: tuple[int, ...]
    std: float
    fresh_std: float
    excess_kurtosis: float
    fresh_excess_kurtosis: float
    density: np.ndarray
    fresh_density: np.ndarray
    outside: float


def weight_shapes(model: nn.Module, scheme: str | Scheme = "he_normal", seed: int = 0) -> tuple[WeightShape, ...]:
    """A `WeightShape` for each linear and convolution layer of `model`, beside a draw by `scheme`.

    Raises:
        TypeError, ValueError: no nn.Module, or one without such layers; an unknown scheme, or one that draws nothing.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {got(model)}; it takes a torch.nn.Module")
    rule, seed = get_scheme(scheme), whole_number("seed", seed, least=0)
    if rule.distribution == "constant":
        raise ValueError(f"scheme: {rule.name} draws nothing to compare with")
    layers = [(n, m) for n, m in model.named_modules() if is_linear(m)]
    if not layers:
        raise ValueError("model: has no linear or convolution layer")
    if any(p.is_meta for p in model.parameters()):
        raise ValueError("model: has parameters on the meta device, which have no values")
    return tuple(_shape(name, layer, rule, seed, index) for index, (name, layer) in enumerate(layers))


def _shape(name: str, layer: nn.Module, rule: Scheme, seed: int, index: int) -> WeightShape:
    weight = cast(Tensor, layer.weight).detach()
    fresh = rule.fill_(torch.empty(weight.shape, device="cpu"), layer=layer, seed=seed, index=index)
    fresh_std = rule.std(*fans(weight, layer))
    drawn, trained = (tensor.cpu().double().numpy().ravel() / fresh_std for tensor in (fresh, weight))
    width = EDGES[1] - EDGES[0]
    density, fresh_density = (np.histogram(values, EDGES)[0] / len(values) / width for values in (trained, drawn))
    return WeightShape(
        name,
        tuple(weight.shape),
        float(np.sqrt(np.mean(trained**2)) * fresh_std),
        fresh_std,
        _excess_kurtosis(trained),
        _excess_kurtosis(drawn),
        density,
        fresh_density,
        float(np.mean(np.abs(trained) > EDGES[-1])),
    )


def _excess_kurtosis(values: np.ndarray) -> float:
    centred = values - values.mean()
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN where all weights are equal
        return float(np.mean(centred**4) / np.mean(centred**2) ** 2 - 3)
