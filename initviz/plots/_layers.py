"""Panels whose horizontal axis counts layers: histograms as density columns, strips of shares, and the spread beside the theory's."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from initviz._core.statistics import TensorStats
from initviz.plots._figure import Axis, Band, Columns, Heat, Key, Line, Mark, Panel, Words
from initviz.plots._scale import counts, exponent_ticks, layer_limit, log_limits, symmetric_axis

Layers = Sequence[TensorStats | None]
STRIPS = {"zeros": ("zeros", "grey"), "saturated": ("saturated", "purple"), "nonfinite": ("NaN, inf", "red")}
"""Share -> its words and its ramp."""
LEAST = 0.08
"""How dark a share above 0 is at least, to be seen."""
LANE = 0.065
"""Height of a lane of the spread in parts of the panel; forward and backward have one each."""
FAR = 60
"""Powers of ten to which the spread's axis follows the theory; it follows what was measured without end."""


def density_panel(
    layers: Layers, title: str, ramp: str, name: str, pinned: Layers | None = None, output: int = 0, **box: Any
) -> Panel:
    """Histograms side by side. Exact zeros are in the strips.

    Args:
        title: above the panel.
        ramp: of the columns' colours.
        name: of the quantity, for the words beside the pointer.
        pinned: another run: dashed lines at 5 % and 95 % of its values.
        output: number of the output layer, which the axis names; 0 if there is none.
        **box: left, right, top, bottom of the `Panel`.
    """
    axis = symmetric_axis([*layers, *(pinned or [])])
    marks: list[Mark] = []
    drawn = [(number, stats) for number, stats in enumerate(layers, 1) if stats is not None and stats.hist.any()]
    if drawn:
        low, high = (np.array([getattr(s, end) for _, s in drawn]) for end in ("min", "max"))
        x, cells = np.array([number for number, _ in drawn], dtype=float), np.stack([s.hist for _, s in drawn])
        marks.append(Columns(x, low, high, cells, ramp, split=axis.scale == "symlog", name=f"{name}: near"))
    ghost = [(number, s) for number, s in enumerate(pinned or [], 1) if s is not None and s.hist.any()]
    for share in (0.05, 0.95) if ghost else ():
        values = np.array([_quantile(s, share) for _, s in ghost])
        x = np.array([number for number, _ in ghost], dtype=float)
        marks.append(Line(x, values, "ink", width=2.2, dash=(8.9, 4.4)))
    note = nothing_words(layers)
    if note and not ghost:
        axis = replace(axis, ticks=(), labels=())
    count = max(len(layers), len(pinned or []))
    return Panel(layer_axis(count, output, labels=False), axis, tuple(marks), title=title, note=note, **box)


def strip_panel(layers: Layers, shares: Sequence[str], name: str, count: int = 0, output: int = 0, **box: Any) -> Panel:
    """A row of cells for each share, keys of STRIPS, and the largest of the row in words at its right.

    Args:
        name: of the quantity, for the words beside the pointer.
        count: of layers on the axis, if it has more than there are.
        output, **box: as for `density_panel`.
    """
    rows = len(shares)
    words, marks = [], []
    for row, share in enumerate(shares):
        values = np.array([math.nan if s is None else getattr(s, share) for s in layers], dtype=float)
        what, ramp = STRIPS[share]
        ends = (0.5, len(layers) + 0.5)
        marks.append(
            Heat(
                ends,
                (row, row + 1.0),
                np.nan_to_num(values)[None],
                ramp,
                least=LEAST,
                percent=True,
                name=f"{name}: {what}",
            )
        )
        words.append(_share_words(values[np.isfinite(values)]))
    places = np.arange(rows) + 0.5
    note = Words(np.full(rows, 1.02), 1 - places / rows, tuple(words), align="left", panel=True)
    y = Axis(rows, 0.0, ticks=tuple(places.tolist()), labels=tuple(STRIPS[s][0] for s in shares), tick=0.0)
    x = layer_axis(max(count, len(layers)), output)
    return Panel(x, y, (*marks, note, _LAYER), **box)


def spread_panel(
    measured: Sequence[Layers],
    bands: Sequence,
    pinned: Sequence[Layers | None],
    words: Sequence[str],
    output: int = 0,
    **box: Any,
) -> Panel:
    """Root mean squares by layer on a log axis: hollow points measured, dashed lines and bands predicted.

    A log axis has no place for 0 and for what is not finite: such layers are marked in lanes below and above the others.

    Args:
        measured, bands, pinned, words: of the forward and of the backward quantity; a band has mid, low and high, or is None.
    """
    rms = [_rms(layers) for layers in measured]
    ghosts = [_rms(layers or []) for layers in pinned]
    theory = [np.array([]) if band is None else band.mid for band in bands]
    least, most = log_limits(np.concatenate([*rms, *ghosts]))
    low, high = log_limits(np.concatenate([*rms, *ghosts, *theory]))
    low, high = max(low, min(least, -FAR)), min(high, max(most, FAR))
    count = max(len(rms[0]), len(ghosts[0]))
    zeros = [np.array([s is not None and s.zeros == 1 for s in layers], dtype=bool) for layers in measured]
    broken = [np.array([s is not None and s.nonfinite > 0 for s in layers], dtype=bool) for layers in measured]
    some_zero, some_broken = any(z.any() for z in zeros), any(b.any() for b in broken)
    span = (high - low) / (1 - 2 * LANE * (some_zero + some_broken) - 0.05)
    below, above = ((0.025 + 2 * LANE * lanes) * span for lanes in (some_zero, some_broken))
    looks = (("blue", "dark blue", "o"), ("orange", "dark orange", "s"))
    size = 9.0 if count <= 36 else 7.0 if count <= 64 else 4.2
    layers = np.arange(1, count + 1, dtype=float)
    under: list[Mark] = []
    points: list[Mark] = []
    over: list[Mark] = []
    lanes: list[Mark] = []
    for i, (role, dark, marker) in enumerate(looks):
        band = bands[i]
        if band is not None:
            known = np.isfinite(band.mid) & (band.mid > 0)
            x = np.arange(1, len(band.mid) + 1, dtype=float)
            bottom = np.maximum(band.low[known], 10.0 ** max(low - 1, -307))
            under.append(Band(x[known], bottom, band.high[known], role))
            over.append(
                Line(
                    x,
                    np.where(band.mid > 0, band.mid, math.nan),
                    dark,
                    width=3.0,
                    dash=(7.6, 3.7),
                    name=f"{words[i]}: theory",
                )
            )
        if len(ghosts[i]):
            x = np.arange(1, len(ghosts[i]) + 1, dtype=float)
            under.append(
                Line(
                    x, ghosts[i], "grey", width=1.7, marker=marker, size=4.9, alpha=0.7, name=f"{words[i]}: pinned rms"
                )
            )
        x = layers[: len(rms[i])]
        points.append(Line(x, rms[i], role, width=0, marker=marker, size=size, hollow=True, name=f"{words[i]}: rms"))
        for where, sign, place in ((zeros[i], "v", (1.5 - i) * LANE), (broken[i], "^", 1 - (0.5 + i) * LANE)):
            if where.any():
                y = np.full(int(where.sum()), place)
                lanes.append(Line(x[where], y, role, width=0, marker=sign, size=12.5, lane=True))
    ticks, labels = exponent_ticks(low, high)
    key: list[Key] = [((f"○ {words[0]}", "blue"),), ((f"□ {words[1]}", "orange"),)]
    also = ["– – theory, 95 % band"] * any(band is not None for band in bands) + ["grey: pinned"] * (
        pinned[0] is not None
    )
    signs = ["▼ exactly 0"] * some_zero + ["▲ NaN or inf"] * some_broken
    key += [tuple((one, "ink") for one in row) for row in (also, signs) if row]
    return Panel(
        layer_axis(count, output), Axis(low - below, high + above, "log", ticks=ticks, labels=labels),
        (*under, *points, *over, *lanes, _LAYER), title="Spread (rms) by layer", grid=True, key=tuple(key), key_left=-61, key_top=38, **box,
    )  # fmt: skip


@functools.cache
def layer_axis(count: int, output: int = 0, labels: bool = True) -> Axis:
    """A horizontal axis over at least `count` layers, with room for a marker beyond the first and the last one.

    Args:
        output: number of the layer that is called "out"; 0: there is no such layer.
    """
    count = layer_limit(count)
    room = 0.5 + 0.02 * count
    ticks = counts(count)
    if output > 1:
        ticks = [t for t in ticks if t == 1 or abs(t - output) > 0.16 * count] + [output]
    words = tuple("out" if t == output else str(t) for t in ticks) if labels else ()
    return Axis(1 - room, count + room, ticks=tuple(map(float, ticks)), labels=words, name="layer")


_LAYER = Words(np.zeros(1), np.zeros(1), ("layer",), align="right", valign="top", shift=(-8, -13), panel=True)
"""The name of a layer axis, left of its ticks."""


def _rms(layers: Layers) -> np.ndarray:
    return np.array([math.nan if s is None else s.rms for s in layers], dtype=float)


def _quantile(stats: TensorStats, share: float) -> float:
    return float(np.interp(share, np.concatenate([[0], np.cumsum(stats.hist)]), stats.edges))


def _share_words(shares: np.ndarray) -> str:
    """The largest of the shares, with a sign that says whether others are smaller."""
    low, high = shares.min(initial=1), shares.max(initial=0)
    thin = "\N{THIN SPACE}"
    words = [f"{100 * v:.0f}{thin}%" if v >= 0.01 or v == 0 else f"<{thin}1{thin}%" for v in (low, high)]
    return words[1] if words[0] == words[1] or high < 0.01 else f"≤{thin}{words[1]}"


def nothing_words(layers: Layers) -> str:
    """What to write where there is no histogram to draw; "" where there is one."""
    known = [s for s in layers if s is not None]
    if any(s.hist.any() for s in known):
        return ""
    if not known:
        return "not measured"
    return "all exactly 0" if all(s.zeros == 1 for s in known) else "no finite value other than 0"
