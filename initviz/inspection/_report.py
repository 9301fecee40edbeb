"""What a probe measured: frozen records of plain numpy numbers, one `LayerStats` a layer, one `TensorStats` a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from initviz._core.arguments import look_up
from initviz._core.extras import pandas
from initviz._core.statistics import STATISTICS, TensorStats

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


@dataclass(frozen=True)
class Report:
    """What `initviz.probe` returns: the layers in the order in which the forward pass reached them, then the unreached ones.

    Attributes:
        layers: a `LayerStats` for each call of each layer.
        loss: the scalar whose gradients were taken.
        batch_size: length of the batch's first axis.
        dtype, device: of the model's first parameter, as words ("float32", "cpu").
    """

    layers: tuple[LayerStats, ...]
    loss: float
    batch_size: int
    dtype: str
    device: str

    @property
    def reached(self) -> tuple[LayerStats, ...]:
        """The layers that the batch passed through."""
        return tuple(layer for layer in self.layers if layer.reached)

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
