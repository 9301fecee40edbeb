"""A coordinate check: mean |h| and mean |dh| of each layer against the width, and the power of the width that each follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initviz.plots._figure import NORMAL, Axis, Band, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._palette import LOOKS
from initviz.plots._scale import apart, exponent_ticks, log_limits, number

if TYPE_CHECKING:
    from initviz.experiments import CoordCheck
    from initviz.theory import WidthExponents

STYLES = dict(zip(("input", "hidden", "output", "fixed", "unknown"), LOOKS))
"""Colour, marker and sign of a layer by its role."""


def coord_check_figure(check: CoordCheck, theory: WidthExponents | None = None, title: str = "") -> Figure:
    """The picture as data.

    Args:
        check: from `initviz.coord_check`.
        theory: from `initviz.theory.width_exponents`: dashed, through what is measured at the least width.
        title: words above.
    """
    left = _panel(check, "size", 0, "Outputs at the start: mean |h|", theory)
    steps = f"{check.steps} steps" if check.steps > 1 else "1 step"
    right = _panel(check, "change", check.steps, f"What {steps} changed: mean |Δh|", theory)
    return Figure(
        (Block(0, 0, 640, 480, (left,)), Block(640, 0, 640, 480, (right,))), height=480, reason=title,
        label="Size and change of each layer's outputs against the width",
    )  # fmt: skip


coord_check = painted(coord_check_figure)


def _panel(check: CoordCheck, quantity: str, step: int, title: str, theory: WidthExponents | None) -> Panel:
    """A line a layer: the geometric mean over seeds, with one standard deviation about it."""
    values, at = getattr(check, quantity)[:, :, step], np.log2(check.widths)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(np.isfinite(values) & (values > 0), np.log(values), np.nan)
    mean, spread = logs.mean(axis=0), logs.std(axis=0, ddof=min(1, len(logs) - 1))
    low, high = log_limits(np.exp(mean))
    marks: list[Mark] = []
    for index, (name, role) in enumerate(zip(check.layers, check.roles)):
        color, marker, _ = STYLES[role]
        line = mean[:, index]
        marks.append(Band(at, np.exp(line - spread[:, index]), np.exp(line + spread[:, index]), color))
        marks.append(Line(at, np.exp(line), color, 2.2, marker=marker, size=9, name=name))
    slopes = check.slopes(quantity, step).mean(axis=0)
    words, colors, places = [], [], []
    for role in dict.fromkeys(check.roles):
        own = [index for index, other in enumerate(check.roles) if other == role]
        color, _, sign = STYLES[role]
        if theory is not None and role in theory.size:
            power = getattr(theory, quantity)[role]
            start = np.nanmean(mean[0, own])
            marks.append(
                Line(
                    at,
                    np.exp(start) * 2.0 ** (power * (at - at[0])),
                    color,
                    2.4,
                    dash=(8.0, 5.0),
                    name=f"{role}: theory",
                )
            )
        least, most = slopes[own].min(), slopes[own].max()
        power = f"{least:+.2f}" if len(own) == 1 else f"{least:+.2f} … {most:+.2f}"
        words.append(f"{sign} {role} {power}".replace("-", "−"))
        colors.append(color)
        end = np.nanmean(mean[-1, own]) / np.log(10)
        places.append(float(end) if np.isfinite(end) else float(low))
    margin = 0.02 * (high - low)
    ticks, labels = exponent_ticks(low, high)
    y = Axis(low - margin, high + margin, "log", ticks=ticks, labels=labels)
    heights = (np.array(apart(places, 0.07 * (high - low), low, high)) - y.low) / (y.high - y.low)
    marks.append(
        Words(np.ones(len(words)), heights, tuple(words), tuple(colors), NORMAL, "left", shift=(12, 0), panel=True)
    )
    x = Axis(
        at[0] - 0.2, at[-1] + 0.2, ticks=tuple(at.tolist()), labels=tuple(number(width) for width in check.widths), name="width",
        title="width", tick=0,
    )  # fmt: skip
    key = [("numbers: the power of the width", "ink")] + ([("- - theory", "ink")] if theory is not None else [])
    return Panel(
        x,
        y,
        tuple(marks),
        title=title,
        grid=True,
        key=(tuple(key),),
        key_top=66,
        left=77,
        right=260,
        top=43,
        bottom=388,
    )
