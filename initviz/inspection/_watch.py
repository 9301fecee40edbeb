"""The functions called in a forward pass that matter to a probe: activations, and writes into parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from initviz._core.torch_internals import UnseenByModes, tree_leaves, whole
from initviz.initializers import ACTIVATIONS

if TYPE_CHECKING:
    from initviz.inspection._recorder import Recorder

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


class ActivationWatch(TorchFunctionMode):
    """Sees each torch function called in the forward pass: reports the activations among them, and has a parameter copied before
    something writes into it or into a view of it."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        super().__init__()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if _may_write(func, name, args, kwargs):
            with UnseenByModes():
                for tensor in tree_leaves((args, kwargs)):
                    owner = whole(tensor, self.recorder.parameters) if isinstance(tensor, Tensor) else None
                    if isinstance(owner, nn.Parameter):
                        self.recorder.kept.keep(owner)
        activation = _FUNCTIONS.get(name.rstrip("_"))
        if activation is None or self.recorder.inside:
            return func(*args, **kwargs)
        call = self.recorder.enter(args[0] if args else kwargs.get("input"))
        output = func(*args, **kwargs)
        if call is not None:
            if activation in _BOUNDS:
                activation, flat = _cut_off(activation, args, kwargs)
            else:
                flat = ACTIVATIONS[activation].flat if activation in ACTIVATIONS else (None, None)
            self.recorder.after_activation(call, activation, flat, output)
        return output


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


def _may_write(func: Any, name: str, args: Any, kwargs: Any) -> bool:
    """Whether it writes into a tensor that it is given, or hands out one that shares its memory and could be written into."""
    if name.startswith("embedding"):
        return kwargs.get("max_norm", args[3] if len(args) > 3 else None) is not None
    if name in ("__get__", "__set__"):
        return func in _DATA
    if kwargs.get("out") is not None or kwargs.get("inplace"):
        return True
    return name == "detach" or name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
