"""A network's check-up on one page: what is wrong, in which layers, why, and one line of code that was tried on a copy and helped."""

from __future__ import annotations

import copy
import html
import math
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.arguments import look_up, several
from initviz._core.layers import bare, layers_of
from initviz._core.progress import LOG
from initviz._core.restore import random_states
from initviz.diagnosis._attention import attention_cause, entropy_collapse
from initviz.diagnosis._cures import Cure, cures
from initviz.diagnosis._remedies import between, odd_layers, suited_variance
from initviz.diagnosis._verdict import DEAD, KINDS, RATIO, Verdict, verdict
from initviz.diagnosis._words import spans
from initviz.initializers import ACTIVATIONS
from initviz.inspection import LayerStats, Report, loss_on, probe

_STEPS, _RATE = 10, 1e-3
"""Steps of Adam, and their learning rate, in which a cured copy must learn better."""
_KNOWN_VARIANCES = {1 / 3: "PyTorch's default", 1.0: "LeCun, and Xavier of a square layer", 2.0: "He"}


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. `print` it for a page of text; a notebook shows it as HTML.

    Attributes:
        model: the class's name; parameters: how many numbers it learns.
        report, verdict: the model as it is, by `probe` and `verdict`.
        cause: a sentence on the likely reason, empty for a stable model.
        remedy: one line of Python with `model` and `x` in it; empty where none is needed, or none helped.
        after, after_verdict: a copy of the model with the remedy applied, or None.
        tried: how many remedies could be applied to a copy.
    """

    model: str
    parameters: int
    report: Report
    verdict: Verdict
    cause: str
    remedy: str
    after: Report | None
    after_verdict: Verdict | None
    tried: int = 0

    @property
    def stable(self) -> bool:
        """Whether there is nothing to cure."""
        return self.verdict.kind == "stable"

    def lines(self) -> list[tuple[str, str]]:
        """The page: (heading, text) line by line."""
        size = f"{self.model}, {self.parameters:,} parameters, {self.report.dtype}, batch of {self.report.batch_size}"
        page = [("model", size), ("verdict", f"{self.verdict.kind.upper()}: {self.verdict.why}")]
        names = [f"{n} ({self.report.reached[n - 1].name})" for n in self.verdict.layers]
        if names:
            shown = names if len(names) <= 6 else [*names[:3], "...", names[-1]]
            page.append(("layers at fault", f"{', '.join(shown)}: {_at_fault(self.report, self.verdict)}"))
        if self.cause:
            page.append(("likely cause", self.cause))
        if self.remedy:
            page.append(("remedy", self.remedy))
        elif not self.stable:
            failed = (
                "No change of the weights alone cured a copy of it."
                if self.tried
                else "None could be tried on a copy of it."
            )
            page.append(("remedy", f"{failed} {self.verdict.remedy}".strip()))
        if self.after_verdict is not None:
            page.append(("with the remedy", f"{self.after_verdict.kind.upper()}: {self.after_verdict.why}"))
        return page

    def __str__(self) -> str:
        return "\n".join(f"{head:>16}  {text}" for head, text in self.lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = []
        for head, text in self.lines():
            words = html.escape(text)
            if head == "remedy" and self.remedy:
                words = f"<code>{words}</code>"
            kind = {"verdict": self.verdict, "with the remedy": self.after_verdict}.get(head)
            if kind is not None:
                name = html.escape(kind.kind.upper())
                words = f'<b style="border-left:8px solid {KINDS[kind.kind]}; padding-left:6px">{name}</b>{words[len(name) :]}'
            rows.append(
                f'<tr><th style="text-align:right; vertical-align:top; padding:3px 12px; white-space:nowrap">{head}</th>'
                f'<td style="text-align:left; padding:3px 0; max-width:820px">{words}</td></tr>'
            )
        return f'<table style="font-size:15px; line-height:1.4">{"".join(rows)}</table>'


_AT_FAULT = {
    "vanishing": f"those where the signal is under 1/{RATIO:.0f} of what it is where it starts",
    "exploding": f"those where the signal is more than {RATIO:.0f} times what it is where it starts",
    "saturated": "those that are on the flat part of their function",
    "dead": f"those with at least {DEAD:.0%} of their units at zero",
    "symmetric": "those whose units are all alike, or that are copies of each other",
    "rank-collapsed": "those that make the queries, keys and values of the attentions whose tokens are all alike",
    "untrainable": "those with a parameter that gets no gradient",
    "off-scale": "those that make the output too large",
    "non-finite": "those with NaN or infinite values",
}
"""Which layers a verdict of this kind counts as at fault."""


def _at_fault(report: Report, found: Verdict) -> str:
    which = _AT_FAULT.get(found.kind, "those in which it was found")
    which = "those that make queries and keys" if found == entropy_collapse(report) else which
    return f"{which} (number in the order of the forward pass, and module)"


@torch.inference_mode(False)
def diagnose(
    model: nn.Module,
    x: Any,
    y: Tensor | None = None,
    *,
    loss: Callable[[Any, Any], Tensor] | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Probe a model, judge it, say what is likely the cause, and find a line of code that cures a copy of it.

    Lines are tried in the order in which they are likely, each on a deep copy that is probed again: another number type, inputs of
    standard scale, new weights of what is at fault by the scheme that fits the activation, LSUV. The first that makes the verdict "stable"
    is told; where there is a target, the copy must also learn better in a few steps than the model does. The model itself is as it
    was, and needs room for two copies.

    Args:
        model, x, y, loss, seed: as for `initviz.probe`.
    Returns:
        A `Diagnosis`.
    Raises:
        TypeError, ValueError: as `initviz.probe`.
    """
    layers_of(bare(model))  # refuses what has no parameters to count
    LOG.info("probing %s, %s parameters", type(model).__name__, f"{sum(p.numel() for p in model.parameters()):,}")
    report = probe(model, x, y, loss=loss, seed=seed)
    found = verdict(report)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    page = type(model).__name__, parameters, report, found
    if found.kind == "stable":
        return Diagnosis(*page, "", "", None, None)
    tried, before = 0, None
    for cure in cures(model, report, found, x):
        LOG.info("%s; trying %s on a copy", found.kind, cure.code)
        try:
            patient, batch, target = _cured(cure, model, x, y, seed)
            after = probe(patient, batch, target, loss=loss, seed=seed)
            judged = verdict(after)
        except (AssertionError, RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError):
            continue  # a line that this model can't take, or a model that can't be copied (FSDP2)
        tried += 1
        if judged.kind != "stable":
            continue
        # where there is a target, in the same units, it must learn better too (in float16 Adam divides by 0)
        if report.first_loss is not None and parameters and target is y and after.dtype != "float16":
            before = _learn(_copy(model), x, y, loss, seed) if before is None else before
            if not _better(_learn(patient, batch, target, loss, seed), before):
                continue
        return Diagnosis(*page, cure.cause or _cause(report, found), cure.code, after, judged, tried)
    return Diagnosis(*page, _cause(report, found), "", None, None, tried)


def _cured(cure: Cure, model: nn.Module, x: Any, y: Any, seed: int) -> tuple[nn.Module, Any, Any]:
    """A copy of the model, and the batch, after the line; what it draws begins at `seed`."""
    devices = {p.device for p in model.parameters() if not p.is_cpu}
    with random_states(devices, seed), warnings.catch_warnings():  # of what it leaves, on a copy that no one sees
        warnings.simplefilter("ignore")
        return cure.apply(_copy(model), x, y)


def _learn(model: nn.Module, x: Any, y: Any, loss: Any, seed: int) -> tuple[float, float]:
    """Loss on the batch before and after _STEPS steps of Adam, which change the model; NaN after, if it breaks on the way."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=_RATE)
    values = []
    with random_states({p.device for p in parameters if not p.is_cpu}, seed), torch.enable_grad():
        try:
            for step in range(_STEPS + 1):
                value = loss_on(model, x, y, loss)
                values.append(value.item())
                if step < _STEPS:
                    optimizer.zero_grad()
                    value.backward()
                    optimizer.step()
        except (RuntimeError, ValueError):  # torch.distributions, BCELoss and others refuse what is not finite
            values.append(math.nan)
    return values[0], values[-1]


def _better(after: tuple[float, float], before: tuple[float, float]) -> bool:
    """Whether the loss ends lower, or falls by a larger part (a sick network's first loss may be low: its output is 0)."""
    if not math.isfinite(after[1]):
        return False
    return not math.isfinite(before[1]) or after[1] < before[1] or after[1] * before[0] < before[1] * after[0]


def _copy(model: nn.Module) -> nn.Module:
    """A deep copy. Tensors that the model keeps of its last pass, of which torch makes none, stay without their graph."""
    passing = [
        t for module in model.modules() for t in vars(module).values() if isinstance(t, Tensor) and not t.is_leaf
    ]
    return copy.deepcopy(model, {id(tensor): tensor.detach() for tensor in passing})


def assert_stable(
    model: nn.Module,
    x: Any,
    y: Tensor | None = None,
    *,
    loss: Callable[[Any, Any], Tensor] | None = None,
    allow: Collection[str] = (),
    seed: int = 0,
) -> None:
    """For a test of your own: pass if the model's verdict is "stable", or one that you allow.

        def test_initialization():
            initviz.assert_stable(MyModel(), torch.randn(32, 3, 64, 64))

    Args:
        model, x, y, loss, seed: as for `initviz.probe`.
        allow: further kinds of verdict that pass, such as ("saturated",).
    Raises:
        AssertionError: another verdict; the message is the whole page of `diagnose`.
        TypeError, ValueError: as `initviz.probe`, and an unknown kind.
    """
    allow = several("allow", allow)
    for kind in allow:
        look_up("allow", kind, KINDS)
    found = verdict(probe(model, x, y, loss=loss, seed=seed))
    if found.kind != "stable" and found.kind not in allow:
        raise AssertionError(f"the model is not stable\n{diagnose(model, x, y, loss=loss, seed=seed)}")


# Causes --------------------------------------------------------------------------------------------------------------------


def _cause(report: Report, found: Verdict) -> str:
    """The most likely reason, from what was measured at the layers at fault; empty where the verdict itself names it."""
    of_attention = attention_cause(report, found)
    if of_attention is not None:
        return of_attention
    layers = [report.reached[n - 1] for n in found.layers] or list(report.reached)
    if found.kind in ("non-finite", "untrainable", "off-scale") or (
        any(s.over_time for s in layers) and found.kind != "saturated"
    ):
        return ""
    if report.copies and found.kind == "symmetric":
        return "They were copied, and nothing tells them apart."
    if found.kind == "symmetric":
        return "The units of a layer start with the same weights, get the same gradient, and so stay the same."
    if found.kind == "dead":
        return _dead_cause(report, layers)
    if found.kind == "saturated" and all(s.kind in ("LSTM", "GRU", "RNN") for s in layers):
        return "Its weights or its inputs are too large, and a gate that is stuck learns nothing."
    return _scale_cause(report, layers, found)


def _dead_cause(report: Report, layers: list[LayerStats]) -> str:
    means = [s.preactivation.mean / s.preactivation.std for s in layers if s.preactivation and s.preactivation.std > 0]
    if means and min(means) < -1.5:
        return (
            f"The pre-activations lie {-min(means):.1f} standard deviations below zero (a negative bias, or inputs that are all "
            "of one sign): hardly any sample gets through."
        )
    return _scale_cause(report, layers, Verdict("vanishing", (), "", ""))


def _scale_cause(report: Report, layers: list[LayerStats], found: Verdict) -> str:
    """Weights against what the activation needs: Var(W) fan_in, of the layers at fault."""
    odd, times = odd_layers(report, found.kind)
    if odd:
        return f"The weights of {spans(odd)} have {times:.2g} times the variance of the others'."
    measured = [s for s in layers if s.weight is not None and s.fan_in > 1 and math.isfinite(s.weight.std)]
    if not measured:
        return ""
    factors = np.array([s.weight.std**2 * s.fan_in for s in measured if s.weight])
    factor = float(np.median(factors))
    near = next((f" ({name})" for value, name in _KNOWN_VARIANCES.items() if abs(factor / value - 1) < 0.15), "")
    names = [s.activation_name for s in measured if s.activation_name in ACTIVATIONS]
    needed = ""
    if names:
        name = max(set(names), key=names.count)
        label, want = ACTIVATIONS[name].label, suited_variance(name)
        if want is None:
            needed = f"; no variance keeps the scale of {label} at every depth"
        else:
            needed = f"; {label} keeps its scale at {want:.3g}/fan_in"
            if abs(factor / want - 1) < 0.15:
                if found.kind == "saturated":
                    return f"The weights' variance suits {label}, but its slope is small where its units are."
                return (
                    f"The weights' variance is {factor:.3g}/fan_in{near}, which suits {label}: the scale comes from elsewhere, such as "
                    "skip connections that add up, biases, or the inputs."
                )
    between_them = between(report)
    if between_them:
        needed += f"; a factor of {between_them:.3g} stands between the layers and their activations"
    return f"The weights' variance is {factor:.3g}/fan_in{near}{needed}."
