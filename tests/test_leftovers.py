"""Nothing is left behind: tensors of a pass, hooks, figures, threads, however many updates there were."""

import gc
import threading
import weakref

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import initviz as iv


def watched(net: nn.Module) -> list[weakref.ref]:
    """References to every tensor that a module of `net` gives out from now on."""
    seen: list[weakref.ref] = []
    for module in net.modules():
        module.register_forward_hook(lambda _module, _args, output: seen.append(weakref.ref(output)))
    return seen


def failing(output, y):
    raise ArithmeticError("no loss today")


@pytest.mark.parametrize("quantities", [("activation", "preactivation_gradient"), tuple(iv.inspection.QUANTITIES)])
@pytest.mark.parametrize("loss", [None, failing])
def test_a_probe_lets_go_of_every_tensor(quantities, loss):
    net = iv.mlp(4, 8, "tanh", "xavier_normal")
    seen = watched(net)
    try:
        iv.probe(
            net,
            torch.randn(5, 64, generator=torch.Generator(torch.get_default_device()).manual_seed(0)),
            quantities=quantities,
            loss=loss,
        )
    except ArithmeticError:
        assert loss is failing
    gc.collect()
    assert len(seen) >= 5
    assert not [ref() for ref in seen if ref() is not None]


def count() -> dict[str, int]:
    gc.collect()
    things = gc.get_objects()
    modules = [thing for thing in things if issubclass(type(thing), nn.Module)]
    return {
        "tensors": sum(issubclass(type(thing), torch.Tensor) for thing in things),
        "hooks": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules),
        "figures": sum(issubclass(type(thing), Figure) for thing in things),
        "threads": threading.active_count(),
    }


def test_updates_of_the_explorer_leave_nothing_more():
    app = iv.explore(depth=6, width=16)
    moves = [{"scale": 1.5}, {"scale": 0.5}, {"activation": "relu"}, {"scheme": "he_normal"}, {"depth": 5}, {"seed": 1},
             {"depth": 6}, {"precision": "float16"}, {"precision": "float32"}, {"seed": 0}, {"scheme": "xavier_normal"},
             {"activation": "tanh"}]  # fmt: skip
    for move in moves:
        app.set(**move)
    before = count()
    for _ in range(5):
        for move in moves:
            app.set(**move)
    assert count() == before
