"""Where NaN or infinity begins, and what to do about it."""

from __future__ import annotations

import math

import numpy as np

from initviz.diagnosis._kinds import Verdict
from initviz.diagnosis._off_scale import SCALE_INPUTS, VAST
from initviz.diagnosis._signals import forward_signal
from initviz.diagnosis._words import count, percent, where
from initviz.inspection import Origin, Report


def non_finite(report: Report) -> Verdict | None:
    if report.finite:
        return None
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
            at = where(shares > 0)
            first = at[-1] if way == "on the way back" else at[0]
            why = f"{percent(shares[first - 1])} of layer {first}'s values are NaN or infinite {way}"
            why = f"{why} ({count(len(at))} affected, {report.dtype})"
            if report.origin is not None:
                why = f"{begins(report.origin)}: {why}"
            return Verdict("non-finite", at, why + ".", _finite(report, quantity, first))
    why = f"The loss is {report.loss}"
    if report.origin is not None:
        why = f"{begins(report.origin)}: {why[0].lower()}{why[1:]}"
    remedy = "Check the loss and its targets: a log of 0, a division by 0."
    return Verdict("non-finite", (), why + ".", _mend(report.origin) or remedy)


def begins(origin: Origin) -> str:
    """Where it begins, in words."""
    if origin.kind in ("parameter", "buffer"):
        return f"{percent(origin.share)} of {origin.name} {'is' if origin.share == 1 else 'are'} {origin.what}"
    if origin.kind in ("input", "target"):
        return f"{percent(origin.share)} of the {origin.kind}s are {origin.what}"
    if origin.kind == "gradient":
        return f"The gradient of {origin.name} is {origin.what}"
    at = f" ({origin.line})" if origin.line else ""
    gets = "gets a row that is all -inf" if origin.inputs == "a row of -inf" else f"gets values up to {origin.inputs}"
    gives = "NaN" if origin.what == "NaN" else "infinity"
    return f"{origin.name[0].upper()}{origin.name[1:]} in {origin.module}{at} {gets} and gives {gives}"


def _mend(origin: Origin | None) -> str:
    """What to do about values that are not finite, where it follows from what they begin with; else empty."""
    if origin is None:
        return ""
    if origin.kind == "parameter":
        return f"The values of {origin.name} were never set, or are broken: initialize them again."
    if origin.kind == "buffer":
        return f"Set the buffer {origin.name} anew: it was loaded or computed wrongly."
    if origin.kind in ("input", "target"):
        return f"Check the {origin.kind}s: replace or leave out what is not finite."
    if origin.inputs == "a row of -inf":
        return "Leave each row of the mask at least one place to look at, or replace the NaN of such rows by 0."
    if origin.kind == "gradient" and origin.name in (
        "sqrt",
        "pow",
        "norm",
        "linalg_vector_norm",
        "log",
        "div",
        "acos",
        "asin",
    ):
        return f"Keep what {origin.name} gets away from where its slope is infinite: add 1e-6 to it before, not after."
    return _MENDS.get(origin.name.split(".")[0].rstrip("_"), "")


_MENDS = {
    "exp": "Subtract the largest value before exp, or use what does so (softmax, logsumexp, expm1).",
    "log": "Keep log away from 0: log(x + 1e-6), log1p, or log_softmax in place of a log of a softmax.",
    "sqrt": "Keep sqrt away from 0 and below: sqrt(x + 1e-6).",
    "div": "Keep the divisor away from 0: add 1e-6 to it.",
    "reciprocal": "Keep the divisor away from 0: add 1e-6 to it.",
    "rsqrt": "Keep the divisor away from 0: add 1e-6 to it.",
    "pow": "Keep the base of a fractional or negative power above 0: clamp(min=1e-6).",
    "acos": "Keep acos between -1 and 1: clamp(-1 + 1e-6, 1 - 1e-6).",
    "asin": "Keep asin between -1 and 1: clamp(-1 + 1e-6, 1 - 1e-6).",
    "std": "A single value has no standard deviation: take correction=0, or more values.",
    "var": "A single value has no variance: take correction=0, or more values.",
    "mul": "Do not multiply by infinity (0 times infinity is NaN): mask with masked_fill or where.",
}
"""Operation at which NaN or infinity begins -> what to do."""


def _finite(report: Report, quantity: str, first: int) -> str:
    """What to do about NaN or infinite values that begin in this quantity of this layer."""
    forward = quantity in ("preactivation", "activation")
    before = forward_signal(report).values[: first - 1] if forward else np.array([])
    grows = np.isfinite(before).sum() >= 2 and before[np.isfinite(before)][-1] > 10 * before[np.isfinite(before)][0]
    if quantity == "weight" and report.origin is None:
        return "The weights themselves are broken: initialize them again."
    if VAST < report.input_rms < math.inf and forward:
        return SCALE_INPUTS
    known = _mend(report.origin)
    if known and not (
        report.dtype == "float16"
        and report.origin
        and report.origin.kind == "operation"
        and report.origin.what != "NaN"
    ):
        return known
    if report.dtype == "float16":
        smaller = "smaller weights (Xavier, He) or inputs, or " if forward else ""
        return f"float16 ends at 65504: use {smaller}a type with more range (bfloat16, float32)."
    if grows:
        return "Use smaller weights (Xavier, He): the values grow from layer to layer until they overflow."
    if forward and first == 1 and report.origin is None:
        return "Check the inputs: the first layer's weights are finite."
    return f"Look at layer {first}: a division by 0, a log or a square root of what it should not be."
