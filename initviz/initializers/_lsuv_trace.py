"""What `initviz.lsuv_` did: a frozen record of plain numbers, one `LsuvLayer` a layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from initviz._core.extras import pandas
from initviz._core.statistics import TensorStats

if TYPE_CHECKING:
    import pandas as pd


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
