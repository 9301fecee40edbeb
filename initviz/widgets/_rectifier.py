"""The rectifier explorer: the slope of a leaky ReLU, the weights' variance and the kind of layer in; a deep network's scale out."""

from __future__ import annotations

import ipywidgets as widgets

from initviz.experiments import LAYERS, RECIPES, RectifierRun, rectifier
from initviz.plots import Figure, rectifier_figure
from initviz.widgets._controls import columns, control
from initviz.widgets._frame import Frame

WIDTHS = (16, 32, 64, 128, 256, 512)


class RectifierExplorer(Frame):
    """The widget that `explore_relu` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        run: the `RectifierRun` on screen.
    """

    run: RectifierRun

    def __init__(self, **settings) -> None:
        super().__init__()
        self.controls = {
            "slope": control(
                widgets.FloatSlider, "Slope a", "Slope of the function below 0: 0 is a ReLU, 0.25 a PReLU at its start",
                value=0.0, min=0.0, max=0.95, step=0.05,
            ),
            "scale": control(
                widgets.FloatSlider, "Scale", "Factor on the standard deviation of the weights", value=1.0, min=0.5, max=2.0, step=0.05
            ),
            "recipe": control(
                widgets.Dropdown, "Weights", "How the weights are drawn, and their variance",
                options=[(label, name) for name, (label, *_) in RECIPES.items()], value="he",
            ),
            "layer": control(
                widgets.Dropdown, "Layer", "The kind of every hidden layer",
                options=[(label, name) for name, label in LAYERS.items()], value="dense",
            ),
            "width": control(
                widgets.SelectionSlider, "Width", "Units of a dense layer, channels of a convolution", options=WIDTHS, value=256
            ),
            "depth": control(widgets.IntSlider, "Depth", "Number of hidden layers", value=30, min=2, max=60),
            "seed": control(
                widgets.BoundedIntText, "Seed", "The draw of the weights and of the batch", value=0, min=0, max=2**31 - 1
            ),
        }  # fmt: skip
        self.choose(settings)
        c = self.controls
        rows = columns([c["slope"], c["scale"], c["seed"]], [c["recipe"], c["layer"]], [c["width"], c["depth"]])
        self.start([rows, self.words, self.picture])

    def measure(self) -> None:
        """Measure the network that the controls describe."""
        self.run = rectifier(**{name: widget.value for name, widget in self.controls.items()})

    def describe(self, title: str = "") -> Figure:
        return rectifier_figure(self.run, title)

    @property
    def sentence(self) -> str:
        """What there is to see, in words."""
        run = self.run
        (forward, forward_theory), (backward, backward_theory) = run.forward_factors, run.backward_factors
        return (
            f"Each layer has fan_in {run.fan_in}, fan_out {run.fan_out} and weights of std {run.weight_std:.3g}. The second moment is "
            f"multiplied by {forward:.3g} per layer on the way forward (theory {forward_theory:.3g}), and the gradient's by "
            f"{backward:.3g} on the way back (theory {backward_theory:.3g})."
        )

    def grid(self) -> dict[str, list]:
        return {"recipe": list(RECIPES), "slope": [0.0, 0.1, 0.25, 0.5, 0.75], "scale": [0.9, 1.0, 1.1]}

    def summary(self) -> str:
        c = {name: widget.value for name, widget in self.controls.items()}
        return (
            f"Rectifier explorer: slope {c['slope']:g}, {RECIPES[c['recipe']][0]}, scale {c['scale']:g}, {c['depth']} layers "
            f"({LAYERS[c['layer']]}) of {c['width']}, seed {c['seed']}. {self.sentence}"
        )


def explore_relu(**settings) -> RectifierExplorer:
    """The rectifier explorer, as a widget to be shown in a notebook.

    Args:
        **settings: slope (0 to 0.95), scale, recipe and layer (keys of `initviz.experiments.RECIPES` and `LAYERS`), width, depth, seed,
            each a control: `explore_relu(slope=0.3, recipe="he_relu")`.
    Raises:
        ValueError: an unknown setting, or a value that its control does not take.
    """
    return RectifierExplorer(**settings)
