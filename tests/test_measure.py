"""Settings, one run of the explorer, the presets' promises, and the code that reproduces a run."""

import contextlib
import inspect
import io
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields

import numpy as np
import pytest
import torch

import initviz as iv
from initviz._core.statistics import TensorStats
from initviz.experiments import Settings, _measure, changed, measure
from initviz.inspection import QUANTITIES, LayerStats, Report
from initviz.models import NetworkCache
from initviz.training import Race
from initviz.training._sweep import Run
from initviz.training._sweep import run as run_of_sweep
from initviz.widgets._code import code

SMALL = {"depth": 4, "width": 16, "batch": 32}


def assert_same(a, b):
    """Two reports agree to the last bit."""
    assert (len(a.layers), a.loss, a.dtype) == (len(b.layers), pytest.approx(b.loss, nan_ok=True), b.dtype)
    for one, other in zip(a.layers, b.layers):
        for field in fields(LayerStats):
            x, y = getattr(one, field.name), getattr(other, field.name)
            if not isinstance(x, TensorStats):
                assert x == y, field.name
                continue
            for name, value in vars(x).items():
                np.testing.assert_array_equal(value, getattr(y, name), err_msg=f"{one.name} {field.name} {name}")


def run(source: str) -> dict:
    names: dict = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(source, names)
    return names | {"printed": printed.getvalue()}


# One run -------------------------------------------------------------------------------------------------------------------


def test_a_run_is_the_network_probed_predicted_and_judged():
    settings = Settings(**SMALL, activation="relu", scheme="he_normal", bias_std=0.1, seed=3)
    m = measure(settings)
    x, y = iv.digits().batch(32, seed=3)
    net = iv.mlp(4, 16, "relu", "he_normal", bias_std=0.1, n_in=64, n_out=10, seed=3)
    assert_same(m.report, iv.probe(net, x, y))
    assert m.verdict == iv.verdict(m.report)
    theory = iv.theory.predict_network(net, x, m.report, scheme="he_normal", bias_std=0.1)
    np.testing.assert_array_equal(m.prediction.preactivation_gradient.mid, theory.preactivation_gradient.mid)
    assert m.settings is not settings and m.settings == settings


def test_settings_may_be_given_as_changes():
    assert measure(Settings(**SMALL), seed=1).settings == measure(**SMALL, seed=1).settings
    assert changed(Settings(), depth=7).depth == 7


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_only_what_is_asked_for_is_measured_and_what_the_verdict_reads(quantity):
    layer = measure(Settings(**SMALL), quantities=[quantity]).report.layers[0]
    measured = {name for name in QUANTITIES if getattr(layer, name) is not None}
    assert measured == {"activation", "preactivation_gradient", quantity}


def fresh(settings):
    """The report of a network that shares nothing with any other."""
    s = settings
    net = iv.mlp(s.depth, s.width, s.activation, s.scheme, scale=s.scale, bias_std=s.bias_std, normalization=s.normalization,
                 skip=s.skip, dtype=s.precision, seed=s.seed)  # fmt: skip
    return iv.probe(net, *iv.digits().batch(s.batch, seed=s.seed))


@pytest.mark.parametrize("megabytes", [0, 0.005, 0.01, 0.05, 60])
def test_what_is_kept_of_one_network_for_the_next_changes_no_number(megabytes, monkeypatch):
    monkeypatch.setattr(_measure, "_cache", NetworkCache(megabytes))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    changes = (
        {"seed": 1}, {"seed": 2}, {"depth": 6}, {"width": 8}, {"seed": 1}, {"scheme": "he_uniform", "seed": 3}, {"scheme": "orthogonal"},
        {"precision": "bfloat16"}, {"normalization": "layer", "bias_std": 0.1}, {"normalization": "batch"}, {"scale": 2, "skip": True}, {},
    )  # fmt: skip
    try:
        for change in changes:
            settings = changed(Settings(**SMALL), **change)
            assert_same(measure(settings).report, fresh(settings))
    finally:
        torch.set_num_threads(threads)


def test_a_network_that_someone_holds_never_changes():
    x, y = iv.digits().batch(32, seed=0)
    build = lambda: iv.mlp(4, 16, "tanh", "xavier_normal", normalization="layer", seed=0)  # noqa: E731
    held, before = build(), [p.detach().clone() for p in build().parameters()]
    for seed in range(3):
        measure(**SMALL, seed=seed, normalization="layer")
        iv.experiments.signal_by_width(0.1, depth=4, widths=(16,), seed=seed)
        other = iv.mlp(4, 16, "tanh", "xavier_normal", normalization="layer", seed=seed)
    assert all(torch.equal(p, q) for p, q in zip(held.parameters(), before, strict=True))
    assert not {p.data_ptr() for p in held.parameters()} & {p.data_ptr() for p in other.parameters()}
    iv.train(held, iv.digits(), steps=3)
    same = build()
    assert all(torch.equal(p, q) for p, q in zip(same.parameters(), before, strict=True))
    assert_same(measure(**SMALL, normalization="layer").report, iv.probe(same, x, y))


def test_two_threads_measure_the_same_numbers_as_one():
    settings = [Settings(**SMALL, seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as executor:
        for one, alone in zip(executor.map(measure, settings * 3), map(measure, settings * 3)):
            assert_same(one.report, alone.report)


def test_no_public_function_takes_a_cache():
    for function in (
        iv.mlp,
        iv.measure,
        iv.init_,
        iv.lsuv_,
        iv.experiments.signal_by_width,
        iv.initializers.Scheme.fill_,
    ):
        assert not {"workbench", "noise", "cache"} & set(inspect.signature(function).parameters)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_lsuv_starts_the_same_network_here_in_a_sweep_and_in_a_race(scale):
    how = {"scheme": "lsuv", "activation": "relu", "depth": 6, "width": 16, "scale": scale, "seed": 1}
    report = measure(**how, batch=256).report
    rms = report.values("activation", "rms")
    assert run_of_sweep(Run(**how, steps=0))["forward"] == pytest.approx(rms[5] / rms[0], rel=1e-5)
    racing = {name: how[name] for name in ("scheme", "scale")}
    race = Race({"a": racing}, depth=6, width=16, activation="relu", seeds=[1], steps=1)
    assert race.probe("a").values("weight", "rms") == pytest.approx(report.values("weight", "rms"), rel=1e-5)


def test_lsuv_at_a_larger_scale_explodes_in_a_sweep_too():
    rows = [run_of_sweep(Run("lsuv", "relu", depth=30, width=32, scale=scale, steps=0)) for scale in (1.0, 4.0)]
    assert [row["verdict"] for row in rows] == ["stable", "exploding"] and rows[1]["forward"] > 1e6 * rows[0]["forward"]


def test_the_same_settings_give_the_same_numbers_and_another_seed_others():
    a, b, c = (measure(**SMALL, seed=seed).report for seed in (1, 1, 2))
    assert_same(a, b)
    assert a.loss != c.loss


# Presets -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", iv.widgets.PRESETS)
def test_a_preset_gives_the_verdict_that_it_promises(name):
    preset = iv.widgets.PRESETS[name]
    quantities = ["activation", "preactivation_gradient"]
    kinds = [measure(**preset.changes, seed=seed, quantities=quantities).verdict.kind for seed in range(3)]
    assert kinds == [preset.kind] * 3


def test_presets_have_names_of_their_own_and_show_most_kinds():
    labels = [preset.label for preset in iv.widgets.PRESETS.values()]
    assert len(set(labels)) == len(labels)
    kinds = {preset.kind for preset in iv.widgets.PRESETS.values()}
    assert kinds >= {"stable", "vanishing", "exploding", "saturated", "symmetric", "non-finite"}


# Code ----------------------------------------------------------------------------------------------------------------------

STATES = {
    "as it starts": {},
    "every control": {
        "activation": "gelu", "scheme": "orthogonal", "scale": 1.37, "bias_std": 0.25, "normalization": "layer",
        "skip": True, "precision": "bfloat16", "data": "mnist1d", "seed": 9,
    },
    "batch normalization": {"normalization": "batch", "data": "gaussian"},
    "constant weights": {"scheme": "constant", "activation": "relu"},
    "float16 that overflows": {"activation": "relu", "scale": 60.0, "precision": "float16"},
    "from a batch": {"scheme": "lsuv", "activation": "silu"},
    "from a batch, scaled": {"scheme": "lsuv", "scale": 0.3, "bias_std": 0.1},
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_the_code_runs_and_does_what_the_run_did(state):
    settings = Settings(**(SMALL | STATES[state]))
    panels = {"forward": "weight", "backward": "activation_gradient"} if state == "every control" else {}
    m = measure(settings, quantities=panels.values())
    names = run(code(settings, **panels))
    assert_same(names["report"], m.report)
    assert names["verdict"] == m.verdict and names["printed"] == f"{m.verdict}\n"
    assert (names["theory"] is None) == (m.prediction is None)
    if m.prediction is not None:
        np.testing.assert_array_equal(names["theory"].activation.mid, m.prediction.activation.mid)


def test_the_code_draws_the_chosen_panels_and_the_pinned_run():
    source = code(Settings(**SMALL), forward="weight", backward="weight_gradient", pinned=Settings(**SMALL, scale=2.5))
    names = run(source)
    assert_same(names["pinned"].report, measure(**SMALL, scale=2.5).report)
    figure = eval(source[source.index("iv.plots.flow") :], names)
    titles = [title for axes in figure.axes if (title := axes.get_title(loc="left"))]
    assert titles[:2] == ["Weights", "Gradients of weights"]
    assert any("scale 2.5" in text.get_text() for text in figure.texts)


def test_the_code_says_nothing_of_what_is_left_at_its_default():
    words = code(Settings())
    for name in ("scale", "bias_std", "normalization", "skip", "dtype", "forward", "backward", "pinned", "lsuv"):
        assert name not in words
    assert max(map(len, words.splitlines())) <= 100


# Bad input -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"depth": 0}, ValueError, "depth: got 0"),
        ({"depth": -3}, ValueError, "depth: got -3"),
        ({"depth": 2.5}, TypeError, "depth: got float"),
        ({"depth": True}, TypeError, "depth: got bool"),
        ({"width": 0}, ValueError, "width: got 0"),
        ({"batch": 0}, ValueError, "batch: got 0"),
        ({"seed": -1}, ValueError, "seed: got -1"),
        ({"scale": math.nan}, ValueError, "scale: got nan"),
        ({"scale": math.inf}, ValueError, "scale: got inf"),
        ({"scale": -1}, ValueError, "scale: got -1"),
        ({"scale": "big"}, TypeError, "scale: got str"),
        ({"bias_std": -0.1}, ValueError, "bias_std: got -0.1"),
        ({"activation": "rleu"}, ValueError, "activation: 'rleu' is unknown; did you mean 'relu'"),
        ({"activation": None}, TypeError, "activation: got NoneType"),
        ({"scheme": "he_norml"}, ValueError, "scheme: 'he_norml' is unknown; did you mean 'he_normal'"),
        ({"normalization": "batchnorm"}, ValueError, "normalization: 'batchnorm' is unknown; did you mean 'batch'"),
        ({"precision": "float61"}, ValueError, "precision: 'float61' is unknown; did you mean"),
        ({"data": "digit"}, ValueError, "data: 'digit' is unknown; did you mean 'digits'"),
        ({"dept": 3}, ValueError, "settings: 'dept' is unknown; did you mean 'depth'"),
    ],
)
def test_a_wrong_setting_is_named(changes, error, words):
    with pytest.raises(error, match=words):
        measure(**changes)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="size: got 2000; digits has 1437"):
        measure(**(SMALL | {"batch": 2000}))


def test_an_unknown_quantity_is_refused_with_the_near_ones():
    with pytest.raises(ValueError, match="quantities: 'weights' is unknown; did you mean 'weight'"):
        measure(**SMALL, quantities=["weights"])


def test_other_spellings_are_stored_under_the_name_in_the_table():
    settings = Settings(activation="swish", scheme="glorot_uniform")
    assert (settings.activation, settings.scheme) == ("silu", "xavier_uniform")


def test_the_label_leaves_defaults_out():
    assert Settings().label == "tanh, Xavier (Glorot) normal, 30 layers of 256, digits, seed 0"
    label = Settings(scale=1.5, bias_std=0.1, normalization="layer", skip=True, precision="float16").label
    assert "scale 1.5, bias std 0.1, layer norm, skips, float16, digits" in label


def test_settings_and_measurements_are_frozen_and_hold_plain_numbers():
    m = measure(**SMALL)
    with pytest.raises(AttributeError):
        m.settings.depth = 3
    assert all(isinstance(value, int | float | str | bool) for value in asdict(m.settings).values())
    assert isinstance(m.report, Report)
