"""The controls that apps share: one for each field of `Settings`, all with a tooltip and all worked by keyboard."""

from __future__ import annotations

import html
import math
from typing import Any

import ipywidgets as widgets

from initviz._core.devices import device_names, pick_device
from initviz.datasets import DATASETS
from initviz.experiments import Settings
from initviz.initializers import ACTIVATIONS, SCHEMES
from initviz.models import NORMALIZATIONS, PRECISIONS

DEPTHS = (1, 200)
WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024)
LAYOUT = {"width": "320px"}
STYLE = {"description_width": "7.4em"}


class LogSlider(widgets.FloatLogSlider):
    """A slider that keeps the value that it was set to.

    A page moves every value to the nearest step and sends that back, without anyone having touched the slider.
    """

    def set_state(self, sync_data: dict[str, Any]) -> None:
        value = sync_data.get("value")
        if value and abs(math.log(value / self.value, self.base)) < self.step / 2:
            sync_data = {name: one for name, one in sync_data.items() if name != "value"}
        super().set_state(sync_data)


def setting_controls(settings: Settings) -> dict[str, widgets.ValueWidget]:
    """A control for each field of `Settings` but `batch`, showing its value.

    Raises:
        ValueError: a value that the control has no place for.
    """
    for name, (low, high) in {
        "depth": DEPTHS,
        "width": (WIDTHS[0], WIDTHS[-1]),
        "scale": (0.01, 100),
        "bias_std": (0, 3),
    }.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ValueError(f"{name}: got {value:g}; the control takes {low:g} to {high:g} (iv.measure takes any)")
    widths = sorted({*WIDTHS, settings.width})
    return {
        "depth": control(
            widgets.IntSlider, "Depth", "Number of hidden layers", value=settings.depth, min=DEPTHS[0], max=DEPTHS[1]
        ),
        "width": control(widgets.SelectionSlider, "Width", "Units in each hidden layer", options=widths, value=settings.width),
        "activation": menu("Activation", "The function after each layer", ACTIVATIONS, settings.activation),
        "scheme": menu("Scheme", "How the weights are drawn", SCHEMES, settings.scheme),
        "scale": control(
            LogSlider, "Scale", "Factor on the scheme's weights, 0.01 to 100",
            value=settings.scale, min=-2, max=2, step=1 / 113, readout_format=".3g",  # it meets 1.25, 1.5, 2, 4, 5, 10
        ),
        "bias_std": control(
            widgets.FloatSlider, "Bias std", "Standard deviation of a normal draw added to the biases",
            value=settings.bias_std, min=0, max=3, step=0.05,
        ),
        "normalization": control(
            widgets.Dropdown, "Normalization", "Applied to each hidden layer's pre-activation",
            options=list(NORMALIZATIONS), value=settings.normalization,
        ),
        "skip": control(
            widgets.Dropdown, "Skips", "Skip connections: add each layer's pre-activation to the next one's",
            options=[("none", False), ("from layer to layer", True)], value=bool(settings.skip),
        ),
        "precision": control(
            widgets.Dropdown, "Precision", "The number type of weights, activations and gradients",
            options=list(PRECISIONS), value=settings.precision,
        ),
        "data": control(widgets.Dropdown, "Input", "The batch that goes in", options=list(DATASETS), value=settings.data),
        "seed": control(
            widgets.BoundedIntText, "Seed", "The draw of weights and of the batch", value=settings.seed, min=0, max=2**31 - 1
        ),
        "device": device_menu(settings.device),
    }  # fmt: skip


def columns(*stacks: list[widgets.Widget], last: list[widgets.Widget] | None = None) -> widgets.HBox:
    """Controls in columns that share the width of the page. On a narrow page the `last` column lies below the others, as a row."""
    boxes = []
    for stack in stacks:
        for widget in stack:
            widget.layout.width = "auto"
        boxes.append(widgets.VBox(stack, layout={"flex": "1 1 20em", "min_width": "0", "max_width": "30em"}))
    if last:
        for widget in last:
            widget.layout.width, widget.layout.flex = "auto", "1 1 15em"
        boxes.append(widgets.HBox(last, layout={"flex": "1 1 20em", "min_width": "0", "flex_flow": "row wrap"}))
    return widgets.HBox(boxes, layout={"flex_flow": "row wrap"})


def control(kind: type, description: str, tooltip: str, **traits: Any) -> widgets.ValueWidget:
    """A widget of one width with a label and a tooltip; sliders report while they are dragged."""
    if issubclass(kind, widgets.IntSlider | widgets.FloatSlider | widgets.FloatLogSlider | widgets.SelectionSlider):
        traits["continuous_update"] = True
    if issubclass(kind, widgets.Dropdown):  # it shows no tooltip of its own beside a label
        description = f'<span title="{html.escape(tooltip)}">{html.escape(description)}</span>'
        traits["description_allow_html"] = True
    return kind(description=description, tooltip=tooltip, layout=LAYOUT, style=STYLE, **traits)


def menu(description: str, tooltip: str, table: dict[str, Any], value: str) -> widgets.Dropdown:
    """A menu of the labels in a table such as SCHEMES."""
    options = [(entry.label, name) for name, entry in table.items()]
    return control(widgets.Dropdown, description, tooltip, options=options, value=value)


def device_menu(device: str | None) -> widgets.Dropdown:
    """A menu of this machine's devices, at `device` (None is torch's default); see `if_several`.

    Raises:
        ValueError: not a device of this machine.
    """
    tip = "Where the network is made and runs"
    return control(widgets.Dropdown, "Device", tip, options=device_names(), value=str(pick_device(device)))


def if_several(menu: widgets.Dropdown) -> list[widgets.Widget]:
    """The menu, if there is something to choose."""
    return [menu] if len(menu.options) > 1 else []


def button(description: str, tooltip: str, icon: str = "", toggle: bool = False) -> widgets.DOMWidget:
    """A button, or one that stays down, with a label and a tooltip."""
    kind = widgets.ToggleButton if toggle else widgets.Button
    return kind(description=description, tooltip=tooltip, icon=icon, layout={"width": "auto"})
