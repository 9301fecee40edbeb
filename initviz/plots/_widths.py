"""One std at many widths: the spread by layer of each width beside the theory's, and where each lies on the map of (width, std)."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from initviz.plots._live import LiveFigure
from initviz.plots._panels import FONT, INK, PAPER_COLOR, SMALL, TITLE, bare
from initviz.plots._scale import log10, log_limits, power

if TYPE_CHECKING:
    from initviz.experiments import FactorCurve, WidthSpread

SIZE = (12.8, 5.4)
WORDS = {"activation": "Activations (rms) by layer", "preactivation_gradient": "Gradients (rms) by layer"}
STDS = np.geomspace(1e-3, 1, 121)
LIMIT = 2.0
"""Factors from 1/4 to 4 a layer are told apart: powers of two."""
MARKERS = "osD^vPX*"


class WidthsFigure(LiveFigure):
    """The picture, persistent: `update` it with new numbers and take its `png`."""

    def __init__(self, dpi: int = 100) -> None:
        super().__init__(SIZE, dpi)
        self.spread = self.figure.add_axes((0.06, 0.17, 0.36, 0.64))
        self.map = self.figure.add_axes((0.61, 0.17, 0.27, 0.64))
        bar = self.figure.add_axes((0.9, 0.17, 0.018, 0.64))
        for ax in (self.spread, self.map, bar):
            bare(ax)
            ax.tick_params(length=0, labelsize=FONT["fontsize"], labelcolor=INK)
        self.spread.set_facecolor(PAPER_COLOR)
        self.spread.grid(axis="y", color="#D8D8D8", lw=0.8)
        self.spread.set_axisbelow(True)
        self.spread.set_xlabel("layer", labelpad=1, **FONT)
        self.map.set_title("Factor a layer", loc="left", **TITLE)
        self.map.set_xlabel("width", labelpad=1, **FONT)
        self.map.set_ylabel("std of a weight", labelpad=0, **FONT)
        blank = np.zeros((2, 2))
        self.image = self.map.imshow(
            blank, origin="lower", aspect="auto", cmap="PuOr_r", vmin=-LIMIT, vmax=LIMIT, interpolation="bilinear"
        )
        self.edge = self.map.plot([], [], color=INK, lw=2, ls=(0, (4, 2)))[0]
        self.path = self.map.plot([], [], color=INK, lw=1.2)[0]
        ticks = np.arange(-2, 3)
        self.figure.colorbar(self.image, cax=bar, ticks=ticks).outline.set_visible(False)
        bar.set_yticks(ticks, ["≤ ¼", "½", "1", "2", "≥ 4"], **FONT)
        self.chosen = self.map.plot([], [], "o", ms=20, mfc="none", mec=INK, mew=2.2)[0]
        self.lines: list = []
        self.headline = self.figure.text(0.012, 0.975, "", fontsize=15, va="top", color=INK)
        words = "● measured   - - theory   shaded: its 95 % band at the ringed width"
        self.figure.text(0.06, 0.03, words, va="bottom", **SMALL)
        self.figure.text(0.61, 0.03, "- - factor 1: the scale is kept", va="bottom", **SMALL)

    def update(self, spread: WidthSpread, curve: FactorCurve, chosen_at: int, title: str = "") -> None:
        """Show a spread, and its networks on the map.

        Args:
            spread: from `initviz.experiments.width_spread`; up to eight widths.
            curve: from `initviz.experiments.factor_curve`.
            chosen_at: the width at which the std was chosen; ringed.
            title: a line above the picture.
        """
        for artist in self.lines:
            artist.remove()
        self.lines = []
        depth = spread.measured.shape[1]
        layers = np.arange(1, depth + 1)
        colors = colormaps["viridis"](np.linspace(0.78, 0, len(spread.widths)))
        low, high = log_limits(np.concatenate([spread.measured.ravel(), spread.theory.ravel(), [1.0]]))
        ends = []
        for row, (width, color, marker) in enumerate(zip(spread.widths, colors, MARKERS)):
            strong = width == chosen_at
            measured, theory = log10(spread.measured[row]), log10(spread.theory[row])
            if strong:
                band = log10(spread.low[row]), log10(spread.high[row])
                self.lines.append(self.spread.fill_between(layers, *band, color=color, alpha=0.2, lw=0))
            style = {"color": color, "marker": marker, "ms": 9 if strong else 6.5, "ls": "none", "zorder": 3}
            self.lines += self.spread.plot(layers, measured, **style)
            self.lines += self.spread.plot(layers, theory, color=color, lw=2.6 if strong else 1.6, ls=(0, (3, 1.5)))
            self.lines += self.map.plot([np.log2(width)], [np.log10(spread.std[row])], **(style | {"mec": "white"}))
            last = 0 if spread.way == "preactivation_gradient" else -1
            ends.append((measured[last], f"{width}", color, strong))
        self._label(ends, low, high, right=spread.way == "activation", depth=depth)
        self.spread.set(xlim=(0.5, depth + 0.5), ylim=(low - 0.02 * (high - low), high + 0.02 * (high - low)))
        step = next(s for s in (1, 2, 5, 10, 20, 50) if (high - low) / s <= 6)
        ticks = [t for t in range(low, high + 1) if t % step == 0]
        self.spread.yaxis.set_ticks_position(
            "left" if spread.way == "activation" else "right"
        )  # the widths are on the other side
        self.spread.set_yticks(ticks, [power(t) for t in ticks], **FONT)
        every = 1 if depth <= 8 else 2 if depth <= 16 else 5
        self.spread.set_xticks(layers[::every], layers[::every], **FONT)
        self.spread.set_title(WORDS[spread.way], loc="left", **TITLE)
        self._draw_map(spread, curve, chosen_at)
        self.headline.set_text(textwrap.fill(title, 105))

    def _label(self, ends: list, low: int, high: int, right: bool, depth: int) -> None:
        """The widths beside the ends of their lines, moved apart so that they can be read."""
        ends = sorted(((v if np.isfinite(v) else low, *rest) for v, *rest in ends), key=lambda end: end[0])
        values = np.clip([end[0] for end in ends], low, high)
        places, apart = values.copy(), 0.062 * (high - low)
        for row in range(1, len(places)):
            places[row] = max(places[row], places[row - 1] + apart)
        places -= max((places - values).mean(), places[-1] - high)
        for (_, words, color, strong), place in zip(ends, places):
            x = depth + 0.7 if right else 0.35
            text = self.spread.text(
                x, place, words, ha="left" if right else "right", va="center", clip_on=False,
                **(FONT | {"color": color, "fontweight": "bold" if strong else "normal"}),
            )  # fmt: skip
            self.lines.append(text)

    def _draw_map(self, spread: WidthSpread, curve: FactorCurve, chosen_at: int) -> None:
        left, right = np.log2(spread.widths[0]) - 0.4, np.log2(spread.widths[-1]) + 0.4
        widths = 2 ** np.linspace(left, right, 60)
        factors = curve.at(STDS[:, None], widths[None, :])
        self.image.set_data(np.clip(np.log2(factors), -LIMIT, LIMIT))
        self.image.set_extent((left, right, np.log10(STDS[0]), np.log10(STDS[-1])))
        self.edge.set_data(*_edge(curve, widths))
        self.path.set_data(np.log2(spread.widths), np.log10(np.maximum(spread.std, STDS[0] / 10)))
        row = int(np.argmin(np.abs(spread.widths - chosen_at)))
        self.chosen.set_data([np.log2(spread.widths[row])], [np.log10(spread.std[row])])
        self.map.set(xlim=(left, right), ylim=(np.log10(STDS[0]), np.log10(STDS[-1])))
        self.map.set_xticks(np.log2(spread.widths), [str(w) for w in spread.widths], rotation=0, **SMALL)
        self.map.set_yticks([-3, -2, -1, 0], ["0.001", "0.01", "0.1", "1"], **FONT)


def widths(spread: WidthSpread, curve: FactorCurve, chosen_at: int, title: str = "") -> Figure:
    """The picture as a matplotlib Figure. Arguments as `WidthsFigure.update`."""
    picture = WidthsFigure()
    picture.update(spread, curve, chosen_at, title)
    return picture.figure


def _edge(curve: FactorCurve, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the factor passes 1, as a line over the map; a curve that stays below 1, or comes as near as a hundredth, has it there."""
    above = np.flatnonzero(curve.factor >= 0.99)
    if not len(above):
        return np.array([]), np.array([])
    return np.log2(widths), np.log10(curve.sigma_w[above[0]] / np.sqrt(widths))
