"""Whether a model, and the random states, are exactly what they were: for every function that promises it."""

import random
from collections import OrderedDict, deque

import numpy as np
import torch


def snapshot(model):
    """Everything that a pass could leave behind: values, identities, attributes, what is in containers, hooks, random states."""
    modules = list(model.modules())
    parameters = dict(model.named_parameters())
    tensors = parameters | dict(model.named_buffers())
    return {
        "state": {name: tensor.detach().clone() for name, tensor in tensors.items()},
        "identities": {
            name: (id(tensor), tensor.layout == torch.strided and tensor.data_ptr()) for name, tensor in tensors.items()
        },
        "gradients": {n: (id(p.grad), None if p.grad is None else p.grad.clone()) for n, p in parameters.items()},
        "requires_grad": {name: p.requires_grad for name, p in parameters.items()},
        "parameter hooks": {n: _hooks(p) for n, p in parameters.items()},
        "attributes": [{name: id(value) for name, value in vars(module).items()} for module in modules],
        "contents": [[_contents(value) for value in vars(module).values()] for module in modules],
        "plain tensors": [
            {n: v.detach().clone() for n, v in vars(module).items() if isinstance(v, torch.Tensor)}
            for module in modules
        ],
        "random": (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()),
        "gradient mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


def assert_same(before, after):
    for key in (
        "identities", "requires_grad", "parameter hooks", "attributes", "contents", "gradient mode",
    ):  # fmt: skip
        assert before[key] == after[key], key
    for name, value in before["state"].items():
        assert _equal(value, after["state"][name]), name
    for name, (identity, gradient) in before["gradients"].items():
        assert after["gradients"][name][0] == identity, name
        assert gradient is None or _equal(gradient, after["gradients"][name][1]), name
    for old, new in zip(before["plain tensors"], after["plain tensors"], strict=True):
        assert all(_equal(value, new[name]) for name, value in old.items()), old.keys()
    assert torch.equal(before["random"][0], after["random"][0]), "torch's random state"
    assert before["random"][1] == after["random"][1], "Python's random state"
    assert np.array_equal(before["random"][2], after["random"][2]), "numpy's random state"


def _hooks(parameter):
    return [list((hooks or {}).items()) for hooks in (parameter._backward_hooks, parameter._post_accumulate_grad_hooks)]


def _contents(value):
    if isinstance(value, dict | OrderedDict):
        return [(key, id(item)) for key, item in value.items()]
    return (
        [id(item) for item in value]
        if isinstance(value, list | deque)
        else list(value)
        if isinstance(value, set)
        else 0
    )


def _equal(old, new):
    if old.is_meta:
        return new.is_meta
    if old.layout != torch.strided:
        old, new = old.to_dense(), new.to_dense()
    return (
        old.dtype == new.dtype and old.shape == new.shape and bool(((old == new) | ((old != old) & (new != new))).all())
    )
