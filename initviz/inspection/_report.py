"""What a probe measured: frozen records of plain numpy numbers, one `LayerStats` a layer, one `TensorStats` a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from initviz._core.arguments import look_up
from initviz._core.extras import pandas
from initviz._core.statistics import STATISTICS, TensorStats
from initviz.inspection._findings import Attention, FirstLoss, Origin, OverTime, Reach

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = {
    "preactivation": "pre-activations",
    "activation": "activations",
    "preactivation_gradient": "gradients of pre-activations",
    "activation_gradient": "gradients of activations",
    "weight": "weights",
    "weight_gradient": "gradients of weights",
}
"""The tensors measured in every layer: attribute name of `LayerStats` -> words for a label."""


@dataclass(frozen=True)
class LayerStats:
    """One call of one layer: a module that owns a weight of two or more dimensions.

    Attributes:
        name: the module's path in the model, with "#2", "#3", ... for later calls of a shared module.
        kind: the module's class name.
        weight_shape: shape of its weight (its first parameter of two or more dimensions).
        fan_in, fan_out: how many inputs a unit sums over, and how many units an input feeds (see `initviz._core.fans`): with the
            groups and strides that torch.nn.init leaves out. A stride can make it a fraction.
        reached: whether the batch passed through it.
        activation_name: the activation function that followed, or None.
        units, distinct_units: number of units (features or channels), and how many of them differ in what they compute
            on this batch or in the gradient that they get. None when the layer was not reached or has no such axis.
        weight_rms: root mean square of the weight's entries, always measured.
        dead_units: share of units whose activation is exactly zero for the whole batch, or None without an activation.
        preactivation, activation, preactivation_gradient, activation_gradient, weight, weight_gradient: a `TensorStats` each, or
            None where there is no such tensor or it was not asked for. The pre-activation is what enters the activation function
            (after normalization or a skip connection, if there is one), or the layer's own output if none follows.
        tied: names of other modules that own the same weight, such as the embedding of a language model's output layer.
        factor: rms of the pre-activation over that of the layer's own output, where something lies between the two, else 1.
        bias_mean, bias_std: of the layer's bias, 0 where it has none. Measured where activations are saturated, else None.
        over_time: what a recurrent layer does from step to step, None for others.
        saturated_gates: share of an LSTM's or a GRU's sigmoid gates that inputs and states (not a bias alone) hold on the flat part, of
            its layer that has the most; None for others.
    """

    name: str
    kind: str
    weight_shape: tuple[int, ...]
    fan_in: float
    fan_out: float
    reached: bool = True
    activation_name: str | None = None
    units: int | None = None
    distinct_units: int | None = None
    dead_units: float | None = None
    weight_rms: float | None = None
    preactivation: TensorStats | None = None
    activation: TensorStats | None = None
    preactivation_gradient: TensorStats | None = None
    activation_gradient: TensorStats | None = None
    weight: TensorStats | None = None
    weight_gradient: TensorStats | None = None
    tied: tuple[str, ...] = ()
    factor: float = 1.0
    bias_mean: float | None = None
    bias_std: float | None = None
    over_time: OverTime | None = None
    saturated_gates: float | None = None


@dataclass(frozen=True)
class Report:
    """What `initviz.probe` returns: the layers in the order in which the forward pass reached them, then the unreached ones.

    Attributes:
        layers: a `LayerStats` for each call of each layer.
        loss: the scalar whose gradients were taken.
        batch_size: length of the batch's first axis.
        dtype, device: of the model's first parameter, as words ("float32", "cpu").
        input_rms: of the batch's first real tensor, NaN where it has none (token ids).
        first_loss: how the loss compares with chance, None where that is not known.
        reach: which parameters the loss does not reach; None where gradients of weights were not measured.
        copies: groups of layers, by name, that have the same weights and got the same gradient.
        origin: where values that are not finite begin, None where all are finite.
        training: whether the model was in training mode.
        untrained_norms: whether a batch normalization that has seen no batch was in eval mode.
        one_output_for_all: whether some layer but the last is all zeros, and the output is the same for every sample.
        large: names of parameters of one dimension, such as a normalization's weights, that are larger than 30; looked for where the
            first loss is above chance.
        attention: each softmax attention, in the order of the pass.
    """

    layers: tuple[LayerStats, ...]
    loss: float
    batch_size: int
    dtype: str
    device: str
    input_rms: float = math.nan
    first_loss: FirstLoss | None = None
    reach: Reach | None = None
    copies: tuple[tuple[str, ...], ...] = ()
    origin: Origin | None = None
    training: bool = True
    untrained_norms: bool = False
    one_output_for_all: bool = False
    large: tuple[str, ...] = ()
    attention: tuple[Attention, ...] = ()

    @cached_property
    def reached(self) -> tuple[LayerStats, ...]:
        """The layers that the batch passed through."""
        return tuple(layer for layer in self.layers if layer.reached)

    @property
    def finite(self) -> bool:
        """Whether the loss and all values that were measured are finite."""
        shares = [stats.nonfinite for quantity in QUANTITIES for stats in self.stats(quantity) if stats is not None]
        return math.isfinite(self.loss) and not any(shares)

    def stats(self, quantity: str) -> Sequence[TensorStats | None]:
        """The `TensorStats` of one of QUANTITIES for each reached layer, None where it has none.

        Raises:
            TypeError, ValueError: no such quantity; the message lists the near ones.
        """
        look_up("quantity", quantity, QUANTITIES)
        return [getattr(layer, quantity) for layer in self.reached]

    def values(self, quantity: str, statistic: str) -> np.ndarray:
        """One number a reached layer, shape (len(reached),): `statistic` of `quantity`, NaN where there is none.

        `report.values("activation", "std")`; the names are in STATISTICS.

        Raises:
            TypeError, ValueError: no such quantity or statistic; the message lists the near ones.
        """
        look_up("statistic", statistic, STATISTICS)
        return np.array([math.nan if s is None else getattr(s, statistic) for s in self.stats(quantity)], dtype=float)

    def to_frame(self) -> pd.DataFrame:
        """A tidy table: a row for each layer and quantity, and the STATISTICS as columns."""
        rows = []
        for number, layer in enumerate(self.layers, start=1):
            for quantity in QUANTITIES:
                stats = getattr(layer, quantity)
                if stats is not None:
                    row = {"layer": number, "name": layer.name, "kind": layer.kind, "quantity": quantity}
                    rows.append(row | {column: getattr(stats, column) for column in STATISTICS})
        return pandas().DataFrame(rows, columns=["layer", "name", "kind", "quantity", *STATISTICS])

    def __str__(self) -> str:
        head = f"{'layer':>5}  {'name':24} {'kind':12} {'activation':>11} {'rms forward':>12} {'rms gradient':>13} {'zeros':>6}"
        lines = [head]
        for number, layer in enumerate(self.layers, start=1):
            forward = layer.activation or layer.preactivation
            backward = layer.preactivation_gradient or layer.activation_gradient
            lines.append(
                f"{number:>5}  {_end(layer.name, 24):24} {layer.kind:12.12} {layer.activation_name or '-':>11} "
                + (f"{forward.rms:>12.3g} " if forward else f"{'-' if layer.reached else 'not reached':>12} ")
                + (f"{backward.rms:>13.3g} " if backward else f"{'-':>13} ")
                + (f"{forward.zeros:>6.0%}" if forward else f"{'-':>6}")
            )
        return "\n".join(lines)


def _end(name: str, length: int) -> str:
    """A module's path cut to its end, which tells layers apart."""
    return name if len(name) <= length else "…" + name[1 - length :]
