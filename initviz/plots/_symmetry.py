"""Symmetry and its end: a layer's weights as an image, how many of its neurons are distinct, and the loss beside that of one neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from initviz.plots._figure import Axis, Block, Figure, Heat, Line, Mark, Panel
from initviz.plots._matplotlib import painted
from initviz.plots._scale import round_ticks

if TYPE_CHECKING:
    from initviz.experiments import SymmetryTrace

LAYERS: list[tuple[str, tuple[float, ...], str]] = [
    ("blue", (), "━"),
    ("orange", (16.5, 5.0), "╍"),
    ("purple", (5.0, 3.3), "┅"),
]
"""Role, dashes and their sign of the first three hidden layers' lines."""


def symmetry_figure(trace: SymmetryTrace, single: SymmetryTrace, step: int, title: str = "") -> Figure:
    """The first network of `trace` after `step` updates.

    Args:
        trace: from `initviz.experiments.train_symmetric`, with its weights kept.
        single: from `initviz.experiments.train_one_neuron`, the same steps.
        step: the nearest recorded one is shown.
        title: words above.
    """
    k = int(np.abs(trace.steps - step).argmin())
    weight = trace.weights[0][0, 0, k]
    limit = float(np.abs(weight).max()) or 1.0
    neurons, inputs = weight.shape
    box: dict[str, Any] = {"top": 38, "bottom": 332, "key_top": 64}
    weights = Panel(
        _counts(inputs, "input"), _counts(neurons, "neuron", down=True),
        (Heat((0.5, inputs + 0.5), (0.5, neurons + 0.5), weight, "purple to orange", -limit, limit, name="weight"),),
        title=f"Weights of layer 1, step {trace.steps[k]}", key=(((f"purple −{limit:.2g}, white 0, orange +{limit:.2g}", "grey"),),),
        left=64, right=24, **box,
    )  # fmt: skip
    now = Line(np.full(2, float(trace.steps[k])), np.array([0.0, 1.0]), "ink", 2.0, dash=(3.9, 3.9), lane=True)
    end = float(trace.steps[-1])
    ticks, labels = round_ticks(0, end, 4)
    x = Axis(0, end, ticks=ticks, labels=labels, name="training step", title="training step", tick=0)
    distinct = [
        Line(
            trace.steps.astype(float), trace.distinct[0, 0, :, layer].astype(float), role, 3.3, dash, name=f"layer {layer + 1}: distinct"
        )
        for layer, (role, dash, _) in zip(range(trace.distinct.shape[-1]), LAYERS)
    ]  # fmt: skip
    at = sorted({1, neurons // 2, neurons})
    count = Panel(
        x, Axis(0, neurons * 1.05, ticks=tuple(map(float, at)), labels=tuple(map(str, at))), (*distinct, now), title="Distinct neurons",
        grid=True, key=(tuple((f"{sign} layer {n + 1}", role) for n, (_, (role, _, sign)) in enumerate(zip(distinct, LAYERS))),),
        left=78, right=27, **box,
    )  # fmt: skip
    top = 1.05 * float(max(trace.loss.max(), single.loss.max()))
    losses: list[Mark] = [
        Line(np.arange(run.loss.shape[-1], dtype=float), run.loss[0, 0].astype(float), role, width, alpha=alpha, name=f"{words}: loss")
        for run, role, width, alpha, words in (
            (single, "orange", 6.2, 0.55, "one neuron per layer"), (trace, "blue", 2.2, 1.0, "this network")
        )
    ]  # fmt: skip
    loss_ticks, loss_labels = round_ticks(0, top)
    loss = Panel(
        x, Axis(0, top, ticks=loss_ticks, labels=loss_labels), (*losses, now), title="Loss", grid=True,
        key=((("━ this network", "blue"), ("━ one neuron per layer", "orange")),), key_left=-40, left=88, right=26, **box,
    )  # fmt: skip
    return Figure(
        (Block(0, 0, 440, 425, (weights,)), Block(440, 0, 400, 425, (count,)), Block(840, 0, 440, 425, (loss,))),
        height=425,
        label="The weights of layer 1, the number of distinct neurons and the loss by training step",
        reason=title,
    )


symmetry = painted(symmetry_figure)


def _counts(count: int, name: str, down: bool = False) -> Axis:
    ticks = [1, count // 2, count] if count > 3 else list(range(1, count + 1))
    low, high = (count + 0.5, 0.5) if down else (0.5, count + 0.5)
    return Axis(
        low,
        high,
        ticks=tuple(map(float, ticks)),
        labels=tuple(map(str, ticks)),
        name="" if down else name,
        title=name,
        tick=0,
    )
