"""What every live picture is made of: one persistent figure whose artists are moved, and its PNG."""

from __future__ import annotations

import numpy as np
from cachetools import LRUCache
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from initviz.plots._panels import Panel
from initviz.plots._png import encode


class LiveFigure:
    """A picture that is made once. A subclass makes its axes and defines `update`, which moves its artists to new numbers.

    Attributes:
        figure: the matplotlib Figure, not known to pyplot.
    """

    def __init__(self, size: tuple[float, float], dpi: int = 100) -> None:
        self.figure = Figure(figsize=size, dpi=dpi, facecolor="white")
        self._canvas = FigureCanvasAgg(self.figure)

    def draw(self) -> None:
        """Bring the canvas up to date."""
        self._canvas.draw()

    def spare(self) -> tuple[float, float]:
        """Shares of the height, above and below, that a PNG can do without: room for words when there are none."""
        return 0.0, 0.0

    def png(self) -> bytes:
        """The picture as a PNG."""
        self.draw()
        pixels = np.asarray(self._canvas.buffer_rgba())
        top, bottom = (round(share * len(pixels)) for share in self.spare())
        return encode(pixels[top : len(pixels) - bottom])


class PanelFigure(LiveFigure):
    """A live picture of panels, drawn by itself: over a background that is drawn anew only where a panel's axes change."""

    _panels: list[Panel]
    _artists: list[Artist]

    def finish(self, others: list[Artist], stored: int) -> None:
        """Call once the panels are there.

        Args:
            others: artists that move and are in no panel.
            stored: how many backgrounds of panels are kept, 0.2 to 1 MB each.
        """
        self._artists = [artist for panel in self._panels for artist in panel.artists] + others
        self._still: list[tuple | None] = [None] * len(self._panels)
        self._canvas.draw()
        self._pixels = np.asarray(self._canvas.buffer_rgba())  # the canvas's own memory
        self._background = np.full_like(self._pixels, 255)
        self._store: LRUCache = LRUCache(stored)

    def region(self, number: int) -> tuple[slice, slice]:
        """Rows and columns of the pixels that belong to a panel."""
        raise NotImplementedError

    def draw_artist(self, artist: Artist) -> None:
        """Draw on the canvas what moves."""
        self.figure.draw_artist(artist)

    def draw(self) -> None:
        """Bring the canvas up to date: the background, and over it what moves."""
        for number, panel in enumerate(self._panels):
            if panel.still != self._still[number]:
                self._still[number] = panel.still
                panel.set_limits()
                self._renew_background(number)
        self._pixels[...] = self._background
        for artist in self._artists:
            self.draw_artist(artist)

    def _renew_background(self, number: int) -> None:
        """Put a panel's ticks and words into the background, from the store or, if they are new, drawn."""
        panel, region = self._panels[number], self.region(number)
        key = number, panel.still
        if key not in self._store:
            panel.decorate()
            self._pixels[region] = 255
            for artist in panel.artists:
                artist.set_animated(True)  # left out while the axes are drawn
            panel.ax.draw(self._canvas.get_renderer())
            for artist in panel.artists:
                artist.set_animated(False)
            self._store[key] = self._pixels[region].copy()
        self._background[region] = self._store[key]
