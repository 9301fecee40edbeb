"""Models that are spread over two processes: probed together, they give the report of one process with the whole batch."""

import pickle
import socket
import time

import numpy as np
import pytest
import spread_models
import torch
import torch.distributed as dist
from spread_models import CASES, KINDS, perceptron
from torch import nn

import initviz as iv
from initviz._core.statistics import STATISTICS
from initviz.inspection import QUANTITIES

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch was built without torch.distributed")
SECONDS = 240


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of the two processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = torch.multiprocessing.spawn(spread_models.main, (free_port(), str(folder)), nprocs=2, join=False)
    end = time.monotonic() + SECONDS
    try:
        while not processes.join(timeout=1):  # raises what a process raised
            assert time.monotonic() < end, f"two processes did not come to an end in {SECONDS} s"
    finally:
        for process in processes.processes:
            if process.is_alive():
                process.kill()
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone():
    """The reports of one process with the whole batch."""
    reports = {}
    with torch.device("cpu"):  # as the processes
        for case, (make, data) in CASES.items():
            x, y = data()
            reports[case] = iv.probe(make(), x, y)
    return reports


def assert_same_report(found, right, histograms=0.03):
    assert found.batch_size == right.batch_size and found.dtype == right.dtype and found.device == right.device
    assert found.loss == pytest.approx(right.loss, rel=1e-5)
    assert [layer.name for layer in found.layers] == [layer.name for layer in right.layers]
    for quantity in QUANTITIES:
        for statistic in STATISTICS:
            a, b = found.values(quantity, statistic), right.values(quantity, statistic)
            scale = right.values(quantity, "rms") ** (2 if statistic == "second_moment" else 1)
            atol = 1e-5 * np.nanmax(scale) if statistic in ("mean", "std", "rms", "second_moment", "min", "max") else 0
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol, err_msg=f"{quantity} {statistic}")
        for layer, other in zip(found.layers, right.layers):
            one, two = getattr(layer, quantity), getattr(other, quantity)
            if one is None or two is None:
                assert one is two is None
                continue
            edges = np.linspace(two.min, two.max, 11)
            # both are counted on samples of the values, that of the ranks on twice as many
            np.testing.assert_allclose(one.mass(edges), two.mass(edges), atol=histograms, err_msg=quantity)
    for layer, other in zip(found.layers, right.layers):
        for name in (
            "kind",
            "weight_shape",
            "fan_in",
            "fan_out",
            "activation_name",
            "units",
            "distinct_units",
            "dead_units",
        ):
            assert getattr(layer, name) == getattr(other, name), (layer.name, name)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_report_of_two_processes_is_that_of_one(ranks, alone, kind, case):
    for found in ranks:
        report, fewer, same = found[kind, case]
        few = (
            0.03 if case != "dead units" else 0.35
        )  # 20 values: one that lies on the border of a cell is a lot of them
        assert_same_report(report, alone[case], few)
        assert same, "the model is not what it was"
        for quantity in ("activation", "preactivation_gradient"):
            np.testing.assert_allclose(fewer.values(quantity, "rms"), report.values(quantity, "rms"), rtol=1e-5)
        assert all(layer.weight_gradient is None for layer in fewer.layers)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_is_that_of_both_processes(ranks, alone, kind):
    (right,) = alone["attention"].attention
    for found in ranks:
        (here,) = found[kind, "attention"][0].attention
        assert (here.places, here.width) == (right.places, right.width) == (6, 8)
        assert here.layers == (right.layers if kind == "ddp" else ())  # FSDP2's weights are others during a pass
        # each is measured on a sample of the batch
        assert here.entropy == pytest.approx(right.entropy, abs=0.03) and 0.5 < right.entropy < 1
        assert here.logit_std == pytest.approx(right.logit_std, rel=0.15)
        assert here.similarity == pytest.approx(right.similarity, abs=0.05)


def test_a_unit_is_dead_only_if_it_is_on_all_ranks(ranks, alone):
    dead = ranks[0]["ddp", "dead units"][0].layers[0].dead_units
    assert dead == alone["dead units"].layers[0].dead_units == 0.25


def test_all_ranks_judge_alike(ranks):
    assert ranks[0]["verdicts"] == ranks[1]["verdicts"] and set(ranks[0]["verdicts"]) == {"stable"}


def test_init_draws_the_same_weights_on_every_rank_and_shards_them(ranks):
    with torch.device("cpu"):
        right = [p.detach() for p in iv.init_(perceptron(), "orthogonal", seed=3, bias_std=0.1).parameters()]
    for found in ranks:
        for parameters in found["initialized"].values():
            torch.testing.assert_close(parameters, right)
    first, second = (found["initialized"]["fsdp by layer"] for found in ranks)
    assert all(torch.equal(a, b) for a, b in zip(first, second))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("fsdp1", "FSDP1"),
        ("ddp of a part", "model: 0 in it is wrapped in DistributedDataParallel"),
        ("tensor parallel", "tensor parallelism"),
        ("lsuv_ under ddp", "each would settle its weights on its own part of the batch"),
        ("lsuv_ under fsdp", "each would settle its weights on its own part of the batch"),
    ],
)
def test_what_can_not_be_measured_is_refused_by_name(ranks, what, words):
    for found in ranks:
        assert found["refused"][what].startswith("model: ") and words in found["refused"][what]


# One process -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def world_of_one(monkeypatch):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{free_port()}", rank=0, world_size=1)
    with torch.device("cpu"):
        yield
    dist.destroy_process_group()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "before", ["fresh", "after a forward pass", "after an error", "with a backward pass to be done"]
)
def test_a_sharded_model_of_one_process_is_measured_and_usable(world_of_one, alone, kind, before):
    x, y = spread_models.batch()
    model = spread_models.spread(kind, perceptron())
    if before == "after a forward pass":
        model(x)
    pending = model(x).sum() if before == "with a backward pass to be done" else None
    if before == "after an error":
        with pytest.raises(ValueError, match="does not fit"):
            iv.probe(model, x[:, :5], y)
        with pytest.raises(KeyError):
            iv.probe(model, x, y, loss=lambda *_: {}["nothing"])
    parameters = [id(p) for p in model.parameters()]
    assert_same_report(iv.probe(model, x, y), alone["perceptron"])
    assert [id(p) for p in model.parameters()] == parameters
    assert model(x).shape == (48, 10)
    if pending is not None:
        pending.backward()
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("kind", ["fsdp", "fsdp by layer", "fsdp of a part"])
def test_a_sharded_model_is_usable_after_an_error_where_torch_cannot_end_a_pass(world_of_one, alone, kind, monkeypatch):
    monkeypatch.delattr("torch.distributed.fsdp.FSDPModule.reset_iter_state", raising=False)  # as before torch 2.12
    test_a_sharded_model_of_one_process_is_measured_and_usable(None, alone, kind, "after an error")


def test_a_diagnosis_of_a_sharded_model(world_of_one):
    x, y = spread_models.batch()
    model = spread_models.spread("fsdp", iv.init_(perceptron(), "zeros"))
    found = iv.diagnose(model, x, y)
    assert found.verdict.kind == iv.verdict(iv.probe(model, x, y)).kind == "symmetric"
    assert found.remedy == "" and model(x).shape == (48, 10)


class Lent(nn.Module):
    """A wrapper that lends its layer another parameter for the time of a pass, and lets go of the memory of its own."""

    def __init__(self, layer, empty):
        super().__init__()
        self.layer, self.empty = layer, empty
        self.own = layer._parameters["weight"]
        self.values = self.own.detach().clone()

    def forward(self, x):
        lent = nn.Parameter(self.values.clone())
        self.layer._parameters["weight"] = lent
        if self.empty:
            self.own.untyped_storage().resize_(0)
        return self.layer(x)


@pytest.mark.parametrize("empty", [True, False])
def test_a_wrapper_that_swaps_parameters_is_measured_and_usable(empty):
    def make():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))

    x = torch.randn(16, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    right, plain = iv.probe(make(), x), make()
    model = nn.Sequential(Lent(plain[0], empty), nn.ReLU(), plain[2])
    found = iv.probe(model, x)
    for quantity in ("preactivation", "preactivation_gradient", "weight", "weight_gradient"):
        np.testing.assert_allclose(found.values(quantity, "rms"), right.values(quantity, "rms"), rtol=1e-6)
    for _ in range(2):
        assert model[0].layer.weight.untyped_storage().nbytes() > 0
        assert model(x).shape == (16, 3)
        iv.probe(model, x)


class Empties(nn.Linear):
    """Holds its weight's memory for the time of a pass alone."""

    def forward(self, x):
        output = super().forward(x) * 1.0
        self.held = self.weight.detach().clone()
        self.weight.untyped_storage().resize_(0)
        return output


def test_a_weight_without_memory_is_refused_by_name():
    model = nn.Sequential(Empties(8, 8), nn.Linear(8, 3))
    with pytest.raises(ValueError, match="^model: 0 lets go of its weight's memory"):
        iv.probe(model, torch.randn(4, 8))
