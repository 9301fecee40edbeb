"""The explorer: depth, width, activation, scheme, scale, ... in; the histograms of every layer and a verdict out."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from initviz._core.arguments import look_up
from initviz.experiments import Measurement, Settings, changed, draw_ahead, measure
from initviz.inspection import QUANTITIES
from initviz.plots import Figure, draw, flow_figure
from initviz.widgets._code import code
from initviz.widgets._controls import button, columns, control, if_several, setting_controls
from initviz.widgets._frame import Frame, free_path, verdict_html
from initviz.widgets._presets import PRESETS

FORWARD = {QUANTITIES[q].capitalize(): q for q in ("activation", "preactivation", "weight")}
BACKWARD = {
    "w.r.t. pre-activations": "preactivation_gradient",
    "w.r.t. activations": "activation_gradient",
    "w.r.t. weights": "weight_gradient",
}


class Explorer(Frame):
    """The widget that `explore` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        measurement: the `Measurement` on screen.
    """

    measurement: Measurement
    spare = ("bias_std", "seed", "normalization", "precision", "data", "skip", "forward", "backward")

    def __init__(
        self, settings: Settings, forward: str = "activation", backward: str = "preactivation_gradient"
    ) -> None:
        super().__init__()
        look_up("forward", forward, {name: name for name in FORWARD.values()})
        look_up("backward", backward, {name: name for name in BACKWARD.values()})
        self._batch = settings.batch
        self._pinned: Measurement | None = None
        self.controls = setting_controls(settings) | {
            "forward": control(
                widgets.Dropdown, "Left panel", "Which numbers the left panel shows", options=FORWARD, value=forward
            ),
            "backward": control(
                widgets.Dropdown,
                "Gradients",
                "Which gradients the middle panel shows",
                options=BACKWARD,
                value=backward,
            ),
        }
        self.preset = control(
            widgets.Dropdown, "Preset", "Settings worth a look; the seed stays", value="",
            options=[("choose ...", "")] + [(preset.label, name) for name, preset in PRESETS.items()],
        )  # fmt: skip
        self.new_seed = button("New seed", "Draw other weights and another batch", "random")
        self.pin = button(
            "Pin this run", "Keep this run as a grey ghost behind the next ones", "thumb-tack", toggle=True
        )
        self.show_code = button("Show code", "The lines of Python that do this", "code", toggle=True)
        self.save = button("Save picture", "Write this picture as a PNG beside the notebook", "download")
        self.code, self.message = widgets.HTML(), widgets.HTML()
        self.preset.observe(self._choose_preset, names="value")
        self.new_seed.on_click(lambda _: self.set(seed=(self.controls["seed"].value + 1) % 2**31))
        self.pin.observe(self._toggle_pin, names="value")
        self.show_code.observe(lambda _: self._write_code(), names="value")
        self.save.on_click(lambda _: self._save_picture())
        for widget in (self.show_code, self.save):
            widget.add_class("initviz-spare")
        self.start(self._layout())

    def _layout(self) -> list[widgets.Widget]:
        c = self.controls
        controls = columns(
            [self.preset, c["depth"], c["width"], c["activation"]],
            [c["scheme"], c["scale"], c["bias_std"], c["seed"]],
            [c["normalization"], c["precision"], c["data"], c["skip"], *if_several(c["device"])],
            last=[
                c["forward"],
                c["backward"],
                widgets.HBox([self.new_seed, self.pin]),
                widgets.HBox([self.show_code, self.save]),
            ],
        )
        return [controls, self.words, self.picture, self.message, self.code]

    @property
    def settings(self) -> Settings:
        """What the controls say."""
        values = {f.name: self.controls[f.name].value for f in fields(Settings) if f.name in self.controls}
        return Settings(**values, batch=self._batch)

    def measure(self) -> None:
        """Measure the network that the controls describe."""
        settings = self.settings
        before = self.measurement.settings.seed if hasattr(self, "measurement") else settings.seed
        self.measurement = measure(settings, quantities=self._panels().values())
        self._direction = (settings.seed > before) - (settings.seed < before)

    def ahead(self) -> Iterator[None] | None:
        """Once the seed was moved, draw the weights of the seed that comes next in that direction."""
        seed = self.measurement.settings.seed + self._direction
        return draw_ahead(changed(self.measurement.settings, seed=seed)) if self._direction and seed >= 0 else None

    def refresh(self) -> None:
        super().refresh()
        self._write_code()
        name = self.preset.value
        if name and _preset(name, self.settings) != self.settings:
            self.preset.value = ""  # left behind

    def describe(self, title: str = "") -> Figure:
        """The picture; with the verdict and the settings in it if there is a title."""
        m = self.measurement
        ghost = None if self._pinned is None else (self._pinned.report, self._pinned.settings.label)
        judged, label = (m.verdict, m.settings.label) if title else (None, "")
        return flow_figure(m.report, m.prediction, judged, title=label, pinned=ghost, **self._panels())

    @property
    def sentence(self) -> str:
        return str(self.measurement.verdict)

    def said(self) -> str:
        return verdict_html(self.measurement.verdict)

    def _panels(self) -> dict[str, Any]:
        return {"forward": self.controls["forward"].value, "backward": self.controls["backward"].value}

    def grid(self) -> dict[str, list]:
        return {
            "activation": ["tanh", "sigmoid", "relu"],
            "scheme": ["xavier_normal", "he_normal"],
            "depth": [10, 20, 30, 50],
            "scale": [0.5, 0.75, 1.0, 1.5, 3.0],
        }

    def summary(self) -> str:
        return f"Explorer: {self.measurement.settings.label}; {self.measurement.verdict.kind}"

    def _choose_preset(self, change: dict) -> None:
        if change["new"]:
            settings = _preset(change["new"], self.settings)
            self.set(**{f.name: getattr(settings, f.name) for f in fields(settings) if f.name in self.controls})

    def _toggle_pin(self, change: dict) -> None:
        self._pinned = (
            measure(self.measurement.settings) if change["new"] else None
        )  # all quantities: any may be shown next
        self.pin.description = "Unpin" if change["new"] else "Pin this run"
        self.show()
        self._write_code()

    def _write_code(self) -> None:
        if not self.show_code.value:
            self.code.value = ""
            return
        pinned = None if self._pinned is None else self._pinned.settings
        words = html.escape(code(self.measurement.settings, pinned=pinned, **self._panels()))
        self.code.value = f'<pre class="initviz-code" style="font-size:15px; line-height:1.35">{words}</pre>'

    def _save_picture(self) -> None:
        s = self.measurement.settings
        figure = draw(self.describe(self.sentence))
        path = free_path(Path(f"initviz-{s.activation}-{s.scheme}-{s.depth}x{s.width}.png"))
        try:
            figure.savefig(path, dpi=200)
            self.message.value = f"Saved <code>{html.escape(str(path.resolve()))}</code>"
        except OSError as error:
            self.message.value = f"Not saved: {html.escape(str(error))}"


def _preset(name: str, settings: Settings) -> Settings:
    """The settings of a preset, with the seed, the batch size and the device of `settings`."""
    return changed(Settings(seed=settings.seed, batch=settings.batch, device=settings.device), **PRESETS[name].changes)


def explore(
    *, preset: str = "", forward: str = "activation", backward: str = "preactivation_gradient", **settings
) -> Explorer:
    """The explorer, as a widget to be shown in a notebook. Every control is also a keyword.

    Args:
        preset: a name in PRESETS to start from.
        forward, backward: which of `QUANTITIES` the left and the middle panel show.
        **settings: fields of `Settings`: `explore(depth=50, activation="relu", scheme="he_normal")`.
    Raises:
        TypeError, ValueError: an unknown setting or value; the message names it and lists the near ones.
    """
    start = changed(Settings(), **look_up("preset", preset, PRESETS).changes) if preset else Settings()
    return Explorer(changed(start, **settings), forward, backward)
