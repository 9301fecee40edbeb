"""Networks of one architecture as one computation, by torch.func; or a single network with the same face.

Everything here has a first axis of length `count`, one place a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from initviz._core.devices import with_float64
from initviz._core.restore import torch_random_states
from initviz.datasets import Data


class Stack:
    """The networks.

    Attributes:
        models: as they were given. A single one is worked on itself; of several the parameters are copied and stacked, and
            `model(index)` brings one up to date.
        parameters: name -> what trains, shape (count, *shape); of a single network its own parameter, shape (*shape).
        layers: names of the parameters of two or more dimensions.
        small: whether one thread is as fast as several: on the CPU, and no parameter of a network larger than 128 x 128.
    """

    def __init__(self, models: Sequence[nn.Module], data: Data) -> None:
        """`models` as `trainable` let them pass.

        Raises:
            ValueError: a model that does not fit the data.
            RuntimeError: models that torch.func can't stack.
        """
        self.models = list(models)
        self.count = len(self.models)
        self.device = next(self.models[0].parameters()).device
        with self.random_states():
            _check_fit(self.models[0], data.x_test[:2].to(self.device), data)
        named: dict[str, Any] = dict(self.models[0].named_parameters())
        self._fixed: dict[str, Any] = {}
        if self.count > 1:
            if any(_shapes(model) != _shapes(self.models[0]) for model in self.models):
                raise RuntimeError("models: have different parameters or buffers")
            named, self._fixed = stack_module_state(self.models)
        self.parameters: dict[str, Tensor] = {name: p for name, p in named.items() if p.requires_grad}
        self._fixed |= {name: p for name, p in named.items() if not p.requires_grad}
        largest = max(self.size(name) for name in self.parameters)
        self.small = self.device.type == "cpu" and largest <= 128 * 128
        self.layers = tuple(name for name, p in self.parameters.items() if p.dim() - (self.count > 1) >= 2)

    def losses(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of each network on its own batch, shape (count,). Shapes: x (count, batch, ...), y (count, batch)."""
        return self._map(_cross_entropy, x, y, per_network=True)

    @torch.no_grad()
    def accuracies(self, x: Tensor, y: Tensor) -> np.ndarray:
        """Share of `x` that each network classifies right, in eval mode, shape (count,). Outputs that are not all finite are wrong."""
        with evaluating(self.models[0]):
            return self._map(_right, x, y, per_network=False).cpu().numpy() / len(x)

    def norms(self, tensor: Tensor | None) -> np.ndarray:
        """Euclidean norm at each place of a tensor shaped as a parameter, shape (count,), and 0 for None.

        Summed in float64: the square of a gradient of 1e-25 is no float32.
        """
        if tensor is None:
            return np.zeros(self.count)
        return torch.linalg.vector_norm(with_float64(self._rows(tensor)), dim=1, dtype=torch.float64).cpu().numpy()

    def size(self, name: str) -> int:
        """Numbers in one network's parameter of this name."""
        return self.parameters[name].numel() // self.count

    def finite(self, tensor: Tensor) -> np.ndarray:
        """Whether all values at each place of a tensor shaped as a parameter are finite, shape (count,)."""
        return self._rows(tensor).isfinite().all(dim=1).cpu().numpy()

    @torch.no_grad()
    def clear(self, places: np.ndarray) -> None:
        """Set the stacked parameters of some networks to zero, for good: whatever they have become, they compute finite numbers."""
        for parameter in self.parameters.values() if self.count > 1 else ():
            parameter[places] = 0

    @torch.no_grad()
    def model(self, index: int = 0) -> nn.Module:
        """Network number `index` as it is now."""
        model = self.models[index]
        if self.count > 1:
            own = dict(model.named_parameters()) | dict(model.named_buffers())
            for name, values in (self.parameters | self._fixed).items():
                own[name].copy_(values[index])
        return model

    def try_out(self, x: Tensor, y: Tensor) -> None:
        """Raise RuntimeError if vmap can't run these models as one, forward and backward. They are afterwards what they were."""
        buffers = {name: values.clone() for name, values in self._fixed.items()}
        with self.random_states():
            torch.autograd.grad(self.losses(x, y).sum(), list(self.parameters.values()), allow_unused=True)
            self._compare(x[0, :8])
        for name, values in buffers.items():
            self._fixed[name].copy_(values)

    @torch.no_grad()
    def _compare(self, x: Tensor) -> None:
        """Raise RuntimeError unless each network computes what it does by itself: they may differ in more than their numbers, such as
        in their activation, and all are run as the first is."""
        with evaluating(self.models[0]):
            stacked = self._map(lambda model, x, _: model(x), x, x, per_network=False)
        for model, found in zip(self.models, stacked, strict=True):
            with evaluating(model):
                own = model(x)
            scale = own[own.isfinite()].abs().max() if own.isfinite().any() else 0.0
            if not torch.allclose(found, own, rtol=0, atol=0.05 * float(scale), equal_nan=True):
                raise RuntimeError("models: compute different functions of their parameters")

    def random_states(self, seed: int | None = None) -> AbstractContextManager[None]:
        """torch's random states are afterwards what they were; inside they begin at `seed` if there is one."""
        return torch_random_states([self.device], seed)

    def _map(self, function: Callable[..., Tensor], x: Tensor, y: Tensor, per_network: bool) -> Tensor:
        base = self.models[0]
        if self.count == 1:
            return function(base, x[0] if per_network else x, y[0] if per_network else y).reshape(1)

        def one(parameters, fixed, x, y):
            return function(lambda x: functional_call(base, (parameters, fixed), (x,)), x, y)

        batch_axis = 0 if per_network else None
        return vmap(one, in_dims=(0, 0, batch_axis, batch_axis))(self.parameters, self._fixed, x, y)

    def _rows(self, tensor: Tensor) -> Tensor:
        return tensor.reshape(self.count, -1)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards each module has the mode that it had."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


VALIDATION = 5
"""One sample in so many is held out where learning rates are chosen, and chooses them by `share_right`."""


@torch.no_grad()
def share_right(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of `x` that `model` classifies right, in eval mode. Outputs that are not all finite are wrong."""
    device = next(model.parameters()).device
    with evaluating(model):
        return int(_right(model, x.to(device), y.to(device))) / len(x)


def _shapes(model: nn.Module) -> list[tuple]:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return [(name, tensor.shape, tensor.dtype, tensor.requires_grad) for name, tensor in tensors]


def _cross_entropy(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    logits = model(x)
    return F.cross_entropy(logits.float() if logits.element_size() == 2 else logits, y)


def _right(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """How many are classified right."""
    logits = model(x)
    return ((logits.argmax(dim=1) == y) & logits.isfinite().all(dim=1)).sum()


def trainable(model: nn.Module) -> nn.Module:
    """`model`; raises TypeError or ValueError if it is none, is lazy or on the meta device, or has nothing to train."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; it takes a torch.nn.Module")
    parameters = list(model.parameters())
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in parameters):
        raise ValueError("model: has lazy parameters; run one batch through it first")
    if not any(p.requires_grad for p in parameters):
        raise ValueError("model: has no parameter to train")
    if any(p.is_meta for p in parameters):
        raise ValueError("model: has parameters on the meta device, which have no values")
    return model


@torch.no_grad()
def _check_fit(model: nn.Module, x: Tensor, data: Data) -> None:
    with evaluating(model):
        try:
            logits = model(x)
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"model: can't take {data.name}, a batch of shape {tuple(x.shape)}: {reason}") from error
    shape, wanted = getattr(logits, "shape", None), (len(x), data.n_classes)
    if not isinstance(logits, Tensor) or shape != wanted:
        got = tuple(shape) if shape is not None else type(logits).__name__
        raise ValueError(
            f"model: gives {got} for {len(x)} samples of {data.name}; it must give {wanted}, a logit for each class"
        )
