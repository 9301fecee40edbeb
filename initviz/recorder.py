"""What a probe hangs on a model: hooks that turn each tensor into its statistics while it passes by, and keep nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from initviz.activations import ACTIVATIONS, ActivationModule
from initviz.layers import own_weight, weight_of
from initviz.moments import tensor_stats
from initviz.report import LayerStats, TensorStats
from initviz.schemes import fans
from initviz.units import dead_units, distinct_units, unit_axis

_FUNCTIONS = {
    "relu": "relu", "relu6": "relu6", "leaky_relu": "leaky_relu", "prelu": "prelu", "rrelu": "rrelu", "elu": "elu", "celu": "celu",
    "selu": "selu", "gelu": "gelu", "silu": "silu", "mish": "mish", "softplus": "softplus", "softsign": "softsign",
    "tanh": "tanh", "sigmoid": "sigmoid", "hardtanh": "hardtanh", "hardswish": "hardswish", "hardsigmoid": "hardsigmoid",
    "logsigmoid": "logsigmoid", "tanhshrink": "tanhshrink", "threshold": "threshold",
}  # fmt: skip
"""Names of torch functions that are activations -> what a report calls them."""


@dataclass
class _Call:
    """One call of one layer, as it is being measured."""

    module: nn.Module
    name: str
    output: Tensor | None
    stats: dict[str, TensorStats] = field(default_factory=dict)
    activation_name: str | None = None
    units: int | None = None
    distinct_units: int | None = None
    dead_units: float | None = None
    handle: Any = None


class Recorder:
    """Collects statistics from hooks on layers, activations, gradients and parameters."""

    def __init__(self, layers: dict[nn.Module, str], quantities: frozenset[str], options: dict[str, int]) -> None:
        self.layers = layers
        self.quantities = quantities
        self.options = options
        self.calls: list[_Call] = []
        self.counts: dict[nn.Module, int] = {}
        self.weight_gradients: dict[int, TensorStats] = {}
        self.anchors: list[Tensor] = []
        self.forward = True  # False in the backward pass, where checkpointing calls modules again
        self.inside = False  # within an ActivationModule, whose parts are not activations of their own
        self.entered: _Call | None = None  # the call whose ActivationModule that is

    def watch(self, model: nn.Module, parameters: list[nn.Parameter], stack: ExitStack) -> None:
        for module in self.layers:
            stack.callback(module.register_forward_hook(self.after_layer).remove)
        for module in model.modules():
            if isinstance(module, ActivationModule):
                stack.callback(module.register_forward_pre_hook(self.before_module).remove)
                stack.callback(module.register_forward_hook(self.after_module).remove)
        measured = {id(own_weight(module)) for module in self.layers} if "weight_gradient" in self.quantities else set()
        for parameter in parameters:
            if parameter.requires_grad:
                keep = id(parameter) in measured
                hook = self.after_weight_gradient if keep else _drop_gradient
                stack.callback(parameter.register_post_accumulate_grad_hook(hook).remove)

    def measure(self, tensor: Tensor, flat: tuple[float | None, float | None] = (None, None)) -> TensorStats:
        with torch._C.DisableTorchFunction():
            return tensor_stats(tensor, flat=flat, **self.options)

    def measure_gradient(self, call: _Call, quantity: str, tensor: Tensor) -> Any:
        if not tensor.requires_grad or quantity not in self.quantities:
            return None

        def hook(gradient: Tensor) -> None:
            call.stats[quantity] = self.measure(gradient)

        return tensor.register_hook(hook)

    # Layers

    def after_layer(self, module: nn.Module, args: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        if not self.forward or tensor is None:
            return None
        with torch._C.DisableTorchFunction():
            anchored = tensor is output and torch.is_grad_enabled() and not self.takes_gradient(args, tensor)
            if anchored:
                anchor = torch.zeros((), dtype=tensor.dtype, device=tensor.device, requires_grad=True)
                self.anchors.append(anchor)
                tensor = tensor + anchor
            count = self.counts[module] = self.counts.get(module, 0) + 1
            name = self.layers[module] + (f"#{count}" if count > 1 else "")
            call = _Call(module, name, tensor)
            if self.calls:
                self.calls[-1].output = None
            self.calls.append(call)
            self.before_activation(call, tensor)
            return tensor if anchored else None

    def takes_gradient(self, args: Any, output: Tensor) -> bool:
        """Whether the backward pass reaches `output` by itself. If not, an anchor is added to it: a zero that takes a gradient."""
        if "weight_gradient" in self.quantities:
            return output.requires_grad
        return any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_leaves(args))

    def targets(self, parameters: list[nn.Parameter]) -> list[Tensor]:
        """What the backward pass goes back to. Unless they are asked for, gradients of weights, a third of the work, are left out:
        the anchors behind the first layers and the parameters outside the layers lead it past everything that is measured."""
        left_out = set()
        if "weight_gradient" not in self.quantities:
            left_out = {id(p) for module in self.counts for p in module._parameters.values()}
        return [p for p in parameters if p.requires_grad and id(p) not in left_out] + self.anchors

    def before_activation(self, call: _Call, tensor: Tensor) -> None:
        """`tensor` is the pre-activation of `call`, as far as is known: the layer's output, then an activation's input."""
        if call.handle is not None:
            call.handle.remove()
        if "preactivation" in self.quantities:
            call.stats["preactivation"] = self.measure(tensor)
        call.handle = self.measure_gradient(call, "preactivation_gradient", tensor)
        call.units, call.distinct_units = distinct_units(tensor, unit_axis(call.module, tensor))

    def after_activation(self, call: _Call, name: str, flat: tuple[float | None, float | None], tensor: Tensor) -> None:
        call.activation_name = name
        call.output = None
        if "activation" in self.quantities:
            call.stats["activation"] = stats = self.measure(tensor, flat)
            call.dead_units = dead_units(tensor, unit_axis(call.module, tensor)) if stats.zeros else 0.0
        self.measure_gradient(call, "activation_gradient", tensor)

    def pending(self, z: Any) -> _Call | None:
        """The call whose activation function is now applied to `z`: the last layer, unless it has had one."""
        if not (self.forward and self.calls and isinstance(z, Tensor)) or self.inside:
            return None
        call = self.calls[-1]
        return call if call.output is not None and call.output.numel() == z.numel() else None

    def enter(self, z: Any) -> _Call | None:
        call = self.pending(z)
        if call is not None and call.output is not z:
            with torch._C.DisableTorchFunction():
                self.before_activation(call, z)
        return call

    # Activation modules of our own; functions come through ActivationWatch

    def before_module(self, module: nn.Module, args: Any) -> None:
        self.entered = self.enter(args[0])
        self.inside = True

    def after_module(self, module: Any, _: Any, output: Tensor) -> None:
        self.inside = False
        if self.entered is not None:
            with torch._C.DisableTorchFunction():
                self.after_activation(self.entered, module.activation.name, module.activation.flat, output)

    # Weights

    def after_weight_gradient(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self.weight_gradients[id(parameter)] = self.measure(parameter.grad)
        _drop_gradient(parameter)

    def layer_stats(self) -> tuple[LayerStats, ...]:
        unreached = [_Call(module, name, None) for module, name in self.layers.items() if module not in self.counts]
        measured = {}
        for module in self.layers:
            weight = weight_of(module)
            measured[module] = weight, self.measure(weight) if "weight" in self.quantities else None
        layers = []
        for call in self.calls + unreached:
            weight, weight_stats = measured[call.module]
            fan_in, fan_out = fans(weight)
            layers.append(
                LayerStats(
                    name=call.name,
                    reached=call.module in self.counts,
                    kind=type(call.module).__name__,
                    weight_shape=tuple(weight.shape),
                    fan_in=fan_in,
                    fan_out=fan_out,
                    activation_name=call.activation_name,
                    units=call.units,
                    distinct_units=call.distinct_units,
                    dead_units=call.dead_units,
                    weight=weight_stats,
                    weight_gradient=self.weight_gradients.get(id(own_weight(call.module))),
                    **call.stats,
                )
            )
        return tuple(layers)


class ActivationWatch(TorchFunctionMode):
    """Sees each torch function called in the forward pass, and reports the activations among them."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        super().__init__()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = _FUNCTIONS.get(getattr(func, "__name__", "").rstrip("_"))
        if name is None or self.recorder.inside:
            return func(*args, **kwargs)
        z = args[0] if args else kwargs.get("input")
        call = self.recorder.enter(z)
        output = func(*args, **kwargs)
        if call is not None:
            flat = ACTIVATIONS[name].flat if name in ACTIVATIONS else (None, None)
            self.recorder.after_activation(call, name, flat, output)
        return output


def first_tensor(tree: Any) -> Tensor | None:
    """The first real tensor in an output: itself, or within a tuple, a list, a dict or a dataclass of them."""
    if isinstance(tree, Tensor):
        return tree if tree.is_floating_point() else None
    if isinstance(tree, Mapping):
        tree = tree.values()
    leaves = vars(tree).values() if hasattr(tree, "__dict__") else tree if isinstance(tree, Iterable) else ()
    return next((found for leaf in leaves if (found := first_tensor(leaf)) is not None), None)


def _drop_gradient(parameter: Tensor) -> None:
    parameter.grad = None
