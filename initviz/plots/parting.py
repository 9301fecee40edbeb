"""How neurons part: the number of distinct ones against step for each size of noise, and the step at which they part against noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initviz.plots.panels import BLUE, FONT, GREY, INK, ORANGE, PAPER_COLOR, bare
from initviz.plots.scale import power

if TYPE_CHECKING:
    from initviz.symmetry import Trace

KINDS = [(BLUE, "o", "-"), (ORANGE, "s", (0, (4, 2))), (GREY, "^", (0, (1, 1)))]
TITLE = FONT | {"fontsize": 13}


def parting(traces: Mapping[str, Trace], layer: int = 0) -> Figure:
    """Two panels: distinct neurons by step (the first trace; mean and range over seeds), and the step of parting by noise (all traces;
    mean and standard deviation over seeds; sizes of noise of which a seed never parts are left out).

    Args:
        traces: label -> a `Trace` over several sizes of noise.
        layer: the hidden layer, from 0.
    """
    figure = Figure(figsize=(12.8, 5.2), dpi=100, facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    for ax in (left, right):
        bare(ax)
        ax.set_facecolor(PAPER_COLOR)
        ax.grid(color="#D8D8D8", lw=0.8)
        ax.tick_params(labelsize=FONT["fontsize"], labelcolor=INK, length=0)
    label, trace = next(iter(traces.items()))
    _counts(left, label, trace, layer)
    for (label, trace), (color, marker, ls) in zip(traces.items(), KINDS):
        parted = trace.parted[..., layer]
        shown = (trace.noise > 0) & np.isfinite(parted).all(axis=1)
        spread = parted[shown].std(axis=1, ddof=1) if parted.shape[1] > 1 else None
        right.errorbar(
            np.log10(trace.noise[shown]), parted[shown].mean(axis=1), spread, color=color, marker=marker, ls=ls, ms=8, lw=2,
            capsize=5, label=label,
        )  # fmt: skip
    exponents = np.unique(
        np.round(np.concatenate([np.log10(t.noise[t.noise > 0]) for t in traces.values()])).astype(int)
    )
    right.set_xticks(exponents, [power(e) for e in exponents], **FONT)
    right.set_ylim(bottom=0)
    right.set_title("Step at which the neurons part", loc="left", **TITLE)
    right.set_xlabel("noise, as a share of the constant weight", **FONT)
    right.legend(frameon=False, fontsize=12)
    return figure


def _counts(ax: Axes, label: str, trace: Trace, layer: int) -> None:
    colors = colormaps["viridis"](np.linspace(0.72, 0, len(trace.noise)))
    order = np.argsort(trace.noise)
    for noise, counts, color in zip(trace.noise[order], trace.distinct[order, ..., layer], colors):
        mean = counts.mean(axis=0)
        ax.fill_between(trace.steps, counts.min(axis=0), counts.max(axis=0), color=color, alpha=0.12, lw=0)
        ax.plot(trace.steps, mean, color=color, lw=2.4)
        words = power(round(np.log10(noise))) if noise else "none"
        place = (1 + counts.max()) / 2
        flat = mean.min() >= place or mean.max() < place
        x, y = (0.94 * trace.steps[-1], mean[-1]) if flat else (trace.steps[(mean >= place).argmax()], place)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
        ax.text(x, y, words, ha="center", va="center", bbox=box, **(FONT | {"color": color}))
    ax.set(xlim=(0, trace.steps[-1]), ylim=(0, 1.06 * trace.distinct[..., layer].max()))
    ax.set_title(f"Distinct neurons, {label}, for each size of noise", loc="left", **TITLE)
    ax.set_xlabel("training step", **FONT)
