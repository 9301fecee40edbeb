"""A report in one sentence: what is wrong with this initialization, where, how much, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from initviz.diagnosis._attention import entropy_collapse, rank_collapse
from initviz.diagnosis._kinds import KINDS, Verdict
from initviz.diagnosis._non_finite import non_finite
from initviz.diagnosis._off_scale import off_scale, vast
from initviz.diagnosis._over_time import GATES_SATURATED, horizon, over_time
from initviz.diagnosis._remedies import SATURATED, Change, between, saturation_remedy, scale_remedy
from initviz.diagnosis._signals import ADAM, RATIO, backward_signal, faded, forward_signal, output_of_zeros, slow
from initviz.diagnosis._untrainable import blocked, copied, untrainable
from initviz.diagnosis._words import count, names_of, number, percent, spans, where
from initviz.inspection import Report

__all__ = ["DEAD", "KINDS", "RATIO", "Verdict", "verdict"]

DEAD = 0.9
"""Share of units at exactly zero for the whole batch that counts as dead. A sound ReLU layer has few such units."""
DELIBERATE = 0.75
"""Activations are held on the flat part by the bias alone where the rest of the pre-activation is smaller than this times the bias."""
MENTIONED = 0.5
"""Share of dead units that is mentioned (and half of it, of saturated activations)."""


def verdict(report: Report) -> Verdict:
    """Judge a `Report`. The first of these that holds is the verdict:

    1. non-finite: any NaN or infinite value forward, backward, in a weight or in the loss. Nothing else can be trusted then.
    2. symmetric: all units of some layer, or several whole layers, compute the same and get the same gradient, so they will stay
       the same. (But off-scale, if a layer's values are beyond VAST and a normalization makes zeros of them.)
    3. dead: at least DEAD of the units in some layer are zero on the whole batch.
    4. untrainable: a parameter that no gradient reaches, or whose gradient is exactly 0 and stays so however the others move.
    5. rank-collapsed: the tokens that an attention gets are all alike (mean cosine above ALIKE), and those of the first were not.
    6. exploding or vanishing: activations (rms, last layer over first, or another one if it is further off) or gradients (norm,
       first over last) change by more than RATIO or its inverse, or become exactly zero. Of the two directions the larger change is named.
       The same within a recurrent layer, from step to step: exploding by RATIO, or vanishing so that fewer than HORIZON of the steps get
       1/RATIO of the largest gradient.
    7. saturated: at least SATURATED of some layer's activations are on the flat part of their activation function, or at least
       GATES_SATURATED of the gates within an LSTM or a GRU. What a bias alone holds there was meant so, and is let be. Or a softmax
       attention looks at hardly more than one place: the entropy of its weights is below ONE_PLACE of ln T, for T places.
    8. off-scale: the first loss is beyond OFF_CHANCE times that of a guess, output and target differ in size by OFF_TARGET, or inputs are
       below FAINT.
    9. stable: none of these.

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
        learning = tuple(s.name for s in report.layers if s.weight_gradient is not None and s.weight_gradient.rms > 0)
        if learning:  # their hooks did not see the batch, and yet it was there
            are = "are" if len(learning) > 1 else "is"
            why = f"{names_of(learning)} {are} called by .forward(), past the hooks, and so unmeasured; what is known is sound."
            return Verdict("stable", (), why, "")
        return Verdict("dead", (), "The batch reaches no layer.", "Check that forward() calls the layers.")
    for judge in (
        non_finite, vast, _symmetric, blocked, _dead, untrainable, rank_collapse, _out_of_range, over_time, _saturated,
        entropy_collapse, off_scale,
    ):  # fmt: skip
        found = judge(report)
        if found is not None:
            return found
    forward, backward = forward_signal(report), backward_signal(report)
    why = f"Activations keep their scale over {count(int(np.isfinite(forward.values).sum()))} (rms {forward.range()})"
    if not np.isfinite(forward.values).any():
        why = "No activation is out of range"
    if output_of_zeros(report, backward):
        why += "; gradients are exactly 0, because the output layer's weights are, until its first step"
    elif np.isfinite(backward.values).any():
        why += f", and so do gradients ({backward.measure} {backward.range()})"
        if left := slow(forward, backward):
            why += f"; plain SGD will hardly move {spans(left)}, Adam can"
    return Verdict("stable", (), "; ".join([why, *_asides(report)]) + ".", "")


def _asides(report: Report) -> list[str]:
    """What is below every threshold and still worth a word."""
    words, layers = [], report.reached
    dead = np.array([s.dead_units or 0.0 for s in layers])
    if dead.max() >= MENTIONED or (dead[-1] > 0 and layers[-1].activation_name in ("relu", "relu6")):
        n = int(dead.argmax()) if dead.max() >= MENTIONED else len(layers) - 1
        words.append(f"{percent(dead[n])} of layer {n + 1}'s units are zero for every sample")
    shares = _saturated_shares(report)
    if shares.max() >= MENTIONED / 2:
        words.append(f"{percent(shares.max())} of layer {int(shares.argmax()) + 1}'s activations are saturated")
    for n, s in enumerate(layers, start=1):
        gradient = s.preactivation_gradient
        if s.units and s.distinct_units and 1 < s.distinct_units <= s.units / 2 and gradient and gradient.zeros < 0.5:
            words.append(f"of layer {n}'s {s.units} units only {s.distinct_units} differ")
            break
    for n, s in enumerate(layers, start=1):
        reach = horizon(s)
        if reach is not None and reach[0] < reach[1]:
            words.append(f"of {reach[1]} steps the gradient reaches back {reach[0]} (layer {n})")
            break
    later = report.reach.later if report.reach is not None else ()
    if later and layers[-1].weight_rms != 0:
        are = "is" if len(later) == 1 else "are"
        words.append(f"{names_of(later)} {are} closed until what shuts {'it' if are == 'is' else 'them'} has moved")
    return words


def _symmetric(report: Report) -> Verdict | None:
    layers = report.reached
    same = np.array([(s.units or 0) > 1 and s.distinct_units == 1 for s in layers]) & ~faded(report)
    differ = [n for n, s in enumerate(layers[:-1]) if (s.distinct_units or 0) > 1]
    learns = layers[-1].weight_rms == 0 and layers[-1].weight_gradient and layers[-1].weight_gradient.rms > 0
    for n in np.flatnonzero(same):
        gradient = layers[n].preactivation_gradient
        # A branch that is closed at the start: the signal passes it by to layers that do differ, or to an output of zeros that learns.
        if differ and (max(differ) > n or learns) and gradient is not None and gradient.rms == 0:
            same[n] = False
        # Measured outside autograd, beside layers that have a gradient: nothing says that its units get the same.
        if gradient is None and any(s.preactivation_gradient for s in layers):
            same[n] = False
    for n in np.flatnonzero(~same):
        if (
            layers[n].dead_units == 1
        ):  # its units are unlike, but nothing gets through: what follows is alike for that reason
            same[n:] = False
    zeros = np.array([s.weight_rms == 0 for s in layers])
    if (same & zeros).any():  # a layer of zeros makes those behind it alike
        same &= zeros | (np.cumsum(same & zeros) == 0)
    if not same.any():
        return copied(report)
    at = where(same)
    units = layers[at[0] - 1].units
    why = f"All {units} units of layer {at[0]} compute the same value ({count(len(at))} like this), so they get the same gradient."
    return Verdict("symmetric", at, why, "Break the symmetry: draw the weights at random.")


def _dead(report: Report) -> Verdict | None:
    shares = np.array([s.dead_units or 0.0 for s in report.reached]) * ~faded(report)
    if (shares < DEAD).all():
        return None
    at, worst = where(shares >= DEAD), int(shares.argmax()) + 1
    why = (
        f"{percent(shares[worst - 1])} of layer {worst}'s units are zero for every sample ({count(len(at))} like this)."
    )
    return Verdict("dead", at, why, "Use He initialization with zero biases, or a leaky activation.")


def _out_of_range(report: Report) -> Verdict | None:
    signals = [forward_signal(report), backward_signal(report)]
    if output_of_zeros(report, signals[1]):
        signals[1] = replace(signals[1], values=np.full(len(report.reached), np.nan))
    larger, other = sorted(signals, key=lambda signal: -abs(signal.change()))
    change = larger.change()
    if abs(change) <= math.log10(RATIO):
        return None
    kind = "vanishing" if change < 0 else "exploding"
    (first, start), (last, end) = larger.ends()
    steps = max(abs(last - first), 1)
    why = f"The {larger.measure} of {larger.word} goes from {number(start)} at layer {first} to {number(end)} at layer {last}"
    comes_back = not larger.backward and np.isfinite(larger.values[last:]).any()
    if comes_back:
        why += " and comes back"
    elif math.isfinite(change) and steps > 1:
        why += f", {10 ** (change / steps):.2g}x per layer"
    if abs(other.change()) > math.log10(RATIO):
        why += f"; the {other.word} {'vanish' if other.change() < 0 else 'explode'} too"
    if kind == "vanishing" and change > -math.log10(ADAM) and abs(other.change()) < math.log10(ADAM) and not comes_back:
        why += "; plain SGD will hardly train this, Adam often can"
    factor = between(report)
    if factor is not None and (factor > 1) == (kind == "exploding"):
        why += f"; a factor of {factor:.2g} stands between layers and their activations"
    far = larger.values < start / RATIO if change < 0 else larger.values > start * RATIO
    far |= (larger.values == 0) & (change < 0)
    if comes_back:
        remedy = f"Draw the weights of layer {where(far)[0]} and of those behind it by the scheme of the others."
    else:
        remedy = scale_remedy(report, Change(kind, larger.word, change, steps))
    return Verdict(kind, where(far), why + ".", remedy)


def _saturated_shares(report: Report) -> np.ndarray:
    """Share of saturated activations by layer, 0 where a bias alone holds them there and a gradient gets through: that was meant."""
    shares = np.nan_to_num(report.values("activation", "saturated"))
    for n, s in enumerate(report.reached):
        z = s.preactivation
        learns = s.weight_gradient is None or s.weight_gradient.rms > 0
        if z is None or s.bias_mean is None or s.bias_std is None or not learns:
            continue
        rest = math.hypot(z.mean - s.bias_mean, math.sqrt(max(z.std**2 - s.bias_std**2, 0.0)))
        if rest < DELIBERATE * math.hypot(s.bias_mean, s.bias_std):
            shares[n] = 0.0
    return shares


def _saturated(report: Report) -> Verdict | None:
    shares = _saturated_shares(report)
    gates = np.array([s.saturated_gates or 0.0 for s in report.reached])
    if (shares < SATURATED).all():
        least = np.array([SATURATED if s.kind == "RNN" else GATES_SATURATED for s in report.reached])
        if (gates < least).all():
            return None
        at, worst = where(gates >= least), int((gates / least).argmax())
        layer = report.reached[worst]
        what = ("outputs", "tanh") if layer.kind == "RNN" else ("gates", "sigmoid")
        why = f"{percent(gates[worst])} of the {what[0]} of {layer.name} are on the flat part of the {what[1]}"
        reach, time = horizon(layer), layer.over_time
        if reach is not None and time is not None and time.gradient.max() > RATIO * time.gradient[reach[1] - 1]:
            grows = time.gradient.max() / time.gradient[reach[1] - 1]
            why += f"; over {reach[1]} steps the gradient explodes, by {grows:.2g}"
        return Verdict("saturated", at, why + ".", "Use smaller weights, or inputs of order 1.")
    at, worst = where(shares >= SATURATED), int(shares.argmax()) + 1
    why = f"{percent(shares[worst - 1])} of layer {worst}'s activations are on the flat part of the function"
    why += f" ({count(len(at))} like this)."
    return Verdict("saturated", at, why, saturation_remedy(report))
