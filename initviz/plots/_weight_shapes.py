"""Pretrained weights beside a fresh draw: a histogram a layer, on a log axis that shows the tails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from initviz.experiments import EDGES
from initviz.plots._panels import FONT, GREY, INK, ORANGE, PAPER_COLOR, TITLE, bare

if TYPE_CHECKING:
    from initviz.experiments import WeightShape


def weight_shapes(shapes: Sequence[WeightShape], words: str = "pretrained") -> Figure:
    """Draw up to four layers side by side.

    Args:
        shapes: from `initviz.experiments.weight_shapes`.
        words: what the model's own weights are called.
    Raises:
        ValueError: none, or more than four.
    """
    if not 1 <= len(shapes) <= 4:
        raise ValueError(f"shapes: got {len(shapes)}; it takes one to four layers")
    figure = Figure(figsize=(12.8, 4.8), dpi=100, facecolor="white")
    axes = figure.subplots(1, len(shapes), squeeze=False)[0]
    figure.subplots_adjust(left=0.055, right=0.99, top=0.72, bottom=0.24, wspace=0.12)
    peak = max(max(s.density.max(), s.fresh_density.max()) for s in shapes)
    for place, (ax, shape) in enumerate(zip(axes, shapes)):
        bare(ax)
        ax.set_facecolor(PAPER_COLOR)
        ax.set(yscale="log", ylim=(1e-3, 1.5 * peak), xlim=(EDGES[0], EDGES[-1]))
        ax.stairs(shape.fresh_density, EDGES, fill=True, color=GREY, alpha=0.45)
        ax.stairs(shape.density, EDGES, color=ORANGE, lw=2.4)
        grid = np.linspace(EDGES[0], EDGES[-1], 201)
        ax.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=INK, lw=1.6, ls=(0, (3, 2)))
        ax.set_title(f"{shape.name} {'×'.join(map(str, shape.shape))}", loc="left", pad=50, **TITLE)
        ax.text(
            0, 1.025, f"{shape.std / shape.fresh_std:.1f} × as wide,\nexcess kurtosis {shape.excess_kurtosis:+.1f}".replace("-", "−"),
            transform=ax.transAxes, va="bottom", **(FONT | {"color": ORANGE, "fontsize": 13, "linespacing": 1.2}),
        )  # fmt: skip
        ax.set_xticks([-6, -3, 0, 3, 6], ["−6", "−3", "0", "3", "6"], **FONT)
        ax.set_yticks([0.01, 0.1, 1], ["0.01", "0.1", "1"] if place == 0 else [], **FONT)
        ax.minorticks_off()
        ax.tick_params(length=0)
    figure.text(0.5, 0.115, "weight / standard deviation of the fresh draw", ha="center", **FONT)
    for x, key, color in (
        (0.055, f"━ {words}", ORANGE),
        (0.30, "█ fresh draw", GREY),
        (0.52, "– – its normal density", INK),
    ):
        figure.text(x, 0.03, key, **(FONT | {"color": color}))
    return figure
