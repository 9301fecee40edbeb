"""Which parameters the loss reaches: which get a gradient, which will once others have moved, and which never can.

A gradient that is exactly 0 at the start may be that of a branch that is shut (a factor of zero behind it, which has a gradient of
its own and opens it) or that of a parameter that never learns (cut off by detach; both factors of a product zero). To
tell them apart the parameters that do have a gradient are moved a little along it, and it is looked again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from initviz._core.devices import in_float64
from initviz._core.statistics import TensorStats
from initviz._core.torch_internals import tree_leaves
from initviz.inspection._findings import Reach
from initviz.inspection._report import LayerStats

_ROUNDS = 6
"""How often parameters are moved at most. Each round opens at least one more parameter, or is the last."""
_STEP = 0.01
"""Length of a move, as a share of the parameter's own rms."""
_OF_TORCH = frozenset(vars(nn.Module()))
"""Attributes of every module: what it lists (parameters, buffers, modules), and its hooks."""


class _Used(TorchFunctionMode):
    """Notes the parameters that some torch function was called with."""

    def __init__(self) -> None:
        self.ids: set[int] = set()
        super().__init__()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self.ids.update(id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, nn.Parameter))
        return func(*args, **kwargs)


def follow(
    model: nn.Module,
    suspects: set[int],
    gradients: Callable[[list[nn.Parameter], int, AbstractContextManager[Any]], list[Tensor | None]],
) -> Reach:
    """What becomes of the parameters (by id) that have no gradient, or one of exactly 0, in the first pass. Parameters are moved: who
    calls puts them back.

    Args:
        gradients: one more pass: (parameters, its number, a context for its forward part) -> a gradient or None for each.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    parameters = [p for p in model.parameters() if p.requires_grad]
    shut, used = set(suspects), _Used()
    found = gradients(parameters, 0, used)
    none = {id(p) for p, gradient in zip(parameters, found) if gradient is None}
    moving = _moving(parameters, found)
    shut -= {id(p) for p, _ in moving}  # another output needs them, or chance had left them out
    suspects = set(shut)
    for number in range(1, _ROUNDS + 1):
        if not shut:
            break
        for parameter, gradient in moving:
            parameter.data = parameter.data - _step(parameter.data, gradient)
        moving = _moving(parameters, gradients(parameters, number, nullcontext()))
        opened = shut & {id(p) for p, _ in moving}
        shut -= opened
        if not opened:
            break
    never = [p for p in parameters if id(p) in shut]
    still = [p for p in never if id(p) in used.ids and id(p) not in none]
    return Reach(
        later=tuple(names[id(p)] for p in parameters if id(p) in suspects - shut),
        never=tuple(names[id(p)] for p in still),
        zeros=tuple(names[id(p)] for p in still if not p.any()),
        cut_off=tuple(names[id(p)] for p in never if id(p) in used.ids and id(p) in none),
        unused=tuple(names[id(p)] for p in never if id(p) not in used.ids),
    )


def _moving(parameters: list[nn.Parameter], gradients: list[Tensor | None]) -> list[tuple[nn.Parameter, Tensor]]:
    """The parameters that have a gradient which is not 0, with it."""
    return [
        (p, gradient) for p, gradient in zip(parameters, gradients) if gradient is not None and bool(gradient.any())
    ]


def unlisted(model: nn.Module, outputs: Iterable[Tensor], known: set[int]) -> tuple[str, ...]:
    """Names of the tensors at the ends of the outputs' graph that take a gradient and are none of `known` (by id)."""
    todo = [tensor.grad_fn for tensor in outputs]
    met, found = set(todo), []
    for node in todo:  # it grows on the way
        if node is None:
            continue
        leaf = getattr(node, "variable", None)
        if leaf is None:
            todo += (new := {next_node for next_node, _ in node.next_functions} - met)
            met |= new
        elif id(leaf) not in known:
            found.append(leaf)
    names = _names_in_attributes(model) if found else {}
    return tuple(sorted(names.get(id(leaf), f"a tensor of shape {tuple(leaf.shape)}") for leaf in found))


def _names_in_attributes(model: nn.Module) -> dict[int, str]:
    """Of the tensors that modules keep in attributes, in lists, tuples and dicts, and in modules there: id -> name."""
    names: dict[int, str] = {}

    def note(value: Any, name: str, depth: int = 3) -> None:
        if isinstance(value, Tensor):
            names.setdefault(id(value), name)
        elif isinstance(value, nn.Module):
            for own, parameter in value.named_parameters():
                names.setdefault(id(parameter), f"{name}.{own}")
        elif isinstance(value, list | tuple | dict) and depth:
            for key, each in value.items() if isinstance(value, dict) else enumerate(value):
                note(each, f"{name}[{key!r}]", depth - 1)

    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in _OF_TORCH:
                note(value, f"{path}.{name}".lstrip("."))
    return names


def copies(weights: Mapping[str, Tensor | None], stats: Sequence[LayerStats]) -> tuple[tuple[str, ...], ...]:
    """Groups of layers, by name, with weights of their own that are the same and not all one value, and with the same gradient.

    `weights`: name -> the layer's own weight.
    """
    measured = {s.name: s for s in stats}
    alike: dict[Any, list[tuple[str, Tensor, TensorStats]]] = defaultdict(list)
    owned: set[int] = set()
    for name, weight in weights.items():
        s, own = measured.get(name), id(weight)
        if weight is None or s is None or s.weight is None or s.weight_gradient is None or own in owned:
            continue
        owned.add(own)
        if s.weight.std > 0 and s.weight_gradient.rms > 0:
            key = s.kind, s.weight_shape, s.weight.min, s.weight.max
            alike[key].append((name, weight.detach(), s.weight_gradient))
    groups: list[list[str]] = []
    for members in alike.values():
        rest = members
        while len(rest) > 1:  # one without its like is the usual case
            first, *others = rest
            names = [first[0], *(member[0] for member in others if _same(member, first))]
            groups.append(names)
            rest = [member for member in others if member[0] not in names]
    return tuple(tuple(names) for names in groups if len(names) > 1)


def _same(one: tuple[str, Tensor, TensorStats], other: tuple[str, Tensor, TensorStats]) -> bool:
    """Whether two layers have the same weights, and the same gradient but for the rounding of sums in another order."""
    (_, weight, gradient), (_, weights, gradients) = one, other
    room = 1e-5 * gradients.rms
    near = all(abs(getattr(gradient, n) - getattr(gradients, n)) <= room for n in ("min", "max", "std"))
    return near and torch.equal(weight, weights)


def _step(values: Tensor, gradient: Tensor) -> Tensor:
    """A step along the gradient, of _STEP times the values' rms (or so much of 1/sqrt(their number a unit) where they are 0)."""
    gradient = in_float64(gradient.to_dense() if gradient.layout != torch.strided else gradient)
    gradient = gradient / gradient.abs().max()
    own = in_float64(values).square().mean().sqrt()
    usual = max(values.numel() / max(len(values), 1), 1) ** -0.5 if values.dim() > 1 else 1.0
    return (gradient * (_STEP * torch.where(own > 0, own, usual))).to(values)
