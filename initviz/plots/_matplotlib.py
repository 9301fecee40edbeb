"""The painter for paper: a `Figure` drawn by matplotlib, as wide as it is described, its blocks side by side."""

from __future__ import annotations

import functools
import io
import textwrap
from collections.abc import Callable
from typing import Any, Literal, ParamSpec

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection

from initviz.plots._figure import (
    NORMAL,
    SMALL,
    TITLE,
    Axis,
    Band,
    Bars,
    Block,
    Columns,
    Figure,
    Heat,
    Line,
    Panel,
    Words,
)
from initviz.plots._palette import color, ramp

DPI = 100
HEADER, SENTENCE, FOOTER = 100, 62, 28
"""Room for a verdict or a sentence above, and for a line below."""
ROWS = 160
"""Cells of a density column."""
_POINT = 72 / DPI
"""A pixel in points, matplotlib's unit of letters and lines."""
_Arguments = ParamSpec("_Arguments")
_AT = {"middle": "center", "top": "top", "bottom": "bottom"}


def draw(figure: Figure) -> matplotlib.figure.Figure:
    """The picture as a matplotlib Figure, not known to pyplot."""
    above = HEADER if figure.headline else SENTENCE * bool(figure.reason)
    width, height = figure.width, above + figure.height + FOOTER * bool(figure.caption)
    canvas = matplotlib.figure.Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    for block in figure.blocks:
        for panel in block.panels:
            _panel(canvas, figure, block, panel, above, height)
    _words_above(canvas, figure, width, height)
    if figure.caption:
        size = SMALL * min(1, 134 * width / 1280 / len(figure.caption))
        style = _font("grey", size)
        canvas.text(12 / width, 8 / height, figure.caption, va="bottom", **style)
    return canvas


def painted(describe: Callable[_Arguments, Figure]) -> Callable[_Arguments, matplotlib.figure.Figure]:
    """The function that gives as a matplotlib Figure what `describe`, called ..._figure, gives as data."""

    @functools.wraps(describe)
    def on_paper(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> matplotlib.figure.Figure:
        return draw(describe(*args, **kwargs))

    on_paper.__name__ = on_paper.__qualname__ = describe.__name__.removesuffix("_figure")
    return on_paper


def png(figure: Figure) -> bytes:
    """The picture as a PNG."""
    buffer = io.BytesIO()
    draw(figure).savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def masses(columns: Columns, edges: np.ndarray) -> np.ndarray:
    """The share of each column's values in each cell of other edges, shape (len(edges) - 1, len(columns.x))."""
    low, high, cells = columns.low[:, None], columns.high[:, None], columns.cells
    count = cells.shape[1]
    width = np.where(high > low, high - low, 1) / count
    places = (edges - low) / width
    if columns.split:
        places += np.where((low < 0) & (high > 0), np.floor(-low / width) + 0.5 + low / width, 0)
    below = np.pad(np.cumsum(cells, axis=1), ((0, 0), (1, 0)))
    cell = np.clip(np.floor(places), 0, count - 1).astype(int)
    share = np.clip(places - cell, 0, 1)
    found = np.take_along_axis(below, cell, 1) + share * np.take_along_axis(cells, cell, 1)
    if columns.clip:
        found[:, 0], found[:, -1] = 0, below[:, -1]
    found = np.diff(found, axis=1)
    for row in np.flatnonzero(columns.low == columns.high):  # all of it is at one value
        found[row] = np.histogram(columns.low[row : row + 1], edges)[0] * below[row, -1]
    return found.T


def _panel(
    canvas: matplotlib.figure.Figure, figure: Figure, block: Block, panel: Panel, above: float, height: float
) -> None:
    inside = panel.left if panel.left >= 0 else block.width + panel.left
    wide = block.width - inside - panel.right
    left, bottom = block.left + inside, height - above - block.top - panel.bottom
    high = panel.bottom - panel.top
    ax = canvas.add_axes((left / figure.width, bottom / height, wide / figure.width, high / height))
    ax.set_facecolor(color("paper"))
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set(xlim=panel.x.ends, ylim=panel.y.ends)
    if panel.title:
        title = ax.set_title(panel.title, loc="left", pad=38 * _POINT if panel.over else 6, **_font("ink", TITLE))
        room = wide + panel.right
        title.set_fontsize(TITLE * _POINT * min(1, max(0.7, room / _wide(canvas, title))))
    _axis(ax, "x", panel.x, panel)
    _axis(ax, "y", panel.y, panel)
    if panel.grid:
        ax.grid(axis="y", color=color("grid"), lw=0.8)
        ax.set_axisbelow(True)
    for mark in panel.marks:
        _MARKS[type(mark)](ax, panel, mark)
    if panel.note:
        ax.text(0.5, 0.5, panel.note, ha="center", va="center", **_font("ink", NORMAL))
    for row, key in enumerate(panel.key):
        x = panel.key_left
        for words, role in key:
            text = ax.annotate(
                words, (0, 0), (x * _POINT, -(panel.key_top + 24 * row) * _POINT), xycoords="axes fraction",
                textcoords="offset points", va="top", annotation_clip=False, **_font(role, SMALL),
            )  # fmt: skip
            x += _wide(canvas, text) + 22


def _axis(ax: Axes, way: Literal["x", "y"], axis: Axis, panel: Panel) -> None:
    labels = axis.labels or ("",) * len(axis.ticks)
    ticks = _spot(axis, axis.tick_places())
    getattr(ax, f"set_{way}ticks")(
        ticks, labels, **_font("ink", SMALL if axis.tick == 0 and (way == "y" or panel.over) else NORMAL)
    )
    ax.tick_params(
        axis=way,
        length=0 if panel.grid and way == "y" else axis.tick * _POINT,
        color=color("ink"),
        pad=6 if way == "x" else 3.5,
    )
    if way == "x" and panel.over:
        ax.xaxis.tick_top()
    if way == "y" and panel.side == "right":
        ax.yaxis.tick_right()
    if axis.title:
        getattr(ax, f"set_{way}label")(axis.title, labelpad=1, **_font("ink", NORMAL))


def _spot(axis: Axis, places: Any) -> np.ndarray:
    """Coordinates on paper of shares of an axis."""
    low, high = axis.ends
    return low + np.asarray(places, dtype=float) * (high - low)


def _at(axis: Axis, values: Any) -> np.ndarray:
    """Coordinates on paper of values."""
    return _spot(axis, axis.place(values))


def _columns(ax: Axes, panel: Panel, mark: Columns) -> None:
    found = masses(mark, panel.y.value(np.linspace(0, 1, ROWS + 1)))
    peak = found.max(axis=0)
    shade = np.divide(found, peak, out=np.zeros_like(found), where=peak > 0) ** 0.6
    whole = np.zeros((ROWS, round(mark.x[-1] - mark.x[0]) + 1), np.uint8)
    whole[:, np.rint(mark.x - mark.x[0]).astype(int)] = np.rint(shade * 255)
    _image(ax, panel, ramp(mark.ramp)[whole], (mark.x[0] - 0.5, mark.x[-1] + 0.5, *panel.y.ends))


def _heat(ax: Axes, panel: Panel, mark: Heat) -> None:
    values = np.where(mark.values > 0, np.maximum(mark.values, mark.least), mark.values)
    share = np.clip((values - mark.low) / (mark.high - mark.low), 0, 1)
    pixels = ramp(mark.ramp)[np.rint(np.nan_to_num(share) * 255).astype(int)]
    pixels[np.isnan(share)] = 204
    x = mark.x if panel.x.scale == "linear" else _spot(panel.x, mark.x)
    y = mark.y if panel.y.scale == "linear" else _spot(panel.y, mark.y)
    _image(ax, panel, pixels, (x[0], x[1], y[0], y[1]), smooth=mark.smooth)
    light = pixels @ [0.299, 0.587, 0.114] > 140
    rows, columns = light.shape
    for i, words in enumerate(mark.words):
        row, column = divmod(i, columns)
        place = x[0] + (x[1] - x[0]) * (column + 0.5) / columns, y[0] + (y[1] - y[0]) * (row + 0.5) / rows
        style = _font("ink" if light[row, column] else "page", SMALL)
        ax.text(*place, words, ha="center", va="center", fontweight="bold" if mark.bold[i] else "normal", **style)


def _image(ax: Axes, panel: Panel, pixels: np.ndarray, extent: tuple[float, ...], smooth: bool = False) -> None:
    """Solid colours; row 0 begins at the third number of the extent."""
    how: Any = "bilinear" if smooth else "nearest"
    ends: Any = extent
    ax.imshow(pixels, aspect="auto", origin="lower", interpolation=how, extent=ends, zorder=0.5)
    ax.set(xlim=panel.x.ends, ylim=panel.y.ends)


def _line(ax: Axes, panel: Panel, mark: Line) -> None:
    x, y = _at(panel.x, mark.x), _spot(panel.y, mark.y) if mark.lane else _at(panel.y, mark.y)
    style: dict[str, Any] = {"color": color(mark.role), "lw": mark.width * _POINT, "alpha": mark.alpha}
    if mark.width == 0:
        style["ls"] = "none"
    elif mark.dash:
        style["ls"] = (0, tuple(length / mark.width for length in mark.dash))
    if mark.marker:
        style |= {
            "marker": "o" if mark.marker == "ring" else mark.marker,
            "ms": mark.size * _POINT,
            "markevery": mark.every,
        }
        if mark.width == 0 and not mark.free:
            low, high = sorted(panel.y.ends)
            y = np.where((y < low - 1e-9 * (high - low)) | (y > high + 1e-9 * (high - low)), np.nan, y)
        if mark.marker == "ring":
            style |= {"mfc": "none", "mew": 3 * _POINT}
        elif mark.hollow:
            style |= {"mfc": "white", "mew": (2.5 if mark.size > 7 else 2) * _POINT}
        elif mark.marker in "x|+":
            style["mew"] = 2.5 * _POINT
        else:
            style |= {"mec": color(mark.edge), "mew": 1.4 * _POINT} if mark.edge else {"mew": 0}
    ax.plot(x, y, clip_on=mark.width != 0 and not mark.free, zorder=2.5, **style)


def _band(ax: Axes, panel: Panel, mark: Band) -> None:
    x = _at(panel.x, mark.x)
    low, high = (_spot(panel.y, np.clip(panel.y.place(edge), -0.5, 1.5)) for edge in (mark.low, mark.high))
    known = np.isfinite(low) & np.isfinite(high)
    if known.any():
        x, low, high = x[known], low[known], high[known]
        corners = np.column_stack([np.r_[x, x[::-1]], np.r_[low, high[::-1]]])
        ax.add_collection(PolyCollection([corners], facecolor=color(mark.role), alpha=mark.alpha, lw=0), autolim=False)


def _bars(ax: Axes, panel: Panel, mark: Bars) -> None:
    sides = [
        _side(panel.x, mark.left),
        _side(panel.x, mark.right),
        _side(panel.y, mark.bottom),
        _side(panel.y, mark.top),
    ]
    boxes, shades = [], []
    for i, ends in enumerate(zip(*sides)):
        if np.isfinite(ends).all():
            left, right, bottom, top = ends
            boxes.append([(left, bottom), (left, top), (right, top), (right, bottom)])
            shades.append(color(mark.roles[i % len(mark.roles)]))
    how: dict[str, Any] = {"facecolor": shades, "lw": 0, "alpha": mark.alpha}
    if mark.hollow:
        dash = (0, tuple(length / mark.width for length in mark.dash)) if mark.dash else "-"
        how = {"facecolor": "none", "edgecolor": shades, "lw": mark.width * _POINT, "ls": dash}
    if mark.hatch:
        how |= {"hatch": {"/": "//", "x": "xx"}[mark.hatch], "edgecolor": color("page")}
    if boxes:
        ax.add_collection(PolyCollection(boxes, zorder=1.5, **how), autolim=False)


def _side(axis: Axis, values: np.ndarray) -> np.ndarray:
    """Coordinates on paper; what is infinite is at the panel's edge."""
    finite = _at(axis, np.where(np.isinf(values), np.nan, values))
    return np.where(np.isinf(values), np.where(values > 0, axis.ends[1], axis.ends[0]), finite)


def _words(ax: Axes, panel: Panel, mark: Words) -> None:
    x, y = (mark.x, mark.y) if mark.panel else (panel.x.place(mark.x), panel.y.place(mark.y))
    for i, words in enumerate(mark.words):
        style = _font(mark.roles[i % len(mark.roles)], mark.size)
        if mark.bold[i % len(mark.bold)]:
            style["fontweight"] = "bold"
        if mark.paper:
            style["bbox"] = {"facecolor": "white", "alpha": 0.75, "lw": 0}
        ax.annotate(
            words, (x[i], y[i]), (mark.shift[0] * _POINT, mark.shift[1] * _POINT), xycoords="axes fraction",
            textcoords="offset points", ha=mark.align, va=_AT[mark.valign], annotation_clip=False, linespacing=1.0, zorder=4, **style,
        )  # fmt: skip


_MARKS: dict[type, Any] = {Columns: _columns, Heat: _heat, Line: _line, Band: _band, Bars: _bars, Words: _words}


def _words_above(canvas: matplotlib.figure.Figure, figure: Figure, width: float, height: float) -> None:
    top, left = 1 - 12 / height, 12.0
    if figure.headline:
        headline = canvas.text(
            left / width, top, figure.headline, va="top", fontweight="bold", **_font(figure.color, 26.5)
        )
        left += _wide(canvas, headline) + 18
    if figure.reason:
        letters = round(
            (width - left) / (8.7 if figure.headline else 9.6)
        )  # a letter of prose is 8.4 wide on the average
        lines = [line for part in figure.reason.split("\n") for line in textwrap.wrap(part, letters)]
        style = _font("ink", SMALL)
        canvas.text(left / width, top - 2 / height, "\n".join(lines[:4]), va="top", linespacing=1.25, **style)


def _wide(canvas: matplotlib.figure.Figure, text: Any) -> float:
    """Width of a text in pixels."""
    renderer = (
        FigureCanvasAgg(canvas).get_renderer()
        if not hasattr(canvas.canvas, "get_renderer")
        else canvas.canvas.get_renderer()
    )
    return float(text.get_window_extent(renderer).width)


def _font(role: str, size: float) -> dict[str, Any]:
    return {"fontsize": size * _POINT, "color": color(role)}
