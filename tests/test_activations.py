"""Every activation: its slope, its gain, where it is flat, and what is written about it."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import nn

import initviz as iv
from initviz.initializers import ACTIVATIONS, SCHEMES, Activation, ActivationModule, get_activation, leaky_relu
from initviz.initializers._activations import ALIASES

Z = torch.linspace(-12, 12, 4801, dtype=torch.float64)
TORCH_GAINS = {
    "linear": ("linear", None), "sigmoid": ("sigmoid", None), "tanh": ("tanh", None), "relu": ("relu", None),
    "leaky_relu": ("leaky_relu", 0.01), "prelu": ("leaky_relu", 0.25), "selu": ("selu", None),
}  # fmt: skip
TORCH_MODULES = {
    "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "softsign": nn.Softsign(), "relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(),
    "prelu": nn.PReLU(), "elu": nn.ELU(), "selu": nn.SELU(), "gelu": nn.GELU(), "silu": nn.SiLU(), "mish": nn.Mish(),
    "softplus": nn.Softplus(), "linear": nn.Identity(),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_entry_is_complete(name):
    entry = ACTIVATIONS[name]
    assert entry.name == name and entry.label and entry.latex and entry.best_scheme in SCHEMES
    assert entry.latex.count("{") == entry.latex.count("}") and "$" not in entry.latex
    assert any(character.isdigit() for character in entry.source)  # the year
    assert len({a.label for a in ACTIVATIONS.values()}) == len(ACTIVATIONS)


@pytest.mark.parametrize("name", TORCH_MODULES)
def test_the_function_is_torchs(name):
    z = Z.float()
    torch.testing.assert_close(ACTIVATIONS[name].function(z), TORCH_MODULES[name](z).detach())


def test_sine_is_sine():
    torch.testing.assert_close(
        ACTIVATIONS["sine"].function(Z), torch.from_numpy(np.sin(Z.numpy(force=True))).to(Z.device)
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivative_is_the_slope(name):
    phi, step = ACTIVATIONS[name], 1e-6
    z = Z[(Z.abs() > 0.01)]  # on both sides of a kink at 0
    slope = (phi.function(z + step) - phi.function(z - step)) / (2 * step)
    torch.testing.assert_close(phi.derivative(z), slope, atol=1e-7, rtol=1e-6)
    with torch.no_grad():
        assert phi.derivative(z[:3].reshape(3, 1)).shape == (3, 1)
    leaf = torch.ones(3, requires_grad=True)
    assert not phi.derivative(leaf).requires_grad and leaf.grad is None


@pytest.mark.parametrize("name", TORCH_GAINS)
def test_the_gain_is_torchs_where_torch_has_one(name):
    nonlinearity, parameter = TORCH_GAINS[name]
    assert ACTIVATIONS[name].gain == pytest.approx(nn.init.calculate_gain(nonlinearity, parameter), rel=1e-12)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - set(TORCH_GAINS)))
def test_other_gains_are_one_over_the_root_mean_square(name):
    phi = lambda z: ACTIVATIONS[name].function(torch.tensor(z, dtype=torch.float64)).item()  # noqa: E731
    density = lambda z: phi(z) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    square = quad(density, -10, 0)[0] + quad(density, 0, 10)[0]
    assert ACTIVATIONS[name].gain == pytest.approx(1 / math.sqrt(square), rel=1e-4)  # four digits are in the table


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_flat_is_where_the_slope_is_under_a_twentieth_of_its_largest(name):
    phi = ACTIVATIONS[name]
    z = torch.linspace(-60, 60, 120_001, dtype=torch.float64)
    value, slope = phi.function(z), phi.derivative(z).abs()
    low, high = phi.flat
    flat = torch.zeros_like(z, dtype=torch.bool)
    flat |= value < low if low is not None else False
    flat |= value > high if high is not None else False
    if phi.flat == (None, None):
        return
    steep = slope >= 0.05 * slope.max()
    assert not (flat & steep).any()
    assert (flat | steep).double().mean() > 0.999  # and nowhere else, but for the points on the border
    assert low is not None and high is not None and low < high


@pytest.mark.parametrize("name", [n for n, a in ACTIVATIONS.items() if a.slope is not None])
def test_a_slope_is_that_of_a_piecewise_linear_function(name):
    phi = ACTIVATIONS[name]
    torch.testing.assert_close(phi.function(Z), Z.clamp(min=0) + phi.slope * Z.clamp(max=0))


@pytest.mark.parametrize("name", [n for n, a in ACTIVATIONS.items() if a.slope is None])
def test_no_slope_means_not_piecewise_linear(name):
    value = ACTIVATIONS[name].function(torch.tensor([-2.0, -1.0, 1.0, 2.0]))
    assert not (torch.isclose(value[0], 2 * value[1]) and torch.isclose(value[3], 2 * value[2]))


def test_aliases():
    assert set(ALIASES.values()) <= set(ACTIVATIONS) and not set(ALIASES) & set(ACTIVATIONS)
    for alias, name in ALIASES.items():
        assert get_activation(alias) is ACTIVATIONS[name]
    own = Activation("cube", "Cube", "z^3", lambda z: z**3, 1.0, "none")
    assert get_activation(own) is own


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3, 0.99])
def test_a_leaky_relu_of_any_slope(slope):
    phi = leaky_relu(slope)
    torch.testing.assert_close(phi.function(Z), Z.clamp(min=0) + slope * Z.clamp(max=0))
    assert phi.slope == slope and phi.gain == pytest.approx(nn.init.calculate_gain("leaky_relu", slope))


def test_the_module_applies_it_and_says_so():
    module = ActivationModule("gelu")
    torch.testing.assert_close(module(Z), nn.GELU()(Z))
    assert "gelu" in repr(module) and not list(module.parameters())
    custom = Activation("cube", "Cube", "z^3", lambda z: z**3, 1.0, "none")
    model = nn.Sequential(nn.Linear(4, 4), ActivationModule(custom), nn.Linear(4, 2))
    assert iv.probe(model, torch.randn(3, 4)).layers[0].activation_name == "cube"


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: get_activation("rleu"), ValueError, "^activation: 'rleu' is unknown; did you mean 'relu'"),
        (lambda: get_activation(3), TypeError, "^activation: got int 3"),
        (lambda: ActivationModule("tahn"), ValueError, "^activation: 'tahn' is unknown; did you mean .*'tanh'"),
        (lambda: leaky_relu(1.0), ValueError, "^slope: got 1"),
        (lambda: leaky_relu(-0.1), ValueError, "^slope: got -0.1"),
        (lambda: leaky_relu("steep"), TypeError, "^slope: got str"),
    ],
)
def test_bad_input_is_refused_by_name(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
