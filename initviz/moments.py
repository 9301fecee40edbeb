"""Statistics of one tensor: exact moments in float64, a histogram, and shares of special values."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from initviz.report import TensorStats

CHUNK = 1 << 20
"""Values turned to float64 at a time, so that a large tensor costs 8 MB more and not twice its size."""


def tensor_stats(
    tensor: Tensor, *, flat: tuple[float | None, float | None] = (None, None), bins: int = 100, sample: int = 4096
) -> TensorStats:
    """The `TensorStats` of a floating tensor of any shape and device.

    Args:
        flat: values below the first or above the second count as saturated (None: no such side).
        bins: cells of the histogram.
        sample: values of a larger tensor that the histogram is counted on, evenly strided. Moments use them all.
    """
    values = tensor.detach()
    if values.layout != torch.strided:
        values = values.to_dense()
    last_axis = values.shape[-1] if values.dim() else 1
    values = values.reshape(-1)
    if values.device.type == "mps":
        values = values.cpu()  # float64 does not exist there
    count = values.numel()
    if count == 0:
        return _nothing(0, 0.0, bins)
    low, high = _range(values)
    nonfinite = 0.0
    if not (math.isfinite(low) and math.isfinite(high)):
        values = values[values.isfinite()]
        nonfinite = 1 - values.numel() / count
        if values.numel() == 0:
            return _nothing(count, nonfinite, bins)
        low, high = _range(values)

    # float64 throughout: the square of a gradient of 1e-25 is no float32, and E[v^2] - E[v]^2 cancels in float32.
    total, squares = _sums(values)
    mean, second_moment = total / values.numel(), squares / values.numel()
    variance = second_moment - mean * mean
    if variance < 1e-6 * second_moment:  # so much would cancel that even float64 shows it: sum about the mean
        variance = _sums(values, about=mean)[1] / values.numel()

    saturated = 0
    if flat[0] is not None and low < flat[0]:
        saturated += _count(values, np.less, flat[0])
    if flat[1] is not None and high > flat[1]:
        saturated += _count(values, np.greater, flat[1])
    zeros = _count(values, np.equal, 0) / count if low <= 0 <= high else 0.0
    return TensorStats(
        count=count,
        mean=mean,
        std=math.sqrt(max(variance, 0.0)),
        second_moment=second_moment,
        min=low,
        max=high,
        zeros=zeros,
        saturated=saturated / count,
        nonfinite=nonfinite,
        hist=_histogram(values, low, high, zeros, bins, sample, last_axis if nonfinite == 0 else 1),
    )


def variance(tensor: Tensor) -> float:
    """Population variance of all values of a floating tensor, summed in float64; NaN if one of them is NaN or infinite."""
    values = tensor.detach().reshape(-1)
    if values.device.type == "mps":
        values = values.cpu()  # float64 does not exist there
    count = max(values.numel(), 1)
    return _sums(values, about=_sums(values)[0] / count)[1] / count


def _range(values: Tensor) -> tuple[float, float]:
    low, high = torch.aminmax(values)
    return low.item(), high.item()


def _count(values: Tensor, compare: np.ufunc, bound: float) -> int:
    """How many values are equal to, less or greater than `bound`. On a CPU numpy's way is several times as fast as torch's."""
    if values.device.type == "cpu":
        values = values.float() if values.element_size() == 2 else values
        return int(np.count_nonzero(compare(values.numpy(), bound)))
    return int(torch.count_nonzero(getattr(torch, compare.__name__.replace("equal", "eq"))(values, bound)))


def _sums(values: Tensor, about: float = 0.0) -> tuple[float, float]:
    """Sum and sum of squares of values - about, in float64."""
    total = squares = 0.0
    for chunk in values.split(CHUNK) if values.numel() > CHUNK else (values,):
        double = chunk.double()
        if about:
            double = double - about
        total += double.sum().item()
        squares += torch.dot(double, double).item()
    return total, squares


def _histogram(
    values: Tensor, low: float, high: float, zeros: float, bins: int, sample: int, last_axis: int
) -> np.ndarray:
    if low == high:
        hist = np.zeros(bins)
        hist[0] = float(low != 0)
        return hist
    rows = values.reshape(-1, last_axis)
    seen = rows[:: _step(len(rows), values.numel() // sample)]
    if seen.numel() > 2 * sample:  # few long rows
        seen = seen.reshape(-1)[:: _step(last_axis, seen.numel() // sample)]
    numbers = seen.double().reshape(-1).cpu().numpy()
    if zeros:
        numbers = numbers[numbers != 0]
    cells = ((numbers - low) * (bins / (high - low))).astype(np.int64)
    counts = np.bincount(cells, minlength=bins + 1)
    counts[bins - 1] += counts[bins]  # the last cell is closed: it holds the maximum
    return counts[:bins] / max(len(numbers), 1)


def _step(length: int, step: int) -> int:
    """The next step from `step` on that has no factor in common with `length`, so that it stays on no one unit or channel."""
    step = max(step, 1)
    while math.gcd(step, length) > 1:
        step += 1
    return step


def _nothing(count: int, nonfinite: float, bins: int) -> TensorStats:
    nan = math.nan
    return TensorStats(count, nan, nan, nan, nan, nan, 0.0, 0.0, nonfinite, np.zeros(bins))
