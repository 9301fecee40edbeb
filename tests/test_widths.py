"""One std at many widths: measured against networks built by hand, against theory, and the picture."""

import math

import numpy as np
import pytest
import torch
from pictures import mark, marks, words

import initviz as iv
from initviz.experiments import _widths as module
from initviz.experiments import factor_curve, signal_by_width
from initviz.experiments._widths import std_at
from initviz.initializers import unit_noise
from initviz.plots import png, widths_figure
from initviz.plots._figure import Line, Words
from initviz.theory import chi
from initviz.theory._dense import variance_map

HE = math.sqrt(2 / 64)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_the_spread_is_that_of_a_network_built_by_hand(activation):
    width, depth, std, phi = 48, 4, 0.3, iv.ACTIVATIONS[activation].function
    draw = lambda shape, index: unit_noise(shape, "normal", 3, index).double()  # noqa: E731
    a, g = draw((32, width), depth), draw((32, width), depth + 1)
    h = []
    for layer in range(depth):
        h.append((a @ (std * draw((width, width), layer)).T).requires_grad_())
        a = phi(h[-1])
    forward = [phi(z).square().mean().sqrt().item() for z in h]
    backward = [g.square().mean().sqrt().item()]
    for layer in range(depth - 1, 0, -1):
        z = h[layer - 1].detach().requires_grad_()
        g = torch.autograd.grad((phi(z) @ (std * draw((width, width), layer)).T * g).sum(), z)[0]
        backward.insert(0, g.square().mean().sqrt().item())
    kwargs = {"widths": [width], "depth": depth, "activation": activation, "seed": 3}
    np.testing.assert_allclose(signal_by_width(std, **kwargs).measured[0], forward, rtol=1e-4)
    back = signal_by_width(std, way="preactivation_gradient", **kwargs)
    np.testing.assert_allclose(back.measured[0], backward, rtol=1e-4)


@pytest.mark.parametrize("way", list(module.WAYS))
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_a_fixed_std_grows_with_the_square_root_of_the_width(way, distribution):
    spread = signal_by_width(HE, distribution=distribution, way=way, widths=(64, 256, 1024))
    np.testing.assert_allclose(spread.factor_theory, [1, 2, 4], rtol=0.01)
    np.testing.assert_allclose(
        spread.factor, spread.factor_theory, rtol=0.1
    )  # 5 sqrt(1/n) / 2 / sqrt(depth), three times
    assert (spread.std == HE).all()


@pytest.mark.parametrize("activation", ["relu", "tanh", "linear", "sigmoid"])
def test_fan_in_scaling_gives_every_width_the_same(activation):
    spread = signal_by_width(0.2, chosen_at=256, rule="fan_in", activation=activation)
    np.testing.assert_allclose(spread.std, 0.2 * np.sqrt(256 / spread.widths))
    assert np.ptp(spread.factor_theory) < 0.03 * spread.factor_theory.mean()
    wide = spread.widths >= 256
    np.testing.assert_allclose(spread.factor[wide], spread.factor_theory[wide], rtol=0.08)


@pytest.mark.parametrize("way", list(module.WAYS))
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_most_draws_lie_in_the_band(activation, way):
    inside = []
    for seed in range(12):
        s = signal_by_width(0.15, widths=(64, 128), depth=6, activation=activation, way=way, seed=seed)
        inside.append((s.low <= s.measured * 1.02) & (s.measured <= s.high * 1.02))
    assert np.mean(inside) > 0.85


@pytest.mark.parametrize(("activation", "sigma"), [("tanh", 2.0), ("relu", 0.5), ("softplus", 1.0)])
def test_the_curve_is_the_map_of_theory_iterated(activation, sigma):
    curve_forward = factor_curve(activation, 3, "activation", np.array([sigma]))
    curve_backward = factor_curve(activation, 3, "preactivation_gradient", np.array([sigma]))
    q1 = sigma**2
    q2 = float(variance_map(q1, activation, sigma))
    a3 = float(variance_map(float(variance_map(q2, activation, sigma)), activation, 1.0))
    assert curve_forward.factor[0] == pytest.approx(a3 ** (1 / 6), rel=1e-6)
    product = float(chi(q1, activation, sigma)) * float(chi(q2, activation, sigma))
    assert curve_backward.factor[0] == pytest.approx(product ** (1 / 4), rel=1e-6)


def test_the_map_depends_on_std_and_width_through_their_product_alone():
    curve = factor_curve("tanh", 10)
    assert curve.at(0.1, 256) == pytest.approx(curve.at(0.2, 64)) == pytest.approx(curve.at(0.05, 1024))
    spread = signal_by_width(0.1, activation="tanh")
    np.testing.assert_allclose(curve.at(spread.std, spread.widths), spread.factor_theory, rtol=0.02)
    assert np.isfinite(factor_curve("relu", 16).at(1.0, 1024)) and factor_curve("relu", 16).at(0.0, 64) < 1e-2


def test_extreme_scales_are_told_apart_from_zero():
    small = signal_by_width(1e-3, widths=(32,), depth=16)
    assert 0 < small.measured[0, -1] < 1e-25
    large = signal_by_width(1.0, widths=(1024,), depth=16)
    assert np.isfinite(large.measured).all() and large.measured[0, -1] > 1e20
    assert (signal_by_width(0.0, widths=(32,)).measured == 0).all()


def test_std_at():
    assert std_at(1024, 0.2, 64) == 0.2
    assert std_at(1024, 0.2, 64, "fan_in") == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"std": -1}, "std"), ({"rule": "fan in"}, "rule"), ({"widths": [0]}, "widths"), ({"depth": 1}, "depth"), ({"way": "up"}, "way"),
     ({"chosen_at": 0}, "chosen_at"), ({"distribution": "cauchy"}, "distribution"), ({"batch": 0}, "batch")],
)  # fmt: skip
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        signal_by_width(**({"std": 0.1} | arguments))


def test_the_picture_shows_the_numbers():
    spread, curve = signal_by_width(HE, depth=5), factor_curve("relu", 5)
    figure = widths_figure(spread, curve, 64, "a title")
    left, plane, _ = figure.panels
    for row, width in enumerate(spread.widths):
        np.testing.assert_array_equal(mark(left, Line, f"width {width}: rms").y, spread.measured[row])
        np.testing.assert_array_equal(mark(left, Line, f"width {width}: theory").y, spread.theory[row])
    assert {"32", "64", "128", "256", "512", "1024"} <= set(words(left))
    ring = next(m for m in plane.marks if isinstance(m, Line) and m.marker == "ring")
    np.testing.assert_allclose([ring.x, ring.y], [[6], [HE]])
    edge = next(m for m in plane.marks if isinstance(m, Line) and m.dash)
    np.testing.assert_allclose(
        edge.y * np.sqrt(2**edge.x), np.sqrt(2), rtol=0.08
    )  # relu keeps its scale at sigma_w^2 = 2
    assert figure.reason == "a title"
    way = "preactivation_gradient"
    other = widths_figure(signal_by_width(HE, depth=5, way=way), factor_curve("relu", 5, way), 128)
    assert png(other) != png(figure) and len(marks(other.panels[0], Line)) == 12


def test_labels_of_lines_that_meet_are_apart():
    figure = widths_figure(signal_by_width(HE, rule="fan_in"), factor_curve("relu", 10), 64)
    (labels,) = [m for m in figure.panels[0].marks if isinstance(m, Words)]
    places = np.sort(labels.y)
    assert np.diff(places).min() > 0.05 and places[-1] <= 1
