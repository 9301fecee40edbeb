"""Signals in rows, a data set a row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from initviz.plots._figure import Axis, Block, Figure, Line, Panel
from initviz.plots._matplotlib import painted

ROLES = ("blue", "ink", "orange", "purple")


def signals_figure(rows: Mapping[str, np.ndarray]) -> Figure:
    """Draw signals side by side.

    Args:
        rows: words for a row -> its signals, shape (n, length); up to four rows of the same n.
    Raises:
        ValueError: rows of different numbers of signals, none, or more than four.
    """
    counts = {len(row) for row in rows.values()}
    if len(counts) != 1 or not 1 <= len(rows) <= 4:
        raise ValueError(
            f"rows: got {len(rows)} rows of {sorted(counts)} signals; it takes one to four rows of equally many"
        )
    (count,) = counts
    pitch = 1250 / count
    blocks = []
    for row, ((words, some), role) in enumerate(zip(rows.items(), ROLES)):
        some = np.asarray(some, dtype=float)
        last, limit = some.shape[1] - 1, 1.05 * float(np.abs(some).max()) or 1.0
        x, y = Axis(-0.05 * last, 1.05 * last), Axis(-limit, limit)
        panels = [
            Panel(
                x, y, (Line(np.arange(last + 1.0), signal, role, 3.0),), title=words if column == 0 else "",
                left=15 + pitch * column, right=1277 - pitch * (column + 1), top=41, bottom=142, least=pitch - 12,
            )
            for column, signal in enumerate(some)
        ]  # fmt: skip
        blocks.append(Block(0, 150 * row, 1280, 150, tuple(panels)))
    return Figure(tuple(blocks), height=10 + 150 * len(rows), label=f"Signals: {', '.join(rows)}")


signals = painted(signals_figure)
