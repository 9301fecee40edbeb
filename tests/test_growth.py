"""Slopes over seeds, one layer's factors and the rectifier's runs: measured against their formulas."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import initviz as iv
from initviz.experiments import FAN_CHOICES, LAYERS, RECIPES, Growth, layer_factors, rectifier
from initviz.experiments._growth import slopes
from initviz.initializers import SCHEMES

X, Y = iv.digits().batch(32)


def test_slopes_are_those_of_least_squares():
    moments = np.random.default_rng(0).lognormal(size=(5, 12))
    expected = [np.polyfit(np.arange(12), np.log2(row), 1)[0] for row in moments]
    np.testing.assert_allclose(slopes(moments), expected)
    assert slopes(2.0 ** -np.arange(9.0)[None])[0] == pytest.approx(-1)
    assert not np.isfinite(slopes(np.array([[1.0, 0.5, 0.0]]))[0])


def test_growth_is_what_the_probe_measures():
    build = lambda seed: iv.mlp(6, 40, "relu", "xavier_normal", seed=seed)  # noqa: E731
    one = iv.growth(build, X, Y, seeds=2)
    report = iv.probe(build(1), X, Y)
    np.testing.assert_array_equal(one.forward[1], report.values("preactivation", "second_moment")[:6])
    np.testing.assert_array_equal(one.backward[1], report.values("preactivation_gradient", "second_moment")[:6])
    assert one.forward.shape == (2, 6)
    steps = 2.0 ** np.arange(4)
    assert (
        str(Growth(np.stack([1 / steps, 1 / steps]), np.ones((2, 4)))) == "forward -1.00 ± 0.00, backward +0.00 ± 0.00"
    )
    with pytest.raises(ValueError, match="^build: gave a network with fewer than two activated layers"):
        iv.growth(lambda seed: nn.Linear(64, 10), X, Y)
    np.testing.assert_array_equal(
        iv.growth(build, X, Y, seeds=[1, 0]).forward, iv.growth(build, X, Y, seeds=2).forward[::-1]
    )
    with pytest.raises(ValueError, match="^seeds: got 0"):
        iv.growth(build, X, Y, seeds=0)


def test_relu_under_xavier_halves_and_he_keeps_it():
    """Mean slope over seeds; one draw's has a standard error of about log2(e) sqrt(5 / (n L)), 0.03 here."""
    for scheme, expected in (("xavier_normal", -1), ("he_normal", 0)):
        one = iv.growth(lambda seed, s=scheme: iv.mlp(20, 400, "relu", s, seed=seed), X, Y, seeds=6)
        assert one.forward_slopes.mean() == pytest.approx(expected, abs=0.06)
        assert one.backward_slopes.mean() == pytest.approx(expected, abs=0.06)


# one_layer ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize(("n_in", "n_out"), [(64, 512), (300, 30), (8, 8)])
def test_one_layer_agrees_with_its_theory_within_its_error(n_in, n_out, distribution):
    runs = [layer_factors(n_in, n_out, distribution=distribution, seed=seed) for seed in range(20)]
    for rows in zip(*runs):
        for way in ("forward", "backward"):
            measured = np.array([getattr(one, way) for one in rows]) / getattr(rows[0], f"{way}_theory")
            error = getattr(rows[0], f"{way}_error")
            assert measured.mean() == pytest.approx(1, abs=4 * error / math.sqrt(20))
            assert 0.4 * error < measured.std(ddof=1) < 1.6 * error  # a standard deviation of 20 strays by a sixth


def test_choices_are_the_schemes():
    by_name = {one.choice: one for one in layer_factors(100, 300)}
    assert list(by_name) == list(FAN_CHOICES)
    assert by_name["fan_in"].std == pytest.approx(1 / 10)
    assert by_name["fan_out"].std == pytest.approx(1 / math.sqrt(300))
    assert by_name["xavier"].std == SCHEMES["xavier_uniform"].std(100, 300)
    assert by_name["he"].std == SCHEMES["he_uniform"].std(100, 300)
    assert by_name["standard"].bound == pytest.approx(1 / 10)  # U(-1/sqrt(n), 1/sqrt(n))
    assert by_name["xavier"].bound == pytest.approx(math.sqrt(6 / 400))
    assert by_name["fan_in"].forward_theory == pytest.approx(1) and by_name["fan_in"].backward_theory == pytest.approx(
        3
    )
    assert by_name["fan_out"].forward_theory == pytest.approx(1 / 3) and by_name[
        "fan_out"
    ].backward_theory == pytest.approx(1)
    assert by_name["xavier"].forward_theory + by_name["xavier"].backward_theory == pytest.approx(2)
    assert (by_name["xavier"].hist * np.diff(by_name["xavier"].edges)).sum() == pytest.approx(1)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_one_layer_with_an_activation(activation):
    rows = [layer_factors(256, 256, activation=activation, seed=seed)[2] for seed in range(10)]
    assert np.mean([one.forward for one in rows]) == pytest.approx(rows[0].forward_theory, rel=0.03)
    assert np.mean([one.backward for one in rows]) == pytest.approx(rows[0].backward_theory, rel=0.03)


def test_bad_input_to_one_layer():
    with pytest.raises(ValueError, match="^n_in: got 0"):
        layer_factors(0, 3)
    with pytest.raises(ValueError, match="^distribution: 'gauss' is unknown"):
        layer_factors(3, 3, distribution="gauss")


# rectifier ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "slope", "factor"),
    [("he", 0.0, 1), ("he", 0.5, 1), ("he_relu", 0.5, 1.25), ("xavier", 0.3, (1 + 0.3**2) / 2)],
)
def test_a_rectifier_network_grows_as_predicted(recipe, slope, factor):
    runs = [rectifier(slope, recipe, width=256, depth=16, seed=seed) for seed in range(6)]
    for way in ("forward_factors", "backward_factors"):
        measured, theory = np.array([getattr(run, way) for run in runs]).T
        assert theory == pytest.approx(factor, rel=0.01)
        assert np.log2(measured).mean() == pytest.approx(math.log2(factor), abs=0.08)
    assert np.mean([run.passed for run in runs]) == pytest.approx((1 + slope**2) / 2, rel=0.05)
    inside = [(run.forward > run.forward_band[0]) & (run.forward < run.forward_band[1]) for run in runs]
    assert np.mean(inside) > 0.8


def test_pytorchs_default_loses_a_factor_of_six_in_the_gradient_and_keeps_a_floor_forward():
    run = rectifier(0.0, "pytorch", width=256, depth=20)
    assert run.backward_factors[0] == pytest.approx(1 / 6, rel=0.1)
    assert run.forward[-5:].mean() == pytest.approx(0.4 / 256, rel=0.1)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_and_layer(layer, recipe):
    run = rectifier(0.2, recipe, layer=layer, width=16, depth=4)
    assert run.fan_in == (16 if layer == "dense" else 144)
    assert run.forward.shape == run.backward_theory.shape == (4,)
    assert run.forward_band.shape == (2, 4)
    assert np.isfinite(run.forward).all() and np.isfinite(run.backward_theory).all()


def test_bad_input_to_rectifier():
    for changes, message in [
        ({"slope": 1.0}, "^slope: got 1"),
        ({"recipe": "hee"}, "^recipe: 'hee' is unknown; did you mean 'he'"),
        ({"layer": "pool"}, "^layer: 'pool' is unknown"),
        ({"depth": 1}, "^depth: got 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            rectifier(**changes)


def test_nothing_is_left_of_the_global_random_state():
    before = torch.get_rng_state()
    rectifier(0.1, width=16, depth=3)
    layer_factors(8, 8)
    assert torch.equal(torch.get_rng_state(), before)
