"""Second moments by layer over several draws, one line a kind of network: forward on the left, gradients on the right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initviz.plots._panels import BLUE, FONT, GREEN, GREY, GRID, INK, ORANGE, PAPER_COLOR, PURPLE, bare
from initviz.plots._scale import ladder, log_limits, power

if TYPE_CHECKING:
    from initviz.experiments import Growth

SIZE = (12.8, 5.6)
STYLES = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (GREY, "v")]
"""Colour and marker of each line."""
TITLE = FONT | {"fontsize": 17}
BIG = FONT | {"fontsize": 16.5}

Ways = tuple[float | np.ndarray, float | np.ndarray]


def growth(
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
    figure = Figure(figsize=SIZE, dpi=100, facecolor="white")
    axes = [figure.add_axes((0.075, 0.275, 0.40, 0.61)), figure.add_axes((0.575, 0.275, 0.40, 0.61))]
    titles = ("Forward: E[h²], layer 1 = 1", "Backward: E[(∂L/∂h)²], last layer = 1")
    seen = [np.ones(1)]  # by both panels, which share a scale: a slope is as steep in one as in the other
    for way, (ax, title) in enumerate(zip(axes, titles)):
        bare(ax)
        ax.set_facecolor(PAPER_COLOR)
        ax.set_title(title, loc="left", **TITLE)
        for (label, one), (color, marker) in zip(curves.items(), STYLES):
            logs = _relative_logs(one, way)
            layers = np.arange(1, logs.shape[1] + 1)
            with np.errstate(invalid="ignore"):  # a layer at exactly 0 is left out
                mean, std = logs.mean(axis=0), logs.std(axis=0, ddof=min(1, len(logs) - 1))
            every = max(1, len(layers) // 15)
            ax.fill_between(layers, mean - std, mean + std, color=color, alpha=0.2, lw=0)
            ax.plot(layers, mean, color=color, lw=2, marker=marker, ms=7, markevery=every)
            seen.append(10 ** mean[np.isfinite(mean)])
            if theory and label in theory:
                line = _line(theory[label][way], len(layers), backward=way == 1)
                ax.plot(layers, np.log10(line), color=INK, lw=2, ls=(0, (3, 1.5)))
                seen.append(line)
    for ax in axes:
        _axis(ax, np.concatenate(seen), len(layers), widths)
    _key(figure, list(curves), theory is not None)
    return figure


def _relative_logs(one: Growth, way: int) -> np.ndarray:
    moments = one.backward if way else one.forward
    start = moments[:, -1:] if way else moments[:, :1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(moments / start)


def _line(theory: float | np.ndarray, count: int, backward: bool) -> np.ndarray:
    if np.ndim(theory):
        return np.asarray(theory, dtype=float)
    powers = np.arange(count)
    return float(theory) ** (powers[::-1] if backward else powers)


def _axis(ax: Axes, values: np.ndarray, count: int, widths: np.ndarray | None) -> None:
    low, high = log_limits(values)
    step = ladder(high - low, 6)
    ticks = [t for t in range(low, high + 1) if t % step == 0]
    ax.set(xlim=(0.5, count + 0.5), ylim=(low - 0.02 * (high - low), high + 0.03 * (high - low)))
    ax.set_yticks(ticks, [power(t) for t in ticks], **BIG)
    ax.grid(axis="y", color=GRID, lw=0.8)
    ax.set_axisbelow(True)
    step = 1 if widths is not None else ladder(count, 10)
    numbers = [1, *range(step if step > 1 else 2, count + 1, step)]
    words = [str(n) for n in numbers] if widths is None else [f"{n}\n{widths[n - 1]}" for n in numbers]
    ax.set_xticks(numbers, words, **(BIG if widths is None else FONT | {"fontsize": 14}))
    ax.tick_params(length=0)
    ax.set_xlabel("layer" if widths is None else "layer, and its width", labelpad=1, **BIG)


def _key(figure: Figure, labels: list[str], theory: bool) -> None:
    shapes = dict(zip("os^Dv", "●■▲◆▼"))
    x = 0.075
    for label, (color, marker) in zip(labels, STYLES):
        figure.text(x, 0.035, f"{shapes[marker]} {label}", va="bottom", **(BIG | {"color": color}))
        x += 0.04 + 0.0107 * len(label)
    words = "shaded: ± one standard deviation"
    figure.text(x, 0.035, ("- - theory     " if theory else "") + words, va="bottom", **BIG)
