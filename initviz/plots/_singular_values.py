"""Singular values of an end-to-end Jacobian by depth: how far apart the most and the least stretched directions come to lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from initviz.plots._figure import NORMAL, TITLE, Axis, Band, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._palette import LOOKS
from initviz.plots._scale import around, power

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
ZERO = 1e-14
"""Singular values below this share of their Jacobian's largest count as 0: float64 does not resolve them beside it."""


def singular_values_figure(
    depths: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[np.ndarray]]], title: str = "Singular values of the Jacobian"
) -> Figure:  # fmt: skip
    """A panel a network, a line a way to draw its weights: the median, the middle half (dark) and the middle nine tenths (light) of
    the values that are not 0. The share of zeros at the first and at the last depth is written, where there are any.

    Args:
        depths: shape (k,), positive.
        panels: title of a panel -> label of a line -> k arrays of singular values, one a depth, of shape (..., n): the
            last axis is of one Jacobian.
        title: of the figure.
    Raises:
        ValueError: no panel, or more than four.
    """
    if not 1 <= len(panels) <= 4:
        raise ValueError(f"panels: got {len(panels)}; it takes one to four")
    across = np.asarray(depths, dtype=float)
    drawn = {name: _marks(across, lines) for name, lines in panels.items()}
    seen = np.concatenate(
        [np.ones(1), *(np.r_[m.low, m.high] for some in drawn.values() for m in some if isinstance(m, Band))]
    )
    low, high = int(np.floor(np.log10(seen.min()))), int(np.ceil(np.log10(seen.max())))
    step = max(1, round((high - low) / 6))
    ticks = range(-(-low // step) * step, high + 1, step)
    ends = around([across], log=True)
    x = Axis(
        *ends, "log", ticks=tuple(np.log10(across)), labels=tuple(f"{d}" for d in depths), name="layers", title="layers", tick=0
    )  # fmt: skip
    key = [(f"{sign} {label}", role) for label, (role, _, sign) in zip(next(iter(panels.values())), LOOKS)]
    key.append(("line: median; dark: middle half; light: 90 %", "ink"))
    wide = 1171 / (len(panels) + 0.08 * (len(panels) - 1))
    blocks = []
    for place, (name, marks) in enumerate(drawn.items()):
        labels = tuple(map(power, ticks)) if place == 0 else ()
        if place == 0:
            marks.append(
                Words(np.zeros(1), np.ones(1), (title,), size=TITLE, align="left", valign="bottom", shift=(-80, 44), panel=True)
            )  # fmt: skip
        panel = Panel(
            x, Axis(low - 0.3, high + 0.3, "log", ticks=tuple(map(float, ticks)), labels=labels), tuple(marks), title=name, grid=True,
            key=(tuple(key),) if place == 0 else (), key_top=72, left=96, right=0.08 * wide, top=84, bottom=414,
        )  # fmt: skip
        blocks.append(Block(1.08 * wide * place, 0, 96 + 1.08 * wide, 520, (panel,)))
    return Figure(tuple(blocks), height=520, label=f"{title} by depth: {', '.join(panels)}")


singular_values = painted(singular_values_figure)


def _marks(depths: np.ndarray, lines: Mapping[str, Sequence[np.ndarray]]) -> list[Mark]:
    bands: list[Mark] = []
    over: list[Mark] = []
    height = 0.05
    for (label, values), (role, marker, sign) in zip(lines.items(), LOOKS):
        alive = [v[v > ZERO * v.max(axis=-1, keepdims=True)] for v in map(np.asarray, values)]
        low, quarter, median, three, high = np.array([np.quantile(v, SHARES) for v in alive]).T
        zeros = [1 - len(a) / np.size(v) for a, v in zip(alive, values)]
        bands += [Band(depths, low, high, role, 0.16), Band(depths, quarter, three, role, 0.3)]
        over.append(Line(depths, median, role, 3.0, marker=marker, size=11, name=f"{label}: median"))
        if max(zeros) > 0:
            first, last = (
                f"{100 * share:.0f} % at {depth:g}" for share, depth in ((zeros[0], depths[0]), (zeros[-1], depths[-1]))
            )
            words = f"{sign} zeros: {first}, {last}"
            place = np.array([0.03]), np.array([height])
            over.append(Words(*place, (words,), (role,), NORMAL, align="left", valign="bottom", panel=True))
            height += 0.09
    return [*bands, *over]
