"""The phase explorer: a place in the plane of sigma_w and sigma_b in, and the network that lives there out."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import ipywidgets as widgets

from initviz.experiments import Measurement, Settings, measure
from initviz.initializers import ACTIVATIONS
from initviz.plots import Figure, flow_figure, phase_figure, png
from initviz.theory import Phase, critical_sigma_w, phase_diagram
from initviz.widgets._controls import button, control, menu
from initviz.widgets._frame import Frame, verdict_html
from initviz.widgets._picture import Picture

_diagram = lru_cache(maxsize=16)(phase_diagram)


class PhaseExplorer(Frame):
    """The widget that `explore_phase` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        phase, measurement: the plane, and the network of the point on it.
    """

    phase: Phase
    measurement: Measurement

    def __init__(self, **settings) -> None:
        super().__init__()
        self.plane = Picture()
        step = {"step": 0.05, "readout_format": ".2f"}
        self.controls = {
            "sigma_w": control(
                widgets.FloatSlider, "σ_w", "Standard deviation of a weight times √fan_in", value=1.0, min=0.05, max=4, **step
            ),
            "sigma_b": control(widgets.FloatSlider, "σ_b", "Standard deviation of a bias", value=0.0, min=0, max=2, **step),
            "activation": menu("Activation", "The function after each layer", ACTIVATIONS, "tanh"),
            "depth": control(widgets.IntSlider, "Depth", "Number of hidden layers", value=50, min=1, max=200),
            "seed": control(widgets.BoundedIntText, "Seed", "The draw of weights and biases", value=0, min=0, max=2**31 - 1),
        }  # fmt: skip
        self.choose(settings)
        self.edge = button(
            "To the edge", "Move σ_w to the edge of chaos for this σ_b, to the nearest step", "crosshairs"
        )
        self.edge.on_click(lambda _: self.to_the_edge())
        self.plane.layout = {"width": "38%", "min_width": "360px"}
        c = self.controls
        column = widgets.VBox([*c.values(), self.edge])
        self.start([widgets.HBox([self.plane, column], layout={"flex_flow": "row wrap"}), self.words, self.picture])

    def measure(self) -> None:
        """Measure the network that lives at the point."""
        value = {name: widget.value for name, widget in self.controls.items()}
        self.phase = _diagram(value["activation"])
        settings = Settings(
            depth=value["depth"], activation=value["activation"], scheme="lecun_normal", scale=value["sigma_w"],
            bias_std=value["sigma_b"], data="gaussian", seed=value["seed"],
        )  # fmt: skip
        shown = ("activation", "preactivation_gradient")
        self.measurement = measure(settings, quantities=shown)

    def describe(self, title: str = "") -> Figure:
        return flow_figure(
            self.measurement.report, self.measurement.prediction, self.measurement.verdict if title else None
        )

    def said(self) -> str:
        return verdict_html(self.measurement.verdict)

    def figures(self) -> tuple[Figure, ...]:
        place = self.controls["sigma_w"].value, self.controls["sigma_b"].value
        return phase_figure(self.phase, place), self.describe()

    def show(self) -> None:
        """Bring both pictures and the words up to date."""
        for picture, figure in zip((self.plane, self.picture), self.figures()):
            picture.show(figure)
        self.words.value = self.said()

    def to_the_edge(self) -> None:
        """Move sigma_w to the edge of chaos, to the nearest step of the slider; stay if this activation has none."""
        sigma_w = critical_sigma_w(self.controls["activation"].value, self.controls["sigma_b"].value)
        slider = self.controls["sigma_w"]
        if slider.min <= sigma_w <= slider.max:
            self.set(sigma_w=round(round(sigma_w / slider.step) * slider.step, 10))

    def still(self) -> bytes:
        """The plane and the network below it: what a page without a kernel shows."""
        plane, network = self.figures()
        middle = (network.width - plane.width) / 2
        above = tuple(replace(block, left=block.left + middle) for block in plane.blocks)
        below = tuple(replace(block, top=block.top + plane.height) for block in network.blocks)
        return png(replace(network, blocks=above + below, height=plane.height + network.height))

    def grid(self) -> dict[str, list]:
        return {"sigma_b": [0.0, 0.1, 0.3, 1.0], "sigma_w": [0.5, 0.8, 1.0, 1.2, 1.3, 1.5, 2.0, 3.0]}

    def summary(self) -> str:
        c = {name: widget.value for name, widget in self.controls.items()}
        return (
            f"Phase explorer: {c['activation']}, sigma_w {c['sigma_w']:g}, sigma_b {c['sigma_b']:g}, {c['depth']} layers: "
            f"{self.measurement.verdict.kind}"
        )


def explore_phase(**settings) -> PhaseExplorer:
    """The phase explorer, as a widget to be shown in a notebook.

    Args:
        **settings: sigma_w, sigma_b, activation, depth, seed, each a control: `explore_phase(activation="relu", sigma_w=1.4)`.
    Raises:
        ValueError: an unknown setting, or a value that its control does not take.
    """
    return PhaseExplorer(**settings)
