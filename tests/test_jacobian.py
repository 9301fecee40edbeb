"""Singular values of the end-to-end Jacobian, against numpy in float64."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import initviz as iv
from initviz.inspection._jacobian import AT_ONCE

SLOPES = {
    "linear": lambda z: np.ones_like(z),
    "relu": lambda z: (z > 0).astype(float),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "sigmoid": lambda z: 1 / (2 + np.exp(z) + np.exp(-z)),
}
VALUES = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


def product_of_layers(net, x, activation):
    """J = W_out D_L W_L ... D_1 W_1 of one sample, in float64."""
    a, jacobian = x.double().numpy(force=True), np.eye(len(x))
    for layer in net.hidden:
        weight, bias = (p.detach().double().numpy(force=True) for p in (layer.weight, layer.bias))
        z = weight @ a + bias
        jacobian = SLOPES[activation](z)[:, None] * (weight @ jacobian)
        a = VALUES[activation](z)
    return net.output.weight.detach().double().numpy(force=True) @ jacobian


@settings(max_examples=20, deadline=None)
@given(
    depth=st.integers(1, 8),
    width=st.integers(1, 24),
    activation=st.sampled_from(sorted(SLOPES)),
    scheme=st.sampled_from(["xavier_normal", "he_uniform", "orthogonal", "small_normal"]),
    batch=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_they_are_those_of_the_product_of_the_layers(depth, width, activation, scheme, batch, seed):
    net = iv.mlp(depth, width, activation, scheme, n_in=9, n_out=4, bias_std=0.1, dtype="float64", seed=seed)
    x = torch.randn(
        batch, 9, generator=torch.Generator(torch.get_default_device()).manual_seed(seed), dtype=torch.float64
    )
    found = iv.jacobian_singular_values(net, x)
    assert found.shape == (batch, 4) and found.dtype == np.float64
    for sample, values in zip(x, found):
        expected = np.linalg.svd(product_of_layers(net, sample, activation), compute_uv=False)
        np.testing.assert_allclose(values, expected, rtol=1e-8, atol=1e-12 * expected[0])


def test_a_float32_network_agrees_to_its_precision():
    net = iv.mlp(20, 32, "tanh", "xavier_normal", n_in=32, n_out=32, seed=1)
    x = torch.randn(3, 32, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    for sample, values in zip(x, iv.jacobian_singular_values(net, x)):
        expected = np.linalg.svd(product_of_layers(net, sample, "tanh"), compute_uv=False)
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-5 * expected[0])


def test_a_tiny_jacobian_is_not_a_zero_one():
    net = iv.mlp(30, 16, "linear", "orthogonal", scale=0.1, n_in=16, n_out=16)
    values = iv.jacobian_singular_values(net, torch.ones(1, 16))
    np.testing.assert_allclose(values, 0.1**31, rtol=1e-4)


def test_any_shape_of_input_and_output_by_finite_differences():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.SiLU(inplace=True), nn.Conv2d(3, 2, 2)).double()
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64)
    found = iv.jacobian_singular_values(net, x)
    step = 1e-6
    for sample, values in zip(x, found):
        columns = []
        for place in range(sample.numel()):
            change = torch.zeros(sample.numel(), dtype=torch.float64)
            change[place] = step
            change = change.reshape(sample.shape)
            with torch.no_grad():
                up, down = net((sample + change)[None]), net((sample - change)[None])
            columns.append(((up - down) / (2 * step)).flatten().numpy(force=True))
        expected = np.linalg.svd(np.array(columns).T, compute_uv=False)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-8)


def test_more_samples_than_go_at_once_and_a_module_without_weights():
    x = torch.linspace(-2, 2, 3 * (AT_ONCE + 1)).reshape(-1, 3)
    found = iv.jacobian_singular_values(nn.Tanh(), x)
    np.testing.assert_allclose(found, -np.sort(np.tanh(x.numpy(force=True)) ** 2 - 1, axis=1), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    net = iv.mlp(3, 16, "relu", "he_normal", n_in=8, n_out=4, dtype=dtype)
    single = iv.mlp(3, 16, "relu", "he_normal", n_in=8, n_out=4)
    x = torch.randn(2, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    np.testing.assert_allclose(
        iv.jacobian_singular_values(net, x), iv.jacobian_singular_values(single, x), rtol=0.05, atol=0.05
    )


def test_a_jacobian_that_is_not_finite_is_nan_for_its_sample_only():
    net = nn.Sequential(nn.Linear(3, 3))
    net[0].weight.data.fill_(1)

    class Root(nn.Module):
        def forward(self, v):
            return net(v).sqrt()

    x = torch.tensor([[1.0, 1.0, 1.0], [-100.0, 0.0, 0.0]])
    found = iv.jacobian_singular_values(Root(), x)
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


def test_the_model_and_the_random_states_are_left_as_they_were():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).eval()
    net[2].train()
    net[0].weight.grad = torch.ones(4, 4)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    first, second = (iv.jacobian_singular_values(net, torch.ones(3, 4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [m.training for m in net] == [False, False, True, False]
    assert torch.equal(net[0].weight.grad, torch.ones(4, 4)) and net[3].weight.grad is None
    assert all(p.requires_grad for p in net.parameters())


def test_within_no_grad_and_inference_mode():
    net, x = iv.mlp(2, 8, "tanh", n_in=4, n_out=3), torch.ones(2, 4)
    expected = iv.jacobian_singular_values(net, x)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            np.testing.assert_array_equal(iv.jacobian_singular_values(net, x), expected)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(
    ("model", "x", "error", "words"),
    [
        (torch.tanh, torch.ones(2, 3), TypeError, "model: got builtin_function_or_method"),
        (nn.Linear(3, 2), [1.0, 2.0, 3.0], TypeError, "x: got list; it takes a tensor of real numbers"),
        (nn.Linear(3, 2), torch.ones(2, 3).long(), TypeError, "x: got a tensor of torch.int64"),
        (nn.Linear(3, 2), torch.ones(0, 3), ValueError, r"x: a batch of shape \(0, 3\) is empty"),
        (nn.Linear(3, 2), torch.ones(2, 4), ValueError, r"x: a batch of shape \(2, 4\), taken one by one, does not fit"),
        (nn.BatchNorm1d(3), torch.ones(2, 3), ValueError, "model: its batch normalization mixes the samples"),
        (Pair(), torch.ones(2, 3), ValueError, "it gave tuple, and one real tensor is needed"),
    ],
)  # fmt: skip
def test_bad_input_is_named(model, x, error, words):
    with pytest.raises(error, match=words):
        iv.jacobian_singular_values(model, x)
