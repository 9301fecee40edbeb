"""How neurons part: their largest difference and the number of distinct ones against step, and the step of parting against noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from initviz.plots._figure import NORMAL, Axis, Band, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._palette import LOOKS, shades
from initviz.plots._scale import around, log10, power, round_ticks, spread

if TYPE_CHECKING:
    from initviz.experiments import SymmetryTrace

DASHES: tuple[tuple[float, ...], ...] = ((), (11.1, 5.6), (2.8, 2.8))
BOX: dict[str, Any] = {"left": 66, "right": 24, "top": 36, "bottom": 432, "grid": True}


def parting_figure(traces: Mapping[str, SymmetryTrace], layer: int = 0) -> Figure:
    """Three panels, means over seeds: the largest difference between two neurons by step and the number of distinct neurons by step,
    a line a size of noise (of the first trace; the band is the range over seeds); and the step of parting by noise (all traces;
    bars are standard deviations over seeds; a size of noise at which some seed never parts is left out).

    Args:
        traces: label -> a `SymmetryTrace` over several sizes of noise.
        layer: the hidden layer, from 0.
    """
    label, trace = next(iter(traces.items()))
    ranks = np.argsort(np.argsort(trace.noise, kind="stable"))
    colors = [shades(len(ranks))[rank] for rank in ranks]
    panels = (
        _differences(trace, layer, colors, label), _counts(trace, layer, colors, label), _steps(traces, layer)
    )  # fmt: skip
    blocks = tuple(Block(427 * i, 0, 426, 500, (panel,)) for i, panel in enumerate(panels))
    return Figure(blocks, height=500, label="How neurons part: their difference and number by step, and when they part")


parting = painted(parting_figure)


def _differences(trace: SymmetryTrace, layer: int, colors: list[str], label: str) -> Panel:
    marks: list[Mark] = []
    words: list[Mark] = []
    steps = np.asarray(trace.steps, dtype=float)
    seen = [np.full(1, 0.1)]
    for noise, gaps, color in zip(trace.noise, trace.gap[..., layer], colors):
        _, mean, _ = spread(gaps, log=True)
        known = np.isfinite(mean)
        marks.append(Line(steps[known], mean[known], color, 3.3, name=f"noise {_power(noise)}"))
        seen.append(mean[known])
        if known.any():
            x = steps[known.argmax()] + 0.07 * steps[-1]
            y = 10 ** np.interp(x, steps[known], np.log10(mean[known]))
            words.append(_label(x, float(y), noise, color))
    marks.append(Line(np.array([0.0, steps[-1]]), np.full(2, 0.1), "ink", 2.0, dash=(3.9, 3.9)))
    words.append(Words(steps[-1:], np.full(1, 0.1), ("10 % apart",), ("ink",), NORMAL, "right", "top", shift=(-8, -4)))
    low = int(np.floor(around(seen, log=True)[0]))
    ticks = [e for e in range(low, 1) if e % 4 == 0]
    y_axis = Axis(low, 1, "log", ticks=tuple(map(float, ticks)), labels=tuple(map(power, ticks)))
    return Panel(_by_step(steps), y_axis, (*marks, *words), title=f"Largest difference, {label}", **BOX)


def _counts(trace: SymmetryTrace, layer: int, colors: list[str], label: str) -> Panel:
    bands: list[Mark] = []
    lines: list[Mark] = []
    words: list[Mark] = []
    steps = np.asarray(trace.steps, dtype=float)
    for row, (noise, counts, color) in enumerate(zip(trace.noise, trace.distinct[..., layer], colors)):
        mean = counts.mean(axis=0)
        bands.append(Band(steps, counts.min(axis=0), counts.max(axis=0), color, 0.12))
        lines.append(Line(steps, mean, color, 3.3, name=f"noise {_power(noise)}"))
        place = (1 + counts.max()) * (0.5 if row % 2 else 0.65)  # neighbours' words at two heights
        flat = mean.min() >= place or mean.max() < place
        x, y = (0.9 * steps[-1], mean[-1]) if flat else (steps[(mean >= place).argmax()], place)
        words.append(_label(x, y, noise, color))
    top = 1.06 * float(trace.distinct[..., layer].max())
    ticks, labels = round_ticks(0, top, 9)
    y_axis = Axis(0, top, ticks=ticks, labels=labels)
    return Panel(_by_step(steps), y_axis, (*bands, *lines, *words), title=f"Distinct neurons, {label}", **BOX)


def _steps(traces: Mapping[str, SymmetryTrace], layer: int) -> Panel:
    marks: list[Mark] = []
    seen = [np.zeros(1)]
    at: list[np.ndarray] = []  # where there is a point, as powers of ten
    for (label, trace), (role, marker, _), dash in zip(traces.items(), LOOKS, DASHES):
        parted = trace.parted[..., layer]
        shown = (trace.noise > 0) & np.isfinite(parted).all(axis=1)
        low, mean, high = spread(parted[shown].T)
        noise, gap = trace.noise[shown], np.full(int(shown.sum()), np.nan)
        marks.append(Line(np.stack([noise, noise, gap], 1).ravel(), np.stack([low, high, gap], 1).ravel(), role))
        marks.append(Line(noise, mean, role, dash=dash, name=f"{label}: step"))
        marks.append(Line(noise, mean, role, 0, marker=marker, size=11))
        seen += [low, high]
        at.append(log10(noise))
    powers = np.rint(np.concatenate(at)).astype(int)
    low_power, high_power = (int(powers.min()), int(powers.max())) if len(powers) else (0, 0)
    ticks = range(low_power, high_power + 1, 1 if high_power - low_power < 4 else 2)
    ends = around(at)
    title = "noise, as a share of the weight"
    x = Axis(
        *ends, "log", ticks=tuple(map(float, ticks)), labels=tuple(map(power, ticks)), name="noise", title=title, tick=0
    )
    top = around(seen)[1]
    ticks_up, labels = round_ticks(0, top, 9)
    looks = list(zip(traces, LOOKS))
    words = Words(
        np.full(len(looks), 0.97), 0.94 - 0.07 * np.arange(len(looks)), tuple(f"{sign} {label}" for label, (_, _, sign) in looks),
        tuple(role for _, (role, *_) in looks), NORMAL, "right", panel=True, paper=True,
    )  # fmt: skip
    return Panel(
        x, Axis(0, top, ticks=ticks_up, labels=labels), (*marks, words), title="Step at which neurons part", **BOX
    )


def _by_step(steps: np.ndarray) -> Axis:
    last = float(steps[-1])
    ticks, labels = round_ticks(0, last)
    return Axis(0, last, ticks=ticks, labels=labels, name="training step", title="training step", tick=0)


def _label(x: float, y: float, noise: float, color: str) -> Words:
    return Words(np.array([x]), np.array([y]), (_power(noise),), (color,), NORMAL, paper=True)


def _power(noise: float) -> str:
    return power(round(np.log10(noise))) if noise else "none"
