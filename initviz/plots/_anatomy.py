"""The flow picture with numbers on its parts, to be explained one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initviz.inspection import Report
from initviz.plots._figure import Block, Figure, Line, Mark, Panel, Words
from initviz.plots._flow import flow_figure
from initviz.plots._matplotlib import painted

if TYPE_CHECKING:
    from initviz.diagnosis import Verdict
    from initviz.theory import Prediction


def anatomy_figure(report: Report, prediction: Prediction, verdict: Verdict) -> Figure:
    """`flow` with the numbers

    1 the verdict, 2 the histogram of one layer, 3 an axis that is logarithmic on both sides of 0, 4 the shares that a histogram
    does not show, 5 the output layer, where the way back begins, 6 a layer as measured, 7 the theory's line and band.
    """
    figure = flow_figure(report, prediction, verdict)
    (left, strip), (backward, shares), (spread,) = (block.panels for block in figure.blocks)
    count = len(report.reached)
    early, late = max(1, count // 3), max(1, 2 * count // 3)
    measured = spread.y.place(report.values("preactivation_gradient", "rms"))
    predicted = spread.y.place(prediction.activation.mid)

    def numbered(block: Block, panel: Panel, *discs: tuple[str, float, float, float, float]) -> Panel:
        """With discs: a sign, a layer and a share of the height, and how many pixels from there to the right and up."""
        high, wide = panel.bottom - panel.top, block.width - panel.left - panel.right
        marks: list[Mark] = []
        for sign, layer, height, right, up in discs:
            place = float(panel.x.place(layer))
            level = float(np.clip(height + up / high, 0.07, 0.9)) if up else height
            at = np.array([place + right / wide]), np.array([level])
            if right or up:
                ends = panel.x.value([place, at[0][0]])
                marks.append(Line(ends, np.array([height, level]), "ink", 2.5, lane=True, free=True))
            marks.append(Line(panel.x.value(at[0]), at[1], "page", 0, marker="o", size=31, lane=True, free=True))
            marks.append(Words(*at, (sign,), ("ink",), 34, panel=True))
        return replace(panel, marks=(*panel.marks, *marks))

    first, middle, last = figure.blocks
    beside = float(backward.x.value(-0.085))  # the tick's 0, not through it
    blocks = (
        replace(
            first,
            panels=(
                numbered(first, left, ("❶", float(left.x.value(0)), 1.2, 0, 0), ("❷", early, 0.35, 53, 86)),
                numbered(first, strip, ("❹", float(strip.x.value(0.5)), 0.34, 0, 0)),
            ),
        ),
        replace(
            middle, panels=(numbered(middle, backward, ("❸", beside, 0.5, -52, 0), ("❺", count, 0.93, -58, 0)), shares)
        ),
        replace(
            last,
            panels=(
                numbered(
                    last, spread, ("❻", early, measured[early - 1], 19, -64), ("❼", late, predicted[late - 1], 61, 55)
                ),
            ),
        ),
    )
    return replace(figure, blocks=blocks)


anatomy = painted(anatomy_figure)
