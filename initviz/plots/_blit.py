"""Fast ways to put the parts of a live picture into a canvas's pixels, several times as fast as drawing them anew.

A canvas is an array of shape (height, width, 4), uint8, its first row on top, as `FigureCanvasAgg.buffer_rgba` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from cachetools import LRUCache
from matplotlib.artist import Artist
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text


def paint(canvas: np.ndarray, image: AxesImage) -> None:
    """Draw an image of solid colours (uint8, RGBA) with sharp cells: each pixel has the colour of the cell that its middle is in."""
    cells = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    (x0, y0), (x1, y1) = image.axes.transData.transform([(left, bottom), (right, top)])
    if image.origin == "upper":
        y0, y1 = y1, y0  # the first row is the one at `top`
    box = image.axes.bbox
    columns, across = _inside(x0, x1, box.x0, box.x1, cells.shape[1])
    rows, up = _inside(y0, y1, box.y0, box.y1, cells.shape[0])
    colors = np.ascontiguousarray(cells).view(np.uint32)[..., 0]  # a pixel's four bytes as one number
    ground = canvas.view(np.uint32)[..., 0]
    ground[len(ground) - rows.stop : len(ground) - rows.start, columns] = colors[up[::-1]][:, across]


def _inside(start: float, end: float, low: float, high: float, count: int) -> tuple[slice, np.ndarray]:
    """Pixels between start and end that are also between low and high, and which of `count` equal cells each is in."""
    low, high = max(low, min(start, end)), min(high, max(start, end))
    pixels = slice(math.ceil(low - 0.5), math.floor(high - 0.5) + 1)
    cells = ((np.arange(pixels.start, pixels.stop) + 0.5 - start) / (end - start) * count).astype(int)
    return pixels, np.clip(cells, 0, count - 1)


class Stamps:
    """Words on a white ground, drawn once and then stamped: a region of the canvas for each text, and a store of what it looked like."""

    def __init__(self, regions: dict[Text, tuple[slice, slice]]) -> None:
        self._regions = regions
        self._store: LRUCache = LRUCache(300)  # some 10 kB each

    def stamp(self, canvas: np.ndarray, text: Artist, draw: Callable[[Artist], None]) -> None:
        """Put `text` in its region. `draw` draws an artist on the canvas."""
        assert isinstance(text, Text)
        region, key = self._regions[text], (text, text.get_text())
        if key not in self._store:
            draw(text)
            self._store[key] = canvas[region].copy()
        canvas[region] = self._store[key]

    def __contains__(self, artist: Artist) -> bool:
        return artist in self._regions


def empty(artist: Artist) -> bool:
    """Whether there is nothing to draw: a line without points, a text without letters."""
    if isinstance(artist, Line2D):
        return np.size(artist.get_xdata()) == 0
    return isinstance(artist, Text) and not artist.get_text()
