"""The patients of notebook 14 and the widget that shows them: each has its illness, a picture, and a remedy that helps a copy."""

import pytest

import initviz as iv
from initviz.diagnosis import KINDS
from initviz.experiments import PATIENTS
from initviz.plots import flow_figure
from initviz.plots._flow import SYMBOLS

ILLNESS = {
    "left at the default": "vanishing",
    "one std for all": "exploding",
    "raw pixels": "saturated",
    "zeros like the biases": "symmetric",
    "stuck gates": "saturated",
    "tied at std one": "off-scale",
    "adapter of zeros": "untrainable",
    "answer after 200 steps": "vanishing",
}
WORDS = {
    "tied at std one": "shares the weight of embedding",
    "adapter of zeros": "2.down and 2.up",
    "answer after 200 steps": "Of 200 steps the gradient in layer 1 reaches back",
}


@pytest.fixture(scope="module")
def clinic():
    return iv.clinic()


def test_the_clinic_shows_all_patients(clinic):
    assert clinic.grid()["patient"] == list(PATIENTS) == list(ILLNESS)


@pytest.mark.parametrize("name", PATIENTS)
def test_a_patient_has_its_illness_its_pictures_and_a_remedy(clinic, name):
    clinic.set(patient=name, view="before")
    assert clinic.page.verdict.kind == ILLNESS[name] and WORDS.get(name, "") in clinic.page.verdict.why
    assert clinic.page.remedy and clinic.page.after_verdict.kind == "stable"
    assert ILLNESS[name].upper() in clinic.describe(name).headline and ILLNESS[name] in clinic.summary()
    clinic.set(view="with the remedy")
    assert "STABLE" in clinic.describe(name).headline


def test_every_kind_of_verdict_has_a_picture():
    assert list(SYMBOLS) == list(KINDS)
    model, x, *_ = PATIENTS["zeros like the biases"]()
    report = iv.probe(model, x)
    for kind in KINDS:
        assert kind.upper() in flow_figure(report, verdict=iv.Verdict(kind, (), "Why.", "")).headline
