"""What every app is made of: controls in rows, one picture, words beside it, and a picture for pages without a kernel."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from initviz._core.arguments import look_up
from initviz.diagnosis import KINDS, Verdict
from initviz.plots import Figure, png
from initviz.widgets._controls import button
from initviz.widgets._latest import Latest
from initviz.widgets._picture import Picture

WORDS = "font-size:clamp(16px, 1.35cqi, 26px); line-height:1.35; padding:2px 8px"
"""Style of a line of words; a verdict always has room for two, so that the picture below it stays where it is."""


class Frame(widgets.VBox):
    """A box whose picture follows its controls.

    A subclass makes `self.controls` (name -> widget) and defines
    - `measure()`, which brings its record up to date with the controls,
    - `describe(title)`, the picture of that record as data, with the app's words in it if `title` has any,
    - `sentence`, what there is to see, in words, and
    - `summary()`, the app in a line of plain text.

    `start()` then draws the first picture. A notebook page without a kernel shows the picture as it was when the box was
    displayed: its mime bundle carries a PNG, which is painted then and at no other time.

    Attributes:
        picture, words: the canvas and the words beside it.
        projector: a switch that hides what a lecture does not need, the controls named in `spare`, and enlarges the rest.
    """

    controls: dict[str, Any]
    spare: tuple[str, ...] = ("seed",)

    def __init__(self) -> None:
        super().__init__()
        self.picture, self.words = Picture(), widgets.HTML()
        self.projector = button(
            "Projector", "Larger words, and only the controls that a lecture needs", "television", toggle=True
        )

    def start(self, children: list[widgets.Widget]) -> None:
        """Show `children` and below them a place for errors, draw, and follow every control from now on."""
        self._latest = Latest(self._refresh, self._failed, self.ahead)
        self.alarm = widgets.HTML(layout={"flex": "1 1 auto"})
        self.children = [*children, widgets.HBox([self.alarm, self.projector])]
        self.add_class("initviz-app")
        for name in self.spare:
            self.controls[name].add_class("initviz-spare")
        self.projector.observe(self._project, names="value")
        self.refresh()
        for widget in self.controls.values():
            widget.observe(lambda _: self._latest.request(), names="value")

    def _project(self, change: dict) -> None:
        (self.add_class if change["new"] else self.remove_class)("initviz-projector")

    def choose(self, settings: dict[str, Any]) -> None:
        """Move controls by name before the first picture is drawn. Errors as `set`."""
        for name, value in settings.items():
            look_up("settings", name, self.controls)
            self._set_one(name, value)

    def measure(self) -> None:
        raise NotImplementedError

    def describe(self, title: str = "") -> Figure:
        raise NotImplementedError

    def grid(self) -> dict[str, list]:
        """Settings worth recording for a deck, see `iv.record`: name -> values."""
        raise NotImplementedError

    def figures(self) -> tuple[Figure, ...]:
        """All its pictures, as data."""
        return (self.describe(),)

    @property
    def sentence(self) -> str:
        """What there is to see, in words."""
        return ""

    def said(self) -> str:
        """The words beside the picture, as HTML."""
        return sentence_html(self.sentence)

    def summary(self) -> str:
        raise NotImplementedError

    def refresh(self) -> None:
        """Measure what the controls describe, and move the picture."""
        self.measure()
        self.show()

    def ahead(self) -> Iterator[None] | None:
        """What may be done for the next picture while the kernel is idle, in short steps; None where there is nothing."""
        return None

    def show(self) -> None:
        """Bring the picture and the words up to date with the record."""
        self.picture.show(self.describe())
        self.words.value = self.said()

    def still(self) -> bytes:
        """The PNG for a page without a kernel: the picture with its words."""
        return png(self.describe(self.sentence))

    def _refresh(self) -> None:
        self.refresh()
        self.alarm.value = ""

    def _failed(self, error: Exception) -> None:
        """Say what went wrong in an update that a control has asked for; the picture stays."""
        words = html.escape(f"{type(error).__name__}: {error}")
        self.alarm.value = f'<div role="alert" style="{WORDS}; border-left:8px solid #7A0019">{words}</div>'

    def set(self, **values: Any) -> None:
        """Move controls by name, all together, and draw at once: `app.set(depth=50, scale=2)`.

        Raises:
            ValueError: a name that is no control, or a value that it does not take. Then, as after any error, no control has moved.
        """
        before = {name: widget.value for name, widget in self.controls.items()}
        try:
            with self._latest.together():
                self.choose(values)
        except Exception:
            with self._latest.together():
                for name, value in before.items():
                    self.controls[name].value = value
            raise

    def _set_one(self, name: str, value: Any) -> None:
        widget = self.controls[name]
        try:
            widget.value = value
        except Exception as error:  # traitlets' own TraitError, worded for the reader of a traceback
            raise ValueError(f"{name}: {value!r} is not a value of this control ({error})") from error
        if widget.value != value:  # a slider clamps in silence
            low, high = (getattr(widget, end) for end in ("min", "max"))
            if isinstance(widget, widgets.FloatLogSlider):
                low, high = widget.base**low, widget.base**high
            raise ValueError(f"{name}: got {value!r}; the control takes {low:g} to {high:g}")

    def __repr__(self) -> str:
        return self.summary()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        bundle["text/plain"] = self.summary()
        bundle["image/png"] = base64.b64encode(self.still()).decode()
        return bundle


def verdict_html(verdict: Verdict) -> str:
    """A verdict as a line of HTML that a screen reader reads out when it changes."""
    return (
        f'<div role="status" aria-live="polite" class="initviz-verdict" style="{WORDS}; min-height:2.7em; '
        f'border-left:8px solid {KINDS[verdict.kind]}"><b>{verdict.kind.upper()}</b> &nbsp;{html.escape(verdict.why)}'
        f" <i>{html.escape(verdict.remedy)}</i></div>"
    )


def sentence_html(sentence: str, aloud: bool = True) -> str:
    """What there is to see, as a line of HTML that a screen reader reads out (`aloud`) when it changes."""
    live = "polite" if aloud else "off"
    return f'<div role="status" aria-live="{live}" style="{WORDS}; min-height:2.7em">{html.escape(sentence)}</div>'


def free_path(path: Path) -> Path:
    """`path`, or with -2, -3, ... before its ending if there is such a file already."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}-{number}")
    return candidate
