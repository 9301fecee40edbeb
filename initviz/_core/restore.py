"""Leaving a model, and the random states, as they were found."""

from __future__ import annotations

import gc
import random
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.torch_internals import own_parameters, put_gradient_hooks_aside, uncompiled


@contextmanager
def restored(model: nn.Module, parameters: list[nn.Parameter], seed: int | None = None) -> Iterator[None]:
    """Whatever happens inside, a model is afterwards what it was, the values of its parameters apart.

    That is: buffers, gradients, modes, hooks, attributes (a counter, a cache, a list that grows) and the random states of torch,
    numpy and Python, which inside begin at `seed` if there is one. Gradients are None at first. The user's own hooks that act
    on a finished gradient (an optimizer in the backward pass) are put aside, since they would change parameters. Nothing is
    compiled inside, attention takes no fast path past the hooks, recurrent layers have a backward pass in eval mode too, and other
    threads wait. Every step back is taken, also if one fails; the first error is raised after the last.
    """
    modules = list(model.modules())
    with random_states({p.device for p in parameters}, seed), uncompiled(), _hooked_paths(), _own_recurrence(modules):
        found = [_Found(module) for module in modules]
        gradients = [(p, p.grad, p.requires_grad, p.dtype, put_gradient_hooks_aside(p)) for p in parameters]
        try:
            for parameter, *_ in gradients:
                parameter.grad = None
            yield
        finally:
            problems: list[Exception] = []
            for module in found:
                module.restore(problems)
            _every(_put_back_gradient, gradients, problems)
            if problems:
                raise problems[0]


def _every(step: Callable[..., Any], items: Iterable[tuple[Any, ...]], problems: list[Exception]) -> None:
    """Take the step for every item, also if it fails for one; errors are written down."""
    for item in items:
        try:
            step(*item)
        except Exception as error:
            problems.append(error)


def _put_back_gradient(
    parameter: nn.Parameter,
    gradient: Tensor | None,
    requires_grad: bool,
    dtype: torch.dtype,
    put_hooks_back: Callable[[], Any],
) -> None:
    try:
        if parameter.dtype != dtype:  # a gradient is of its parameter's type
            parameter.data = parameter.data.to(dtype)
        parameter.requires_grad_(requires_grad)
        parameter.grad = gradient
    finally:
        put_hooks_back()


class Kept:
    """Copies of parameters, taken just before something might write into them, to put back."""

    def __init__(self) -> None:
        self._copies: dict[int, tuple[nn.Parameter, _Values]] = {}

    def keep(self, parameter: nn.Parameter) -> None:
        if id(parameter) not in self._copies:
            self._copies[id(parameter)] = parameter, _Values(parameter)

    def restore(self) -> None:
        problems: list[Exception] = []
        _every(
            _Values.put_back,
            ((values,) for parameter, values in self._copies.values() if not emptied(parameter)),
            problems,
        )
        if problems:
            raise problems[0]


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
        self.parameters = own_parameters(module)
        self.tensors: list[tuple[_Values]] = []
        self.states: list[tuple[Callable[[Any], Any], Any]] = []
        values, met = list(self.attributes.values()), set()
        for value in values:  # it grows on the way
            kind = type(value)
            if kind in _ATOMS:
                continue
            if kind in _CONTAINERS:
                if not value:
                    self.empty.append(value)
                elif id(value) not in met:
                    met.add(id(value))
                    self.contents.append((value, value.copy()))
                    values.extend(value.values() if isinstance(value, dict) else value)
            elif kind is tuple:
                values.extend(value)
            elif isinstance(value, Tensor):
                if not (value.requires_grad or isinstance(value, nn.Parameter)):
                    self.tensors.append((_Values(value),))
            elif kind is np.ndarray and value.flags.writeable:
                self.states.append((partial(np.copyto, value), value.copy()))
            elif kind is torch.Generator:
                self.states.append((value.set_state, value.get_state()))
            elif kind is np.random.Generator:
                self.states.append((partial(setattr, value.bit_generator, "state"), value.bit_generator.state))

    def restore(self, problems: list[Exception]) -> None:
        attributes = vars(self.module)
        if attributes.keys() != self.attributes.keys():
            attributes.clear()
        attributes.update(self.attributes)
        for container in self.empty:
            if container:
                container.clear()
        _every(self._refill, self.contents, problems)
        if self.tensors:
            _every(_Values.put_back, self.tensors, problems)
        if self.states:
            _every(_call, self.states, problems)

    def _refill(self, container: Any, content: Any) -> None:
        if container is self.parameters and [*map(id, container.values())] != [*map(id, content.values())]:
            # a wrapper gave the module other parameters, and may have let go of the memory of these
            content = {name: container.get(name, p) if emptied(p) else p for name, p in content.items()}
        container.clear()
        (container.extend if hasattr(container, "extend") else container.update)(content)


def _call(function: Callable[[Any], Any], argument: Any) -> None:
    function(argument)


class _Values:
    """A tensor's values, with its size and place in memory."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.values = tensor, tensor.detach().clone()
        plain = tensor.layout == torch.strided and type(tensor) in (Tensor, nn.Parameter, nn.Buffer)
        self.data = tensor.data if plain else None
        self.place = _place(tensor) if plain else ()
        self.held = tensor.untyped_storage().nbytes() if plain else 0

    def put_back(self) -> None:
        tensor, data = self.tensor, self.data
        with torch.inference_mode(tensor.is_inference()), torch.no_grad():
            if data is not None and _place(tensor) != self.place:
                if data.untyped_storage().nbytes() != self.held:
                    data.untyped_storage().resize_(self.held)
                tensor.data = data
            # only if it was changed: a write, even of the same values, would spoil a backward pass that someone has yet to do
            if tensor.layout != torch.strided or not torch.equal(tensor, self.values):
                tensor.data.copy_(self.values) if isinstance(tensor, nn.Parameter) else tensor.copy_(self.values)


def _place(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def emptied(tensor: Tensor | None) -> bool:
    """Whether the memory of its values was let go."""
    return type(tensor) in (Tensor, nn.Parameter) and tensor.numel() > 0 and not tensor.untyped_storage().nbytes()  # type: ignore[union-attr]


@contextmanager
def _hooked_paths() -> Iterator[None]:
    """Attention goes through its modules, whose hooks its fused path would pass by, and autocast casts weights anew: a copy that it
    keeps may be of other values, or without a gradient."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    torch.clear_autocast_cache()
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.clear_autocast_cache()


@contextmanager
def _own_recurrence(modules: list[nn.Module]) -> Iterator[None]:
    """Without cuDNN where a recurrent layer is in eval mode, in which cuDNN's has no backward pass; PyTorch's own has one."""
    enabled = torch.backends.cudnn.enabled
    if any(isinstance(module, nn.RNNBase) and not module.training for module in modules):
        torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = enabled


_ONE_AT_A_TIME = threading.RLock()
"""Random states, the compiler's stance and a model's hooks are there once for all threads: who restores them has them alone."""


@contextmanager
def random_states(devices: Collection[torch.device] = (), seed: int | None = None) -> Iterator[None]:
    """torch's, numpy's and Python's random states are afterwards what they were; inside they begin at `seed` if there is one.

    torch's are those of the CPU, of `devices`, and of the default device, on which a layer draws that is not told where.
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
        places = {*devices, torch.get_default_device()}
        accelerators = {p: torch.get_device_module(p) for p in places if p.type not in ("cpu", "meta")}
        for device, module in accelerators.items():
            which = () if device.type == "mps" else (device,)  # there is but one
            states.append((module.set_rng_state, (module.get_rng_state(*which), *which)))
        try:
            if seed is not None:
                _seed(seed % 2**63, accelerators)
            yield
        finally:
            problems: list[Exception] = []
            _every(lambda set_state, arguments: set_state(*arguments), states, problems)
            if problems:
                raise problems[0]


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
