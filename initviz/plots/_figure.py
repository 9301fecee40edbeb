"""A picture as data: a `Figure` of panels with marks, a few numpy arrays each in data coordinates. Painters turn it into pixels.

Lengths are in pixels of a picture 1280 wide; a painter scales them, letters too, with the width that it has. Colours are roles in
`initviz.plots._palette`. Words are plain text.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any

import numpy as np

SMALL, NORMAL, TITLE = 18.0, 19.5, 22.0
"""Heights of letters: for the last row of a lecture hall the smallest are a 70th of the picture's width."""


@dataclass(frozen=True)
class Axis:
    """One axis of a panel.

    Attributes:
        low, high: its ends, `low` at the left or at the bottom (it may be the larger); of a "log" axis their powers of ten.
        scale: "linear", "log", or "symlog": sign(v) log(1 + |v|/threshold).
        threshold: where the log of a "symlog" axis begins.
        ticks, labels: where the ticks are (of a "log" axis their powers of ten), and their words; no words, no labels.
        name: what is along it: "layer", "training step". Panels with the same `name` share their cursor.
        title: words at the axis, such as the name.
        tick: length of the lines that mark the ticks.
    """

    low: float
    high: float
    scale: str = "linear"
    threshold: float = 0.0
    ticks: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    name: str = ""
    title: str = ""
    tick: float = 5.0

    @property
    def ends(self) -> tuple[float, float]:
        """Its low and its high end on paper: a value itself, its logarithm, or its symmetric one."""
        low, high = (self.low, self.high) if self.scale == "log" else self._bent([self.low, self.high])
        return float(low), float(high)

    def place(self, values: Any) -> np.ndarray:
        """Where values lie, as shares of the axis from its low end; NaN for what it has no place for."""
        low, high = self.ends
        return (self._bent(values) - low) / (high - low)

    def value(self, places: Any) -> np.ndarray:
        """The inverse of `place`."""
        low, high = self.ends
        bent = low + np.asarray(places, dtype=float) * (high - low)
        if self.scale == "log":
            return 10.0**bent
        return np.sign(bent) * self.threshold * np.expm1(np.abs(bent)) if self.scale == "symlog" else bent

    def tick_places(self) -> np.ndarray:
        """`place` of the ticks."""
        ticks = np.asarray(self.ticks, dtype=float)
        return (ticks - self.low) / (self.high - self.low) if self.scale == "log" else self.place(ticks)

    def _bent(self, values: Any) -> np.ndarray:
        values = np.asarray(values, dtype=float)
        if self.scale == "log":
            return np.log10(values, out=np.full_like(values, math.nan), where=values > 0)
        return np.sign(values) * np.log1p(np.abs(values) / self.threshold) if self.scale == "symlog" else values


@dataclass(frozen=True)
class Columns:
    """Histograms side by side: each column as dark as it is likely.

    Attributes:
        x: shape (n,), the middles of the columns, 1 apart.
        low, high: shape (n,), the ends of each histogram.
        cells: shape (n, bins), shares in equal cells from low to high; a column of zeros is not drawn.
        ramp: a name in RAMPS.
        split: draw the cell that holds 0 evenly on both sides of 0. A log axis enlarges it, and its inside is not known.
        clip: what lies beyond the axis is drawn at its ends.
        name: for the words beside the pointer.
    """

    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cells: np.ndarray
    ramp: str
    split: bool = False
    clip: bool = False
    name: str = ""


@dataclass(frozen=True)
class Heat:
    """A map: equal cells from x[0] to x[1] and from y[0] to y[1].

    Attributes:
        x, y: the ends of the first and the last cell, in data coordinates; of an axis that is not linear, places from 0 to 1.
        values: shape (rows, columns); row 0 begins at y[0]. NaN is drawn grey.
        ramp: a name in RAMPS, from `low` to `high`.
        least: what is above 0 is drawn at least as if it were so much, to be seen at all.
        smooth: blend neighbouring cells.
        words, bold: of each cell, row by row, in a colour that is read on it; or none.
        percent: the values are shares; write them as percents.
        name: for the words beside the pointer; without one the map is silent.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    values: np.ndarray
    ramp: str
    low: float = 0.0
    high: float = 1.0
    least: float = 0.0
    smooth: bool = False
    words: tuple[str, ...] = ()
    bold: tuple[bool, ...] = ()
    percent: bool = False
    name: str = ""


@dataclass(frozen=True)
class Line:
    """A line, points, or both.

    Attributes:
        x, y: shape (n,). NaN, and what a log axis has no place for, leaves a gap.
        role: its colour.
        width: of the line; 0 draws points alone.
        dash: lengths on and off in pixels; empty for a whole line.
        marker: "o s ^ v D P X * x | +", "ring", or "" for none; `every` which point has one; `size` its width; `hollow` with paper inside.
        alpha: how much of the ground it hides.
        edge: role of a line around its markers; none if empty.
        lane: `y` is a share of the panel's height.
        free: it may leave its panel.
        percent, name: as of a `Heat`.
    """

    x: np.ndarray
    y: np.ndarray
    role: str
    width: float = 2.8
    dash: tuple[float, ...] = ()
    marker: str = ""
    size: float = 9.0
    hollow: bool = False
    every: int = 1
    alpha: float = 1.0
    edge: str = ""
    lane: bool = False
    free: bool = False
    percent: bool = False
    name: str = ""


@dataclass(frozen=True)
class Band:
    """What lies between two lines, of shape (n,) each, and is cut at the panel's edge."""

    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
    role: str
    alpha: float = 0.2


@dataclass(frozen=True)
class Bars:
    """Boxes.

    Attributes:
        left, right, bottom, top: shape (n,), in data coordinates; infinite ends are at the panel's edge, NaN is not drawn.
        roles: the colour of each, or one for all.
        hollow: the edge alone, `width` wide and dashed by `dash`.
        hatch: lines of the page's colour across: "/" rising ones, "x" both ways.
        name: for the words beside the pointer, which tell `top`.
    """

    left: np.ndarray
    right: np.ndarray
    bottom: np.ndarray
    top: np.ndarray
    roles: tuple[str, ...]
    alpha: float = 1.0
    hollow: bool = False
    width: float = 1.8
    dash: tuple[float, ...] = ()
    hatch: str = ""
    name: str = ""


@dataclass(frozen=True)
class Words:
    """Words in a panel.

    Attributes:
        x, y: shape (n,), in data coordinates, or where `panel` shares of the panel; they may lie outside of it.
        words: one for each place.
        roles: the colour of each, or one for all.
        size: of the letters.
        align: "left", "center" or "right" of the place; `valign`: "top", "middle" or "bottom" likewise.
        bold: of each, or of all.
        shift: pixels to the right and up.
        paper: on a ground of paper, over other marks.
    """

    x: np.ndarray
    y: np.ndarray
    words: tuple[str, ...]
    roles: tuple[str, ...] = ("ink",)
    size: float = SMALL
    align: str = "center"
    valign: str = "middle"
    bold: tuple[bool, ...] = (False,)
    shift: tuple[float, float] = (0.0, 0.0)
    panel: bool = False
    paper: bool = False


Mark = Columns | Heat | Line | Band | Bars | Words
Key = tuple[tuple[str, str], ...]
"""Words in a row, each with its role; a row that is too long goes on below."""


@dataclass(frozen=True)
class Panel:
    """Marks over a pair of axes, from the first, below, to the last.

    Attributes:
        left, right: room beside it in its block; a `left` below 0 is counted from the block's right edge.
        top, bottom: its edges, from the block's upper one.
        title: above it.
        note: in its middle, such as why there is nothing to see.
        side: where the vertical axis has its words, "left" or "right".
        over: the horizontal axis has its words above the panel.
        grid: faint lines at the vertical axis' ticks.
        key: rows of words below.
        key_left: where they begin, in pixels from the panel's left edge; `key_top` from its lower one.
        least: on a narrow page it is made smaller as a whole before it is narrower than this.
    """

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    left: float
    right: float
    top: float
    bottom: float
    title: str = ""
    note: str = ""
    side: str = "left"
    over: bool = False
    grid: bool = False
    key: tuple[Key, ...] = ()
    key_left: float = 0.0
    key_top: float = 27.0
    least: float = 160.0


@dataclass(frozen=True)
class Block:
    """Panels that stay together: `left`, `top`, `width` and `height` in the figure. On a narrow page blocks stand under each other."""

    left: float
    top: float
    width: float
    height: float
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
        width, height: of all its blocks.
        label: what it is, for those who do not see it.
        caption: a line below it.
        headline, color, reason: words above it: a sign and a word in `color`, and a text. A page has its own place for them.
    """

    blocks: tuple[Block, ...]
    width: float = 1280.0
    height: float = 436.0
    label: str = ""
    caption: str = ""
    headline: str = ""
    color: str = "ink"
    reason: str = ""

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for block in self.blocks for panel in block.panels)


def packed(figure: Figure) -> bytes:
    """A figure for a page: the length of its words as four bytes, the words as JSON, and at a multiple of eight bytes its numbers.

    What is at its default is left out of the words (`defaults`), and so are the kinds that the fields tell; a part that was there before,
    the same object, is {"as": its number in order}. An array of more than a few numbers is {"at": [bytes a number, where it begins, how
    many, and of a matrix how many in a row]}. Numbers go as float32 where that keeps them to a millionth, else as float64; histograms as
    bytes, the cube roots of shares of the column's largest cell, so that a thousandth of it still counts.
    """
    arrays: dict[bytes, int] = {}
    words = json.dumps(_words(figure, arrays, {}), ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join([struct.pack("<I", len(words)), words, bytes(-(4 + len(words)) % 8), *arrays])


def defaults() -> dict[str, dict[str, Any]]:
    """Kind -> the fields that `packed` leaves out, and their values."""
    kinds = (Axis, Columns, Heat, Line, Band, Bars, Words, Panel, Block, Figure)
    return {kind.__name__: {f.name: f.default for f in fields(kind) if f.default is not MISSING} for kind in kinds}


def _words(thing: Any, arrays: dict[bytes, int], seen: dict[int, int]) -> Any:
    if isinstance(thing, np.ndarray):
        few = thing.ndim == 1 and len(thing) <= 3 and np.isfinite(thing).all()
        return _words(tuple(thing), arrays, seen) if few else {"at": _append(thing, arrays)}
    if isinstance(thing, tuple):
        return [_words(one, arrays, seen) for one in thing]
    if not is_dataclass(thing):
        thing = thing.item() if isinstance(thing, np.generic) else thing
        short = float(f"{thing:.10g}") if isinstance(thing, float) else math.nan
        return int(short) if short.is_integer() and abs(short) < 1e15 else thing if math.isnan(short) else short
    if id(thing) in seen:
        return {"as": seen[id(thing)]}
    seen[id(thing)] = len(seen)
    found: dict[str, Any] = {"kind": type(thing).__name__} if isinstance(thing, Mark) else {}
    for name, default in _names_and_defaults(type(thing)):  # type: ignore[arg-type]
        value = getattr(thing, name)
        if name == "cells":
            peak = value.max(axis=1, keepdims=True, initial=0)
            share = np.divide(value, peak, out=np.zeros_like(value, dtype=float), where=peak > 0)
            found["cells"] = {"at": _append(np.rint(255 * np.cbrt(share)).astype(np.uint8), arrays)}
        elif isinstance(value, np.ndarray) or value != default:
            found[name] = _words(value, arrays, seen)
    return found


@lru_cache
def _names_and_defaults(kind: type) -> list[tuple[str, Any]]:
    return [(f.name, f.default) for f in fields(kind)]


def _append(array: np.ndarray, arrays: dict[bytes, int]) -> list[int]:
    """Add an array's bytes, unless they are there, at a multiple of eight; where and how they lie."""
    if array.dtype != np.uint8:
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float32)
        wide = array.astype(float)
        array = narrow if np.allclose(narrow, wide, rtol=1e-6, atol=0, equal_nan=True) else wide
    data = array.tobytes() + bytes(-array.nbytes % 8)
    start = arrays.setdefault(data, sum(map(len, arrays)))
    return [array.itemsize, start, array.size, *array.shape[1:]]
