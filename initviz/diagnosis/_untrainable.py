"""Parameters that can never learn, and layers that stay copies of each other."""

from __future__ import annotations

import re

import numpy as np

from initviz.diagnosis._kinds import Verdict
from initviz.diagnosis._signals import RATIO, backward_signal, forward_signal, owner
from initviz.diagnosis._words import names_of
from initviz.inspection import LayerStats, Report

_NUMBER = re.compile(r"\.\d+")


def blocked(report: Report) -> Verdict | None:
    """A hidden layer of zeros that nothing leads around."""
    zeros = [n for n, s in enumerate(report.reached[:-1], start=1) if s.weight_rms == 0]
    if zeros and report.one_output_for_all and report.reached[-1].weight_rms != 0:
        why = f"The weights of layer {zeros[0]} are all 0 and nothing leads around it: the output is the same for every sample."
        return Verdict("vanishing", tuple(zeros), why, "Draw these weights at random.")
    return None


def untrainable(report: Report) -> Verdict | None:
    reach = report.reach
    if reach is None or _fades(report):
        return None
    unreached = {s.name: s for s in report.layers if not s.reached}
    unused = [
        name for name in reach.unused if (s := unreached.get(owner(name))) is not None and not _one_of_many(s, report)
    ]
    learns = set(reach.never + reach.cut_off)
    never = [n for n in reach.never if not (n.endswith("bias") and n.removesuffix("bias") + "weight" not in learns)]
    for names, why, remedy in (
        (reach.unlisted, "are used, but model.parameters() leaves {them} out, so that an optimizer over it never moves {them}",
         "Keep layers in nn.ModuleList or nn.ModuleDict and tensors in nn.Parameter: model.parameters() looks into no plain list or dict."),
        (reach.cut_off, "get no gradient: nothing leads from the loss back to {them}",
         "Look for detach(), no_grad(), .data or an output that the loss leaves out; if it is meant, freeze {them} by"
         " requires_grad_(False)."),
        (tuple(never), "have a gradient of exactly 0 that stays 0 whatever else moves",
         "Of two factors that multiply each other at most one may start at 0: draw the other at random."
         if any(not name.endswith("bias") for name in reach.zeros) else
         "Either only zeros enter {them} (the way back of a bidirectional layer that is read at its last step), or what leads on to"
         " the loss has a slope of 0 (round, sign, a comparison: pass the gradient straight through)."),
        (tuple(unused) if report.training else (), "are never used: forward() does not call {them}",
         "Call {them} in forward(), or take {them} out."),
    ):  # fmt: skip
        if names:
            them = "it" if len(names) == 1 else "them"
            words = (
                why
                if len(names) > 1
                else why.replace("get ", "gets ", 1).replace("have ", "has ", 1).replace("are ", "is ", 1)
            )
            owners = {owner(name) for name in names}
            at = tuple(n for n, s in enumerate(report.reached, start=1) if s.name in owners)
            why = f"{names_of(names)} {words.format(them=them)}."
            return Verdict("untrainable", at, why, remedy.format(them=them))
    return None


def _one_of_many(layer: LayerStats, report: Report) -> bool:
    """Whether it is one of several alike of which others are used: an expert, or a block that was dropped this time."""
    pattern = _NUMBER.sub(".#", "." + layer.name)
    return any(
        s.weight_shape == layer.weight_shape and _NUMBER.sub(".#", "." + s.name) == pattern for s in report.reached
    )


def _fades(report: Report) -> bool:
    """Whether the signal fades to nothing, forward or back, so that a gradient of 0 is its end."""
    for signal in (forward_signal(report), backward_signal(report)):
        values = signal.values[np.isfinite(signal.values) & (signal.values > 0)]
        if len(values) > 1 and values.max() > RATIO * values.min():
            return True
    return False


def copied(report: Report) -> Verdict | None:
    if not report.copies:
        return None
    group = max(report.copies, key=len)
    names = [s.name for s in report.reached]
    at = tuple(sorted(names.index(name) + 1 for copies in report.copies for name in copies if name in names))
    why = f"{', '.join(group[:-1])} and {group[-1]} have the same weights and get the same gradient, so they stay copies of each other."
    return Verdict("symmetric", at, why, "Draw each one's weights by itself: a deep copy needs a new draw.")
