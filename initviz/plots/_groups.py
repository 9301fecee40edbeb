"""Bars in groups: a group for each task, a bar for each way, its mean over seeds with the spread as a line."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from initviz.plots._panels import BLUE, FONT, GREEN, GREY, INK, ORANGE, SMALL, TITLE, bare

WAYS = [(GREY, ""), (ORANGE, "//"), (BLUE, ""), (GREEN, "xx")]
"""Colour and hatching of a group's bars, in order."""


def groups(
    results: Mapping[str, Mapping[str, np.ndarray]], *, title: str, percent: bool = False, chance: float | None = None
) -> Figure:
    """Means and standard deviations over seeds.

    Args:
        results: task -> way -> the values of all seeds, shape (seeds,). At most four ways, the same in every task.
        title: what the height of a bar is.
        percent: the values are shares; write them as percents.
        chance: a dotted line at this value, such as the accuracy of guessing.
    """
    ways = list(next(iter(results.values())))
    factor = 100.0 if percent else 1.0
    figure = Figure(figsize=(12.8, 4.8), dpi=100, facecolor="white")
    ax = figure.add_axes((0.06, 0.12, 0.925, 0.68))
    bare(ax)
    width = 0.8 / len(ways)
    for number, (way, (color, hatch)) in enumerate(zip(ways, WAYS)):
        values = [factor * np.asarray(results[task][way], dtype=float) for task in results]
        places = np.arange(len(results)) + (number - (len(ways) - 1) / 2) * width
        means = np.array([v.mean() for v in values])
        spreads = np.array([v.std(ddof=1) if len(v) > 1 else 0.0 for v in values])
        ax.bar(places, means, 0.92 * width, color=color, hatch=hatch, edgecolor="white", lw=0)
        ax.errorbar(places, means, spreads, fmt="none", ecolor=INK, elinewidth=2)
        for x, mean, spread in zip(places, means, spreads):
            ax.annotate(f"{mean:.0f}" if percent else f"{mean:.2g}", (x, mean + spread), (0, 3), textcoords="offset points",
                        ha="center", va="bottom", **SMALL)  # fmt: skip
        figure.text(0.06 + 0.17 * number, 0.86, f"■ {way}", **(FONT | {"color": color, "fontweight": "bold"}))
    if chance is not None:
        ax.axhline(factor * chance, color=INK, lw=1.2, ls=(0, (1, 2)))
    ax.set_xticks(np.arange(len(results)), list(results), **FONT)
    ax.tick_params(length=0, labelsize=FONT["fontsize"], labelcolor=INK)
    ax.set(xlim=(-0.5, len(results) - 0.5), ylim=(0, 112 if percent else None))
    if percent:
        ax.set_yticks([0, 50, 100], ["0 %", "50 %", "100 %"], **FONT)
    figure.text(0.06, 0.93, title, **TITLE)
    return figure
