"""Symmetry and its end: a layer's weights as an image, how many of its neurons are distinct, and the loss beside that of one neuron."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from initviz.plots._live import LiveFigure
from initviz.plots._panels import BLUE, FONT, GREY, INK, ORANGE, PAPER_COLOR, TITLE, bare

if TYPE_CHECKING:
    from initviz.experiments import Trace

SIZE = (12.8, 4.9)
LAYERS = [(BLUE, "-"), (ORANGE, (0, (5, 1.5))), ("#6A3D9A", (0, (1.5, 1)))]
"""Colour and dashes of the first three hidden layers' lines."""


class SymmetryFigure(LiveFigure):
    """The picture, persistent: `update` it with a trace and a step, and take its `png`."""

    def __init__(self, dpi: int = 100) -> None:
        super().__init__(SIZE, dpi)
        add = self.figure.add_axes
        self.weights = add((0.045, 0.20, 0.28, 0.60))
        self.count = add((0.405, 0.20, 0.23, 0.60))
        self.loss = add((0.725, 0.20, 0.255, 0.60))
        for ax in (self.weights, self.count, self.loss):
            bare(ax)
            ax.tick_params(labelsize=FONT["fontsize"], labelcolor=INK, length=0)
        for ax in (self.count, self.loss):
            ax.set_facecolor(PAPER_COLOR)
            ax.grid(axis="y", color="#D8D8D8", lw=0.8)
            ax.set_axisbelow(True)
            ax.set_xlabel("training step", labelpad=1, **FONT)
        self.image = self.weights.imshow(np.zeros((1, 1)), aspect="auto", interpolation="nearest", cmap="PuOr_r")
        self.weights.set_xlabel("input", labelpad=1, **FONT)
        self.weights.set_ylabel("neuron", labelpad=1, **FONT)
        self.count.set_title("Distinct neurons", loc="left", **TITLE)
        self.loss.set_title("Loss", loc="left", **TITLE)
        self.lines = [self.count.plot([], [], color=c, ls=ls, lw=2.4)[0] for c, ls in LAYERS]
        self.single = self.loss.plot([], [], color=ORANGE, lw=4.5, alpha=0.55)[0]
        self.wide = self.loss.plot([], [], color=BLUE, lw=1.6)[0]
        self.marks = [ax.axvline(0, color=INK, lw=1.4, ls=(0, (2, 2))) for ax in (self.count, self.loss)]
        self.headline = self.figure.text(0.012, 0.975, "", fontsize=13, va="top", color=INK, linespacing=1.25)
        text = self.figure.text
        self.keys = [
            text(x, 0.035, "", va="bottom", **(FONT | {"color": c}))
            for x, c in zip((0.405, 0.485, 0.565), (c for c, _ in LAYERS))
        ]
        text(0.705, 0.035, "━ this network", va="bottom", **(FONT | {"color": BLUE}))
        self.single_key = text(0.822, 0.035, "", va="bottom", **(FONT | {"color": ORANGE}))
        self.range = text(0.045, 0.035, "", va="bottom", **(FONT | {"color": GREY}))

    def update(self, trace: Trace, single: Trace, step: int, title: str = "") -> None:
        """Show the first network of `trace` after `step` updates.

        Args:
            trace: from `initviz.experiments.train`, with its weights kept.
            single: from `initviz.experiments.one_neuron`, the same steps.
            step: the nearest recorded one is shown.
            title: a line above the picture.
        """
        k = int(np.abs(trace.steps - step).argmin())
        weight = trace.weights[0][0, 0, k]
        limit = float(np.abs(weight).max()) or 1.0
        neurons, inputs = weight.shape
        self.image.set(data=weight, clim=(-limit, limit), extent=(0.5, inputs + 0.5, neurons + 0.5, 0.5))
        self.weights.set(
            xticks=_ends(inputs), yticks=_ends(neurons), xlim=(0.5, inputs + 0.5), ylim=(neurons + 0.5, 0.5)
        )
        self.weights.set_title(f"Weights of layer 1, step {trace.steps[k]}", loc="left", **TITLE)
        self.range.set_text(f"purple −{limit:.2g}, white 0, orange +{limit:.2g}")
        depth = trace.distinct.shape[-1]
        for layer, (line, key) in enumerate(zip(self.lines, self.keys)):
            shown = layer < depth
            if shown:
                line.set_data(trace.steps, trace.distinct[0, 0, :, layer])
            line.set_visible(shown)
            key.set_text(f"{'━╍┅'[layer]} layer {layer + 1}" if shown else "")
        self.count.set(xlim=(0, trace.steps[-1]), ylim=(0, neurons * 1.05), yticks=sorted({1, neurons // 2, neurons}))
        self.wide.set_data(np.arange(trace.loss.shape[-1]), trace.loss[0, 0])
        self.single.set_data(np.arange(single.loss.shape[-1]), single.loss[0, 0])
        self.single_key.set_text("━ one neuron a layer")
        self.loss.set(xlim=(0, trace.steps[-1]), ylim=(0, 1.05 * max(trace.loss.max(), single.loss.max())))
        for mark in self.marks:
            mark.set_xdata([trace.steps[k]] * 2)
        self.headline.set_text(textwrap.fill(title, 125))


def symmetry(trace: Trace, single: Trace, step: int, title: str = "") -> Figure:
    """The picture as a matplotlib Figure. Arguments as `SymmetryFigure.update`."""
    picture = SymmetryFigure()
    picture.update(trace, single, step, title)
    return picture.figure


def _ends(count: int) -> list[int]:
    return [1, count // 2, count] if count > 3 else list(range(1, count + 1))
