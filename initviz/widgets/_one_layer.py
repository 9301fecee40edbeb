"""One layer, one slider: the scale of its weights in, what it makes of a batch of digits out."""

from __future__ import annotations

from initviz.experiments import Measurement, measure
from initviz.plots import Figure, one_layer_figure
from initviz.widgets._controls import LogSlider, control
from initviz.widgets._frame import Frame


class LayerExplorer(Frame):
    """The widget that `explore_layer` returns.

    Attributes:
        controls: "scale" -> its slider; `set(scale=2)` moves it.
        run: the `Measurement` of a network of one tanh layer of 256 units.
    """

    run: Measurement
    spare = ()

    def __init__(self, **settings) -> None:
        super().__init__()
        slider = control(
            LogSlider, "Weights", "Standard deviation of a weight, in units of 1/√64 (64 pixels go in), 0.01 to 10",
            value=1.0, min=-2, max=1, step=0.01, readout_format=".3g",
        )  # fmt: skip
        self.controls = {"scale": slider}
        self.choose(settings)
        self.start([slider, self.words, self.picture])

    def measure(self) -> None:
        """Draw the layer and pass a batch through it."""
        self.run = measure(
            depth=1, width=256, activation="tanh", scheme="lecun_normal", scale=self.controls["scale"].value
        )

    def describe(self, title: str = "") -> Figure:
        return one_layer_figure(self.run.report, title)

    @property
    def sentence(self) -> str:
        """What there is to see, in words."""
        before, after = (self.run.report.stats(quantity)[0] for quantity in ("preactivation", "activation"))
        assert before is not None and after is not None
        return (
            f"Weights of std {self.controls['scale'].value:.3g}/√64: 64 pixels of rms 1 go in, h has an rms of {before.rms:.2g}, and "
            f"tanh makes {after.rms:.2g} of it. {after.saturated:.0%} of the outputs are on the flat part of tanh."
        )

    def grid(self) -> dict[str, list]:
        return {"scale": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]}

    def summary(self) -> str:
        return f"One layer: tanh, 64 inputs, 256 units, digits. {self.sentence}"


def explore_layer(**settings) -> LayerExplorer:
    """One tanh layer and one slider, as a widget to be shown in a notebook.

    Args:
        **settings: scale, of the weights in units of 1/√64, 0.01 to 10.
    Raises:
        ValueError: an unknown setting, or a value that the slider does not take.
    """
    return LayerExplorer(**settings)
