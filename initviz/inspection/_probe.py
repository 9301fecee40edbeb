"""One forward and one backward pass of any nn.Module, measured layer by layer.

Nothing is kept of a layer but its numbers: they are taken in hooks, while the tensor is there anyway. A model comes
back exactly as it went in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initviz._core.arguments import look_up, several, whole_number
from initviz._core.batches import batch_size, call, copy_batch, first_line, refuse_meta, rms_each
from initviz._core.distributed import process_group, resharded
from initviz._core.layers import bare, layers_of
from initviz._core.outputs import real_tensors
from initviz._core.readings import Readings
from initviz._core.restore import Kept, no_collection, restored
from initviz._core.torch_internals import BatchNorm, backward
from initviz.inspection._findings import Origin, Reach
from initviz.inspection._first_loss import by_class, first_loss, logits_of, look_at
from initviz.inspection._origin import find
from initviz.inspection._ranks import Ranks
from initviz.inspection._reach import copies, follow, unlisted
from initviz.inspection._recorder import REENTRANT, Recorder
from initviz.inspection._report import QUANTITIES, Report


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

    The pass runs in the model's present mode (train or eval), on its device. Afterwards the model is as it was: parameters (but for
    what `loss` or a backward hook of yours writes into them), buffers, gradients, modes, hooks, attributes and the random states,
    also if the pass fails. Your own hooks on modules run, as
    they would in any pass; hooks that act on a parameter's finished gradient (an optimizer in the backward pass) do not. What
    torch.compile wraps is run without it, and nn.DataParallel on one device.

    A model that several processes hold (`fully_shard`, DistributedDataParallel) is probed by all ranks together, each with its part of
    the batch, and each gets the report of one process with the whole batch; the loss counts as a mean over samples. Histograms are
    put together from those of the ranks, to within a cell. What looks at one rank's part alone differs: batch normalization's mean and
    variance, and dropout, whose draws are those of one rank. If a rank raises an error, the others wait for it.

    Args:
        model: any nn.Module.
        x: its input: a tensor whose first axis is the batch, a packed sequence, or a tuple (called as model(*x)) or a dict
            (model(**x)) of them.
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
        ValueError: an empty batch, one that does not fit the model, a model that can't be measured (no layer; lazy, complex or
            meta parameters; TorchScript; re-entrant checkpoints; nested tensors; FSDP1, tensor parallelism), a pass that fails, a
            loss that is not a scalar or that no parameter can change.
    """
    with resharded(model):
        return _probe(model, x, y, loss, quantities, bins, sample, seed)


def _probe(
    model: nn.Module,
    x: Any,
    y: Tensor | None,
    loss: Callable[[Any, Any], Tensor] | None,
    quantities: Collection[str],
    bins: int,
    sample: int,
    seed: int,
    at_once: bool = False,
) -> Report:
    group, model = process_group(model), bare(model)
    layers = layers_of(model)
    bins, sample = whole_number("bins", bins), whole_number("sample", sample)
    seed = whole_number("seed", seed, least=0)
    quantities = several("quantities", quantities)
    for quantity in quantities:
        look_up("quantities", quantity, QUANTITIES)
    modules, parameters = list(model.modules()), list(model.parameters())
    parameter = parameters[0]
    size = batch_size(x)
    refuse_meta("y", y)
    labels = _label_range(y) if loss is None else (0, 0)
    ranks = Ranks(group, size)
    readings = Readings(bins, sample, sum(p.nbytes for p in parameters), at_once or ranks.several)
    recorder = Recorder(layers, frozenset(quantities), readings, spread=ranks.several)

    with no_collection(), ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(restored(model, parameters, seed))
        recorder.watch(modules, parameters, stack)
        batch, target = copy_batch(x, parameter.device), copy_batch(y, parameter.device)
        with recorder:
            output = call(model, batch)
        recorder.end_forward()
        value = ranks.weighted(_scalar(_loss(output, target, loss, ranks, labels)))
        needed = loss is not None or (isinstance(target, Tensor) and target.is_floating_point())
        looked = look_at(output, needed, readings)
        left_out: tuple[str, ...] = ()
        if "weight_gradient" in quantities and not ranks.several:
            known = recorder.known | set(map(id, [*recorder.anchors, *real_tensors(batch), *real_tensors(target)]))
            left_out = unlisted(model, real_tensors(output), known)
        del output
        targets = recorder.targets(stack)
        with recorder if readings.waits(parameter) else nullcontext():  # it sees who may write into what is held
            _backward(value, targets)
        if ranks.several:
            ranks.average_gradients(parameters)
        recorder.take_gradients()
        report = Report(
            layers=recorder.layer_stats(),
            loss=value.item(),
            batch_size=size,
            dtype=str(parameter.dtype).removeprefix("torch."),
            device=str(parameter.device),
            input_rms=next(rms_each(batch), math.nan),
            first_loss=None if ranks.several else first_loss(looked, batch, target, value, loss is not None),
            attention=recorder.attention(),
            training=model.training,
            untrained_norms=any(isinstance(m, BatchNorm) and _untrained(m) for m in modules),
        )
        if size > 1 and any(layer.weight_rms == 0 for layer in report.reached[:-1]):
            report = replace(report, one_output_for_all=looked.alike.value)
        if report.first_loss is not None and not report.first_loss.loss <= 2 * report.first_loss.chance:
            report = replace(report, large=_large(model))
        report = ranks.merged(report, recorder.dead_masks())
    if readings.overwritten:
        return _probe(model, x, y, loss, quantities, bins, sample, seed, at_once=True)
    if ranks.several or recorder.lent:  # no further passes: a wrapper would have to be asked again
        return report
    silent = recorder.silent(parameters) if report.dtype != "float16" else set()  # there a small gradient is 0
    if "weight_gradient" in quantities:
        report = replace(
            report, reach=Reach(unlisted=left_out), copies=copies(recorder.weights_by_name(), report.layers)
        )
    if silent or not report.finite:
        again = _Again(model, parameters, x, y, loss, size, seed)
        with again.kept():
            report = replace(
                report,
                reach=replace(follow(model, silent, again.gradients), unlisted=left_out) if silent else report.reach,
                origin=None if report.finite else again.origin(),
            )
    return report


@dataclass(frozen=True)
class _Again:
    """Further passes, taken only where the first one found something odd."""

    model: nn.Module
    parameters: list[nn.Parameter]
    x: Any
    y: Any
    loss: Any
    size: int
    seed: int

    def gradients(
        self, wanted: list[nn.Parameter], number: int, around: AbstractContextManager[Any]
    ) -> list[Tensor | None]:
        """Gradients of the loss. Where the caller names none, of all the outputs: what another output alone needs is no idler."""
        with self.prepared(number) as (x, y):
            with around:
                output = call(self.model, x)
            if y is None and self.loss is None and _own_loss(output) is None:
                tensors = [tensor for tensor in real_tensors(output) if tensor.requires_grad]
                value = torch.stack([_mixed(tensor, Ranks(None, self.size)).float() for tensor in tensors]).sum()
            else:
                value = _scalar(_loss(output, y, self.loss, Ranks(None, self.size), (0, 0)))
            _backward(value, wanted)
            return [parameter.grad for parameter in wanted]

    def origin(self) -> Origin | None:
        with self.prepared(0) as (x, y):

            def forward() -> Tensor:
                return _scalar(_loss(call(self.model, x), y, self.loss, Ranks(None, self.size), (0, 0)))

            return find(self.model, x, y, forward)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Inside, parameters may be written into; afterwards they are what they were."""
        kept = Kept()
        for parameter in self.parameters:
            kept.keep(parameter)
        try:
            yield
        finally:
            kept.restore()

    @contextmanager
    def prepared(self, number: int) -> Iterator[tuple[Any, Any]]:
        device = self.parameters[0].device
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            restored(self.model, self.parameters, self.seed + number),
        ):
            yield copy_batch(self.x, device), copy_batch(self.y, device)


def _backward(value: Tensor, targets: Sequence[Tensor] | None) -> None:
    try:
        backward(value, targets)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        if "use_reentrant" in str(error):
            raise ValueError(REENTRANT) from error
        words = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"model: its backward pass failed: {words}") from error
    except Exception as error:  # of the user's own, who may want to see it
        error.add_note("in the backward pass of the model that initviz probes")
        raise


def _label_range(y: Any) -> tuple[int, int]:
    """The smallest and the largest class among whole-number labels, read before the pass. -100 is torch's mark for "ignore"."""
    if not isinstance(y, Tensor) or y.is_floating_point() or y.is_complex():
        return 0, 0
    if not y.numel():
        return 0, 0
    counted = torch.where(y == -100, 0, y)
    low, high = torch.stack([counted.min(), counted.max()]).tolist()
    return int(low), int(high)


def _loss(output: Any, y: Any, loss: Callable[[Any, Any], Tensor] | None, ranks: Ranks, labels: tuple[int, int]) -> Any:
    if loss is not None:
        if not callable(loss):
            raise TypeError(f"loss: got {type(loss).__name__}; it takes a function (output, y) -> scalar tensor")
        return loss(output, y)
    own = _own_loss(output)
    if y is None and own is not None:
        return own
    logits = logits_of(output)
    if logits is None:
        raise ValueError("model: its output has no real tensor; pass `loss` to say what to differentiate")
    if y is None:
        return _mixed(logits, ranks)
    if not isinstance(y, Tensor):
        raise TypeError(f"y: got {type(y).__name__}; it takes a tensor")
    if y.is_floating_point():
        if y.shape != logits.shape:
            raise ValueError(f"y: shape {tuple(y.shape)} does not fit the output's {tuple(logits.shape)}")
        return F.mse_loss(logits, y.to(logits.dtype))
    fits = by_class(logits, y)
    if fits is None:
        hint = "; 0 or 1 for each output is taken as floats: y.float()" if y.shape == logits.shape else ""
        raise ValueError(f"y: shape {tuple(y.shape)} does not fit the output's {tuple(logits.shape)} as classes{hint}")
    logits, y, classes = fits
    for label in labels:
        if not 0 <= label < classes:
            raise ValueError(f"y: has class {label}; the model's output has classes 0 to {classes - 1}")
    return F.cross_entropy(logits, y.long())


def _untrained(norm: Any) -> bool:
    return not norm.training and norm.num_batches_tracked is not None and int(norm.num_batches_tracked) == 0


def loss_on(model: nn.Module, x: Any, y: Any = None, loss: Callable[[Any, Any], Tensor] | None = None) -> Tensor:
    """The loss that `probe` takes the gradients of, with its graph; arguments as there."""
    layers_of(model)  # for its errors
    refuse_meta("y", y)
    device = next(model.parameters()).device
    batch, target = copy_batch(x, device), copy_batch(y, device)
    return _scalar(_loss(call(model, batch), target, loss, Ranks(None, batch_size(x)), _label_range(target)))


def _large(model: nn.Module) -> tuple[str, ...]:
    return tuple(
        name
        for name, p in model.named_parameters()
        if p.dim() == 1 and p.numel() and float(p.detach().abs().max()) > 30
    )


def _own_loss(output: Any) -> Tensor | None:
    own = output.get("loss") if isinstance(output, dict) else getattr(output, "loss", None)
    return own if isinstance(own, Tensor) else None


def _mixed(values: Tensor, ranks: Ranks) -> Tensor:
    """Sum of the values with random weights of mean 0 and variance 1, over the batch size."""
    return (values * ranks.noise(values.shape).to(values)).sum() / ranks.size


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
