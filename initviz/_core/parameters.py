"""The weights of a model that a scheme draws, each with the biases that belong to it."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.utils import parametrize

from initviz._core.torch_internals import Convolution


def weights_and_biases(model: nn.Module) -> Iterator[tuple[nn.Parameter, list[nn.Parameter]]]:
    """Each weight to draw with the biases that belong to it, in the order of the modules; a shared one comes once.

    Weights are those of two or more dimensions of linear, convolution, recurrent and attention layers.

    Raises:
        TypeError: not an nn.Module.
        ValueError: a weight that can't be drawn: computed from others, lazy, on the meta device, complex.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; it takes a torch.nn.Module")
    seen: set[int] = set()
    for module in model.modules():
        if not isinstance(module, nn.Linear | Convolution | nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention):
            continue
        own, kind = dict(module.named_parameters(recurse=False)), type(module).__name__
        if parametrize.is_parametrized(module) or "weight_g" in own:
            raise ValueError(
                f"model: {kind} computes its weight from others (weight normalization and the like); initialize it before that"
            )
        for name, parameter in own.items():
            if isinstance(parameter, nn.parameter.UninitializedParameter):
                raise ValueError(f"model: {kind} is lazy; run one batch through it before initializing it")
            if parameter.is_meta or parameter.is_complex():
                what = "is on the meta device and has no values" if parameter.is_meta else "is complex"
                raise ValueError(
                    f"model: {name} of a {kind} {what}; a scheme draws real numbers into a weight that is there"
                )
            if parameter.dim() < 2 or name in ("bias_k", "bias_v") or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            bias = own.get(name.replace("weight", "bias"))
            yield parameter, [bias] if bias is not None and bias is not parameter else []
