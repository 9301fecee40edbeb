"""Pretrained weights beside a fresh draw: a histogram a layer, on a log axis that shows the tails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from initviz.experiments import EDGES
from initviz.plots._figure import TITLE, Axis, Band, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted

if TYPE_CHECKING:
    from initviz.experiments import WeightShape

LEAST = -3
"""Where the density's axis ends, as a power of ten."""


def weight_shapes_figure(shapes: Sequence[WeightShape], words: str = "pretrained") -> Figure:
    """Draw up to four layers side by side.

    Args:
        shapes: from `initviz.experiments.weight_shapes`.
        words: what the model's own weights are called.
    Raises:
        ValueError: none, or more than four.
    """
    if not 1 <= len(shapes) <= 4:
        raise ValueError(f"shapes: got {len(shapes)}; it takes one to four layers")
    peak = max(max(s.density.max(), s.fresh_density.max()) for s in shapes)
    wide = 1197 / (len(shapes) + 0.12 * (len(shapes) - 1))
    x = Axis(
        float(EDGES[0]), float(EDGES[-1]), ticks=(-6.0, -3.0, 0.0, 3.0, 6.0), labels=("−6", "−3", "0", "3", "6"), name="weight", tick=0
    )  # fmt: skip
    key = (
        (("across: weight / standard deviation of the fresh draw", "ink"),),
        ((f"━ {words}", "orange"), ("█ fresh draw", "grey"), ("– – its normal density", "ink")),
    )
    blocks = []
    for place, shape in enumerate(shapes):
        labels = ("0.01", "0.1", "1") if place == 0 else ()
        y = Axis(LEAST, float(np.log10(1.5 * peak)), "log", ticks=(-2, -1, 0), labels=labels, tick=0)
        start = 1.12 * wide * place
        panel = Panel(
            x, y, _marks(shape), key=key if place == 0 else (), key_top=48, left=70, right=0.12 * wide, top=112, bottom=346, least=wide
        )  # fmt: skip
        blocks.append(Block(start, 0, 70 + 1.12 * wide, 480, (panel,)))
    label = f"Histograms of {words} weights by layer, beside a fresh draw's"
    return Figure(tuple(blocks), height=480, label=label)


weight_shapes = painted(weight_shapes_figure)


def _marks(shape: WeightShape) -> tuple[Mark, ...]:
    sides = np.repeat(EDGES, 2)
    fresh, own = (np.r_[0, np.repeat(some, 2), 0] for some in (shape.fresh_density, shape.density))
    nothing = 10.0 ** (LEAST - 1)  # a log axis has no place for 0; this is below the panel
    across = np.linspace(EDGES[0], EDGES[-1], 201)
    about = f"{shape.std / shape.fresh_std:.1f} × as wide,\nexcess kurtosis {shape.excess_kurtosis:+.1f}"
    corner: dict = {"x": np.zeros(1), "y": np.ones(1), "align": "left", "valign": "bottom", "panel": True}
    return (
        Band(sides, np.full(len(sides), nothing), np.maximum(fresh, nothing), "grey", 0.45),
        Line(sides, np.maximum(own, nothing), "orange", 3.3),
        Line(across, np.exp(-(across**2) / 2) / np.sqrt(2 * np.pi), "ink", 2.2, dash=(6.6, 4.4)),
        Words(words=(about.replace("-", "−"),), roles=("orange",), shift=(0, 5), **corner),
        Words(words=(f"{shape.name} {'×'.join(map(str, shape.shape))}",), size=TITLE, shift=(0, 54), **corner),
    )
