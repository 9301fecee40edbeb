"""Things are made on torch's default device or on `device=`, and a batch is brought to its model. `--device pretend` or `cuda` has two
devices; a plain run starts one of its own with the pretended one."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pretend
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from torch import nn

import initviz as iv
from initviz._core.devices import device_names
from initviz.experiments import PATIENTS, layer_factors
from initviz.training import Race

ROOT = Path(__file__).resolve().parent.parent
HERE = torch.get_default_device()
TWO = HERE.type != "cpu"
two_devices = pytest.mark.skipif(not TWO, reason="takes --device pretend or cuda")
MAKERS = {
    "mlp": lambda **place: next(iv.mlp(2, 8, seed=3, bias_std=0.1, **place).parameters()),
    "cnn": lambda **place: next(iv.cnn(2, 4, seed=3, normalization="batch", **place).parameters()),
    "residual": lambda **place: next(iv.residual(2, 8, seed=3, **place).parameters()),
    "transformer": lambda **place: next(iv.transformer(1, 8, 2, seed=3, **place).parameters()),
    "pretrained": lambda **place: next(iv.models.pretrained("curves-cnn", **place).parameters()),
    "digits": lambda **place: iv.digits(**place).x_train,
    "labels": lambda **place: iv.digits(**place).y_test,
    "gaussian": lambda **place: iv.datasets.gaussian(**place).x_test,
    "mnist1d": lambda **place: iv.datasets.get_dataset("mnist1d", **place).x_train,
    "batch": lambda **place: iv.digits(**place).batch(9, seed=4)[0],
    "few labels": lambda **place: iv.training.few_labels(iv.digits(**place), 3, seed=4).x_train,
    "textures": lambda **place: iv.datasets.textures(**place).x_train[:10],
}


@pytest.mark.skipif(TWO, reason="is what it starts")
@pytest.mark.skipif(pretend.compiler() is None, reason="takes a C++ compiler")
def test_a_machine_with_two_devices():
    """All tests of this file, on a machine whose default device is one that the CPU's tensors do not mix with."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--device",
        "pretend",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        __file__,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout


@pytest.mark.skipif(TWO, reason="starts a pytest of its own")
@pytest.mark.skipif(pretend.compiler() is None, reason="takes a C++ compiler")
def test_a_wrong_device_in_a_notebook_is_seen(tmp_path):
    """Cells run on that device: things are made there, the CPU's do not mix with them, and what becomes numpy has to be moved."""
    cells = {
        "import torch, initviz as iv": True,
        "assert torch.ones(1).device.type == 'pretend'": True,
        "x, y = iv.digits().batch(4); net = iv.mlp(2, 8); net(x).detach().cpu().numpy();": True,
        "net(x.cpu())": False,
        "x + torch.ones(4, 64, device='cpu')": False,
        "x.numpy()": False,
    }
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in cells]), path)
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    options = f"-c {ROOT}/pyproject.toml -p no:cacheprovider -p no:xdist --nbval-lax -rA --device pretend {path}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options.split()],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    found = {
        int(cell): result == "PASSED" for result, cell in re.findall(r"(PASSED|FAILED) \S*::Cell (\d+)", done.stdout)
    }
    assert found == dict(enumerate(cells.values())), done.stdout[-6000:]


@two_devices
def test_the_other_device_does_not_mix():
    """Else the tests below would say nothing."""
    x, net = iv.digits(device="cpu").batch(4)[0], iv.mlp(2, 8)
    for wrong in (
        lambda: net(x),
        lambda: x + x.to(HERE),
        lambda: nn.Linear(64, 3)(x),
        lambda: torch.cat([x, x.to(HERE)]),
        lambda: torch.randn(3, generator=torch.Generator("cpu")),
        lambda: iv.digits().x_train.numpy(),
        lambda: np.asarray(iv.digits().x_train),
    ):
        with pytest.raises((RuntimeError, TypeError)):
            wrong()


@pytest.mark.parametrize("name", MAKERS)
def test_things_are_made_where_torch_makes_things_with_the_same_numbers(name):
    made, on_cpu = MAKERS[name](), MAKERS[name](device="cpu")
    assert made.device == HERE and on_cpu.device.type == "cpu"
    assert torch.equal(made.cpu(), on_cpu)
    with torch.device("cpu"):
        assert MAKERS[name]().device.type == "cpu"


@pytest.mark.parametrize("name", ["auto", "tpu9"])
@pytest.mark.parametrize(
    "make", [MAKERS["mlp"], MAKERS["digits"], MAKERS["pretrained"], iv.experiments.Settings, iv.explore_race]
)
def test_an_unknown_device(make, name):
    with pytest.raises(ValueError, match=f"^device: '{name}' can't be used here"):
        make(device=name)


USES = {
    "probe": lambda net, x, y: iv.probe(net, x, y).loss,
    "probe without y": lambda net, x, y: iv.probe(net, x).loss,
    "verdict": lambda net, x, y: iv.verdict(iv.probe(net, x, y)).kind,
    "diagnose": lambda net, x, y: iv.diagnose(iv.init_(net, "small_normal"), x, y).remedy,
    "assert_stable": lambda net, x, y: iv.assert_stable(net, x, y),
    "lsuv_": lambda net, x, y: float(iv.lsuv_(net, x).layers[-1].variance_after),
    "jacobian": lambda net, x, y: iv.jacobian_singular_values(net, x[:2])[0, 0],
    "growth": lambda net, x, y: iv.growth(lambda seed: net, x, y, seeds=1).forward[0, -1],
    "coord_check": lambda net, x, y: iv.coord_check(
        lambda width, seed: copy.deepcopy(net), x, y, widths=(16, 17), steps=1, seeds=1
    ).loss[0, 0, 0],
    "predict": lambda net, x, y: iv.theory.predict_network(
        net, x, iv.probe(net, x, y), scheme="xavier_normal"
    ).activation.mid[0],
    "weight_shapes": lambda net, x, y: iv.experiments.weight_shapes(net)[0].excess_kurtosis,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("data", ["here", "cpu"])
@pytest.mark.parametrize("net", ["here", "cpu"])
def test_a_batch_is_brought_to_its_model(net, data, use):
    place = {"here": HERE, "cpu": "cpu"}
    x, y = iv.digits(device=place[data]).batch(32)
    model = iv.mlp(3, 16, "tanh", "xavier_normal", device=place[net])
    found = USES[use](model, x, y)
    with torch.device("cpu"):
        expected = USES[use](iv.mlp(3, 16, "tanh", "xavier_normal", device="cpu"), x.cpu(), y.cpu())
    assert found == (pytest.approx(expected, rel=1e-3) if isinstance(expected, float) else expected)
    assert next(model.parameters()).device == torch.empty(0, device=place[net]).device
    assert x.device == torch.empty(0, device=place[data]).device


@pytest.mark.parametrize("data", ["here", "cpu"])
@pytest.mark.parametrize("net", ["here", "cpu"])
def test_training_brings_its_data_to_its_model(net, data):
    place = {"here": HERE, "cpu": "cpu"}
    task = iv.digits(device=place[data])
    run = {"steps": 20, "every": 10, "batch_size": 32}
    model = iv.mlp(2, 16, device=place[net])
    history = iv.train(model, task, snapshots=[20], **run)
    expected = iv.train(iv.mlp(2, 16, device="cpu"), iv.digits(device="cpu"), **run)
    assert history.loss[-1] == pytest.approx(expected.loss[-1], rel=1e-2)
    assert history.snapshots[20].device == str(next(model.parameters()).device)
    raced = iv.race({"a": "he_normal", "b": "lsuv"}, task, depth=2, width=16, seeds=2, device=place[net], **run)
    assert np.isfinite(raced.final_accuracy("b")).all()
    model = iv.models.pretrained("curves-cnn", device=place[net])
    few = iv.datasets.mnist1d_large(device=place[data])
    assert np.isfinite(iv.transfer(model, few, labels=[5], seeds=1, steps=4, every=2).accuracy).all()


def test_networks_that_a_function_makes_itself():
    grid = {"scheme": ["he_normal", "lsuv"], "depth": 2, "width": 8, "steps": 5}
    assert iv.sweep(grid).equals(iv.sweep(grid)) and len(iv.sweep(grid, device="cpu")) == 2
    for device in (None, "cpu"):
        found = iv.measure(depth=3, width=16, scheme="lsuv", device=device).report.device
        assert found == ("cpu" if device else str(HERE))
    assert next(Race({"a": "he_normal"}, seeds=1).trainings[0].model().parameters()).device == HERE
    traces = [
        iv.experiments.train_symmetric(1e-3, seeds=1, steps=20, keep_weights=True, data=iv.digits(device=d))
        for d in (HERE, "cpu")
    ]
    np.testing.assert_allclose(traces[0].loss, traces[1].loss, rtol=1e-6)
    assert iv.experiments.distinct_neurons(torch.eye(3)) == 3
    growth = iv.experiments.stream_growth(
        lambda seed: iv.residual(3, 8, seed=seed), iv.digits(device="cpu").batch(8)[0], seeds=2
    )
    assert np.isfinite(growth.forward).all()


def test_experiments_without_a_model_give_the_same_numbers_everywhere():
    def found():
        width = iv.experiments.signal_by_width(0.2, widths=(8, 16), depth=3)
        finite = iv.experiments.finite_width("tanh", width=8, ratios=[0.25], draws=4)
        return [*width.measured.ravel(), *finite.logs.ravel(), layer_factors(8, 16)[0].forward]

    here = found()
    with torch.device("cpu"):
        np.testing.assert_array_equal(here, found())


@pytest.mark.parametrize("name", PATIENTS)
def test_patients_have_the_same_numbers_everywhere(name):
    model, *batch = PATIENTS[name]()
    with torch.device("cpu"):
        other, *others = PATIENTS[name]()
    for ours, theirs in zip(batch, others, strict=True):
        assert ours.device == HERE and torch.equal(ours.cpu(), theirs)
    for here, there in zip(model.parameters(), other.parameters(), strict=True):
        assert here.device == HERE and torch.equal(here.cpu(), there)


@two_devices
def test_the_default_devices_random_state_is_kept_too():
    """A layer of a model on the CPU may draw on the default device."""

    class Noisy(nn.Linear):
        def forward(self, x):
            return super().forward(x) + torch.rand(1).to(x)

    module = torch.get_device_module(HERE)
    before = module.get_rng_state(), torch.get_rng_state()
    net = Noisy(4, 3).cpu()
    state = module.get_rng_state(), torch.get_rng_state()
    assert not torch.equal(before[0], state[0])  # it drew its weights
    x = torch.randn(5, 4, device="cpu")
    state = module.get_rng_state(), torch.get_rng_state()
    assert iv.probe(net, x).loss == iv.probe(net, x).loss
    iv.models.pretrained("curves-cnn")
    iv.models.PRETRAINED["textures-cnn"].data()
    PATIENTS["stuck gates"]()
    report = iv.probe(nn.Sequential(iv.mlp(3, 8), nn.Dropout(0.5)), torch.zeros(4, 64))
    assert report.device == str(HERE)
    assert torch.equal(state[0], module.get_rng_state()) and torch.equal(state[1], torch.get_rng_state())


APPS = {
    "explore": lambda **place: iv.explore(depth=2, width=16, batch=32, **place),
    "lsuv": lambda **place: iv.explore_lsuv(depth=2, width=16, batch=32, **place),
    "race": lambda **place: iv.explore_race(["he_normal", "lsuv"], step=0, depth=2, **place),
    "symmetry": lambda **place: iv.explore_symmetry(width=2, **place),
}


@pytest.mark.parametrize("app", APPS)
def test_an_app_has_a_menu_of_devices_where_there_are_several(app):
    def boxes(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from boxes(child)

    shown = APPS[app]()
    menu = shown.controls["device"]
    assert menu.options == tuple(device_names()) and menu.value == str(HERE)
    assert (menu in list(boxes(shown))) == (len(menu.options) > 1) and len(menu.options) > TWO
    shown.set(device="cpu")
    assert APPS[app](device="cpu").controls["device"].value == "cpu"


def test_the_code_that_an_app_shows_names_a_device_other_than_the_default():
    from initviz.widgets._code import code

    assert "device" not in code(iv.experiments.Settings())
    assert ('device="cpu"' in code(iv.experiments.Settings(device="cpu"))) == TWO
