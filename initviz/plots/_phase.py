"""The plane of sigma_w and sigma_b: ordered and chaotic, the edge between them, and how many layers a gradient reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from contourpy import contour_generator

from initviz.initializers import ACTIVATIONS
from initviz.plots._figure import Axis, Block, Figure, Heat, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._scale import round_ticks

if TYPE_CHECKING:
    from initviz.theory import Phase

LEVELS = {3: 0.5, 10: 0.8}
"""Depth scales, in layers, that are drawn as lines -> where along a line its number is, apart from the others'."""


def phase_figure(phase: Phase, point: tuple[float, float] | None = None) -> Figure:
    """A `Phase` (from `initviz.theory.phase_diagram`), with a network's (sigma_w, sigma_b) as a point on it."""
    with np.errstate(divide="ignore"):
        log = np.clip(np.log10(phase.chi), -0.6, 0.6)  # χ: factor of a gradient's square a layer
    w, b = phase.sigma_w, phase.sigma_b
    half = (w[1] - w[0]) / 2, (b[1] - b[0]) / 2
    ends = (float(w[0] - half[0]), float(w[-1] + half[0])), (float(b[0] - half[1]), float(b[-1] + half[1]))
    order = np.argsort(phase.edge_b)
    marks: list[Mark] = [Heat(*ends, log, "blue to red", -0.8, 0.8, name="log₁₀ χ")]
    depth = np.minimum(np.where(np.isfinite(phase.depth_scale), phase.depth_scale, 1e9), 1e9)
    contours = contour_generator(w, b, np.log10(np.maximum(depth, 1e-9)))
    numbers: list[Mark] = []
    for level, share in LEVELS.items():
        for line in map(np.asarray, contours.lines(float(np.log10(level)))):
            marks.append(Line(line[:, 0], line[:, 1], "ink", 1.3, alpha=0.6))
            if np.hypot(*np.ptp(line, axis=0)) > 0.8:
                at = line[int(share * len(line))]
                numbers.append(Words(at[:1], at[1:], (str(level),), size=15, paper=True))
    marks.append(Line(phase.edge_w[order], phase.edge_b[order], "ink", 4.2))
    marks += numbers
    corners = ("ordered:\ngradients vanish", "chaotic:\ngradients explode")
    for x, words, side in zip((0.03, 0.97), corners, ("left", "right")):
        marks.append(Words(np.array([x]), np.array([0.95]), (words,), align=side, valign="top", panel=True, paper=True))
    if point is not None:
        marks.append(Line(np.array([point[0]]), np.array([point[1]]), "ink", 0, marker="o", size=18, hollow=True))
    x_ticks, x_labels = round_ticks(float(w[0]), float(w[-1]))
    y_ticks, y_labels = round_ticks(float(b[0]), float(b[-1]))
    label = ACTIVATIONS[phase.activation].label if phase.activation in ACTIVATIONS else phase.activation
    panel = Panel(
        Axis(float(w[0]), float(w[-1]), ticks=x_ticks, labels=x_labels, title="σ_w"),
        Axis(float(b[0]), float(b[-1]), ticks=y_ticks, labels=y_labels, title="σ_b"),
        tuple(marks), title=f"{label}: edge of chaos (thick), depth scale in layers (thin)", left=90, right=22, top=40, bottom=470,
    )  # fmt: skip
    words = f"Phase diagram of {label}: ordered where sigma_w is small, chaotic where it is large"
    return Figure((Block(0, 0, 640, 530, (panel,)),), 640, 530, label=words)


phase = painted(phase_figure)
