"""A deep leaky ReLU network: what each half of the function passes on, and second moments by layer in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from initviz.plots._figure import Axis, Band, Block, Figure, Line, Mark, Panel
from initviz.plots._matplotlib import painted
from initviz.plots._scale import exponent_ticks, layer_axis_below, log_limits

if TYPE_CHECKING:
    from initviz.experiments import RectifierRun

Z = np.linspace(-3.2, 3.2, 129)


def rectifier_figure(run: RectifierRun, title: str = "") -> Figure:
    """A `RectifierRun`; `title` stands above."""
    rows = [
        (run.forward, run.forward_theory, run.forward_band, run.forward_factors, "blue", "o", "Forward: E[h²] by layer"),
        (run.backward, run.backward_theory, run.backward_band, run.backward_factors, "orange", "s", "Backward: E[(dL/dh)²] by layer"),
    ]  # fmt: skip
    ways = [_way(*row, 87 if number == 0 else 75) for number, row in enumerate(rows)]
    return Figure(
        (
            Block(0, 0, 380, 440, (_function(run),)),
            Block(380, 0, 460, 440, (ways[0],)),
            Block(840, 0, 440, 440, (ways[1],)),
        ),
        height=440,
        label="The function, and second moments by layer on the way forward and on the way back",
        reason=title,
    )


rectifier = painted(rectifier_figure)


def _function(run: RectifierRun) -> Panel:
    a = run.slope
    density = 2.2 * np.exp(-Z * Z / 2) - 3.2
    marks: list[Mark] = [
        Line(np.array([-3.2, 3.2]), np.zeros(2), "grey", 1.1),
        Line(np.zeros(2), np.array([-3.2, 3.2]), "grey", 1.1),
    ]
    for part, slope, role in ((Z <= 0, a, "orange"), (Z >= 0, 1.0, "blue")):
        marks.append(Band(Z[part], np.full(part.sum(), -3.2), density[part], role, 0.22))
        marks.append(Line(Z[part], slope * Z[part], role, 5.5))
    key = (
        (("of E[z²] it passes", "ink"),),
        (("0.500 on the positive side", "blue"),),
        ((f"{a**2 / 2:.3f} on the negative, a²/2", "orange"),),
        ((f"{(1 + a**2) / 2:.3f} in all; measured {run.passed:.3f}", "ink"),),
    )
    return Panel(
        Axis(-3.2, 3.2, ticks=(0,), labels=("z = 0",), tick=0), Axis(-3.2, 3.2), tuple(marks), title=f"φ, slope a = {a:.2g} below 0",
        key=key, key_top=46, left=38, right=34, top=43, bottom=263,
    )  # fmt: skip


def _way(measured, theory, band, factors, role: str, marker: str, title: str, left: float) -> Panel:
    low, high = log_limits(np.concatenate([measured, theory]))
    ticks, labels = exponent_ticks(low, high)
    layers = np.arange(1, len(measured) + 1, dtype=float)
    way = title.split(":")[0].lower()
    marks = (
        Band(layers, np.asarray(band[0]), np.asarray(band[1]), role, 0.16),
        Line(layers, np.asarray(measured), role, 0, marker=marker, size=8.3, name=f"{way}: measured"),
        Line(layers, np.asarray(theory), "ink", 2.8, dash=(8.4, 4.2), name=f"{way}: theory"),
    )
    key = (
        ((f"×{factors[0]:.3g} per layer (theory ×{factors[1]:.3g})", role),),
        ((f"{'●' if marker == 'o' else '■'} measured", role), ("- - theory, 95 % band", "ink")),
    )
    return Panel(
        layer_axis_below(len(measured)), Axis(low, high, "log", ticks=ticks, labels=labels), marks, title=title, grid=True, key=key,
        key_left=-40, key_top=62, left=left, right=19, top=43, bottom=318,
    )  # fmt: skip
