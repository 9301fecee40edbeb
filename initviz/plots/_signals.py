"""Signals in rows, a data set a row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from initviz.plots._panels import BLUE, INK, ORANGE, PAPER_COLOR, PURPLE, TITLE, bare

COLORS = (BLUE, INK, ORANGE, PURPLE)


def signals(rows: Mapping[str, np.ndarray]) -> Figure:
    """Draw signals side by side.

    Args:
        rows: words for a row -> its signals, shape (n, length); up to four rows of the same n.
    Raises:
        ValueError: rows of different numbers of signals, none, or more than four.
    """
    counts = {len(row) for row in rows.values()}
    if len(counts) != 1 or not 1 <= len(rows) <= 4:
        raise ValueError(
            f"rows: got {len(rows)} rows of {sorted(counts)} signals; it takes one to four rows of equally many"
        )
    height = 0.1 + 1.5 * len(rows)
    figure = Figure(figsize=(12.8, height), dpi=100, facecolor="white")
    axes = figure.subplots(len(rows), counts.pop(), squeeze=False)
    figure.subplots_adjust(left=0.012, right=0.988, top=1 - 0.4 / height, bottom=0.08 / height, hspace=0.5, wspace=0.06)
    for line, (words, some), color in zip(axes, rows.items(), COLORS):
        limit = 1.05 * np.abs(some).max()
        line[0].set_title(words, loc="left", **TITLE)
        for ax, signal in zip(line, np.asarray(some)):
            bare(ax)
            ax.set_facecolor(PAPER_COLOR)
            ax.plot(signal, color=color, lw=2.2)
            ax.set(xticks=[], yticks=[], ylim=(-limit, limit))
    return figure
