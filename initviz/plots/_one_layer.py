"""One layer: the histogram of what it computes before its activation function, and of what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initviz.plots._figure import Axis, Bars, Block, Figure, Line, Mark, Panel

if TYPE_CHECKING:
    from initviz.inspection import Report

CELLS = 60
ENDS = {"preactivation": 4.0, "activation": 1.1}
"""The axis goes from minus to plus this."""
TITLES = {"preactivation": "Before tanh: h = W x", "activation": "After tanh: a = tanh(h)"}


def one_layer_figure(report: Report, title: str = "") -> Figure:
    """The first layer of a probed network as data; `title` stands above."""
    panels = [
        Block(640 * place, 0, 640, 380, (_histogram(report, quantity, role),))
        for place, (quantity, role) in enumerate((("preactivation", "pale blue"), ("activation", "blue")))
    ]
    label = "Histograms of one layer before and after its activation function"
    return Figure(tuple(panels), height=380, label=label, reason=title)


def _histogram(report: Report, quantity: str, role: str) -> Panel:
    stats, end = report.stats(quantity)[0], ENDS[quantity]
    assert stats is not None
    edges = np.linspace(-end, end, CELLS + 1)
    share = stats.mass(edges)
    marks: list[Mark] = [Bars(edges[:-1], edges[1:], np.zeros(CELLS), share, (role,), name="share of the values")]
    upright = np.array([0.0, 1.0])
    for side in (-1, 1):
        marks.append(Line(np.full(2, side * min(stats.rms, 2 * end)), upright, "ink", 2.5, dash=(10.0, 5.0), lane=True))
    ticks = (-4.0, -2.0, 0.0, 2.0, 4.0) if quantity == "preactivation" else (-1.0, -0.5, 0.0, 0.5, 1.0)
    x = Axis(-end, end, ticks=ticks, labels=tuple(f"{v:g}" for v in ticks), name="value", tick=0)
    return Panel(
        x, Axis(0, 1.1 * max(float(share.max()), 0.05)), tuple(marks), title=f"{TITLES[quantity]}, rms {stats.rms:.2g} (dashed)",
        left=45, right=45, top=50, bottom=330,
    )  # fmt: skip
