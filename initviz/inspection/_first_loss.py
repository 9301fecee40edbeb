"""The first loss against chance: what a network that knows nothing yet should come to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from initviz._core.devices import in_float64
from initviz._core.outputs import real_tensors
from initviz._core.readings import Reading, Readings
from initviz._core.statistics import is_array
from initviz.inspection._findings import FirstLoss
from initviz.inspection._units import rounding


def logits_of(output: Any) -> Tensor | None:
    """What a loss compares with a target: the output's `logits`, or else its first real tensor, at least float32."""
    logits = output.get("logits") if isinstance(output, dict) else getattr(output, "logits", None)
    logits = next(real_tensors(output), None) if logits is None else logits
    return logits.float() if logits is not None and logits.dtype in (torch.float16, torch.bfloat16) else logits


def by_class(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, int] | None:
    """(logits, targets, number of classes) as F.cross_entropy takes them: classes on axis 1, or on the last; None if `y` fits neither."""
    if logits.dim() >= 2 and y.shape == logits.shape[:1] + logits.shape[2:]:
        return logits, y, logits.shape[1]
    if logits.dim() >= 2 and y.shape == logits.shape[:-1]:
        return logits.flatten(0, -2), y.flatten(), logits.shape[-1]
    return None


class Looked(NamedTuple):
    """What is kept of a model's output through the backward pass, where the output itself is let go: a language
    model has no larger tensor.

    Attributes:
        logits: on the meta device, if no one asks for their values again.
        rms: their root mean square; alike: whether the output is the same for every sample that was looked at.
    """

    logits: Tensor | None
    rms: Reading[float]
    alike: Reading[bool]


@torch.no_grad()
def look_at(output: Any, needed: bool, readings: Readings) -> Looked:
    """`needed`: whether `first_loss` computes a loss from the logits."""
    first, logits = next(real_tensors(output), None), logits_of(output)
    alike = Reading(False)
    if first is not None and is_array(first) and first.dim() > 0 and first.numel() > 0:
        alike = readings.of(_some_rows(first), partial(_rows_alike, tolerance=rounding(first.dtype)))
    if logits is None:
        return Looked(None, Reading(math.nan), alike)
    (rms,) = readings.rms([logits], finite=False)
    return Looked(logits if needed else torch.empty(logits.shape, device="meta"), rms, alike)


def _some_rows(output: Tensor) -> Tensor:
    """Shape (at most 256, at most 64): a copy of some samples' outputs."""
    rows = output.detach()[:: -(-len(output) // 256)]
    rows = rows.reshape(len(rows), -1)
    return rows[:, :: -(-rows.shape[1] // 64)].clone()


def _rows_alike(rows: np.ndarray, tolerance: float) -> bool:
    """Whether all are the same but for rounding: a matrix product may take the last rows of a batch by other instructions."""
    with np.errstate(invalid="ignore"):
        return bool(np.ptp(rows, axis=0).max() <= tolerance * np.abs(rows).max())


@torch.no_grad()
def first_loss(looked: Looked, x: Any, y: Any, value: Tensor, own: bool) -> FirstLoss | None:
    """The `FirstLoss` of an output, or None where there is no target to compare it with.

    Args:
        value: the loss that was taken; own: whether it is by a function of the caller's, so that the usual one is computed beside it.
    """
    logits = looked.logits
    labels = x.get("labels") if y is None and isinstance(x, Mapping) else None
    target = labels if y is None else y
    if logits is None or not isinstance(target, Tensor) or target.numel() == 0 or target.is_complex():
        return None
    rms = looked.rms.value
    if target.is_floating_point():
        return None if y is None or y.shape != logits.shape else _real(logits, y, rms, own)
    if y is None:
        classes = logits.shape[-1] if logits.dim() > 1 else 1
        loss = value.item()
    else:
        fits = by_class(logits, y)
        if fits is None:
            return None
        logits, target, classes = fits
        if bool(((target >= classes) | ((target < 0) & (target != -100))).any()):
            return None
        loss = F.cross_entropy(logits, target.long()).item() if own else value.item()
    known = target[target != -100].flatten()
    if classes < 2 or known.numel() == 0 or int(known.max()) >= classes:
        return None
    shares = in_float64(torch.bincount(known.long())) / known.numel()
    return FirstLoss(loss, math.log(classes), classes, torch.special.entr(shares).sum().item(), rms, math.nan)


def _real(logits: Tensor, y: Tensor, rms: float, own: bool) -> FirstLoss:
    y, logits = in_float64(y), in_float64(logits)
    size = y.square().mean().sqrt().item()
    if own and bool(((y == 0) | (y == 1)).all()):  # a yes or no for each output
        share = y.mean()
        entropy = torch.special.entr(torch.stack([share, 1 - share])).sum().item()
        loss = F.binary_cross_entropy_with_logits(logits, y).item()
        return FirstLoss(loss, math.log(2), 2, entropy, rms, math.nan)
    loss = F.mse_loss(logits, y).item()
    return FirstLoss(loss, y.var(correction=0).item(), None, math.nan, rms, size)
