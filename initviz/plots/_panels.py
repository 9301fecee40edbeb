"""Colours and sizes of the pictures that matplotlib alone draws."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from initviz.plots._palette import color

BLUE, ORANGE, GREY, INK, PAPER_COLOR = (color(role) for role in ("blue", "orange", "grey", "ink", "paper"))
GREEN, PURPLE, OLIVE, GRID = (color(role) for role in ("target", "purple", "olive", "grid"))
FONT: dict[str, Any] = {"fontsize": 14, "color": INK}
TITLE, SMALL = FONT | {"fontsize": 16}, FONT | {"fontsize": 13}
"""Sizes for the last row of a lecture hall: at 100 dots an inch the smallest letters are a 70th of the picture's width."""
SIGNS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "*": "★"}
"""A marker -> the same as a letter, for words about a line."""


def bare(ax: Axes) -> None:
    """A ground of paper without a frame."""
    ax.set_facecolor(PAPER_COLOR)
    for spine in ax.spines.values():
        spine.set_visible(False)
