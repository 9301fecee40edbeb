"""The stream of a residual network block by block, forward on the left and its gradient on the right, a line a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from initviz.plots._growth import BIG, STYLES, TITLE
from initviz.plots._panels import GRID, INK, OLIVE, PAPER_COLOR, SIGNS, bare
from initviz.plots._scale import apart, ladder, power

if TYPE_CHECKING:
    from initviz.experiments import StreamGrowth

SIZE = (12.8, 5.6)
LEFT, RIGHT = (0.065, 0.185, 0.305, 0.70), (0.635, 0.185, 0.305, 0.70)
TALL = 30.0
"""A line that rises by more leaves a picture in which others rise by less; its end is written."""
GAP = 0.085
"""Least distance of two names, a share of the height."""
MORE = [*STYLES, (OLIVE, "*")]


def streams(curves: Mapping[str, StreamGrowth]) -> Figure:
    """Draw up to six `StreamGrowth` records of one number of blocks, by label.

    Each line is the geometric mean over seeds of the rms relative to where the signal starts (block 0, or for gradients the last block),
    with one standard deviation about it; theory is dashed. Lines within a factor of 30 are told apart; others leave the picture at its
    top, and their end is written.
    """
    figure = Figure(figsize=SIZE, dpi=100, facecolor="white")
    axes = [figure.add_axes(LEFT), figure.add_axes(RIGHT)]
    titles = ("Stream: rms of x over block 0's", "Gradient: rms over the last block's")
    ends = {label: _end(one) for label, one in curves.items()}
    low, high = _limits(list(ends.values()))
    for way, (ax, title) in enumerate(zip(axes, titles)):
        bare(ax)
        ax.set_facecolor(PAPER_COLOR)
        ax.set_title(title, loc="left" if way == 0 else "right", **TITLE)
        for number, ((label, one), (color, marker)) in enumerate(zip(curves.items(), MORE)):
            logs = 0.5 * np.log10(one.backward if way else one.forward)
            mean, std = logs.mean(axis=0), logs.std(axis=0, ddof=min(1, len(logs) - 1))
            blocks = np.arange(one.blocks + 1)
            every = max(1, one.blocks // 8)
            start = number * every // len(curves) if every >= len(curves) else number % every
            # lines that lie upon one another show their markers in turn
            ax.fill_between(blocks, mean - std, mean + std, color=color, alpha=0.2, lw=0)
            ax.plot(
                blocks, mean, color=color, lw=2.2, marker=marker, ms=9, markevery=(start, every), label=label, zorder=3
            )
            theory = one.backward_theory if way else one.forward_theory
            ax.plot(blocks, 0.5 * np.log10(theory), color=INK, lw=1.8, ls=(0, (3, 1.5)), zorder=2.5)
        _axis(ax, low, high, max(one.blocks for one in curves.values()), way)
    _labels(figure, curves, ends, low, high)
    figure.text(LEFT[0], 0.025, "- - theory     shaded: ± one standard deviation over the draws", va="bottom", **BIG)
    return figure


def _end(one: StreamGrowth) -> tuple[float, float]:
    """log10 of the rms where the signal arrives, forward and backward."""
    return tuple(0.5 * np.log10(moments).mean() for moments in (one.forward[:, -1], one.backward[:, 0]))  # type: ignore[return-value]


def _limits(ends: list[tuple[float, float]]) -> tuple[float, float]:
    """From just below to just above the lines that do not leave the picture."""
    values = np.array([0.0, *np.ravel(ends)])
    tall = np.log10(TALL)
    seen = values[np.abs(values) <= tall] if (np.abs(values) <= tall).sum() > 1 else values
    low, high = min(seen.min(), -0.1), max(seen.max(), 0.3)
    return low - 0.08 * (high - low), high + 0.12 * (high - low)


def _axis(ax: Axes, low: float, high: float, blocks: int, way: int) -> None:
    if high - low > 2.5:
        step = ladder(high - low, 6)
        ticks = [t for t in range(int(np.ceil(low)), int(high) + 1) if t % step == 0]
        words = [power(t) for t in ticks]
    else:
        values = [v for v in (0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50) if low <= np.log10(v) <= high]
        ticks, words = np.log10(values).tolist(), [f"{v:g}" for v in values]
    ax.set(xlim=(-0.02 * blocks, 1.02 * blocks), ylim=(low, high))
    ax.set_yticks(ticks, words, **BIG)
    ax.yaxis.set_ticks_position("left" if way == 0 else "right")
    ax.grid(axis="y", color=GRID, lw=0.8)
    ax.set_axisbelow(True)
    step = ladder(blocks, 5)
    ax.set_xticks(range(0, blocks + 1, step), [str(n) for n in range(0, blocks + 1, step)], **BIG)
    ax.tick_params(length=0)
    ax.set_xlabel("block", labelpad=1, **BIG)


def _labels(
    figure: Figure, curves: Mapping[str, StreamGrowth], ends: dict[str, tuple[float, float]], low: float, high: float
) -> None:
    """Names between the panels, in the order in which the lines arrive, with a thin line to either end."""
    bottom, height = LEFT[1], LEFT[3]
    order = sorted(curves, key=lambda label: np.mean(ends[label]))
    places = [bottom + height * (np.clip(np.mean(ends[label]), low, high) - low) / (high - low) for label in order]
    at = apart(places, GAP, bottom, bottom + height - 0.03)
    left, right = LEFT[0] + LEFT[2] + 0.006, RIGHT[0] - 0.006
    styles = dict(zip(curves, MORE))
    for label, y in zip(order, at):
        color, marker = styles[label]
        gone = [value for value in ends[label] if not low <= value <= high]
        words = f"{SIGNS[marker]} {label}" + (f", {power(round(gone[0]))}" if gone else "")
        reach = max(0.012, (right - left) / 2 - 0.0052 * len(words) - 0.012)
        for (x, inner), value in zip(((left, left + reach), (right, right - reach)), ends[label]):
            to = bottom + height * (np.clip(value, low, high) - low) / (high - low)
            figure.add_artist(_leader(figure, (x, inner), (to, y), color))
        figure.text((left + right) / 2, y, words, ha="center", va="center", **(BIG | {"color": color, "fontsize": 15}))


def _leader(figure: Figure, x: tuple[float, float], y: tuple[float, float], color: str) -> Line2D:
    return Line2D(x, y, transform=figure.transFigure, color=color, lw=1.4)
