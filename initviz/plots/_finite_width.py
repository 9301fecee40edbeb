"""How far single draws stray: the variance of a gradient's logarithm against depth over width, and the logarithms themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from initviz.plots._figure import NORMAL, Axis, Bars, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._palette import LOOKS
from initviz.plots._scale import around, round_ticks

if TYPE_CHECKING:
    from initviz.experiments import FiniteWidth

DASH = (11.1, 5.6)


def finite_width_figure(runs: Mapping[str, FiniteWidth]) -> Figure:
    """Left the variances with their standard errors, and the theory as dashed lines. Right the draws of the first run at its largest
    depth over width, with the normal density that the theory predicts.

    Args:
        runs: label -> from `initviz.experiments.finite_width`; at most four.
    Raises:
        ValueError: none, or more than four.
    """
    if not 1 <= len(runs) <= 4:
        raise ValueError(f"runs: got {len(runs)}; it takes one to four")
    blocks = (Block(0, 0, 740, 520, (_variances(runs),)), Block(740, 0, 540, 520, (_draws(next(iter(runs.values()))),)))
    return Figure(blocks, height=520, label="The variance of a gradient's logarithm by depth over width, and its draws")


finite_width = painted(finite_width_figure)


def _variances(runs: Mapping[str, FiniteWidth]) -> Panel:
    marks: list[Mark] = []
    for (label, run), (role, marker, _) in zip(runs.items(), LOOKS):
        ratios = np.asarray(run.ratios, dtype=float)
        gap = np.full(len(ratios), np.nan)
        ends = np.stack([run.variance - run.error, run.variance + run.error, gap], 1)
        theory = np.r_[0, run.predicted_variance]
        marks.append(Line(np.r_[0, ratios], theory, role, dash=DASH, name=f"{label}: theory"))
        marks.append(Line(np.stack([ratios, ratios, gap], 1).ravel(), ends.ravel(), role))
        marks.append(Line(ratios, run.variance, role, 0, marker=marker, size=12.5, name=f"{label}: measured"))
    lines = [mark for mark in marks if isinstance(mark, Line)]
    x, y = (_from_zero([getattr(line, way) for line in lines]) for way in "xy")
    looks = list(zip(runs, LOOKS))
    words = Words(
        np.full(len(runs), 0.03), 0.93 - 0.075 * np.arange(len(runs)), tuple(f"{sign} {label}" for label, (_, _, sign) in looks),
        tuple(role for _, (role, *_) in looks), NORMAL, "left", panel=True,
    )  # fmt: skip
    dashed = Words(
        np.array([0.98]),
        np.array([0.03]),
        ("– –  theory; bars: ± one standard error",),
        ("ink",),
        NORMAL,
        "right",
        "bottom",
        panel=True,
    )
    ticks, labels = round_ticks(0, x, 6)
    across = Axis(0, x, ticks=ticks, labels=labels, name="depth / width", title="depth / width", tick=0)
    ticks, labels = round_ticks(0, y, 6)
    return Panel(
        across, Axis(0, y, ticks=ticks, labels=labels), (*marks, words, dashed), title="Variance of ln(gradient²), over draws", grid=True,
        left=83, right=17, top=62, bottom=442,
    )  # fmt: skip


def _draws(run: FiniteWidth) -> Panel:
    last = int(np.argmax(run.ratios))
    middle, std = float(run.predicted_mean[last]), float(np.sqrt(run.predicted_variance[last]))
    logs = run.logs[last][np.isfinite(run.logs[last])]
    reach = max(4 * std, float(np.abs(logs - middle).max()), 1e-3)
    edges = middle + np.linspace(-reach, reach, 25)
    density, _ = np.histogram(logs, edges, density=True)
    marks: list[Mark] = [Bars(edges[:-1], edges[1:], np.zeros(24), density, ("blue",), 0.55, name="density")]
    if std > 0:
        z = np.linspace(edges[0], edges[-1], 200)
        normal = np.exp(-(((z - middle) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
        marks.append(Line(z, normal, "ink", dash=DASH))
        density = np.r_[density, normal]
    low, high = around([edges])
    ticks, labels = round_ticks(low, high)
    words = "ln(gradient²), first layer over last"
    return Panel(
        Axis(low, high, ticks=ticks, labels=labels, name=words, title=words, tick=0), Axis(0, 1.05 * float(density.max())), tuple(marks),
        title=f"{len(run.logs[last])} draws, {run.depths[last]} layers of {run.width}", left=86, right=19, top=62, bottom=442,
    )  # fmt: skip


def _from_zero(values: list[np.ndarray]) -> float:
    """The end of an axis that begins at 0."""
    return around([*values, np.zeros(1)])[1]
