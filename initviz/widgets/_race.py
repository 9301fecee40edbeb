"""The live race: two to four schemes on the same batches; loss, accuracy and every layer's histograms grow while they train."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np

from initviz._core.arguments import look_up, whole_number
from initviz.diagnosis import verdict
from initviz.initializers import ACTIVATIONS, SCHEMES, get_activation
from initviz.inspection import Report
from initviz.plots import Figure, race_figure
from initviz.training import OPTIMIZERS, Race, RaceResult
from initviz.widgets._controls import button, columns, control, device_menu, if_several, menu
from initviz.widgets._frame import Frame, sentence_html
from initviz.widgets._player import Player

STEPS, EVERY = 400, 10
"""Updates of a race, and from one record (and one set of histograms) to the next."""
WIDTH, BATCH = 64, 64
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
DEPTHS = (1, 50)
SCALES = {"he_normal": (0.7, 1.25, 1.5), "xavier_normal": (2.0, 3.0)}
NOBODY = "nobody"
QUANTITIES = ("activation", "preactivation_gradient")
TURN, PAUSE = 0.05, 0.005
"""Seconds of training at a time, and then for other messages to the kernel."""


@dataclass(frozen=True)
class Choice:
    """A racer to choose: its label in the menu, and its keywords for `iv.mlp`."""

    label: str
    settings: dict[str, Any]


CHOICES = {name: Choice(scheme.label, {"scheme": name}) for name, scheme in SCHEMES.items()}
CHOICES |= {
    f"{name} × {scale:g}": Choice(f"{SCHEMES[name].label} × {scale:g}", {"scheme": name, "scale": scale})
    for name, scales in SCALES.items()
    for scale in scales
}
"""The racers by name: every scheme, and a few with another scale."""


class RaceExplorer(Frame):
    """The widget that `explore_race` returns.

    A control that changes the race puts a new one on the start line. It runs as a task of the kernel's event loop, a few steps at a
    time, so that the other controls answer meanwhile; without a running event loop it runs to its end at once.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them. `time` is the step whose histograms are shown.
        race: the `Race`.
        step: the last step that was recorded.
        running: whether the race is under way.
    """

    race: Race
    step: int

    def __init__(self, racers: Sequence[str], step: int, values: dict[str, Any], device: str | None) -> None:
        super().__init__()
        self._reports: dict[tuple[str, int], Report] = {}
        self._entry: tuple = ()
        self._drawn: tuple = ()
        self._moving = False
        self._task: asyncio.Task | None = None
        self.running = False
        nobody = {NOBODY: Choice("nobody", {})}
        names = [*racers, NOBODY, NOBODY][:4]
        self.controls = {
            f"racer_{number}": menu(
                f"Racer {number}", "How this racer's weights are drawn", CHOICES if number < 3 else nobody | CHOICES, name
            )
            for number, name in enumerate(names, start=1)
        } | {
            "depth": control(widgets.IntSlider, "Depth", "Number of hidden layers", value=10, min=DEPTHS[0], max=DEPTHS[1]),
            "activation": menu("Activation", "The function after each layer", ACTIVATIONS, "relu"),
            "lr": control(widgets.SelectionSlider, "Learning rate", "Size of the optimizer's steps", options=RATES, value=0.02),
            "optimizer": control(
                widgets.Dropdown, "Optimizer", "What turns a gradient into a step", options=list(OPTIMIZERS), value="sgd"
            ),
            "seed": control(
                widgets.BoundedIntText, "Seed", "The draw of weights and the order of batches", value=0, min=0, max=2**31 - 1
            ),
            "device": device_menu(device),
            "shown": control(
                widgets.Dropdown, "Layers of", "The racer whose layers are shown", options=list(dict.fromkeys(racers))
            ),
            "time": control(
                widgets.IntSlider, "Step", "The training step whose histograms are shown", value=0, min=0, max=0, step=EVERY
            ),
        }  # fmt: skip
        for name, value in values.items():
            self._set_one(name, value)
        self.go = button("Start", "Train on from where the race is", "play")
        self.stop_button = button("Stop", "Stop training; Start goes on", "stop")
        self.again = button("Back to step 0", "Put the racers back on the start line", "undo")
        self.player = Player(self.controls["time"], beat=0.15)
        self.player.button.tooltip = "Replay the histograms from here; press again to stop"
        self.go.on_click(lambda _: self.go_on())
        self.stop_button.on_click(lambda _: self.stop())
        self.again.on_click(lambda _: self._restart())
        self._new_race()
        while self.step < step and not self.race.done:
            self._advance()
        self._show_newest()
        c = self.controls
        rows = columns(
            [c["racer_1"], c["racer_2"]], [c["racer_3"], c["racer_4"]], [c["depth"], c["activation"]], [c["lr"], c["optimizer"]],
            *([menu] for menu in if_several(c["device"])),
        )  # fmt: skip
        buttons = [self.go, self.stop_button, self.again, self.player.button]
        for name, width in (("shown", "290px"), ("time", "330px"), ("seed", "210px")):
            c[name].layout.width = width
        flow = {"flex_flow": "row wrap", "align_items": "center"}
        buttons = widgets.HBox([*buttons, c["shown"], c["time"], c["seed"]], layout=flow)
        self.start([rows, buttons, self.words, self.picture])

    @property
    def labels(self) -> list[str]:
        """The racers; whoever is chosen twice runs once."""
        names = [self.controls[f"racer_{number}"].value for number in range(1, 5)]
        return [name for name in dict.fromkeys(names) if name != NOBODY]

    @property
    def result(self) -> RaceResult:
        """What was recorded so far."""
        return self.race.result()

    @property
    def report(self) -> Report:
        """Of the layers on screen."""
        return self._reports[self.controls["shown"].value, self.controls["time"].value]

    def refresh(self) -> None:
        """Put a new race on the start line if the controls ask for one, and bring the picture up to date."""
        if self._moving:
            return
        if self._entry != self._wanted():
            self._restart()
        elif self._drawn != self._state():
            self._draw()

    # Training

    def go_on(self) -> None:
        """Train on, or anew if the race is over: as a task of the event loop, or to the end where there is none."""
        if self.running:
            return
        if self._entry != self._wanted() or self.race.done:
            self._new_race()
        self.running = True
        try:
            self._task = asyncio.get_running_loop().create_task(self._train())
        except RuntimeError:
            while self.running:
                self._advance()
                self.running = not self.race.done
            self._show_newest()
        self._draw()

    def stop(self) -> None:
        """Stop training where it is."""
        if self._task is not None:
            self._task.cancel()
        self._task = None
        self.running = False
        self._draw()

    def close(self) -> None:
        """Stop training, and close the widget."""
        if self._task is not None:
            self._task.cancel()
        self._task, self.running = None, False
        super().close()

    async def _train(self) -> None:
        try:
            while not self.race.done:
                turn = time.perf_counter() + TURN
                recorded = False
                while not (recorded or self.race.done) and time.perf_counter() < turn:
                    recorded = self._advance()
                if recorded:
                    self._show_newest()
                    self._draw()
                await asyncio.sleep(PAUSE)
        except Exception as error:
            self._failed(error)
        self._task = None
        self.running = False
        self._draw()

    def _restart(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task, self.running = None, False
        self._new_race()
        self._draw()

    def _wanted(self) -> tuple:
        """What makes a race, as the controls say."""
        return (
            *self.labels,
            *(self.controls[name].value for name in ("depth", "activation", "lr", "optimizer", "seed", "device")),
        )

    def _new_race(self) -> None:
        c = self.controls
        self._entry = self._wanted()
        self.race = Race(
            {label: CHOICES[label].settings for label in self.labels},
            depth=c["depth"].value, width=WIDTH, activation=c["activation"].value, seeds=[c["seed"].value],
            steps=STEPS, batch_size=BATCH, lr=c["lr"].value, optimizer=c["optimizer"].value, every=EVERY,
            device=c["device"].value,
        )  # fmt: skip
        self._reports.clear()
        shown = c["shown"].value
        with self._controls_moving():
            c["shown"].options = self.labels
            c["shown"].value = shown if shown in self.labels else self.labels[0]
            c["time"].value, c["time"].max = 0, EVERY
        self._advance()

    def _advance(self) -> bool:
        """One step, and before it each racer's histograms if they are due; whether they were.

        Of a racer that has diverged they stay as they were then.
        """
        due = self.race.step % EVERY == 0 and (self.labels[0], self.race.step) not in self._reports
        if due:
            self.step = self.race.step
            for label in self.labels:
                self._reports[label, self.step] = self.race.probe(label, quantities=QUANTITIES)
        self.race.advance()
        return due

    def _show_newest(self) -> None:
        """Move the time to the newest histograms, unless someone looks back at earlier ones."""
        slider = self.controls["time"]
        with self._controls_moving():
            follows = slider.value >= slider.max or slider.value == 0
            slider.max = max(self.step, EVERY)
            if follows:
                slider.value = self.step

    @contextmanager
    def _controls_moving(self) -> Iterator[None]:
        """Controls that are moved inside ask for no picture."""
        self._moving = True
        try:
            yield
        finally:
            self._moving = False

    # The picture

    def _state(self) -> tuple:
        """What the picture is a function of."""
        return (self._entry, self.race.step, self.running, *(self.controls[name].value for name in ("shown", "time")))

    def describe(self, title: str = "") -> Figure:
        c = self.controls
        return race_figure(self.result, STEPS, self.report, c["shown"].value, c["time"].value, title=title)

    def said(self) -> str:
        return sentence_html(self.sentence, aloud=not self.running)

    def _draw(self) -> None:
        self._drawn = self._state()
        self.show()
        self.go.disabled, self.stop_button.disabled = self.running, not self.running
        self.go.description = "Start anew" if self.race.done else "Start"

    @property
    def sentence(self) -> str:
        """Where the race is, and what is shown of it."""
        state = "running" if self.running else "finished" if self.race.done else "paused" if self.step else "ready"
        parts = []
        for label, (run,) in self.result.histories.items():
            if run.diverged_at is not None:
                parts.append(f"{label} diverged at step {run.diverged_at}")
            elif len(run.steps):
                parts.append(f"{label} {100 * run.final_accuracy:.0f} %")
        where = f"Step {self.step} of {STEPS}, {state}. " + (f"Test accuracy: {', '.join(parts)}. " if parts else "")
        shown, step = self.controls["shown"].value, self.controls["time"].value
        return (
            where
            + f"The layers of {shown} at step {step}: {verdict(self.report).kind}.{self._update_words(shown, step)}"
        )

    def _update_words(self, shown: str, step: int) -> str:
        """How large the update at that step is beside the weights, if one was made."""
        (run,) = self.result.histories[shown]
        ratios = run.layer_update[run.steps == step]
        if not np.isfinite(ratios).any():
            return ""
        return f" The update there is {np.nanmin(ratios):.1g} to {np.nanmax(ratios):.1g} of the layers' weights (rms over rms)."

    def grid(self) -> dict[str, list]:
        return {"shown": self.labels, "time": list(range(0, self.step + 1, EVERY))}

    def summary(self) -> str:
        c = self.controls
        return (
            f"Race: {', '.join(self.labels)}; {get_activation(c['activation'].value).label}, {c['depth'].value} layers of {WIDTH}, "
            f"{c['optimizer'].value}, learning rate {c['lr'].value:g}, seed {c['seed'].value}; step {self.step} of {STEPS}"
        )


def explore_race(
    racers: Sequence[str] = ("he_normal", "xavier_normal", "small_normal", "he_normal × 1.5"),
    step: int = 100,
    device: str | None = None,
    **settings: Any,
) -> RaceExplorer:
    """The live race, as a widget to be shown in a notebook: choose, start, stop, and replay any step with the slider.

    Args:
        racers: two to four names in CHOICES: schemes, and a few of them times a number ("he_normal × 1.5").
        step: how far the race has run when it is shown, up to 400.
        device: where the networks are made; None is `torch.get_default_device()`.
        **settings: depth (1 to 50), activation, lr (0.001 to 0.5), optimizer, seed: the controls.
    Raises:
        TypeError, ValueError: an unknown racer or setting, or a value that its control does not take.
    """
    if isinstance(racers, str) or not isinstance(racers, Sequence):
        raise TypeError(f"racers: got {type(racers).__name__} {racers!r}; it takes a list of names")
    if not 2 <= len(racers) <= 4:
        raise ValueError(f"racers: got {len(racers)}; it takes two to four")
    names = [look_up("racers", name, {name: name for name in CHOICES}, ALIASES) for name in racers]
    if whole_number("step", step, least=0) > STEPS:
        raise ValueError(f"step: got {step}; a race has {STEPS}")
    known = ("depth", "activation", "lr", "optimizer", "seed")
    for name in settings:
        look_up("settings", name, dict.fromkeys(known))
    if "activation" in settings:
        settings["activation"] = get_activation(settings["activation"]).name
    if "optimizer" in settings:
        look_up("optimizer", settings["optimizer"], OPTIMIZERS)
    return RaceExplorer(names, step, settings, device)


ALIASES = {name.replace("×", "x"): name for name in CHOICES if "×" in name}
"""Spellings without a sign that is not on the keyboard."""
