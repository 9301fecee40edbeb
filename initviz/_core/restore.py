"""Leaving a model, and the random states, as they were found."""

from __future__ import annotations

import gc
import random
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.torch_internals import put_gradient_hooks_aside, uncompiled


@contextmanager
def restored(model: nn.Module, parameters: list[nn.Parameter], seed: int | None = None) -> Iterator[None]:
    """Whatever happens inside, a model is afterwards what it was, the values of its parameters apart.

    That is: buffers, gradients, modes, hooks, attributes (a counter, a cache, a list that grows) and the random states of torch,
    numpy and Python, which inside begin at `seed` if there is one. Gradients are None at first. The user's own hooks that act
    on a finished gradient (an optimizer in the backward pass) are put aside, since they would change parameters. Nothing is
    compiled inside: hooks are seen, and other threads wait.
    """
    with random_states({p.device for p in parameters if not p.is_cpu}, seed), uncompiled():
        found = [_Found(module) for module in model.modules()]
        gradients = [(p, p.grad, p.requires_grad, put_gradient_hooks_aside(p)) for p in parameters]
        try:
            for parameter, *_ in gradients:
                parameter.grad = None
            yield
        finally:
            for module in found:
                module.restore()
            for parameter, gradient, requires_grad, put_hooks_back in gradients:
                parameter.requires_grad_(requires_grad)
                parameter.grad = gradient
                put_hooks_back()


class Kept:
    """Copies of parameters, taken just before something might write into them, to put back."""

    def __init__(self) -> None:
        self._copies: dict[int, tuple[nn.Parameter, Tensor, Tensor]] = {}

    def keep(self, parameter: nn.Parameter) -> None:
        if id(parameter) not in self._copies:
            self._copies[id(parameter)] = parameter, parameter.data, parameter.detach().clone()

    def restore(self) -> None:
        for parameter, data, values in self._copies.values():
            if parameter.data_ptr() != data.data_ptr():
                parameter.data = data
            _put_back(data, values)


_CONTAINERS = {dict, OrderedDict, defaultdict, Counter, list, set, deque}
_ATOMS = {bool, int, float, str, type(None)}


class _Found:
    """A module's attributes, and what is in its dicts, lists and sets (parameters, buffers, submodules, hooks among them), also in
    those within them; tensors, arrays and generators of random numbers, with their values. Other objects are left alone."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.attributes = dict(vars(module))
        self.contents: list[tuple[Any, Any]] = []
        self.empty: list[Any] = []
        self.tensors: list[tuple[Tensor, Tensor]] = []
        self.states: list[tuple[Callable[[Any], Any], Any]] = []
        values, met = list(self.attributes.values()), set()
        for value in values:
            kind = type(value)
            if kind in _ATOMS or id(value) in met:
                continue
            if kind in _CONTAINERS:
                met.add(id(value))
                if value:
                    self.contents.append((value, value.copy()))
                    values.extend(value.values() if isinstance(value, dict) else value)
                else:
                    self.empty.append(value)
            elif kind is tuple:
                values.extend(value)
            elif isinstance(value, Tensor):
                if not (value.requires_grad or isinstance(value, nn.Parameter)):
                    self.tensors.append((value, value.detach().clone()))
            elif kind is np.ndarray and value.flags.writeable:
                self.states.append((partial(np.copyto, value), value.copy()))
            elif kind is torch.Generator:
                self.states.append((value.set_state, value.get_state()))
            elif kind is np.random.Generator:
                self.states.append((partial(setattr, value.bit_generator, "state"), value.bit_generator.state))

    def restore(self) -> None:
        attributes = vars(self.module)
        if attributes.keys() != self.attributes.keys():
            attributes.clear()
        attributes.update(self.attributes)
        for container in self.empty:
            if container:
                container.clear()
        for container, content in self.contents:
            container.clear()
            (container.extend if hasattr(container, "extend") else container.update)(content)
        for tensor, values in self.tensors:
            _put_back(tensor, values)
        for put_back, state in self.states:
            put_back(state)


def _put_back(tensor: Tensor, values: Tensor) -> None:
    """Only if it was changed: a write, even of the same values, would spoil a backward pass that someone has yet to do."""
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        if tensor.layout != torch.strided or not torch.equal(tensor, values):
            tensor.copy_(values)


_ONE_AT_A_TIME = threading.RLock()
"""Random states, the compiler's stance and a model's hooks are there once for all threads: who restores them has them alone."""


@contextmanager
def random_states(devices: Collection[torch.device] = (), seed: int | None = None) -> Iterator[None]:
    """torch's, numpy's and Python's random states are afterwards what they were; inside they begin at `seed` if there is one.

    One thread at a time is inside.
    """
    with torch_random_states(devices, seed):
        python, others = random.getstate(), np.random.get_state()
        try:
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed % 2**32)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(others)


@contextmanager
def torch_random_states(devices: Collection[torch.device] = (), seed: int | None = None) -> Iterator[None]:
    """`random_states` of torch alone, at a tenth of the cost: numpy takes 0.2 ms."""
    with _ONE_AT_A_TIME:
        states: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [(torch.set_rng_state, (torch.get_rng_state(),))]
        accelerators = {device: torch.get_device_module(device) for device in devices}
        for device, module in accelerators.items():
            which = () if device.type == "mps" else (device,)  # there is but one
            states.append((module.set_rng_state, (module.get_rng_state(*which), *which)))
        try:
            if seed is not None:
                _seed(seed % 2**63, accelerators)
            yield
        finally:
            for set_state, arguments in states:
                set_state(*arguments)


@contextmanager
def no_collection() -> Iterator[None]:
    """Python's search for cycles of garbage waits. Hooks and graph of a thousand layers set it off, and one search of all that torch
    has imported costs a tenth of their pass."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _seed(seed: int, accelerators: dict[torch.device, ModuleType]) -> None:
    """Not by torch.manual_seed, which would seed devices that this is none of the business of."""
    torch.default_generator.manual_seed(seed)
    for device, module in accelerators.items():
        with nullcontext() if device.type == "mps" else module.device(device):
            module.manual_seed(seed)
