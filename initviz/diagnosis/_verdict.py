"""A report in one sentence: what is wrong with this initialization, where, how much, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from initviz._core.statistics import TensorStats
from initviz.diagnosis._remedies import SATURATED, Change, saturation_remedy, scale_remedy
from initviz.inspection import Report

RATIO = 1e3
"""End-to-end change that counts as vanishing (1/RATIO) or exploding (RATIO).

Under plain SGD a layer's step is proportional to its gradient. With a spread of 1000 a learning rate that moves the
layer with the large gradient by 1 % moves the other by 0.001 %: for hundreds of steps it does not learn. Chance alone
gives far less: a draw of depth L and width n strays by exp(sqrt(5 L / n) / 2), 1.6 at L = 50 and n = 256. So does a sound residual
stream: the sum of L branches of equal size grows by sqrt(L), 32 at L = 1000.
"""
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

    1. non-finite: any NaN or infinite value forward, backward, in a weight or in the loss. Nothing else can be trusted then.
    2. symmetric: all units of some layer compute the same and get the same gradient, so they will stay the same.
    3. dead: at least DEAD of the units in some layer are zero on the whole batch.
    4. exploding or vanishing: activations (rms, last layer over first, or another one if it is further off) or gradients (norm,
       first over last) change by more than RATIO or its inverse, or become exactly zero. Of the two directions the larger change is named.
    5. saturated: at least SATURATED of some layer's activations are on the flat part of their activation function.
    6. stable: none of these.

    Judged are the layers that an activation function follows; in a model without one all but the output. A gradient's norm over the
    whole layer, and not its rms, is compared: pooling or a longer sequence spreads the same gradient over more values. (Where all
    layers are of one size the two say the same, and the sentence gives the rms.) Not at fault are layers within a residual branch
    that is closed at the start (its last layer, or a factor behind it, is zero), a network whose output layer starts at zero,
    and layers of zeros behind the place where a signal has already vanished.

    Raises:
        TypeError: not a `Report`.
    """
    if not isinstance(report, Report):
        raise TypeError(f"report: got {type(report).__name__}; it takes what initviz.probe returns")
    if not report.reached:
        return Verdict("dead", (), "The batch reaches no layer.", "Check that forward() calls the layers.")
    for judge in (_non_finite, _symmetric, _dead, _out_of_range, _saturated):
        found = judge(report)
        if found is not None:
            return found
    forward, backward = _forward(report), _backward(report)
    why = f"Activations keep their scale over {_count(int(np.isfinite(forward.values).sum()))} (rms {forward.range()})"
    if not np.isfinite(forward.values).any():
        why = "No activation is out of range"
    if _output_of_zeros(report, backward):
        why += "; gradients are exactly 0, because the output layer's weights are, until its first step"
    elif np.isfinite(backward.values).any():
        why += f", and so do gradients ({backward.measure} {backward.range()})"
    return Verdict("stable", (), why + ".", "")


def _non_finite(report: Report) -> Verdict | None:
    for quantity, way in (
        ("weight", "in its weight"),
        ("preactivation", "on the way forward"),
        ("activation", "on the way forward"),
        ("preactivation_gradient", "on the way back"),
        ("activation_gradient", "on the way back"),
        ("weight_gradient", "in its weight's gradient"),
    ):
        shares = np.nan_to_num(report.values(quantity, "nonfinite"))
        if shares.any():
            at = _where(shares > 0)
            first = at[-1] if way == "on the way back" else at[0]
            why = f"{_percent(shares[first - 1])} of layer {first}'s values are NaN or infinite {way}"
            return Verdict(
                "non-finite",
                at,
                f"{why} ({_count(len(at))} affected, {report.dtype}).",
                _finite(report, quantity, first),
            )
    if not math.isfinite(report.loss):
        return Verdict(
            "non-finite",
            (),
            f"The loss is {report.loss}.",
            "Check the loss and its targets: a log of 0, a division by 0.",
        )
    return None


def _finite(report: Report, quantity: str, first: int) -> str:
    """What to do about NaN or infinite values that begin in this quantity of this layer."""
    if quantity == "weight":
        return "The weights themselves are broken: initialize them again."
    forward = quantity in ("preactivation", "activation")
    before = _forward(report).values[: first - 1] if forward else np.array([])
    grows = np.isfinite(before).sum() >= 2 and before[np.isfinite(before)][-1] > 10 * before[np.isfinite(before)][0]
    if report.dtype == "float16":
        smaller = "smaller weights (Xavier, He) or inputs, or " if forward else ""
        return f"float16 ends at 65504: use {smaller}a type with more range (bfloat16, float32)."
    if forward and first == 1:
        return "Check the inputs: the first layer's weights are finite."
    if grows:
        return "Use smaller weights (Xavier, He): the values grow from layer to layer until they overflow."
    return f"Look at layer {first}: a division by 0, a log or a square root of what it should not be."


def _symmetric(report: Report) -> Verdict | None:
    layers = report.reached
    same = np.array([(s.units or 0) > 1 and s.distinct_units == 1 for s in layers]) & ~_faded(report)
    differ = [n for n, s in enumerate(layers[:-1]) if (s.distinct_units or 0) > 1]
    learns = layers[-1].weight_rms == 0 and layers[-1].weight_gradient and layers[-1].weight_gradient.rms > 0
    for n in np.flatnonzero(same):
        gradient = layers[n].preactivation_gradient
        # A branch that is closed at the start: the signal passes it by to layers that do differ, or to an output of zeros that learns.
        if differ and (max(differ) > n or learns) and gradient is not None and gradient.rms == 0:
            same[n] = False
    for n in np.flatnonzero(~same):
        if (
            layers[n].dead_units == 1
        ):  # its units are unlike, but nothing gets through: what follows is alike for that reason
            same[n:] = False
    if not same.any():
        return None
    at = _where(same)
    units = layers[at[0] - 1].units
    why = f"All {units} units of layer {at[0]} compute the same value ({_count(len(at))} like this), so they get the same gradient."
    return Verdict("symmetric", at, why, "Break the symmetry: draw the weights at random.")


def _dead(report: Report) -> Verdict | None:
    shares = np.array([s.dead_units or 0.0 for s in report.reached]) * ~_faded(report)
    if (shares < DEAD).all():
        return None
    at, worst = _where(shares >= DEAD), int(shares.argmax()) + 1
    why = f"{_percent(shares[worst - 1])} of layer {worst}'s units are zero for every sample ({_count(len(at))} like this)."
    return Verdict("dead", at, why, "Use He initialization with zero biases, or a leaky activation.")


def _out_of_range(report: Report) -> Verdict | None:
    signals = [_forward(report), _backward(report)]
    if _output_of_zeros(report, signals[1]):
        signals[1] = replace(signals[1], values=np.full(len(report.reached), np.nan))
    larger, other = sorted(signals, key=lambda signal: -abs(signal.change()))
    change = larger.change()
    if abs(change) <= math.log10(RATIO):
        return None
    kind = "vanishing" if change < 0 else "exploding"
    (first, start), (last, end) = larger.ends()
    steps = max(abs(last - first), 1)
    why = f"The {larger.measure} of {larger.word} goes from {_number(start)} at layer {first} to {_number(end)} at layer {last}"
    comes_back = not larger.backward and np.isfinite(larger.values[last:]).any()
    if comes_back:
        why += " and comes back"
    elif math.isfinite(change) and steps > 1:
        why += f", {10 ** (change / steps):.2g}x a layer"
    if abs(other.change()) > math.log10(RATIO):
        why += f"; the {other.word} {'vanish' if other.change() < 0 else 'explode'} too"
    far = larger.values < start / RATIO if change < 0 else larger.values > start * RATIO
    far |= (larger.values == 0) & (change < 0)
    if comes_back:
        remedy = f"Draw the weights of layer {_where(far)[0]} and of those behind it by the scheme of the others."
    else:
        remedy = scale_remedy(report, Change(kind, larger.word, change, steps))
    return Verdict(kind, _where(far), why + ".", remedy)


def _saturated(report: Report) -> Verdict | None:
    shares = np.nan_to_num(report.values("activation", "saturated"))
    if (shares < SATURATED).all():
        return None
    at, worst = _where(shares >= SATURATED), int(shares.argmax()) + 1
    why = f"{_percent(shares[worst - 1])} of layer {worst}'s activations are on the flat part of the function"
    why += f" ({_count(len(at))} like this)."
    return Verdict("saturated", at, why, saturation_remedy(report))


@dataclass(frozen=True)
class _Signal:
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


def _judged(report: Report) -> np.ndarray:
    """Which layers are judged: those with an activation; without one in the whole model, all but the output of three or more."""
    hidden = np.array([s.activation_name is not None for s in report.reached])
    if not hidden.any():
        hidden[: max(len(hidden) - 1, 2)] = True
    return hidden


def _forward(report: Report) -> _Signal:
    """rms by layer of what the layer passes on: its activation, or its output where no activation follows in the whole model."""
    activations = report.values("activation", "rms")
    values = activations if np.isfinite(activations).any() else report.values("preactivation", "rms")
    return _Signal("activations", "rms", np.where(_judged(report), values, np.nan))


def _backward(report: Report) -> _Signal:
    """Norm by layer of the gradient of the pre-activations; their rms where all layers are of one size."""
    stats = report.stats("preactivation_gradient")
    everywhere = np.array([_norm(s) for s in stats])
    judged = _judged(report)
    for n in np.flatnonzero(judged & (everywhere == 0)):
        judged[n] = not (everywhere[:n] > 0).any()  # a closed branch: the gradient passes it by
    sizes = {s.count for s, use in zip(stats, judged) if s is not None and use}
    values = report.values("preactivation_gradient", "rms") if len(sizes) <= 1 else everywhere
    return _Signal("gradients", "rms" if len(sizes) <= 1 else "norm", np.where(judged, values, np.nan), backward=True)


def _output_of_zeros(report: Report, backward: _Signal) -> bool:
    """Whether no gradient gets past an output layer that starts at zero. It gets its own, and from the next step on lets others through."""
    gradients = backward.values[np.isfinite(backward.values)]
    return len(gradients) > 0 and not gradients.any() and report.reached[-1].weight_rms == 0


def _norm(stats: TensorStats | None) -> float:
    return math.nan if stats is None else stats.rms * math.sqrt(stats.count)


def _faded(report: Report) -> np.ndarray:
    """Which layers lie behind the place where the signal has vanished: zeros there are its end and not an illness of their own."""
    values = _forward(report).values
    start = values[np.isfinite(values)][:1].sum()
    with np.errstate(invalid="ignore"):
        return np.cumsum((values > 0) & (values < start / RATIO)) > 0


def _number(value: float) -> str:
    return "exactly 0" if value == 0 else f"{value:.2g}"


def _where(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) + 1 for i in np.flatnonzero(mask))


def _count(number: int) -> str:
    return "1 layer" if number == 1 else f"{number} layers"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.2g}" if share == 0 else f"{share:.2%}"
