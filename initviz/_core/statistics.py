"""Statistics of one tensor: moments, a histogram, and shares of special values.

A tensor that was just computed lies in the cache. There numpy's passes over its memory, on one thread, cost a few microseconds each, and
torch's, on several threads, many times as much. So its numbers are taken block by block, in as few such passes as will do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from initviz._core.devices import has_float64, in_float64


@dataclass(frozen=True)
class TensorStats:
    """Statistics of one tensor. Moments are taken over its finite values, right to 1e-5 and better: see `tensor_stats`.

    Attributes:
        count: number of values.
        mean, std, second_moment, min, max: over the finite values (NaN when there are none). `std` is the population
            standard deviation, `second_moment` is E[v^2]: it keeps the mean that a variance takes out. In units of the values
            (`second_moment`: their square).
        zeros, saturated, nonfinite: shares in [0, 1] of all values: exactly zero; on the flat part of the activation (slope
            under 5 % of its largest, see `initviz.initializers`); NaN or infinite.
        hist: shape (bins,), how the finite values other than 0 are shared out over `bins` equal cells of [min, max]. It sums
            to 1, or is all zero when there are none. (Exact zeros, half of a ReLU layer, are in `zeros`: as one tall cell
            they would hide the rest.) It is counted on an even sample of large tensors.
    """

    count: int
    mean: float
    std: float
    second_moment: float
    min: float
    max: float
    zeros: float
    saturated: float
    nonfinite: float
    hist: np.ndarray

    @property
    def rms(self) -> float:
        """Root mean square, sqrt(E[v^2]): a number also where its square, of a float64 tensor, is not."""
        return math.hypot(self.mean, self.std)

    @property
    def edges(self) -> np.ndarray:
        """Shape (bins + 1,): where the cells of `hist` begin and end."""
        return np.linspace(self.min, self.max, len(self.hist) + 1)

    def mass(self, edges: np.ndarray) -> np.ndarray:
        """Share of the finite nonzero values in each cell of other `edges`, shape (len(edges) - 1,); values outside are left out."""
        if not self.hist.any():
            return np.zeros(len(edges) - 1)
        if self.min == self.max:
            return np.histogram([self.min], edges)[0].astype(float)
        cumulative = np.concatenate([[0.0], np.cumsum(self.hist)])
        return np.diff(np.interp(edges, self.edges, cumulative))


STATISTICS = {
    "count": "number of values", "mean": "mean", "std": "standard deviation", "rms": "root mean square",
    "second_moment": "second moment", "min": "smallest", "max": "largest", "zeros": "share of exact zeros",
    "saturated": "share saturated", "nonfinite": "share of NaN or infinite",
}  # fmt: skip
"""The numbers of a `TensorStats`: attribute name -> words for a label."""

BLOCK = 1 << 17
"""Values taken at a time: they stay in the cache from one pass over them to the next."""
ROW = 512
"""Values of a block that one float32 sum runs over; the sums of the rows are added in float64."""
SMALL = 1 << 14
"""Fewer values than this are summed in float64: that costs little, and rounding errors have no one to cancel with."""
FEW = 64
"""A histogram of fewer values than this says little: then a tensor that is zero almost everywhere is searched for the others."""

_EIGHT_BITS = {getattr(torch, name) for name in dir(torch) if name.startswith("float8")}
"""Types that torch stores and casts, and does not compute with."""
_ONES = np.ones(ROW, dtype=np.float32), np.ones(ROW)


def tensor_stats(
    tensor: Tensor, *, flat: tuple[float | None, float | None] = (None, None), bins: int = 100, sample: int = 4096
) -> TensorStats:
    """The `TensorStats` of a floating tensor of any shape and device. (From another device than a CPU it is brought here: many of them
    are better taken by `Readings`.)

    Sums of float32 values run in float32 over rows of 512, and in float64 over the rows. With u = 2^-24 an error is at most
    512 u = 3e-5 of the sum of the magnitudes, if no error cancels another and the machine adds one value after the other. What is seen is
    1e-9 of the rms for a mean and 1e-8 for a second moment. Values whose squares might leave float32's range are first brought
    near 1 by a power of 2, and values close about a large mean are summed about it.

    Args:
        flat: values below the first or above the second count as saturated (None: no such side).
        bins: cells of the histogram.
        sample: values of a larger tensor that the histogram is counted on, evenly strided. Moments use them all.
    """
    if not tensor.is_cpu:  # in a row first: a copy may lie in another order, and another sample be taken
        tensor = flat_values(tensor).cpu()
    exponent = 0
    scaled: np.ndarray | Tensor
    if tensor.dtype == torch.float32 and is_array(tensor) and tensor.is_contiguous():
        scaled = tensor.detach().numpy().reshape(-1)  # the usual case, at half the cost
    else:
        scaled = values = flat_values(tensor)
        if values.element_size() > 2:
            scaled = values.numpy()
        if values.dtype == torch.float64 and len(values) and (exponent := _far_exponent(scaled)):  # type: ignore[arg-type]
            scaled = _times_power_of_2(values, -exponent).numpy()
            flat = tuple(None if bound is None else math.ldexp(bound, -exponent) for bound in flat)  # type: ignore[assignment]
    count = len(scaled)
    if 0 < count <= BLOCK and not isinstance(scaled, Tensor):
        part = _part(scaled, *flat)
    else:
        part = reduce(_joined, (_part(block, *flat) for block in _blocks(scaled)), _NOTHING)
    finite, zeros, saturated, mean, squares, low, high = part
    if not finite:
        return nothing(count, np.zeros(bins))
    hist = _histogram(scaled, part, bins, sample)
    variance = squares / finite
    second_moment = variance + mean**2
    std = math.sqrt(variance)
    if exponent:
        mean, std, low, high = (math.ldexp(number, exponent) for number in (mean, std, low, high))
        second_moment = _square_of_scale(second_moment, exponent)
    shares = zeros / count, saturated / count, 1 - finite / count
    return TensorStats(count, mean, std, second_moment, low, high, *shares, hist)


def nothing(count: int, hist: np.ndarray) -> TensorStats:
    """The statistics of so many values of which none is finite."""
    nan = math.nan
    return TensorStats(count, nan, nan, nan, nan, nan, 0.0, 0.0, float(count > 0), hist)


class _Part(NamedTuple):
    """Of the values of a block: how many are finite, zero and saturated; of the finite ones mean, sum of squares about it, and ends."""

    finite: int
    zeros: int
    saturated: int
    mean: float
    squares: float
    low: float
    high: float


_NOTHING = _Part(0, 0, 0, 0.0, 0.0, math.inf, -math.inf)


def _part(values: np.ndarray, below: float | None, above: float | None) -> _Part:
    low, high = float(np.minimum.reduce(values)), float(np.maximum.reduce(values))
    if not (-math.inf < low and high < math.inf):
        values = values[np.isfinite(values)]
        if not len(values):
            return _NOTHING
        low, high = float(values.min()), float(values.max())
    zeros = int(np.count_nonzero(values == 0)) if low <= 0 <= high else 0
    saturated = 0
    if below is not None and low < below:
        saturated += int(np.count_nonzero(values < below))
    if above is not None and high > above:
        saturated += int(np.count_nonzero(values > above))
    mean, squares = (low, 0.0) if low == high else _moments(values, max(-low, high))
    return _Part(len(values), zeros, saturated, mean, squares, low, high)


def _joined(one: _Part, other: _Part) -> _Part:
    """What is known of two blocks together (Chan et al. 1983)."""
    if not one.finite or not other.finite:
        return one if one.finite else other
    finite, apart = one.finite + other.finite, other.mean - one.mean
    return _Part(
        finite,
        one.zeros + other.zeros,
        one.saturated + other.saturated,
        one.mean + apart * (other.finite / finite),
        one.squares + other.squares + apart * apart * (one.finite * other.finite / finite),
        min(one.low, other.low),
        max(one.high, other.high),
    )


def _moments(values: np.ndarray, largest: float) -> tuple[float, float]:
    """Mean, and sum of squares about it."""
    exponent, n = 0, len(values)
    if values.itemsize == 4:
        if not 1e-12 < largest < 1e12:
            exponent = math.frexp(largest)[1]
        if n < SMALL or abs(exponent) > 126:
            values, exponent = values.astype(np.float64), 0
        elif exponent:
            values = values * np.float32(math.ldexp(1.0, -exponent))
    total, squares = _sum(values), _sum_of_squares(values)
    mean = total / n
    if 2 * total * mean > squares:  # the spread is the smaller part of the squares: sum about the mean
        middle = values.dtype.type(mean)
        values = values - middle
        total = _sum(values)
        mean, squares = float(middle) + total / n, _sum_of_squares(values)
    squares -= total * (total / n)
    return math.ldexp(mean, exponent), math.ldexp(max(squares, 0.0), 2 * exponent)


def matmul_dots(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """What np.vecdot of numpy 2 does: the product of each row with the other's, or with the one row that there is; shape (rows,)."""
    return np.matmul(rows[:, None], others[..., None])[:, 0, 0]


dots = getattr(np, "vecdot", matmul_dots)


def _sum(values: np.ndarray) -> float:
    if len(values) < SMALL:
        return float(np.add.reduce(values, None, np.float64))
    rest = len(values) % ROW
    whole = (values[:-rest] if rest else values).reshape(-1, ROW)
    # short products: one long one BLAS would share out over threads, at several times the cost
    total = np.add.reduce(dots(whole, _ONES[values.itemsize == 8]), None, np.float64)
    return float(total + np.add.reduce(values[-rest:], None, np.float64) if rest else total)


def _sum_of_squares(values: np.ndarray) -> float:
    if len(values) < SMALL:
        return float(np.add.reduce(np.square(values, dtype=np.float64)))
    rest = len(values) % ROW
    whole = (values[:-rest] if rest else values).reshape(-1, ROW)
    total = np.add.reduce(dots(whole, whole), None, np.float64)
    return float(total + np.add.reduce(np.square(values[-rest:], dtype=np.float64)) if rest else total)


def _blocks(values: np.ndarray | Tensor) -> Iterator[np.ndarray]:
    """numpy arrays over the same memory. Tensors of 16-bit types are converted, in blocks too small for torch's threads."""
    size = BLOCK >> 2 if isinstance(values, Tensor) else BLOCK
    for start in range(0, len(values), size):
        block = values[start : start + size]
        yield block.float().numpy() if isinstance(block, Tensor) else block


def is_array(tensor: Tensor) -> bool:
    """Whether it is an array of values: neither sparse nor nested."""
    return tensor.layout == torch.strided and not tensor.is_nested


def flat_values(tensor: Tensor) -> Tensor:
    """The values of a tensor in a row, whole numbers as float32, in whatever order they lie in memory if there are no gaps: floating
    ones are not copied then."""
    values = tensor.detach()
    if values.is_nested:
        values = torch.cat([part.reshape(-1) for part in values.unbind()])
    elif values.layout != torch.strided:
        values = values.to_dense()
    if values.dtype in _EIGHT_BITS or not values.is_floating_point():
        values = values.float()
    if values.is_contiguous():
        return values.view(-1)
    return values.as_strided((values.numel(),), (1,)) if _without_gaps(values) else values.reshape(-1)


def _without_gaps(values: Tensor) -> bool:
    """Whether every place of a stretch of memory is one of its values, in whatever order: a transposed matrix, say."""
    length = 1
    for stride, size in sorted((s, n) for s, n in zip(values.stride(), values.shape) if n != 1):
        if stride != length:
            return False
        length *= size
    return True


def _far_exponent(values: np.ndarray) -> int:
    """The exponent of the largest finite value, if it is so far from 1 that a square might be no float64, and else 0."""
    with np.errstate(all="ignore"):
        largest = max(-values.min(), values.max())
    if not math.isfinite(largest):
        values = values[np.isfinite(values)]
        largest = max(-values.min(), values.max()) if len(values) else 0.0
    exponent = math.frexp(largest)[1]
    return exponent if abs(exponent) >= 500 else 0


def _times_power_of_2(values: Tensor, exponent: int) -> Tensor:
    half = exponent // 2  # in two steps, since 2 to the power of 1074 is no float64
    return values * math.ldexp(1.0, half) * math.ldexp(1.0, exponent - half)


def _square_of_scale(second_moment: float, exponent: int) -> float:
    if not exponent:
        return second_moment
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(second_moment, 2 * exponent))


def _histogram(values: np.ndarray | Tensor, part: _Part, bins: int, sample: int) -> np.ndarray:
    if part.low == part.high:
        hist = np.zeros(bins)
        hist[0] = float(part.low != 0)
        return hist
    if part.finite < len(values):
        values = values[values.isfinite() if isinstance(values, Tensor) else np.isfinite(values)]
    numbers = _even_sample(values, sample)
    if part.zeros:
        found = len(numbers)
        numbers = numbers[numbers != 0]
        if len(numbers) < min(FEW, sample) and found < len(values):  # nearly all are zero: look at the others alone
            numbers = _even_sample(values[values != 0], sample)
    numbers -= part.low
    numbers *= bins / (part.high - part.low)
    counts = np.bincount(numbers.astype(np.int64), minlength=bins + 1)
    counts[bins - 1] += counts[bins]  # the last cell is closed: it holds the maximum
    return counts[:bins] / len(numbers)


def _even_sample(values: np.ndarray | Tensor, sample: int) -> np.ndarray:
    some = values[:: even_step(len(values), sample)]
    return some.double().numpy() if isinstance(some, Tensor) else some.astype(np.float64)  # a copy


@lru_cache
def even_step(count: int, sample: int) -> int:
    """A step at which about `sample` of so many values are taken, or at most twice as many.

    It has no factor in common with the number of values, and so none with the length of an axis of their tensor: each unit,
    channel and sample of the batch is visited as often as the others.
    """
    step = max(count // sample, 1)
    while math.gcd(step, count) > 1:
        step += 1
    return step


def variance(tensor: Tensor) -> float:
    """Population variance of all values of a floating tensor, as exact as in `tensor_stats`; NaN if one of them is NaN or infinite."""
    if not tensor.is_cpu and has_float64(tensor.device):
        return tensor.detach().double().var(correction=0).item()
    stats = tensor_stats(tensor, bins=1, sample=1)
    return math.nan if stats.nonfinite else stats.std * stats.std  # infinite where ** 2 raises OverflowError


def mean_square(tensor: Tensor) -> float:
    """Mean of the squares of all values, in float64; NaN or infinite if one of them is."""
    return in_float64(tensor).square().mean().item()


def sample_std(values: np.ndarray) -> float:
    """The sample's standard deviation (over n - 1); 0 for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def rms(tensor: Tensor) -> float:
    """Root mean square of all values of a floating tensor on a CPU. Squares are summed as they are where float32 can hold them."""
    values = flat_values(tensor)
    squares = sum(map(_sum_of_squares, _blocks(values if values.element_size() == 2 else values.numpy())))
    if 1e-20 < squares < 1e30:
        return math.sqrt(squares / values.numel())
    return tensor_stats(values, bins=1, sample=1).rms
