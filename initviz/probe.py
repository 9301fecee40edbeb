"""One forward and one backward pass of any nn.Module, measured layer by layer.

Nothing is kept of a layer but its numbers: statistics are taken in hooks, while the tensor is there anyway. A model comes
back exactly as it went in.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from initviz._arguments import look_up, whole_number
from initviz.activations import ACTIVATIONS, ActivationModule
from initviz.moments import tensor_stats
from initviz.report import QUANTITIES, LayerStats, Report, TensorStats
from initviz.schemes import fans

_FUNCTIONS = {
    "relu": "relu", "relu6": "relu6", "leaky_relu": "leaky_relu", "prelu": "prelu", "rrelu": "rrelu", "elu": "elu", "celu": "celu",
    "selu": "selu", "gelu": "gelu", "silu": "silu", "mish": "mish", "softplus": "softplus", "softsign": "softsign",
    "tanh": "tanh", "sigmoid": "sigmoid", "hardtanh": "hardtanh", "hardswish": "hardswish", "hardsigmoid": "hardsigmoid",
    "logsigmoid": "logsigmoid", "tanhshrink": "tanhshrink", "threshold": "threshold",
}  # fmt: skip
"""Names of torch functions that are activations -> what a report calls them."""

_MIX = np.sqrt(np.arange(2.0, 10.0))
_SAME = 16 * float(np.finfo(np.float32).eps)


def probe(
    model: nn.Module,
    x: Any,
    y: Tensor | None = None,
    *,
    loss: Callable[[Any, Any], Tensor] | None = None,
    quantities: Collection[str] = tuple(QUANTITIES),
    bins: int = 100,
    sample: int = 4096,
    seed: int = 0,
) -> Report:
    """Measure every layer of `model` over one forward and one backward pass.

    A layer is a module that owns a weight of two or more dimensions. Its pre-activation is what enters the activation function that
    follows it (a module such as nn.ReLU or a function such as F.gelu), or its own output if none follows. A module called
    several times is measured at each call.

    The pass runs in the model's present mode (train or eval), on its device. Afterwards the model is as it was: parameters,
    buffers, gradients, modes, hooks and the random state, also if the pass fails.

    Args:
        model: any nn.Module.
        x: its input: a tensor whose first axis is the batch, or a tuple (called as model(*x)) or a dict (model(**x)).
        y: the target, if there is one.
        loss: (output, y) -> scalar tensor. Left out, it is cross-entropy for a whole-number `y`, the mean squared error for
            a real one, the model's own `loss` if its output has one, and else a fixed random combination of the outputs
            with weights of mean 0 and variance 1, over the batch size.
        quantities: what to measure, names in QUANTITIES; fewer are faster.
        bins: cells of each histogram.
        sample: values of a tensor that its histogram is counted on (its moments and shares use all of them).
        seed: for the random combination, and for what is random in the model (dropout).
    Returns:
        A `Report`: numbers only, a `LayerStats` a layer.
    Raises:
        TypeError: `model` is not an nn.Module, or an argument is of the wrong kind.
        ValueError: an empty batch, one that does not fit the model, a model with no layer or with lazy parameters, a loss that
            is not a scalar or that no parameter can change.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wrapped: its layers, not its fused kernels
    layers = _layers(model)
    bins, sample = whole_number("bins", bins), whole_number("sample", sample)
    seed = whole_number("seed", seed, least=0)
    for quantity in quantities:
        look_up("quantities", quantity, QUANTITIES)
    parameters = list(model.parameters())
    parameter = parameters[0]
    x = dict(x) if isinstance(x, Mapping) else x
    batch_size = _batch_size(x)
    recorder = _Recorder(layers, frozenset(quantities), {"bins": bins, "sample": sample})

    with torch.inference_mode(False), torch.enable_grad(), _restored(model, parameters), ExitStack() as stack:
        torch.manual_seed(seed)
        x, y = (tree_map(lambda leaf: _own(leaf, parameter.device), batch) for batch in (x, y))
        recorder.watch(model, parameters, stack)
        try:
            with _ActivationWatch(recorder):
                output = _call(model, x)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"x: {_shape(x)} does not fit the model: {reason}") from error
        recorder.forward = False
        value = _scalar(_loss(output, y, loss, batch_size))
        torch.autograd.backward(value, inputs=recorder.targets(parameters))
        return Report(
            layers=recorder.layer_stats(),
            loss=value.item(),
            batch_size=batch_size,
            dtype=str(parameter.dtype).removeprefix("torch."),
            device=str(parameter.device),
        )


# What is measured --------------------------------------------------------------------------------------------------------


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


class _Recorder:
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
        measured = (
            {id(_own_weight(module)) for module in self.layers} if "weight_gradient" in self.quantities else set()
        )
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
        tensor = _first_tensor(output)
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
        call.units, call.distinct_units = _distinct_units(tensor, _unit_axis(call.module, tensor))

    def after_activation(self, call: _Call, name: str, flat: tuple[float | None, float | None], tensor: Tensor) -> None:
        call.activation_name = name
        call.output = None
        if "activation" in self.quantities:
            call.stats["activation"] = stats = self.measure(tensor, flat)
            call.dead_units = _dead_units(tensor, _unit_axis(call.module, tensor)) if stats.zeros else 0.0
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

    # Activation modules of our own; functions come through _ActivationWatch

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
            weight = _weight(module)
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
                    weight_gradient=self.weight_gradients.get(id(_own_weight(call.module))),
                    **call.stats,
                )
            )
        return tuple(layers)


class _ActivationWatch(TorchFunctionMode):
    """Sees each torch function called in the forward pass, and reports the activations among them."""

    def __init__(self, recorder: _Recorder) -> None:
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


def _unit_axis(module: nn.Module, tensor: Tensor) -> int:
    """The axis of features or channels: counted from the end, so that an unbatched input has it too."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return tensor.dim() - len(module.kernel_size) - 1
    return tensor.dim() - 1


def _distinct_units(tensor: Tensor, axis: int) -> tuple[int | None, int | None]:
    """(number of units, number of them that differ on the batch), judged on at most 8 places of the batch."""
    if tensor.dim() < 2:
        return None, None
    first = tensor.detach()[0]
    if axis == tensor.dim() - 1 == 1 and tensor.dtype == torch.float32:  # the usual case, at a fifth of the cost
        row = np.sort(first.cpu().numpy())
        if math.isfinite(row[-1] - row[0]) and (np.diff(row) > _SAME * max(row[-1], -row[0])).all():
            return len(row), len(row)
    few = tensor.detach()[:8]
    if axis != tensor.dim() - 1:
        few = few.movedim(axis, -1)
    units = few.shape[-1]
    places = few.reshape(-1, units)
    rows = places[:: -(-len(places) // 8)].double().cpu().numpy()
    scale = np.abs(rows).max()
    if not math.isfinite(scale):
        return units, None
    tolerance = 16 * torch.finfo(tensor.dtype).eps * scale
    # Units that are the same are neighbours in the order of any mix of their rows.
    mixed = _MIX[: len(rows)] @ rows
    order = np.argsort(mixed)
    near = np.flatnonzero(np.diff(mixed[order]) <= tolerance * _MIX.sum())
    same = np.abs(rows[:, order[near]] - rows[:, order[near + 1]]).max(axis=0, initial=0.0) <= tolerance
    return units, units - int(same.sum())


def _dead_units(tensor: Tensor, axis: int) -> float:
    """Share of units that are exactly zero at every place of the batch."""
    rows = tensor.detach().movedim(axis, -1).reshape(-1, tensor.shape[axis])
    dead = (rows.amax(dim=0) == 0) & (rows.amin(dim=0) == 0)  # ten times as fast as any(dim=0)
    return dead.double().mean().item()


def _drop_gradient(parameter: Tensor) -> None:
    parameter.grad = None


# Models and batches ------------------------------------------------------------------------------------------------------


def _layers(model: nn.Module) -> dict[nn.Module, str]:
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
        if _own_weight(module) is not None:
            layers[module] = name or type(module).__name__
    if not layers:
        raise ValueError("model: has no layer to measure, that is no module with a weight of two or more dimensions")
    return layers


def _own_weight(module: nn.Module) -> nn.Parameter | None:
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


def _weight(module: nn.Module) -> Tensor:
    """What the layer really multiplies by: its weight, computed anew if it is parametrized."""
    if parametrize.is_parametrized(module, "weight"):
        with torch.no_grad():
            return cast(Tensor, module.weight)
    return cast(Tensor, _own_weight(module))


@contextmanager
def _restored(model: nn.Module, parameters: list[nn.Parameter]) -> Iterator[None]:
    """Whatever happens inside, buffers, gradients, modes and random states are afterwards what they were."""
    modules = list(model.modules())
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in modules
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    modes = [(module, module.training) for module in modules]
    gradients = [(parameter, parameter.grad) for parameter in parameters]
    device = parameters[0].device
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            for parameter, _ in gradients:
                parameter.grad = None
            yield
        finally:
            for parameter, gradient in gradients:
                parameter.grad = gradient
            for module, training in modes:
                module.training = training
            with torch.no_grad():
                for module, name, buffer, values in buffers:
                    module._buffers[name] = buffer
                    buffer.copy_(values)  # always: batch normalization changes its own without a new version
            random.setstate(python_state)
            np.random.set_state(numpy_state)


def _own(leaf: Any, device: torch.device) -> Any:
    """A copy of a tensor of the batch on the model's device, so that an in-place first layer leaves the batch alone."""
    return leaf.detach().to(device, copy=True) if isinstance(leaf, Tensor) else leaf


def _call(model: nn.Module, x: Any) -> Any:
    if isinstance(x, dict):
        return model(**x)
    return model(*x) if isinstance(x, tuple | list) else model(x)


def _first_tensor(tree: Any) -> Tensor | None:
    """The first real tensor in an output: itself, or within a tuple, a list, a dict or a dataclass of them."""
    if isinstance(tree, Tensor):
        return tree if tree.is_floating_point() else None
    if isinstance(tree, Mapping):
        tree = tree.values()
    leaves = vars(tree).values() if hasattr(tree, "__dict__") else tree if isinstance(tree, Iterable) else ()
    return next((found for leaf in leaves if (found := _first_tensor(leaf)) is not None), None)


def _batch_size(x: Any) -> int:
    tensors = [leaf for leaf in tree_leaves(x) if isinstance(leaf, Tensor)]
    if not tensors:
        raise TypeError(f"x: got {type(x).__name__}; it takes a tensor, or a tuple or a dict of tensors")
    if any(tensor.numel() == 0 for tensor in tensors):
        raise ValueError(f"x: {_shape(x)} is empty; it takes a batch of at least one")
    return len(tensors[0]) if tensors[0].dim() else 1


def _shape(x: Any) -> str:
    shapes = [str(tuple(leaf.shape)) for leaf in tree_leaves(x) if isinstance(leaf, Tensor)]
    return f"a batch of shape {', '.join(shapes)}"


def _loss(output: Any, y: Any, loss: Callable[[Any, Any], Tensor] | None, batch_size: int) -> Any:
    if loss is not None:
        if not callable(loss):
            raise TypeError(f"loss: got {type(loss).__name__}; it takes a function (output, y) -> scalar tensor")
        return loss(output, y)
    own = output.get("loss") if isinstance(output, dict) else getattr(output, "loss", None)
    if y is None and isinstance(own, Tensor):
        return own
    logits = output.get("logits") if isinstance(output, dict) else getattr(output, "logits", None)
    logits = _first_tensor(output) if logits is None else logits
    if logits is None:
        raise ValueError("model: its output has no real tensor; pass `loss` to say what to differentiate")
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    if y is None:
        return (logits * torch.randn(logits.shape).to(logits)).sum() / batch_size
    if not isinstance(y, Tensor):
        raise TypeError(f"y: got {type(y).__name__}; it takes a tensor")
    if y.is_floating_point():
        if y.shape != logits.shape:
            raise ValueError(f"y: shape {tuple(y.shape)} does not fit the output's {tuple(logits.shape)}")
        return F.mse_loss(logits, y.to(logits.dtype))
    if logits.dim() >= 2 and y.shape == logits.shape[:1] + logits.shape[2:]:
        classes = logits.shape[1]
    elif logits.dim() >= 2 and y.shape == logits.shape[:-1]:
        logits, y, classes = logits.flatten(0, -2), y.flatten(), logits.shape[-1]
    else:
        raise ValueError(f"y: shape {tuple(y.shape)} does not fit the output's {tuple(logits.shape)}")
    wrong = y[((y < 0) & (y != -100)) | (y >= classes)]  # -100 is torch's mark for "ignore"
    if wrong.numel():
        raise ValueError(f"y: has class {int(wrong[0])}; the model's output has classes 0 to {classes - 1}")
    return F.cross_entropy(logits, y.long())


def _scalar(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"loss: gave {type(value).__name__}; it must give a scalar tensor")
    if value.numel() != 1 or not value.is_floating_point():
        raise ValueError(
            f"loss: gave a tensor of shape {tuple(value.shape)} and type {value.dtype}; it must give a real scalar"
        )
    if not value.requires_grad:
        raise ValueError("loss: no parameter of the model can change it, so there is no gradient to measure")
    return value.reshape(())
