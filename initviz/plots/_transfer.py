"""What pretrained weights are worth: accuracy against labels for every strategy, and the learning curves of one against random's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from initviz.plots._figure import Axis, Band, Block, Figure, Line, Mark, Panel
from initviz.plots._matplotlib import painted
from initviz.plots._scale import round_ticks, spread
from initviz.training import STRATEGIES

if TYPE_CHECKING:
    from initviz.training import TransferResult

LOOKS = {
    "random": ("ink", "X", "✖"),
    "frozen_random": ("grey", "P", "✚"),
    "frozen": ("blue", "o", "●"),
    "fine_tuned": ("orange", "s", "■"),
    "fine_tuned_default": ("olive", "v", "▼"),
    "fine_tuned_he": ("green", "^", "▲"),
    "head_first": ("purple", "D", "◆"),
}
"""Role, marker and its character for each strategy; of the pretrained ones those that `curves` gives to its lines in this order."""
KEY_ROW = 4
"""Strategies in a row of the words below."""


def transfer_figure(result: TransferResult, labels: int, strategy: str, title: str = "") -> Figure:
    """Accuracy by number of labels, and the learning curves at one number.

    Args:
        result: from `initviz.transfer`; strategies that it has not are left out.
        labels: which of its numbers of labels the learning curves are for.
        strategy: which of its strategies they show, beside random's and, of a frozen body, a frozen random body's, if those were
            measured.
        title: words above.
    Raises:
        ValueError: what was not measured.
    """
    result.curve(strategy, labels)
    low, high = math.log10(min(result.labels) / 1.2), math.log10(max(result.labels) * 1.2)
    ticks = tuple(math.log10(count) for count in result.labels)
    words = tuple(str(count) for count in result.labels)
    by_labels: list[Mark] = [
        Line(np.full(2, float(labels)), np.array([0.0, 1.0]), "ink", 2.0, dash=(3.9, 3.9), lane=True)
    ]
    by_step: list[Mark] = []
    key = []
    shown = {strategy, "random"} | ({"frozen_random"} if strategy == "frozen" else set())
    least = 1.0
    for name, (role, marker, sign) in LOOKS.items():
        if name not in result.strategies:
            continue
        chosen, label = name == strategy, STRATEGIES[name].label
        key.append((f"{sign} {label}", role))
        final = np.array([result.final(name, count) for count in result.labels])
        by_labels += _line(np.array(result.labels, dtype=float), final, role, label, chosen, marker)
        least = min(least, float(spread(final.T)[0].min()))
        if name in shown:
            curve = np.asarray(result.curve(name, labels)).T
            by_step += _line(np.asarray(result.steps, dtype=float)[: len(curve)], curve, role, label, chosen)
    # no lower than the lines need: the best are close together
    tenths = range(max(0, math.floor(10 * min(least, 0.9))), 11)
    shares = tuple(tenth / 10 for tenth in tenths if tenth % 2 == 0)
    y_labels = Axis(tenths[0] / 10, 1, ticks=shares, labels=tuple(f"{100 * value:.0f} %" for value in shares))
    y_steps = Axis(0, 1, ticks=(0, 0.25, 0.5, 0.75, 1), labels=("0 %", "25 %", "50 %", "75 %", "100 %"))
    x = Axis(low, high, "log", ticks=ticks, labels=words, name="labels per class", title="labels per class", tick=0)
    step_ticks, step_labels = round_ticks(0, float(result.steps[-1]))
    steps = Axis(
        0,
        float(result.steps[-1]),
        ticks=step_ticks,
        labels=step_labels,
        name="training step",
        title="training step",
        tick=0,
    )
    rows = tuple(tuple(key[start : start + KEY_ROW]) for start in range(0, len(key), KEY_ROW))
    height = 455 + 32.0 * (len(rows) - 1)
    box: dict[str, Any] = {"top": 42, "bottom": 336, "right": 26}
    left = Panel(
        x,
        y_labels,
        tuple(by_labels),
        title="Test accuracy by number of labels",
        grid=True,
        key=rows,
        key_top=64,
        left=77,
        **box,
    )
    right = Panel(
        steps,
        y_steps,
        tuple(by_step),
        title=f"Test accuracy while training, {labels} labels per class",
        grid=True,
        left=83,
        **box,
    )
    return Figure(
        (Block(0, 0, 640, height, (left,)), Block(640, 0, 640, height, (right,))),
        height=height,
        label="Test accuracy by number of labels and by training step, one line per strategy",
        reason=title,
    )


transfer = painted(transfer_figure)


def _line(x: np.ndarray, values: np.ndarray, role: str, label: str, chosen: bool, marker: str = "") -> list[Mark]:
    """The mean of `values`, shape (len(x), seeds), and one standard deviation about it."""
    low, mean, high = spread(values.T)
    size = 11.0 if chosen else 8.3
    line = Line(
        x, mean, role, 4.4 if chosen else 2.5, marker=marker, size=size, percent=True, name=f"{label}: accuracy"
    )
    return [Band(x, low, high, role, 0.3 if chosen else 0.15), line]
