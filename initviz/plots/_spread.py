"""The third panel of the flow picture: how large each layer's values and gradients are, beside what theory says."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D

from initviz.plots._panels import BLUE, FONT, GREY, INK, ORANGE, SMALL, TITLE, Layers, bare, layer_axis, layer_limits
from initviz.plots._scale import layer_limit, log10, log_limits, power

FAR = 60
"""Powers of ten to which an axis follows the theory; it follows what was measured without end."""


class SpreadPanel:
    """Root mean squares by layer on a log axis: hollow points measured, dashed lines and bands predicted.

    A log axis has no place for 0 and for what is not finite: such layers are marked in lanes below and above the others.
    """

    LANE = 0.065
    """Height of a lane in parts of the axis; forward and backward have one each."""

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        bare(ax)
        self.points, self.lines, self.ghosts, self.bands = [], [], [], []
        self.zeros: list[Line2D] = []
        self.infinite: list[Line2D] = []
        lanes = ax.get_xaxis_transform()
        for color, dark, marker in ((BLUE, "#00263D", "o"), (ORANGE, "#401800", "s")):
            self.bands.append(PolyCollection([], facecolor=color, alpha=0.2, lw=0))
            ax.add_collection(self.bands[-1], autolim=False)
            self.ghosts.append(ax.plot([], [], color=GREY, marker=marker, ms=3.5, lw=1.2, alpha=0.7)[0])
            self.points.append(ax.plot([], [], color=color, marker=marker, mfc="white", ls="none")[0])
            self.lines.append(ax.plot([], [], color=dark, lw=2.2, ls=(0, (2.5, 1.2)))[0])
            for marks, sign in ((self.zeros, "v"), (self.infinite, "^")):
                marks.append(ax.plot([], [], color=color, marker=sign, ms=9, mew=0, ls="none", transform=lanes)[0])
        self.artists = [*self.bands, *self.ghosts, *self.points, *self.lines, *self.zeros, *self.infinite]
        self.still: tuple = ()

    def update(
        self, measured: list[Layers], bands: list, pinned: list[Layers | None], words: list[str], output: int = 0
    ) -> None:
        """`measured`, `bands` and `pinned` hold the forward and the backward quantity; a band has mid, low and high, or is None."""
        rms = [_rms(layers) for layers in measured]
        ghosts = [_rms(layers or []) for layers in pinned]
        theory = [np.array([]) if band is None else band.mid for band in bands]
        least, most = log_limits(np.concatenate([*rms, *ghosts]))
        low, high = log_limits(np.concatenate([*rms, *ghosts, *theory]))
        low, high = max(low, min(least, -FAR)), min(high, max(most, FAR))
        count = max(len(rms[0]), len(ghosts[0]))
        for i in range(2):
            layers = np.arange(1, len(rms[i]) + 1)
            self.points[i].set_data(layers, log10(rms[i]))
            self.points[i].set(
                markersize=6.5 if count <= 36 else 5 if count <= 64 else 3, mew=1.8 if count <= 36 else 1.4
            )
            self.ghosts[i].set_data(np.arange(1, len(ghosts[i]) + 1), log10(ghosts[i]))
            nothing = np.array([s is not None and s.zeros == 1 for s in measured[i]], dtype=bool)
            broken = np.array([s is not None and s.nonfinite > 0 for s in measured[i]], dtype=bool)
            for marks, where, place in (
                (self.zeros[i], nothing, (1.5 - i) * self.LANE),
                (self.infinite[i], broken, 1 - (0.5 + i) * self.LANE),
            ):
                marks.set_data(layers[where], np.full(where.sum(), place))
            self._move_band(i, bands[i], low - 1, high + 1)
        some_zero, some_broken = (any(np.size(m.get_xdata()) for m in marks) for marks in (self.zeros, self.infinite))
        theory_shown, ghost_shown = any(band is not None for band in bands), pinned[0] is not None
        key = *words, theory_shown, ghost_shown, some_zero, some_broken
        self.still = (layer_limit(count), output, low, high, key)

    def _move_band(self, i: int, band, low: float, high: float) -> None:
        if band is None:
            self.lines[i].set_data([], [])
            self.bands[i].set_verts([])
            return
        layers = np.arange(1, len(band.mid) + 1)
        self.lines[i].set_data(layers, log10(band.mid))
        known = np.isfinite(band.mid) & (band.mid > 0)
        bottom = np.clip(log10(np.maximum(band.low[known], 1e-300)), low, high)
        top = np.clip(log10(band.high[known]), low, high)
        x = layers[known]
        self.bands[i].set_verts([np.column_stack([np.r_[x, x[::-1]], np.r_[bottom, top[::-1]]])] if len(x) else [])

    def set_limits(self) -> None:
        count, _, low, high, (*_, some_zero, some_broken) = self.still
        span = (high - low) / (1 - 2 * self.LANE * (some_zero + some_broken) - 0.05)
        below, above = ((0.025 + 2 * self.LANE * lanes) * span for lanes in (some_zero, some_broken))
        self.ax.set(xlim=layer_limits(count), ylim=(low - below, high + above))

    def decorate(self) -> None:
        count, output, low, high, (forward, backward, theory, pinned, some_zero, some_broken) = self.still
        self.ax.set_title("Spread (rms) by layer", loc="left", **TITLE)
        step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if (high - low) / s <= 6)
        ticks = [t for t in range(low, high + 1) if t % step == 0]
        self.ax.set_yticks(ticks, [power(t) for t in ticks], **FONT)
        self.ax.grid(axis="y", color="#D8D8D8", lw=0.8)
        self.ax.set_axisbelow(True)
        layer_axis(self.ax, count, output, labels=True)
        key = [(f"○ {forward}", BLUE), (f"□ {backward}", ORANGE)]
        also = ["– – theory, 95 % band"] * theory + ["grey: pinned"] * pinned
        marks = ["▼ exactly 0"] * some_zero + ["▲ NaN or inf"] * some_broken
        key += [("   ".join(words), INK) for words in (also, marks) if words]
        for row, (words, color) in enumerate(key):
            self.ax.annotate(
                words, (0, 0), (-44, -27 - 17.2 * row), xycoords="axes fraction", textcoords="offset points", va="top",
                gid="still", **(SMALL | {"color": color}),
            )  # fmt: skip


def _rms(layers: Layers) -> np.ndarray:
    return np.array([math.nan if s is None else s.rms for s in layers], dtype=float)
