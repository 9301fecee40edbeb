"""Schemes by activations as a heat map: a number in every cell, the recommended scheme framed, the measured best starred (all that
can't be told from it)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from initviz.initializers import ACTIVATIONS, SCHEMES
from initviz.plots._figure import Axis, Bars, Block, Figure, Heat, Line, Panel
from initviz.plots._matplotlib import painted

if TYPE_CHECKING:
    from initviz.experiments import Map

TITLES = {
    "accuracy": "Test accuracy after training with {optimizer} (%)",
    "forward": "Activations: last layer over first, powers of ten (0: scale kept)",
    "backward": "Gradients: first layer over last, powers of ten (0: scale kept)",
}


def heat_map_figure(data: Map) -> Figure:
    """A `Map` (from `initviz.compare.heat_map`): a number in every cell."""
    accuracy = data.quantity == "accuracy"
    rows, columns = data.mean.shape
    # blue where it vanishes, orange where it explodes, white where the scale is kept
    ramp, low, high = ("yellow to blue", 0.0, 125.0) if accuracy else ("blue to red", -7.5, 7.5)
    words = tuple(("★ " if best else "") + _cell(v, accuracy) for v, best in zip(data.mean.ravel(), data.best.ravel()))
    cells = Heat(
        (-0.5, columns - 0.5), (-0.5, rows - 0.5), data.mean, ramp, low, high, words=words, bold=tuple(map(bool, data.best.ravel())),
        name="mean",
    )  # fmt: skip
    gaps = [Line(np.full(2, at - 0.5), np.array([0.0, 1.0]), "page", 4, lane=True) for at in range(1, columns)] + [
        Line(np.array([-0.5, columns - 0.5]), np.full(2, at - 0.5), "page", 4) for at in range(1, rows)
    ]
    at = np.argwhere(data.recommended).astype(float)
    frames = Bars(at[:, 1] - 0.46, at[:, 1] + 0.46, at[:, 0] - 0.43, at[:, 0] + 0.43, ("ink",), hollow=True, width=3.6)
    x = Axis(
        -0.5,
        columns - 0.5,
        ticks=tuple(map(float, range(columns))),
        labels=tuple(ACTIVATIONS[a].label for a in data.activations),
        tick=0,
    )
    y = Axis(
        rows - 0.5,
        -0.5,
        ticks=tuple(map(float, range(rows))),
        labels=tuple(SCHEMES[s].label for s in data.schemes),
        tick=0,
    )
    star = "★ best, or within its error" if accuracy else "★ nearest to 0"
    optimizer = {"sgd": "SGD", "adam": "Adam"}[data.optimizer]
    title = f"{TITLES[data.quantity].format(optimizer=optimizer)}, {data.depth} layers"
    panel = Panel(
        x, y, (cells, *gaps, frames), title=title, over=True, key=(((star, "ink"), ("☐ recommended", "ink")),), key_top=10,
        left=218, right=13, top=72, bottom=546, least=420,
    )  # fmt: skip
    return Figure((Block(0, 0, 1280, 580, (panel,)),), height=580, label=f"{title}: schemes by activations")


heat_map = painted(heat_map_figure)


def _cell(value: float, accuracy: bool) -> str:
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "0" if value < 0 else "∞"  # nothing is left, or more than a number can hold
    return f"{value:.0f}" if accuracy else f"{value:+.1f}".replace("-", "−")
