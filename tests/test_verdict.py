"""Verdicts: each illness on a network that really has it, healthy models of every kind, thresholds at their edges, and remedies applied."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from healthy_models import HEALTHY
from torch import nn

import initviz as iv
from initviz._core.statistics import TensorStats
from initviz.diagnosis import KINDS, Verdict, verdict
from initviz.diagnosis._verdict import DEAD, RATIO
from initviz.diagnosis._words import spans
from initviz.inspection import LayerStats, Report

# Illnesses ---------------------------------------------------------------------------------------------------------------

ILL = [
    ("vanishing", {"activation": "relu", "scheme": "xavier_normal", "scale": 0.7}),
    ("vanishing", {"activation": "sigmoid"}),
    ("vanishing", {"activation": "softplus", "scheme": "lecun_normal"}),
    ("vanishing", {"scheme": "small_normal", "depth": 200}),
    ("vanishing", {"activation": "relu", "scheme": "pytorch_default"}),
    ("vanishing", {"activation": "relu", "scheme": "orthogonal"}),
    ("vanishing", {"activation": "relu", "scheme": "xavier_normal", "depth": 50, "precision": "float16"}),
    ("vanishing", {"activation": "tanh", "scheme": "small_normal", "precision": "float16"}),
    ("exploding", {"activation": "relu", "scheme": "he_normal", "scale": 1.5}),
    ("exploding", {"activation": "relu", "scheme": "he_normal", "scale": 40.0, "depth": 150, "precision": "float64"}),
    ("exploding", {"activation": "linear", "scheme": "xavier_normal", "scale": 1.5}),
    ("exploding", {"activation": "sine", "scheme": "xavier_normal", "scale": 3.0, "depth": 50}),
    ("exploding", {"activation": "relu", "scheme": "he_normal", "skip": True, "depth": 50}),
    ("exploding", {"activation": "relu", "normalization": "batch", "depth": 60}),
    ("saturated", {"scale": 4.0, "depth": 10}),
    ("saturated", {"skip": True, "depth": 50}),
    ("symmetric", {"activation": "relu", "scheme": "zeros", "depth": 10}),
    ("symmetric", {"activation": "sigmoid", "scheme": "zeros", "depth": 3}),
    ("symmetric", {"scheme": "constant", "depth": 10}),
    ("non-finite", {"activation": "relu", "scale": 1.5, "scheme": "he_normal", "depth": 50, "precision": "float16"}),
    ("non-finite", {"activation": "relu", "scale": 40.0, "scheme": "he_normal", "depth": 50}),
]


@pytest.mark.parametrize(("kind", "changes"), ILL, ids=[f"{k}-{n}" for n, (k, _) in enumerate(ILL)])
def test_an_ill_network_is_named_with_layers_and_numbers(kind, changes):
    m = iv.measure(**({"width": 128, "batch": 64} | changes))
    v = m.verdict
    assert v.kind == kind, v
    assert v.layers and all(1 <= n <= len(m.report.reached) for n in v.layers) and list(v.layers) == sorted(v.layers)
    assert v.remedy and v.remedy.endswith(".") and v.why.endswith(".")
    assert "layer" in v.why and any(character.isdigit() for character in v.why)
    assert str(v) == f"{kind.upper()}: {v.why} {v.remedy}"
    assert v.kind in KINDS and "nan" not in str(v).lower().replace("nan or infinite", "")


def test_numbers_in_the_sentence_are_those_of_the_report():
    report = iv.measure(activation="relu", scheme="he_normal", scale=1.5, depth=40, width=128).report
    v = verdict(report)
    forward, backward = report.values("activation", "rms")[:40], report.values("preactivation_gradient", "rms")[:40]
    assert f"from {forward[0]:.2g} at layer 1 to {forward[-1]:.2g} at layer 40" in v.why or (
        f"from {backward[-1]:.2g} at layer 40 to {backward[0]:.2g} at layer 1" in v.why
    )
    assert "1.5x per layer" in v.why and "explode too" in v.why
    assert v.layers == tuple(range(v.layers[0], 41)) or v.layers == tuple(range(1, v.layers[-1] + 1))


@pytest.mark.parametrize(("factor", "kind"), [(1e-6, "vanishing"), (1e6, "exploding")])
def test_a_scale_that_strays_on_the_way_and_comes_back(factor, kind):
    net = iv.mlp(10, 64, "relu", "he_normal")
    with torch.no_grad():
        net.hidden[4].weight *= factor
        net.hidden[5].weight /= factor
    found = verdict(iv.probe(net, *iv.digits().batch(64)))
    assert found.kind == kind and found.layers == (5,)
    assert "at layer 1 to" in found.why and "at layer 5 and comes back" in found.why and "layer 5" in found.remedy
    iv.init_(nn.ModuleList(net.hidden[4:6]), "he_normal")  # the remedy
    assert verdict(iv.probe(net, *iv.digits().batch(64))).kind == "stable"


def test_dead_units():
    net = iv.init_(
        nn.Sequential(nn.Linear(16, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 3)), "he_normal"
    )
    x = torch.randn(64, 16, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    assert verdict(iv.probe(net, x)).kind == "stable"
    nn.init.constant_(net[2].bias, -50.0)
    v = verdict(iv.probe(net, x))
    assert (v.kind, v.layers) == ("dead", (2,)) and "100% of layer 2's units" in v.why


def test_weights_loss_and_inputs_that_are_not_finite():
    x = torch.randn(8, 4, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    assert "Check the inputs" in verdict(iv.probe(net, x * math.inf)).remedy
    found = verdict(iv.probe(net, x, loss=lambda output, y: output.sum() * 0 + math.nan))
    assert found.kind == "non-finite"
    with torch.no_grad():
        net[2].weight[0, 0] = math.nan
    v = verdict(iv.probe(net, x))
    assert v.kind == "non-finite" and v.layers == (2,) and "initialize them again" in v.remedy


def test_a_model_whose_layers_are_not_reached():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    free = nn.Parameter(torch.ones(4, 2))
    net.forward = lambda x: x @ free
    net.free = free
    with pytest.raises(ValueError, match="^loss: "):  # nothing that it has takes a gradient
        iv.probe(nn.Sequential(nn.Linear(4, 4)), torch.ones(1, 4), loss=lambda o, y: torch.ones(()))
    report = Report((layer(1, reached=False),), 1.0, 1, "float32", "cpu")
    assert verdict(report).kind == "dead" and "reaches no layer" in verdict(report).why


# Healthy models ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", HEALTHY)
def test_no_wolf_is_cried(name, seed):
    torch.manual_seed(seed)
    make, x, y = HEALTHY[name]
    v = verdict(iv.probe(make(), x, y))
    assert v.kind == "stable" and not v.layers and not v.remedy, v


@pytest.mark.parametrize("name", iv.ACTIVATIONS)
def test_every_activation_is_sound_in_a_shallow_network_under_its_own_scheme(name):
    assert (
        iv.measure(depth=4, width=64, activation=name, scheme=iv.ACTIVATIONS[name].best_scheme).verdict.kind == "stable"
    )


def test_an_output_of_zeros_is_told_and_not_an_illness():
    net = iv.init_(
        nn.Sequential(*[m for _ in range(5) for m in (nn.Linear(16, 16), nn.Tanh())], nn.Linear(16, 3)), "xavier_normal"
    )
    nn.init.zeros_(net[-1].weight)
    x = torch.randn(32, 16, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    v = verdict(iv.probe(net, x, torch.arange(32) % 3))
    assert v.kind == "stable" and "until its first step" in v.why
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    F.cross_entropy(net(x), torch.arange(32) % 3).backward()
    optimizer.step()
    v = verdict(iv.probe(net, x, torch.arange(32) % 3))
    assert v.kind == "stable" and "so do gradients" in v.why  # as was said


# Thresholds, with reports made by hand -----------------------------------------------------------------------------------


def stats(rms=1.0, **fields):
    defaults = {
        "count": 64, "mean": 0.0, "std": rms, "second_moment": rms**2, "min": -3 * rms, "max": 3 * rms, "zeros": 0.0,
        "saturated": 0.0, "nonfinite": 0.0, "hist": np.full(10, 0.1),
    }  # fmt: skip
    return TensorStats(**(defaults | fields))


def layer(number, forward=1.0, backward=1.0, **fields):
    defaults = {
        "name": f"layer{number}", "kind": "Linear", "weight_shape": (8, 8), "fan_in": 8, "fan_out": 8, "units": 8,
        "distinct_units": 8, "dead_units": 0.0, "activation_name": "tanh", "weight_rms": 8**-0.5,
        "activation": stats(forward), "preactivation": stats(forward), "preactivation_gradient": stats(backward),
    }  # fmt: skip
    return LayerStats(**(defaults | fields))


def report_of(*layers, dtype="float32", loss=1.0):
    return Report(tuple(layers), loss, 8, dtype, "cpu")


@pytest.mark.parametrize(
    ("forward", "backward", "kind"),
    [
        ((1.0, RATIO * 0.99), (1.0, 1.0), "stable"),
        ((1.0, RATIO * 1.01), (1.0, 1.0), "exploding"),
        ((RATIO * 0.99, 1.0), (1.0, 1.0), "stable"),
        ((RATIO * 1.01, 1.0), (1.0, 1.0), "vanishing"),
        ((1.0, 1.0), (1.0, RATIO * 1.01), "vanishing"),  # the first layer's gradient is the smaller one
        ((1.0, 1.0), (RATIO * 1.01, 1.0), "exploding"),
        ((1.0, 1.0), (1.0, RATIO * 0.99), "stable"),
        ((1.0, 0.0), (1.0, 1.0), "vanishing"),
        ((1.0, 1.0), (0.0, 1.0), "vanishing"),
        ((1.0, 2e3), (1e-5, 1.0), "vanishing"),  # both: the larger change is named
        ((1.0, 1e5), (1e-4, 1.0), "exploding"),
        ((1.0, 1e-4, 1.0), (1.0, 1.0, 1.0), "vanishing"),  # on the way, though the ends are alike
        ((1.0, 1e4, 2.0), (1.0, 1.0, 1.0), "exploding"),
        ((1.0, 0.0, 1.0), (1.0, 1.0, 1.0), "stable"),  # a closed branch
        ((1.0, 1.0, 1.0), (1.0, 1e-5, 1.0), "stable"),  # a branch that is nearly closed: the gradient passes it by
    ],
)
def test_the_ratio_at_its_edges(forward, backward, kind):
    layers = [layer(n, f, b) for n, (f, b) in enumerate(zip(forward, backward), start=1)]
    assert verdict(report_of(*layers)).kind == kind


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"dead_units": DEAD}, "dead"),
        ({"dead_units": DEAD - 0.01}, "stable"),
        ({"activation": stats(saturated=0.5)}, "saturated"),
        ({"activation": stats(saturated=0.49)}, "stable"),
        ({"distinct_units": 1}, "symmetric"),
        ({"distinct_units": 2}, "stable"),
        ({"distinct_units": 1, "units": 1}, "stable"),
        ({"distinct_units": None, "units": None, "dead_units": None}, "stable"),
        ({"activation": stats(nonfinite=1e-6)}, "non-finite"),
        ({"weight": stats(nonfinite=0.1)}, "non-finite"),
        ({"weight_gradient": stats(nonfinite=0.1)}, "non-finite"),
        ({"activation": None, "preactivation": None, "preactivation_gradient": None}, "stable"),
    ],
)
def test_the_other_thresholds_at_their_edges(fields, kind):
    v = verdict(report_of(layer(1), layer(2, **fields), layer(3)))
    assert v.kind == kind
    assert v.layers == (() if kind == "stable" else (2,))


def test_the_first_in_the_order_is_named():
    ill = {"distinct_units": 1, "dead_units": 1.0}
    everything = layer(1, **ill, activation=stats(nonfinite=0.5, saturated=1.0)), layer(2, 1e-9, 1e9, **ill)
    assert verdict(report_of(*everything)).kind == "non-finite"
    assert verdict(report_of(layer(1, **ill), layer(2, 1e-9, **ill))).kind == "symmetric"
    assert verdict(report_of(layer(1, dead_units=1.0), layer(2, 1e-9))).kind == "dead"
    assert verdict(report_of(layer(1, activation=stats(1.0, saturated=1.0)), layer(2, 1e-9))).kind == "vanishing"


def test_zeros_behind_a_signal_that_vanished_are_its_end():
    gone = {"distinct_units": 1, "dead_units": 1.0}
    faded = [layer(1, 1.0), layer(2, 1e-2), layer(3, 1e-5), layer(4, 0.0, 0.0, **gone)]
    assert verdict(report_of(*faded)).kind == "vanishing"
    at_once = [layer(1, 1.0), layer(2, 0.0, 0.0, **gone), layer(3, 0.0, 0.0, **gone)]
    assert verdict(report_of(*at_once)).kind == "symmetric"


def test_a_gradients_norm_counts_and_not_its_rms_where_sizes_differ():
    spread = layer(1, backward=1e-4, preactivation_gradient=stats(1e-4, count=64 * 10_000))  # of norm 0.08
    v = verdict(
        report_of(spread, layer(2, backward=0.05), layer(3, backward=1.0, activation_name=None, activation=None))
    )
    assert v.kind == "stable" and "norm 0.08 to 0.4" in v.why


def test_a_closed_branch_is_passed_by_and_a_chain_is_not():
    closed = {"preactivation_gradient": stats(0.0), "distinct_units": 1}
    stem, out = layer(1), layer(4, activation_name=None, activation=None)
    assert verdict(report_of(stem, layer(2, **closed), layer(3), out)).kind == "stable"
    assert verdict(report_of(layer(1, **closed), layer(2, **closed), layer(3, **closed), out)).kind == "symmetric"
    chain = [layer(n, preactivation_gradient=stats(0.0)) for n in (1, 2)]
    assert verdict(report_of(*chain, layer(3), out)).kind == "vanishing"


@pytest.mark.parametrize("layers", [1, 2])
def test_few_layers_and_none_with_an_activation(layers):
    bare = [layer(n, activation_name=None, activation=None) for n in range(1, layers + 1)]
    assert verdict(report_of(*bare)).kind == "stable"
    nothing = [layer(n, activation=None, preactivation=None, preactivation_gradient=None) for n in range(1, layers + 1)]
    assert verdict(report_of(*nothing)).kind == "stable" and verdict(report_of(*nothing)).why


def test_a_loss_that_is_not_finite():
    v = verdict(report_of(layer(1), loss=math.nan))
    assert v.kind == "non-finite" and v.why == "The loss is nan."


@pytest.mark.parametrize("wrong", ["report", None, 3])
def test_what_is_no_report_is_refused(wrong):
    with pytest.raises(TypeError, match="^report: got"):
        verdict(wrong)


def test_a_verdict_is_frozen_and_prints_its_parts():
    v = Verdict("stable", (), "All is well.", "")
    assert str(v) == "STABLE: All is well."
    with pytest.raises(AttributeError):
        v.kind = "dead"


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (
            {"activation": "relu", "scheme": "xavier_normal", "depth": 15},
            "layers 1 to 15",
        ),  # each weight gradient is 2^-7.5
        ({"activation": "sigmoid", "scheme": "xavier_normal", "depth": 5}, "layers 1 to 2"),
    ],
)
def test_what_adam_moves_and_plain_sgd_does_not_is_said(network, layers):
    found = iv.measure(**({"width": 256, "batch": 128} | network)).verdict
    assert found.kind == "stable" and f"plain SGD will hardly move {layers}, Adam can" in found.why, found


def test_sound_layers_are_moved_by_plain_sgd():
    for network in (
        {"activation": "relu", "scheme": "he_normal"},
        {"activation": "tanh"},
        {"activation": "tanh", "scale": 2.0},
    ):
        assert "SGD" not in iv.measure(**({"width": 256, "batch": 128, "depth": 20} | network)).verdict.why


def test_a_signal_that_adam_may_train_is_told_from_one_that_nothing_trains():
    near, far = (verdict(report_of(*(layer(n, 1.0, 10.0 ** (-d * (3 - n))) for n in (1, 2, 3)))) for d in (2, 4))
    assert near.kind == far.kind == "vanishing"
    assert "Adam often can" in near.why and "Adam" not in far.why


@pytest.mark.parametrize(
    ("numbers", "words"),
    [((3,), "layer 3"), ((1, 2, 3), "layers 1 to 3"), ((1, 2, 4, 7, 8), "layers 1 to 2, 4 and 7 to 8")],
)
def test_spans(numbers, words):
    assert spans(numbers) == words
