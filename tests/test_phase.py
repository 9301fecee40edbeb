"""The phase diagram against the published edges, the map's own fixed points, and measured networks."""

import math

import numpy as np
import pytest

import initviz as iv
from initviz import theory
from initviz.theory import critical_sigma_w, phase_diagram

NAMES = ["tanh", "relu", "leaky_relu", "sigmoid", "gelu", "selu", "sine", "elu", "silu", "softsign"]


@pytest.mark.parametrize(
    ("name", "sigma_b", "edge"),
    [
        ("tanh", 0.0, 1.0),  # Poole et al. 2016
        ("tanh", 0.05, 1.1225),  # close to (1.1237, 0.05), by the map itself
        ("relu", 0.0, math.sqrt(2)),
        ("relu", 0.7, math.sqrt(2)),
        ("linear", 0.3, 1.0),
        ("sine", 0.0, 1.0),
        ("leaky_relu", 0.0, math.sqrt(2 / (1 + 0.01**2))),
    ],
)
def test_known_edges(name, sigma_b, edge):
    assert critical_sigma_w(name, sigma_b) == pytest.approx(edge, rel=2e-4)


def test_the_line_of_a_relu_is_straight():
    phase = phase_diagram("relu")
    assert np.allclose(phase.edge_w, math.sqrt(2)) and phase.edge_b.max() == phase.sigma_b.max()


@pytest.mark.parametrize("name", NAMES)
def test_chi_is_one_on_the_edge(name):
    phase = phase_diagram(name)
    for i in (
        np.linspace(0, len(phase.edge_w) - 1, 5).astype(int)[1:-1]
        if len(phase.edge_w) and name not in ("relu", "leaky_relu")
        else []
    ):
        q = theory.fixed_point(name, phase.edge_w[i], phase.edge_b[i])
        if 1e-6 < q < 1e6:  # at the ends of the line q* itself is reached slowly, or never
            assert float(theory.chi(q, name, phase.edge_w[i])) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_grid_is_the_map_s_fixed_point(name):
    w, b = np.array([0.5, 0.9, 1.3, 2.5]), np.array([0.0, 0.2, 1.0])
    phase = phase_diagram(name, w, b)
    for i, sigma_b in enumerate(b):
        for j, sigma_w in enumerate(w):
            q = theory.fixed_point(name, sigma_w, sigma_b)
            if q == 0 or math.isinf(q):
                assert phase.q[i, j] == pytest.approx(q, abs=1e-3)
            else:
                assert phase.q[i, j] == pytest.approx(q, rel=1e-3)
                assert phase.chi[i, j] == pytest.approx(float(theory.chi(q, name, sigma_w)), rel=1e-3)


def test_depth_scale_is_that_of_theory():
    phase = phase_diagram("tanh", [0.7, 1.6], [0.1])
    for j, sigma_w in enumerate((0.7, 1.6)):
        assert phase.depth_scale[0, j] == pytest.approx(abs(theory.depth_scale("tanh", sigma_w, 0.1)), rel=5e-3)


@pytest.mark.parametrize("sigma_w", [0.8, 1.6])
def test_gradients_of_a_real_network_follow_chi(sigma_w):
    phase = phase_diagram("tanh", [sigma_w], [0.2])
    factors = []
    for seed in range(5):
        net = iv.mlp(40, 256, "tanh", "lecun_normal", scale=sigma_w, bias_std=0.2, n_in=256, seed=seed)
        rms = iv.probe(net, *iv.datasets.gaussian().batch(64)).values("preactivation_gradient", "rms")[:40]
        factors.append(((rms[10] / rms[35]) ** 2) ** (1 / 25))
    assert np.mean(factors) == pytest.approx(phase.chi[0, 0], rel=0.05)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: phase_diagram("tnah"), ValueError, "^activation: 'tnah' is unknown"),
        (lambda: phase_diagram("tanh", "wide"), TypeError, "^sigma_w: got str"),
        (lambda: phase_diagram("tanh", [1], []), ValueError, "^sigma_b: is empty"),
        (lambda: phase_diagram("tanh", [-1]), ValueError, "^sigma_w: got -1"),
        (lambda: phase_diagram("tanh", [1], [math.nan]), ValueError, "^sigma_b: got nan"),
        (lambda: critical_sigma_w("tanh", -1), ValueError, "^sigma_b: got -1"),
    ],
)
def test_bad_input(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
