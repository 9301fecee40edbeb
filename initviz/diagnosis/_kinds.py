"""What a verdict can be."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = {
    "stable": "#009E73",
    "vanishing": "#0072B2",
    "exploding": "#D55E00",
    "saturated": "#CC79A7",
    "dead": "#56606A",
    "symmetric": "#B8860B",
    "untrainable": "#5D3A9B",
    "rank-collapsed": "#56B4E9",
    "off-scale": "#A6611A",
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
