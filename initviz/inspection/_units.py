"""The units of a layer on one batch: how many differ from each other, and how many never answer."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.torch_internals import Convolution

_MIX = np.sqrt(np.arange(2.0, 10.0))
_SAME = 16 * float(np.finfo(np.float32).eps)


def unit_axis(module: nn.Module, tensor: Tensor, axes: int) -> int:
    """The axis of features or channels of a layer's output, which has `axes` axes; the last one once it was flattened.

    It is counted from the end, so that an input without a batch axis has it too.
    """
    if isinstance(module, Convolution) and tensor.dim() == axes:
        return axes - len(module.kernel_size) - 1
    return max(tensor.dim() - 1, 0)


def distinct_units(tensor: Tensor, axis: int) -> tuple[int | None, int | None]:
    """(number of units, number of them that differ on the batch), judged on at most 8 places of the batch."""
    if tensor.dim() < 2:
        return None, None
    first = tensor.detach()[0]
    if axis == tensor.dim() - 1 == 1 and tensor.dtype == torch.float32:  # the usual case, at a fifth of the cost
        row = np.sort(first.cpu().numpy())
        with np.errstate(over="ignore", invalid="ignore"):  # of inf and NaN it is not asked whether they differ
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
    tolerance = (4 if tensor.element_size() == 2 else 16) * torch.finfo(tensor.dtype).eps * scale
    # Units that are the same are neighbours in the order of any mix of their rows.
    mixed = _MIX[: len(rows)] @ rows
    order = np.argsort(mixed)
    near = np.flatnonzero(np.diff(mixed[order]) <= tolerance * _MIX.sum())
    same = np.abs(rows[:, order[near]] - rows[:, order[near + 1]]).max(axis=0, initial=0.0) <= tolerance
    distinct = units - int(same.sum())
    if distinct == 1 and np.ptp(rows, axis=1).max() > tolerance:
        distinct = (
            2  # many units of a coarse type on one sample: each is near the next, but not the first near the last
        )
    return units, distinct


def dead_units(tensor: Tensor, axis: int) -> float:
    """Share of units that are exactly zero at every place of the batch."""
    tensor = tensor.detach().reshape(1) if tensor.dim() == 0 else tensor.detach()
    rows = tensor.movedim(axis, -1).reshape(-1, tensor.shape[axis])
    dead = (rows.amax(dim=0) == 0) & (rows.amin(dim=0) == 0)  # ten times as fast as any(dim=0)
    return dead.double().mean().item()
