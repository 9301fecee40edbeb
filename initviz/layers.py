"""The layers of a model: modules that own a weight of two or more dimensions."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


def layers_of(model: nn.Module) -> dict[nn.Module, str]:
    """Modules that own a weight of two or more dimensions -> their path in the model.

    Raises:
        TypeError: not an nn.Module.
        ValueError: no such module, or a lazy one.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; it takes a torch.nn.Module")
    layers = {}
    for name, module in model.named_modules():
        own = [p for p in module._parameters.values() if p is not None]
        if any(isinstance(p, nn.parameter.UninitializedParameter) for p in own):
            raise ValueError(
                f"model: {name or 'it'} is lazy and has no weights yet; run one batch through the model first"
            )
        if own_weight(module) is not None:
            layers[module] = name or type(module).__name__
    if not layers:
        raise ValueError("model: has no layer to measure, that is no module with a weight of two or more dimensions")
    return layers


def own_weight(module: nn.Module) -> nn.Parameter | None:
    """The layer's parameter of two or more dimensions: the one called `weight`, or else the first. None if it is no layer.

    Of a parametrized module it is the parameter behind the weight. (To ask such a module for its weight would compute it, and
    spectral normalization moves on when it does.)
    """
    if isinstance(module, parametrize.ParametrizationList):
        return None  # its parameters belong to the module that it parametrizes
    own = {name: p for name, p in module._parameters.items() if p is not None}
    for name, behind in (getattr(module, "parametrizations", None) or {}).items():
        own[name] = next(iter(behind.parameters()))
    weights = {name: p for name, p in own.items() if p is not None and p.dim() >= 2}
    return weights.get("weight", next(iter(weights.values()), None))


def weight_of(module: nn.Module) -> Tensor:
    """What the layer really multiplies by: its weight, computed anew if it is parametrized."""
    if parametrize.is_parametrized(module, "weight"):
        with torch.no_grad():
            return cast(Tensor, module.weight)
    return cast(Tensor, own_weight(module))
