"""Wrong arguments of every public function: one clear error that names the argument, and nothing changed. And every name explained."""

import ast
import inspect
import math
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from restoring import assert_same, snapshot
from torch import nn

import initviz as iv
from initviz._core.arguments import look_up, real_number, seed_numbers, several, switch, whole_number

TABLE = {"he_normal": 1, "he_uniform": 2, "xavier_normal": 3}


# The three helpers -------------------------------------------------------------------------------------------------------


def test_look_up_by_name_and_alias():
    assert look_up("scheme", "he_normal", TABLE) == 1
    assert look_up("scheme", "kaiming", TABLE, {"kaiming": "he_normal"}) == 1


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("he_norml", ValueError, "^scheme: 'he_norml' is unknown; did you mean 'he_normal' or "),
        ("HE_NORMAL", ValueError, "did you mean 'he_normal'"),
        ("kaimin", ValueError, "did you mean 'kaiming'"),
        ("qqq", ValueError, "^scheme: 'qqq' is unknown; it takes one of he_normal, he_uniform, xavier_normal$"),
        ("", ValueError, "it takes one of"),
        (3, TypeError, "^scheme: got int 3; it takes a name, one of he_normal"),
        (None, TypeError, "^scheme: got NoneType"),
        (["he_normal"], TypeError, "^scheme: got list"),
    ],
)
def test_an_unknown_name_lists_the_near_ones(name, kind, message):
    with pytest.raises(kind, match=message):
        look_up("scheme", name, TABLE, {"kaiming": "he_normal", "gone": "not in the table"})


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_whole_numbers(value):
    assert whole_number("depth", value) == 3 and type(whole_number("depth", value)) is int


@pytest.mark.parametrize(
    ("value", "least", "kind", "message"),
    [
        (0, 1, ValueError, "^depth: got 0; it takes a whole number of at least 1$"),
        (-5, 0, ValueError, "^depth: got -5; it takes a whole number of at least 0$"),
        (2.0, 1, TypeError, "^depth: got float 2.0"),
        (True, 0, TypeError, "^depth: got bool True"),
        ("3", 1, TypeError, "^depth: got str '3'"),
        (None, 1, TypeError, "^depth: got NoneType"),
        (np.float64(2), 1, TypeError, "^depth: got float64"),
        (np.array([1, 2]), 1, TypeError, "^depth: got ndarray"),
        (torch.tensor(2.5), 1, TypeError, "^depth: got Tensor"),
        (torch.ones(9, 9), 1, TypeError, "^depth: got Tensor; it takes a whole number"),
        (torch.ones(1, device="meta"), 1, TypeError, "^depth: got Tensor"),
        ("a\nb" * 50, 1, TypeError, "^depth: got str; it takes"),
        (10**30, 1, ValueError, r"^depth: got about 2\^100; it takes a whole number of at least 1 and below 2\^63$"),
        (-(10**30), 1, ValueError, r"^depth: got about -2\^100; it takes a whole number of at least 1$"),
    ],
)
def test_what_is_no_whole_number(value, least, kind, message):
    with pytest.raises(kind, match=message):
        whole_number("depth", value, least)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), torch.tensor(2.0), np.int64(2)])
def test_real_numbers(value):
    assert real_number("scale", value) == 2.0 and type(real_number("scale", value)) is float


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (-0.1, ValueError, "^scale: got -0.1; it takes a finite number of at least 0$"),
        (math.nan, ValueError, "^scale: got nan"),
        (math.inf, ValueError, "^scale: got inf"),
        (-math.inf, ValueError, "^scale: got -inf"),
        (10**400, ValueError, "^scale: got inf"),
        ("2", TypeError, "^scale: got str '2'"),
        (True, TypeError, "^scale: got bool"),
        (None, TypeError, "^scale: got NoneType"),
        (1j, TypeError, "^scale: got complex"),
        (np.array([1.0]), TypeError, "^scale: got ndarray"),
        (np.True_, TypeError, "^scale: got bool"),
        (torch.ones(2), TypeError, "^scale: got Tensor"),
        ([1.0], TypeError, "^scale: got list"),
    ],
)
def test_what_is_no_real_number(value, kind, message):
    with pytest.raises(kind, match=message):
        real_number("scale", value)


def test_a_number_that_python_does_not_print():
    with pytest.raises(ValueError, match=r"^depth: got about 2\^16610; it takes"):
        whole_number("depth", 10**5000)
    with pytest.raises(TypeError, match="^scheme: got int; it takes a name"):
        look_up("scheme", 10**5000, TABLE)


@pytest.mark.parametrize("value", [True, 1, np.True_, np.int64(1)])
def test_switches(value):
    assert switch("skip", value) is True and switch("skip", 1 - int(value)) is False


@pytest.mark.parametrize("value", ["no", "", None, 2, -1, 1.0, [], np.ones(1, dtype=bool), math.nan])
def test_what_is_no_switch(value):
    with pytest.raises(TypeError, match="^skip: got .*; it takes True or False$"):
        switch("skip", value)


SWITCHES = {
    "skip": [lambda v: iv.mlp(2, 4, skip=v), lambda v: iv.cnn(2, 4, skip=v), lambda v: iv.measure(skip=v),
             lambda v: iv.theory.predict([4, 4, 4], "relu", 1.0, skip=v)],
    "causal": [lambda v: iv.transformer(1, 4, 1, causal=v)],
    "qk_norm": [lambda v: iv.transformer(1, 4, 1, qk_norm=v), lambda v: iv.experiments.attention_run(qk_norm=v)],
    "orthonormal": [lambda v: iv.lsuv_(network(), X, orthonormal=v)],
    "strict": [lambda v: iv.lsuv_(network(), X, strict=v)],
    "histograms": [lambda v: iv.lsuv_(network(), X, histograms=v)],
    "progress": [lambda v: iv.train(iv.mlp(1, 4), iv.digits(), progress=v), lambda v: iv.race({"a": "he_normal"}, progress=v),
                 lambda v: iv.sweep({"depth": 1}, progress=v), lambda v: iv.transfer(progress=v)],
    "vectorize": [lambda v: iv.race({"a": "he_normal"}, vectorize=v), lambda v: iv.sweep({"depth": 1}, vectorize=v)],
    "tune": [lambda v: iv.transfer(tune=v)],
    "tied": [lambda v: iv.experiments.first_losses([0.1], tied=v)],
    "keep_weights": [lambda v: iv.experiments.train_symmetric(keep_weights=v)],
    "wide": [lambda v: iv.theory.predict_first_loss(1.0, 4, wide=v)],
    "offline": [lambda v: iv.models.public_model("gpt2", offline=v)],
    "log_x": [lambda v: iv.plots.curves_figure([1], {"a": [1]}, title="", xlabel="", log_x=v)],
    "percent": [lambda v: iv.plots.groups_figure({"a": {"b": [1]}}, title="", percent=v)],
}  # fmt: skip


@pytest.mark.parametrize("name", SWITCHES)
def test_a_word_is_no_switch(name):
    """ "no" is as true as "yes" to Python."""
    for call in SWITCHES[name]:
        with pytest.raises(TypeError, match=f"^{name}: got str 'no'; it takes True or False$"):
            call("no")


@pytest.mark.parametrize("seeds", [20261127, 10_001, range(10**12), torch.tensor(10**9), list(range(10_001))])
def test_seeds_without_an_end_were_meant_as_one(seeds):
    with pytest.raises(ValueError, match="^seeds: got more than 10,000") as caught:
        iv.race({"a": "he_normal"}, seeds=seeds)
    assert ("alone is [20261127]" in str(caught.value)) == (type(seeds) is int and seeds == 20261127)


def test_lists_and_seeds():
    assert several("skip", "one") == ("one",) and several("skip", {"one"}) == ("one",) and several("skip", ()) == ()
    assert seed_numbers(3) == seed_numbers(np.int64(3)) == seed_numbers(torch.tensor(3)) == (0, 1, 2)
    assert seed_numbers([4, 2]) == seed_numbers(np.array([4, 2])) == seed_numbers(torch.tensor([4, 2])) == (4, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: several("skip", 5), "^skip: got int 5; it takes a list"),
        (lambda m: several("skip", None), "^skip: got NoneType None; it takes a list"),
        (lambda m: seed_numbers("abc"), "^seeds: got str 'abc'; it takes a whole number"),
        (lambda m: seed_numbers([1.5]), "^seeds: got float 1.5"),
        (lambda m: seed_numbers(None), "^seeds: got NoneType"),
        (lambda m: iv.probe(m, X, quantities=5), "^quantities: got int 5"),
        (lambda m: iv.lsuv_(m, X, skip=5), "^skip: got int 5"),
        (lambda m: iv.assert_stable(m, X, allow=None), "^allow: got NoneType"),
        (lambda m: iv.train(m, iv.digits(), snapshots=5), "^snapshots: got int 5"),
        (lambda m: iv.train(m, None), "^data: got NoneType; it takes a data set"),
        (lambda m: iv.race({"a": "he_normal"}, "digits"), "^data: got str; it takes a data set"),
        (lambda m: iv.race({"a": "he_normal"}, seeds=2.0), "^seeds: got float"),
        (lambda m: iv.training.few_labels(3, 1), "^data: got int; it takes a data set"),
    ],
)
def test_what_is_no_list_and_no_data_set(call, message):
    refused(call, TypeError, message)


def test_an_unknown_argument_is_told_by_the_function_that_was_called():
    with pytest.raises(TypeError, match=r"^race\(\) got an unexpected keyword argument 'step'"):
        iv.race({"a": "he_normal"}, step=3)


@pytest.mark.parametrize(
    "function",
    [iv.race, iv.growth, iv.experiments.stream_growth, iv.train, iv.measure, iv.theory.phase_diagram, iv.probe],
)
def test_a_docstring_says_what_comes_back(function):
    assert "Returns:\n" in function.__doc__


def test_no_seeds_and_one_allowed_kind():
    with pytest.raises(ValueError, match="^seeds: got none"):
        seed_numbers([])
    iv.assert_stable(iv.mlp(30, 64, "relu", "pytorch_default"), iv.digits().batch(64)[0], allow="vanishing")


# Bad input, line by line: everywhere it can come in ----------------------------------------------------------------------

X = torch.randn(6, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(0))


def network():
    return nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


UNKNOWN = [
    (lambda m: iv.mlp(2, 4, "rleu"), "activation", "'relu'"),
    (lambda m: iv.mlp(2, 4, scheme="he_norml"), "scheme", "'he_normal'"),
    (lambda m: iv.mlp(2, 4, normalization="bach"), "normalization", "'batch'"),
    (lambda m: iv.mlp(2, 4, dtype="flaot32"), "dtype", "'float32'"),
    (lambda m: iv.init_(m, "glorot_unifrm"), "scheme", "'glorot_uniform'"),
    (lambda m: iv.init_(m, "he_normal", activation="leeky_relu"), "activation", "'leaky_relu'"),
    (lambda m: iv.measure(activation="sigmiod"), "activation", "'sigmoid'"),
    (lambda m: iv.measure(data="digit"), "data", "'digits'"),
    (lambda m: iv.measure(precision="bfloat61"), "precision", "'bfloat16'"),
    (lambda m: iv.measure(depht=3), "settings", "'depth'"),
    (lambda m: iv.datasets.get_dataset("mnist"), "data", "'mnist1d'"),
    (lambda m: iv.probe(m, X, quantities=["activations"]), "quantities", "'activation'"),
    (lambda m: iv.probe(m, X, quantities="weigth"), "quantities", "'weight'"),
    (lambda m: iv.probe(m, X).stats("gradient"), "quantity", "gradient'"),
    (lambda m: iv.theory.variance_map(1.0, "thanh", 1.0), "activation", "'tanh'"),
]


@pytest.mark.parametrize(("call", "argument", "near"), UNKNOWN, ids=[f"{a}-{n}" for n, (_, a, _) in enumerate(UNKNOWN)])
def test_unknown_names_list_the_near_ones(call, argument, near):
    refused(call, ValueError, rf"^{argument}: .* is unknown; did you mean .*{near}")


SIZES = [(n, v) for n in ("depth", "width") for v in (0, -1, -100)]


@pytest.mark.parametrize(("argument", "value"), SIZES)
def test_depth_and_width_of_zero_or_less(argument, value):
    message = f"^{argument}: got {value}; it takes a whole number of at least 1"
    refused(lambda m: iv.mlp(**({"depth": 2, "width": 4} | {argument: value})), ValueError, message)
    refused(lambda m: iv.measure(**{argument: value}), ValueError, message)
    refused(lambda m: iv.experiments.Settings(**{argument: value}), ValueError, message)
    with pytest.raises(TypeError, match=f"^{argument}: got float"):
        iv.experiments.Settings(**{argument: float(value)})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_a_scale_that_is_not_finite_or_negative(value):
    message = f"^scale: got {value:g}"
    refused(lambda m: iv.init_(m, "he_normal", scale=value), ValueError, message)
    refused(lambda m: iv.mlp(2, 4, scale=value), ValueError, message)
    refused(lambda m: iv.measure(scale=value), ValueError, message)
    refused(lambda m: iv.init_(m, "he_normal", gain=value), ValueError, "^gain: got")
    refused(lambda m: iv.init_(m, "he_normal", bias_std=value), ValueError, "^bias_std: got")


@pytest.mark.parametrize("x", [X[:0], X[:, :0], (X, X[:0]), {"input": X[:0]}], ids=["rows", "columns", "tuple", "dict"])
def test_an_empty_batch(x):
    refused(lambda m: iv.probe(m, x), ValueError, "^x: a batch of shape .* is empty; it takes a batch of at least one")
    refused(lambda m: iv.measure(batch=0), ValueError, "^batch: got 0")
    refused(lambda m: iv.digits().batch(0), ValueError, "^size: got 0")


@pytest.mark.parametrize("x", [X[:, :5], X[0, 0], X[None, None, None], (X, X), X.long()], ids=str)
def test_shapes_that_do_not_fit(x):
    refused(lambda m: iv.probe(m, x), ValueError, "^x: a batch of shape .* does not fit the model: ")


@pytest.mark.parametrize(
    "y", [torch.zeros(5, dtype=torch.long), torch.zeros(6, 2), torch.full((6,), 7)], ids=["few", "real", "class"]
)
def test_targets_that_do_not_fit(y):
    refused(lambda m: iv.probe(m, X, y), ValueError, "^y: ")


def test_a_one_hot_target_of_whole_numbers():
    y = torch.nn.functional.one_hot(torch.arange(6) % 3)
    refused(lambda m: iv.probe(m, X, y), ValueError, "^y: .*taken as floats: y.float")


@pytest.mark.parametrize(
    "model", [nn.ReLU(), nn.Sequential(), nn.BatchNorm1d(8), nn.Sequential(nn.Tanh(), nn.Dropout())]
)
def test_a_model_with_no_layers(model):
    refused(lambda m: iv.probe(model, X), ValueError, "^model: has no layer")
    refused(lambda m: iv.init_(model, "he_normal"), ValueError, "^model: has no linear")
    refused(lambda m: iv.lsuv_(model, X), ValueError, "^model: has no")
    refused(lambda m: iv.probe("a model", X), TypeError, "^model: got str; it takes a torch.nn.Module")
    refused(lambda m: iv.init_(None, "he_normal"), TypeError, "^model: got NoneType")


@pytest.mark.parametrize(
    ("loss", "kind", "message"),
    [
        (lambda o, y: o, ValueError, r"^loss: gave a tensor of shape \(6, 3\) and type torch.float32; it must give a real scalar"),
        (lambda o, y: o.sum(0), ValueError, r"^loss: gave a tensor of shape \(3,\)"),
        (lambda o, y: o.sum().long(), ValueError, r"^loss: gave a tensor of shape \(\) and type torch.int64"),
        (lambda o, y: o.sum().to(torch.complex64), ValueError, "^loss: gave a tensor .* type torch.complex64"),
        (lambda o, y: 0.3, TypeError, "^loss: gave float; it must give a scalar tensor"),
        (lambda o, y: None, TypeError, "^loss: gave NoneType"),
        (lambda o, y: o.detach().sum(), ValueError, "^loss: no parameter of the model can change it"),
        ("mse", TypeError, r"^loss: got str; it takes a function"),
    ],
)  # fmt: skip
def test_a_loss_that_is_not_a_scalar(loss, kind, message):
    refused(lambda m: iv.probe(m, X, loss=loss), kind, message)


def refused(call, kind, message):
    """`call` of a model raises this, in one line, and leaves the model and the random states alone."""
    model = network()
    model[0].weight.grad = torch.ones(8, 8)
    before = snapshot(model)
    with pytest.raises(kind, match=message) as caught:
        call(model)
    assert "\n" not in str(caught.value)
    assert_same(before, snapshot(model))


DATA = iv.datasets.gaussian(6, 3, 60)
CHANGED = {
    "x_train": torch.zeros(0, 6), "y_train": DATA.y_train[:-1], "x_test": DATA.x_test.flatten(), "y_test": DATA.y_test + 3,
    "n_classes": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_a_data_set_that_fits_nothing(name):
    with pytest.raises(ValueError, match=f"^{name}: "):
        replace(DATA, **{name: CHANGED[name]})
    with pytest.raises(TypeError, match=f"^{name}: got NoneType"):
        replace(DATA, **{name: None})
    if name.startswith("x"):
        with pytest.raises(ValueError, match=f"^{name}: .*meta device"):
            replace(DATA, **{name: torch.empty(5, 6, device="meta")})


def small(**changes):
    return {"data": DATA, "seeds": 2, "steps": 2, "batch_size": 8} | changes


def wide(width, seed):
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))


UNFIT = [
    (lambda: iv.race({"a": lambda seed: None}, **small()), TypeError, "^model: got NoneType"),
    (lambda: iv.race({"a": "zeros"}, lr=1e200, **small()), ValueError, "^lr: got 1e[+]200; .* and at most 1e[+]30$"),
    (lambda: iv.race({"a": 3}, **small()), TypeError, "^racers: got int; it takes"),
    (lambda: iv.race({"a": lambda seed: nn.Linear(6, 3, device="meta")}, **small()), ValueError, "^model: .*meta device"),
    (lambda: iv.training.Race({"a": "zeros"}, depth=1, width=2, **small()).probe("a", 2), ValueError, "^number: got 2; there are 2"),
    (lambda: iv.training.batch_index(5, 6, 0, 0), ValueError, "^size: got 6; it takes 1 to 5"),
    (lambda: iv.training.batch_index(5, 2, -1, 0), ValueError, "^seed: got -1"),
    (lambda: iv.transfer("curves", data=DATA), ValueError, "^model: 'curves' is unknown; did you mean 'curves-cnn'"),
    (lambda: iv.transfer(wide(4, 0), DATA, labels=[2]), ValueError, "^data: the model can't take gaussian, a batch of shape"),
    (lambda: iv.transfer(wide(4, 0)[:1], data=DATA, shifted="no"), TypeError, "^shifted: got str"),
    (lambda: iv.sweep({"depth": 1}, path=3), TypeError, "^path: got int 3; it takes the path"),
    (lambda: iv.sweep({"depth": 1, "batch": 2000}), ValueError, "^batch: got 2000; digits has 1150"),
    (lambda: iv.transfer(data=DATA, labels=[2], fresh=3), TypeError, "^fresh: got int 3"),
    (lambda: iv.transfer(data=DATA, labels=[2], scheme="zeors"), ValueError, "^scheme: 'zeors' is unknown"),
    (lambda: iv.experiments.transfer_study().curve("random", np.ones(2)), ValueError, "^labels: got ndarray .*; measured were 5, "),
    (lambda: iv.coord_check(wide, X, widths=(4, 8), optimizer=lambda net: None), TypeError, "^optimizer: gave NoneType"),
    (lambda: iv.growth(3, X, None), TypeError, "^build: got int 3"),
    (lambda: iv.growth(lambda seed: None, X, None), TypeError, "^build: gave NoneType"),
    (lambda: iv.growth(lambda seed: iv.mlp(2 + seed, 4, n_in=8), X, None), ValueError, "^build: gave 2 activated layers, then 3"),
    (lambda: iv.experiments.stream_growth(lambda seed: iv.residual(1, 4, n_in=8), None), TypeError, "^x: got NoneType"),
    (lambda: iv.measure("tanh"), TypeError, "^settings: got str 'tanh'"),
    (lambda: iv.measure(quantities=5), TypeError, "^quantities: got int 5"),
    (lambda: iv.measure(quantities=[[]]), TypeError, "^quantities: got list"),
    (lambda: iv.experiments.shipped_runs([]), TypeError, "^normalization: got list"),
    (lambda: iv.experiments.transfer_study([]), TypeError, "^source: got list"),
    (lambda: iv.theory.normal_softmax([], 3), TypeError, "^std: got list"),
    (lambda: iv.training.in_words(None, 5, "random"), TypeError, "^result: got NoneType"),
    (lambda: next(iv.experiments.draw_ahead("tanh")), TypeError, "^settings: got str"),
    (lambda: iv.experiments.stream_growth(lambda seed: iv.residual(1, 4, n_in=8), X[:, :5]), ValueError, r"^x: a batch of shape \(6, 5\)"),
    (lambda: iv.experiments.stream_growth(lambda seed: iv.residual(1, 4, n_in=8), X * math.nan), ValueError, "^x: .* finite numbers"),
    (lambda: iv.experiments.lsuv_step(None, 1), TypeError, "^settings: got NoneType"),
    (lambda: iv.experiments.finite_width(ratios=2), TypeError, "^ratios: got int 2"),
    (lambda: iv.experiments.finite_width(ratios=[1e9]), ValueError, "^ratios: got 1e[+]09; at width 64 it takes at most"),
    (lambda: iv.experiments.first_losses([]), ValueError, "^stds: got none"),
    (lambda: iv.experiments.rate_sweep(batch_size=0), ValueError, "^batch_size: got 0"),
    (lambda: iv.experiments.rate_sweep(batch_size=2000), ValueError, "^batch_size: got 2000; digits has 1437"),
    (lambda: iv.experiments.rate_sweep(widths=[]), ValueError, "^widths: got none"),
    (lambda: iv.experiments.signal_by_width(0.1, widths=[]), ValueError, "^widths: got none"),
    (lambda: iv.experiments.signal_by_width(0.1, seed=-1), ValueError, "^seed: got -1"),
    (lambda: iv.experiments.factor_curve("tanh", 3, sigma_w=[math.nan]), ValueError, "^sigma_w: got nan"),
    (lambda: iv.experiments.train_symmetric([]), ValueError, "^noise: got none"),
    (lambda: iv.experiments.train_symmetric(data="digits"), TypeError, "^data: got str"),
    (lambda: iv.experiments.distinct_neurons([[1.0]]), TypeError, "^weight: got list"),
    (lambda: iv.experiments.weight_shapes(nn.Linear(2, 2, device="meta")), ValueError, "^model: .*meta device"),
    (lambda: iv.experiments.heat_map(depth=[5]), ValueError, "^depth: got list"),
    (lambda: iv.theory.phase_diagram("tanh", np.ones((2, 2))), ValueError, r"^sigma_w: got shape \(2, 2\)"),
    (lambda: iv.theory.predict([4, 4, 4], "tanh", 1.0, normalization=torch.ones(2)), TypeError, "^normalization: got Tensor"),
    (lambda: iv.theory.predict_network(None, X, None, scheme="zeros"), TypeError, "^net: got NoneType None; it takes a Plain"),
    (lambda: iv.theory.predict_stream(None, np.ones(2)), TypeError, "^net: got NoneType"),
    (lambda: iv.initializers.unit_noise((2, 2), "nomral", 0, 0), ValueError, "^distribution: got str 'nomral'; it takes one of normal"),
    (lambda: iv.initializers.fans([[1.0]]), TypeError, "^weight: got list"),
    (lambda: iv.mlp(10**9, 4), ValueError, "^depth: got 1000000000; it takes a whole number of at least 1 and at most 100,000"),
    (lambda: iv.mlp(2, 4, device="meta"), ValueError, "^device: .*meta device"),
    (lambda: iv.mlp(2, 4, device=torch.ones(3, 3)), ValueError, "^device: Tensor can't be used here"),
    (lambda: iv.digits(device=10**30), ValueError, "^device: int 1000000000000000000000000000000 can't be used here"),
    (lambda: iv.probe(wide(4, 0), X, torch.empty(6, device="meta")), ValueError, "^y: .*meta device"),
    (lambda: iv.assert_stable(wide(4, 0), X, allow=[[]]), TypeError, r"^allow: got list \[\]"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), UNFIT, ids=[str(number) for number in range(len(UNFIT))])
def test_what_fits_nothing_is_told_in_a_line(call, kind, message):
    with pytest.raises(kind, match=message) as caught, warnings.catch_warnings():
        warnings.simplefilter("error")
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "sine"])
def test_theory_beyond_the_range_of_floats(activation):
    """An explosion is infinite, without a warning or an OverflowError."""
    theory = iv.theory
    assert theory.variance_map(1.0, activation, 1e200) == theory.chi(1.0, activation, 1e200) == math.inf
    assert (
        theory.fixed_point(activation, 1e200) == math.inf
        and theory.variance_map(1.0, activation, 1.0, 1e200) == math.inf
    )
    theory.depth_scale(activation, 1e200), theory.critical_sigma_w(activation, 1e200)
    theory.phase_diagram(activation, [1e200], [1e200]), theory.second_moment(activation, 1e308)
    for normalization in (None, "layer", "batch"):
        theory.predict([4] * 200, activation, 1e20, 1e200, 1e300, normalization, True, 1e200)


def test_a_softmax_of_huge_logits():
    """E[largest of 4 normal numbers] is 1.0294 (Royston 1982)."""
    for std in (1e3, 1e20, 1e200):
        found = iv.theory.normal_softmax(std, 4)
        assert found.log_sum == pytest.approx(1.0294 * std, rel=2e-3) and found.squares <= 1
    assert iv.theory.predict_attention(1.0, 1e200, layers=2, places=4, norm="pre")[1] == pytest.approx(0, abs=1e-9)


# Every name is explained -------------------------------------------------------------------------------------------------

SOURCE = Path(iv.__file__).parent


def documented_constants():
    """Names of constants that a string follows, as they are documented here."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in pairwise(body):
            text = isinstance(after, ast.Expr) and isinstance(getattr(after.value, "value", None), str)
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            found |= {target.id for target in targets if text and isinstance(target, ast.Name)}
    return found


def test_every_public_name_is_explained():
    constants = documented_constants()
    missing = []
    for name in iv.__all__:
        entry = getattr(iv, name)
        plain = not (callable(entry) or inspect.ismodule(entry))
        if name not in constants if plain else not inspect.getdoc(entry):
            missing.append(name)
    assert not missing
    assert sorted(set(iv.__all__)) == sorted(iv.__all__) and "__version__" not in iv.__all__


@pytest.mark.parametrize("name", sorted(n for n in iv.__all__ if inspect.isclass(getattr(iv, n))))
def test_every_field_of_a_record_is_explained(name):
    record = getattr(iv, name)
    fields = getattr(record, "__dataclass_fields__", {})
    text = inspect.getdoc(record).lower()
    assert not [field for field in fields if field.lower() not in text]


@pytest.mark.parametrize(
    "function",
    [
        iv.probe, iv.init_, iv.mlp, iv.measure, iv.verdict, iv.theory.predict_network, iv.digits, iv.datasets.gaussian,
        iv.datasets.mnist1d, iv.datasets.get_dataset,
    ],
    ids=lambda function: function.__name__,
)  # fmt: skip
def test_arguments_and_errors_are_explained(function):
    text = inspect.getdoc(function)
    unnamed = [p for p in inspect.signature(function).parameters if p not in text and p != "report"]
    assert not unnamed
    assert "Raises:" in text or function is iv.theory.predict_network
