"""The symmetry explorer: how much noise, how many steps in; a layer's weights, its distinct neurons and the loss out."""

from __future__ import annotations

import math
from functools import lru_cache

import ipywidgets as widgets

from initviz.datasets import digits
from initviz.experiments import _symmetry as symmetry
from initviz.initializers import ACTIVATIONS
from initviz.plots import Figure, power, symmetry_figure
from initviz.widgets._controls import columns, control, device_menu, if_several, menu
from initviz.widgets._frame import Frame

NOISE = (0.0, *(10.0**e for e in range(-8, 1)))
STEPS, EVERY = 600, 5
WIDTHS = (2, 4, 8, 16, 32)
DEPTHS = (1, 2, 3)


class SymmetryExplorer(Frame):
    """The widget that `explore_symmetry` returns.

    A network is trained to its end when noise, width, ... ask for one that was not seen yet; the steps slider only looks it up.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        trace, single: the network on screen and the one neuron per layer beside it, a `symmetry.SymmetryTrace` each.
    """

    trace: symmetry.SymmetryTrace
    single: symmetry.SymmetryTrace

    def __init__(self, device: str | None = None, **settings) -> None:
        super().__init__()
        self.controls = {
            "noise": control(
                widgets.SelectionSlider, "Noise", "Standard deviation of a weight at the start, as a share of the constant 1/fan_in",
                options=[(_noise_words(value), value) for value in NOISE], value=1e-4,
            ),
            "steps": control(
                widgets.IntSlider, "Steps", "Training steps made so far", value=0, min=0, max=STEPS, step=EVERY
            ),
            "activation": menu("Activation", "The function after each hidden layer", ACTIVATIONS, "tanh"),
            "width": control(widgets.SelectionSlider, "Width", "Neurons in each hidden layer", options=WIDTHS, value=16),
            "depth": control(widgets.SelectionSlider, "Depth", "Number of hidden layers", options=DEPTHS, value=1),
            "seed": control(
                widgets.BoundedIntText, "Seed", "The draw of the noise and the order of the batches", value=0, min=0, max=2**31 - 1
            ),
            "device": device_menu(device),
        }  # fmt: skip
        self.choose(settings)
        c = self.controls
        rows = columns(
            [c["noise"], c["steps"]], [c["activation"], c["width"]], [c["depth"], c["seed"], *if_several(c["device"])]
        )
        self.start([rows, self.words, self.picture])

    def measure(self) -> None:
        """Look the two networks up, or train them."""
        value = {name: widget.value for name, widget in self.controls.items()}
        shape = value["seed"], value["depth"], value["width"], value["activation"], value["device"]
        self.trace, self.single = _trained(value["noise"], *shape), _one_neuron(*shape)

    def describe(self, title: str = "") -> Figure:
        return symmetry_figure(self.trace, self.single, self.controls["steps"].value, title)

    @property
    def sentence(self) -> str:
        """What there is to see, in words."""
        step, width = self.controls["steps"].value, self.controls["width"].value
        k = int((self.trace.steps == step).argmax())
        counts = [str(n) for n in self.trace.distinct[0, 0, k]]
        where = "" if len(counts) == 1 else f" in layers 1 to {len(counts)}"
        words = f"{', '.join(counts)} of {width} neurons distinct{where}"
        apart = abs(self.trace.loss - self.single.loss)[0, 0, : step + 1].max()
        same = "the same so far" if apart < 1e-6 else f"up to {apart:.2g} apart so far"
        parted = self.trace.parted[0, 0, 0]
        when = (
            f"parts at step {parted:g}" if math.isfinite(parted) else f"has not parted by step {self.trace.steps[-1]}"
        )
        return f"Step {step}: {words}; the two losses are {same}. Layer 1 {when}."

    def grid(self) -> dict[str, list]:
        return {"noise": [0.0, 1e-6, 1e-4, 1e-2], "steps": list(range(0, STEPS + 1, 50))}

    def summary(self) -> str:
        c = {name: widget.value for name, widget in self.controls.items()}
        return (
            f"Symmetry explorer: {c['activation']}, {c['depth']} x {c['width']} neurons, noise {_noise_words(c['noise'])}, "
            f"seed {c['seed']}. {self.sentence}"
        )


def explore_symmetry(device: str | None = None, **settings) -> SymmetryExplorer:
    """The symmetry explorer, as a widget to be shown in a notebook.

    Args:
        device: where the networks are made; None is `torch.get_default_device()`.
        **settings: noise (0, 1e-8, ..., 1), steps, activation, width, depth, seed, each a control:
            `explore_symmetry(noise=1e-6, activation="relu")`.
    Raises:
        ValueError: an unknown setting, or a value that its control does not take.
    """
    return SymmetryExplorer(device, **settings)


@lru_cache(maxsize=64)
def _trained(noise: float, seed: int, depth: int, width: int, activation: str, device: str) -> symmetry.SymmetryTrace:
    return symmetry.train_symmetric(
        noise,
        seeds=[seed],
        depth=depth,
        width=width,
        activation=activation,
        steps=STEPS,
        every=EVERY,
        keep_weights=True,
        data=digits(device=device),
    )


@lru_cache(maxsize=64)
def _one_neuron(seed: int, depth: int, width: int, activation: str, device: str) -> symmetry.SymmetryTrace:
    return symmetry.train_one_neuron(
        width, seeds=[seed], depth=depth, activation=activation, steps=STEPS, every=EVERY, data=digits(device=device)
    )


def _noise_words(value: float) -> str:
    return "none" if value == 0 else power(round(math.log10(value)))
