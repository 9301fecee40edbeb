"""Loss over learning rate, a line a width: the standard parametrization on the left, muP on the right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from initviz.plots._figure import Axis, Band, Block, Figure, Line, Mark, Panel
from initviz.plots._matplotlib import painted
from initviz.plots._palette import LOOKS, shades

if TYPE_CHECKING:
    from initviz.experiments import RateSweep

NAMES = {"standard": "Standard", "mup": "muP"}
TOP = 3.0
"""Above this loss, that of chance and more, a line ends."""


def rates_figure(sweeps: Mapping[str, RateSweep], title: str = "") -> Figure:
    """The picture as data.

    Args:
        sweeps: "standard" and "mup", or one of them -> from `initviz.experiments.rate_sweep`; up to six widths.
        title: words above.
    """
    least = min(_middle(sweep)[0].min() for sweep in sweeps.values())
    room = 1280 / len(sweeps)
    blocks = tuple(
        Block(room * place, 0, room, 480, (_panel(name, sweep, least / 1.3),))
        for place, (name, sweep) in enumerate(sweeps.items())
    )
    return Figure(blocks, height=480, label="Loss over learning rate, a line a width", reason=title)


rates = painted(rates_figure)


def _middle(sweep: RateSweep) -> tuple[np.ndarray, np.ndarray]:
    """Geometric mean of the loss over seeds, shape (W, R), inf where a run diverged, and the standard deviation of its logarithm."""
    logs = np.log(sweep.loss)
    with np.errstate(invalid="ignore"):
        return np.exp(logs.mean(axis=2)), logs.std(axis=2, ddof=min(1, logs.shape[2] - 1))


def _panel(name: str, sweep: RateSweep, bottom: float) -> Panel:
    x = np.log2(sweep.rates)
    mean, spread = _middle(sweep)
    mean = np.where(mean <= TOP, mean, np.nan)
    marks: list[Mark] = []
    key = []
    for width, color, (_, marker, sign), line, own in zip(sweep.widths, shades(len(sweep.widths)), LOOKS, mean, spread):
        marks.append(Band(x, line * np.exp(-own), line * np.exp(own), color, 0.15))
        marks.append(Line(x, line, color, 2.2, marker=marker, size=7, name=f"width {width}: loss"))
        if np.isfinite(line).any():
            best = np.nanargmin(line)
            marks.append(Line(x[[best]], line[[best]], color, 0, marker="ring", size=26))
        key.append((f"{sign} {width}", color))
    ticks = tuple(value for value in (0.03, 0.1, 0.3, 1.0, 3.0) if bottom <= value)
    y = Axis(
        float(np.log10(bottom)), float(np.log10(TOP * 1.1)), "log", ticks=tuple(float(np.log10(t)) for t in ticks),
        labels=tuple(f"{t:g}" for t in ticks),
        title="loss",
    )  # fmt: skip
    every = x[::2] if len(x) > 7 else x
    axis = Axis(
        x[0] - 0.5, x[-1] + 0.5, ticks=tuple(every.tolist()), labels=tuple(f"{v:.0f}".replace("-", "−") for v in every), name="rate",
        title="log2 of the learning rate", tick=0,
    )  # fmt: skip
    words = f"{NAMES.get(name, name)}: best rate {sweep.drift.mean():+.2f} a doubling".replace(
        "-0.00", "+0.00"
    ).replace("-", "−")
    return Panel(
        axis,
        y,
        tuple(marks),
        title=words,
        grid=True,
        key=(tuple(key),),
        key_top=66,
        left=100,
        right=40,
        top=43,
        bottom=388,
    )
