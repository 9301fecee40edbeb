"""What to change when a signal vanishes, explodes or saturates. Each sentence follows from what was measured; the tests apply it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from initviz.diagnosis._words import spans
from initviz.initializers import ACTIVATIONS, SCHEMES
from initviz.inspection import LayerStats, Report

SATURATED = 0.5
"""Share of a layer's activations on the flat part that counts as saturated: most of its gradient is then cut to under 5 %. Plain tanh
networks of 10 layers and more do not train from there; residual ones mostly do, whose signal passes by (docs/verdicts.md)."""
NEAR = 1.25
"""Weights of at most this many times the variance that suits their activation are not called large."""
ODD = 100.0
"""Weights of so many times the variance of most layers', each over what suits its fans, or of one part in so many, are odd. Sound weights
are at most 16 times off (a narrow first convolution; 12 times within Fixup's branches). Among ten layers of ReLU or tanh one odd layer
makes the whole explode or vanish from 1e6 times on, two from 1e3 and three from 100, of which all, all and half are named (3 seeds;
`python -m benchmarks.verdicts --constants`). Of four, which do so from 30 or 100 times on, few are named."""

_RECURRENT = {"LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"}
_STEPS = 8
"""A layer that is called so often in one pass is called at each step of a sequence."""
_HALF_LEAST = 6e-8


@dataclass(frozen=True)
class Change:
    """What happened from end to end.

    Attributes:
        kind: "vanishing" or "exploding".
        word: "activations" or "gradients".
        decades: log10 of the change of the rms, infinite if it becomes exactly 0.
        layers: how many layers that took.
    """

    kind: str
    word: str
    decades: float
    layers: int

    def explained_by(self, ratio: float) -> bool:
        """Whether weights of `ratio` times the variance that keeps the scale account for at least half of it: each layer then
        multiplies the rms by sqrt(ratio)."""
        if ratio <= 0:
            return False
        expected = self.layers * math.log10(ratio) / 2
        needed = 1.5 if math.isinf(self.decades) else abs(self.decades) / 2
        return expected <= -needed if self.kind == "vanishing" else expected >= needed


def scale_remedy(report: Report, change: Change) -> str:
    """For activations or gradients that vanish or explode."""
    name, ratio = _weights(report)
    if report.untrained_norms:
        return "Batch normalization has seen no batch yet and does not normalize in eval mode: call model.train()."
    for advise in (_recurrent, _sigmoid, _normalized, _number_type):
        advice = "" if advise is _number_type and change.explained_by(ratio) else advise(report, change)
        if advice:
            return advice
    odd, times = odd_layers(report, change.kind)
    if odd and not change.explained_by(ratio):
        return f"Draw the weights of {spans(odd)} by the scheme of the others, which have {1 / times:.2g} times their variance."
    larger = "larger" if change.kind == "vanishing" else "smaller"
    if change.kind == "vanishing" and saturated_layers(report) and not change.explained_by(ratio):
        return "Units are saturated, where the slope is nearly 0: use smaller weights (Xavier)."
    if name is None:
        return f"Use {larger} weights (LSUV finds the scale on a batch), or a normalization layer."
    if ratio and not change.explained_by(ratio):
        return _elsewhere(report, change, name)
    scheme, formula = _suits(name)
    factor = between(report)
    if factor and ratio:
        return (
            f"A factor of {factor:.2g} stands between the layers and their activations: divide the weights by it ({scheme}, variance"
            f" {formula} / {factor:.2g}^2), or take it out."
        )
    here = f"; these have {ratio:.2g} times that" if ratio else ""
    return f"Use {larger} weights: {scheme}, variance {formula}, keeps the scale with {ACTIVATIONS[name].label}{here}."


def recurrent_remedy(layer: LayerStats, kind: str) -> str:
    """For a signal that vanishes or explodes from step to step within a recurrent layer."""
    if kind == "exploding":
        return f"Start the recurrent weights of {layer.name} orthogonal, and clip the norm of the gradient."
    if layer.kind == "RNN":
        return (
            f"Start the recurrent weights of {layer.name} orthogonal with small input weights, use an LSTM, or read more than the"
            " last step."
        )
    steps = len(layer.over_time.output) if layer.over_time else 1
    gate = "forget" if layer.kind == "LSTM" else "update"
    return (
        f"Start the {gate} biases of {layer.name} at ln({steps}) = {math.log(steps):.2g} (Tallec & Ollivier 2018), or read more than"
        " the last step."
    )


def saturation_remedy(report: Report) -> str:
    """For layers whose activations are on the flat part of the function."""
    _, ratio = _weights(report, saturated_layers(report))
    if 0 < ratio <= NEAR:
        return "The weights are not large: make the inputs of order 1, biases smaller, or normalize what skip connections add up."
    return "Use smaller weights (Xavier), smaller biases, or inputs of order 1."


def saturated_layers(report: Report) -> list[LayerStats]:
    """Those with at least SATURATED of their activations on the flat part."""
    return [s for s in report.reached if s.activation and s.activation.saturated >= SATURATED]


def odd_layers(report: Report, kind: str) -> tuple[tuple[int, ...], float]:
    """(numbers of layers, how many times the variance of the others' weights theirs have): layers few in number whose weights are out of
    scale with the others', too small if the signal is vanishing and else too large. ((), 1) where there are none."""
    name = most_frequent(report.reached)
    ratios = {
        n: ratio
        for n, s in enumerate(report.reached, start=1)
        if name is not None and s.activation_name == name and (ratio := times_suited(s, name))
    }
    middle = float(np.median(list(ratios.values()))) if ratios else 0.0
    odd = {n: r / middle for n, r in ratios.items() if (r * ODD < middle if kind == "vanishing" else r > ODD * middle)}
    return (tuple(odd), float(np.median(list(odd.values())))) if 0 < 2 * len(odd) < len(ratios) else ((), 1.0)


def _number_type(report: Report, change: Change) -> str:
    """A float16 has no numbers below 6e-8: gradients that small are 0 there, and only there."""
    if report.dtype != "float16" or (change.kind, change.word) != ("vanishing", "gradients"):
        return ""
    gradients = [s.preactivation_gradient for s in report.reached if s.preactivation_gradient]
    lost = [s for s in gradients if s.zeros > 0.5 or 0 < s.rms < 30 * _HALF_LEAST]
    if not lost:
        return ""
    return (
        "float16 has no numbers below 6e-8, and gradients fall below: multiply the loss by 1000 or more before the backward pass"
        " (loss scaling), or use bfloat16."
    )


def _recurrent(report: Report, change: Change) -> str:
    if not any(s.kind in _RECURRENT or s.name.endswith(f"#{_STEPS}") for s in report.reached):
        return ""
    if change.kind == "vanishing":
        return (
            "Start the recurrent weights orthogonal and an LSTM's forget biases at 1, and read more than the last step."
        )
    return "Start the recurrent weights orthogonal, and clip the norm of the gradient."


def _sigmoid(report: Report, change: Change) -> str:
    """Its outputs are all positive too: it passes on their mean, and little of what tells samples apart."""
    if change.kind != "vanishing" or not any(s.activation_name == "sigmoid" for s in report.reached):
        return ""
    return (
        "Sigmoid's slope is at most 1/4, and weights large enough to make up for that saturate it: use tanh or ReLU, or batch"
        " normalization before it."
    )


def _normalized(report: Report, change: Change) -> str:
    """Behind a normalization pre-activations have an rms of 1, and the scale of the weights no longer matters."""
    rms = np.array([s.preactivation.rms for s in report.reached if s.preactivation and s.activation_name])
    if change.word != "gradients" or len(rms) < 3 or np.median(np.abs(rms - 1)) > 0.005:
        return ""
    return "Behind a normalization the weights' scale does not matter: add skip connections around the blocks, or use fewer layers."


def _elsewhere(report: Report, change: Change, name: str) -> str:
    """The weights have the variance that suits their activation."""
    units = [s.units for s in report.reached if s.units and s.activation_name]
    _, formula = _suits(name)
    start = f"The weights have about the variance that suits {ACTIVATIONS[name].label} ({formula})"
    if change.kind == "exploding":
        return (
            f"{start}. If skip connections add up, normalize each block or scale the branches by 1/sqrt(number of blocks). If every"
            " layer is normalized, gradients can grow with depth at any scale: add skip connections or use fewer layers. Else"
            " look at biases and inputs."
        )
    if units and len(units) / np.mean(units) > 1:
        return (
            f"{start}; so narrow and deep, chance alone does this: use wider or fewer layers, or a normalization layer."
        )
    return f"{start}: look at biases and dropout, or use a normalization layer with skip connections."


def _weights(report: Report, among: Iterable[LayerStats] | None = None) -> tuple[str | None, float]:
    """Among some layers, or all: the most frequent activation for which a variance is known that keeps the scale, and how many times that
    the weights have (with the factor between layer and activation): the median over its layers, 0 if they were not measured. (None, 0)
    where no such activation follows a layer."""
    layers = [
        s
        for s in (report.reached if among is None else among)
        if s.activation_name in ACTIVATIONS and ACTIVATIONS[s.activation_name].keeps_scale
    ]
    name = most_frequent(layers)
    if name is None:
        return None, 0.0
    factor = between(report) or 1.0
    return name, factor**2 * float(np.median([times_suited(s, name) for s in layers if s.activation_name == name]))


def most_frequent(layers: Iterable[LayerStats]) -> str | None:
    """The activation, a name in ACTIVATIONS, that follows most of the layers."""
    names = [s.activation_name for s in layers if s.activation_name in ACTIVATIONS]
    return max(sorted(set(names)), key=names.count) if names else None


def suited_variance(name: str) -> float | None:
    """Var(W) fan_in, for as many outputs as inputs, at which an activation keeps the scale at any depth; None where none does."""
    phi = ACTIVATIONS[name]
    return SCHEMES[phi.best_scheme].gain(phi) ** 2 if phi.keeps_scale else None


def between(report: Report) -> float | None:
    """The factor that stands between the layers and their activations, if it is much the same at most of them and far from 1: the rms
    of what enters an activation over that of the layer's output. None where a normalization stands there, which brings it to 1."""
    layers = [s for s in report.reached if s.activation_name is not None and s.preactivation is not None]
    if not layers:
        return None
    factors, rms = np.array([[s.factor, s.preactivation.rms] for s in layers if s.preactivation]).T
    middle = float(np.median(factors))
    alike = np.abs(factors / middle - 1) < 0.25 if middle else np.zeros(1)
    normalized = np.median(np.abs(rms - 1)) < 0.05
    return middle if alike.mean() > 0.5 and not normalized and not 0.5 <= middle <= 2 else None


def times_suited(layer: LayerStats, name: str) -> float:
    """How many times the variance that suits this activation the layer's weights have; 0 if they were not measured."""
    if not layer.weight_rms or not math.isfinite(layer.weight_rms):
        return 0.0
    phi = ACTIVATIONS[name]
    rule = SCHEMES[phi.best_scheme]
    return layer.weight_rms**2 / rule.std(layer.fan_in, layer.fan_out, rule.gain(phi)) ** 2


def _suits(name: str) -> tuple[str, str]:
    """The scheme that keeps the scale with this activation at any depth, in words, and its formula."""
    phi = ACTIVATIONS[name]
    if phi.best_scheme == "he_normal":
        slope = phi.slope or 0.0
        return "He", "2/fan_in" if slope < 0.1 else f"2/(1 + {slope:g}^2)/fan_in"
    return {"xavier_normal": ("Xavier", "2/(fan_in + fan_out)"), "lecun_normal": ("LeCun", "1/fan_in")}[phi.best_scheme]
