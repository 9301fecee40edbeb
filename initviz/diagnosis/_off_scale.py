"""Outputs that are too large or too small for their target, and what makes them so."""

from __future__ import annotations

import math

import numpy as np

from initviz.diagnosis._kinds import Verdict
from initviz.diagnosis._signals import forward_signal, norm
from initviz.inspection import LayerStats, Report

OFF_CHANCE = 5.0
"""First loss over that of a uniform guess that counts as off-scale (1 more is allowed, for two classes). Logits of variance v over C
classes give ln C + v/2 while v < 2 ln C and sqrt(2 v ln C) beyond: under He's scheme v is about 2, so a sound loss is ln C + 1. Up to
ten times chance most networks train (docs/verdicts.md); a tied embedding of std 1, which is sick, starts at six times or more."""
OFF_TARGET = 30.0
"""rms of the output over that of a real target, or target over output, that counts as off-scale."""
LARGEST = 1e6
"""rms of activations that counts as off-scale whatever the target: nothing sound is so large."""
OFF_GAIN = 5.0
"""How many times larger than order 1 a part of the model makes a signal to be named for a loss that is too large."""
FAINT = 2e-3
"""rms of the inputs that counts as off-scale if nothing makes it larger. A layer's weights get a gradient in proportion to what enters
it. `python -m benchmarks.verdicts --constants` trains two networks, of two hidden ReLU layers and of four of tanh, on digits of less and
less rms, 300 steps, 3 seeds. At 2e-3 SGD is left at chance (10 to 13 %, with a rate of 0.1 or 1; at rms 1 it comes to 97 %), and
Adam comes to 65 and 85 % at a rate of 0.001, 89 and 93 % at 0.01 (97 and 98 % at rms 1). At 3e-4 Adam's best are 54 and 80 %."""
VAST = 1e18
"""rms of values whose squares are beyond float32, which ends at 3e38: a normalization takes their variance, and makes 0 or NaN of them."""
SCALE_INPUTS = "Bring the inputs to order 1: x = (x - x.mean()) / x.std()."
_SCALE_TARGETS = "Scale the targets to order 1: y = (y - y.mean()) / y.std()."


def off_scale(report: Report) -> Verdict | None:
    """A first loss far above chance, or output and target of different sizes; and which part of the model brings it in."""
    found, sizes = report.first_loss, np.nan_to_num(forward_signal(report).values)
    huge = bool(sizes.max() > LARGEST)
    if huge and (found is None or (found.classes is None and not found.output_rms > OFF_TARGET * found.target_rms)):
        at, cause, remedy = _too_large(report)
        return Verdict("off-scale", at, f"Activations have an rms of {sizes.max():.2g}: {cause}.", remedy)
    if _faint(report):
        why = f"The inputs' rms is {report.input_rms:.2g}, and so small is the gradient of the first layer's weights."
        return Verdict("off-scale", (), why, SCALE_INPUTS)
    if found is None:
        return None
    if found.classes is not None:
        if found.loss <= OFF_CHANCE * found.chance + 1 and sizes.max() <= LARGEST:
            return None
        why = f"The first loss is {found.loss:.3g}, and a guess has ln {found.classes} = {found.chance:.3g}"
        if found.labels < 0.8 * found.chance and report.batch_size >= 10 * found.classes:
            why += f" ({found.labels:.2g} by the labels' shares)"
    elif found.output_rms > OFF_TARGET * found.target_rms > 0:
        why = f"The output's rms is {found.output_rms:.3g}, and the target's {found.target_rms:.3g}"
        if found.output_rms <= OFF_GAIN:  # of order 1, as it should be
            return Verdict("off-scale", (), why + ".", _SCALE_TARGETS)
    elif found.target_rms > OFF_TARGET * max(found.output_rms, 1.0):
        why = f"The target's rms is {found.target_rms:.3g}, and the output's {found.output_rms:.3g}"
        return Verdict("off-scale", (), why + ".", _SCALE_TARGETS)
    else:
        return None
    at, cause, remedy = _too_large(report)
    # of the 37 such networks of docs/verdicts.md Adam trained 33, plain SGD 11
    adam = "" if found.classes is None else "; of small networks that begin so, Adam trained most and plain SGD few"
    return Verdict("off-scale", at, f"{why}: {cause}{adam}.", remedy)


def vast(report: Report) -> Verdict | None:
    """A layer that gives values too large to be squared, of which a normalization makes zeros: its units then look alike, or dead."""
    if report.dtype == "float64":
        return None
    for n, s in enumerate(report.reached, start=1):
        inputs = report.input_rms if n == 1 else 1.0
        size = inputs * (s.weight_rms or 0.0) * math.sqrt(s.fan_in)
        if s.factor == 0 and VAST < size < math.inf:
            beyond = f"whose squares are beyond {report.dtype}: a normalization makes zeros of them"
            why = f"Layer {n} gives values of about {size:.2g}, {beyond}."
            weights = "Draw the weights of that layer by the scheme of the others."
            return Verdict("off-scale", (n,), why, SCALE_INPUTS if inputs > OFF_GAIN else weights)
    return None


def _faint(report: Report) -> bool:
    """Whether inputs of an rms below FAINT enter the first layer as they are: then the gradient of its weights is that of its output
    times them, up to the square root of the batch where samples pull together."""
    first, inputs = report.reached[0], report.input_rms
    weights, outputs = first.weight_gradient, first.preactivation_gradient
    if not 0 < inputs < FAINT or "Embedding" in first.kind or weights is None or outputs is None:
        return False
    return first.factor < 2 and norm(weights) < 30 * inputs * math.sqrt(first.fan_in) * norm(outputs)


def _too_large(report: Report) -> tuple[tuple[int, ...], str, str]:
    """(layers, in words what makes the output too large, remedy): the inputs, the output layer, or the layer at which it comes in."""
    layers, number = report.reached, len(report.reached)
    last = layers[-1]
    out = last.preactivation.rms if last.preactivation else math.nan
    own = (last.weight_rms or 0.0) * math.sqrt(last.fan_in)
    body = out / own if own > 0 else math.nan  # the rms of what enters the output layer
    sizes = [
        s.activation.rms if s.activation else s.preactivation.rms if s.preactivation else math.nan for s in layers[:-1]
    ]
    inputs = report.input_rms if math.isfinite(report.input_rms) else 1.0
    steps = np.array([inputs, *sizes, body])
    steps = steps[np.isfinite(steps) & (steps > 0)]
    n, table = _table_of_logits(report)
    if table is not None:
        words = f"its logits are products with the weight of {table.name}, whose std is {table.weight_rms:.2g}"
        return (n,), words, _shared(int(table.weight_shape[1]))
    behind = report.first_loss.output_rms / out if report.first_loss is not None and out > 0 else 1.0
    if behind > OFF_GAIN:
        look = f"Look at what stands behind {last.name}: a temperature, another factor, a sum that is not normalized."
        return (), *_large_or(report, f"behind layer {number} it grows {behind:.3g}x", look)
    if own >= max(body, OFF_GAIN) or not math.isfinite(body):
        if last.tied:
            words = (
                f"the output layer {last.name} shares the weight of {last.tied[0]}, whose std is {last.weight_rms:.2g}"
            )
            return (number,), words, _shared(int(last.fan_in))
        words = f"the weights of the output layer {last.name} multiply an rms of {body:.2g} by {own:.3g}"
        return (number,), words, "Draw the output layer's weights anew, with variance 1/fan_in or less."
    if inputs >= OFF_GAIN and inputs >= body / OFF_GAIN:
        return (), f"the inputs' rms is {inputs:.3g}", SCALE_INPUTS
    for n, s in enumerate(layers, start=1):
        if s.factor > OFF_GAIN and s.factor * OFF_GAIN > body:
            words = f"between layer {n} and its activation it grows {s.factor:.3g}x"
            return (n,), *_large_or(
                report, words, "Look at what stands between them: a factor, a sum that is not normalized."
            )
    grown = [(b / a, n) for n, (a, b) in enumerate(zip([inputs, *sizes], [*sizes, body]), start=1) if a > 0 and b > 0]
    factor, n = max(grown, default=(1.0, number))
    n = min(n, number)
    bias = f"{layers[n - 1].name}.bias"
    if bias in report.large:
        return (n,), f"{bias} is large", _set_back(bias)
    return (
        (n,),
        f"layer {n} multiplies the rms by {factor:.3g}",
        "Draw the weights of that layer by the scheme of the others.",
    )


def _large_or(report: Report, words: str, remedy: str) -> tuple[str, str]:
    """(words, remedy), or what they are with the parameter of one dimension that is large."""
    return (f"{report.large[0]} is large, and {words}", _set_back(report.large[0])) if report.large else (words, remedy)


def _set_back(name: str) -> str:
    """For a parameter of one dimension that is large: what is added starts at 0, a factor at 1."""
    return f"Set {name} to {0 if name.endswith('bias') else 1}."


def _shared(width: int) -> str:
    return f"Draw the shared weight with a std of 1/sqrt({width}) = {width**-0.5:.2g} or less (0.02 is usual)."


def _table_of_logits(report: Report) -> tuple[int, LayerStats | None]:
    """(its number, the embedding) that must give the logits, since no layer has as many outputs as there are classes; (0, None) if there
    is none, or it is small enough."""
    classes = report.first_loss.classes if report.first_loss is not None else None
    if classes is None or report.reached[-1].weight_shape[0] == classes:
        return 0, None
    for n, s in enumerate(report.reached, start=1):
        if s.kind == "Embedding" and s.weight_shape[0] == classes:
            large = (s.weight_rms or 0.0) * math.sqrt(s.weight_shape[1]) >= OFF_GAIN
            return (n, s) if large else (0, None)
    return 0, None
