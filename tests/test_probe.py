"""The probe against float64 numpy, on every kind of model it promises to take, and the model afterwards."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from restoring import assert_same, snapshot
from test_moments import assert_stats_equal_numpy
from torch import nn

import initviz as iv
from initviz.inspection import QUANTITIES

# Statistics against numpy ------------------------------------------------------------------------------------------------


def reference(net, x, y):
    """Every tensor of an MLP's pass, kept: pre-activations and activations with their gradients, weights with theirs."""
    kept = {quantity: [] for quantity in QUANTITIES}
    h = None
    a = x
    for number, (linear, norm) in enumerate(zip(net.hidden, net.norms)):
        h = linear(a) + h if net.skip and number else linear(a)
        z = norm(h)
        a = net.activation.activation.function(z)
        kept["preactivation"].append(z)
        kept["activation"].append(a)
    logits = net.output(a)
    kept["preactivation"].append(logits)
    for tensor in kept["preactivation"] + kept["activation"]:
        tensor.retain_grad()
    F.cross_entropy(logits, y).backward()
    kept["preactivation_gradient"] = [t.grad for t in kept["preactivation"]]
    kept["activation_gradient"] = [t.grad for t in kept["activation"]]
    kept["weight"] = [layer.weight for layer in [*net.hidden, net.output]]
    kept["weight_gradient"] = [w.grad for w in kept["weight"]]
    return kept


@settings(max_examples=25, deadline=None)
@given(
    depth=st.integers(1, 6),
    width=st.integers(1, 40),
    activation=st.sampled_from(sorted(iv.ACTIVATIONS)),
    scheme=st.sampled_from(
        ["small_normal", "he_normal", "xavier_uniform", "orthogonal", "pytorch_default", "constant"]
    ),
    scale=st.sampled_from([1e-6, 0.3, 1.0, 3.0]),
    normalization=st.sampled_from([None, "layer", "batch"]),
    skip=st.booleans(),
    batch=st.integers(2, 30),
    seed=st.integers(0, 1000),
)
def test_statistics_equal_float64_numpy(depth, width, activation, scheme, scale, normalization, skip, batch, seed):
    net = iv.mlp(
        depth,
        width,
        activation,
        scheme,
        scale=scale,
        normalization=normalization,
        skip=skip,
        n_in=7,
        n_out=3,
        seed=seed,
    )
    generator = torch.Generator(torch.get_default_device()).manual_seed(seed)
    x, y = torch.randn(batch, 7, generator=generator), torch.randint(3, (batch,), generator=generator)
    report = iv.probe(net, x, y)
    kept = reference(net, x, y)
    assert len(report.layers) == depth + 1
    for quantity, tensors in kept.items():
        for stats, tensor in zip(report.stats(quantity), tensors):
            assert_stats_equal_numpy(stats, tensor)
    assert all(layer.activation_name == activation for layer in report.layers[:-1])
    assert report.layers[-1].activation is None


# Models of every kind ----------------------------------------------------------------------------------------------------


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean(dim=(2, 3)))


class Halves(nn.Linear):
    """Two outputs of one function, as cuDNN's LSTM has them: where one is used, the hook on the other is called with None."""

    def forward(self, x):
        return super().forward(x).chunk(2, dim=1)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(8, 8)

    def forward(self, x):
        for _ in range(3):
            x = torch.tanh(self.cell(x))
        return x


class FrozenBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Linear(8, 8), nn.ReLU(inplace=True))
        self.backbone.requires_grad_(False)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.backbone(x))


def inplace():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Linear(16, 3))


def batchnorm():
    return nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(24, 3)
    )


def test_functional_activation_is_found():
    layer = iv.probe(Functional(), torch.randn(5, 1, 6, 6)).layers[0]
    assert layer.activation_name == "relu"
    assert layer.units == 4 and 0.2 < layer.activation.zeros < 0.8
    assert layer.fan_in == 9


def test_in_place_activation_leaves_the_pre_activation_measured():
    torch.manual_seed(0)
    x = torch.randn(5, 8)
    model = inplace()
    with torch.no_grad():
        z = model[0](x)
    layer = iv.probe(model, x).layers[0]
    assert_stats_equal_numpy(layer.preactivation, z)
    assert_stats_equal_numpy(layer.activation, z.relu())
    out_of_place = nn.Sequential(model[0], nn.ReLU(), model[2])
    other = iv.probe(out_of_place, x).layers[0]
    assert other.preactivation_gradient.second_moment == layer.preactivation_gradient.second_moment
    assert other.activation_gradient.second_moment == layer.activation_gradient.second_moment


def test_shared_module_has_a_row_for_each_call():
    report = iv.probe(Shared(), torch.randn(5, 8))
    assert [layer.name for layer in report.layers] == ["cell", "cell#2", "cell#3"]
    assert report.values("activation", "std")[0] != report.values("activation", "std")[2]


def test_frozen_layers_show_gradients_of_activations_but_none_of_weights():
    report = iv.probe(FrozenBackbone(), torch.randn(5, 8))
    frozen = report.layers[0]
    assert frozen.preactivation_gradient.rms > 0 and frozen.weight_gradient is None
    assert report.layers[-1].weight_gradient.rms > 0


def test_batch_normalization_comes_before_the_pre_activation():
    layer = iv.probe(batchnorm(), torch.randn(64, 2, 8)).layers[0]
    assert layer.preactivation.rms == pytest.approx(1, rel=0.01)


def test_unreached_layer_is_listed_last_with_its_weight():
    model = inplace()
    model.spare = None
    model = nn.ModuleDict({"used": nn.Linear(8, 3), "unused": nn.Linear(3, 3)})
    model.forward = lambda x: model["used"](x)
    report = iv.probe(model, torch.randn(5, 8))
    assert [layer.name for layer in report.layers] == ["used", "unused"]
    assert len(report.reached) == 1 and report.layers[1].weight.rms > 0
    assert "not reached" in str(report)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    net = iv.mlp(5, 32, "tanh", "xavier_normal", dtype=dtype)
    report = iv.probe(net, torch.randn(16, 64), torch.zeros(16, dtype=torch.long))
    full = iv.probe(
        net.float(), torch.randn(16, 64, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    )
    assert report.dtype == dtype
    np.testing.assert_allclose(report.values("activation", "std")[:3], full.values("activation", "std")[:3], rtol=0.3)


def test_half_precision_overflow_is_counted():
    net = iv.mlp(30, 32, "relu", "he_normal", scale=4, dtype="float16")
    report = iv.probe(net, torch.randn(16, 64), torch.zeros(16, dtype=torch.long))
    assert np.nanmax(report.values("activation", "nonfinite")) > 0
    assert iv.verdict(report).kind == "non-finite"


@pytest.mark.parametrize("used", [0, 1])
def test_of_two_outputs_of_one_function_the_loss_may_use_one(used):
    model, x = Halves(8, 6), torch.randn(5, 8)
    layer = iv.probe(model, x, loss=lambda output, _: output[used].sum()).layers[0]
    assert layer.preactivation_gradient.min == layer.preactivation_gradient.max == 1
    assert layer.weight_gradient.zeros == pytest.approx(0.5)


def test_half_precision_model_given_a_float32_batch_is_refused_in_one_line():
    with pytest.raises(ValueError, match="^x: a batch of shape"):
        iv.probe(inplace().half(), torch.randn(5, 8))


def test_batch_of_one():
    assert iv.probe(inplace(), torch.randn(1, 8)).batch_size == 1
    with pytest.raises(ValueError, match=r"^x: .*more than 1 value per channel"):
        iv.probe(nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)), torch.randn(1, 8))


def test_dict_and_tuple_batches_and_the_models_own_loss():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, left, right):
            out = self.a(left) + self.b(right)
            return {"loss": out.square().mean(), "logits": out}

    model, left, right = Model(), torch.randn(3, 4), torch.randn(3, 4)
    by_name = iv.probe(model, {"left": left, "right": right})
    by_place = iv.probe(model, (left, right))
    assert by_name.loss == by_place.loss == pytest.approx(model(left, right)["loss"].item())


def test_loss_is_what_it_says():
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    x, classes, values = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2]), torch.randn(6, 3)
    assert iv.probe(model, x, classes).loss == pytest.approx(F.cross_entropy(model(x), classes).item())
    assert iv.probe(model, x, values).loss == pytest.approx(F.mse_loss(model(x), values).item())
    assert iv.probe(model, x, values, loss=F.l1_loss).loss == pytest.approx(F.l1_loss(model(x), values).item())
    per_token = iv.probe(model, torch.randn(2, 5, 4), torch.zeros(2, 5, dtype=torch.long))
    assert per_token.batch_size == 2


def test_works_under_no_grad_and_inference_mode():
    model, x = inplace(), torch.randn(5, 8)
    expected = iv.probe(model, x).values("preactivation_gradient", "rms")
    with torch.no_grad():
        np.testing.assert_array_equal(iv.probe(model, x).values("preactivation_gradient", "rms"), expected)
    with torch.inference_mode():
        np.testing.assert_array_equal(iv.probe(model, x).values("preactivation_gradient", "rms"), expected)


def test_dropout_is_seeded():
    model, x = batchnorm(), torch.randn(8, 2, 8)
    assert iv.probe(model, x, seed=1).loss == iv.probe(model, x, seed=1).loss != iv.probe(model, x, seed=2).loss


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch", [1, 8])
def test_units_of_half_precision_are_not_called_the_same_for_being_many(dtype, batch):
    x, y = iv.digits().batch(batch)
    for seed in range(4):
        sound = iv.mlp(4, 512, "tanh", "xavier_normal", seed=seed).to(dtype)
        assert iv.verdict(iv.probe(sound, x.to(dtype), y)).kind == "stable"
    constant = iv.mlp(4, 512, "tanh", "constant").to(dtype)
    report = iv.probe(constant, x.to(dtype), y)
    assert [layer.distinct_units for layer in report.layers[:-1]] == [1] * 4 and iv.verdict(report).kind == "symmetric"


def test_units_of_a_convolution_without_a_batch_axis_are_all_counted():
    report = iv.probe(nn.Sequential(nn.Conv2d(1, 12, 3), nn.Tanh()), torch.randn(1, 6, 6))
    assert (report.layers[0].units, report.layers[0].distinct_units) == (12, 12)


def test_distinct_and_dead_units():
    constant = iv.probe(iv.mlp(3, 16, "relu", "constant"), torch.rand(8, 64))
    assert [layer.distinct_units for layer in constant.layers[:3]] == [1, 1, 1]
    sound = iv.probe(iv.mlp(3, 16, "relu", "he_normal"), torch.randn(8, 64))
    assert [layer.distinct_units for layer in sound.layers[:3]] == [16, 16, 16]
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].bias[:3] = -1e3
        model[0].bias[3] = 1e3
    assert iv.probe(model, torch.randn(8, 4)).layers[0].dead_units == 0.75


# Bad input ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda m, x: iv.probe("model", x), TypeError, "^model: got str"),
        (lambda m, x: iv.probe(nn.ReLU(), x), ValueError, "^model: has no layer"),
        (lambda m, x: iv.probe(nn.LazyLinear(3), x), ValueError, "^model: .* is lazy"),
        (lambda m, x: iv.probe(m, x[:0]), ValueError, "^x: .* is empty"),
        (lambda m, x: iv.probe(m, "batch"), TypeError, "^x: got str"),
        (lambda m, x: iv.probe(m, x[:, :3]), ValueError, r"^x: a batch of shape \(5, 3\) does not fit the model"),
        (lambda m, x: iv.probe(m, x, torch.zeros(4, dtype=torch.long)), ValueError, r"^y: shape \(4,\) does not fit"),
        (lambda m, x: iv.probe(m, x, torch.full((5,), 3)), ValueError, "^y: has class 3; .* 0 to 2"),
        (lambda m, x: iv.probe(m, x, torch.zeros(5, 2)), ValueError, "^y: shape"),
        (lambda m, x: iv.probe(m, x, [1, 2]), TypeError, "^y: got list"),
        (lambda m, x: iv.probe(m, x, loss=lambda o, y: o), ValueError, r"^loss: gave a tensor of shape \(5, 3\)"),
        (lambda m, x: iv.probe(m, x, loss=lambda o, y: 1.0), TypeError, "^loss: gave float"),
        (lambda m, x: iv.probe(m, x, loss=lambda o, y: o.detach().sum()), ValueError, "^loss: no parameter"),
        (lambda m, x: iv.probe(m, x, loss="mse"), TypeError, "^loss: got str"),
        (lambda m, x: iv.probe(m, x, bins=0), ValueError, "^bins: got 0"),
        (lambda m, x: iv.probe(m, x, seed=-1), ValueError, "^seed: got -1"),
        (lambda m, x: iv.probe(m, x).values("weights", "std"), ValueError, "^quantity: 'weights' is unknown"),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_changes(call, kind, message):
    model, x = inplace(), torch.randn(5, 8)
    before = snapshot(model)
    with pytest.raises(kind, match=message):
        call(model, x)
    assert_same(before, snapshot(model))
