"""A race: loss and test accuracy by training step, a line a racer, and the histograms of one racer's layers at one step."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib.figure
import numpy as np

from initviz.plots._figure import TITLE, Axis, Band, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._flow import output_layer
from initviz.plots._layers import density_panel, strip_panel
from initviz.plots._matplotlib import draw
from initviz.plots._palette import LOOKS
from initviz.plots._scale import apart, exponent_ticks, round_ticks, spread

if TYPE_CHECKING:
    from initviz.inspection import Report
    from initviz.training import RaceResult

LEAST, MOST = -3, 2
"""Ends of the loss axis, as powers of ten."""
GAP = 26
"""Least distance between two labels, in pixels."""


def race_figure(
    result: RaceResult,
    steps: int,
    report: Report,
    name: str,
    now: int | None = None,
    *,
    title: str = "",
    classes: int = 10,
) -> Figure:
    """The live picture as data.

    Args:
        result: from `initviz.racing`; at most six racers.
        steps: the last step of the axis.
        report: of one racer's network.
        name: the label of that racer.
        now: at which step; marked in the curves.
        title: words above.
        classes: of the data: the loss and the accuracy of guessing are marked.
    """
    box: dict[str, Any] = {"left": 77, "right": 206, "top": 47, "bottom": 277}
    curves = [
        _curves(result, "loss", "Loss of the batch", math.log(classes), steps, now, **box),
        _curves(result, "accuracy", "Test accuracy", 1 / classes, steps, now, **box),
    ]
    forward, backward = report.stats("activation"), report.stats("preactivation_gradient")
    output, across = output_layer(report), {"left": 104, "right": 100}
    role, _, sign = LOOKS[list(result.histories).index(name)]
    whose = Words(
        np.zeros(1),
        np.ones(1),
        (f"{sign} {name}, step {now or 0}",),
        (role,),
        TITLE,
        "left",
        "bottom",
        (True,),
        (0, 34),
        True,
    )
    above = density_panel(
        forward, "Activations by layer", "blue", "activations", None, output, top=72, bottom=223, **across
    )
    layers = (
        replace(above, marks=(*above.marks, whose)),
        strip_panel(
            forward, ("zeros", "saturated", "nonfinite"), "activations", 0, output, top=234, bottom=306, **across
        ),
    )
    below = (
        density_panel(
            backward, "Gradients by layer", "orange", "gradients", None, output, top=65, bottom=216, **across
        ),
        strip_panel(backward, ("zeros", "nonfinite"), "gradients", 0, output, top=228, bottom=278, **across),
    )
    return Figure(
        (
            Block(0, 0, 640, 338, (curves[0],)),
            Block(0, 338, 640, 339, (curves[1],)),
            Block(690, 0, 590, 338, layers),
            Block(690, 338, 590, 339, below),
        ),
        height=677,
        label="Loss and accuracy of each racer by training step, and the layers of one of them",
        reason=title,
    )  # fmt: skip


def race(result: RaceResult, *, accuracy: float | None = None, classes: int = 10) -> matplotlib.figure.Figure:
    """Loss and test accuracy by training step: means over seeds with a band of one standard deviation (for the loss of its logarithm).

    Args:
        result: from `iv.race`; at most six racers are drawn.
        accuracy: a test accuracy to mark with a dotted line.
        classes: of the data: the loss and the accuracy of guessing are marked.
    """
    steps = max(int(run.steps[-1]) for runs in result.histories.values() for run in runs)
    loss = _curves(
        result,
        "loss",
        "Loss of the batch (log scale)",
        math.log(classes),
        steps,
        left=70,
        right=212,
        top=55,
        bottom=435,
    )
    right = _curves(
        result, "accuracy", "Test accuracy", 1 / classes, steps, target=accuracy, left=63, right=192, top=55, bottom=435
    )
    return draw(Figure((Block(0, 0, 660, 500, (loss,)), Block(660, 0, 620, 500, (right,))), height=500))


def _curves(
    result: RaceResult,
    what: str,
    title: str,
    guess: float,
    steps: int,
    now: int | None = None,
    target: float | None = None,
    **box: Any,
) -> Panel:
    """The mean over seeds of each racer with a band of one standard deviation, its label at its end, ✖ where it diverged."""
    loss = what == "loss"
    if loss:
        ticks, labels = exponent_ticks(LEAST, MOST)
        y = Axis(LEAST, MOST, "log", ticks=ticks, labels=labels)
    else:
        y = Axis(0, 1.05, ticks=(0, 0.25, 0.5, 0.75, 1), labels=("0 %", "25 %", "50 %", "75 %", "100 %"))
    x_ticks, x_labels = round_ticks(0, steps)
    x = Axis(0, steps, ticks=x_ticks, labels=x_labels, name="training step", title="training step")
    ends: list[float] = []
    bands: list[Mark] = []
    lines: list[Mark] = []
    labels_: list[str] = []
    marks: list[Mark] = []
    for (label, runs), (role, marker, sign) in zip(result.histories.items(), LOOKS):
        at, values = result.curve(label, what)
        low, mean, high = spread(values, loss, partly=True)
        known = np.isfinite(mean)
        at = np.asarray(at, dtype=float)
        bands.append(Band(at[known], low[known], high[known], role, 0.18))
        every = max(1, math.ceil(len(at) / 7))
        lines.append(
            Line(at, mean, role, 2.8, marker=marker, size=9.7, every=every, percent=not loss, name=f"{label}: {what}")
        )
        fallen = [run.diverged_at for run in runs if run.diverged_at is not None]
        if fallen:
            height = np.full(len(fallen), 0.955 if loss else 0.03)
            marks.append(Line(np.array(fallen, dtype=float), height, role, 0, marker="X", size=18, lane=True))
        several = len(fallen) and len(runs) > 1
        labels_.append(f"{sign} {label}" + (f" ✖ {len(fallen)} of {len(runs)}" if several else " ✖" if fallen else ""))
        if len(fallen) == len(runs) or not known.any():
            ends.append(0.955 if loss else 0.0)
        else:
            ends.append(float(np.clip(y.place(max(mean[known][-1], 1e-300)), 0, 1)))
    rules: list[Mark] = [
        Line(np.array([0.0, steps]), np.full(2, height), "grey", 1.8, dash=(1.8, 3.6))
        for height in (guess, *([target] if target is not None else []))
    ]
    rules.append(
        Words(np.array([0.99]), y.place([guess]), ("guessing",), ("grey",), align="right", valign="bottom", panel=True)
    )
    roles = tuple(role for _, (role, *_) in zip(labels_, LOOKS))
    names = Words(
        np.full(len(ends), 1.02),
        np.array(apart(ends, GAP / (box["bottom"] - box["top"]), 0.03, 0.99)),
        tuple(labels_),
        roles,
        align="left",
        panel=True,
    )
    if now is not None:
        marks.append(Line(np.full(2, float(now)), np.array([0.0, 1.0]), "ink", 2.2, dash=(8.9, 4.4), lane=True))
    if any(result.diverged(label) for label in result.histories):
        marks.append(
            Words(np.ones(1), np.zeros(1), ("✖ diverged",), align="left", valign="top", shift=(33, -11), panel=True)
        )
    return Panel(x, y, (*rules, *bands, *lines, *marks, names), title=title, grid=True, **box)
