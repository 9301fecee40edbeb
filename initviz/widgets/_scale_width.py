"""Scale x width: a std, the width at which it was chosen and how it goes on to others in; the spread of six widths and their map out."""

from __future__ import annotations

import math
from functools import lru_cache

import ipywidgets as widgets

from initviz.experiments import RULES, WAYS, WIDTHS, SignalByWidth, factor_curve, signal_by_width
from initviz.initializers import ACTIVATIONS
from initviz.plots import Figure, widths_figure
from initviz.widgets._controls import LogSlider, columns, control, menu
from initviz.widgets._frame import Frame

DEPTHS = (2, 16)


class ScaleExplorer(Frame):
    """The widget that `explore_scale` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        spread: the `SignalByWidth` on screen.
    """

    spread: SignalByWidth
    spare = ("distribution", "seed")

    def __init__(self, **settings) -> None:
        super().__init__()
        self.controls = {
            "std": control(
                LogSlider, "Std", "Standard deviation of a weight at the chosen width, 0.001 to 1",
                value=round(math.sqrt(2 / 64), 3), min=-3, max=0, step=0.01, readout_format=".3g",
            ),
            "width": control(widgets.SelectionSlider, "Chosen at", "The width at which this std was chosen", options=WIDTHS, value=64),
            "rule": control(
                widgets.Dropdown, "Other widths", "What std the networks of other widths get", value="fixed",
                options=[(words, name) for name, words in RULES.items()],
            ),
            "activation": menu("Activation", "The function after each layer", ACTIVATIONS, "relu"),
            "depth": control(widgets.IntSlider, "Depth", "Number of hidden layers", value=10, min=DEPTHS[0], max=DEPTHS[1]),
            "way": control(
                widgets.Dropdown, "Follow", "The signal on its way forward, or the gradient on its way back", value="activation",
                options=[(words, name) for name, words in WAYS.items()],
            ),
            "distribution": control(
                widgets.Dropdown, "Drawn from", "The distribution of a weight", options=["normal", "uniform"], value="normal"
            ),
            "seed": control(
                widgets.BoundedIntText, "Seed", "The draw of the weights and the inputs", value=0, min=0, max=2**31 - 1
            ),
        }  # fmt: skip
        self.choose(settings)
        c = self.controls
        rows = columns(
            [c["std"], c["width"], c["rule"]],
            [c["activation"], c["depth"], c["way"]],
            [c["distribution"], c["seed"]],
        )
        self.start([rows, self.words, self.picture])

    def measure(self) -> None:
        """Follow the signal through all widths."""
        value = {name: widget.value for name, widget in self.controls.items()}
        self.spread = signal_by_width(value.pop("std"), chosen_at=value.pop("width"), **value)

    def describe(self, title: str = "") -> Figure:
        c = self.controls
        curve = _curve(c["activation"].value, c["depth"].value, c["way"].value)
        return widths_figure(self.spread, curve, c["width"].value, title)

    @property
    def sentence(self) -> str:
        """What there is to see, in words."""
        chosen = int((self.spread.widths == self.controls["width"].value).argmax())
        other = -1 if chosen < len(self.spread.widths) - 1 else 0
        factor, theory, std, width = self.spread.factor, self.spread.factor_theory, self.spread.std, self.spread.widths
        return (
            f"Std {std[chosen]:.3g} at width {width[chosen]}: the {WAYS[self.spread.way]} change by {factor[chosen]:.2f}x per layer "
            f"(theory {theory[chosen]:.2f}). Std {std[other]:.3g} at width {width[other]}: {factor[other]:.2f}x per layer "
            f"(theory {theory[other]:.2f})."
        )

    def grid(self) -> dict[str, list]:
        return {"rule": list(RULES), "activation": ["relu", "tanh"], "std": [0.01, 0.03, 0.05, 0.1, 0.177, 0.3]}

    def summary(self) -> str:
        c = {name: widget.value for name, widget in self.controls.items()}
        return f"Scale x width: {c['activation']}, depth {c['depth']}, {RULES[c['rule']]}, seed {c['seed']}. {self.sentence}"


def explore_scale(**settings) -> ScaleExplorer:
    """Scale x width, as a widget to be shown in a notebook.

    Args:
        **settings: std, width (at which it was chosen), rule ("fixed" or "fan_in"), activation, depth, way ("activation" or
            "preactivation_gradient"), distribution, seed, each a control: `explore_scale(std=0.1, width=256)`.
    Raises:
        ValueError: an unknown setting, or a value that its control does not take.
    """
    return ScaleExplorer(**settings)


_curve = lru_cache(maxsize=256)(factor_curve)
