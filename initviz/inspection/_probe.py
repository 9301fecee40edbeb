"""One forward and one backward pass of any nn.Module, measured layer by layer.

Nothing is kept of a layer but its numbers: they are taken in hooks, while the tensor is there anyway. A model comes
back exactly as it went in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initviz._core.arguments import look_up, several, whole_number
from initviz._core.batches import batch_size, call, copy_batch, first_line
from initviz._core.distributed import process_group, resharded
from initviz._core.layers import bare, layers_of
from initviz._core.outputs import real_tensors
from initviz._core.readings import Readings
from initviz._core.restore import no_collection, restored
from initviz.inspection._ranks import Ranks
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
) -> Report:
    group, model = process_group(model), bare(model)
    layers = layers_of(model)
    bins, sample = whole_number("bins", bins), whole_number("sample", sample)
    seed = whole_number("seed", seed, least=0)
    quantities = several("quantities", quantities)
    for quantity in quantities:
        look_up("quantities", quantity, QUANTITIES)
    parameters = list(model.parameters())
    parameter = parameters[0]
    size = batch_size(x)
    labels = _label_range(y) if loss is None else (0, 0)
    ranks = Ranks(group, size)
    recorder = Recorder(layers, frozenset(quantities), Readings(bins, sample), spread=ranks.several)

    with no_collection(), ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(restored(model, parameters, seed))
        recorder.watch(model, parameters, stack)
        x, y = copy_batch(x, parameter.device), copy_batch(y, parameter.device)
        with recorder:
            output = call(model, x)
        recorder.end_forward()
        value = ranks.weighted(_scalar(_loss(output, y, loss, ranks, labels)))
        del output  # the logits of a language model are the largest tensor there is, and the backward pass may do without them
        _backward(value, recorder.targets(stack))
        if ranks.several:
            ranks.average_gradients(parameters)
            recorder.take_gradients()
        report = Report(
            layers=recorder.layer_stats(),
            loss=value.item(),
            batch_size=size,
            dtype=str(parameter.dtype).removeprefix("torch."),
            device=str(parameter.device),
        )
        return ranks.merged(report, recorder.dead_masks())


def _backward(value: Tensor, targets: list[Tensor] | None) -> None:
    try:
        torch.autograd.backward(value, inputs=targets)
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
    own = output.get("loss") if isinstance(output, dict) else getattr(output, "loss", None)
    if y is None and isinstance(own, Tensor):
        return own
    logits = output.get("logits") if isinstance(output, dict) else getattr(output, "logits", None)
    logits = next(real_tensors(output), None) if logits is None else logits
    if logits is None:
        raise ValueError("model: its output has no real tensor; pass `loss` to say what to differentiate")
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    if y is None:
        return (logits * ranks.noise(logits.shape).to(logits)).sum() / ranks.size
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
        hint = "; 0 or 1 for each output is taken as floats: y.float()" if y.shape == logits.shape else ""
        raise ValueError(f"y: shape {tuple(y.shape)} does not fit the output's {tuple(logits.shape)} as classes{hint}")
    for label in labels:
        if not 0 <= label < classes:
            raise ValueError(f"y: has class {label}; the model's output has classes 0 to {classes - 1}")
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
