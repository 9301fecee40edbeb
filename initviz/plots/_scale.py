"""Axes on which collapse and explosion are both seen: linear while the layers are alike, symmetric-log when they are not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from initviz._core.statistics import TensorStats
from initviz.plots._figure import Axis

ALIKE = 30.0
"""Layers whose rms differ by no more than this factor share a linear axis."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def symmetric_axis(layers: Sequence[TensorStats | None]) -> Axis:
    """The vertical axis for a quantity's layers; its ends are round numbers, so that small changes leave it where it is.

    It goes from -limit, or from 0 if nothing is negative, to limit.
    """
    finite = [s for s in layers if s is not None and math.isfinite(s.mean) and s.second_moment > 0]
    if not finite:
        return _symmetric(1.0, 0.0, True)
    negative = min(s.min for s in finite) < 0
    largest = max(max(-s.min, s.max) for s in finite)
    rms = [s.rms for s in finite]
    if max(rms) <= ALIKE * min(rms):
        return _symmetric(_round_up(largest), 0.0, negative)
    low, high = snapped(math.log10(min(rms)), math.log10(largest))
    return _symmetric(10.0**high, 10.0**low, negative)


def _symmetric(limit: float, threshold: float, negative: bool) -> Axis:
    """Its ticks are 0, the ends, and a few powers of ten (of a linear axis, the halves) between."""
    if threshold:
        low, high = round(math.log10(threshold)), round(math.log10(limit))
        powers = list(range(high, low, -max(1, math.ceil((high - low) / 3))))[::-1]
        positive, labels = [10.0**p for p in powers], [power(p) for p in powers]
    else:
        positive = [limit / 2, limit]
        labels = [number(v) for v in positive]
    below, words = [-v for v in reversed(positive)] * negative, ["−" + w for w in reversed(labels)] * negative
    ticks = (*below, 0.0, *positive)
    scale = "symlog" if threshold else "linear"
    return Axis(-limit if negative else 0.0, limit, scale, threshold, ticks, (*words, "0", *labels))


def ladder(span: float, most: float) -> int:
    """The least step of 1, 2, 5, 10, 20, 50, ... of which at most so many fit into a span."""
    return next(step for e in range(400) for step in (10**e, 2 * 10**e, 5 * 10**e) if span / step <= most)


def exponent_ticks(low: int, high: int, most: int = 6) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Ticks of a log axis, as powers of ten, and their words."""
    step = ladder(high - low, most)
    ticks = [t for t in range(low, high + 1) if t % step == 0]
    return tuple(map(float, ticks)), tuple(power(t) for t in ticks)


def counts(last: int, most: int = 6) -> list[int]:
    """Ticks from 1 on for things that are counted, such as layers."""
    step = ladder(last, most)
    return [1, *range(step if step > 2 else 1 + step, last + 1, step)]


def layer_axis_below(count: int) -> Axis:
    """A horizontal axis over so many layers, half a layer of room on either side, with its name below."""
    ticks = counts(count)
    return Axis(
        0.5, count + 0.5, ticks=tuple(map(float, ticks)), labels=tuple(map(str, ticks)), name="layer", title="layer", tick=0,
    )  # fmt: skip


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


def round_ticks(low: float, high: float, most: int = 5) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Round numbers between the ends of a linear axis, and their words."""
    unit = 10.0 ** math.floor(math.log10((high - low) / most))
    step = unit * ladder((high - low) / unit, most)
    ticks = [round(n * step, 12) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return tuple(ticks), tuple(number(t) for t in ticks)


def spread(values: np.ndarray, log: bool = False, partly: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lower edge, mean, upper edge), shape (k,), of values of shape (seeds, k): one standard deviation about the mean; with `log` of
    the logarithms, taken back. NaN where a seed has no number, or with `partly` where none has one.
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    logs = np.log(values, out=np.full_like(values, np.nan), where=values > 0) if log else values
    known = np.isfinite(logs)
    count = known.sum(axis=0)
    enough = count >= (1 if partly else len(values))
    mean = np.divide(np.where(known, logs, 0).sum(axis=0), count, out=np.full(len(count), np.nan), where=enough)
    squares = np.where(known, (logs - mean) ** 2, 0).sum(axis=0)
    std = np.sqrt(np.divide(squares, count - 1, out=np.zeros_like(mean), where=count > 1))
    edges = mean - std, mean, mean + std
    return (np.exp(edges[0]), np.exp(edges[1]), np.exp(edges[2])) if log else edges


def around(values: Sequence[np.ndarray] | np.ndarray, log: bool = False, share: float = 0.05) -> tuple[float, float]:
    """The ends of an axis around finite values, with a margin: as powers of ten if `log`."""
    found = np.concatenate([np.ravel(some) for some in values]).astype(float)
    found = log10(found) if log else found
    found = found[np.isfinite(found)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    margin = share * (high - low) or 0.5 * share * (1.0 if log else abs(high) or 1.0)
    return low - margin, high + margin


def log_ticks(low: float, high: float, most: int = 9) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Ticks of a log axis between ends that need not be whole, as powers of ten, and their words; between powers where it is short."""
    if high - low > 2.5:
        return exponent_ticks(math.ceil(low), math.floor(high), most)
    digits = (1, 2, 5) if high - low > 1.35 else (1, 1.5, 2, 3, 5, 7)
    values = [digit * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for digit in digits]
    values = [value for value in values if low <= math.log10(value) <= high]
    return tuple(math.log10(value) for value in values), tuple(number(float(f"{value:.2g}")) for value in values)
