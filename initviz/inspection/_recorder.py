"""What a probe hangs on a model: hooks that take each tensor's numbers while it passes by, and keep nothing else."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from initviz._core.distributed import gathered, is_distributed, kind_of
from initviz._core.fans import fans
from initviz._core.layers import Unmeasurable, own_weight, refuse_unreadable, weight_of
from initviz._core.outputs import plus, real_tensors
from initviz._core.readings import Reading, Readings
from initviz._core.restore import Kept, emptied
from initviz._core.statistics import TensorStats
from initviz._core.torch_internals import UnseenByModes, own_parameters, tree_leaves, version, whole
from initviz.initializers import ActivationModule
from initviz.inspection._attention import (
    ATTENTION,
    PRODUCTS,
    Measured,
    Product,
    of_multi_head,
    of_scaled_dot_product,
    of_softmax,
    product,
    softmax_input,
)
from initviz.inspection._findings import Attention
from initviz.inspection._functions import activation_name, flat_parts, may_write
from initviz.inspection._recurrence import Steps, data_of, with_data
from initviz.inspection._report import LayerStats
from initviz.inspection._units import (
    dead_units,
    distinct_units,
    few_places,
    largest_magnitudes,
    share_of_zeros,
    unit_axis,
    units_at_places,
    units_everywhere,
)

_REACH = 32
"""Steps back through the autograd graph, from an activation's input, in which its layer is looked for: enough for a
normalization, a reshaping and a sum of branches."""

_SMALL = 4096
"""Values of a parameter, such as a bias, whose gradient may stay until the pass is over: a hook for each takes longer."""

REENTRANT = (
    "model: uses torch.utils.checkpoint with use_reentrant=True, which hides gradients; use_reentrant=False does not"
)


@dataclass(eq=False)
class _Call:
    """One call of one layer, as it is being measured."""

    module: nn.Module
    name: str
    number: int = -1
    output: Tensor | None = None  # of the latest call alone, so that no tensor is kept
    shape: torch.Size = field(default_factory=torch.Size)
    version: int = 0  # of the output, as it was measured: what is written into it since counts it up
    stats: dict[str, Reading[TensorStats]] = field(default_factory=dict)
    activation_name: str | None = None
    units: Reading[tuple[int, int | None]] | None = None  # how many there are, and how many of them differ
    differences: Reading[Callable[[], tuple[int, int | None]]] | None = (
        None  # the same of the units' gradients, if it is asked for
    )
    dead_units: Reading[float] | None = None
    dead: Reading[np.ndarray] | None = None  # which units those are
    handle: Any = None
    other_gradient: Reading[TensorStats] | None = None  # of a further output, such as an LSTM's last state
    own_output: Reading[TensorStats] | None = None  # the layer's, where something lies between it and the activation
    steps: Steps | None = None  # of a recurrent layer

    def axis(self, tensor: Tensor) -> int:
        return unit_axis(self.module, tensor, len(self.shape))


class Recorder(TorchFunctionMode):
    """Takes the numbers of one pass, by hooks on layers, activations, gradients and parameters; as a mode (`with recorder:`, around the
    forward pass) it also sees each torch function that is called.

    On a GPU nothing is read during the pass: `layer_stats`, after it, reads everything.
    """

    def __init__(
        self, layers: dict[nn.Module, str], quantities: frozenset[str], readings: Readings, spread: bool = False
    ) -> None:
        super().__init__()
        self.layers = layers
        self.weights = {module: own_weight(module) for module in layers}
        self.quantities = quantities
        self.readings = readings
        self.kept = Kept()
        self.parameters: list[nn.Parameter] = []
        self.calls: list[_Call] = []
        self.counts: dict[nn.Module, int] = {}
        self.sources: dict[Any, _Call] = {}  # the graph's node that made a layer's output -> its call
        self.weight_gradients: dict[int, Reading[TensorStats]] = {}
        self.has_gradient: dict[int, Reading[bool]] = {}  # by parameter: whether its gradient is not exactly 0
        self.running: dict[nn.Module, list[Steps]] = {}  # of recurrent modules whose pass has begun
        self.spread = spread  # over several processes: there all gradients wait until the backward pass is over
        self.lent: list[nn.Parameter] = []
        self.known: set[int] = set()  # ids of the parameters that there are
        self.finished: list[tuple[nn.Parameter, Callable[[Tensor], None]]] = []
        self.anchors: list[Tensor] = []
        self.anchored: set[nn.Module] = set()
        self.unanchored: set[nn.Module] = set()
        self.forward = True  # False in the backward pass, where checkpointing calls modules again
        self.inside = False  # within an ActivationModule, whose parts are not activations of their own
        self.entered: _Call | None = None  # the call whose ActivationModule that is
        self.product: Product | None = None
        self.attentions: list[Measured] = []

    def watch(self, modules: list[nn.Module], parameters: list[nn.Parameter], stack: ExitStack) -> None:
        self.parameters = parameters
        stack.callback(self.kept.restore)
        for module in self.layers:
            if isinstance(module, nn.RNNBase):
                stack.callback(module.register_forward_pre_hook(self.before_recurrent).remove)
            stack.callback(module.register_forward_hook(self.after_layer).remove)
        for module in modules:
            if isinstance(module, ActivationModule):
                stack.callback(module.register_forward_pre_hook(self.before_module, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(self.after_module).remove)
        self.known = set(map(id, parameters))

    def borrow(self, module: nn.Module) -> None:
        """A wrapper may have put other parameters into a module for the time of the pass: gradients are those of these."""
        for parameter in own_parameters(module).values():
            if parameter is not None and id(parameter) not in self.known and parameter.is_leaf:
                self.known.add(id(parameter))
                self.lent.append(parameter)
                self.weights[module] = own_weight(module)

    def end_forward(self) -> None:
        """From now on modules are only called again by checkpointing, and nothing needs to be kept of the pass."""
        self.forward = False
        self.readings.flush()
        self.sources.clear()
        self.product = None
        if self.calls:
            self.calls[-1].output = None

    def measure(self, tensor: Tensor) -> Reading[TensorStats]:
        with UnseenByModes():
            return self.readings.stats(gathered(tensor))

    def measure_gradient(self, call: _Call, quantity: str, tensor: Tensor) -> Any:
        if quantity not in self.quantities or not tensor.requires_grad:
            return None

        def hook(gradient: Tensor | None) -> None:
            if (
                gradient is None
            ):  # one of several outputs of one function, and the loss comes from another: cuDNN's LSTM
                return
            with UnseenByModes():
                # where units differ in their outputs, no one asks whether they differ in their gradients
                if quantity == "preactivation_gradient" and call.units is not None and not _all_differ(call.units):
                    later = partial(partial, distinct_units, dtype=gradient.dtype)
                    call.stats[quantity], call.differences = self.measure_places(call, gradient, later)
                else:
                    call.stats[quantity] = self.readings.stats(gathered(gradient))

        return tensor.register_hook(hook)

    def measure_places(
        self, call: _Call, tensor: Tensor, make: Callable[[np.ndarray], Any]
    ) -> tuple[Reading[TensorStats], Reading[Any]]:
        """The statistics of a tensor of two or more dimensions, and `make` of its `few_places`."""
        tensor, axis = gathered(tensor), call.axis(tensor)
        if self.readings.takes_units(tensor):
            return self.readings.stats_and_units(tensor, units_at_places(tensor, axis), make)
        return self.readings.stats(tensor), self.readings.of(few_places(tensor, axis), make)

    def measure_other_gradients(self, call: _Call, output: Any) -> None:
        """Of several outputs the first is measured, but the gradient may come back through another one alone."""

        def hook(gradient: Tensor | None) -> None:
            if gradient is not None:
                call.other_gradient = self.measure(gradient)

        if "preactivation_gradient" in self.quantities:
            for tensor in list(real_tensors(output))[1:]:
                if tensor.requires_grad:
                    tensor.register_hook(hook)

    # Layers

    def after_layer(self, module: nn.Module, args: Any, output: Any) -> Any:
        with UnseenByModes():
            tensor = next(real_tensors(output), None)
            if tensor is None:
                return None
            if not self.forward:
                if module not in self.anchored or self.takes_gradient(args, tensor):
                    return None
                return self.anchor(
                    module, output, tensor
                )  # checkpointing computes it again, and must find what it found before
            refuse_unreadable(tensor, self.layers[module])
            if not self.spread:
                self.borrow(module)
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
        with UnseenByModes():
            steps = Steps(module, args[0], self.readings)
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
        if args and isinstance(args[0], Tensor) and args[0].requires_grad:
            return True  # the usual case, at a tenth of the cost
        return any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_leaves(args))

    def anchor(self, module: nn.Module, output: Any, tensor: Tensor) -> Any:
        """The output with an anchor, or None where it takes none."""
        anchored = None
        if not torch.is_grad_enabled() and _in_a_reentrant_checkpoint():
            raise Unmeasurable(REENTRANT)
        if torch.is_grad_enabled():
            anchor = torch.zeros((), dtype=tensor.dtype, device=tensor.device, requires_grad=True)
            anchored = plus(output, anchor)
        if anchored is None:
            self.unanchored.add(module)
        else:
            self.anchored.add(module)
            self.anchors.append(anchor)
        return anchored

    def targets(self, stack: ExitStack) -> list[Tensor] | None:
        """What the backward pass goes back to, with hooks that measure and drop the gradients there; None for all there is, where
        FSDP2 puts other parameters into the graph.

        Unless they are asked for, gradients of weights, a third of the work, are left out: the anchors behind the first layers
        and the parameters outside the layers lead it past everything that is measured.
        """
        left_out = set()
        if "weight_gradient" not in self.quantities:
            left_out = {id(p) for m in self.counts if m not in self.unanchored for p in own_parameters(m).values()}
        hooks, other = (
            dict.fromkeys(map(id, self.weights.values()), self.after_weight_gradient),
            self.after_other_gradient,
        )
        if "weight_gradient" not in self.quantities or self.spread:
            other = _drop_gradient
        if "weight_gradient" not in self.quantities:
            hooks = {}
        targets = [p for p in self.parameters + self.lent if p.requires_grad and id(p) not in left_out]
        for parameter in targets:
            hook = hooks.get(id(parameter), other)
            if self.spread or (hook is other and parameter.numel() <= _SMALL):
                self.finished.append((parameter, hook))
            else:
                stack.callback(parameter.register_post_accumulate_grad_hook(hook).remove)
        if self.spread and any(map(is_distributed, self.parameters)):
            return None
        return [*targets, *self.anchors]

    def take_gradients(self) -> None:
        """What hooks would do, now that the backward pass is over: of small parameters, and of a model that is spread over processes,
        whose gradients are now those of all of them."""
        for parameter, hook in self.finished:
            hook(parameter)
        self.finished.clear()  # the hooks are this object's own methods: it would wait for the collector of garbage

    def before_activation(self, call: _Call, tensor: Tensor) -> None:
        """`tensor` is the pre-activation of `call`, as far as is known: the layer's output, then an activation's input."""
        if call.handle is not None:
            call.handle.remove()
        call.version = version(tensor)
        call.handle = self.measure_gradient(call, "preactivation_gradient", tensor)
        call.units = None
        asked, count = "preactivation" in self.quantities, partial(distinct_units, dtype=tensor.dtype)
        if asked:
            call.own_output = call.stats.get("preactivation")
        if tensor.dim() < 2:
            if asked:
                call.stats["preactivation"] = self.measure(tensor)
        elif asked:
            call.stats["preactivation"], call.units = self.measure_places(call, tensor, count)
        elif self.readings.takes_units(tensor):
            call.units = self.readings.units(tensor, units_at_places(tensor, call.axis(tensor)), count)
        else:
            call.units = self.readings.of(few_places(tensor, call.axis(tensor)), count)

    def after_activation(self, call: _Call, name: str, flat: tuple[float | None, float | None], tensor: Tensor) -> None:
        call.activation_name = name
        call.output = None
        with UnseenByModes():
            if "activation" in self.quantities:
                axis, values = call.axis(tensor), gathered(tensor)
                units = units_everywhere(values, axis) if self.readings.takes_units(values) else None
                if units is not None:
                    stats, dead = self.readings.stats_and_units(values, units, share_of_zeros, flat)
                elif (stats := self.readings.stats(values, flat)).known:
                    dead = Reading(dead_units(tensor, axis) if stats.value.zeros else 0.0)
                else:
                    dead = self.readings.of(largest_magnitudes(tensor, axis), share_of_zeros)
                call.stats["activation"], call.dead_units = stats, dead
                if self.spread:  # dead on all ranks are fewer than on one
                    call.dead = self.readings.of(largest_magnitudes(tensor, axis), lambda largest: largest == 0)
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
        return [self.sources[node] for node in self.before(z) if node in self.sources]

    def before(self, z: Tensor) -> list[Any]:
        """The nodes of the graph that `z` comes from, up to those of the layers that made it; the near ones first."""
        seen: dict[Any, None] = {}
        nodes = deque([z.grad_fn])  # breadth first
        while nodes:
            node = nodes.popleft()
            if node is None or node in seen or len(seen) == _REACH:
                continue
            seen[node] = None
            if node not in self.sources:
                nodes.extend(before for before, _ in node.next_functions)
        return list(seen)

    def enter(self, z: Any) -> _Call | None:
        call = self.pending(z)
        if call is not None and (call.output is not z or version(z) != call.version):
            with UnseenByModes():
                self.before_activation(call, z)
        return call

    # Activation modules of our own

    def before_module(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.entered = self.enter(next(iter([*args, *kwargs.values()]), None))
        self.inside = True

    def after_module(self, module: Any, _: Any, output: Tensor) -> None:
        self.inside = False
        if self.entered is not None:
            with UnseenByModes():
                self.after_activation(self.entered, module.activation.name, module.activation.flat, output)

    # Functions

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        activation = None if self.inside or not self.forward else activation_name(name)
        call = None if activation is None else self.enter(args[0] if args else kwargs.get("input"))
        if may_write(func, name, args, kwargs):
            self.readings.flush()
            if self.forward:
                with UnseenByModes():
                    self.keep(args, kwargs)
        if activation is None:
            output = func(*args, **kwargs)
            if name in ATTENTION and self.forward:
                # Masks and heads may be broadcast in a way that is not followed: then there is no number, and no error.
                with UnseenByModes(), suppress(IndexError, RuntimeError):
                    self.after_attention(name, args, kwargs, output)
            return output
        output = func(*args, **kwargs)
        if call is not None:
            self.after_activation(call, *flat_parts(activation, args, kwargs), output)
        return output

    def after_attention(self, name: str, args: Any, kwargs: Any, output: Any) -> None:
        """Measure attention; of a product, which may be its q k^T, remember what is needed for that."""
        found = None
        if name in PRODUCTS:
            self.product = product(name, args, kwargs, output) or self.product
        elif name == "softmax":
            logits = softmax_input(args, kwargs)
            if logits is not None and self.product is not None and self.product.node in self.before(logits):
                found = of_softmax(self.made(*self.product.factors), logits, self.product, self.readings)
                self.product = None
        elif name == "scaled_dot_product_attention":
            named = dict(zip(("query", "key"), args)) | kwargs
            found = of_scaled_dot_product(self.made(named["query"], named["key"]), self.readings, *args, **kwargs)
        elif self.owned(args, kwargs):  # by a layer that is called, and counted, once this returns
            found = of_multi_head((len(self.calls) + 1,), self.readings, args, kwargs)
        else:
            found = of_multi_head((), self.readings, args, kwargs)
        if found is not None:
            self.attentions.append(found)

    def made(self, *tensors: Tensor) -> tuple[int, ...]:
        """Numbers (from 1) of the calls of layers that they come from."""
        return tuple(sorted({call.number + 1 for tensor in tensors for call in self.makers(tensor)}))

    def owned(self, args: Any, kwargs: Any) -> bool:
        """Whether an argument is the weight of an nn.MultiheadAttention."""
        weights = {id(w) for module, w in self.weights.items() if isinstance(module, nn.MultiheadAttention)}
        return any(id(value) in weights for value in (*args, *kwargs.values()))

    def attention(self) -> tuple[Attention, ...]:
        """Call it after `layer_stats`."""
        return tuple(found.result() for found in self.attentions)

    def keep(self, args: Any, kwargs: Any) -> None:
        """Copy each parameter that is among the arguments, or that one of them is a view of, before it is written into."""
        for tensor in tree_leaves((args, kwargs)):
            owner = whole(tensor, self.parameters) if isinstance(tensor, Tensor) else None
            if isinstance(owner, nn.Parameter):
                self.kept.keep(owner)

    # Weights

    def after_weight_gradient(self, parameter: Tensor) -> None:
        with UnseenByModes():
            if parameter.grad is not None:
                self.weight_gradients[id(parameter)] = self.measure(parameter.grad)
            parameter.grad = None

    def after_other_gradient(self, parameter: Tensor) -> None:
        with UnseenByModes():
            if parameter.grad is None:
                return
            if self.readings.waits(parameter.grad) and parameter.grad.numel():  # no launch of its own
                self.weight_gradients[id(parameter)] = self.measure(parameter.grad)
            else:
                self.has_gradient[id(parameter)] = Reading(bool(parameter.grad.numel() and parameter.grad.any()))
            parameter.grad = None

    def silent(self, parameters: list[nn.Parameter]) -> set[int]:
        """Ids of the parameters that got no gradient, or one of exactly 0; empty where gradients of weights were not asked for."""
        if "weight_gradient" not in self.quantities:
            return set()
        heard = {key for key, reading in self.has_gradient.items() if reading.value}
        heard |= {key for key, reading in self.weight_gradients.items() if reading.value.zeros < 1}
        return {id(p) for p in parameters if p.requires_grad and id(p) not in heard}

    def layer_stats(self) -> tuple[LayerStats, ...]:
        """A record of each call of each layer, then of the layers that were not reached."""
        weights = {module: weight_of(module).detach() for module in self.layers}
        for module, weight in weights.items():
            if emptied(weight):
                raise ValueError(
                    f"model: {self.layers[module]} lets go of its weight's memory after a pass; call it without its wrapper"
                )
        whole_weights = [gathered(self.apart(weight)) for weight in weights.values()]
        taken: Sequence[Reading[Any]] = (
            [self.readings.stats(weight) for weight in whole_weights]
            if "weight" in self.quantities
            else self.readings.rms(whole_weights)
        )
        measured = dict(zip(weights, taken))
        biases = {call.module: self.bias_of(call.module) for call in self.calls if _may_saturate(call)}
        self.readings.read()
        unreached = [_Call(module, name) for module, name in self.layers.items() if module not in self.counts]
        owners: dict[int, list[str]] = {}
        for module, name in self.layers.items():
            owners.setdefault(id(self.weights[module]), []).append(name)
        layers = []
        for call in self.calls + unreached:
            weight, found = weights[call.module], measured[call.module].value
            if call.other_gradient is not None:
                call.stats.setdefault("preactivation_gradient", call.other_gradient)
            units, distinct = _units(call)
            fan_in, fan_out = fans(weight, call.module)
            weight_gradient = self.weight_gradients.get(id(self.weights[call.module]))
            layers.append(
                LayerStats(
                    name=call.name,
                    reached=call.module in self.counts,
                    kind=kind_of(call.module),
                    weight_shape=tuple(weight.shape),
                    fan_in=fan_in,
                    fan_out=fan_out,
                    activation_name=call.activation_name,
                    units=units,
                    distinct_units=distinct,
                    dead_units=None if call.dead_units is None else call.dead_units.value,
                    weight_rms=found.rms if isinstance(found, TensorStats) else found,
                    weight=found if isinstance(found, TensorStats) else None,
                    weight_gradient=None if weight_gradient is None else weight_gradient.value,
                    tied=tuple(n for n in owners[id(self.weights[call.module])] if n != self.layers[call.module]),
                    **_further(call, biases.get(call.module)),
                )
            )
        return tuple(layers)

    def weights_by_name(self) -> dict[str, nn.Parameter | None]:
        return {name: self.weights[module] for module, name in self.layers.items()}

    def bias_of(self, module: nn.Module) -> Reading[np.ndarray] | None:
        """A layer's bias, None where it has none."""
        bias = getattr(module, "bias", None)
        if not isinstance(bias, Tensor) or not bias.numel():
            return None
        bias = gathered(bias.detach())
        return self.readings.of(self.apart(bias), np.copy)

    def apart(self, tensor: Tensor) -> Tensor:
        """A tensor that a wrapper lent, as another one with the same memory on the CPU: numpy would take from the wrapper's the right to
        change that memory's size."""
        return torch.from_dlpack(tensor) if self.lent and tensor.is_cpu else tensor

    def dead_masks(self) -> dict[str, np.ndarray]:
        """Call's name -> shape (units,), whether the unit is zero on the whole batch. Kept of a model that is spread over processes."""
        return {call.name: call.dead.value for call in self.calls if call.dead is not None}


def _in_a_reentrant_checkpoint() -> bool:
    """Whether a function on the stack is torch.utils.checkpoint's, or the one of a library that is made in the same way. Where its
    input takes no gradient, autograd never asks for a second pass: the layers in it have no gradient at all."""
    frame = sys._getframe()
    while (caller := frame.f_back) is not None:
        frame = caller
        if frame.f_code.co_qualname == "CheckpointFunction.forward":
            return True
    return False


def _all_differ(units: Reading[tuple[int, int | None]]) -> bool:
    """Whether it is known already that every unit differs from the others."""
    return units.known and units.value[0] == units.value[1]


def _may_saturate(call: _Call) -> bool:
    """Whether some of its activations are saturated, or may turn out to be."""
    activation = call.stats.get("activation")
    return activation is not None and (not activation.known or activation.value.saturated > 0)


def _further(call: _Call, bias: Reading[np.ndarray] | None) -> dict[str, Any]:
    """Fields of a `LayerStats` that only some layers have."""
    found: dict[str, Any] = {quantity: reading.value for quantity, reading in call.stats.items()}
    found |= call.steps.results() if call.steps else {}
    if call.own_output is not None and call.own_output.value.rms > 0:
        found["factor"] = call.stats["preactivation"].value.rms / call.own_output.value.rms
    activation = call.stats.get("activation")
    if activation is not None and activation.value.saturated:
        values = np.zeros(1) if bias is None else bias.value
        with np.errstate(invalid="ignore"):  # a bias may be infinite
            found |= {"bias_mean": float(values.mean()), "bias_std": float(values.std())}
    return found


def _units(call: _Call) -> tuple[int | None, int | None]:
    """How many units a layer has, and how many of them differ in what they compute or in the gradient that they get."""
    if call.units is None:
        return None, None
    units, distinct = call.units.value
    if distinct != units and call.differences is not None:
        _, others = call.differences.value()
        distinct = max(distinct or 1, others or 1)
    return units, distinct


def _alike(output: torch.Size, z: torch.Size) -> bool:
    """Whether a tensor of shape `z` can be a layer's output, reshaped or pooled."""
    return output.numel() == z.numel() or (len(output) == len(z) > 2 and output[:2] == z[:2])


def _drop_gradient(parameter: Tensor) -> None:
    with UnseenByModes():
        parameter.grad = None
