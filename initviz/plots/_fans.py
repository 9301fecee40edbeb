"""One layer's fans: the weights of one choice, and what every choice does to the variance on the way forward and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from initviz.experiments import FAN_CHOICES
from initviz.plots._figure import Axis, Bars, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._scale import number

if TYPE_CHECKING:
    from initviz.experiments import LayerFactors

LIMIT = 512.0
WAYS = (("forward", "blue", "o", -0.17), ("backward", "orange", "s", 0.17))


def fans_figure(factors: Sequence[LayerFactors], choice: str = "xavier", title: str = "") -> Figure:
    """What `layer_factors` measured, and the weights of `choice`, a key of FAN_CHOICES; `title` stands above."""
    names = [one.choice for one in factors]
    chosen = factors[names.index(choice)]
    return Figure(
        (
            Block(0, 0, 400, 430, (_weights(chosen),)),
            Block(400, 0, 880, 430, (_factors(factors, names.index(choice)),)),
        ),
        height=430,
        label="The weights of one choice, and the factor of the variance of every choice on both ways",
        reason=title,
    )


fans = painted(fans_figure)


def _weights(one: LayerFactors) -> Panel:
    reach = 1.08 * max(abs(one.edges[0]), one.edges[-1])
    marks: list[Mark] = [
        Bars(one.edges[:-1], one.edges[1:], np.full(len(one.hist), -np.inf), one.hist, ("pale blue",), name="density")
    ]
    upright = np.array([0.0, 1.0])
    for side in (-1, 1):
        marks.append(Line(np.full(2, side * one.std), upright, "ink", 2.5, dash=(10.0, 5.0), lane=True))
        if one.bound is not None:
            marks.append(Line(np.full(2, side * one.bound), upright, "orange", 3.3, lane=True))
    size = 3 * one.std if one.bound is None else one.bound
    ticks = (-size, 0.0, size)
    x = Axis(
        -reach,
        reach,
        ticks=ticks,
        labels=tuple(number(float(f"{v:.2g}")) for v in ticks),
        name="weight",
        title="weight",
        tick=0,
    )
    words = f"{FAN_CHOICES[one.choice].label}: std {one.std:.3g} (dashed)"
    key = ((words, "ink"), *([(f"bound {one.bound:.3g}", "orange")] if one.bound is not None else []))
    return Panel(
        x,
        Axis(0, 1.15 * float(one.hist.max())),
        tuple(marks),
        title="Weights",
        key=(key,),
        key_left=-30,
        key_top=64,
        left=45,
        right=22,
        top=53,
        bottom=340,
    )


def _factors(factors: Sequence[LayerFactors], chosen: int) -> Panel:
    rows = len(factors)
    row = np.arange(rows, dtype=float)
    marks: list[Mark] = [
        Bars(np.array([-np.inf]), np.array([np.inf]), np.array([chosen - 0.5]), np.array([chosen + 0.5]), ("chosen",)),
        Line(np.ones(2), np.array([0.0, 1.0]), "target", 4.2, alpha=0.65, lane=True),
    ]
    for place, (way, role, marker, shift) in zip((12, 138), WAYS):
        measured = np.array([getattr(one, way) for one in factors])
        theory = np.array([getattr(one, f"{way}_theory") for one in factors])
        y = row + shift
        gap = np.full(rows, math.nan)
        marks.append(
            Line(
                np.stack([np.ones(rows), measured, gap], 1).ravel(),
                np.stack([y, y, gap], 1).ravel(),
                role,
                3.5,
                alpha=0.8,
            )
        )
        marks.append(Line(np.clip(theory, 1 / LIMIT, LIMIT), y, "ink", 0, marker="|", size=21))
        marks.append(Line(np.clip(measured, 1 / LIMIT, LIMIT), y, role, 0, marker=marker, size=12.5))
        words = tuple(f"{_short(value)} ({_short(expected)})" for value, expected in zip(measured, theory))
        marks.append(
            Words(np.ones(rows), 1 - (row + 0.5) / rows, words, (role,), 17, "left", shift=(place, 0), panel=True)
        )
    end = math.log10(LIMIT)
    labels = tuple(f"{choice.label}\n{choice.variance}" for choice in FAN_CHOICES.values())
    key = (
        ("● forward: signal", "blue"),
        ("■ backward: gradient", "orange"),
        ("| theory", "ink"),
        ("numbers: measured (theory)", "grey"),
    )
    return Panel(
        Axis(-end, end, "log", ticks=(-2, -1, 0, 1, 2), labels=("1/100", "1/10", "1", "10", "100"), tick=0),
        Axis(rows - 0.5, -0.5, ticks=tuple(row.tolist()), labels=labels, tick=0),
        tuple(marks), title="Factor of the variance; the target is 1", key=(key,), key_left=-110, key_top=42,
        left=202, right=256, top=53, bottom=340,
    )  # fmt: skip


def _short(value: float) -> str:
    digits = 0 if value >= 99.5 else 1 if value >= 9.95 else 2 if value >= 0.0095 else 3
    return f"{value:.{digits}f}"
