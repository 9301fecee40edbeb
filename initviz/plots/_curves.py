"""Curves over a common axis: means over seeds with their spread, and what is predicted as dashed lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from initviz._core.arguments import switch
from initviz.plots._figure import NORMAL, Axis, Band, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._palette import LOOKS
from initviz.plots._scale import around, log_ticks, round_ticks, spread

HOLLOW = dict(zip("●■▲◆▼✚", "○□△◇▽✚"))


def curves_figure(
    x: Sequence[float] | np.ndarray,
    lines: Mapping[str, np.ndarray],
    *,
    title: str,
    xlabel: str,
    predicted: Mapping[str, np.ndarray] | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """One curve a label.

    Args:
        x: shape (k,), where the curves were measured.
        lines: label -> shape (k,) or (seeds, k); of the latter the mean is drawn, and a band of one standard deviation about it
            (of the logarithms on a log axis). At most six.
        title: what the height is.
        xlabel: what `x` is.
        predicted: label of a line -> shape (k,), drawn dashed in its colour.
        log_x, log_y: logarithmic axes.
    Raises:
        ValueError: no lines, more than six, or one that has not a number for each x; an x that a logarithmic axis has no place for.
    """
    log_x, log_y = switch("log_x", log_x), switch("log_y", log_y)
    x = np.asarray(x, dtype=float)
    if not 1 <= len(lines) <= len(LOOKS):
        raise ValueError(f"lines: got {len(lines)}; it takes one to {len(LOOKS)}")
    for label, values in lines.items():
        if np.ndim(values) not in (1, 2) or np.shape(values)[-1] != len(x):
            raise ValueError(
                f"lines: {label!r} has shape {np.shape(values)}; it takes (k,) or (seeds, k) with k = {len(x)}, as x"
            )
    if not len(x) or (log_x and x.min() <= 0):
        raise ValueError(f"x: got {x.tolist()}; it takes numbers, above 0 on a logarithmic axis")
    theory = {label: np.asarray(values, dtype=float) for label, values in (predicted or {}).items() if label in lines}
    bands: list[Mark] = []
    drawn: list[Mark] = []
    seen = list(theory.values())
    names = []
    for number, ((label, values), (role, marker, sign)) in enumerate(zip(lines.items(), LOOKS)):
        low, mean, high = spread(values, log_y)
        seen += [low, mean, high]
        bands.append(Band(x, low, high, role, 0.18))
        hollow = label in theory
        in_turn = len(x) > 8 and not hollow
        drawn.append(
            Line(
                x,
                mean,
                role,
                0 if hollow else 2.8,
                marker="" if in_turn else marker,
                size=11,
                hollow=hollow,
                name=label,
            )
        )
        if in_turn:  # of lines that lie upon one another both show their markers
            own = slice(number % 2, None, 2)
            drawn.append(Line(x[own], mean[own], role, 0, marker=marker, size=11, name=label))
        if hollow:
            drawn.append(Line(x, theory[label], role, 2.8, dash=(8.4, 4.2), name=f"{label}, predicted"))
        known = mean[np.isfinite(mean)]
        height = float(np.mean(np.log(known) if log_y else known)) if len(known) else -math.inf
        names.append((height, f"{HOLLOW[sign] if hollow else sign} {label}", role))
    key = [(words, role) for _, words, role in sorted(names, reverse=True)]
    key += [("– –  predicted", "ink")] * bool(theory)
    words = Words(
        np.full(len(key), 1.022), 0.95 - 0.115 * np.arange(len(key)), tuple(words for words, _ in key),
        tuple(role for _, role in key), NORMAL, "left", panel=True,
    )  # fmt: skip
    panel = Panel(
        _across(x, xlabel, log_x), _up(seen, log_y), (*bands, *drawn, words), title=title, grid=True,
        left=102, right=294, top=51, bottom=391,
    )  # fmt: skip
    return Figure((Block(0, 0, 1280, 460, (panel,)),), height=460, label=f"{title}, by {xlabel}")


curves = painted(curves_figure)


def _across(x: np.ndarray, name: str, log: bool) -> Axis:
    low, high = around([x], log)
    if log or len(x) <= 8:
        ticks = tuple(np.log10(x) if log else x)
        labels = tuple(f"{v:g}" for v in x)
    else:
        ticks, labels = round_ticks(low, high, 8)
    return Axis(low, high, "log" if log else "linear", ticks=ticks, labels=labels, name=name, title=name, tick=0)


def _up(seen: Sequence[np.ndarray], log: bool) -> Axis:
    low, high = around(seen, log)
    ticks, labels = log_ticks(low, high) if log else round_ticks(low, high, 6)
    return Axis(low, high, "log" if log else "linear", ticks=ticks, labels=labels)
