"""The parts of the flow picture. Each draws its artists once and moves them at every update.

What moves is `artists`. What stands still (ticks, words) is named by `still`, a tuple: while it is the same, so is the background.
`set_limits` and `decorate` bring the axes in line with it.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D

from initviz.plots.scale import Scale, layer_limit, log_limits, power, symmetric_scale
from initviz.report import TensorStats

BLUE, ORANGE, GREY, INK = "#0072B2", "#C04A00", "#6E6E6E", "#222222"
PAPER, PAPER_COLOR = 247, "#F7F7F7"
FONT: dict[str, Any] = {"fontsize": 14, "color": INK}
TITLE, SMALL = FONT | {"fontsize": 16}, FONT | {"fontsize": 13}
"""Sizes for the last row of a lecture hall: at 100 dots an inch the smallest letters are a 70th of the picture's width."""
ROWS = 160
"""Cells of a density column."""

FAR = 60
"""Powers of ten to which an axis follows the theory; it follows what was measured without end."""

Layers = list[TensorStats | None]


class Panel(Protocol):
    """What the figure asks of a panel; each has an `update` of its own."""

    ax: Axes
    artists: list[Artist]
    still: tuple

    def set_limits(self) -> None: ...

    def decorate(self) -> None: ...


class DensityPanel:
    """Histograms side by side: a column a layer, each as dark as it is likely. Exact zeros are in the strip below."""

    def __init__(self, ax: Axes, colors: str) -> None:
        self.ax = ax
        bare(ax)
        self._lut = (colormaps[colors](np.linspace(0, 1, 256)) * 255).astype(np.uint8)
        self._lut[0] = PAPER
        blank = np.full((ROWS, 1, 4), PAPER, np.uint8)
        self.image = ax.imshow(blank, aspect="auto", origin="lower", interpolation="nearest", extent=(0.5, 1.5, -1, 1))
        self.ghosts = [ax.plot([], [], color=INK, lw=1.6, ls=(0, (4, 2)))[0] for _ in range(2)]
        self.note = ax.text(0.5, 0.5, "", transform=ax.transAxes, ha="center", va="center", **FONT)
        self.artists = [self.image, *self.ghosts, self.note]
        self.scale = Scale(1.0, 0.0)
        self.still: tuple = ()

    def update(self, layers: Layers, title: str, pinned: Layers | None, output: int = 0) -> None:
        """`output` is the number of the output layer, which the axis names; 0 if there is none."""
        self.scale = symmetric_scale([*layers, *(pinned or [])])
        edges = self.scale.value(np.linspace(self.scale.bottom, 1, ROWS + 1))
        density = np.zeros((ROWS, len(layers)))
        for column, stats in enumerate(layers):
            if stats is not None and stats.hist.any():
                density[:, column] = stats.mass(edges + _off_centre(stats) if self.scale.threshold else edges)
        peak = density.max(axis=0)
        shade = np.divide(density, peak, out=np.zeros_like(density), where=peak > 0) ** 0.6
        self.image.set_data(self._lut[(shade * 255).astype(np.uint8)])
        self.image.set_extent((0.5, len(layers) + 0.5, self.scale.bottom, 1))
        for line, share in zip(self.ghosts, (0.05, 0.95)):
            shown = [(i + 1, _quantile(s, share)) for i, s in enumerate(pinned or []) if s is not None and s.hist.any()]
            line.set_data([x for x, _ in shown], self.scale.place(np.array([v for _, v in shown])))
        count = max(len(layers), len(pinned or []))
        self.note.set_text(_nothing_words(layers))
        empty = bool(self.note.get_text()) and not any(line.get_xdata() for line in self.ghosts)
        self.still = (title, layer_limit(count), output, self.scale, empty)

    def set_limits(self) -> None:
        _, count, _, scale, _ = self.still
        self.ax.set(xlim=layer_limits(count), ylim=(scale.bottom, 1))

    def decorate(self) -> None:
        title, count, output, scale, empty = self.still
        self.ax.set_title(title, loc="left", **TITLE)
        self.ax.set_yticks(*(([], []) if empty else scale.ticks()), **FONT)
        layer_axis(self.ax, count, output, labels=False)


class StripPanel:
    """Shares by layer that a density cannot show: exact zeros, saturated, non-finite. A row each, white 0 % to dark 100 %."""

    WORDS = {
        "zeros": ("zeros", "Greys"),
        "saturated": ("saturated", "Purples"),
        "nonfinite": ("NaN, inf", "Reds"),
    }

    def __init__(self, ax: Axes, shares: list[str]) -> None:
        self.ax = ax
        bare(ax)
        self._shares = shares
        self._luts = [(colormaps[self.WORDS[s][1]](np.linspace(0, 1, 256)) * 255).astype(np.uint8) for s in shares]
        for lut in self._luts:
            lut[0] = PAPER
        blank = np.full((len(shares), 1, 4), PAPER, np.uint8)
        rows = len(shares)
        self.image = ax.imshow(blank, aspect="auto", interpolation="nearest", extent=(0.5, 1.5, rows, 0))
        self.notes = [
            ax.text(1.02, 1 - (row + 0.5) / rows, "", transform=ax.transAxes, va="center_baseline", **SMALL)
            for row in range(rows)
        ]
        self.artists = [self.image, *self.notes]
        self.still: tuple = ()

    def update(self, layers: Layers, count: int, output: int = 0) -> None:
        shares = np.array([[math.nan if s is None else getattr(s, name) for s in layers] for name in self._shares])
        cells = (np.nan_to_num(shares) * 255).astype(np.uint8)
        cells = np.maximum(cells, (shares > 0) * 20)  # a small share is still seen
        self.image.set_data(np.stack([lut[row] for lut, row in zip(self._luts, cells)]))
        self.image.set_extent((0.5, len(layers) + 0.5, len(self._shares), 0))
        for note, row in zip(self.notes, shares):
            note.set_text(_share_words(row[np.isfinite(row)]))
        self.still = (layer_limit(count), output)

    def set_limits(self) -> None:
        self.ax.set(xlim=layer_limits(self.still[0]), ylim=(len(self._shares), 0))

    def decorate(self) -> None:
        words = [self.WORDS[s][0] for s in self._shares]
        self.ax.set_yticks(np.arange(len(words)) + 0.5, words, **SMALL)
        self.ax.tick_params(axis="y", length=0)
        count, output = self.still
        layer_axis(self.ax, count, output, labels=True)


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
            self.points[i].set_data(layers, _log10(rms[i]))
            self.points[i].set(
                markersize=6.5 if count <= 36 else 5 if count <= 64 else 3, mew=1.8 if count <= 36 else 1.4
            )
            self.ghosts[i].set_data(np.arange(1, len(ghosts[i]) + 1), _log10(ghosts[i]))
            broken = np.array([s is not None and s.nonfinite > 0 for s in measured[i]], dtype=bool)
            for marks, where, place in (
                (self.zeros[i], rms[i] == 0, (1.5 - i) * self.LANE),
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
        self.lines[i].set_data(layers, _log10(band.mid))
        known = np.isfinite(band.mid) & (band.mid > 0)
        bottom = np.clip(_log10(np.maximum(band.low[known], 1e-300)), low, high)
        top = np.clip(_log10(band.high[known]), low, high)
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


def bare(ax: Axes) -> None:
    """Take away the frame, which the moving artists would paint over."""
    ax.set_facecolor(PAPER_COLOR)
    for spine in ax.spines.values():
        spine.set_visible(False)


def layer_limits(count: int) -> tuple[float, float]:
    """Ends of a layer axis, with room for a marker beyond the first and the last layer."""
    room = 0.5 + 0.02 * count
    return 1 - room, count + room


def layer_axis(ax: Axes, count: int, output: int, labels: bool) -> None:
    """Ticks of a horizontal axis over layers 1 to `count`; number `output` is called "out" (0: there is no such layer)."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if count / s <= 6)
    ticks = [1, *range(step if step > 2 else 1 + step, count + 1, step)]
    if output > 1:
        ticks = [t for t in ticks if t == 1 or abs(t - output) > 0.16 * count] + [output]
    ax.set_xticks(ticks, ["out" if t == output else str(t) for t in ticks] if labels else [], **FONT)
    for text in list(ax.texts):
        if text.get_gid() == "still":
            text.remove()
    if labels:
        ax.tick_params(axis="x", pad=6)
        ax.annotate(
            "layer", (0, 0), (-6, -10), xycoords="axes fraction", textcoords="offset points", ha="right", va="top", gid="still", **SMALL
        )  # fmt: skip


def _off_centre(stats: TensorStats) -> float:
    """The middle of the histogram's cell that holds 0. A log axis enlarges that cell, whose inside is not known: moved by this, at
    most half a cell, it lies evenly on both sides of 0 and shows no lean that the values do not have."""
    width = (stats.max - stats.min) / len(stats.hist)
    return stats.min + (math.floor(-stats.min / width) + 0.5) * width if stats.min < 0 < stats.max else 0.0


def _quantile(stats: TensorStats, share: float) -> float:
    return float(np.interp(share, np.concatenate([[0], np.cumsum(stats.hist)]), stats.edges))


def _rms(layers: Layers) -> np.ndarray:
    return np.array([math.nan if s is None else s.rms for s in layers], dtype=float)


def _log10(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    return np.log10(values, out=np.full_like(values, np.nan), where=values > 0)


def _share_words(shares: np.ndarray) -> str:
    """The largest of the shares, with a sign that says whether others are smaller."""
    low, high = shares.min(initial=1), shares.max(initial=0)
    if high == 0:
        return "0 %"
    words = [f"{100 * v:.0f} %" if v >= 0.01 or v == 0 else "< 1 %" for v in (low, high)]
    return words[1] if words[0] == words[1] or words[1][0] == "<" else f"≤ {words[1]}"


def _nothing_words(layers: Layers) -> str:
    """What to write where there is no histogram to draw."""
    known = [s for s in layers if s is not None]
    if any(s.hist.any() for s in known):
        return ""
    if not known:
        return "not measured"
    return "all exactly 0" if all(s.zeros == 1 for s in known) else "no finite value other than 0"
