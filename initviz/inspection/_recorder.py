"""What a probe hangs on a model: hooks that turn each tensor into its statistics while it passes by, and keep nothing else."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.utils._pytree import tree_leaves

from initviz._core.layers import own_weight, weight_of
from initviz._core.outputs import plus, real_tensors
from initviz._core.restore import Kept
from initviz._core.statistics import TensorStats, rms, tensor_stats
from initviz.initializers import ActivationModule, fans
from initviz.inspection._recurrence import Steps, data_of, with_data
from initviz.inspection._report import LayerStats
from initviz.inspection._units import dead_units, distinct_units, unit_axis

_REACH = 32
"""Steps back through the autograd graph, from an activation's input, in which its layer is looked for: enough for a
normalization, a reshaping and a sum of branches."""


@dataclass(eq=False)
class _Call:
    """One call of one layer, as it is being measured."""

    module: nn.Module
    name: str
    number: int = -1
    output: Tensor | None = None  # of the latest call alone, so that no tensor is kept
    shape: torch.Size = field(default_factory=torch.Size)
    version: int = 0  # of the output, as it was measured: what is written into it since counts it up
    stats: dict[str, TensorStats] = field(default_factory=dict)
    activation_name: str | None = None
    units: int | None = None
    distinct_units: int | None = None
    dead_units: float | None = None
    handle: Any = None
    other_gradient: TensorStats | None = None  # of a further output, such as an LSTM's last state
    output_stats: TensorStats | None = (
        None  # of the layer's own output, where something lies between it and the activation
    )
    steps: Steps | None = None  # of a recurrent layer

    def axis(self, tensor: Tensor) -> int:
        return unit_axis(self.module, tensor, len(self.shape))


class Recorder:
    """Collects statistics from hooks on layers, activations, gradients and parameters."""

    def __init__(self, layers: dict[nn.Module, str], quantities: frozenset[str], options: dict[str, int]) -> None:
        self.layers = layers
        self.weights = {module: own_weight(module) for module in layers}
        self.quantities = quantities
        self.options = options
        self.kept = Kept()
        self.calls: list[_Call] = []
        self.counts: dict[nn.Module, int] = {}
        self.sources: dict[Any, _Call] = {}  # the graph's node that made a layer's output -> its call
        self.weight_gradients: dict[int, TensorStats] = {}
        self.has_gradient: dict[int, bool] = {}  # by parameter: whether its gradient is not exactly 0
        self.running: dict[nn.Module, list[Steps]] = {}  # of recurrent modules whose pass has begun
        self.anchors: list[Tensor] = []
        self.anchored: set[nn.Module] = set()
        self.unanchored: set[nn.Module] = set()
        self.problem = ""  # why the model can't be measured, found on the way
        self.forward = True  # False in the backward pass, where checkpointing calls modules again
        self.inside = False  # within an ActivationModule, whose parts are not activations of their own
        self.entered: _Call | None = None  # the call whose ActivationModule that is

    def watch(self, model: nn.Module, parameters: list[nn.Parameter], stack: ExitStack) -> None:
        stack.callback(self.kept.restore)
        for module in self.layers:
            if isinstance(module, nn.RNNBase):
                stack.callback(module.register_forward_pre_hook(self.before_recurrent).remove)
            stack.callback(module.register_forward_hook(self.after_layer).remove)
        for module in model.modules():
            if isinstance(module, ActivationModule):
                stack.callback(module.register_forward_pre_hook(self.before_module, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(self.after_module).remove)
        hooks = dict.fromkeys(map(id, self.weights.values()), self.after_weight_gradient)
        other = self.after_other_gradient
        if "weight_gradient" not in self.quantities:
            hooks, other = {}, _drop_gradient
        for parameter in parameters:
            if parameter.requires_grad:
                hook = hooks.get(id(parameter), other)
                stack.callback(parameter.register_post_accumulate_grad_hook(hook).remove)

    def end_forward(self) -> None:
        """From now on modules are only called again by checkpointing, and nothing needs to be kept of the pass."""
        self.forward = False
        self.sources.clear()
        if self.calls:
            self.calls[-1].output = None

    def measure(self, tensor: Tensor, flat: tuple[float | None, float | None] = (None, None)) -> TensorStats:
        with torch._C.DisableTorchFunction():
            return tensor_stats(tensor, flat=flat, **self.options)

    def measure_gradient(self, call: _Call, quantity: str, tensor: Tensor) -> Any:
        if not tensor.requires_grad or quantity not in self.quantities:
            return None

        def hook(gradient: Tensor) -> None:
            call.stats[quantity] = self.measure(gradient)
            if quantity == "preactivation_gradient" and call.distinct_units != call.units:
                _, distinct = distinct_units(gradient, call.axis(gradient))
                call.distinct_units = max(call.distinct_units or 1, distinct or 1)

        return tensor.register_hook(hook)

    def measure_other_gradients(self, call: _Call, output: Any) -> None:
        """Of several outputs the first is measured, but the gradient may come back through another one alone."""

        def hook(gradient: Tensor) -> None:
            call.other_gradient = self.measure(gradient)

        if "preactivation_gradient" in self.quantities:
            for tensor in list(real_tensors(output))[1:]:
                if tensor.requires_grad:
                    tensor.register_hook(hook)

    # Layers

    def after_layer(self, module: nn.Module, args: Any, output: Any) -> Any:
        tensor = next(real_tensors(output), None)
        if tensor is None:
            return None
        if not self.forward:
            if module not in self.anchored or self.takes_gradient(args, tensor):
                return None
            with torch._C.DisableTorchFunction():  # checkpointing computes it again, and must find what it found before
                return self.anchor(module, output, tensor)
        if is_functorch_wrapped_tensor(tensor):
            self.problem = (
                f"model: calls {self.layers[module]} within torch.func (vmap, grad), where no value can be read"
            )
            raise ValueError(self.problem)
        with torch._C.DisableTorchFunction():
            anchored = None
            if not self.takes_gradient(args, tensor):
                anchored = self.anchor(module, output, tensor)
                output = output if anchored is None else anchored
                tensor = next(real_tensors(output))
            count = self.counts[module] = self.counts.get(module, 0) + 1
            name = self.layers[module] + (f"#{count}" if count > 1 else "")
            if self.calls:
                self.calls[-1].output = None
            call = _Call(module, name, len(self.calls), tensor, tensor.shape)
            self.calls.append(call)
            if tensor.grad_fn is not None:
                self.sources[tensor.grad_fn] = call
            self.before_activation(call, tensor)
            if tensor is not output:
                self.measure_other_gradients(call, output)
            if isinstance(module, nn.RNNBase):
                self.after_recurrent(call, output)
            return anchored

    # Recurrent modules, over time

    def before_recurrent(self, module: nn.RNNBase, args: Any) -> Any:
        """Has the gradient of the input measured step by step. An input that takes none gets an anchor."""
        if not (self.forward and args):
            return None
        with torch._C.DisableTorchFunction():
            steps = Steps(module, args[0])
            self.running.setdefault(module, []).append(steps)
            data = data_of(args[0])
            if "preactivation_gradient" not in self.quantities or not torch.is_grad_enabled():
                return None
            if data.requires_grad:
                data.register_hook(steps.take_gradient)
                return None
            anchor = torch.zeros((), dtype=data.dtype, device=data.device, requires_grad=True)
            self.anchors.append(anchor)
            data = data + anchor
            data.register_hook(steps.take_gradient)
            return with_data(args[0], data), *args[1:]

    def after_recurrent(self, call: _Call, output: Any) -> None:
        running = self.running.get(call.module)
        if running:
            call.steps = running.pop()
            call.steps.take_output(output[0])

    def takes_gradient(self, args: Any, output: Tensor) -> bool:
        """Whether the backward pass reaches `output` by itself. If not, an anchor is added to it: a zero that takes a gradient."""
        if "weight_gradient" in self.quantities:
            return output.requires_grad
        return any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_leaves(args))

    def anchor(self, module: nn.Module, output: Any, tensor: Tensor) -> Any:
        """The output with an anchor, or None where it takes none."""
        anchored = None
        if torch.is_grad_enabled():
            anchor = torch.zeros((), dtype=tensor.dtype, device=tensor.device, requires_grad=True)
            anchored = plus(output, anchor)
        if anchored is None:
            self.unanchored.add(module)
        else:
            self.anchored.add(module)
            self.anchors.append(anchor)
        return anchored

    def targets(self, parameters: list[nn.Parameter]) -> list[Tensor]:
        """What the backward pass goes back to. Unless they are asked for, gradients of weights, a third of the work, are left out:
        the anchors behind the first layers and the parameters outside the layers lead it past everything that is measured."""
        left_out = set()
        if "weight_gradient" not in self.quantities:
            left_out = {id(p) for m in self.counts if m not in self.unanchored for p in m._parameters.values()}
        return [p for p in parameters if p.requires_grad and id(p) not in left_out] + self.anchors

    def before_activation(self, call: _Call, tensor: Tensor) -> None:
        """`tensor` is the pre-activation of `call`, as far as is known: the layer's output, then an activation's input."""
        if call.handle is not None:
            call.handle.remove()
        call.version = _version(tensor)
        if "preactivation" in self.quantities:
            call.output_stats = call.stats.get("preactivation")
            call.stats["preactivation"] = self.measure(tensor)
        call.handle = self.measure_gradient(call, "preactivation_gradient", tensor)
        call.units, call.distinct_units = distinct_units(tensor, call.axis(tensor))

    def after_activation(self, call: _Call, name: str, flat: tuple[float | None, float | None], tensor: Tensor) -> None:
        call.activation_name = name
        call.output = None
        if "activation" in self.quantities:
            call.stats["activation"] = stats = self.measure(tensor, flat)
            call.dead_units = dead_units(tensor, call.axis(tensor)) if stats.zeros else 0.0
        self.measure_gradient(call, "activation_gradient", tensor)

    def pending(self, z: Any) -> _Call | None:
        """The call of a layer whose activation function is now applied to `z`, if it has had none yet.

        It is the one that made `z`, found in the autograd graph: of several (a skip connection) the latest. Where there is no
        graph, it is the latest call.
        """
        if not (self.forward and self.calls and isinstance(z, Tensor)) or self.inside:
            return None
        latest = self.calls[-1]
        if z is latest.output:
            return latest
        if z.grad_fn is None:
            return latest if latest.output is not None and latest.output.numel() == z.numel() else None
        made = [call for call in self.makers(z) if call.activation_name is None and _alike(call.shape, z.shape)]
        return max(made, key=lambda call: call.number, default=None)

    def makers(self, z: Tensor) -> list[_Call]:
        """The calls of layers that `z` comes from with no other layer in between."""
        found: list[_Call] = []
        seen: set[Any] = set()
        nodes = [z.grad_fn]
        for node in nodes:
            if node is None or node in seen or len(seen) == _REACH:
                continue
            seen.add(node)
            if node in self.sources:
                found.append(self.sources[node])
            else:
                nodes.extend(before for before, _ in node.next_functions)
        return found

    def enter(self, z: Any) -> _Call | None:
        call = self.pending(z)
        if call is not None and (call.output is not z or _version(z) != call.version):
            with torch._C.DisableTorchFunction():
                self.before_activation(call, z)
        return call

    # Activation modules of our own; functions come through `initviz.inspection`

    def before_module(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.entered = self.enter(next(iter([*args, *kwargs.values()]), None))
        self.inside = True

    def after_module(self, module: Any, _: Any, output: Tensor) -> None:
        self.inside = False
        if self.entered is not None:
            with torch._C.DisableTorchFunction():
                self.after_activation(self.entered, module.activation.name, module.activation.flat, output)

    # Weights

    def after_weight_gradient(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self.weight_gradients[id(parameter)] = stats = self.measure(parameter.grad)
            self.has_gradient[id(parameter)] = stats.zeros < 1
        _drop_gradient(parameter)

    def after_other_gradient(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self.has_gradient[id(parameter)] = bool(parameter.grad.any())
        _drop_gradient(parameter)

    def silent(self, parameters: list[nn.Parameter]) -> set[int]:
        """Ids of the parameters that got no gradient, or one of exactly 0; empty where gradients of weights were not asked for."""
        if "weight_gradient" not in self.quantities:
            return set()
        return {id(p) for p in parameters if p.requires_grad and not self.has_gradient.get(id(p), False)}

    def layer_stats(self) -> tuple[LayerStats, ...]:
        unreached = [_Call(module, name) for module, name in self.layers.items() if module not in self.counts]
        measured = {}
        for module in self.layers:
            weight = weight_of(module).detach()
            measured[module] = weight, self.measure(weight) if "weight" in self.quantities else None
        owners: dict[int, list[str]] = {}
        for module, name in self.layers.items():
            owners.setdefault(id(self.weights[module]), []).append(name)
        layers = []
        for call in self.calls + unreached:
            weight, weight_stats = measured[call.module]
            if call.other_gradient is not None:
                call.stats.setdefault("preactivation_gradient", call.other_gradient)
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
                    weight_rms=rms(weight) if weight_stats is None else weight_stats.rms,
                    weight=weight_stats,
                    weight_gradient=self.weight_gradients.get(id(self.weights[call.module])),
                    tied=tuple(n for n in owners[id(self.weights[call.module])] if n != self.layers[call.module]),
                    factor=_ratio(call.stats.get("preactivation"), call.output_stats),
                    **(call.stats | _bias(call) | (call.steps.results() if call.steps else {})),
                )
            )
        return tuple(layers)


def _ratio(stats: TensorStats | None, before: TensorStats | None) -> float:
    return stats.rms / before.rms if stats is not None and before is not None and before.rms > 0 else 1.0


def _bias(call: _Call) -> dict[str, Any]:
    """Mean and standard deviation of the bias of a layer that has saturated activations."""
    stats = call.stats.get("activation")
    if stats is None or not stats.saturated:
        return {}
    bias = getattr(call.module, "bias", None)
    if not isinstance(bias, Tensor) or bias.numel() == 0:
        return {"bias_mean": 0.0, "bias_std": 0.0}
    bias = bias.detach().double()
    return {"bias_mean": bias.mean().item(), "bias_std": bias.std(correction=0).item()}


def _version(tensor: Any) -> int:
    """How often it was written into. Tensors of inference mode don't count."""
    return 0 if tensor.is_inference() else tensor._version


def _alike(output: torch.Size, z: torch.Size) -> bool:
    """Whether a tensor of shape `z` can be a layer's output, reshaped or pooled."""
    return output.numel() == z.numel() or (len(output) == len(z) > 2 and output[:2] == z[:2])


def _drop_gradient(parameter: Tensor) -> None:
    parameter.grad = None
