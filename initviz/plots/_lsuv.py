"""LSUV step by step: a bar a layer, its output's variance at the start and now, over the histograms of all outputs."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from initviz._core.statistics import TensorStats
from initviz.plots._live import LiveFigure
from initviz.plots._panels import BLUE, FONT, GREY, INK, ORANGE, PAPER, SMALL, TITLE, bare
from initviz.plots._scale import log10, power

if TYPE_CHECKING:
    from initviz.experiments import LsuvStep

SIZE = (12.8, 6.2)
GREEN = "#009E73"
LAST, DONE, WAITING = ORANGE, BLUE, "#B8B8B8"
"""Colours of the bars: the layer done in this step, those done before, those still to come."""
NUMBERS = 16
"""Up to so many layers have their variance written above them."""
LIMIT, ROWS = 4, 128
"""The histograms' axis goes from -LIMIT to LIMIT, in ROWS cells: four standard deviations of what LSUV aims at."""
HEADER = 0.075
"""Share of the height that the words above take."""


class LsuvFigure(LiveFigure):
    """The picture, persistent: `update` it with a step, and take its `png`."""

    def __init__(self, dpi: int = 100) -> None:
        super().__init__(SIZE, dpi)
        add = self.figure.add_axes
        self.bars = add((0.075, 0.545, 0.91, 0.335))
        self.start = _Columns(add((0.075, 0.075, 0.425, 0.305)), "Greys", "Histograms of the outputs at the start")
        self.now = _Columns(add((0.56, 0.075, 0.425, 0.305)), "Blues", "... and now")
        bare(self.bars)
        self.bars.set_title("Variance of each layer's output, before the activation", loc="left", **TITLE)
        self.band = self.bars.axhspan(0, 1, color=GREEN, alpha=0.22, lw=0)
        self.one = self.bars.axhline(0, color=GREEN, lw=2)
        self.before = PolyCollection([], facecolor="none", edgecolor=INK, lw=1.3, ls=(0, (2, 1.2)))
        self.after = PolyCollection([], lw=0)
        for bars in (self.after, self.before):
            self.bars.add_collection(bars, autolim=False)
        self.samples = self.bars.plot([], [], color=INK, marker="D", mfc="white", mew=1.6, ms=6.5, ls="none")[0]
        self.unseen = self.bars.plot([], [], color=INK, marker="x", mew=1.8, ms=8, ls="none")[0]
        self.numbers = [
            self.bars.text(0, 0, "", ha="center", va="bottom", **(SMALL | {"fontweight": "bold"}))
            for _ in range(NUMBERS)
        ]
        x = 0.075
        for words, color, width in (
            ("■ done in this step", LAST, 0.155), ("■ done", BLUE, 0.07), ("■ to come", GREY, 0.095), ("▯ at the start", INK, 0.12),
            ("◇ between samples alone", INK, 0.205), ("✕ on test samples", INK, 0.16),
        ):  # fmt: skip
            self.figure.text(x, 0.447, words, **(SMALL | {"color": color}))
            x += width
        self.key = self.figure.text(x, 0.447, "", **(SMALL | {"color": GREEN}))
        self.headline = self.figure.text(0.012, 0.985, "", va="top", linespacing=1.2, **FONT)

    def update(self, step: LsuvStep, title: str = "") -> None:
        """Show a step.

        Args:
            step: from `initviz.experiments.lsuv_step`.
            title: a line above the picture.
        """
        before = np.array([layer.variance_before for layer in step.start.layers])
        after = np.array([layer.variance_after for layer in step.now.layers])
        count, tol = len(after), step.settings.tol
        over_samples = np.array([layer.over_samples for layer in step.now.layers])
        low, high = _limits(np.concatenate([before, after, step.unseen, over_samples]))
        layers = np.arange(1, count + 1)
        top = log10(after)
        self.before.set_verts(_boxes(layers, low, log10(before), 0.42))
        self.after.set_verts(_boxes(layers, low, top, 0.3))
        self.after.set_facecolor(
            [DONE if n < step.step else LAST if n == step.step else WAITING for n in layers[np.isfinite(top)]]
        )
        self.samples.set_data(layers - 0.15, log10(over_samples))
        self.unseen.set_data(layers + 0.15, log10(step.unseen))
        for number, text in enumerate(self.numbers):
            shown = count <= NUMBERS and number < count
            text.set_visible(shown)
            if shown:
                text.set_text(_words(after[number]))
                highest = max(v for v in (top[number], log10(before)[number], 0.0) if np.isfinite(v))
                text.set_position((number + 1, highest + 0.03 * (high - low)))
        bottom, ceiling = math.log10(max(1 - tol, 10.0**low)), math.log10(1 + tol)
        self.band.set(y=bottom, height=ceiling - bottom)
        self.key.set_text(f"▬ 1 ± {tol:g}")
        every = max(1, (high - low) // 4)
        ticks = [t for t in range(low, high + 1) if t % every == 0]
        self.bars.set_yticks(ticks, [power(t) for t in ticks], **FONT)
        self.bars.set(xlim=(0.4, count + 0.6), ylim=(low, high + 0.16 * (high - low)))
        self.start.update([layer.after for layer in step.start.layers])
        self.now.update([layer.after for layer in step.now.layers])
        _layer_ticks(self.bars, count, 20)
        self.headline.set_text(textwrap.fill(title, 125))

    def spare(self) -> tuple[float, float]:
        return 0 if self.headline.get_text() else HEADER, 0


class _Columns:
    """Histograms side by side on one axis, a column a layer, each as dark as it is likely; what lies beyond is at its ends."""

    def __init__(self, ax: Axes, colors: str, title: str) -> None:
        self.ax = ax
        bare(ax)
        self._lut = (colormaps[colors](np.linspace(0, 1, 256)) * 255).astype(np.uint8)
        self._lut[0] = PAPER
        blank = np.full((ROWS, 1, 4), PAPER, np.uint8)
        self.image = ax.imshow(blank, aspect="auto", origin="lower", interpolation="nearest")
        ax.set_title(title, loc="left", **TITLE)
        ax.set_yticks([-LIMIT, 0, LIMIT], [f"≤ −{LIMIT}", "0", f"≥ {LIMIT}"], **FONT)

    def update(self, layers: list[TensorStats | None]) -> None:
        edges = np.concatenate([[-np.inf], np.linspace(-LIMIT, LIMIT, ROWS + 1), [np.inf]])
        density = np.zeros((ROWS, len(layers)))
        for column, stats in enumerate(layers):
            if stats is not None and stats.hist.any():
                mass = stats.mass(edges)
                density[:, column] = mass[1:-1]
                density[[0, -1], column] += mass[[0, -1]]
        peak = density.max(axis=0)
        shade = np.divide(density, peak, out=np.zeros_like(density), where=peak > 0) ** 0.6
        self.image.set_data(self._lut[(shade * 255).astype(np.uint8)])
        self.image.set_extent((0.5, len(layers) + 0.5, -LIMIT, LIMIT))
        self.ax.set(xlim=(0.5, len(layers) + 0.5), ylim=(-LIMIT, LIMIT))
        _layer_ticks(self.ax, len(layers), 12)


def lsuv(step: LsuvStep, title: str = "") -> Figure:
    """The picture as a matplotlib Figure. Arguments as `LsuvFigure.update`."""
    picture = LsuvFigure()
    picture.update(step, title)
    return picture.figure


def _limits(variances: np.ndarray) -> tuple[int, int]:
    """Whole powers of ten below and above the positive ones, 1 well within."""
    logs = log10(variances[np.isfinite(variances)])
    logs = np.append(logs[np.isfinite(logs)], 0.0)
    return math.floor(min(logs.min(), -0.5)), max(math.ceil(logs.max() - 0.02), 0) + (logs.max() < 0.1)


def _layer_ticks(ax: Axes, count: int, most: int) -> None:
    """Numbers of at most so many layers; the last is the output's."""
    every = next(s for s in (1, 2, 5, 10, 20, 50) if count / s <= most)
    ticks = [n for n in range(1, count) if (n == 1 or n % every == 0) and count - n >= 0.6 * every]
    ax.set_xticks([*ticks, count], [*map(str, ticks), "out"], **FONT)
    ax.tick_params(axis="x", length=0)


def _boxes(places: np.ndarray, low: float, tops: np.ndarray, half: float) -> list[np.ndarray]:
    """A bar for each finite top, from `low` up."""
    return [
        np.array([(x - half, low), (x - half, top), (x + half, top), (x + half, low)])
        for x, top in zip(places, tops)
        if np.isfinite(top)
    ]


def _words(variance: float) -> str:
    if variance == 0 or not math.isfinite(variance):
        return "0" if variance == 0 else "inf"
    if variance < 0.01:
        return power(round(math.log10(variance)))
    return (
        f"{variance:.2f}"
        if variance < 10
        else f"{variance:.0f}"
        if variance < 1000
        else power(round(math.log10(variance)))
    )
