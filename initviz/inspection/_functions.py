"""The torch functions that matter to a probe: activations, and writes into tensors."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from initviz.initializers import ACTIVATIONS

_FUNCTIONS = {
    "relu": "relu", "relu6": "relu6", "leaky_relu": "leaky_relu", "prelu": "prelu", "rrelu": "rrelu", "elu": "elu", "celu": "celu",
    "selu": "selu", "gelu": "gelu", "silu": "silu", "mish": "mish", "softplus": "softplus", "softsign": "softsign",
    "tanh": "tanh", "sigmoid": "sigmoid", "hardtanh": "hardtanh", "hardswish": "hardswish", "hardsigmoid": "hardsigmoid",
    "logsigmoid": "logsigmoid", "tanhshrink": "tanhshrink", "threshold": "threshold", "sin": "sine",
}  # fmt: skip
"""Names of torch functions that are activations -> what a report calls them."""

_BOUNDS = {"hardtanh": (-1.0, 1.0), "hardsigmoid": (0.0, 1.0), "relu6": (0.0, 6.0)}
"""Activations that are cut off at two values."""

_DATA: Any = Tensor.data
_DATA = _DATA.__get__, _DATA.__set__  # what p.data and p.data = ... call


def activation_name(function: str) -> str | None:
    """What a report calls the activation that a torch function of this name is, in place or not; None for any other function."""
    return _FUNCTIONS.get(function.rstrip("_"))


def flat_parts(activation: str, args: Any, kwargs: Any) -> tuple[str, tuple[float | None, float | None]]:
    """The name of an activation that was called with these arguments, and the outputs beyond which it counts as saturated: see
    `Activation.flat`."""
    if activation in _BOUNDS:
        return _cut_off(activation, args, kwargs)
    return activation, ACTIVATIONS[activation].flat if activation in ACTIVATIONS else (None, None)


def _cut_off(activation: str, args: Any, kwargs: Any) -> tuple[str, tuple[float | None, float | None]]:
    """The name of an activation in _BOUNDS, and its flat parts: at the bounds themselves. That of a ReLU6 at zero is left out, as a
    ReLU's is; nn.ReLU6 calls hardtanh."""
    low, high = _BOUNDS[activation]
    if activation == "hardtanh":
        given = dict(zip(("input", "min_val", "max_val"), args)) | kwargs
        low, high = float(given.get("min_val", low)), float(given.get("max_val", high))
        activation = "relu6" if (low, high) == (0, 6) else activation
    near = 1e-6 * (high - low)
    return activation, (None if activation == "relu6" else low + near, high - near)


def may_write(func: Any, name: str, args: Any, kwargs: Any) -> bool:
    """Whether it writes into a tensor that it is given, or hands out one that shares its memory and could be written into."""
    if name.startswith("embedding"):
        return kwargs.get("max_norm", args[3] if len(args) > 3 else None) is not None
    if name in ("__get__", "__set__"):
        return func in _DATA
    if kwargs.get("out") is not None or kwargs.get("inplace"):
        return True
    return name == "detach" or name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
