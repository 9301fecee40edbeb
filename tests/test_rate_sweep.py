"""Loss over learning rate by width: the sweep against plain training, the shipped study, its command, its picture and its app."""

import csv

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pictures import mark

import initviz as iv
from initviz.__main__ import main
from initviz.experiments import RateSweep, rate_sweep, shipped_sweep
from initviz.experiments import _rate_sweep as study
from initviz.plots._figure import Line
from initviz.training import batch_index, mup_groups

KEYS = [(p, o, a) for p in ("standard", "mup") for o in ("adam", "sgd") for a in ("relu", "tanh")]


def test_best_drift_and_what_is_lost():
    """Best at rates 4, 2, 1 for widths 8, 16, 32, of two seeds; the second seed's stay at 2."""
    first = [[3.0, 2, 1], [3, 1, 2], [1, 2, 5]]
    second = [[2.0, 1, 2], [2, 1, 2], [2, 1, np.inf]]
    sweep = RateSweep(np.array([8, 16, 32]), np.array([1.0, 2.0, 4.0]), np.stack([first, second], axis=2))
    assert sweep.best.T.tolist() == [[4, 2, 1], [2, 2, 2]]
    assert sweep.drift.tolist() == [-1, 0] and sweep.lost.tolist() == [5, 1]
    assert str(sweep) == "log2 of the best rate moves by -0.50 ± 0.71 per doubling of the width (2 seeds)"


@pytest.mark.parametrize("parametrization", ["standard", "mup"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_run_is_plain_training(parametrization, optimizer):
    rate, seed = {"sgd": 0.1, "adam": 0.01}[optimizer], 2
    swept = rate_sweep(
        parametrization, optimizer, activation="tanh", widths=[32], rates=[rate], steps=12, seeds=[1, seed]
    )
    data, base = iv.digits(), iv.mlp(3, 64, "tanh")
    net = iv.init_(
        iv.mlp(3, 32, "tanh"), "xavier_normal", seed=seed, mup_base=base if parametrization == "mup" else None
    )
    groups = mup_groups(net, base, rate, optimizer) if parametrization == "mup" else net.parameters()
    updates = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](groups, lr=rate)
    losses = []
    for step in range(12):
        index = batch_index(len(data.x_train), 64, seed, step)
        loss = F.cross_entropy(net(data.x_train[index]), data.y_train[index])
        updates.zero_grad()
        loss.backward()
        updates.step()
        losses.append(loss.item())
    assert swept.loss[0, 0, 1] == pytest.approx(np.mean(losses[-10:]), rel=1e-3)


def test_what_diverges_is_infinite_and_the_seeds_beside_it_go_on():
    swept = rate_sweep("standard", "sgd", widths=[32], rates=[0.1, 1e30], steps=5, seeds=2)
    assert np.isfinite(swept.loss[0, 0]).all() and np.isinf(swept.loss[0, 1]).all()


def test_the_shipped_study():
    for key in KEYS:
        sweep = shipped_sweep(*key)
        assert sweep.widths.tolist() == [32, 64, 128, 256, 512] and sweep.loss.shape == (5, 11, 5)
        at = sweep.loss.mean(axis=2).argmin(axis=1)
        assert (at > 0).all() and (at < 10).all(), "the best rate is at an end of those that were tried"
    for optimizer in ("adam", "sgd"):
        plain, mup = (shipped_sweep(p, optimizer, "tanh") for p in ("standard", "mup"))
        np.testing.assert_array_equal(plain.loss[1], mup.loss[1])  # the base's width: the same networks
    with pytest.raises(ValueError, match="^activation: 'gelu' is unknown"):
        shipped_sweep(activation="gelu")


@pytest.mark.parametrize("key", KEYS[::3])
def test_the_shipped_figures_are_made_again(key):
    """A rate at which training is smooth: rounding of another processor moves the loss by little."""
    rate = {"sgd": 2.0**-5, "adam": 2.0**-10}[key[1]]
    sweep = shipped_sweep(*key)
    place = sweep.rates.tolist().index(rate)
    again = rate_sweep(*key[:2], activation=key[2], widths=[32], rates=[rate], seeds=2)
    np.testing.assert_allclose(again.loss[0, 0], sweep.loss[0, place, :2], rtol=0.01)


def test_the_command_writes_what_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "RATES", {"sgd": range(-4, -2), "adam": range(-8, -6)})
    file = tmp_path / "rates.csv"
    assert main(["rate-study", "--output", str(file), "--widths", "4", "8", "--steps", "3", "--seeds", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 8
    rows = list(csv.reader(file.open()))
    assert (
        rows[0] == ["parametrization", "optimizer", "activation", "width", "log2_rate", "loss_0", "loss_1"]
        and len(rows) == 33
    )
    monkeypatch.setattr(study, "FILE", file)
    study._read.cache_clear()
    try:
        found = shipped_sweep("mup", "sgd", "tanh")
    finally:
        study._read.cache_clear()
    expected = rate_sweep("mup", "sgd", activation="tanh", widths=[4, 8], steps=3, seeds=2)
    assert found.rates.tolist() == [2**-4, 2**-3] and found.widths.tolist() == [4, 8]
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-3)


def test_bad_input_is_named():
    for options, words in (
        ({"parametrization": "ntk"}, "^parametrization: 'ntk' is unknown"),
        ({"optimizer": "lion"}, "^optimizer: 'lion' is unknown"),
        ({"activation": "gelu"}, "^activation: 'gelu' is unknown"),
        ({"widths": [0]}, "^widths: got 0"),
        ({"rates": [-1.0]}, "^rates: got -1"),
        ({"steps": 0}, "^steps: got 0"),
    ):
        with pytest.raises(ValueError, match=words):
            rate_sweep(**options)


def test_the_picture_holds_the_numbers_and_rings_the_best():
    sweeps = {name: shipped_sweep(name, "adam", "relu") for name in ("standard", "mup")}
    panels = iv.plots.rates_figure(sweeps).panels
    for panel, sweep in zip(panels, sweeps.values()):
        mean = np.exp(np.log(sweep.loss).mean(axis=2))
        line = mark(panel, Line, "width 128: loss").y
        seen = mean[2] <= 3
        np.testing.assert_allclose(line[seen], mean[2][seen])
        assert np.isnan(line[~seen]).all()
        rings = [one for one in panel.marks if isinstance(one, Line) and one.marker == "ring"]
        np.testing.assert_allclose([ring.y[0] for ring in rings], mean.min(axis=1))
    assert panels[0].title.startswith("Standard: best rate −0.") and panels[1].title.startswith("muP: best rate ")
    iv.plots.rates(sweeps).canvas.draw()


def test_the_app_looks_up_what_its_controls_say():
    app = iv.explore_rates()
    assert app.still().startswith(b"\x89PNG") and app.sweeps["mup"] is shipped_sweep("mup", "adam", "relu")
    for change in ({"optimizer": "sgd"}, {"activation": "tanh"}):
        picture, words = app.picture.value, app.words.value
        app.set(**change)
        assert app.picture.value != picture and app.words.value != words
    assert app.summary().startswith(
        "Learning rate x width: SGD, tanh. Per doubling of the width, log2 of the best rate moves by"
    )
    with pytest.raises(ValueError, match="^activation: 'gelu' is not a value of this control"):
        iv.explore_rates(activation="gelu")
