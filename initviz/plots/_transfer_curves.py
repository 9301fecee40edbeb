"""The learning curves of every strategy at one number of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initviz.plots._figure import NORMAL, Axis, Band, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._scale import round_ticks, spread
from initviz.plots._transfer import LOOKS
from initviz.training import STRATEGIES

if TYPE_CHECKING:
    from initviz.training import TransferResult


def transfer_curves_figure(result: TransferResult, labels: int) -> Figure:
    """Mean test accuracy over the seeds at each step, with a band of one standard deviation about it.

    Args:
        result: from `initviz.transfer`.
        labels: one of its numbers of labels.
    Raises:
        ValueError: a number of labels that was not measured.
    """
    steps = np.asarray(result.steps, dtype=float)
    bands: list[Mark] = []
    lines: list[Mark] = []
    ends = []
    for name in result.strategies:
        role, marker, sign = LOOKS[name]
        low, mean, high = spread(result.curve(name, labels))
        bands.append(Band(steps, low, high, role, 0.18))
        every, label = max(1, len(steps) // 10), STRATEGIES[name].label
        lines.append(
            Line(steps, mean, role, 3.3, marker=marker, size=11, every=every, free=True, percent=True, name=label)
        )
        ends.append((mean[-1], f"{sign} {label}", role))
    ends.sort(reverse=True)
    words = Words(
        np.full(len(ends), 1.023), 0.94 - 0.12 * np.arange(len(ends)), tuple(words for _, words, _ in ends),
        tuple(role for *_, role in ends), NORMAL, "left", panel=True,
    )  # fmt: skip
    top = min(1.0, max(0.5, float(np.ceil(10 * ends[0][0] + 0.5) / 10)))
    x_ticks, x_labels = round_ticks(0, float(steps[-1]), 8)
    ticks = np.arange(0, top + 1e-9, 0.2)
    seeds = f"mean of {len(result.seeds)} seeds and spread" if len(result.seeds) > 1 else "one seed"
    title = f"Test accuracy with {labels} labels per class: {seeds}"
    panel = Panel(
        Axis(0, float(steps[-1]), ticks=x_ticks, labels=x_labels, name="training step", title="training step", tick=0),
        Axis(0, top, ticks=tuple(ticks.tolist()), labels=tuple(f"{100 * tick:.0f} %" for tick in ticks)),
        (*bands, *lines, words), title=title, grid=True, left=83, right=378, top=51, bottom=391,
    )  # fmt: skip
    return Figure((Block(0, 0, 1280, 460, (panel,)),), height=460, label=title)


transfer_curves = painted(transfer_curves_figure)
