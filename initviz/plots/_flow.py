"""How a signal flows: activations by layer, gradients by layer, and the spread of both beside the theory's, under a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initviz.diagnosis import KINDS, Verdict
from initviz.inspection import QUANTITIES, Report
from initviz.plots._figure import Block, Figure
from initviz.plots._layers import density_panel, spread_panel, strip_panel
from initviz.plots._matplotlib import painted

if TYPE_CHECKING:
    from initviz.theory import Prediction

SYMBOLS = {
    "stable": "✔", "vanishing": "▼", "exploding": "▲", "saturated": "▬", "dead": "✖", "symmetric": "≡", "untrainable": "⊘",
    "rank-collapsed": "∥", "off-scale": "↕", "non-finite": "∞",
}  # fmt: skip
TOP, BOTTOM, STRIP, ROW = 34, 306, 321, 27
"""Edges of the panels above, upper edge of the strips, and the height of one."""


def flow_figure(
    report: Report,
    prediction: Prediction | None = None,
    verdict: Verdict | None = None,
    *,
    title: str = "",
    pinned: tuple[Report, str] | None = None,
    forward: str = "activation",
    backward: str = "preactivation_gradient",
) -> Figure:
    """Activations by layer, gradients by layer, and their spread beside the theory's, under the verdict.

    Args:
        report: from `initviz.probe`.
        prediction: from `initviz.theory.predict_network`, drawn as dashed lines with their band.
        verdict: from `initviz.verdict`, the sentence above.
        title: a line below the picture, such as the settings.
        pinned: an earlier report and its title: dashed lines at 5 % and 95 % of its values, its rms in grey.
        forward, backward: which of `QUANTITIES` the left and the middle panel show.
    Raises:
        TypeError, ValueError: a report or a verdict that is none, an unknown quantity.
    """
    for name, value, kind, maker in (
        ("report", report, Report, "probe"),
        ("verdict", verdict, Verdict | None, "verdict"),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name}: got {type(value).__name__}; it takes what initviz.{maker} returns")
    shown = [report.stats(quantity) for quantity in (forward, backward)]
    ghosts = [pinned[0].stats(quantity) if pinned else None for quantity in (forward, backward)]
    words = [QUANTITIES[quantity] for quantity in (forward, backward)]
    output, count = output_layer(report), max(len(shown[0]), len(ghosts[0] or []))
    panels = []
    for i, (ramp, shares, left, right) in enumerate(
        (("blue", ("zeros", "saturated", "nonfinite"), 100, 84), ("orange", ("zeros", "nonfinite"), 94, 84))
    ):
        across = {"left": left, "right": right}
        above = density_panel(
            shown[i], words[i].capitalize(), ramp, words[i], ghosts[i], output, top=TOP, bottom=BOTTOM, **across
        )
        end = STRIP + 3 * ROW
        below = strip_panel(
            shown[i], shares, words[i], count, output, top=end - len(shares) * ROW, bottom=end, **across
        )
        panels.append((above, below))
    bands = [getattr(prediction, quantity, None) for quantity in (forward, backward)]
    spread = spread_panel(shown, bands, ghosts, words, output, left=94, right=20, top=TOP, bottom=BOTTOM)
    blocks = (
        Block(0, 0, 464, 436, panels[0]),
        Block(456, 0, 458, 436, panels[1]),
        Block(886, 0, 394, 436, (spread,)),
    )
    ghost = [f"pinned (dashed: its 5 % and 95 %, right: grey): {pinned[1]}"] if pinned else []
    words_above: dict[str, Any] = {} if verdict is None else {
        "headline": f"{SYMBOLS[verdict.kind]} {verdict.kind.upper()}", "color": KINDS[verdict.kind],
        "reason": f"{verdict.why}\n{verdict.remedy}".strip(),
    }  # fmt: skip
    label = f"{words[0].capitalize()} and {words[1]} by layer, and their spread"
    return Figure(blocks, label=label, caption="      ".join([*[title] * bool(title), *ghost]), **words_above)


flow = painted(flow_figure)


def output_layer(report: Report) -> int:
    """Number of the last reached layer if others have an activation and it has none; else 0."""
    layers = report.reached
    has = [layer.activation_name is not None for layer in layers]
    return len(layers) if any(has) and not has[-1] else 0
