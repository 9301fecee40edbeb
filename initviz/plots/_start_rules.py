"""Language models at their first step, a line a rule: the stream by block, the gradient on its way back, and the first loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from initviz.plots._figure import NORMAL, Axis, Band, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._palette import LOOKS
from initviz.plots._scale import exponent_ticks, log_limits, spread

if TYPE_CHECKING:
    from initviz.experiments import LanguageModelStart

MOST = 5


def start_rules_figure(starts: Mapping[str, LanguageModelStart]) -> Figure:
    """The stream by block, its gradient, and the first loss, a line a rule.

    Args:
        starts: label -> from `initviz.experiments.language_model_start`, all of as many blocks and tokens; one to five.
    Raises:
        ValueError: none, or more than five.
    """
    if not 1 <= len(starts) <= MOST:
        raise ValueError(f"starts: got {len(starts)}; it takes one to {MOST}")
    stream = _blocks("Stream: rms by block", {name: one.stream for name, one in starts.items()})
    gradient = _blocks("Gradient over the last block's", {name: one.gradient for name, one in starts.items()})
    return Figure(
        (
            Block(0, 0, 400, 450, (stream,)),
            Block(410, 0, 400, 450, (gradient,)),
            Block(820, 0, 460, 450, (_losses(starts),)),
        ),
        height=450,
        label="Stream, gradient and first loss of language models by the rule that drew their weights",
    )


start_rules = painted(start_rules_figure)


def _blocks(title: str, lines: Mapping[str, np.ndarray]) -> Panel:
    marks: list[Mark] = []
    low, high = log_limits(np.concatenate([values.ravel() for values in lines.values()]))
    for (label, values), (role, marker, _) in zip(lines.items(), LOOKS):
        blocks = np.arange(values.shape[1], dtype=float)
        below, mean, above = spread(values, log=True)
        marks.append(Band(blocks, below, above, role))
        marks.append(Line(blocks, mean, role, 2.4, marker=marker, size=8, name=label))
    ticks, labels = exponent_ticks(low, high)
    last = int(blocks[-1])
    every = [float(n) for n in range(0, last + 1, max(1, math.ceil(last / 4)))]
    x = Axis(
        -0.3,
        last + 0.3,
        ticks=tuple(every),
        labels=tuple(f"{n:.0f}" for n in every),
        name="block",
        title="block",
        tick=0,
    )
    y = Axis(low - 0.05, high + 0.05, "log", ticks=ticks, labels=labels, tick=0)
    return Panel(x, y, tuple(marks), title=title, grid=True, left=60, right=10, top=43, bottom=355)


def _losses(starts: Mapping[str, LanguageModelStart]) -> Panel:
    """A row a rule: its name, its loss with the theory's as a cross, and the loss of a guess as a line."""
    chance = next(iter(starts.values())).chance
    low, high = (
        math.log10(chance) - 0.15,
        math.log10(max(2 * chance, *(one.loss.max() for one in starts.values()))) + 0.12,
    )
    marks: list[Mark] = [Line(np.full(2, chance), np.array([0.0, 1.0]), "grey", 1.8, dash=(6.0, 4.0), lane=True)]
    for row, ((label, one), (role, marker, sign)) in enumerate(zip(starts.items(), LOOKS)):
        at = np.array([float(row)])
        mean = one.loss.mean()
        marks.append(Line(np.array([mean]), at, role, 0, marker=marker, size=13, name=f"{label}: first loss"))
        marks.append(Line(np.array([one.theory]), at, "ink", 0, marker="x", size=11, name=f"{label}: theory"))
        words = f"{sign} {label}: {mean:.3g}"
        right = math.log10(mean) > (low + high) / 2
        place = 10 ** (high - 0.02 if right else math.log10(chance) + 0.03)
        marks.append(
            Words(np.array([place]), at, (words,), (role,), NORMAL, "right" if right else "left", shift=(0, 24))
        )
    candidates = [v for v in (2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0) if low < math.log10(v) < high]
    x = Axis(
        low,
        high,
        "log",
        ticks=tuple(map(math.log10, candidates)),
        labels=tuple(f"{v:g}" for v in candidates),
        title="nats",
    )
    y = Axis(len(starts) - 0.6, -0.75)
    key = (("× theory", "ink"), (f"- - ln V = {chance:.2f}", "grey"))
    return Panel(x, y, tuple(marks), title="First loss", key=(key,), key_top=52, left=20, right=15, top=43, bottom=355)
