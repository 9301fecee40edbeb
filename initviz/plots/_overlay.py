"""Histograms of every layer over each other, as in Glorot & Bengio 2010, figures 6 and 7: a column a network, a row a quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from initviz.inspection import QUANTITIES
from initviz.plots._panels import FONT, PAPER_COLOR, bare
from initviz.plots._scale import number

if TYPE_CHECKING:
    from initviz.inspection import Report

TITLE = FONT | {"fontsize": 17}
BIG = FONT | {"fontsize": 16}
CELLS = 61


def overlay(
    reports: Mapping[str, Report],
    quantities: Sequence[str] = ("activation", "preactivation_gradient"),
    spread: float = 3.0,
) -> Figure:
    """Draw the histograms of the hidden layers of each report.

    Args:
        reports: label -> what `initviz.probe` measured; up to three.
        quantities: a row each, keys of `initviz.inspection.QUANTITIES`.
        spread: an axis ends at this many root mean squares of the widest layer of its row.
    """
    rows, columns = len(quantities), len(reports)
    figure = Figure(figsize=(12.8, 0.6 + 2.75 * rows), dpi=100, facecolor="white")
    axes = np.atleast_2d(figure.subplots(rows, columns, squeeze=False))
    figure.subplots_adjust(
        left=0.03, right=0.985, top=1 - 0.36 / (0.6 + 2.75 * rows), bottom=0.1, hspace=0.5, wspace=0.06
    )
    for row, quantity in enumerate(quantities):
        layers = [[s for s in report.stats(quantity)[:-1] if s is not None] for report in reports.values()]
        limit = spread * max(s.rms for some in layers for s in some)
        edges = np.linspace(-limit, limit, CELLS + 1)
        for column, (label, some) in enumerate(zip(reports, layers)):
            ax = axes[row, column]
            bare(ax)
            ax.set_facecolor(PAPER_COLOR)
            ax.set_title(f"{label}: {QUANTITIES[quantity]}", loc="left", **TITLE)
            ax.set(xlim=(-limit, limit), yticks=[])
            ax.set_xticks(
                [-limit / 2, 0, limit / 2], [number(float(f"{v:.1g}")) for v in (-limit / 2, 0, limit / 2)], **BIG
            )
            peak = 0.0
            for place, stats in enumerate(some):
                density = stats.mass(edges)
                peak = max(peak, density.max())
                color = colormaps["viridis"](0.9 * (1 - place / max(len(some) - 1, 1)))
                centres = (edges[1:] + edges[:-1]) / 2
                ax.plot(centres, density, color=color, lw=2.6, ls=_DASHES[place % len(_DASHES)])
            ax.set_ylim(0, 1.06 * peak)
            if row == 0 and column == columns - 1:
                names = [f"layer {place + 1}" for place in range(len(some))]
                legend = ax.legend(ax.lines, names, loc="upper right", fontsize=15.5, handlelength=2.6, borderpad=0.2)
                legend.get_frame().set(facecolor=PAPER_COLOR, edgecolor="none", alpha=0.85)
    return figure


_DASHES: list = ["-", (0, (6, 1.5)), (0, (4, 1.5, 1, 1.5)), (0, (2, 1.5)), (0, (1, 1))]
