"""One std at many widths: the spread by layer of each width beside the theory's, and where each lies on the map of (width, std)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initviz.plots._figure import NORMAL, Axis, Band, Block, Figure, Heat, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._palette import shades
from initviz.plots._scale import apart, exponent_ticks, log10, log_limits

if TYPE_CHECKING:
    from initviz.experiments import FactorCurve, SignalByWidth

WORDS = {"activation": "Activations (rms) by layer", "preactivation_gradient": "Gradients (rms) by layer"}
STDS = np.geomspace(1e-3, 1, 61)
LIMIT = 2.0
"""Factors from 1/4 to 4 a layer are told apart: powers of two."""
MARKERS = "osD^vPX*"


def widths_figure(spread: SignalByWidth, curve: FactorCurve, chosen_at: int, title: str = "") -> Figure:
    """The spread by layer of each width, and where each lies on the map of (width, std).

    Args:
        spread: from `initviz.experiments.signal_by_width`; up to eight widths.
        curve: from `initviz.experiments.factor_curve`.
        chosen_at: the width at which the std was chosen; ringed.
        title: words above.
    """
    bar = Panel(
        Axis(0, 1), Axis(-LIMIT, LIMIT, ticks=(-2, -1, 0, 1, 2), labels=("≤ ¼", "½", "1", "2", "≥ 4"), tick=0),
        (Heat((0, 1), (-LIMIT, LIMIT), np.linspace(-LIMIT, LIMIT, 65)[:, None], "purple to orange", -LIMIT, LIMIT, smooth=True),),
        side="right", left=-128, right=105, top=43, bottom=388,
    )  # fmt: skip
    return Figure(
        (
            Block(0, 0, 640, 480, (_spread(spread, chosen_at),)),
            Block(690, 0, 590, 480, (_map(spread, curve, chosen_at), bar)),
        ),
        height=480,
        label="Spread by layer at each width, and the factor per layer by width and std",
        reason=title,
    )


widths = painted(widths_figure)


def _spread(spread: SignalByWidth, chosen_at: int) -> Panel:
    depth, forward = spread.measured.shape[1], spread.way == "activation"
    layers = np.arange(1, depth + 1, dtype=float)
    low, high = log_limits(np.concatenate([spread.measured.ravel(), spread.theory.ravel(), [1.0]]))
    margin = 0.02 * (high - low)
    ticks, labels = exponent_ticks(low, high)
    every = 1 if depth <= 8 else 2 if depth <= 16 else 5
    marks: list[Mark] = []
    colors = shades(len(spread.widths))
    ends = []
    for row, (width, color, marker) in enumerate(zip(spread.widths, colors, MARKERS)):
        strong = width == chosen_at
        if strong:
            marks.insert(0, Band(layers, spread.low[row], spread.high[row], color))
        size = 12.5 if strong else 9.0
        marks.append(Line(layers, spread.measured[row], color, 0, marker=marker, size=size, name=f"width {width}: rms"))
        dash = (10.0, 5.0) if strong else (6.6, 3.3)
        marks.append(
            Line(layers, spread.theory[row], color, 3.6 if strong else 2.2, dash=dash, name=f"width {width}: theory")
        )
        last = log10(spread.measured[row])[-1 if forward else 0]
        ends.append(last if np.isfinite(last) else low)
    y = Axis(low - margin, high + margin, "log", ticks=ticks, labels=labels)
    places = (np.array(apart(ends, 0.062 * (high - low), low, high)) - y.low) / (y.high - y.low)
    words = tuple(str(width) for width in spread.widths)
    bold = tuple(bool(width == chosen_at) for width in spread.widths)
    marks.append(
        Words(
            np.full(len(words), 1.0 if forward else 0.0), places, words, tuple(colors), NORMAL, "left" if forward else "right",
            bold=bold, shift=(10 if forward else -10, 0), panel=True,
        )
    )  # fmt: skip
    x = Axis(
        0.5, depth + 0.5, ticks=tuple(layers[::every].tolist()), labels=tuple(f"{n:.0f}" for n in layers[::every]), name="layer",
        title="layer", tick=0,
    )  # fmt: skip
    key = (("● measured", "ink"), ("- - theory", "ink"), ("shaded: its 95 % band at the ringed width", "ink"))
    return Panel(
        x, y, tuple(marks), title=WORDS[spread.way], side="left" if forward else "right", grid=True, key=(key,), key_top=66,
        left=77, right=102, top=43, bottom=388,
    )  # fmt: skip


def _map(spread: SignalByWidth, curve: FactorCurve, chosen_at: int) -> Panel:
    left, right = np.log2(spread.widths[0]) - 0.4, np.log2(spread.widths[-1]) + 0.4
    across = 2 ** np.linspace(left, right, 40)
    factors = np.log2(curve.at(STDS[:, None], across[None, :]))
    at = np.log2(spread.widths)
    std = np.maximum(spread.std, STDS[0] / 10)
    chosen = int(np.argmin(np.abs(spread.widths - chosen_at)))
    marks: list[Mark] = [
        Heat((left, right), (0, 1), np.clip(factors, -LIMIT, LIMIT), "purple to orange", -LIMIT, LIMIT, smooth=True)
    ]
    marks.append(Line(*_edge(curve, across), "ink", 2.8, dash=(11.0, 5.6)))
    marks.append(Line(at, std, "ink", 1.7))
    for width, place, value, color, marker in zip(spread.widths, at, std, shades(len(at)), MARKERS):
        size = 12.5 if width == chosen_at else 9.0
        marks.append(
            Line(
                np.array([place]),
                np.array([value]),
                color,
                0,
                marker=marker,
                size=size,
                edge="page",
                name=f"width {width}: std",
            )
        )
    marks.append(Line(at[chosen : chosen + 1], std[chosen : chosen + 1], "ink", 0, marker="ring", size=28))
    y = Axis(-3, 0, "log", ticks=(-3, -2, -1, 0), labels=("0.001", "0.01", "0.1", "1"), title="std of a weight", tick=0)
    x = Axis(left, right, ticks=tuple(at.tolist()), labels=tuple(str(w) for w in spread.widths), title="width", tick=0)
    return Panel(
        x, y, tuple(marks), title="Factor per layer", key=((("- - factor 1: the scale is kept", "ink"),),), key_top=66,
        left=100, right=154, top=43, bottom=388,
    )  # fmt: skip


def _edge(curve: FactorCurve, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the factor passes 1, as a line over the map; a curve that stays below 1, or comes as near as a hundredth, has it there."""
    above = np.flatnonzero(curve.factor >= 0.99)
    if not len(above):
        return np.array([]), np.array([])
    return np.log2(widths), curve.sigma_w[above[0]] / np.sqrt(widths)
