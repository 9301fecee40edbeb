"""A race: loss and test accuracy by training step, a line a racer, and the histograms of one racer's layers at one step."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from initviz.plots._flow import output_layer
from initviz.plots._live import PanelFigure
from initviz.plots._panels import (
    BLUE,
    FONT,
    GREY,
    INK,
    ORANGE,
    PAPER_COLOR,
    SMALL,
    TITLE,
    DensityPanel,
    StripPanel,
    bare,
)
from initviz.plots._scale import apart, power

if TYPE_CHECKING:
    from initviz.inspection import Report
    from initviz.training import RaceResult

LOOKS = [
    (BLUE, "o", "●"),
    (ORANGE, "s", "■"),
    ("#00795A", "^", "▲"),
    ("#6A3D9A", "D", "◆"),
    (INK, "v", "▼"),
    ("#8A6A00", "P", "✚"),
]
"""Colour, marker and its character for each racer, in order."""
LEAST, MOST = 1e-3, 1e2
"""Ends of the loss axis."""
GAP = 0.115
"""Least distance between two labels, in parts of an axis' height."""
SIZE = (12.8, 7.2)
HEADER = 0.06
"""Share of the live picture's height that the words above take."""


REGIONS = [
    (0, 0.48, 0.465, 1), (0, 0.48, 0, 0.465), (0.48, 1, 0.62, 1), (0.48, 1, 0.44, 0.62), (0.48, 1, 0.16, 0.44), (0.48, 1, 0, 0.16)
]  # fmt: skip
"""Left, right, bottom and top of the live picture's panels, each with its words, in parts of the picture."""


class _Curves:
    """One axes: the mean over seeds of each racer with a band of one standard deviation, its label at its end, ✖ where it diverged.

    What moves is in `artists`, and `still` names what stands still, as with the panels of `initviz.plots.panels`.
    """

    def __init__(self, ax: Axes, what: str, title: str, guess: float, target: float | None = None) -> None:
        self.ax, self.what = ax, what
        bare(ax)
        ax.set_facecolor(PAPER_COLOR)
        ax.grid(axis="y", color="#D8D8D8", lw=0.8)
        ax.set_axisbelow(True)
        ax.set_title(title, loc="left", **TITLE)
        ax.set_xlabel("training step", labelpad=2, **FONT)
        if what == "loss":
            ax.set_yscale("log")
            ax.set_ylim(LEAST, MOST)
            exponents = range(round(math.log10(LEAST)), round(math.log10(MOST)) + 1)
            ax.set_yticks([10.0**e for e in exponents], [power(e) for e in exponents], **FONT)
            ax.yaxis.set_minor_locator(NullLocator())
        else:
            ax.set_ylim(0, 1.05)
            ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"], **FONT)
        ax.tick_params(length=0, labelsize=FONT["fontsize"], labelcolor=INK)
        for height in (guess, *([target] if target is not None else [])):
            ax.axhline(height, color=GREY, lw=1.3, ls=(0, (1, 2)), zorder=1)
        place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "bottom"}
        ax.text(0.99, guess, "guessing", **place, **(SMALL | {"color": GREY}))
        self.now = ax.axvline(0, color=INK, lw=1.6, ls=(0, (4, 2)), visible=False)
        self.bands, self.lines, self.marks, self.labels = [], [], [], []
        for color, marker, _ in LOOKS:
            self.bands.append(PolyCollection([], facecolor=color, alpha=0.18, lw=0))
            ax.add_collection(self.bands[-1], autolim=False)
            self.lines.append(ax.plot([], [], color=color, marker=marker, ms=7, lw=2)[0])
            self.marks.append(
                ax.plot([], [], color=color, marker="X", mec="white", ms=13, ls="none", clip_on=False, zorder=5)[0]
            )
            self.labels.append(
                ax.text(
                    1.02, 0, "", transform=ax.transAxes, va="center", linespacing=0.95, **(SMALL | {"color": color})
                )
            )

        self.key = ax.annotate(
            "", (1, 0), (24, -8), xycoords="axes fraction", textcoords="offset points", va="top", **SMALL
        )
        self.artists = [*self.bands, *self.lines, self.now, *self.marks, *self.labels, self.key]
        self.still: tuple = ()

    def set_limits(self) -> None:
        self.ax.set_xlim(0, *self.still)

    def decorate(self) -> None:
        """Its words were written at the start."""

    def update(self, result: RaceResult, steps: int, now: int | None = None) -> None:
        """Show `result` on an axis of so many steps; `now` is marked by a line."""
        self.still = (steps,)
        self.key.set_text("✖ diverged" if any(result.diverged(label) for label in result.histories) else "")
        self.now.set_visible(now is not None)
        self.now.set_xdata([now or 0, now or 0])
        ends = []
        for number, (band, line, mark, label) in enumerate(zip(self.bands, self.lines, self.marks, self.labels)):
            there = number < len(result.histories)
            for artist in (band, line, mark, label):
                artist.set_visible(there)
            if there:
                ends.append(self._draw(number, result, list(result.histories)[number]))
        for label, end in zip(self.labels, apart(ends, GAP, 0.03, 0.99)):
            label.set_y(end)

    def _draw(self, number: int, result: RaceResult, label: str) -> float:
        """Move one racer's artists; the height of its end, in parts of the axis."""
        color, _, sign = LOOKS[number]
        runs = result.histories[label]
        steps, values = result.curve(label, self.what)
        low, mean, high = _spread(values, self.what == "loss")
        self.lines[number].set_data(steps, mean)
        self.lines[number].set_markevery(max(1, math.ceil(len(steps) / 7)))
        known = np.isfinite(mean)
        x, bottom, top = steps[known], low[known], high[known]
        self.bands[number].set_verts([np.column_stack([np.r_[x, x[::-1]], np.r_[bottom, top[::-1]]])] if len(x) else [])
        fallen = [run.diverged_at for run in runs if run.diverged_at is not None]
        top = 0.03 if self.what == "accuracy" else LEAST * (MOST / LEAST) ** 0.955
        self.marks[number].set_data(fallen, [top] * len(fallen))
        words = f"{sign} {label}" + (
            f" ✖ {len(fallen)} of {len(runs)}" if fallen and len(runs) > 1 else " ✖" if fallen else ""
        )
        self.labels[number].set(text=words, color=color)
        if len(fallen) == len(runs) or not known.any():
            return 0.955 if self.what == "loss" else 0.0
        end = mean[known][-1]
        if self.what == "loss":
            return float(np.clip(math.log(max(end, 1e-300) / LEAST) / math.log(MOST / LEAST), 0, 1))
        return float(end / 1.05)


class RaceFigure(PanelFigure):
    """The live picture, persistent: `update` it with what was recorded so far, and take its `png`."""

    def __init__(self, classes: int = 10, dpi: int = 100) -> None:
        super().__init__(SIZE, dpi)
        add = self.figure.add_axes
        self.loss = _Curves(add((0.06, 0.555, 0.28, 0.32)), "loss", "Loss of the batch", math.log(classes))
        self.accuracy = _Curves(add((0.06, 0.085, 0.28, 0.32)), "accuracy", "Test accuracy", 1 / classes)
        self.whose = self.figure.text(0.62, 0.925, "", va="top", **(TITLE | {"fontweight": "bold"}))
        self.forward = DensityPanel(add((0.62, 0.63, 0.295, 0.21)), "Blues")
        self.forward_strip = StripPanel(add((0.62, 0.515, 0.295, 0.10)), ["zeros", "saturated", "nonfinite"])
        self.backward = DensityPanel(add((0.62, 0.17, 0.295, 0.21)), "Oranges")
        self.backward_strip = StripPanel(add((0.62, 0.085, 0.295, 0.07)), ["zeros", "nonfinite"])
        self.headline = self.figure.text(0.012, 0.99, "", va="top", linespacing=1.2, **FONT)
        self._panels = [
            self.loss, self.accuracy, self.forward, self.forward_strip, self.backward, self.backward_strip
        ]  # fmt: skip
        self.finish([self.whose, self.headline], stored=48)

    def update(
        self, result: RaceResult, steps: int, report: Report, name: str, now: int | None = None, title: str = ""
    ) -> None:
        """Show a race.

        Args:
            result: from `initviz.training`; at most six racers.
            steps: the last step of the axis.
            report: of one racer's network.
            name: the label of that racer.
            now: at which step; marked in the curves.
            title: a line above the picture.
        """
        self.loss.update(result, steps, now)
        self.accuracy.update(result, steps, now)
        color, _, sign = LOOKS[list(result.histories).index(name)]
        self.whose.set(text=f"{sign} {name}, step {now or 0}", color=color)
        forward, backward = list(report.stats("activation")), list(report.stats("preactivation_gradient"))
        output = output_layer(report)
        self.forward.update(forward, "Activations by layer", None, output)
        self.backward.update(backward, "Gradients by layer", None, output)
        self.forward_strip.update(forward, len(forward), output)
        self.backward_strip.update(backward, len(backward), output)
        self.headline.set_text(textwrap.fill(title, 125))

    def spare(self) -> tuple[float, float]:
        return 0 if self.headline.get_text() else HEADER, 0

    def region(self, number: int) -> tuple[slice, slice]:
        height, width, _ = self._pixels.shape
        left, right, bottom, top = REGIONS[number]
        return (
            slice(round((1 - top) * height), round((1 - bottom) * height)),
            slice(round(left * width), round(right * width)),
        )


def race(result: RaceResult, *, accuracy: float | None = None, classes: int = 10) -> Figure:
    """Loss and test accuracy by training step: means over seeds with a band of one standard deviation (for the loss of its logarithm).

    Args:
        result: from `iv.race`; at most six racers are drawn.
        accuracy: a test accuracy to mark with a dotted line.
        classes: of the data: the loss and the accuracy of guessing are marked.
    """
    figure = Figure(figsize=(12.8, 5.0), dpi=100, facecolor="white")
    steps = max(int(run.steps[-1]) for runs in result.histories.values() for run in runs)
    loss = _Curves(
        figure.add_axes((0.055, 0.13, 0.295, 0.76)), "loss", "Loss of the batch (log scale)", math.log(classes)
    )
    right = _Curves(figure.add_axes((0.565, 0.13, 0.285, 0.76)), "accuracy", "Test accuracy", 1 / classes, accuracy)
    for panel in (loss, right):
        panel.update(result, steps)
        panel.set_limits()
    return figure


def _spread(values: np.ndarray, log: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lower edge, mean, upper edge) over the first axis, NaN left out; of logarithms, taken back, if `log`."""
    logs = np.log(values, out=np.full_like(values, np.nan), where=values > 0) if log else values
    known = np.isfinite(logs)
    count = known.sum(axis=0)
    nothing = np.full(values.shape[1], np.nan)
    mean = np.divide(np.where(known, logs, 0).sum(axis=0), count, out=nothing.copy(), where=count > 0)
    squares = np.where(known, (logs - mean) ** 2, 0).sum(axis=0)
    std = np.sqrt(np.divide(squares, count - 1, out=np.zeros_like(mean), where=count > 1))
    edges = mean - std, mean, mean + std
    return (np.exp(edges[0]), np.exp(edges[1]), np.exp(edges[2])) if log else edges
