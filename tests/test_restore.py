"""What is put back, piece by piece: attributes, containers, buffers, gradients, parameters that were written into, random states."""

import random
from collections import OrderedDict, deque
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from restoring import assert_same, snapshot
from torch import nn

import initviz as iv
from initviz.restore import Kept, random_states, restored


class Busy(nn.Module):
    """Has one of everything."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.register_buffer("mask", torch.ones(4))
        self.register_buffer("nothing", None)
        self.register_buffer("sparse", torch.eye(3).to_sparse())
        self.register_buffer("broken", torch.tensor([float("nan"), 1.0]))
        self.number, self.words, self.plain = 1, "as it was", torch.zeros(3)
        self.log, self.table, self.seen, self.queue = [1], {"a": 1}, {1}, deque([1, 2], maxlen=2)
        self.order, self.empty = OrderedDict(b=1, a=2), []


def disturb(model):
    model.number, model.words, model.new = 2, "changed", object()
    model.plain += 1
    model.plain = torch.ones(2)
    model.log.append(2), model.table.update(b=2), model.seen.add(2), model.queue.append(3)
    model.order.move_to_end("b"), model.empty.append(1)
    model.mask.mul_(2), model.broken.fill_(3)
    model.nothing = torch.zeros(1)
    model.mask = torch.zeros(2)
    model.sparse = model.sparse * 2
    model.register_buffer("late", torch.zeros(1))
    model.another = nn.Linear(2, 2)
    model.norm(torch.randn(8, 4))
    model.eval()
    model.layer.weight.grad = torch.ones(4, 4)
    model.layer.bias.requires_grad_(False)
    model.layer.register_forward_hook(lambda *_: None)
    del model.table["a"], model.words
    random.random(), np.random.rand(), torch.rand(1)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_everything_is_put_back(error):
    model = Busy()
    model.layer.bias.grad = torch.full((4,), 0.5)
    before = snapshot(model)
    order = [list(vars(module)) for module in model.modules()]
    try:
        with restored(model, list(model.parameters()), seed=3):
            assert model.layer.bias.grad is None
            disturb(model)
            if error:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    assert_same(before, snapshot(model))
    assert order == [list(vars(module)) for module in model.modules()]
    assert model.queue == deque([1, 2], maxlen=2) and model.queue.maxlen == 2


def test_an_untouched_model_is_not_written_to():
    model = Busy()
    versions = [buffer._version for buffer in (model.mask, model.norm.running_mean)]
    with restored(model, list(model.parameters())):
        model.layer(torch.ones(2, 4))
    assert versions == [buffer._version for buffer in (model.mask, model.norm.running_mean)]


@pytest.mark.parametrize("how", ["values", "data"])
def test_kept_parameters(how):
    layer, kept = nn.Linear(3, 3), Kept()
    values, place = layer.weight.detach().clone(), layer.weight.data_ptr()
    kept.keep(layer.weight)
    if how == "values":
        layer.weight.data.zero_()
    else:
        layer.weight.data = torch.zeros(3, 3)
    kept.keep(layer.weight)  # a second time changes nothing
    kept.restore()
    assert torch.equal(layer.weight, values) and layer.weight.data_ptr() == place


def test_random_states_begin_at_the_seed_and_come_back():
    def draws():
        return random.random(), np.random.rand(), torch.rand(()).item()

    state = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with random_states(seed=5):
        first = draws()
    with random_states(seed=5):
        assert draws() == first
    with random_states(seed=2**40 + 5):  # numpy's seeds end at 2^32
        assert draws() != first
    with random_states():
        assert draws() != first
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1:] == (random.getstate(), np.random.get_state()[1].tolist())


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_an_accelerators_random_state_is_kept_too(monkeypatch, kind):
    """On a stand-in, since the machine may have none. An mps has but one device, and its functions take none."""
    calls, state = [], {"now": torch.tensor([1])}
    device = torch.device(kind, 0)

    @contextmanager
    def entered(which):
        calls.append(("device", which))
        yield

    fake = SimpleNamespace(
        get_rng_state=lambda *which: calls.append(("get", *which)) or state["now"],
        set_rng_state=lambda new, *which: calls.append(("set", new, *which)),
        manual_seed=lambda seed: calls.append(("seed", seed)),
        device=entered,
    )
    monkeypatch.setattr(torch, "get_device_module", lambda which: fake)
    with pytest.raises(ValueError, match="inside"), random_states([device], seed=7):
        raise ValueError("inside")
    which = () if kind == "mps" else (device,)
    expected = [
        ("get", *which),
        *([("device", device)] if kind == "cuda" else []),
        ("seed", 7),
        ("set", state["now"], *which),
    ]
    assert calls == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda():
    net = iv.mlp(3, 8, device="cuda")
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    report = iv.probe(nn.Sequential(net, nn.Dropout(0.5)), torch.randn(4, 64))
    assert report.device.startswith("cuda")
    assert torch.equal(before[0], torch.cuda.get_rng_state()) and torch.equal(before[1], torch.get_rng_state())
