"""The clinic: a patient in, its picture and its check-up out, before and after the remedy. Any model can be a patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from initviz.diagnosis import Diagnosis, diagnose
from initviz.experiments import PATIENTS, is_patient
from initviz.plots import Figure, flow_figure
from initviz.widgets._controls import control
from initviz.widgets._frame import Frame, verdict_html


class Clinic(Frame):
    """The widget that `clinic` returns.

    Attributes:
        controls: name -> widget; `set(name=value)` moves them.
        page: the `Diagnosis` on screen.
    """

    page: Diagnosis
    spare = ()

    def __init__(self, patients: Mapping[str, tuple[Any, ...]]) -> None:
        super().__init__()
        self._patients = dict(patients)
        self._pages: dict[str, Diagnosis] = {}
        names = list(self._patients)
        self.controls = {
            "patient": control(widgets.Dropdown, "Patient", "Whose check-up to show", options=names, value=names[0]),
            "view": control(
                widgets.ToggleButtons, "Show", "The model as it came, or a copy of it with the remedy",
                options=["before", "with the remedy"], value="before",
            ),
        }  # fmt: skip
        self.card = widgets.HTML()
        row = widgets.HBox([self.controls["patient"], self.controls["view"]], layout={"flex_flow": "row wrap"})
        self.start([row, self.words, self.picture, self.card])

    def measure(self) -> None:
        """Examine the patient, unless that was done."""
        name = self.controls["patient"].value
        if name not in self._pages:
            self._pages[name] = diagnose(*self._patients[name])
        self.page = self._pages[name]
        self.card.value = self.page._repr_html_()

    def _shown(self):
        page = self.page
        if self.controls["view"].value == "before" or page.after is None or page.after_verdict is None:
            return page.report, page.verdict
        return page.after, page.after_verdict

    def describe(self, title: str = "") -> Figure:
        report, judged = self._shown()
        if not title:
            return flow_figure(report)
        return flow_figure(
            report, None, judged, title=f"{self.controls['patient'].value}, {self.controls['view'].value}"
        )

    @property
    def sentence(self) -> str:
        return str(self._shown()[1])

    def said(self) -> str:
        return verdict_html(self._shown()[1])

    def grid(self) -> dict[str, list]:
        return {"patient": list(self._patients), "view": list(self.controls["view"].options)}

    def summary(self) -> str:
        remedy = f"; remedy: {self.page.remedy}" if self.page.remedy else ""
        return (
            f"Clinic: {self.controls['patient'].value}, {self._shown()[1].kind} {self.controls['view'].value}{remedy}"
        )


def clinic(patients: Mapping[str, tuple[Any, ...]] | None = None) -> Clinic:
    """A check-up of each of your models, as a widget: `clinic({"mine": (model, x), "with targets": (model, x, y)})`.

    Args:
        patients: name -> the arguments of `initviz.diagnose`: (model, x) or (model, x, y). None takes those of
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
