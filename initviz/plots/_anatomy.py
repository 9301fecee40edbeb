"""The flow picture with numbers on its parts, to be explained one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from initviz.inspection import Report
from initviz.plots._flow import flow_figure
from initviz.plots._matplotlib import draw
from initviz.plots._panels import INK

if TYPE_CHECKING:
    from initviz.diagnosis import Verdict
    from initviz.theory import Prediction

_DISC: dict[str, Any] = {
    "ha": "center", "va": "center", "color": "white", "fontsize": 15, "fontweight": "bold", "annotation_clip": False,
    "bbox": {"boxstyle": "circle,pad=0.25", "facecolor": INK, "edgecolor": "white", "linewidth": 1.5},
}  # fmt: skip
_ARROW = {"arrowstyle": "-", "color": INK, "linewidth": 1.8, "shrinkA": 9, "shrinkB": 3}


def anatomy(report: Report, prediction: Prediction, verdict: Verdict) -> Figure:
    """`flow` with the numbers

    1 the verdict, 2 the histogram of one layer, 3 an axis that is logarithmic on both sides of 0, 4 the shares that a histogram
    does not show, 5 the output layer, where the way back begins, 6 a layer as measured, 7 the theory's line and band.
    """
    data = flow_figure(report, prediction, verdict)
    figure = draw(data)
    forward, strip, backward, _, spread = figure.axes
    axis = data.panels[-1].y
    count = len(report.reached)
    early, late = max(1, count // 3), max(1, 2 * count // 3)
    measured = axis.place(report.values("preactivation_gradient", "rms"))
    predicted = axis.place(prediction.activation.mid)
    for number, ax, target, offset, coordinates in (
        (1, forward, (0.0, 1.2), (0, 0), "axes fraction"),
        (2, forward, (early, 0.35), (38, 62), ("data", "axes fraction")),
        (3, backward, (-0.085, 0.5), (-77, 0), "axes fraction"),  # beside the tick's 0, not through it
        (4, strip, (0.5, 0.34), (0, 0), "axes fraction"),
        (5, backward, (count, 0.93), (-42, 0), ("data", "axes fraction")),
        (6, spread, (early, measured[early - 1]), (14, -46), ("data", "axes fraction")),
        (7, spread, (late, predicted[late - 1]), (44, 40), ("data", "axes fraction")),
    ):
        arrow = _ARROW if number in (2, 3, 5, 6, 7) else None
        ax.annotate(str(number), target, offset, coordinates, "offset points", arrowprops=arrow, **_DISC)
    return figure
