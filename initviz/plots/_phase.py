"""The plane of sigma_w and sigma_b: ordered and chaotic, the edge between them, and how many layers a gradient reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from initviz.initializers import ACTIVATIONS
from initviz.plots._live import LiveFigure
from initviz.plots._panels import FONT, INK, bare

if TYPE_CHECKING:
    from initviz.theory import Phase

SIZE = (6.4, 5.6)
LEVELS = (3, 10, 30, 100)
"""Depth scales, in layers, that are drawn as lines."""


class PhaseFigure(LiveFigure):
    """The picture, persistent: `update` it with another `Phase`, or move its point, and take its `png`."""

    def __init__(self, dpi: int = 100) -> None:
        super().__init__(SIZE, dpi)
        self.ax = ax = self.figure.add_axes((0.13, 0.13, 0.84, 0.76))
        bare(ax)
        self.image = ax.imshow(np.zeros((2, 2, 4)), aspect="auto", origin="lower", interpolation="nearest")
        (self.edge,) = ax.plot([], [], color=INK, lw=3)
        (self.point,) = ax.plot([], [], "o", ms=13, mfc="white", mec=INK, mew=2.5, clip_on=False)
        self._levels: ContourSet | None = None
        self._phase: Phase | None = None
        self.words = [self._corner(0.03, "ordered:\ngradients vanish", "left")]
        self.words += [self._corner(0.97, "chaotic:\ngradients explode", "right")]

    def _corner(self, x: float, words: str, side: str):
        paper = {"facecolor": "white", "alpha": 0.75, "lw": 0}
        font = FONT | {"fontsize": 14}
        return self.ax.text(x, 0.95, words, transform=self.ax.transAxes, va="top", ha=side, bbox=paper, **font)

    def update(self, phase: Phase, point: tuple[float, float] | None = None) -> None:
        """Show a diagram with a network's (sigma_w, sigma_b) as a point on it."""
        if phase is not self._phase:
            self._phase = phase
            self._draw_plane(phase)
        self.point.set_data([point[0]] if point else [], [point[1]] if point else [])

    def _draw_plane(self, phase: Phase) -> None:
        with np.errstate(divide="ignore"):
            log = np.clip(np.log10(phase.chi), -0.6, 0.6)
        self.image.set_data(colormaps["RdBu_r"](0.5 + log / 1.6))
        w, b = phase.sigma_w, phase.sigma_b
        extent = (w[0], w[-1], b[0], b[-1])
        self.image.set_extent(extent)
        self.ax.set(xlim=extent[:2], ylim=extent[2:])
        order = np.argsort(phase.edge_b)
        self.edge.set_data(phase.edge_w[order], phase.edge_b[order])
        if self._levels is not None:
            self._levels.remove()
        depth = np.minimum(np.where(np.isfinite(phase.depth_scale), phase.depth_scale, 1e9), 1e9)
        self._levels = self.ax.contour(
            w, b, np.log10(np.maximum(depth, 1e-9)), np.log10(LEVELS), colors=INK, linewidths=0.9, alpha=0.6
        )
        for text in self.ax.texts:
            if text not in self.words:
                text.remove()
        self.ax.clabel(self._levels, fmt=lambda v: f"{10**v:.0f}", fontsize=11)
        self.ax.tick_params(labelsize=12)
        self.ax.set_xlabel(r"$\sigma_w$", **(FONT | {"fontsize": 15}))
        self.ax.set_ylabel(r"$\sigma_b$", **(FONT | {"fontsize": 15}))
        label = ACTIVATIONS[phase.activation].label if phase.activation in ACTIVATIONS else phase.activation
        self.ax.set_title(
            f"{label}: edge of chaos (thick), depth scale in layers (thin)", loc="left", **(FONT | {"fontsize": 13})
        )


def phase(data: Phase, point: tuple[float, float] | None = None) -> Figure:
    """A `Phase` (from `initviz.phase_diagram`) as a matplotlib Figure, with a point if there is one."""
    picture = PhaseFigure()
    picture.update(data, point)
    return picture.figure
