"""Histograms of every layer over each other, as in Glorot & Bengio 2010, figures 6 and 7: a column a network, a row a quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from initviz.inspection import QUANTITIES
from initviz.plots._figure import NORMAL, Axis, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._palette import shades
from initviz.plots._scale import number

if TYPE_CHECKING:
    from initviz.inspection import Report

CELLS = 61
DASHES: tuple[tuple[float, ...], ...] = ((), (21.6, 5.4), (14.4, 5.4, 3.6, 5.4), (7.2, 5.4), (3.6, 3.6))


def overlay_figure(
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
    rows, wide = len(quantities), 1222 / (len(reports) + 0.06 * (len(reports) - 1))
    blocks = []
    for row, quantity in enumerate(quantities):
        layers = [[s for s in report.stats(quantity)[:-1] if s is not None] for report in reports.values()]
        limit = spread * max(s.rms for some in layers for s in some)
        ticks = (-limit / 2, 0.0, limit / 2)
        labels = tuple(number(float(f"{v:.1g}")) for v in ticks)
        x = Axis(-limit, limit, ticks=ticks, labels=labels, name=QUANTITIES[quantity], tick=0)
        edges = np.linspace(-limit, limit, CELLS + 1)
        for column, (label, some) in enumerate(zip(reports, layers)):
            marks: list[Mark] = []
            for place, (stats, color) in enumerate(zip(some, shades(len(some)))):
                dash = DASHES[place % len(DASHES)]
                name = f"layer {place + 1}"
                marks.append(Line((edges[1:] + edges[:-1]) / 2, stats.mass(edges), color, 3.6, dash=dash, name=name))
            top = 1.06 * max((float(mark.y.max()) for mark in marks if isinstance(mark, Line)), default=1.0)
            if row == 0 and column == len(reports) - 1:
                marks += _key(marks, limit)
            panel = Panel(
                x, Axis(0, top), tuple(marks), title=f"{label}: {QUANTITIES[quantity]}",
                left=38, right=0.06 * wide, top=41, bottom=253,
            )  # fmt: skip
            blocks.append(Block(1.06 * wide * column, 300 * row, 38 + 1.06 * wide, 300, (panel,)))
    label = f"Histograms of {' and '.join(QUANTITIES[q] for q in quantities)}, a line a layer: {', '.join(reports)}"
    return Figure(tuple(blocks), height=60 + 275 * rows, label=label)


overlay = painted(overlay_figure)


def _key(lines: Sequence[Mark], limit: float) -> list[Mark]:
    """What each line is, in the panel's right upper corner."""
    names, colors, marks = [], [], []
    heights = 0.92 - 0.125 * np.arange(len(lines))
    for line, height in zip(lines, heights):
        if isinstance(line, Line):
            names.append(line.name)
            colors.append(line.role)
            marks.append(
                Line(limit * np.array([0.56, 0.7]), np.full(2, height), line.role, 3.6, dash=line.dash, lane=True)
            )
    words = Words(np.full(len(names), 0.87), heights, tuple(names), tuple(colors), NORMAL, "left", panel=True)
    return [*marks, words]
