"""Learning rate x width: an optimizer and an activation in; the shipped study's loss over rate at five widths out, standard beside muP."""

from __future__ import annotations

import ipywidgets as widgets

from initviz._core.statistics import sample_std
from initviz.experiments import SCHEMES_OF, RateSweep, shipped_sweep
from initviz.initializers import ACTIVATIONS
from initviz.plots import Figure, rates_figure
from initviz.widgets._controls import columns, control, menu
from initviz.widgets._frame import Frame

OPTIMIZERS = {"adam": "Adam", "sgd": "SGD"}


class RatesExplorer(Frame):
    """The widget that `explore_rates` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        sweeps: "standard" and "mup" -> the `RateSweep` on screen.
    """

    sweeps: dict[str, RateSweep]
    spare = ()

    def __init__(self, **settings) -> None:
        super().__init__()
        self.controls = {
            "optimizer": control(
                widgets.Dropdown, "Optimizer", "What takes the steps", value="adam",
                options=[(words, name) for name, words in OPTIMIZERS.items()],
            ),
            "activation": menu(
                "Activation", "The function after each hidden layer", {name: ACTIVATIONS[name] for name in SCHEMES_OF}, "relu"
            ),
        }  # fmt: skip
        self.choose(settings)
        c = self.controls
        self.start([columns([c["optimizer"]], [c["activation"]]), self.words, self.picture])

    def measure(self) -> None:
        """Look up what the controls say."""
        c = self.controls
        self.sweeps = {
            name: shipped_sweep(name, c["optimizer"].value, c["activation"].value) for name in ("standard", "mup")
        }

    def describe(self, title: str = "") -> Figure:
        return rates_figure(self.sweeps, title)

    @property
    def sentence(self) -> str:
        """What there is to see, in words."""
        plain, mup = (f"{one.drift.mean():+.2f} ± {sample_std(one.drift):.2f}" for one in self.sweeps.values())
        lost = [f"{one.lost.mean():.1f}" for one in self.sweeps.values()]
        widths = self.sweeps["standard"].widths
        return (
            f"Per doubling of the width, log2 of the best rate moves by {plain} (standard) and {mup} (muP). With the rate that is best at "
            f"width {widths[0]}, the loss at width {widths[-1]} is {lost[0]} times (standard) and {lost[1]} times (muP) its lowest."
        )

    def grid(self) -> dict[str, list]:
        return {"activation": list(SCHEMES_OF), "optimizer": list(OPTIMIZERS)}

    def summary(self) -> str:
        c = self.controls
        return f"Learning rate x width: {OPTIMIZERS[c['optimizer'].value]}, {c['activation'].value}. {self.sentence}"


def explore_rates(**settings) -> RatesExplorer:
    """Learning rate x width, as a widget to be shown in a notebook: the shipped study, three hidden layers on digits, 60 steps.

    Args:
        **settings: optimizer ("adam" or "sgd") and activation ("relu" or "tanh"), each a control: `explore_rates(optimizer="sgd")`.
    Raises:
        ValueError: an unknown setting, or a value that its control does not take.
    """
    return RatesExplorer(**settings)
