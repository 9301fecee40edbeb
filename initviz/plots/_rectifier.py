"""A deep leaky ReLU network: what each half of the function passes on, and second moments by layer in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initviz.plots._live import LiveFigure
from initviz.plots._panels import BLUE, FONT, GREY, INK, ORANGE, PAPER_COLOR, bare
from initviz.plots._scale import log10, log_limits, power

if TYPE_CHECKING:
    from initviz.experiments import RectifierRun

SIZE = (12.8, 4.8)
TITLE = FONT | {"fontsize": 14}
BIG = FONT | {"fontsize": 13}
Z = np.linspace(-3.2, 3.2, 129)


class RectifierFigure(LiveFigure):
    """The picture, persistent: `update` it with new numbers and take its `png`."""

    def __init__(self, dpi: int = 100) -> None:
        super().__init__(SIZE, dpi)
        add = self.figure.add_axes
        self.function = add((0.03, 0.42, 0.24, 0.46))
        self.ways = [add((0.365, 0.19, 0.27, 0.62)), add((0.715, 0.19, 0.27, 0.62))]
        for ax in (self.function, *self.ways):
            bare(ax)
            ax.set_facecolor(PAPER_COLOR)
            ax.tick_params(length=0)
        self._draw_function()
        self.points, self.lines, self.bands, self.factors = [], [], [], []
        for ax, color, marker, title in zip(
            self.ways, (BLUE, ORANGE), "os", ("Forward: E[h²] by layer", "Backward: E[(dL/dh)²] by layer")
        ):
            ax.set_title(title, loc="left", pad=26, **TITLE)
            self.bands.append(ax.fill_between([], [], [], color=color, alpha=0.16, lw=0))
            self.points.append(ax.plot([], [], marker, color=color, ms=6)[0])
            self.lines.append(ax.plot([], [], color=INK, lw=2, ls=(0, (3, 1.5)))[0])
            self.factors.append(ax.text(0, 1.025, "", transform=ax.transAxes, va="bottom", **(BIG | {"color": color})))
        self.figure.text(
            0.365, 0.02, "● ■ measured    - - theory, with the band of a single draw (95 %)", va="bottom", **BIG
        )

    def _draw_function(self) -> None:
        ax = self.function
        ax.set(xlim=(Z[0], Z[-1]), ylim=(-3.2, 3.2), xticks=[0], yticks=[])
        ax.set_xticklabels(["z = 0"], **BIG)
        ax.axhline(0, color=GREY, lw=0.8)
        ax.axvline(0, color=GREY, lw=0.8)
        density = 2.2 * np.exp(-Z * Z / 2)
        for part, color in ((Z <= 0, ORANGE), (Z >= 0, BLUE)):
            ax.fill_between(Z[part], -3.2, density[part] - 3.2, color=color, alpha=0.22, lw=0)
        self.negative = ax.plot([], [], color=ORANGE, lw=4)[0]
        self.positive = ax.plot(Z[Z >= 0], Z[Z >= 0], color=BLUE, lw=4)[0]
        text, x = self.figure.text, 0.03
        text(x, 0.30, "of E[z²] it passes", va="center", **BIG)
        text(x, 0.235, "0.500 on the positive side", va="center", **(BIG | {"color": BLUE}))
        self.share = text(x, 0.17, "", va="center", **(BIG | {"color": ORANGE}))
        self.sum = text(x, 0.105, "", va="center", **(BIG | {"fontweight": "bold"}))

    def update(self, run: RectifierRun) -> None:
        """Show a `RectifierRun`."""
        a = run.slope
        self.function.set_title(f"φ with slope a = {a:.2g} below 0", loc="left", **TITLE)
        self.negative.set_data(Z[Z <= 0], a * Z[Z <= 0])
        self.share.set_text(f"{a**2 / 2:.3f} on the negative, a²/2")
        self.sum.set_text(f"{(1 + a**2) / 2:.3f} in all; measured {run.passed:.3f}")
        rows = [
            (run.forward, run.forward_theory, run.forward_band, run.forward_factors),
            (run.backward, run.backward_theory, run.backward_band, run.backward_factors),
        ]
        for i, (measured, theory, band, factors) in enumerate(rows):
            layers = np.arange(1, len(measured) + 1)
            self.points[i].set_data(layers, log10(measured))
            self.lines[i].set_data(layers, log10(theory))
            self.bands[i].set_data(layers, log10(band[0]), log10(band[1]))
            self.factors[i].set_text(f"×{factors[0]:.3g} a layer (theory ×{factors[1]:.3g})")
            _limits(self.ways[i], np.concatenate([measured, theory]), len(measured))


def rectifier(run: RectifierRun) -> Figure:
    """The picture as a matplotlib Figure."""
    picture = RectifierFigure()
    picture.update(run)
    return picture.figure


def _limits(ax: Axes, values: np.ndarray, count: int) -> None:
    low, high = log_limits(values)
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if (high - low) / s <= 6)
    ticks = [t for t in range(low, high + 1) if t % step == 0]
    ax.set(xlim=(0.5, count + 0.5), ylim=(low, high))
    ax.set_yticks(ticks, [power(t) for t in ticks], **BIG)
    ax.grid(axis="y", color="#D8D8D8", lw=0.8)
    ax.set_axisbelow(True)
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if count / s <= 6)
    ax.set_xticks(numbers := [1, *range(step if step > 1 else 2, count + 1, step)], numbers, **BIG)
    ax.set_xlabel("layer", labelpad=1, **BIG)
