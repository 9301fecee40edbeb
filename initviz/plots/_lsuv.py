"""LSUV step by step: a bar a layer, its output's variance at the start and now, over the histograms of all outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from initviz._core.statistics import TensorStats
from initviz.plots._figure import Axis, Bars, Block, Columns, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._scale import exponent_ticks, ladder, log10, power

if TYPE_CHECKING:
    from initviz.experiments import LsuvStep

LAST, DONE, WAITING = "orange", "blue", "faint"
"""Colours of the bars: the layer done in this step, those done before, those still to come."""
NUMBERS = 16
"""Up to so many layers have their variance written above them."""
LIMIT = 4.0
"""The histograms' axis goes from -LIMIT to LIMIT: four standard deviations of what LSUV aims at."""


def lsuv_figure(step: LsuvStep, title: str = "") -> Figure:
    """One step of LSUV: the spread of every layer, and the histograms before and after.

    Args:
        step: from `initviz.lsuv_steps.lsuv_step`.
        title: words above.
    """
    before, after = ([layer.after for layer in run.layers] for run in (step.start, step.now))
    return Figure(
        (
            Block(0, 0, 1280, 300, (_bars(step),)),
            Block(0, 300, 660, 273, (_columns(before, "grey", "Histograms of the outputs at the start", 96, 20),)),
            Block(640, 300, 640, 273, (_columns(after, "blue", "... and now", 77, 19),)),
        ),
        height=573,
        label="Variance of each layer's output and the histograms of the outputs, at the start and now",
        reason=title,
    )


lsuv = painted(lsuv_figure)


def _bars(step: LsuvStep) -> Panel:
    before = np.array([layer.variance_before for layer in step.start.layers])
    after = np.array([layer.variance_after for layer in step.now.layers])
    over_samples = np.array([layer.over_samples for layer in step.now.layers])
    count, tol = len(after), step.settings.tol
    low, high = _limits(np.concatenate([before, after, step.unseen, over_samples]))
    layers = np.arange(1, count + 1, dtype=float)
    floor = np.full(count, -np.inf)
    roles = tuple(DONE if n < step.step else LAST if n == step.step else WAITING for n in range(1, count + 1))
    marks: list[Mark] = [
        Bars(np.array([-np.inf]), np.array([np.inf]), np.array([1 - tol]), np.array([1 + tol]), ("target",), 0.22),
        Bars(layers - 0.3, layers + 0.3, floor, _positive(after), roles, name="variance now"),
        Bars(
            layers - 0.42, layers + 0.42, floor, _positive(before), ("ink",), hollow=True, width=1.8, dash=(3.6, 2.2),
            name="variance at the start",
        ),
        Line(np.array([0.4, count + 0.6]), np.ones(2), "target", 2.8),
        Line(layers - 0.15, over_samples, "ink", 0, marker="D", size=7.4, hollow=True, name="between samples alone"),
        Line(layers + 0.15, np.asarray(step.unseen, dtype=float), "ink", 0, marker="x", size=11, name="on test samples"),
    ]  # fmt: skip
    span = high - low
    top = high + 0.16 * span
    if count <= NUMBERS:
        highest = np.nanmax(np.stack([log10(after), log10(before), np.zeros(count)]), axis=0)
        heights = (highest + 0.03 * span - low) / (top - low)
        places = (layers - 0.4) / (count + 0.2)
        marks.append(Words(places, heights, tuple(_words(v) for v in after), bold=(True,), valign="bottom", panel=True))
    ticks, labels = exponent_ticks(low, high, 5)
    key = (
        ("■ done in this step", "orange"), ("■ done", "blue"), ("■ to come", "grey"), ("▯ at the start", "ink"),
        ("◇ between samples alone", "ink"), ("✕ on test samples", "ink"), (f"▬ 1 ± {tol:g}", "target"),
    )  # fmt: skip
    return Panel(
        _layer_axis(count, 0.4, 20), Axis(low, top, "log", ticks=ticks, labels=labels), tuple(marks),
        title="Variance of each layer's output, before the activation", key=(key,), key_top=43, left=96, right=19, top=28, bottom=236,
    )  # fmt: skip


def _columns(layers: Sequence[TensorStats | None], ramp: str, title: str, left: float, right: float) -> Panel:
    drawn = [(n, s) for n, s in enumerate(layers, 1) if s is not None and s.hist.any()]
    marks: tuple[Mark, ...] = ()
    if drawn:
        low, high = (np.array([getattr(s, end) for _, s in drawn]) for end in ("min", "max"))
        x, cells = np.array([float(n) for n, _ in drawn]), np.stack([s.hist for _, s in drawn])
        marks = (Columns(x, low, high, cells, ramp, clip=True, name="near"),)
    y = Axis(-LIMIT, LIMIT, ticks=(-LIMIT, 0, LIMIT), labels=(f"≤ −{LIMIT:g}", "0", f"≥ {LIMIT:g}"))
    return Panel(_layer_axis(len(layers), 0.5, 12), y, marks, title=title, left=left, right=right, top=38, bottom=227)


def _layer_axis(count: int, start: float, most: int) -> Axis:
    """Numbers of at most so many layers; the last is the output's."""
    every = ladder(count, most)
    ticks = [n for n in range(1, count) if (n == 1 or n % every == 0) and count - n >= 0.6 * every]
    ends = start, count + 1 - start
    places, words = (*map(float, ticks), float(count)), (*map(str, ticks), "out")
    return Axis(*ends, ticks=places, labels=words, name="layer", tick=0)


def _limits(variances: np.ndarray) -> tuple[int, int]:
    """Whole powers of ten below and above the positive ones, 1 well within."""
    logs = log10(variances[np.isfinite(variances)])
    logs = np.append(logs[np.isfinite(logs)], 0.0)
    return math.floor(min(logs.min(), -0.5)), max(math.ceil(logs.max() - 0.02), 0) + (logs.max() < 0.1)


def _positive(values: np.ndarray) -> np.ndarray:
    """The values; NaN, which no bar has for its top, of what is not positive and finite."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _words(variance: float) -> str:
    if variance == 0 or not math.isfinite(variance):
        return "0" if variance == 0 else "inf"
    if 0.01 <= variance < 1000:
        return f"{variance:.2f}" if variance < 10 else f"{variance:.0f}"
    return power(round(math.log10(variance)))
