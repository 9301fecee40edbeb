"""The units of a layer on one batch: how many differ from each other, and how many never answer."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.readings import Units
from initviz._core.torch_internals import Convolution

_MIX = np.sqrt(np.arange(2.0, 10.0))
_FEW_VALUES = 1 << 14
"""Values that torch takes on one thread, and in which most units that are not dead show it."""


def unit_axis(module: nn.Module, tensor: Tensor, axes: int) -> int:
    """The axis of features or channels of a layer's output, which has `axes` axes; the last one once it was flattened.

    It is counted from the end, so that an input without a batch axis has it too.
    """
    if isinstance(module, Convolution) and tensor.dim() == axes:
        return axes - len(module.kernel_size) - 1
    return max(tensor.dim() - 1, 0)


def units_at_places(tensor: Tensor, axis: int) -> Units:
    """The `few_places` of a contiguous tensor of two or more dimensions, for the launch that takes its numbers."""
    shape = tensor.shape
    inner = math.prod(shape[axis + 1 :])
    places = min(shape[0], 8) * math.prod(shape[1:axis]) * inner if axis else inner
    apart = max(-(-places // 8), 1)
    return Units(shape[axis], inner, apart, -(-places // apart))


def units_everywhere(tensor: Tensor, axis: int) -> Units | None:
    """Which units of a contiguous tensor are zero at all places, for the same launch."""
    shape = tensor.shape
    return Units(shape[axis], math.prod(shape[axis + 1 :])) if shape else None


def few_places(tensor: Tensor, axis: int) -> Tensor:
    """Shape (at most 8, units): a copy of a tensor of two or more dimensions at a few places of the batch."""
    places = tensor.detach()[:8] if axis else tensor.detach()
    if axis != tensor.dim() - 1:
        places = places.movedim(axis, -1)
    if tensor.dim() > 2 or not axis:
        places = places.reshape(-1, places.shape[-1])
        places = places[:: -(-len(places) // 8)]
    return places.clone()


def rounding(dtype: torch.dtype) -> float:
    """Values of this type that are no further apart than so much of the largest may be one number, summed in two orders."""
    return (4 if dtype.itemsize == 2 else 16) * torch.finfo(dtype).eps


def distinct_units(places: np.ndarray, dtype: torch.dtype) -> tuple[int, int | None]:
    """(number of units, number of them that differ): `places` is what `few_places` gives, of a tensor of type `dtype`.

    Two units differ if they are further apart than rounding errors, at one place at least. None where values are not finite.
    """
    units = places.shape[1]
    tolerance = rounding(dtype)
    places = places.astype(np.float64, copy=False)
    row = places[0].copy()
    row.sort()
    largest = max(row[-1], -row[0])  # NaN if there is one
    if (
        units > 1
        and largest < 1e300
        and np.minimum.reduce(row[1:] - row[:-1]) > tolerance * largest
        and np.isfinite(places).all()
    ):
        return units, units  # all apart at the first place: the usual case
    scale = np.abs(places).max()
    if not math.isfinite(scale):
        return units, None
    tolerance *= scale
    # Units that are the same are neighbours in the order of any mix of their rows.
    mixed = _MIX[: len(places)] @ places
    order = np.argsort(mixed)
    near = np.flatnonzero(np.diff(mixed[order]) <= tolerance * _MIX.sum())
    same = np.abs(places[:, order[near]] - places[:, order[near + 1]]).max(axis=0, initial=0.0) <= tolerance
    distinct = units - int(same.sum())
    if distinct == 1 and np.ptp(places, axis=1).max() > tolerance:
        distinct = (
            2  # many units of a coarse type on one sample: each is near the next, but not the first near the last
        )
    return units, distinct


def largest_magnitudes(tensor: Tensor, axis: int) -> Tensor:
    """Shape (units,): the largest magnitude of each unit over the batch."""
    tensor = tensor.detach().reshape(1) if tensor.dim() == 0 else tensor.detach()
    others = [other for other in range(tensor.dim()) if other != axis]
    return torch.linalg.vector_norm(tensor, math.inf, dim=others) if others else tensor.abs()


def share_of_zeros(values: np.ndarray) -> float:
    """Share of values that are exactly zero."""
    return (values.size - int(np.count_nonzero(values))) / values.size


def dead_units(tensor: Tensor, axis: int) -> float:
    """Share of units that are exactly zero at every place of the batch, on a CPU: it looks at samples until no unit is silent."""
    if not axis:
        return share_of_zeros(largest_magnitudes(tensor, axis).float().numpy())
    alive = np.zeros(tensor.shape[axis], dtype=bool)
    for some in tensor.detach().split(max(len(tensor) * _FEW_VALUES // tensor.numel(), 1)):
        alive |= largest_magnitudes(some, axis).float().numpy() != 0
        if alive.all():
            break
    return share_of_zeros(alive)
