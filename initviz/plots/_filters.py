"""What the neurons of a first layer look for: each one's weights as a small image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from initviz.plots._panels import FONT, TITLE


def filters(groups: Mapping[str, np.ndarray], columns: int = 4) -> Figure:
    """The weights of each neuron as a square image, the groups side by side. White is 0, orange positive, purple negative; each group
    has a colour scale of its own, below it.

    Args:
        groups: title -> weights of shape (neurons, pixels), the pixels of a square image in rows.
        columns: images in a row.
    Raises:
        ValueError: the number of pixels is no square.
    """
    figure = Figure(figsize=(12.8, 4.6), dpi=100, facecolor="white")
    parts = figure.subfigures(1, len(groups), squeeze=False)[0]
    for part, (title, weights) in zip(parts, groups.items()):
        side = round(weights.shape[1] ** 0.5)
        if side * side != weights.shape[1]:
            raise ValueError(f"groups: {title!r} has {weights.shape[1]} weights a neuron; it takes square images")
        limit = float(np.abs(weights).max()) or 1.0
        rows = -(-len(weights) // columns)
        axes = part.subplots(rows, columns, squeeze=False, gridspec_kw={"wspace": 0.08, "hspace": 0.08, "top": 0.86, "bottom": 0.13,
                                                                        "left": 0.03, "right": 0.97})  # fmt: skip
        for ax, row in zip(axes.flat, weights):
            ax.imshow(row.reshape(side, side), cmap="PuOr_r", vmin=-limit, vmax=limit, interpolation="nearest")
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
            for spine in ax.spines.values():
                spine.set_color("#BBBBBB")
        for ax in axes.flat[len(weights) :]:
            ax.set_visible(False)
        part.suptitle(title, y=0.96, **TITLE)
        part.text(0.03, 0.035, f"darkest purple: −{limit:.2g}     white: 0     darkest orange: {limit:.2g}", **FONT)
    return figure
