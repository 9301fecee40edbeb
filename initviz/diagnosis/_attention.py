"""Attention that cannot learn: a softmax that looks at one place alone (entropy collapse), or tokens that are all alike (rank collapse)."""

from __future__ import annotations

from initviz.diagnosis._kinds import Verdict
from initviz.diagnosis._words import number
from initviz.inspection import Attention, Report

ONE_PLACE = 0.2
"""Entropy of attention over ln T below which it counts as collapsed. Of logits of standard deviation s over 64 places it is 0.88 at
s = 1, 0.16 at s = 7.5 (512 features without 1/sqrt(d), at torch's default start) and 0.03 at s = 32. At training, a low entropy goes
with divergence (Zhai et al. 2023, "Stabilizing Transformer Training by Preventing Attention Entropy Collapse")."""
# A sound 12-block GPT-2 of width 48 comes to more than 0.99: torch's biases are common to all of its tokens.
ALIKE, UNLIKE = 0.999, 0.9
"""Mean cosine of two tokens from which they are all alike, and up to which those of the model's first attention were not. Without skip
connections attention makes tokens alike doubly exponentially in depth (Dong et al. 2021, "Attention is not all you need"), and queries
and keys then get no gradient (Noci et al. 2022, "Signal Propagation in Transformers")."""


def one_place(report: Report) -> list[Attention]:
    """The attentions whose entropy has collapsed."""
    return [attention for attention in report.attention if attention.entropy < ONE_PLACE]


def entropy_collapse(report: Report) -> Verdict | None:
    found = one_place(report)
    if not found:
        return None
    worst = min(found, key=lambda attention: attention.entropy)
    if len(found) < len(report.attention) / 2 and worst.entropy > ONE_PLACE / 2:
        return None  # a few sharp ones among others: training makes such
    why = (
        f"Attention{_at(worst)} looks at hardly more than one place: its entropy is {number(worst.entropy)} of ln T "
        f"({worst.places} places), and the logits of a query have a standard deviation of {worst.logit_std:.2g}"
    )
    if len(report.attention) > 1:
        why += f" ({len(found)} of {len(report.attention)} attentions like this)"
    width = f" (d = {worst.width}, the width of a head)" if worst.width else ""
    remedy = (
        f"Put 1/sqrt(d) in front of q k^T if it is not there{width}, normalize queries and keys (QK-norm), or draw their "
        "weights smaller."
    )
    return Verdict("saturated", _layers(found), why + ".", remedy)


def rank_collapse(report: Report) -> Verdict | None:
    known = [attention for attention in report.attention if attention.similarity == attention.similarity]
    found = [attention for attention in known if attention.similarity > ALIKE]
    if not found or known[0].similarity > UNLIKE:
        return None
    why = (
        f"All tokens are alike from attention {report.attention.index(found[0]) + 1}{_at(found[0])} on: the mean cosine between two "
        f"places is {found[0].similarity:.4f}, and it was {known[0].similarity:.2g} at the first attention"
    )
    remedy = (
        "Put a skip connection around each attention, or give the one that is there more weight against its branch."
    )
    return Verdict("rank-collapsed", _layers(found), why + ".", remedy)


def attention_cause(report: Report, found: Verdict) -> str | None:
    """The cause where attention is at fault, else None."""
    if found.kind == "rank-collapsed":
        return (
            "Each attention replaces a token by a mean of tokens, and too little of the token itself is left beside it."
        )
    if found == entropy_collapse(report):
        std = max(attention.logit_std for attention in one_place(report))
        return f"The logits q k^T are too large: over the places they have a standard deviation of {std:.2g}, and softmax needs about 1."
    return None


def _at(attention: Attention) -> str:
    """ " of layers 1 and 2", as far as they are known."""
    if not attention.layers:
        return ""
    numbers = " and ".join(map(str, attention.layers))
    return f" of layer{'s' if len(attention.layers) > 1 else ''} {numbers}"


def _layers(found: list[Attention]) -> tuple[int, ...]:
    return tuple(sorted({layer for attention in found for layer in attention.layers}))
