"""One layer's fans: the weights of one choice, and what every choice does to the variance on the way forward and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from initviz.experiments import FAN_CHOICES
from initviz.plots._live import LiveFigure
from initviz.plots._panels import BLUE, FONT, GREY, INK, ORANGE, PAPER_COLOR, bare
from initviz.plots._scale import number

if TYPE_CHECKING:
    from initviz.experiments import LayerFactors

SIZE = (12.8, 4.6)
LIMIT = 512.0
TITLE = FONT | {"fontsize": 14}
BIG = FONT | {"fontsize": 13}


class FansFigure(LiveFigure):
    """The picture, persistent: `update` it with new numbers and take its `png`."""

    def __init__(self, dpi: int = 100) -> None:
        super().__init__(SIZE, dpi)
        self.weights = self.figure.add_axes((0.035, 0.17, 0.26, 0.66))
        self.factors = self.figure.add_axes((0.47, 0.17, 0.33, 0.66))
        bare(self.weights)
        bare(self.factors)
        self._draw_weights()
        self._draw_factors()
        text = self.figure.text
        text(0.47, 0.03, "● forward: outputs over inputs", va="bottom", **(BIG | {"color": BLUE}))
        text(0.70, 0.03, "■ backward: gradients", va="bottom", **(BIG | {"color": ORANGE}))
        text(0.875, 0.03, "| theory", va="bottom", **BIG)
        text(0.815, 0.89, "● forward", va="bottom", **(BIG | {"color": BLUE}))
        text(0.905, 0.89, "■ backward", va="bottom", **(BIG | {"color": ORANGE}))
        text(0.815, 0.845, "measured (theory)", va="bottom", **(FONT | {"color": GREY, "fontsize": 11}))

    def _draw_weights(self) -> None:
        ax = self.weights
        ax.set_facecolor(PAPER_COLOR)
        ax.set_yticks([])
        ax.set_xlabel("weight", labelpad=1, **FONT)
        self.steps = ax.stairs(np.zeros(40), np.linspace(-1, 1, 41), fill=True, color="#7FB3D5", ec=BLUE, lw=1.2)
        self.stds = [ax.axvline(0, color=INK, lw=1.8, ls=(0, (4, 2))) for _ in range(2)]
        self.bounds = [ax.axvline(0, color=ORANGE, lw=2.4) for _ in range(2)]

    def _draw_factors(self) -> None:
        ax, rows = self.factors, len(FAN_CHOICES)
        ax.set_facecolor(PAPER_COLOR)
        ax.set(xscale="log", xlim=(1 / LIMIT, LIMIT), ylim=(rows - 0.5, -0.5))
        ticks = [1 / 100, 1 / 10, 1, 10, 100]
        ax.set_xticks(ticks, ["1/100", "1/10", "1", "10", "100"], **BIG)
        ax.set_xticks([], minor=True)
        labels = [f"{choice.label}\n{choice.variance}" for choice in FAN_CHOICES.values()]
        ax.set_yticks(range(rows), labels, **BIG)
        ax.tick_params(length=0)
        ax.axvline(1, color="#009E73", lw=3, alpha=0.65)
        ax.set_title("Factor of the variance; the target is 1", loc="left", **TITLE)
        self.frame = Rectangle((1 / LIMIT, -0.5), LIMIT, 1, fc="#E6E6E6", ec="none", zorder=0)
        ax.add_patch(self.frame)
        self.places, self.lines, self.points, self.ticks, self.notes = [], [], [], [], []
        for color, marker, shift in ((BLUE, "o", -0.17), (ORANGE, "s", 0.17)):
            y = np.arange(rows) + shift
            self.places.append(y)
            self.lines.append(ax.hlines(y, 1, 1, color=color, lw=2.5, alpha=0.8))
            self.ticks.append(ax.plot(np.ones(rows), y, "|", color=INK, ms=15, mew=2)[0])
            self.points.append(ax.plot(np.ones(rows), y, marker, color=color, ms=9)[0])
        for row in range(rows):
            height = 0.83 - 0.66 * (row + 0.5) / rows
            self.notes.append(
                [self.figure.text(x, height, "", va="center", **(FONT | {"fontsize": 12})) for x in (0.813, 0.907)]
            )

    def update(self, factors: Sequence[LayerFactors], choice: str) -> None:
        """Show what `layer_factors` measured, and the weights of `choice`, a key of FAN_CHOICES."""
        names = [one.choice for one in factors]
        chosen = factors[names.index(choice)]
        self.steps.set_data(chosen.hist, chosen.edges)
        reach = 1.08 * max(abs(chosen.edges[0]), chosen.edges[-1])
        self.weights.set(xlim=(-reach, reach), ylim=(0, 1.15 * chosen.hist.max()))
        for sign, std, bound in zip((-1, 1), self.stds, self.bounds):
            std.set_xdata([sign * chosen.std] * 2)
            bound.set_xdata([sign * (chosen.bound or 0)] * 2)
            bound.set_visible(chosen.bound is not None)
        size = 3 * chosen.std if chosen.bound is None else chosen.bound
        self.weights.set_xticks([-size, 0, size], [number(float(f"{v:.2g}")) for v in (-size, 0, size)], **BIG)
        self.weights.set_title(_weight_words(chosen), loc="left", **TITLE)
        self.frame.set_xy((1 / LIMIT, names.index(choice) - 0.5))
        for i, way in enumerate(("forward", "backward")):
            measured = np.array([getattr(one, way) for one in factors])
            theory = np.array([getattr(one, f"{way}_theory") for one in factors])
            self.points[i].set_xdata(np.clip(measured, 1 / LIMIT, LIMIT))
            self.ticks[i].set_xdata(np.clip(theory, 1 / LIMIT, LIMIT))
            self.lines[i].set_segments([[(1, row), (value, row)] for row, value in zip(self.places[i], measured)])
            for notes, value, expected in zip(self.notes, measured, theory):
                notes[i].set_text(f"{_short(value)} ({_short(expected)})")


def fans(factors: Sequence[LayerFactors], choice: str = "xavier") -> Figure:
    """The picture as a matplotlib Figure. Arguments as `FansFigure.update`."""
    picture = FansFigure()
    picture.update(factors, choice)
    return picture.figure


def _weight_words(one: LayerFactors) -> str:
    words = f"{FAN_CHOICES[one.choice].label}: std {one.std:.3g} (dashed)"
    return words if one.bound is None else f"{words}, bound {one.bound:.3g}"


def _short(value: float) -> str:
    digits = 0 if value >= 99.5 else 1 if value >= 9.95 else 2 if value >= 0.0095 else 3
    return f"{value:.{digits}f}"
