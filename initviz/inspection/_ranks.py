"""A probe of a model that several processes hold together: each measures its own part of the batch, and all get the report of the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from initviz._core.distributed import is_distributed
from initviz._core.statistics import TensorStats
from initviz.inspection._findings import Attention
from initviz.inspection._report import LayerStats, Report

_SIGNALS = ("preactivation", "activation", "preactivation_gradient", "activation_gradient")


class Ranks:
    """The processes that hold a model, which is one for most models.

    Attributes:
        group: the process group, None for one process; size: samples in this rank's batch.
        several: whether the model is spread over a process group, be it a group of one.
        total, start: samples in all of them, and how many are before this rank's.
        count: how many ranks there are.
    """

    def __init__(self, group: Any, size: int) -> None:
        self.group = group
        self.several = group is not None
        self.size = size
        sizes = self.gather(size)
        self.count, self.total = len(sizes), sum(sizes)
        self.start = sum(sizes[: dist.get_rank(self.group)]) if self.several else 0

    def gather(self, value: Any) -> list[Any]:
        """The value of each rank."""
        if not self.several:
            return [value]
        values = [None] * dist.get_world_size(self.group)
        dist.all_gather_object(values, value, group=self.group)
        return values

    def noise(self, shape: torch.Size) -> Tensor:
        """Standard normal numbers for this rank's samples, on the CPU: a part of those that one process would draw for the whole
        batch."""
        if self.several and shape[:1] == (self.size,):
            return torch.randn((self.total, *shape[1:]), device="cpu")[self.start :][: self.size]
        return torch.randn(shape, device="cpu")

    def weighted(self, loss: Tensor) -> Tensor:
        """The loss such that the mean of all ranks' is the mean over the samples of the whole batch."""
        return loss * (self.size * self.count / self.total) if self.count > 1 else loss

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Each parameter's gradient becomes the mean over the ranks. (Those of sharded parameters are that already.)"""
        found = np.any(self.gather([p.grad is not None for p in parameters]), axis=0)
        for parameter in (p for p, there in zip(parameters, found) if there and not is_distributed(p)):
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
            dist.all_reduce(gradient, group=self.group)
            parameter.grad = gradient / self.count

    def merged(self, report: Report, dead: dict[str, np.ndarray]) -> Report:
        """The report of the whole batch, of the one of this rank's part.

        Counts, moments, ranges and shares are those of all values together. A histogram is shared out anew over the common range,
        as if the values in a cell were spread evenly over it, so that it is right to within a cell. Whether units differ is judged on
        the first samples of each rank.

        Args:
            dead: layer's name -> shape (units,), whether the unit is zero on all of this rank's part.
        """
        if self.count == 1:
            return report
        reports, masks = zip(*self.gather((report, dead)))
        by_name: dict[str, list[LayerStats]] = {}
        for layer in (layer for each in reports for layer in each.layers):
            by_name.setdefault(layer.name, []).append(layer)
        layers = [self._layer(same, [mask[name] for mask in masks if name in mask]) for name, same in by_name.items()]
        layers.sort(key=lambda layer: not layer.reached)
        loss = math.fsum(each.loss for each in reports) / self.count
        attention = tuple(map(_mean_attention, zip(*(each.attention for each in reports))))
        return replace(report, layers=tuple(layers), loss=loss, batch_size=self.total, attention=attention)

    def _layer(self, layers: list[LayerStats], masks: list[np.ndarray]) -> LayerStats:
        reached = [layer for layer in layers if layer.reached] or layers[:1]
        distinct = [layer.distinct_units for layer in reached if layer.distinct_units is not None]
        signals: dict[str, Any] = {}
        for quantity in _SIGNALS:
            found = merged_stats([getattr(layer, quantity) for layer in reached])
            signals[quantity] = _scaled(found, 1 / self.count) if found and quantity.endswith("gradient") else found
        dead = float(np.logical_and.reduce(masks).mean()) if masks else reached[0].dead_units
        return replace(reached[0], distinct_units=max(distinct, default=None), dead_units=dead, **signals)


def _mean_attention(same: Sequence[Attention]) -> Attention:
    """Of one attention on each rank; a rank on which nothing could be measured is left out."""
    means: dict[str, Any] = {}
    for name in ("entropy", "logit_std", "similarity"):
        values = [value for each in same if not math.isnan(value := getattr(each, name))]
        means[name] = math.fsum(values) / len(values) if values else math.nan
    return replace(same[0], **means)


def _scaled(stats: TensorStats, factor: float) -> TensorStats:
    linear = {name: getattr(stats, name) * factor for name in ("mean", "std", "min", "max")}
    return replace(stats, second_moment=stats.second_moment * factor**2, **linear)


def merged_stats(parts: Sequence[TensorStats | None]) -> TensorStats | None:
    """The statistics of all values of several tensors; None where there are none."""
    stats = [part for part in parts if part is not None]
    if len(stats) < 2:
        return stats[0] if stats else None
    count = sum(s.count for s in stats)
    shares = {
        name: sum(s.count * getattr(s, name) for s in stats) / max(count, 1)
        for name in ("zeros", "saturated", "nonfinite")
    }
    finite = [(s, number) for s in stats if (number := round(s.count * (1 - s.nonfinite)))]
    if not finite:
        return replace(stats[0], count=count, **shares)
    numbers = sum(number for _, number in finite)
    weights = [(s, number / numbers) for s, number in finite]
    mean = math.fsum(w * s.mean for s, w in weights)
    return TensorStats(
        count=count,
        mean=mean,
        std=math.hypot(*(math.sqrt(w) * part for s, w in weights for part in (s.std, s.mean - mean))),
        second_moment=math.fsum(w * s.second_moment for s, w in weights),
        min=min(s.min for s, _ in finite),
        max=max(s.max for s, _ in finite),
        hist=_histogram([s for s, _ in finite]),
        **shares,
    )


def _histogram(stats: list[TensorStats]) -> np.ndarray:
    low, high = min(s.min for s in stats), max(s.max for s in stats)
    if low == high:
        return stats[0].hist
    edges = np.linspace(low, high, len(stats[0].hist) + 1)
    counts = [s.count * (1 - s.nonfinite - s.zeros) for s in stats]
    cells = np.sum([count * s.mass(edges) for count, s in zip(counts, stats)], axis=0)
    return cells / max(np.sum(cells), np.finfo(float).tiny)
