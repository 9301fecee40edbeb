"""The phase explorer: the point and the network move together, and the plane is drawn from its numbers."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from pictures import marks

import initviz as iv
from initviz.plots import phase_figure
from initviz.plots._figure import Heat, Line


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


def test_a_page_without_a_kernel_shows_the_plane_and_the_network():
    app = iv.explore_phase(depth=5)
    plane, network = app.figures()
    high, wide = plt.imread(io.BytesIO(app.still())).shape[:2]
    assert wide / high == pytest.approx(network.width / (plane.height + network.height), rel=0.01)


def test_to_the_edge():
    app = iv.explore_phase(depth=5, sigma_w=2.0, sigma_b=0.3)
    app.edge.click()
    assert app.controls["sigma_w"].value == pytest.approx(iv.theory.critical_sigma_w("tanh", 0.3), abs=0.026)
    app.set(activation="softplus")
    before = app.controls["sigma_w"].value
    app.edge.click()  # it has none
    assert app.controls["sigma_w"].value == before


def test_the_plane_is_the_phase():
    phase = iv.theory.phase_diagram("tanh")
    figure = phase_figure(phase, (1.5, 0.2))
    point = marks(figure, Line)[-1]
    assert (point.x.tolist(), point.y.tolist()) == ([1.5], [0.2]) and point.hollow
    assert any(set(line.x) == set(phase.edge_w) for line in marks(figure, Line))
    (plane,) = marks(figure, Heat)
    assert plane.values.shape == (len(phase.sigma_b), len(phase.sigma_w))
    assert (plane.values[:, 0] < 0).all() and plane.values[0, -1] > 0  # ordered: blue; chaotic: orange
    np.testing.assert_allclose(plane.values, np.clip(np.log10(phase.chi), -0.6, 0.6))
    relu = marks(phase_figure(iv.theory.phase_diagram("relu")), Line)
    assert not any(line.hollow for line in relu) and any(np.allclose(line.x, np.sqrt(2)) for line in relu)
    assert iv.plots.phase(phase).axes


def test_bad_input():
    with pytest.raises(ValueError, match="^settings: 'sigma' is unknown"):
        iv.explore_phase(sigma=1)
    with pytest.raises(ValueError, match="^sigma_w: got 9"):
        iv.explore_phase(sigma_w=9)
