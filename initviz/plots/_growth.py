"""Second moments by layer over several draws, one line a kind of network: forward on the left, gradients on the right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from initviz.plots._figure import Axis, Band, Block, Figure, Key, Line, Mark, Panel
from initviz.plots._matplotlib import painted
from initviz.plots._palette import LOOKS
from initviz.plots._scale import exponent_ticks, ladder, log_limits, spread

if TYPE_CHECKING:
    from initviz.experiments import Growth

Ways = tuple[float | np.ndarray, float | np.ndarray]


def growth_figure(
    curves: Mapping[str, Growth], theory: Mapping[str, Ways] | None = None, widths: np.ndarray | None = None
) -> Figure:
    """Draw up to five `Growth` records by label.

    Each line is the geometric mean over seeds, relative to the layer where the signal starts (the first, or for gradients the last),
    with one standard deviation about it.

    Args:
        curves: label -> what `initviz.growth` measured.
        theory: label -> (forward, backward), dashed: the factor a layer, or the relative second moment of each layer, shape (L,).
        widths: shape (L,), the layers' widths, to be written below them (up to a dozen).
    """
    ways: list[list[Mark]] = []
    seen = [np.ones(1)]  # by both panels, which share a scale: a slope is as steep in one as in the other
    for way in (0, 1):
        marks: list[Mark] = []
        for (label, one), (role, marker, _) in zip(curves.items(), LOOKS):
            low, mean, high = spread(_relative(one, way), log=True)
            layers = np.arange(1.0, len(mean) + 1)
            every = max(1, len(layers) // 15)
            marks.insert(0, Band(layers, low, high, role))
            marks.append(Line(layers, mean, role, 2.8, marker=marker, size=9.7, every=every, name=f"{label}: measured"))
            seen.append(mean)
            if theory and label in theory:
                line = _line(theory[label][way], len(layers), backward=way == 1)
                marks.append(Line(layers, line, "ink", 2.8, dash=(8.4, 4.2), name=f"{label}: theory"))
                seen.append(line)
        ways.append(marks)
    x, y = _across(len(layers), widths), _up(np.concatenate(seen))
    key = [(f"{sign} {label}", role) for label, (role, _, sign) in zip(curves, LOOKS)]
    key += [("– – theory", "ink")] * (theory is not None) + [("shaded: ± one standard deviation", "ink")]
    titles = ("Forward: E[h²], layer 1 = 1", "Backward: E[(∂L/∂h)²], last layer = 1")
    keys: tuple[tuple[Key, ...], ...] = ((tuple(key),), ())
    panels = [
        Panel(x, y, tuple(marks), title=title, grid=True, key=some, key_top=86, left=96, right=32, top=62, bottom=436)
        for marks, title, some in zip(ways, titles, keys)
    ]
    return Figure(
        tuple(Block(640 * i, 0, 640, 560, (panel,)) for i, panel in enumerate(panels)), height=560,
        label="Second moments by layer, forward and of gradients, a line a kind of network",
    )  # fmt: skip


growth = painted(growth_figure)


def _relative(one: Growth, way: int) -> np.ndarray:
    moments = one.backward if way else one.forward
    start = moments[:, -1:] if way else moments[:, :1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return moments / start


def _line(theory: float | np.ndarray, count: int, backward: bool) -> np.ndarray:
    if np.ndim(theory):
        return np.asarray(theory, dtype=float)
    powers = np.arange(count)
    return float(theory) ** (powers[::-1] if backward else powers)


def _up(values: np.ndarray) -> Axis:
    low, high = log_limits(values)
    ticks, labels = exponent_ticks(low, high)
    return Axis(low - 0.02 * (high - low), high + 0.03 * (high - low), "log", ticks=ticks, labels=labels)


def _across(count: int, widths: np.ndarray | None) -> Axis:
    step = 1 if widths is not None else ladder(count, 10)
    numbers = [1, *range(step if step > 1 else 2, count + 1, step)]
    words = tuple(str(n) if widths is None else f"{n}\n{widths[n - 1]}" for n in numbers)
    title = "layer" if widths is None else "layer, and its width"
    return Axis(0.5, count + 0.5, ticks=tuple(map(float, numbers)), labels=words, name="layer", title=title, tick=0)
