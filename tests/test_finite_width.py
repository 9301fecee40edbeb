"""The finite-width study: its numbers against autograd, its laws against the theory's over 200 draws and more."""

import math
import sys

import numpy as np
import pytest
import torch
from pictures import mark, marks, words

import initviz as iv
from initviz.experiments import FiniteWidth, finite_width
from initviz.experiments._finite_width import _orthogonal
from initviz.plots._figure import Bars, Line

module = sys.modules["initviz.experiments._finite_width"]


@pytest.mark.parametrize(("weights", "width"), [("gaussian", 12), ("orthogonal", 12)])
def test_each_log_is_that_of_autograd_through_the_same_weights(monkeypatch, weights, width):
    drawn, original = {}, module.unit_noise

    def remembered(shape, distribution, seed, index):
        drawn[index] = original(shape, distribution, seed, index)
        return drawn[index].clone()

    monkeypatch.setattr(module, "unit_noise", remembered)
    run = finite_width("tanh", weights, width=width, ratios=[0.5], sigma_w=1.7, sigma_b=0.4, draws=5)
    (depth,) = run.depths
    for draw in range(5):
        start = drawn[0][draw].double().requires_grad_()
        h = start
        for layer in range(depth):
            matrix = drawn[3 * layer + 2][draw]
            matrix = _orthogonal(matrix[None])[0] if weights == "orthogonal" else matrix / math.sqrt(width)
            h = 1.7 * matrix.double() @ torch.tanh(h) + 0.4 * drawn[3 * layer + 3][draw].double()
        up = drawn[1][draw].double()
        (gradient,) = torch.autograd.grad(h, start, up)
        expected = (gradient.square().sum() / up.square().sum()).log().item()
        assert run.logs[0, draw] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("activation", "weights", "how", "per_layer"),
    [
        ("relu", "gaussian", {}, 5),  # Hanin & Nica 2018
        ("relu", "orthogonal", {}, 3),
        ("linear", "gaussian", {}, 2),
        ("leaky_relu", "gaussian", {}, None),
        ("tanh", "gaussian", {"sigma_b": 0.3}, None),
        ("tanh", "gaussian", {"sigma_w": 1.5}, None),
    ],
)
def test_the_slope_of_the_variance_is_the_theory_s_within_15_percent_over_200_draws(
    activation, weights, how, per_layer
):
    run = finite_width(activation, weights, width=64, draws=200, **how)
    assert run.logs.shape == (8, 200)
    assert run.slope == pytest.approx(run.predicted_slope, rel=0.15)
    if per_layer:
        assert run.predicted_slope == pytest.approx(per_layer, rel=1e-9)
    # the mean: log chi a layer, less half of the variance; its standard error is that of a mean of `draws` logs
    error = np.sqrt(run.variance / 200)
    assert (np.abs(run.logs.mean(axis=1) - run.predicted_mean) < 4 * error + 0.06 * run.variance).all()


def test_relu_at_he_s_scale_over_a_thousand_draws():
    """The standard error of the slope is 1.6 % here; the terms beyond 1/n are 3 % (log of a chi-squared number of 32 terms)."""
    run = finite_width("relu", width=64, ratios=np.arange(1, 9) / 16, draws=1000, seed=1)
    assert run.sigma_w == pytest.approx(math.sqrt(2))
    assert run.slope_error / run.slope == pytest.approx(math.sqrt(2 / 999 / 8), rel=0.1)
    assert run.slope == pytest.approx(5.15, rel=0.065)


def test_orthogonal_linear_layers_stray_by_nothing():
    run = finite_width("linear", "orthogonal", width=16, sigma_w=1.1, ratios=[1, 2], draws=4)
    np.testing.assert_allclose(run.logs, 2 * run.depths[:, None] * math.log(1.1) * np.ones((1, 4)), rtol=1e-4)
    np.testing.assert_allclose(run.predicted_mean, 2 * run.depths * math.log(1.1))
    assert (run.predicted_variance == 0).all()


def test_deep_vanishing_gradients_do_not_underflow():
    run = finite_width("tanh", width=8, ratios=[40], sigma_w=0.3, draws=3)
    assert (run.logs < -700).all() and np.isfinite(run.logs).all()


def test_a_layer_whose_units_are_all_off_gives_minus_infinity():
    run = finite_width("relu", width=8, ratios=[8], draws=50)  # 64 layers, each off once in 2^8 draws
    dead = run.logs == -math.inf
    assert 3 < dead.sum() < 30 and np.isfinite(run.logs[~dead]).all()


def test_draws_are_those_of_the_seed_whatever_their_number_a_chunk(monkeypatch):
    state = torch.get_rng_state()
    a, b, c = (finite_width("tanh", width=8, ratios=[1], draws=6, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.allclose(a.logs, b.logs, rtol=1e-5) and not np.isclose(a.logs, c.logs).any()
    monkeypatch.setattr(module, "NUMBERS_AT_ONCE", 2 * 8**3)  # chunks of two draws, each with draws of its own
    chunked = finite_width("tanh", width=8, ratios=[1], draws=6)
    assert chunked.logs.shape == (1, 6) and len(np.unique(chunked.logs)) == 6


def test_its_words_and_its_picture():
    runs = {w: finite_width("relu", w, width=16, ratios=[0.5, 1], draws=20) for w in ("gaussian", "orthogonal")}
    assert str(runs["gaussian"]).startswith("relu, Gaussian weights, width 16: slope ")
    assert isinstance(runs["gaussian"], FiniteWidth)
    left, right = iv.plots.finite_width_figure(runs).panels
    for label, run in runs.items():
        np.testing.assert_allclose(mark(left, Line, f"{label}: measured").y, run.variance)
    theory = mark(left, Line, "gaussian: theory")
    assert theory.dash
    np.testing.assert_allclose(theory.y, [0, *runs["gaussian"].predicted_variance])
    (bars,) = marks(right, Bars)
    assert (bars.top * (bars.right - bars.left)).sum() == pytest.approx(1)
    assert len(iv.plots.finite_width(runs).axes) == 2
    with pytest.raises(ValueError, match=r"^runs: got 0"):
        iv.plots.finite_width({})


def test_the_picture_of_singular_values():
    depths, values = [1, 4], [np.ones((2, 5)), np.array([[1, 0.5, 0.25, 0.1, 0], [1, 0.5, 0.25, 0.1, 1e-17]])]
    figure = iv.plots.singular_values_figure(depths, {"a": {"Gaussian": values}, "b": {"Gaussian": values}})
    np.testing.assert_allclose(mark(figure.panels[0], Line, "Gaussian: median").y, [1, 0.375])
    assert words(figure.panels[1]) == ["● zeros: 0 % at 1, 20 % at 4"]
    with pytest.raises(ValueError, match=r"^panels: got 0"):
        iv.plots.singular_values(depths, {})


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"activation": "rulu"}, ValueError, "^activation: 'rulu' is unknown"),
        ({"weights": "uniform"}, ValueError, "^weights: 'uniform' is unknown; it takes one of gaussian, orthogonal"),
        ({"width": 4}, ValueError, "^width: got 4; it takes a whole number of at least 8"),
        ({"draws": 1}, ValueError, "^draws: got 1"),
        ({"ratios": []}, ValueError, "^ratios: got none"),
        ({"ratios": [-1]}, ValueError, "^ratios: got -1"),
        ({"sigma_w": -1}, ValueError, "^sigma_w: got -1"),
        ({"sigma_b": "x"}, TypeError, "^sigma_b: got str"),
        ({"activation": "softplus"}, ValueError, "^sigma_w: softplus has no edge of chaos at sigma_b 0"),
    ],
)
def test_bad_input_is_refused(changes, kind, message):
    with pytest.raises(kind, match=message):
        finite_width(**changes)
