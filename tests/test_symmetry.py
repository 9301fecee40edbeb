"""Networks that start alike: the batched training against plain torch, the one-neuron equivalent, counting neurons, and pictures."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from pictures import mark, marks, words
from torch import nn

import initviz as iv
from initviz.experiments import _symmetry as symmetry
from initviz.initializers import unit_noise
from initviz.plots import filters, filters_figure, parting, parting_figure, png, symmetry_figure
from initviz.plots._figure import Heat, Line
from initviz.training import batch_index

SHORT = {"steps": 60, "every": 20}


def test_a_run_is_what_plain_torch_does():
    """The same start, batches and updates with nn.Linear and torch.optim.SGD."""
    trace = symmetry.train_symmetric(0.3, seeds=[4], depth=2, width=6, activation="relu", keep_weights=True, **SHORT)
    data, sizes = iv.digits(), [64, 6, 6, 10]
    layers = [nn.Linear(i, o, dtype=torch.float64) for i, o in pairwise(sizes)]
    for index, layer in enumerate(layers):
        z = unit_noise(tuple(layer.weight.shape), "normal", 4, index).to(layer.weight)
        layer.weight.data = (1 + 0.3 * z) / layer.in_features
        layer.bias.data.zero_()
    net = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(61):
        index = batch_index(len(data.x_train), 128, 4, step)
        loss = nn.functional.cross_entropy(net(data.x_train[index].double()), data.y_train[index])
        assert trace.loss[0, 0, step] == pytest.approx(loss.item(), rel=1e-9)
        if step < 60:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for layer in (0, 1):
        np.testing.assert_allclose(trace.weights[layer][0, 0, -1], layers[layer].weight.numpy(force=True), rtol=1e-5)
        start = (1 + 0.3 * unit_noise((6, sizes[layer]), "normal", 4, layer)) / sizes[layer]
        np.testing.assert_allclose(trace.weights[layer][0, 0, 0], start, rtol=1e-6)
    right = (net(data.x_test.double()).argmax(1) == data.y_test).double().mean().item()
    assert trace.accuracy[0, 0] == pytest.approx(right)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_constant_network_is_one_neuron_a_layer(activation, depth):
    settings = {"seeds": 2, "depth": depth, "activation": activation, "steps": 120}
    wide, single = symmetry.train_symmetric(0.0, width=12, **settings), symmetry.train_one_neuron(12, **settings)
    np.testing.assert_allclose(wide.loss, single.loss, atol=1e-10)
    assert wide.loss.shape == single.loss.shape == (1, 2, 121)
    assert (wide.distinct == 1).all() and wide.gap.max() < 1e-9
    assert np.isinf(wide.parted).all()
    np.testing.assert_array_equal(wide.accuracy, single.accuracy)


def test_the_one_neuron_needs_its_own_learning_rates():
    wide = symmetry.train_symmetric(0.0, seeds=1, width=12, steps=150)
    plain = symmetry.train_symmetric(0.0, seeds=1, width=1, steps=150)
    assert np.abs(wide.loss - plain.loss).max() > 0.1


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_noise_parts_the_neurons_the_sooner_the_larger_it_is(activation):
    trace = symmetry.train_symmetric([1e-6, 1e-4, 1e-2], seeds=3, activation=activation, steps=400)
    parted = trace.parted[..., 0].mean(axis=1)
    assert (np.diff(parted) < 0).all() and np.isfinite(parted).all()
    assert (trace.distinct[..., 0, 0] == 1).all() and (trace.distinct[..., -1, 0] > 8).all()
    late = symmetry.train_symmetric(1e-6, seeds=1, width=16, activation=activation, steps=200)
    growth = np.diff(
        np.log(late.gap[0, 0, 5:20:5, 0])
    )  # exponential: the gap is multiplied by much the same every 50 steps
    assert growth.min() > 0.5 * growth.max() > 0


def test_a_run_depends_on_its_own_seed_and_noise_alone():
    several = symmetry.train_symmetric([0.0, 1e-2], seeds=[3, 5], **SHORT)
    alone = symmetry.train_symmetric(1e-2, seeds=[5], **SHORT)
    np.testing.assert_allclose(several.loss[1, 1], alone.loss[0, 0], rtol=1e-9)
    assert not np.allclose(several.loss[1, 0], several.loss[1, 1])
    assert alone.weights == ()


def test_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    symmetry.train_symmetric(0.1, seeds=1, steps=2)
    assert torch.equal(before, torch.get_rng_state())


def test_distinct_neurons():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.05], [0.0, 1.0], [2.0, 0.0]])
    assert symmetry.distinct_neurons(rows, tolerance=0.1) == 3
    assert symmetry.distinct_neurons(rows, tolerance=0.0) == 4
    assert symmetry.distinct_neurons(rows, tolerance=2.0) == 1
    assert symmetry.distinct_neurons(torch.zeros(7, 3)) == 1
    assert symmetry.distinct_neurons(torch.ones(7, 3), torch.arange(7.0)) == 7
    assert (
        symmetry.distinct_neurons(
            torch.randn(7, 3, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
        )
        == 7
    )


def test_a_difference_of_a_billionth_is_seen():
    rows = torch.ones(2, 64, dtype=torch.float64)
    rows[1] += 1e-9
    assert symmetry.distinct_neurons(rows, tolerance=1e-10) == 2
    assert symmetry.distinct_neurons(rows, tolerance=1e-8) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"noise": -1}, "noise"), ({"noise": [0, float("nan")]}, "noise"), ({"width": 0}, "width"), ({"depth": 0}, "depth"),
        ({"seeds": [-1]}, "seeds"), ({"steps": 0}, "steps"), ({"every": 0}, "every"), ({"lr": -0.1}, "lr"),
        ({"batch_size": 10**6}, "digits has 1437"), ({"activation": "thanh"}, "did you mean 'tanh'"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        symmetry.train_symmetric(**arguments)


def test_wrong_rows_are_named():
    with pytest.raises(ValueError, match="weight: got shape"):
        symmetry.distinct_neurons(torch.ones(3))
    with pytest.raises(ValueError, match="bias: got shape"):
        symmetry.distinct_neurons(torch.ones(3, 2), torch.ones(2))
    with pytest.raises(ValueError, match="tolerance"):
        symmetry.distinct_neurons(torch.ones(3, 2), tolerance=-1)


def test_the_picture_shows_the_numbers():
    settings = {"seeds": 1, "depth": 2, **SHORT}
    trace, single = (
        symmetry.train_symmetric(0.5, width=8, keep_weights=True, **settings),
        symmetry.train_one_neuron(8, **settings),
    )
    figure = symmetry_figure(trace, single, 41, "a title")
    weights, count, loss = figure.panels
    np.testing.assert_array_equal(mark(weights, Heat, "weight").values, trace.weights[0][0, 0, 2])
    assert "step 40" in weights.title
    np.testing.assert_array_equal(mark(count, Line, "layer 2: distinct").y, trace.distinct[0, 0, :, 1])
    np.testing.assert_array_equal(mark(loss, Line, "this network: loss").y, trace.loss[0, 0])
    np.testing.assert_array_equal(mark(loss, Line, "one neuron per layer: loss").y, single.loss[0, 0])
    assert len(marks(count, Line, "layer")) == 2
    assert all(
        next(m for m in panel.marks if getattr(m, "lane", False)).x.tolist() == [40, 40] for panel in (count, loss)
    )
    assert figure.reason == "a title"
    first = png(figure)
    assert first.startswith(b"\x89PNG") and png(symmetry_figure(trace, single, 0)) != first


def test_parting_draws_every_size_of_noise_that_parts():
    trace = symmetry.train_symmetric([0.0, 1e-16, 1e-3, 1e-2], seeds=2, steps=200)
    trace.gap[0] = 0.0  # as where the processor rounds all rows alike
    differences, counts, right = parting_figure({"tanh": trace}).panels
    logs = np.log10(trace.gap[2, :, :, 0]).mean(axis=0)
    np.testing.assert_allclose(mark(differences, Line, "noise 10⁻³").y, 10**logs)
    for row, line in enumerate(marks(counts, Line, "noise")):
        np.testing.assert_allclose(line.y, trace.distinct[row, :, :, 0].mean(axis=0))
    points = mark(right, Line, "tanh: step")
    np.testing.assert_allclose(points.x, [1e-3, 1e-2])
    np.testing.assert_allclose(points.y, trace.parted[2:, :, 0].mean(axis=1))
    assert right.x.labels == ("10⁻³", "10⁻²")
    assert {"10⁻¹⁶", "10⁻³", "10⁻²"} <= set(words(differences)) and {"none", "10⁻¹⁶", "10⁻³", "10⁻²"} <= set(
        words(counts)
    )
    assert "none" not in words(differences)  # 0 has no place on a logarithmic axis
    trace.gap[0] = 1e-15  # as where it does not
    assert "none" in words(parting_figure({"tanh": trace}).panels[0])
    assert repr(parting({"tanh": trace})) == "<Figure size 1280x500 with 3 Axes>"


def test_filters_draws_every_neuron_on_one_scale_a_group():
    weights = np.arange(6 * 64.0).reshape(6, 64)
    figure = filters_figure({"a": weights, "b": -weights[:3]})
    images = marks(figure, Heat)
    assert len(images) == 9 == len(filters({"a": weights, "b": -weights[:3]}).axes)
    np.testing.assert_array_equal(images[1].values, weights[1].reshape(8, 8))
    assert {(image.low, image.high) for image in images[:6]} == {(-383.0, 383.0)}
    for block, limit in zip(figure.blocks, ("3.8e+02", "1.9e+02")):
        assert f"■ {limit}" in [one for panel in block.panels for one in words(panel)]
    with pytest.raises(ValueError, match="square"):
        filters({"a": np.zeros((2, 10))})


def test_the_number_of_threads_is_left_alone():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        symmetry.train_symmetric(0.1, seeds=1, steps=2)
        assert torch.get_num_threads() == 2
        with pytest.raises(ValueError, match="lr"):
            symmetry.train_symmetric(0.1, lr=-1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
