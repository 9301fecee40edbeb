"""The clinic: a patient in, its picture and its check-up out, before and after the remedy. Any model can be a patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from initviz.diagnosis import Diagnosis, diagnose
from initviz.experiments import PATIENTS, is_patient
from initviz.plots import FlowFigure
from initviz.widgets._controls import control
from initviz.widgets._frame import Frame, picture, verdict_html


class Clinic(Frame):
    """The widget that `clinic` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        page: the `Diagnosis` on screen.
    """

    page: Diagnosis

    def __init__(self, patients: Mapping[str, tuple[Any, ...]]) -> None:
        super().__init__()
        self._patients = dict(patients)
        self._pages: dict[str, Diagnosis] = {}
        self._figure = FlowFigure()
        names = list(self._patients)
        self.controls = {
            "patient": control(widgets.Dropdown, "Patient", "Whose check-up to show", options=names, value=names[0]),
            "view": control(
                widgets.ToggleButtons, "Show", "The model as it came, or a copy of it with the remedy",
                options=["before", "with the remedy"], value="before",
            ),
        }  # fmt: skip
        self.words, self.picture, self.card = widgets.HTML(), picture(), widgets.HTML()
        row = widgets.HBox([self.controls["patient"], self.controls["view"]], layout={"flex_flow": "row wrap"})
        self.start([row, self.words, self.picture, self.card])

    def refresh(self) -> None:
        """Examine the patient, unless that was done, and move the picture."""
        name = self.controls["patient"].value
        if name not in self._pages:
            self._pages[name] = diagnose(*self._patients[name])
        self.page = self._pages[name]
        report, judged = self._shown()
        self._figure.update(report)
        self.picture.value = self._figure.png()
        self.words.value = verdict_html(judged)
        self.card.value = self.page._repr_html_()

    def _shown(self):
        page = self.page
        if self.controls["view"].value == "before" or page.after is None or page.after_verdict is None:
            return page.report, page.verdict
        return page.after, page.after_verdict

    def still(self) -> bytes:
        """The picture with its words, for a page without a kernel."""
        figure = FlowFigure()
        report, judged = self._shown()
        figure.update(report, None, judged, title=f"{self.controls['patient'].value}, {self.controls['view'].value}")
        return figure.png()

    def summary(self) -> str:
        remedy = f"; remedy: {self.page.remedy}" if self.page.remedy else ""
        return (
            f"Clinic: {self.controls['patient'].value}, {self._shown()[1].kind} {self.controls['view'].value}{remedy}"
        )


def clinic(patients: Mapping[str, tuple[Any, ...]] | None = None) -> Clinic:
    """A check-up of each of your models, as a widget: `clinic({"mine": (model, x), "with targets": (model, x, y)})`.

    Args:
        patients: name -> the arguments of `initviz.diagnose`: (model, x) or (model, x, y). None takes the five of
            `initviz.experiments`.
    Raises:
        TypeError, ValueError: no such mapping, or an empty one; what `diagnose` raises for a patient.
    """
    if patients is None:
        return Clinic({name: make() for name, make in PATIENTS.items()})
    if not isinstance(patients, Mapping):
        raise TypeError(f"patients: got {type(patients).__name__}; it takes a dict, name -> (model, x)")
    if not patients:
        raise ValueError("patients: got none; it takes at least one")
    for name, patient in patients.items():
        if not is_patient(patient):
            raise TypeError(f"patients: {name!r} is {type(patient).__name__}; it takes (model, x) or (model, x, y)")
    return Clinic(patients)
