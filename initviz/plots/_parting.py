"""How neurons part: their largest difference and the number of distinct ones against step, and the step of parting against noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initviz.plots._panels import BLUE, FONT, GREY, GRID, INK, ORANGE, PAPER_COLOR, TITLE, bare
from initviz.plots._scale import power

if TYPE_CHECKING:
    from initviz.experiments import SymmetryTrace

KINDS = [(BLUE, "o", "-"), (ORANGE, "s", (0, (4, 2))), (GREY, "^", (0, (1, 1)))]

BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}


def parting(traces: Mapping[str, SymmetryTrace], layer: int = 0) -> Figure:
    """Three panels, means over seeds: the largest difference between two neurons by step and the number of distinct neurons by step,
    a line a size of noise (of the first trace; the band is the range over seeds); and the step of parting by noise (all traces;
    bars are standard deviations over seeds; a size of noise at which some seed never parts is left out).

    Args:
        traces: label -> a `SymmetryTrace` over several sizes of noise.
        layer: the hidden layer, from 0.
    """
    figure = Figure(figsize=(12.8, 5.0), dpi=100, facecolor="white", layout="constrained")
    axes = figure.subplots(1, 3)
    for ax in axes:
        bare(ax)
        ax.set_facecolor(PAPER_COLOR)
        ax.grid(color=GRID, lw=0.8)
        ax.tick_params(labelsize=FONT["fontsize"], labelcolor=INK, length=0)
    label, trace = next(iter(traces.items()))
    colors = colormaps["viridis"](np.linspace(0.72, 0, len(trace.noise)))[np.argsort(np.argsort(trace.noise))]
    _differences(axes[0], trace, layer, colors)
    _counts(axes[1], trace, layer, colors)
    for ax, words in zip(axes, ("Largest difference", "Distinct neurons")):
        ax.set_title(f"{words}, {label}", loc="left", **TITLE)
        ax.set_xlabel("training step", **FONT)
        ax.set_xlim(0, trace.steps[-1])
    _steps(axes[2], traces, layer)
    return figure


def _differences(ax: Axes, trace: SymmetryTrace, layer: int, colors: np.ndarray) -> None:
    for noise, gaps, color in zip(trace.noise, trace.gap[..., layer], colors):
        with np.errstate(divide="ignore"):
            logs = np.where(gaps > 0, np.log10(gaps), np.nan)
        known = np.isfinite(logs).all(axis=0)
        ax.plot(trace.steps[known], logs[:, known].mean(axis=0), color=color, lw=2.4)
        if known.any():
            first = int(known.argmax())
            x = trace.steps[first] + 0.07 * trace.steps[-1]
            y = np.interp(x, trace.steps[known], logs[:, known].mean(axis=0))
            ax.text(x, y, _words(noise), ha="center", va="center", bbox=BOX, **(FONT | {"color": color}))
    ax.axhline(-1, color=INK, lw=1.4, ls=(0, (2, 2)))
    ax.text(0.98, -1.2, "10 % apart", ha="right", va="top", transform=ax.get_yaxis_transform(), **FONT)
    low = int(np.floor(ax.get_ylim()[0]))
    ticks = [e for e in range(low, 1) if e % 4 == 0]
    ax.set_yticks(ticks, [power(e) for e in ticks], **FONT)
    ax.set_ylim(low, 1)


def _counts(ax: Axes, trace: SymmetryTrace, layer: int, colors: np.ndarray) -> None:
    for row, (noise, counts, color) in enumerate(zip(trace.noise, trace.distinct[..., layer], colors)):
        mean = counts.mean(axis=0)
        ax.fill_between(trace.steps, counts.min(axis=0), counts.max(axis=0), color=color, alpha=0.12, lw=0)
        ax.plot(trace.steps, mean, color=color, lw=2.4)
        place = (1 + counts.max()) * (0.5 if row % 2 else 0.65)  # neighbours' words at two heights
        flat = mean.min() >= place or mean.max() < place
        x, y = (0.9 * trace.steps[-1], mean[-1]) if flat else (trace.steps[(mean >= place).argmax()], place)
        ax.text(x, y, _words(noise), ha="center", va="center", bbox=BOX, **(FONT | {"color": color}))
    ax.set_ylim(0, 1.06 * trace.distinct[..., layer].max())


def _steps(ax: Axes, traces: Mapping[str, SymmetryTrace], layer: int) -> None:
    powers: list[int] = []  # where there is a point
    for (label, trace), (color, marker, ls) in zip(traces.items(), KINDS):
        parted = trace.parted[..., layer]
        shown = (trace.noise > 0) & np.isfinite(parted).all(axis=1)
        spread = parted[shown].std(axis=1, ddof=1) if parted.shape[1] > 1 else None
        ax.errorbar(
            np.log10(trace.noise[shown]), parted[shown].mean(axis=1), spread, color=color, marker=marker, ls=ls, ms=8, lw=2,
            capsize=5, label=label,
        )  # fmt: skip
        powers += [round(np.log10(noise)) for noise in trace.noise[shown]]
    low, high = min(powers, default=0), max(powers, default=0)
    exponents = range(low, high + 1, 1 if high - low < 4 else 2)
    ax.set_xticks(exponents, [power(e) for e in exponents], **FONT)
    ax.set_ylim(bottom=0)
    ax.set_title("Step at which neurons part", loc="left", **TITLE)
    ax.set_xlabel("noise, as a share of the weight", **FONT)
    ax.legend(frameon=False, fontsize=14)


def _words(noise: float) -> str:
    return power(round(np.log10(noise))) if noise else "none"
