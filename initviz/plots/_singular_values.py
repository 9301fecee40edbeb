"""Singular values of an end-to-end Jacobian by depth: how far apart the most and the least stretched directions come to lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from initviz.plots._curves import LINES
from initviz.plots._panels import FONT, GRID, INK, SIGNS, TITLE, bare
from initviz.plots._scale import power

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
ZERO = 1e-14
"""Singular values below this share of their Jacobian's largest count as 0: float64 does not resolve them beside it."""


def singular_values(
    depths: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[np.ndarray]]], title: str = "Singular values of the Jacobian"
) -> Figure:  # fmt: skip
    """A panel a network, a line a way to draw its weights: the median, the middle half (dark) and the middle nine tenths (light) of
    the values that are not 0. The share of zeros at the first and at the last depth is written, where there are any.

    Args:
        depths: shape (k,), positive.
        panels: title of a panel -> label of a line -> k arrays of singular values, one a depth, of shape (..., n): the
            last axis is of one Jacobian.
        title: of the figure.
    Raises:
        ValueError: no panel, or more than four.
    """
    if not 1 <= len(panels) <= 4:
        raise ValueError(f"panels: got {len(panels)}; it takes one to four")
    figure = Figure(figsize=(12.8, 5.2), dpi=100, facecolor="white")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(left=0.075, right=0.99, top=0.76, bottom=0.15, wspace=0.08)
    lowest, highest = 1.0, 1.0
    for ax, (name, lines) in zip(axes, panels.items()):
        bare(ax)
        ax.grid(axis="y", color=GRID, lw=0.8)
        ax.set_axisbelow(True)
        for (label, values), (color, marker) in zip(lines.items(), LINES):
            alive = [v[v > ZERO * v.max(axis=-1, keepdims=True)] for v in map(np.asarray, values)]
            quantiles = np.array([np.quantile(v, SHARES) for v in alive]).T
            zeros = [1 - len(a) / np.size(v) for a, v in zip(alive, values)]
            if max(zeros) > 0:
                words = f"{SIGNS[marker]} {100 * zeros[0]:.0f} % are 0, then {100 * zeros[-1]:.0f} %"
                ax.text(0.03, 0.05 + 0.09 * len(ax.texts), words, transform=ax.transAxes, **(FONT | {"color": color}))
            lowest, highest = min(lowest, quantiles.min()), max(highest, quantiles.max())
            ax.fill_between(depths, quantiles[0], quantiles[4], color=color, alpha=0.16, lw=0)
            ax.fill_between(depths, quantiles[1], quantiles[3], color=color, alpha=0.3, lw=0)
            ax.plot(depths, quantiles[2], color=color, marker=marker, ms=8, lw=2.2, label=label)
        ax.set(xscale="log", yscale="log")
        ax.set_xticks(depths, [f"{d}" for d in depths], **FONT)
        ax.minorticks_off()
        ax.tick_params(length=0)
        ax.set_xlabel("layers", **FONT)
        ax.set_title(name, loc="left", **TITLE)
    low, high = int(np.floor(np.log10(lowest))), int(np.ceil(np.log10(highest)))
    step = max(1, round((high - low) / 6))
    ticks = [10.0**p for p in range(-(-low // step) * step, high + 1, step)]
    axes[0].set(ylim=(10.0 ** (low - 0.3), 10.0 ** (high + 0.3)))
    axes[0].set_yticks(ticks, [power(round(np.log10(t))) for t in ticks], **FONT)
    figure.text(0.012, 0.97, title, va="top", **TITLE)
    for place, (label, (color, marker)) in enumerate(zip(next(iter(panels.values())), LINES)):
        figure.text(0.075 + 0.16 * place, 0.885, f"{SIGNS[marker]} {label}", va="top", **(FONT | {"color": color}))
    figure.text(
        0.99, 0.885, "line: median; dark: middle half; light: 90 %", ha="right", va="top", **(FONT | {"color": INK})
    )
    return figure
