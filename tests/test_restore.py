"""What is put back, piece by piece: attributes, containers, buffers, gradients, parameters that were written into, random states."""

import random
from collections import Counter, OrderedDict, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pretend
import pytest
import torch
from restoring import assert_same, snapshot
from torch import nn

import initviz as iv
from initviz._core.restore import Kept, random_states, restored


class Busy(nn.Module):
    """Has one of everything."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.register_buffer("mask", torch.ones(4))
        self.register_buffer("nothing", None)
        self.register_buffer("sparse", torch.eye(3) if pretend.here() else torch.eye(3).to_sparse())
        self.register_buffer("broken", torch.tensor([float("nan"), 1.0]))
        self.number, self.words, self.plain = 1, "as it was", torch.zeros(3)
        self.log, self.table, self.seen, self.queue = [1], {"a": 1}, {1}, deque([1, 2], maxlen=2)
        self.order, self.empty = OrderedDict(b=1, a=2), []
        self.nested, self.lists, self.counts = (
            {"loss": [1.0], "more": ({"a": 1}, [])},
            defaultdict(list, a=[1]),
            Counter("aab"),
        )
        self.caches, self.array, self.fixed = [torch.zeros(2)], np.zeros(2), np.zeros(2)
        self.fixed.flags.writeable = False
        self.draws, self.numpy_draws = (
            torch.Generator(torch.get_default_device()).manual_seed(1),
            np.random.default_rng(1),
        )
        self.itself = [self.table]
        self.itself.append(self.itself)


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
    model.nested["loss"].append(2.0), model.nested["more"][0].clear(), model.nested["more"][1].append(1)
    model.lists["a"].append(2), model.lists["b"].append(3), model.counts.update("abc")
    model.caches[0] += 1
    model.array += 1
    torch.rand(2, generator=model.draws), model.numpy_draws.random()
    model.itself.append(3)
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
    assert model.nested == {"loss": [1.0], "more": ({"a": 1}, [])}
    assert model.lists == {"a": [1]} and model.lists.default_factory is list and model.counts == Counter("aab")
    assert not model.caches[0].any() and not model.array.any() and len(model.itself) == 2
    assert torch.equal(model.draws.get_state(), torch.Generator(torch.get_default_device()).manual_seed(1).get_state())
    assert model.numpy_draws.random() == np.random.default_rng(1).random()


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
    for seed in (2**40 + 5, 2**70 + 5):  # numpy's seeds end at 2^32, torch's at 2^64
        with random_states(seed=seed):
            assert draws() != first
    with random_states():
        assert draws() != first
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1:] == (random.getstate(), np.random.get_state()[1].tolist())


@pytest.mark.parametrize("shared", [True, False], ids=["one model", "models of their own"])
def test_probes_from_several_threads_at_once(shared):
    """Without turns, hooks of one would measure the pass of another, and random states and even weights stay changed."""

    def make():
        torch.manual_seed(0)
        return nn.Sequential(*[m for _ in range(10) for m in (nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.3))])

    x = torch.randn(8, 16, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    right = iv.probe(make(), x).loss
    models = [make()] * 4 if shared else [make() for _ in range(4)]
    before = snapshot(models[0])
    with ThreadPoolExecutor(4) as pool:
        losses = list(pool.map(lambda model: iv.probe(model, x).loss, models * 5))
    assert losses == [right] * 20
    assert_same(before, snapshot(models[0]))


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
    with torch.device("cpu"), pytest.raises(ValueError, match="inside"), random_states([device], seed=7):
        raise ValueError("inside")
    which = () if kind == "mps" else (device,)
    expected = [
        ("get", *which),
        *([("device", device)] if kind == "cuda" else []),
        ("seed", 7),
        ("set", state["now"], *which),
    ]
    assert calls == expected


@pytest.mark.parametrize("enabled", [True, False])
def test_a_recurrent_layer_in_eval_mode_is_run_without_cudnn(enabled, monkeypatch):
    """cuDNN has no backward pass for it."""
    monkeypatch.setattr(torch.backends.cudnn, "enabled", enabled)
    model, seen = nn.LSTM(8, 6, batch_first=True), []
    model.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.enabled))
    x = torch.randn(4, 5, 8)
    iv.probe(model, x), iv.probe(model.eval(), x), iv.probe(nn.Sequential(nn.Linear(8, 8)).eval(), x)
    assert seen == [enabled, False] and torch.backends.cudnn.enabled == enabled
