"""What happens over time inside nn.RNN, nn.LSTM and nn.GRU, which no hook on a layer sees: one weight is used at every step.

The output at each step, and the gradient of the input at each step, show how a signal travels over time, as activations and
gradients by layer show it over depth. The gates inside are worked out from inputs and outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from initviz._core.devices import with_float64
from initviz._core.readings import Reading, Readings
from initviz.inspection._findings import OverTime

_FLAT = math.log((1 + math.sqrt(0.95)) / (1 - math.sqrt(0.95)))
"""Pre-activation from which on a sigmoid's slope is under 5 % of its largest."""
_SIGMOIDS = ((nn.LSTM, (0, 1, 3)), (nn.GRU, (0, 1)))
"""Which blocks of a weight's rows are sigmoid gates. LSTM: input, forget, cell, output; GRU: reset, update, new."""


class Steps:
    """One call of a recurrent module, while it is measured."""

    def __init__(self, module: nn.RNNBase, inputs: Any, readings: Readings) -> None:
        self.module, self.inputs, self.readings = module, inputs, readings
        self.output: Reading[np.ndarray] | None = None
        self.gradient: Reading[np.ndarray] | None = None
        self.gates: Reading[float] | None = None

    def take_output(self, outputs: Any) -> None:
        norms = norm_by_step(self.module, outputs)
        if isinstance(outputs, PackedSequence):
            norms = norms / (outputs.batch_sizes.to(norms) * outputs.data.shape[-1]).sqrt()
        else:
            norms = norms / math.sqrt(outputs.numel() / len(norms))
        self.output = self.readings.of(norms, np.array)
        gates = saturated_gates(self.module, self.inputs, outputs)
        self.gates = None if gates is None else self.readings.of(gates, float)
        # Of the inputs no more is needed than the sizes of a packed sequence.
        self.inputs = with_data(self.inputs, torch.empty(0)) if isinstance(self.inputs, PackedSequence) else None

    def take_gradient(self, gradient: Tensor | None) -> None:
        if gradient is None:  # one of several outputs of one function, and the loss comes from another
            return
        self.gradient = self.readings.of(norm_by_step(self.module, with_data(self.inputs, gradient)), np.array)

    def results(self) -> dict[str, Any]:
        """Fields of a `LayerStats`."""
        if self.output is None:
            return {}
        gradient = np.array([]) if self.gradient is None else self.gradient.value
        return {
            "over_time": OverTime(self.output.value, gradient, self.module.bidirectional),
            "saturated_gates": None if self.gates is None else self.gates.value,
        }


def data_of(values: Any) -> Tensor:
    """The tensor itself, or that of a packed sequence."""
    return values.data if isinstance(values, PackedSequence) else values


def with_data(values: Any, data: Tensor) -> Any:
    """`data` in the form of `values`, a tensor or a packed sequence."""
    return values._replace(data=data) if isinstance(values, PackedSequence) else data


def norm_by_step(module: nn.RNNBase, values: Any) -> Tensor:
    """Norm over everything but time, float64, shape (steps,): of an input or an output of the module, or of a gradient of one."""
    data = with_float64(data_of(values).detach())
    if isinstance(values, PackedSequence):
        sizes = values.batch_sizes  # on the CPU, wherever the values are
        steps = torch.repeat_interleave(torch.arange(len(sizes), device="cpu"), sizes).to(data.device)
        squares = data.double().square().flatten(1).sum(1)
        return squares.new_zeros(len(values.batch_sizes)).index_add_(0, steps, squares).sqrt()
    by_time = data.movedim(_time_axis(module, data), 0).flatten(1)
    return torch.linalg.vector_norm(by_time, dim=1, dtype=torch.float64)


@torch.no_grad()
def saturated_gates(module: nn.RNNBase, inputs: Any, outputs: Any) -> Tensor | None:
    """Share of the sigmoid gates that are on the flat part (slope under 5 % of its largest), of the module's layer that has the
    most; of an nn.RNN with tanh the share of its outputs, and None with ReLU. The state is taken to start at 0.

    A gate that its bias alone holds open or shut was meant so, and is not counted: the rest of its pre-activation must be at
    least half as large as the flat part begins.
    """
    blocks = next((blocks for kind, blocks in _SIGMOIDS if isinstance(module, kind)), None)
    if blocks is None:
        return data_of(outputs).abs().gt(math.sqrt(0.95)).float().mean() if module.mode == "RNN_TANH" else None
    (before, mask), (last, _) = _time_first(module, inputs), _time_first(module, outputs)
    directions, count = 2 if module.bidirectional else 1, 4 if isinstance(module, nn.LSTM) else 3
    shares = []
    for layer in range(module.num_layers):
        weights = module.all_weights[layer * directions : (layer + 1) * directions]
        after = last if layer == module.num_layers - 1 else _one_layer(module, weights, before)
        for (w_ih, w_hh, *rest), state, way in zip(weights, after.chunk(directions, -1), (1, -1)):
            bias = rest[0] + rest[1] if module.bias else torch.zeros_like(w_ih[:, 0])
            state = F.pad(state, (0, 0, 0, 0, 1, 0))[:-1] if way == 1 else F.pad(state, (0, 0, 0, 0, 0, 1))[1:]
            split = lambda values: torch.stack([values.chunk(count, -1)[block] for block in blocks])  # noqa: E731
            moved = split(F.linear(before, w_ih) + F.linear(state, w_hh))
            flat = ((moved + split(bias)[:, None, None]).abs() > _FLAT) & (moved.abs() > _FLAT / 2)
            shares.append((flat.float().mean((0, -1)) * mask).sum() / mask.sum())
        before = after
    return torch.stack(shares).max()


def _time_axis(module: nn.RNNBase, values: Tensor) -> int:
    return 1 if module.batch_first and values.dim() == 3 else 0


def _time_first(module: nn.RNNBase, values: Any) -> tuple[Tensor, Tensor]:
    """(values of shape (time, batch, features), mask of shape (time, batch): what is no padding)."""
    if isinstance(values, PackedSequence):
        padded, lengths = pad_packed_sequence(values)
        return padded, torch.arange(len(padded), device=lengths.device)[:, None].lt(lengths).to(padded.device)
    values = values.detach()
    values = values[:, None] if values.dim() == 2 else values.movedim(_time_axis(module, values), 0)
    return values, torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)


def _one_layer(module: nn.RNNBase, weights: Sequence[Sequence[Tensor]], inputs: Tensor) -> Tensor:
    """The output of one layer of several, dropout left out."""
    how: dict[str, Any] = {"bias": module.bias, "bidirectional": module.bidirectional}
    if isinstance(module, nn.LSTM):
        how["proj_size"] = module.proj_size
    kind: Any = type(module)
    shell = kind(inputs.shape[-1], module.hidden_size, device="meta", **how)
    names = [name for name, _ in shell.named_parameters()]
    for name, weight in zip(names, [w for direction in weights for w in direction]):
        setattr(shell, name, nn.Parameter(weight.clone()))  # cuDNN puts a layer's weights together in new memory
    return shell(inputs)[0]
