"""LSUV: variance 1 in every layer of any model, equal to the algorithm by the letter, and nothing else changed."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from restoring import assert_same, snapshot
from torch import nn

import initviz as iv
from benchmarks.lsuv import by_the_letter, difference
from initviz._core.statistics import variance

X = torch.randn(64, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(0)) * 3 + 0.5
EMBEDDING = nn.Embedding(3, 3)
IMAGES = torch.randn(16, 3, 10, 10, generator=torch.Generator(torch.get_default_device()).manual_seed(1))


class Sine(nn.Module):
    def forward(self, z):
        return torch.sin(3 * z)


class XTanh(nn.Module):
    def forward(self, z):
        return z * torch.tanh(z)


class Maxout(nn.Module):
    """The larger of two units; it halves their number."""

    def forward(self, z):
        return torch.maximum(*z.chunk(2, dim=1))


class Square(nn.Module):
    def forward(self, z):
        return z.square()


ACTIVATIONS = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU, "selu": nn.SELU, "elu": nn.ELU,
    "softplus": nn.Softplus, "hardtanh": nn.Hardtanh, "sine": Sine, "x_tanh_x": XTanh, "maxout": Maxout, "square": Square,
}  # fmt: skip


def plain_mlp(name, depth=6, width=32):
    """`depth` hidden layers of `width` units, under any activation module."""
    wide = 2 * width if name == "maxout" else width
    layers = []
    for number in range(depth):
        layers += [nn.Linear(width if number else 8, wide), ACTIVATIONS[name]()]
    return nn.Sequential(*layers, nn.Linear(width, 5))


def plain_cnn(name, depth=4, channels=8):
    wide = 2 * channels if name == "maxout" else channels
    layers = []
    for number in range(depth):
        layers += [nn.Conv2d(channels if number else 3, wide, 3, padding=1, stride=1 + number % 2), ACTIVATIONS[name]()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(9 * channels, 5))


def measured(model, x):
    """Variance of each layer's output, by a pass of its own: float64 numpy."""
    found = {}

    def note(name):
        def hook(module, args, output):
            found[name] = output.double().numpy(force=True).var()

        return hook

    handles = [
        module.register_forward_hook(note(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found


# Variance 1 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [plain_mlp, plain_cnn])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_layer_has_variance_one_under_any_activation(name, build):
    model, x = build(name), X if build is plain_mlp else IMAGES
    trace = iv.lsuv_(model, x)
    after = measured(model, x)
    assert list(after) == [layer.name for layer in trace.layers]
    for layer, spread in zip(trace.layers, after.values()):
        assert abs(spread - 1) < trace.tol
        assert layer.variance_after == pytest.approx(spread, rel=1e-5)
        assert layer.iterations <= 1  # without a bias one division is exact
    assert trace.missed == () and trace.done == trace.layers


@settings(max_examples=25, deadline=None)
@given(
    depth=st.integers(1, 8),
    width=st.integers(16, 40),
    activation=st.sampled_from(sorted(iv.ACTIVATIONS)),
    normalization=st.sampled_from([None, "layer", "batch"]),
    skip=st.booleans(),
    batch=st.integers(16, 40),
    tol=st.sampled_from([1e-4, 0.1, 0.5]),
    seed=st.integers(0, 1000),
)
def test_variance_one_in_networks_of_every_shape(depth, width, activation, normalization, skip, batch, tol, seed):
    net = iv.mlp(depth, width, activation, normalization=normalization, skip=skip, n_in=7, n_out=3)
    x = torch.randn(batch, 7, generator=torch.Generator(torch.get_default_device()).manual_seed(seed))
    trace = iv.lsuv_(net, x, tol=tol, seed=seed)
    for layer, spread in zip(trace.layers, measured(net, x).values()):
        assert abs(spread - 1) < tol or (layer.iterations and spread == pytest.approx(1, abs=1e-4))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(4, 6, 3), (5, 4, 9)),
        (nn.Conv3d(2, 4, 2), (3, 2, 4, 4, 4)),
        (nn.Conv2d(4, 8, 3, groups=2), (3, 4, 7, 7)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), (3, 4, 5, 5)),
        (nn.Linear(4, 1), (5, 2, 4)),
    ],
)
def test_convolutions_of_every_kind(layer, shape):
    layer.double()  # GPUs take convolutions of float32 with ten bits after the point
    x = torch.randn(shape, generator=torch.Generator(torch.get_default_device()).manual_seed(0)).double() * 7
    trace = iv.lsuv_(layer, x)
    assert layer(x).var(correction=0).item() == pytest.approx(1, rel=1e-5)
    assert trace.layers[0].name == type(layer).__name__


def test_the_start_is_orthonormal():
    model = plain_mlp("tanh")
    iv.lsuv_(model, X, seed=3)
    other = iv.init_(plain_mlp("tanh"), "orthogonal", seed=3)
    for ours, start in zip(model, other):
        if isinstance(ours, nn.Linear):
            factor = (ours.weight / start.weight).detach()
            torch.testing.assert_close(factor, factor[0, 0].expand_as(factor), rtol=1e-4, atol=0)
            assert not ours.bias.any()


# By the letter -------------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.late = nn.Linear(16, 16)  # named before the layer that is called before it
        self.early = nn.Linear(8, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        h = torch.relu(self.early(x))
        return self.head(h + torch.relu(self.late(h)))


LETTER = {
    "mlp": (lambda: plain_mlp("relu"), X),
    "maxout": (lambda: plain_mlp("maxout"), X),
    "cnn": (lambda: plain_cnn("x_tanh_x"), IMAGES),
    "residual": (Residual, X),
    "normalized": (
        lambda: nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, 3)),
        X,
    ),
}


@pytest.mark.parametrize("tol", [0.1, 1e-6])
@pytest.mark.parametrize("name", LETTER)
def test_equal_to_the_algorithm_by_the_letter(name, tol):
    build, x = LETTER[name]
    ours, letter = build(), build()
    trace = iv.lsuv_(ours, x, tol=tol, seed=4)
    passes = by_the_letter(iv.init_(letter, "orthogonal", seed=4), x, tol=tol)
    assert difference(ours, letter) < 1e-5
    assert passes == len(trace.layers) + trace.recomputed
    assert trace.passes == 1


def test_layers_come_in_the_order_of_the_forward_pass():
    assert [layer.name for layer in iv.lsuv_(Residual(), X).layers] == ["early", "late", "head"]


def test_the_model_is_passed_once_and_a_layer_once_more_for_each_division():
    model = plain_mlp("relu")
    calls = {"model": 0, "layers": 0}
    forward = nn.Linear.forward

    class Counted(nn.Linear):
        def forward(self, x):
            calls["layers"] += 1
            return forward(self, x)

    for module in model:
        if isinstance(module, nn.Linear):
            module.__class__ = Counted
    handle = model.register_forward_hook(lambda *_: calls.update(model=calls["model"] + 1))
    trace = iv.lsuv_(model, X)
    handle.remove()
    assert calls == {"model": 1, "layers": 7 + trace.recomputed}
    assert trace.recomputed == 7


def test_with_a_bias_it_takes_several_tries_and_each_is_recorded():
    torch.manual_seed(0)
    layer = nn.Linear(8, 400)
    with torch.no_grad():
        layer.bias.normal_(std=0.8)
    w, b, x = (
        layer.weight.detach().double().numpy(force=True),
        layer.bias.detach().double().numpy(force=True),
        X.double().numpy(force=True),
    )
    expected = [np.var(x @ w.T + b)]
    while abs(expected[-1] - 1) >= 0.01 and len(expected) <= 10:
        w = w / math.sqrt(expected[-1])
        expected.append(np.var(x @ w.T + b))
    trace = iv.lsuv_(layer, X, tol=0.01, orthonormal=False)
    assert trace.layers[0].iterations > 2
    np.testing.assert_allclose(trace.layers[0].variances, expected, rtol=1e-4)
    np.testing.assert_allclose(layer.bias.numpy(force=True), b.astype(np.float32))


def test_a_layer_whose_bias_has_too_much_variance_is_told_not_hidden():
    layer = nn.Linear(8, 400)
    with torch.no_grad():
        layer.bias.normal_(std=2)
    trace = iv.lsuv_(nn.Sequential(layer), X, orthonormal=False, max_iter=4)
    assert trace.missed == ("0",) and trace.layers[0].iterations == 4
    assert iv.lsuv_(nn.Sequential(layer), X).missed == ()  # the paper's start has no bias


def test_tolerance_leaves_what_is_near_enough():
    model = nn.Sequential(nn.Linear(8, 8, bias=False))
    with torch.no_grad():
        model[0].weight.div_(math.sqrt(variance(model(X)) / 1.05))
    before = model[0].weight.clone()
    assert iv.lsuv_(model, X, orthonormal=False).layers[0].iterations == 0
    assert torch.equal(model[0].weight, before)
    assert iv.lsuv_(model, X, orthonormal=False, tol=0.04).layers[0].iterations == 1


def test_first_does_some_layers_and_measures_the_others():
    model, whole = plain_mlp("relu"), plain_mlp("relu")
    partly, fully = iv.lsuv_(model, X, first=2), iv.lsuv_(whole, X)
    for k, (a, b) in enumerate(zip(partly.layers, fully.layers)):
        assert a.skipped == (None if k < 2 else "not yet")
        if k < 3:
            assert a.variance_before == pytest.approx(b.variance_before)
    assert torch.equal(model[0].weight, whole[0].weight) and not torch.equal(model[4].weight, whole[4].weight)
    after = measured(model, X)
    assert [layer.variance_after for layer in partly.layers] == pytest.approx(list(after.values()))


def test_histograms_are_of_the_outputs_before_and_after():
    model = plain_mlp("relu")
    layer = iv.lsuv_(model, X, histograms=True).layers[0]
    assert layer.before.std**2 == pytest.approx(layer.variance_before)
    assert layer.after.std**2 == pytest.approx(layer.variance_after) == pytest.approx(1)
    assert layer.after.max == pytest.approx(model[0](X).max().item())


# What is left as it was, and why ----------------------------------------------------------------------------------------------


class Tied(nn.Module):
    """An embedding whose weight is the head's, as language models have it; a transformer block in between."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 11)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(self.block(self.embedding(tokens)))


class Recurrent(nn.Module):
    """A loop from a state of zeros: the first call of `state` says nothing about its scale."""

    def __init__(self):
        super().__init__()
        self.into, self.state = nn.Linear(8, 16), nn.Linear(16, 16)

    def forward(self, x):
        h = torch.zeros(len(x), 16)
        for _ in range(3):
            h = torch.tanh(self.into(x) + self.state(h))
        return h


class Twins(nn.Module):
    """Two layers with one weight, as autoencoders have it."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


class Spare(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.spare = nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x):
        return self.used(x)


def skipped(trace):
    return {layer.name: layer.skipped for layer in trace.layers if layer.skipped}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_weight_that_an_embedding_has_too_is_left(training):
    model = Tied().train(training)
    kept = {n: p.clone() for n, p in model.named_parameters()}
    trace = iv.lsuv_(model, torch.arange(44).reshape(4, 11) % 11)
    assert skipped(trace) == {"head": "has the weight of embedding"}
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, kept[n])}
    assert changed == {f"block.linear{n}.{part}" for n in (1, 2) for part in ("weight", "bias")}
    assert [layer.variance_after for layer in trace.done] == pytest.approx([1, 1])


def test_of_calls_with_one_weight_the_first_that_says_something_decides():
    model = Recurrent()
    trace = iv.lsuv_(model, X)
    assert [layer.name for layer in trace.layers] == ["into", "state", "into#2", "state#2", "into#3", "state#3"]
    assert skipped(trace) == {
        "state": "its output has variance 0",
        "into#2": "its first call decides",
        "into#3": "its first call decides",
        "state#3": "its first call decides",
    }
    assert [layer.variance_after for layer in trace.done] == pytest.approx([1, 1])
    twins = iv.lsuv_(Twins(), X)
    assert skipped(twins) == {"b": "has the weight of a"}
    assert twins.layers[1].variance_after != pytest.approx(1, abs=0.1)


def test_frozen_computed_unreached_and_named_layers_are_left():
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)),
        nn.Linear(8, 8).requires_grad_(False),
        nn.Linear(8, 8),
        nn.Linear(8, 8),
    )
    kept = {n: p.clone() for n, p in model.named_parameters()}
    trace = iv.lsuv_(model, X, skip=["2"])
    assert skipped(trace) == {
        "0": "its weight is computed from other parameters", "1": "its weight is frozen", "2": "left out"
    }  # fmt: skip
    assert {n for n, p in model.named_parameters() if not torch.equal(p, kept[n])} == {"3.weight", "3.bias"}
    spare = Spare()
    before = spare.spare.weight.clone()
    trace = iv.lsuv_(spare, X)
    assert skipped(trace) == {"spare": "the batch never gets to it"}
    assert torch.equal(spare.spare.weight, before) and math.isnan(trace.layers[1].variance_after)
    assert "the batch never gets to it" in str(trace)


def test_a_frozen_bias_is_kept_and_worked_around():
    layer = nn.Linear(8, 50)
    layer.bias.requires_grad_(False).copy_(torch.linspace(-1, 1, 50))
    kept = layer.bias.clone()
    trace = iv.lsuv_(layer, X, tol=0.01)
    assert torch.equal(layer.bias, kept) and trace.layers[0].iterations > 1
    assert trace.layers[0].variance_after == pytest.approx(1, abs=0.01)


def test_the_trace_as_a_table():
    frame = iv.lsuv_(Twins(), X).to_frame()
    assert list(frame.columns) == ["name", "kind", "before", "after", "iterations", "skipped"]
    assert frame.skipped.tolist() == ["", "has the weight of a"] and frame.iterations.tolist() == [1, 0]


# Nothing else is changed -----------------------------------------------------------------------------------------------------


def busy():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Dropout(0.5), nn.Linear(24, 6), nn.Linear(6, 3)
    )  # fmt: skip
    for number, parameter in enumerate(model.parameters()):
        if number % 2:
            parameter.grad = torch.ones_like(parameter)
    return model


SIGNALS = torch.randn(8, 2, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(2))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_only_weights_and_biases_change(training):
    model, x = busy().train(training), SIGNALS.clone()
    before = snapshot(model)
    trace = iv.lsuv_(model, x)
    after = snapshot(model)
    assert torch.equal(x, SIGNALS)
    done = {f"{layer.name}.{part}" for layer in trace.done for part in ("weight", "bias")}
    assert done == {f"{n}.{part}" for n in (0, 5, 6) for part in ("weight", "bias")}
    assert not torch.equal(before["state"]["5.weight"], after["state"]["5.weight"])
    for name in done:
        before["state"][name] = after["state"][name]
    assert_same(before, after)


def test_dropout_in_training_mode_is_seeded():
    one, two, three = busy(), busy(), busy()
    iv.lsuv_(one, SIGNALS, seed=1), iv.lsuv_(two, SIGNALS, seed=1), iv.lsuv_(three, SIGNALS, seed=2)
    assert difference(one, two) == 0 < difference(one, three)


class Dead(nn.Module):
    def forward(self, x):
        return torch.relu(-1e9 - x)


class Overflow(nn.Module):
    def forward(self, x):
        return x * 1e38 * 1e38


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Dead(), "^model: the output of layer '9' has variance 0 .*skip=\\['9'\\]"),
        (Overflow(), "^model: the output of layer '9' is not finite"),
    ],
    ids=["zero", "infinite"],
)
def test_a_layer_that_no_factor_helps_is_one_error_and_the_model_is_as_before(broken, message):
    model = nn.Sequential(*busy(), nn.Linear(3, 3), broken, nn.Linear(3, 2))
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        iv.lsuv_(model, SIGNALS)
    assert_same(before, snapshot(model))
    assert iv.lsuv_(model, SIGNALS, skip=["9"]).layers[-1].skipped == "left out"
    trace = iv.lsuv_(model, SIGNALS, strict=False)
    assert [bool(layer.skipped) for layer in trace.layers] == [False] * 4 + [True]
    assert re.search("variance 0|not finite", trace.layers[-1].skipped) and trace.missed == ()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_an_error_in_the_model_itself_leaves_it_as_it_was(kind):
    class Breaks(nn.Module):
        def forward(self, x):
            raise kind("stop")

    model = nn.Sequential(*busy(), Breaks())
    before = snapshot(model)
    with pytest.raises(ValueError if kind is RuntimeError else kind, match="stop"):
        iv.lsuv_(model, SIGNALS)
    assert_same(before, snapshot(model))


def test_hooks_of_the_user_see_the_corrected_output():
    model, seen = plain_mlp("relu"), []
    handle = model[2].register_forward_hook(lambda m, a, out: seen.append(out.var(correction=0).item()))
    iv.lsuv_(model, X)
    handle.remove()
    assert seen == pytest.approx([1])


@pytest.mark.parametrize("how", ["in place", "a part"])
def test_a_model_that_is_compiled_in_place_or_in_part(how):
    def inner():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))

    plain = nn.Sequential(inner())
    compiled = nn.Sequential(inner() if how == "in place" else torch.compile(inner(), backend="eager"))
    if how == "in place":
        compiled.compile(backend="eager")
    x = torch.randn(32, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    iv.lsuv_(plain, x), iv.lsuv_(compiled, x)
    for a, b in zip(plain.parameters(), compiled.parameters(), strict=True):
        assert torch.equal(a, b)


def test_it_works_under_inference_mode_and_on_a_compiled_model():
    model, expected = plain_mlp("relu"), plain_mlp("relu")
    iv.lsuv_(expected, X)
    with torch.inference_mode():
        iv.lsuv_(model, X)
    assert difference(model, expected) == 0
    wrapped = plain_mlp("relu")
    iv.lsuv_(torch.compile(wrapped), X)
    assert difference(wrapped, expected) == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_precisions(dtype):
    net = iv.mlp(5, 32, "gelu", dtype=dtype)
    trace = iv.lsuv_(
        net, torch.randn(64, 64, generator=torch.Generator(torch.get_default_device()).manual_seed(0)), tol=0.02
    )
    assert all(layer.variance_after == pytest.approx(1, abs=0.02) for layer in trace.layers)


def test_batches_of_several_tensors():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 4), nn.Linear(8, 4)

        def forward(self, left, right):
            return self.a(left) + self.b(right)

    for x in ((X, 2 * X), {"left": X, "right": 2 * X}):
        model = Two()
        assert [layer.variance_after for layer in iv.lsuv_(model, x).layers] == pytest.approx([1, 1])


# Bad input -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda m: iv.lsuv_("model", X), TypeError, "^model: got str"),
        (lambda m: iv.lsuv_(nn.ReLU(), X), ValueError, "^model: has no layer"),
        (lambda m: iv.lsuv_(EMBEDDING, torch.tensor([1])), ValueError, "^model: has no linear or convolution"),
        (lambda m: iv.lsuv_(nn.LazyLinear(3), X), ValueError, "^model: .* is lazy"),
        (lambda m: iv.lsuv_(m, X[:0]), ValueError, "^x: a batch of shape \\(0, 8\\) is empty"),
        (lambda m: iv.lsuv_(m, "batch"), TypeError, "^x: got str"),
        (lambda m: iv.lsuv_(m, X[:, :3]), ValueError, r"^x: a batch of shape \(64, 3\) does not fit the model"),
        (lambda m: iv.lsuv_(m, torch.zeros(5, 8)), ValueError, "^model: the output of layer '0' has variance 0"),
        (lambda m: iv.lsuv_(m, X * math.nan), ValueError, "^model: the output of layer '0' is not finite"),
        (lambda m: iv.lsuv_(m, X, tol=-0.1), ValueError, "^tol: got -0.1"),
        (lambda m: iv.lsuv_(m, X, tol="little"), TypeError, "^tol: got str"),
        (lambda m: iv.lsuv_(m, X, max_iter=0), ValueError, "^max_iter: got 0"),
        (lambda m: iv.lsuv_(m, X, max_iter=2.0), TypeError, "^max_iter: got float"),
        (lambda m: iv.lsuv_(m, X, seed=-1), ValueError, "^seed: got -1"),
        (lambda m: iv.lsuv_(m, X, first=-1), ValueError, "^first: got -1"),
        (lambda m: iv.lsuv_(m, X, skip=["hed"]), ValueError, "^skip: 'hed' is unknown"),
        (lambda m: iv.lsuv_(m, X, skip=[3]), TypeError, "^skip: got int"),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_changes(call, kind, message):
    model = plain_mlp("relu", depth=2)
    before = snapshot(model)
    with pytest.raises(kind, match=message):
        call(model)
    assert_same(before, snapshot(model))


def test_a_constant_output_is_an_error():
    model = nn.Sequential(nn.Linear(8, 1))
    with pytest.raises(ValueError, match="^model: the output of layer '0' has variance 0"):
        iv.lsuv_(model, torch.ones(1, 8))


# As a scheme -----------------------------------------------------------------------------------------------------------------


def test_the_scheme_needs_a_batch_and_the_explorers_measurement_has_one():
    with pytest.raises(ValueError, match="^scheme: 'lsuv' takes its scale from a batch x; .* call iv.lsuv_"):
        iv.init_(plain_mlp("relu"), "LSUV")
    measurement = iv.measure(depth=20, width=64, activation="sine", scheme="lsuv")
    spread = measurement.report.values("preactivation", "std") ** 2
    assert np.abs(spread - 1).max() < 0.1 and measurement.prediction is None
    assert measurement.verdict.kind == "stable"
    doubled = iv.measure(measurement.settings, scale=2.0).report.values("weight", "std")
    np.testing.assert_allclose(doubled, 2 * measurement.report.values("weight", "std"), rtol=1e-5)


def test_the_explorers_code_does_what_it_measures():
    from initviz.widgets._code import code

    settings = iv.experiments.Settings(depth=5, width=16, activation="sine", scheme="lsuv", scale=1.5, bias_std=0.3)
    names = {}
    exec("\n".join(line for line in code(settings).splitlines() if not line.startswith(("print", "iv.plots"))), names)
    expected = iv.measure(settings).report.values("activation", "std")
    np.testing.assert_allclose(names["report"].values("activation", "std"), expected, rtol=1e-5)


def test_a_network_that_dies_on_the_way_is_measured_not_refused():
    assert iv.measure(depth=200, width=8, activation="relu", scheme="lsuv").report.layers
