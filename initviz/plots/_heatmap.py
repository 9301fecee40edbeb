"""Schemes by activations as a heat map: a number in every cell, the recommended scheme framed, the measured best starred."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from initviz.initializers import ACTIVATIONS, SCHEMES
from initviz.plots._live import LiveFigure
from initviz.plots._panels import FONT, INK, bare

if TYPE_CHECKING:
    from initviz.experiments import Map

SIZE = (12.8, 6.4)
LEGEND = "★ measured best        ☐ recommended"


class HeatMapFigure(LiveFigure):
    """The picture, persistent: `update` it with another `Map` of the same rows and columns and take its `png`."""

    def __init__(self, rows: int, columns: int, dpi: int = 100) -> None:
        super().__init__(SIZE, dpi)
        self.ax = ax = self.figure.add_axes((0.17, 0.04, 0.82, 0.74))
        bare(ax)
        self.image = ax.imshow(np.zeros((rows, columns, 4)), aspect="auto", interpolation="nearest")
        self.words = [
            [ax.text(c, r, "", ha="center", va="center", fontsize=13) for c in range(columns)] for r in range(rows)
        ]
        self.frames = [Rectangle((c - 0.46, -0.5), 0.92, 0.86, fill=False, lw=2.6, ec=INK) for c in range(columns)]
        for frame in self.frames:
            ax.add_patch(frame)
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        ax.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", lw=3)
        ax.tick_params(which="minor", length=0)
        self.title = self.figure.text(0.012, 0.965, "", fontsize=16, fontweight="bold", va="top", color=INK)
        self.legend = self.figure.text(0.99, 0.962, LEGEND, fontsize=13, va="top", ha="right", color=INK)

    def update(self, data: Map) -> None:
        """Show `data`."""
        accuracy = data.quantity == "accuracy"
        if accuracy:
            colors = colormaps["YlGnBu"](np.nan_to_num(data.mean) / 125)
        else:  # blue where it vanishes, orange where it explodes, white where the scale is kept
            colors = colormaps["RdBu_r"](0.5 + np.clip(np.nan_to_num(data.mean, nan=0.0), -6, 6) / 15)
        colors[np.isnan(data.mean)] = (0.8, 0.8, 0.8, 1)
        self.image.set_data(colors)
        light = colors[..., :3] @ [0.299, 0.587, 0.114] > 0.55
        for r, row in enumerate(self.words):
            for c, text in enumerate(row):
                text.set_text(("★ " if data.best[r, c] else "") + _cell(data.mean[r, c], accuracy))
                text.set_color(INK if light[r, c] else "white")
                text.set_fontweight("bold" if data.best[r, c] else "normal")
        for c, frame in enumerate(self.frames):
            at = np.flatnonzero(data.recommended[:, c])
            frame.set_visible(len(at) > 0)
            if len(at):
                frame.set_y(at[0] - 0.43)
        self.ax.set_xticks(
            range(len(data.activations)),
            [ACTIVATIONS[a].label for a in data.activations],
            **(FONT | {"fontsize": 12.5}),
        )
        self.ax.set_yticks(
            range(len(data.schemes)), [SCHEMES[s].label for s in data.schemes], **(FONT | {"fontsize": 12.5})
        )
        from_to = {
            "accuracy": "Test accuracy after training (%)",
            "forward": "Activations: last layer over first, powers of ten (0: scale kept)",
            "backward": "Gradients: first layer over last, powers of ten (0: scale kept)",
        }
        self.title.set_text(f"{from_to[data.quantity]}, {data.depth} layers")


def heat_map(data: Map) -> Figure:
    """A `Map` (from `initviz.experiments.heat_map`) as a matplotlib Figure."""
    picture = HeatMapFigure(len(data.schemes), len(data.activations))
    picture.update(data)
    return picture.figure


def _cell(value: float, accuracy: bool) -> str:
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "0" if value < 0 else "∞"  # nothing is left, or more than a number can hold
    return f"{value:.0f}" if accuracy else f"{value:+.1f}".replace("-", "−")
