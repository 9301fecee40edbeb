"""The stream of a residual network block by block, forward on the left and its gradient on the right, a line a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from initviz.plots._figure import NORMAL, Axis, Band, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._palette import LOOKS
from initviz.plots._scale import apart, ladder, log_ticks, power, spread

if TYPE_CHECKING:
    from initviz.experiments import StreamGrowth

LEFT, WIDE, RIGHT = 83, 390, 813
"""Left edge and width of the first panel, left edge of the second."""
TALL = 30.0
"""A line that rises by more leaves a picture in which others rise by less; its end is written."""
GAP = 0.12
"""Least distance of two names, a share of the height."""


def streams_figure(curves: Mapping[str, StreamGrowth]) -> Figure:
    """Draw up to six `StreamGrowth` records of one number of blocks, by label.

    Each line is the geometric mean over seeds of the rms relative to where the signal starts (block 0, or for gradients the last block),
    with one standard deviation about it; theory is dashed. Lines within a factor of 30 are told apart; others leave the picture at its
    top, and their end is written.
    """
    ends = {label: _end(one) for label, one in curves.items()}
    low, high = _limits(list(ends.values()))
    ticks, words = log_ticks(low, high)
    y = Axis(low, high, "log", ticks=ticks, labels=words)
    blocks = max(one.blocks for one in curves.values())
    steps = range(0, blocks + 1, ladder(blocks, 5))
    x = Axis(
        -0.02 * blocks, 1.02 * blocks, ticks=tuple(map(float, steps)), labels=tuple(map(str, steps)), name="block", title="block", tick=0
    )  # fmt: skip
    ways = [_lines(curves, way) for way in (0, 1)]
    ways[0] += _names(curves, ends, x, y)
    key = (("– – theory", "ink"), ("shaded: ± one standard deviation over the draws", "ink"))
    box: dict[str, Any] = {"top": 62, "bottom": 440, "least": WIDE}
    left = Panel(
        x, y, tuple(ways[0]), title="Stream: rms of x over block 0's", grid=True, key=(key,), key_top=76,
        left=LEFT, right=1280 - LEFT - WIDE, **box,
    )  # fmt: skip
    right = Panel(
        x, y, tuple(ways[1]), title="Gradient: rms over the last block's", side="right", grid=True,
        left=RIGHT, right=1280 - RIGHT - WIDE, **box,
    )  # fmt: skip
    label = "The stream's rms block by block, forward and of its gradient, a line a remedy"
    return Figure((Block(0, 0, 1280, 560, (left, right)),), height=560, label=label)


streams = painted(streams_figure)


def _lines(curves: Mapping[str, StreamGrowth], way: int) -> list[Mark]:
    bands: list[Mark] = []
    theories: list[Mark] = []
    lines: list[Mark] = []
    for turn, ((label, one), (role, marker, _)) in enumerate(zip(curves.items(), LOOKS)):
        low, mean, high = spread(np.sqrt(one.backward if way else one.forward), log=True)
        theory = np.sqrt(one.backward_theory if way else one.forward_theory)
        blocks = np.arange(one.blocks + 1.0)
        every = max(1, one.blocks // 8)
        start = turn * every // len(curves) if every >= len(curves) else turn % every
        at = slice(start, None, every)  # lines that lie upon one another show their markers in turn
        bands.append(Band(blocks, low, high, role))
        theories.append(Line(blocks, theory, "ink", 2.5, dash=(7.5, 3.8), name=f"{label}: theory"))
        lines.append(Line(blocks, mean, role, 3.0, name=f"{label}: measured"))
        lines.append(Line(blocks[at], mean[at], role, 0, marker=marker, size=12.5))
    return [*bands, *theories, *lines]


def _end(one: StreamGrowth) -> tuple[float, float]:
    """log10 of the rms where the signal arrives, forward and backward."""
    return tuple(0.5 * np.log10(moments).mean() for moments in (one.forward[:, -1], one.backward[:, 0]))  # type: ignore[return-value]


def _limits(ends: list[tuple[float, float]]) -> tuple[float, float]:
    """From just below to just above the lines that do not leave the picture, as powers of ten."""
    values = np.array([0.0, *np.ravel(ends)])
    tall = np.log10(TALL)
    seen = values[np.abs(values) <= tall] if (np.abs(values) <= tall).sum() > 1 else values
    low, high = min(seen.min(), -0.1), max(seen.max(), 0.3)
    return low - 0.08 * (high - low), high + 0.12 * (high - low)


def _names(curves: Mapping[str, StreamGrowth], ends: dict[str, tuple[float, float]], x: Axis, y: Axis) -> list[Mark]:
    """Names between the panels, in the order in which the lines arrive, with a thin line to either end; of the left panel."""
    shares = {label: (np.clip(end, y.low, y.high) - y.low) / (y.high - y.low) for label, end in ends.items()}
    order = sorted(curves, key=lambda label: np.mean(ends[label]))
    heights = dict(zip(order, apart([float(shares[label].mean()) for label in order], GAP, 0.0, 0.96)))
    left, right = 1 + 8 / WIDE, (RIGHT - 8 - LEFT) / WIDE
    marks: list[Mark] = []
    for label, (role, _, sign) in zip(curves, LOOKS):
        gone = [value for value in ends[label] if not y.low <= value <= y.high]
        words = f"{sign} {label}" + (f", {power(round(gone[0]))}" if gone else "")
        reach = max(15, 155 - 6.4 * len(words)) / WIDE
        for outer, inner, end in zip((left, right), (left + reach, right - reach), shares[label]):
            marks.append(Line(x.value([outer, inner]), np.array([end, heights[label]]), role, 2, lane=True, free=True))
        middle = np.array([(left + right) / 2])
        marks.append(Words(middle, np.array([heights[label]]), (words,), (role,), NORMAL, panel=True))
    return marks
