"""Axes on which collapse and explosion are both seen: linear while the layers are alike, symmetric-log when they are not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from initviz._core.statistics import TensorStats

ALIKE = 30.0
"""Layers whose rms differ by no more than this factor share a linear axis."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """An axis from -limit, or from 0 if nothing is negative, to limit. `threshold` is 0 on a linear axis; on a symmetric-log one it
    is where log begins. `bottom` is the lower end's place: -1 or 0."""

    limit: float
    threshold: float
    bottom: int = -1

    def place(self, values: np.ndarray) -> np.ndarray:
        """Where values lie on the axis: -1 to 1."""
        values = np.asarray(values, dtype=float)
        if not self.threshold:
            return values / self.limit
        return np.sign(values) * np.log1p(np.abs(values) / self.threshold) / math.log1p(self.limit / self.threshold)

    def value(self, places: np.ndarray) -> np.ndarray:
        """The inverse of `place`."""
        if not self.threshold:
            return places * self.limit
        return np.sign(places) * self.threshold * np.expm1(np.abs(places) * math.log1p(self.limit / self.threshold))

    def ticks(self) -> tuple[list[float], list[str]]:
        """Places and labels: 0, the ends, and a few powers of ten between."""
        if not self.threshold:
            positive = [self.limit / 2, self.limit]
            labels = [number(v) for v in positive]
        else:
            low, high = round(math.log10(self.threshold)), round(math.log10(self.limit))
            powers = list(range(high, low, -max(1, math.ceil((high - low) / 3))))[::-1]
            positive, labels = [10.0**p for p in powers], [power(p) for p in powers]
        if self.bottom == 0:
            return list(self.place(np.array([0.0, *positive]))), ["0", *labels]
        values = [*(-v for v in reversed(positive)), 0.0, *positive]
        return list(self.place(np.array(values))), [*("−" + w for w in reversed(labels)), "0", *labels]


def symmetric_scale(layers: list[TensorStats | None]) -> Scale:
    """The axis for a quantity's layers; its ends are round numbers, so that small changes leave it where it is."""
    finite = [s for s in layers if s is not None and math.isfinite(s.mean) and s.second_moment > 0]
    if not finite:
        return Scale(1.0, 0.0)
    bottom = -1 if min(s.min for s in finite) < 0 else 0
    largest = max(max(-s.min, s.max) for s in finite)
    rms = [s.rms for s in finite]
    if max(rms) <= ALIKE * min(rms):
        return Scale(_round_up(largest), 0.0, bottom)
    low, high = snapped(math.log10(min(rms)), math.log10(largest))
    return Scale(10.0**high, 10.0**low, bottom)


def log_limits(values: np.ndarray, least: int = 2) -> tuple[int, int]:
    """Whole powers of ten around the positive values, at least `least` decades apart."""
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return -least, 0
    low, high = snapped(math.log10(values.min()), math.log10(values.max()))
    return (low, high) if high - low >= least else (low - (least - high + low), high)


def snapped(low: float, high: float) -> tuple[int, int]:
    """Whole numbers around low and high, in steps that grow with the span, so that an axis seldom moves under a slider."""
    step = next((s for s in (1, 2, 5) if high - low <= 3 * s), 10)
    return step * math.floor(low / step), step * max(math.ceil(high / step), math.floor(low / step) + 1)


_LAYER_LIMITS = (
    *range(1, 13), 15, 18, 21, 25, 31, 36, 41, 51, 61, 71, 81, 101, 121, 141, 161, 181, 201, 251, 301, 401, 501, 751, 1001, 10**9,
)  # fmt: skip


def layer_limit(count: int) -> int:
    """The last place of a layer axis: at most a fifth beyond `count`, for the same reason."""
    return next(n for n in _LAYER_LIMITS if n >= count)


def power(exponent: int) -> str:
    """ "10⁻²⁰": a power of ten in plain characters, which draw several times as fast as mathematics."""
    return "1" if exponent == 0 else "10" + str(exponent).translate(_SUPERSCRIPTS)


def number(value: float) -> str:
    """A short label: 0.5, 20, 2·10⁻⁴."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:g}".replace("-", "−")
    exponent = math.floor(math.log10(abs(value)) + 1e-12)
    digits = f"{value / 10**exponent:g}".replace("-", "−")
    return (
        power(exponent) if digits == "1" else f"−{power(exponent)}" if digits == "−1" else f"{digits}·{power(exponent)}"
    )


def _round_up(value: float) -> float:
    exponent = math.floor(math.log10(value))
    for digit in (1, 2, 5, 10):
        if value <= digit * 10.0**exponent * (1 + 1e-9):
            return digit * 10.0**exponent
    return 10.0 ** (exponent + 1)


def log10(values: np.ndarray) -> np.ndarray:
    """Logarithms; NaN, which no line draws, of what is not positive."""
    values = np.asarray(values, dtype=float)
    return np.log10(values, out=np.full_like(values, np.nan), where=values > 0)


def apart(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """The places, moved as little as a downward and an upward pass do so that they keep `gap` from each other within low and high."""
    order = np.argsort(places, kind="stable")
    moved = np.array([places[i] for i in order], dtype=float)
    for i in range(len(moved)):
        moved[i] = max(moved[i], low if i == 0 else moved[i - 1] + gap)
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], high if i == len(moved) - 1 else moved[i + 1] - gap)
    result = np.empty(len(moved))
    result[order] = moved
    return result.tolist()
