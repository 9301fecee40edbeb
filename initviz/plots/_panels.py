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

from initviz._core.statistics import TensorStats
from initviz.plots._scale import Scale, layer_limit, symmetric_scale

BLUE, ORANGE, GREY, INK = "#0072B2", "#C04A00", "#6E6E6E", "#222222"
PAPER, PAPER_COLOR = 247, "#F7F7F7"
FONT: dict[str, Any] = {"fontsize": 14, "color": INK}
TITLE, SMALL = FONT | {"fontsize": 16}, FONT | {"fontsize": 13}
"""Sizes for the last row of a lecture hall: at 100 dots an inch the smallest letters are a 70th of the picture's width."""
SIGNS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "*": "★"}
"""A marker -> the same as a letter, for words about a line."""
ROWS = 160
"""Cells of a density column."""

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
        self._lut[0, :3] = PAPER
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
        drawn = [column for column, stats in enumerate(layers) if stats is not None and stats.hist.any()]
        if drawn:
            density[:, drawn] = _masses([layers[column] for column in drawn], edges, centred=self.scale.threshold > 0)
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
            lut[0, :3] = PAPER
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


def _masses(layers: list, edges: np.ndarray, centred: bool) -> np.ndarray:
    """`TensorStats.mass` of layers with as many cells each, all at once: shape (len(edges) - 1, len(layers)).

    On a log axis, `centred`, the cell that holds 0 is enlarged, and its inside is not known: all is moved, by at most half a cell, so
    that it lies evenly on both sides of 0 and shows no lean that the values do not have.
    """
    low, high = (np.array([getattr(s, end) for s in layers])[:, None] for end in ("min", "max"))
    cells = np.stack([s.hist for s in layers])
    count = cells.shape[1]
    width = np.where(high > low, high - low, 1) / count
    places = (edges - low) / width
    if centred:
        places += np.where((low < 0) & (high > 0), np.floor(-low / width) + 0.5 + low / width, 0)
    below = np.pad(np.cumsum(cells, axis=1), ((0, 0), (1, 0)))
    cell = np.clip(np.floor(places), 0, count - 1).astype(int)
    share = np.clip(places - cell, 0, 1)
    masses = np.diff(np.take_along_axis(below, cell, 1) + share * np.take_along_axis(cells, cell, 1), axis=1)
    for row in np.flatnonzero(low == high):
        masses[row] = layers[row].mass(edges)
    return masses.T


def _quantile(stats: TensorStats, share: float) -> float:
    return float(np.interp(share, np.concatenate([[0], np.cumsum(stats.hist)]), stats.edges))


def _share_words(shares: np.ndarray) -> str:
    """The largest of the shares, with a sign that says whether others are smaller."""
    low, high = shares.min(initial=1), shares.max(initial=0)
    thin = "\N{THIN SPACE}"
    words = [f"{100 * v:.0f}{thin}%" if v >= 0.01 or v == 0 else f"<{thin}1{thin}%" for v in (low, high)]
    return words[1] if words[0] == words[1] or high < 0.01 else f"≤{thin}{words[1]}"


def _nothing_words(layers: Layers) -> str:
    """What to write where there is no histogram to draw."""
    known = [s for s in layers if s is not None]
    if any(s.hist.any() for s in known):
        return ""
    if not known:
        return "not measured"
    return "all exactly 0" if all(s.zeros == 1 for s in known) else "no finite value other than 0"
