"""What the neurons of a first layer look for: each one's weights as a small image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from initviz.plots._figure import Axis, Bars, Block, Figure, Heat, Panel
from initviz.plots._matplotlib import painted
from initviz.plots._palette import RAMPS

RAMP = "purple to orange"
LOW, HIGH = ("|".join(stops.split()[end] for stops in RAMPS[RAMP]) for end in (0, -1))
"""The ramp's ends on a white page and on a dark one."""
TOP, BOTTOM, HEIGHT = 64, 400, 460


def filters_figure(groups: Mapping[str, np.ndarray], columns: int = 4) -> Figure:
    """The weights of each neuron as a square image, the groups side by side. White is 0, orange positive, purple negative; each group
    has a colour scale of its own, below it.

    Args:
        groups: title -> weights of shape (neurons, pixels), the pixels of a square image in rows.
        columns: images in a row.
    Raises:
        ValueError: the number of pixels is no square.
    """
    wide = 1280 / len(groups)
    rows = max(-(-len(weights) // columns) for weights in groups.values())
    pitch = min((wide - 26) / columns, (BOTTOM - TOP + 6) / rows)
    blocks = []
    for number, (title, weights) in enumerate(groups.items()):
        side = round(weights.shape[1] ** 0.5)
        if side * side != weights.shape[1]:
            raise ValueError(f"groups: {title!r} has {weights.shape[1]} weights a neuron; it takes square images")
        limit = float(np.abs(weights).max()) or 1.0
        key = ((f"darkest: ■ −{limit:.2g}", LOW), ("□ 0", "ink"), (f"■ {limit:.2g}", HIGH))
        first, last = (wide - pitch * columns) / 2, (len(weights) - 1) // columns * columns
        panels = []
        for place, image in enumerate(weights):
            row, column = divmod(place, columns)
            left, top = first + pitch * column, TOP + pitch * row
            box: dict[str, Any] = {
                "left": left,
                "right": wide - left - pitch + 6,
                "top": top,
                "bottom": top + pitch - 6,
                "least": pitch - 6,
            }
            panels.append(
                Panel(
                    Axis(0, side), Axis(side, 0), _image(image.reshape(side, side), limit), title=title if place == 0 else "",
                    key=(key,) if place == last else (), key_top=12, **box,
                )
            )  # fmt: skip
        blocks.append(Block(wide * number, 0, wide, HEIGHT, tuple(panels)))
    return Figure(tuple(blocks), height=HEIGHT, label=f"Weights of each neuron as an image: {', '.join(groups)}")


filters = painted(filters_figure)


def _image(pixels: np.ndarray, limit: float) -> tuple[Heat, Bars]:
    side = float(len(pixels))
    frame = np.array([-np.inf]), np.array([np.inf]), np.array([-np.inf]), np.array([np.inf])
    return Heat((0, side), (0, side), pixels, RAMP, -limit, limit, name="weight"), Bars(*frame, ("faint",), hollow=True)
