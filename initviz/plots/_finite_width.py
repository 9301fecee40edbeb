"""How far single draws stray: the variance of a gradient's logarithm against depth over width, and the logarithms themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from initviz.plots._curves import LINES
from initviz.plots._panels import FONT, GRID, INK, TITLE, bare

if TYPE_CHECKING:
    from initviz.experiments import FiniteWidth


def finite_width(runs: Mapping[str, FiniteWidth]) -> Figure:
    """Left the variances with their standard errors, and the theory as dashed lines. Right the draws of the first run at its largest
    depth over width, with the normal density that the theory predicts.

    Args:
        runs: label -> from `initviz.experiments.finite_width`; at most four.
    Raises:
        ValueError: none, or more than four.
    """
    if not 1 <= len(runs) <= 4:
        raise ValueError(f"runs: got {len(runs)}; it takes one to four")
    figure = Figure(figsize=(12.8, 5.2), dpi=100, facecolor="white")
    left, right = figure.add_axes((0.065, 0.15, 0.5, 0.73)), figure.add_axes((0.645, 0.15, 0.34, 0.73))
    for ax in (left, right):
        bare(ax)
        ax.tick_params(length=0, pad=7, labelsize=FONT["fontsize"], labelcolor=INK)
    left.grid(axis="y", color=GRID, lw=0.8)
    left.set_axisbelow(True)
    for (label, run), (color, marker) in zip(runs.items(), LINES):
        left.errorbar(
            run.ratios, run.variance, run.error, color=color, marker=marker, ms=9, lw=0, elinewidth=2, label=label
        )
        left.plot([0, *run.ratios], [0, *run.predicted_variance], color=color, lw=2, ls=(0, (4, 2)))
    left.set(xlim=(0, None), ylim=(0, None))
    left.set_xlabel("depth / width", **FONT)
    left.set_title("Variance of log(gradient²), over draws", loc="left", **TITLE)
    left.legend(loc="upper left", frameon=False, fontsize=FONT["fontsize"], labelcolor=INK)
    left.text(0.99, 0.03, "– –  theory", transform=left.transAxes, ha="right", **FONT)

    label, run = next(iter(runs.items()))
    last = int(np.argmax(run.ratios))
    logs, std = run.logs[last], float(np.sqrt(run.predicted_variance[last]))
    logs = logs[np.isfinite(logs)]
    reach = max(4 * std, float(np.abs(logs - run.predicted_mean[last]).max()), 1e-3)
    edges = run.predicted_mean[last] + np.linspace(-reach, reach, 25)
    right.hist(logs, edges, density=True, color=LINES[0][0], alpha=0.55)
    if std > 0:
        z = np.linspace(edges[0], edges[-1], 200)
        density = np.exp(-(((z - run.predicted_mean[last]) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
        right.plot(z, density, color=INK, lw=2, ls=(0, (4, 2)))
    right.set_yticks([])
    right.set_xlabel("log(gradient²), first layer over last", **FONT)
    right.set_title(f"{len(run.logs[last])} draws, {run.depths[last]} layers of {run.width}", loc="left", **TITLE)
    return figure
