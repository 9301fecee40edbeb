"""What every app is made of: controls in rows, one picture, words beside it, and a picture for pages without a kernel."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from initviz._core.arguments import look_up
from initviz.diagnosis import KINDS, Verdict
from initviz.widgets._latest import Latest

WORDS = "font-size:19px; line-height:1.35; padding:2px 8px"
"""Style of a line of words; a verdict always has room for two, so that the picture below it stays where it is."""


class Frame(widgets.VBox):
    """A box whose picture follows its controls.

    A subclass makes `self.controls` (name -> widget) and `self.picture`, and defines `refresh()`, which brings the picture up to
    date with the controls, and `summary()`, the app in a line of plain text. `start()` then draws the first picture.

    A notebook page without a kernel shows the picture as it was when the box was displayed: its mime bundle carries the PNG.
    """

    def start(self, children: list[widgets.Widget]) -> None:
        """Show `children` and below them a place for errors, draw, and follow every control from now on."""
        self._latest = Latest(self._refresh, self._failed)
        self.alarm = widgets.HTML()
        self.children = [*children, self.alarm]
        self.refresh()
        for widget in self.controls.values():
            widget.observe(lambda _: self._latest.request(), names="value")

    def choose(self, settings: dict[str, Any]) -> None:
        """Move controls by name before the first picture is drawn. Errors as `set`."""
        for name, value in settings.items():
            look_up("settings", name, self.controls)
            self._set_one(name, value)

    def refresh(self) -> None:
        raise NotImplementedError

    def _refresh(self) -> None:
        self.refresh()
        self.alarm.value = ""

    def _failed(self, error: Exception) -> None:
        """Say what went wrong in an update that a control has asked for; the picture stays."""
        words = html.escape(f"{type(error).__name__}: {error}")
        self.alarm.value = f'<div role="alert" style="{WORDS}; border-left:8px solid #7A0019">{words}</div>'

    def summary(self) -> str:
        raise NotImplementedError

    def still(self) -> bytes:
        """The PNG for a page without a kernel."""
        return self.picture.value

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


def picture() -> widgets.Image:
    """The place of a PNG, as wide as the page."""
    return widgets.Image(format="png", layout={"width": "100%", "max_width": "1600px"})


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
