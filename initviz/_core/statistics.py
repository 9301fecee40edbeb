"""Statistics of one tensor: exact moments in float64, a histogram, and shares of special values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class TensorStats:
    """Statistics of one tensor. Moments are exact, taken in float64 over its finite values.

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

CHUNK = 1 << 20
"""Values turned to float64 at a time, so that a large tensor costs 8 MB more and not twice its size."""


FEW = 64
"""A histogram of fewer values than this says little: then a tensor that is zero almost everywhere is searched for the others."""


_EIGHT_BITS = {getattr(torch, name) for name in dir(torch) if name.startswith("float8")}
"""Types that torch stores and casts, and does not compute with."""


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
    if values.dtype in _EIGHT_BITS:
        values = values.float()
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

    saturated = 0
    if flat[0] is not None and low < flat[0]:
        saturated += _count(values, np.less, flat[0])
    if flat[1] is not None and high > flat[1]:
        saturated += _count(values, np.greater, flat[1])
    zeros = _count(values, np.equal, 0) / count if low <= 0 <= high else 0.0
    shares = {"zeros": zeros, "saturated": saturated / count, "nonfinite": nonfinite}

    # A float32's square always is a float64. That of a float64 need not be: such values are brought near 1 by a power of 2.
    exponent = math.frexp(max(-low, high))[1]
    exponent = 0 if abs(exponent) < 500 or values.dtype != torch.float64 else exponent
    scaled = _times_power_of_2(values, -exponent) if exponent else values
    ends = math.ldexp(low, -exponent), math.ldexp(high, -exponent)
    mean, std, second_moment = _moments(scaled)
    return TensorStats(
        count=count,
        mean=math.ldexp(mean, exponent),
        std=math.ldexp(std, exponent),
        second_moment=_square_of_scale(second_moment, exponent),
        min=low,
        max=high,
        hist=_histogram(scaled, *ends, bool(zeros), bins, sample),
        **shares,
    )


def _moments(values: Tensor) -> tuple[float, float, float]:
    """Mean, standard deviation and second moment, summed in float64: the square of a gradient of 1e-25 is no float32."""
    count = values.numel()
    total, squares = _sums(values)
    mean, second_moment = total / count, squares / count
    variance = second_moment - mean * mean
    if variance < 1e-6 * second_moment:  # so much would cancel that even float64 shows it: sum about the mean
        variance = _sums(values, about=mean)[1] / count
    return mean, math.sqrt(max(variance, 0.0)), second_moment


def _square_of_scale(second_moment: float, exponent: int) -> float:
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(second_moment, 2 * exponent))


def _times_power_of_2(values: Tensor, exponent: int) -> Tensor:
    half = exponent // 2  # in two steps, since 2 to the power of 1074 is no float64
    return values * math.ldexp(1.0, half) * math.ldexp(1.0, exponent - half)


def variance(tensor: Tensor) -> float:
    """Population variance of all values of a floating tensor, summed in float64; NaN if one of them is NaN or infinite."""
    values = tensor.detach().reshape(-1)
    if values.device.type == "mps":
        values = values.cpu()  # float64 does not exist there
    count = max(values.numel(), 1)
    return _sums(values, about=_sums(values)[0] / count)[1] / count


def mean_square(tensor: Tensor) -> float:
    """Mean of the squares of all values, in float64; NaN or infinite if one of them is."""
    return tensor.detach().double().square().mean().item()


def sample_std(values: np.ndarray) -> float:
    """The sample's standard deviation (over n - 1); 0 for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def rms(tensor: Tensor) -> float:
    """Root mean square of all values of a floating tensor, in the fastest way that is right: float64 where float32 overflows."""
    exact = tensor.is_floating_point() and tensor.dtype not in _EIGHT_BITS
    values = tensor.detach() if exact else tensor.detach().double()
    single = torch.linalg.vector_norm(values, dtype=torch.promote_types(values.dtype, torch.float32)).item()
    if 1e-15 < single < 1e15:
        return single / math.sqrt(max(values.numel(), 1))
    return tensor_stats(values, bins=1, sample=1).rms


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


def _histogram(values: Tensor, low: float, high: float, zeros: bool, bins: int, sample: int) -> np.ndarray:
    if low == high:
        hist = np.zeros(bins)
        hist[0] = float(low != 0)
        return hist
    numbers = _even_sample(values, sample)
    if zeros:
        found = len(numbers)
        numbers = numbers[numbers != 0]
        if len(numbers) < min(FEW, sample) and found < values.numel():  # nearly all are zero: look at the others alone
            numbers = _even_sample(values[values != 0], sample)
    cells = ((numbers - low) / (high - low) * bins).astype(np.int64)
    counts = np.bincount(cells, minlength=bins + 1)
    counts[bins - 1] += counts[bins]  # the last cell is closed: it holds the maximum
    return counts[:bins] / len(numbers)


def _even_sample(values: Tensor, sample: int) -> np.ndarray:
    """Every k-th value, at most about `sample` of them. k has no factor in common with the number of values, and so none with
    the length of an axis of their tensor: each unit, channel and sample of the batch is visited as often as the others."""
    step = max(values.numel() // sample, 1)
    while math.gcd(step, values.numel()) > 1:
        step += 1
    if values.dtype == torch.float32 and values.device.type == "cpu":  # numpy's way is twice as fast
        return values.numpy()[::step].astype(float)
    return values[::step].double().cpu().numpy()


def _nothing(count: int, nonfinite: float, bins: int) -> TensorStats:
    nan = math.nan
    return TensorStats(count, nan, nan, nan, nan, nan, 0.0, 0.0, nonfinite, np.zeros(bins))
