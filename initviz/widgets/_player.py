"""A button that moves a slider on by itself, beat by beat, until its end."""

from __future__ import annotations

import asyncio

import ipywidgets as widgets

from initviz.widgets._controls import button

BEAT = 0.7
"""Seconds from one value to the next."""


class Player:
    """Play and pause for an integer slider; at its end it starts anew from the slider's least value.

    In a notebook's kernel it runs as a task of the event loop, so that other controls still answer. Without a running event loop
    the slider goes through its values at once.

    Attributes:
        button: the toggle button, down while it plays.
    """

    def __init__(self, slider: widgets.IntSlider, beat: float = BEAT) -> None:
        self.slider, self.beat = slider, beat
        self.button = button("Play", "Move on by itself to the end; press again to stop", "play", toggle=True)
        self.button.observe(self._toggle, names="value")
        self._task: asyncio.Task | None = None

    def _toggle(self, change: dict) -> None:
        playing = change["new"]
        self.button.description, self.button.icon = ("Pause", "pause") if playing else ("Play", "play")
        if not playing:
            if self._task is not None:
                self._task.cancel()
            self._task = None
            return
        if self.slider.value >= self.slider.max:
            self.slider.value = self.slider.min
        try:
            self._task = asyncio.get_running_loop().create_task(self._play())
        except RuntimeError:
            while self.slider.value < self.slider.max:
                self.slider.value += self.slider.step
            self.button.value = False

    async def _play(self) -> None:
        while self.slider.value < self.slider.max:
            await asyncio.sleep(self.beat)
            self.slider.value = min(self.slider.value + self.slider.step, self.slider.max)
        self._task = None
        self.button.value = False
