"""A signal that vanishes or explodes from step to step within a recurrent layer."""

from __future__ import annotations

import numpy as np

from initviz.diagnosis._kinds import Verdict
from initviz.diagnosis._remedies import recurrent_remedy
from initviz.diagnosis._signals import RATIO, norm
from initviz.diagnosis._words import number, percent
from initviz.inspection import LayerStats, Report

HORIZON = 0.25
"""Share of a sequence's steps that the gradient must reach back over. A default LSTM's reaches about 14 steps, however many there are:
enough to read the 28 rows of a digit, and not to learn what stands at the beginning of 200."""
GATES_SATURATED = 0.25
"""Share of an LSTM's or GRU's gates on the flat part of the sigmoid from which it counts as saturated. A unit of an LSTM multiplies
three gates: when a quarter of them is stuck, more than half of the units have a stuck one (1 - 0.75^3 = 0.58)."""


def over_time(report: Report) -> Verdict | None:
    """A recurrent layer whose signal explodes or vanishes from step to step."""
    for n, layer in enumerate(report.reached, start=1):
        time, reach = layer.over_time, horizon(layer)
        if time is None:
            continue
        output, steps = time.output, len(time.output)
        if output[0] > 0 and output.max() > RATIO * output[0]:
            at = int(output.argmax()) + 1
            why = f"Over {steps} steps the rms of layer {n}'s output goes from {output[0]:.2g} at step 1 to {output.max():.2g} at step {at}"
            return Verdict("exploding", (n,), why + ".", recurrent_remedy(layer, "exploding"))
        if reach is None:
            continue
        gradient, (back, last) = time.gradient, reach
        start = gradient[last - 1]
        if time.both_ways:  # read at either end: what comes out of the layer tells how large it was
            start = norm(layer.preactivation_gradient) if layer.preactivation_gradient else gradient.max()
        if gradient.max() > RATIO * start:
            if layer.kind != "RNN" and (layer.saturated_gates or 0.0) >= GATES_SATURATED:
                continue  # gates that are stuck are the reason, and are told as such
            at = int(gradient.argmax()) + 1
            a_step = (gradient.max() / start) ** (1 / max(abs(last - at), 1))
            why = f"Over {steps} steps the gradient in layer {n} grows from {start:.2g} at step {last} to {gradient.max():.2g} at step {at}"
            why += f", {a_step:.2g}x a step"
            if layer.saturated_gates:
                why += f"; {percent(layer.saturated_gates)} of its {'outputs' if layer.kind == 'RNN' else 'gates'} are saturated"
            return Verdict("exploding", (n,), why + ".", recurrent_remedy(layer, "exploding"))
        if back < HORIZON * last:
            first = number(gradient[:last].min())
            why = f"Of {last} steps the gradient in layer {n} reaches back {back}: from {gradient.max():.2g} it falls to {first}"
            return Verdict("vanishing", (n,), why + ".", recurrent_remedy(layer, "vanishing"))
    return None


def horizon(layer: LayerStats) -> tuple[int, int] | None:
    """(steps that the gradient reaches back over, steps that it could), counted from the last step that gets any; None where a
    recurrent layer's gradient was not measured."""
    if layer.over_time is None or not layer.over_time.gradient.any():
        return None
    gradient = layer.over_time.gradient
    gradient = gradient[: int(np.flatnonzero(gradient)[-1]) + 1]
    return int((gradient >= gradient.max() / RATIO).sum()), len(gradient)
