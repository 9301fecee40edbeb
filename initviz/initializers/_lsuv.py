"""Layer-sequential unit variance (LSUV): a start that is measured on data, for any nn.Module, in one forward pass.

Source: Mishkin & Matas 2016, All you need is a good init, algorithm 1:

    start with orthonormal weights
    for each layer, in the order of the forward pass:
        while |Var(output) - 1| >= tol and fewer than max_iter tries:
            forward the batch, and divide the layer's weight by sqrt(Var(output))

To the letter, each try is a pass of the whole model: about two a layer. But what enters a layer depends on the layers before it
alone, and those are done. So each layer is settled when the batch gets to it: a hook measures its output, divides its weight,
computes the output of this one layer again until its variance is right, and hands it on. One pass of the model does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.arguments import look_up, real_number, several, switch, whole_number
from initviz._core.batches import batch_size, call, copy_batch
from initviz._core.distributed import refuse_several_ranks
from initviz._core.extras import pandas
from initviz._core.layers import Unmeasurable, bare, is_linear, layers_of, refuse_unreadable
from initviz._core.parameters import weights_and_biases
from initviz._core.restore import Kept, restored
from initviz._core.statistics import TensorStats, tensor_stats, variance
from initviz._core.torch_internals import own_parameters, within_any_torch_func
from initviz.initializers._schemes import SCHEMES, Scheme, get_scheme

if TYPE_CHECKING:
    import pandas as pd

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class LsuvLayer:
    """What LSUV did to one layer, or to one call of a layer that is called several times.

    Attributes:
        name: the layer's path in the model, with "#2", "#3", ... for later calls.
        kind: its class name.
        variances: shape (iterations + 1,), the variance of all values of its output (before the activation): as the batch
            got to it, and after each division of its weight. Empty if the batch never got there.
        skipped: why its weight was not divided, or None.
        before, after: the output's statistics at the first and at the last of `variances`, if they were asked for.
        over_samples: the part of the last variance that is between samples, at a fixed unit and place (the rest is between
            units), if it was asked for. It is what tells the samples apart.
    """

    name: str
    kind: str
    variances: np.ndarray
    skipped: str | None = None
    before: TensorStats | None = None
    after: TensorStats | None = None
    over_samples: float = math.nan

    @property
    def iterations(self) -> int:
        """How many times its weight was divided."""
        return max(len(self.variances) - 1, 0)

    @property
    def variance_before(self) -> float:
        """Variance of its output as the batch got to it, NaN if it never did."""
        return float(self.variances[0]) if len(self.variances) else math.nan

    @property
    def variance_after(self) -> float:
        """Variance of its output as it is now, NaN if the batch never got to it."""
        return float(self.variances[-1]) if len(self.variances) else math.nan


@dataclass(frozen=True)
class LsuvTrace:
    """What `lsuv_` returns.

    Attributes:
        layers: a `LsuvLayer` for each call of a linear or convolution layer, in the order of the forward pass; then the unreached.
        tol: how far from 1 a variance could stay.
        passes: forward passes of the whole model. Beside it, single layers were computed again `recomputed` times.
    """

    layers: tuple[LsuvLayer, ...]
    tol: float
    passes: int = 1

    @property
    def recomputed(self) -> int:
        """Number of times that the output of a single layer was computed again: once for each division of a weight."""
        return sum(layer.iterations for layer in self.layers)

    @property
    def done(self) -> tuple[LsuvLayer, ...]:
        """The layers that were not skipped."""
        return tuple(layer for layer in self.layers if layer.skipped is None)

    @property
    def missed(self) -> tuple[str, ...]:
        """Names of the layers that were not skipped and yet are not within `tol` after the last try."""
        return tuple(layer.name for layer in self.done if not within(layer.variance_after, self.tol))

    def to_frame(self) -> pd.DataFrame:
        """A table, a row a layer: name, kind, before, after (variances), iterations, skipped."""
        rows = [
            {"name": layer.name, "kind": layer.kind, "before": layer.variance_before, "after": layer.variance_after,
             "iterations": layer.iterations, "skipped": layer.skipped or ""}
            for layer in self.layers
        ]  # fmt: skip
        return pandas().DataFrame(rows)

    def __str__(self) -> str:
        lines = [f"{'layer':24} {'kind':12} {'variance':>10} {'after':>8} {'tries':>6}"]
        for layer in self.layers:
            numbers = f"{layer.variance_before:10.3g} {layer.variance_after:8.3f} {layer.iterations:6d}"
            lines.append(f"{layer.name:24} {layer.kind:12} {numbers}  {layer.skipped or ''}".rstrip())
        return "\n".join(
            [*lines, f"passes of the model: {self.passes}; single layers computed again: {self.recomputed}"]
        )


def within(variance: float, tol: float) -> bool:
    """Whether |variance - 1| < tol (a variance of exactly 1 always is)."""
    return abs(variance - 1) < tol or variance == 1


def lsuv_(
    model: nn.Module,
    x: Any,
    *,
    tol: float = 0.1,
    max_iter: int = 10,
    orthonormal: bool = True,
    skip: Collection[str] = (),
    first: int | None = None,
    strict: bool = True,
    histograms: bool = False,
    seed: int = 0,
) -> LsuvTrace:
    """Initialize every linear and convolution layer of `model` in place so that its output on `x` has variance 1.

    The output is the layer's own, before normalization and activation; its variance is taken over all of its values (samples,
    units and places). The pass runs in the model's present mode (train or eval), on its device. Only weights change, and with
    `orthonormal` biases: buffers (batch normalization's statistics), gradients, modes, hooks and random states stay as they
    were. If an error is raised, so do the weights.

    A layer is left as it was, and the trace says why, if the batch never gets to it, if its weight is frozen, belongs to another
    kind of layer too (an embedding) or is computed from other parameters (weight normalization), or if `skip` names it. Of several
    layers, or calls of one, with the same weight the first decides. A layer that is still not within `tol` after `max_iter` tries
    (its bias alone may have too much variance) is in the trace's `missed`.

    Args:
        model: any nn.Module.
        x: its input: a tensor whose first axis is the batch, or a tuple (called as model(*x)) or a dict (model(**x)).
        tol: how far from 1 a variance may stay; the paper's 0.1.
        max_iter: at most so many divisions of a weight; the paper's 10.
        orthonormal: start with orthonormal weights and zero biases, as the paper does; False keeps the weights that are there.
        skip: names of layers (as in `model.named_modules()`) to leave as they are.
        first: do only so many layers, and measure the ones after them.
        strict: whether a layer whose output is not finite or has variance 0, which no factor makes 1, is an error. If not, it is
            skipped, and the trace says why.
        histograms: keep the outputs' statistics before and after, and what part of their variance is between samples.
        seed: of the orthonormal weights, and of what is random in the model (dropout).
    Returns:
        A `LsuvTrace`.
    Raises:
        TypeError: `model` is not an nn.Module, or an argument is of the wrong kind.
        ValueError: an empty batch or one that does not fit, a model without a linear or convolution layer or with a lazy one, and
            if `strict` a layer that can't have variance 1.
    """
    refuse_several_ranks(model, "lsuv_")
    model = bare(model)
    layers: dict[nn.Module, str] = {module: name for module, name in layers_of(model).items() if is_linear(module)}
    if not layers:
        raise ValueError("model: has no linear or convolution layer")
    tol, max_iter = real_number("tol", tol), whole_number("max_iter", max_iter)
    seed = whole_number("seed", seed, least=0)
    orthonormal, strict = switch("orthonormal", orthonormal), switch("strict", strict)
    histograms = switch("histograms", histograms)
    names = {name: name for name in layers.values()}
    left_out = {look_up("skip", name, names) for name in several("skip", skip)}
    limit = len(layers) if first is None else whole_number("first", first, least=0)
    batch_size(x)
    start = seed if orthonormal else None
    lsuv = _LsuvPass(layers, _reasons(model, layers, left_out), tol, max_iter, limit, histograms, start)
    parameters = list(model.parameters())

    with torch.inference_mode(False), torch.no_grad(), restored(model, parameters, seed), ExitStack() as stack:
        stack.push(lsuv.undo)
        for module in layers:
            stack.callback(module.register_forward_pre_hook(lsuv.before).remove)
            hook = module.register_forward_hook(lsuv.after, with_kwargs=True, prepend=True)
            stack.callback(hook.remove)
        try:
            call(model, copy_batch(x, parameters[0].device))
        except ValueError as error:
            if "does not require grad" in str(error):
                raise ValueError(
                    "model: its forward pass takes a gradient (torch.autograd.grad), and lsuv_ runs it without; do that within "
                    "torch.enable_grad()"
                ) from error
            raise
        return lsuv.trace(strict)


def start_from_batch(
    build: Callable[..., Network], x: Any, /, *, scheme: str | Scheme, scale: float = 1.0, **settings: Any
) -> Network:
    """The network of these settings, if `scheme` takes its scale from a batch as well: from `x`.

    LSUV then goes on from the orthogonal network at scale 1, skips a layer that can't have variance 1, and at the end every weight is
    multiplied by `scale`.

    Args:
        build: what makes the network, a function of scheme, scale and `settings`.
    """
    rule = get_scheme(scheme)
    if not rule.data_driven:
        return build(scheme=rule, scale=scale, **settings)
    scale = real_number("scale", scale)
    net = build(scheme=SCHEMES["orthogonal"], scale=1.0, **settings)
    lsuv_(net, x, orthonormal=False, strict=False)
    with torch.no_grad():
        for weight in weights_and_biases(net)[0]:
            weight.parameter.mul_(scale)
    return net


class _LsuvPass:
    """The hooks of one pass, and what they wrote down."""

    def __init__(
        self,
        layers: dict[nn.Module, str],
        reasons: dict[nn.Module, str],
        tol: float,
        max_iter: int,
        limit: int,
        histograms: bool,
        start: int | None,
    ) -> None:
        self.layers, self.reasons = layers, reasons
        self.tol, self.max_iter, self.limit = tol, max_iter, limit
        self.histograms = histograms
        self.start = start  # the seed of the orthonormal weights, or None to keep those there are
        weights = dict.fromkeys(id(own["weight"]) for own in map(own_parameters, layers) if "weight" in own)
        self.numbers = {weight: number for number, weight in enumerate(weights)}  # as `init_` counts them
        self.kept = Kept()
        self.met: set[int] = set()  # the ids of the weights that were used so far
        self.records: list[LsuvLayer] = []
        self.counts: dict[nn.Module, int] = {}
        self.decided: dict[int, nn.Module] = {}  # a weight's id -> the layer by whose output it was settled
        self.failures: dict[int, str] = {}  # a weight's id -> the error to raise, unless a later call of it can be used

    def before(self, module: nn.Module, args: Any) -> None:
        """At the first use of a weight: keep a copy of it, and give it its orthonormal start."""
        name = self.layers[module]
        if within_any_torch_func():
            raise Unmeasurable(f"model: calls {name} within torch.func (vmap, grad), where no value can be read")
        weight, bias = (own_parameters(module).get(key) for key in ("weight", "bias"))
        if module in self.reasons or weight is None or id(weight) in self.met:
            return
        if id(weight) not in self.numbers:
            raise Unmeasurable(
                f"model: calls {name} with a weight that is not its own (functional_call?), so that no factor on it lasts; leave it "
                f"out: skip=[{name!r}]"
            )
        self.met.add(id(weight))
        self.kept.keep(weight)
        if self.start is None:
            return
        SCHEMES["orthogonal"].fill_(weight, layer=module, seed=self.start, index=self.numbers[id(weight)])
        if bias is not None and bias.requires_grad:
            self.kept.keep(bias)
            with torch.no_grad():
                bias.zero_()
        torch.clear_autocast_cache()

    def after(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        """Measure the output, divide the weight until its variance is right, and hand the new output on."""
        count = self.counts[module] = self.counts.get(module, 0) + 1
        name = self.layers[module] + (f"#{count}" if count > 1 else "")
        if not isinstance(output, Tensor) or not output.is_floating_point():
            self.write(name, module, [], "its output is not a real tensor")
            return None
        refuse_unreadable(output, name)
        weight = own_parameters(module).get("weight")
        variances, before = [variance(output)], self.stats(output)
        reason = self.reason(module, weight, variances[0])
        if reason or weight is None:
            self.write(name, module, variances, reason, before, before, output)
            return None
        self.decided[id(weight)] = module
        while not within(variances[-1], self.tol) and len(variances) <= self.max_iter and not _trouble(variances[-1]):
            with torch.no_grad():  # the user's forward may have turned gradients on
                weight.div_(math.sqrt(variances[-1]))
            torch.clear_autocast_cache()  # of copies of the weight as it was
            output = module.forward(*args, **kwargs)
            variances.append(variance(output))
        if trouble := _trouble(variances[-1]):
            self.failures[id(weight)] = _failure(self.layers[module], trouble)
        self.write(name, module, variances, None, before, self.stats(output), output)
        return output

    def reason(self, module: nn.Module, weight: Tensor | None, output_variance: float) -> str | None:
        """Why this weight is not to be divided now, or None."""
        if module in self.reasons:
            return self.reasons[module]
        if id(weight) in self.decided:
            other = self.decided[id(weight)]
            return "its first call decides" if other is module else f"has the weight of {self.layers[other]}"
        if len(self.decided) >= self.limit:
            return "not yet"
        if trouble := _trouble(output_variance):  # a later call may do: a loop begins with a state of zeros
            self.failures.setdefault(id(weight), _failure(self.layers[module], trouble))
            return f"its output {trouble}"
        self.failures.pop(id(weight), None)
        return None

    def stats(self, output: Tensor) -> TensorStats | None:
        return tensor_stats(output) if self.histograms else None

    def write(
        self,
        name: str,
        module: nn.Module,
        variances: list[float],
        skipped: str | None,
        before: TensorStats | None = None,
        after: TensorStats | None = None,
        output: Tensor | None = None,
    ) -> None:
        kind, part = type(module).__name__, math.nan
        if self.histograms and output is not None:
            part = variance(output - output.mean(dim=0))
        self.records.append(LsuvLayer(name, kind, np.array(variances), skipped, before, after, part))

    def undo(self, kind: Any, *_: Any) -> None:
        """On an error, put the weights and biases back."""
        if kind is not None:
            self.kept.restore()

    def trace(self, strict: bool) -> LsuvTrace:
        """What was done.

        Raises:
            ValueError: if `strict`, the first layer that could not be done.
        """
        if strict and self.failures:
            raise ValueError(next(iter(self.failures.values())))
        unreached = [
            LsuvLayer(name, type(module).__name__, np.array([]), self.reasons.get(module, "the batch never gets to it"))
            for module, name in self.layers.items()
            if module not in self.counts
        ]
        return LsuvTrace(tuple(self.records + unreached), self.tol)


def _reasons(model: nn.Module, layers: dict[nn.Module, str], left_out: set[str]) -> dict[nn.Module, str]:
    """Layers that are to be left as they are -> why."""
    other_owners = {
        id(parameter): name or type(module).__name__
        for name, module in model.named_modules()
        if module not in layers
        for parameter in own_parameters(module).values()
    }
    reasons = {}
    for module, name in layers.items():
        weight = own_parameters(module).get("weight")
        if name in left_out:
            reasons[module] = "left out"
        elif weight is None:
            reasons[module] = "its weight is computed from other parameters"
        elif id(weight) in other_owners:
            reasons[module] = f"has the weight of {other_owners[id(weight)]}"
        elif not weight.requires_grad:
            reasons[module] = "its weight is frozen"
    return reasons


def _trouble(variance: float) -> str:
    """Why a weight can't be divided by the root of this, or an empty string."""
    return "has variance 0" if variance == 0 else "" if math.isfinite(variance) else "is not finite"


def _failure(name: str, why: str) -> str:
    return (
        f"model: the output of layer {name!r} {why} on this batch, so no factor makes its variance 1; look at what "
        f"enters it, or leave it out: skip=[{name!r}]"
    )
