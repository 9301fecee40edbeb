"""How a signal flows: activations by layer, gradients by layer, and the spread of both beside the theory's, under a verdict.

The figure is made once. An update moves its artists over a saved background, which is drawn anew only when an axis changes.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from cachetools import LRUCache
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from initviz.plots.panels import GREY, INK, DensityPanel, Panel, SpreadPanel, StripPanel
from initviz.plots.png import encode
from initviz.report import QUANTITIES, Report
from initviz.verdict import KINDS

if TYPE_CHECKING:
    from initviz.theory import Prediction
    from initviz.verdict import Verdict

SYMBOLS = {
    "stable": "✔", "vanishing": "▼", "exploding": "▲", "saturated": "▬", "dead": "✖", "symmetric": "≡", "non-finite": "∞",
}  # fmt: skip
SIZE = (12.8, 5.6)
"""Inches; at 100 dots an inch a picture for a laptop, and sharp at twice that."""


class FlowFigure:
    """The picture, persistent: `update` it with new numbers and take its `png`.

    Attributes:
        figure: the matplotlib Figure, not known to pyplot.
    """

    def __init__(self, dpi: int = 100) -> None:
        self.figure = Figure(figsize=SIZE, dpi=dpi, facecolor="white")
        self._canvas = FigureCanvasAgg(self.figure)
        left, width, gap = 0.088, 0.212, 0.125
        starts = [left, left + width + gap, left + 2 * (width + gap) - 0.005]
        add = self.figure.add_axes
        self.forward = DensityPanel(add((starts[0], 0.335, width, 0.43)), "Blues")
        self.backward = DensityPanel(add((starts[1], 0.335, width, 0.43)), "Oranges")
        self.forward_strip = StripPanel(add((starts[0], 0.155, width, 0.15)), ["zeros", "saturated", "nonfinite"])
        self.backward_strip = StripPanel(add((starts[1], 0.155, width, 0.10)), ["zeros", "nonfinite"])
        self.spread = SpreadPanel(add((starts[2], 0.335, width + 0.025, 0.43)))
        text = self.figure.text
        self.headline = text(0.012, 0.965, "", fontsize=14, fontweight="bold", va="top")
        self.reason = text(0.012, 0.965, "", fontsize=12.5, color=INK, va="top", linespacing=1.25)
        self.caption = text(0.012, 0.02, "", fontsize=11, color=GREY, va="bottom")
        self._panels: list[Panel] = [self.forward, self.backward, self.forward_strip, self.backward_strip, self.spread]
        self._artists = [artist for panel in self._panels for artist in panel.artists]
        self._artists += [self.headline, self.reason, self.caption]
        self._still: list[tuple | None] = [None] * len(self._panels)
        self._canvas.draw()
        self._pixels = np.asarray(self._canvas.buffer_rgba())  # the canvas's own memory
        self._background = np.full_like(self._pixels, 255)
        self._store: LRUCache = LRUCache(24)  # backgrounds of panels, some 0.4 MB each
        middle = 0.32 * SIZE[1] * dpi
        self._regions = [self._region(panel.ax, middle) for panel in self._panels]

    def _region(self, ax: Axes, middle: float) -> tuple[slice, slice]:
        """The pixels that belong to a panel: its third of the width, above or below the strips' upper edge."""
        height, width, _ = self._pixels.shape
        columns = [0, *(round(f * width) for f in (1 / 3 + 0.015, 2 / 3 + 0.03)), width]
        number = next(i for i in range(3) if columns[i] <= ax.bbox.x0 < columns[i + 1])
        split = round(height - middle)
        rows = slice(0, height) if number == 2 else slice(0, split) if ax.bbox.y0 >= middle else slice(split, height)
        return rows, slice(columns[number], columns[number + 1])

    def update(
        self,
        report: Report,
        prediction: Prediction | None = None,
        verdict: Verdict | None = None,
        *,
        title: str = "",
        pinned: tuple[Report, str] | None = None,
        forward: str = "activation",
        backward: str = "preactivation_gradient",
    ) -> None:
        """Show a report.

        Args:
            report: from `initviz.probe`.
            prediction: from `initviz.predict`, drawn as dashed lines with their band.
            verdict: from `initviz.verdict`, the sentence above.
            title: a line below the picture, such as the settings.
            pinned: an earlier report and its title, drawn in grey behind this one.
            forward, backward: which of `QUANTITIES` the left and the middle panel show.
        """
        shown = [list(report.stats(q)) for q in (forward, backward)]
        ghosts = [list(pinned[0].stats(q)) if pinned else None for q in (forward, backward)]
        count = max(len(shown[0]), len(ghosts[0] or []))
        words = [QUANTITIES[q] for q in (forward, backward)]
        self.forward.update(shown[0], words[0].capitalize(), ghosts[0])
        self.backward.update(shown[1], words[1].capitalize(), ghosts[1])
        self.forward_strip.update(shown[0], count)
        self.backward_strip.update(shown[1], count)
        bands = [getattr(prediction, q, None) for q in (forward, backward)]
        self.spread.update(shown, bands, ghosts, [words[0], words[1].replace("gradients of ", "gradients, ")])
        self._say(verdict)
        self.caption.set_text(title + (f"      pinned (grey, dashed): {pinned[1]}" if pinned else ""))

    def png(self) -> bytes:
        """The picture as a PNG."""
        self.draw()
        return encode(np.asarray(self._canvas.buffer_rgba())[..., :3])

    def draw(self) -> None:
        """Bring the canvas up to date: the background, and over it what moves."""
        for number, panel in enumerate(self._panels):
            if panel.still != self._still[number]:
                self._still[number] = panel.still
                panel.set_limits()
                self._renew_background(number)
        self._pixels[...] = self._background
        for artist in self._artists:
            self.figure.draw_artist(artist)

    def decorate(self) -> None:
        """Set limits, ticks and words of all panels, for a figure that matplotlib draws by itself."""
        for panel in self._panels:
            panel.set_limits()
            panel.decorate()

    def _renew_background(self, number: int) -> None:
        """Put a panel's ticks and words into the background, from the store or, if they are new, drawn."""
        panel, key = self._panels[number], (number, self._panels[number].still)
        rows, columns = self._regions[number]
        if key not in self._store:
            panel.decorate()
            self._pixels[rows, columns] = 255
            for artist in panel.artists:
                artist.set_animated(True)  # left out while the axes are drawn
            panel.ax.draw(self._canvas.get_renderer())
            for artist in panel.artists:
                artist.set_animated(False)
            self._store[key] = self._pixels[rows, columns].copy()
        self._background[rows, columns] = self._store[key]

    def _say(self, verdict: Verdict | None) -> None:
        if verdict is None:
            self.headline.set_text("")
            self.reason.set_text("")
            return
        word = f"{SYMBOLS[verdict.kind]} {verdict.kind.upper()}"
        self.headline.set_text(word)
        self.headline.set_color(KINDS[verdict.kind])
        self.reason.set_x(0.03 + 0.0125 * len(word))
        width = 128 - len(word)
        lines = textwrap.wrap(verdict.why, width) + textwrap.wrap(verdict.remedy, width)
        self.reason.set_text("\n".join(lines[:4]))


def flow(
    report: Report,
    prediction: Prediction | None = None,
    verdict: Verdict | None = None,
    *,
    title: str = "",
    pinned: tuple[Report, str] | None = None,
    forward: str = "activation",
    backward: str = "preactivation_gradient",
) -> Figure:
    """The picture as a matplotlib Figure, for a notebook, a slide or a paper. Arguments as `FlowFigure.update`."""
    picture = FlowFigure()
    picture.update(report, prediction, verdict, title=title, pinned=pinned, forward=forward, backward=backward)
    picture.decorate()
    return picture.figure
