"""What pretrained weights are worth: accuracy against labels for every strategy, and the learning curves of one against random's."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from initviz.plots._live import LiveFigure
from initviz.plots._panels import BLUE, FONT, INK, ORANGE, PAPER_COLOR, TITLE, bare
from initviz.training import STRATEGIES

if TYPE_CHECKING:
    from initviz.training import TransferResult

SIZE = (12.8, 5.2)
LOOKS = {
    "random": (INK, "o", "●"),
    "frozen": (BLUE, "s", "■"),
    "fine_tuned": (ORANGE, "^", "▲"),
    "head_first": ("#6A3D9A", "D", "◆"),
}
"""Colour, marker and its character for each strategy."""


class TransferFigure(LiveFigure):
    """The picture, persistent: `update` it with a result, and take its `png`."""

    def __init__(self, dpi: int = 100) -> None:
        super().__init__(SIZE, dpi)
        self.by_labels = self.figure.add_axes((0.06, 0.235, 0.415, 0.565))
        self.by_step = self.figure.add_axes((0.565, 0.235, 0.415, 0.565))
        for ax in (self.by_labels, self.by_step):
            bare(ax)
            ax.set_facecolor(PAPER_COLOR)
            ax.grid(axis="y", color="#D8D8D8", lw=0.8)
            ax.set_axisbelow(True)
            ax.tick_params(length=0, labelsize=FONT["fontsize"], labelcolor=INK)
            ax.set_ylim(0, 1)
            ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"], **FONT)
        self.by_labels.set_xscale("log")
        self.by_labels.set_title("Test accuracy by number of labels", loc="left", **TITLE)
        self.by_labels.set_xlabel("labels a class", labelpad=2, **FONT)
        self.by_step.set_xlabel("training step", labelpad=2, **FONT)
        self.here = self.by_labels.axvline(1, color=INK, lw=1.4, ls=(0, (2, 2)))
        self.lines, self.bands, self.keys = {}, {}, {}
        for x, (name, (color, marker, sign)) in zip((0.06, 0.225, 0.475, 0.635), LOOKS.items()):
            self.lines[name] = [ax.plot([], [], color=color, marker=marker)[0] for ax in (self.by_labels, self.by_step)]
            self.bands[name] = [PolyCollection([], facecolor=color, lw=0) for _ in range(2)]
            for ax, band in zip((self.by_labels, self.by_step), self.bands[name]):
                ax.add_collection(band, autolim=False)
            words = f"{sign} {STRATEGIES[name].label}"
            self.keys[name] = self.figure.text(x, 0.035, words, **(FONT | {"color": color}))
        self.headline = self.figure.text(0.012, 0.975, "", fontsize=14, va="top", color=INK, linespacing=1.25)

    def update(self, result: TransferResult, labels: int, strategy: str, title: str = "") -> None:
        """Show a result.

        Args:
            result: from `initviz.transfer`; strategies that it has not are left out.
            labels: which of its numbers of labels the learning curves are for.
            strategy: which of its strategies they show, beside random's if that was measured.
            title: a sentence above the picture.
        """
        result.curve(strategy, labels)  # raises ValueError for what was not measured
        self.headline.set_text(textwrap.fill(title, 118))
        for name in LOOKS:
            there, chosen = name in result.strategies, name == strategy
            beside = there and (chosen or name == "random")
            self.keys[name].set_visible(there)
            self.keys[name].set_fontweight("bold" if chosen else "normal")
            final = [result.final(name, count) for count in result.labels] if there else []
            curve = result.curve(name, labels).T if beside else np.empty(0)
            for i, (x, values) in enumerate(((result.labels, final), (result.steps, curve))):
                self._draw(name, i, np.asarray(x, dtype=float)[: len(values)], values, chosen)
        self.here.set_xdata([labels, labels])
        low, high = min(result.labels), max(result.labels)
        self.by_labels.set_xlim(low / 1.2, high * 1.2)
        self.by_labels.set_xticks(result.labels, [str(count) for count in result.labels], **FONT)
        self.by_labels.minorticks_off()
        self.by_step.set_xlim(0, result.steps[-1])
        self.by_step.set_title(f"Test accuracy while training, {labels} labels a class", loc="left", **TITLE)

    def _draw(self, name: str, i: int, x: np.ndarray, values, chosen: bool) -> None:
        """Move a strategy's line to the mean of `values`, shape (len(x), seeds), and its band to one standard deviation about it."""
        line, band = self.lines[name][i], self.bands[name][i]
        if not len(values):
            line.set_data([], [])
            band.set_verts([])
            return
        values = np.asarray(values)
        mean, std = values.mean(axis=1), values.std(axis=1, ddof=min(1, values.shape[1] - 1))
        line.set_data(x, mean)
        line.set(linewidth=3.2 if chosen else 1.8, markersize=(8 if chosen else 6) if i == 0 else 0)
        band.set_alpha(0.3 if chosen else 0.15)
        band.set_verts([np.column_stack([np.r_[x, x[::-1]], np.r_[mean - std, (mean + std)[::-1]]])])


def transfer(result: TransferResult, labels: int, strategy: str, title: str = "") -> Figure:
    """The picture as a matplotlib Figure. Arguments as `TransferFigure.update`."""
    picture = TransferFigure()
    picture.update(result, labels, strategy, title)
    return picture.figure
