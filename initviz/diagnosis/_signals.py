"""What travels through the layers of a report, forward and back, and how it changes on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from initviz._core.statistics import TensorStats
from initviz.inspection import Report

RATIO = 1e3
"""End-to-end change that counts as vanishing (1/RATIO) or exploding (RATIO).

Under plain SGD a layer's step is proportional to its gradient. With a spread of 1000 a learning rate that moves the
layer with the large gradient by 1 % moves the other by 0.001 %: for hundreds of steps it does not learn. Chance alone
gives far less: a draw of depth L and width n strays by exp(sqrt(5 L / n) / 2), 1.6 at L = 50 and n = 256. So does a sound residual
stream: the sum of L branches of equal size grows by sqrt(L), 32 at L = 1000. What Adam trains decides for it, and not plain SGD, for
which SLOW is the bar: see docs/verdicts.md.
"""
SLOW = 30.0
"""A layer is hardly moved by plain SGD where its weight gradient is under 1/SLOW of what a signal of constant scale would give it."""
ADAM = 1e5
"""End-to-end change up to which Adam trained about half of the networks that vanish, and plain SGD hardly one; beyond, neither did."""


@dataclass(frozen=True)
class Signal:
    """What travels through the layers: one number each, shape (reached layers,), NaN where it is not judged."""

    word: str
    measure: str
    values: np.ndarray
    backward: bool = False

    def ends(self) -> tuple[tuple[int, float], tuple[int, float]]:
        """(number of the layer, value) where it starts and where it arrives. For activations that stray beyond RATIO on the way and come
        back, it is where they are furthest. (A gradient that does so may pass by a branch that is nearly closed.)"""
        at = np.flatnonzero(np.isfinite(self.values))[:: -1 if self.backward else 1]
        values, arrival = self.values[at], -1
        if not self.backward and values[0] > 0 and 1 / RATIO <= values[-1] / values[0] <= RATIO:
            decades = np.abs(np.log10(np.where(values > 0, values, values[0]) / values[0]))
            if decades.max() > math.log10(RATIO):
                arrival = int(decades.argmax())
        return (int(at[0]) + 1, values[0]), (int(at[arrival]) + 1, values[arrival])

    def change(self) -> float:
        """log10 of the change from end to end; -inf if it becomes exactly 0, 0 if there are fewer than two values."""
        if np.isfinite(self.values).sum() < 2:
            return 0.0
        (_, start), (_, end) = self.ends()
        return -math.inf if 0 in (start, end) else math.log10(end) - math.log10(start)

    def range(self) -> str:
        values = self.values[np.isfinite(self.values)]
        return f"{values.min():.2g} to {values.max():.2g}" if len(values) else ""


def judged_layers(report: Report) -> np.ndarray:
    """Which layers are judged: those with an activation; without one in the whole model, all but the output of three or more. An output
    whose activation is none of the hidden layers' (a sigmoid, the tanh of a soft cap) is no hidden layer."""
    names = [s.activation_name for s in report.reached]
    hidden = np.array([name is not None for name in names])
    if not hidden.any():
        hidden[: max(len(hidden) - 1, 2)] = True
    elif hidden[:-1].any() and names[-1] not in names[:-1]:
        hidden[-1] = False
    return hidden


def forward_signal(report: Report) -> Signal:
    """rms by layer of what the layer passes on: its activation, or its output where no activation follows in the whole model."""
    activations = report.values("activation", "rms")
    values = activations if np.isfinite(activations).any() else report.values("preactivation", "rms")
    return Signal("activations", "rms", np.where(judged_layers(report), values, np.nan))


def backward_signal(report: Report) -> Signal:
    """Norm by layer of the gradient of the pre-activations; their rms where all layers are of one size."""
    stats = report.stats("preactivation_gradient")
    everywhere = np.array([norm(s) for s in stats])
    judged = judged_layers(report)
    closed = {owner(name) for name in report.reach.later} if report.reach is not None else set()
    known = np.nan_to_num(everywhere)
    for n in np.flatnonzero(judged):
        before, behind = known[:n].max(initial=0.0), known[n + 1 :].max(initial=0.0)
        if everywhere[n] == 0:  # a closed branch: the gradient passes it by, or will once what closes it has moved
            judged[n] = not (before > 0 or (report.reached[n].name in closed and (known > 0).sum() > 1))
        elif min(before, behind) > RATIO * everywhere[n]:  # a branch that is nearly closed
            judged[n] = False
    sizes = {s.count for s, use in zip(stats, judged) if s is not None and use}
    values = report.values("preactivation_gradient", "rms") if len(sizes) <= 1 else everywhere
    return Signal("gradients", "rms" if len(sizes) <= 1 else "norm", np.where(judged, values, np.nan), backward=True)


def output_of_zeros(report: Report, backward: Signal) -> bool:
    """Whether no gradient gets past an output layer that starts at zero. It gets its own, and from the next step on lets others through."""
    gradients = backward.values[:-1][np.isfinite(backward.values[:-1])]  # without the output layer's own
    return len(gradients) > 0 and not gradients.any() and report.reached[-1].weight_rms == 0


def slow(forward: Signal, backward: Signal) -> tuple[int, ...]:
    """Numbers of the layers that plain SGD will hardly move. (Told of a chain of layers that have activations, and of no other model.)

    A weight gradient is a sum over samples of what enters the layer times the gradient of its pre-activation. Its size is estimated by
    the product of both, the first relative to what enters the second layer, the second to the last layer's.
    """
    signal, gradient = forward.values, backward.values
    at = np.flatnonzero(np.isfinite(signal) & np.isfinite(gradient))
    if len(at) < 2 or len(at) < len(signal) - 1 or signal[at[0]] == 0 or gradient[at[-1]] == 0:
        return ()
    inputs = np.concatenate([signal[at[:1]], signal[at[:-1]]]) / signal[at[0]]
    return tuple(int(n) + 1 for n in at[inputs * gradient[at] / gradient[at[-1]] < 1 / SLOW])


def norm(stats: TensorStats | None) -> float:
    return math.nan if stats is None else stats.rms * math.sqrt(stats.count)


def faded(report: Report) -> np.ndarray:
    """Which layers lie behind the place where the signal has vanished: zeros there are its end and not an illness of their own."""
    values = forward_signal(report).values
    start = values[np.isfinite(values)][:1].sum()
    with np.errstate(invalid="ignore"):
        return np.cumsum((values > 0) & (values < start / RATIO)) > 0


def owner(name: str) -> str:
    """The module of a parameter: "body.0" of "body.0.weight"."""
    return name.rpartition(".")[0]
