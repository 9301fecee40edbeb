"""The probe on every kind of model: its layers are found, and it comes back exactly as it went in, also after an error."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from models import KINDS, SEQUENCE, Net, X, draw, encoder, sequential
from restoring import assert_same, snapshot
from torch import nn
from torch.utils.checkpoint import checkpoint

import initviz as iv

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated", "ignore:.*torch.jit")
NO_GRADIENT = {("no_grad body", "body.0"), ("no_grad body", "body.2")}


def make(name, training=True):
    torch.manual_seed(0)
    model = KINDS[name].make().train(training)
    for number, parameter in enumerate(model.parameters()):
        if number % 2 and parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    return model


def found(report):
    return [f"{layer.name} {layer.activation_name or '-'}" for layer in report.layers]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", KINDS)
def test_layers_are_found_and_the_model_is_restored(name, training):
    model, x = make(name, training), KINDS[name].batch
    kept = [tensor.clone() for tensor in (x if isinstance(x, tuple) else [x]) if tensor is not None]
    before = snapshot(model)
    report = iv.probe(model, x)
    assert_same(before, snapshot(model))
    assert all(torch.equal(a, b) for a, b in zip(x if isinstance(x, tuple) else [x], kept))
    assert found(report) == KINDS[name].layers
    assert all(layer.reached for layer in report.layers)
    for layer in report.layers:
        if (name, layer.name) not in NO_GRADIENT:
            assert layer.preactivation_gradient is not None, layer.name
            assert (layer.activation_gradient is None) == (layer.activation_name is None)
    again = iv.probe(model, x)
    assert again.loss == report.loss
    np.testing.assert_array_equal(again.values("preactivation", "rms"), report.values("preactivation", "rms"))


@pytest.mark.parametrize("name", KINDS)
def test_without_weight_gradients_the_rest_is_the_same(name):
    model, x = make(name), KINDS[name].batch
    all_of_it = iv.probe(model, x)
    before = snapshot(model)
    fewer = iv.probe(model, x, quantities={"activation", "preactivation_gradient"})
    assert_same(before, snapshot(model))
    for quantity in ("activation", "preactivation_gradient"):
        np.testing.assert_allclose(fewer.values(quantity, "rms"), all_of_it.values(quantity, "rms"), rtol=1e-5)
    assert all(layer.weight_gradient is None and layer.preactivation is None for layer in fewer.layers)


class Interrupted(BaseException):
    """As a KeyboardInterrupt is, one that `except Exception` lets through."""


class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ZeroDivisionError("on the way back")


def stopping(error):
    def forward(model, x):
        x = model.norm(model.first(x))
        model.seen = x
        if error is not None:
            raise error
        return Backward.apply(x)

    return Net(forward, first=nn.Linear(8, 8), norm=nn.BatchNorm1d(8))


def broken_loss(output, y):
    np.random.rand()
    raise KeyError("in the loss")


@pytest.mark.parametrize(
    ("error", "loss", "raised", "words"),
    [
        (RuntimeError("a\nb"), None, ValueError, r"^x: a batch of shape \(6, 8\) does not fit the model: a$"),
        (KeyError("k"), None, ValueError, "does not fit the model: KeyError: 'k'$"),
        (torch.OutOfMemoryError("memory"), None, torch.OutOfMemoryError, "memory"),
        (KeyboardInterrupt("by hand"), None, KeyboardInterrupt, "by hand"),
        (Interrupted("too"), None, Interrupted, "too"),
        (None, broken_loss, KeyError, "in the loss"),
        (None, None, ZeroDivisionError, "on the way back"),
    ],
    ids=["forward", "key", "memory", "keyboard", "interrupted", "loss", "backward"],
)
def test_restored_after_an_error(error, loss, raised, words):
    model = stopping(error)
    model.first.weight.grad = torch.ones(8, 8)
    before = snapshot(model)
    with pytest.raises(raised, match=words):
        iv.probe(model, X, loss=loss)
    assert_same(before, snapshot(model))


# Hooks -------------------------------------------------------------------------------------------------------------------


def test_the_users_hooks_stay_and_an_optimizer_in_the_backward_pass_does_not_step():
    model, seen = sequential(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    stepped = model[0].weight.register_post_accumulate_grad_hook(lambda p: optimizer.step())
    model[0].weight.register_hook(lambda gradient: gradient * 2)
    model[0].register_forward_hook(lambda *_: seen.append("forward"))
    model[2].register_full_backward_hook(lambda *_: seen.append("backward"))
    before = snapshot(model)
    report = iv.probe(model, X)
    assert_same(before, snapshot(model))
    assert seen == ["forward", "backward"]
    plain = sequential()
    plain.load_state_dict(model.state_dict())
    other = iv.probe(plain, X).layers[0].weight_gradient.rms
    assert report.layers[0].weight_gradient.rms == pytest.approx(2 * other)
    model(X).sum().backward()  # and it steps again afterwards
    assert not torch.equal(model[0].weight, before["state"]["0.weight"])
    stepped.remove()
    assert not model[0].weight._post_accumulate_grad_hooks


def test_a_hook_that_removes_itself_is_back():
    model = sequential()
    handle = model[0].register_forward_hook(lambda *_: handle.remove())
    before = snapshot(model)
    iv.probe(model, X)
    assert_same(before, snapshot(model))


def test_a_backward_pass_still_to_be_done_is_not_spoilt():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).eval()
    model.register_buffer("mask", torch.rand(3))
    pending = (model(X) * model.mask).sum()
    iv.probe(model, X)
    pending.backward()
    assert model[0].weight.grad is not None


def test_random_states_of_other_devices_are_not_seeded(monkeypatch):
    def seed_all(*_):
        raise AssertionError("seeds every device")

    monkeypatch.setattr(torch, "manual_seed", seed_all)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seed_all)
    iv.probe(sequential(), X)


def test_random_models_go_by_the_seed_alone():
    model = Net(lambda m, x: m.a(x) * (random.random() + np.random.rand() + torch.rand(())), a=nn.Linear(8, 3))
    first = iv.probe(model, X, seed=3).loss
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert iv.probe(model, X, seed=3).loss == first != iv.probe(model, X, seed=4).loss


# What is measured --------------------------------------------------------------------------------------------------------


def test_gates_and_branches_go_to_their_own_layers():
    torch.manual_seed(0)
    model = KINDS["gates"].make()
    a, b = iv.probe(model, X).layers
    with torch.no_grad():
        assert a.preactivation.rms == pytest.approx(model.a(X).square().mean().sqrt().item(), rel=1e-6)
        assert a.activation.rms == pytest.approx(nn.functional.silu(model.a(X)).square().mean().sqrt().item(), rel=1e-6)
        assert b.activation.rms == pytest.approx(model.b(X).tanh().square().mean().sqrt().item(), rel=1e-6)


def test_the_pre_activation_is_what_enters_the_activation():
    torch.manual_seed(0)
    model = KINDS["residual"].make().eval()
    report = iv.probe(model, X)
    with torch.no_grad():
        h = torch.relu(model.norm(model.stem(X)))
        z = h + model.branch(h)
    last = report.layers[3]
    assert last.preactivation.rms == pytest.approx(z.square().mean().sqrt().item(), rel=1e-6)
    assert last.activation.rms == pytest.approx(z.relu().square().mean().sqrt().item(), rel=1e-6)


@pytest.mark.parametrize("gradients", [True, False])
def test_what_is_written_into_an_output_before_its_activation_is_measured(gradients):
    torch.manual_seed(0)
    a, b = nn.Linear(8, 8), nn.Linear(8, 3)
    by_place = Net(lambda m, x: m.b(torch.tanh(m.a(x).mul_(2).add_(x))), a=a, b=b).requires_grad_(gradients)
    anew = Net(lambda m, x: m.b(torch.tanh(m.a(x) * 2 + x)), a=a, b=b)
    found, right = iv.probe(by_place, X).layers[0], iv.probe(anew, X).layers[0]
    for quantity in ("preactivation", "preactivation_gradient"):
        assert getattr(found, quantity).rms == pytest.approx(getattr(right, quantity).rms, rel=1e-6)


def test_weights_are_those_that_multiply():
    for name in ("weight norm", "weight norm of old", "pruned"):
        model = make(name)
        first, layer = iv.probe(model, KINDS[name].batch).layers[0], model[0]
        weight = layer.weight.detach().double()
        assert first.weight_shape == (8, 8) and first.fan_in == 8, name
        assert first.weight.rms == pytest.approx(weight.square().mean().sqrt().item(), rel=1e-6), name
        assert first.weight_gradient.count == 64, name


def test_an_lstm_read_by_its_last_state_has_a_gradient():
    torch.manual_seed(0)
    model = Net(lambda m, x: m.head(m.rnn(x)[1][0][-1]), rnn=nn.LSTM(8, 6, batch_first=True), head=nn.Linear(6, 3))
    layer = iv.probe(model, SEQUENCE).layers[0]
    assert layer.preactivation_gradient.count == 4 * 6 and layer.preactivation_gradient.rms > 0


@pytest.mark.parametrize(
    ("module", "name", "flat"),
    [
        (nn.Hardtanh(), "hardtanh", lambda z: z.abs() >= 1),
        (nn.Hardtanh(-2.0, 3.0), "hardtanh", lambda z: (z <= -2) | (z >= 3)),
        (Net(lambda m, z: F.hardtanh(z, max_val=0.5)), "hardtanh", lambda z: (z <= -1) | (z >= 0.5)),
        (nn.ReLU6(), "relu6", lambda z: z >= 6),
        (Net(lambda m, z: F.relu6(z)), "relu6", lambda z: z >= 6),
        (nn.Hardsigmoid(), "hardsigmoid", lambda z: z.abs() >= 3),
    ],
)
def test_activations_that_are_cut_off_are_saturated_at_their_bounds(module, name, flat):
    torch.manual_seed(0)
    layer, x = nn.Linear(8, 64), 8 * draw(40, 8)
    found = iv.probe(nn.Sequential(layer, module), x).layers[0]
    assert found.activation_name == name
    share = flat(layer(x)).double().mean().item()
    assert 0.02 < share < 0.9 and found.activation.saturated == pytest.approx(share, abs=1e-3)


def test_a_fast_path_does_not_hide_layers():
    model = encoder().eval().requires_grad_(False)
    with torch.no_grad():
        assert len(iv.probe(model, SEQUENCE).reached) == 6
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_wrapper_of_a_model_makes_no_difference():
    torch.manual_seed(0)
    model = sequential()
    plain = iv.probe(model, X)
    for wrapper in (nn.DataParallel(model), torch.compile(model, backend="eager")):
        assert iv.probe(wrapper, X).loss == plain.loss


# Refused in a clear line -------------------------------------------------------------------------------------------------


def made_in_inference_mode():
    with torch.inference_mode():
        return sequential()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3, device="meta")), "^model: 1.weight is on the meta device"),
        (lambda: nn.Linear(8, 3, dtype=torch.complex64), "^model: weight is complex"),
        (made_in_inference_mode, "^model: 0.weight was made in inference mode.*deepcopy"),
        (lambda: torch.jit.script(sequential()), "^model: it is compiled by TorchScript"),
        (lambda: nn.Sequential(torch.jit.trace(sequential(), X)), "^model: 0 is compiled by TorchScript"),
        (lambda: nn.Sequential(nn.Linear(8, 8), nn.LazyLinear(3)), "^model: 1 is lazy"),
        (lambda: nn.Sequential(nn.Linear(8, 8), nn.LazyBatchNorm1d()), "^model: 1 is lazy"),
        (
            lambda: Net(lambda m, x: checkpoint(m.a, m.b(x), use_reentrant=True), a=nn.Linear(8, 8), b=nn.Linear(8, 8)),
            "^model: .* use_reentrant=False",
        ),
        (
            lambda: Net(lambda m, x: torch.func.vmap(m.a)(x[None]), a=nn.Linear(8, 3)),
            "^model: calls a within torch.func",
        ),
        (lambda: nn.LayerNorm((6, 8)), "^model: has no layer"),
        (lambda: Net(lambda m, x: m.a(x).argmax(dim=1), a=nn.Linear(8, 3)), "^model: its output has no real tensor"),
        (lambda: Net(lambda m, x: m.a(x).detach(), a=nn.Linear(8, 3)), "^loss: no parameter"),
    ],
    ids=["meta", "complex", "inference", "script", "trace", "lazy", "lazy buffer", "reentrant", "vmap", "no layer", "integers", "detached"],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_in_a_line(make, words):
    model = make()
    before = None if "lazy" in words else snapshot(model)
    with pytest.raises(ValueError, match=words) as caught:
        iv.probe(model, X)
    assert "\n" not in str(caught.value)
    if before is not None:
        assert_same(before, snapshot(model))


def test_a_batch_without_values_is_refused():
    with pytest.raises(ValueError, match="^x: .* on the meta device"):
        iv.probe(sequential(), draw(6, 8).to("meta"))
