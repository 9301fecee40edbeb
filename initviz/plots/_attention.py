"""Attention's two failures: the plane of logit scale and residual strength with a network on it, and that network layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from contourpy import contour_generator

from initviz.diagnosis import ALIKE, ONE_PLACE
from initviz.plots._figure import Axis, Band, Bars, Block, Figure, Heat, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._scale import layer_axis_below

if TYPE_CHECKING:
    from initviz.experiments import AttentionRun
    from initviz.theory import AttentionPlane

COSINES = {0.5: 1.4, 0.9: 1.4, ALIKE: 4.2}
"""Cosines of two tokens that are drawn as lines -> how wide. Above the last `iv.verdict` speaks of rank collapse."""
ENTROPIES = {0.9: 1.4, 0.5: 1.4, ONE_PLACE: 4.2}
"""Entropies likewise; below the last it speaks of attention to one place alone."""
RAMP = "orange"
NUMBERS = 4.5
"""Residual strength at which the entropies are written."""


def attention_figure(plane: AttentionPlane, run: AttentionRun, point: tuple[float, float], title: str = "") -> Figure:
    """The plane with the network on it, and its attention layer by layer.

    Args:
        plane: from `initviz.theory.attention_plane`.
        run: from `initviz.experiments.attention_run`, of as many layers.
        point: logit scale and residual strength of the run.
        title: words above.
    """
    blocks = (
        Block(0, 0, 560, 500, (_plane(plane, (run.logit_std, point[1])),)),
        Block(
            580, 0, 345, 500, (_layers("Entropy of attention / ln T", run.entropy, run.entropy_theory, "purple", "o"),)
        ),
        Block(
            935, 0, 345, 500, (_layers("Cosine of two tokens", run.similarity, run.similarity_theory, "orange", "s"),)
        ),
    )
    label = "The plane of logit scale and residual strength, and attention's entropy and the tokens' cosine by layer"
    return Figure(blocks, height=500, label=label, reason=title)


attention = painted(attention_figure)


def _plane(plane: AttentionPlane, point: tuple[float, float]) -> Panel:
    x, y = np.log10(plane.logit_std), np.log10(plane.residual)
    half = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    left, right, low, high = x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1]
    marks: list[Mark] = [
        Heat((0, 1), (0, 1), plane.similarity, RAMP, 0, 1.25, smooth=True, name="cosine of two tokens")
    ]
    at = {level: np.interp(-level, -plane.entropy, x) for level in ENTROPIES}  # entropy falls to the right
    one_place = 10 ** at[ONE_PLACE]
    start, end, bottom, top = (np.array([value]) for value in (one_place, 10**right, 10**low, 10**high))
    marks.append(Bars(start, end, bottom, top, ("purple",), alpha=0.3))
    for number, (level, width) in enumerate(COSINES.items()):
        marks += _contour(x, y, plane.similarity, level, width, x[0] + 0.35 * number)
    for level, width in ENTROPIES.items():
        marks.append(Line(np.full(2, 10 ** at[level]), 10 ** np.array([low, high]), "purple", width, dash=(9.0, 5.0)))
        label = Words(
            np.array([10 ** at[level]]), np.array([NUMBERS]), (f"{level:g}",), ("purple",), 15, "right", shift=(-4, 0)
        )
        marks.append(label)
    corners = {
        (0.03, 0.06): ("rank collapse:\nall tokens alike", "left"),
        (0.985, 0.97): ("entropy collapse:\none place alone", "right"),
    }
    for (across, up), (words, side) in corners.items():
        valign = "top" if up > 0.5 else "bottom"
        marks.append(
            Words(np.array([across]), np.array([up]), (words,), align=side, valign=valign, panel=True, paper=True)
        )
    marks.append(Line(np.array([point[0]]), np.array([point[1]]), "ink", 0, marker="o", size=18, hollow=True))
    ticks = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    axes = [
        Axis(a, b, "log", ticks=tuple(np.log10(t)), labels=tuple(f"{v:g}" for v in t), title=title)
        for a, b, t, title in (
            (left, right, ticks, "std of the logits, β"),
            (low, high, ticks[:-1], "residual strength, r"),
        )
    ]
    key = (("— cosine behind the last layer", "ink"), ("- - entropy, first layer", "purple"))
    return Panel(
        axes[0], axes[1], tuple(marks), title=f"{plane.layers} layers, {plane.places} tokens (theory)", key=(key,), key_top=66,
        key_left=-60,         left=82, right=12, top=43, bottom=405, least=300,
    )  # fmt: skip


def _contour(
    x: np.ndarray, y: np.ndarray, values: np.ndarray, level: float, width: float, place: float
) -> Iterator[Mark]:
    """A line of one value over logarithmic axes, with the value at a place along x."""
    for line in map(np.asarray, contour_generator(x, y, values).lines(level)):
        across, up = 10.0**line.T
        yield Line(across, up, "ink", width)
        start = int(np.argmin(np.abs(line[:, 0] - place)))
        yield Words(
            across[start : start + 1], up[start : start + 1], (f"{level:g}",), size=15, align="left", shift=(6, 9)
        )


def _layers(title: str, values: np.ndarray, theory: np.ndarray, role: str, marker: str) -> Panel:
    layers = np.arange(1, values.shape[1] + 1, dtype=float)
    mean, std = values.mean(axis=0), values.std(axis=0, ddof=min(1, len(values) - 1))
    marks = (
        Band(layers, mean - std, mean + std, role),
        Line(layers, mean, role, 0, marker=marker, size=10, name=title.lower()),
        Line(layers, theory, "ink", 2.4, dash=(9.0, 5.0), name="theory"),
    )
    y = Axis(-0.04, 1.04, ticks=(0.0, 0.25, 0.5, 0.75, 1.0), labels=("0", "", "0.5", "", "1"), tick=0)
    sign = {"o": "●", "s": "■"}[marker]
    drawn = "one draw" if len(values) == 1 else f"mean of {len(values)} draws ± std"
    key = ((f"{sign} {drawn}", role), ("- - theory", "ink"))
    return Panel(
        layer_axis_below(len(layers)), y, marks, title=title, grid=True, key=(key[:1], key[1:]), key_top=52, left=45, right=8, top=43,
        bottom=405,
    )  # fmt: skip
