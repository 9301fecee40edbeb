"""How a signal flows: activations by layer, gradients by layer, and the spread of both beside the theory's, under a verdict.

The figure is made once. An update moves its artists over a saved background, which is drawn anew only when an axis changes.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text

from initviz.diagnosis import KINDS
from initviz.inspection import QUANTITIES, Report
from initviz.plots._blit import Stamps, empty, paint
from initviz.plots._live import PanelFigure
from initviz.plots._panels import GREY, INK, DensityPanel, StripPanel
from initviz.plots._spread import SpreadPanel

if TYPE_CHECKING:
    from initviz.diagnosis import Verdict
    from initviz.theory import Prediction

SYMBOLS = {
    "stable": "✔", "vanishing": "▼", "exploding": "▲", "saturated": "▬", "dead": "✖", "symmetric": "≡", "non-finite": "∞",
}  # fmt: skip
WIDTH, HEIGHT = 1280, 564
"""Pixels at 100 dots an inch. What follows is measured in them too, from the left and from the bottom."""
HEADER, FOOTER = 100, 28
"""Heights of the words above the panels and of the line below them."""
LINE = 134
"""Characters of the caption that fit beside each other; a longer one is smaller."""
PANEL = 280
"""Width of a panel. On its left are 94 for labels, on its right 76 for shares."""
LEFTS = (100, 100 + PANEL + 170, WIDTH - PANEL - 20)
BASE, ROW, STRIPS, FLOOR, TALL = FOOTER + 34, 27, 3, 158, 272
"""Lower edge and row height of the strips, their number; lower edge and height of the panels above."""


class FlowFigure(PanelFigure):
    """The picture, persistent: `update` it with new numbers and take its `png`."""

    def __init__(self, dpi: int = 100) -> None:
        super().__init__((WIDTH / 100, HEIGHT / 100), dpi)
        self.forward = DensityPanel(self._axes(LEFTS[0], FLOOR, TALL), "Blues")
        self.backward = DensityPanel(self._axes(LEFTS[1], FLOOR, TALL), "Oranges")
        self.forward_strip = StripPanel(self._axes(LEFTS[0], BASE, 3 * ROW), ["zeros", "saturated", "nonfinite"])
        self.backward_strip = StripPanel(self._axes(LEFTS[1], BASE, 2 * ROW), ["zeros", "nonfinite"])
        self.spread = SpreadPanel(self._axes(LEFTS[2], FLOOR, TALL))
        text = self.figure.text
        top = 1 - 12 / HEIGHT
        self.headline = text(12 / WIDTH, top, "", fontsize=19, fontweight="bold", va="top")
        self.reason = text(12 / WIDTH, top - 2 / HEIGHT, "", fontsize=13, color=INK, va="top", linespacing=1.25)
        self.caption = text(12 / WIDTH, 8 / HEIGHT, "", fontsize=13, color=GREY, va="bottom")
        self._panels = [self.forward, self.backward, self.forward_strip, self.backward_strip, self.spread]
        self.finish([self.headline, self.reason, self.caption], stored=24)
        self._regions = [self._region(panel.ax) for panel in self._panels]
        strips = self.forward_strip, self.backward_strip
        self._stamps = Stamps({note: region for strip in strips for note, region in self._beside(strip)})

    def _axes(self, left: float, bottom: float, height: float) -> Axes:
        return self.figure.add_axes((left / WIDTH, bottom / HEIGHT, PANEL / WIDTH, height / HEIGHT))

    def _region(self, ax: Axes) -> tuple[slice, slice]:
        """The pixels that belong to a panel: its third of the width, above or below the strips' upper edge."""
        height, width, _ = self._pixels.shape
        edges = [0, *(round((left - 94) / WIDTH * width) for left in LEFTS[1:]), width]
        number = next(i for i in range(3) if edges[i] <= ax.bbox.x0 < edges[i + 1])
        split = round(height * (1 - (FLOOR - 8) / HEIGHT))
        below = ax.bbox.y0 < height - split
        rows = slice(0, height) if number == 2 else slice(split, height) if below else slice(0, split)
        return rows, slice(edges[number], edges[number + 1])

    def region(self, number: int) -> tuple[slice, slice]:
        return self._regions[number]

    def _beside(self, strip: StripPanel) -> Iterator[tuple[Text, tuple[slice, slice]]]:
        """Each note of a strip with the pixels right of its row."""
        height, width, _ = self._pixels.shape
        box = strip.ax.bbox
        edges = [round(height - y) for y in np.linspace(box.y1, box.y0, len(strip.notes) + 1)]
        columns = slice(math.ceil(box.x1), round(box.x1 + 76 / WIDTH * width))
        for note, top, bottom in zip(strip.notes, edges, edges[1:]):
            yield note, (slice(top, bottom), columns)

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
            pinned: an earlier report and its title: dashed lines at 5 % and 95 % of its values, its rms in grey.
            forward, backward: which of `QUANTITIES` the left and the middle panel show.
        """
        shown = [list(report.stats(q)) for q in (forward, backward)]
        ghosts = [list(pinned[0].stats(q)) if pinned else None for q in (forward, backward)]
        count = max(len(shown[0]), len(ghosts[0] or []))
        words = [QUANTITIES[q] for q in (forward, backward)]
        output = output_layer(report)
        self.forward.update(shown[0], words[0].capitalize(), ghosts[0], output)
        self.backward.update(shown[1], words[1].capitalize(), ghosts[1], output)
        self.forward_strip.update(shown[0], count, output)
        self.backward_strip.update(shown[1], count, output)
        bands = [getattr(prediction, q, None) for q in (forward, backward)]
        self.spread.update(shown, bands, ghosts, [words[0], words[1]], output)
        self._say(verdict)
        ghost = [f"pinned (dashed: its 5 % and 95 %, right: grey): {pinned[1]}"] if pinned else []
        caption = "      ".join([*[title] * bool(title), *ghost])
        self.caption.set(text=caption, fontsize=13 * min(1, LINE / max(1, len(caption))))

    def spare(self) -> tuple[float, float]:
        words = self.headline.get_text() + self.reason.get_text(), self.caption.get_text()
        above, below = (0 if text else cut / HEIGHT for text, cut in zip(words, (HEADER, FOOTER)))
        return above, below

    def draw_artist(self, artist: Artist) -> None:
        if isinstance(artist, AxesImage):
            paint(self._pixels, artist)
        elif artist in self._stamps:
            self._stamps.stamp(self._pixels, artist, self.figure.draw_artist)
        elif not empty(artist):
            self.figure.draw_artist(artist)

    def decorate(self) -> None:
        """Set limits, ticks and words of all panels, for a figure that matplotlib draws by itself."""
        for panel in self._panels:
            panel.set_limits()
            panel.decorate()

    def _say(self, verdict: Verdict | None) -> None:
        if verdict is None:
            self.headline.set_text("")
            self.reason.set_text("")
            return
        self.headline.set_text(f"{SYMBOLS[verdict.kind]} {verdict.kind.upper()}")
        self.headline.set_color(KINDS[verdict.kind])
        end = self.headline.get_window_extent(self._canvas.get_renderer()).x1 / self.figure.bbox.width
        self.reason.set_x(end + 18 / WIDTH)
        letters = round(
            (1 - self.reason.get_position()[0]) * WIDTH / 8.7
        )  # a letter of prose is 8.4 wide on the average
        lines = textwrap.wrap(verdict.why, letters) + textwrap.wrap(verdict.remedy, letters)
        self.reason.set_text("\n".join(lines[:4]))


def output_layer(report: Report) -> int:
    """Number of the last reached layer if others have an activation and it has none; else 0."""
    layers = report.reached
    has = [layer.activation_name is not None for layer in layers]
    return len(layers) if any(has) and not has[-1] else 0


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
