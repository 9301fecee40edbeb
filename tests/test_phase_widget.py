"""The phase explorer: the point and the network move together, and the plane is drawn from its numbers."""

import numpy as np
import pytest

import initviz as iv
from initviz.plots import PhaseFigure


def test_point_network_and_verdict_follow_the_sliders():
    app = iv.explore_phase(depth=20)
    first, plane = app.picture.value, app.plane.value
    assert app.summary().startswith("Phase explorer: tanh, sigma_w 1, sigma_b 0, 20 layers")
    app.set(sigma_w=0.3)
    assert app.picture.value != first and app.plane.value != plane
    assert app.measurement.verdict.kind == "vanishing" and app.measurement.settings.scale == 0.3
    app.set(sigma_w=3.0, depth=50)
    assert app.measurement.verdict.kind in ("exploding", "saturated")
    assert app._repr_mimebundle_()["image/png"] and app._repr_mimebundle_()["text/plain"] == app.summary()


def test_to_the_edge():
    app = iv.explore_phase(depth=5, sigma_w=2.0, sigma_b=0.3)
    app.edge.click()
    assert app.controls["sigma_w"].value == pytest.approx(iv.critical_sigma_w("tanh", 0.3), abs=0.026)
    app.set(activation="softplus")
    before = app.controls["sigma_w"].value
    app.edge.click()  # it has none
    assert app.controls["sigma_w"].value == before


def test_the_plane_is_the_phase():
    figure, phase = PhaseFigure(), iv.phase_diagram("tanh")
    figure.update(phase, (1.5, 0.2))
    assert figure.point.get_xydata().tolist() == [[1.5, 0.2]]
    assert set(figure.edge.get_xdata()) == set(phase.edge_w)
    colors = figure.image.get_array()
    assert (colors[:, 0, 2] > colors[:, 0, 0]).all()  # ordered: blue
    assert (colors[0, -1, 0] > colors[0, -1, 2]).all()  # chaotic: orange
    assert colors.shape[:2] == (len(phase.sigma_b), len(phase.sigma_w))
    figure.update(iv.phase_diagram("relu"))
    assert len(figure.point.get_xydata()) == 0 and np.allclose(figure.edge.get_xdata(), np.sqrt(2))
    assert iv.plots.phase(phase).axes


def test_bad_input():
    with pytest.raises(ValueError, match="^settings: 'sigma' is unknown"):
        iv.explore_phase(sigma=1)
    with pytest.raises(ValueError, match="^sigma_w: got 9"):
        iv.explore_phase(sigma_w=9)
