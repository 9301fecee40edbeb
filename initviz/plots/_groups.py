"""Bars in groups: a group for each task, a bar for each way, its mean over seeds with the spread as a line."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from initviz._core.arguments import switch
from initviz.plots._figure import SMALL, Axis, Bars, Block, Figure, Line, Mark, Panel, Words
from initviz.plots._matplotlib import painted
from initviz.plots._scale import around, round_ticks, spread

WAYS = [("grey", ""), ("orange", "/"), ("blue", ""), ("green", "x")]
"""Role and hatching of a group's bars, in order."""


def groups_figure(
    results: Mapping[str, Mapping[str, np.ndarray]], *, title: str, percent: bool = False, chance: float | None = None
) -> Figure:
    """Means and standard deviations over seeds.

    Args:
        results: task -> way -> the values of all seeds, shape (seeds,). At most four ways, the same in every task.
        title: what the height of a bar is.
        percent: the values are shares; write them as percents.
        chance: a dotted line at this value, such as the accuracy of guessing.
    Raises:
        ValueError: no results, more than four ways, or others in another task.
    """
    ways, count = list(next(iter(results.values()), ())), len(results)
    if not 1 <= len(ways) <= len(WAYS) or any(set(own) != set(ways) for own in results.values()):
        got = {task: list(own) for task, own in results.items()}
        raise ValueError(f"results: got {got}; it takes one to {len(WAYS)} ways, the same in every task")
    factor = 100.0 if switch("percent", percent) else 1.0
    width = 0.8 / len(ways)
    marks: list[Mark] = []
    over: list[Mark] = []
    tops = []
    for position, (way, (role, hatch)) in enumerate(zip(ways, WAYS)):
        values = [spread(factor * np.asarray(ways_of[way])[:, None]) for ways_of in results.values()]
        low, mean, high = np.array(values)[..., 0].T
        at = np.arange(count) + (position - (len(ways) - 1) / 2) * width
        marks.append(Bars(at - 0.46 * width, at + 0.46 * width, np.zeros(count), mean, (role,), hatch=hatch, name=way))
        gap = np.full(count, np.nan)
        over.append(Line(np.stack([at, at, gap], 1).ravel(), np.stack([low, high, gap], 1).ravel(), "ink"))
        words = tuple(f"{v:.0f}" if percent else f"{v:.2g}" for v in mean)
        over.append(Words(at, high, words, size=SMALL, valign="bottom", shift=(0, 4)))
        tops.append(high)
    if percent:
        y = Axis(0, 112, ticks=(0, 50, 100), labels=("0 %", "50 %", "100 %"), tick=0)
    else:
        top = around([*tops, np.zeros(1)], share=0.12)[1]
        y = Axis(0, top, ticks=round_ticks(0, top)[0], labels=round_ticks(0, top)[1], tick=0)
    if chance is not None:
        over.append(Line(np.array([-0.5, count - 0.5]), np.full(2, factor * chance), "ink", 1.7, dash=(1.7, 3.4)))
    ticks = tuple(float(i) for i in range(count))
    key = tuple((f"■ {way}", role) for way, (role, _) in zip(ways, WAYS))
    panel = Panel(
        Axis(-0.5, count - 0.5, ticks=ticks, labels=tuple(results), tick=0), y, (*marks, *over), title=title, key=(key,), key_top=52,
        left=77, right=19, top=48, bottom=400,
    )  # fmt: skip
    return Figure((Block(0, 0, 1280, 480, (panel,)),), height=480, label=f"{title}: {', '.join(ways)}")


groups = painted(groups_figure)
