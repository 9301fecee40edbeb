"""A report in one sentence: what is wrong with this initialization, where, how much, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from initviz.report import Report

RATIO = 1e3
"""End-to-end change of a layer-wise rms that counts as vanishing (1/RATIO) or exploding (RATIO).

Under plain SGD a layer's step is proportional to its gradient. With a spread of 1000 a learning rate that moves the
layer with the large gradient by 1 % moves the other by 0.001 %: for hundreds of steps it does not learn. Chance alone
gives far less: a draw of depth L and width n strays by exp(sqrt(5 L / n) / 2), 1.6 at L = 50 and n = 256.
"""
SATURATED = 0.5
"""Share of a layer's activations on the flat part that counts as saturated: most of its gradient is then cut to under 5 %."""
DEAD = 0.9
"""Share of units at exactly zero for the whole batch that counts as dead. A sound ReLU layer has few such units."""

KINDS = {
    "stable": "#009E73",
    "vanishing": "#0072B2",
    "exploding": "#D55E00",
    "saturated": "#CC79A7",
    "dead": "#56606A",
    "symmetric": "#B8860B",
    "non-finite": "#7A0019",
}
"""Every kind of verdict with its colour, from a palette that is safe for colour-blind readers."""


@dataclass(frozen=True)
class Verdict:
    """Attributes:
    kind: a key of KINDS.
    layers: numbers (from 1) of the reached layers at fault; empty when stable.
    why: a sentence with the layers and their numbers.
    remedy: a sentence on what to change; empty when stable.
    """

    kind: str
    layers: tuple[int, ...]
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.kind.upper()}: {self.why}" + (f" {self.remedy}" if self.remedy else "")


def verdict(report: Report) -> Verdict:
    """Judge a `Report`. The first of these that holds is the verdict:

    1. non-finite: any NaN or infinite value forward or backward. Nothing else can be trusted then.
    2. symmetric: some layer of two or more units has only one distinct unit: they compute the same and will stay the same.
    3. dead: at least DEAD of the units in some layer are zero on the whole batch.
    4. exploding or vanishing: the rms of activations (last layer over first) or of gradients (first over last) changes by
       more than RATIO or its inverse, or is exactly zero. Of the two directions the larger change is named.
    5. saturated: at least SATURATED of some layer's activations are on the flat part of their activation function.
    6. stable: none of these.

    When a network vanishes or explodes because its layers saturate, the remedy says so.
    """
    layers = report.reached
    if not layers:
        return Verdict("dead", (), "The batch reaches no layer.", "Check that forward() calls the layers.")
    for judge in (_non_finite, _symmetric, _dead, _out_of_range, _saturated):
        found = judge(report)
        if found is not None:
            return found
    forward, backward = _forward(report), _backward(report)
    why = f"Activations keep their scale over {_count(int(np.isfinite(forward).sum()))} (rms {_range(forward)})"
    if np.isfinite(backward).any():
        why += f", and so do gradients (rms {_range(backward)})"
    return Verdict("stable", (), why + ".", "")


def _non_finite(report: Report) -> Verdict | None:
    for quantity, way in (
        ("preactivation", "forward"),
        ("activation", "forward"),
        ("preactivation_gradient", "backward"),
    ):
        shares = np.nan_to_num(report.values(quantity, "nonfinite"))
        if shares.any():
            at = _where(shares > 0)
            worst = at[0] if way == "forward" else at[-1]
            why = (
                f"{_percent(shares[worst - 1])} of layer {worst}'s values are NaN or infinite on the way {way}"
                f" ({_count(len(at))} affected, {report.dtype})."
            )
            remedy = "Use smaller weights (Xavier, He) or a type with more range (bfloat16, float32)."
            return Verdict("non-finite", at, why, remedy)
    return None


def _symmetric(report: Report) -> Verdict | None:
    same = np.array([(s.units or 0) > 1 and s.distinct_units == 1 for s in report.reached])
    if not same.any():
        return None
    at = _where(same)
    units = report.reached[at[0] - 1].units
    why = f"All {units} units of layer {at[0]} compute the same value ({_count(len(at))} like this), so they get the same gradient."
    return Verdict("symmetric", at, why, "Break the symmetry: draw the weights at random.")


def _dead(report: Report) -> Verdict | None:
    shares = np.array([s.dead_units or 0.0 for s in report.reached])
    if (shares < DEAD).all():
        return None
    at, worst = _where(shares >= DEAD), int(shares.argmax()) + 1
    why = f"{_percent(shares[worst - 1])} of layer {worst}'s units are zero for every sample ({_count(len(at))} like this)."
    return Verdict("dead", at, why, "Use He initialization with zero biases, or a leaky activation.")


def _out_of_range(report: Report) -> Verdict | None:
    forward, backward = _forward(report), _backward(report)
    changes = [  # log10 of the end-to-end change, in the direction in which the signal travels
        (_change(forward), "activations", forward, forward),
        (_change(backward[::-1]), "gradients", backward, backward[::-1]),
    ]
    change, word, values, travel = max(changes, key=lambda item: abs(item[0]))
    if abs(change) <= math.log10(RATIO):
        return None
    kind = "vanishing" if change < 0 else "exploding"
    start = travel[np.isfinite(travel)][0]
    far = values < start / RATIO if change < 0 else values > start * RATIO
    first, last = _numbers(values)
    why = f"The rms of {word} goes from {_number(travel, 0)} at layer {first if word == 'activations' else last}"
    why += f" to {_number(travel, -1)} at layer {last if word == 'activations' else first}"
    if math.isfinite(change) and last > first:
        why += f", {10 ** (change / (last - first)):.2g}x a layer"
    other_change, other_word, *_ = min(changes, key=lambda item: abs(item[0]))
    if abs(other_change) > math.log10(RATIO):
        why += f"; the {other_word} {'vanish' if other_change < 0 else 'explode'} too"
    return Verdict(kind, _where(far), why + ".", _remedy(report, kind))


def _remedy(report: Report, kind: str) -> str:
    names = {s.activation_name for s in report.reached} - {None}
    saturated = np.nan_to_num(report.values("activation", "saturated")).max(initial=0) >= SATURATED
    if names & {"sigmoid"} and kind == "vanishing":
        return "Sigmoid's slope is at most 1/4: use tanh or ReLU, or weights four times as large and a normalization layer."
    if saturated:
        return "Units are saturated, where the slope is nearly 0: use smaller weights (Xavier)."
    larger = "larger" if kind == "vanishing" else "smaller"
    if names & {"relu", "leaky_relu", "prelu"}:
        return f"Use {larger} weights: He, variance 2/fan_in, keeps the scale of a ReLU network."
    if names <= {"tanh", "linear", "softsign", "sine"}:
        return f"Use {larger} weights: Xavier, variance 2/(fan_in + fan_out), keeps the scale here."
    return f"Use {larger} weights (LSUV finds the scale for any activation), or a normalization layer."


def _saturated(report: Report) -> Verdict | None:
    shares = np.nan_to_num(report.values("activation", "saturated"))
    if (shares < SATURATED).all():
        return None
    at, worst = _where(shares >= SATURATED), int(shares.argmax()) + 1
    why = f"{_percent(shares[worst - 1])} of layer {worst}'s activations are on the flat part of the function"
    why += f" ({_count(len(at))} like this)."
    return Verdict("saturated", at, why, "Use smaller weights (Xavier) or smaller biases.")


def _forward(report: Report) -> np.ndarray:
    """rms by layer of what the layer passes on: its activation, or its output where no activation follows.

    The last layer is left out when it has no activation but others do: a network's outputs have a scale of their own.
    """
    activations = report.values("activation", "rms")
    if np.isfinite(activations).any():
        return activations
    return report.values("preactivation", "rms")


def _backward(report: Report) -> np.ndarray:
    gradients = report.values("preactivation_gradient", "rms")
    hidden = np.isfinite(report.values("activation", "rms"))
    return np.where(hidden, gradients, np.nan) if hidden.any() else gradients


def _change(travel: np.ndarray) -> float:
    """log10 of last over first finite value; -inf if it becomes exactly 0, 0 if there are fewer than two values."""
    travel = travel[np.isfinite(travel)]
    if len(travel) < 2:
        return 0.0
    if travel[-1] == 0 or travel[0] == 0:
        return -math.inf
    return math.log10(travel[-1]) - math.log10(travel[0])


def _numbers(values: np.ndarray) -> tuple[int, int]:
    at = _where(np.isfinite(values))
    return at[0], at[-1]


def _number(values: np.ndarray, index: int) -> str:
    value = values[np.isfinite(values)][index]
    return "exactly 0" if value == 0 else f"{value:.2g}"


def _range(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return f"{values.min():.2g} to {values.max():.2g}"


def _where(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) + 1 for i in np.flatnonzero(mask))


def _count(number: int) -> str:
    return "1 layer" if number == 1 else f"{number} layers"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.2g}" if share == 0 else f"{share:.2%}"
