"""The learning curves of every strategy at one number of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from initviz.plots._palette import color
from initviz.plots._panels import FONT, GRID, INK, PAPER_COLOR, TITLE, bare
from initviz.plots._transfer import LOOKS
from initviz.training import STRATEGIES

if TYPE_CHECKING:
    from initviz.training import TransferResult


def transfer_curves(result: TransferResult, labels: int) -> Figure:
    """Mean test accuracy over the seeds at each step, with a band of one standard deviation about it.

    Args:
        result: from `initviz.transfer`.
        labels: one of its numbers of labels.
    Raises:
        ValueError: a number of labels that was not measured.
    """
    figure = Figure(figsize=(12.8, 4.6), dpi=100, facecolor="white")
    ax = figure.add_axes((0.065, 0.15, 0.64, 0.74))
    bare(ax)
    ax.set_facecolor(PAPER_COLOR)
    ax.grid(axis="y", color=GRID, lw=0.8)
    ax.set_axisbelow(True)
    ends = []
    for name in result.strategies:
        role, marker, sign = LOOKS[name]
        shade = color(role)
        values = result.curve(name, labels)
        mean, std = values.mean(axis=0), values.std(axis=0, ddof=min(1, len(values) - 1))
        ax.fill_between(result.steps, mean - std, mean + std, color=shade, alpha=0.18, lw=0)
        every = max(1, len(result.steps) // 10)
        ax.plot(result.steps, mean, color=shade, marker=marker, ms=8, lw=2.4, markevery=every)
        ends.append((mean[-1], f"{sign} {STRATEGIES[name].label}", shade))
    for row, (_, words, shade) in enumerate(sorted(ends, reverse=True)):
        figure.text(0.72, 0.83 - 0.09 * row, words, **(FONT | {"color": shade}))
    top = max(0.5, np.ceil(10 * max(mean for mean, *_ in ends) + 0.5) / 10)
    ax.set(xlim=(0, result.steps[-1]), ylim=(0, min(1.0, top)))
    ticks = np.arange(0, min(1.0, top) + 1e-9, 0.2)
    ax.set_yticks(ticks, [f"{100 * tick:.0f} %" for tick in ticks], **FONT)
    ax.tick_params(length=0, labelsize=FONT["fontsize"], labelcolor=INK)
    ax.set_xlabel("training step", **FONT)
    seeds = f"mean of {len(result.seeds)} seeds and spread" if len(result.seeds) > 1 else "one seed"
    ax.set_title(f"Test accuracy with {labels} labels a class: {seeds}", loc="left", **TITLE)
    return figure
