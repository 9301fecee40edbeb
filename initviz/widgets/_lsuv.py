"""The LSUV stepper: a network, a batch and how many layers are done in; every layer's variance and histogram out."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import ipywidgets as widgets

from initviz._core.arguments import look_up
from initviz.experiments import LSUV_CHOICES, STARTS, LsuvSettings, LsuvStep, lsuv_step
from initviz.initializers import SCHEMES
from initviz.plots import Figure, lsuv_figure
from initviz.widgets._controls import button, columns, control, device_menu, if_several, menu
from initviz.widgets._frame import Frame
from initviz.widgets._player import Player

DEPTHS = (1, 30)
WIDTHS = (8, 16, 32, 64, 128, 256)
BATCHES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
TOLERANCES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)


class LsuvStepper(Frame):
    """The widget that `explore_lsuv` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them. `step` is the number of layers that are done.
        step: the `LsuvStep` on screen.
    """

    step: LsuvStep
    spare = ("tol", "seed")

    def __init__(self, settings: LsuvSettings, step: int = 0) -> None:
        super().__init__()
        s = settings
        self._fixed: dict[str, Any] = {"max_iter": s.max_iter, "data": s.data}
        self.controls = {
            "step": control(
                widgets.IntSlider, "Layers done", "How many layers LSUV has gone through", value=step, min=0, max=s.depth + 1
            ),
            "activation": menu("Activation", "The function after each hidden layer; LSUV does not look at it", LSUV_CHOICES, s.activation),
            "start": menu("Start", "How the weights are drawn before LSUV", {n: SCHEMES[n] for n in STARTS}, s.start),
            "depth": control(
                widgets.IntSlider, "Depth", "Number of hidden layers", value=s.depth, min=DEPTHS[0], max=DEPTHS[1]
            ),
            "width": _choice("Width", "Units in each hidden layer", WIDTHS, s.width),
            "batch": _choice("Batch", "Samples in the batch that LSUV measures on", BATCHES, s.batch),
            "tol": _choice("Tolerance", "How far from 1 a variance may stay", TOLERANCES, s.tol),
            "seed": control(widgets.BoundedIntText, "Seed", "The draw of weights and of the batch", value=s.seed, min=0, max=2**31 - 1),
            "device": device_menu(s.device),
        }  # fmt: skip
        c = self.controls
        c["depth"].observe(lambda change: setattr(c["step"], "max", change["new"] + 1), names="value")
        self.previous = button("Previous", "One layer less", "step-backward")
        self.next = button("Next layer", "Go through the next layer", "step-forward")
        self.player = Player(c["step"])
        self.previous.on_click(lambda _: self._move(-1))
        self.next.on_click(lambda _: self._move(1))
        buttons = widgets.HBox([self.previous, self.next, self.player.button])
        rows = columns(
            [c["activation"], c["start"]],
            [c["depth"], c["width"]],
            [c["batch"], c["tol"]],
            [c["seed"], c["step"], *if_several(c["device"])],
        )
        self.start([rows, buttons, self.words, self.picture])

    @property
    def settings(self) -> LsuvSettings:
        """What the controls say."""
        values: dict[str, Any] = {
            f.name: self.controls[f.name].value for f in fields(LsuvSettings) if f.name in self.controls
        }
        return LsuvSettings(**values, **self._fixed)

    def measure(self) -> None:
        """Go through as many layers as the slider says."""
        self.step = lsuv_step(self.settings, self.controls["step"].value)
        self.previous.disabled = self.step.step == 0
        self.next.disabled = self.step.step == len(self.step.now.layers)

    def describe(self, title: str = "") -> Figure:
        return lsuv_figure(self.step, title)

    @property
    def sentence(self) -> str:
        return self.step.sentence

    def grid(self) -> dict[str, list]:
        return {"start": list(STARTS), "step": list(range(self.controls["depth"].value + 2))}

    def summary(self) -> str:
        s = self.step.settings
        return (
            f"LSUV stepper: {LSUV_CHOICES[s.activation].label}, {s.depth} layers of {s.width}, start {s.start}, batch {s.batch}, "
            f"tolerance {s.tol:g}, seed {s.seed}. {self.step.sentence}"
        )

    def _move(self, layers: int) -> None:
        slider = self.controls["step"]
        slider.value = min(max(slider.value + layers, 0), slider.max)


def _choice(description: str, tooltip: str, options: tuple, value: Any) -> widgets.ValueWidget:
    return control(
        widgets.SelectionSlider,
        description,
        tooltip,
        options=sorted({*options, value}, reverse=description == "Tolerance"),
        value=value,
    )


def explore_lsuv(step: int = 0, **settings: Any) -> LsuvStepper:
    """The LSUV stepper, as a widget to be shown in a notebook.

    Args:
        step: how many layers are done at first.
        **settings: fields of `LsuvSettings`: `explore_lsuv(activation="sine", depth=20)`.
    Raises:
        TypeError, ValueError: an unknown setting or value; the message names it.
    """
    known = asdict(LsuvSettings())
    for name in settings:
        look_up("settings", name, known)
    chosen = LsuvSettings(**settings)
    if not DEPTHS[0] <= chosen.depth <= DEPTHS[1]:
        raise ValueError(
            f"depth: got {chosen.depth}; the control takes {DEPTHS[0]} to {DEPTHS[1]} (iv.lsuv_ takes any)"
        )
    lsuv_step(chosen, step)
    return LsuvStepper(chosen, step)
