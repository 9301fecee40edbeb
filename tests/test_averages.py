"""Averages over a normal pre-activation: against closed forms, against scipy's integration, and against draws."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import erf

import initviz as iv
from initviz.initializers import Activation, leaky_relu
from initviz.theory import second_moment, slope_second_moment
from initviz.theory._averages import Moments, moments, nodes

Q = np.array([1e-6, 1e-3, 0.1, 1.0, 7.0, 1e2, 1e4])
FIELDS = list(Moments.__dataclass_fields__)
RAMP = ["linear", "relu", "leaky_relu", "prelu"]


def plain(phi, name="mine", **fields):
    """An Activation of which nothing is known but its function: it goes through the quadrature."""
    return Activation(name, name, "", phi, 1.0, "", **fields)


def test_the_weights_are_those_of_a_normal():
    z, w = nodes()
    even = [1, 1, 3, 15, 105, 945, 10395]
    for k, moment in enumerate(even):
        assert w @ z ** (2 * k) == pytest.approx(moment, rel=1e-8 if k < 5 else 1e-6)
        assert abs(w @ z ** (2 * k + 1)) < 1e-10 * moment
    assert (w > 0).all() and not (z == 0).any()  # a node at 0 would give a kink's slope a weight


# Against closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*RAMP, "sine"])
def test_quadrature_agrees_with_the_closed_forms(name):
    entry = iv.ACTIVATIONS[name]
    hidden = plain(lambda z: entry.function(z))  # a function of its own: the closed form is not found
    q = Q if name != "sine" else Q[Q <= 10]  # beyond, a sine turns too often for a quadrature
    closed, numerical = moments(entry, q), moments(hidden, q)
    for field in FIELDS:
        np.testing.assert_allclose(getattr(numerical, field), getattr(closed, field), rtol=1e-7, err_msg=field)
    np.testing.assert_allclose(second_moment(hidden, q), second_moment(entry, q), rtol=1e-7)
    np.testing.assert_allclose(slope_second_moment(hidden, q), slope_second_moment(entry, q), rtol=1e-7)


def test_relu_and_its_family_by_hand():
    q = np.array([0.5, 2.0])
    relu = moments(iv.ACTIVATIONS["relu"], q)
    for field, expected in zip(FIELDS, [q / 2, 1.5 * q**2, 0.5, 0.5, q / 2, 1.0]):
        np.testing.assert_allclose(getattr(relu, field), np.broadcast_to(expected, q.shape), err_msg=field)
    a = 0.3
    leaky = moments(leaky_relu(a), q)  # He et al. 2015, eq. 15
    np.testing.assert_allclose(leaky.value2, q * (1 + a**2) / 2)
    np.testing.assert_allclose(leaky.slope2, (1 + a**2) / 2)


def test_erf_has_arcsines():
    phi = plain(torch.erf)
    q = Q
    np.testing.assert_allclose(second_moment(phi, q), 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)), rtol=1e-7)
    np.testing.assert_allclose(slope_second_moment(phi, q), 4 / np.pi / np.sqrt(1 + 4 * q), rtol=1e-6)


def test_exponential_square_and_step():
    q = np.array([1e-6, 0.1, 1.0, 2.0])
    np.testing.assert_allclose(second_moment(plain(torch.exp), q), np.exp(2 * q), rtol=1e-6)
    square = moments(plain(torch.square), q)
    np.testing.assert_allclose(square.value2, 3 * q**2, rtol=1e-9)
    np.testing.assert_allclose(square.slope2, 4 * q, rtol=1e-9)
    np.testing.assert_allclose(square.growth, 2, rtol=1e-9)
    np.testing.assert_allclose(second_moment(plain(torch.sign), q), 1, rtol=1e-9)


def test_selu_has_its_fixed_point_at_a_standard_normal():
    selu = iv.ACTIVATIONS["selu"]  # Klambauer et al. 2017: mean 0 and variance 1 stay
    z, w = nodes()
    assert w @ selu.function(torch.from_numpy(z)).numpy(force=True) == pytest.approx(0, abs=1e-7)
    assert second_moment(selu, np.array(1.0)) == pytest.approx(1, abs=1e-7)


# Against scipy -----------------------------------------------------------------------------------------------------------

SPECIAL = {
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)) if z > -700 else 0.0,
    "tanh": math.tanh,
    "softsign": lambda z: z / (1 + abs(z)),
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "selu": lambda z: 1.0507009873554804934 * (z if z > 0 else 1.6732632423543772848 * math.expm1(z)),
    "gelu": lambda z: z * (1 + erf(z / math.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + math.exp(-z)) if z > -700 else 0.0,
    "mish": lambda z: z * math.tanh(max(z, 0) + math.log1p(math.exp(-abs(z)))),
    "softplus": lambda z: max(z, 0) + math.log1p(math.exp(-abs(z))),
}
"""The functions again, written down from their papers in plain Python."""


@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("q", [1e-6, 1e-2, 1.0, 1e2, 1e4])
def test_quadrature_agrees_with_scipy(name, q):
    scale, phi = math.sqrt(q), SPECIAL[name]
    entry = moments(iv.ACTIVATIONS[name], np.array(q))
    # where the function bends, in units of z, and where the normal density does
    bends = sorted({0.0, 9.5, 1.0, 2.0, 4.0} | {k / scale for k in (0.2, 0.5, 1, 2, 4, 8, 16, 32) if k / scale < 9})

    def average(f):
        both = lambda z: (f(scale * z) + f(-scale * z)) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
        return sum(quad(both, a, b, epsabs=0, epsrel=1e-9, limit=100)[0] for a, b in pairwise(bends))

    with np.errstate(all="ignore"):
        assert entry.value2 == pytest.approx(average(lambda z: phi(z) ** 2), rel=1e-6)
        assert entry.value4 == pytest.approx(average(lambda z: phi(z) ** 4), rel=1e-6)
        step = 1e-6
        up = average(lambda z: phi(z * math.exp(step)) ** 2)
        down = average(lambda z: phi(z * math.exp(-step)) ** 2)
        assert entry.growth == pytest.approx((math.log(up) - math.log(down)) / (4 * step), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", SPECIAL)
def test_slopes_agree_with_draws(name):
    """Slopes, whose function scipy would need a second time, against 200,000 draws within five standard errors."""
    z = torch.randn(200_000, generator=torch.Generator(torch.get_default_device()).manual_seed(1), dtype=torch.float64)
    phi = iv.ACTIVATIONS[name]
    for q in (0.01, 1.0, 30.0):
        value, slope = (
            phi.function(math.sqrt(q) * z).numpy(force=True),
            phi.derivative(math.sqrt(q) * z).numpy(force=True),
        )
        entry = moments(phi, np.array(q))
        for field, draws in (("slope2", slope**2), ("slope4", slope**4), ("joint", value**2 * slope**2)):
            error = draws.std() / math.sqrt(len(draws))
            assert abs(getattr(entry, field) - draws.mean()) < 5 * error + 1e-12, (field, q)


@pytest.mark.parametrize("name", iv.ACTIVATIONS)
def test_shapes_and_extremes(name):
    phi = iv.ACTIVATIONS[name]
    for shape in ((), (3,), (2, 3)):
        q = np.full(shape, 0.7)
        assert all(np.shape(getattr(moments(phi, q), field)) == shape for field in FIELDS)
        assert np.shape(second_moment(phi, q)) == np.shape(slope_second_moment(phi, q)) == shape
    ends = moments(phi, np.array([0.0, 1e-12, 1e10]))
    for field in FIELDS:
        assert np.isfinite(getattr(ends, field)).all() and (getattr(ends, field) >= 0).all(), field
    slope_at_0 = phi.derivative(torch.tensor([1e-9, -1e-9], dtype=torch.float64)).square().mean().item()
    np.testing.assert_allclose(ends.slope2[:2], slope_at_0, rtol=1e-5)
