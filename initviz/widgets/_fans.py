"""The fans explorer: inputs and outputs of one layer in; its weights, and what each choice of their variance does, out."""

from __future__ import annotations

import ipywidgets as widgets

from initviz.experiments import DISTRIBUTIONS, FAN_CHOICES, LayerFactors, layer_factors
from initviz.initializers import ACTIVATIONS
from initviz.plots import Figure, fans_figure
from initviz.widgets._controls import columns, control, menu
from initviz.widgets._frame import Frame

SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


class FansExplorer(Frame):
    """The widget that `explore_fans` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        factors: the `LayerFactors` of each choice, on screen.
    """

    factors: tuple[LayerFactors, ...]

    def __init__(self, **settings) -> None:
        super().__init__()
        choices = [(f"{choice.label}: variance {choice.variance}", name) for name, choice in FAN_CHOICES.items()]
        self.controls = {
            "n_in": control(widgets.SelectionSlider, "Inputs n_in", "Inputs of the layer", options=SIZES, value=64),
            "n_out": control(widgets.SelectionSlider, "Outputs n_out", "Units in the layer", options=SIZES, value=256),
            "choice": control(
                widgets.Dropdown, "Choice", "The row whose weights are shown", options=choices, value="xavier"
            ),
            "distribution": control(
                widgets.Dropdown, "Drawn from", "The distribution of a weight", options=list(DISTRIBUTIONS), value="uniform"
            ),
            "activation": menu("Activation", "The function between two layers", ACTIVATIONS, "linear"),
            "seed": control(
                widgets.BoundedIntText, "Seed", "The draw of weights, signals and gradients", value=0, min=0, max=2**31 - 1
            ),
        }  # fmt: skip
        self.choose(settings)
        c = self.controls
        rows = columns([c["n_in"], c["n_out"]], [c["choice"], c["distribution"]], [c["activation"], c["seed"]])
        self.start([rows, self.words, self.picture])

    def measure(self) -> None:
        """Measure the layer under every choice."""
        value = {name: widget.value for name, widget in self.controls.items()}
        del value["choice"]
        self.factors = layer_factors(**value)

    def describe(self, title: str = "") -> Figure:
        return fans_figure(self.factors, self.controls["choice"].value, title)

    @property
    def chosen(self) -> LayerFactors:
        """The row whose weights are shown."""
        return next(one for one in self.factors if one.choice == self.controls["choice"].value)

    @property
    def sentence(self) -> str:
        """What there is to see, in words."""
        one = self.chosen
        return (
            f"{FAN_CHOICES[one.choice].label}, {one.n_in} inputs and {one.n_out} outputs: a layer multiplies the signal's variance by "
            f"{one.forward:.3g} on the way forward (theory {one.forward_theory:.3g}) and the gradient's by {one.backward:.3g} on the "
            f"way back (theory {one.backward_theory:.3g}). A single draw strays by about {one.forward_error:.1%} forward and "
            f"{one.backward_error:.1%} back."
        )

    def grid(self) -> dict[str, list]:
        return {"choice": list(FAN_CHOICES), "n_in": [16, 64, 256, 1024], "n_out": [16, 64, 256, 1024]}

    def summary(self) -> str:
        c = self.controls
        return f"Fans explorer, {c['activation'].value}, {c['distribution'].value} weights, seed {c['seed'].value}. {self.sentence}"


def explore_fans(**settings) -> FansExplorer:
    """The fans explorer, as a widget to be shown in a notebook.

    Args:
        **settings: n_in, n_out, choice (a key of `initviz.experiments.FAN_CHOICES`), distribution, activation, seed, each a control:
            `explore_fans(n_in=64, n_out=1024, choice="fan_in")`.
    Raises:
        ValueError: an unknown setting, or a value that its control does not take.
    """
    return FansExplorer(**settings)
