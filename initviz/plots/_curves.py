"""Curves over a common axis: means over seeds with their spread, and what is predicted as dashed lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from initviz.plots._panels import BLUE, FONT, GREEN, GREY, GRID, INK, ORANGE, PURPLE, TITLE, bare

LINES = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (INK, "v"), (GREY, "P")]
"""Colour and marker of each curve, in order."""


def curves(
    x: Sequence[float] | np.ndarray,
    lines: Mapping[str, np.ndarray],
    *,
    title: str,
    xlabel: str,
    predicted: Mapping[str, np.ndarray] | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """One curve a label.

    Args:
        x: shape (k,), where the curves were measured.
        lines: label -> shape (k,) or (seeds, k); of the latter the mean is drawn, and a band of one standard deviation about it
            (of the logarithms on a log axis). At most six.
        title: what the height is.
        xlabel: what `x` is.
        predicted: label of a line -> shape (k,), drawn dashed in its colour.
        log_x, log_y: logarithmic axes.
    """
    x = np.asarray(x, dtype=float)
    figure = Figure(figsize=(12.8, 4.6), dpi=100, facecolor="white")
    ax = figure.add_axes((0.08, 0.15, 0.69, 0.74))
    bare(ax)
    ax.grid(axis="y", color=GRID, lw=0.8)
    ax.set_axisbelow(True)
    ends = []
    for number, ((label, values), (color, marker)) in enumerate(zip(lines.items(), LINES)):
        low, mean, high = _spread(np.atleast_2d(np.asarray(values, dtype=float)), log_y)
        ax.fill_between(x, low, high, color=color, alpha=0.18, lw=0)
        theory = (predicted or {}).get(label)
        if theory is None:
            in_turn = 2 if len(x) > 8 else 1  # of lines that lie upon one another both show their markers
            ax.plot(x, mean, color=color, marker=marker, ms=8, mew=1.8, lw=2, markevery=(number % in_turn, in_turn))
        else:
            ax.plot(x, mean, color=color, marker=marker, mfc="white", ms=8, mew=1.8, lw=0)
            ax.plot(x, theory, color=color, lw=2, ls=(0, (3, 1.5)))
        ends.append((np.nanmean(np.log(mean) if log_y else mean), label, color, marker))
    ax.set_xscale("log" if log_x else "linear")
    ax.set_yscale("log" if log_y else "linear")
    if log_x or len(x) <= 8:
        ax.set_xticks(x, [f"{v:g}" for v in x], **FONT)
    elif (x == x.round()).all():
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    bottom, top = ax.get_ylim()
    if log_y and top / bottom < 300:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.minorticks_off()
    ax.tick_params(length=0, labelsize=FONT["fontsize"], labelcolor=INK)
    ax.set_xlabel(xlabel, **FONT)
    ax.set_title(title, loc="left", **TITLE)
    signs = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}
    hollow = dict(zip("●■▲◆▼✚", "○□△◇▽✚"))
    for row, (_, label, color, marker) in enumerate(sorted(ends, reverse=True)):
        sign = hollow[signs[marker]] if label in (predicted or {}) else signs[marker]
        figure.text(0.785, 0.84 - 0.085 * row, f"{sign} {label}", **(FONT | {"color": color}))
    if predicted:
        figure.text(0.785, 0.84 - 0.085 * len(ends), "– –  predicted", **FONT)
    return figure


def _spread(values: np.ndarray, log: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lower edge, mean, upper edge) over the first axis; of logarithms, taken back, if `log`."""
    if log:
        values = np.log(values, out=np.full_like(values, np.nan), where=values > 0)
    mean = values.mean(axis=0)
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros_like(mean)
    edges = mean - spread, mean, mean + spread
    return (np.exp(edges[0]), np.exp(edges[1]), np.exp(edges[2])) if log else edges
